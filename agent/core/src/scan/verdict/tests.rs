use proptest::prelude::*;

use super::*;

const OF: Scanned<'_> = Scanned { name: "registry.example/ops/shop", digest: "sha256:00", by: Scanner::Trivy };

fn now() -> Timestamp {
    "2026-11-30T23:30:00Z".parse().unwrap()
}

fn one(id: &str, word: &str, fix: &str) -> Vulnerability {
    crate::scan::vulnerability(id, word, "openssl", "3.0.1", fix)
}

fn exception(id: &str, until: &str) -> ScanException {
    ScanException { id: id.to_owned(), reason: "not reachable".to_owned(), until: until.parse().unwrap() }
}

fn spec(max: Option<Severity>, exceptions: Vec<ScanException>) -> ScanSpec {
    ScanSpec { by: Scanner::Trivy, max_severity: max, timeout: std::time::Duration::from_secs(600), exceptions }
}

fn report(vulnerabilities: Vec<Vulnerability>) -> Report {
    Report { scanner: "Trivy 0.58.1".to_owned(), made: None, vulnerabilities }
}

fn verdict(all: Vec<Vulnerability>, spec: &ScanSpec) -> Verdict {
    judge(OF, report(all), &Rules::new(spec, now()), now())
}

#[test]
fn what_is_worse_is_refused_and_an_exception_counts_until_the_end_of_its_day() {
    let (critical, high) = (one("CVE-1", "CRITICAL", "3.0.2"), one("CVE-2", "HIGH", ""));
    let word = one("CVE-3", "Important", "");
    let worse = "of registry.example/ops/shop are worse than";
    let is_worse = "of registry.example/ops/shop is worse than";
    let told = "CVE-1 in openssl 3.0.1 (critical, fixed in 3.0.2)";
    for (all, max, exceptions, refusal) in [
        (vec![critical.clone()], None, vec![], None),
        (vec![critical.clone()], Some(Severity::Critical), vec![], None),
        (
            vec![critical.clone(), high.clone()],
            Some(Severity::High),
            vec![],
            Some(format!("1 vulnerability {is_worse} high: {told}")),
        ),
        (
            vec![high.clone(), critical.clone()],
            Some(Severity::Medium),
            vec![],
            Some(format!("2 vulnerabilities {worse} medium: {told}, CVE-2 in openssl 3.0.1 (high, no fix yet)")),
        ),
        (vec![critical.clone()], Some(Severity::High), vec![exception("cve-1", "2026-11-30")], None),
        (
            vec![critical.clone()],
            Some(Severity::High),
            vec![exception("CVE-1", "2026-11-29")],
            Some(format!("1 vulnerability {is_worse} high: {told}")),
        ),
        (
            vec![critical],
            Some(Severity::High),
            vec![exception("CVE-2", "2027-01-31")],
            Some(format!("1 vulnerability {is_worse} high: {told}")),
        ),
        (
            vec![word.clone()],
            Some(Severity::Critical),
            vec![],
            Some(format!("1 vulnerability {is_worse} critical: CVE-3 in openssl 3.0.1 (\"Important\", no fix yet)")),
        ),
        (vec![word], None, vec![], None),
    ] {
        let spec = spec(max, exceptions);
        assert_eq!(verdict(all, &spec).refusal(spec.max_severity), refusal, "{spec:?}");
    }
}

#[test]
fn of_many_the_first_are_named_and_all_are_counted() {
    let all = (10..40).map(|number| one(&format!("CVE-{number}"), "Critical", "")).collect();
    let spec = spec(Some(Severity::High), Vec::new());
    let verdict = verdict(all, &spec);
    let text = verdict.refusal(spec.max_severity).unwrap();
    assert!(
        text.starts_with("30 vulnerabilities of ") && text.ends_with(" (critical, no fix yet), and 27 more"),
        "{text}"
    );
    assert_eq!((verdict.result.vulnerabilities.len(), verdict.all.len()), (VULNERABILITIES_MAX, 30));
    assert_eq!(verdict.result.describe(), "30 critical; 0 with a fix");
}

#[test]
fn an_exception_marks_what_it_accepts_and_one_that_expired_is_named() {
    let spec = spec(
        Some(Severity::High),
        vec![exception("CVE-1", "2027-01-31"), exception("CVE-2", "2026-01-31"), exception("CVE-9", "2026-01-31")],
    );
    let verdict = verdict(vec![one("CVE-1", "Critical", ""), one("CVE-2", "Critical", "")], &spec);
    assert_eq!((verdict.result.accepted, verdict.result.refused), (1, 1));
    let marked: Vec<_> = verdict.all.iter().map(|one| (one.id.as_str(), one.accepted.as_deref())).collect();
    assert_eq!(marked, [("CVE-2", None), ("CVE-1", Some("not reachable"))]);
    let rules = Rules::new(&spec, now());
    let expired: Vec<_> = rules.expired(&verdict.all).iter().map(|one| one.id.as_str()).collect();
    assert_eq!(expired, ["CVE-2"], "of those that the image has");
}

#[test]
fn what_is_found_in_several_places_counts_once_by_its_worst_word() {
    let all = vec![one("CVE-1", "LOW", "3.0.2"), one("CVE-1", "HIGH", ""), one("CVE-1", "LOW", "")];
    let verdict = verdict(all, &spec(None, Vec::new()));
    assert_eq!(verdict.result.counts, [SeverityCount { severity: Severity::High, total: 1, fixable: 1 }]);
}

#[test]
fn a_result_that_is_held_is_judged_again_where_it_says_enough() {
    let mild: Vec<_> = (0..30).map(|number| one(&format!("CVE-{number}"), "Low", "")).collect();
    let with_critical: Vec<_> = mild.iter().cloned().chain([one("CVE-99", "Critical", "")]).collect();
    let severe: Vec<_> = (0..30).map(|number| one(&format!("CVE-{number}"), "Critical", "")).collect();
    let day = jiff::SignedDuration::from_hours(24);
    let other = Scanned { digest: "sha256:11", ..OF };
    let by_other = Scanned { by: Scanner::Grype, ..OF };
    for (all, max, of, at, holds) in [
        (&mild, Some(Severity::High), OF, now(), true),
        (&mild, Some(Severity::Low), OF, now(), true),
        (&mild, Some(Severity::Negligible), OF, now(), false),
        (&mild, None, OF, now(), true),
        (&with_critical, Some(Severity::High), OF, now(), true),
        (&severe, Some(Severity::High), OF, now(), false),
        (&severe, Some(Severity::Critical), OF, now(), true),
        (&mild, None, other, now(), false),
        (&mild, None, by_other, now(), false),
        (&mild, None, OF, now() + day, false),
    ] {
        let spec = spec(max, Vec::new());
        let first = verdict(all.clone(), &spec);
        let again = judge_again(&first.result, of, &Rules::new(&spec, at), at);
        assert_eq!(again.as_ref().map(|again| &again.result), holds.then_some(&first.result), "{max:?} {of:?} {at}");
        assert!(again.is_none_or(|again| again.refusal(max) == first.refusal(max)));
    }
    // Only what counts changed since.
    let first = verdict(with_critical, &spec(Some(Severity::High), Vec::new()));
    let now_accepted = spec(Some(Severity::High), vec![exception("CVE-99", "2027-01-31")]);
    let again = judge_again(&first.result, OF, &Rules::new(&now_accepted, now()), now()).unwrap();
    assert_eq!((first.result.refused, again.result.refused, again.result.accepted), (1, 0, 1));
}

proptest! {
    /// Whatever a scanner lists, in any order: each is counted once, and refused exactly where it is worse and not accepted.
    #[test]
    fn every_vulnerability_is_counted_once_and_refused_where_it_is_worse(
        found in proptest::collection::vec((0..12_u8, 0..8_usize, any::<bool>()), 0..60),
        max in 0..7_usize,
        accepted in 0..12_u8,
    ) {
        let words = ["Critical", "High", "Medium", "Low", "Negligible", "Unknown", "", "Important"];
        let all: Vec<_> = found.iter().map(|(id, word, fix)| one(&format!("CVE-{id}"), words[*word], if *fix { "4" } else { "" })).collect();
        let max = Severity::WORST_FIRST.get(max).copied();
        let spec = spec(max, vec![exception(&format!("CVE-{accepted}"), "2027-01-31")]);
        let first = verdict(all.clone(), &spec);
        let turned = verdict(all.into_iter().rev().collect(), &spec);
        prop_assert_eq!(&first, &turned);
        let ids: std::collections::BTreeSet<_> = found.iter().map(|(id, ..)| *id).collect();
        prop_assert_eq!(first.result.total() as usize, ids.len());
        for one in &first.all {
            let is_worse = max.is_some_and(|max| one.severity_word.is_some() || one.severity > max);
            prop_assert_eq!(first.refused.contains(one), is_worse && one.accepted.is_none());
        }
        if let Some(again) = judge_again(&first.result, OF, &Rules::new(&spec, now()), now()) {
            prop_assert_eq!(again.result, first.result);
        }
    }
}

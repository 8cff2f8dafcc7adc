//! What a merge request is shown: one comment in Markdown, with a section for each application that was run for it, and one for
//! what merging would change. Pure.
//!
//! Whatever comes from the code of a merge request (subjects, names and words of tests, reasons) may be written by anyone
//! who can open one. It goes into code spans, one line each: no forge finds commands (GitLab's `/merge`), people, links or
//! HTML in there.

mod plan;

use std::fmt::Write as _;

pub use self::plan::{MergePlan, PlannedMerge, plan_marker};
use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::snapshot::{RunStatus, ScanResult, TestResult};
use quarterdeck_shared::status::{Phase, Stage, StageKind};

/// Characters of one text from elsewhere.
const SPAN_MAX: usize = 120;

/// Sections of a comment, tests, scans and images of a section, and failed cases of a test or vulnerabilities of a scan. GitHub
/// takes 65,536 characters of a comment, and this many at their longest are some 63,000; what merging changes has [`plan::CHARS_MAX`] of them.
const SECTIONS_MAX: usize = 8;
const TESTS_MAX: usize = 6;
const SCANS_MAX: usize = 2;
const FAILURES_MAX: usize = 3;
const WORST_MAX: usize = 2;

/// What the section of an application begins with: it is not shown, and by it a comment is found that is ours.
pub fn marker(application: &ApplicationName) -> String {
    format!("<!-- quarterdeck {application} -->")
}

/// The comment of a merge request, of the newest run of each application that was run for it, and of what merging changes.
pub fn comment(runs: &[&RunStatus], plan: Option<&MergePlan>) -> String {
    let mut text = String::new();
    if let Some(plan) = plan {
        plan::section(&mut text, plan);
    }
    for run in runs.iter().take(SECTIONS_MAX) {
        section(&mut text, run);
    }
    if let Some(more) = runs.len().checked_sub(SECTIONS_MAX).filter(|more| *more > 0) {
        let _ = writeln!(text, "{more} more applications were run for this merge request.\n");
    }
    text + "Quarterdeck keeps this comment up to date.\n"
}

fn section(text: &mut String, run: &RunStatus) {
    let RunStatus { id, application, commit, subject, phase, .. } = run;
    let subject = if subject.is_empty() { String::new() } else { format!(" {}", span(subject)) };
    let _ = writeln!(text, "{}", marker(application));
    let _ = writeln!(text, "**{application}: {phase}**, run {} of {}{subject}\n", id.number, span(commit.short()));
    let _ = writeln!(text, "| stage | state | time |\n| --- | --- | --- |");
    for stage in run.stages.iter().filter(|stage| stage.kind != StageKind::Checkout) {
        let _ = writeln!(text, "| {} | {} | {} |", stage.kind, stage.phase, took(stage));
    }
    text.push('\n');
    let before = text.len();
    let line = run.line();
    if !line.is_empty() && *phase != Phase::Succeeded && *phase != Phase::Running {
        let _ = writeln!(text, "- {}", span(&line));
    }
    run.tests.iter().take(TESTS_MAX).for_each(|test| tested(text, test));
    if let Some(more) = run.tests.len().checked_sub(TESTS_MAX).filter(|more| *more > 0) {
        let _ = writeln!(text, "- and {more} more tests");
    }
    run.scans.iter().take(SCANS_MAX).for_each(|scan| scanned(text, scan));
    if let Some(more) = run.scans.len().checked_sub(SCANS_MAX).filter(|more| *more > 0) {
        let _ = writeln!(text, "- and {more} more scans");
    }
    let images = run.artifact.iter().flat_map(|artifact| artifact.images.iter().map(|image| (&artifact.tag, image)));
    for (tag, image) in images.take(TESTS_MAX) {
        let _ = writeln!(
            text,
            "- image {} with the id {}{}",
            span(&image.name),
            span(image.id.get(..19).unwrap_or(&image.id)),
            if image.digest.is_some() { format!(", pushed as {}", span(tag)) } else { String::new() },
        );
    }
    if text.len() > before {
        text.push('\n');
    }
}

fn tested(text: &mut String, test: &TestResult) {
    let _ = writeln!(text, "- test `{}`: {}, {}", test.name, test.phase, span(&test.message));
    let failures = test.cases.iter().flat_map(|cases| &cases.failures);
    for failure in failures.take(FAILURES_MAX) {
        let why = if failure.message.is_empty() { String::new() } else { format!(": {}", span(&failure.message)) };
        let _ = writeln!(text, "  - {}{why}", span(&failure.name));
    }
    if let Some(cases) = test.cases.as_ref().filter(|cases| cases.failed as usize > FAILURES_MAX) {
        let _ = writeln!(text, "  - and {} more", cases.failed as usize - FAILURES_MAX);
    }
}

/// What a scan found: the counts, and the worst of what keeps the image from being released.
fn scanned(text: &mut String, scan: &ScanResult) {
    let _ = writeln!(text, "- scan of {}: {}", span(&scan.name), span(&scan.describe()));
    let refused = scan.vulnerabilities.iter().filter(|one| one.accepted.is_none()).take(scan.refused as usize);
    for vulnerability in refused.take(WORST_MAX) {
        let _ = writeln!(text, "  - {}", span(&vulnerability.describe()));
    }
    if let Some(more) = (scan.refused as usize).checked_sub(WORST_MAX).filter(|more| *more > 0) {
        let _ = writeln!(text, "  - and {more} more");
    }
}

/// How long a stage lasted, once it ended: `41s`, `3m 20s`.
fn took(stage: &Stage) -> String {
    let (Some(from), Some(to)) = (stage.started, stage.finished) else { return String::new() };
    match from.duration_until(to).as_secs().max(0) {
        seconds @ ..60 => format!("{seconds}s"),
        seconds => format!("{}m {}s", seconds / 60, seconds % 60),
    }
}

/// A text from elsewhere as a code span: one line that stays within it.
fn span(text: &str) -> String {
    let plain = text.chars().map(|c| if c == '`' { '\'' } else { c });
    let plain: String = plain.map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SPAN_MAX) {
        // An empty span is none, and its two backticks would begin another one.
        None if line.is_empty() => "` `".to_owned(),
        None => format!("`{line}`"),
        Some((at, _)) => format!("`{}…`", &line[..at]),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use quarterdeck_shared::application::{Scanner, Severity};
    use quarterdeck_shared::artifact::{Artifact, Image};
    use quarterdeck_shared::snapshot::{Cases, FailedCase, Permission, RunGoal, SeverityCount, Vulnerability};

    use super::*;
    use crate::queue::tests::run;
    use crate::run::ended;

    fn stage(kind: StageKind, phase: Phase, seconds: i64) -> Stage {
        let finished = phase.is_final().then(|| Timestamp::from_second(seconds).unwrap());
        Stage { phase, started: Some(Timestamp::UNIX_EPOCH), finished, ..Stage::queued(kind) }
    }

    fn failing() -> RunStatus {
        let failure = |name: &str, message: &str| FailedCase { name: name.to_owned(), message: message.to_owned() };
        let cases = Cases {
            passed: 118,
            failed: 4,
            skipped: 0,
            failures: vec![
                failure("cart.CartTest adds", "expected 3"),
                failure("b", ""),
                failure("c", ""),
                failure("d", ""),
            ],
        };
        let test = TestResult {
            name: "unit".parse().unwrap(),
            phase: Phase::Failed,
            message: cases.describe(),
            cases: Some(cases),
        };
        let before = run(12, "merge-request-7", RunGoal::Build);
        let artifact = Artifact {
            application: before.application.clone(),
            commit: before.commit.clone(),
            tag: "a6ca5a8".to_owned(),
            images: vec![Image {
                name: "registry.example/ops/shop".to_owned(),
                id: format!("sha256:{}", "1f".repeat(32)),
                digest: None,
            }],
            built: Timestamp::UNIX_EPOCH,
            pushed: None,
            tested: Default::default(),
        };
        let stages = vec![
            stage(StageKind::Checkout, Phase::Succeeded, 1),
            stage(StageKind::Build, Phase::Succeeded, 41),
            stage(StageKind::Test, Phase::Failed, 200),
        ];
        let run = RunStatus { stages, tests: vec![test], artifact: Some(artifact), subject: "Add".into(), ..before };
        ended(run, Phase::Failed, "test unit failed".to_owned(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_comment_says_what_was_built_and_which_tests_failed() {
        let run = failing();
        let short = run.commit.short();
        let expected = format!(
            "<!-- quarterdeck shop -->\n\
            **shop: Failed**, run 12 of `{short}` `Add`\n\n\
            | stage | state | time |\n| --- | --- | --- |\n| build | Succeeded | 41s |\n| test | Failed | 3m 20s |\n\n\
            - `test unit failed`\n\
            - test `unit`: Failed, `4 of 122 failed`\n  - `cart.CartTest adds`: `expected 3`\n  - `b`\n  - `c`\n  - and 1 more\n\
            - image `registry.example/ops/shop` with the id `sha256:1f1f1f1f1f1f`\n\n\
            Quarterdeck keeps this comment up to date.\n"
        );
        assert_eq!(comment(&[&run], None), expected);
    }

    #[test]
    fn what_was_pushed_and_scanned_says_under_which_tag_and_what_was_found() {
        let vulnerability = |number: u32, severity, accepted: Option<&str>| Vulnerability {
            id: format!("CVE-2026-{number}"),
            severity,
            severity_word: None,
            package: "openssl".to_owned(),
            version: "3.0.1".to_owned(),
            fixed_in: Some("3.0.2".to_owned()),
            accepted: accepted.map(str::to_owned),
        };
        let count = |severity, total| SeverityCount { severity, total, fixable: total };
        let mut vulnerabilities = vec![vulnerability(0, Severity::Critical, Some("not reachable"))];
        vulnerabilities.extend((1..=5).map(|number| vulnerability(number, Severity::Critical, None)));
        let mut run = RunStatus { goal: RunGoal::Preview, tests: Vec::new(), ..failing() };
        let artifact = run.artifact.as_mut().unwrap();
        artifact.tag = "merge-request-7-a6ca5a8f2c1b".to_owned();
        artifact.images[0].digest = Some(format!("sha256:{}", "2e".repeat(32)));
        run.scans = vec![ScanResult {
            name: "registry.example/ops/shop".to_owned(),
            digest: format!("sha256:{}", "2e".repeat(32)),
            by: Scanner::Harbor,
            scanner: "Trivy v0.58.1".to_owned(),
            scanned: Timestamp::UNIX_EPOCH,
            counts: vec![count(Severity::Critical, 6), count(Severity::Low, 2)],
            accepted: 1,
            refused: 5,
            vulnerabilities,
        }];
        let text = comment(&[&run], None);
        let expected = "- scan of `registry.example/ops/shop`: `6 critical, 2 low; 8 with a fix, 1 accepted`\n  \
             - `CVE-2026-1 in openssl 3.0.1 (critical, fixed in 3.0.2)`\n  \
             - `CVE-2026-2 in openssl 3.0.1 (critical, fixed in 3.0.2)`\n  \
             - and 3 more\n\
             - image `registry.example/ops/shop` with the id `sha256:1f1f1f1f1f1f`, pushed as `merge-request-7-a6ca5a8f2c1b`\n";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn what_waits_for_a_person_says_so_and_what_runs_says_no_more_than_its_stages() {
        let queued = RunStatus { permission: Some(Permission::Awaited), ..run(12, "merge-request-7", RunGoal::Build) };
        assert!(
            comment(&[&queued], None).contains("- `its code is of a fork and waits for a person: qd runs allow 12`\n")
        );
        let running = RunStatus { phase: Phase::Running, message: "step 3 of 9".to_owned(), ..queued };
        assert!(!comment(&[&running], None).contains("step 3"), "each line of a build would be an edit");
    }

    #[test]
    fn each_application_has_a_section_by_which_its_comment_is_found() {
        let shop = failing();
        let web = RunStatus { application: "web".parse().unwrap(), ..shop.clone() };
        let text = comment(&[&shop, &web], None);
        assert!(text.contains(&marker(&shop.application)) && text.contains(&marker(&web.application)), "{text}");
    }

    #[test]
    fn texts_of_a_fork_stay_within_their_line() {
        for (text, shown) in [
            ("`` @all [x](http://evil) ``", "`'' @all [x](http://evil) ''`"),
            ("a\n/merge\r\n/close", "`a /merge /close`"),
            ("\u{1b}[31mred", "`[31mred`"),
            ("", "` `"),
            (" \n", "` `"),
        ] {
            assert_eq!(span(text), shown);
        }
        assert_eq!(span(&"ü".repeat(300)).chars().count(), SPAN_MAX + 3);
    }

    #[test]
    fn the_longest_comment_is_one_that_github_takes() {
        let mut run = failing();
        let long = "ü".repeat(2_000);
        (run.subject, run.message) = (long.clone(), long.clone());
        for failure in &mut run.tests[0].cases.as_mut().unwrap().failures {
            (failure.name, failure.message) = (long.clone(), long.clone());
        }
        run.tests[0].message = long;
        run.tests = vec![run.tests[0].clone(); 50];
        let package = "ü".repeat(2_000);
        let vulnerability = Vulnerability {
            id: package.clone(),
            severity: Severity::Critical,
            severity_word: None,
            package: package.clone(),
            version: package.clone(),
            fixed_in: None,
            accepted: None,
        };
        let scan = ScanResult {
            name: package,
            digest: String::new(),
            by: Scanner::Trivy,
            scanner: String::new(),
            scanned: Timestamp::UNIX_EPOCH,
            counts: Vec::new(),
            accepted: 0,
            refused: 20,
            vulnerabilities: vec![vulnerability; 20],
        };
        run.scans = vec![scan; 50];
        let text = comment(&vec![&run; 50], Some(&plan::tests::large()));
        assert!(text.chars().count() < 65_536 && text.contains("42 more applications"), "{}", text.chars().count());
    }
}

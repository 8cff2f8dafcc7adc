//! Whether an image may be promoted with what a scanner found in it. (pure)

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use quarterdeck_shared::application::{ScanException, ScanSpec, Scanner, Severity};
use quarterdeck_shared::snapshot::{ScanResult, SeverityCount, VULNERABILITIES_MAX, Vulnerability};

use super::Report;
use super::harbor::FRESH;

/// So many of those that are refused are named in a message; all of them are in the log.
const NAMED_MAX: usize = 3;

/// What counts today.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// What is worse is refused; nothing where absent.
    pub max_severity: Option<Severity>,
    /// What is accepted.
    pub exceptions: &'a [ScanException],
    /// By UTC.
    pub today: Date,
}

/// The image that was scanned.
#[derive(Debug, Clone, Copy)]
pub struct Scanned<'a> {
    /// Its name without a tag.
    pub name: &'a str,
    /// What the registry calls it.
    pub digest: &'a str,
    /// Who was asked.
    pub by: Scanner,
}

/// What a scan comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What is kept of it.
    pub result: ScanResult,
    /// All that is known, each once, the worst first.
    pub all: Vec<Vulnerability>,
    /// Those of them that are refused.
    pub refused: Vec<Vulnerability>,
}

impl<'a> Rules<'a> {
    /// Those of a configuration at this moment.
    pub fn new(spec: &'a ScanSpec, now: Timestamp) -> Self {
        let today = now.to_zoned(TimeZone::UTC).date();
        Self { max_severity: spec.max_severity, exceptions: &spec.exceptions, today }
    }

    /// The exception that accepts a vulnerability today.
    fn accepts(&self, id: &str) -> Option<&'a ScanException> {
        self.exceptions.iter().find(|one| one.id.eq_ignore_ascii_case(id) && self.today <= one.until)
    }

    /// Whether one is too severe, accepted or not.
    fn is_worse(&self, one: &Vulnerability) -> bool {
        self.max_severity.is_some_and(|max| rank(one).is_none_or(|severity| severity > max))
    }

    /// Exceptions whose day has passed, of vulnerabilities that exist.
    pub fn expired(&self, all: &[Vulnerability]) -> Vec<&'a ScanException> {
        let exists = |one: &&ScanException| all.iter().any(|found| found.id.eq_ignore_ascii_case(&one.id));
        self.exceptions.iter().filter(|one| self.accepts(&one.id).is_none()).filter(exists).collect()
    }
}

/// How severe it counts for the gate; none is a word that nobody knows, which counts as worse than all others.
fn rank(one: &Vulnerability) -> Option<Severity> {
    match one.severity_word {
        Some(_) => None,
        None => Some(one.severity),
    }
}

/// Judges what a scanner reports.
pub fn judge(of: Scanned<'_>, report: Report, rules: &Rules<'_>, now: Timestamp) -> Verdict {
    let Report { scanner, made, vulnerabilities } = report;
    let all = each_once(vulnerabilities);
    let count = |severity| {
        let of_it = || all.iter().filter(|one| one.severity == severity);
        let fixable = of_it().filter(|one| one.fixed_in.is_some()).count();
        SeverityCount { severity, total: number(of_it().count()), fixable: number(fixable) }
    };
    let counts = Severity::WORST_FIRST.map(count).into_iter().filter(|count| count.total > 0).collect();
    let result = ScanResult {
        name: of.name.to_owned(),
        digest: of.digest.to_owned(),
        by: of.by,
        scanner,
        scanned: made.unwrap_or(now),
        counts,
        accepted: 0,
        refused: 0,
        vulnerabilities: Vec::new(),
    };
    decide(result, all, rules)
}

/// Judges a result of before by what counts now; none where the image has to be scanned again: another image, another
/// scanner, too long ago, or not all that could be refused was kept.
pub fn judge_again(held: &ScanResult, of: Scanned<'_>, rules: &Rules<'_>, now: Timestamp) -> Option<Verdict> {
    let is_it = held.name == of.name && held.digest == of.digest && held.by == of.by;
    let is_fresh = now.duration_since(held.scanned).as_secs() < FRESH.as_secs().cast_signed();
    // The worst are kept: where the mildest of these is not refused, no other is.
    let is_whole = usize::try_from(held.total()).is_ok_and(|total| total == held.vulnerabilities.len());
    let holds_the_worst = || match (rules.max_severity, held.vulnerabilities.last()) {
        (None, _) => true,
        (Some(_), mildest) => mildest.is_some_and(|one| !rules.is_worse(one)),
    };
    let holds = is_it && is_fresh && (is_whole || holds_the_worst());
    holds.then(|| decide(held.clone(), held.vulnerabilities.clone(), rules))
}

/// Marks what is accepted, and counts what is not.
fn decide(mut result: ScanResult, mut all: Vec<Vulnerability>, rules: &Rules<'_>) -> Verdict {
    for one in &mut all {
        one.accepted = rules.accepts(&one.id).map(|exception| exception.reason.clone());
    }
    all.sort_by(|a, b| order(a).cmp(&order(b)));
    let (accepted, refused): (Vec<&Vulnerability>, Vec<&Vulnerability>) =
        all.iter().filter(|one| rules.is_worse(one)).partition(|one| one.accepted.is_some());
    (result.accepted, result.refused) = (number(accepted.len()), number(refused.len()));
    let refused = refused.into_iter().cloned().collect();
    result.vulnerabilities = all.iter().take(VULNERABILITIES_MAX).cloned().collect();
    Verdict { result, all, refused }
}

/// The worst first; of the same severity what is not accepted, and then what can be fixed.
fn order(one: &Vulnerability) -> impl Ord {
    let texts = (one.id.clone(), one.package.clone(), one.version.clone());
    (worst(one), one.accepted.is_some(), one.fixed_in.is_none(), texts)
}

fn worst(one: &Vulnerability) -> (bool, Reverse<Option<Severity>>) {
    (rank(one).is_some(), Reverse(rank(one)))
}

/// Each vulnerability of a package once: a scanner lists it for each place where it finds the package. The worst word counts.
fn each_once(all: Vec<Vulnerability>) -> Vec<Vulnerability> {
    let mut once: BTreeMap<(String, String, String), Vulnerability> = BTreeMap::new();
    for one in all {
        let key = (one.id.clone(), one.package.clone(), one.version.clone());
        match once.get_mut(&key) {
            None => drop(once.insert(key, one)),
            Some(before) => {
                let fixed_in = before.fixed_in.take().max(one.fixed_in.clone());
                if worst(&one) < worst(before) {
                    *before = one;
                }
                before.fixed_in = fixed_in;
            }
        }
    }
    once.into_values().collect()
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Verdict {
    /// Why the image is not promoted: `2 vulnerabilities of registry.example/ops/shop are worse than high: …`; none where it is.
    pub fn refusal(&self, max: Option<Severity>) -> Option<String> {
        let max = max.filter(|_| !self.refused.is_empty())?;
        let count = self.refused.len();
        let (noun, verb) = if count == 1 { ("vulnerability", "is") } else { ("vulnerabilities", "are") };
        let named = self.refused.iter().take(NAMED_MAX).map(Vulnerability::describe).collect::<Vec<_>>().join(", ");
        let more = count.saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        Some(format!("{count} {noun} of {} {verb} worse than {max}: {named}{more}", self.result.name))
    }
}

#[cfg(test)]
mod tests;

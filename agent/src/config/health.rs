//! `[[health]]`: rules that a person adds to ours, or puts in their place.

use std::path::Path;

use quarterdeck_core::health::rules::{RuleText, Rules};
use serde::Deserialize;

use super::finding::Finding;
use super::locate::{self, Step};
use super::{ConfigError, Problem};

/// A rule as the configuration has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthRule {
    /// `cert-manager.io`, `*.example.com`; empty for the core group.
    #[serde(default)]
    pub group: String,
    /// `Certificate`; `*` for all kinds of the group.
    pub kind: String,
    /// When it is stopped on purpose.
    pub suspended: Option<String>,
    /// When work goes on.
    pub in_progress: Option<String>,
    /// When it fails.
    pub failed: Option<String>,
    /// When it does its work; without it the conventions judge the rest.
    pub current: Option<String>,
    /// A text to show beside it.
    pub message: Option<String>,
}

impl HealthRule {
    fn text(&self) -> RuleText {
        let Self { group, kind, suspended, in_progress, failed, current, message } = self.clone();
        let (kinds, group) = (vec![kind], group);
        RuleText { group, kinds, suspended, in_progress, failed, current, message, ..RuleText::default() }
    }
}

/// The rules of a configuration before ours.
///
/// # Errors
/// Where an expression is not valid: its place, and what is wrong.
pub fn rules(written: &[HealthRule]) -> Result<Rules, Box<Finding>> {
    Rules::configure(written.iter().map(HealthRule::text)).map_err(|(at, error)| {
        let place = vec![Step::Key("health"), Step::Index(at), Step::Key(error.field)];
        let kind = &written[at].kind;
        Box::new(Finding { place, message: format!("the health rule of {kind} is not valid: {error}") })
    })
}

/// What is wrong with them.
pub(super) fn check(written: &[HealthRule], findings: &mut Vec<Finding>) {
    for (at, rule) in written.iter().enumerate() {
        let says_nothing =
            [&rule.suspended, &rule.in_progress, &rule.failed, &rule.current].iter().all(|e| e.is_none());
        if says_nothing || rule.kind.is_empty() {
            let message = "a health rule has a kind, and one of suspended, in_progress, failed, current".to_owned();
            findings.push(Finding { place: vec![Step::Key("health"), Step::Index(at)], message });
        }
        if let Err(mut finding) = rules(std::slice::from_ref(rule)) {
            finding.place[1] = Step::Index(at);
            findings.push(*finding);
        }
    }
}

/// The rules of a file; other tables are not read.
///
/// # Errors
/// Where the file cannot be read, or a rule is wrong.
pub fn read(path: &Path) -> Result<Rules, ConfigError> {
    #[derive(Deserialize)]
    struct Part {
        #[serde(default)]
        health: Vec<HealthRule>,
    }
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let problem = |(line, column), message| Problem { path: path.to_owned(), line, column, message };
    let part: Part = toml::from_str(&text).map_err(|error| ConfigError::unreadable(path, &text, &error))?;
    let mut findings = Vec::new();
    check(&part.health, &mut findings);
    let problems: Vec<Problem> =
        findings.into_iter().map(|found| problem(locate::locate(&text, &found.place), found.message)).collect();
    match rules(&part.health) {
        Ok(rules) if problems.is_empty() => Ok(rules),
        _ => Err(ConfigError::Wrong { problems }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_rule_is_told_with_file_table_and_position() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let message = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path).map(|_| ()).unwrap_err().to_string()
        };
        let table = "[[health]]\ngroup = \"example.com\"\nkind = \"Shop\"\n";
        let wrong = message(&format!("[agent]\nbanner = \"a\"\n{table}failed = \"status.phase ==\"\n"));
        assert!(
            wrong.contains("config.toml:6:10: the health rule of Shop is not valid: failed: line 1, column "),
            "{wrong}"
        );
        let wrong = message(&format!("{table}failed = \"stauts.phase == 'x'\"\n"));
        assert!(wrong.contains(":4:10: the health rule of Shop is not valid: failed: unknown name stauts"), "{wrong}");
        assert!(message(table).contains(":1:1: a health rule has a kind, and one of suspended"), "{}", message(table));
        assert!(message("[[health]]\nkind = \"A\"\nfail = \"true\"\n").contains(":3:1: unknown field `fail`"));
        std::fs::write(&path, format!("{table}failed = \"status.broken\"\n")).unwrap();
        read(&path).unwrap();
    }
}

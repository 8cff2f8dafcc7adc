//! The applications of one file of a source: read, checked and held against what the source may say. Each problem has its
//! line; an application that has none can be used without the others.

use std::path::Path;

use quarterdeck_shared::application::ApplicationSpec;
use serde::Deserialize;

use super::{ApplicationSource, allowed};
use crate::config::Config;
use crate::config::application::{self, Written};
use crate::config::finding::Finding;
use crate::config::locate::{self, Step};

/// A file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    application: Vec<Written>,
}

/// What is in a file.
#[derive(Debug, Default, PartialEq)]
pub struct FileRead {
    /// The applications that are right.
    pub applications: Vec<ApplicationSpec>,
    /// What is wrong with the others, or with all of it.
    pub problems: Vec<FileProblem>,
}

/// Something wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct FileProblem {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Reads the text of a file of a source. Relative addresses begin at `base`, as those of the configuration do.
pub fn read(text: &str, source: &ApplicationSource, config: &Config, base: &Path) -> FileRead {
    let file: File = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            let (line, column) = locate::position(text, error.span().map_or(0, |span| span.start));
            let problem = FileProblem { line, column, message: error.message().to_owned() };
            return FileRead { problems: vec![problem], ..FileRead::default() };
        }
    };
    let (mut applications, mut findings) = (Vec::new(), Vec::new());
    for (index, written) in file.application.into_iter().enumerate() {
        match checked(written, index, source, config, base) {
            Ok(spec) => applications.push(spec),
            Err(more) => findings.extend(more),
        }
    }
    let problem = |Finding { place, message }| {
        let (line, column) = locate::locate(text, &place);
        FileProblem { line, column, message }
    };
    FileRead { applications, problems: findings.into_iter().map(problem).collect() }
}

/// What an application means, or all that is wrong with it. What it may not say is looked for in what it means.
fn checked(
    written: Written,
    index: usize,
    source: &ApplicationSource,
    config: &Config,
    base: &Path,
) -> Result<ApplicationSpec, Vec<Finding>> {
    let place = [Step::Key("application"), Step::Index(index)];
    let mut findings = Vec::new();
    let mut say = |keys: &[Step], message: String| {
        findings.push(Finding { place: place.iter().chain(keys).cloned().collect(), message });
    };
    application::check_one(&written, config, base, &mut say);
    if !findings.is_empty() {
        return Err(findings);
    }
    let mut say = |keys: &[Step], message: String| {
        findings.push(Finding { place: place.iter().chain(keys).cloned().collect(), message });
    };
    let mut spec = application::read(vec![written], &source.sops, base).pop().ok_or_else(Vec::new)?;
    spec.environments.iter_mut().for_each(|environment| environment.age_keys_only = true);
    allowed::check(&spec, source, base, &mut say);
    if findings.is_empty() { Ok(spec) } else { Err(findings) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_its_line_and_leaves_the_others() {
        let source: ApplicationSource = toml::from_str(
            "name = 'teams'\nrepository = '/srv/fleet'\npath = ''\nclusters = ['c']\nnamespaces = ['*']\n",
        )
        .unwrap();
        let told = |text: &str| {
            let read = read(text, &source, &Config::default(), Path::new("/etc/qd"));
            let names: Vec<String> = read.applications.iter().map(|spec| spec.name.to_string()).collect();
            (names, read.problems.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let good = "[[application]]\nname = 'good'\n[[application.environment]]\nname = 'qa'\nrepository = '/srv/fleet'\n\
                    cluster = 'c'\nnamespace = 'n'\n";
        assert_eq!(told(good), (vec!["good".to_owned()], Vec::new()));
        assert_eq!(told(""), (Vec::new(), Vec::new()));
        let (names, problems) = told(&format!("{good}[[application]]\nname = 'idle'\n"));
        assert_eq!(names, ["good"]);
        assert!(problems[0].starts_with("9:8: application idle has nothing to do"), "{problems:?}");
        let (names, problems) = told(&format!("{good}[agent]\nbanner = 'x'\n"));
        assert!(names.is_empty() && problems[0].starts_with("8:2: unknown field `agent`"), "{problems:?}");
        let (names, problems) = told(&format!("{good}protceted = true\n"));
        assert!(names.is_empty() && problems[0].starts_with("8:1: unknown field `protceted`"), "{problems:?}");
        let (_, problems) = told(&good.replace("cluster = 'c'", "cluster = 'd'"));
        assert_eq!(problems, ["6:11: cluster \"d\" is not among the clusters of source teams"]);
    }
}

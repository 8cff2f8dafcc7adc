//! `[sops]`: the keys that decrypt the files of environments.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use quarterdeck_shared::application::ApplicationSpec;
use quarterdeck_shared::error::chain;
use serde::Deserialize;

use super::finding::Finding;
use super::locate::Step;

/// `[sops]`, and `[application.environment.sops]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SopsConfig {
    /// Files of age identities, as `age-keygen` writes them.
    age_keys: Vec<PathBuf>,
}

impl SopsConfig {
    /// The files; relative ones begin at `base`.
    pub(super) fn read(self, base: &Path) -> Vec<PathBuf> {
        self.age_keys.into_iter().map(|file| base.join(file)).collect()
    }

    /// What is wrong with it.
    pub(super) fn problem(&self) -> Option<String> {
        let mut files = BTreeSet::new();
        for file in &self.age_keys {
            if file.as_os_str().is_empty() {
                return Some("an age key has no file: write age_keys = [\"age.txt\"]".to_owned());
            }
            if !files.insert(file) {
                return Some(format!("the age keys of {} are named twice: leave out one", file.display()));
            }
        }
        None
    }
}

/// The key files that hold no keys, which is no reason not to start: they are read when they are needed.
pub(super) fn check_files(
    all: &SopsConfig,
    base: &Path,
    applications: &[ApplicationSpec],
    findings: &mut Vec<Finding>,
) {
    let mut said = BTreeSet::new();
    let mut look = |file: &Path, place: Vec<Step>| {
        if let Err(error) = crate::sops::identities_of(file)
            && said.insert(file.to_owned())
        {
            findings.push(Finding { place, message: chain(&error) });
        }
    };
    for file in all.clone().read(base) {
        look(&file, vec![Step::Key("sops"), Step::Key("age_keys")]);
    }
    for (index, application) in applications.iter().enumerate() {
        for (at, environment) in application.environments.iter().enumerate() {
            let place = ["sops", "age_keys"].map(Step::Key);
            let above = [Step::Key("application"), Step::Index(index), Step::Key("environment"), Step::Index(at)];
            for file in &environment.age_keys {
                look(file, above.iter().chain(&place).cloned().collect());
            }
        }
    }
}

//! `[configuration]`: where the rest of the configuration is, and what it may name. It is on the machine alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use quarterdeck_git::mirror;
use quarterdeck_shared::application::Signers;
use serde::Deserialize;

use super::Config;
use super::finding::Finding;
use super::locate::Step;
use super::values::{check_address, escapes};

/// The table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigurationSource {
    /// Where it is; reached as other repositories are.
    pub repository: String,
    /// The branch that is read; the remote's default branch where absent.
    pub branch: Option<String>,
    /// A file, or a folder whose `.toml` files are read together.
    #[serde(default = "default_path")]
    pub path: String,
    /// Whose signature a commit needs to come into force; none where absent.
    pub require_signed: Option<Signers>,
    /// The folders whose files it may name.
    #[serde(default)]
    pub secrets: Vec<PathBuf>,
    /// Whether it may name programs of this machine.
    #[serde(default)]
    pub programs: bool,
}

fn default_path() -> String {
    "quarterdeck.toml".to_owned()
}

impl ConfigurationSource {
    /// Relative paths begin at the folder of the local file.
    pub(super) fn anchor(&mut self, base: &Path) {
        self.secrets.iter_mut().for_each(|folder| *folder = base.join(&*folder));
        let signers = self.require_signed.iter_mut();
        signers
            .flat_map(|signers| signers.ssh.iter_mut().chain(&mut signers.gpg))
            .for_each(|file| *file = base.join(&*file));
    }

    /// Where in which repository it is: another place is another configuration.
    pub fn place(&self) -> String {
        let Self { repository, branch, path, .. } = self;
        format!("{branch:?} {path:?} {repository:?}")
    }
}

/// What is wrong with the table, without a look at the disk.
pub(super) fn check(config: &Config, base: &Path, findings: &mut Vec<Finding>) {
    let Some(configuration) = &config.configuration else { return };
    let mut say = |option: &'static str, message: String| {
        findings.push(Finding { place: vec![Step::Key("configuration"), Step::Key(option)], message });
    };
    let ConfigurationSource { repository, branch: _, path, require_signed, secrets, programs: _ } = configuration;
    check_address(repository, base, &mut |message| say("repository", message));
    if escapes(path) {
        say("path", format!("the path {path:?} must be a file or a folder inside the repository"));
    }
    if require_signed.as_ref().is_some_and(|signers| *signers == Signers::default()) {
        let message = "no one could sign: name signers with ssh = \"allowed_signers\" or gpg = \"release-keys.asc\"";
        say("require_signed", message.to_owned());
    }
    let mut folders = BTreeSet::new();
    for folder in secrets {
        if folder.as_os_str().is_empty() || folder == Path::new("/") {
            say("secrets", format!("{folder:?} would let git name any file: write a folder that holds secrets alone"));
        }
        if !folders.insert(folder) {
            say("secrets", format!("the folder {} is named twice: leave out one", folder.display()));
        }
    }
}

/// The folders and the files of signers that cannot be read, which is no reason not to start: they are read when they are needed.
pub(super) fn check_files(config: &Config, findings: &mut Vec<Finding>) {
    let Some(configuration) = &config.configuration else { return };
    let mut say = |option: &'static str, message: String| {
        findings.push(Finding { place: vec![Step::Key("configuration"), Step::Key(option)], message });
    };
    for folder in configuration.secrets.iter().filter(|folder| !folder.is_dir()) {
        say("secrets", format!("{} is not a folder", folder.display()));
    }
    let signers = configuration.require_signed.iter();
    for file in signers.flat_map(|signers| signers.ssh.iter().chain(&signers.gpg)) {
        if let Err(error) = mirror::readable(file) {
            say("require_signed", error.to_string());
        }
    }
}

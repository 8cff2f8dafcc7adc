//! `[configuration]`: the rest of the configuration is in a repository.
//!
//! ```text
//! config.toml ──────────────┐
//!                           ├─ merged ─► one configuration, checked as one ─ allowed ─► in force, or why not
//! files of a commit ────────┘           (each problem in the file that has it)
//! ```
//! Whoever may push to the repository decides what the agent does. What stays with the machine (who may connect, where things are,
//! which of its files and programs may be named) is decided in [`allowed`], for each option.

mod allowed;
mod machine;
mod merged;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use quarterdeck_git::mirror;
use quarterdeck_shared::application::Signers;
use quarterdeck_shared::snapshot::DefinedIn;
use serde::Deserialize;

use self::allowed::Limits;
use self::merged::Merged;
use super::finding::Finding;
use super::locate::Step;
use super::values::{check_address, escapes};
use super::{Config, ConfigError, application, check};

/// `[configuration]`, which is on the machine alone.
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

/// A file of the configuration that is in git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitFile {
    /// From the root of the repository.
    pub path: String,
    /// How problems name it: with the repository and the commit.
    pub shown: String,
    /// What is in it.
    pub text: String,
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
pub(super) fn check_table(config: &Config, base: &Path, findings: &mut Vec<Finding>) {
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

/// One configuration of the local file at `path` and of files in git, checked as a whole. `real` says where a path leads to.
///
/// # Errors
/// Where something is wrong: each problem with the file that has it.
pub fn compose(
    path: &Path,
    text: &str,
    git: &[GitFile],
    real: &dyn Fn(&Path) -> PathBuf,
) -> Result<Config, ConfigError> {
    let local = Config::parse(path, text)?;
    let Some(settings) = local.configuration.clone() else { return Ok(local) };
    let base = path.parent().unwrap_or(path);
    let mut merged = Merged::of(path, text, git)?;
    let problems = allowed::tables(&merged);
    if !problems.is_empty() {
        return Err(ConfigError::Wrong { problems });
    }
    let mut config = merged.together()?;
    merged.judged(check::check(&config, base))?;
    config.anchor(base);
    config.applications = application::read(std::mem::take(&mut config.application), &config.sops, base);
    let limits = Limits { settings: &settings, base, real };
    merged.judged(allowed::check(&config, &merged, &limits))?;
    for (index, spec) in config.applications.iter_mut().enumerate() {
        let Some(file) = merged.git_file(&[Step::Key("application"), Step::Index(index)]) else { continue };
        config.defined.insert(spec.name.clone(), DefinedIn { source: None, file: file.to_owned() });
        // The program asks whatever the agent's user is logged in to.
        spec.environments.iter_mut().for_each(|environment| environment.age_keys_only = !settings.programs);
    }
    Ok(config)
}

/// Where a path leads to when all links are followed, as far as it exists.
pub fn real(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    let mut here = path;
    loop {
        match (here.canonicalize(), here.parent(), here.file_name()) {
            (Ok(found), ..) => return rest.iter().rev().fold(found, |path, name| path.join(name)),
            // A link that leads nowhere yet may lead anywhere later.
            _ if here.is_symlink() => return PathBuf::new(),
            (Err(_), Some(parent), Some(name)) => {
                rest.push(name);
                here = parent;
            }
            _ => return path.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;

//! The configuration of the local file and of a repository.
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

use std::path::{Path, PathBuf};

use quarterdeck_shared::snapshot::DefinedIn;

use self::allowed::Limits;
use self::merged::Merged;
use super::locate::Step;
use super::{Config, ConfigError, application, check};

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

//! What sources say for a program beside the agent: the commits that are in force, from the agent's data directory. Nothing is
//! fetched and nothing is written.

use std::path::Path;
use std::sync::Arc;

use quarterdeck_git::mirror::Mirror;
use quarterdeck_git::url::RepositoryUrl;
use quarterdeck_git::{GitError, Remote};
use quarterdeck_shared::application::{EnvironmentId, EnvironmentSpec, SourceName};
use quarterdeck_shared::error::chain;

use super::kept::Kept;
use super::reading::{self, Cache, Rules};
use crate::commit_tree::CommitTree;
use crate::config::Config;
use crate::config::source::ApplicationSource;

/// Why no source is known to define an environment.
#[derive(Debug, thiserror::Error)]
pub enum AsideError {
    /// None does.
    #[error("neither the configuration nor a source has the environment {0}")]
    Unknown(EnvironmentId),
    /// One of them cannot be read.
    #[error("the configuration has no environment {environment}, and source {name} cannot be read: {why}")]
    Unreadable {
        /// Which is looked for.
        environment: EnvironmentId,
        /// The source.
        name: SourceName,
        /// Why.
        why: String,
    },
}

/// An environment that a source defines.
///
/// # Errors
/// Where none does, as far as they can be read.
pub fn environment(
    config: &Config,
    base: &Path,
    data_dir: &Path,
    id: &EnvironmentId,
) -> Result<EnvironmentSpec, AsideError> {
    let (kept, shared) = (Kept::open(data_dir), Arc::new(config.clone()));
    let mut unreadable = None;
    for source in &config.application_source {
        let rules = Rules { source: source.clone(), config: shared.clone(), base: base.to_owned() };
        match defined(&rules, &kept, data_dir, id) {
            Ok(Some(spec)) => return Ok(spec),
            Ok(None) => {}
            Err(why) => {
                let (environment, name) = (id.clone(), source.name.clone());
                unreadable.get_or_insert(AsideError::Unreadable { environment, name, why });
            }
        }
    }
    Err(unreadable.unwrap_or_else(|| AsideError::Unknown(id.clone())))
}

/// What the commit in force of a source says of an environment; nothing where none is in force.
fn defined(rules: &Rules, kept: &Kept, data_dir: &Path, id: &EnvironmentId) -> Result<Option<EnvironmentSpec>, String> {
    let Rules { source, config, base } = rules;
    let remote = remote(source, config, base)?;
    let Some((commit, listed)) = kept.in_force(&source.name, &remote.url.to_string()) else { return Ok(None) };
    let dir = data_dir.join("mirrors").join(remote.url.mirror_name());
    let mirror = Mirror::open_to_read(&dir, remote).map_err(|error: GitError| chain(&error))?;
    let tree = CommitTree { mirror: &mirror, commit, bytes_max: reading::FILE_BYTES_MAX };
    let said = reading::read(&tree, rules, &listed, &mut Cache::default()).map_err(|error| chain(&*error))?;
    let application = said.applications.into_iter().find(|placed| placed.spec.name == id.application);
    Ok(application.and_then(|placed| placed.spec.environment(&id.environment).cloned()))
}

fn remote(source: &ApplicationSource, config: &Config, base: &Path) -> Result<Remote, String> {
    let url = RepositoryUrl::parse(&source.repository, base).map_err(|error| error.to_string())?;
    Remote::new(url, &config.repository, base).map_err(|error| error.to_string())
}

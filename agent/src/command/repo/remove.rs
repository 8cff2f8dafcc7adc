//! `qd-agent repo rm NAME`.

use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

use quarterdeck_core::own_repository::name::RepositoryName;
use quarterdeck_git::own::{self, OwnError};
use quarterdeck_shared::error::Hint;

use super::used::used_by;
use crate::config::places;
use crate::configuration;

/// Why a repository stays.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoveError {
    /// The agent would miss it.
    #[error("repository {name} is used by {}", users.join(", "))]
    Used {
        /// Which.
        name: RepositoryName,
        /// Applications and environments.
        users: Vec<String>,
    },
    /// Something would be lost.
    #[error("repository {name} has {refs} branches, tags and other refs")]
    Filled {
        /// Which.
        name: RepositoryName,
        /// How many.
        refs: usize,
    },
}

impl Hint for RemoveError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Used { .. } => "remove it from the configuration first",
            Self::Filled { .. } => "to delete them as well, use --force",
        }
        .into()
    }
}

/// Deletes a repository that no application uses, with its refs where `force` says so. One that cannot be read may have some.
pub(super) fn remove(file: &Path, name: &RepositoryName, force: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let config = configuration::in_force(file)?;
    let data_dir = places::data_dir(&config.agent)?;
    let root = super::folder_in(&data_dir);
    let path = root.join(name.folder());
    if !path.exists() {
        return Err(OwnError::Missing { name: name.clone() }.into());
    }
    super::is_ours(&data_dir)?;
    let users = used_by(&config, file.parent().unwrap_or(file), &path);
    if !users.is_empty() {
        return Err(RemoveError::Used { name: name.clone(), users }.into());
    }
    if !force {
        let refs = own::facts_of(&root, name)?.refs;
        if refs > 0 {
            return Err(RemoveError::Filled { name: name.clone(), refs }.into());
        }
    }
    own::remove(&root, name)?;
    writeln!(out, "deleted {}", path.display())?;
    Ok(())
}

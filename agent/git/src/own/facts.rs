//! Which own repositories exist, and what is in them.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use quarterdeck_core::own_repository::name::RepositoryName;

use super::OwnError;
use crate::error::chain;

/// Folders within folders that are looked through: a name has no more parts.
const DEPTH_MAX: usize = 100;

/// What is in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Branches, tags and other refs.
    pub refs: usize,
    /// Bytes of all its files.
    pub bytes: u64,
    /// The newest entry of its reflogs; nothing before the first push.
    pub pushed: Option<Timestamp>,
}

/// The repositories below a folder, by name. What has another name than [`super::create`] gives is none.
pub fn list(root: &Path) -> Result<Vec<RepositoryName>, OwnError> {
    let mut found = Vec::new();
    match below(root, "", DEPTH_MAX, &mut found) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(OwnError::io("look through", root)(error)),
        _ => {
            found.sort();
            Ok(found)
        }
    }
}

fn below(folder: &Path, prefix: &str, depth: usize, found: &mut Vec<RepositoryName>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(part) = entry.file_name().into_string() else { continue };
        let whole = format!("{prefix}{part}");
        if !entry.path().is_dir() || part.starts_with('.') {
            continue;
        }
        match RepositoryName::of_folder(&whole) {
            Some(name) => found.push(name),
            None if depth > 1 && !part.ends_with(".git") => {
                below(&entry.path(), &format!("{whole}/"), depth - 1, found)?
            }
            None => {}
        }
    }
    Ok(())
}

/// Where one of them is.
///
/// # Errors
/// [`OwnError::Missing`] where there is none of this name.
pub fn directory_of(root: &Path, name: &RepositoryName) -> Result<PathBuf, OwnError> {
    let path = root.join(name.folder());
    if path.join("HEAD").exists() { Ok(path) } else { Err(OwnError::Missing { name: name.clone() }) }
}

/// What is in one of them.
pub fn facts_of(root: &Path, name: &RepositoryName) -> Result<Facts, OwnError> {
    let path = directory_of(root, name)?;
    let unreadable = |detail| OwnError::Unreadable { path: path.clone(), detail };
    let options = gix::open::Options::isolated().open_path_as_is(true);
    let repository = gix::open_opts(&path, options).map_err(|error| unreadable(chain(&error)))?;
    let references = repository.references().map_err(|error| unreadable(chain(&error)))?;
    let refs = references.all().map_err(|error| unreadable(chain(&error)))?.count();
    let mut facts = Facts { refs, bytes: 0, pushed: None };
    measure(&path, false, &mut facts).map_err(OwnError::io("look through", &path))?;
    Ok(facts)
}

fn measure(folder: &Path, of_logs: bool, facts: &mut Facts) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // A push moves files while they are counted.
        let Ok(found) = entry.metadata() else { continue };
        if found.is_dir() {
            let of_logs = of_logs || entry.file_name() == "logs";
            match measure(&entry.path(), of_logs, facts) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => continue,
            }
        }
        facts.bytes += found.len();
        if of_logs {
            facts.pushed = facts.pushed.max(found.modified().ok().and_then(|time| Timestamp::try_from(time).ok()));
        }
    }
    Ok(())
}

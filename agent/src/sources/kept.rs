//! Which commit of each source is in force, kept in the data directory: what is read again at the next start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use quarterdeck_git::CommitId;
use quarterdeck_shared::application::{ApplicationName, SourceName};
use serde::{Deserialize, Serialize};

/// The file, and what it says.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    sources: BTreeMap<SourceName, One>,
}

/// A source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct One {
    /// The redacted address: another one under this name is another source.
    repository: String,
    commit: CommitId,
    /// Those that were in force.
    applications: BTreeSet<ApplicationName>,
}

impl Kept {
    /// Reads the file. One that is missing or torn says nothing: the sources are read when their repositories were polled.
    pub(super) fn open(data_dir: &Path) -> Self {
        let path = data_dir.join("application-sources.json");
        let sources = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { path, sources: sources.unwrap_or_default() }
    }

    /// The commit of a source that was in force.
    pub(super) fn commit(&self, source: &SourceName, repository: &str) -> Option<CommitId> {
        self.sources.get(source).filter(|one| one.repository == repository).map(|one| one.commit.clone())
    }

    /// The applications of a source that were in force.
    pub(super) fn names(&self, source: &SourceName) -> BTreeSet<ApplicationName> {
        self.sources.get(source).map(|one| one.applications.clone()).unwrap_or_default()
    }

    /// Forgets the sources that are not among these.
    pub(super) fn keep_only(&mut self, sources: BTreeSet<&SourceName>) {
        let before = self.sources.len();
        self.sources.retain(|name, _| sources.contains(name));
        if self.sources.len() < before {
            self.write();
        }
    }

    /// Writes what is in force now, whole or not at all. A disk that does not take it costs a start without the forge its newest
    /// applications.
    pub(super) fn keep(
        &mut self,
        source: &SourceName,
        repository: &str,
        commit: CommitId,
        applications: BTreeSet<ApplicationName>,
    ) {
        let now = One { repository: repository.to_owned(), commit, applications };
        if self.sources.get(source) == Some(&now) {
            return;
        }
        self.sources.insert(source.clone(), now);
        self.write();
    }

    fn write(&self) {
        let new = self.path.with_extension("json.new");
        let bytes = serde_json::to_vec(&self.sources).unwrap_or_default();
        if let Err(error) = std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, &self.path)) {
            tracing::warn!(%error, "cannot write {}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_for_the_same_repository() {
        let dir = tempfile::tempdir().unwrap();
        let name: SourceName = "teams".parse().unwrap();
        let commit: CommitId = "1".repeat(40).parse().unwrap();
        let mut kept = Kept::open(dir.path());
        assert_eq!(kept.commit(&name, "/srv/fleet"), None);
        kept.keep(&name, "/srv/fleet", commit.clone(), ["shop".parse().unwrap()].into());
        let again = Kept::open(dir.path());
        assert_eq!(again.commit(&name, "/srv/fleet"), Some(commit));
        assert_eq!(again.commit(&name, "/srv/other"), None);
        assert_eq!(again.names(&name), ["shop".parse().unwrap()].into());
        Kept::open(dir.path()).keep_only([&name].into());
        assert_eq!(Kept::open(dir.path()).names(&name).len(), 1);
        Kept::open(dir.path()).keep_only(BTreeSet::new());
        assert_eq!(Kept::open(dir.path()).names(&name).len(), 0);
        std::fs::write(dir.path().join("application-sources.json"), "{").unwrap();
        assert_eq!(Kept::open(dir.path()).commit(&name, "/srv/fleet"), None);
    }
}

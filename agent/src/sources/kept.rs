//! Which commit of each source is in force, kept in the data directory: what is read again at the next start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use quarterdeck_git::CommitId;
use quarterdeck_shared::application::{ApplicationName, SourceName};
use serde::{Deserialize, Serialize};

use super::reading::Listed;

/// The file, and what it says.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    sources: BTreeMap<SourceName, InForce>,
}

/// What of a source is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InForce {
    /// The redacted address: another one under this name is another source.
    pub(super) repository: String,
    pub(super) commit: CommitId,
    /// Their names.
    pub(super) applications: BTreeSet<ApplicationName>,
    /// Where in the repository they were read, see [`crate::config::source::ApplicationSource::place`].
    #[serde(default)]
    pub(super) place: String,
    /// What a template was made for that only a remote lists.
    #[serde(default)]
    pub(super) listed: Listed,
}

impl Kept {
    /// Reads the file. One that is missing or torn says nothing: the sources are read when their repositories were polled.
    pub(super) fn open(data_dir: &Path) -> Self {
        let path = data_dir.join("application-sources.json");
        let sources = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { path, sources: sources.unwrap_or_default() }
    }

    /// The commit of a source that was in force, and what its template was made for.
    pub(super) fn in_force(&self, source: &SourceName, repository: &str) -> Option<(CommitId, Listed)> {
        let one = self.sources.get(source).filter(|one| one.repository == repository)?;
        Some((one.commit.clone(), one.listed.clone()))
    }

    /// Where in its repository a source was read.
    pub(super) fn place(&self, source: &SourceName) -> Option<&String> {
        self.sources.get(source).map(|one| &one.place)
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
    pub(super) fn keep(&mut self, source: &SourceName, now: InForce) {
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
    use quarterdeck_core::generate::Element;

    use super::*;

    #[test]
    fn what_is_kept_is_read_again_for_the_same_repository() {
        let dir = tempfile::tempdir().unwrap();
        let name: SourceName = "teams".parse().unwrap();
        let commit: CommitId = "1".repeat(40).parse().unwrap();
        let mut kept = Kept::open(dir.path());
        assert_eq!(kept.in_force(&name, "/srv/fleet"), None);
        let branch = Element::of_branch("fix", &commit);
        let listed = Listed::from([(1, vec![branch])]);
        let now = InForce {
            repository: "/srv/fleet".to_owned(),
            commit: commit.clone(),
            applications: ["shop".parse().unwrap()].into(),
            place: "apps".to_owned(),
            listed: listed.clone(),
        };
        kept.keep(&name, now);
        let again = Kept::open(dir.path());
        assert_eq!(again.in_force(&name, "/srv/fleet"), Some((commit, listed)));
        assert_eq!(again.in_force(&name, "/srv/other"), None);
        assert_eq!(again.place(&name).map(String::as_str), Some("apps"));
        assert_eq!(again.names(&name), ["shop".parse().unwrap()].into());
        Kept::open(dir.path()).keep_only([&name].into());
        assert_eq!(Kept::open(dir.path()).names(&name).len(), 1);
        Kept::open(dir.path()).keep_only(BTreeSet::new());
        assert_eq!(Kept::open(dir.path()).names(&name).len(), 0);
        std::fs::write(dir.path().join("application-sources.json"), "{").unwrap();
        assert_eq!(Kept::open(dir.path()).in_force(&name, "/srv/fleet"), None);
    }
}

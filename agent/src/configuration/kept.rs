//! The configuration in git that is in force, kept in the data directory: its text, so that a start needs no repository.

use std::collections::BTreeSet;
use std::path::Path;

use quarterdeck_git::CommitId;
use quarterdeck_shared::application::{ApplicationName, Signers};
use quarterdeck_system::file::read_up_to;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::reading::{BYTES_MAX, Files};
use crate::config::git_source::ConfigurationSource;
use crate::config::in_git::GitFile;

/// The file of the data directory.
const NAME: &str = "configuration.json";

/// The longest file that is read: all texts, each byte of them escaped as `\u0000`, and what is beside them.
const FILE_MAX: u64 = 6 * BYTES_MAX + (1 << 20);

/// What is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Where it was read, see [`ConfigurationSource::place`].
    pub(super) place: String,
    pub(super) commit: CommitId,
    /// Who signed it; empty where that was not asked.
    pub(super) signer: String,
    /// By what the signature was judged; empty where none was asked for.
    judged_by: String,
    /// How problems name the commit.
    shown: String,
    files: Files,
    /// Their names, with those of the local file.
    pub(super) applications: BTreeSet<ApplicationName>,
}

impl Kept {
    /// What a commit has.
    pub(super) fn new(
        source: &ConfigurationSource,
        commit: CommitId,
        signer: String,
        shown: String,
        files: Files,
    ) -> Self {
        let judged_by = judged_by(source.require_signed.as_ref());
        Self { place: source.place(), commit, signer, judged_by, shown, files, applications: BTreeSet::new() }
    }

    /// Reads the file. One that is missing or torn says nothing.
    pub(super) fn read(data_dir: &Path) -> Option<Self> {
        let bytes = read_up_to(&data_dir.join(NAME), FILE_MAX).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Whether it is of this place, and signatures are judged as they were then: whoever is not trusted any more must not be
    /// trusted by a start without the repository.
    pub(super) fn is_of(&self, source: &ConfigurationSource) -> bool {
        self.place == source.place() && self.judged_by == judged_by(source.require_signed.as_ref())
    }

    /// Whether it brings the same into force.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        (&self.place, &self.files) == (&other.place, &other.files)
    }

    /// The files, as they are read together with the local one.
    pub(super) fn files(&self) -> Vec<GitFile> {
        let file = |(path, text): &(String, String)| GitFile {
            path: path.clone(),
            shown: format!("{}:{path}", self.shown),
            text: text.clone(),
        };
        self.files.iter().map(file).collect()
    }

    /// The repository, without secrets.
    pub(super) fn address(&self) -> &str {
        self.shown.rsplit_once('@').map_or(&*self.shown, |(address, _)| address)
    }

    /// The names of the files.
    pub(super) fn paths(&self) -> Vec<String> {
        self.files.iter().map(|(path, _)| path.clone()).collect()
    }

    /// Writes it, whole or not at all. A disk that does not take it costs a start without the repository the newest changes.
    pub(super) fn write(&self, data_dir: &Path) {
        let (path, new) = (data_dir.join(NAME), data_dir.join(NAME).with_extension("json.new"));
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        if let Err(error) = std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, &path)) {
            tracing::warn!(%error, "cannot write {}", path.display());
        }
    }

    /// Git has nothing of the configuration any more.
    pub(super) fn forget(data_dir: &Path) {
        // Not being there is as good.
        let _ = std::fs::remove_file(data_dir.join(NAME));
    }
}

/// A digest of who may sign, as far as it can be read.
fn judged_by(signers: Option<&Signers>) -> String {
    let Some(Signers { ssh, gpg }) = signers else { return String::new() };
    let mut digest = Sha256::new();
    for (kind, file) in [("ssh", ssh), ("gpg", gpg)] {
        let Some(file) = file else { continue };
        let content = std::fs::read(file).unwrap_or_default();
        digest.update(format!("{kind} {}\n", content.len()));
        digest.update(content);
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn source(more: &str) -> ConfigurationSource {
        let text = format!("[configuration]\nrepository = 'https://forge/ops/fleet'\n{more}\n");
        Config::parse(Path::new("/etc/qd/config.toml"), &text).unwrap().configuration.unwrap()
    }

    #[test]
    fn what_is_kept_is_of_one_place_and_of_the_same_signers() {
        let dir = tempfile::tempdir().unwrap();
        let signers = dir.path().join("allowed_signers");
        std::fs::write(&signers, "alice").unwrap();
        let signed = format!("require_signed = {{ ssh = '{}' }}", signers.display());
        let files = vec![("a.toml".to_owned(), "# \u{1}".to_owned())];
        let commit: CommitId = "1".repeat(40).parse().unwrap();
        let of = |more: &str| {
            Kept::new(&source(more), commit.clone(), String::new(), "https://forge@1".to_owned(), files.clone())
        };
        let kept = of(&signed);
        assert_eq!(Kept::read(dir.path()), None);
        kept.write(dir.path());
        assert_eq!(Kept::read(dir.path()).as_ref(), Some(&kept));
        assert_eq!(kept.files()[0].shown, "https://forge@1:a.toml");
        for (more, is_of) in [
            (signed.clone(), true),
            (format!("{signed}\nsecrets = ['/a']\nprograms = true"), true),
            (format!("{signed}\nbranch = 'main'"), false),
            (format!("{signed}\npath = 'fleet'"), false),
            (String::new(), false),
        ] {
            assert_eq!(kept.is_of(&source(&more)), is_of, "{more}");
        }
        assert!(!of("").is_of(&source(&signed)), "what was not judged is not trusted now");
        std::fs::write(&signers, "bob").unwrap();
        assert!(!kept.is_of(&source(&signed)), "whoever was trusted then may not be now");
        std::fs::write(dir.path().join(NAME), "{").unwrap();
        assert_eq!(Kept::read(dir.path()), None);
        Kept::forget(dir.path());
        assert!(!dir.path().join(NAME).exists());
    }
}

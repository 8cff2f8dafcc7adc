//! The commits of tags, as they were when each was first used.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files::{hex, keep};

const FOLDER: &str = "tags";

/// A tag that was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTag {
    /// The key of its repository.
    pub key: String,
    /// As a kustomization writes it.
    pub reference: String,
    /// Where it was.
    pub commit: String,
}

/// Where a tag was when it was first used. Blocks.
pub(super) fn read(folder: &Path, key: &str, reference: &str) -> Option<String> {
    parse(&fs::read_to_string(path(folder, key, reference)).ok()?).map(|tag| tag.commit)
}

/// Remembers where a tag is. Blocks.
pub(super) fn write(folder: &Path, tag: &KeptTag) -> io::Result<()> {
    let KeptTag { key, reference, commit } = tag;
    keep(&path(folder, key, reference), format!("{commit} {reference} {key}\n").as_bytes())
}

/// All that were used of a repository. Blocks.
pub(super) fn of(folder: &Path, key: &str) -> Vec<KeptTag> {
    let entries = fs::read_dir(folder.join(FOLDER)).into_iter().flatten().flatten();
    let read = entries.filter_map(|entry| parse(&fs::read_to_string(entry.path()).ok()?));
    let mut tags: Vec<KeptTag> = read.filter(|tag| tag.key == key).collect();
    tags.sort_by(|a, b| a.reference.cmp(&b.reference));
    tags
}

fn path(folder: &Path, key: &str, reference: &str) -> PathBuf {
    folder.join(FOLDER).join(&hex(format!("{key} {reference}").as_bytes())[..32])
}

fn parse(text: &str) -> Option<KeptTag> {
    let mut words = text.trim_end().splitn(3, ' ').map(str::to_owned);
    Some(KeptTag { commit: words.next()?, reference: words.next()?, key: words.next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_remembered_for_its_repository() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = ("https://forge.example/one", "/srv/a b");
        let tag = |key: &str, reference: &str, commit: &str| {
            let [key, reference, commit] = [key, reference, commit].map(str::to_owned);
            KeptTag { key, reference, commit }
        };
        for tag in [tag(one, "v1", "1f3c"), tag(other, "v1", "9e2b"), tag(one, "v0", "77aa")] {
            assert_eq!(read(folder.path(), &tag.key, &tag.reference), None);
            write(folder.path(), &tag).unwrap();
            assert_eq!(read(folder.path(), &tag.key, &tag.reference), Some(tag.commit));
        }
        assert_eq!(of(folder.path(), one), [tag(one, "v0", "77aa"), tag(one, "v1", "1f3c")]);
        assert_eq!(of(folder.path(), other), [tag(other, "v1", "9e2b")]);
    }
}

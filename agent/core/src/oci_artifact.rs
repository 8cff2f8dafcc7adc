//! Artifacts of registries as commits: what is said of one in its commit, and which are kept. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use quarterdeck_shared::revision::Revision;

use crate::git::{Author, CommitId};

/// So many artifacts are kept beside the one that is deployed: what people roll back to. One that is older is fetched again by
/// its digest.
pub const KEPT_MAX: usize = 50;

/// As much of an annotation as a line shows.
const LINE_MAX: usize = 200;

/// As much of a revision: eight sources, each with a name, a branch and two digests of some 300 characters.
const REVISION_MAX: usize = 4000;

/// An artifact that became a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The tag that it was last found under; none where it was asked for by its digest.
    pub tag: Option<String>,
    /// `sha256:…`
    pub digest: String,
    /// What it became.
    pub commit: CommitId,
}

/// The artifacts that are kept of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// The one that is wanted now.
    pub current: Option<Kept>,
    /// Those before it, the newest first.
    pub before: Vec<Kept>,
}

impl Index {
    /// All of them, the one that is wanted first.
    pub fn all(&self) -> impl Iterator<Item = &Kept> {
        self.current.iter().chain(&self.before)
    }

    /// The one with a digest.
    pub fn of_digest(&self, digest: &str) -> Option<&Kept> {
        self.all().find(|kept| kept.digest == digest)
    }

    /// The one that became a commit.
    pub fn of_commit(&self, commit: &str) -> Option<&Kept> {
        self.all().find(|kept| kept.commit.as_str() == commit)
    }

    /// The one that a person names by its tag, or by seven or more digits of its digest; of several the newest.
    pub fn named(&self, text: &str) -> Option<&Kept> {
        let by_tag = self.all().find(|kept| kept.tag.as_deref() == Some(text));
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let begins_so = |kept: &&Kept| {
            let hex = kept.digest.strip_prefix("sha256:").unwrap_or(&kept.digest);
            digits.len() >= 7 && hex.starts_with(digits)
        };
        by_tag.or_else(|| self.all().find(begins_so))
    }

    /// The same where this one is wanted now.
    #[must_use]
    pub fn wants(mut self, kept: Kept) -> Self {
        let last = self.current.replace(kept);
        self.before.splice(0..0, last);
        self.tidy()
    }

    /// The same with one that is not wanted now.
    #[must_use]
    pub fn keeps(mut self, kept: Kept) -> Self {
        self.before.insert(0, kept);
        self.tidy()
    }

    /// Each digest once, and no more than are kept.
    fn tidy(mut self) -> Self {
        let mut seen: Vec<String> = self.current.iter().map(|kept| kept.digest.clone()).collect();
        self.before.retain(|kept| {
            let is_new = !seen.contains(&kept.digest);
            seen.push(kept.digest.clone());
            is_new
        });
        self.before.truncate(KEPT_MAX);
        self
    }

    /// The commits to be held, by the digits of their digests.
    pub fn commits(&self) -> BTreeMap<String, CommitId> {
        let name = |kept: &Kept| kept.digest.replace(':', "-");
        self.all().map(|kept| (name(kept), kept.commit.clone())).collect()
    }
}

/// What the commit of an artifact says. The same artifact gives the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Who made it.
    pub author: Author,
    /// Its message.
    pub message: String,
    /// When it was made.
    pub time: Timestamp,
}

impl Description {
    /// Of an artifact with this digest, by the annotations of its manifest: where it was made of, and when.
    pub fn new(digest: &str, annotations: &BTreeMap<String, String>) -> Self {
        let line = |name: &str, max: usize| {
            let text = annotations.get(&format!("org.opencontainers.image.{name}"))?;
            let line: String = text.chars().filter(|c| !c.is_control()).take(max).collect();
            Some(line.trim().to_owned()).filter(|line| !line.is_empty())
        };
        let said = |name: &str| line(name, LINE_MAX);
        let short = digest.get(..14).unwrap_or(digest);
        let subject = match said("revision") {
            Some(revision) => format!("Artifact {short} of {revision}"),
            None => format!("Artifact {short}"),
        };
        let (source, revision) = (said("source"), line("revision", REVISION_MAX));
        let lines = [("Digest", Some(digest.to_owned())), ("Source", source), ("Revision", revision)];
        let lines = lines.into_iter().filter_map(|(name, text)| Some(format!("{name}: {}\n", text?)));
        let message = format!("{subject}\n\n{}", lines.collect::<String>());
        let time = said("created").and_then(|time| time.parse::<Timestamp>().ok()).unwrap_or(Timestamp::UNIX_EPOCH);
        let author = Author { name: "OCI artifact".to_owned(), email: "artifact@localhost".to_owned() };
        Self { author, message, time }
    }
}

/// The revision that an artifact was made of, as the message of its commit says; nothing where it says none that we write.
pub fn revision_of(message: &str) -> Option<Revision> {
    message.lines().find_map(|line| line.strip_prefix("Revision: "))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept(tag: &str, digit: u32) -> Kept {
        let (digest, commit) = (format!("sha256:{digit:064x}"), format!("{digit:040x}"));
        Kept { tag: Some(tag.to_owned()), digest, commit: commit.parse().unwrap() }
    }

    #[test]
    fn what_was_wanted_before_is_kept_each_once_and_found_by_what_people_call_it() {
        let index = Index::default().wants(kept("1.0", 1)).wants(kept("1.1", 2)).wants(kept("latest", 1));
        assert_eq!(index, Index { current: Some(kept("latest", 1)), before: vec![kept("1.1", 2)] });
        let index = index.keeps(kept("0.9", 0xabc_def1));
        let digit = |found: Option<&Kept>| found.map(|kept| kept.digest.clone());
        let of = |digit: u32| Some(kept("", digit).digest);
        for (text, found) in [
            ("latest", of(1)),
            ("1.1", of(2)),
            ("0.9", of(0xabc_def1)),
            ("1.0", None),
            (&*kept("", 2).digest, of(2)),
            ("0000000", of(1)),
            ("000000", None),
            ("sha256:abcdef1", None),
        ] {
            assert_eq!(digit(index.named(text)), found, "{text}");
        }
        assert_eq!(digit(index.of_commit(&format!("{:040x}", 2))), of(2));
    }

    #[test]
    fn a_commit_says_where_the_artifact_is_from_and_nothing_that_could_change() {
        let digest = format!("sha256:9e2b1c2{}", "d".repeat(57));
        let annotations = |all: &[(&str, &str)]| {
            all.iter().map(|(name, text)| (format!("org.opencontainers.image.{name}"), (*text).to_owned())).collect()
        };
        let whole = annotations(&[
            ("created", "2026-11-30T10:00:00Z"),
            ("source", "https://git.example/ops/shop.git"),
            ("revision", "main@sha1:1f3c\n2a9"),
        ]);
        let described = Description::new(&digest, &whole);
        assert_eq!(
            described.message,
            format!(
                "Artifact sha256:9e2b1c2 of main@sha1:1f3c2a9\n\nDigest: {digest}\nSource: https://git.example/ops/shop.git\nRevision: main@sha1:1f3c2a9\n"
            )
        );
        assert_eq!(described.time.to_string(), "2026-11-30T10:00:00Z");
        let bare = Description::new(&digest, &annotations(&[("created", "yesterday"), ("source", " ")]));
        assert_eq!(bare.message, format!("Artifact sha256:9e2b1c2\n\nDigest: {digest}\n"));
        assert_eq!(bare.time, Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn the_revision_of_a_bundle_is_read_back_with_all_of_its_sources() {
        let (commit, digest) = ("1f3c2a9d".repeat(5), format!("sha256:{}", "d".repeat(64)));
        let sources = ["base", "charts", "common", "values"];
        let sources = sources.map(|name| format!(" {name}:{}@{digest}@sha1:{commit}", "a-long-branch/".repeat(5)));
        let revision = format!("main@sha1:{commit}{}", sources.concat());
        let annotations = [("org.opencontainers.image.revision".to_owned(), revision.clone())].into();
        let message = Description::new(&digest, &annotations).message;
        assert_eq!(revision_of(&message).unwrap().to_string(), revision);
        assert!(message.lines().next().unwrap().len() < 250, "{message}");
        assert_eq!(revision_of("Artifact\n\nRevision: 1.4.0\n"), None);
    }

    proptest! {
        #[test]
        fn the_one_that_is_wanted_is_always_kept_and_the_others_are_bounded(digits in proptest::collection::vec((0_u32..99, any::<bool>()), 1..200)) {
            let mut index = Index::default();
            for (digit, is_wanted) in digits {
                let one = kept(&digit.to_string(), digit);
                let current = index.current.clone();
                index = if is_wanted { index.wants(one.clone()) } else { index.keeps(one.clone()) };
                prop_assert_eq!(&index.current, &if is_wanted { Some(one) } else { current });
                prop_assert!(index.before.len() <= KEPT_MAX);
                let mut digests: Vec<_> = index.all().map(|kept| &kept.digest).collect();
                let all = digests.len();
                digests.sort();
                digests.dedup();
                prop_assert_eq!(digests.len(), all);
            }
        }
    }
}

//! Revisions: a commit, and the name it was reached by. Printed as Flux prints them: `main@sha1:1f3c…`. Where a chart of a
//! registry is deployed with the values of that commit, its version is part of the revision:
//! `main@sha1:1f3c… podinfo 6.7.1@sha256:9e2b…`. Of an artifact of a registry it has the digest beside the commit that its files
//! became: `6.7.1@sha256:9e2b…@sha1:1f3c…`, which no reference of git can hold. Where other sources feed the environment, each
//! follows with its name: `main@sha1:1f3c… values:main@sha1:def5…`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

name!(
    /// The name of another source of an environment's files, by which their paths call it.
    EnvironmentSourceName,
    EnvironmentSourceNameError,
    "a source of an environment"
);

/// The id of a commit in lower-case hex: 40 digits (SHA-1) or 64 (SHA-256).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(Box<str>);

impl CommitId {
    /// The whole id in hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

/// A text that is no commit id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a commit id: expected 40 or 64 hexadecimal digits")]
pub struct CommitIdError(String);

impl FromStr for CommitId {
    type Err = CommitIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
        if hex { Ok(Self(text.to_ascii_lowercase().into())) } else { Err(CommitIdError(text.to_owned())) }
    }
}

impl TryFrom<String> for CommitId {
    type Error = CommitIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CommitId> for String {
    fn from(id: CommitId) -> Self {
        id.0.into()
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A version of a chart that comes from a registry or a chart repository. On the wire: `podinfo 6.7.1@sha256:9e2b…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChartRelease {
    /// What the chart is called.
    pub name: String,
    /// Its version, as the repository writes it.
    pub version: String,
    /// The digest of its archive: `sha256:…`.
    pub digest: String,
}

impl ChartRelease {
    /// `podinfo 6.7.1`, for people.
    pub fn short(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

impl fmt::Display for ChartRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}@{}", self.name, self.version, self.digest)
    }
}

impl FromStr for ChartRelease {
    type Err = RevisionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || RevisionError(text.to_owned());
        let (name, version) = text.split_once(' ').ok_or_else(error)?;
        let (version, digest) = version.rsplit_once('@').ok_or_else(error)?;
        let is_whole = !name.is_empty() && !version.is_empty() && digest.contains(':');
        let release = || Self { name: name.to_owned(), version: version.to_owned(), digest: digest.to_owned() };
        is_whole.then(release).ok_or_else(error)
    }
}

/// As much of a digest as people read: seven digits, as of a commit.
const DIGEST_SHORT: usize = "sha256:".len() + 7;

/// A commit that a branch, a tag or a pin resolved to. On the wire and on screen: `main@sha1:1f3c…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Revision {
    /// The branch or tag that was resolved, without `refs/…/`; `pin` for a pinned commit, `commit` for one that the
    /// configuration names.
    pub reference: String,
    /// What it resolved to.
    pub commit: CommitId,
    /// The digest of the artifact of a registry that the commit was made of: `sha256:…`. Its tag is the reference then.
    pub artifact: Option<Box<str>>,
    /// The chart that is deployed with the values of that commit, where it comes from a registry or a chart repository.
    pub chart: Option<Box<ChartRelease>>,
    /// Of other sources that feed the environment, in the order of their names.
    pub sources: Box<[SourceRevision]>,
}

/// What another source of an environment is at. On the wire: `values:main@sha1:def5…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceRevision {
    /// Which source.
    pub name: EnvironmentSourceName,
    /// What of it is deployed: without a chart, and without sources of its own.
    pub at: Revision,
}

/// A text of the parts of a revision: what is first, the chart, and of each source what is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts<'a> {
    /// Up to the first blank.
    pub first: &'a str,
    /// The chart, where one follows.
    pub chart: Option<ChartRelease>,
    /// The sources, with what follows their names.
    pub sources: Vec<(EnvironmentSourceName, &'a str)>,
}

impl<'a> Parts<'a> {
    /// Reads `main podinfo 6.7.1@sha256:9e2b… values:v1`, in the form in which [`Revision`] writes it. No reference of git holds a
    /// blank or a colon, and no name of a chart a colon.
    ///
    /// # Errors
    /// Where something else follows.
    pub fn read(text: &'a str) -> Result<Self, RevisionError> {
        let error = || RevisionError(text.to_owned());
        let (first, mut rest) = text.split_once(' ').unwrap_or((text, ""));
        let has_rest = first.len() < text.len();
        let mut parts = Self { first, chart: None, sources: Vec::new() };
        let is_source = |word: &str| word.contains(':');
        if has_rest && !rest.split(' ').next().is_some_and(is_source) {
            let end = rest.match_indices(' ').nth(1).map_or(rest.len(), |(at, _)| at);
            parts.chart = Some(rest[..end].parse().map_err(|_| error())?);
            rest = rest[end..].trim_start_matches(' ');
        }
        for word in rest.split(' ').filter(|word| !word.is_empty()) {
            let (name, at) = word.split_once(':').ok_or_else(error)?;
            parts.sources.push((name.parse().map_err(|_| error())?, at));
        }
        Ok(parts)
    }
}

impl Revision {
    /// The name of `reference` where a person pinned a commit.
    pub const PIN: &'static str = "pin";

    /// The name of `reference` where the configuration names a commit.
    pub const COMMIT: &'static str = "commit";

    /// A revision of a named reference.
    pub fn new(reference: impl Into<String>, commit: CommitId) -> Self {
        Self { reference: reference.into(), commit, artifact: None, chart: None, sources: Box::default() }
    }

    /// The same with a chart.
    pub fn with_chart(self, chart: Option<ChartRelease>) -> Self {
        Self { chart: chart.map(Box::new), ..self }
    }

    /// The same, of an artifact with this digest.
    pub fn of_artifact(self, digest: Option<&str>) -> Self {
        Self { artifact: digest.map(Box::from), ..self }
    }

    /// The same with what other sources are at.
    pub fn with_sources(self, mut sources: Vec<SourceRevision>) -> Self {
        sources.sort_by(|one, other| one.name.cmp(&other.name));
        Self { sources: sources.into(), ..self }
    }

    /// What a source is at.
    pub fn source(&self, name: &EnvironmentSourceName) -> Option<&Self> {
        self.sources.iter().find(|source| source.name == *name).map(|source| &source.at)
    }

    /// Whether both are of the same content: one commit, one chart where there is one, and of each source one commit.
    pub fn is_same_content(&self, other: &Self) -> bool {
        let ids = |revision: &Self| -> Vec<(EnvironmentSourceName, CommitId)> {
            revision.sources.iter().map(|source| (source.name.clone(), source.at.commit.clone())).collect()
        };
        self.commit == other.commit && self.chart == other.chart && ids(self) == ids(other)
    }

    /// `main@1f3c2a9`, `main@1f3c2a9 podinfo 6.7.1` or `main@1f3c2a9 values:main@def5678`, for people.
    pub fn short(&self) -> String {
        let sources = self.each_source(|SourceRevision { name, at }| format!(" {name}:{}", at.short()));
        format!("{}@{}{}{sources}", self.reference, self.short_id(), self.short_chart())
    }

    /// `1f3c2a9`, `1f3c2a9 podinfo 6.7.1` or `1f3c2a9 values:def5678`, for people; `sha256:9e2b1c2` of an artifact.
    pub fn short_content(&self) -> String {
        let sources = self.each_source(|SourceRevision { name, at }| format!(" {name}:{}", at.short_id()));
        format!("{}{}{sources}", self.short_id(), self.short_chart())
    }

    fn short_chart(&self) -> String {
        self.chart.as_ref().map(|chart| format!(" {}", chart.short())).unwrap_or_default()
    }

    fn each_source(&self, words: impl Fn(&SourceRevision) -> String) -> String {
        self.sources.iter().map(words).collect()
    }

    /// `1f3c2a9`, or `sha256:9e2b1c2` of an artifact, for people.
    pub fn short_id(&self) -> &str {
        match &self.artifact {
            Some(digest) => digest.get(..DIGEST_SHORT).unwrap_or(digest),
            None => self.commit.short(),
        }
    }

    /// `1f3c2a9d…`, `1f3c2a9d… podinfo 6.7.1@sha256:9e2b…` or `1f3c2a9d… values:def5…`: what a diff or the manifests are asked for,
    /// to get this content.
    pub fn content(&self) -> String {
        let chart = self.chart.as_ref().map(|chart| format!(" {chart}")).unwrap_or_default();
        let sources = self.each_source(|SourceRevision { name, at }| format!(" {name}:{}", at.commit));
        format!("{}{chart}{sources}", self.commit)
    }

    /// `main@sha1:1f3c…`, without a chart and sources.
    pub fn in_git(&self) -> String {
        let algorithm = if self.commit.as_str().len() == 64 { "sha256" } else { "sha1" };
        let artifact = self.artifact.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
        format!("{}{artifact}@{algorithm}:{}", self.reference, self.commit)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_git())?;
        self.chart.as_ref().map_or(Ok(()), |chart| write!(f, " {chart}"))?;
        self.sources.iter().try_for_each(|SourceRevision { name, at }| write!(f, " {name}:{}", at.in_git()))
    }
}

/// A text that is no revision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a revision: expected reference@sha1:commit")]
pub struct RevisionError(String);

impl FromStr for Revision {
    type Err = RevisionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |_| RevisionError(text.to_owned());
        let Parts { first, chart, sources } = Parts::read(text)?;
        let source = |(name, at): (EnvironmentSourceName, &str)| Ok(SourceRevision { name, at: in_git(at)? });
        let sources = sources.into_iter().map(source).collect::<Result<_, _>>().map_err(error)?;
        Ok(in_git(first).map_err(error)?.with_chart(chart).with_sources(sources))
    }
}

/// Reads `main@sha1:1f3c…`.
fn in_git(text: &str) -> Result<Revision, RevisionError> {
    let error = || RevisionError(text.to_owned());
    // A reference may itself hold `@`; a commit never does.
    let (reference, commit) = text.rsplit_once('@').ok_or_else(error)?;
    let (_, hex) = commit.split_once(':').ok_or_else(error)?;
    let commit = hex.parse().map_err(|_| error())?;
    // No reference of git holds a colon.
    let (reference, digest) = match reference.rsplit_once('@') {
        Some((tag, digest)) if is_digest(digest) => (tag, Some(digest)),
        _ => (reference, None),
    };
    Ok(Revision::new(reference, commit).of_artifact(digest))
}

/// Whether a text is the digest of an artifact.
fn is_digest(text: &str) -> bool {
    let hex = text.strip_prefix("sha256:").unwrap_or_default();
    hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

impl TryFrom<String> for Revision {
    type Error = RevisionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Revision> for String {
    fn from(revision: Revision) -> Self {
        revision.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d";

    #[test]
    fn revisions_print_and_parse() {
        for reference in ["main", "release/1.x", "user@host", "pin"] {
            let revision = Revision::new(reference, SHA.parse().unwrap());
            assert_eq!(revision.to_string(), format!("{reference}@sha1:{SHA}"));
            assert_eq!(revision.to_string().parse(), Ok(revision.clone()));
            assert_eq!(revision.short(), format!("{reference}@1f3c2a9"));
        }
    }

    #[test]
    fn a_chart_is_part_of_a_revision() {
        let chart = ChartRelease {
            name: "podinfo".to_owned(),
            version: "6.7.1-rc.1+build.5".to_owned(),
            digest: format!("sha256:{}", "9".repeat(64)),
        };
        let plain = Revision::new("user@host", SHA.parse().unwrap());
        let revision = plain.clone().with_chart(Some(chart));
        let text = format!("user@host@sha1:{SHA} podinfo 6.7.1-rc.1+build.5@sha256:{}", "9".repeat(64));
        assert_eq!(revision.to_string(), text);
        assert_eq!(text.parse(), Ok(revision.clone()));
        assert_eq!(revision.short(), "user@host@1f3c2a9 podinfo 6.7.1-rc.1+build.5");
        assert_eq!(revision.in_git(), plain.to_string());
        assert_eq!(revision.content(), text.replace("user@host@sha1:", ""));
        assert!(!revision.is_same_content(&plain) && plain.is_same_content(&plain));
    }

    #[test]
    fn an_artifact_is_named_by_its_tag_and_digest() {
        let digest = format!("sha256:9e2b1c2{}", "d".repeat(57));
        let revision = Revision::new("6.7.1", SHA.parse().unwrap()).of_artifact(Some(&digest));
        let text = format!("6.7.1@{digest}@sha1:{SHA}");
        assert_eq!((revision.to_string(), text.parse()), (text, Ok(revision.clone())));
        assert_eq!(
            (revision.short(), &*revision.short_content()),
            ("6.7.1@sha256:9e2b1c2".to_owned(), "sha256:9e2b1c2")
        );
        assert_eq!(revision.content(), SHA, "a diff is asked for by the commit");
        let branch = format!("user@sha256-{}@sha1:{SHA}", "d".repeat(64)).parse::<Revision>().unwrap();
        assert_eq!(branch.artifact, None);
    }

    #[test]
    fn sources_follow_with_their_names() {
        let other = "def5678d".repeat(5);
        let digest = format!("sha256:9e2b1c2{}", "d".repeat(57));
        let at = |reference: &str, digest: Option<&str>| {
            Revision::new(reference, other.parse().unwrap()).of_artifact(digest)
        };
        let of = |name: &str, at: Revision| SourceRevision { name: name.parse().unwrap(), at };
        let plain = Revision::new("main", SHA.parse().unwrap());
        let both = vec![of("values", at("user@host", None)), of("charts", at("6.7.1", Some(&digest)))];
        let revision = plain.clone().with_sources(both);
        let text = format!("main@sha1:{SHA} charts:6.7.1@{digest}@sha1:{other} values:user@host@sha1:{other}");
        assert_eq!((revision.to_string(), text.parse()), (text, Ok(revision.clone())));
        assert_eq!(revision.short(), "main@1f3c2a9 charts:6.7.1@sha256:9e2b1c2 values:user@host@def5678");
        assert_eq!(revision.short_content(), "1f3c2a9 charts:sha256:9e2b1c2 values:def5678");
        assert_eq!(revision.content(), format!("{SHA} charts:{other} values:{other}"));
        assert_eq!(revision.in_git(), plain.to_string());
        assert!(!revision.is_same_content(&plain));
        assert_eq!(revision.source(&"values".parse().unwrap()), Some(&at("user@host", None)));

        let chart = format!("podinfo 6.7.1@sha256:{}", "9".repeat(64));
        let whole = revision.with_chart(Some(chart.parse().unwrap()));
        assert_eq!(whole.to_string().parse(), Ok(whole.clone()));
        let asked = format!("main {chart} values:v1 charts:main");
        let Parts { first, chart, sources } = Parts::read(&asked).unwrap();
        let sources: Vec<_> = sources.iter().map(|(name, at)| (name.as_str(), *at)).collect();
        assert_eq!((first, chart), ("main", whole.chart.map(|chart| *chart)));
        assert_eq!(sources, [("values", "v1"), ("charts", "main")]);
    }

    #[test]
    fn what_is_no_revision_is_refused() {
        for text in ["", "main", "main@1f3c2a9", "main@sha1:1f3c", "main@sha1:zz3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d"]
        {
            assert!(text.parse::<Revision>().is_err(), "{text}");
        }
        for chart in ["", "podinfo", "podinfo 6.7.1", "podinfo 6.7.1@", "podinfo @sha256:1", " 6.7.1@sha256:1"] {
            assert!(format!("main@sha1:{SHA} {chart}").parse::<Revision>().is_err(), "{chart}");
        }
        for source in ["values:", "values:main", ":main@sha1:1f3c", "Values:main@sha1:1f3c", "a b@sha256:1 values"] {
            assert!(format!("main@sha1:{SHA} {source}").parse::<Revision>().is_err(), "{source}");
        }
    }
}

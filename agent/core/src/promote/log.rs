//! What the deploy branch says was promoted before. Pure: commit messages in, verdicts out.
//!
//! Each promotion ends its message with trailers, whatever the user's template says before them. They are the memory that
//! no data directory holds: with a lost, older or newer history the branch still says what was promoted, by which run,
//! and in which order.
//!
//! ```text
//! Quarterdeck-Application: shop
//! Quarterdeck-Environment: prod
//! Quarterdeck-Image: registry.example/ops/shop:1.4.0@sha256:…        (a line an image)
//! Quarterdeck-Path: apps/shop
//! Quarterdeck-Tag: push-1.4.0
//! Quarterdeck-Source: 1f3c…
//! Quarterdeck-Run: k7x2m-41
//! ```
//!
//! Whoever may write to the branch may write trailers, and may write the manifests as well: they are trusted alike.

mod following;

use std::collections::{BTreeMap, BTreeSet};

pub use self::following::{Following, Standing};

use quarterdeck_shared::application::{ApplicationName, EnvironmentName};
use quarterdeck_shared::revision::CommitId;
use quarterdeck_shared::snapshot::RunId;

use crate::git::CommitInfo;

/// A promotion, as its commit tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// The commit in the deploy repository.
    pub commit: CommitId,
    /// What was promoted.
    pub what: Trailers,
    /// The run that did it, of whichever agent.
    pub run: RunId,
}

/// What a promotion writes below its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailers {
    /// Whose.
    pub application: ApplicationName,
    /// Which environment of it.
    pub environment: EnvironmentName,
    /// By image (registry and repository without a tag) its tag and digest: `1.4.0@sha256:…`. At least one.
    pub images: BTreeMap<String, String>,
    /// The values file or the folder of manifests that names it; `.` for the whole repository.
    pub path: String,
    /// The git tag that named the run, or what a person asked for.
    pub reference: String,
    /// The commit of the code.
    pub source: CommitId,
}

impl Trailers {
    /// The message of the commit: the user's words, and below them what is read again one day.
    pub fn below(&self, message: &str, run: RunId) -> String {
        let Self { application, environment, images, path, reference, source } = self;
        let images: String =
            images.iter().map(|(image, version)| format!("Quarterdeck-Image: {image}:{version}\n")).collect();
        format!(
            "{}\n\nQuarterdeck-Application: {application}\nQuarterdeck-Environment: {environment}\n{images}\
             Quarterdeck-Path: {path}\nQuarterdeck-Tag: {reference}\nQuarterdeck-Source: {source}\nQuarterdeck-Run: {run}\n",
            message.trim_end()
        )
    }
}

impl Promotion {
    /// Reads a commit; nothing where it is no promotion. Of a trailer that occurs twice the last counts, as the user's
    /// words come first.
    pub fn read(commit: &CommitInfo) -> Option<Self> {
        let Named { fields, images } = named(&commit.message)?;
        let what = Trailers {
            application: fields.get("Application")?.parse().ok()?,
            environment: fields.get("Environment")?.parse().ok()?,
            images,
            path: (*fields.get("Path")?).to_owned(),
            reference: (*fields.get("Tag")?).to_owned(),
            source: fields.get("Source")?.parse().ok()?,
        };
        Some(Self { commit: commit.id.clone(), what, run: fields.get("Run")?.parse().ok()? })
    }

    /// Whether it is of one of the same images in the same place, whatever the application is called by now.
    fn is_beside(&self, asked: &Asked) -> bool {
        let Asked { what: wanted, formerly, .. } = asked;
        let of = |what: &Trailers| (what.application.clone(), what.environment.clone());
        let is_there =
            self.what.path == wanted.path || *formerly == Some(self.what.path.clone()) && of(&self.what) == of(wanted);
        is_there && self.what.images.keys().any(|image| wanted.images.contains_key(image))
    }

    /// Whether it is of the same tag at the same commit.
    fn is_of(&self, wanted: &Trailers) -> bool {
        (&self.what.reference, &self.what.source) == (&wanted.reference, &wanted.source)
    }
}

/// What the trailers of a message name.
struct Named<'m> {
    /// By name, but for the images.
    fields: BTreeMap<&'m str, &'m str>,
    /// By image its version; at least one.
    images: BTreeMap<String, String>,
}

/// Reads the trailers of a message; nothing where they name no image.
fn named(message: &str) -> Option<Named<'_>> {
    let mut fields = BTreeMap::new();
    let mut images = Vec::new();
    for line in message.lines() {
        match line.strip_prefix("Quarterdeck-").and_then(|line| line.split_once(": ")) {
            Some(("Image", named)) => images.extend([version(named.trim())]),
            Some((name, value)) => {
                // Ours begin here.
                if name == "Application" {
                    images.clear();
                }
                fields.insert(name, value.trim());
            }
            None => {}
        }
    }
    let images: BTreeMap<_, _> = images.into_iter().collect::<Option<_>>()?;
    (!images.is_empty()).then_some(Named { fields, images })
}

/// The image of a trailer, and its version. A registry's port has a colon too: the tag is behind the last `/`.
fn version(named: &str) -> Option<(String, String)> {
    let (name, digest) = named.split_once('@')?;
    let (image, tag) = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))?;
    Some((image.to_owned(), format!("{tag}@{digest}")))
}

/// A promotion that is to be made, and what is known besides.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What is to be promoted.
    pub what: Trailers,
    /// What earlier versions of the agent called the place: the folder of the chart, which several environments may share.
    pub formerly: Option<String>,
    /// The first of the runs that the run takes up, or itself: what one of them wrote is this run's.
    pub first: RunId,
    /// The run.
    pub run: RunId,
    /// Whether a person asks for it now, and not a tag.
    pub by_person: bool,
    /// Push tags that are newer than that of the run, with their commits.
    pub newer: BTreeMap<String, CommitId>,
    /// Promotions that the history knows of, but for those of tags that may be of one push with that of the run.
    pub known: BTreeSet<CommitId>,
}

impl Asked {
    /// Whether it was made by the run or by one that it takes up. Others of the same history may lie between them, and did
    /// not promote this tag; those of other agents count under prefixes of their own.
    fn is_own(&self, made: &Promotion) -> bool {
        let is_between = (self.first.number..=self.run.number).contains(&made.run.number);
        is_between && [self.first.history, self.run.history].contains(&made.run.history)
    }
}

/// What the branch says about a promotion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was not made: it is to be.
    New,
    /// This very run made it, and was cut off before that could be recorded.
    Own(CommitId),
    /// It was made before, and is not made again: what the manifests name since, somebody wanted.
    Before(CommitId),
    /// A newer tag was promoted, by an agent of which this history knows nothing, or of the same push; it is not rolled back.
    Overtaken {
        /// The newer tag.
        by: String,
        /// Its promotion.
        commit: CommitId,
    },
}

/// What the log of the deploy branch, newest first, says about a promotion whose image the manifests do not name now.
///
/// A tag is promoted once: whoever reverts it, or promotes another, outranks a machine that has forgotten. What a person
/// asks for (`qd push`) is done. A tag that moved is another one, also back to where it was.
pub fn judge(asked: &Asked, log: &[Promotion]) -> Verdict {
    let mut log = log.iter().filter(|promotion| promotion.is_beside(asked)).peekable();
    let newest = log.peek().copied();
    let of_tag = log.find(|promotion| promotion.what.reference == asked.what.reference);
    if let Some(made) = of_tag.filter(|made| made.is_of(&asked.what)) {
        if asked.is_own(made) {
            return Verdict::Own(made.commit.clone());
        }
        if !asked.by_person {
            return Verdict::Before(made.commit.clone());
        }
    }
    match newest.filter(|newest| !asked.by_person && !asked.known.contains(&newest.commit)) {
        Some(newest) if asked.newer.get(&newest.what.reference) == Some(&newest.what.source) => {
            Verdict::Overtaken { by: newest.what.reference.clone(), commit: newest.commit.clone() }
        }
        _ => Verdict::New,
    }
}

/// The commit by which the manifests came to name an image, and whether it is one of this very run.
pub fn written_by(asked: &Asked, log: &[Promotion]) -> Option<(CommitId, bool)> {
    let is_it = |made: &&Promotion| made.is_beside(asked) && made.what.images == asked.what.images;
    let made = log.iter().find(is_it)?;
    Some((made.commit.clone(), made.is_of(&asked.what) && asked.is_own(made)))
}

#[cfg(test)]
mod tests;

//! What of the images that were built here nobody needs any more. Pure.
//!
//! | an image stays | since |
//! | --- | --- |
//! | of an application that is not in the configuration | it may be another agent's |
//! | of a commit that a run builds, tests or waits for | it is needed now |
//! | of a commit that an environment runs, or ran before that | it is what a rollback goes to |
//! | with a name that is none of ours | somebody gave it one |
//! | of the newest commits, those that were pushed and the others counted apart | a tag or a retry may want it |
//! | that is younger than some days | as above |
//!
//! The others go from the engine's disk. What was pushed stays in its registry, and what was not is built again where it is wanted.

pub mod previews;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use quarterdeck_shared::application::{ApplicationName, EnvironmentName};
use quarterdeck_shared::artifact::{Artifact, Image};
use quarterdeck_shared::revision::CommitId;
use quarterdeck_shared::snapshot::RunStatus;

use crate::image_ref::ImageRef;

/// A commit of an application.
pub type Built = (ApplicationName, CommitId);

/// An image on the engine that carries our labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalImage {
    /// `sha256:…`
    pub id: String,
    /// Its names; none where another image has them now.
    pub names: Vec<String>,
    /// What it was built from.
    pub of: Built,
    /// When.
    pub built: Timestamp,
    /// Bytes of its layers, some of which others may share.
    pub bytes: u64,
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The newest commits of each application, of those that were pushed and of the others.
    pub images: usize,
    /// What is younger stays.
    pub age: SignedDuration,
}

/// What is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// The applications of the configuration, with the names of their images without a tag.
    pub applications: BTreeMap<ApplicationName, BTreeSet<String>>,
    /// The commits of runs that have not ended.
    pub runs: BTreeSet<Built>,
    /// The commits that environments run, and ran before.
    pub deployed: BTreeSet<Built>,
    /// The ids of images that were pushed.
    pub pushed: BTreeSet<String>,
}

/// Why an image stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// Its application is not in the configuration.
    Stranger,
    /// A run that has not ended is of its commit.
    Run,
    /// An environment runs its commit, or ran it before.
    Deployed,
    /// It has this name as well.
    Named(String),
    /// It is young.
    Young,
    /// Its commit is one of the newest.
    Newest,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stranger => f.write_str("its application is not in the configuration"),
            Self::Run => f.write_str("a run needs it"),
            Self::Deployed => f.write_str("an environment runs it, or ran it before"),
            Self::Named(name) => write!(f, "it is also named {name}"),
            Self::Young => f.write_str("it is young"),
            Self::Newest => f.write_str("it is one of the newest"),
        }
    }
}

impl Needs {
    /// Adds what an application needs: of its `runs`, newest first, of the `artifacts` that the history knows, and of the `images`
    /// that its environments run and ran before.
    pub fn add(
        &mut self,
        application: &ApplicationName,
        names: BTreeSet<String>,
        runs: &[RunStatus],
        artifacts: &[Artifact],
        images: &[String],
    ) {
        let of = |commit: &CommitId| (application.clone(), commit.clone());
        self.applications.insert(application.clone(), names);
        self.runs.extend(runs.iter().filter(|run| !run.phase.is_final()).map(|run| of(&run.commit)));
        self.deployed.extend(promoted(runs).into_iter().map(of));
        for artifact in artifacts {
            let is_named = |text: &String| artifact.images.iter().any(|image| names_image(text, image, &artifact.tag));
            if images.iter().any(is_named) {
                self.deployed.insert(of(&artifact.commit));
            }
            let pushed = artifact.images.iter().filter(|image| image.digest.is_some());
            self.pushed.extend(pushed.map(|image| image.id.clone()));
        }
    }

    /// By the place of each image why it stays; nothing where nobody needs it.
    pub fn why_kept(&self, images: &[LocalImage], rules: Rules, now: Timestamp) -> Vec<Option<Kept>> {
        let newest = self.newest(images, rules.images);
        let why = |image: &LocalImage| {
            let Some(names) = self.applications.get(&image.of.0) else { return Some(Kept::Stranger) };
            let is_foreign = |name: &&String| {
                let name = ImageRef::parse(name);
                !name.is_ok_and(|name| names.contains(&name.name()))
            };
            if self.runs.contains(&image.of) {
                Some(Kept::Run)
            } else if self.deployed.contains(&image.of) {
                Some(Kept::Deployed)
            } else if let Some(name) = image.names.iter().find(is_foreign) {
                Some(Kept::Named(name.clone()))
            } else if now.duration_since(image.built) < rules.age {
                Some(Kept::Young)
            } else {
                newest.contains(image.id.as_str()).then_some(Kept::Newest)
            }
        };
        images.iter().map(why).collect()
    }

    /// The ids of the images of the newest commits. What has lost its names to another is not found again, and counts for nothing.
    fn newest<'i>(&self, images: &'i [LocalImage], count: usize) -> BTreeSet<&'i str> {
        let named = || images.iter().filter(|image| !image.names.is_empty());
        let group = |image: &'i LocalImage| (&image.of.0, self.pushed.contains(&image.id));
        let mut groups: BTreeMap<_, BTreeMap<&CommitId, Timestamp>> = BTreeMap::new();
        for image in named() {
            let built = groups.entry(group(image)).or_default().entry(&image.of.1).or_insert(image.built);
            *built = image.built.max(*built);
        }
        let is_newest = |image: &&'i LocalImage| {
            let commits = &groups[&group(image)];
            commits.values().filter(|other| **other > commits[&image.of.1]).count() < count
        };
        named().filter(is_newest).map(|image| image.id.as_str()).collect()
    }
}

/// The commits that each environment got last, and the ones before; `runs` are newest first.
fn promoted(runs: &[RunStatus]) -> BTreeSet<&CommitId> {
    let mut last: BTreeMap<&EnvironmentName, Vec<&CommitId>> = BTreeMap::new();
    for run in runs {
        for environment in run.promoted.keys() {
            let commits = last.entry(environment).or_default();
            if commits.len() < 2 && !commits.contains(&&run.commit) {
                commits.push(&run.commit);
            }
        }
    }
    last.into_values().flatten().collect()
}

/// Whether manifests that say `text` mean this image: by its digest, else by its name and tag.
fn names_image(text: &str, image: &Image, tag: &str) -> bool {
    match (text.split_once('@'), &image.digest) {
        (Some((_, named)), Some(digest)) => named == digest,
        (Some(_), None) => false,
        (None, _) => text == image.tagged(tag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> ApplicationName {
        "shop".parse().unwrap()
    }

    fn commit(digit: char) -> CommitId {
        digit.to_string().repeat(40).parse().unwrap()
    }

    fn at(day: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * day)
    }

    /// An image of the shop's commit of this digit, built on this day.
    fn image(digit: char, day: i64, names: &[&str]) -> LocalImage {
        LocalImage {
            id: format!("sha256:{digit}"),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            of: (shop(), commit(digit)),
            built: at(day),
            bytes: 1,
        }
    }

    fn needs() -> Needs {
        let names = BTreeSet::from(["registry.example/ops/shop".to_owned()]);
        Needs { applications: BTreeMap::from([(shop(), names)]), ..Needs::default() }
    }

    const RULES: Rules = Rules { images: 2, age: SignedDuration::from_hours(24 * 7) };

    #[test]
    fn what_is_needed_stays_and_the_rest_goes() {
        let ours = "registry.example/ops/shop:1";
        let mut images: Vec<LocalImage> = "abcdef78".chars().zip(1..).map(|(c, day)| image(c, day, &[ours])).collect();
        images.push(LocalImage { of: ("other".parse().unwrap(), commit('1')), ..image('1', 1, &[ours]) });
        images.push(image('2', 1, &[ours, "shop:mine"]));
        images.push(image('3', 99, &[]));
        images.push(image('4', 20, &[]));
        let mut needs = needs();
        needs.runs.insert((shop(), commit('a')));
        needs.deployed.insert((shop(), commit('b')));
        needs.pushed.extend(["sha256:c", "sha256:d", "sha256:e"].map(str::to_owned));
        let why = needs.why_kept(&images, RULES, at(100));
        let why: Vec<String> = why.iter().map(|why| why.as_ref().map_or("-".to_owned(), Kept::to_string)).collect();
        assert_eq!(
            why,
            [
                "a run needs it",
                "an environment runs it, or ran it before",
                "-",
                "it is one of the newest",
                "it is one of the newest",
                "-",
                "it is one of the newest",
                "it is one of the newest",
                "its application is not in the configuration",
                "it is also named shop:mine",
                "it is young",
                "-",
            ]
        );
        let all = Rules { images: 0, ..RULES };
        assert!(needs.why_kept(&images[..8], all, at(9)).iter().all(Option::is_some), "the oldest is eight days old");
    }

    #[test]
    fn the_images_of_one_commit_stay_together() {
        let mut images: Vec<LocalImage> =
            "abc".chars().zip(1..).map(|(c, day)| image(c, day, &["registry.example/ops/shop:1"])).collect();
        images.extend(images.clone().into_iter().map(|one| LocalImage {
            id: format!("{}2", one.id),
            built: at(0),
            ..one
        }));
        let why = needs().why_kept(&images, RULES, at(100));
        assert_eq!(why.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, true, false, true, true]);
    }

    #[test]
    fn what_manifests_name_is_deployed() {
        let pushed = Image {
            name: "registry.example/ops/shop".to_owned(),
            id: "sha256:a".to_owned(),
            digest: Some("sha256:d1".to_owned()),
        };
        let built = Image { digest: None, ..pushed.clone() };
        for (text, image, is_named) in [
            ("registry.example/ops/shop:1.4.0@sha256:d1", &pushed, true),
            ("mirror.example/shop@sha256:d1", &pushed, true),
            ("registry.example/ops/shop:1.4.0", &pushed, true),
            ("registry.example/ops/shop:1.4.0", &built, true),
            ("registry.example/ops/shop:1.4.0@sha256:d2", &pushed, false),
            ("registry.example/ops/shop:1.4.0@sha256:d1", &built, false),
            ("registry.example/ops/shop:1.4.1", &pushed, false),
        ] {
            assert_eq!(names_image(text, image, "1.4.0"), is_named, "{text}");
        }
    }
}

//! `[[application.follow_image]]`: images of others whose newest tags are written into the manifests.

use std::collections::BTreeSet;

use quarterdeck_core::follow::{PolicyError, Wanted};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_shared::application::{EnvironmentName, FollowSpec, ImageSpec, TagPolicy};
use serde::Deserialize;

use super::locate::Step;

/// An image as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenFollow {
    image: String,
    semver: Option<String>,
    newest: Option<String>,
    newest_created: Option<String>,
    tag: Option<String>,
    #[serde(default)]
    environments: Vec<EnvironmentName>,
}

/// An environment of the application, as far as images are written into it.
pub(super) struct Target<'a> {
    pub(super) name: &'a EnvironmentName,
    /// Whether anything is.
    pub(super) promotes: bool,
    /// Whether the digest is written.
    pub(super) has_digest: bool,
    /// What is deployed where no commit of ours changes it: `a tag`.
    pub(super) followed: Option<&'static str>,
}

impl WrittenFollow {
    /// Whether it is written into an environment.
    pub(super) fn is_for(&self, environment: &EnvironmentName) -> bool {
        self.environments.is_empty() || self.environments.contains(environment)
    }

    /// Its repository, without a tag.
    pub(super) fn image(&self) -> &str {
        &self.image
    }

    /// Its policies; one, where it is right.
    fn policies(&self) -> Vec<(&'static str, TagPolicy)> {
        let semver = self.semver.clone().map(|range| ("semver", TagPolicy::Semver(range)));
        let newest = self.newest.clone().map(|pattern| ("newest", TagPolicy::Newest(pattern)));
        let created = self.newest_created.clone();
        let created = created.map(|pattern| ("newest_created", TagPolicy::NewestCreated(pattern)));
        let tag = self.tag.clone().map(|tag| ("tag", TagPolicy::Tag(tag)));
        semver.into_iter().chain(newest).chain(created).chain(tag).collect()
    }
}

/// What was found right.
pub(super) fn read(written: Vec<WrittenFollow>) -> Vec<FollowSpec> {
    let one = |written: WrittenFollow| {
        let (_, policy) = written.policies().pop()?;
        Some(FollowSpec { image: written.image, policy, environments: written.environments })
    };
    written.into_iter().filter_map(one).collect()
}

/// What is wrong with those of an application.
pub(super) fn check(
    written: &[WrittenFollow],
    built: &[ImageSpec],
    targets: &[Target<'_>],
    say: &mut impl FnMut(&[Step], String),
) {
    let built: BTreeSet<String> = built.iter().filter_map(|image| name(&image.name)).collect();
    let mut followed = BTreeSet::new();
    for (index, one) in written.iter().enumerate() {
        let mut say = |key: &'static str, message: String| {
            say(&[Step::Key("follow_image"), Step::Index(index), Step::Key(key)], message);
        };
        match ImageRef::parse(&one.image) {
            Ok(image) if image.tag().is_some() || image.digest().is_some() => {
                say(
                    "image",
                    format!("{:?} names a tag or digest; the policy chooses the tag: write it without", one.image),
                );
            }
            Ok(image) if built.contains(&image.name()) => {
                say("image", format!("the image {} is built by this application: its push tags promote it", one.image));
            }
            Ok(image) if !followed.insert(image.name()) => {
                say("image", format!("the image {} is followed twice: one policy for each", one.image));
            }
            Ok(_) => {}
            Err(error) => say("image", format!("{error}: write registry.example/team/name")),
        }
        check_policy(one, &mut say);
        check_environments(one, targets, &mut say);
    }
}

fn name(image: &str) -> Option<String> {
    ImageRef::parse(image).ok().map(|image| image.name())
}

fn check_policy(one: &WrittenFollow, say: &mut impl FnMut(&'static str, String)) {
    match &one.policies()[..] {
        [] => say("image", "which of its tags is wanted? Set semver, newest, newest_created or tag".to_owned()),
        [(key, policy)] => {
            if let Err(error) = Wanted::read(policy) {
                let right =
                    matches!(error, PolicyError::Range { .. }).then_some("; write \">=6.0 <7\", \"^1.4\" or \"6.1.x\"");
                say(key, format!("{error}{}", right.unwrap_or_default()));
            }
        }
        [(one, _), (other, _), ..] => say(other, format!("one policy chooses the tag: leave out {one} or {other}")),
    }
}

fn check_environments(one: &WrittenFollow, targets: &[Target<'_>], say: &mut impl FnMut(&'static str, String)) {
    let is_named = |target: &Target<'_>| one.environments.contains(target.name);
    if let Some(unknown) = one.environments.iter().find(|name| !targets.iter().any(|target| target.name == *name)) {
        say("environments", format!("there is no environment {unknown} in this application"));
    }
    if targets.is_empty() && one.environments.is_empty() {
        say("image", "nothing to write it into: add [[application.environment]]".to_owned());
    }
    if let Some(target) = targets.iter().find(|target| is_named(target) && !target.promotes) {
        say("environments", format!("promotion is off in {}: set promote.by there", target.name));
    }
    let is_wanted = |target: &&Target<'_>| one.environments.is_empty() || is_named(target);
    let without_digest = targets.iter().filter(is_wanted).find(|target| target.promotes && !target.has_digest);
    if let Some(target) = without_digest.filter(|_| one.tag.is_some()) {
        let why = "a tag that moves is followed by its digest";
        say(
            "tag",
            format!("{why}, and promote.by of {} writes none: set \"tag_and_digest\" or \"digest\"", target.name),
        );
    }
    let promoted = targets.iter().filter(is_wanted).filter(|target| target.promotes);
    if let Some((target, what)) = promoted.filter_map(|target| Some((target, target.followed?))).next() {
        let why = format!("a promotion is a commit on a branch, and {what} is deployed there");
        let remedy = if what == "an artifact" { "" } else { "a branch, or " };
        say("image", format!("{why}: {} needs {remedy}promote.by = \"none\"", target.name));
    }
}

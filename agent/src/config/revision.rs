//! What an environment is deployed from, as it is written: a branch, a tag, the newest of several tags, or a commit.

use quarterdeck_core::follow::PolicyError;
use quarterdeck_core::follow::revision::WantedTag;
use quarterdeck_shared::application::{Follow, PromoteBy};
use quarterdeck_shared::revision::CommitId;

use super::application::WrittenEnvironment;

/// The options that say it, with the text of each that is set.
fn options(written: &WrittenEnvironment) -> impl Iterator<Item = (&'static str, &str)> {
    let WrittenEnvironment { branch, tag, tag_pattern, semver, commit, .. } = written;
    let all = [("branch", branch), ("tag", tag), ("tag_pattern", tag_pattern), ("semver", semver), ("commit", commit)];
    all.into_iter().filter_map(|(option, text)| Some((option, text.as_deref()?)))
}

/// What was found right.
pub(super) fn read(written: &WrittenEnvironment) -> Follow {
    let text = |text: &str| text.to_owned();
    let one = options(written).last().and_then(|(option, value)| match option {
        "branch" => Some(Follow::Branch(text(value))),
        "tag" => Some(Follow::Tag(text(value))),
        "tag_pattern" => Some(Follow::NewestTag(text(value))),
        "semver" => Some(Follow::Semver(text(value))),
        _ => value.parse().ok().map(Follow::Commit),
    });
    one.unwrap_or_default()
}

/// What is deployed where no commit of a promotion changes it, for people.
pub(super) fn fixed(written: &WrittenEnvironment) -> Option<&'static str> {
    let of_git = || {
        options(written).find_map(|(option, _)| match option {
            "branch" => None,
            "commit" => Some("a commit"),
            _ => Some("a tag"),
        })
    };
    written.artifact.as_ref().map(|_| "an artifact").or_else(of_git)
}

/// What is wrong with it; `is_built` where the application has images of its own.
pub(super) fn check(written: &WrittenEnvironment, is_built: bool, say: &mut impl FnMut(&[&'static str], String)) {
    let set: Vec<(&'static str, &str)> = options(written).collect();
    if let [(one, _), (other, _), ..] = set[..] {
        say(
            &[other],
            format!("one of branch, tag, tag_pattern, semver and commit is deployed: leave out {one} or {other}"),
        );
    }
    for (option, text) in &set {
        let problem = match *option {
            "tag_pattern" => WantedTag::matching(text).err().map(|error| error.to_string()),
            "semver" => WantedTag::in_range(text).err().map(|error| match error {
                PolicyError::Range { .. } => format!("{error}; write \">=1.0 <2\", \"^1.4\" or \"1.4.x\""),
                other => other.to_string(),
            }),
            "commit" => text.parse::<CommitId>().err().map(|error| format!("{error}; `git rev-parse` prints it")),
            _ => None,
        };
        if let Some(problem) = problem {
            say(&[option], problem);
        }
    }
    if let (Some(_), Some((option, _))) = (&written.artifact, set.first()) {
        say(
            &[option],
            format!("an artifact is deployed, and {option} is of a repository: leave out {option} or artifact"),
        );
    }
    let is_promoted = is_built && written.promote.by != PromoteBy::None;
    if let Some(what) = fixed(written).filter(|_| is_promoted) {
        let option = set.iter().map(|(option, _)| *option).find(|option| *option != "branch").unwrap_or("artifact");
        let remedy = if written.artifact.is_some() { "" } else { "name a branch, or " };
        let why = format!("a promotion is a commit on a branch, and {what} is deployed here");
        say(&[option], format!("{why}: {remedy}set promote.by = \"none\""));
    }
}

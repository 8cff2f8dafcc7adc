//! What an environment is deployed from, as it is written: a branch, a tag, the newest of several tags, or a commit.

use quarterdeck_core::follow::PolicyError;
use quarterdeck_core::follow::revision::WantedTag;
use quarterdeck_shared::application::Follow;
use quarterdeck_shared::revision::CommitId;

/// The options that say it.
pub(super) struct Options<'a> {
    /// By their names, those that are set.
    set: Vec<(&'static str, &'a str)>,
    /// Whether an artifact is deployed instead.
    is_artifact: bool,
}

impl<'a> Options<'a> {
    /// All of them, as they are written.
    pub(super) fn new(all: [(&'static str, &'a Option<String>); 5], is_artifact: bool) -> Self {
        let set = all.into_iter().filter_map(|(option, text)| Some((option, text.as_deref()?))).collect();
        Self { set, is_artifact }
    }

    /// What was found right.
    pub(super) fn read(&self) -> Follow {
        let one = self.set.last().and_then(|(option, value)| match *option {
            "branch" => Some(Follow::Branch((*value).to_owned())),
            "tag" => Some(Follow::Tag((*value).to_owned())),
            "tag_pattern" => Some(Follow::NewestTag((*value).to_owned())),
            "semver" => Some(Follow::Semver((*value).to_owned())),
            _ => value.parse().ok().map(Follow::Commit),
        });
        one.unwrap_or_default()
    }

    /// What is deployed where no commit of a promotion changes it, for people.
    pub(super) fn fixed(&self) -> Option<&'static str> {
        let of_git = |(option, _): &(&'static str, &str)| match *option {
            "branch" => None,
            "commit" => Some("a commit"),
            _ => Some("a tag"),
        };
        if self.is_artifact { Some("an artifact") } else { self.set.iter().find_map(of_git) }
    }

    /// What is wrong with it; `is_promoted` where images are promoted to it.
    pub(super) fn check(&self, is_promoted: bool, say: &mut impl FnMut(&[&'static str], String)) {
        let Self { set, is_artifact } = self;
        if let [(one, _), (other, _), ..] = set[..] {
            let which = "one of branch, tag, tag_pattern, semver and commit is deployed";
            say(&[other], format!("{which}: leave out {one} or {other}"));
        }
        for (option, text) in set {
            if let Some(problem) = problem(option, text) {
                say(&[option], problem);
            }
        }
        if let (true, Some((option, _))) = (is_artifact, set.first()) {
            let message =
                format!("an artifact is deployed, and {option} is of a repository: leave out {option} or artifact");
            say(&[option], message);
        }
        if is_promoted {
            self.check_promoted(say);
        }
    }

    /// What is wrong with it where images are promoted to it.
    pub(super) fn check_promoted(&self, say: &mut impl FnMut(&[&'static str], String)) {
        let Self { set, is_artifact } = self;
        if let Some(what) = self.fixed() {
            let option = set.iter().map(|(option, _)| *option).find(|option| *option != "branch").unwrap_or("artifact");
            let remedy = if *is_artifact { "" } else { "name a branch, or " };
            let why = format!("a promotion is a commit on a branch, and {what} is deployed here");
            say(&[option], format!("{why}: {remedy}set promote.by = \"none\""));
        }
    }
}

fn problem(option: &str, text: &str) -> Option<String> {
    match option {
        "tag_pattern" => WantedTag::matching(text).err().map(|error| error.to_string()),
        "semver" => WantedTag::in_range(text).err().map(|error| match error {
            PolicyError::Range { .. } => format!("{error}; write \">=1.0 <2\", \"^1.4\" or \"1.4.x\""),
            other => other.to_string(),
        }),
        "commit" => text.parse::<CommitId>().err().map(|error| format!("{error}; `git rev-parse` prints it")),
        _ => None,
    }
}

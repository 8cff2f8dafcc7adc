//! What the deploy branch says of an image that is followed: no run delivers it, so its promotions have trailers of their own.
//!
//! ```text
//! Quarterdeck-Application: shop
//! Quarterdeck-Environment: prod
//! Quarterdeck-Image: ghcr.io/stefanprodan/podinfo:6.5.0@sha256:…
//! Quarterdeck-Path: apps/shop
//! Quarterdeck-Follows: semver >=6.0 <7
//! ```

use quarterdeck_shared::application::{ApplicationName, EnvironmentName};
use quarterdeck_shared::revision::CommitId;

use super::{Named, named};
use crate::follow::Wanted;
use crate::git::CommitInfo;

/// A promotion of an image that is followed: what is to be written, or what a commit says was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Following {
    /// Whose.
    pub application: ApplicationName,
    /// Into which environment.
    pub environment: EnvironmentName,
    /// The image, without a tag.
    pub image: String,
    /// Its tag.
    pub tag: String,
    /// Its digest: `sha256:…`.
    pub digest: String,
    /// The values file or the folder of manifests that names it; `.` for the whole repository.
    pub path: String,
    /// Which tag is wanted, in words.
    pub policy: String,
}

/// What the branch says about a tag that is wanted and that the manifests do not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is to be written.
    New,
    /// It was written last, by this commit: what the manifests name since, a person wanted.
    Reverted(CommitId),
    /// A newer one was written last, and the registry does not list it now: nothing goes back by itself.
    Older {
        /// That tag.
        than: String,
        /// By which commit.
        commit: CommitId,
    },
}

impl Following {
    /// The message of the commit: the user's words, and below them what is read again one day.
    pub fn below(&self, message: &str) -> String {
        let Self { application, environment, image, tag, digest, path, policy } = self;
        format!(
            "{}\n\nQuarterdeck-Application: {application}\nQuarterdeck-Environment: {environment}\n\
             Quarterdeck-Image: {image}:{tag}@{digest}\nQuarterdeck-Path: {path}\nQuarterdeck-Follows: {policy}\n",
            message.trim_end()
        )
    }

    /// Reads a commit; nothing where it is no such promotion.
    pub fn read(commit: &CommitInfo) -> Option<(CommitId, Self)> {
        let Named { fields, mut images } = named(&commit.message)?;
        let (image, version) = images.pop_first().filter(|_| images.is_empty())?;
        let (tag, digest) = version.split_once('@')?;
        let following = Self {
            application: fields.get("Application")?.parse().ok()?,
            environment: fields.get("Environment")?.parse().ok()?,
            image,
            tag: tag.to_owned(),
            digest: digest.to_owned(),
            path: (*fields.get("Path")?).to_owned(),
            policy: (*fields.get("Follows")?).to_owned(),
        };
        Some((commit.id.clone(), following))
    }

    /// What the log of the branch, newest first, says about this one.
    ///
    /// Each tag is written once: whoever reverts it outranks a machine. A tag that moves and comes back to an earlier image is
    /// written again, since another was written meanwhile. `formerly` is what earlier versions of the agent called the place: the
    /// folder of a chart, which several environments may share.
    pub fn standing(&self, wanted: &Wanted, formerly: Option<&str>, log: &[(CommitId, Self)]) -> Standing {
        let of = |one: &Self| (one.application.clone(), one.environment.clone());
        let is_there = |made: &Self| made.path == self.path || formerly == Some(&*made.path) && of(made) == of(self);
        let is_beside = |(_, made): &&(CommitId, Self)| made.image == self.image && is_there(made);
        match log.iter().find(is_beside) {
            Some((commit, last)) if (&last.tag, &last.digest) == (&self.tag, &self.digest) => {
                Standing::Reverted(commit.clone())
            }
            Some((commit, last))
                if last.tag != self.tag && wanted.choose([&*last.tag, &*self.tag]) == Some(&last.tag) =>
            {
                Standing::Older { than: last.tag.clone(), commit: commit.clone() }
            }
            _ => Standing::New,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use quarterdeck_shared::application::TagPolicy;

    use super::*;

    fn following(tag: &str, digest: char) -> Following {
        Following {
            application: "shop".parse().unwrap(),
            environment: "prod".parse().unwrap(),
            image: "ghcr.io/stefanprodan/podinfo".to_owned(),
            tag: tag.to_owned(),
            digest: format!("sha256:{}", digest.to_string().repeat(64)),
            path: "apps/shop".to_owned(),
            policy: "semver >=6".to_owned(),
        }
    }

    fn commit(message: &str, id: char) -> CommitInfo {
        CommitInfo {
            id: id.to_string().repeat(40).parse().unwrap(),
            subject: String::new(),
            message: message.to_owned(),
            author: String::new(),
            author_email: String::new(),
            time: Timestamp::UNIX_EPOCH,
            tree: "c".repeat(40).parse().unwrap(),
        }
    }

    #[test]
    fn what_is_written_is_read_and_a_promotion_of_a_run_is_another() {
        let one = following("6.5.0", 'a');
        let message = one.below("Update\n\nQuarterdeck-Image: words/of/the:user@sha256:1\n");
        assert_eq!(Following::read(&commit(&message, 'b')), Some(("b".repeat(40).parse().unwrap(), one)));
        let of_run =
            message.replace("Quarterdeck-Follows: semver >=6", "Quarterdeck-Tag: push-1\nQuarterdeck-Run: k7x2m-1");
        assert_eq!(Following::read(&commit(&of_run, 'b')), None);
        assert_eq!(Following::read(&commit("Update", 'b')), None);
    }

    #[test]
    fn each_tag_is_written_once_and_nothing_goes_back() {
        let semver = Wanted::read(&TagPolicy::Semver(">=6 <7".to_owned())).unwrap();
        let tag = Wanted::read(&TagPolicy::Tag("stable".to_owned())).unwrap();
        let id = |one: char| one.to_string().repeat(40).parse::<CommitId>().unwrap();
        let log = |made: &[(char, &str, char)]| -> Vec<_> {
            made.iter().map(|(commit, tag, digest)| (id(*commit), following(tag, *digest))).collect()
        };
        for (wanted, now, made, standing) in [
            (&semver, ("6.5.0", 'a'), vec![], Standing::New),
            (&semver, ("6.5.0", 'a'), vec![('1', "6.4.0", 'b')], Standing::New),
            (&semver, ("6.5.0", 'a'), vec![('2', "6.5.0", 'a'), ('1', "6.4.0", 'b')], Standing::Reverted(id('2'))),
            // The tag was pushed once more.
            (&semver, ("6.5.0", 'c'), vec![('2', "6.5.0", 'a')], Standing::New),
            (
                &semver,
                ("6.5.0", 'a'),
                vec![('3', "6.6.0", 'd'), ('2', "6.5.0", 'a')],
                Standing::Older { than: "6.6.0".to_owned(), commit: id('3') },
            ),
            // The range was another one then.
            (&semver, ("6.5.0", 'a'), vec![('3', "7.1.0", 'd')], Standing::New),
            (&tag, ("stable", 'a'), vec![('3', "stable", 'b'), ('2', "stable", 'a')], Standing::New),
            (&tag, ("stable", 'a'), vec![('3', "stable", 'a')], Standing::Reverted(id('3'))),
        ] {
            assert_eq!(following(now.0, now.1).standing(wanted, None, &log(&made)), standing, "{now:?} {made:?}");
        }
        let elsewhere = Following { path: "apps/other".to_owned(), ..following("6.5.0", 'a') };
        let one = following("6.5.0", 'a');
        assert_eq!(one.standing(&semver, None, &[(id('1'), elsewhere.clone())]), Standing::New);
        // As an earlier version called it, which is of this environment only where that says so.
        let log = [(id('1'), elsewhere)];
        assert_eq!(one.standing(&semver, Some("apps/other"), &log), Standing::Reverted(id('1')));
        let of_qa = Following { environment: "qa".parse().unwrap(), ..one };
        assert_eq!(of_qa.standing(&semver, Some("apps/other"), &log), Standing::New);
    }
}

//! What a claim about an environment stands on, and what becomes of the claim when that cannot be seen any more.
//!
//! Sync stands on the poll of the repository and on a comparison with the cluster; health stands on the watches. The
//! agent keeps what it last knew; what is shown of it is decided here, in one place.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::EnvironmentStatus;
use crate::status::{Health, SyncStatus};

/// What a claim stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cover {
    /// The cluster answers, and is the one that was deployed to.
    Cluster,
    /// One kind of objects in one namespace, or in all, is watched.
    Watch,
    /// A repository is polled: that of the manifests, or that of the code.
    Repository,
    /// The registry of an artifact answers, and what it has may be deployed.
    Artifact,
    /// The other sources of an environment's files are polled, and what they have may be deployed.
    Source,
    /// The registry or chart repository of a chart answers which versions there are.
    Chart,
    /// The Secret with which the cluster pulls images is as the configuration says. No claim stands on it yet: new pods will.
    PullSecret,
}

/// Something that cannot be seen at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unseen {
    /// What kind of cover is gone.
    pub of: Cover,
    /// Which: `cluster prod`, `pods in namespace shop`, `repository ssh://forge.example/ops/deploy.git`.
    pub what: String,
    /// Why, in one line.
    pub reason: String,
    /// When it was last seen; absent where it never was, and of what is not looked at but made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
}

impl Unseen {
    /// `pods in namespace shop are not watched: forbidden`, without the time, which each screen writes in its own way.
    pub fn describe(&self) -> String {
        let Self { of, what, reason, last_seen: _ } = self;
        match of {
            Cover::Cluster => format!("{what} cannot be observed: {reason}"),
            Cover::Watch => format!("{what} not watched: {reason}"),
            Cover::Repository | Cover::Source | Cover::Chart => format!("{what} cannot be read: {reason}"),
            Cover::Artifact | Cover::PullSecret => format!("{what} is not up to date: {reason}"),
        }
    }
}

/// Sync and health as they were last known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Whether the cluster was as git says.
    pub sync: SyncStatus,
    /// How healthy it was.
    pub health: Health,
}

impl EnvironmentStatus {
    /// Sync and health as they are, or as they were last known where something cannot be seen.
    pub fn known(&self) -> Known {
        self.last_known.unwrap_or(Known { sync: self.sync, health: self.health })
    }

    /// What may be claimed of this, given what cannot be seen: without the cluster neither sync nor health is known;
    /// without a watch health is not, while sync stands on the last comparison; without the repository both still hold
    /// for the commit that was last read, and the message says so.
    pub fn shown(&self) -> Self {
        let mut shown = Self { last_known: None, ..self.clone() };
        let known = self.known();
        let lacks = |cover: Cover| self.unseen.iter().find(|unseen| unseen.of == cover);
        let (cluster, watch) = (lacks(Cover::Cluster), lacks(Cover::Watch));
        shown.sync = if cluster.is_some() { SyncStatus::Unknown } else { known.sync };
        shown.health = if cluster.or(watch).is_some() { Health::Unknown } else { known.health };
        if shown.known() != known {
            shown.last_known = Some(known);
        }
        // Why it is Unknown outranks what was known before; a repository that cannot be read changes no verdict, nor does an
        // artifact, another source, a chart or a pull secret.
        let others = [Cover::Repository, Cover::Artifact, Cover::Source, Cover::Chart, Cover::PullSecret];
        let other = others.into_iter().find_map(lacks).filter(|_| self.message.is_empty());
        if let Some(unseen) = cluster.or(watch.filter(|_| known.sync == SyncStatus::Synced)).or(other) {
            shown.message = unseen.describe();
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::SpecSummary;

    fn status(sync: SyncStatus, health: Health, message: &str, unseen: &[Cover]) -> EnvironmentStatus {
        let unseen = unseen.iter().map(|of| Unseen {
            of: *of,
            what: format!("{of:?}").to_lowercase(),
            reason: "forbidden".to_owned(),
            last_seen: None,
        });
        EnvironmentStatus {
            environment: "shop/prod".parse().expect("an address"),
            sync,
            health,
            revision: None,
            images: Vec::new(),
            suspended: false,
            message: message.to_owned(),
            hint: String::new(),
            since: Timestamp::UNIX_EPOCH,
            unseen: unseen.collect(),
            last_known: None,
            target: None,
            suspension: None,
            pin: None,
            pending: None,
            progress: None,
            last: None,
            last_sync: None,
            tests: None,
            deletion: None,
            drifted: 0,
            resources: 0,
            rendered: None,
            spec: SpecSummary::default(),
        }
    }

    #[test]
    fn nothing_is_claimed_that_nothing_stands_on() {
        use Cover::{Artifact, Chart, Cluster, PullSecret, Repository, Watch};
        use Health::{Degraded, Healthy};
        use SyncStatus::{OutOfSync, Synced};
        let unknown = (SyncStatus::Unknown, Health::Unknown);
        for (sync, health, message, unseen, shown, why) in [
            (Synced, Healthy, "", &[][..], (Synced, Healthy), ""),
            (Synced, Healthy, "", &[Cluster][..], unknown, "cluster cannot be observed: forbidden"),
            (OutOfSync, Degraded, "exit 1", &[Cluster][..], unknown, "cluster cannot be observed: forbidden"),
            (Synced, Healthy, "", &[Watch][..], (Synced, Health::Unknown), "watch not watched: forbidden"),
            (OutOfSync, Healthy, "1 differs", &[Watch][..], (OutOfSync, Health::Unknown), "1 differs"),
            (Synced, Healthy, "", &[Repository][..], (Synced, Healthy), "repository cannot be read: forbidden"),
            (Synced, Degraded, "exit 1", &[Repository][..], (Synced, Degraded), "exit 1"),
            (Synced, Healthy, "", &[Chart][..], (Synced, Healthy), "chart cannot be read: forbidden"),
            (Synced, Healthy, "", &[Artifact][..], (Synced, Healthy), "artifact is not up to date: forbidden"),
            (Synced, Healthy, "", &[PullSecret][..], (Synced, Healthy), "pullsecret is not up to date: forbidden"),
            (OutOfSync, Degraded, "exit 1", &[PullSecret][..], (OutOfSync, Degraded), "exit 1"),
            (Synced, Healthy, "", &[Repository, Watch][..], (Synced, Health::Unknown), "watch not watched: forbidden"),
        ] {
            let before = status(sync, health, message, unseen);
            let after = before.shown();
            assert_eq!(((after.sync, after.health), &*after.message), (shown, why), "{sync} {health} {unseen:?}");
            assert_eq!(after.known(), before.known(), "what was known stays known");
            assert_eq!(after.shown(), after, "showing it again changes nothing: {unseen:?}");
        }
    }
}

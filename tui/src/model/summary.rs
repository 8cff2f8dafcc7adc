//! Environments summed up in one row: the worst of how they are, the newest of what happened to them, and why.

use std::borrow::Cow;

use jiff::Timestamp;
use quarterdeck_shared::snapshot::{ApplicationStatus, EnvironmentStatus, LastAction};
use quarterdeck_shared::status::{Health, Phase, SyncStatus};

use crate::model::store::Store;
use crate::unseen;

/// How one or several environments are.
#[derive(Debug, Clone, Copy)]
pub struct Summary<'a> {
    /// How many there are.
    pub count: usize,
    /// The worst sync status.
    pub sync: SyncStatus,
    /// The worst health.
    pub health: Health,
    /// Whether syncing is stopped on purpose in all of them.
    pub suspended: bool,
    /// Whether all of them stay at a revision on purpose.
    pub pinned: bool,
    /// Since when they are so: the last change of any.
    pub since: Timestamp,
    /// The last thing that happened to any.
    pub last: Option<&'a LastAction>,
    /// Objects that differ from their manifests.
    pub drifted: u32,
    /// Objects that the manifests name.
    pub resources: u32,
    /// The one that is worst.
    pub worst: &'a EnvironmentStatus,
}

impl<'a> Summary<'a> {
    /// One environment by itself.
    pub fn one(environment: &'a EnvironmentStatus) -> Self {
        Self {
            count: 1,
            sync: environment.sync,
            health: environment.health,
            suspended: environment.suspended,
            pinned: environment.pin.is_some(),
            since: environment.since,
            last: environment.last.as_ref(),
            drifted: environment.drifted,
            resources: environment.resources,
            worst: environment,
        }
    }

    /// Several; none where there is no environment.
    pub fn of(environments: impl Iterator<Item = &'a EnvironmentStatus>) -> Option<Self> {
        environments.map(Self::one).reduce(|all, one| Self {
            count: all.count + 1,
            sync: all.sync.max(one.sync),
            health: all.health.max(one.health),
            suspended: all.suspended && one.suspended,
            pinned: all.pinned && one.pinned,
            since: all.since.max(one.since),
            last: newest([all.last, one.last]),
            drifted: all.drifted + one.drifted,
            resources: all.resources + one.resources,
            worst: if badness(one.worst) > badness(all.worst) { one.worst } else { all.worst },
        })
    }

    /// The environments of an application.
    pub fn of_application(fleet: &'a Store, application: &'a ApplicationStatus) -> Option<Self> {
        Self::of(fleet.environments(application).map(|(_, environment)| environment))
    }
}

/// How bad an environment is, for choosing the worst: one that says why before one that does not.
fn badness(environment: &EnvironmentStatus) -> (bool, Health, SyncStatus) {
    (calls(environment), environment.health, environment.sync)
}

/// The newest of what happened.
pub fn newest<'a>(all: impl IntoIterator<Item = Option<&'a LastAction>>) -> Option<&'a LastAction> {
    all.into_iter().flatten().max_by_key(|last| last.at)
}

/// Whether an environment asks to be looked at, so that its row says why it is as it is. What cannot be seen is told of a
/// suspended one, too, and of one that was well.
fn calls(environment: &EnvironmentStatus) -> bool {
    let sync_failed = environment.last_sync.as_ref().is_some_and(|sync| sync.phase == Phase::Failed);
    let is_silent = environment.health < Health::Missing
        && environment.sync != SyncStatus::Unknown
        && !(sync_failed && environment.sync != SyncStatus::Synced);
    unseen::cause(environment).is_some() || !(is_silent || environment.suspended)
}

/// What is said below the row of an environment; empty where it is well and follows git. `ago` says how long ago a moment
/// was.
pub fn why(environment: &EnvironmentStatus, ago: impl FnOnce(Timestamp) -> String) -> Cow<'_, str> {
    if calls(environment) || environment.is_held() || environment.pending.is_some() {
        unseen::message(environment, ago)
    } else {
        Cow::Borrowed("")
    }
}

/// What is said below the row of an application: why its environment, or the worst of those that are folded away, is as it
/// is; else what is wrong with the application itself.
pub fn why_application<'a>(
    fleet: &'a Store,
    application: &'a ApplicationStatus,
    is_open: bool,
    ago: impl Fn(Timestamp) -> String,
) -> Cow<'a, str> {
    let summary = Summary::of_application(fleet, application).filter(|_| !is_open);
    let of_worst = match summary {
        Some(Summary { worst, .. }) => (why(worst, &ago), worst),
        None => return unseen::of_application(application, ago),
    };
    match of_worst {
        (text, _) if text.is_empty() => unseen::of_application(application, ago),
        (text, _) if application.environments.len() == 1 => text,
        (text, worst) => Cow::Owned(format!("{}: {text}", worst.environment.environment)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn the_worst_of_several_speaks_for_all() {
        use Health::{Degraded, Healthy, Progressing, Suspended};
        use SyncStatus::{OutOfSync, Synced, Unknown};
        for (all, health, sync, worst) in [
            (&[(Healthy, Synced), (Healthy, Synced)][..], Healthy, Synced, 0),
            (&[(Healthy, OutOfSync), (Progressing, Synced)], Progressing, OutOfSync, 1),
            (&[(Degraded, Synced), (Suspended, OutOfSync)], Degraded, OutOfSync, 0),
            (&[(Healthy, Synced), (Progressing, Synced), (Healthy, Unknown)], Progressing, Unknown, 2),
        ] {
            let environments: Vec<_> = all
                .iter()
                .zip(["dev", "qa", "prod"])
                .map(|((health, sync), name)| EnvironmentStatus {
                    sync: *sync,
                    ..fixture::environment(&format!("shop/{name}"), *health)
                })
                .collect();
            let summary = Summary::of(environments.iter()).expect("there are some");
            assert_eq!((summary.count, summary.health, summary.sync), (all.len(), health, sync), "{all:?}");
            assert_eq!(summary.worst.environment, environments[worst].environment, "{all:?}");
        }
        assert!(Summary::of(std::iter::empty()).is_none());
    }
}

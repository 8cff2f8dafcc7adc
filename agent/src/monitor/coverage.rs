//! What cannot be seen of the environments of a cluster, as consoles are told of it: once when it is so, and once when it
//! is otherwise.

use std::collections::BTreeSet;
use std::time::Duration;

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::snapshot::{Cover, Unseen};
use tokio::time::Instant;

use super::environments;
use crate::context::Context;
use crate::journal::fact::{Batch, Fact, Patch};
use quarterdeck_kubernetes::Cluster;

/// While something cannot be seen it is looked this often who is concerned: environments come and go with the
/// configuration, and get other objects. Costs no request.
pub(super) const AGAIN: Duration = Duration::from_secs(5);

/// What who watches a cluster knows of.
const WATCHED: [Cover; 2] = [Cover::Cluster, Cover::Watch];

/// Which environments were told that something of them cannot be seen. What they were told is what consoles are shown: it is
/// not remembered here, since an environment that left the configuration and came back was told nothing.
#[derive(Default)]
pub(super) struct Covers {
    told: BTreeSet<EnvironmentId>,
    /// Consoles are not shown an environment yet that is here.
    waits: bool,
}

impl Covers {
    /// What is news. The worker of each environment that it concerns is woken: without a watch objects have to be
    /// compared, and with it what came meanwhile is looked at.
    pub(super) fn news(&mut self, context: &Context, cluster: &Cluster) -> Batch {
        let here = environments(context, cluster);
        *self = Self::default();
        let mut facts = Batch::new();
        for environment in here {
            let name = &environment.id;
            let Some(before) = told(context, name) else {
                self.waits = true;
                continue;
            };
            let now = cluster.unseen(name, &before);
            if !now.is_empty() {
                self.told.insert(name.clone());
            }
            if before == now {
                continue;
            }
            facts.extend(patches(name, &before, &now));
            // A cluster that does not answer cannot be compared with.
            if now.iter().all(|unseen| unseen.of != Cover::Cluster) {
                environment.wake();
            }
        }
        facts
    }

    /// When to look again, if at all.
    pub(super) fn next_check(&self, cluster: &Cluster) -> Option<Instant> {
        let again = (self.waits || !self.told.is_empty()).then(|| Instant::now() + AGAIN);
        again.into_iter().chain(cluster.next_check()).min()
    }

    /// Takes back all that was told, but of environments that are in another cluster now: who watches that tells them.
    pub(super) fn taken_back(self, context: &Context, cluster: &Cluster) -> Batch {
        let is_ours = |name: &EnvironmentId| context.environment(name).is_none_or(|one| one.cluster.is(cluster));
        let ours = self.told.into_iter().filter(is_ours);
        ours.flat_map(|name| patches(&name, &told(context, &name).unwrap_or_default(), &[])).collect()
    }
}

/// What consoles are shown that cannot be seen of an environment; nothing where they are shown no such environment.
fn told(context: &Context, name: &EnvironmentId) -> Option<Vec<Unseen>> {
    let unseen = context.journal.snapshot().unseen(name)?;
    Some(unseen.into_iter().filter(|unseen| WATCHED.contains(&unseen.of)).collect())
}

/// A patch for each kind of cover that is otherwise now.
fn patches(name: &EnvironmentId, before: &[Unseen], now: &[Unseen]) -> Batch {
    let of = |all: &[Unseen], kind: Cover| all.iter().filter(|unseen| unseen.of == kind).cloned().collect::<Vec<_>>();
    let changed = WATCHED
        .into_iter()
        .map(|kind| (kind, of(before, kind), of(now, kind)))
        .filter(|(_, before, now)| before != now);
    changed.map(|(of, _, unseen)| Fact::patch(name, Patch::Unseen { of, unseen })).collect()
}

/// Ends at this time; never without one.
pub(super) async fn due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_cover_is_told_of_when_it_is_another() {
        let name: EnvironmentId = "shop/prod".parse().unwrap();
        let unseen = |of: Cover, what: &str| Unseen {
            of,
            what: what.to_owned(),
            reason: "forbidden".to_owned(),
            last_seen: None,
        };
        let cluster = || unseen(Cover::Cluster, "cluster prod");
        let pods = || unseen(Cover::Watch, "pods");
        let maps = || unseen(Cover::Watch, "ConfigMaps");
        for (before, now, told) in [
            (vec![], vec![], vec![]),
            (vec![pods()], vec![pods()], vec![]),
            (vec![], vec![pods()], vec![(Cover::Watch, 1)]),
            (vec![pods()], vec![pods(), maps()], vec![(Cover::Watch, 2)]),
            (vec![pods()], vec![cluster()], vec![(Cover::Cluster, 1), (Cover::Watch, 0)]),
            (vec![cluster()], vec![], vec![(Cover::Cluster, 0)]),
        ] {
            let facts = patches(&name, &before, &now);
            let patches = facts.iter().filter_map(|fact| match fact {
                Fact::Environment { patch: Patch::Unseen { of, unseen }, .. } => Some((*of, unseen.len())),
                _ => None,
            });
            assert_eq!(patches.collect::<Vec<_>>(), told, "{before:?} {now:?}");
        }
    }
}

//! What cannot be seen of the environments of a cluster, as consoles are told of it: once when it is so, and once when it
//! is otherwise.

use std::collections::BTreeMap;
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

/// What was told of each environment; of those of which all is seen nothing is kept.
#[derive(Clone, Default)]
pub(super) struct Covers(BTreeMap<EnvironmentId, Vec<Unseen>>);

impl Covers {
    /// What is news. The worker of each environment that it concerns is woken: without a watch objects have to be
    /// compared, and with it what came meanwhile is looked at.
    pub(super) fn news(&mut self, context: &Context, cluster: &Cluster) -> Batch {
        let here = environments(context, cluster);
        self.0.retain(|name, _| here.iter().any(|environment| environment.id == *name));
        let mut facts = Batch::new();
        for environment in here {
            let name = &environment.id;
            let before = self.0.get(name).map(Vec::as_slice).unwrap_or_default();
            let now = cluster.unseen(name, before);
            if before == now {
                continue;
            }
            facts.extend(patches(name, before, &now));
            // A cluster that does not answer cannot be compared with.
            if now.iter().all(|unseen| unseen.of != Cover::Cluster) {
                environment.wake();
            }
            self.0.insert(name.clone(), now);
        }
        self.0.retain(|_, unseen| !unseen.is_empty());
        facts
    }

    /// When to look again, if at all.
    pub(super) fn next_check(&self, cluster: &Cluster) -> Option<Instant> {
        let again = (!self.0.is_empty()).then(|| Instant::now() + AGAIN);
        again.into_iter().chain(cluster.next_check()).min()
    }

    /// Takes back all that was told.
    pub(super) fn taken_back(self) -> Batch {
        self.0.iter().flat_map(|(name, before)| patches(name, before, &[])).collect()
    }
}

/// A patch for each kind of cover that is otherwise now.
fn patches(name: &EnvironmentId, before: &[Unseen], now: &[Unseen]) -> Batch {
    let of = |all: &[Unseen], kind: Cover| all.iter().filter(|unseen| unseen.of == kind).cloned().collect::<Vec<_>>();
    let kinds = [Cover::Cluster, Cover::Watch].into_iter();
    let changed = kinds.map(|kind| (kind, of(before, kind), of(now, kind))).filter(|(_, before, now)| before != now);
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

//! What claims about environments stand on: whether the cluster answers, and which watches are connected. Pure: the
//! time is passed in.
//!
//! A claim whose cover is gone is withdrawn after a grace, and made again when everything that it stands on is back:
//! never in between, when the cluster answers and its watches have not said anything yet.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::snapshot::{Cover, Unseen};
use tokio::time::Instant;

use crate::watch_set::{self, Scopes, WatchKey, What};

/// A watch ends every few minutes and is connected again within a second; an API server that is restarted by its
/// kubelet, or a proxy that is reloaded, takes two or three. What takes longer is an outage. Five seconds hide the
/// former, and leave five more until a person has to see the latter.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// The watches that are wanted, and the cluster behind them.
pub(super) struct Coverage {
    /// What consoles call it.
    cluster: String,
    answers: Answers,
    /// Watches that are not connected. Of the others nothing need be known.
    missing: BTreeMap<WatchKey, Missing>,
    /// Applications of which it could not be asked yet what they have here, so that nothing is watched for them. What is
    /// claimed of them is of an earlier life of the agent.
    unbegun: BTreeMap<EnvironmentId, Missing>,
    /// When a watch of a kind was last connected: one that takes the place of another goes on where that ended.
    seen: BTreeMap<(What, String, String), Timestamp>,
}

/// Whether the cluster answers.
enum Answers {
    /// Since then, or nobody has asked yet.
    Yes { since: Instant },
    /// It does not.
    No(Missing),
}

/// Something that is not there.
#[derive(Debug, Clone)]
struct Missing {
    since: Instant,
    last_seen: Option<Timestamp>,
    reason: String,
}

impl Coverage {
    pub(super) fn new(cluster: &str, now: Instant) -> Self {
        Self {
            cluster: cluster.to_owned(),
            answers: Answers::Yes { since: now },
            missing: BTreeMap::new(),
            unbegun: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    /// A watch is wanted from now on.
    pub(super) fn begins(&mut self, key: &WatchKey, now: Instant) {
        let reason = "its first list is not complete".to_owned();
        let last_seen = self.seen.get(&kind(key)).copied();
        self.missing.entry(key.clone()).or_insert(Missing { since: now, last_seen, reason });
    }

    /// Nobody wants the watch any more.
    pub(super) fn ends(&mut self, key: &WatchKey, at: Timestamp) {
        if self.missing.remove(key).is_none() {
            self.seen.insert(kind(key), at);
        }
    }

    /// The watch is connected.
    pub(super) fn connected(&mut self, key: &WatchKey) {
        self.missing.remove(key);
    }

    /// The watch is not connected, for this reason. Told again it is missing since the first time.
    pub(super) fn lost(&mut self, key: &WatchKey, reason: &str, now: Instant, at: Timestamp) {
        if !self.missing.contains_key(key) {
            self.seen.insert(kind(key), at);
        }
        let missing = self.missing.entry(key.clone());
        let missing = missing.or_insert(Missing { since: now, last_seen: Some(at), reason: String::new() });
        reason.clone_into(&mut missing.reason);
    }

    /// It cannot be asked what the environment has here, for this reason.
    pub(super) fn not_begun(&mut self, environment: &EnvironmentId, reason: &str, now: Instant) {
        let unbegun = self.unbegun.entry(environment.clone());
        let missing = unbegun.or_insert(Missing { since: now, last_seen: None, reason: String::new() });
        reason.clone_into(&mut missing.reason);
    }

    /// It is known, or no concern any more.
    pub(super) fn begun(&mut self, environment: &EnvironmentId) {
        self.unbegun.remove(environment);
    }

    /// The cluster does not answer, for this reason. It was seen until now if it ever was.
    pub(super) fn unreachable(&mut self, reason: &str, now: Instant, last_seen: Option<Timestamp>) {
        match &mut self.answers {
            Answers::No(missing) => reason.clone_into(&mut missing.reason),
            Answers::Yes { .. } => {
                self.answers = Answers::No(Missing { since: now, last_seen, reason: reason.to_owned() });
            }
        }
    }

    /// The cluster answers.
    pub(super) fn reachable(&mut self, now: Instant) {
        self.answers = Answers::Yes { since: now };
    }

    /// What cannot be seen of an environment in these places, where this could not be seen when it was last told.
    pub(super) fn unseen(
        &self,
        environment: &EnvironmentId,
        scopes: &Scopes,
        before: &[Unseen],
        now: Instant,
    ) -> Vec<Unseen> {
        let since = match &self.answers {
            Answers::No(missing) if is_late(missing.since, now) => {
                let what = format!("cluster {}", self.cluster);
                return vec![missing.unseen(Cover::Cluster, what)];
            }
            Answers::No(_) => return before.to_vec(),
            Answers::Yes { since } => *since,
        };
        let watches = self.missing.iter().filter(|(key, _)| watch_set::stands_on(scopes, key));
        let watches = watches.map(|(key, missing)| (key.describe(), missing));
        let unbegun = self.unbegun.get(environment).map(|missing| ("objects".to_owned(), missing));
        let missing: Vec<_> = watches.chain(unbegun).collect();
        let late = missing.iter().filter(|(_, missing)| is_late(missing.since.max(since), now));
        let late: Vec<Unseen> = late.map(|(what, missing)| missing.unseen(Cover::Watch, what.clone())).collect();
        // What is about to be connected is not seen yet.
        if late.is_empty() && !missing.is_empty() { before.to_vec() } else { late }
    }

    /// The watches that are not connected although the cluster answers, beyond the grace.
    pub(super) fn unwatched(&self, now: Instant) -> Vec<Unseen> {
        let Answers::Yes { since } = &self.answers else { return Vec::new() };
        let late = self.missing.iter().filter(|(_, missing)| is_late(missing.since.max(*since), now));
        late.map(|(key, missing)| missing.unseen(Cover::Watch, key.describe())).collect()
    }

    /// Whether one of these is a watch that something in these places stands on.
    pub(super) fn is_unwatched(&self, scopes: &Scopes, now: Instant) -> bool {
        let Answers::Yes { since } = &self.answers else { return false };
        let mut late = self.missing.iter().filter(|(_, missing)| is_late(missing.since.max(*since), now));
        late.any(|(key, _)| watch_set::stands_on(scopes, key))
    }

    /// When the answer may be another without anything happening: the end of the next grace.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let since = match &self.answers {
            Answers::No(missing) => return Some(missing.since + GRACE).filter(|at| *at > now),
            Answers::Yes { since } => *since,
        };
        let ends = self.missing.values().chain(self.unbegun.values()).map(|missing| missing.since.max(since) + GRACE);
        ends.filter(|at| *at > now).min()
    }
}

impl Missing {
    fn unseen(&self, of: Cover, what: String) -> Unseen {
        Unseen { of, what, reason: self.reason.clone(), last_seen: self.last_seen }
    }
}

fn kind(key: &WatchKey) -> (What, String, String) {
    (key.what, key.group.clone(), key.kind.clone())
}

fn is_late(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) >= GRACE
}

#[cfg(test)]
mod tests {
    use quarterdeck_shared::resource::{InventoryItem, ResourceRef};

    use super::*;

    fn key(what: What, kind: &str, namespace: Option<&str>) -> WatchKey {
        let group = if kind == "Deployment" || kind == "ReplicaSet" { "apps" } else { "" };
        let version = (what == What::Applied).then(|| "v1".to_owned());
        let namespace = namespace.map(str::to_owned);
        WatchKey { what, group: group.to_owned(), kind: kind.to_owned(), version, namespace }
    }

    fn scopes(objects: &[(&str, &str)]) -> Scopes {
        let items: Vec<InventoryItem> = objects
            .iter()
            .map(|(kind, namespace)| {
                let group = if *kind == "Deployment" { "apps" } else { "" };
                let resource = ResourceRef::new(group, kind, Some(namespace), "x");
                InventoryItem { resource, version: "v1".to_owned() }
            })
            .collect();
        watch_set::scopes(&items)
    }

    fn name() -> EnvironmentId {
        "shop/prod".parse().unwrap()
    }

    fn words(unseen: &[Unseen]) -> Vec<String> {
        unseen.iter().map(Unseen::describe).collect()
    }

    /// What happens, and what is told of an environment that has a Deployment in `shop` so many seconds after it.
    #[test]
    fn a_claim_is_withdrawn_after_the_grace_and_made_again_when_all_is_back() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let shop = scopes(&[("Deployment", "shop")]);
        let (deployments, pods) = (key(What::Applied, "Deployment", None), key(What::Pods, "Pod", Some("shop")));
        let mut covers = Coverage::new("prod", start);
        let mut told = Vec::new();
        let mut unseen_at = |covers: &Coverage, seconds: u64| {
            told = covers.unseen(&name(), &shop, &told, at(seconds));
            words(&told)
        };
        covers.begins(&deployments, start);
        covers.begins(&pods, start);
        assert_eq!(unseen_at(&covers, 1), [""; 0], "they are about to come");
        covers.connected(&deployments);
        assert_eq!(covers.next(at(1)), Some(at(5)));
        assert_eq!(unseen_at(&covers, 5), ["pods in namespace shop not watched: its first list is not complete"]);
        covers.connected(&pods);
        assert_eq!((unseen_at(&covers, 6), covers.next(at(6))), (vec![], None));

        covers.lost(&pods, "forbidden to watch", at(10), Timestamp::UNIX_EPOCH);
        assert_eq!(unseen_at(&covers, 14), [""; 0], "an ordinary reconnect");
        covers.lost(&pods, "forbidden to list", at(14), Timestamp::UNIX_EPOCH);
        assert_eq!(unseen_at(&covers, 15), ["pods in namespace shop not watched: forbidden to list"]);
        assert_eq!(covers.unwatched(at(15)).len(), 1);

        covers.unreachable("refused", at(20), Some(Timestamp::UNIX_EPOCH));
        assert_eq!(
            unseen_at(&covers, 21),
            ["pods in namespace shop not watched: forbidden to list"],
            "nothing new yet"
        );
        covers.unreachable("no route", at(22), None);
        assert_eq!(unseen_at(&covers, 25), ["cluster prod cannot be observed: no route"]);
        assert_eq!((covers.unwatched(at(25)).len(), covers.next(at(25))), (0, None), "nothing can be asked");

        covers.reachable(at(30));
        assert_eq!(
            unseen_at(&covers, 31),
            ["cluster prod cannot be observed: no route"],
            "no watch has said anything yet"
        );
        covers.connected(&pods);
        assert_eq!(unseen_at(&covers, 32), [""; 0]);

        // Another watch takes its place, and goes on where it ended.
        let all = key(What::Pods, "Pod", None);
        covers.ends(&pods, Timestamp::UNIX_EPOCH);
        covers.begins(&all, at(40));
        assert_eq!(covers.unseen(&name(), &shop, &[], at(45))[0].last_seen, Some(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn what_an_application_has_is_not_seen_before_it_could_be_asked_for() {
        let start = Instant::now();
        let mut covers = Coverage::new("prod", start);
        let unseen_at = |covers: &Coverage| words(&covers.unseen(&name(), &Scopes::new(), &[], start + GRACE));
        covers.not_begun(&name(), "refused", start);
        covers.not_begun(&name(), "forbidden", start + GRACE);
        assert_eq!(
            (unseen_at(&covers), covers.next(start)),
            (vec!["objects not watched: forbidden".to_owned()], Some(start + GRACE))
        );
        covers.begun(&name());
        assert_eq!((unseen_at(&covers), covers.next(start)), (vec![], None));
    }

    #[test]
    fn only_who_stands_on_a_watch_misses_it() {
        let start = Instant::now();
        let late = start + GRACE;
        for (missing, objects, concerned) in [
            (key(What::Applied, "ConfigMap", None), ("ConfigMap", "shop"), true),
            (key(What::Applied, "ConfigMap", Some("shop")), ("ConfigMap", "shop"), true),
            (key(What::Applied, "ConfigMap", Some("other")), ("ConfigMap", "shop"), false),
            (key(What::Applied, "Secret", None), ("ConfigMap", "shop"), false),
            (key(What::Pods, "Pod", Some("shop")), ("ConfigMap", "shop"), false),
            (key(What::Pods, "Pod", Some("shop")), ("Deployment", "shop"), true),
            (key(What::Pods, "Pod", None), ("Deployment", "shop"), true),
            (key(What::Between, "ReplicaSet", Some("shop")), ("Deployment", "shop"), true),
            (key(What::Between, "ReplicaSet", Some("other")), ("Deployment", "shop"), false),
        ] {
            let mut covers = Coverage::new("prod", start);
            covers.begins(&missing, start);
            let unseen = covers.unseen(&name(), &scopes(&[objects]), &[], late);
            assert_eq!(!unseen.is_empty(), concerned, "{missing:?} {objects:?}");
            assert_eq!(covers.unwatched(late).len(), 1);
        }
    }
}

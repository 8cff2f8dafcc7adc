//! What the watches of a cluster say becomes what consoles see: objects and pods, the health of each environment.
//! Drift wakes its worker.
//!
//! One task a cluster. An environment is as healthy as its worst object; a pod that fails makes it Degraded although its
//! Deployment still counts as on its way, since waiting for the deadline would keep the reason from the person. What
//! cannot be seen is told as that: see [`coverage`].

mod coverage;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use jiff::Timestamp;
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::event::{Cause, Event};
use quarterdeck_shared::snapshot::{ConnectionKind, Key, Object};
use quarterdeck_shared::status::Health;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::connectivity;
use crate::context::{Context, Drift, Environment};
use crate::journal::fact::{Batch, Fact, Patch};
use crate::monitor::coverage::Covers;
use quarterdeck_kubernetes::{Cluster, ClusterChange};

/// Assesses one cluster until it is let go or the agent ends. What was told of a cluster that is let go is taken back.
pub async fn assess(context: Arc<Context>, cluster: Cluster, stop: CancellationToken) {
    let mut fleet = Fleet::default();
    let mut covers = Covers::default();
    let mut next_check = None;
    tell_connection(&context, &cluster, &mut fleet, None).await;
    loop {
        let changes = tokio::select! {
            changes = cluster.changes() => changes,
            () = coverage::due(next_check) => vec![ClusterChange::Cover],
            () = stop.cancelled() => break,
        };
        let mut facts = Batch::new();
        let mut touched = BTreeSet::new();
        let mut cover = false;
        for change in changes {
            match change {
                ClusterChange::Away { why } => tell_connection(&context, &cluster, &mut fleet, Some(why)).await,
                ClusterChange::Back => tell_connection(&context, &cluster, &mut fleet, None).await,
                ClusterChange::Cover => cover = true,
                ClusterChange::Replaced { how } => {
                    let event = Event::ClusterReplaced { cluster: cluster.name().to_owned(), message: how };
                    facts.push(Fact::at_large(Cause::Agent, event));
                    environments(&context, &cluster).iter().for_each(|environment| environment.wake());
                }
                ClusterChange::ContentChanged { environment, resource, manager } => {
                    if let Some(environment) = context.environment(&environment) {
                        environment.drifted(Drift { resource, manager });
                    }
                }
                // What differs is looked at again whatever is told of it so far: the pass that leaves it so may be under way, and
                // says it in a moment. Where a sync of ours made it so, one more pass finds nothing to do, and asks nothing.
                ClusterChange::Kinds { environment } | ClusterChange::Otherwise { environment } => {
                    if let Some(environment) = context.environment(&environment) {
                        environment.wake();
                    }
                }
                other => {
                    wake_at_an_end(&context, &other);
                    facts.extend(fleet.take(other, cluster.name(), &mut touched));
                }
            }
        }
        if cover {
            facts.extend(covers.news(&context, &cluster));
            next_check = covers.next_check(&cluster);
        }
        facts.extend(touched.iter().filter_map(|name| fleet.verdict(name)));
        if !facts.is_empty() && context.journal.record(facts).await.is_err() {
            // The objects are shown all the same; the verdict comes again with the next change, and what cannot be seen is
            // told again after a while.
            touched.iter().for_each(|name| fleet.forget_verdict(name));
            if cover {
                next_check = Some(Instant::now() + coverage::AGAIN);
            }
        }
        // What is said of an environment that is leaving is not kept: it is said again when it is back.
        let shown = context.journal.snapshot();
        touched.iter().filter(|name| shown.unseen(name).is_none()).for_each(|name| fleet.forget_verdict(name));
    }
    if !context.stop.is_cancelled() {
        let mut facts = covers.taken_back(&context, &cluster);
        facts.extend(fleet.environments.into_values().flat_map(|known| known.keys).map(Fact::Gone));
        // Not kept on a full disk: what is seen goes from the screens all the same.
        let _ = context.journal.record(facts).await;
    }
}

/// The environments that this cluster is deployed to for.
fn environments(context: &Context, cluster: &Cluster) -> Vec<Arc<Environment>> {
    let environments = context.environments.read().unwrap_or_else(PoisonError::into_inner);
    let is_here = |environment: &&Arc<Environment>| environment.cluster.is(cluster);
    environments.values().filter(is_here).cloned().collect()
}

/// A Job that ended is remembered as such before it goes: its end is looked at by the worker that remembers.
fn wake_at_an_end(context: &Context, change: &ClusterChange) {
    let ClusterChange::ResourceChanged(status) = change else { return };
    let is_job = status.resource.kind == "Job" && status.resource.group == "batch";
    if is_job
        && matches!(status.health, Health::Healthy | Health::Degraded)
        && let Some(environment) = context.environment(&status.environment)
    {
        environment.wake();
    }
}

/// What is known of the objects of each environment in one cluster: a word each.
#[derive(Default)]
struct Fleet {
    environments: BTreeMap<EnvironmentId, Known>,
    reachable: Option<bool>,
}

#[derive(Default)]
struct Known {
    /// Each object and pod that is not Healthy. Of the rest nothing need be remembered.
    unwell: BTreeMap<Key, Unwell>,
    /// What there is.
    keys: BTreeSet<Key>,
    /// All objects have been seen once: before that a verdict would be a guess.
    complete: bool,
    told: Option<(Health, String)>,
}

/// An object or a pod that is not Healthy.
struct Unwell {
    health: Health,
    created: Option<Timestamp>,
    why: String,
}

impl Fleet {
    fn take(&mut self, change: ClusterChange, cluster: &str, touched: &mut BTreeSet<EnvironmentId>) -> Option<Fact> {
        let (environment, key, state) = match change {
            ClusterChange::ResourceChanged(status) => {
                let why = why(&status.resource.short(), &status.message);
                let unwell = Unwell { health: status.health, created: status.created, why };
                (status.environment.clone(), None, Some((unwell, Object::Resource(status))))
            }
            ClusterChange::PodChanged(pod) => {
                let why = why(&pod.name, &pod.message);
                let unwell = Unwell { health: pod.health, created: pod.created, why };
                (pod.environment.clone(), None, Some((unwell, Object::Pod(pod))))
            }
            ClusterChange::ResourceGone { environment, resource } => {
                let key = Key::resource(&environment, &resource);
                (environment, Some(key), None)
            }
            ClusterChange::PodGone { environment, namespace, name } => {
                (environment, Some(Key::pod(cluster, &namespace, &name)), None)
            }
            ClusterChange::Synced { environment } => {
                self.environments.entry(environment.clone()).or_default().complete = true;
                touched.insert(environment);
                return None;
            }
            ClusterChange::Away { .. }
            | ClusterChange::Back
            | ClusterChange::Replaced { .. }
            | ClusterChange::Cover
            | ClusterChange::Otherwise { .. }
            | ClusterChange::Kinds { .. }
            | ClusterChange::ContentChanged { .. } => return None,
        };
        let known = self.environments.entry(environment.clone()).or_default();
        touched.insert(environment);
        match (state, key) {
            (Some((unwell, object)), _) => {
                let key = object.key();
                match unwell.health {
                    Health::Healthy => drop(known.unwell.remove(&key)),
                    _ => drop(known.unwell.insert(key.clone(), unwell)),
                }
                known.keys.insert(key);
                Some(Fact::Seen(object))
            }
            (None, Some(key)) => {
                known.unwell.remove(&key);
                known.keys.remove(&key);
                Some(Fact::Gone(key))
            }
            (None, None) => None,
        }
    }

    /// The health of an environment, where it is another than was told.
    fn verdict(&mut self, name: &EnvironmentId) -> Option<Fact> {
        let known = self.environments.get_mut(name)?;
        if !known.complete {
            return None;
        }
        let verdict = worst(known);
        if known.told.as_ref() == Some(&verdict) {
            return None;
        }
        known.told = Some(verdict.clone());
        Some(Fact::patch(name, Patch::Assessed { health: verdict.0, message: verdict.1 }))
    }

    fn forget_verdict(&mut self, name: &EnvironmentId) {
        if let Some(known) = self.environments.get_mut(name) {
            known.told = None;
        }
    }
}

fn why(who: &str, message: &str) -> String {
    if message.is_empty() { who.to_owned() } else { format!("{who}: {message}") }
}

/// The worst health, and why: pods before workloads, since they know the reason, and of those the youngest, since the old
/// ones of a rollout tell why it was begun and not why it fails.
fn worst(known: &Known) -> (Health, String) {
    if known.keys.is_empty() {
        return (Health::Missing, "no objects found in the cluster".to_owned());
    }
    let health = Health::worst(known.unwell.values().map(|unwell| unwell.health));
    let of_health = known.unwell.iter().filter(|(_, unwell)| unwell.health == health);
    let first = of_health.max_by_key(|(key, unwell)| (key.is_pod(), unwell.created));
    (health, first.map(|(_, unwell)| unwell.why.clone()).unwrap_or_default())
}

/// Tells that the cluster is away, or there.
async fn tell_connection(context: &Context, cluster: &Cluster, fleet: &mut Fleet, lost: Option<Failure>) {
    let reachable = lost.is_none();
    let before = fleet.reachable.replace(reachable);
    let version = if reachable { cluster.version().await } else { Ok(String::new()) };
    let answer = match (lost, version) {
        (Some(why), _) => Err(why),
        (None, Ok(version)) => Ok(version),
        // Also a refusal is an answer.
        (None, Err(problem)) if !problem.class.is_way_in() => Ok(String::new()),
        (None, Err(problem)) => Err(Failure::of(&problem)),
    };
    fleet.reachable = Some(answer.is_ok());
    let status = connectivity::seen(ConnectionKind::Cluster, cluster.name().to_owned(), answer);
    // Not kept on a full disk: the status is shown all the same.
    let _ = context.journal.record(connectivity::news(before, status)).await;
}

#[cfg(test)]
mod tests {
    use quarterdeck_shared::resource::ResourceRef;
    use quarterdeck_shared::snapshot::{PodStatus, ResourceStatus};
    use quarterdeck_shared::status::SyncStatus;

    use super::*;

    fn deployment(health: Health, message: &str) -> ClusterChange {
        ClusterChange::ResourceChanged(Box::new(ResourceStatus {
            environment: "shop/prod".parse().unwrap(),
            resource: ResourceRef::new("apps", "Deployment", Some("prod"), "shop"),
            sync: SyncStatus::Synced,
            health,
            message: message.to_owned(),
            summary: String::new(),
            rule: String::new(),
            owner: None,
            created: None,
        }))
    }

    fn pod(health: Health, message: &str) -> ClusterChange {
        pod_of("shop-1", None, health, message)
    }

    fn pod_of(name: &str, created: Option<Timestamp>, health: Health, message: &str) -> ClusterChange {
        ClusterChange::PodChanged(Box::new(PodStatus {
            environment: "shop/prod".parse().unwrap(),
            cluster: "test".into(),
            namespace: "prod".into(),
            name: name.into(),
            owner: None,
            status: "".into(),
            health,
            message: message.into(),
            containers: Vec::new(),
            node: "".into(),
            ip: "".into(),
            created,
        }))
    }

    #[test]
    fn an_application_is_as_its_worst_and_says_why_once() {
        let name: EnvironmentId = "shop/prod".parse().unwrap();
        let mut fleet = Fleet::default();
        let told = |fleet: &mut Fleet, changes: Vec<ClusterChange>| {
            for change in changes {
                fleet.take(change, "test", &mut BTreeSet::new());
            }
            fleet.verdict(&name)
        };
        let assessed =
            |health, message: &str| Some(Fact::patch(&name, Patch::Assessed { health, message: message.to_owned() }));
        assert_eq!(told(&mut fleet, vec![deployment(Health::Progressing, "0 of 1")]), None, "not all was seen");
        let synced = ClusterChange::Synced { environment: name.clone() };
        assert_eq!(told(&mut fleet, vec![synced]), assessed(Health::Progressing, "Deployment/shop: 0 of 1"));
        assert_eq!(
            told(&mut fleet, vec![pod(Health::Degraded, "exit 1")]),
            assessed(Health::Degraded, "shop-1: exit 1")
        );
        assert_eq!(told(&mut fleet, vec![deployment(Health::Degraded, "late")]), None, "the pod knows the reason");
        let gone =
            ClusterChange::PodGone { environment: name.clone(), namespace: "prod".into(), name: "shop-1".into() };
        assert_eq!(told(&mut fleet, vec![gone, deployment(Health::Healthy, "")]), assessed(Health::Healthy, ""));
    }

    #[test]
    fn an_application_that_is_nowhere_is_missing_and_the_youngest_pod_knows_why() {
        let name: EnvironmentId = "shop/prod".parse().unwrap();
        let mut fleet = Fleet::default();
        let mut told = |changes: Vec<ClusterChange>| {
            for change in changes {
                fleet.take(change, "test", &mut BTreeSet::new());
            }
            fleet.verdict(&name)
        };
        let assessed =
            |health, message: &str| Some(Fact::patch(&name, Patch::Assessed { health, message: message.to_owned() }));
        let synced = ClusterChange::Synced { environment: name.clone() };
        assert_eq!(told(vec![synced]), assessed(Health::Missing, "no objects found in the cluster"));
        let at = |second| Timestamp::from_second(second).ok();
        let old = pod_of("shop-a", at(1), Health::Degraded, "no such image");
        assert_eq!(told(vec![old]), assessed(Health::Degraded, "shop-a: no such image"));
        let young = pod_of("shop-0", at(2), Health::Degraded, "exit 1");
        assert_eq!(told(vec![young]), assessed(Health::Degraded, "shop-0: exit 1"));
    }
}

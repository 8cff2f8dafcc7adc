//! How well an object is, judged from the object alone as the cluster shows it: one kind a file.
//!
//! The answer is honest before it is friendly:
//! - What its controller has not seen yet is Progressing, whatever the rest of its status says (observed generation).
//! - What fails is never Healthy, and says why in the words of who saw it fail.
//! - What nobody would ever finish is not Progressing for ever: an Ingress that no controller gives an address, a claim
//!   that waits for its first pod.
//! - A Job that started is not done, and a Pod that failed is not fine.
//!
//! The rules are those of Argo CD and of kstatus; where these differ, the file of the kind says which we take and why.
//! Nothing here looks at a clock, so a verdict stays true until the object changes.

mod field;

mod daemon_set;
mod deployment;
mod replica_set;
mod stateful_set;

mod pod;
pub mod pod_status;

mod cron_job;
mod job;

mod autoscaler;
mod definition;
mod ingress;
mod namespace;
mod service;
mod volume;

mod custom;

pub use self::job::ended;

use quarterdeck_shared::status::Health;
use serde_json::Value;

use crate::health::field::{condense, list, text};

/// How an object is, why, and a few words about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How it is.
    pub health: Health,
    /// Why, or what to know of it; empty where there is nothing to say. One line.
    pub reason: String,
    /// What it is about at a glance: `2/3`, `:80 → 8080`; empty where the kind has no such thing.
    pub summary: String,
}

impl Verdict {
    fn new(health: Health, reason: impl Into<String>) -> Self {
        Self { health, reason: reason.into(), summary: String::new() }
    }

    fn healthy() -> Self {
        Self::new(Health::Healthy, "")
    }

    fn progressing(reason: impl Into<String>) -> Self {
        Self::new(Health::Progressing, reason)
    }

    fn suspended(reason: impl Into<String>) -> Self {
        Self::new(Health::Suspended, reason)
    }

    fn degraded(reason: impl Into<String>) -> Self {
        Self::new(Health::Degraded, reason)
    }

    fn about(self, summary: impl Into<String>) -> Self {
        Self { summary: summary.into(), ..self }
    }
}

/// What is known of the cluster beside the object.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Whether a storage class (by name) makes volumes only for the first pod that uses them. Nothing for a class that is not known.
    pub waits_for_first_consumer: &'a dyn Fn(&str) -> Option<bool>,
}

impl Default for Surroundings<'_> {
    fn default() -> Self {
        Self { waits_for_first_consumer: &|_| None }
    }
}

/// Judges an object by itself.
pub fn assess(object: &Value) -> Verdict {
    assess_in(object, Surroundings::default())
}

/// Judges an object with what is known of its cluster.
pub fn assess_in(object: &Value, surroundings: Surroundings<'_>) -> Verdict {
    let api_version = text(object, "/apiVersion");
    let kind = text(object, "/kind");
    if api_version.is_empty() || kind.is_empty() {
        return Verdict::new(Health::Unknown, "it has no apiVersion or no kind, so it is no Kubernetes object");
    }
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let verdict = by_kind(group, kind, object, surroundings);
    let verdict =
        if text(object, "/metadata/deletionTimestamp").is_empty() { verdict } else { deleting(object, verdict) };
    Verdict { reason: condense(&verdict.reason), ..verdict }
}

fn by_kind(group: &str, kind: &str, object: &Value, surroundings: Surroundings<'_>) -> Verdict {
    match (group, kind) {
        ("apps" | "extensions", "Deployment") => deployment::assess(object),
        ("apps" | "extensions", "ReplicaSet") | ("", "ReplicationController") => replica_set::assess(object),
        ("apps", "StatefulSet") => stateful_set::assess(object),
        ("apps" | "extensions", "DaemonSet") => daemon_set::assess(object),
        ("", "Pod") => pod::assess(object),
        ("batch", "Job") => job::assess(object),
        ("batch", "CronJob") => cron_job::assess(object),
        ("", "Service") => service::assess(object),
        ("networking.k8s.io" | "extensions", "Ingress") => ingress::assess(object),
        ("", "PersistentVolumeClaim") => volume::assess_claim(object, surroundings),
        ("", "PersistentVolume") => volume::assess(object),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler::assess(object),
        ("", "Namespace") => namespace::assess(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition::assess(object),
        // What has no state of its own: it is there, and that is all it can be.
        ("", "ConfigMap" | "Secret" | "ServiceAccount" | "Endpoints" | "LimitRange" | "ResourceQuota" | "Event") => {
            Verdict::healthy()
        }
        ("rbac.authorization.k8s.io" | "storage.k8s.io" | "scheduling.k8s.io" | "discovery.k8s.io", _) => {
            Verdict::healthy()
        }
        _ => custom::assess(object),
    }
}

/// An object that is being deleted is on its way out, however well it still looks; where its end fails, that counts.
fn deleting(object: &Value, verdict: Verdict) -> Verdict {
    if text(object, "/kind") == "Namespace" && verdict.health == Health::Degraded {
        return verdict;
    }
    if text(object, "/kind") == "Pod" && pod::is_node_silent(object) {
        // Only its kubelet can end it.
        let reason = format!("{}, and it is being deleted", pod::silence(object));
        return Verdict { reason, ..verdict };
    }
    let finalizers: Vec<&str> = list(object, "/metadata/finalizers").iter().filter_map(Value::as_str).collect();
    let reason = match finalizers.as_slice() {
        _ if text(object, "/kind") == "Namespace" && !verdict.reason.is_empty() => verdict.reason,
        [] => "it is being deleted".to_owned(),
        waits => format!("it is being deleted, and waits for {}", waits.join(", ")),
    };
    Verdict { health: Health::Progressing, reason, summary: verdict.summary }
}

#[cfg(test)]
mod tests;

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
//!
//! A rule of the configuration speaks first, then the file of a kind of Kubernetes, then a rule that we ship
//! ([`rules`]), and for all else the conventions (`custom`). The verdict says which of them spoke.
//!
//! Nothing here looks at a clock. Who knows the time passes it in ([`Surroundings::now`]): then what is normal for a moment
//! is Progressing for a bounded while ([`time`]), and the verdict says when to look again. Without a time a verdict stays
//! true until the object changes.

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

pub mod cases;
mod custom;
pub mod rules;
mod time;

pub use self::job::ended;

use jiff::Timestamp;
use quarterdeck_shared::status::Health;
use serde_json::Value;

use crate::health::field::{condense, list, text};
use crate::health::rules::Rules;
use crate::health::time::Patience;

/// How an object is, why, and a few words about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How it is.
    pub health: Health,
    /// Why, or what to know of it; empty where there is nothing to say. One line.
    pub reason: String,
    /// What it is about at a glance: `2/3`, `:80 → 8080`; empty where the kind has no such thing.
    pub summary: String,
    /// Which rule spoke: `built in: apps/Deployment`, `cert-manager.io/Certificate`, `configuration: example.com/Shop`,
    /// `generic`.
    pub rule: String,
    /// When the verdict may be another without a change of the object; nothing where it stays.
    pub changes_at: Option<Timestamp>,
    /// For how long this is normal, and what it is after that.
    patience: Option<Patience>,
}

impl Verdict {
    fn new(health: Health, reason: impl Into<String>) -> Self {
        let (summary, rule) = (String::new(), String::new());
        Self { health, reason: reason.into(), summary, rule, changes_at: None, patience: None }
    }

    fn healthy() -> Self {
        Self::new(Health::Healthy, "")
    }

    /// Healthy, with something that a person should know.
    fn healthy_with(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..Self::healthy() }
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

    /// What this becomes at [`Self::changes_at`], where the object stays as it is.
    pub fn later(&self) -> Option<Self> {
        let patience = self.patience.filter(|_| self.changes_at.is_some())?;
        let over = time::over(patience, self.clone());
        Some(Self { reason: condense(&over.reason), ..over })
    }

    /// Normal for a moment; after that it is as told.
    fn for_a_while(self, patience: Patience) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// No controller may be there to report a status, so that waiting for it ends.
    fn waits_for_status(self) -> Self {
        self.for_a_while(Patience::STATUS)
    }

    fn by(self, rule: impl Into<String>) -> Self {
        Self { rule: rule.into(), ..self }
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
    /// Whether objects of a group and kind tell a status. Nothing where it is not known.
    pub has_status: &'a dyn Fn(&str, &str) -> Option<bool>,
    /// The rules of the configuration, and those that we ship.
    pub rules: &'a Rules,
    /// The time. Without it nothing that is normal for a moment turns into a failure.
    pub now: Option<Timestamp>,
}

impl Default for Surroundings<'_> {
    fn default() -> Self {
        Self { waits_for_first_consumer: &|_| None, has_status: &|_, _| None, rules: Rules::built_in(), now: None }
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
        return Verdict::new(Health::Unknown, "it has no apiVersion or no kind, so it is not a Kubernetes object");
    }
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let verdict = judge(group, kind, object, surroundings);
    let verdict = time::at(surroundings.now, object, verdict);
    let verdict =
        if text(object, "/metadata/deletionTimestamp").is_empty() { verdict } else { deleting(object, verdict) };
    Verdict { reason: condense(&verdict.reason), ..verdict }
}

/// Who knows a kind best speaks: the configuration, the file of the kind, a rule that we ship, the conventions.
fn judge(group: &str, kind: &str, object: &Value, surroundings: Surroundings<'_>) -> Verdict {
    if let Some(rule) = surroundings.rules.configured(group, kind) {
        return rule.judge(object);
    }
    if let Some(verdict) = by_kind(group, kind, object, surroundings) {
        return verdict.by(format!("built in: {}", rules::name(group, kind)));
    }
    if let Some(rule) = surroundings.rules.shipped(group, kind) {
        return rule.judge(object);
    }
    let is_own = !group.contains('.') || KUBERNETES.contains(&group);
    let has_status = (surroundings.has_status)(group, kind).filter(|_| !is_own);
    custom::assess(object, has_status).by("generic")
}

/// Groups of Kubernetes itself whose kinds are there or not: what of them tells a status has a file or a rule.
const KUBERNETES: &[&str] = &[
    "admissionregistration.k8s.io",
    "apiregistration.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "resource.k8s.io",
];

fn by_kind(group: &str, kind: &str, object: &Value, surroundings: Surroundings<'_>) -> Option<Verdict> {
    Some(match (group, kind) {
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
        _ => return None,
    })
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
    Verdict { health: Health::Progressing, reason, changes_at: None, patience: None, ..verdict }
}

#[cfg(test)]
mod tests;

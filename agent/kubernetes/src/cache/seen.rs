//! What is taken from an object as it comes by, and by whom it was told.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use jiff::Timestamp;
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::resource::ResourceRef;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::classes::Classes;
use crate::discovery::Cache;
use quarterdeck_core::health::rules::Rules;
use quarterdeck_core::health::{self, Surroundings, Verdict};
use quarterdeck_core::sync::digest::ContentDigest;
use quarterdeck_core::sync::managed_fields;
use quarterdeck_core::sync::plan::Ended;

/// A uid in 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Uid([u8; 16]);

impl Uid {
    pub(crate) fn of(text: &str) -> Self {
        let digest = Sha256::digest(text);
        let mut uid = [0; 16];
        uid.copy_from_slice(&digest[..16]);
        Self(uid)
    }
}

/// Who tells of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToldBy {
    /// A list that was asked for at this time: what it says is so, whatever was known before.
    Listed(Instant),
    /// A watch, or the answer to a write of ours. The two race; the newer of them is so.
    Followed,
}

/// What was told of an object.
pub(crate) struct Put {
    pub(crate) resource: ResourceRef,
    pub(crate) uid: Uid,
    /// A list names it in a state before one that was seen before the list was asked for: no version of an object is ever
    /// lower than it was, but in a cluster that was set back.
    pub(crate) set_back: bool,
}

/// Whether the cluster was set back, by what a list says of an object that was known to be newer.
pub(super) fn is_set_back(told: ToldBy, known_since: Instant, is_older: bool) -> bool {
    matches!(told, ToldBy::Listed(asked) if is_older && known_since <= asked)
}

/// Whether what is known stands although a list names another state: we wrote it after the list was asked for.
pub(super) fn stands(told: ToldBy, known_since: Instant, is_older: bool) -> bool {
    match told {
        ToldBy::Listed(asked) => is_older && known_since > asked,
        ToldBy::Followed => is_older,
    }
}

/// What is taken from an object as it comes by, before anything is locked.
pub(crate) struct Seen {
    pub(crate) resource: ResourceRef,
    /// The environment that its label names.
    pub(crate) environment: Option<EnvironmentId>,
    /// The API version that it was seen in.
    pub(crate) api: Box<str>,
    /// Its resource version.
    pub(crate) version: Box<str>,
    pub(crate) uid: Uid,
    pub(crate) digest: ContentDigest,
    /// Another number where something beside the status was written, by anybody.
    pub(crate) edition: u64,
    pub(crate) verdict: Verdict,
    pub(crate) created: Option<Timestamp>,
    /// Who wrote to it last, other than us.
    pub(crate) manager: Option<String>,
    /// How it ended, where it is a Job that did.
    pub(crate) ended: Option<Ended>,
}

impl Seen {
    pub(crate) fn of(object: &Value, judge: &Judge) -> Self {
        let metadata = &object["metadata"];
        let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_owned();
        let api_version = text(&object["apiVersion"]);
        let (group, api) = api_version.split_once('/').unwrap_or(("", &api_version));
        let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
        Self {
            resource: ResourceRef::new(group, &text(&object["kind"]), Some(&namespace), &name),
            environment: managed_fields::owner_of(object).and_then(|owner| owner.id()),
            api: api.into(),
            version: text(&metadata["resourceVersion"]).into(),
            uid: Uid::of(&text(&metadata["uid"])),
            digest: managed_fields::digest(object),
            edition: edition(metadata),
            verdict: judge.verdict(object),
            created: text(&metadata["creationTimestamp"]).parse().ok(),
            manager: managed_fields::last_other_manager(object),
            ended: health::ended(object),
        }
    }
}

/// A write to the spec counts the generation up. Kinds without one have no status that is written again and again, so that
/// the version does for them.
fn edition(metadata: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    let counted = metadata["generation"].as_u64();
    counted.hash(&mut hasher);
    if counted.is_none() {
        metadata["resourceVersion"].as_str().hash(&mut hasher);
    }
    (metadata["labels"].to_string(), metadata["annotations"].to_string()).hash(&mut hasher);
    hasher.finish()
}

/// What objects are judged by.
pub(crate) struct Judge {
    pub(crate) rules: Arc<Rules>,
    /// Whether a kind tells a status.
    pub(crate) kinds: Arc<Cache>,
    /// The storage classes of claims that wait.
    pub(crate) classes: Classes,
}

impl Judge {
    pub(crate) fn verdict(&self, object: &Value) -> Verdict {
        let kinds = self.kinds.known_kinds();
        let has_status = |group: &str, kind: &str| Some(kinds.as_ref()?.get(group, kind)?.status);
        let now = Some(Timestamp::now());
        let waits_for_first_consumer = |class: &str| self.classes.waits_for_first_consumer(class);
        let surroundings = Surroundings {
            waits_for_first_consumer: &waits_for_first_consumer,
            rules: &self.rules,
            has_status: &has_status,
            now,
        };
        health::assess_in(object, surroundings)
    }
}

/// Tells what consoles see of something from what they saw before. All of its fields count, so that none that is added is
/// kept from them.
pub(super) fn fingerprint(status: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    status.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use quarterdeck_shared::snapshot::PodStatus;
    use serde_json::json;

    use super::*;

    #[test]
    fn each_field_of_a_pod_counts() {
        let container = |name, init| json!({"name": name, "image": "a:1", "state": "running", "ready": true, "restarts": 0, "init": init});
        let pod = json!({
            "environment": "shop/prod", "cluster": "own", "namespace": "shop", "name": "shop-1", "status": "Running",
            "owner": {"group": "apps", "kind": "ReplicaSet", "namespace": "shop", "name": "shop"}, "health": "Healthy",
            "message": "a", "containers": [container("app", false)], "node": "n", "ip": "10.0.0.1",
            "created": "2026-01-01T00:00:00Z",
        });
        let of = |pod: &Value| fingerprint(&serde_json::from_value::<PodStatus>(pod.clone()).unwrap());
        for (field, other) in [
            ("environment", json!("shop/qa")),
            ("cluster", json!("other")),
            ("namespace", json!("other")),
            ("name", json!("other")),
            ("status", json!("Pending")),
            ("owner", json!(null)),
            ("health", json!("Degraded")),
            ("message", json!("b")),
            ("containers", json!([container("other", false)])),
            ("containers", json!([container("app", true)])),
            ("node", json!("other")),
            ("ip", json!("10.0.0.2")),
            ("created", json!("2026-01-02T00:00:00Z")),
        ] {
            let mut changed = pod.clone();
            changed[field] = other;
            assert_ne!(of(&pod), of(&changed), "{field}");
        }
    }

    #[test]
    fn a_list_overrules_what_was_known_before_it_was_asked_for() {
        let asked = Instant::now();
        let (before, after) = (asked, asked + Duration::from_millis(1));
        for (told, known_since, is_older, stays, set_back) in [
            (ToldBy::Listed(asked), before, false, false, false),
            (ToldBy::Listed(asked), before, true, false, true),
            (ToldBy::Listed(asked), after, false, false, false),
            (ToldBy::Listed(asked), after, true, true, false),
            (ToldBy::Followed, before, true, true, false),
            (ToldBy::Followed, before, false, false, false),
        ] {
            let found = (stands(told, known_since, is_older), is_set_back(told, known_since, is_older));
            assert_eq!(found, (stays, set_back), "{told:?} {known_since:?} {is_older}");
        }
    }
}

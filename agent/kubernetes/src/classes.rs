//! Storage classes, as far as claims that wait for a volume need them: a class that makes volumes only for the first pod that uses
//! them is no reason to worry about a claim that no pod uses yet, and the claim itself does not tell.
//!
//! A class is asked for when a claim of it is seen waiting, and kept: its binding mode cannot be changed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use quarterdeck_shared::resource::ResourceRef;
use serde_json::Value;

use crate::objects::Objects;

/// Clusters have a handful; a hostile one may name one in each claim.
const CLASSES_MAX: usize = 64;

/// A class may be removed and made anew, and one that could not be read may be allowed meanwhile.
const KEPT: Duration = Duration::from_secs(600);

/// What is known of them, by name: whether each waits for its first consumer, where that could be read.
#[derive(Default)]
pub(super) struct Classes(Mutex<HashMap<String, (Option<bool>, Instant)>>);

impl Classes {
    /// Whether the class makes volumes only for the first pod that uses them. Nothing where it is not known.
    pub(super) fn waits_for_first_consumer(&self, class: &str) -> Option<bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(class).and_then(|(waits, _)| *waits)
    }

    /// Asks for the class of a claim that waits for a volume, unless it is known. No request for anything else.
    pub(super) async fn learn(&self, objects: &Objects, object: &Value) {
        let Some(class) = waited_for(object) else { return };
        let is_known = {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(class).is_some_and(|(_, at)| at.elapsed() < KEPT)
        };
        if is_known {
            return;
        }
        let waits = match objects.get(&ResourceRef::new("storage.k8s.io", "StorageClass", None, class), None).await {
            Ok(found) => found.map(|found| found["volumeBindingMode"] == "WaitForFirstConsumer"),
            Err(problem) if problem.class.is_transient() => return,
            Err(problem) => {
                tracing::debug!(%problem, "a storage class is not known");
                None
            }
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CLASSES_MAX {
            known.clear();
        }
        known.insert(class.to_owned(), (waits, Instant::now()));
    }
}

/// The class of a claim that has no volume yet.
fn waited_for(object: &Value) -> Option<&str> {
    let is_claim = object["kind"] == "PersistentVolumeClaim" && object["apiVersion"] == "v1";
    let waits = is_claim && object["status"]["phase"] == "Pending";
    object["spec"]["storageClassName"].as_str().filter(|class| waits && !class.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_claim_that_waits_asks_for_its_class() {
        let claim = |phase: &str, class: Value| json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": {"storageClassName": class}, "status": {"phase": phase}});
        assert_eq!(waited_for(&claim("Pending", json!("fast"))), Some("fast"));
        for other in [
            claim("Bound", json!("fast")),
            claim("Pending", json!("")),
            claim("Pending", Value::Null),
            json!({"kind": "Pod"}),
        ] {
            assert_eq!(waited_for(&other), None, "{other}");
        }
    }
}

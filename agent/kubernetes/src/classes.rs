//! Storage classes, as far as claims that wait for a volume need them: a class that makes volumes only for the first pod that uses
//! them is no reason to worry about a claim that no pod uses yet, and the claim itself does not tell.
//!
//! A class is asked for when a claim of it is seen waiting, and kept: its binding mode cannot be changed. Nothing happens to
//! a claim when its class can be read after all, so the claim is kept until then, and the class asked for again.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use quarterdeck_shared::resource::ResourceRef;
use serde_json::Value;
use tokio::time::Instant;

use crate::objects::Objects;
use crate::pace;
use crate::problem::Class;

/// Clusters have a handful; a hostile one may name one in each claim.
const CLASSES_MAX: usize = 64;

/// A class may be removed and made anew.
const KEPT: Duration = Duration::from_secs(600);

/// Claims that wait for their class to be known: more of them at once are judged as those of a class that nobody knows,
/// until they change. They have a KiB or two.
const CLAIMS_MAX: usize = 1_000;

/// What is known of them, by name: whether each waits for its first consumer.
#[derive(Default)]
pub(super) struct Classes(Mutex<HashMap<String, (bool, Instant)>>);

/// Claims that were seen while their class could not be asked for, or was not there.
#[derive(Default)]
pub(super) struct Claims {
    unjudged: HashMap<(String, String), Value>,
    failures: u32,
    /// When their classes are asked for again.
    pub(super) again: Option<Instant>,
}

impl Classes {
    /// Whether the class makes volumes only for the first pod that uses them. Nothing where it is not known.
    pub(super) fn waits_for_first_consumer(&self, class: &str) -> Option<bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(class).map(|(waits, _)| *waits)
    }

    fn is_known(&self, class: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(class).is_some_and(|(_, at)| at.elapsed() < KEPT)
    }

    /// Asks for a class unless it is known; why it still is not.
    async fn learn(&self, objects: &Objects, class: &str) -> Result<(), Class> {
        if self.is_known(class) {
            return Ok(());
        }
        match objects.get(&ResourceRef::new("storage.k8s.io", "StorageClass", None, class), None).await {
            Ok(Some(found)) => {
                let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                if known.len() >= CLASSES_MAX {
                    known.clear();
                }
                let waits = found["volumeBindingMode"] == "WaitForFirstConsumer";
                known.insert(class.to_owned(), (waits, Instant::now()));
                Ok(())
            }
            Ok(None) => Err(Class::NotFound),
            Err(problem) => {
                tracing::debug!(%problem, "a storage class is not known");
                Err(problem.class)
            }
        }
    }
}

impl Claims {
    /// An object was seen: where it is a claim that waits for a volume its class is asked for, unless it is known. No request for
    /// anything else.
    pub(super) async fn saw(&mut self, classes: &Classes, objects: &Objects, object: &Value) {
        self.unjudged.remove(&name(object));
        let Some(class) = waited_for(object) else { return };
        // While one waits to be asked for again, no other claim asks in between.
        let failed = match self.again {
            Some(_) if !classes.is_known(class) => true,
            _ => match classes.learn(objects, class).await {
                Ok(()) => false,
                Err(class) => {
                    self.wait(class);
                    true
                }
            },
        };
        if failed && self.unjudged.len() < CLAIMS_MAX {
            self.unjudged.insert(name(object), object.clone());
        }
    }

    /// An object is gone.
    pub(super) fn lost(&mut self, object: &Value) {
        self.unjudged.remove(&name(object));
    }

    /// Asks for their classes again; those that can be judged now.
    pub(super) async fn again(&mut self, classes: &Classes, objects: &Objects) -> Vec<Value> {
        self.again = None;
        let asked: BTreeSet<String> = self.unjudged.values().filter_map(waited_for).map(str::to_owned).collect();
        let mut failed = BTreeSet::new();
        for class in asked {
            if let Err(why) = classes.learn(objects, &class).await {
                self.wait(why);
                failed.insert(class);
            }
        }
        let is_known = |object: &Value| waited_for(object).is_none_or(|class| !failed.contains(class));
        let judged = self.unjudged.extract_if(|_, object| is_known(object)).map(|(_, object)| object).collect();
        if self.unjudged.is_empty() {
            self.failures = 0;
        }
        judged
    }

    fn wait(&mut self, class: Class) {
        self.failures += 1;
        self.again = Some(Instant::now() + pace::pause(class, self.failures));
    }
}

fn name(object: &Value) -> (String, String) {
    let part = |part: &str| object["metadata"][part].as_str().unwrap_or_default().to_owned();
    (part("namespace"), part("name"))
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

//! What is told when several change what is known at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quarterdeck_core::sync::{APPLICATION_LABEL, ENVIRONMENT_LABEL};
use quarterdeck_shared::resource::InventoryItem;
use serde_json::json;

use super::*;

/// Enough for another thread to get from one step to the next, on any machine.
const LOOKS: u32 = 100_000;

/// Else who is a moment slower tells what is older, and it stays so: of an object that we write the answer and the watch
/// tell at the same time.
#[test]
fn what_is_known_is_not_changed_again_before_it_was_told() {
    let judge = Judge { rules: Arc::default(), kinds: Arc::default(), classes: Classes::default() };
    let cache = ObjectCache::new("test", judge);
    let environment: EnvironmentId = "shop/prod".parse().unwrap();
    let resource = ResourceRef::new("", "ConfigMap", Some("prod"), "shop");
    let items = [InventoryItem { resource: resource.clone(), version: "v1".to_owned() }].into();
    cache.track(&environment, &Inventory { items }, &Memory::new());
    let (group, kind) = (resource.group.clone(), resource.kind.clone());
    let (version, namespace) = (Some("v1".to_owned()), Some("prod".to_owned()));
    cache.connected(&WatchKey { what: What::Applied, group, kind, version, namespace });
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "shop", "namespace": "prod", "uid": "a", "resourceVersion": "7",
            "labels": { APPLICATION_LABEL: "shop", ENVIRONMENT_LABEL: "prod" },
        },
    });
    let begun = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let nobody_is_told = cache.outbox.hold();
        scope.spawn(|| {
            begun.store(true, Ordering::Release);
            cache.wrote(&object);
        });
        while !begun.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        for _ in 0..LOOKS {
            std::thread::yield_now();
            if let Ok(state) = cache.state.try_lock() {
                assert!(state.applied.present(&resource).is_none(), "it is known, and nobody was told");
            }
        }
        drop(nobody_is_told);
    });
    assert!(cache.state().applied.present(&resource).is_some());
}

//! The inventory of an application, kept in the cluster beside its objects: the ConfigMap `quarterdeck-NAME` in the
//! application's namespace. It says what we applied and may therefore prune, to us and to whoever comes after us.
//!
//! It is written before anything is applied, with old and new objects in it, and made smaller only after the prunes: an
//! agent that dies in between leaves nothing behind that nobody knows. It is not written where it says so already.
//! It carries no application label, so it is no object of the application and is never pruned.
//!
//! A ConfigMap holds 1 MiB. An object takes about 105 bytes, so the plain form is good for some 2,400; above, it is
//! compressed tenfold and more, which carries it past 40,000. What is larger still is refused before anything is applied.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::resource::{Inventory, ResourceRef};
use serde_json::{Value, json};

use crate::cluster::caller::get;
use crate::cluster::kube::{Objects, collection_path, segment};
use crate::cluster::problem::{ApiProblem, Class};

/// On every inventory; its value is the application's name.
pub const INVENTORY_LABEL: &str = "quarterdeck.dev/inventory";

const PLAIN: &str = "inventory.json";
const COMPRESSED: &str = "inventory.json.gz";

/// Up to here people can read it with kubectl.
const PLAIN_BYTES_MAX: usize = 256 * 1024;

/// What the API server takes in a ConfigMap, less what its metadata needs.
const BYTES_MAX: usize = 1_000_000;

/// Unpacked, twenty times what a ConfigMap holds; what is larger was not written by us.
const UNPACKED_BYTES_MAX: u64 = 20 << 20;

/// All inventories of a cluster are read at once when the agent begins (one request for all applications). That list is
/// good for as long as a begin takes.
const LIST_COUNTS_FOR: Duration = Duration::from_secs(30);

/// What is known of the inventories in a cluster. We are their only writer, so what was read once stays right.
#[derive(Default)]
pub(super) struct Inventories {
    /// None for one that is there and could not be read.
    known: Mutex<HashMap<ResourceRef, Option<Inventory>>>,
    listed: tokio::sync::Mutex<Option<Instant>>,
    /// How often all of it was forgotten: what is being read meanwhile is of the time before.
    forgotten: AtomicU64,
}

impl Inventories {
    /// The inventory of an application; empty where there is none.
    ///
    /// # Errors
    /// Where it cannot be read. One that is there and makes no sense is an error too: taking it for empty would orphan
    /// what it named.
    pub(super) async fn read(
        &self,
        objects: &Objects,
        application: &ApplicationName,
        namespace: &str,
    ) -> Result<Inventory, ApiProblem> {
        let place = place_of(application, namespace);
        if self.known(&place).is_none() && self.list(objects).await? && self.known(&place).is_none() {
            return Ok(Inventory::default());
        }
        if let Some(Some(known)) = self.known(&place) {
            return Ok(known);
        }
        let inventory = match objects.get(&place, Some("v1")).await? {
            Some(object) => decode(&object)?,
            None => Inventory::default(),
        };
        self.remember(place, Some(inventory.clone()));
        Ok(inventory)
    }

    /// What was read is of another cluster, or of a time that this one forgot.
    pub(super) fn forget(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
        // Whoever lists at this moment sees that it was for nothing.
        if let Ok(mut listed) = self.listed.try_lock() {
            *listed = None;
        }
    }

    /// Writes the inventory, unless it is so already.
    pub(super) async fn write(
        &self,
        objects: &Objects,
        application: &ApplicationName,
        namespace: &str,
        inventory: &Inventory,
    ) -> Result<(), ApiProblem> {
        let place = place_of(application, namespace);
        if self.known(&place).flatten().as_ref() == Some(inventory) {
            return Ok(());
        }
        objects.apply_own(&place, &encode(application, &place, inventory)?).await?;
        self.remember(place, Some(inventory.clone()));
        Ok(())
    }

    /// Reads all inventories that we may list; true where the list counts.
    async fn list(&self, objects: &Objects) -> Result<bool, ApiProblem> {
        let mut listed = self.listed.lock().await;
        if let Some(at) = *listed {
            return Ok(at.elapsed() < LIST_COUNTS_FOR);
        }
        let forgotten = self.forgotten.load(Ordering::SeqCst);
        let doing = "list the inventories";
        let route = objects.resource(&ResourceRef::new("", "ConfigMap", None, ""), Some("v1")).await?;
        let path = format!("{}?limit=250&labelSelector={INVENTORY_LABEL}", collection_path(&route.resource, None));
        let mut next = String::new();
        loop {
            let page = match objects.caller.json(doing, get(&format!("{path}{next}"))).await {
                Ok(page) => page,
                // Who may not look into all namespaces reads them one by one.
                Err(problem) if problem.class == Class::Forbidden => {
                    *listed = Instant::now().checked_sub(LIST_COUNTS_FOR);
                    return Ok(false);
                }
                Err(problem) => return Err(problem),
            };
            for object in page["items"].as_array().into_iter().flatten() {
                let metadata = &object["metadata"];
                let text = |name: &str| metadata[name].as_str().unwrap_or_default();
                let place = ResourceRef::new("", "ConfigMap", Some(text("namespace")), text("name"));
                // One that makes no sense is told to its own application when that asks for it.
                self.remember(place, decode(object).ok());
            }
            match page["metadata"]["continue"].as_str().filter(|token| !token.is_empty()) {
                Some(token) => next = format!("&continue={}", segment(token)),
                None => break,
            }
        }
        if self.forgotten.load(Ordering::SeqCst) != forgotten {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
            return Ok(false);
        }
        *listed = Some(Instant::now());
        Ok(true)
    }

    fn known(&self, place: &ResourceRef) -> Option<Option<Inventory>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(place).cloned()
    }

    fn remember(&self, place: ResourceRef, inventory: Option<Inventory>) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(place, inventory);
    }
}

/// `quarterdeck-shop` in the application's namespace.
fn place_of(application: &ApplicationName, namespace: &str) -> ResourceRef {
    ResourceRef::new("", "ConfigMap", Some(namespace), &format!("quarterdeck-{application}"))
}

fn encode(application: &ApplicationName, place: &ResourceRef, inventory: &Inventory) -> Result<Value, ApiProblem> {
    let doing = format!("write the inventory of {application}");
    let bad = |error: &dyn std::error::Error| ApiProblem::new(Class::Other, doing.clone(), error.to_string());
    let plain = serde_json::to_vec(inventory).map_err(|error| bad(&error))?;
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": place.name,
            "namespace": place.namespace,
            "labels": {"app.kubernetes.io/managed-by": "quarterdeck", INVENTORY_LABEL: application.as_str()},
            "annotations": {"quarterdeck.dev/description": "What Quarterdeck applied and may prune. Do not edit."},
        },
    });
    if plain.len() <= PLAIN_BYTES_MAX {
        object["data"] = json!({PLAIN: String::from_utf8_lossy(&plain)});
        return Ok(object);
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let packed = encoder.write_all(&plain).and_then(|()| encoder.finish()).map_err(|error| bad(&error))?;
    if packed.len() > BYTES_MAX {
        let message =
            format!("{} objects are more than an inventory holds; split the application", inventory.items.len());
        return Err(ApiProblem::new(Class::Invalid, doing, message));
    }
    object["binaryData"] = json!({COMPRESSED: BASE64.encode(packed)});
    Ok(object)
}

fn decode(object: &Value) -> Result<Inventory, ApiProblem> {
    let name = format!("{}/{}", text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
    let doing = format!("read the inventory in ConfigMap {name}");
    let bad = |error: &dyn std::error::Error| {
        let words = format!("it makes no sense ({error}); restore it, or delete it if nothing is to be pruned");
        ApiProblem::new(Class::Invalid, doing.clone(), words)
    };
    if let Some(packed) = object["binaryData"][COMPRESSED].as_str() {
        let packed = BASE64.decode(packed).map_err(|error| bad(&error))?;
        let mut plain = Vec::new();
        let mut decoder = GzDecoder::new(packed.as_slice()).take(UNPACKED_BYTES_MAX);
        decoder.read_to_end(&mut plain).map_err(|error| bad(&error))?;
        return serde_json::from_slice(&plain).map_err(|error| bad(&error));
    }
    serde_json::from_str(text(&object["data"][PLAIN])).map_err(|error| bad(&error))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use quarterdeck_shared::resource::InventoryItem;

    use super::*;

    fn inventory_of(objects: usize) -> Inventory {
        let item = |n| InventoryItem {
            resource: ResourceRef::new("apps", "Deployment", Some("a-namespace"), &format!("deployment-{n}")),
            version: "v1".to_owned(),
        };
        Inventory { items: (0..objects).map(item).collect() }
    }

    #[test]
    fn an_inventory_is_read_as_it_was_written() {
        let shop: ApplicationName = "shop".parse().unwrap();
        let place = place_of(&shop, "prod");
        assert_eq!(place.to_string(), "/ConfigMap/prod/quarterdeck-shop");
        for (objects, form) in [(0, "data"), (4, "data"), (2_400, "data"), (40_000, "binaryData")] {
            let inventory = inventory_of(objects);
            let object = encode(&shop, &place, &inventory).unwrap();
            assert!(object[form].is_object(), "{objects}");
            assert!(object.to_string().len() < 1_048_576, "{objects}");
            assert_eq!(decode(&object).unwrap(), inventory, "{objects}");
        }
    }

    #[test]
    fn nonsense_is_an_error_and_not_an_empty_inventory() {
        for data in [json!({}), json!({PLAIN: "{"}), json!({"other": "{}"})] {
            let object = json!({"metadata": {"namespace": "a", "name": "b"}, "data": data});
            let error = decode(&object).unwrap_err().to_string();
            assert!(error.starts_with("cannot read the inventory in ConfigMap a/b: it makes no sense"), "{error}");
        }
    }
}

//! How an inventory is written into a ConfigMap, and read.
//!
//! A ConfigMap holds 1 MiB. An object takes about 105 bytes, so the plain form is good for some 2,400; above, it is
//! compressed tenfold and more, which carries it past 40,000. What is larger still is refused before anything is applied.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use quarterdeck_shared::resource::{Inventory, ResourceRef};
use serde_json::{Value, json};

use crate::inventory::INVENTORY_LABEL;
use crate::problem::{ApiProblem, Class};

const PLAIN: &str = "inventory.json";
const COMPRESSED: &str = "inventory.json.gz";

/// Up to here people can read it with kubectl.
const PLAIN_BYTES_MAX: usize = 256 * 1024;

/// What the API server takes in a ConfigMap, less what its metadata needs.
const BYTES_MAX: usize = 1_000_000;

/// Unpacked, twenty times what a ConfigMap holds; what is larger was not written by us.
const UNPACKED_BYTES_MAX: u64 = 20 << 20;

pub(super) fn encode(environment: &str, place: &ResourceRef, inventory: &Inventory) -> Result<Value, ApiProblem> {
    let doing = format!("write the inventory of {environment}");
    let bad = |error: &dyn std::error::Error| ApiProblem::new(Class::Other, doing.clone(), error.to_string());
    let plain = serde_json::to_vec(inventory).map_err(|error| bad(&error))?;
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": place.name,
            "namespace": place.namespace,
            "labels": {"app.kubernetes.io/managed-by": "quarterdeck", INVENTORY_LABEL: super::label_of(environment)},
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
            format!("{} objects are more than an inventory holds; split the environment", inventory.items.len());
        return Err(ApiProblem::new(Class::Invalid, doing, message));
    }
    object["binaryData"] = json!({COMPRESSED: BASE64.encode(packed)});
    Ok(object)
}

pub(super) fn decode(object: &Value) -> Result<Inventory, ApiProblem> {
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
    use crate::inventory::place_of;

    fn inventory_of(objects: usize) -> Inventory {
        let item = |n| InventoryItem {
            resource: ResourceRef::new("apps", "Deployment", Some("a-namespace"), &format!("deployment-{n}")),
            version: "v1".to_owned(),
        };
        Inventory { items: (0..objects).map(item).collect() }
    }

    #[test]
    fn an_inventory_is_read_as_it_was_written() {
        let shop = "shop";
        let place = place_of(shop, "prod");
        assert_eq!(place.to_string(), "/ConfigMap/prod/quarterdeck-shop");
        for (objects, form) in [(0, "data"), (4, "data"), (2_400, "data"), (40_000, "binaryData")] {
            let inventory = inventory_of(objects);
            let object = encode(shop, &place, &inventory).unwrap();
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

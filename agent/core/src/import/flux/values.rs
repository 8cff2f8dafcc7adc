//! The values of a release: those of ConfigMaps that are among the objects, and its own over them.

use serde_json::{Map, Value};

use super::super::Document;
use super::super::fields::Fields;
use crate::yaml;

/// Reads all of them, in the order in which Flux merges them. What is not among the objects is told.
pub(super) fn read(fields: &mut Fields<'_>, document: &Document, documents: &[Document]) -> Map<String, Value> {
    let mut values = Map::new();
    for source in fields.list("spec.valuesFrom") {
        let text = |key: &str| source[key].as_str().unwrap_or_default();
        let name = format!("{} {}", text("kind"), text("name"));
        match of_config_map(&source, document, documents) {
            Ok(more) => {
                fields.otherwise("spec.valuesFrom", format!("the values in {name} are copied into helm.values"));
                merge(&mut values, more);
            }
            Err(why) => {
                fields.not(
                    "spec.valuesFrom",
                    format!("{name}: {why}: write its values into helm.values, or into a values file"),
                );
            }
        }
    }
    merge(&mut values, fields.map("spec.values"));
    values
}

/// What a ConfigMap says; else why not.
fn of_config_map(
    source: &Value,
    document: &Document,
    documents: &[Document],
) -> Result<Map<String, Value>, &'static str> {
    if source["kind"] != "ConfigMap" {
        return Err("values in a Secret are not read");
    }
    if source["targetPath"].is_string() {
        return Err("a value for one path is not read");
    }
    let metadata = |object: &Value, key: &str| object["metadata"][key].as_str().map(str::to_owned);
    let is_it = |object: &&Value| {
        object["kind"] == "ConfigMap"
            && metadata(object, "name").as_deref() == source["name"].as_str()
            && metadata(object, "namespace") == metadata(&document.object, "namespace")
    };
    let found = documents.iter().map(|document| &document.object).find(is_it).ok_or("it is not among the objects")?;
    let key = source["valuesKey"].as_str().unwrap_or("values.yaml");
    let text = found["data"][key].as_str().ok_or("it does not have this key")?;
    let mut read = yaml::parse(text.as_bytes()).map_err(|_| "it is not valid YAML")?;
    match (read.pop().map(|document| document.value), read.is_empty()) {
        (Some(Value::Object(values)), true) => Ok(values),
        (None | Some(Value::Null), true) => Ok(Map::new()),
        _ => Err("it is not a map of values"),
    }
}

/// Puts values over others: maps key by key, all else as a whole.
fn merge(into: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(below)), Value::Object(more)) => merge(below, more),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

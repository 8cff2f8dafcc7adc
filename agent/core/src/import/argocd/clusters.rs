//! The clusters of Argo CD, as its Secrets name them, for the generator of that name.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use super::super::Document;
use super::expand::with_values;
use crate::generate::functions::dns;

/// On each Secret that is a cluster of Argo CD.
pub const SECRET_TYPE: &str = "argocd.argoproj.io/secret-type";

/// The parameters of each cluster that the generator selects. The cluster that Argo CD runs in is one without a Secret, which no
/// selector finds.
///
/// # Errors
/// Where no cluster is among the objects, and one is to be selected; or what of the selector is not read.
pub(super) fn generate(
    generator: &Value,
    documents: &[Document],
    is_go: bool,
) -> Result<Vec<Map<String, Value>>, String> {
    let secrets = documents.iter().map(|document| &document.object).filter(|object| is_cluster(object));
    let all: Vec<&Value> = secrets.collect();
    if all.is_empty() {
        return Err(
            "the Secrets of the clusters are not among the objects: import with --context, or use a list".to_owned()
        );
    }
    let selector = &generator["selector"];
    let mut found = Vec::new();
    for secret in &all {
        if selects(selector, &secret["metadata"]["labels"])? {
            found.push(parameters(secret, generator, is_go));
        }
    }
    let is_all = selector.as_object().is_none_or(Map::is_empty);
    if is_all && !all.iter().any(|secret| text(secret, "server").is_some_and(|server| is_own(&server))) {
        let own = json!({ "stringData": { "name": "in-cluster", "server": "https://kubernetes.default.svc" } });
        found.push(parameters(&own, generator, is_go));
    }
    Ok(found)
}

/// The name of the cluster with this address; nothing of one without a Secret, or of the one that Argo CD runs in.
pub(super) fn name_of(server: &str, documents: &[Document]) -> Option<String> {
    let server = server.trim_end_matches('/');
    let secrets = documents.iter().map(|document| &document.object).filter(|object| is_cluster(object));
    let of = |secret: &&Value| text(secret, "server").is_some_and(|own| own.trim_end_matches('/') == server);
    secrets.filter(|_| !is_own(server)).find(of).map(name)
}

/// The name and the labels of each cluster that has a Secret.
pub(super) fn known(documents: &[Document]) -> Vec<(String, BTreeMap<String, String>)> {
    let secrets = documents.iter().map(|document| &document.object).filter(|object| is_cluster(object));
    let labels = |secret: &Value| {
        let all = secret["metadata"]["labels"].as_object().into_iter().flatten();
        all.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    };
    secrets.map(|secret| (name(secret), labels(secret))).collect()
}

fn name(secret: &Value) -> String {
    text(secret, "name").or_else(|| secret["metadata"]["name"].as_str().map(str::to_owned)).unwrap_or_default()
}

fn is_cluster(object: &Value) -> bool {
    object["kind"] == "Secret" && object["metadata"]["labels"][SECRET_TYPE] == "cluster"
}

fn is_own(server: &str) -> bool {
    server.trim_end_matches('/') == "https://kubernetes.default.svc"
}

/// A value of a Secret, as the API or as a person writes it.
fn text(secret: &Value, key: &str) -> Option<String> {
    if let Some(plain) = secret["stringData"][key].as_str() {
        return Some(plain.to_owned());
    }
    let bytes = BASE64.decode(secret["data"][key].as_str()?).ok()?;
    String::from_utf8(bytes).ok()
}

fn parameters(secret: &Value, generator: &Value, is_go: bool) -> Map<String, Value> {
    let name = name(secret);
    let mut parameters = Map::new();
    parameters.insert("nameNormalized".to_owned(), dns(&name).into());
    parameters.insert("name".to_owned(), name.into());
    parameters.insert("server".to_owned(), text(secret, "server").unwrap_or_default().into());
    let metadata = &secret["metadata"];
    if is_go {
        let of = |field: &str| if metadata[field].is_object() { metadata[field].clone() } else { json!({}) };
        parameters.insert("metadata".to_owned(), json!({ "labels": of("labels"), "annotations": of("annotations") }));
        return with_values(parameters, &generator["values"], is_go);
    }
    for field in ["labels", "annotations"] {
        for (key, value) in metadata[field].as_object().into_iter().flatten() {
            parameters.insert(format!("metadata.{field}.{key}"), value.clone());
        }
    }
    with_values(parameters, &generator["values"], is_go)
}

/// Whether a `metav1.LabelSelector` selects these labels; an empty one selects all.
fn selects(selector: &Value, labels: &Value) -> Result<bool, String> {
    let mut exact = selector["matchLabels"].as_object().into_iter().flatten();
    let mut is_selected = exact.all(|(key, value)| labels.get(key) == Some(value));
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let value = expression["key"].as_str().and_then(|key| labels.get(key));
        let is_listed =
            expression["values"].as_array().is_some_and(|all| value.is_some_and(|value| all.contains(value)));
        is_selected &= match expression["operator"].as_str().unwrap_or_default() {
            "In" => is_listed,
            "NotIn" => !is_listed,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            other => return Err(format!("operator {other} of a selector is not supported: use a list")),
        };
    }
    Ok(is_selected)
}

//! What a Kustomization of Flux writes into the kustomization of its folder, as the environment writes it.

use serde_json::{Map, Value};

use super::super::draft::{Environment, texts};
use super::super::fields::Fields;
use super::super::taken;
use super::super::{Around, known};

/// Reads it; a folder without a kustomization gets one, as there.
pub(super) fn read(fields: &mut Fields<'_>, around: &Around, environment: &mut Environment) {
    let may_miss = fields.flag("spec.ignoreMissingComponents") == Some(true);
    let components = fields.list("spec.components");
    let written = components.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let components = taken::components(fields, "spec.", written, may_miss, around, environment);
    let kustomize = &mut environment.kustomize;
    kustomize.components = components;
    kustomize.namespace = fields.text("spec.targetNamespace");
    kustomize.name_prefix = fields.text("spec.namePrefix");
    kustomize.name_suffix = fields.text("spec.nameSuffix");
    kustomize.labels = text_values(fields.map("spec.commonMetadata.labels"));
    kustomize.annotations = text_values(fields.map("spec.commonMetadata.annotations"));
    fields.take("spec.commonMetadata");
    kustomize.patches = entries(fields.list("spec.patches"));
    kustomize.images = entries(fields.list("spec.images"));
    let writes = !kustomize.writes_nothing();
    environment.kustomize.generate = match known::has_kustomization(around, environment) {
        Some(true) => false,
        Some(false) => writes || known::has_kustomizations_below(around, environment),
        // Where there is one it is built, whatever this says.
        None => writes,
    };
    taken::from_elsewhere(fields, "spec.path", around, environment);
}

/// Entries of a list, of which an empty one says nothing.
pub(super) fn entries(list: Vec<Value>) -> Vec<Map<String, Value>> {
    let entry = |entry| match entry {
        Value::Object(entry) => Some(texts(entry)).filter(|entry| !entry.is_empty()),
        _ => None,
    };
    list.into_iter().filter_map(entry).collect()
}

fn text_values(map: Map<String, Value>) -> Map<String, Value> {
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    map.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, text(value).into())).collect()
}

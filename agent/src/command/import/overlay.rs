//! What a Kustomization of Flux does to the objects of its folder before they are in the cluster: its components, patches, names,
//! images, namespace and variables. Applications are made of what comes out, and not of what the files say.

use std::path::{Component, Path};

use anyhow::Context as _;
use quarterdeck_core::import::{Document, Outcome, Place, Told, is_of_flux};
use quarterdeck_core::variables::{Variables, data_of};
use quarterdeck_shared::error::chain;
use serde_json::{Value, json};

use super::built::kustomized;
use crate::renderers::programs::Renderers;

/// Fields that are the same in a kustomization.
const SAME: [&str; 4] = ["namePrefix", "nameSuffix", "patches", "images"];

/// By which Kustomization.
pub(super) struct Asked<'a> {
    /// The object.
    pub(super) by: &'a Document,
    /// Its folder.
    pub(super) folder: &'a Path,
    /// Who builds kustomizations.
    pub(super) renderers: &'a Renderers,
}

/// Changes the objects of the folder; what could not be done is told. `known` are the objects that were read before.
///
/// # Errors
/// Where nothing can be written to the disk, or a kustomization cannot be built.
pub(super) fn apply(asked: &Asked<'_>, made: &mut Vec<Document>, known: &[Document]) -> anyhow::Result<Vec<Told>> {
    let spec = &asked.by.object["spec"];
    if let Some(kustomization) = kustomization(spec) {
        *made = asked.kustomized(made, kustomization)?;
    } else if let Some(namespace) = spec["targetNamespace"].as_str() {
        let of_flux = made.iter_mut().filter(|document| is_of_flux(&document.object));
        of_flux.for_each(|document| document.object["metadata"]["namespace"] = Value::from(namespace));
    }
    Ok(asked.substituted(made, known))
}

/// The same as a kustomization; nothing where that would be empty but for the namespace.
fn kustomization(spec: &Value) -> Option<Value> {
    let is_said = |value: &Value| value.as_array().map_or(value.is_string(), |items| !items.is_empty());
    let mut kustomization = json!({ "resources": ["all.yaml"] });
    for key in SAME.iter().filter(|key| is_said(&spec[**key])) {
        kustomization[*key] = spec[*key].clone();
    }
    let is_more = kustomization.as_object().is_some_and(|fields| fields.len() > 1) || is_said(&spec["components"]);
    if spec["targetNamespace"].is_string() {
        kustomization["namespace"] = spec["targetNamespace"].clone();
    }
    is_more.then_some(kustomization)
}

impl Asked<'_> {
    /// Builds a kustomization of the objects in a folder of its own.
    fn kustomized(&self, made: &[Document], mut kustomization: Value) -> anyhow::Result<Vec<Document>> {
        let scratch =
            tempfile::Builder::new().prefix("quarterdeck-import-").tempdir().context("cannot make a folder")?;
        let at = scratch.path().canonicalize().context("cannot make a folder")?;
        let spec = &self.by.object["spec"];
        let wants_all = spec["ignoreMissingComponents"] != true;
        let components = spec["components"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let components = components.map(|component| self.folder.join(component));
        let components = components.filter(|folder| wants_all || folder.is_dir());
        kustomization["components"] = components.map(|folder| Value::from(from(&at, &folder))).collect();
        // What is no object is no resource.
        let is_object = |object: &&Value| object["kind"].is_string() && object["metadata"]["name"].is_string();
        let objects = made.iter().map(|document| &document.object).filter(is_object);
        let text: String = objects.map(|object| format!("---\n{object}\n")).collect();
        std::fs::write(at.join("all.yaml"), text).context("cannot write objects")?;
        std::fs::write(at.join("kustomization.yaml"), kustomization.to_string()).context("cannot write objects")?;
        let file = self.folder.display().to_string();
        let place = made.first().map_or(Place { file, line: 0 }, |first| Place { line: 0, ..first.place.clone() });
        kustomized(self.renderers, &at, &format!("the objects of {}", self.name()))
            .map(|all| all.into_iter().map(|one| Document { place: place.clone(), ..one }).collect())
    }

    /// Puts the variables into the objects of Flux; others get them when they are deployed.
    fn substituted(&self, made: &mut [Document], known: &[Document]) -> Vec<Told> {
        let build = &self.by.object["spec"]["postBuild"];
        let own = build["substitute"].as_object().into_iter().flatten();
        let sources: Vec<&Value> = build["substituteFrom"].as_array().into_iter().flatten().collect();
        let found: Vec<Option<Value>> = sources.iter().map(|source| self.found(source, made, known)).collect();
        let is_missing = |(source, found): &(&&Value, &Option<Value>)| found.is_none() && source["optional"] != true;
        let missing: Vec<&&Value> = sources.iter().zip(&found).filter(is_missing).map(|(source, _)| source).collect();
        // As there, a variable that nothing sets is empty; but not where that may be set by what is not known here.
        let mut variables = Variables::new(!missing.is_empty());
        for object in found.iter().flatten() {
            data_of(object).iter().for_each(|(name, value)| variables.set(name, value, false));
        }
        let mut is_any = !sources.is_empty();
        for (name, value) in own {
            is_any = true;
            variables.set(name, &value.as_str().map_or_else(|| value.to_string(), str::to_owned), false);
        }
        let mut told = Vec::new();
        for document in made.iter_mut().filter(|document| is_any && is_of_flux(&document.object)) {
            match variables.substitute(document.object.clone()) {
                Ok(object) => document.object = object,
                Err(error) => {
                    let text = |pointer: &str| document.object.pointer(pointer).and_then(Value::as_str);
                    let (kind, name) = (text("/kind").unwrap_or_default(), text("/metadata/name").unwrap_or_default());
                    let why = format!("{}: {}", chain(&error), names(&missing));
                    told.push(self.told("spec.postBuild", format!("variables stay in {kind} {name}: {why}")));
                }
            }
        }
        told
    }

    /// A ConfigMap that variables are read of; a Secret in the repository is not asked for.
    fn found(&self, source: &Value, made: &[Document], known: &[Document]) -> Option<Value> {
        let namespace = &self.by.object["metadata"]["namespace"];
        let is_it = |object: &&Value| {
            let metadata = &object["metadata"];
            object["kind"] == "ConfigMap"
                && source["kind"] == "ConfigMap"
                && metadata["name"] == source["name"]
                && metadata["namespace"] == *namespace
        };
        made.iter().chain(known).map(|document| &document.object).find(is_it).cloned()
    }

    fn told(&self, field: &str, words: String) -> Told {
        let (place, field) = (self.by.place.clone(), field.to_owned());
        Told { place, object: self.name(), field, outcome: Outcome::Not, words }
    }

    fn name(&self) -> String {
        let text = |pointer: &str| self.by.object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        format!("Kustomization {}/{}", text("/metadata/namespace"), text("/metadata/name"))
    }
}

/// `Secret vars`, and so on.
fn names(sources: &[&&Value]) -> String {
    let text = |source: &Value, key: &str| source[key].as_str().unwrap_or_default().to_owned();
    let names: Vec<String> =
        sources.iter().map(|source| format!("{} {}", text(source, "kind"), text(source, "name"))).collect();
    if names.is_empty() { "no value".to_owned() } else { format!("{} may set it, and is not read", names.join(", ")) }
}

/// The way from one folder to another, as kustomize wants it: it takes no path that begins at the root.
fn from(folder: &Path, to: &Path) -> String {
    let up = folder.components().filter(|part| matches!(part, Component::Normal(_))).count();
    let down = to.strip_prefix("/").unwrap_or(to);
    format!("{}{}", "../".repeat(up), down.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_objects_is_a_kustomization() {
        let patches = json!([{ "patch": "spec: {}", "target": { "kind": "HelmRelease" } }]);
        for (spec, wanted) in [
            (json!({}), None),
            (json!({ "targetNamespace": "shop", "patches": [], "postBuild": { "substitute": {} } }), None),
            (
                json!({ "targetNamespace": "shop", "patches": patches }),
                Some(json!({ "resources": ["all.yaml"], "namespace": "shop", "patches": patches })),
            ),
            (json!({ "components": ["../c"] }), Some(json!({ "resources": ["all.yaml"] }))),
            (
                json!({ "namePrefix": "a-", "nameSuffix": "-b", "images": [{ "name": "a", "newTag": "1" }] }),
                Some(json!({
                    "resources": ["all.yaml"], "namePrefix": "a-", "nameSuffix": "-b", "images": [{ "name": "a", "newTag": "1" }],
                })),
            ),
        ] {
            assert_eq!(kustomization(&spec), wanted, "{spec}");
        }
    }

    #[test]
    fn a_way_leads_up_to_the_root_and_down_again() {
        assert_eq!(from(Path::new("/tmp/one"), Path::new("/fleet/apps/../c")), "../../fleet/apps/../c");
    }
}

//! From documents to manifests: what a document has to have to be an object, and the one form that every object is put
//! into, whichever renderer it comes from.
//!
//! Here an object gets its namespace and the label that says whose it is, and loses what is the server's to write. Pod
//! templates are not touched: a label there would restart every pod of an environment that is taken over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::resource::ResourceRef;
use serde_json::{Map, Value};

use crate::hooks::{DeletePolicy, Hook, Moment};
use crate::render::injected;
use crate::render::scope::{self, Scope};
use crate::render::{RenderError, Request};
use crate::sops::is_sealed;
use crate::sync::content::Content;
use crate::sync::manifest::{Manifest, defined};
use crate::sync::{APPLICATION_LABEL, ENVIRONMENT_LABEL, order};
use crate::variables::Variables;

/// An object as a renderer found it: lists are taken apart, and it has an API version, a kind and a name.
#[derive(Debug, Clone)]
pub(super) struct Found {
    object: Content,
    origin: String,
    group: String,
    version: String,
    kind: String,
    name: String,
    defines: Option<Definition>,
}

/// What is to be known of the kind that an object defines, before the cluster does.
#[derive(Debug, Clone)]
struct Definition {
    /// Group and kind.
    of: (String, String),
    scope: Scope,
    has_status: bool,
}

/// Takes a document apart into the objects that it holds.
pub(super) fn find(document: Value, origin: &str, found: &mut Vec<Found>) -> Result<(), RenderError> {
    let wrong = |problem: String| RenderError::Object { origin: origin.to_owned(), problem };
    let Value::Object(mut object) = document else {
        return Err(wrong(format!("it is {} and no Kubernetes object", a(&document))));
    };
    let api_version = text(&object, "apiVersion").map_err(wrong)?;
    let kind = text(&object, "kind").map_err(wrong)?;
    if let Some(items) = list_items(&mut object, &kind) {
        for (i, item) in items.into_iter().enumerate() {
            let item = inherit(item, &api_version, &kind);
            find(item, &format!("{origin}, item {}", i + 1), found)?;
        }
        return Ok(());
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    if version.is_empty() || version.contains('/') || (group.is_empty() && api_version.contains('/')) {
        return Err(wrong(format!("its apiVersion {api_version:?} is neither VERSION nor GROUP/VERSION")));
    }
    let name = name(&object).map_err(wrong)?;
    if object.get("sops").is_some_and(|sops| sops.get("mac").is_some()) || object.values().any(holds_sealed) {
        return Err(RenderError::Encrypted { origin: origin.to_owned() });
    }
    let (group, version, object) = (group.to_owned(), version.to_owned(), Value::Object(object));
    let defines = definition(&group, &kind, &object);
    found.push(Found { object: object.into(), origin: origin.to_owned(), group, version, kind, name, defines });
    Ok(())
}

/// Whether a value is still as SOPS wrote it: files are decrypted before, so this one was written by a template, or is no file
/// of SOPS.
fn holds_sealed(value: &Value) -> bool {
    match value {
        Value::String(text) => is_sealed(text),
        Value::Array(items) => items.iter().any(holds_sealed),
        Value::Object(fields) => fields.values().any(holds_sealed),
        _ => false,
    }
}

impl Found {
    /// The same object with the values of variables in it.
    pub(super) fn substituted(self, variables: &Variables) -> Result<Self, RenderError> {
        let Self { object, origin, kind, name, .. } = self;
        let failed =
            |source| RenderError::Variable { origin: origin.clone(), object: format!("{kind}/{name}"), source };
        let object = variables.substitute(object.into_value()).map_err(failed)?;
        let mut found = Vec::with_capacity(1);
        find(object, &origin, &mut found)?;
        let problem = "its variables make it a list of objects".to_owned();
        found.pop().ok_or(RenderError::Object { origin, problem })
    }
}

/// When a hook runs, and what becomes of its object.
#[derive(Debug, Clone)]
pub(super) struct Runs {
    pub(super) moments: Vec<Moment>,
    pub(super) weight: i64,
    pub(super) deleted: DeletePolicy,
    pub(super) timeout: Duration,
}

/// Manifests, hooks, and those that only a person runs.
pub(super) type Ordered = (Vec<Manifest>, Vec<Hook>, Vec<Hook>);

/// Makes manifests of what was found, in the order in which they are applied, hooks, and those that only a person runs: what is
/// wrong with one of these is in the way of nothing else, and noted.
pub(super) fn manifests(
    found: Vec<Found>,
    hooks: Vec<(Found, Runs)>,
    on_demand: Vec<Result<(Found, Runs), RenderError>>,
    notes: &mut Vec<String>,
    request: &Request<'_>,
) -> Result<Ordered, RenderError> {
    let defined: Defined = found
        .iter()
        .filter_map(|found| found.defines.as_ref())
        .map(|Definition { of, scope, has_status }| (of.clone(), (*scope, *has_status)))
        .collect();
    let mut manifests = Vec::with_capacity(found.len());
    let mut origins: BTreeMap<ResourceRef, Arc<str>> = BTreeMap::new();
    let twice = |manifest: &Manifest, first: Arc<str>| {
        let (resource, second) = (Box::new(manifest.resource.clone()), manifest.origin.clone());
        RenderError::Twice { resource, first, second }
    };
    for found in found {
        let manifest = manifest(found, &defined, Some(request.environment), request)?;
        if let Some(first) = origins.insert(manifest.resource.clone(), manifest.origin.clone()) {
            return Err(twice(&manifest, first));
        }
        manifests.push(manifest);
    }
    order::sort(&mut manifests);
    let hook = |(found, Runs { moments, weight, deleted, timeout }): (Found, Runs)| {
        let manifest = manifest(found, &defined, None, request)?;
        match origins.get(&manifest.resource) {
            Some(first) => Err(twice(&manifest, first.clone())),
            None => Ok(Hook { manifest, moments, weight, deleted, timeout }),
        }
    };
    let hooks = hooks.into_iter().map(hook).collect::<Result<_, _>>()?;
    let mut kept = Vec::with_capacity(on_demand.len());
    for one in on_demand {
        match one.and_then(hook) {
            Ok(one) => kept.push(one),
            Err(error) => notes.push(format!("left out, as no sync runs it: {error}")),
        }
    }
    Ok((manifests, hooks, kept))
}

/// The scope of kinds that come with these objects, and whether they tell a status apart, by group and kind.
type Defined = BTreeMap<(String, String), (Scope, bool)>;

/// The manifest of an object, labelled as one of this environment.
fn manifest(
    found: Found,
    defined: &Defined,
    of: Option<&EnvironmentId>,
    request: &Request<'_>,
) -> Result<Manifest, RenderError> {
    let key = (found.group.clone(), found.kind.clone());
    let scope = (request.scope)(&key.0, &key.1).or_else(|| defined.get(&key).map(|(scope, _)| *scope));
    let Some(scope) = scope else {
        let api_version = found.object.head()["apiVersion"].as_str().unwrap_or_default().to_owned();
        return Err(RenderError::UnknownKind { origin: found.origin, api_version, kind: found.kind });
    };
    // A custom kind may have a field that is called so.
    let has_status =
        (request.has_status)(&key.0, &key.1).or_else(|| defined.get(&key).map(|(_, has_status)| *has_status));
    let status_is_field = has_status == Some(false) && scope::builtin(&key.0, &key.1).is_none();
    let Found { object, origin, group, version, kind, name, defines: _ } = found;
    let wrong = |problem: String| RenderError::Object { origin: origin.clone(), problem };
    let mut value = object.into_value();
    let object = value.as_object_mut().expect("find() saw a name in it");
    if !status_is_field {
        object.remove("status");
    }
    drop_what_servers_write(object);
    let metadata = object["metadata"].as_object_mut().expect("find() saw a name in it");
    let namespace = match scope {
        Scope::Namespaced => Some(namespace(metadata, request.namespace).map_err(wrong)?),
        Scope::Cluster => None,
    };
    match &namespace {
        Some(namespace) => metadata.insert("namespace".to_owned(), namespace.as_str().into()),
        None => metadata.remove("namespace"),
    };
    for words in ["labels", "annotations"] {
        only_text(metadata, words).map_err(wrong)?;
    }
    if let Some(environment) = of {
        label(metadata, environment);
    }
    injected::drop_what_controllers_fill_in(object, &group, &kind);
    if group.is_empty() && kind == "Secret" {
        encode_string_data(object).map_err(wrong)?;
    }
    Ok(Manifest::new(ResourceRef { group, kind, namespace, name }, version, value, origin.into()))
}

/// What an object of this group and kind defines; whether its status is a subresource, in any of its versions.
fn definition(group: &str, kind: &str, object: &Value) -> Option<Definition> {
    let of = defined(group, kind, object)?;
    let spec = &object["spec"];
    let scope = if spec["scope"] == "Cluster" { Scope::Cluster } else { Scope::Namespaced };
    let mut versions = spec["versions"].as_array().into_iter().flatten();
    let has_status = versions.any(|version| version.pointer("/subresources/status").is_some());
    Some(Definition { of, scope, has_status })
}

/// The kinds that manifests define, as [`Request::scope`] and [`Request::has_status`] would say it: group, kind, scope, status.
pub fn definitions(manifests: &[Manifest]) -> impl Iterator<Item = (String, String, Scope, bool)> {
    let defining = manifests.iter().filter(|manifest| manifest.defines.is_some());
    defining.filter_map(|manifest| {
        let ResourceRef { group, kind, .. } = &manifest.resource;
        let Definition { of, scope, has_status } = definition(group, kind, &manifest.object.value())?;
        Some((of.0, of.1, scope, has_status))
    })
}

/// What the API server writes, and what an export of a live object therefore holds. Sent back, these are a conflict (resourceVersion,
/// uid) or refused (managedFields); a status is ignored where it is a subresource, and is dropped before.
fn drop_what_servers_write(object: &mut Map<String, Value>) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    for field in ["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"] {
        metadata.remove(field);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

fn namespace(metadata: &Map<String, Value>, default: &str) -> Result<String, String> {
    match metadata.get("namespace") {
        None | Some(Value::Null) => Ok(default.to_owned()),
        Some(Value::String(namespace)) if namespace.is_empty() => Ok(default.to_owned()),
        Some(Value::String(namespace)) => path_segment("metadata.namespace", namespace),
        Some(other) => Err(format!("its metadata.namespace is {}: put it in quotes", a(other))),
    }
}

fn label(metadata: &mut Map<String, Value>, environment: &EnvironmentId) {
    let labels = metadata.entry("labels").or_insert_with(|| Value::Object(Map::new()));
    if labels.is_null() {
        *labels = Value::Object(Map::new());
    }
    if let Some(labels) = labels.as_object_mut() {
        labels.insert(APPLICATION_LABEL.to_owned(), environment.application.as_str().into());
        labels.insert(ENVIRONMENT_LABEL.to_owned(), environment.environment.as_str().into());
    }
}

/// Labels and annotations are text; `on: 1` and `on: "1"` are easily mistaken for each other.
fn only_text(metadata: &Map<String, Value>, words: &str) -> Result<(), String> {
    match metadata.get(words) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(entries)) => match entries.iter().find(|(_, value)| !value.is_string()) {
            Some((key, value)) => {
                Err(format!("the value of {key:?} in its metadata.{words} is {}: put it in quotes", a(value)))
            }
            None => Ok(()),
        },
        Some(other) => Err(format!("its metadata.{words} is {}, not a mapping", a(other))),
    }
}

/// `stringData` is a way of writing that the server turns into `data` and forgets: left in, a key that goes from it
/// would stay in the cluster.
fn encode_string_data(object: &mut Map<String, Value>) -> Result<(), String> {
    let entries = match object.remove("stringData") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(entries)) => entries,
        Some(other) => return Err(format!("its stringData is {}, not a mapping", a(&other))),
    };
    let data = object.entry("data").or_insert_with(|| Value::Object(Map::new()));
    if data.is_null() {
        *data = Value::Object(Map::new());
    }
    let Some(data) = data.as_object_mut() else { return Err("its data is not a mapping".to_owned()) };
    for (key, value) in entries {
        let Value::String(text) = value else {
            return Err(format!("the value of {key:?} in its stringData is {}: put it in quotes", a(&value)));
        };
        data.insert(key, base64::engine::general_purpose::STANDARD.encode(text).into());
    }
    Ok(())
}

/// The items of a list: `List`, or `ConfigMapList` as `kubectl get` writes it.
pub fn list_items(object: &mut Map<String, Value>, kind: &str) -> Option<Vec<Value>> {
    if !kind.ends_with("List") {
        return None;
    }
    match object.get_mut("items") {
        Some(Value::Array(items)) => Some(std::mem::take(items)),
        Some(Value::Null) => Some(Vec::new()),
        _ => None,
    }
}

/// An item of a `ConfigMapList` may leave out what the list says already.
pub fn inherit(mut item: Value, api_version: &str, list_kind: &str) -> Value {
    let kind = list_kind.strip_suffix("List").unwrap_or_default();
    if let (Some(object), false) = (item.as_object_mut(), kind.is_empty()) {
        object.entry("apiVersion").or_insert_with(|| api_version.into());
        object.entry("kind").or_insert_with(|| kind.into());
    }
    item
}

fn name(object: &Map<String, Value>) -> Result<String, String> {
    let metadata = match object.get("metadata") {
        Some(Value::Object(metadata)) => metadata,
        Some(other) if !other.is_null() => return Err(format!("its metadata is {}, not a mapping", a(other))),
        _ => return Err("it has no metadata.name".to_owned()),
    };
    match metadata.get("name") {
        Some(Value::String(name)) if !name.is_empty() => path_segment("metadata.name", name),
        Some(Value::String(_) | Value::Null) | None if metadata.contains_key("generateName") => {
            Err("it has a generateName and no name: every sync would make another one; give it a name".to_owned())
        }
        Some(Value::String(_) | Value::Null) | None => Err("it has no metadata.name".to_owned()),
        Some(other) => Err(format!("its metadata.name is {}: put it in quotes", a(other))),
    }
}

/// Names become part of the path of a request, so what would lead elsewhere is refused (as the API server does).
fn path_segment(field: &str, name: &str) -> Result<String, String> {
    let leads_elsewhere = matches!(name, "." | "..") || name.contains(['/', '%']) || name.chars().any(char::is_control);
    if leads_elsewhere { Err(format!("its {field} cannot be {name:?}")) } else { Ok(name.to_owned()) }
}

/// A field that has to be text, or why it is not; a name in other case is a common slip.
fn text(object: &Map<String, Value>, field: &str) -> Result<String, String> {
    match object.get(field) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(Value::String(_) | Value::Null) => Err(format!("its {field} is empty")),
        Some(other) => Err(format!("its {field} is {}, not text", a(other))),
        None => match object.keys().find(|key| key.eq_ignore_ascii_case(field)) {
            Some(slip) => Err(format!("it has no {field}; it has {slip}, which has to be written {field}")),
            None => Err(format!("it has no {field}: a Kubernetes object has apiVersion, kind and metadata.name")),
        },
    }
}

fn a(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

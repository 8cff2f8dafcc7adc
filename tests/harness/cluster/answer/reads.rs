//! Get and list.

use std::sync::Arc;

use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{About, Ask, json_response};
use crate::cluster::Shared;
use crate::cluster::failure::Failure;
use crate::cluster::select::Selector;
use crate::cluster::store::{Key, number, text};

impl About {
    /// Where the object is.
    pub(super) fn key(&self) -> Key {
        Key::new(&self.kind.qualified(), &self.target.namespace, &self.target.name)
    }

    /// Which objects a list or watch is about. A name in the path is a selector too.
    pub(super) fn selector(&self, ask: &Ask) -> Result<Selector, Failure> {
        let name = &self.target.name;
        let fields = match (ask.query.get("fieldSelector"), name.is_empty()) {
            (fields, true) => fields.to_owned(),
            ("", false) => format!("metadata.name={name}"),
            (fields, false) => format!("{fields},metadata.name={name}"),
        };
        Selector::parse(&self.kind, ask.query.get("labelSelector"), &fields)
    }
}

pub(super) fn get(shared: &Shared, about: &About, ask: &Ask) -> Result<Response, Failure> {
    let object = {
        let world = shared.world();
        too_large(ask, world.state.revision())?;
        world.state.get(&about.key()).cloned()
    };
    let object = object.ok_or_else(|| Failure::not_found(&about.kind, &about.target.name))?;
    Ok(json_response(200, &ask.view().show(&about.kind, &object)))
}

/// Where a list goes on: the revision of its first page, and the last object that was given.
struct Continue {
    revision: u64,
    after: (String, String),
}

impl Continue {
    fn decode(token: &str) -> Option<Continue> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let value: Value = serde_json::from_slice(&bytes).ok()?;
        let after = (text(&value, "/namespace").to_owned(), text(&value, "/name").to_owned());
        Some(Continue { revision: value["revision"].as_u64()?, after })
    }

    fn encode(&self) -> String {
        let (namespace, name) = &self.after;
        let value = json!({"revision": self.revision, "namespace": namespace, "name": name});
        URL_SAFE_NO_PAD.encode(value.to_string())
    }
}

pub(super) fn list(shared: &Shared, about: &About, ask: &Ask) -> Result<Response, Failure> {
    let selector = about.selector(ask)?;
    let limit = match (ask.query.get("limit"), ask.query.number("limit")) {
        ("", _) | (_, Some(0)) => usize::MAX,
        (_, Some(limit)) => usize::try_from(limit).unwrap_or(usize::MAX),
        (text, None) => {
            return Err(Failure::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")));
        }
    };
    let token = ask.query.get("continue");
    let from = if token.is_empty() {
        None
    } else {
        let bad = || Failure::bad_request("continue key is not valid: it was not given by this server");
        Some(Continue::decode(token).ok_or_else(bad)?)
    };
    let (objects, revision, more) = {
        let world = shared.world();
        let state = &world.state;
        let table = state.table(&about.kind.qualified()).ok_or_else(Failure::no_such_path)?;
        too_large(ask, state.revision())?;
        let revision = from.as_ref().map_or(state.revision(), |from| from.revision);
        if from.is_some() && table.since(revision, 0).is_none() {
            return Err(Failure::expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.",
            ));
        }
        let after = |object: &&Arc<Value>| {
            from.as_ref().is_none_or(|from| {
                let key = Key::of("", object);
                (key.namespace, key.name) > from.after
            })
        };
        let mut all = table.within(&about.target.namespace).filter(after).filter(|object| selector.matches(object));
        let objects: Vec<Arc<Value>> = all.by_ref().take(limit).cloned().collect();
        (objects, revision, all.count())
    };
    let view = ask.view();
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if let (Some(last), true) = (objects.last(), more > 0) {
        let key = Key::of("", last);
        metadata["continue"] = json!(Continue { revision, after: (key.namespace, key.name) }.encode());
        metadata["remainingItemCount"] = json!(more);
    }
    let items = objects.iter().map(|object| view.show_item(&about.kind, object)).collect();
    Ok(json_response(200, &view.list(&about.kind, items, metadata)))
}

/// A client that knows more than we do has to wait for us.
pub(super) fn too_large(ask: &Ask, revision: u64) -> Result<(), Failure> {
    let Some(wanted) = ask.query.number("resourceVersion").filter(|wanted| *wanted as u64 > revision) else {
        return Ok(());
    };
    let message = format!("Timeout: Too large resource version: {wanted}, current: {revision}");
    let causes = json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]);
    let details = Some(json!({"causes": causes, "retryAfterSeconds": 1}));
    Err(Failure { code: 504, reason: "Timeout", message, details })
}

/// The `scale` of a workload.
pub(super) fn scale(shared: &Shared, about: &About) -> Result<Response, Failure> {
    let object = shared.world().state.get(&about.key()).cloned();
    let object = object.ok_or_else(|| Failure::not_found(&about.kind, &about.target.name))?;
    Ok(json_response(200, &scale_of(&object)))
}

/// A workload seen as a `Scale`.
pub(super) fn scale_of(object: &Value) -> Value {
    let labels = object.pointer("/spec/selector/matchLabels").and_then(Value::as_object).into_iter().flatten();
    let selector: Vec<String> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    let mut metadata = json!({});
    for name in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        metadata[name] = object["metadata"][name].clone();
    }
    let replicas = number(object, "/spec/replicas").filter(|replicas| *replicas != 0);
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": replicas.map_or(json!({}), |replicas| json!({ "replicas": replicas })),
        "status": {"replicas": number(object, "/status/replicas").unwrap_or(0), "selector": selector.join(",")},
    })
}

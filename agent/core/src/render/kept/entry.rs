//! A render in the form in which it is kept: what it depended on, and what came of it. JSON, of which the second half is read
//! where the first one fits.

use std::sync::Arc;
use std::time::Duration;

use quarterdeck_shared::resource::ResourceRef;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Failed;
use super::depends::Depends;
use crate::hooks::{DeletePolicy, Hook, Moment};
use crate::render::{RenderError, Rendered};
use crate::sync::confidential::Confidential;
use crate::sync::manifest::Manifest;

/// An entry as it is read.
#[derive(Deserialize)]
pub struct Entry<'a> {
    /// What it depended on.
    pub depends: Depends,
    #[serde(borrow)]
    outcome: &'a RawValue,
}

#[derive(Serialize)]
struct Written<'a> {
    depends: &'a Depends,
    outcome: &'a Outcome,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Rendered(Box<Whole>),
    UnknownKind { origin: String, api_version: String, kind: String },
    Failed(Failed),
}

#[derive(Serialize, Deserialize)]
struct Whole {
    manifests: Vec<Object>,
    hooks: Vec<HookObject>,
    /// Absent of renders that were kept before these were.
    #[serde(default)]
    on_demand: Vec<HookObject>,
    notes: Vec<String>,
    inputs: Vec<String>,
    asks_capabilities: bool,
    confidential: Option<Values>,
}

#[derive(Serialize, Deserialize)]
struct Object {
    resource: ResourceRef,
    version: String,
    origin: String,
    object: Box<RawValue>,
}

#[derive(Serialize, Deserialize)]
struct HookObject {
    moments: Vec<String>,
    weight: i64,
    /// Before creation, succeeded, failed.
    deleted: [bool; 3],
    timeout: Duration,
    object: Object,
}

/// What is shown of no object, and what is in no message.
#[derive(Serialize, Deserialize)]
struct Values {
    values: Vec<String>,
    quoted: Vec<String>,
}

/// Writes what came of a render; nothing where it cannot be read back the same.
pub fn write(depends: &Depends, outcome: Result<&Rendered, &RenderError>) -> Option<Vec<u8>> {
    let outcome = match outcome {
        Ok(rendered) => Outcome::Rendered(Box::new(whole(rendered)?)),
        Err(RenderError::UnknownKind { origin, api_version, kind }) => {
            let (origin, api_version, kind) = (origin.clone(), api_version.clone(), kind.clone());
            Outcome::UnknownKind { origin, api_version, kind }
        }
        Err(error) => Outcome::Failed(Failed::of(error)),
    };
    serde_json::to_vec(&Written { depends, outcome: &outcome }).ok()
}

/// Reads an entry.
///
/// # Errors
/// Where it is none.
pub fn read(bytes: &[u8]) -> Result<Entry<'_>, serde_json::Error> {
    serde_json::from_slice(bytes)
}

impl Entry<'_> {
    /// What came of it. What `before` hides is hidden in it as well: it may be live still.
    ///
    /// # Errors
    /// Where the entry says nothing that is understood.
    pub fn outcome(&self, before: Option<&Confidential>) -> Result<Result<Rendered, RenderError>, serde_json::Error> {
        Ok(match serde_json::from_str(self.outcome.get())? {
            Outcome::Rendered(whole) => Ok(rendered(*whole, before)?),
            Outcome::UnknownKind { origin, api_version, kind } => {
                Err(RenderError::UnknownKind { origin, api_version, kind })
            }
            Outcome::Failed(failed) => Err(RenderError::Again(Box::new(failed))),
        })
    }
}

fn whole(rendered: &Rendered) -> Option<Whole> {
    let Rendered { manifests, hooks, on_demand, notes, inputs, asks_capabilities } = rendered;
    let confidential = rendered.all().find_map(|manifest| manifest.confidential.as_ref()).map(|confidential| {
        let (values, quoted) = confidential.all();
        Values { values: values.map(str::to_owned).collect(), quoted: quoted.map(str::to_owned).collect() }
    });
    Some(Whole {
        manifests: manifests.iter().map(object).collect::<Option<_>>()?,
        hooks: hooks.iter().map(hook).collect::<Option<_>>()?,
        on_demand: on_demand.iter().map(hook).collect::<Option<_>>()?,
        notes: notes.clone(),
        inputs: inputs.clone(),
        asks_capabilities: *asks_capabilities,
        confidential,
    })
}

fn object(manifest: &Manifest) -> Option<Object> {
    // The digest and what it defines follow from the object.
    let Manifest { resource, version, object, origin, digest: _, defines: _, confidential: _ } = manifest;
    let json = String::from_utf8(object.json().into_owned()).ok().filter(|_| object.is_flat())?;
    let object = RawValue::from_string(json).ok()?;
    Some(Object { resource: resource.clone(), version: version.clone(), origin: origin.to_string(), object })
}

fn hook(hook: &Hook) -> Option<HookObject> {
    let Hook { manifest, moments, weight, deleted, timeout } = hook;
    let DeletePolicy { before_creation, succeeded, failed } = *deleted;
    Some(HookObject {
        moments: moments.iter().map(|moment| moment.name().to_owned()).collect(),
        weight: *weight,
        deleted: [before_creation, succeeded, failed],
        timeout: *timeout,
        object: object(manifest)?,
    })
}

fn rendered(whole: Whole, before: Option<&Confidential>) -> Result<Rendered, serde_json::Error> {
    let Whole { manifests, hooks, on_demand, notes, inputs, asks_capabilities, confidential } = whole;
    let manifests = manifests.into_iter().map(manifest).collect::<Result<_, _>>()?;
    let hook = |HookObject { moments, weight, deleted, timeout, object }| {
        let [before_creation, succeeded, failed] = deleted;
        let deleted = DeletePolicy { before_creation, succeeded, failed };
        let moments = moments.iter().filter_map(|name| Moment::named(name)).collect();
        Ok(Hook { manifest: manifest(object)?, moments, weight, deleted, timeout })
    };
    let all = |hooks: Vec<HookObject>| hooks.into_iter().map(hook).collect::<Result<_, serde_json::Error>>();
    let (hooks, on_demand) = (all(hooks)?, all(on_demand)?);
    let mut rendered = Rendered { manifests, hooks, on_demand, notes, inputs, asks_capabilities };
    let mut kept = before.map(Confidential::again).unwrap_or_default();
    if let Some(Values { values, quoted }) = confidential {
        values.iter().for_each(|value| kept.keep(value));
        quoted.iter().for_each(|value| kept.keep_in_messages(value));
    }
    if !kept.is_empty() {
        rendered.hide(&Arc::new(kept));
    }
    Ok(rendered)
}

fn manifest(Object { resource, version, origin, object }: Object) -> Result<Manifest, serde_json::Error> {
    Ok(Manifest::new(resource, version, serde_json::from_str(object.get())?, origin.into()))
}

//! How an object is written, whatever the verb: create, replace, patch, apply.
//!
//! ```text
//! POST          body ------------------------------+
//! PUT           body ----------------------------+ |
//! PATCH         live + patch --------------------+ |   normal form -> defaults -> managed fields -> assigned values
//! PATCH apply   live + applied -> merge, prune --+-+-> -> validation -> no change? -> generation -> store (or dry run)
//! ```
//!
//! The whole of it runs under the store's lock, so that reading, deciding and writing are one step.

mod apply;

mod checks;

mod commit;

pub use commit::released;

use std::sync::Arc;

use serde_json::{Value, json};

use self::checks::{check_type, complete, judge, matches_url, name_and_place};
use super::failure::{Failure, Problem};
use super::fields::apply::{Terms, update as note_update};
use super::fields::managed::{Managed, Manager};
use super::fields::set::{Element, fields};
use super::kinds::Kind;
use super::patch;
use super::schema::normal;
use super::store::{Key, State, text};

/// What a write is about and on which terms it is done.
#[derive(Debug, Clone)]
pub struct Write {
    /// The kind, in the version of the request.
    pub kind: Arc<Kind>,
    /// Where.
    pub key: Key,
    /// Only this part of the object.
    pub part: Part,
    /// The field manager.
    pub manager: String,
    /// Decide everything, write nothing.
    pub dry_run: bool,
    /// What happens to unknown fields.
    pub strictness: Strictness,
    /// Apply takes fields from other managers.
    pub force: bool,
    /// Now, RFC 3339 to the second.
    pub now: String,
}

/// The part of an object that an endpoint writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All but the status.
    Main,
    /// Only the status.
    Status,
    /// Only the number of replicas.
    Scale,
}

/// What happens to fields that a kind does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Dropped in silence.
    Ignore,
    /// Dropped, and told in a warning.
    #[default]
    Warn,
    /// Refused.
    Strict,
}

/// A patch by its content type.
#[derive(Debug)]
pub enum Patch {
    /// `application/apply-patch+yaml`
    Apply(Value),
    /// `application/merge-patch+json`
    Merge(Value),
    /// `application/json-patch+json`
    Json(Value),
    /// `application/strategic-merge-patch+json`
    Strategic(Value),
}

/// What came of a write.
#[derive(Debug)]
pub struct Written {
    /// The object as it is now, or would be.
    pub object: Arc<Value>,
    /// It was not there before.
    pub created: bool,
    /// What a person should know.
    pub warnings: Vec<String>,
}

impl Write {
    /// A write that the cluster does itself.
    pub fn internal(kind: Arc<Kind>, key: Key, part: Part, manager: &str, now: &str) -> Write {
        let (manager, now) = (manager.to_owned(), now.to_owned());
        Write { kind, key, part, manager, dry_run: false, strictness: Strictness::Ignore, force: true, now }
    }

    fn by(&self, applies: bool) -> Manager {
        let subresource = match self.part {
            Part::Main => "",
            Part::Status => "status",
            Part::Scale => "scale",
        };
        Manager {
            applies,
            name: if self.manager.is_empty() { "unknown".to_owned() } else { self.manager.clone() },
            api_version: self.kind.api_version(),
            subresource: subresource.to_owned(),
        }
    }

    /// What this endpoint does not let a writer own.
    fn ignored(&self) -> Vec<Vec<Element>> {
        match self.part {
            Part::Main if self.kind.status => vec![fields(&["status"])],
            Part::Main | Part::Scale => Vec::new(),
            // The status of a Deployment brings the annotation of its revision along, as on a real server.
            Part::Status if self.kind.is("Deployment") => vec![fields(&["spec"]), fields(&["metadata", "labels"])],
            Part::Status => vec![fields(&["spec"])],
        }
    }

    /// An object of the kind with nothing in it.
    fn empty(&self) -> Value {
        let mut empty = normal::empty(&self.kind.shape);
        empty["apiVersion"] = json!(self.kind.api_version());
        empty["kind"] = json!(self.kind.kind);
        empty
    }
}

/// POST.
///
/// # Errors
/// Whatever the API would refuse it for.
pub fn create(state: &mut State, write: &mut Write, mut body: Value) -> Result<Written, Failure> {
    check_type(&write.kind, &body)?;
    let findings = normal::normalise(&mut body, &write.kind.shape);
    let warnings = judge(&write.kind, write.strictness, findings)?;
    name_and_place(state, write, &mut body)?;
    commit::namespace_ready(state, &write.kind, &write.key)?;
    if !text(&body, "/metadata/resourceVersion").is_empty() {
        return Err(Failure::internal("resourceVersion should not be set on objects to be created"));
    }
    complete(&write.kind, &mut body)?;
    let empty = write.empty();
    let (manager, ignored) = (write.by(false), write.ignored());
    let terms = Terms { manager: &manager, shape: &write.kind.shape, ignored: &ignored, force: true, now: &write.now };
    let managed = note_update(&empty, &body, &Managed::default(), &terms);
    commit::create(state, write, body, &managed, warnings)
}

/// PUT.
///
/// # Errors
/// Whatever the API would refuse it for.
pub fn replace(state: &mut State, write: &Write, mut body: Value) -> Result<Written, Failure> {
    check_type(&write.kind, &body)?;
    // Some kinds are made by replacing what is not there.
    let makes =
        ["Service", "Endpoints", "Event", "LimitRange", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"];
    if makes.contains(&write.kind.kind.as_str()) && !write.kind.custom && state.get(&write.key).is_none() {
        matches_url(write, &body)?;
        return create(state, &mut write.clone(), body);
    }
    let live = live(state, write)?;
    let (uid, live_uid) = (text(&body, "/metadata/uid"), text(&live, "/metadata/uid"));
    if !uid.is_empty() && uid != live_uid {
        let Kind { group, plural, custom, .. } = &*write.kind;
        let place = if *custom { format!("{group}/{plural}") } else { plural.clone() };
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: /registry/{place}/{}/{}, ResourceVersion: 0, AdditionalErrorMsg: \
             Precondition failed: UID in precondition: {uid}, UID in object meta: {live_uid}",
            write.key.namespace, write.key.name
        );
        return Err(Failure::conflict(&write.kind, &write.key.name, &why));
    }
    let managed = commit::managed_before(&live, &body, write.part);
    let findings = normal::normalise(&mut body, &write.kind.shape);
    let warnings = judge(&write.kind, write.strictness, findings)?;
    matches_url(write, &body)?;
    let conditional = write.kind.custom || write.kind.is("PodDisruptionBudget");
    if conditional && text(&body, "/metadata/resourceVersion").is_empty() {
        let problem = Problem::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
        return Err(Failure::invalid_as(&write.kind.group, &write.kind.plural, &write.key.name, &[problem]));
    }
    update(state, write, &live, body, (managed, warnings))
}

/// PATCH.
///
/// # Errors
/// Whatever the API would refuse it for.
pub fn patch(state: &mut State, write: &Write, patch: Patch) -> Result<Written, Failure> {
    let patch = match patch {
        Patch::Apply(applied) => return apply::apply(state, write, applied),
        other => other,
    };
    let live = live(state, write)?;
    let mut object = (*live).clone();
    match &patch {
        Patch::Merge(changes) => patch::merge(&mut object, changes),
        Patch::Strategic(changes) => patch::strategic::merge(&mut object, changes, &write.kind.shape),
        Patch::Json(operations) => {
            object = patch::json::apply(&object, operations).map_err(|error| Failure {
                code: 422,
                reason: "Invalid",
                message: error.to_string(),
                details: Some(json!({})),
            })?;
        }
        Patch::Apply(_) => {}
    }
    let managed = commit::managed_before(&live, &object, write.part);
    let findings = normal::normalise(&mut object, &write.kind.shape);
    let warnings = match judge(&write.kind, write.strictness, findings) {
        Err(refused) if refused.message.contains("strict decoding error") => {
            let said = refused.message.split_once("strict decoding error").map_or("", |(_, said)| said);
            let shown = json!(object.to_string());
            let problem = Problem::invalid("patch", &shown, &format!("strict decoding error{said}"));
            return Err(Failure::invalid_as("", "", "", &[problem]));
        }
        other => other?,
    };
    matches_url(write, &object)?;
    update(state, write, &live, object, (managed, warnings))
}

/// A write by the cluster itself: `change` edits the object, which is then put through the same steps as any other. It
/// answers with the object as it is then, or nothing when there is none.
pub fn edit(
    state: &mut State,
    key: &Key,
    part: Part,
    manager: &str,
    now: &str,
    change: impl FnOnce(&mut Value),
) -> Option<Arc<Value>> {
    let kind = state.kind_of(&key.resource)?;
    let live = state.get(key).cloned()?;
    let mut object = (*live).clone();
    change(&mut object);
    let write = Write::internal(kind, key.clone(), part, manager, now);
    let managed = Managed::of(&live);
    normal::normalise(&mut object, &write.kind.shape);
    match update(state, &write, &live, object, (managed, Vec::new())) {
        Ok(written) => Some(written.object),
        Err(refused) => {
            tracing::warn!(?key, manager, %refused, "the stand-in cluster refused a write of its own");
            None
        }
    }
}

/// An object made by the cluster itself. Nothing happens when the name is taken or the namespace goes.
pub fn make(state: &mut State, resource: &str, namespace: &str, manager: &str, now: &str, body: Value) -> Option<Key> {
    let kind = state.kind_of(resource)?;
    let mut write = Write::internal(kind, Key::new(resource, namespace, ""), Part::Main, manager, now);
    match create(state, &mut write, body) {
        Ok(_) => Some(write.key),
        Err(refused) if [403, 404, 409].contains(&refused.code) => None,
        Err(refused) => {
            tracing::warn!(resource, namespace, %refused, "the stand-in cluster refused an object of its own");
            None
        }
    }
}

/// The common end of every update but apply.
fn update(
    state: &mut State,
    write: &Write,
    live: &Arc<Value>,
    mut object: Value,
    (managed, warnings): (Managed, Vec<String>),
) -> Result<Written, Failure> {
    if write.part == Part::Status {
        object = commit::seen(live, object);
        normal::normalise(&mut object, &write.kind.shape);
    }
    complete(&write.kind, &mut object)?;
    let mut base = (**live).clone();
    commit::take_managed(&mut base);
    commit::take_managed(&mut object);
    let (manager, ignored) = (write.by(false), write.ignored());
    let terms = Terms { manager: &manager, shape: &write.kind.shape, ignored: &ignored, force: true, now: &write.now };
    // Who never applied is not tracked.
    let managed = if managed.0.is_empty() { managed } else { note_update(&base, &object, &managed, &terms) };
    commit::update(state, write, live, object, &managed, warnings)
}

fn live(state: &State, write: &Write) -> Result<Arc<Value>, Failure> {
    state.get(&write.key).cloned().ok_or_else(|| Failure::not_found(&write.kind, &write.key.name))
}

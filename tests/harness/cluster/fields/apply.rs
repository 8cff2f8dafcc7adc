//! The flow of a write: what the object becomes, and who owns what afterwards.

use serde_json::{Value, json};

use super::managed::{Managed, Manager};
use super::merge::merge;
use super::remove::remove;
use super::set::{Element, FieldSet, fields};
use super::walk::{self, Comparison, Untyped, compare, cut, field_set};
use crate::cluster::schema::Shape;

/// Why an apply is refused.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ApplyError {
    /// The applied object is not of its kind's shape.
    #[error("{0}")]
    Untyped(Untyped),
    /// Other managers own fields that it would change.
    #[error("{}", conflict_message(.0))]
    Conflict(Vec<Conflict>),
}

/// One field that another manager owns.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// Who owns it.
    pub manager: Manager,
    /// Which: `.spec.replicas`.
    pub path: String,
}

/// What a write does besides its content.
#[derive(Debug)]
pub struct Terms<'a> {
    /// Who writes.
    pub manager: &'a Manager,
    /// The shape of the kind.
    pub shape: &'a Shape,
    /// Plain-field paths that this endpoint does not let the writer own.
    pub ignored: &'a [Vec<Element>],
    /// Take fields from other managers.
    pub force: bool,
    /// Now, RFC 3339 to the second.
    pub now: &'a str,
}

/// Applies `applied` to `live` (an empty object of the kind if there is none). Returns the object, not yet defaulted,
/// and its managers. `managed` are those of the live object.
///
/// # Errors
/// When the object does not fit its shape, or on a conflict without force.
pub fn apply(live: &Value, applied: &Value, managed: &Managed, terms: &Terms) -> Result<(Value, Managed), ApplyError> {
    let Terms { manager, shape, ignored, force, now } = terms;
    walk::check(applied, shape).map_err(ApplyError::Untyped)?;
    let mut managed = managed.clone();
    let merged = merge(live, applied, shape);
    let last = managed.get(manager).map(|entry| entry.fields.clone());
    let mut set = field_set(applied, shape);
    ignored.iter().for_each(|path| cut(&mut set, path));
    managed.set(manager, set);
    let new = match last {
        Some(last) => prune(merged, &managed, &last, shape),
        None => merged,
    };
    let comparison = compare(live, &new, shape).without(ignored);
    take(&mut managed, &comparison, Some(manager), *force).map_err(ApplyError::Conflict)?;
    strip(&mut managed, manager);
    if !walk::same(live, &new) {
        managed.touch(manager, now);
    }
    Ok((new, managed))
}

/// Notes a write by any other verb, which turned `live` into `new`.
pub fn update(live: &Value, new: &Value, managed: &Managed, terms: &Terms) -> Managed {
    let Terms { manager, shape, ignored, force: _, now } = terms;
    let mut managed = managed.clone();
    let comparison = compare(live, new, shape).without(ignored);
    let before = managed.get(manager).map(|entry| entry.fields.clone()).unwrap_or_default();
    // Nothing conflicts: force.
    let _ = take(&mut managed, &comparison, None, true);
    let changed = comparison.changed();
    if !strip_set(changed.clone()).is_empty() {
        managed.set(manager, strip_set(before.difference(&comparison.removed).union(&changed)));
        managed.touch(manager, now);
    }
    managed
}

/// Takes changed and removed fields from all managers but the one that writes.
fn take(
    managed: &mut Managed,
    comparison: &Comparison,
    writer: Option<&Manager>,
    force: bool,
) -> Result<(), Vec<Conflict>> {
    let changed = comparison.changed();
    let others = |entry: &&mut super::managed::Entry| writer != Some(&entry.manager);
    let mut conflicts = Vec::new();
    for entry in managed.0.iter_mut().filter(others) {
        let lost = entry.fields.intersection(&changed);
        conflicts.extend(lost.paths().into_iter().map(|path| Conflict { manager: entry.manager.clone(), path }));
        entry.fields = entry.fields.difference(&lost).difference(&comparison.removed);
    }
    if !force && !conflicts.is_empty() {
        return Err(conflicts);
    }
    managed.0.retain(|entry| !entry.fields.is_empty());
    Ok(())
}

/// Takes out what the applier named last time, names no longer, and nobody else owns.
fn prune(merged: Value, managed: &Managed, last: &FieldSet, shape: &Shape) -> Value {
    let named = |set: &FieldSet| set.with_named_fields(shape);
    let last = named(last);
    let pruned = remove(&merged, &last, shape);
    let everyone = managed.0.iter().fold(FieldSet::default(), |all, entry| all.union(&entry.fields));
    let all = named(&field_set(&merged, shape));
    let kept = named(&field_set(&pruned, shape)).union(&named(&everyone));
    let pruned = remove(&merged, &all.difference(&kept), shape);
    let kept = named(&field_set(&pruned, shape));
    remove(&merged, &all.difference(&kept).intersection(&last), shape)
}

fn strip(managed: &mut Managed, manager: &Manager) {
    if let Some(fields) = managed.get(manager).map(|entry| strip_set(entry.fields.clone())) {
        managed.set(manager, fields);
    }
}

/// What nobody owns: the identity of the object, and what the server writes.
fn strip_set(set: FieldSet) -> FieldSet {
    let meta = [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ];
    let mut unowned = FieldSet::default();
    unowned.insert(&fields(&["apiVersion"]));
    unowned.insert(&fields(&["kind"]));
    unowned.insert(&fields(&["metadata"]));
    meta.iter().for_each(|name| unowned.insert(&fields(&["metadata", name])));
    set.difference(&unowned)
}

/// The message of a conflict, in the server's words.
pub fn conflict_message(conflicts: &[Conflict]) -> String {
    if let [Conflict { manager, path }] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {}: {path}", manager.described());
    }
    let mut managers: Vec<String> = conflicts.iter().map(|conflict| conflict.manager.described()).collect();
    managers.sort();
    managers.dedup();
    let mut lines = Vec::new();
    for manager in managers {
        lines.push(format!("conflicts with {manager}:"));
        let theirs = conflicts.iter().filter(|conflict| conflict.manager.described() == manager);
        lines.extend(theirs.map(|conflict| format!("- {}", conflict.path)));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}

/// The causes of a conflict, as they stand in a Status.
pub fn conflict_causes(conflicts: &[Conflict]) -> Vec<Value> {
    let cause = |Conflict { manager, path }: &Conflict| {
        json!({
            "reason": "FieldManagerConflict",
            "message": format!("conflict with {}", manager.described()),
            "field": path,
        })
    };
    conflicts.iter().map(cause).collect()
}

//! The plan of a sync, decided without touching anything: from what git wants, what was observed in the cluster and
//! what the inventory remembers, to one line an object and the steps that leave their executor no choice.
//!
//! - As at the last sync, on both sides: unchanged (and was not even asked for).
//! - The dry run made an object that is not there: create.
//! - The dry run would change what is ours in it: configure. What others own never counts, see [`owned`].
//! - In the inventory and not in git: prune, unless pruning is off, the object says `quarterdeck.dev/prune: disabled`, or
//!   it is no longer ours. Nothing rendered prunes nothing, ever.
//! - An object of another application is refused, and both are named.
//!
//! A plan with a refusal is not executed at all: the last good state keeps running.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::change::{Action, Change};
use quarterdeck_shared::resource::{Inventory, InventoryItem, ResourceRef};
use serde_json::Value;

use crate::sync::drift::differences;
use crate::sync::manifest::{ContentDigest, Manifest};
use crate::sync::{APPLICATION_LABEL, order, owned};

/// On an object: never prune it.
pub const PRUNE_ANNOTATION: &str = "quarterdeck.dev/prune";

/// What was seen of one desired object.
#[derive(Debug, Clone)]
pub enum Observed {
    /// Its manifest and what is ours in the live object are as at the last sync. No request was made.
    Known(ContentDigest),
    /// The dry run was made.
    Predicted {
        /// The object as it would be after an apply.
        predicted: Arc<Value>,
        /// As it is; absent where it is not there.
        live: Option<Arc<Value>>,
    },
    /// What the live object has of ours is what the dry run predicts; the live object itself was not needed.
    Same(ContentDigest),
    /// It cannot be asked for before something of the same plan is there; why.
    Later(String),
    /// The server refuses it.
    Refused(Refusal),
}

/// What an application's last sync left behind, object by object: what makes a sync of an unchanged application free.
pub type Memory = HashMap<ResourceRef, Remembered>;

/// How an object was when it was last seen to be as its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// [`Manifest::digest`].
    pub manifest: ContentDigest,
    /// [`owned::digest`] of the live object.
    pub live: ContentDigest,
    /// How it ended, where it is a Job that did.
    pub ended: Option<Ended>,
}

/// How a Job ended that may go now: it is done for its manifest whether it is still there or not, and is not run again
/// until its manifest changes or a person asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It did what it should.
    Completed,
    /// It did not, and its time to live removes it.
    Failed,
}

/// Why an object cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} ({origin}): {message}", .resource.short())]
pub struct Refusal {
    /// Which object.
    pub resource: ResourceRef,
    /// Where it was written.
    pub origin: Arc<str>,
    /// In the server's own words, without the values of Secrets.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
}

/// What was seen of an object that is in the inventory and not in git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// It is there and carries our label.
    Ours {
        /// Deleted only as long as it is this very object.
        uid: String,
        /// Whether it says `quarterdeck.dev/prune: disabled`.
        keep: bool,
    },
    /// It is there, and another application or nobody claims it.
    NotOurs(Option<String>),
    /// It is not there, or its kind is not.
    Gone,
    /// It could not be looked at.
    Unseen(String),
}

/// All that a plan is made of.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// Whose plan.
    pub application: &'a ApplicationName,
    /// What git wants, in the order in which it is applied.
    pub desired: &'a [Manifest],
    /// What was seen, one for each of these.
    pub observed: &'a [Observed],
    /// What we applied before.
    pub inventory: &'a Inventory,
    /// What was seen of [`candidates`], in the order in which they are pruned.
    pub left: &'a [(InventoryItem, Left)],
    /// Whether what left git is deleted.
    pub prune: bool,
    /// Only some objects are looked at: nothing else is touched, and nothing pruned.
    pub partial: bool,
}

/// A decided plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decided {
    /// One line an object, in the order of the apply; prunes last.
    pub changes: Vec<Change>,
    /// What cannot be applied. Not empty: nothing is.
    pub refusals: Vec<Refusal>,
    /// What is as it should be: the place in `desired`, and the digest of what is ours in the live object.
    pub settled: Vec<(usize, ContentDigest)>,
    /// What is written: the place in `desired`, and whether it was not yet dry-run.
    pub writes: Vec<(usize, Later)>,
    /// What is deleted, in this order, with the uid that it must still have.
    pub prunes: Vec<(InventoryItem, String)>,
    /// What is in the inventory while the plan is executed: old and new, so that a crash loses nothing.
    pub during: Inventory,
    /// What is in the inventory when all of it was done.
    pub after: Inventory,
}

/// Whether a write still has to be dry-run when it is its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Later {
    /// It was dry-run for the plan.
    No,
    /// It could not be.
    Yes,
}

/// The objects of the inventory that are not in git any more, in the order in which they are pruned: who needs another
/// goes before it. None where git wants nothing at all: an empty source is a mistake before it is a wish.
pub fn candidates(desired: &[Manifest], inventory: &Inventory) -> Vec<InventoryItem> {
    if desired.is_empty() {
        return Vec::new();
    }
    let wanted: HashSet<&ResourceRef> = desired.iter().map(|manifest| &manifest.resource).collect();
    let mut left: Vec<InventoryItem> =
        inventory.items.iter().filter(|item| !wanted.contains(&item.resource)).cloned().collect();
    left.sort_by(|a, b| order::compare(&b.resource, &a.resource));
    left
}

/// Decides.
pub fn plan(inputs: &Inputs<'_>) -> Decided {
    debug_assert_eq!(inputs.desired.len(), inputs.observed.len(), "each desired object is observed");
    let mut decided = Decided::default();
    let mut seen = HashSet::new();
    for (place, (manifest, observed)) in inputs.desired.iter().zip(inputs.observed).enumerate() {
        if seen.insert(&manifest.resource) {
            decide_one(&mut decided, inputs.application, place, manifest, observed);
        } else {
            decided.refusals.push(refusal(manifest, "it is written twice".to_owned(), "Keep one of them."));
        }
    }
    let mut gone = BTreeSet::new();
    if !inputs.partial {
        decide_left(&mut decided, inputs, &mut gone);
    }
    inventories(&mut decided, inputs, &gone);
    decided
}

fn decide_one(
    decided: &mut Decided,
    application: &ApplicationName,
    place: usize,
    manifest: &Manifest,
    observed: &Observed,
) {
    let mut change =
        Change { resource: manifest.resource.clone(), action: Action::Unchanged, fields: vec![], reason: None };
    match observed {
        Observed::Known(live) | Observed::Same(live) => decided.settled.push((place, *live)),
        Observed::Predicted { live: None, .. } => {
            change.action = Action::Create;
            decided.writes.push((place, Later::No));
        }
        Observed::Later(reason) => {
            change.action = Action::Create;
            change.reason = Some(reason.clone());
            decided.writes.push((place, Later::Yes));
        }
        Observed::Predicted { live: Some(live), predicted } => {
            if let Some(other) = owned::application_of(live).filter(|other| *other != application.as_str()) {
                let message = format!("it belongs to application {other}, and {application} wants it too");
                let hint = format!(
                    "Take it out of one of them; to hand it over, remove the label {} from the live object.",
                    APPLICATION_LABEL
                );
                decided.refusals.push(refusal(manifest, message, &hint));
                return;
            }
            let digest = owned::digest(live);
            if digest == owned::digest(predicted) {
                decided.settled.push((place, digest));
            } else {
                let found = differences(live, predicted);
                change.action = Action::Configure;
                change.reason = match (found.fields.is_empty(), found.more) {
                    (true, _) => Some("only the ownership of fields changes".to_owned()),
                    (false, 0) => None,
                    (false, more) => Some(format!("and {more} more fields")),
                };
                change.fields = found.fields;
                decided.writes.push((place, Later::No));
            }
        }
        Observed::Refused(refusal) => {
            decided.refusals.push(refusal.clone());
            return;
        }
    }
    decided.changes.push(change);
}

fn refusal(manifest: &Manifest, message: String, hint: &str) -> Refusal {
    let (resource, origin) = (manifest.resource.clone(), manifest.origin.clone());
    Refusal { resource, origin, message, hint: hint.to_owned() }
}

fn decide_left(decided: &mut Decided, inputs: &Inputs<'_>, gone: &mut BTreeSet<InventoryItem>) {
    for (item, left) in inputs.left {
        let mut line = |action, reason: String| {
            let resource = item.resource.clone();
            decided.changes.push(Change { resource, action, fields: vec![], reason: Some(reason) });
        };
        match left {
            Left::Ours { keep: true, .. } => line(Action::Skip, format!("{PRUNE_ANNOTATION}: disabled")),
            Left::Ours { .. } if !inputs.prune => line(Action::Skip, "pruning is off".to_owned()),
            Left::Ours { uid, keep: false } => {
                line(Action::Prune, "no longer in git".to_owned());
                decided.prunes.push((item.clone(), uid.clone()));
            }
            Left::NotOurs(owner) => {
                let whose = owner.as_ref().map_or("nobody's".to_owned(), |name| format!("application {name}'s"));
                line(Action::Skip, format!("no longer in git, and {whose} now"));
                gone.insert(item.clone());
            }
            Left::Gone => {
                line(Action::Skip, "no longer in git, and gone already".to_owned());
                gone.insert(item.clone());
            }
            Left::Unseen(why) => line(Action::Skip, why.clone()),
        }
    }
}

fn inventories(decided: &mut Decided, inputs: &Inputs<'_>, gone: &BTreeSet<InventoryItem>) {
    let wanted: HashSet<&ResourceRef> = inputs.desired.iter().map(|manifest| &manifest.resource).collect();
    let mut items: BTreeSet<InventoryItem> =
        inputs.inventory.items.iter().filter(|item| !wanted.contains(&item.resource)).cloned().collect();
    items.extend(
        inputs
            .desired
            .iter()
            .map(|manifest| InventoryItem { resource: manifest.resource.clone(), version: manifest.version.clone() }),
    );
    items.retain(|item| !gone.contains(item));
    decided.during = Inventory { items: items.clone() };
    let pruned: BTreeSet<&InventoryItem> = decided.prunes.iter().map(|(item, _)| item).collect();
    items.retain(|item| !pruned.contains(item));
    decided.after = Inventory { items };
}

#[cfg(test)]
mod tests;

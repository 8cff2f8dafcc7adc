//! What becomes of an object that is in the inventory and not in git any more: pruned, handed over, held, waited for or
//! forgotten.
//!
//! - Forgotten only when it is gone, or is somebody else's. What cannot be seen stays in the inventory, and the environment
//!   is not as git says until it is seen.
//! - Pruned only when nobody wants it: not what another environment of this agent wants, and not what something else
//!   lives in. A person may have the latter pruned by naming it.

use std::collections::{BTreeSet, HashSet};

use quarterdeck_shared::change::{Action, Change};
use quarterdeck_shared::resource::{Inventory, InventoryItem, ResourceRef};
use serde_json::Value;

use super::contents::Contents;
use super::{Decided, Inputs, PRUNE_ANNOTATION, Refusal};
use crate::sync::manifest::Manifest;
use crate::sync::neighbours::{Neighbours, holds_data};
use crate::sync::order;

/// What was seen of an object that is in the inventory and not in git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// It is there and carries our label.
    Ours {
        /// Deleted only as long as it is this very object.
        uid: String,
        /// Which of its annotations keeps it, see [`kept_by`].
        keep: Option<&'static str>,
        /// What lives in it; empty where nothing does, or nothing can.
        contents: Box<Contents>,
    },
    /// It is being deleted; what that waits for: `finalizer example.com/hold`.
    Going(String),
    /// It is the object that git wants under this other name: two API groups may share one storage.
    Renamed(ResourceRef),
    /// It is there, and another environment or nobody claims it.
    NotOurs(Option<String>),
    /// A served API says that it is not there, or its kind was removed.
    Gone,
    /// It could not be looked at; why.
    Unseen(String),
}

/// The annotation by which a live object says that it is not to be pruned: ours, or the one of Helm's charts.
pub fn kept_by(live: &Value) -> Option<&'static str> {
    let annotations = &live["metadata"]["annotations"];
    let kept = [
        (PRUNE_ANNOTATION, "disabled", "quarterdeck.dev/prune: disabled"),
        ("helm.sh/resource-policy", "keep", "helm.sh/resource-policy: keep"),
    ];
    kept.into_iter().find(|(name, value, _)| annotations[*name] == *value).map(|(_, _, both)| both)
}

/// What a plan leaves undone, to be said and perhaps looked at again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undone {
    /// What the cluster refuses, and the rest of the plan does not wait for.
    pub refused: Vec<Refusal>,
    /// What left git and is neither gone nor let be: until it is gone the environment is not as git says.
    pub open: Vec<String>,
    /// What is left on purpose, and has to be said.
    pub kept: Vec<String>,
    /// What another environment wants now; its sync brings these over.
    pub handed: Vec<ResourceRef>,
    /// What is being deleted and is not gone.
    pub going: Vec<ResourceRef>,
    /// How many of all these are there, or may be.
    pub left: usize,
    /// What is held until another environment can be rendered, which may want it.
    pub held: Vec<ResourceRef>,
}

impl Undone {
    /// What has to be said, in a line; empty where nothing has.
    pub fn message(&self) -> String {
        let refused: Vec<String> = self.refused.iter().map(ToString::to_string).collect();
        let all: Vec<&String> = refused.iter().chain(&self.open).chain(&self.kept).collect();
        // Three sentences are what a person reads; the plan has each line.
        let shown: Vec<&str> = all.iter().take(3).map(|line| line.as_str()).collect();
        match all.len() - shown.len() {
            0 => shown.join("; "),
            more => format!("{}; and {more} more", shown.join("; ")),
        }
    }

    /// What to do about it; empty where nothing is known that helps.
    pub fn hint(&self) -> &str {
        self.refused.first().map_or("", |refusal| &refusal.hint)
    }

    /// How many objects are not as git says.
    pub fn differing(&self) -> usize {
        self.refused.len() + self.open.len()
    }

    /// Whether something that left git is still there, and a later plan may delete it.
    pub fn may_delete_later(&self) -> bool {
        self.left > 0
    }

    /// Whether nothing need be looked at again before something changes.
    pub fn is_final(&self) -> bool {
        self.refused.is_empty() && self.open.is_empty() && self.handed.is_empty() && self.held.is_empty()
    }
}

/// The objects of the inventory that are not in git any more, in the order in which they are pruned: who needs another
/// goes before it. None where git wants nothing at all: an empty source is a mistake before it is a wish.
pub fn candidates(desired: &[Manifest], inventory: &Inventory) -> Vec<InventoryItem> {
    if desired.is_empty() { Vec::new() } else { not_wanted(desired, inventory) }
}

/// All objects of the inventory, in the same order: of an environment that goes as a whole.
pub fn all(inventory: &Inventory) -> Vec<InventoryItem> {
    not_wanted(&[], inventory)
}

fn not_wanted(desired: &[Manifest], inventory: &Inventory) -> Vec<InventoryItem> {
    let wanted: HashSet<&ResourceRef> = desired.iter().map(|manifest| &manifest.resource).collect();
    let mut left: Vec<InventoryItem> =
        inventory.items.iter().filter(|item| !wanted.contains(&item.resource)).cloned().collect();
    left.sort_by(|a, b| order::compare(&b.resource, &a.resource));
    left
}

pub(super) fn decide(decided: &mut Decided, inputs: &Inputs<'_>, gone: &mut BTreeSet<InventoryItem>) {
    for (item, left) in inputs.left {
        let Fate { action, reason, forget, undone } = fate(inputs, &item.resource, left);
        let resource = item.resource.clone();
        if matches!(left, Left::Going(_)) {
            decided.undone.going.push(resource.clone());
        }
        decided.undone.left += usize::from(!matches!(undone, Say::Nothing));
        match undone {
            Say::Nothing => {}
            Say::Open(line) => decided.undone.open.push(line),
            Say::Kept(line) => decided.undone.kept.push(line),
            Say::Held(line) => {
                decided.undone.kept.push(line);
                decided.undone.held.push(resource.clone());
            }
            Say::Handed => decided.undone.handed.push(resource.clone()),
        }
        if forget {
            gone.insert(item.clone());
        }
        if let (Action::Prune, Left::Ours { uid, .. }) = (action, left) {
            decided.prunes.push((item.clone(), uid.clone()));
        }
        decided.changes.push(Change { resource, action, fields: vec![], reason: Some(reason) });
    }
}

/// Whether the plan deletes it, as far as that does not depend on what is in it.
pub fn goes(inputs: &Leaving<'_>, resource: &ResourceRef, left: &Left) -> bool {
    match left {
        Left::Ours { keep, .. } => why_kept(inputs, resource, *keep).is_none(),
        _ => false,
    }
}

/// What decides over an object that left git, besides what was seen of it.
#[derive(Debug, Clone, Copy)]
pub struct Leaving<'a> {
    /// Whether what left git is deleted.
    pub prune: bool,
    /// What a person named to be deleted whatever is in it.
    pub anyway: &'a [ResourceRef],
    /// What the other environments want; none where that was not looked at.
    pub neighbours: Option<&'a Neighbours>,
    /// A person deletes all of the environment: nothing left git.
    pub wipes: bool,
}

impl Leaving<'_> {
    /// Why an object goes.
    pub fn why(&self) -> &'static str {
        if self.wipes { "deleted with its environment" } else { "no longer in git" }
    }

    /// The same behind the name of the object.
    pub fn verb(&self) -> &'static str {
        if self.wipes { "is deleted with its environment" } else { "left git" }
    }
}

struct Fate {
    action: Action,
    reason: String,
    /// It leaves the inventory without being deleted.
    forget: bool,
    undone: Say,
}

enum Say {
    Nothing,
    Open(String),
    Kept(String),
    Held(String),
    Handed,
}

fn fate(inputs: &Inputs<'_>, resource: &ResourceRef, left: &Left) -> Fate {
    let skip = |reason: String, forget, undone| Fate { action: Action::Skip, reason, forget, undone };
    let (short, why, verb) = (resource.short(), inputs.leaving.why(), inputs.leaving.verb());
    match left {
        Left::Gone => skip(format!("{why}, and gone already"), true, Say::Nothing),
        Left::NotOurs(owner) => {
            let whose = owner.as_ref().map_or("nobody's".to_owned(), |name| format!("environment {name}'s"));
            skip(format!("{why}, and {whose} now"), true, Say::Nothing)
        }
        Left::Renamed(to) => {
            let group = if to.group.is_empty() { "the core group" } else { &to.group };
            skip(format!("the same object as {} of {group}, which git wants", to.short()), true, Say::Nothing)
        }
        Left::Going(waits) => {
            let line = format!("{short} {verb} and is being deleted: waiting for {waits}");
            skip(format!("being deleted: waiting for {waits}"), false, Say::Open(line))
        }
        Left::Unseen(problem) => {
            let line = format!("{short} {verb} and cannot be read: {problem}");
            skip(format!("{why}, and cannot be read: {problem}"), false, Say::Open(line))
        }
        Left::Ours { keep, contents, .. } => {
            if let Some((reason, undone)) = why_kept(&inputs.leaving, resource, *keep) {
                return skip(reason, false, undone);
            }
            if contents.is_empty() || inputs.leaving.anyway.contains(resource) {
                return Fate { action: Action::Prune, reason: why.to_owned(), forget: false, undone: Say::Nothing };
            }
            let line = format!("{short} is not deleted: {}", contents.describe());
            let passes = !contents.is_inhabited() && contents.unseen.as_ref().is_some_and(|blind| blind.passes);
            let undone = if passes { Say::Open(line) } else { Say::Kept(line) };
            skip(format!("not deleted: {}", contents.describe()), false, undone)
        }
    }
}

/// Why an object that is ours is kept although it left git.
fn why_kept(inputs: &Leaving<'_>, resource: &ResourceRef, keep: Option<&str>) -> Option<(String, Say)> {
    let Leaving { prune, anyway, neighbours, wipes: _ } = inputs;
    let named = anyway.contains(resource);
    if let Some(other) = neighbours.and_then(|neighbours| neighbours.wanting(resource)) {
        return Some((format!("environment {other} wants it now: handed over"), Say::Handed));
    }
    if let Some(annotation) = keep {
        return Some((annotation.to_owned(), Say::Nothing));
    }
    if !prune && !named {
        return Some(("pruning is off".to_owned(), Say::Nothing));
    }
    let (other, why) = neighbours.as_ref()?.unrendered().filter(|_| !named && holds_data(resource))?;
    let reason = format!("not deleted: environment {other} may want it now, and cannot be rendered: {why}");
    Some((reason.clone(), Say::Held(format!("{} is {reason}", resource.short()))))
}

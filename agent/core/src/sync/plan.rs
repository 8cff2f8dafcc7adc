//! The plan of a sync, decided without touching anything: from what git wants, what was observed in the cluster and
//! what the inventory remembers, to one line an object and the steps that leave their executor no choice.
//!
//! - As at the last sync, on both sides: unchanged (and was not even asked for).
//! - The dry run made an object that is not there: create.
//! - The dry run would change what is ours in it: configure. What others own never counts, see [`managed_fields`].
//! - In the inventory and not in git: prune, unless pruning is off, the object says `quarterdeck.dev/prune: disabled` (or as much in Helm's words),
//!   it is no longer ours, or something else wants it or lives in it: see [`leaving`]. Nothing rendered prunes nothing, ever.
//! - An object of another environment is taken over where that environment does not want it any more; else it is refused,
//!   and both are named.
//!
//! A plan with a refusal is not executed at all: the last good state keeps running.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::change::{Action, Change};
use quarterdeck_shared::resource::{Inventory, InventoryItem, ResourceRef};
use serde_json::Value;

use crate::sync::content::Content;
use crate::sync::digest::ContentDigest;
use crate::sync::drift::differences;
use crate::sync::manifest::Manifest;
use crate::sync::{APPLICATION_LABEL, managed_fields, takeover};

pub mod contents;
pub mod leaving;

pub use self::leaving::{Leaving, Left, Undone, all, candidates, kept_by};

/// On an object: never prune it.
pub const PRUNE_ANNOTATION: &str = "quarterdeck.dev/prune";

/// What was seen of one desired object.
#[derive(Debug, Clone)]
pub enum Observed {
    /// Its manifest and what is ours in the live object are as at the last sync. No request was made.
    Known(ContentDigest),
    /// It is not there, and the dry run would make it; as it would be then, where somebody wants to see it.
    Absent(Option<Arc<Value>>),
    /// It is there, and the dry run may change it.
    Predicted {
        /// The object as it would be after an apply.
        predicted: Arc<Value>,
        /// As it is.
        live: Arc<Value>,
        /// The replicas are left to an autoscaler.
        scaled: Option<Scaled>,
    },
    /// What the live object has of ours is what the dry run predicts; the live object itself was not needed.
    Same(ContentDigest),
    /// It cannot be asked for before something of the same plan is there; why.
    Later(String),
    /// The server refuses it.
    Refused(Refusal),
}

/// An object whose replicas are left to an autoscaler.
#[derive(Debug, Clone)]
pub struct Scaled {
    /// `HorizontalPodAutoscaler/shop`.
    pub by: String,
    /// What is applied in the place of the manifest's object.
    pub object: Content,
}

impl Observed {
    /// Whether fields of client-side kubectl become ours before it is written.
    pub fn is_taken_over(&self) -> bool {
        self.live().is_some_and(|live| !takeover::managers(live).is_empty())
    }

    /// The live object, where it was read.
    pub fn live(&self) -> Option<&Arc<Value>> {
        match self {
            Self::Predicted { live, .. } => Some(live),
            _ => None,
        }
    }

    /// Whether what is there was applied for this environment before: it says so, or is just as we would apply it.
    pub fn was_applied_for(&self, environment: &EnvironmentId) -> bool {
        match self {
            Self::Known(_) | Self::Same(_) => true,
            Self::Predicted { live, .. } => managed_fields::owner_of(live).is_some_and(|owner| owner.is(environment)),
            Self::Absent(_) | Self::Later(_) | Self::Refused(_) => false,
        }
    }

    /// Whether a plan would write it.
    pub fn wants_a_write(&self) -> bool {
        match self {
            Self::Known(_) | Self::Same(_) | Self::Refused(_) => false,
            Self::Absent(_) | Self::Later(_) => true,
            Self::Predicted { live, predicted, .. } => {
                managed_fields::digest(live) != managed_fields::digest(predicted) || self.is_taken_over()
            }
        }
    }
}

/// What an environment's last sync left behind, object by object: what makes a sync of an unchanged environment free.
pub type Memory = HashMap<ResourceRef, Remembered>;

/// How an object was when it was last seen to be as its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// [`Manifest::digest`].
    pub manifest: ContentDigest,
    /// [`managed_fields::digest`] of the live object.
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
    /// A field of the live object stands in the way that cannot be changed in place.
    pub immutable: bool,
}

impl Refusal {
    /// Whether the rest of a plan goes on without it: a Job that ran or runs is what it was made for, and nothing else in
    /// the plan stands on its next one. Of other kinds the rest might: a Service that selects what a refused Deployment
    /// was to become would be left without a pod.
    fn is_of_itself_alone(&self) -> bool {
        self.immutable && self.resource.group == "batch" && self.resource.kind == "Job"
    }
}

/// Of an environment that this agent does not operate, whose objects are wanted here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stranger {
    /// Its inventory is here, and no other agent writes it: it was renamed or taken out of the configuration.
    Left,
    /// The agent on this host operates it.
    Operated(String),
    /// No inventory of it was found.
    Unknown,
}

/// All that a plan is made of.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// Whose plan.
    pub environment: &'a EnvironmentId,
    /// What git wants, in the order in which it is applied.
    pub desired: &'a [Manifest],
    /// What was seen, one for each of these.
    pub observed: &'a [Observed],
    /// What we applied before.
    pub inventory: &'a Inventory,
    /// What was seen of [`candidates`], in the order in which they are pruned.
    pub left: &'a [(InventoryItem, Left)],
    /// What decides over what left git.
    pub leaving: Leaving<'a>,
    /// The owners of wanted objects that are no environment of this agent here.
    pub strangers: &'a BTreeMap<String, Stranger>,
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
    pub unchanged: Vec<(usize, ContentDigest)>,
    /// What is written: the place in `desired`, and whether it was not yet dry-run.
    pub writes: Vec<(usize, Later)>,
    /// What is deleted, in this order, with the uid that it must still have.
    pub prunes: Vec<(InventoryItem, String)>,
    /// What is left undone of what left git.
    pub undone: Undone,
    /// What is taken over, by the environment that it belonged to and that this agent does not operate.
    pub adopted: BTreeMap<String, Vec<ResourceRef>>,
    /// Whether an object is refused since another environment of this agent wants it, too.
    pub contested: bool,
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

/// Decides.
pub fn plan(inputs: &Inputs<'_>) -> Decided {
    debug_assert_eq!(inputs.desired.len(), inputs.observed.len(), "each desired object is observed");
    let mut decided = Decided::default();
    let mut seen = HashSet::new();
    for (place, (manifest, observed)) in inputs.desired.iter().zip(inputs.observed).enumerate() {
        if seen.insert(&manifest.resource) {
            decide_one(&mut decided, inputs, place, manifest, observed);
        } else {
            decided.refusals.push(refusal(manifest, "it is written twice".to_owned(), "keep one of them"));
        }
    }
    let mut gone = BTreeSet::new();
    if !inputs.partial {
        leaving::decide(&mut decided, inputs, &mut gone);
    }
    inventories(&mut decided, inputs, &gone);
    decided
}

fn decide_one(decided: &mut Decided, inputs: &Inputs<'_>, place: usize, manifest: &Manifest, observed: &Observed) {
    let mut change =
        Change { resource: manifest.resource.clone(), action: Action::Unchanged, fields: vec![], reason: None };
    match observed {
        Observed::Known(live) | Observed::Same(live) => decided.unchanged.push((place, *live)),
        Observed::Absent(_) => {
            change.action = Action::Create;
            decided.writes.push((place, Later::No));
        }
        Observed::Later(reason) => {
            change.action = Action::Create;
            change.reason = Some(reason.clone());
            decided.writes.push((place, Later::Yes));
        }
        Observed::Predicted { live, predicted, scaled } => {
            let other = managed_fields::owner_of(live)
                .filter(|other| !other.is(inputs.environment))
                .map(|other| other.to_string());
            let taken = match other.map(|other| take_over(decided, inputs, manifest, &other)) {
                None => None,
                Some(Ok(reason)) => Some(reason),
                Some(Err(refusal)) => return decided.refusals.push(*refusal),
            };
            let digest = managed_fields::digest(live);
            let mut reasons: Vec<String> = taken.into_iter().collect();
            if let (Some(Scaled { by, .. }), false) = (scaled, manifest.object.value()["spec"]["replicas"].is_null()) {
                reasons.push(format!("spec.replicas is left to {by}"));
            }
            let managers = takeover::managers(live);
            if digest == managed_fields::digest(predicted) && managers.is_empty() {
                decided.unchanged.push((place, digest));
            } else {
                let found = differences(live, predicted, &manifest.object.value(), manifest.confidential.as_deref());
                change.action = Action::Configure;
                if !managers.is_empty() {
                    reasons.push(format!("takes over the fields of {}", managers.join(", ")));
                } else if found.fields.is_empty() && reasons.is_empty() {
                    reasons.push("only the ownership of fields changes".to_owned());
                }
                if found.more > 0 {
                    reasons.push(format!("and {} more fields", found.more));
                }
                change.fields = found.fields;
                decided.writes.push((place, Later::No));
            }
            change.reason = Some(reasons.join("; ")).filter(|reason| !reason.is_empty());
        }
        Observed::Refused(refusal) if refusal.is_of_itself_alone() => {
            change.action = Action::Skip;
            change.reason = Some(refusal.message.clone());
            decided.undone.refused.push(refusal.clone());
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
    Refusal { resource, origin, message, hint: hint.to_owned(), immutable: false }
}

/// Why the object of another environment is taken over, or why not.
fn take_over(
    decided: &mut Decided,
    inputs: &Inputs<'_>,
    manifest: &Manifest,
    other: &str,
) -> Result<String, Box<Refusal>> {
    let environment = inputs.environment;
    let both = format!("it belongs to environment {other}, and {environment} wants it too");
    let Some(neighbours) = inputs.leaving.neighbours else {
        decided.contested = true;
        return Err(Box::new(refusal(manifest, both, "take it out of one of them")));
    };
    let Some(wants) = neighbours.of(other) else {
        return match inputs.strangers.get(other) {
            Some(Stranger::Left) => {
                decided.adopted.entry(other.to_owned()).or_default().push(manifest.resource.clone());
                Ok(format!("taken over from environment {other}, which is not configured any more"))
            }
            Some(Stranger::Operated(host)) => {
                let message = format!("{both}; the agent on {host} operates {other}");
                Err(Box::new(refusal(
                    manifest,
                    message,
                    &format!("take it out of {other} there, or out of {environment} here"),
                )))
            }
            Some(Stranger::Unknown) | None => {
                let message = format!("it belongs to environment {other}, which is not configured here");
                let hint = format!(
                    "if no other agent operates {other}, remove the label {APPLICATION_LABEL} from the live object; the \
                     next sync takes it over"
                );
                Err(Box::new(refusal(manifest, message, &hint)))
            }
        };
    };
    match &wants.unrendered {
        _ if wants.objects.contains(&manifest.resource) => {
            decided.contested = true;
            Err(Box::new(refusal(manifest, both, "take it out of one of them")))
        }
        Some(why) => {
            decided.contested = true;
            let message = format!("it belongs to environment {other}, which cannot be rendered: {why}");
            Err(Box::new(refusal(manifest, message, &format!("correct {other} first: it may still want it"))))
        }
        None => Ok(format!("taken over from environment {other}, which does not want it any more")),
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

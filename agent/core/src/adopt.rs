//! Adoption: objects that git names and that Argo CD, Flux or Helm holds become an environment's own.
//!
//! ```text
//! live objects ─ signs ─► who holds each ─┐
//! what holds them ─ holders ──────────────┴─► plan: what of ownership is written, what stays, how each holder is turned off
//! ```
//! Only ownership is written: the fields that the holder's field managers own become ours, as [`takeover`] does it for client-side
//! kubectl; our labels and our inventory name the object; tracking by which the holder would delete the object or fight for it
//! goes. What the object says stays. The next sync is then able to remove what only the holder had set.
//!
//! Not here: reading and writing the objects (that is `adopt` of the cluster's crate).

mod holders;
mod ownership;
mod signs;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::protocol::{AdoptedObject, HeldBy, HolderAnswer};
use quarterdeck_shared::resource::{Inventory, ResourceRef};
use serde_json::Value;

pub use self::holders::{Holders, Release, manifest_of};
pub use self::ownership::Ownership;
pub use self::signs::{Held, Holder, INSTANCE_LABEL, Tool, candidates};
use crate::sync::managed_fields;
use crate::sync::manifest::Manifest;

/// What a plan stands on.
pub struct Inputs<'a> {
    /// For whom.
    pub environment: &'a EnvironmentId,
    /// What git names.
    pub desired: &'a [Manifest],
    /// The live object of each; none where it is not there.
    pub live: &'a [Option<Arc<Value>>],
    /// What the environment applied.
    pub inventory: &'a Inventory,
    /// The label by which Argo CD tracks objects.
    pub instance_label: &'a str,
    /// What is known of those that hold objects.
    pub holders: &'a Holders,
}

/// A plan of ownership.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The objects that are held, by their place among the manifests.
    pub objects: Vec<(usize, Ownership)>,
    /// The same for people.
    pub shown: Vec<AdoptedObject>,
    /// Who holds them.
    pub holders: Vec<HolderAnswer>,
    /// What belongs to other environments; nothing is adopted where there is any.
    pub refusals: Vec<String>,
    /// Objects that nobody else holds.
    pub free: u32,
    /// Objects that are not there.
    pub missing: u32,
}

/// Decides what is written of each object.
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    let mut plan = Plan::default();
    let mut found: BTreeMap<Holder, Option<(String, String)>> = BTreeMap::new();
    let listed: HashSet<&ResourceRef> = inputs.inventory.items.iter().map(|item| &item.resource).collect();
    for (place, (manifest, live)) in inputs.desired.iter().zip(inputs.live).enumerate() {
        let Some(live) = live else {
            plan.missing += 1;
            continue;
        };
        if let Some(owner) = managed_fields::owner_of(live).filter(|owner| !owner.is(inputs.environment)) {
            plan.refusals.push(format!("{} belongs to environment {owner}", manifest.resource.with_namespace()));
            continue;
        }
        let lists = |name: &str| inputs.holders.application_lists(name, &manifest.resource);
        let mut held = signs::held(live, &manifest.resource, inputs.instance_label, &lists);
        for one in &mut held {
            one.holder = inputs.holders.resolved(&one.holder, &manifest.resource);
            let release = found.entry(one.holder.clone()).or_default();
            *release = release.take().or_else(|| one.release.clone());
        }
        if held.is_empty() {
            plan.free += 1;
            continue;
        }
        let ownership = Ownership::of(live, manifest, inputs.environment, &held);
        plan.shown.push(shown(manifest, &held, &ownership, listed.contains(&manifest.resource)));
        plan.objects.push((place, ownership));
    }
    let named: BTreeSet<&ResourceRef> = inputs.desired.iter().map(|manifest| &manifest.resource).collect();
    plan.holders =
        found.iter().map(|(holder, release)| inputs.holders.describe(holder, release.as_ref(), &named)).collect();
    plan
}

fn shown(manifest: &Manifest, held: &[Held], ownership: &Ownership, is_listed: bool) -> AdoptedObject {
    let by = |one: &Held| HeldBy { holder: one.holder.to_string(), sign: one.sign.clone() };
    AdoptedObject {
        resource: manifest.resource.clone(),
        held_by: held.iter().map(by).collect(),
        managers: ownership.managers.clone(),
        labels: ownership.labels,
        inventory: !is_listed,
        removes: ownership.removes.iter().map(ToString::to_string).collect(),
        differs: None,
        problem: String::new(),
    }
}

#[cfg(test)]
mod tests;

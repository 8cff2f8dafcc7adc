//! Adoption: reads what is needed to decide who holds the objects of an environment, and writes what
//! [`quarterdeck_core::adopt`] decides. Nothing but ownership is written, so that no pod is restarted by it.
//!
//! The inventory comes first, then each object in two patches: its labels and annotations, and the `managedFields`. An agent that
//! dies in between leaves objects of ours that the next adoption, or sync, goes on with.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::FutureExt as _;
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::protocol::AdoptedObject;
use quarterdeck_shared::resource::{Inventory, InventoryItem};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::holders::{self, Looked};
use crate::objects::{Mode, Objects};
use crate::observe::at_once;
use crate::problem::{ApiProblem, Class};
use quarterdeck_core::adopt::{self, Ownership, Plan};
use quarterdeck_core::hooks::Record;
use quarterdeck_core::sync::manifest::Manifest;
use quarterdeck_core::sync::plan::Memory;
use quarterdeck_core::sync::{drift, managed_fields, takeover};

/// Who writes to the object at the same moment is done after one write; the holder itself may write two.
const ATTEMPTS: u32 = 5;

/// An adoption that was decided.
pub struct Adoption {
    /// What is written, who holds the objects, and what stays.
    pub plan: Plan,
    /// What could not be looked at.
    pub unseen: Vec<String>,
    live: Vec<Option<Arc<Value>>>,
    before: Inventory,
    hooks: Record,
}

impl Cluster {
    /// Decides what an adoption of these objects writes. Writes nothing.
    ///
    /// # Errors
    /// Where the cluster could not be asked.
    pub async fn adoption(
        &self,
        environment: &EnvironmentId,
        namespace: &str,
        desired: &[Manifest],
        memory: &Memory,
    ) -> Result<Adoption, ClusterError> {
        let objects = &self.0.objects;
        let live = at_once(desired.iter().map(|manifest| read(objects, manifest).boxed())).await;
        let live = live.into_iter().collect::<Result<Vec<_>, _>>()?;
        let instance_label = holders::instance_label(objects).await?;
        let seen = desired.iter().zip(&live).filter_map(|(manifest, live)| Some((manifest, live.as_deref()?)));
        let candidates: BTreeSet<_> =
            seen.flat_map(|(manifest, live)| adopt::candidates(live, &manifest.resource, &instance_label)).collect();
        let Looked { holders, unseen } = holders::look(objects, &candidates).await?;
        let held = self.0.inventories.fresh(objects, environment, namespace).await?;
        let held = self.remade(environment, namespace, held, !memory.is_empty(), memory).await?;
        let inputs = adopt::Inputs {
            environment,
            desired,
            live: &live,
            inventory: &held.inventory,
            instance_label: &instance_label,
            holders: &holders,
        };
        let plan = adopt::plan(&inputs);
        Ok(Adoption { plan, unseen, live, before: held.inventory, hooks: held.hooks })
    }

    /// Looks how many fields of each object the next sync changes once it is adopted, by a dry run of each.
    ///
    /// # Errors
    /// Where the cluster could not be asked. What it refuses is in [`AdoptedObject::problem`].
    pub async fn compare_adopted(
        &self,
        environment: &EnvironmentId,
        desired: &[Manifest],
        adoption: &mut Adoption,
    ) -> Result<(), ClusterError> {
        let Adoption { plan: Plan { objects, shown, .. }, live, .. } = adoption;
        let compare = |(place, ownership): &(usize, Ownership)| {
            let (manifest, live, ownership) = (desired[*place].clone(), live[*place].clone(), ownership.clone());
            async move { differing(&self.0.objects, environment, &manifest, live.as_deref(), &ownership).await }.boxed()
        };
        let counts = at_once(objects.iter().map(compare)).await;
        for (object, count) in shown.iter_mut().zip(counts) {
            match count {
                Ok(count) => object.differs = Some(count),
                Err(problem) if problem.class.is_transient() => return Err(problem.into()),
                Err(problem) => object.problem = problem.to_string(),
            }
        }
        Ok(())
    }

    /// Writes the ownership of what was decided. Told again it does what is left.
    ///
    /// # Errors
    /// Where one of the objects could not be written; the others are.
    pub async fn adopt(
        &self,
        environment: &EnvironmentId,
        namespace: &str,
        desired: &[Manifest],
        memory: &Memory,
        adoption: &Adoption,
    ) -> Result<(), ClusterError> {
        let Adoption { plan, before, hooks, .. } = adoption;
        let owed = |(_, object): &(_, &AdoptedObject)| !object.is_done();
        let owed = plan.objects.iter().zip(&plan.shown).filter(owed).map(|((place, ownership), _)| (*place, ownership));
        let owed: Vec<(usize, &Ownership)> = owed.collect();
        let mut inventory = before.clone();
        for (place, _) in &owed {
            let Manifest { resource, version, .. } = &desired[*place];
            inventory.items.retain(|item| item.resource != *resource);
            inventory.items.insert(InventoryItem { resource: resource.clone(), version: version.clone() });
        }
        let objects = &self.0.objects;
        self.0.inventories.write(objects, environment, namespace, &inventory, hooks, None).await?;
        let write = |(place, ownership): &(usize, &Ownership)| {
            let (manifest, ownership) = (desired[*place].clone(), (*ownership).clone());
            async move { own(objects, environment, &manifest, &ownership).await }.boxed()
        };
        let written = at_once(owed.iter().map(write)).await;
        self.watch(environment, &inventory, memory);
        Ok(written.into_iter().collect::<Result<(), ApiProblem>>()?)
    }
}

/// The live object; none where it, its kind or its namespace is not there.
async fn read(objects: &Objects, manifest: &Manifest) -> Result<Option<Arc<Value>>, ApiProblem> {
    match objects.get(&manifest.resource, Some(&manifest.version)).await {
        Err(problem) if matches!(problem.class, Class::KindMissing | Class::NamespaceMissing) => Ok(None),
        live => Ok(live?.map(Arc::new)),
    }
}

/// How many fields the next sync changes.
async fn differing(
    objects: &Objects,
    environment: &EnvironmentId,
    manifest: &Manifest,
    live: Option<&Value>,
    ownership: &Ownership,
) -> Result<u32, ApiProblem> {
    let Some(live) = live else { return Ok(0) };
    let after = ownership.after(live, environment);
    let desired = Objects::sent(manifest, Some(&after))?.value();
    let mut synced = takeover::predicted(&after, &desired);
    synced["metadata"]["managedFields"] = live["metadata"]["managedFields"].clone();
    let answer = objects.dry_patch(manifest, live, &synced).await?;
    let found = drift::differences(&after, &answer, &desired, manifest.confidential.as_deref());
    Ok((found.fields.len() + found.more) as u32)
}

/// Writes the ownership of one object; one that is gone by now, or that another environment has by now, is left to the sync.
async fn own(
    objects: &Objects,
    environment: &EnvironmentId,
    manifest: &Manifest,
    ownership: &Ownership,
) -> Result<(), ApiProblem> {
    let doing = &*format!("adopt {}", manifest.resource.with_namespace());
    let mut attempt = 1;
    loop {
        let Some(live) = objects.get(&manifest.resource, Some(&manifest.version)).await? else { return Ok(()) };
        if managed_fields::owner_of(&live).is_some_and(|owner| !owner.is(environment)) {
            return Ok(());
        }
        match write(objects, environment, manifest, ownership, live, doing).await {
            Err(problem) if problem.class == Class::Conflict && attempt < ATTEMPTS => attempt += 1,
            Err(problem) if problem.class == Class::NotFound => return Ok(()),
            // What the server says of the object may hold its values.
            Err(problem) => return Err(ApiProblem { message: manifest.scrub(&problem.message), ..problem }),
            Ok(()) => return Ok(()),
        }
    }
}

/// Both patches, each for the version of the object that was seen alone.
async fn write(
    objects: &Objects,
    environment: &EnvironmentId,
    manifest: &Manifest,
    ownership: &Ownership,
    mut live: Value,
    doing: &str,
) -> Result<(), ApiProblem> {
    if let Some(patch) = ownership.metadata(&live, environment) {
        live = objects.patch(manifest, Mode::Write, "application/merge-patch+json", &patch, doing).await?;
    }
    match ownership.fields(&live) {
        Some(fields) => objects.patch_fields(manifest, &live, &fields, doing).await,
        None => Ok(()),
    }
}

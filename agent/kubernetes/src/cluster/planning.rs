//! How a plan comes about: what is wanted, what is there, what was applied before, and what else decides over it.

use std::collections::BTreeMap;

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::resource::{Inventory, InventoryItem, ResourceRef};

use crate::cluster::{Cluster, Inner};
use crate::error::ClusterError;
use crate::inventory::Held;
use crate::observe::Observer;
use crate::options::Options;
use crate::planned::{PlannedHooks, PlannedSync, namespaces};
use crate::problem::ApiProblem;
use crate::survey;
use quarterdeck_core::hooks::{self, Record, Seen, Wanted, When};
use quarterdeck_core::steps::Write;
use quarterdeck_core::sync::managed_fields;
use quarterdeck_core::sync::manifest::Manifest;
use quarterdeck_core::sync::plan::{self, Memory, Observed, Remembered, Stranger};

impl Cluster {
    /// A plan, and what was seen for it; with what would be made where it is to be shown.
    pub(super) async fn observe_and_plan(
        &self,
        environment: &EnvironmentId,
        desired: &[Manifest],
        memory: &Memory,
        options: &Options,
        shows: bool,
    ) -> Result<(PlannedSync, Vec<Observed>), ClusterError> {
        let observer = Observer { shows, ..self.observer(environment, options) };
        let observed = observer.desired(desired, memory).await?;
        let strangers = self.strangers(desired, &observed, options).await?;
        let held = self.held(environment, desired, &observed, memory, options).await?;
        let candidates = leaving(desired, &held.inventory, options);
        let left = observer.left(desired, candidates).await?;
        let decided = plan::plan(&plan::Inputs {
            environment,
            desired,
            observed: &observed,
            inventory: &held.inventory,
            left: &left,
            leaving: options.leaving(),
            strangers: &strangers,
            partial: options.partial,
        });
        let remembered = |(place, live): &(usize, _)| {
            let Manifest { resource, digest, .. } = &desired[*place];
            let ended = memory.get(resource).filter(|known| known.manifest == *digest).and_then(|known| known.ended);
            (resource.clone(), Remembered { manifest: *digest, live: *live, ended })
        };
        let write = |(place, later): &(usize, _)| {
            let mut manifest = desired[*place].clone();
            if let Observed::Predicted { scaled: Some(scaled), .. } = &observed[*place] {
                manifest.object = scaled.object.clone();
            }
            Write { manifest, later: *later, takes_over: observed[*place].is_taken_over() }
        };
        let mut undone = decided.undone;
        let other = self.0.inventories.other_agent(environment, &options.namespace);
        undone.kept.extend(
            other.map(|host| format!("environment {environment} is also operated by the agent on host {host}")),
        );
        let mut prunes = decided.prunes;
        let seen = Seen {
            is_first: held.inventory.items.is_empty(),
            changes: !decided.writes.is_empty() || !prunes.is_empty(),
        };
        let hooks = planned_hooks(options, held.hooks, seen);
        // What was an object and is a hook now is replaced when that is run.
        let runs_first = |resource: &ResourceRef| {
            let mut runs = hooks.due.iter().flat_map(|due| due.hooks(When::Before));
            runs.any(|hook| hook.manifest.resource == *resource)
        };
        prunes.retain(|(item, _)| !runs_first(&item.resource));
        let planned = PlannedSync {
            environment: environment.clone(),
            unchanged: decided.unchanged.iter().map(remembered).collect(),
            writes: decided.writes.iter().map(write).collect(),
            changes: decided.changes,
            refusals: decided.refusals,
            undone,
            by: None,
            options: options.clone(),
            adopted: decided.adopted,
            strangers,
            contested: decided.contested,
            prunes,
            hooks,
            before: held.inventory,
            during: decided.during,
            after: decided.after,
        };
        Ok((planned, observed))
    }

    /// The inventory that a plan stands on: read anew where something is to be written or was taken out of git, and made
    /// anew from what else is known where it was lost.
    async fn held(
        &self,
        environment: &EnvironmentId,
        desired: &[Manifest],
        observed: &[Observed],
        memory: &Memory,
        options: &Options,
    ) -> Result<Held, ApiProblem> {
        let Inner { objects, inventories, .. } = &*self.0;
        let mut held = inventories.read(objects, environment, &options.namespace).await?;
        let leaves = !leaving(desired, &held.inventory, options).is_empty();
        let is_new = |wanted: &Wanted| !wanted.hooks.is_empty() && held.hooks.applied.as_ref() != Some(&wanted.content);
        let may_run = options.hooks.as_deref().is_some_and(is_new);
        if options.fresh || leaves || may_run || observed.iter().any(Observed::wants_a_write) {
            held = inventories.fresh(objects, environment, &options.namespace).await?;
        }
        let strays = self.0.strays.take(objects, self.epoch(), environment, &options.namespace, &held).await?;
        if !strays.is_empty() {
            tracing::warn!(%environment, objects = strays.len(), "the cluster was set back: objects that no inventory lists are added to it");
            held = inventories.believe(environment, &options.namespace, strays);
            self.watch(environment, &held.inventory, memory);
        }
        let was_here = !memory.is_empty() || observed.iter().any(|one| one.was_applied_for(environment));
        self.remade(environment, &options.namespace, held, was_here, memory).await
    }

    /// The inventory, made anew from what else is known where it was lost. What is in it is watched from then on: it may be
    /// long until somebody lets a sync write it.
    pub(super) async fn remade(
        &self,
        environment: &EnvironmentId,
        namespace: &str,
        held: Held,
        was_here: bool,
        memory: &Memory,
    ) -> Result<Held, ApiProblem> {
        if held.recorded || !held.inventory.items.is_empty() || !was_here {
            return Ok(held);
        }
        let items = self.lost(environment, namespace, memory).await?;
        if items.is_empty() {
            return Ok(held);
        }
        tracing::warn!(%environment, objects = items.len(), "the inventory was lost; it is recreated");
        let held = self.0.inventories.believe(environment, namespace, items);
        self.watch(environment, &held.inventory, memory);
        Ok(held)
    }

    /// What the environment applied, where its inventory was lost: what the history remembers, and what carries its label.
    async fn lost(
        &self,
        environment: &EnvironmentId,
        namespace: &str,
        memory: &Memory,
    ) -> Result<Vec<InventoryItem>, ApiProblem> {
        let Inner { objects, inventories, .. } = &*self.0;
        // What is in another namespace is where the environment was before, and stays there.
        let within = match inventories.is_elsewhere(objects, environment, namespace).await? {
            Some(true) => return Ok(Vec::new()),
            Some(false) => None,
            None => Some(namespace),
        };
        let kinds = objects.kinds().await?;
        let version = |of: &ResourceRef| Some(kinds.get(&of.group, &of.kind)?.versions.first()?.version.clone());
        let item = |resource: &ResourceRef| InventoryItem {
            resource: resource.clone(),
            version: version(resource).unwrap_or_else(|| "v1".to_owned()),
        };
        let is_within = |resource: &&ResourceRef| within.is_none() || resource.namespace.as_deref() == within;
        let mut items: Vec<InventoryItem> = memory.keys().filter(is_within).map(item).collect();
        items.extend(survey::labelled(objects, environment, within).await?);
        items.sort();
        items.dedup_by(|a, b| a.resource == b.resource);
        Ok(items)
    }

    /// Who the owners of wanted objects are that are no environment of this agent here.
    async fn strangers(
        &self,
        desired: &[Manifest],
        observed: &[Observed],
        options: &Options,
    ) -> Result<BTreeMap<String, Stranger>, ApiProblem> {
        let Some(neighbours) = &options.neighbours else { return Ok(BTreeMap::new()) };
        let mut wanted: BTreeMap<String, Vec<&ResourceRef>> = BTreeMap::new();
        for (manifest, live) in desired.iter().zip(observed.iter().map(Observed::live)) {
            let ours = managed_fields::owner_of(manifest.object.head());
            let owner = live.and_then(|live| managed_fields::owner_of(live)).filter(|owner| Some(*owner) != ours);
            if let Some(owner) = owner.map(|owner| owner.to_string()).filter(|owner| neighbours.of(owner).is_none()) {
                wanted.entry(owner).or_default().push(&manifest.resource);
            }
        }
        let mut strangers = BTreeMap::new();
        for (owner, resources) in wanted {
            let namespaces = namespaces(&options.namespace, resources.into_iter());
            let stranger = self.0.inventories.stranger(&self.0.objects, &owner, &namespaces).await?;
            strangers.insert(owner, stranger);
        }
        Ok(strangers)
    }

    /// Whether something of the environment left git, as far as is known without a request.
    ///
    /// # Errors
    /// As [`Cluster::inventory`].
    pub async fn is_left_behind(
        &self,
        environment: &EnvironmentId,
        namespace: &str,
        desired: &[Manifest],
    ) -> Result<bool, ApiProblem> {
        Ok(!plan::candidates(desired, &self.inventory(environment, namespace, &Memory::new()).await?).is_empty())
    }
}

/// What of the inventory is looked at, since it is to go.
fn leaving(desired: &[Manifest], inventory: &Inventory, options: &Options) -> Vec<InventoryItem> {
    match (options.partial, options.wipes) {
        (true, _) => Vec::new(),
        (false, true) => plan::all(inventory),
        (false, false) => plan::candidates(desired, inventory),
    }
}

/// The hooks of a plan. Where the environment never had any, nothing is said of them.
fn planned_hooks(options: &Options, before: Record, seen: Seen) -> PlannedHooks {
    let Some(wanted) = &options.hooks else { return PlannedHooks { due: None, after: before.clone(), before } };
    let after = match wanted.hooks.is_empty() && before == Record::default() {
        _ if wanted.deletion.is_some() => Record::deleted(),
        true => Record::default(),
        false => Record { applied: Some(wanted.content.clone()), running: None },
    };
    PlannedHooks { due: hooks::due(wanted, &before, seen), before, after }
}

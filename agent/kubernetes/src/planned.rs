//! A plan that is ready to be executed.

use std::collections::{BTreeMap, BTreeSet};

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::change::{Change, PlanStep};
use quarterdeck_shared::id::SyncId;
use quarterdeck_shared::resource::{Inventory, InventoryItem, ResourceRef};

use crate::options::Options;
use quarterdeck_core::hooks::{Due, Phases, Record};
use quarterdeck_core::steps::{self, Step, Write};
use quarterdeck_core::sync::plan::{Refusal, Remembered, Stranger, Undone};

/// A plan, with all that its execution needs to know.
#[derive(Debug, Clone)]
pub struct PlannedSync {
    /// Whose.
    pub environment: EnvironmentId,
    /// What it does, one line an object, in its order; prunes last.
    pub changes: Vec<Change>,
    /// What the cluster refuses. Not empty: the plan is not executed.
    pub refusals: Vec<Refusal>,
    /// What is as it should be, to be remembered also when nothing is executed.
    pub unchanged: Vec<(ResourceRef, Remembered)>,
    /// What it leaves undone.
    pub undone: Undone,
    /// The sync that executes it; none where it is only looked at. The inventory names it.
    pub by: Option<SyncId>,
    pub(super) options: Options,
    pub(super) adopted: BTreeMap<String, Vec<ResourceRef>>,
    pub(super) strangers: BTreeMap<String, Stranger>,
    pub(super) contested: bool,
    pub(super) writes: Vec<Write>,
    pub(super) prunes: Vec<(InventoryItem, String)>,
    pub(super) hooks: PlannedHooks,
    pub(super) before: Inventory,
    pub(super) during: Inventory,
    pub(super) after: Inventory,
}

/// The hooks of a plan, and what the inventory says of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct PlannedHooks {
    /// Those that run.
    pub(super) due: Option<Due>,
    /// What the inventory says before.
    pub(super) before: Record,
    /// What it says when the whole plan is done.
    pub(super) after: Record,
}

impl PlannedSync {
    /// Whether it writes and deletes nothing, and runs no hooks. That the inventory forgets what is gone is no sync.
    pub fn is_nothing(&self) -> bool {
        self.writes.is_empty() && self.prunes.is_empty() && !self.runs_hooks()
    }

    /// Whether it runs hooks.
    pub fn runs_hooks(&self) -> bool {
        self.hooks.due.is_some()
    }

    /// What its execution does, in order.
    pub(super) fn steps(&self) -> Vec<Step> {
        let phases = |due: &Due| due.phases(&self.environment.to_string(), &self.run_id());
        let hooks = self.hooks.due.as_ref().map_or_else(Phases::default, phases);
        let steps = steps::by_kind(&self.writes, &self.prunes, self.options.create_namespace, &hooks);
        let steps = if self.options.wipes { steps::wiping(steps) } else { steps };
        if self.options.pull_secrets.is_empty() { steps } else { steps::with_pull_secrets(steps) }
    }

    /// What the inventory says of hooks while they run.
    pub(super) fn hooks_during(&self) -> Record {
        let before = &self.hooks.before;
        let during = |due: &Due| due.record(before.applied.clone(), &self.run_id());
        self.hooks.due.as_ref().map_or_else(|| before.clone(), during)
    }

    /// Of a run of hooks that this plan begins.
    fn run_id(&self) -> String {
        self.by.map(|sync| sync.to_string()).unwrap_or_default()
    }

    /// The same for people; nothing where it is refused.
    pub fn shown_steps(&self) -> Vec<PlanStep> {
        if self.refusals.is_empty() { steps::shown(&self.steps()) } else { Vec::new() }
    }

    /// Whether it depends on what the other environments of this agent want: something is deleted, or is refused since one
    /// of them has it.
    pub fn needs_neighbours(&self) -> bool {
        self.contested || !self.prunes.is_empty()
    }
}

/// Where the inventory of who owned these may be: in the namespace of who takes them over, or beside them.
pub(super) fn namespaces<'a>(own: &'a str, adopted: impl Iterator<Item = &'a ResourceRef>) -> BTreeSet<&'a str> {
    adopted.filter_map(|resource| resource.namespace.as_deref()).chain([own]).collect()
}

//! A plan as a list of steps, which its executor only walks: each is done side by side, and waited for, before the next.
//!
//! ```text
//! announce -> apply what others need, wait -> (dry run of what needed it) -> hooks before -> apply stage by stage -> delete
//!          -> hooks after -> conclude
//! ```
//!
//! [`by_kind`] is the one producer today: the order of kinds says what belongs together and who waits for whom, and hooks
//! stand before and after all of it. Waves and dependencies are other producers of the same steps.

use std::time::Duration;

use quarterdeck_shared::change::{PlanStep, StepAction, Wait};
use quarterdeck_shared::resource::{InventoryItem, ResourceRef};
use quarterdeck_shared::status::Health;
use serde_json::Value;

use crate::health;
use crate::hooks::{Phase, Phases, Run, When};
use crate::sync::manifest::Manifest;
use crate::sync::order;
use crate::sync::plan::{Ended, Later};

/// A definition is established within a second, and served a moment after; a busy API server takes some.
pub const ESTABLISHED_TIMEOUT: Duration = Duration::from_secs(30);

/// What is deleted and not gone is waited for this long: the protection of a volume claim is taken off within moments, and
/// what takes longer is waited for by later passes.
pub const GONE_TIMEOUT: Duration = Duration::from_secs(3);

/// What is deleted with all of an environment is waited for this long, stage by stage: a workload ends its pods within the 30 s that
/// they are given by default, a volume takes longer. What is not gone by then stays in the inventory.
pub const WIPED_TIMEOUT: Duration = Duration::from_secs(300);

/// What the delete policy of a hook that succeeded deletes is waited for this long: a Job goes within a moment, and a pod
/// with it, within the 30 s that it is given by default.
pub const CLEARED_TIMEOUT: Duration = Duration::from_secs(60);

/// An object to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// As it is written.
    pub manifest: Manifest,
    /// Whether it still has to be dry-run when it is its turn.
    pub later: Later,
    /// Whether fields of client-side kubectl become ours before.
    pub takes_over: bool,
}

/// An object to delete, with the uid that it must still have.
pub type Deletion = (InventoryItem, String);

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The inventory names what was applied before and what is applied now, so that whoever dies on the way loses nothing.
    Announce {
        /// Whether the plan goes on without it where the inventory's namespace does not exist yet: a later step brings it.
        namespace_follows: bool,
    },
    /// The namespace of the environment is created where it does not exist.
    CreateNamespace,
    /// The Secrets with which the cluster pulls images are made, and named by their ServiceAccounts, as far as these exist. What
    /// cannot be done of it ends no plan: there may be a last good Secret.
    PullSecrets,
    /// These are written side by side; then each is waited for.
    Apply {
        /// What is written.
        writes: Vec<Write>,
        /// What for.
        wait: Wait,
        /// At most so long.
        timeout: Duration,
    },
    /// What could not be dry-run before earlier steps were done is now: a refusal ends the plan before more is written, and
    /// what turns out to be as it should be is not written.
    DryRun {
        /// Which.
        manifests: Vec<Manifest>,
        /// Their kinds are served within this time.
        timeout: Duration,
    },
    /// These are deleted side by side; then each is waited for until it is gone.
    Delete {
        /// Which.
        deletions: Vec<Deletion>,
        /// Those of them that may hold what an earlier step deleted and is not gone, and are left for a later pass then.
        holders: Vec<ResourceRef>,
        /// At most so long; what is not gone stays in the inventory.
        timeout: Duration,
    },
    /// This hook is run, and waited for; one that runs already or was done in the same run of hooks is only waited for.
    Hook(Box<Run>),
    /// The hooks of this side succeeded: that is kept, so that none of them is run again for a later try.
    Passed(When),
    /// Those of them are deleted whose policy says so, and waited for until they are gone.
    Clear {
        /// Which; what is there under their names and is not of this run stays.
        runs: Vec<Run>,
        /// At most so long.
        timeout: Duration,
    },
    /// The inventory names what is left, and what was taken over leaves the inventories where it was.
    Conclude,
}

/// The steps by the order of kinds: definitions and namespaces first, and waited for; then one stage after another;
/// deletions the other way round. Hooks of one side come before all objects that need no more than definitions and
/// namespaces, those of the other after the deletions, as helm has them.
pub fn by_kind(writes: &[Write], deletions: &[Deletion], create_namespace: bool, hooks: &Phases) -> Vec<Step> {
    let brings = |resource: &ResourceRef| order::must_be_ready(&resource.group, &resource.kind);
    let (first, rest): (Vec<Write>, Vec<Write>) = writes.iter().cloned().partition(|w| brings(&w.manifest.resource));
    let later: Vec<Manifest> =
        rest.iter().filter(|write| write.later == Later::Yes).map(|write| write.manifest.clone()).collect();

    let mut steps = vec![Step::Announce { namespace_follows: true }];
    if create_namespace {
        steps.push(Step::CreateNamespace);
    }
    steps.extend(in_stages(&first, Wait::Established, ESTABLISHED_TIMEOUT));
    steps.push(Step::Announce { namespace_follows: false });
    if !later.is_empty() {
        steps.push(Step::DryRun { manifests: later, timeout: ESTABLISHED_TIMEOUT });
    }
    steps.extend(in_phase(When::Before, &hooks.before));
    steps.extend(in_stages(&rest, Wait::None, Duration::ZERO));
    for stage in deletions.chunk_by(|(a, _), (b, _)| same_stage(&a.resource, &b.resource)) {
        let holders = stage.iter().map(|(item, _)| item.resource.clone()).filter(|resource| brings(resource));
        steps.push(Step::Delete { holders: holders.collect(), deletions: stage.to_vec(), timeout: GONE_TIMEOUT });
    }
    steps.extend(in_phase(When::After, &hooks.after));
    steps.push(Step::Conclude);
    steps
}

/// The same steps where all of an environment is deleted: the hooks after it run when it is gone, so that is waited for.
pub fn wiping(mut steps: Vec<Step>) -> Vec<Step> {
    for step in &mut steps {
        if let Step::Delete { timeout, .. } = step {
            *timeout = WIPED_TIMEOUT;
        }
    }
    steps
}

/// The same steps where the environment has pull secrets: once its namespace is sure to exist, before anything that could pull, and
/// once more when ServiceAccounts were written, before what may run as one of them.
pub fn with_pull_secrets(steps: Vec<Step>) -> Vec<Step> {
    let is_account = |write: &Write| write.manifest.resource.kind == "ServiceAccount";
    let follow = |step: &Step| match step {
        Step::Announce { namespace_follows } => !namespace_follows,
        Step::Apply { writes, .. } => writes.iter().any(is_account),
        _ => false,
    };
    let both = |step: Step| {
        let then = follow(&step).then_some(Step::PullSecrets);
        [step].into_iter().chain(then)
    };
    steps.into_iter().flat_map(both).collect()
}

/// The hooks of one side, one after another; those that go then go the other way round.
fn in_phase(when: When, Phase { runs, passed }: &Phase) -> Vec<Step> {
    let run = |run: &Run| Step::Hook(Box::new(run.clone()));
    let mut steps: Vec<Step> = runs.iter().filter(|_| !passed).map(run).collect();
    if !steps.is_empty() {
        steps.push(Step::Passed(when));
    }
    let cleared: Vec<Run> = runs.iter().rev().filter(|run| run.goes_when_succeeded()).cloned().collect();
    if !cleared.is_empty() {
        steps.push(Step::Clear { runs: cleared, timeout: CLEARED_TIMEOUT });
    }
    steps
}

fn in_stages(writes: &[Write], wait: Wait, timeout: Duration) -> impl Iterator<Item = Step> {
    writes.chunk_by(|a, b| same_stage(&a.manifest.resource, &b.manifest.resource)).map(move |stage| Step::Apply {
        writes: stage.to_vec(),
        wait,
        timeout,
    })
}

fn same_stage(a: &ResourceRef, b: &ResourceRef) -> bool {
    order::stage(&a.group, &a.kind) == order::stage(&b.group, &b.kind)
}

/// The steps as people see them: those that change something.
pub fn shown(steps: &[Step]) -> Vec<PlanStep> {
    let show = |step: &Step| match step {
        Step::Apply { writes, wait, timeout } => Some(PlanStep {
            action: StepAction::Apply,
            resources: writes.iter().map(|write| write.manifest.resource.clone()).collect(),
            wait: *wait,
            timeout_seconds: timeout.as_secs(),
            hook: None,
        }),
        Step::Hook(run) => Some(PlanStep {
            action: StepAction::Hook,
            resources: vec![run.resource().clone()],
            wait: run.wait(),
            timeout_seconds: if run.wait() == Wait::None { 0 } else { run.timeout.as_secs() },
            hook: Some(run.moment.clone()),
        }),
        Step::Clear { runs, timeout } => Some(PlanStep {
            action: StepAction::Delete,
            resources: runs.iter().map(|run| run.resource().clone()).collect(),
            wait: Wait::Gone,
            timeout_seconds: timeout.as_secs(),
            hook: None,
        }),
        Step::Delete { deletions, timeout, .. } => Some(PlanStep {
            action: StepAction::Delete,
            resources: deletions.iter().map(|(item, _)| item.resource.clone()).collect(),
            wait: Wait::Gone,
            timeout_seconds: timeout.as_secs(),
            hook: None,
        }),
        Step::Announce { .. }
        | Step::CreateNamespace
        | Step::PullSecrets
        | Step::DryRun { .. }
        | Step::Passed(_)
        | Step::Conclude => None,
    };
    steps.iter().filter_map(show).collect()
}

/// How far an object is on the way to what is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// It is there.
    Yes,
    /// It may come; how it is.
    NotYet(String),
    /// It never will; why.
    Never(String),
}

/// Whether a live object is as it is waited for. What cannot become so (a Service that is waited for to be established) is
/// not waited for.
pub fn reached(wait: Wait, live: &Value) -> Reached {
    match wait {
        Wait::None | Wait::Gone => Reached::Yes,
        Wait::Established => established(live),
        Wait::Healthy => match health::assess(live) {
            verdict if matches!(verdict.health, Health::Healthy | Health::Suspended) => Reached::Yes,
            verdict => Reached::NotYet(format!("{}: {}", verdict.health.word(), verdict.reason)),
        },
        Wait::Completed => completed(live),
    }
}

fn established(live: &Value) -> Reached {
    if live["kind"] != "CustomResourceDefinition" {
        return Reached::Yes;
    }
    let mut conditions = live["status"]["conditions"].as_array().into_iter().flatten();
    if conditions.any(|condition| condition["type"] == "Established" && condition["status"] == "True") {
        return Reached::Yes;
    }
    match health::assess(live) {
        verdict if verdict.health == Health::Degraded => Reached::Never(verdict.reason),
        verdict => Reached::NotYet(verdict.reason),
    }
}

fn completed(live: &Value) -> Reached {
    let phase = live["status"]["phase"].as_str().unwrap_or_default();
    match live["kind"].as_str() {
        Some("Job") if health::ended(live) == Some(Ended::Completed) => Reached::Yes,
        Some("Job") => match health::assess(live) {
            verdict if verdict.health == Health::Degraded => Reached::Never(verdict.reason),
            verdict => Reached::NotYet(verdict.reason),
        },
        Some("Pod") if phase == "Succeeded" => Reached::Yes,
        Some("Pod") if phase == "Failed" => Reached::Never(health::assess(live).reason),
        Some("Pod") => Reached::NotYet(health::assess(live).reason),
        _ => Reached::Yes,
    }
}

#[cfg(test)]
mod tests;

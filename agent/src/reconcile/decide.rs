//! Whether a plan may become so: pure.
//!
//! - What a person asked for is done, unless the environment is suspended.
//! - What git says anew is applied where that is automatic, and else waits for a person. Of an environment that is not
//!   automatic only what was applied before, with the very manifest that it still has, is applied again; nothing of it is
//!   pruned without a person.
//! - Hooks are run with the whole of what git says, and never for what somebody changed.
//! - What somebody changed is reverted where that is wanted, object by object; one that is fought over is held for a while.

use std::collections::HashSet;
use std::time::Duration;

use quarterdeck_shared::application::SyncPolicy;
use quarterdeck_shared::change::{Action, Change};
use quarterdeck_shared::event::Cause;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::snapshot::EnvironmentStatus;
use quarterdeck_shared::status::Phase;
use tokio::time::Instant;

use super::fights::Fights;
use crate::context::Drift;
use crate::history::Intent;

/// Of a held plan of which all that could be told is unchanged, and the rest was refused.
const UNTOLD: &str = "whether it differs from git is not known";

/// How things stand before a plan.
pub(super) struct Standing<'a> {
    pub(super) status: &'a EnvironmentStatus,
    pub(super) policy: &'a SyncPolicy,
    pub(super) intent: Option<&'a Intent>,
    pub(super) drift: Option<&'a Drift>,
    pub(super) revision: &'a Revision,
    /// What the plan would do to objects in the cluster.
    pub(super) differing: &'a [Differing<'a>],
    /// Whether the plan runs hooks: its content is not what was last applied as a whole.
    pub(super) hooks: bool,
    pub(super) fights: &'a Fights,
}

/// An object that a plan would create, configure or prune.
#[derive(Debug, Clone, Copy)]
pub(super) struct Differing<'a> {
    pub(super) change: &'a Change,
    /// Whether its manifest was applied before as it is now: then writing it reverts what others did.
    pub(super) again: bool,
}

/// What is done with a plan.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    /// There is nothing in it.
    Nothing,
    /// It is left, for this reason, until something changes or this time has gone by.
    Hold { message: String, retry_after: Option<Duration> },
    /// It becomes so, for this reason, but for what is held of it.
    Sync { cause: Cause, held: Held },
}

/// What is left of a plan that becomes so.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Held {
    pub(super) objects: HashSet<ResourceRef>,
    /// The hooks are left as well: they are run for the whole of what git says.
    pub(super) hooks: bool,
    /// Why.
    pub(super) message: String,
    /// Until this time has gone by, or something changes.
    pub(super) retry_after: Option<Duration>,
}

impl Held {
    /// Whether nothing is left of the plan.
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty() && !self.hooks
    }
}

/// Decides. A plan that was refused is decided like any other: where it would become so, the refusal is told instead.
pub(super) fn decide(standing: &Standing<'_>, nothing: bool, refused: bool, now: Instant) -> Decision {
    let Standing { status, policy, intent, drift, revision, differing, hooks, fights } = standing;
    let hold = |message: String| Decision::Hold { message, retry_after: None };
    let whole = |cause: Cause| Decision::Sync { cause, held: Held::default() };
    if nothing && !refused {
        return Decision::Nothing;
    }
    let differs = if refused && differing.is_empty() { UNTOLD } else { "differs from git" };
    if status.suspended {
        let by = status.suspension.as_ref().map_or("suspended".to_owned(), |hold| hold.describe("suspended"));
        return hold(format!("{by}; {differs}"));
    }
    if let Some(intent) = intent {
        return whole(intent.cause.clone());
    }
    let is_new = status.revision.as_ref().is_none_or(|deployed| !deployed.is_same_content(revision));
    if is_new && policy.automatic {
        return whole(Cause::Commit { revision: (*revision).clone() });
    }
    // The options of the environment changed, or the hooks of this revision did not all succeed.
    if differing.is_empty() && *hooks && policy.automatic && !refused {
        return whole(Cause::Agent);
    }
    // Only what left git and is to be deleted later is left to decide, or hooks.
    if differing.is_empty() && !refused {
        return hold(waiting(status, revision, differs));
    }
    let (reverts, waits): (Vec<&Differing<'_>>, Vec<_>) =
        differing.iter().partition(|differing| policy.automatic || differing.again);
    if (is_new || !waits.is_empty()) && (reverts.is_empty() || refused || !policy.self_heal) {
        return hold(waiting(status, revision, differs));
    }
    if !policy.self_heal {
        // By hand all may be as git says again, but a field stays theirs who wrote it: no value shows why this differs.
        let only_owners = reverts.iter().all(|one| is_ownership(one.change));
        let what =
            if only_owners { "others own fields that git names, with git's values" } else { "the cluster was changed" };
        return hold(format!("{what}, and self-heal is off"));
    }
    let wait = |differing: &&Differing<'_>| fights.wait(&differing.change.resource, now);
    let (fought, free): (Vec<&Differing<'_>>, Vec<_>) = reverts.iter().partition(|one| wait(one).is_some());
    let retry_after = fought.iter().filter_map(wait).min();
    let message = match (fought.is_empty(), waits.is_empty()) {
        (false, _) => fights.describe(&fought.iter().map(|one| one.change).collect::<Vec<_>>()),
        (true, false) => waiting(status, revision, differs),
        (true, true) => String::new(),
    };
    if free.is_empty() && !fought.is_empty() && !refused {
        return Decision::Hold { message, retry_after };
    }
    let objects: HashSet<ResourceRef> = fought.iter().chain(&waits).map(|held| held.change.resource.clone()).collect();
    let hooks = *hooks && (!policy.automatic || !objects.is_empty());
    let message = if message.is_empty() && hooks { waiting(status, revision, differs) } else { message };
    Decision::Sync { cause: reverting(*drift, &free), held: Held { objects, hooks, message, retry_after } }
}

/// Whether nothing but who owns fields would change.
fn is_ownership(change: &Change) -> bool {
    change.action == Action::Configure && change.fields.is_empty()
}

/// Why something that git says waits.
fn waiting(status: &EnvironmentStatus, revision: &Revision, differs: &str) -> String {
    let last = status.last_sync.as_ref().filter(|sync| {
        sync.phase == Phase::Succeeded
            && sync.revision.is_same_content(revision)
            && matches!(sync.cause, Cause::Person { .. })
    });
    match last.and_then(|sync| sync.part.as_ref()) {
        Some(part) => format!("{}, and automatic sync is off", part.applied(revision)),
        None => format!("{differs}, and automatic sync is off"),
    }
}

/// The cause of a sync that reverts: the drift that was seen, or the first object that differs.
fn reverting(drift: Option<&Drift>, reverts: &[&Differing<'_>]) -> Cause {
    let is_reverted = |drift: &&Drift| reverts.iter().any(|one| one.change.resource == drift.resource);
    match (drift, reverts.first()) {
        // The options of the environment changed, or the last life of the agent ended in the middle.
        (None, _) => Cause::Agent,
        (Some(seen), Some(first)) if !is_reverted(&seen) => Cause::Drift {
            resource: first.change.resource.clone(),
            manager: first.change.fields.iter().find_map(|field| field.manager.clone()),
        },
        (Some(seen), _) => Cause::Drift { resource: seen.resource.clone(), manager: seen.manager.clone() },
    }
}

#[cfg(test)]
mod tests;

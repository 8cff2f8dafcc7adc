//! Plans: what a sync will do, line by line, and the record of what it did.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::resource::ResourceRef;
use crate::revision::Revision;

/// What a sync does to one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is in git and not in the cluster.
    Create,
    /// It is in both and differs.
    Configure,
    /// It is in both and alike.
    Unchanged,
    /// It left git and is ours: delete it.
    Prune,
    /// It is left alone; the reason says why.
    Skip,
}

impl Action {
    /// The sign that stands before a line: `+ ~ = - ·`.
    pub fn sign(self) -> char {
        match self {
            Self::Create => '+',
            Self::Configure => '~',
            Self::Unchanged => '=',
            Self::Prune => '-',
            Self::Skip => '·',
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Configure => "configure",
            Self::Unchanged => "unchanged",
            Self::Prune => "prune",
            Self::Skip => "skip",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One field that differs. Values of Secrets are masked before they get here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// `spec.template.spec.containers[name=shop].image`.
    pub path: String,
    /// In the cluster; absent where the field is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Value>,
    /// As git wants it; absent where the field goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Value>,
    /// The field manager that set the live value, where the API server tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// Git does not name the field: it falls to the value that the API server gives it by default.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The object.
    pub resource: ResourceRef,
    /// What happens to it.
    pub action: Action,
    /// The fields that differ, for [`Action::Configure`]; bounded, see [`Change::MAX_FIELDS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
    /// Why, where the action does not say it all: "pruning is off", "no longer in git".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Change {
    /// Fields listed for one object: what a person reads; the full difference is fetched on demand.
    pub const MAX_FIELDS: usize = 50;
}

/// What a sync of an application to a revision will do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The revision that it would bring.
    pub revision: Revision,
    /// Every object, in the order in which it is applied; prunes last.
    pub changes: Vec<Change>,
    /// What is done about those that differ, step by step: a step is done side by side, and waited for, before the next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<PlanStep>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    /// What is done with the objects.
    pub action: StepAction,
    /// The objects.
    pub resources: Vec<ResourceRef>,
    /// What is waited for before the next step begins.
    pub wait: Wait,
    /// How long at most, in seconds; zero where nothing is waited for.
    pub timeout_seconds: u64,
    /// When in the release its hook runs, where the step runs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<HookMoment>,
}

/// When in a release a hook runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookMoment {
    /// In the words of whoever defines it: `pre-upgrade`.
    pub phase: String,
    /// Of the hooks of a phase the lowest runs first.
    pub weight: i64,
}

impl HookMoment {
    /// `Job/migrate (pre-upgrade, weight 0)`.
    pub fn describe(&self, resource: &ResourceRef) -> String {
        format!("{} ({}, weight {})", resource.short(), self.phase, self.weight)
    }
}

/// What a step does with its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepAction {
    /// They are written as git has them.
    Apply,
    /// They are deleted.
    Delete,
    /// One object that is run as a hook: an older one of that name is deleted before, if its policy says so.
    Hook,
}

/// What is waited for before the next step begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// Nothing.
    #[default]
    None,
    /// The API server serves what the definitions among them define.
    Established,
    /// Each of them is Healthy or Suspended.
    Healthy,
    /// Each Job and Pod among them ran to its end, and succeeded.
    Completed,
    /// Each of them is gone.
    Gone,
}

impl fmt::Display for PlanStep {
    /// `apply Namespace shop, CustomResourceDefinition boats.example; wait until established, 30 s at most`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMED: usize = 3; // as many as fit a line of 80 columns; the lines of the plan name all of them
        let action = match self.action {
            StepAction::Apply => "apply",
            StepAction::Delete => "delete",
            StepAction::Hook => "run hook",
        };
        let name = |resource: &ResourceRef| match &self.hook {
            Some(moment) => moment.describe(resource),
            None => resource.short(),
        };
        let named = self.resources.iter().take(NAMED).map(name).collect::<Vec<_>>().join(", ");
        write!(f, "{action} {named}")?;
        match self.resources.len().saturating_sub(NAMED) {
            0 => {}
            more => write!(f, " and {more} more")?,
        }
        let until = match self.wait {
            Wait::None => return Ok(()),
            Wait::Established => "established",
            Wait::Healthy => "healthy",
            Wait::Completed => "completed",
            Wait::Gone => "gone",
        };
        write!(f, "; wait until {until}, {} s at most", self.timeout_seconds)
    }
}

impl Plan {
    /// How many lines have this action.
    pub fn count(&self, action: Action) -> usize {
        self.changes.iter().filter(|change| change.action == action).count()
    }

    /// Whether a sync would write anything, or run a hook.
    pub fn differs(&self) -> bool {
        let writes = |change: &Change| matches!(change.action, Action::Create | Action::Configure | Action::Prune);
        self.changes.iter().any(writes) || self.hooks() > 0
    }

    /// How many hooks a sync would run.
    pub fn hooks(&self) -> usize {
        self.steps.iter().filter(|step| step.hook.is_some()).count()
    }

    /// `1. apply ConfigMap/flags`, a line a step; none where all is one step that waits for nothing, since the lines of the plan
    /// say it all then.
    pub fn step_lines(&self) -> Vec<String> {
        match self.steps.as_slice() {
            [] => Vec::new(),
            [one] if one.wait == Wait::None && one.hook.is_none() => Vec::new(),
            steps => steps.iter().enumerate().map(|(place, step)| format!("{}. {step}", place + 1)).collect(),
        }
    }

    /// `1 to create, 2 to configure, 1 to prune, 9 unchanged, 1 hook to run`; only what there is.
    pub fn summary(&self) -> String {
        let objects = planned(self.changes.iter().map(|change| change.action));
        let hooks = match self.hooks() {
            0 => return objects,
            1 => "1 hook to run".to_owned(),
            hooks => format!("{hooks} hooks to run"),
        };
        if self.changes.is_empty() { hooks } else { format!("{objects}, {hooks}") }
    }
}

/// What is going to be done: `1 to create, 2 to configure, 9 unchanged`; "nothing to do" for no objects at all.
pub fn planned(actions: impl Iterator<Item = Action> + Clone) -> String {
    count(actions, "nothing to do", |action| match action {
        Action::Create => "to create",
        Action::Configure => "to configure",
        Action::Prune => "to prune",
        Action::Skip => "to skip",
        Action::Unchanged => "unchanged",
    })
}

/// What was done: `1 created, 2 configured, 9 unchanged`; "nothing done" for no objects at all.
pub fn done(actions: impl Iterator<Item = Action> + Clone) -> String {
    count(actions, "nothing done", |action| match action {
        Action::Create => "created",
        Action::Configure => "configured",
        Action::Prune => "pruned",
        Action::Skip => "skipped",
        Action::Unchanged => "unchanged",
    })
}

fn count(actions: impl Iterator<Item = Action> + Clone, none: &str, label: impl Fn(Action) -> &'static str) -> String {
    let order = [Action::Create, Action::Configure, Action::Prune, Action::Skip, Action::Unchanged];
    let parts: Vec<String> = order
        .into_iter()
        .filter_map(|action| match actions.clone().filter(|a| *a == action).count() {
            0 => None,
            n => Some(format!("{n} {}", label(action))),
        })
        .collect();
    if parts.is_empty() { none.to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_a_step_that_says_when_it_runs() {
        let job = ResourceRef::new("batch", "Job", Some("shop"), "migrate");
        let hook = |wait, timeout_seconds| PlanStep {
            action: StepAction::Hook,
            resources: vec![job.clone()],
            wait,
            timeout_seconds,
            hook: Some(HookMoment { phase: "pre-upgrade".to_owned(), weight: -5 }),
        };
        let plan =
            |steps| Plan { revision: Revision::new("main", "a".repeat(40).parse().unwrap()), changes: vec![], steps };
        let awaited = plan(vec![hook(Wait::Completed, 300)]);
        let line = "1. run hook Job/migrate (pre-upgrade, weight -5); wait until completed, 300 s at most";
        assert_eq!(awaited.step_lines(), [line]);
        assert_eq!((awaited.differs(), awaited.summary().as_str()), (true, "1 hook to run"));
        assert_eq!(plan(vec![hook(Wait::None, 0)]).step_lines(), ["1. run hook Job/migrate (pre-upgrade, weight -5)"]);
        let text = serde_json::to_string(&awaited).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), awaited, "{text}");
    }

    #[test]
    fn a_summary_counts_what_is_there() {
        use Action::*;
        let actions = [Create, Unchanged, Create, Prune, Configure, Skip];
        for (actions, to_do, was_done) in [
            (&[][..], "nothing to do", "nothing done"),
            (
                &actions,
                "2 to create, 1 to configure, 1 to prune, 1 to skip, 1 unchanged",
                "2 created, 1 configured, 1 pruned, 1 skipped, 1 unchanged",
            ),
        ] {
            assert_eq!(planned(actions.iter().copied()), to_do);
            assert_eq!(done(actions.iter().copied()), was_done);
        }
    }
}

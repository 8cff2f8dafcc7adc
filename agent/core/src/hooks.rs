//! Hooks: objects that are run at a moment of a release and are no part of it. They are in no inventory, so that they are
//! neither compared, pruned nor judged; their own policies say when they are deleted.
//!
//! ```text
//! a renderer ─► Hook (when, weight, policies) ─┬─ due ─► Due ─► Runs ─► steps
//! the inventory ─► Record (what was applied) ──┘
//! ```
//!
//! They run where the content of the release, hooks included, is not what was last applied as a whole: not for drift, and
//! not again for a sync that changes nothing. What was applied is kept in the cluster beside the inventory, so that it goes
//! back with a cluster that is set back, and outlives the agent's own files. A run of hooks has an id from its beginning to
//! its end, over failures and restarts: each hook carries it, so that one that runs or is done already is known.
//!
//! Helm's charts are the one producer today. Nothing here but the names of the phases is Helm's.

mod chosen;
mod run;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::chosen::{NoTests, chosen};
pub use self::run::{Begin, HOOK_ANNOTATION, Phase, Phases, Run, begin, pod_report};
use crate::sync::manifest::Manifest;
use crate::sync::order;

/// A hook as a renderer found it.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// The object, without the labels of an environment.
    pub manifest: Manifest,
    /// When it runs; at least one.
    pub moments: Vec<Moment>,
    /// Of the hooks of a moment the lowest runs first.
    pub weight: i64,
    /// When it is deleted.
    pub deleted: DeletePolicy,
    /// It has to be done within this time.
    pub timeout: Duration,
}

/// A moment of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Of which kind of release.
    pub event: Event,
    /// Before or after its objects.
    pub when: When,
}

/// What a release is to its environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// None was applied as a whole before.
    Install,
    /// Another one was.
    Upgrade,
    /// Another one was, and a person goes back from it.
    Rollback,
    /// It is not a release at all: a person asks how the objects of the present one are.
    Test,
    /// A person deletes its objects.
    Delete,
}

/// Which side of the objects of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Before they are written, and after what they need: namespaces and definitions.
    Before,
    /// After they are written, and what left git is deleted. Whether they are healthy by then is not waited for.
    After,
}

impl Moment {
    /// `pre-upgrade`.
    pub fn name(self) -> &'static str {
        match (self.when, self.event) {
            (When::Before, Event::Install) => "pre-install",
            (When::Before, Event::Upgrade) => "pre-upgrade",
            (When::Before, Event::Rollback) => "pre-rollback",
            (When::After, Event::Install) => "post-install",
            (When::After, Event::Upgrade) => "post-upgrade",
            (When::After, Event::Rollback) => "post-rollback",
            // Nothing is written that a test could be before or after.
            (_, Event::Test) => "test",
            (When::Before, Event::Delete) => "pre-delete",
            (When::After, Event::Delete) => "post-delete",
        }
    }

    /// The moment of that name. `test-success` is what Helm 2 called a test, and helm still takes it for one; `test-failure` it
    /// does not know any more.
    pub fn named(name: &str) -> Option<Self> {
        let events = [Event::Install, Event::Upgrade, Event::Rollback, Event::Test, Event::Delete];
        let name = if name == "test-success" { "test" } else { name };
        let all = [When::Before, When::After].into_iter().flat_map(|when| events.map(|event| Self { event, when }));
        all.into_iter().find(|moment| moment.name() == name)
    }

    /// Whether only a person makes it come, and no sync.
    pub fn is_on_demand(self) -> bool {
        matches!(self.event, Event::Test | Event::Delete)
    }
}

/// When the object of a hook is deleted. A definition never is: all objects of its kind would go with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeletePolicy {
    /// Before it is created again.
    pub before_creation: bool,
    /// When all hooks of its phase succeeded, or a later one of them failed.
    pub succeeded: bool,
    /// When it failed.
    pub failed: bool,
}

/// What of hooks an environment wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// All of the release, those of other events as well.
    pub hooks: Vec<Hook>,
    /// A digest of the release with its hooks.
    pub content: String,
    /// Whether a person goes back to it.
    pub rollback: bool,
    /// Whether it is no release but the end of one: the id of that deletion.
    pub deletion: Option<String>,
}

/// What the inventory says of releases that had hooks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The content that was last applied as a whole, with all its hooks; none where none was since hooks are run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
    /// The hooks that were begun and did not all succeed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Running>,
}

/// A run of the hooks of a release, over all tries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The content of the release.
    pub content: String,
    /// What the release is to its environment.
    pub event: Event,
    /// Tells it from other runs of the same hooks: the sync that began it.
    pub id: String,
    /// The last phase whose hooks all succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<When>,
}

/// What else is seen of an environment where nothing was recorded of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its inventory is empty.
    pub is_first: bool,
    /// Its plan writes or deletes something.
    pub changes: bool,
}

/// Hooks that are due.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// What the release is to its environment.
    pub event: Event,
    /// The content of the release.
    pub content: String,
    /// The run that goes on; none where one begins.
    pub id: Option<String>,
    /// The last phase whose hooks all succeeded in that run.
    pub passed: Option<When>,
    /// Of this event, each phase in the order in which they run.
    hooks: Vec<(When, Hook)>,
}

/// Decides whether the hooks of a release are due, and as what.
///
/// - A run that failed or was cut off goes on for as long as the content is the same: as what it began.
/// - What was recorded as applied is not run again; anything else is an upgrade of it.
/// - Where nothing is recorded, an environment without objects is installed, also when its first release failed. One with
///   objects was deployed without hooks: they are run from its next change on.
pub fn due(wanted: &Wanted, record: &Record, seen: Seen) -> Option<Due> {
    let running = record.running.as_ref();
    let going_on = running.filter(|running| running.content == wanted.content);
    let later = if wanted.rollback { Event::Rollback } else { Event::Upgrade };
    let event = match (going_on, &record.applied, running) {
        _ if wanted.deletion.is_some() => Event::Delete,
        (Some(running), _, _) => running.event,
        (None, Some(applied), _) if *applied == wanted.content => return None,
        (None, Some(_), _) => later,
        (None, None, Some(failed)) if failed.event == Event::Install => Event::Install,
        (None, None, Some(_)) => later,
        (None, None, None) if seen.is_first => Event::Install,
        (None, None, None) if seen.changes => later,
        (None, None, None) => return None,
    };
    let of = |when| in_order(&wanted.hooks, Moment { event, when }).map(move |hook| (when, hook));
    let hooks: Vec<(When, Hook)> = of(When::Before).chain(of(When::After)).collect();
    let id = going_on.map(|run| run.id.clone()).or_else(|| wanted.deletion.clone());
    let passed = going_on.and_then(|run| run.passed);
    (!hooks.is_empty()).then(|| Due { event, content: wanted.content.clone(), id, passed, hooks })
}

/// The tests among hooks, as they are run for this environment; `id` tells this run from others, and `timeout` is in place of the
/// time of each where it is given.
pub fn tests(hooks: &[Hook], environment: &str, id: &str, timeout: Option<Duration>) -> Vec<Run> {
    let moment = Moment { event: Event::Test, when: When::Before };
    let run = |hook: Hook| {
        let hook = Hook { timeout: timeout.unwrap_or(hook.timeout), ..hook };
        Run::new(&hook, moment.name(), environment, id)
    };
    in_order(hooks, moment).map(run).collect()
}

/// The hooks of a moment in Helm's order: by weight, then by name; of the same name in the order of kinds. (Its documentation
/// has the kind before the name, its code has not.)
fn in_order(hooks: &[Hook], moment: Moment) -> impl Iterator<Item = Hook> {
    let mut of: Vec<Hook> = hooks.iter().filter(|hook| hook.moments.contains(&moment)).cloned().collect();
    of.sort_by(|a, b| {
        let (one, other) = (&a.manifest.resource, &b.manifest.resource);
        let by_weight = a.weight.cmp(&b.weight).then_with(|| one.name.cmp(&other.name));
        by_weight.then_with(|| order::compare(one, other))
    });
    of.into_iter()
}

impl Record {
    /// What the inventory says of an environment that was deleted, where some of it stays: what comes next is installed.
    pub fn deleted() -> Self {
        let (content, id) = (String::new(), String::new());
        Self { applied: None, running: Some(Running { content, event: Event::Install, id, passed: None }) }
    }
}

impl Due {
    /// What the inventory says while they run; `id` where they begin.
    pub fn record(&self, applied: Option<String>, id: &str) -> Record {
        let id = self.id.clone().unwrap_or_else(|| id.to_owned());
        let Self { event, content, passed, .. } = self;
        let running = Running { content: content.clone(), event: *event, id, passed: *passed };
        Record { applied, running: Some(running) }
    }

    /// Their runs as steps are made of them, for this environment; `id` where they begin.
    pub fn phases(&self, environment: &str, id: &str) -> Phases {
        let id = self.id.as_deref().unwrap_or(id);
        let of = |when: When| {
            let hooks = self.hooks.iter().filter(|(of, _)| *of == when);
            let name = Moment { event: self.event, when }.name();
            let runs = hooks.map(|(_, hook)| Run::new(hook, name, environment, id)).collect();
            Phase { runs, passed: self.passed >= Some(when) }
        };
        Phases { before: of(When::Before), after: of(When::After) }
    }

    /// The hooks that run on this side of the objects.
    pub fn hooks(&self, when: When) -> impl Iterator<Item = &Hook> {
        self.hooks.iter().filter(move |(of, _)| *of == when).map(|(_, hook)| hook)
    }
}

#[cfg(test)]
mod tests;

//! Comments: each merge request that runs are of has one of ours, and it shows how they are now; so has one whose merge would
//! change something.
//!
//! Which one it is, and a digest of what it shows, are kept. Where that is lost our comment is found by what its sections
//! begin with, so that no merge request gets a second one. One that a person deleted comes back with the next change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use quarterdeck_core::merge_comment::{MergePlan, comment, marker, plan_marker};
use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::error::chain;
use quarterdeck_shared::snapshot::RunStatus;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::patience::Patience;
use super::plans::Plans;
use super::{Projects, record};
use crate::context::Context;
use crate::forge::api::MergeRequest;
use crate::forge::{Forge, ForgeError};
use crate::history::Comment;
use crate::journal::fact::Fact;

/// What they are called in the log.
const WHAT: &str = "comments on merge requests";

/// By merge request, as the history names it, our comment.
pub(super) type Known = BTreeMap<String, Comment>;

/// What the merge requests of a forge are to show.
pub(super) struct Comments {
    /// Whether they show runs.
    of_runs: bool,
    /// What merging would change, where they show that.
    plans: Option<watch::Receiver<Plans>>,
    due: BTreeMap<MergeRequest, Due>,
    pub(super) patience: Patience,
}

/// The comment that is due.
struct Due {
    text: String,
    /// By which of these it is found.
    markers: Vec<String>,
}

impl Comments {
    /// Nothing is due yet. Nothing at all where the forge is to have none.
    pub(super) fn new(of_runs: bool, plans: Option<watch::Receiver<Plans>>) -> Option<Self> {
        let wanted = of_runs || plans.is_some();
        wanted.then(|| Self { of_runs, plans, due: BTreeMap::new(), patience: Patience::default() })
    }

    /// Notes what changed in the merge requests of these applications, and what is planned otherwise.
    pub(super) async fn note(
        &mut self,
        context: &Context,
        forge: &Forge,
        projects: &Projects,
        behind: &BTreeSet<ApplicationName>,
        known: &mut Known,
    ) {
        let mut changed: BTreeSet<String> = behind.iter().filter_map(|name| projects.get(name)).cloned().collect();
        let plans = self.plans.as_mut().map(|plans| {
            let is_news = plans.has_changed().unwrap_or_default();
            let plans = plans.borrow_and_update().clone();
            changed.extend(plans.looked_at.iter().filter(|_| is_news).cloned());
            plans
        });
        for project in changed {
            let is_planned = |plans: &Plans| !plans.awaits.contains(&project);
            if !plans.as_ref().is_none_or(is_planned) {
                // What is shown now would be without the plan that is shown.
                continue;
            }
            let names = projects.iter().filter(|(_, other)| **other == project && self.of_runs).map(|(name, _)| name);
            let runs: Vec<RunStatus> = names.flat_map(|name| context.journal.snapshot().runs(name)).collect();
            for (number, shown) in shown(&runs, plans.as_ref(), &project) {
                let of = MergeRequest { project: project.clone(), number };
                self.note_one(context, forge, of, &shown, known).await;
            }
        }
    }

    async fn note_one(
        &mut self,
        context: &Context,
        forge: &Forge,
        of: MergeRequest,
        Shown { runs, plan }: &Shown<'_>,
        known: &mut Known,
    ) {
        let key = key(forge, &of);
        // What ended before this life began and has no comment is of a time without them.
        let is_old = |run: &&RunStatus| run.phase.is_final() && run.queued < context.started;
        let tells = !runs.iter().all(is_old) || plan.is_some_and(MergePlan::tells);
        if !known.contains_key(&key) && !tells {
            return;
        }
        let text = comment(runs, *plan);
        if known.get(&key).is_some_and(|before| before.shown == digest(&text)) {
            self.due.remove(&of);
            return;
        }
        if !known.contains_key(&key) {
            keep(context, known, key, Comment::default()).await;
        }
        let of_runs = runs.iter().map(|run| marker(&run.application));
        let of_plan = plan.iter().flat_map(|plan| plan.environments.first());
        let markers = of_runs.chain(of_plan.map(|first| plan_marker(&first.environment))).collect();
        self.due.insert(of, Due { text, markers });
    }

    /// Writes those that are due; what fails ends the round.
    pub(super) async fn send(&mut self, context: &Context, forge: &Forge, known: &mut Known) {
        if self.patience.is_waiting() {
            return;
        }
        while let Some((of, due)) = self.due.pop_first() {
            let key = key(forge, &of);
            let id = known.get(&key).and_then(|known| known.id);
            let id = match write(forge, &of, &due, id).await {
                Ok(id) => id,
                Err(error @ ForgeError::Rejected { .. }) => {
                    tracing::warn!(project = %of.project, merge_request = of.number, error = %chain(&error), "a comment was rejected");
                    None
                }
                Err(error) => {
                    self.due.insert(of, due);
                    return self.patience.failed(&error, WHAT);
                }
            };
            keep(context, known, key, Comment { id, shown: digest(&due.text) }).await;
        }
        self.patience.good(&forge.config.url, WHAT);
    }
}

/// Writes a comment over the one that is there; tells its id.
async fn write(forge: &Forge, of: &MergeRequest, due: &Due, id: Option<u64>) -> Result<Option<u64>, ForgeError> {
    let is_ours = |text: &str| due.markers.iter().any(|marker| text.contains(marker));
    let id = match id {
        Some(id) => Some(id),
        None => forge.find_comment(of, |listed| is_ours(&listed.body)).await?,
    };
    match forge.comment(of, id, &due.text).await {
        // Somebody deleted it.
        Err(ForgeError::Rejected { status: 404 | 410, .. }) if id.is_some() => forge.comment(of, None, &due.text).await,
        result => result,
    }
}

/// What one merge request shows.
#[derive(Default)]
struct Shown<'a> {
    /// The newest run of each application, in the order of their names.
    runs: Vec<&'a RunStatus>,
    plan: Option<&'a MergePlan>,
}

/// What each merge request of a project shows.
fn shown<'a>(runs: &'a [RunStatus], plans: Option<&'a Plans>, project: &str) -> BTreeMap<u64, Shown<'a>> {
    let mut all: BTreeMap<u64, Shown<'a>> = BTreeMap::new();
    for (number, runs) in newest_of_each(runs) {
        all.entry(number).or_default().runs = runs;
    }
    for (of, plan) in plans.iter().flat_map(|plans| &plans.by).filter(|(of, _)| of.project == project) {
        all.entry(of.number).or_default().plan = Some(plan);
    }
    all
}

/// By merge request the newest run of each application, in the order of their names.
fn newest_of_each(runs: &[RunStatus]) -> BTreeMap<u64, Vec<&RunStatus>> {
    let mut newest: BTreeMap<u64, BTreeMap<&ApplicationName, &RunStatus>> = BTreeMap::new();
    for run in runs {
        let Some(number) = run.merge_request() else { continue };
        let one = newest.entry(number).or_default().entry(&run.application).or_insert(run);
        if one.id < run.id {
            *one = run;
        }
    }
    newest.into_iter().map(|(number, runs)| (number, runs.into_values().collect())).collect()
}

/// What the history calls it.
fn key(forge: &Forge, of: &MergeRequest) -> String {
    format!("{}/{} {}", forge.config.url.trim_end_matches('/'), of.project, of.number)
}

/// Half of a SHA-256 tells any two texts apart.
fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes())[..16].iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

async fn keep(context: &Context, known: &mut Known, key: String, comment: Comment) {
    record(context, Fact::Comment { merge_request: key.clone(), comment: comment.clone() }).await;
    known.insert(key, comment);
}

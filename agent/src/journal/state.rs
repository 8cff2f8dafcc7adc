//! What the journal keeps in its hands: the applications and environments, and which runs are shown. Turns facts into rows and changes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use quarterdeck_shared::application::{ApplicationName, EnvironmentId};
use quarterdeck_shared::event::SyncRecord;
use quarterdeck_shared::snapshot::{ApplicationStatus, EnvironmentStatus, Key, Object, RunId, RunStatus};
use quarterdeck_shared::status::Phase;

use super::RUNS_SHOWN;
use super::fact::{ApplicationPatch, Fact, Patch};
use super::fold;
use crate::history::EnvironmentRow;
use crate::history::error::HistoryError;
use crate::history::sqlite::Writer;
use quarterdeck_core::queue;
use quarterdeck_core::run::ended;

/// Keys that change, with what lies under them then.
pub(super) type Changes = Vec<(Key, Option<Object>)>;

/// The journal's working state.
pub(super) struct JournalState {
    /// Every environment that ever was.
    rows: BTreeMap<EnvironmentId, EnvironmentRow>,
    /// Those that the configuration names.
    configured: BTreeSet<EnvironmentId>,
    /// Every application that ever was.
    applications: BTreeMap<ApplicationName, ApplicationStatus>,
    /// Those that the configuration names.
    operated: BTreeSet<ApplicationName>,
    /// Those that it named earlier in this life.
    removed: BTreeSet<ApplicationName>,
    /// The runs of each in the snapshot, oldest first.
    runs: BTreeMap<ApplicationName, VecDeque<Shown>>,
    /// Those whose runs changed in this transaction: which run waits behind which is said at its end, once.
    requeued: BTreeSet<ApplicationName>,
}

/// A run in the snapshot.
#[derive(Clone)]
struct Shown {
    id: RunId,
    phase: Phase,
    /// All of it, until it ends: which run waits behind which is said here.
    open: Option<Arc<RunStatus>>,
}

/// What a transaction may change, as it was before.
pub(super) struct Saved {
    rows: Vec<(EnvironmentId, Option<EnvironmentRow>, bool)>,
    applications: Vec<(ApplicationName, Option<ApplicationStatus>, bool)>,
    runs: Vec<(ApplicationName, VecDeque<Shown>)>,
}

/// The change that a fact makes which needs no history; nothing for all others.
pub(super) fn seen(fact: &Fact) -> Option<(Key, Option<Object>)> {
    match fact {
        Fact::Seen(object) => Some((object.key(), Some(object.clone()))),
        Fact::Gone(key) => Some((key.clone(), None)),
        _ => None,
    }
}

impl JournalState {
    pub(super) fn new(
        mut rows: BTreeMap<EnvironmentId, EnvironmentRow>,
        applications: BTreeMap<ApplicationName, ApplicationStatus>,
    ) -> Self {
        // What the last life was doing when it died nobody does any more.
        rows.values_mut().for_each(|row| of_now(&mut row.status));
        let (configured, operated, removed, requeued) = Default::default();
        Self { rows, configured, applications, operated, removed, runs: BTreeMap::new(), requeued }
    }

    /// Copies what these facts may change.
    pub(super) fn save<'a>(&self, facts: impl Iterator<Item = &'a Fact>) -> Saved {
        let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
        for fact in facts {
            match fact {
                Fact::Environment { id, .. } | Fact::EnvironmentRemoved(id) => ids.extend([id]),
                Fact::Sync(sync) => ids.extend([&sync.environment]),
                Fact::Application { name, .. } | Fact::ApplicationRemoved(name) => names.extend([name]),
                Fact::Artifact(artifact) => names.extend([&artifact.application]),
                Fact::Run(run) | Fact::RunProgress(run) => names.extend([&run.application]),
                _ => {}
            }
        }
        let row = |id: &&EnvironmentId| ((*id).clone(), self.rows.get(*id).cloned(), self.configured.contains(*id));
        let application = |name: &&ApplicationName| {
            ((*name).clone(), self.applications.get(*name).cloned(), self.operated.contains(*name))
        };
        let runs = |name: &&ApplicationName| ((*name).clone(), self.runs.get(*name).cloned().unwrap_or_default());
        Saved {
            rows: ids.iter().map(row).collect(),
            applications: names.iter().map(application).collect(),
            runs: names.iter().map(runs).collect(),
        }
    }

    /// Puts back what was saved.
    pub(super) fn restore(&mut self, saved: Saved) {
        for (id, row, configured) in saved.rows {
            if configured {
                self.configured.insert(id.clone());
            } else {
                self.configured.remove(&id);
            }
            match row {
                Some(row) => self.rows.insert(id, row),
                None => self.rows.remove(&id),
            };
        }
        for (name, status, operated) in saved.applications {
            if operated {
                self.removed.remove(&name);
                self.operated.insert(name.clone());
            } else {
                self.operated.remove(&name);
            }
            match status {
                Some(status) => self.applications.insert(name, status),
                None => self.applications.remove(&name),
            };
        }
        self.runs.extend(saved.runs);
        self.requeued.clear();
    }

    /// Writes one fact and says which keys change by it.
    pub(super) fn keep(
        &mut self,
        fact: &Fact,
        writer: &Writer<'_>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), HistoryError> {
        match fact {
            Fact::Happened { about, cause, event } => {
                writer.event(now, about, cause, event)?;
            }
            Fact::Application { name, patch } => self.patch_application(name, patch, writer, changes)?,
            Fact::ApplicationRemoved(name) => self.remove(name, writer, now, changes)?,
            Fact::Environment { id, patch } => self.patch(id, patch, writer, now, changes)?,
            Fact::EnvironmentRemoved(id) => {
                // Its row stays: it may come back, suspended as it was. What is seen of it, and done, is of now.
                self.configured.remove(id);
                self.rows.get_mut(id).into_iter().for_each(|row| of_now(&mut row.status));
                changes.push((Key::environment(id), None));
            }
            Fact::Run(run) if run.phase == Phase::Queued && self.removed.contains(&run.application) => {
                writer.run(&nobodys(run, now))?;
            }
            Fact::Run(run) => {
                writer.run(run)?;
                self.show((**run).clone(), changes);
                self.requeued.insert(run.application.clone());
            }
            Fact::RunProgress(run) => self.show((**run).clone(), changes),
            Fact::Sync(sync) => {
                writer.sync(sync)?;
                // The changes of a sync are fetched on demand: the snapshot holds what every console shows.
                let summary = SyncRecord { changes: Vec::new(), ..(**sync).clone() };
                let Some(row) = self.rows.get_mut(&sync.environment) else { return Ok(()) };
                row.status.last_sync = Some(summary);
                writer.environment(row)?;
                if self.configured.contains(&sync.environment) {
                    changes.push(shown(row));
                }
            }
            Fact::Artifact(artifact) => {
                writer.artifact(artifact)?;
                let name = &artifact.application;
                let Some(status) = self.applications.get_mut(name) else { return Ok(()) };
                status.artifact = Some(artifact.clone());
                writer.application(status)?;
                if self.operated.contains(name) {
                    changes.push(shown_application(status));
                }
            }
            Fact::CommitStatuses { run, statuses } => writer.commit_statuses(*run, statuses)?,
            Fact::Comment { merge_request, comment } => writer.comment(merge_request, comment)?,
            Fact::RefsSeen { application, repository, refs } => writer.refs_seen(application, repository, refs)?,
            Fact::Applied { environment, applied, gone } => writer.applied(environment, applied, gone)?,
            Fact::Intent { environment, intent } => writer.intent(environment, intent)?,
            Fact::IntentDone { environment, intent } => writer.intent_done(environment, intent)?,
            Fact::Seen(_) | Fact::Gone(_) => changes.extend(seen(fact)),
        }
        Ok(())
    }

    fn patch(
        &mut self,
        id: &EnvironmentId,
        patch: &Patch,
        writer: &Writer<'_>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), HistoryError> {
        if let Patch::Configured(spec) = patch {
            self.configured.insert(id.clone());
            self.rows.entry(id.clone()).or_insert_with(|| fold::new_row(id, spec.clone(), now));
        }
        // It left the configuration while something was still on its way: nobody asks any more.
        let Some(row) = self.rows.get_mut(id).filter(|_| self.configured.contains(id)) else { return Ok(()) };
        let folded = fold::fold(row, patch.clone(), now);
        for (cause, event) in &folded.events {
            writer.event(now, &id.into(), cause, event)?;
        }
        if folded.keep {
            writer.environment(row)?;
        }
        changes.push(shown(row));
        Ok(())
    }

    fn patch_application(
        &mut self,
        name: &ApplicationName,
        patch: &ApplicationPatch,
        writer: &Writer<'_>,
        changes: &mut Changes,
    ) -> Result<(), HistoryError> {
        if let ApplicationPatch::Configured { .. } = patch {
            self.removed.remove(name);
            self.operated.insert(name.clone());
            self.applications.entry(name.clone()).or_insert_with(|| fold::new_application(name));
        }
        let Some(status) = self.applications.get_mut(name).filter(|_| self.operated.contains(name)) else {
            return Ok(());
        };
        if fold::fold_application(status, patch.clone()) {
            writer.application(status)?;
        }
        changes.push(shown_application(status));
        Ok(())
    }

    /// Takes an application out of the snapshot. Its row stays: it may come back. What was queued ends: nobody would take it up before the next start. What runs is ended by its worker.
    fn remove(
        &mut self,
        name: &ApplicationName,
        writer: &Writer<'_>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), HistoryError> {
        self.operated.remove(name);
        self.removed.insert(name.clone());
        changes.push((Key::application(name), None));
        for run in self.runs.remove(name).unwrap_or_default() {
            changes.push((Key::run(run.id), None));
            if let Some(open) = run.open.filter(|open| open.phase == Phase::Queued) {
                writer.run(&nobodys(&open, now))?;
            }
        }
        Ok(())
    }

    /// Writes the runs that wait behind others than before, after all that a transaction changed. Here, since a run that is
    /// queued belongs to nobody yet: whoever wrote it as it was a moment ago could undo its cancellation.
    pub(super) fn retell(&mut self, writer: &Writer<'_>, changes: &mut Changes) -> Result<(), HistoryError> {
        for name in std::mem::take(&mut self.requeued) {
            let shown = self.runs.get(&name).into_iter().flatten();
            let open: Vec<&RunStatus> = shown.filter_map(|run| run.open.as_deref()).collect();
            for run in queue::retold(&open) {
                writer.run(&run)?;
                self.show(run, changes);
            }
        }
        Ok(())
    }

    /// Puts a run into the snapshot; where there are more than [`RUNS_SHOWN`] the oldest ended one goes, those that were
    /// cut off and taken up first.
    fn show(&mut self, run: RunStatus, changes: &mut Changes) {
        if self.removed.contains(&run.application) {
            // The last words of a run whose application left the configuration are for history alone.
            return;
        }
        let runs = self.runs.entry(run.application.clone()).or_default();
        let open = (!run.phase.is_final()).then(|| Arc::new(run.clone()));
        let shown = Shown { id: run.id, phase: run.phase, open };
        match runs.iter_mut().find(|known| known.id == run.id) {
            Some(known) => *known = shown,
            None => runs.push_back(shown),
        }
        let object = Object::Run(Box::new(run));
        changes.push((object.key(), Some(object)));
        while runs.len() > RUNS_SHOWN {
            let cut_off = runs.iter().position(|run| run.phase == Phase::Interrupted);
            let Some(oldest) = cut_off.or_else(|| runs.iter().position(|run| run.phase.is_final())) else { break };
            if let Some(run) = runs.remove(oldest) {
                changes.push((Key::run(run.id), None));
            }
        }
    }
}

/// Takes away what is so only as long as somebody operates the environment.
fn of_now(status: &mut EnvironmentStatus) {
    status.progress = None;
    status.rendered = None;
    status.unseen.clear();
}

/// The end of a run that is queued for an application which left the configuration.
fn nobodys(run: &RunStatus, now: Timestamp) -> RunStatus {
    let why = "the application was removed from the configuration; start it again when it is back".to_owned();
    ended(run.clone(), Phase::Interrupted, why, now)
}

fn shown_application(status: &ApplicationStatus) -> (Key, Option<Object>) {
    (Key::application(&status.name), Some(Object::Application(Box::new(status.clone()))))
}

fn shown(row: &EnvironmentRow) -> (Key, Option<Object>) {
    // The row keeps what was last known; what is shown claims no more than can be seen.
    let object = Object::Environment(Box::new(row.status.shown()));
    (object.key(), Some(object))
}

#[cfg(test)]
mod tests {
    use quarterdeck_shared::snapshot::{Progress, SpecSummary};

    use super::*;

    #[test]
    fn what_an_earlier_life_was_doing_is_done_no_more() {
        let name: EnvironmentId = "shop/prod".parse().unwrap();
        let mut row = fold::new_row(&name, SpecSummary::default(), Timestamp::UNIX_EPOCH);
        row.status.progress = Some(Progress::Planning { objects: 2 });
        let keeper = JournalState::new(BTreeMap::from([(name.clone(), row)]), BTreeMap::new());
        assert_eq!(keeper.rows[&name].status.progress, None);
    }
}

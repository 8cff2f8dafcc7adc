//! What the journal keeps in its hands: the applications, and which runs are shown. Turns facts into rows and changes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::event::SyncRecord;
use quarterdeck_shared::snapshot::{Key, Object, RunId, RunStatus};
use quarterdeck_shared::status::Phase;

use super::RUNS_SHOWN;
use super::fact::{Fact, Patch};
use super::fold;
use crate::history::ApplicationRow;
use crate::history::sqlite::{HistoryError, Writer};
use quarterdeck_core::queue;
use quarterdeck_core::run::ended;

/// Keys that change, with what lies under them then.
pub(super) type Changes = Vec<(Key, Option<Object>)>;

/// The journal's working state.
pub(super) struct Keeper {
    /// Every application that ever was.
    rows: BTreeMap<ApplicationName, ApplicationRow>,
    /// Those that the configuration names.
    configured: BTreeSet<ApplicationName>,
    /// Those that it named earlier in this life.
    removed: BTreeSet<ApplicationName>,
    /// The runs of each in the snapshot, oldest first.
    runs: BTreeMap<ApplicationName, VecDeque<Shown>>,
}

/// A run in the snapshot.
#[derive(Clone)]
struct Shown {
    id: RunId,
    phase: Phase,
    /// All of it, until it ends: which run waits behind which is said here.
    open: Option<Box<RunStatus>>,
}

/// What a transaction may change, as it was before.
pub(super) struct Saved {
    rows: Vec<(ApplicationName, Option<ApplicationRow>, bool)>,
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

impl Keeper {
    pub(super) fn new(mut rows: BTreeMap<ApplicationName, ApplicationRow>) -> Self {
        // What the last life was doing when it died nobody does any more.
        rows.values_mut().for_each(|row| {
            row.status.activity = None;
            row.status.unseen.clear();
        });
        Self { rows, configured: BTreeSet::new(), removed: BTreeSet::new(), runs: BTreeMap::new() }
    }

    /// Copies what these facts may change.
    pub(super) fn save<'a>(&self, facts: impl Iterator<Item = &'a Fact>) -> Saved {
        let names: BTreeSet<&ApplicationName> = facts
            .filter_map(|fact| match fact {
                Fact::Application { name, .. } | Fact::ApplicationRemoved(name) => Some(name),
                Fact::Sync(sync) => Some(&sync.application),
                Fact::Artifact(artifact) => Some(&artifact.application),
                Fact::Run(run) | Fact::RunProgress(run) => Some(&run.application),
                _ => None,
            })
            .collect();
        let row =
            |name: &&ApplicationName| ((*name).clone(), self.rows.get(*name).cloned(), self.configured.contains(*name));
        let runs = |name: &&ApplicationName| ((*name).clone(), self.runs.get(*name).cloned().unwrap_or_default());
        Saved { rows: names.iter().map(row).collect(), runs: names.iter().map(runs).collect() }
    }

    /// Puts back what was saved.
    pub(super) fn restore(&mut self, saved: Saved) {
        for (name, row, configured) in saved.rows {
            if configured {
                self.removed.remove(&name);
                self.configured.insert(name.clone());
            } else {
                self.configured.remove(&name);
            }
            match row {
                Some(row) => self.rows.insert(name, row),
                None => self.rows.remove(&name),
            };
        }
        self.runs.extend(saved.runs);
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
            Fact::Happened { application, cause, event } => {
                writer.event(now, application.as_ref(), cause, event)?;
            }
            Fact::Application { name, patch } => self.patch(name, patch, writer, now, changes)?,
            Fact::ApplicationRemoved(name) => self.remove(name, writer, now, changes)?,
            Fact::Run(run) if run.phase == Phase::Queued && self.removed.contains(&run.application) => {
                writer.run(&nobodys(run, now))?;
            }
            Fact::Run(run) => {
                writer.run(run)?;
                self.show((**run).clone(), changes);
                for run in self.retold(&run.application) {
                    writer.run(&run)?;
                    self.show(run, changes);
                }
            }
            Fact::RunProgress(run) => self.show((**run).clone(), changes),
            Fact::Sync(sync) => {
                writer.sync(sync)?;
                // The changes of a sync are fetched on demand: the snapshot holds what every console shows.
                let summary = SyncRecord { changes: Vec::new(), ..(**sync).clone() };
                self.update(&sync.application, writer, changes, |row| row.status.last_sync = Some(summary))?;
            }
            Fact::Artifact(artifact) => {
                writer.artifact(artifact)?;
                self.update(&artifact.application, writer, changes, |row| {
                    row.status.artifact = Some(artifact.clone())
                })?;
            }
            Fact::TagsSeen { application, repository, tags } => writer.tags_seen(application, repository, tags)?,
            Fact::Applied { application, applied, gone } => writer.applied(application, applied, gone)?,
            Fact::Intent { application, intent } => writer.intent(application, intent)?,
            Fact::IntentDone { application, intent } => writer.intent_done(application, intent)?,
            Fact::Seen(_) | Fact::Gone(_) => changes.extend(seen(fact)),
        }
        Ok(())
    }

    fn patch(
        &mut self,
        name: &ApplicationName,
        patch: &Patch,
        writer: &Writer<'_>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), HistoryError> {
        if let Patch::Configured(spec) = patch {
            self.removed.remove(name);
            self.configured.insert(name.clone());
            self.rows.entry(name.clone()).or_insert_with(|| fold::new_row(name, spec.clone(), now));
        }
        // It left the configuration while something was still on its way: nobody asks any more.
        let Some(row) = self.rows.get_mut(name).filter(|_| self.configured.contains(name)) else { return Ok(()) };
        let folded = fold::fold(row, patch.clone(), now);
        for (cause, event) in &folded.events {
            writer.event(now, Some(name), cause, event)?;
        }
        if folded.keep {
            writer.application(row)?;
        }
        changes.push(shown(row));
        Ok(())
    }

    fn update(
        &mut self,
        name: &ApplicationName,
        writer: &Writer<'_>,
        changes: &mut Changes,
        change: impl FnOnce(&mut ApplicationRow),
    ) -> Result<(), HistoryError> {
        let Some(row) = self.rows.get_mut(name) else { return Ok(()) };
        change(row);
        writer.application(row)?;
        if self.configured.contains(name) {
            changes.push(shown(row));
        }
        Ok(())
    }

    /// Takes an application out of the snapshot. Its row stays: it may come back, suspended as it was. What was queued ends:
    /// nobody would take it up before the next start. What runs is ended by its worker.
    fn remove(
        &mut self,
        name: &ApplicationName,
        writer: &Writer<'_>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), HistoryError> {
        self.configured.remove(name);
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

    /// The runs of an application that wait behind others than before. Here, since a run that is queued belongs to nobody
    /// yet: whoever wrote it as it was a moment ago could undo its cancellation.
    fn retold(&self, name: &ApplicationName) -> Vec<RunStatus> {
        let open: Vec<RunStatus> =
            self.runs.get(name).into_iter().flatten().filter_map(|run| run.open.as_deref().cloned()).collect();
        queue::retold(&open)
    }

    /// Puts a run into the snapshot; where there are more than [`RUNS_SHOWN`] the oldest ended one goes, those that were
    /// cut off and taken up first.
    fn show(&mut self, run: RunStatus, changes: &mut Changes) {
        if self.removed.contains(&run.application) {
            // The last words of a run whose application left the configuration are for history alone.
            return;
        }
        let runs = self.runs.entry(run.application.clone()).or_default();
        let open = (!run.phase.is_final()).then(|| Box::new(run.clone()));
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

/// The end of a run that is queued for an application which left the configuration.
fn nobodys(run: &RunStatus, now: Timestamp) -> RunStatus {
    let why = "the application left the configuration; ask for it anew where it is back".to_owned();
    ended(run.clone(), Phase::Interrupted, why, now)
}

fn shown(row: &ApplicationRow) -> (Key, Option<Object>) {
    // The row keeps what was last known; what is shown claims no more than can be seen.
    let object = Object::Application(Box::new(row.status.shown()));
    (object.key(), Some(object))
}

#[cfg(test)]
mod tests {
    use quarterdeck_shared::snapshot::SpecSummary;

    use super::*;

    #[test]
    fn what_an_earlier_life_was_doing_is_done_no_more() {
        let name: ApplicationName = "shop".parse().unwrap();
        let mut row = fold::new_row(&name, SpecSummary::default(), Timestamp::UNIX_EPOCH);
        row.status.activity = Some("applied 1 of 2: Service shop".to_owned());
        let keeper = Keeper::new(BTreeMap::from([(name.clone(), row)]));
        assert_eq!(keeper.rows[&name].status.activity, None);
    }
}

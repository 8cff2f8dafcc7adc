//! The journal: the one writer of everything that is known.
//!
//! ```text
//! stories --Batch of Facts--> [journal thread] --one transaction--> History
//!                                             `-then-> Snapshot --publish the keys that changed--> consoles
//! ```
//!
//! Invariant: what a console sees of events, runs and syncs is in the history first. What is merely seen (a pod's
//! phase, a percent) changes the snapshot only. A batch that cannot be written changes nothing and says so to its
//! story, which tries again: a full disk stops the work, it does not lose any.

pub mod fact;
pub mod fold;
pub mod snapshots;
mod state;
mod writer;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use jiff::Timestamp;
use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::error::{Hint, chain};
use quarterdeck_shared::event::{Cause, Event};
use quarterdeck_shared::id::{Prefix, RunId, SyncId};
use quarterdeck_shared::status::Phase;
use tokio::sync::{mpsc, oneshot};

use self::fact::{Batch, Fact};
use self::snapshots::Snapshots;
use self::state::JournalState;
use self::writer::{Beside, JournalWriter};
use crate::config::HistoryConfig;
use crate::history::Left;
use crate::history::clock::{self, Clock};
use crate::history::error::HistoryError;
use crate::history::logs::RunLogs;
use crate::history::numbers::{Given, Numbers};
use crate::history::place::Place;
use crate::history::sqlite::{self, Reader};
use quarterdeck_core::run;

/// Batches that wait for the writer: one for each of 1,000 applications and some; a story that finds it full waits.
const QUEUE: usize = 1_024;

/// Runs of an application that ride in the snapshot; older ones are fetched.
const RUNS_SHOWN: usize = 5;

/// A story's facts could not be kept.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot write to the history database, no changes were made: {why}")]
pub struct NotKept {
    why: String,
    remedy: String,
}

impl Hint for NotKept {
    fn hint(&self) -> Cow<'_, str> {
        (&*self.remedy).into()
    }
}

impl NotKept {
    fn new(error: &HistoryError, path: &Path) -> Self {
        Self { why: chain(error), remedy: error.remedy(path) }
    }
}

/// The way to the journal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Journal {
    sender: mpsc::Sender<Message>,
    published: Snapshots,
    numbers: Arc<Next>,
    path: Arc<Path>,
    place: Arc<Place>,
    logs: RunLogs,
}

/// The history that gives ids, and the last numbers that it gave.
#[derive(Debug)]
struct Next {
    history: Prefix,
    run: AtomicU64,
    sync: AtomicU64,
}

#[derive(Debug)]
enum Message {
    Batch(Batch, Option<oneshot::Sender<Result<(), NotKept>>>),
    Bounds(HistoryConfig),
    CheckFiles,
    Flush(oneshot::Sender<()>),
}

impl Journal {
    /// Opens the history in `data_dir`, marks what was cut off, and begins to write. Beside it how many runs and syncs were
    /// cut off.
    ///
    /// Runs of applications that are not `configured` stay in the history and out of the snapshot.
    pub fn open(
        data_dir: &Path,
        bounds: &HistoryConfig,
        configured: &BTreeSet<ApplicationName>,
        now: Timestamp,
    ) -> Result<(Self, u64), HistoryError> {
        let path = data_dir.join("history.db");
        let connection = sqlite::open(&path)?;
        let logs = RunLogs::open(&data_dir.join("runs"), bounds.log_bytes)
            .map_err(|source| HistoryError::Make { path: data_dir.join("runs"), source })?;
        let mut remembered = sqlite::remember(&connection, RUNS_SHOWN).map_err(|error| error.of(&path))?;
        remembered.runs.retain(|run| configured.contains(&run.application));
        let published = Snapshots::new(format!("{}-{}", now.as_millisecond(), std::process::id()));
        let kept = Numbers::open(data_dir);
        let given = kept.given().max(Given { run: remembered.last_run, sync: remembered.last_sync });
        let history = sqlite::prefix::kept(&connection, &path).map_err(|error| error.of(&path))?;
        let history = history.unwrap_or_else(sqlite::prefix::draw);
        let numbers = Arc::new(Next { history, run: AtomicU64::new(given.run), sync: AtomicU64::new(given.sync) });
        let before = sqlite::newest_event_before(&connection, now.saturating_sub(clock::LOOK_BACK).unwrap_or(now))
            .map_err(|error| error.of(&path))?;
        let clock = Clock::new(now, Instant::now(), before);
        let place = Arc::new(Place::of(&path));
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (published_too, logs_too) = (published.clone(), logs.clone());
        let journal =
            Self { sender, published: published_too, numbers, path: path.clone().into(), place, logs: logs_too };
        let (mut first, cut_off) = journal.take_up(&remembered, now);
        first.splice(..0, remembered.runs.into_iter().map(|run| Fact::RunProgress(Box::new(run))));
        let keeper = JournalState::new(remembered.environments, remembered.applications);
        let beside = Beside { logs, numbers: kept, clock };
        // Where that cannot be made, the next start draws another prefix, which costs nothing.
        let _ = sqlite::prefix::begin(&path).inspect_err(|error| tracing::warn!(%error, "cannot mark the start"));
        let mut writer = JournalWriter::new(connection, keeper, published, path, history, beside, bounds.clone());
        writer.begin(first)?;
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run(receiver))
            .map_err(|source| HistoryError::Make { path: journal.path.to_path_buf(), source })?;
        Ok((journal, cut_off))
    }

    /// Facts for the first transaction of this life: what was cut off is Interrupted, and what it owed is queued again.
    fn take_up(&self, remembered: &Left, now: Timestamp) -> (Batch, u64) {
        let mut batch = Batch::new();
        let mut cut_off = 0;
        for run in remembered.runs.iter().filter(|run| !run.phase.is_final() && run.phase != Phase::Queued) {
            cut_off += 1;
            let successor = run::again(run, self.next_run(), now);
            let why = "the agent stopped during the run";
            batch.push(Fact::Run(Box::new(run::interrupted(run, successor.id, why, now))));
            batch.push(Fact::Run(Box::new(successor)));
        }
        for sync in &remembered.open_syncs {
            cut_off += 1;
            let mut sync = sync.clone();
            sync.phase = Phase::Interrupted;
            sync.finished = Some(now);
            sync.message = "the agent stopped during the sync; the next sync does what is left".to_owned();
            batch.push(Fact::Sync(Box::new(sync)));
        }
        let event = Event::AgentStarted { version: env!("CARGO_PKG_VERSION").to_owned(), interrupted: cut_off };
        batch.push(Fact::at_large(Cause::Agent, event));
        (batch, cut_off)
    }

    /// Keeps facts: returns when they are in the history and in the snapshot.
    pub async fn record(&self, batch: Batch) -> Result<(), NotKept> {
        let (done, kept) = oneshot::channel();
        let gone = || NotKept { why: "the journal has ended".to_owned(), remedy: "start the agent again".to_owned() };
        self.sender.send(Message::Batch(batch, Some(done))).await.map_err(|_| gone())?;
        kept.await.map_err(|_| gone())?
    }

    /// Publishes what is merely seen, and keeps no record of it: returns when it is queued.
    pub async fn publish(&self, batch: Batch) {
        // After the end of the journal nobody is there to see.
        let _ = self.sender.send(Message::Batch(batch, None)).await;
    }

    /// Publishes what is merely seen and soon outdated (a percent), from where nothing may wait; lost where the queue is full.
    pub fn try_publish(&self, fact: Fact) {
        let _ = self.sender.try_send(Message::Batch(vec![fact], None));
    }

    /// New bounds of what is kept.
    pub async fn bounds(&self, bounds: HistoryConfig) {
        let _ = self.sender.send(Message::Bounds(bounds)).await;
    }

    /// Has the journal look whether the history is still where it was.
    pub async fn check_files(&self) {
        let _ = self.sender.send(Message::CheckFiles).await;
    }

    /// Returns when all that was told before is written.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.sender.send(Message::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Snapshots {
        &self.published
    }

    /// The logs of runs.
    pub fn logs(&self) -> &RunLogs {
        &self.logs
    }

    /// Asks the history on a connection of its own, off the runtime's threads.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reader) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, HistoryError> {
        let (path, place) = (self.path.clone(), self.place.clone());
        let ask = move || {
            // Where it led elsewhere, another history would answer.
            place.check_database()?;
            question(&Reader::open(&path)?).map_err(|error| error.of(&path))
        };
        let span = tracing::Span::current();
        match tokio::task::spawn_blocking(move || span.in_scope(ask)).await {
            Ok(answer) => answer,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }

    /// What the ids that are given now begin with.
    pub fn history(&self) -> Prefix {
        self.numbers.history
    }

    /// The next run.
    pub fn next_run(&self) -> RunId {
        RunId::new(self.numbers.history, self.numbers.run.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Numbers of runs up to this one were given before, whether the history knows of them or not.
    pub fn numbers_are_given_up_to(&self, run: u64) {
        self.numbers.run.fetch_max(run, Ordering::Relaxed);
    }

    /// The next sync.
    pub fn next_sync(&self) -> SyncId {
        SyncId::new(self.numbers.history, self.numbers.sync.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The newest sync that was given an id; number 0 where none was.
    pub fn newest_sync(&self) -> SyncId {
        SyncId::new(self.numbers.history, self.numbers.sync.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests;

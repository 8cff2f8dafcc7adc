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
mod keeper;
pub mod published;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::event::{Cause, Event};
use quarterdeck_shared::snapshot::{Key, Object, RunId, RunStatus};
use quarterdeck_shared::status::Phase;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use self::fact::{Batch, Fact};
use self::keeper::{Changes, Keeper};
use self::published::Published;
use crate::config::HistoryConfig;
use crate::history::Left;
use crate::history::logs::RunLogs;
use crate::history::sqlite::{self, HistoryError, Reader, Writer};
use crate::steps;

/// Batches that wait for the writer: one for each of 1,000 applications and some; a story that finds it full waits.
const QUEUE: usize = 1_024;

/// Batches written in one transaction: under load a commit to disk is shared, alone a batch waits for nobody.
const GROUP: usize = 256;

/// Runs of an application that ride in the snapshot; older ones are fetched.
const RUNS_SHOWN: usize = 5;

/// History is brought within its bounds after this many transactions.
const LET_GO_EVERY: u32 = 500;

/// A story's facts could not be kept.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot write the history, so nothing was changed: {0}; free some disk or mend {1}")]
pub struct NotKept(String, PathBuf);

/// The way to the journal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Journal {
    sender: mpsc::Sender<Message>,
    published: Published,
    numbers: Arc<Numbers>,
    path: Arc<Path>,
    logs: RunLogs,
}

#[derive(Debug)]
struct Numbers {
    run: AtomicU64,
    sync: AtomicU64,
}

#[derive(Debug)]
enum Message {
    Batch(Batch, Option<oneshot::Sender<Result<(), NotKept>>>),
    Bounds(HistoryConfig),
    Flush(oneshot::Sender<()>),
}

/// What the last life left in the middle, for the story to take up.
#[derive(Debug, Default)]
pub struct CutOff {
    /// Runs that wait for their turn, the interrupted ones' successors among them; in order.
    pub queued: Vec<RunStatus>,
    /// How many runs and syncs were cut off.
    pub interrupted: u64,
}

impl Journal {
    /// Opens the history in `data_dir`, marks what was cut off, and begins to write.
    ///
    /// Runs of applications that are not `configured` stay in the history and out of the snapshot.
    pub fn open(
        data_dir: &Path,
        bounds: &HistoryConfig,
        configured: &BTreeSet<ApplicationName>,
        now: Timestamp,
    ) -> Result<(Self, CutOff), HistoryError> {
        let path = data_dir.join("history.db");
        let connection = sqlite::open(&path)?;
        let logs = RunLogs::open(&data_dir.join("runs"), bounds.log_bytes)
            .map_err(|source| HistoryError::Make { path: data_dir.join("runs"), source })?;
        let mut remembered = sqlite::remember(&connection, RUNS_SHOWN).map_err(|error| error.of(&path))?;
        remembered.runs.retain(|run| configured.contains(&run.application));
        let published = Published::new(format!("{}-{}", now.as_millisecond(), std::process::id()));
        let numbers =
            Arc::new(Numbers { run: AtomicU64::new(remembered.last_run), sync: AtomicU64::new(remembered.last_sync) });
        let (sender, receiver) = mpsc::channel(QUEUE);
        let journal =
            Self { sender, published: published.clone(), numbers, path: path.clone().into(), logs: logs.clone() };
        let (mut first, cut_off) = journal.take_up(&remembered, now);
        first.splice(..0, remembered.runs.into_iter().map(|run| Fact::RunProgress(Box::new(run))));
        let keeper = Keeper::new(remembered.applications);
        let bounds = bounds.clone();
        let mut writer =
            JournalThread { connection, keeper, published, path, logs, bounds, transactions: 0, trouble: None };
        writer.begin(first)?;
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run(receiver))
            .map_err(|source| HistoryError::Make { path: journal.path.to_path_buf(), source })?;
        Ok((journal, cut_off))
    }

    /// Facts for the first transaction of this life: what was cut off is Interrupted, and what it owed is queued again.
    fn take_up(&self, remembered: &Left, now: Timestamp) -> (Batch, CutOff) {
        let mut batch = Batch::new();
        let mut cut_off = CutOff::default();
        for run in remembered.runs.iter().filter(|run| !run.phase.is_final()) {
            if run.phase == Phase::Queued {
                cut_off.queued.push(run.clone());
                continue;
            }
            cut_off.interrupted += 1;
            let successor = RunStatus { id: self.next_run(), ..crate::deliver::again(run, now) };
            batch.push(Fact::Run(Box::new(crate::deliver::interrupted(run, successor.id, "the agent ended", now))));
            batch.push(Fact::Run(Box::new(successor.clone())));
            cut_off.queued.push(successor);
        }
        for sync in &remembered.open_syncs {
            cut_off.interrupted += 1;
            let mut sync = sync.clone();
            sync.phase = Phase::Interrupted;
            sync.finished = Some(now);
            sync.message = "the agent ended in the middle; the next sync does what is left".to_owned();
            batch.push(Fact::Sync(Box::new(sync)));
        }
        cut_off.queued.sort_by_key(|run| run.id);
        let event =
            Event::AgentStarted { version: env!("CARGO_PKG_VERSION").to_owned(), interrupted: cut_off.interrupted };
        batch.push(Fact::Happened { application: None, cause: Cause::Agent, event });
        (batch, cut_off)
    }

    /// Keeps facts: returns when they are in the history and in the snapshot.
    pub async fn record(&self, batch: Batch) -> Result<(), NotKept> {
        let (done, kept) = oneshot::channel();
        let gone = || NotKept("the journal has ended".to_owned(), self.path.to_path_buf());
        self.sender.send(Message::Batch(batch, Some(done))).await.map_err(|_| gone())?;
        kept.await.map_err(|_| gone())?
    }

    /// Tells what is merely seen: returns when it is queued.
    pub async fn tell(&self, batch: Batch) {
        // After the end of the journal nobody is there to see.
        let _ = self.sender.send(Message::Batch(batch, None)).await;
    }

    /// Tells what is merely seen and soon outdated (a percent), from where nothing may wait; lost where the queue is full.
    pub fn mention(&self, fact: Fact) {
        let _ = self.sender.try_send(Message::Batch(vec![fact], None));
    }

    /// New bounds of what is kept.
    pub async fn bounds(&self, bounds: HistoryConfig) {
        let _ = self.sender.send(Message::Bounds(bounds)).await;
    }

    /// Returns when all that was told before is written.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.sender.send(Message::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Published {
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
        let path = self.path.clone();
        let ask = move || question(&Reader::open(&path)?).map_err(|error| error.of(&path));
        match tokio::task::spawn_blocking(ask).await {
            Ok(answer) => answer,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }

    /// The next number of a run.
    pub fn next_run(&self) -> RunId {
        RunId(self.numbers.run.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The next number of a sync.
    pub fn next_sync(&self) -> u64 {
        self.numbers.sync.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The highest number of a sync that was given.
    pub fn newest_sync(&self) -> u64 {
        self.numbers.sync.load(Ordering::Relaxed)
    }
}

type Waiting = Option<oneshot::Sender<Result<(), NotKept>>>;

/// What only the journal's thread touches.
struct JournalThread {
    connection: Connection,
    keeper: Keeper,
    published: Published,
    path: PathBuf,
    logs: RunLogs,
    bounds: HistoryConfig,
    transactions: u32,
    /// Why the last batch that was to be kept was not; consoles see it at the agent.
    trouble: Option<String>,
}

impl JournalThread {
    /// Writes the first batch of this life. On a full disk it is lost and told, and the agent begins all the same; a history
    /// that is damaged where it is written cannot be worked with.
    fn begin(&mut self, first: Batch) -> Result<(), HistoryError> {
        let before = self.keeper.save(first.iter());
        match self.transact(first.iter()) {
            Ok(changes) => self.publish(changes),
            Err(error) => {
                self.keeper.restore(before);
                let error = error.of(&self.path);
                if error.is_damage() {
                    return Err(error);
                }
                self.not_kept(&error);
            }
        }
        Ok(())
    }

    fn run(mut self, mut receiver: mpsc::Receiver<Message>) {
        while let Some(first) = receiver.blocking_recv() {
            let mut group = Vec::new();
            let mut next = Some(first);
            let mut flushed = None;
            while let Some(message) = next {
                match message {
                    Message::Batch(batch, waiting) => group.push((batch, waiting)),
                    Message::Bounds(bounds) => self.bounds = bounds,
                    Message::Flush(done) => {
                        flushed = Some(done);
                        break;
                    }
                }
                next = if group.len() < GROUP { receiver.try_recv().ok() } else { None };
            }
            self.write(group);
            if let Some(done) = flushed {
                let _ = done.send(());
            }
        }
    }

    /// Writes a group in one transaction; where that fails, each batch in one of its own, so that one bad batch does
    /// not take others with it.
    fn write(&mut self, group: Vec<(Batch, Waiting)>) {
        let facts = group.iter().flat_map(|(batch, _)| batch);
        let before = self.keeper.save(facts.clone());
        match self.transact(facts.clone()) {
            Ok(changes) => {
                self.publish(changes);
                for (_, waiting) in group {
                    waiting.map(|waiting| waiting.send(Ok(())));
                }
            }
            Err(_) if group.len() > 1 => {
                self.keeper.restore(before);
                for one in group {
                    self.write(vec![one]);
                }
            }
            Err(error) => {
                self.keeper.restore(before);
                let seen = facts.filter_map(keeper::seen).collect();
                let not_kept = self.not_kept(&error.of(&self.path));
                // What is merely seen needs no history: it is shown all the same.
                self.publish(seen);
                for (_, waiting) in group {
                    waiting.map(|waiting| waiting.send(Err(not_kept.clone())));
                }
            }
        }
    }

    fn not_kept(&mut self, error: &HistoryError) -> NotKept {
        let error = chain(error);
        tracing::error!(%error, "cannot write the history");
        let not_kept = NotKept(error, self.path.clone());
        self.tell_trouble(Some(not_kept.to_string()));
        not_kept
    }

    /// Tells those who look whether what happens can be kept: where it cannot, the work stops.
    fn tell_trouble(&mut self, trouble: Option<String>) {
        if self.trouble == trouble {
            return;
        }
        self.trouble = trouble;
        if let Some(agent) = self.published.get(&Key::agent()) {
            self.publish(vec![(Key::agent(), Some(Object::clone(&agent)))]);
        }
    }

    /// Publishes. Of the agent itself this thread alone knows whether its history can be written.
    fn publish(&self, mut changes: Changes) {
        for (_, object) in &mut changes {
            if let Some(Object::Agent(agent)) = object {
                agent.history_error.clone_from(&self.trouble);
            }
        }
        self.published.publish(changes);
    }

    fn transact<'a>(&mut self, facts: impl Iterator<Item = &'a Fact> + Clone) -> Result<Changes, HistoryError> {
        if let Some(changes) = facts.clone().map(keeper::seen).collect::<Option<Changes>>() {
            return Ok(changes);
        }
        let now = Timestamp::now();
        let written = self.connection.total_changes();
        let transaction = self.connection.transaction()?;
        let writer = Writer(&transaction);
        let mut changes = Changes::new();
        for fact in facts {
            self.keeper.keep(fact, &writer, now, &mut changes)?;
        }
        self.transactions += 1;
        let gone =
            if self.transactions.is_multiple_of(LET_GO_EVERY) { writer.let_go(&self.bounds, now)? } else { Vec::new() };
        steps::reached("history: before a write");
        transaction.commit()?;
        steps::reached("history: after a write");
        self.logs.let_go(&gone);
        if self.trouble.is_some() && self.connection.total_changes() > written {
            self.tell_trouble(None);
        }
        Ok(changes)
    }
}

/// An error with all its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;

//! The journal's thread: groups what waits into one transaction, and publishes what it wrote.

use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;
use quarterdeck_shared::id::Prefix;
use quarterdeck_shared::snapshot::{Key, Object};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::fact::{Batch, Fact};
use super::snapshots::Snapshots;
use super::state::{self, Changes, JournalState};
use super::{Message, NotKept};
use crate::config::HistoryConfig;
use crate::flood::Flood;
use crate::history::clock::Clock;
use crate::history::error::HistoryError;
use crate::history::logs::RunLogs;
use crate::history::numbers::{Given, Numbers};
use crate::history::place::Place;
use crate::history::sqlite::{self, Writer};
use quarterdeck_core::failpoint;
use quarterdeck_shared::error::{Failure, chain};

/// Batches written in one transaction: under load a commit to disk is shared, alone a batch waits for nobody.
const GROUP: usize = 256;

/// History is brought within its bounds after this many transactions.
pub(super) const LET_GO_EVERY: u32 = 500;

type Waiting = Option<oneshot::Sender<Result<(), NotKept>>>;

/// What is written beside the database, and the clock that its age is counted by.
pub(super) struct Beside {
    pub(super) logs: RunLogs,
    pub(super) numbers: Numbers,
    pub(super) clock: Clock,
}

/// What only the journal's thread touches.
pub(super) struct JournalWriter {
    pub(super) connection: Connection,
    keeper: JournalState,
    pub(super) published: Snapshots,
    path: PathBuf,
    /// What the ids of the history begin with, and whether it holds that: it is kept with what is written first.
    prefix: Prefix,
    prefix_kept: bool,
    place: Place,
    pub(super) beside: Beside,
    bounds: HistoryConfig,
    pub(super) transactions: u32,
    /// Why the last batch that was to be kept was not; consoles see it at the agent.
    trouble: Option<Failure>,
    /// Whether that is since a file of the history is not in its place.
    lost: bool,
    flood: Flood,
}

impl JournalWriter {
    pub(super) fn new(
        connection: Connection,
        keeper: JournalState,
        published: Snapshots,
        path: PathBuf,
        prefix: Prefix,
        beside: Beside,
        bounds: HistoryConfig,
    ) -> Self {
        let (place, flood) = (Place::of(&path), Flood::default());
        let (transactions, trouble, lost, prefix_kept) = (0, None, false, false);
        Self {
            connection,
            keeper,
            published,
            path,
            prefix,
            prefix_kept,
            place,
            beside,
            bounds,
            transactions,
            trouble,
            lost,
            flood,
        }
    }

    /// Writes the first batch of this life. On a full disk it is lost and told, and the agent begins all the same; a history
    /// that is damaged where it is written cannot be worked with.
    pub(super) fn begin(&mut self, first: Batch) -> Result<(), HistoryError> {
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

    /// Writes what comes until nobody is left who could send any.
    pub(super) fn run(mut self, mut receiver: mpsc::Receiver<Message>) {
        while let Some(first) = receiver.blocking_recv() {
            let mut group = Vec::new();
            let mut next = Some(first);
            let mut flushed = None;
            let mut check_files = false;
            while let Some(message) = next {
                match message {
                    Message::Batch(batch, waiting) => group.push((batch, waiting)),
                    Message::Bounds(bounds) => self.bounds = bounds,
                    Message::CheckFiles => check_files = true,
                    Message::Flush(done) => {
                        flushed = Some(done);
                        break;
                    }
                }
                next = if group.len() < GROUP { receiver.try_recv().ok() } else { None };
            }
            self.write(group);
            if check_files {
                self.check_files();
            }
            if let Some(done) = flushed {
                let _ = done.send(());
            }
        }
    }

    /// Writes a group in one transaction; where that fails, each batch in one of its own, so that one bad batch does
    /// not take others with it.
    pub(super) fn write(&mut self, group: Vec<(Batch, Waiting)>) {
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
                let seen = facts.filter_map(state::seen).collect();
                let not_kept = self.not_kept(&error.of(&self.path));
                // What is merely seen needs no history: it is shown all the same.
                self.publish(seen);
                for (_, waiting) in group {
                    waiting.map(|waiting| waiting.send(Err(not_kept.clone())));
                }
            }
        }
    }

    /// Looks whether the history is where it was, also while nothing is to be written.
    pub(super) fn check_files(&mut self) {
        match self.in_place() {
            Ok(()) if self.lost => {
                tracing::info!("the history is back in its place");
                self.lost = false;
                self.tell_trouble(None);
            }
            Ok(()) => {}
            Err(error) => {
                self.not_kept(&error);
            }
        }
    }

    /// Whether the files that are open are those of the path. Where only files beside the database are gone, what they
    /// held is brought into it, and it is opened anew.
    fn in_place(&mut self) -> Result<(), HistoryError> {
        let Err(lost) = self.place.check() else { return Ok(()) };
        if !self.place.can_be_renewed() {
            return Err(lost);
        }
        sqlite::checkpoint(&self.connection)?;
        self.place.forget_beside();
        // Closed first: connections of one process share the memory of the first.
        self.connection = Connection::open_in_memory()?;
        self.connection = sqlite::open(&self.path)?;
        self.place = Place::of(&self.path);
        self.place.check()?;
        tracing::warn!("{lost}: nothing is lost, and the history was reopened");
        Ok(())
    }

    fn not_kept(&mut self, error: &HistoryError) -> NotKept {
        let not_kept = NotKept::new(error, &self.path);
        let trouble = Failure::of(&not_kept);
        let is_news = self.trouble.as_ref() != Some(&trouble);
        if let Some(times) = self.flood.count(Instant::now()).or(is_news.then_some(1)) {
            tracing::error!(error = %chain(error), times, "cannot write the history");
        }
        self.lost = matches!(error, HistoryError::Lost { .. });
        self.tell_trouble(Some(trouble));
        not_kept
    }

    /// Tells those who look whether what happens can be kept: where it cannot, the work stops.
    fn tell_trouble(&mut self, trouble: Option<Failure>) {
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
                let trouble = self.trouble.clone().map(|trouble| (trouble.message, trouble.hint));
                let (error, hint) = trouble.unzip();
                (agent.history_error, agent.history_hint) = (error, hint.unwrap_or_default());
            }
        }
        self.published.publish(changes);
    }

    fn transact<'a>(&mut self, facts: impl Iterator<Item = &'a Fact> + Clone) -> Result<Changes, HistoryError> {
        if let Some(changes) = facts.clone().map(state::seen).collect::<Option<Changes>>() {
            return Ok(changes);
        }
        self.in_place()?;
        let now = Timestamp::now();
        let believed = self.beside.clock.believes(now, Instant::now()).then_some(now);
        let given = facts.clone().map(number).fold(Given::default(), Given::max);
        let written = self.connection.total_changes();
        let transaction = self.connection.transaction()?;
        let writer = Writer { transaction: &transaction, history: self.prefix };
        if !self.prefix_kept {
            writer.prefix(&self.path)?;
        }
        let mut changes = Changes::new();
        for fact in facts {
            self.keeper.keep(fact, &writer, now, &mut changes)?;
        }
        self.keeper.retell(&writer, &mut changes)?;
        self.transactions += 1;
        let gone = if self.transactions.is_multiple_of(LET_GO_EVERY) {
            writer.let_go(&self.bounds, believed)?
        } else {
            Vec::new()
        };
        failpoint::reached("history: before a write");
        self.beside.numbers.keep(given);
        transaction.commit()?;
        self.prefix_kept = true;
        failpoint::reached("history: after a write");
        self.beside.logs.let_go(&gone);
        if self.trouble.is_some() && self.connection.total_changes() > written {
            self.lost = false;
            self.tell_trouble(None);
        }
        Ok(changes)
    }
}

/// The numbers that a fact gives for good.
fn number(fact: &Fact) -> Given {
    match fact {
        Fact::Run(run) => Given { run: run.id.number, sync: 0 },
        Fact::Sync(sync) => Given { run: 0, sync: sync.id.number },
        _ => Given::default(),
    }
}

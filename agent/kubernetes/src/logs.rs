//! The logs of an environment's pods: several containers in the order of time, pods that join, streams that break.
//!
//! ```text
//! pods of the environment -> one source a container (source) -> by time (merge) -> Queue -> reader
//! ```
//!
//! A source that ends while its container runs is taken up again where it ended, and no line comes twice. A reader that
//! is slower than the containers makes them wait; where it stands still while it follows, the oldest lines go and a
//! `gap` says how many. So memory is bounded and nothing is lost in silence.

mod merge;
mod position;
mod source;

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::protocol::LogRecord;
use quarterdeck_shared::queries::LogQuery;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::cache::{ObjectCache, PodLogs};
use crate::logs::merge::Merge;
pub(crate) use crate::logs::source::log_path;
use crate::logs::source::{Begin, Target, source};
use crate::objects::Objects;
use crate::requests::get;
use quarterdeck_core::output::{Mask, one_line};

/// Containers that are read at once: a connection each, and more than anybody can follow.
const SOURCES_MAX: usize = 64;

/// Records that wait for the reader: at 5,000 lines a second what it takes 200 ms to write.
const WAITING_MAX: usize = 1_000;

/// A reader that takes nothing for this long while it follows loses lines.
const PATIENCE: Duration = Duration::from_millis(250);

/// A stream of log records; it ends its reading when it is dropped.
pub struct Logs {
    queue: Arc<Queue>,
    _pump: AbortOnDropHandle<()>,
}

impl Logs {
    /// The next record; none when there is nothing more.
    pub async fn next(&mut self) -> Option<LogRecord> {
        self.queue.take().await
    }

    pub(super) fn read(objects: Objects, cache: Arc<ObjectCache>, environment: EnvironmentId, query: LogQuery) -> Self {
        let queue = Arc::new(Queue::default());
        let pump = tokio::spawn(pump(objects, cache, environment, query, queue.clone()).in_current_span());
        Self { queue, _pump: AbortOnDropHandle::new(pump) }
    }
}

async fn pump(
    objects: Objects,
    cache: Arc<ObjectCache>,
    environment: EnvironmentId,
    query: LogQuery,
    queue: Arc<Queue>,
) {
    let mut pods = cache.pods();
    let mut merge = Merge::new(query.follow);
    let mut known = HashSet::new();
    let mut begin = Begin::Asked { tail: query.tail, since_seconds: query.since_seconds };
    loop {
        pods.mark_unchanged();
        for target in targets(&cache.pods_of(&environment), &query) {
            if known.contains(&target.id) {
                continue;
            }
            if merge.open_sources() >= SOURCES_MAX {
                if known.len() == SOURCES_MAX {
                    let text = format!("more than {SOURCES_MAX} containers: name a pod to see the others");
                    queue.put(LogRecord::Notice { text: text.into() }, query.follow).await;
                }
                break;
            }
            known.insert(target.id.clone());
            if !matches!(begin, Begin::Asked { .. }) {
                let text = format!("{} joins", target.from());
                queue.put(LogRecord::Notice { text: text.into() }, query.follow).await;
            }
            let (objects, begin, query) = (objects.clone(), begin.clone(), query.clone());
            merge.add(|lines| tokio::spawn(source(objects, target, begin, query, lines).in_current_span()));
        }
        if known.is_empty() && matches!(begin, Begin::Asked { .. }) {
            let text = "no container of it has been started yet".into();
            queue.put(LogRecord::Notice { text }, query.follow).await;
        }
        // Who comes from now on is read from its beginning.
        begin = Begin::Whole;
        loop {
            tokio::select! {
                record = merge.next() => match record {
                    Some(record) => queue.put(record, query.follow).await,
                    None if query.follow => {
                        if pods.changed().await.is_err() { return queue.end() }
                        break;
                    }
                    None => return queue.end(),
                },
                changed = pods.changed(), if query.follow => match changed {
                    Ok(()) => break,
                    Err(_) => return queue.end(),
                },
            }
        }
    }
}

/// The containers that the query asks for.
fn targets(pods: &[PodLogs], query: &LogQuery) -> Vec<Target> {
    let wanted = |asked: &Option<String>, name: &str| asked.as_deref().is_none_or(|asked| asked == name);
    let pods = pods.iter().filter(|pod| wanted(&query.pod, &pod.name));
    let of = |pod: &PodLogs| {
        let started = pod.containers.iter().filter(|container| wanted(&query.container, &container.name));
        let started = started.filter(|container| !query.previous || container.restarts > 0);
        started.map(|container| Target::new(pod, container)).collect::<Vec<_>>()
    };
    pods.flat_map(of).collect()
}

/// What waits for the reader.
#[derive(Default)]
struct Queue {
    state: Mutex<Waiting>,
    some: Notify,
    room: Notify,
}

#[derive(Default)]
struct Waiting {
    records: VecDeque<LogRecord>,
    lost: u64,
    ended: bool,
}

impl Queue {
    /// Waits for room; where lines may be lost and nobody reads, the oldest half goes.
    async fn put(&self, record: LogRecord, may_lose: bool) {
        let mut record = Some(record);
        while let Some(waits) = self.try_put(record.take()) {
            record = Some(waits);
            if !may_lose {
                self.room.notified().await;
            } else if tokio::time::timeout(PATIENCE, self.room.notified()).await.is_err() {
                self.lose();
            }
        }
    }

    /// Gives the record back where there is no room.
    fn try_put(&self, record: Option<LogRecord>) -> Option<LogRecord> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.records.len() >= WAITING_MAX {
            return record;
        }
        state.records.extend(record);
        self.some.notify_one();
        None
    }

    fn lose(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = state.records.drain(..WAITING_MAX / 2).filter(|record| matches!(record, LogRecord::Line { .. }));
        let lost = lost.count() as u64;
        state.lost += lost;
    }

    async fn take(&self) -> Option<LogRecord> {
        loop {
            {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                let lines = std::mem::take(&mut state.lost);
                if lines > 0 {
                    return Some(LogRecord::Gap { lines: Some(lines), reason: "the reader is too slow".into() });
                }
                if let Some(record) = state.records.pop_front() {
                    self.room.notify_one();
                    return Some(record);
                }
                if state.ended {
                    return None;
                }
            }
            self.some.notified().await;
        }
    }

    fn end(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.some.notify_one();
    }
}

/// Bytes of a last line that are shown: a message, not a dump.
const LAST_LINE_BYTES_MAX: usize = 512;

/// The last line that a container wrote; none where it cannot be read or wrote none.
pub(super) async fn last_line(
    objects: &Objects,
    namespace: &str,
    pod: &str,
    container: &str,
    previous: bool,
) -> Option<Box<str>> {
    let previous = if previous { "&previous=true" } else { "" };
    let path =
        format!("{}&tailLines=1&limitBytes={LAST_LINE_BYTES_MAX}{previous}", log_path(namespace, pod, container));
    let bytes = objects.requests.bytes("read a last log line", get(&path)).await.ok()?;
    let line = one_line(&Mask::default(), &String::from_utf8_lossy(&bytes));
    (!line.is_empty()).then(|| line.into())
}

//! Answers that go on: the watch, and logs. NDJSON, a record a line; each stream is bounded by what its client takes.

use std::io::SeekFrom;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream, StreamExt};
use quarterdeck_shared::id::{RunId, TypedId};
use quarterdeck_shared::protocol::{BOOKMARK_SECONDS, LogRecord, WatchRecord};
use quarterdeck_shared::queries::{LogOptions, LogQuery, WatchQuery};
use quarterdeck_shared::snapshot::{Key, Object};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::Shared;
use super::answer::{Answer, Failure, In, Path, Query};
use crate::journal::snapshots::Snapshots;

/// Records are sent in chunks of about this size: a chunk a record is six times slower to read.
const CHUNK: usize = 32 * 1024;

/// Changes are gathered for this long before they are sent: unnoticed by a person, and it joins the changes of a burst.
const GATHER: Duration = Duration::from_millis(4);

fn ndjson(lines: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let body = Body::from_stream(lines.map(Ok::<_, std::convert::Infallible>));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

fn push_line(chunk: &mut Vec<u8>, record: &impl Serialize) {
    // Our own types always serialise; were one not to, its line would be missing and the next bookmark would not.
    if serde_json::to_writer(&mut *chunk, record).is_ok() {
        chunk.push(b'\n');
    }
}

pub(super) async fn watch(State(context): State<Shared>, Query(query): Query<WatchQuery>) -> Answer<Response> {
    let snapshot = context.journal.snapshot().clone();
    if query.epoch.is_some_and(|epoch| epoch != snapshot.epoch()) || snapshot.since(query.since).is_err() {
        return Err(Failure::gone());
    }
    let start = Watch {
        changed: snapshot.subscribe(),
        snapshot,
        since: query.since,
        pending: Vec::new(),
        stop: context.stop.clone(),
    };
    Ok(ndjson(stream::unfold(start, Watch::next)))
}

/// One client's watch: a number, and what is about to be sent.
struct Watch {
    snapshot: Snapshots,
    changed: tokio::sync::watch::Receiver<u64>,
    since: u64,
    /// Keys that are still to be sent, in reverse. What lies under them is looked up when they are sent.
    pending: Vec<Key>,
    stop: tokio_util::sync::CancellationToken,
}

impl Watch {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        if self.pending.is_empty() && *self.changed.borrow_and_update() == self.since {
            tokio::select! {
                changed = tokio::time::timeout(Duration::from_secs(BOOKMARK_SECONDS), self.changed.changed()) => match changed {
                    Ok(Ok(())) => tokio::time::sleep(GATHER).await,
                    Ok(Err(_)) => return None,
                    Err(_) => {}
                },
                () = self.stop.cancelled() => return None,
            }
        }
        if self.pending.is_empty() {
            // A client that was so slow that its changes are no longer kept comes back and lists again.
            let changes = self.snapshot.since(self.since).ok()?;
            self.since = changes.revision;
            self.pending = changes.keys.into_iter().map(|(key, _)| key).rev().collect();
        }
        let mut chunk = Vec::with_capacity(CHUNK + 1024);
        while chunk.len() < CHUNK {
            let Some(key) = self.pending.pop() else { break };
            let record = match self.snapshot.get(&key) {
                Some(object) => {
                    WatchRecord::Put { revision: self.since, key, object: Box::new(Object::clone(&object)) }
                }
                None => WatchRecord::Del { revision: self.since, key },
            };
            push_line(&mut chunk, &record);
        }
        if self.pending.is_empty() {
            push_line(&mut chunk, &WatchRecord::Bookmark { revision: self.since });
        }
        Some((chunk.into(), self))
    }
}

fn log_lines(records: impl Stream<Item = LogRecord> + Send + 'static) -> Response {
    ndjson(records.ready_chunks(256).map(|records| {
        let mut chunk = Vec::new();
        for record in &records {
            push_line(&mut chunk, record);
        }
        chunk.into()
    }))
}

pub(super) async fn pod_log(
    State(context): State<Shared>,
    In(environment): In,
    Query(query): Query<LogQuery>,
) -> Answer<Response> {
    let logs = environment.cluster.logs(&environment.id, query);
    let records = stream::unfold(logs, async |mut logs| logs.next().await.map(|record| (record, logs)));
    Ok(log_lines(records.take_until(context.stop.clone().cancelled_owned())))
}

pub(super) async fn agent_log(State(context): State<Shared>, Query(options): Query<LogOptions>) -> Response {
    let tail = options.tail.map(|lines| usize::try_from(lines).unwrap_or(usize::MAX));
    let (kept, live) = context.log.log.tail_and_follow(tail);
    let kept = stream::iter(kept);
    if !options.follow {
        return log_lines(kept);
    }
    log_lines(kept.chain(live).take_until(context.stop.clone().cancelled_owned()))
}

pub(super) async fn run_log(
    State(context): State<Shared>,
    Path(id): Path<TypedId>,
    Query(options): Query<LogOptions>,
) -> Answer<Response> {
    let run = super::reads::run_meant(&context, id).await?;
    let id = run.id;
    let file = match tokio::fs::File::open(context.journal.logs().path(id)).await {
        Ok(file) => Some(file),
        Err(error) if is_missing(&error) && run.started.is_none() => None,
        Err(error) if is_missing(&error) => {
            let why = context.journal.logs().why_missing(id);
            return Err(Failure::not_found(format!("no log was kept: {why}"), ""));
        }
        Err(error) => {
            return Err(Failure::unavailable(format!("cannot read the log of run {}: {error}", id.number), ""));
        }
    };
    let follow = options.follow && !run.phase.is_final();
    let start = RunLogStream { context: context.clone(), id, file, offset: 0, follow, ended: false };
    Ok(ndjson(stream::unfold(start, RunLogStream::next)))
}

/// No file, or something else in the place of its folder.
fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// A run's log, followed by its file: whole lines as they are written, until the run ends.
struct RunLogStream {
    context: Shared,
    id: RunId,
    file: Option<tokio::fs::File>,
    offset: u64,
    follow: bool,
    ended: bool,
}

impl RunLogStream {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        // A build writes several lines a second at most; four looks a second are live for a person.
        const LOOK: Duration = Duration::from_millis(250);
        loop {
            if let Some(lines) = self.read().await {
                return Some((lines, self));
            }
            if !self.follow || self.ended {
                return None;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.context.stop.cancelled() => return None,
            }
            let id = self.id.into();
            // One more read after the end: what was written last is not lost.
            self.ended = !matches!(self.context.journal.ask(move |history| history.run(id)).await, Ok(Some(run)) if !run.phase.is_final());
        }
    }

    async fn read(&mut self) -> Option<Bytes> {
        if self.file.is_none() {
            self.file = tokio::fs::File::open(self.context.journal.logs().path(self.id)).await.ok();
        }
        let file = self.file.as_mut()?;
        file.seek(SeekFrom::Start(self.offset)).await.ok()?;
        let mut chunk = Vec::new();
        file.take(CHUNK as u64 * 4).read_to_end(&mut chunk).await.ok()?;
        let whole = chunk.iter().rposition(|byte| *byte == b'\n')? + 1;
        chunk.truncate(whole);
        self.offset += whole as u64;
        Some(chunk.into())
    }
}

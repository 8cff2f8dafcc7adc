//! Lines of several sources in the order of time.
//!
//! Each source is in order by itself, so the oldest of their next lines is the next of all, once every source has told
//! its next. Sources that are followed may have nothing to tell; then a line waits [`WINDOW`] for older ones and no more.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_shared::protocol::LogRecord;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

/// How long a line waits for older ones of other containers: longer than log lines take through a node, shorter than a
/// reader notices.
const WINDOW: Duration = Duration::from_millis(100);

/// Lines that a source may be ahead of its turn; further ones wait in its connection.
const AHEAD: usize = 256;

/// Where a source writes.
pub(super) type Lines = mpsc::Sender<LogRecord>;

/// The sources.
pub(super) struct Merge {
    follow: bool,
    sources: Vec<Source>,
}

struct Source {
    lines: mpsc::Receiver<LogRecord>,
    next: Option<(LogRecord, Instant)>,
    open: bool,
    _task: AbortOnDropHandle<()>,
}

impl Merge {
    pub(super) fn new(follow: bool) -> Self {
        Self { follow, sources: Vec::new() }
    }

    /// Starts a source.
    pub(super) fn add(&mut self, start: impl FnOnce(Lines) -> JoinHandle<()>) {
        let (sender, lines) = mpsc::channel(AHEAD);
        let task = AbortOnDropHandle::new(start(sender));
        self.sources.push(Source { lines, next: None, open: true, _task: task });
    }

    /// Sources that may still tell something.
    pub(super) fn open_sources(&self) -> usize {
        self.sources.len()
    }

    /// The next record; none when every source has ended. Cancelling it loses nothing.
    pub(super) async fn next(&mut self) -> Option<LogRecord> {
        loop {
            let waits_until = match poll_fn(|context| Poll::Ready(self.poll_next(context))).await {
                Next::Record(record) => return Some(record),
                Next::Over => return None,
                Next::Wait(until) => until,
            };
            let more = poll_fn(|context| if self.receive(context) { Poll::Ready(()) } else { Poll::Pending });
            match waits_until {
                None => more.await,
                Some(until) => tokio::select! { () = more => {}, () = sleep_until(until) => {} },
            }
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Next {
        self.receive(context);
        self.sources.retain(|source| source.open || source.next.is_some());
        let oldest = (0..self.sources.len())
            .filter(|place| self.sources[*place].next.is_some())
            .min_by_key(|place| self.sources[*place].next.as_ref().map(|(record, _)| time_of(record)));
        let Some(oldest) = oldest else {
            return if self.sources.is_empty() { Next::Over } else { Next::Wait(None) };
        };
        let all_told = self.sources.iter().all(|source| source.next.is_some());
        let came = self.sources[oldest].next.as_ref().map(|(_, came)| *came).unwrap_or_else(Instant::now);
        if !all_told && !self.follow {
            return Next::Wait(None);
        }
        if !all_told && came.elapsed() < WINDOW {
            return Next::Wait(Some(came + WINDOW));
        }
        match self.sources[oldest].next.take() {
            Some((record, _)) => Next::Record(record),
            None => Next::Wait(None),
        }
    }

    /// Takes in the next line of each source that has none; true where something is new.
    fn receive(&mut self, context: &mut Context<'_>) -> bool {
        let mut news = false;
        for source in self.sources.iter_mut().filter(|source| source.open && source.next.is_none()) {
            match source.lines.poll_recv(context) {
                Poll::Ready(Some(record)) => {
                    source.next = Some((record, Instant::now()));
                    news = true;
                }
                Poll::Ready(None) => {
                    source.open = false;
                    news = true;
                }
                Poll::Pending => {}
            }
        }
        news
    }
}

enum Next {
    Record(LogRecord),
    Wait(Option<Instant>),
    Over,
}

/// What is no line goes before what is.
fn time_of(record: &LogRecord) -> Option<Timestamp> {
    match record {
        LogRecord::Line { at, .. } => *at,
        LogRecord::Gap { .. } | LogRecord::Notice { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(from: &str, second: i64) -> LogRecord {
        let at = Timestamp::from_second(second).ok();
        LogRecord::Line { at, from: from.into(), text: second.to_string().into() }
    }

    fn add(merge: &mut Merge, lines: Vec<LogRecord>, stays: bool) {
        merge.add(|sender| {
            tokio::spawn(async move {
                for line in lines {
                    if sender.send(line).await.is_err() {
                        return;
                    }
                }
                if stays {
                    sender.closed().await;
                }
            })
        });
    }

    #[tokio::test]
    async fn lines_come_in_the_order_of_time() {
        let mut merge = Merge::new(false);
        add(&mut merge, vec![line("a", 1), line("a", 4), line("a", 5)], false);
        add(&mut merge, vec![line("b", 2), line("b", 3)], false);
        add(&mut merge, vec![LogRecord::Notice { text: "first".into() }], false);
        let mut got = Vec::new();
        while let Some(record) = merge.next().await {
            got.push(match record {
                LogRecord::Line { text, .. } | LogRecord::Notice { text } => text.into_string(),
                LogRecord::Gap { .. } => "gap".to_owned(),
            });
        }
        assert_eq!(got, ["first", "1", "2", "3", "4", "5"]);
    }

    #[tokio::test]
    async fn a_quiet_source_does_not_hold_up_the_others() {
        let mut merge = Merge::new(true);
        add(&mut merge, vec![], true);
        add(&mut merge, vec![line("a", 1)], true);
        let began = Instant::now();
        assert_eq!(merge.next().await, Some(line("a", 1)));
        assert!(began.elapsed() >= WINDOW, "{:?}", began.elapsed());
    }
}

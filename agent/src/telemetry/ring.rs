//! The newest lines of the log in memory, for consoles that come later and for those that follow.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::{self, Stream};
use quarterdeck_shared::protocol::LogRecord;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Lines that are kept: a busy quarter of an hour; some 200 bytes each are less than 1 MB.
const LINES_KEPT: usize = 2_000;

/// The newest lines of the log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogRing {
    kept: Arc<Mutex<VecDeque<LogRecord>>>,
    live: broadcast::Sender<LogRecord>,
}

impl Default for LogRing {
    fn default() -> Self {
        // A follower may fall behind by as much as is kept; then it is told how many lines it missed.
        Self { kept: Arc::default(), live: broadcast::Sender::new(LINES_KEPT) }
    }
}

impl LogRing {
    /// The last `tail` lines (all that are kept where `None`), and those to come. A reader that is too slow gets a gap
    /// with the number of lines that it missed.
    pub fn tail_and_follow(
        &self,
        tail: Option<usize>,
    ) -> (Vec<LogRecord>, impl Stream<Item = LogRecord> + Send + 'static) {
        // Subscribed under the lock, so that no line is in neither and none in both.
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.live.subscribe();
        let skipped = kept.len().saturating_sub(tail.unwrap_or(LINES_KEPT));
        let lines = kept.iter().skip(skipped).cloned().collect();
        drop(kept);
        (lines, stream::unfold(receiver, next))
    }

    /// Adds a line; the oldest makes room.
    pub(super) fn push(&self, record: LogRecord) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == LINES_KEPT {
            kept.pop_front();
        }
        kept.push_back(record.clone());
        // An error says that nobody follows, which is as good.
        let _ = self.live.send(record);
    }
}

async fn next(mut receiver: broadcast::Receiver<LogRecord>) -> Option<(LogRecord, broadcast::Receiver<LogRecord>)> {
    let record = match receiver.recv().await {
        Ok(record) => record,
        Err(RecvError::Lagged(missed)) => {
            LogRecord::Gap { lines: Some(missed), reason: "the reader was slower than the agent's log".into() }
        }
        Err(RecvError::Closed) => return None,
    };
    Some((record, receiver))
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;

    fn line(number: usize) -> LogRecord {
        LogRecord::Line { at: None, from: "test".into(), text: number.to_string().into() }
    }

    #[tokio::test]
    async fn the_tail_and_what_follows_meet_without_a_seam() {
        let ring = LogRing::default();
        (0..5).for_each(|number| ring.push(line(number)));
        let (tail, live) = ring.tail_and_follow(Some(2));
        assert_eq!(tail, [line(3), line(4)]);
        (5..8).for_each(|number| ring.push(line(number)));
        assert_eq!(live.take(3).collect::<Vec<_>>().await, [line(5), line(6), line(7)]);
        assert_eq!(ring.tail_and_follow(None).0.len(), 8);
    }

    #[tokio::test]
    async fn it_is_bounded_and_a_slow_reader_is_told_what_it_missed() {
        let ring = LogRing::default();
        let (_, live) = ring.tail_and_follow(None);
        let mut live = std::pin::pin!(live);
        // The channel holds its size rounded up to a power of two.
        let all = LINES_KEPT.next_power_of_two() + 7;
        (0..all).for_each(|number| ring.push(line(number)));

        let (tail, _) = ring.tail_and_follow(None);
        assert_eq!((tail.len(), &tail[0]), (LINES_KEPT, &line(all - LINES_KEPT)));
        assert!(matches!(live.next().await, Some(LogRecord::Gap { lines: Some(7), .. })));
        assert_eq!(live.next().await, Some(line(7)));
    }

    #[tokio::test]
    async fn following_ends_with_the_ring() {
        let ring = LogRing::default();
        let (_, live) = ring.tail_and_follow(None);
        drop(ring);
        assert_eq!(live.collect::<Vec<_>>().await, []);
    }
}

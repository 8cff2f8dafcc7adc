//! Places on the engine: as many runs are done at a time as the configuration allows, over all applications.
//!
//! An application stands in line with one run at a time, its next one, so that none keeps the others waiting by the number of
//! its runs. What tags and people ask for is done before what new commits of branches and merge requests ask for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The places, and who waits for one.
pub struct Places {
    count: usize,
    line: Mutex<Line>,
}

struct Line {
    free: usize,
    /// The number that was drawn last.
    last: u64,
    waiting: Vec<Waiting>,
}

struct Waiting {
    is_check: bool,
    number: u64,
    gets: oneshot::Sender<Place>,
}

/// Some of the places, given back when it is dropped.
pub struct Place {
    places: Arc<Places>,
    count: usize,
}

impl Places {
    /// So many, all of them free.
    pub fn new(count: usize) -> Arc<Self> {
        let line = Line { free: count, last: 0, waiting: Vec::new() };
        Arc::new(Self { count, line: Mutex::new(line) })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Waits for one, for a run that is or is not a check. Who no longer waits leaves the line.
    pub async fn take(self: &Arc<Self>, is_check: bool) -> Place {
        let got = {
            let mut line = self.line();
            if line.free > 0 {
                line.free -= 1;
                return self.place(1);
            }
            line.last += 1;
            let (gets, got) = oneshot::channel();
            let number = line.last;
            line.waiting.push(Waiting { is_check, number, gets });
            got
        };
        // The line is dropped with the places, which we hold.
        got.await.unwrap_or_else(|_| self.place(0))
    }

    /// Up to so many more, of those that nobody waits for.
    pub fn more(self: &Arc<Self>, wanted: usize) -> Place {
        let mut line = self.line();
        let count = wanted.min(line.free);
        line.free -= count;
        self.place(count)
    }

    fn give_back(self: &Arc<Self>, count: usize) {
        self.line().free += count;
        while let Some(next) = self.line().next() {
            // Who went away in the meantime does not take it, and gives it back by that.
            drop(next.gets.send(self.place(1)));
        }
    }

    fn place(self: &Arc<Self>, count: usize) -> Place {
        Place { places: self.clone(), count }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Who gets a free place: the first of those who waited longest.
    fn next(&mut self) -> Option<Waiting> {
        self.waiting.retain(|one| !one.gets.is_closed());
        let first = |(_, one): &(usize, &Waiting)| (one.is_check, one.number);
        let (at, _) = self.waiting.iter().enumerate().min_by_key(first).filter(|_| self.free > 0)?;
        self.free -= 1;
        Some(self.waiting.remove(at))
    }
}

impl Place {
    /// How many it is.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.count > 0 {
            self.places.give_back(self.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Poll;

    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn tags_come_before_checks_and_then_who_waits_longest() {
        let places = Places::new(1);
        let held = places.take(false).await;
        let (mut check, mut first, mut second) =
            (pin!(places.take(true)), pin!(places.take(false)), pin!(places.take(false)));
        assert!(poll!(&mut check).is_pending() && poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        drop(held);
        let Poll::Ready(held) = poll!(&mut first) else { panic!("the first tag") };
        assert!(poll!(&mut second).is_pending() && poll!(&mut check).is_pending());
        drop(held);
        let Poll::Ready(held) = poll!(&mut second) else { panic!("the second tag") };
        assert!(poll!(&mut check).is_pending());
        drop(held);
        assert!(poll!(&mut check).is_ready());
    }

    #[tokio::test]
    async fn who_leaves_the_line_keeps_no_place() {
        let places = Places::new(1);
        let held = places.take(false).await;
        {
            let mut leaves = pin!(places.take(false));
            assert!(poll!(&mut leaves).is_pending());
        }
        let mut stays = pin!(places.take(false));
        assert!(poll!(&mut stays).is_pending());
        drop(held);
        assert!(poll!(&mut stays).is_ready());
    }

    #[tokio::test]
    async fn who_got_a_place_and_never_looked_gives_it_back() {
        let places = Places::new(1);
        let held = places.take(false).await;
        {
            let mut late = pin!(places.take(false));
            assert!(poll!(&mut late).is_pending());
            drop(held);
        }
        assert_eq!(places.more(1).count(), 1);
    }

    #[tokio::test]
    async fn more_places_are_those_that_nobody_waits_for_and_come_back() {
        let places = Places::new(3);
        let one = places.take(false).await;
        let more = places.more(5);
        assert_eq!((more.count(), places.more(5).count()), (2, 0));
        drop(more);
        assert_eq!(places.more(1).count(), 1);
        drop(one);
        assert_eq!(places.more(5).count(), 3);
    }
}

//! How far the walk through a plan is, and what it waits for.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use quarterdeck_shared::change::Change;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::snapshot::{Awaited, AwaitedHook};

use super::Executor;

/// How far the execution of a plan is.
#[derive(Debug, Clone)]
pub struct Far {
    /// Objects written, and as their step waits for them, or deleted.
    pub done: usize,
    /// Objects to write or delete.
    pub total: usize,
    /// What was written and is waited for, by kind.
    pub waiting: Vec<Awaited>,
    /// The hook that runs.
    pub hook: Option<AwaitedHook>,
}

impl Executor<'_> {
    pub(crate) fn report(&self, done: &Done<'_>) {
        done.count.fetch_add(1, Ordering::Relaxed);
        self.waits(done, |_| ());
    }

    /// Notes what is waited for, and tells how far the walk is.
    pub(super) fn waits(&self, done: &Done<'_>, note: impl FnOnce(&mut Waiting)) {
        let mut waiting = done.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        note(&mut waiting);
        let (awaited, hook) = (waiting.awaited(), waiting.hook.clone());
        (self.progress)(Far { done: done.count.load(Ordering::Relaxed), total: done.total, waiting: awaited, hook });
    }
}

/// How far it is, and what is told of each object when it is done.
pub(crate) struct Done<'a> {
    count: AtomicUsize,
    waiting: Mutex<Waiting>,
    total: usize,
    lines: HashMap<&'a ResourceRef, &'a Change>,
}

impl<'a> Done<'a> {
    /// Nothing is, of so many objects.
    pub(super) fn begin(total: usize, changes: &'a [Change]) -> Self {
        let lines = changes.iter().map(|change| (&change.resource, change)).collect();
        Self { count: AtomicUsize::new(0), waiting: Mutex::default(), total, lines }
    }

    pub(crate) fn line(&self, resource: &ResourceRef) -> Option<Change> {
        self.lines.get(resource).map(|change| (*change).clone())
    }
}

/// How many objects of which kind are waited for, and which hook.
#[derive(Default)]
pub(super) struct Waiting {
    kinds: BTreeMap<String, usize>,
    pub(super) hook: Option<AwaitedHook>,
}

impl Waiting {
    pub(super) fn set(&mut self, kind: &str, count: usize) {
        self.kinds.insert(kind.to_owned(), count);
    }

    pub(super) fn add(&mut self, kind: &str) {
        *self.kinds.entry(kind.to_owned()).or_default() += 1;
    }

    pub(super) fn remove(&mut self, kind: &str) {
        self.kinds.entry(kind.to_owned()).and_modify(|count| *count = count.saturating_sub(1));
    }

    fn awaited(&self) -> Vec<Awaited> {
        let awaited = |(kind, count): (&String, &usize)| Awaited { kind: kind.clone(), count: *count as u32 };
        self.kinds.iter().filter(|(_, count)| **count > 0).map(awaited).collect()
    }
}

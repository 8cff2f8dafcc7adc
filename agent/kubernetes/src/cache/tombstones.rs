//! Objects that were seen to go. A uid is given once: one that a list names again, in a state that was known before it went,
//! is there since the cluster was set back.

use std::collections::{HashMap, VecDeque};

use tokio::time::Instant;

use crate::cache::seen::{Seen, ToldBy, Uid, is_set_back};

/// Those that are remembered, the newest: some 100 KB. A backup that is older than as many deletions is noticed by its
/// versions.
const REMEMBERED: usize = 1_000;

#[derive(Default)]
pub(super) struct Tombstones {
    of: HashMap<Uid, (u64, Instant)>,
    order: VecDeque<Uid>,
}

impl Tombstones {
    /// It went; this was its last version. A version that is no number tells nothing.
    pub(super) fn put(&mut self, uid: Uid, version: &str) {
        let Ok(version) = version.parse() else { return };
        if self.of.insert(uid, (version, Instant::now())).is_none() {
            self.order.push_back(uid);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.of.remove(&oldest);
        }
    }

    /// Whether a list that was asked for after it went names it as it was before. One that only lost its label for a while is
    /// newer when it is back.
    pub(super) fn is_back(&self, seen: &Seen, told: ToldBy) -> bool {
        let Ok(version) = seen.version.parse::<u64>() else { return false };
        self.of.get(&seen.uid).is_some_and(|(last, went)| is_set_back(told, *went, version <= *last))
    }

    /// What is known is of another cluster, or of a time that this one forgot.
    pub(super) fn clear(&mut self) {
        self.of.clear();
        self.order.clear();
    }
}

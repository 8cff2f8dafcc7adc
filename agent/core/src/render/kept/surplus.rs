//! What of all that is kept goes, so that the rest is within its bounds: the oldest unused first.

use std::collections::HashMap;

/// Something that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// When it was last used, in seconds of any clock.
    pub used: u64,
}

impl Item {
    /// What it is one of: the first part of its name.
    pub fn group(&self) -> &str {
        self.name.split('-').next().unwrap_or_default()
    }
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of all.
    pub bytes: u64,
    /// Seconds since the last use.
    pub age: u64,
    /// Items of one group.
    pub of_a_group: usize,
    /// The newest of each group is never too old.
    pub newest_stays: bool,
}

/// The names of what goes. Where there is too much, a sixteenth of the room is made free beside, so that not each new item costs
/// a look through all.
pub fn surplus(mut items: Vec<Item>, bounds: Bounds, now: u64) -> Vec<String> {
    items.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.name.cmp(&b.name)));
    let all: u64 = items.iter().map(|item| item.bytes).sum();
    let room = if all > bounds.bytes { bounds.bytes - bounds.bytes / 16 } else { bounds.bytes };
    let (mut of_group, mut left) = (HashMap::<String, usize>::new(), room);
    let (mut gone, mut is_full) = (Vec::new(), false);
    for item in items {
        let before = of_group.entry(item.group().to_owned()).or_default();
        let is_newest = *before == 0;
        *before += 1;
        let is_old = now.saturating_sub(item.used) > bounds.age && !(bounds.newest_stays && is_newest);
        // What is older goes as well: nothing is kept for being small.
        is_full |= item.bytes > left;
        if is_old || *before > bounds.of_a_group || is_full {
            gone.push(item.name);
        } else {
            left -= item.bytes;
        }
    }
    gone
}

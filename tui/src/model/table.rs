//! A table of the agent's objects: which, in what order, which of them is selected, which are seen.
//!
//! The rows are slots of the fleet, kept sorted. A changed object is taken out and put in at its place, which costs a scan
//! of four-byte numbers and a binary search; so a cluster in motion costs what moves, not what exists.

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};

use quarterdeck_shared::application::{ApplicationName, EnvironmentId, EnvironmentName};
use quarterdeck_shared::snapshot::{EnvironmentStatus, Key, Object};
use quarterdeck_shared::status::{Health, Phase, SyncStatus};
use serde::{Deserialize, Serialize};

use crate::model::fleet::{Fleet, Slot};
use crate::model::{geometry, viewport};
use crate::unseen;

mod filter;

pub use self::filter::{Term, contains, holds, terms};

/// What a table lists.
pub trait Lists {
    /// Whether an object is one of its rows.
    fn lists(&self, object: &Object) -> bool;
}

/// The order of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// By name; runs and connections have this order alone, runs with the newest first.
    Name,
    /// The worst first.
    Trouble,
    /// What changed last first.
    Newest,
}

impl Order {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "by name",
            Self::Trouble => "trouble first",
            Self::Newest => "newest first",
        }
    }

    /// The one after it.
    pub fn next(self) -> Self {
        match self {
            Self::Name => Self::Trouble,
            Self::Trouble => Self::Newest,
            Self::Newest => Self::Name,
        }
    }
}

/// A row: the slot, and what is asked of all rows when the table is drawn or scrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Where the object is.
    pub slot: Slot,
    /// How it is.
    pub health: Health,
    /// Lines it takes: more than one where it says why it is not well.
    pub lines: u16,
}

/// A table and where the reader is in it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Table<L> {
    /// Which objects.
    pub of: L,
    /// In which order.
    pub order: Order,
    /// The words that rows must hold.
    pub filter: String,
    /// The object under the cursor.
    pub selected: Option<Key>,
    /// The row under the cursor.
    pub cursor: usize,
    /// The first row that is seen.
    pub top: usize,
    /// The rows; derived from the fleet, see [`Table::rebuild`].
    #[serde(skip)]
    rows: Vec<Row>,
    /// The columns that they were made for.
    #[serde(skip)]
    columns: u16,
}

impl<L: Lists> Table<L> {
    /// A table with nothing in it yet.
    pub fn new(of: L) -> Self {
        Self {
            of,
            order: Order::Name,
            filter: String::new(),
            selected: None,
            cursor: 0,
            top: 0,
            rows: Vec::new(),
            columns: 0,
        }
    }

    /// The rows in their order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The slot under the cursor.
    pub fn slot(&self) -> Option<Slot> {
        self.rows.get(self.cursor).map(|row| row.slot)
    }

    /// Reads all rows from the fleet anew: after a new state, another filter, another order, another width.
    pub fn rebuild(&mut self, fleet: &Fleet, columns: u16) {
        self.columns = columns;
        let terms = terms(&self.filter);
        let rows = fleet.slots().filter(|(_, object)| self.of.lists(object) && filter::holds(object, &terms));
        self.rows = rows.map(|(slot, object)| row(slot, object, columns)).collect();
        self.rows.sort_unstable_by(|a, b| compare(fleet, self.order, a.slot, b.slot));
    }

    /// Puts one object, which changed, came or went, into its place.
    pub fn changed(&mut self, fleet: &Fleet, slot: Slot) {
        let was = self.rows.iter().position(|row| row.slot == slot);
        let object = fleet.object(slot).filter(|object| self.of.lists(object));
        let new = object
            .filter(|object| filter::holds(object, &terms(&self.filter)))
            .map(|object| row(slot, object, self.columns));
        if let (Some(place), Some(new)) = (was, new)
            && self.stays(fleet, place)
        {
            self.rows[place] = new;
            return;
        }
        if let Some(place) = was {
            self.rows.remove(place);
        }
        if let Some(new) = new {
            let place = self.rows.partition_point(|row| compare(fleet, self.order, row.slot, slot).is_lt());
            self.rows.insert(place, new);
        }
    }

    /// Finds the selected object again and brings it into view. The screen stays where it is around it.
    pub fn settle(&mut self, fleet: &Fleet, lines: u16) {
        let selected = self.selected.as_ref().and_then(|key| fleet.slot(key));
        match selected.and_then(|slot| self.rows.iter().position(|row| row.slot == slot)) {
            Some(place) => {
                // At the very top the list grows downwards: a new first row is seen rather than pushed out of sight.
                if self.top > 0 {
                    self.top = (self.top + place).saturating_sub(self.cursor);
                }
                self.cursor = place;
            }
            None => self.point(fleet, self.cursor),
        }
        self.scroll(lines);
    }

    /// Moves the cursor to a row, or to the last one where there are fewer.
    pub fn select(&mut self, fleet: &Fleet, place: usize, lines: u16) {
        self.point(fleet, place);
        self.scroll(lines);
    }

    /// Moves cursor and viewport together, as by a page.
    pub fn page(&mut self, fleet: &Fleet, by: isize, lines: u16) {
        self.top = self.top.saturating_add_signed(by);
        self.select(fleet, self.cursor.saturating_add_signed(by), lines);
    }

    /// How many rows are in each health.
    pub fn count(&self, health: Health) -> usize {
        self.rows.iter().filter(|row| row.health == health).count()
    }

    fn point(&mut self, fleet: &Fleet, place: usize) {
        self.cursor = place.min(self.rows.len().saturating_sub(1));
        // With no row left the old selection is remembered, for a filter that is being typed may bring it back.
        if let Some(row) = self.rows.get(self.cursor) {
            self.selected = fleet.key(row.slot).cloned();
        }
    }

    fn scroll(&mut self, lines: u16) {
        let rows = &self.rows;
        self.top = viewport::top(self.top, self.cursor, rows.len(), lines, |row| rows[row].lines);
    }

    /// Whether the row is still in order between its neighbours: most changes move nothing.
    fn stays(&self, fleet: &Fleet, place: usize) -> bool {
        let slot = self.rows[place].slot;
        let before = place.checked_sub(1).and_then(|place| self.rows.get(place));
        let after = self.rows.get(place + 1);
        before.is_none_or(|row| compare(fleet, self.order, row.slot, slot).is_lt())
            && after.is_none_or(|row| compare(fleet, self.order, slot, row.slot).is_lt())
    }
}

/// The longest that is said of how long ago something was: lines are counted for it, so that none comes while time goes.
const AGO_LONGEST: &str = "7199s ago";

fn row(slot: Slot, object: &Object, columns: u16) -> Row {
    let (health, why): (Health, Cow<'_, str>) = match object {
        Object::Environment(a) => {
            let silent = a.health < Health::Missing && a.sync != SyncStatus::Unknown && !sync_failed(a);
            // What cannot be seen is told of a suspended one, too, and of one that was well.
            let told = unseen::told(a).is_some();
            let why = if told || !(silent || a.suspended) {
                unseen::message(a, |_| AGO_LONGEST.to_owned())
            } else {
                "".into()
            };
            (a.health, why)
        }
        Object::Pod(p) => (p.health, if p.health < Health::Missing { "".into() } else { Cow::from(&*p.message) }),
        Object::Run(r) => match r.phase {
            Phase::Queued => (Health::Missing, "".into()),
            Phase::Running => (Health::Progressing, "".into()),
            Phase::Succeeded | Phase::Skipped => (Health::Healthy, "".into()),
            Phase::Cancelled => (Health::Suspended, "".into()),
            Phase::Failed | Phase::Interrupted => (Health::Degraded, r.message.as_str().into()),
        },
        Object::Connection(c) if c.reachable => (Health::Healthy, "".into()),
        Object::Connection(c) => (Health::Degraded, c.error.as_deref().unwrap_or_default().into()),
        Object::Repository(r) => match &r.error {
            Some(error) => (Health::Degraded, error.as_str().into()),
            None if r.polled.is_none() => (Health::Progressing, "".into()),
            None => (Health::Healthy, "".into()),
        },
        // Folded or not, what is below it tells of itself; what cannot be operated says so.
        Object::Application(a) if a.message.is_empty() => (Health::Healthy, "".into()),
        Object::Application(a) => (Health::Unknown, a.message.as_str().into()),
        Object::Agent(_) | Object::Resource(_) => (Health::Unknown, "".into()),
    };
    // Two lines where all of it stands in the pane of the application, so that many in trouble are still a list.
    let lines = match object {
        Object::Environment(_) | Object::Pod(_) => geometry::row_lines(&why, columns).min(3),
        _ => geometry::row_lines(&why, columns),
    };
    Row { slot, health, lines }
}

/// Whether a sync that was tried did not do what it should.
fn sync_failed(environment: &EnvironmentStatus) -> bool {
    let failed = environment.last_sync.as_ref().is_some_and(|sync| sync.phase == Phase::Failed);
    failed && environment.sync != SyncStatus::Synced
}

/// The order of applications and environments: an application stands where the first of its environments would, and they
/// are below it.
fn applications(fleet: &Fleet, order: Order, one: &Object, other: &Object) -> Ordering {
    let place = |object: &Object| -> (ApplicationName, Option<EnvironmentName>) {
        match object {
            Object::Environment(one) => {
                let EnvironmentId { application, environment } = one.environment.clone();
                (application, Some(environment))
            }
            Object::Application(one) => (one.name.clone(), None),
            _ => unreachable!("only these are compared here"),
        }
    };
    let ((a, a_env), (b, b_env)) = (place(one), place(other));
    let best = |name: &ApplicationName| {
        let all = || fleet.known(name);
        match order {
            Order::Name => (None, None, None),
            Order::Trouble => {
                let worst = all().map(|one| (one.health, one.sync)).max();
                (Some(Reverse(worst)), None, None)
            }
            Order::Newest => (None, Some(Reverse(all().map(|one| one.since).max())), Some(())),
        }
    };
    let within = || match (one, other, order) {
        (Object::Environment(x), Object::Environment(y), Order::Trouble) => {
            (Reverse(x.health), Reverse(x.sync)).cmp(&(Reverse(y.health), Reverse(y.sync)))
        }
        (Object::Environment(x), Object::Environment(y), Order::Newest) => y.since.cmp(&x.since),
        _ => Ordering::Equal,
    };
    if a == b {
        return a_env.is_some().cmp(&b_env.is_some()).then_with(within).then_with(|| a_env.cmp(&b_env));
    }
    best(&a).cmp(&best(&b)).then_with(|| a.cmp(&b))
}

/// The order of two objects of one table; never equal for two that differ.
fn compare(fleet: &Fleet, order: Order, a: Slot, b: Slot) -> Ordering {
    let (Some(one), Some(other)) = (fleet.object(a), fleet.object(b)) else { return a.cmp(&b) };
    match (one, other) {
        (Object::Environment(_) | Object::Application(_), Object::Environment(_) | Object::Application(_)) => {
            applications(fleet, order, one, other)
        }
        (Object::Pod(x), Object::Pod(y)) => {
            let first = match order {
                Order::Name => Ordering::Equal,
                Order::Trouble => y.health.cmp(&x.health).then_with(|| y.restarts().cmp(&x.restarts())),
                Order::Newest => y.created.cmp(&x.created),
            };
            let by_name = || (&x.namespace, &x.name, &x.cluster).cmp(&(&y.namespace, &y.name, &y.cluster));
            first.then_with(by_name)
        }
        (Object::Run(x), Object::Run(y)) => y.id.cmp(&x.id),
        (Object::Connection(x), Object::Connection(y)) => (x.to, &x.name).cmp(&(y.to, &y.name)),
        (Object::Repository(x), Object::Repository(y)) => x.address.cmp(&y.address),
        (Object::Connection(_), _) => Ordering::Less,
        (_, Object::Connection(_)) => Ordering::Greater,
        _ => a.cmp(&b),
    }
}

#[cfg(test)]
mod tests;

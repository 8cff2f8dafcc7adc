//! A table of the agent's objects: which, in what order, which of them is selected, which are seen.
//!
//! The rows are slots of the fleet, kept sorted; what stands below another row moves with it. A changed object is taken out and put in at its place, which costs a scan
//! of four-byte numbers and a binary search; so a cluster in motion costs what moves, not what exists.

use std::cmp::Ordering;
use std::ops::Range;

use quarterdeck_shared::snapshot::{Key, Object};
use quarterdeck_shared::status::Health;
use serde::{Deserialize, Serialize};

use crate::model::store::{Slot, Store};
use crate::model::summary::Summary;
use crate::model::viewport;

mod filter;
mod row;

use self::row::row;

pub use self::filter::{Term, contains, holds, terms};
pub use self::row::Row;

/// What a table lists.
pub trait Lists {
    /// Whether an object is one of its rows.
    fn lists(&self, object: &Object) -> bool;

    /// The row with which an object is shown: its own, or that of the one below which it stands.
    fn head(&self, _fleet: &Store, slot: Slot, object: &Object) -> Option<Slot> {
        self.lists(object).then_some(slot)
    }

    /// The rows of a listed object that hold what is wanted: itself, and what is shown below it.
    fn rows(&self, _fleet: &Store, slot: Slot, object: &Object, terms: &[Term], rows: &mut Vec<Slot>) {
        if holds(&[object], terms) {
            rows.push(slot);
        }
    }
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

    /// The row above that the one under the cursor stands below; itself where it stands by itself.
    pub fn head(&self) -> Option<Slot> {
        self.rows.get(self.cursor).map(|row| row.head)
    }

    /// Reads all rows from the fleet anew: after a new state, another filter, another order, another width.
    pub fn rebuild(&mut self, fleet: &Store, columns: u16) {
        self.columns = columns;
        let terms = terms(&self.filter);
        let listed = fleet.slots().filter(|(_, object)| self.of.lists(object));
        let mut heads: Vec<Slot> = listed.map(|(slot, _)| slot).collect();
        heads.sort_unstable_by(|a, b| compare(fleet, self.order, *a, *b));
        let mut rows = Vec::with_capacity(heads.len());
        heads.into_iter().for_each(|head| self.grow(fleet, head, &terms, &mut rows));
        self.rows = rows;
    }

    /// Puts one object, which changed, came or went, into its place, with what stands below it.
    pub fn changed(&mut self, fleet: &Store, slot: Slot) {
        let was = self.rows.iter().find(|row| row.slot == slot).map(|row| row.head);
        let is = fleet.object(slot).and_then(|object| self.of.head(fleet, slot, object));
        let others = is.filter(|_| is != was);
        was.into_iter().chain(others).for_each(|head| self.replace(fleet, head));
    }

    /// Makes the rows of one listed object anew.
    fn replace(&mut self, fleet: &Store, head: Slot) {
        let mut new = Vec::new();
        self.grow(fleet, head, &terms(&self.filter), &mut new);
        let place = self.rows.iter().position(|row| row.head == head);
        let old = place
            .map_or(0..0, |place| place..place + self.rows[place..].iter().take_while(|row| row.head == head).count());
        if old.len() == new.len() && self.stays(fleet, old.clone()) {
            return self.rows[old].copy_from_slice(&new);
        }
        self.rows.drain(old);
        let place = self.rows.partition_point(|row| compare(fleet, self.order, row.head, head).is_lt());
        self.rows.splice(place..place, new);
    }

    /// The rows of one listed object.
    fn grow(&self, fleet: &Store, head: Slot, terms: &[Term], rows: &mut Vec<Row>) {
        let Some(object) = fleet.object(head).filter(|object| self.of.lists(object)) else { return };
        let mut slots = Vec::new();
        self.of.rows(fleet, head, object, terms, &mut slots);
        let is_open = slots.len() > 1;
        let objects = slots.into_iter().filter_map(|slot| Some((slot, fleet.object(slot)?)));
        rows.extend(objects.map(|(slot, object)| row(fleet, (slot, object), head, is_open, self.columns)));
    }

    /// Finds the selected object again and brings it into view. The screen stays where it is around it.
    pub fn keep_selected(&mut self, fleet: &Store, lines: u16) {
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
    pub fn select(&mut self, fleet: &Store, place: usize, lines: u16) {
        self.point(fleet, place);
        self.scroll(lines);
    }

    /// Moves cursor and viewport together, as by a page.
    pub fn page(&mut self, fleet: &Store, by: isize, lines: u16) {
        self.top = self.top.saturating_add_signed(by);
        self.select(fleet, self.cursor.saturating_add_signed(by), lines);
    }

    /// How many are in a health; what stands below another row is counted with that.
    pub fn count(&self, health: Health) -> usize {
        self.rows.iter().filter(|row| row.slot == row.head && row.health == Some(health)).count()
    }

    fn point(&mut self, fleet: &Store, place: usize) {
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

    /// Whether rows are still in order between their neighbours: most changes move nothing.
    fn stays(&self, fleet: &Store, rows: Range<usize>) -> bool {
        let Some(head) = self.rows.get(rows.start).map(|row| row.head) else { return rows.is_empty() };
        let before = rows.start.checked_sub(1).and_then(|place| self.rows.get(place));
        let after = self.rows.get(rows.end);
        before.is_none_or(|row| compare(fleet, self.order, row.head, head).is_lt())
            && after.is_none_or(|row| compare(fleet, self.order, head, row.head).is_lt())
    }
}

/// The order of two objects of one table; never equal for two that differ.
fn compare(fleet: &Store, order: Order, a: Slot, b: Slot) -> Ordering {
    let (Some(one), Some(other)) = (fleet.object(a), fleet.object(b)) else { return a.cmp(&b) };
    match (one, other) {
        (Object::Application(x), Object::Application(y)) => {
            let summary = |application| Summary::of_application(fleet, application);
            let trouble = |application| summary(application).map(|summary| (summary.health, summary.sync));
            let since = |application| summary(application).map(|summary| summary.since);
            let first = match order {
                Order::Name => Ordering::Equal,
                Order::Trouble => trouble(y).cmp(&trouble(x)),
                Order::Newest => since(y).cmp(&since(x)),
            };
            first.then_with(|| x.name.cmp(&y.name))
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
        (Object::FollowedImage(x), Object::FollowedImage(y)) => {
            (&x.application, &x.image).cmp(&(&y.application, &y.image))
        }
        (Object::ApplicationSource(x), Object::ApplicationSource(y)) => x.name.cmp(&y.name),
        (Object::Repository(_), Object::ApplicationSource(_) | Object::FollowedImage(_))
        | (Object::ApplicationSource(_), Object::FollowedImage(_)) => Ordering::Less,
        (Object::ApplicationSource(_) | Object::FollowedImage(_), Object::Repository(_))
        | (Object::FollowedImage(_), Object::ApplicationSource(_)) => Ordering::Greater,
        (Object::Connection(_), _) => Ordering::Less,
        (_, Object::Connection(_)) => Ordering::Greater,
        _ => a.cmp(&b),
    }
}

#[cfg(test)]
mod tests;

//! A list of records that were fetched: events, syncs. Like a table, but of what does not change any more.

use std::borrow::Cow;

use quarterdeck_shared::event::{EventRecord, SyncRecord};
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::status::Phase;
use serde::{Deserialize, Serialize};

use crate::event_text::{self, EventText};
use crate::model::fetched::Fetched;
use crate::model::geometry;
use crate::model::table::{self, contains};
use crate::model::viewport;
use crate::status_style::Tone;
use crate::text;

/// What a list of records needs to know of one.
pub trait Record {
    /// Its number, which nothing else in the list has.
    fn id(&self) -> u64;
    /// Whether it holds a word that is in lower case.
    fn mentions(&self, word: &str) -> bool;
    /// What is said of it below its row: why it failed, or what else to look at.
    fn below(&self) -> Cow<'_, str>;
}

impl Record for EventRecord {
    fn id(&self) -> u64 {
        self.id.number
    }

    fn mentions(&self, word: &str) -> bool {
        self.application.as_ref().is_some_and(|name| contains(name.as_str(), word))
            || self.environment.as_ref().is_some_and(|name| contains(name.as_str(), word))
            || contains(&event_text::describe(&self.event).line(), word)
            || contains(&self.cause.describe(), word)
    }

    fn below(&self) -> Cow<'_, str> {
        match event_text::describe(&self.event) {
            EventText { tone: Tone::Bad | Tone::Warning, more, .. } => more.into(),
            _ => "".into(),
        }
    }
}

impl Record for SyncRecord {
    fn id(&self) -> u64 {
        self.id.number
    }

    fn mentions(&self, word: &str) -> bool {
        let Revision { reference, commit, artifact, .. } = &self.revision;
        [self.phase.word(), &self.message, reference, commit.as_str(), artifact.as_deref().unwrap_or_default()]
            .iter()
            .any(|text| contains(text, word))
            || contains(&self.cause.describe(), word)
    }

    fn below(&self) -> Cow<'_, str> {
        if self.phase == Phase::Failed { text::with_hint(&self.message, &self.hint) } else { "".into() }
    }
}

/// A list of records, newest first, and where the reader is in it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
pub struct Records<T> {
    /// All of them.
    pub all: Fetched<Vec<T>>,
    /// Whether there may be older ones.
    pub older: bool,
    /// The request for older ones that is under way.
    pub asking_older: Option<u64>,
    /// The words that rows must hold.
    pub filter: String,
    /// The number of the record under the cursor.
    pub selected: Option<u64>,
    /// The row under the cursor.
    pub cursor: usize,
    /// The first row that is seen.
    pub top: usize,
    /// Places in `all` that pass the filter.
    #[serde(skip)]
    rows: Vec<usize>,
}

impl<T: Record> Default for Records<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Record> Records<T> {
    /// A list that nobody asked for yet.
    pub fn new() -> Self {
        Self {
            all: Fetched::default(),
            older: true,
            asking_older: None,
            filter: String::new(),
            selected: None,
            cursor: 0,
            top: 0,
            rows: Vec::new(),
        }
    }

    /// How many pass the filter.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none passes the filter.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The record of a row.
    pub fn row(&self, row: usize) -> Option<&T> {
        self.all.value.as_ref()?.get(*self.rows.get(row)?)
    }

    /// Lines that a row takes in so many columns.
    pub fn lines(&self, row: usize, columns: u16) -> u16 {
        self.row(row).map_or(1, |record| geometry::row_lines(&record.below(), columns))
    }

    /// The record under the cursor.
    pub fn current(&self) -> Option<&T> {
        self.row(self.cursor)
    }

    /// Applies the filter anew and finds the selected record again, on a terminal of this size.
    pub fn rebuild(&mut self, size: (u16, u16)) {
        let terms = table::terms(&self.filter);
        let all = self.all.value.as_deref().unwrap_or_default();
        let holds = |record: &T| terms.iter().all(|term| record.mentions(term.word()) == term.wanted());
        self.rows = all.iter().enumerate().filter(|(_, record)| holds(record)).map(|(place, _)| place).collect();
        let place = self.rows.iter().position(|place| Some(all[*place].id()) == self.selected);
        if let Some(place) = place
            && self.top > 0
        {
            self.top = (self.top + place).saturating_sub(self.cursor);
        }
        self.select(place.unwrap_or(self.cursor), size);
    }

    /// Moves the cursor to a row, or to the last one.
    pub fn select(&mut self, place: usize, size: (u16, u16)) {
        self.cursor = place.min(self.rows.len().saturating_sub(1));
        if let Some(record) = self.current() {
            self.selected = Some(record.id());
        }
        let high = |row: usize| self.lines(row, size.0);
        self.top = viewport::top(self.top, self.cursor, self.rows.len(), geometry::table_lines(size), high);
    }

    /// Moves cursor and viewport together.
    pub fn page(&mut self, by: isize, size: (u16, u16)) {
        self.top = self.top.saturating_add_signed(by);
        self.select(self.cursor.saturating_add_signed(by), size);
    }
    /// Panics where the cursor is not on a row.
    pub fn assert_invariants(&self) {
        assert!(self.cursor < self.rows.len().max(1) && self.top <= self.cursor);
    }
}

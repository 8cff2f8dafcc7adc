//! What a sync would change, made ready for drawing: each object's lines on both sides, with what changed within a line.
//!
//! Comparing is done once, when the answer comes and off the drawing thread; scrolling then costs what is seen.

mod document;

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::change::{Action, Plan};
use serde::{Deserialize, Serialize};

use crate::model::fetched::Fetched;

pub use self::document::{document, field_short};

/// A diff, ready for drawing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiffDocument {
    /// What a sync would do.
    pub plan: Plan,
    /// What differs, in the order of the plan.
    pub objects: Vec<ObjectLines>,
}

/// Both sides of one object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ObjectLines {
    /// `Deployment/shop`, with its namespace where it has one.
    pub title: String,
    /// What a sync would do to it.
    pub action: Action,
    /// Why, where the action does not say it all.
    pub reason: Option<String>,
    /// As it is in the cluster.
    pub live: Vec<SideLine>,
    /// As it would be.
    pub desired: Vec<SideLine>,
    /// Which lines of the one side answer to which of the other.
    pub parts: Vec<Part>,
    /// The fields that differ, where the texts do not show it: both sides of a masked Secret look alike.
    pub fields: Vec<String>,
}

/// A line of one side, without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideLine {
    /// The text.
    pub text: Box<str>,
    /// Bytes of it that differ from the line it answers to.
    pub marks: Vec<(u32, u32)>,
}

/// A run of lines that are alike on both sides, or that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Whether they are alike.
    pub alike: bool,
    /// First line in the cluster's side, and how many.
    pub live: (u32, u32),
    /// First line in git's side, and how many.
    pub desired: (u32, u32),
}

/// A row of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiffRow {
    /// An object begins.
    Title(usize),
    /// A field of an object that differs: its place in [`ObjectLines::fields`].
    Field(usize, usize),
    /// So many alike lines are not shown.
    Fold(u32),
    /// Lines of an object; of one side or of both.
    Lines {
        /// Which object.
        object: usize,
        /// Its line in the cluster's side.
        live: Option<u32>,
        /// Its line in git's side.
        desired: Option<u32>,
        /// Whether both are alike.
        alike: bool,
    },
    /// Nothing: between two objects.
    Blank,
}

/// Lines around a difference that are shown: as many as `diff -u` shows.
const CONTEXT: u32 = 3;

impl DiffDocument {
    /// The rows: folded or whole, one side below the other or both beside each other.
    pub fn rows(&self, whole: bool, sides: bool) -> Vec<DiffRow> {
        let mut rows = Vec::new();
        for (place, object) in self.objects.iter().enumerate() {
            if place > 0 {
                rows.push(DiffRow::Blank);
            }
            rows.push(DiffRow::Title(place));
            rows.extend((0..object.fields.len()).map(|field| DiffRow::Field(place, field)));
            for (nth, part) in object.parts.iter().enumerate() {
                if part.alike {
                    let (first, last) = (nth == 0, nth + 1 == object.parts.len());
                    push_alike(&mut rows, place, part, whole, first, last);
                } else {
                    push_different(&mut rows, place, part, sides);
                }
            }
        }
        rows
    }
}

fn push_alike(rows: &mut Vec<DiffRow>, object: usize, part: &Part, whole: bool, first: bool, last: bool) {
    let count = part.live.1;
    let (head, tail) = (if first { 0 } else { CONTEXT }, if last { 0 } else { CONTEXT });
    let row =
        |n: u32| DiffRow::Lines { object, live: Some(part.live.0 + n), desired: Some(part.desired.0 + n), alike: true };
    // A fold takes a row itself: to fold one line would hide it for nothing.
    if whole || count <= head + tail + 1 {
        return rows.extend((0..count).map(row));
    }
    rows.extend((0..head).map(row));
    rows.push(DiffRow::Fold(count - head - tail));
    rows.extend((count - tail..count).map(row));
}

fn push_different(rows: &mut Vec<DiffRow>, object: usize, part: &Part, sides: bool) {
    let ((live, lives), (desired, desireds)) = (part.live, part.desired);
    let row = |live, desired| DiffRow::Lines { object, live, desired, alike: false };
    if sides {
        let nth = |first: u32, count: u32, n: u32| (n < count).then_some(first + n);
        rows.extend((0..lives.max(desireds)).map(|n| row(nth(live, lives, n), nth(desired, desireds, n))));
    } else {
        rows.extend((live..live + lives).map(|line| row(Some(line), None)));
        rows.extend((desired..desired + desireds).map(|line| row(None, Some(line))));
    }
}

/// A diff on screen.
#[derive(Debug, Serialize, Deserialize)]
pub struct DiffScreen {
    /// Whose.
    pub of: EnvironmentId,
    /// To which revision; to what git says now where none.
    pub revision: Option<String>,
    /// The diff.
    pub document: Fetched<DiffDocument>,
    /// Whether alike lines are shown too.
    pub whole: bool,
    /// Whether both sides are beside each other, where the terminal is wide enough.
    pub sides: bool,
    /// The first row that is seen.
    pub top: usize,
    /// Columns that are scrolled out to the left.
    pub left: u16,
    /// What is searched.
    pub search: String,
    /// The row of the match where the reader is.
    pub found: Option<usize>,
    /// The rows; derived, see [`DiffScreen::rebuild`].
    #[serde(skip)]
    pub rows: Vec<DiffRow>,
}

impl DiffScreen {
    /// A diff that nobody asked for yet.
    pub fn new(of: EnvironmentId, revision: Option<String>) -> Self {
        Self {
            of,
            revision,
            document: Fetched::default(),
            whole: false,
            sides: true,
            top: 0,
            left: 0,
            search: String::new(),
            found: None,
            rows: Vec::new(),
        }
    }

    /// Makes the rows anew, for a terminal that is wide enough for both sides or is not. The object that was at the top
    /// stays there.
    pub fn rebuild(&mut self, wide: bool) {
        let object = self.object_at(self.top);
        self.rows = self.document.value.as_ref().map(|d| d.rows(self.whole, self.sides && wide)).unwrap_or_default();
        self.found = None;
        if let Some(object) = object
            && self.object_at(self.top) != Some(object)
        {
            self.top = self.rows.iter().position(|row| *row == DiffRow::Title(object)).unwrap_or(0);
        }
        self.top = self.top.min(self.rows.len().saturating_sub(1));
    }

    /// The object that a row is of.
    pub fn object_at(&self, row: usize) -> Option<usize> {
        self.rows.get(..=row)?.iter().rev().find_map(|row| match row {
            DiffRow::Title(object) => Some(*object),
            _ => None,
        })
    }

    /// The row of the next or the previous object.
    pub fn neighbour(&self, forward: bool) -> Option<usize> {
        let is_title = |row: &DiffRow| matches!(row, DiffRow::Title(_));
        if forward {
            self.rows.iter().skip(self.top + 1).position(is_title).map(|place| place + self.top + 1)
        } else {
            self.rows.get(..self.top)?.iter().rposition(is_title)
        }
    }

    /// Whether a row shows a text that holds a word in lower case.
    pub fn mentions(&self, row: &DiffRow, word: &str) -> bool {
        let Some(document) = &self.document.value else { return false };
        let holds = |text: &str| crate::model::table::contains(text, word);
        match row {
            DiffRow::Title(object) => document.objects.get(*object).is_some_and(|object| holds(&object.title)),
            DiffRow::Lines { object, live, desired, .. } => document.objects.get(*object).is_some_and(|object| {
                let side = |lines: &[SideLine], line: &Option<u32>| {
                    line.and_then(|line| lines.get(line as usize)).is_some_and(|line| holds(&line.text))
                };
                side(&object.live, live) || side(&object.desired, desired)
            }),
            DiffRow::Field(object, field) => {
                document.objects.get(*object).and_then(|o| o.fields.get(*field)).is_some_and(|text| holds(text))
            }
            DiffRow::Fold(_) | DiffRow::Blank => false,
        }
    }
}

#[cfg(test)]
mod tests;

//! Columns of lists: each has its name, its width, and the part of a row that it shows, once, for the console's table and
//! for the command line's. Pure: what draws them is [`crate::paint`], what prints them [`crate::output::table`].
//!
//! A list is a row type and a function that returns its columns, in [`crate::screen`], beside the screen that shows it.
//! Where the forms show a part differently (a sign for a word), there is a column for each form, under one name.

use jiff::Timestamp;

use crate::status_style::{StatusStyle, Tone};

/// The form in which a list is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A screen of the console.
    Screen,
    /// A table of the command line.
    Table,
    /// The same with more columns.
    Wide,
}

/// What a column holds, and so how it is aligned and what becomes of a text that is wider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text of a few words: whole in a table.
    Text,
    /// Names that may be of any length: they lose their middle.
    Names,
    /// Numbers: they end below each other.
    Numbers,
    /// Ages and times: on a screen they end below each other, too.
    Times,
    /// Prose: its end is cut.
    Prose,
}

/// A column of a list of rows `R`.
#[derive(Debug)]
pub struct Column<R> {
    /// Its name.
    pub title: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Its least width on a screen.
    pub width: u16,
    /// Its greatest, where there is room.
    pub width_max: u16,
    /// The width of the screen from which on it is shown.
    pub from: u16,
    /// Whether it says what the row is called, which is where the eye is led.
    pub names_row: bool,
    /// Whether it is left out on a screen whose rows are all of one environment: its title names it already.
    pub of_all: bool,
    /// The forms in which it is shown.
    pub forms: &'static [Form],
    /// The part of a row that it shows.
    pub cell: fn(&R) -> Cell,
}

impl<R> Column<R> {
    /// A column that is shown in every form, as wide on a screen as the range allows.
    pub fn new(title: &'static str, kind: Kind, (width, width_max): (u16, u16), cell: fn(&R) -> Cell) -> Self {
        let forms = &[Form::Screen, Form::Table, Form::Wide];
        Self { title, kind, width, width_max, from: 0, names_row: false, of_all: false, forms, cell }
    }

    /// One of words, of a fixed width.
    pub fn text(title: &'static str, width: u16, cell: fn(&R) -> Cell) -> Self {
        Self::new(title, Kind::Text, (width, width), cell)
    }

    /// One of numbers.
    pub fn number(title: &'static str, width: u16, cell: fn(&R) -> Cell) -> Self {
        Self::new(title, Kind::Numbers, (width, width), cell)
    }

    /// One of ages or times.
    pub fn time(title: &'static str, width: u16, cell: fn(&R) -> Cell) -> Self {
        Self::new(title, Kind::Times, (width, width), cell)
    }

    /// One that only tables have: its width is that of what it holds.
    pub fn listed(title: &'static str, kind: Kind, cell: fn(&R) -> Cell) -> Self {
        Self { forms: &[Form::Table, Form::Wide], ..Self::new(title, kind, (0, 0), cell) }
    }

    /// On a screen only, from this width on.
    pub fn on_screen(self, from: u16) -> Self {
        Self { from, forms: &[Form::Screen], ..self }
    }

    /// On a screen from this width on.
    pub fn from(self, from: u16) -> Self {
        Self { from, ..self }
    }

    /// Not in the narrow table.
    pub fn or_wide(self) -> Self {
        Self { forms: &[Form::Screen, Form::Wide], ..self }
    }

    /// Not in the wide table, which has more of it.
    pub fn not_wide(self) -> Self {
        Self { forms: &[Form::Screen, Form::Table], ..self }
    }

    /// In the wide table alone.
    pub fn wide(self) -> Self {
        Self { forms: &[Form::Wide], ..self }
    }

    /// In the narrow table alone.
    pub fn narrow(self) -> Self {
        Self { forms: &[Form::Table], ..self }
    }

    /// It says what the row is called.
    pub fn naming(self) -> Self {
        Self { names_row: true, ..self }
    }

    /// Left out on a screen of one environment.
    pub fn of_all(self) -> Self {
        Self { of_all: true, ..self }
    }
}

/// What stands in one place of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// What is shown.
    pub shown: Shown,
    /// How it is meant.
    pub tone: Tone,
    /// The moment whose age is in the text: the picture is true until that changes.
    pub aging: Option<Timestamp>,
}

/// What a cell shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// A text.
    Text(String),
    /// A sign with its word.
    Mark(StatusStyle, String),
    /// A word, and with which sign it ended.
    Ended(String, StatusStyle),
    /// Signs, with words where there is room for the longer ones.
    Marks {
        /// A word for those that matter.
        short: Vec<(StatusStyle, String)>,
        /// A word for all.
        long: Vec<(StatusStyle, String)>,
    },
    /// How long ago.
    Age(Timestamp),
    /// How long it takes or took: when it began, and when it ended.
    Took(Option<Timestamp>, Option<Timestamp>),
}

impl Cell {
    fn new(shown: Shown) -> Self {
        Self { shown, tone: Tone::Plain, aging: None }
    }

    /// A text.
    pub fn text(text: impl ToString) -> Self {
        Self::new(Shown::Text(text.to_string()))
    }

    /// Nothing.
    pub fn nothing() -> Self {
        Self::text("")
    }

    /// A sign with its word.
    pub fn mark(meaning: StatusStyle, word: impl ToString) -> Self {
        Self { tone: meaning.tone, ..Self::new(Shown::Mark(meaning, word.to_string())) }
    }

    /// How long ago, where that is known.
    pub fn age(at: Option<Timestamp>) -> Self {
        at.map_or(Self::nothing(), |at| Self::new(Shown::Age(at)))
    }

    /// How long it takes or took.
    pub fn took(started: Option<Timestamp>, finished: Option<Timestamp>) -> Self {
        Self::new(Shown::Took(started, finished))
    }

    /// The same, meant so.
    pub fn toned(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    /// The same beside the point.
    pub fn quiet(self) -> Self {
        self.toned(Tone::Quiet)
    }

    /// The same, with the age of this moment in its text.
    pub fn aging(self, at: Option<Timestamp>) -> Self {
        Self { aging: at, ..self }
    }
}

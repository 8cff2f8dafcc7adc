//! Tables: columns as wide as what they hold, cut where the terminal is narrower. Pure.

use jiff::Timestamp;

use crate::column::{self, Form, Kind, Shown};
use crate::output::Line;
use crate::status_style::{OLD, StatusStyle, Tone};
use crate::text::{age, clean, columns, cut, shorten, span};

/// Two spaces part columns: one is easily lost inside a name.
const GAP: usize = 2;

/// An elastic column is not cut below this: what is left says nothing.
const ELASTIC_MIN: usize = 12;

/// A name that is longer than this was made by a program, or by somebody who means ill: it loses its middle before prose
/// loses anything.
const NAME_MAX: usize = 32;

/// A name is not cut below this, where prose has given all that it can: its beginning and its end still tell it apart.
const NAME_MIN: usize = 12;

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    title: &'static str,
    right: bool,
    fit: Fit,
}

/// What becomes of a text that is wider than its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// The column is as wide as the text.
    Whole,
    /// Its end is cut.
    End,
    /// Its middle is left out.
    Middle,
}

impl Column {
    /// A column of a list.
    fn of<R>(column: &column::Column<R>) -> Self {
        match column.kind {
            Kind::Text | Kind::Times => Self::text(column.title),
            Kind::Names => Self::names(column.title),
            Kind::Numbers => Self::numbers(column.title),
            Kind::Prose => Self::prose(column.title),
        }
    }

    /// A column of words.
    pub const fn text(title: &'static str) -> Self {
        Self { title, right: false, fit: Fit::Whole }
    }

    /// A column of numbers, which end below each other.
    pub const fn numbers(title: &'static str) -> Self {
        Self { title, right: true, fit: Fit::Whole }
    }

    /// A column of prose, which is cut where the terminal is too narrow.
    pub const fn prose(title: &'static str) -> Self {
        Self { title, right: false, fit: Fit::End }
    }

    /// A column of names that may be of any length, such as tags and branches: they lose their middle where the terminal is
    /// too narrow for them and what else is said.
    pub const fn names(title: &'static str) -> Self {
        Self { title, right: false, fit: Fit::Middle }
    }
}

/// What stands in one place of a table.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    tone: Tone,
    sign: Option<char>,
}

impl Cell {
    /// A cell of a list: ages as they are now, signs before their words.
    fn in_list(cell: column::Cell, names_row: bool, now: Timestamp) -> Self {
        let toned = |text| Self { text, tone: cell.tone, sign: None };
        match cell.shown {
            Shown::Text(text) if names_row => Self::strong(text),
            Shown::Text(text) => toned(text),
            Shown::Mark(meaning, word) | Shown::Ended(word, meaning) => Self::of(meaning, &word),
            Shown::Marks { long, .. } => {
                let words = long.iter().map(|(meaning, word)| format!("{} {word}", meaning.sign));
                toned(words.collect::<Vec<_>>().join(" "))
            }
            Shown::Age(at) => Self::quiet(age(at, now)),
            Shown::Took(started, finished) => Self::quiet(span(started, finished, now)),
        }
    }

    /// A word with its meaning.
    pub fn of(meaning: StatusStyle, word: &str) -> Self {
        Self { text: word.to_owned(), tone: meaning.tone, sign: Some(meaning.sign) }
    }

    /// The same, where it is [`OLD`].
    pub fn old(self, is_old: bool) -> Self {
        if is_old { Self { tone: OLD.tone, sign: self.sign.map(|_| OLD.sign), ..self } } else { self }
    }

    /// Text in a tone, without a sign.
    pub fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: text.into(), tone, sign: None }
    }

    /// Text beside the point.
    pub fn quiet(text: impl ToString) -> Self {
        Self { text: text.to_string(), tone: Tone::Quiet, sign: None }
    }

    /// What a reader looks for.
    pub fn strong(text: impl ToString) -> Self {
        Self { text: text.to_string(), tone: Tone::Strong, sign: None }
    }

    /// As it is drawn, with or without its sign.
    fn drawn(&self, signs: bool) -> String {
        let text = clean(&self.text);
        match self.sign.filter(|_| signs) {
            Some(sign) => format!("{sign} {text}"),
            None => text.into_owned(),
        }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.to_string(), ..Self::default() }
    }
}

/// Rows of cells below titles.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// The rows of a list, in a form of the command line.
    pub fn of<R>(columns: &[column::Column<R>], form: Form, rows: impl IntoIterator<Item = R>, now: Timestamp) -> Self {
        let shown: Vec<_> = columns.iter().filter(|column| column.forms.contains(&form)).collect();
        let mut table = Self { columns: shown.iter().map(|column| Column::of(column)).collect(), rows: Vec::new() };
        for row in rows {
            table.row(shown.iter().map(|column| Cell::in_list((column.cell)(&row), column.names_row, now)).collect());
        }
        table
    }

    /// Adds a row; it has a cell for each column.
    pub fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a row has a cell for each column");
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Its lines, titles first; at most `width` columns where prose can be cut so far.
    pub fn lines(&self, signs: bool, width: Option<usize>) -> Vec<Line> {
        let titles = self.columns.iter().map(|column| (column.title.to_owned(), Tone::Quiet)).collect();
        let rows = self.rows.iter().map(|row| self.drawn(row, signs));
        let all: Vec<Vec<(String, Tone)>> = std::iter::once(titles).chain(rows).collect();
        let widths = self.widths(&all, width);
        all.iter().map(|row| self.line(row, &widths)).collect()
    }

    /// The texts of a row. An empty place is a dash, so that columns can be counted, but for the last, which is prose.
    fn drawn(&self, row: &[Cell], signs: bool) -> Vec<(String, Tone)> {
        let last = self.columns.len() - 1;
        let draw = |(at, cell): (usize, &Cell)| match cell.drawn(signs) {
            text if text.is_empty() && at < last => ("-".to_owned(), Tone::Quiet),
            text => (text, cell.tone),
        };
        row.iter().enumerate().map(draw).collect()
    }

    fn widths(&self, rows: &[Vec<(String, Tone)>], width: Option<usize>) -> Vec<usize> {
        let widest = |at: usize| rows.iter().map(|row| columns(&row[at].0)).max().unwrap_or(0);
        let mut widths: Vec<usize> = (0..self.columns.len()).map(widest).collect();
        let Some(width) = width else { return widths };
        let total = widths.iter().sum::<usize>() + GAP * (widths.len() - 1);
        let mut excess = total.saturating_sub(width);
        for (fit, least) in [(Fit::Middle, NAME_MAX), (Fit::End, ELASTIC_MIN), (Fit::Middle, NAME_MIN)] {
            // The longest gives first, so that one long name does not cost its neighbours anything.
            while excess > 0
                && let Some(at) = (0..widths.len())
                    .filter(|at| self.columns[*at].fit == fit && widths[*at] > least)
                    .max_by_key(|at| widths[*at])
            {
                widths[at] -= 1;
                excess -= 1;
            }
        }
        widths
    }

    fn line(&self, row: &[(String, Tone)], widths: &[usize]) -> Line {
        let mut line = Line::new();
        let end = row.iter().rposition(|(text, _)| !text.is_empty()).map_or(0, |at| at + 1);
        for (at, (text, tone)) in row[..end].iter().enumerate() {
            let text = match self.columns[at].fit {
                Fit::Middle => shorten(text, widths[at]),
                Fit::Whole | Fit::End => cut(text, widths[at]),
            };
            let padding = " ".repeat(widths[at] - columns(&text));
            let gap = if at == 0 { "" } else { &" ".repeat(GAP) };
            line = match self.columns[at].right {
                true => line.with(Tone::Plain, format!("{gap}{padding}")).with(*tone, text),
                false if at + 1 == end => line.with(Tone::Plain, gap).with(*tone, text),
                false => line.with(Tone::Plain, gap).with(*tone, text).with(Tone::Plain, padding),
            };
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status_style::of_health;
    use quarterdeck_shared::status::Health;

    fn drawn(signs: bool, width: Option<usize>) -> String {
        let mut table = Table::new(&[
            Column::text("NAME"),
            Column::text("HEALTH"),
            Column::numbers("RESTARTS"),
            Column::prose("MESSAGE"),
        ]);
        let health = |health| Cell::of(of_health(health), health.word());
        table.row(vec!["shop".into(), health(Health::Healthy), 2.into(), "".into()]);
        let message = "back-off restarting failed container \u{1b}[31m";
        table.row(vec!["日本".into(), health(Health::Degraded), "".into(), message.into()]);
        let lines = table.lines(signs, width);
        lines.iter().map(|line| line.0.iter().map(|(_, text)| &**text).collect::<String>() + "\n").collect()
    }

    #[test]
    fn a_pipe_gets_all_of_it() {
        insta::assert_snapshot!(drawn(false, None), @r"
        NAME  HEALTH    RESTARTS  MESSAGE
        shop  Healthy          2
        日本  Degraded         -  back-off restarting failed container ^[[31m
        ");
    }

    #[test]
    fn a_terminal_gets_signs_and_what_fits() {
        insta::assert_snapshot!(drawn(true, Some(50)), @r"
        NAME  HEALTH      RESTARTS  MESSAGE
        shop  ● Healthy          2
        日本  ✖ Degraded         -  back-off restarting f…
        ");
    }

    #[test]
    fn a_name_of_any_length_leaves_room_for_what_is_said() {
        let draw = |width| {
            let mut table = Table::new(&[Column::names("TAG"), Column::text("PHASE"), Column::prose("MESSAGE")]);
            let tag = format!("push-1.2-{}-final", "x".repeat(190));
            table.row(vec![tag.into(), "Failed".into(), "the build failed: exit code 101".into()]);
            table.row(vec!["push-1.1".into(), "Succeeded".into(), "pushed".into()]);
            let lines = table.lines(false, width);
            lines
                .iter()
                .map(|line| line.0.iter().map(|(_, text)| &**text).collect::<String>() + "\n")
                .collect::<String>()
        };
        insta::assert_snapshot!(draw(Some(80)), @r"
        TAG                                   PHASE      MESSAGE
        push-1.2-xxxxxxxx…xxxxxxxxxxxx-final  Failed     the build failed: exit code 101
        push-1.1                              Succeeded  pushed
        ");
        insta::assert_snapshot!(draw(Some(40)), @r"
        TAG              PHASE      MESSAGE
        push-1.…x-final  Failed     the build f…
        push-1.1         Succeeded  pushed
        ");
        assert!(draw(None).lines().nth(1).unwrap().len() > 230, "a pipe gets all of it");
    }

    #[test]
    fn a_terminal_too_narrow_for_names_still_gets_them_whole() {
        insta::assert_snapshot!(drawn(true, Some(10)), @r"
        NAME  HEALTH      RESTARTS  MESSAGE
        shop  ● Healthy          2
        日本  ✖ Degraded         -  back-off re…
        ");
    }
}

//! What is in the images that a run pushed: the packages of each, by name.

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::snapshot::RunId;
use ratatui::layout::Rect;
use serde::{Deserialize, Serialize};

use crate::column::{Cell, Column, Kind};
use crate::effect::{Answer, Ask};
use crate::keymap::table::FILTER;
use crate::keymap::{Binding, Command};
use crate::model::World;
use crate::model::fetched::Wait;
use crate::model::geometry;
use crate::model::link::Problem;
use crate::model::packages::{Packages as Document, Row};
use crate::model::records::Records;
use crate::model::subject::Subject;
use crate::paint::empty;
use crate::paint::list::{self, Line, Rows};
use crate::paint::painter::Painter;
use crate::screen::moves::{along, movement};
use crate::screen::status::{Status, of_records};
use crate::screen::turn::Turn;
use crate::screen::{Find, Screen, expected};

/// Its keys.
pub const KEYS: &[Binding] = &[FILTER];

/// The packages of a run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Packages {
    /// Whose run.
    pub of: ApplicationName,
    /// Which.
    pub run: RunId,
    /// The packages of all its images.
    pub records: Records<Row>,
    /// What is said of images without a list.
    pub notes: Vec<String>,
}

impl Packages {
    /// Packages that nobody asked for yet.
    pub fn new(of: ApplicationName, run: RunId) -> Self {
        Self { of, run, records: Records::new(), notes: Vec::new() }
    }
}

impl Screen for Packages {
    fn keys(&self) -> &'static [Binding] {
        KEYS
    }

    fn scope(&self) -> Option<Subject> {
        Some(Subject::Application(self.of.clone()))
    }

    fn title(&self, _world: &World) -> String {
        format!("packages of run {}", self.run.number)
    }

    fn status(&self, _world: &World) -> Status {
        let status = of_records(&self.records);
        // Where there are none, the screen says why.
        if status.left.is_empty() && !self.records.is_empty() {
            Status { left: self.notes.join(" · "), ..status }
        } else {
            status
        }
    }

    fn press(&mut self, command: Command, turn: &mut Turn<'_>) -> bool {
        let Some(to) = movement(command, geometry::table_lines(turn.world.size)) else { return false };
        along(&mut self.records, to, turn.world.size);
        true
    }

    fn rebuild(&mut self, world: &World) {
        self.records.rebuild(world.size);
    }

    fn find(&self) -> Option<Find<'_>> {
        Some(Find::Filter(&self.records.filter))
    }

    fn set_find(&mut self, words: &str, world: &World) {
        words.clone_into(&mut self.records.filter);
        self.rebuild(world);
    }

    fn ask(&self) -> Option<Ask> {
        Some(Ask::Packages(self.run))
    }

    fn wait(&mut self) -> Option<&mut Wait> {
        Some(&mut self.records.all.wait)
    }

    fn answer(&mut self, number: u64, answer: Result<Answer, Problem>, world: &World) -> bool {
        let document = |answer| if let Answer::Packages(document) = answer { Some(*document) } else { None };
        let mut notes = None;
        let rows = answer.map(document).and_then(expected).map(|Document { rows, notes: told }| {
            notes = Some(told);
            rows
        });
        let taken = self.records.all.take(number, rows, world.now);
        if taken && let Some(told) = notes {
            self.notes = told;
        }
        self.records.rebuild(world.size);
        taken
    }

    fn draw(&self, painter: &mut Painter, _world: &World, area: Rect) {
        let records = &self.records;
        if empty::waiting(painter, area, &records.all, "Asking for the packages …") {
            return;
        }
        if records.is_empty() {
            let notes: Vec<&str> = self.notes.iter().map(String::as_str).collect();
            return match records.filter.as_str() {
                "" => empty::draw(painter, area, "No list of packages.", &notes),
                filter => empty::draw(painter, area, &format!("No package holds {filter:?}."), &[]),
            };
        }
        let seen = Rows { top: records.top, cursor: records.cursor, count: records.len() };
        let lines = |place| records.lines(place, area.width);
        list::draw(painter, (&columns(), false), area, seen, lines, |place| {
            let row = records.row(place)?;
            Some(Line { row, below: Cell::nothing(), is_old: false })
        });
    }

    fn assert_invariants(&self, _world: &World) {
        self.records.assert_invariants();
    }
}

/// The columns of packages.
pub fn columns<'a>() -> Vec<Column<&'a Row>> {
    vec![
        Column::new("PACKAGE", Kind::Names, (20, 48), |row: &&Row| Cell::text(&row.package.name)).naming(),
        Column::new("VERSION", Kind::Names, (14, 28), |row: &&Row| Cell::text(&row.package.version)).from(40),
        Column::text("TYPE", 10, |row: &&Row| Cell::text(&row.package.kind).quiet()).from(60),
        Column::new("LICENSE", Kind::Names, (14, 32), |row: &&Row| Cell::text(&row.package.license)).from(80),
        Column::new("IMAGE", Kind::Names, (12, 32), |row: &&Row| Cell::text(&row.image).quiet()).on_screen(120),
        Column::listed("IMAGE", Kind::Names, |row: &&Row| Cell::text(&row.image)).wide(),
    ]
}

//! Lists of the agent's objects: what they have in common, so that one of them is what it lists and how a row is shown.

use quarterdeck_shared::snapshot::Object;
use quarterdeck_shared::status::Health;
use ratatui::layout::Rect;

use crate::column::Column;
use crate::keymap::{Binding, Command, Root};
use crate::model::store::Slot;
use crate::model::subject::Subject;
use crate::model::table::{Lists, Order, Row, Table};
use crate::model::{World, geometry};
use crate::paint::empty;
use crate::paint::list::{self, Line, Rows};
use crate::paint::painter::Painter;
use crate::screen::moves::{Move, movement};
use crate::screen::status::{self, Status};
use crate::screen::turn::Turn;
use crate::screen::{Find, Screen, Texts};
use crate::status_style::of_health;

/// A list of the agent's objects.
pub trait List: Lists {
    /// What the columns show parts of.
    type Row<'a>;

    /// Its keys.
    const KEYS: &'static [Binding];
    /// The top view that it is, where it is of everything.
    const ROOT: Root;
    /// Whether its rows have another order than their own.
    const HAS_ORDERS: bool;

    /// Its columns.
    fn columns<'a>() -> Vec<Column<Self::Row<'a>>>;

    /// What is drawn of an object.
    fn line<'a>(&self, world: &'a World, object: &'a Object, row: Row) -> Option<Line<Self::Row<'a>>>;

    /// The application or environment that it is of.
    fn scope(&self) -> Option<Subject> {
        None
    }

    /// Whether all of its rows are of what its title names.
    fn is_of_one(&self, _world: &World) -> bool {
        self.scope().is_some()
    }

    /// What it is called.
    fn title(&self) -> String;

    /// Where one is, where that is more than the title.
    fn crumbs(&self, _world: &World) -> Option<Texts> {
        None
    }

    /// The word for how many are in a health.
    fn word(health: Health) -> &'static str {
        match health {
            Health::Healthy => "healthy",
            Health::Suspended => "suspended",
            Health::Progressing => "progressing",
            Health::Missing => "missing",
            Health::Degraded => "degraded",
            Health::Unknown => "unknown",
        }
    }

    /// What is said where there is no row: a sentence, and what to do.
    fn nothing(&self, _world: &World) -> Option<(String, Vec<&'static str>)> {
        None
    }

    /// What is said where no row holds the words of the filter.
    fn nothing_holds(_filter: &str) -> Option<String> {
        None
    }

    /// Opens the selected object.
    fn open(&self, _object: &Object, _turn: &mut Turn<'_>) {}

    /// Opens or closes what stands below the selected object.
    fn fold(&mut self, _command: Command, _object: &Object) -> Fold {
        Fold::None
    }

    /// What a key asks for that only this list has; false where it means nothing of its own here.
    fn press(&self, _command: Command, _object: Option<&Object>, _turn: &mut Turn<'_>) -> bool {
        false
    }

    /// Draws what stands below the rows, of which so many lines are taken.
    fn below(&self, _painter: &mut Painter, _world: &World, _area: Rect, _used: u16) {}
}

/// What became of a command to open or close what stands below a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// Nothing stands below it.
    None,
    /// It is open or closed now.
    Done,
    /// The row above it is to be selected.
    ToHead,
}

impl<L: List> Screen for Table<L> {
    fn keys(&self) -> &'static [Binding] {
        L::KEYS
    }

    fn root(&self) -> Option<Root> {
        self.of.scope().is_none().then_some(L::ROOT)
    }

    fn scope(&self) -> Option<Subject> {
        self.of.scope()
    }

    fn title(&self, _world: &World) -> String {
        self.of.title()
    }

    fn crumbs(&self, world: &World) -> Texts {
        self.of.crumbs(world).unwrap_or_else(|| super::crumbs(self.of.scope(), self.of.title(), world))
    }

    fn state(&self, _world: &World, short: bool) -> Texts {
        use Health::{Degraded, Healthy, Missing, Progressing, Suspended, Unknown};
        let one = |health: Health| {
            let count = self.count(health);
            let meaning = of_health(health);
            let text =
                if short { format!("{}{count} ", meaning.sign) } else { format!("{count} {}  ", L::word(health)) };
            (count > 0).then_some((text, meaning.tone))
        };
        [Healthy, Progressing, Suspended, Missing, Degraded, Unknown].into_iter().filter_map(one).collect()
    }

    fn status(&self, _world: &World) -> Status {
        let order = if self.order == Order::Name { "" } else { self.order.word() };
        let parts = [status::filter(&self.filter), order.to_owned()];
        let left = parts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("   ");
        Status { left, right: status::place(self.cursor, self.rows().len()), calls: false }
    }

    fn selected<'w>(&self, world: &'w World) -> Option<&'w Object> {
        world.fleet.object(self.slot()?)
    }

    fn press(&mut self, command: Command, turn: &mut Turn<'_>) -> bool {
        let (fleet, lines) = (&turn.world.fleet, geometry::table_lines(turn.world.size));
        match movement(command, lines) {
            Some(Move::By(by)) => self.select(fleet, self.cursor.saturating_add_signed(by), lines),
            Some(Move::Page(by)) => self.page(fleet, by, lines),
            Some(Move::First) => self.select(fleet, 0, lines),
            Some(Move::Last) => self.select(fleet, usize::MAX, lines),
            None => return self.fold(command, turn.world) || self.press_other(command, turn),
        }
        true
    }

    fn rebuild(&mut self, world: &World) {
        Table::rebuild(self, &world.fleet, world.size.0);
        Table::keep_selected(self, &world.fleet, geometry::table_lines(world.size));
    }

    fn find(&self) -> Option<Find<'_>> {
        Some(Find::Filter(&self.filter))
    }

    fn set_find(&mut self, words: &str, world: &World) {
        words.clone_into(&mut self.filter);
        Screen::rebuild(self, world);
    }

    /// An object may be listed before a change and not after it.
    fn draws(&self, _object: &Object) -> bool {
        true
    }

    fn changed(&mut self, slot: Slot, world: &World) {
        Table::changed(self, &world.fleet, slot);
    }

    fn changes_done(&mut self, world: &World, many: bool) {
        if many {
            Table::rebuild(self, &world.fleet, world.size.0);
        }
        Table::keep_selected(self, &world.fleet, geometry::table_lines(world.size));
    }

    fn draw(&self, painter: &mut Painter, world: &World, area: Rect) {
        let rows = self.rows();
        let nothing = match &*self.filter {
            "" => self.of.nothing(world),
            filter => L::nothing_holds(filter).map(|sentence| (sentence, vec!["esc clears the filter."])),
        };
        if let (true, Some((sentence, hints))) = (rows.is_empty(), nothing) {
            return empty::draw(painter, area, &sentence, &hints);
        }
        let seen = Rows { top: self.top, cursor: self.cursor, count: rows.len() };
        let columns = L::columns();
        list::draw(
            painter,
            (&columns, self.of.is_of_one(world)),
            area,
            seen,
            |place| rows[place].lines,
            |place| self.of.line(world, world.fleet.object(rows[place].slot)?, rows[place]),
        );
        let titles = 1;
        let used = rows.iter().map(|row| row.lines).fold(titles, u16::saturating_add);
        self.of.below(painter, world, area, used);
    }

    fn assert_invariants(&self, world: &World) {
        assert!(self.cursor < self.rows().len().max(1) && self.top <= self.cursor);
        let under = self.slot().and_then(|slot| world.fleet.key(slot));
        assert!(self.rows().is_empty() || self.selected.as_ref() == under);
        assert!(self.rows().iter().all(|row| world.fleet.object(row.slot).is_some()));
    }
}

impl<L: List> Table<L> {
    /// Opens or closes what stands below the selected row; of what stands below another, left goes to that.
    fn fold(&mut self, command: Command, world: &World) -> bool {
        let Some(object) = self.selected(world) else { return false };
        match self.of.fold(command, object) {
            Fold::None => return false,
            Fold::Done => {}
            Fold::ToHead => self.selected = self.head().and_then(|head| world.fleet.key(head)).cloned(),
        }
        Screen::rebuild(self, world);
        true
    }

    fn press_other(&mut self, command: Command, turn: &mut Turn<'_>) -> bool {
        let object = self.selected(turn.world);
        match (command, object) {
            (Command::Open, Some(object)) => self.of.open(object, turn),
            (Command::Open, None) => {}
            (Command::Sort, _) => self.sort(turn),
            _ => return self.of.press(command, object, turn),
        }
        true
    }

    fn sort(&mut self, turn: &mut Turn<'_>) {
        self.order = if L::HAS_ORDERS { self.order.next() } else { Order::Name };
        // A new order is for seeing what it brings to the top.
        (self.selected, self.cursor, self.top) = (None, 0, 0);
        Screen::rebuild(self, turn.world);
        turn.say(format!("sorted {}", self.order.word()));
    }
}

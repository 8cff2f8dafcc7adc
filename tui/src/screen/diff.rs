//! What will it do? Both sides of each object, what differs within a line marked; beside each other where there is room.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::effect::{Answer, Ask};
use crate::keymap::Binding;
use crate::keymap::Command::{self, Context, Next, Previous, Sides};
use crate::keymap::table::*;
use crate::model::World;
use crate::model::diff::{DiffDocument, DiffRow, DiffScreen, ObjectLines, SideLine};
use crate::model::fetched::Wait;
use crate::model::geometry::{self, SIDES_COLUMNS};
use crate::model::link::Problem;
use crate::model::subject::Subject;
use crate::paint::empty;
use crate::paint::painter::Painter;
use crate::screen::moves::{around, movement, not_here, seen, sideways, text_top};
use crate::screen::status::{Status, place, search};
use crate::screen::turn::Turn;
use crate::screen::{Find, Screen, expected};
use crate::status_style::{Tone, of_action};
use crate::text;

/// Its keys.
pub const KEYS: &[Binding] = &[
    DIFF,
    SYNC,
    HISTORY,
    SUSPEND,
    UNPIN,
    SEARCH,
    hint("n", Next, "next", "next object, or next match"),
    PREVIOUS,
    hint("c", Context, "context", "show unchanged lines too, or fold them"),
    hint("v", Sides, "sides", "both sides beside each other, where the terminal is wide"),
];

impl Screen for DiffScreen {
    fn keys(&self) -> &'static [Binding] {
        KEYS
    }

    fn scope(&self) -> Option<Subject> {
        Some(self.of.clone().into())
    }

    fn title(&self, _world: &World) -> String {
        match &self.revision {
            Some(revision) => format!("diff to {}", revision.get(..7).unwrap_or(revision)),
            None => "diff".to_owned(),
        }
    }

    fn status(&self, _world: &World) -> Status {
        let plan = self.document.value.as_ref().map(|document| document.plan.summary()).unwrap_or_default();
        let left = if self.search.is_empty() { plan } else { search(&self.search) };
        Status { left, right: place(self.top, self.rows.len()), calls: false }
    }

    fn press(&mut self, command: Command, turn: &mut Turn<'_>) -> bool {
        let lines = geometry::regions(turn.world.size).body.height;
        if let Some(to) = movement(command, lines) {
            self.top = text_top(self.top, self.rows.len(), lines, to);
            return true;
        }
        match command {
            Command::Left | Command::Right => self.left = sideways(command, self.left),
            Next | Previous if self.search.is_empty() => to_object(self, command == Next, turn),
            Next | Previous => {
                if !to_match(self, command == Next, turn.world) {
                    turn.say(not_here(&self.search));
                }
            }
            Context => {
                self.whole = !self.whole;
                Screen::rebuild(self, turn.world);
            }
            Sides => {
                self.sides = !self.sides;
                if turn.world.size.0 < SIDES_COLUMNS {
                    turn.say(format!("both sides need a terminal of {SIDES_COLUMNS} columns"));
                }
                Screen::rebuild(self, turn.world);
            }
            _ => return false,
        }
        true
    }

    fn rebuild(&mut self, world: &World) {
        DiffScreen::rebuild(self, world.size.0 >= SIDES_COLUMNS);
    }

    fn find(&self) -> Option<Find<'_>> {
        Some(Find::Search(&self.search))
    }

    fn set_find(&mut self, words: &str, world: &World) {
        words.clone_into(&mut self.search);
        self.found = None;
        if !self.search.is_empty() {
            to_match(self, true, world);
        }
    }

    fn ask(&self) -> Option<Ask> {
        Some(Ask::Diff(self.of.clone(), self.revision.clone()))
    }

    fn wait(&mut self) -> Option<&mut Wait> {
        Some(&mut self.document.wait)
    }

    fn answer(&mut self, number: u64, answer: Result<Answer, Problem>, world: &World) -> bool {
        let diff = |answer| if let Answer::Diff(document) = answer { Some(*document) } else { None };
        let taken = self.document.take(number, answer.map(diff).and_then(expected), world.now);
        Screen::rebuild(self, world);
        taken
    }

    fn draw(&self, painter: &mut Painter, _world: &World, area: Rect) {
        if empty::waiting(painter, area, &self.document, "Comparing git with the cluster …") {
            return;
        }
        let Some(document) = &self.document.value else { return };
        if document.objects.is_empty() {
            let sentence = format!("✔ No difference: the cluster is as {} says.", document.plan.revision.short());
            return empty::draw(painter, area, &sentence, &[&document.plan.summary()]);
        }
        let sides = self.sides && area.width >= SIDES_COLUMNS;
        for (place, y) in (self.top..self.rows.len()).zip(area.y..area.bottom()) {
            let row_area = Rect { y, height: 1, ..area };
            if self.found == Some(place) {
                painter.text(Rect { width: 1, ..row_area }, "▌", painter.theme.accent());
            }
            let inside = Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..row_area };
            row(painter, document, self, &self.rows[place], sides, inside);
        }
    }

    fn assert_invariants(&self, _world: &World) {
        assert!(self.top < self.rows.len().max(1));
    }
}

/// To the next object, or the one before.
fn to_object(diff: &mut DiffScreen, forward: bool, turn: &mut Turn<'_>) {
    let last = diff.rows.len().saturating_sub(1);
    match diff.neighbour(forward) {
        Some(row) => diff.top = row.min(last),
        None => turn.say(if forward { "this is the last object" } else { "this is the first object" }),
    }
}

/// To the next match, around the end; from the top of what is seen where there is none yet. Whether there is one.
fn to_match(diff: &mut DiffScreen, forward: bool, world: &World) -> bool {
    let word = diff.search.to_lowercase();
    let from = diff.found.map_or(diff.top, |row| if forward { row + 1 } else { row });
    let hit = around(diff.rows.len(), from, forward, |row| diff.mentions(&diff.rows[row], &word));
    if let Some(row) = hit {
        diff.found = Some(row);
        diff.top = seen(diff.top, row, geometry::regions(world.size).body.height);
    }
    hit.is_some()
}

fn row(painter: &mut Painter, document: &DiffDocument, screen: &DiffScreen, row: &DiffRow, sides: bool, area: Rect) {
    let quiet = painter.theme.tone(Tone::Quiet);
    match *row {
        DiffRow::Blank => {}
        DiffRow::Title(object) => {
            if let Some(object) = document.objects.get(object) {
                title(painter, object, area);
            }
        }
        DiffRow::Field(object, field) => {
            let text = document.objects.get(object).and_then(|object| object.fields.get(field));
            painter.text(
                Rect { x: area.x + 2, width: area.width.saturating_sub(2), ..area },
                text.map_or("", |t| t),
                quiet,
            );
        }
        DiffRow::Fold(lines) => {
            painter.text(area, &format!("  ┄┄ {lines} lines alike"), quiet);
        }
        DiffRow::Lines { object, live, desired, alike } => {
            let Some(object) = document.objects.get(object) else { return };
            let live = live.and_then(|line| Some((line, object.live.get(line as usize)?)));
            let desired = desired.and_then(|line| Some((line, object.desired.get(line as usize)?)));
            if sides {
                let half = area.width / 2;
                let (removed, added) = (painter.theme.removed(), painter.theme.added());
                side(
                    painter,
                    live,
                    (if alike { " " } else { "-" }, removed),
                    alike,
                    screen.left,
                    Rect { width: half, ..area },
                );
                let right = Rect { x: area.x + half, width: area.width - half, ..area };
                side(painter, desired, (if alike { " " } else { "+" }, added), alike, screen.left, right);
            } else {
                let (line, sign) = match (alike, live, desired) {
                    (true, _, line) => (line, (" ", Style::new())),
                    (false, Some(line), _) => (Some(line), ("-", painter.theme.removed())),
                    (false, None, line) => (line, ("+", painter.theme.added())),
                };
                side(painter, line, sign, alike, screen.left, area);
            }
        }
    }
}

/// `~ Deployment/shop in prod   configure`.
fn title(painter: &mut Painter, object: &ObjectLines, area: Rect) {
    let meaning = of_action(object.action);
    let (tone, quiet) = (painter.theme.tone(meaning.tone), painter.theme.tone(Tone::Quiet));
    let reason = object.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let action = format!("   {}{reason}", object.action);
    let sign = format!("{} ", meaning.sign);
    let name = painter.theme.tone(Tone::Strong);
    painter.texts(area, [(&*sign, tone), (&*object.title, name), (&*action, quiet)]);
}

/// A line of one side: its number, its sign, its text with the marks of what differs within it.
fn side(
    painter: &mut Painter,
    line: Option<(u32, &SideLine)>,
    (sign, style): (&str, Style),
    alike: bool,
    left: u16,
    area: Rect,
) {
    const NUMBER: u16 = 5;
    let Some((number, line)) = line else { return };
    let quiet = painter.theme.tone(Tone::Quiet);
    painter.right(Rect { width: NUMBER.min(area.width), ..area }, &(number + 1).to_string(), quiet);
    let style = if alike { Style::new() } else { style };
    let after = Rect { x: area.x + NUMBER + 1, width: area.width.saturating_sub(NUMBER + 2), ..area };
    painter.text(after, sign, style);
    let text_area = Rect { x: after.x + 2, width: after.width.saturating_sub(2), ..after };
    let hidden = hidden_bytes(&line.text, left);
    painter.text(text_area, &line.text[hidden..], style);
    let differs = painter.theme.differs();
    for (start, end) in &line.marks {
        let (start, end) = ((*start as usize).max(hidden), (*end as usize).max(hidden));
        let (Some(before), Some(marked)) = (line.text.get(hidden..start), line.text.get(start..end)) else { continue };
        let (x, width) = (columns(before), columns(marked));
        if x < text_area.width {
            let marked = Rect { x: text_area.x + x, width: width.min(text_area.width - x), ..text_area };
            painter.restyle(marked, differs);
        }
    }
}

fn columns(text: &str) -> u16 {
    u16::try_from(text::columns(text)).unwrap_or(u16::MAX)
}

/// Bytes of a text that are scrolled out to the left.
fn hidden_bytes(text: &str, left: u16) -> usize {
    text.char_indices().nth(usize::from(left)).map_or(text.len(), |(at, _)| at)
}

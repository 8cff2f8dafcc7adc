//! Which lines of a log are seen. The reader is at a line by its number, so that nothing that comes in moves it.

use serde::{Deserialize, Serialize};

use crate::model::geometry;
use crate::model::log::LogScreen;
use crate::model::log::steps::Step;

/// Where the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Position {
    /// At the end, wherever it goes.
    Follow,
    /// At a line.
    At {
        /// The number of the line at the top.
        line: u64,
        /// Lines of the screen, of this line, that are above the top.
        skip: u16,
        /// The number that the next line would have had when the reader left the end: later ones are new.
        end: u64,
    },
}

/// A line of the screen: which line of the log, and which part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The number of the line.
    pub line: u64,
    /// Which of the parts it is broken into.
    pub part: u16,
}

/// The room that a log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Columns of text.
    pub columns: u16,
    /// Lines.
    pub lines: u16,
}

/// Columns of the time of a line, `12:04:31` and a blank.
pub const TIME_COLUMNS: u16 = 9;

impl LogScreen {
    /// The room that its text has on a terminal of this size: beside a mark, the time and the name of who writes.
    pub fn room(&self, size: (u16, u16)) -> Room {
        let body = geometry::regions(size).body;
        let label = self.label_columns();
        let beside = 1 + if self.times { TIME_COLUMNS } else { 0 } + if label > 0 { label + 1 } else { 0 };
        Room { columns: body.width.saturating_sub(beside).max(1), lines: body.height }
    }

    /// The lines that are seen, from the top downwards. Costs what is seen and what steps hide between it, not what is kept.
    pub fn shown(&self, room: Room) -> Vec<Shown> {
        match self.position {
            Position::Follow => self.last_page(room),
            Position::At { line, skip, .. } => {
                let top = match self.hidden_by(line) {
                    Some(step) => Shown { line: step.line, part: 0 },
                    None if line < self.ring.first() => self.first_shown(),
                    None => Shown { line, part: skip },
                };
                let mut page = Vec::with_capacity(usize::from(room.lines));
                let mut next = Some(top);
                while page.len() < usize::from(room.lines)
                    && let Some(shown) = next
                    && shown.line < self.ring.end()
                {
                    page.push(shown);
                    next = self.after(shown, room);
                }
                page
            }
        }
    }

    /// How many lines came since the reader left the end and are below what is seen.
    pub fn unseen(&self, room: Room) -> u64 {
        let Position::At { end, .. } = self.position else { return 0 };
        let seen = self.shown(room).last().map_or(self.ring.first(), |shown| shown.line + 1);
        self.ring.end().saturating_sub(end.max(seen))
    }

    /// Moves by lines of the screen. Who reaches the end follows it.
    pub fn scroll(&mut self, by: isize, room: Room) {
        let Some(mut top) = self.shown(room).first().copied() else { return };
        for _ in 0..by.unsigned_abs() {
            let next = if by < 0 { self.before(top, room) } else { self.after(top, room) };
            match next {
                Some(next) => top = next,
                None => break,
            }
        }
        let last_top = self.last_page(room).first().copied().unwrap_or(top);
        if (top.line, top.part) >= (last_top.line, last_top.part) && by > 0 {
            self.position = Position::Follow;
        } else {
            self.stand_at(top);
        }
    }

    /// To the oldest line that is kept.
    pub fn to_top(&mut self) {
        self.stand_at(self.first_shown());
    }

    /// To the end, and on with it.
    pub fn follow(&mut self) {
        self.position = Position::Follow;
        self.found = None;
    }

    /// Brings a line into view, a third from the top; out of a step that hides it.
    pub fn show_line(&mut self, number: u64, room: Room) {
        if self.hidden_by(number).is_some() {
            self.fold(number);
        }
        if self.shown(room).iter().any(|shown| shown.line == number) {
            // What follows must stand still where somebody looks at it.
            if let (Position::Follow, Some(top)) = (self.position, self.shown(room).first().copied()) {
                self.stand_at(top);
            }
            return;
        }
        let mut top = Shown { line: number, part: 0 };
        for _ in 0..room.lines / 3 {
            match self.before(top, room) {
                Some(before) => top = before,
                None => break,
            }
        }
        self.stand_at(top);
    }

    fn stand_at(&mut self, top: Shown) {
        let end = match self.position {
            Position::At { end, .. } => end,
            Position::Follow => self.ring.end(),
        };
        self.position = Position::At { line: top.line, skip: top.part, end };
    }

    fn first_shown(&self) -> Shown {
        Shown { line: self.ring.first(), part: 0 }
    }

    fn last_page(&self, room: Room) -> Vec<Shown> {
        let mut page = Vec::with_capacity(usize::from(room.lines));
        let mut next = self.seen_before(self.ring.end());
        while let Some(line) = next
            && page.len() < usize::from(room.lines)
        {
            let parts = self.height(line, room);
            page.extend((0..parts).rev().map(|part| Shown { line, part }));
            next = self.seen_before(line);
        }
        page.truncate(usize::from(room.lines));
        page.reverse();
        page
    }

    fn after(&self, shown: Shown, room: Room) -> Option<Shown> {
        if shown.part + 1 < self.height(shown.line, room) {
            return Some(Shown { part: shown.part + 1, ..shown });
        }
        (shown.line + 1..self.ring.end())
            .find(|line| self.hidden_by(*line).is_none())
            .map(|line| Shown { line, part: 0 })
    }

    fn before(&self, shown: Shown, room: Room) -> Option<Shown> {
        if shown.part > 0 {
            return Some(Shown { part: shown.part - 1, ..shown });
        }
        let line = self.seen_before(shown.line)?;
        Some(Shown { line, part: self.height(line, room) - 1 })
    }

    fn height(&self, line: u64, room: Room) -> u16 {
        // How long a step took stands at the end of its first line.
        if !self.wrap || self.heads(line).is_some() {
            return 1;
        }
        self.ring.get(line).map_or(1, |line| line.height(room.columns))
    }

    /// The nearest line before this one that no step hides.
    fn seen_before(&self, line: u64) -> Option<u64> {
        (self.ring.first()..line).rev().find(|line| self.hidden_by(*line).is_none())
    }

    /// The step that a line is of.
    pub fn step_of(&self, line: u64) -> Option<&Step> {
        if self.steps.is_empty() {
            return None;
        }
        self.steps.get(self.ring.get(line)?.step)
    }

    /// The step that begins with a line.
    pub fn heads(&self, line: u64) -> Option<&Step> {
        self.step_of(line).filter(|step| step.line == line)
    }

    /// The step that hides a line: it is closed, and the line that it begins with is still there.
    fn hidden_by(&self, line: u64) -> Option<&Step> {
        self.step_of(line).filter(|step| step.is_closed && step.line != line && step.line >= self.ring.first())
    }

    /// Opens the step of a line, or closes it; the line that stays.
    pub fn fold(&mut self, line: u64) -> Option<u64> {
        let number = self.ring.get(line)?.step;
        let step = self.steps.get_mut(number)?;
        step.is_closed = !step.is_closed;
        Some(step.line)
    }

    /// Closes all steps; opens them where all are closed.
    pub fn fold_all(&mut self) {
        let close = self.steps.iter().any(|step| !step.is_closed);
        self.steps.close_all(close);
    }

    /// The line that the first step from a line on begins with, or the last step before it.
    pub fn next_step(&self, from: u64, forward: bool) -> Option<u64> {
        let mut lines = self.steps.iter().map(|step| step.line).filter(|line| *line >= self.ring.first());
        if forward { lines.find(|line| *line >= from) } else { lines.rfind(|line| *line < from) }
    }
}

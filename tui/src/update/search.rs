//! Filters of tables and searches of texts: typed in the footer, applied while they are typed.
//!
//! Tables are filtered, for neighbours do not matter there; texts are searched, for there they do.

use tui_input::Input;

use crate::effect::Effect;
use crate::keymap::{Code, Command, Key};
use crate::model::log::ring::LineKind;
use crate::model::overlay::{Find, Overlay};
use crate::model::screen::Place;
use crate::model::table::contains;
use crate::model::toast::Said;
use crate::model::{Model, geometry};
use crate::update::{keys, settle};

/// Begins to type.
pub(super) fn begin(model: &mut Model) {
    if let Some(before) = model.screen().place.find().map(str::to_owned) {
        model.overlay = Some(Overlay::Find(Find { input: Input::new(before.clone()), before }));
    }
}

/// A key while it is typed.
pub(super) fn press(model: &mut Model, key: Key, effects: &mut Vec<Effect>) {
    let Some(Overlay::Find(find)) = &mut model.overlay else { return };
    match key.code {
        Code::Esc => {
            let before = std::mem::take(&mut find.before);
            model.overlay = None;
            set(model, &before);
        }
        Code::Enter => model.overlay = None,
        // Rows can be chosen while the filter is typed.
        Code::Up => super::moves::run(model, Command::Up, effects),
        Code::Down => super::moves::run(model, Command::Down, effects),
        Code::Backspace if find.input.value().is_empty() => model.overlay = None,
        _ => {
            if keys::edit(&mut find.input, key) {
                apply(model);
            }
        }
    }
}

/// Applies what is typed.
pub(super) fn apply(model: &mut Model) {
    if let Some(Overlay::Find(find)) = &model.overlay {
        let text = find.input.value().to_owned();
        set(model, &text);
    }
}

/// Sets filter or search of the seen screen.
pub(super) fn set(model: &mut Model, text: &str) {
    let size = model.size;
    let text = text.to_owned();
    match &mut model.screen_mut().place {
        Place::Table(table) => table.filter = text,
        Place::Application(screen) => screen.tree.filter = text,
        Place::Events(screen) => screen.records.filter = text,
        Place::History(screen) => screen.records.filter = text,
        Place::Logs(log) => {
            log.search = text;
            log.found = None;
            if !log.search.is_empty() {
                let room = log.room(size);
                let from = log.shown(room).last().map_or(0, |shown| shown.line + 1);
                find_line(log, size, from, false);
            }
        }
        Place::Diff(screen) => {
            screen.search = text;
            screen.found = None;
        }
        Place::Text(screen) => {
            screen.search = text;
            screen.found = None;
        }
        Place::ConsoleLog => {}
    }
    match model.screen().place {
        Place::Diff(_) | Place::Text(_) if !model.screen().place.find().unwrap_or_default().is_empty() => {
            jump_in_text(model, true, true);
        }
        Place::Diff(_) | Place::Text(_) | Place::Logs(_) | Place::ConsoleLog => {}
        _ => settle::rebuild(model),
    }
}

/// To the next match, object or error, or the one before.
pub(super) fn jump(model: &mut Model, command: Command) {
    let size = model.size;
    let forward = command != Command::Previous;
    match &mut model.screen_mut().place {
        Place::Logs(log) if command == Command::NextError => {
            let room = log.room(size);
            let from = log.found.map_or_else(|| log.shown(room).first().map_or(0, |s| s.line), |line| line + 1);
            match log.ring.find(from, true, |line| line.kind == LineKind::Error) {
                Some(line) => {
                    log.show_line(line, room);
                    log.found = Some(line);
                }
                None => model.toast(Said::Note, "no line here looks like an error"),
            }
        }
        Place::Logs(log) => {
            if log.search.is_empty() {
                return model.toast(Said::Note, "search first: /");
            }
            let room = log.room(size);
            let here = log.found.or_else(|| log.shown(room).last().map(|shown| shown.line));
            let from = here.map_or(0, |line| if forward { line + 1 } else { line });
            if !find_line(log, size, from, forward) {
                let told = format!("{:?} is not here", log.search);
                model.toast(Said::Note, told);
            }
        }
        Place::Diff(screen) if screen.search.is_empty() => {
            let last = screen.rows.len().saturating_sub(1);
            if let Some(row) = screen.neighbour(forward) {
                screen.top = row.min(last);
            } else {
                model.toast(Said::Note, if forward { "this is the last object" } else { "this is the first object" });
            }
        }
        Place::Diff(_) | Place::Text(_) => jump_in_text(model, forward, false),
        Place::Table(_) | Place::Application(_) | Place::Events(_) | Place::History(_) | Place::ConsoleLog => {}
    }
}

fn find_line(log: &mut crate::model::log::LogScreen, size: (u16, u16), from: u64, forward: bool) -> bool {
    let word = log.search.to_lowercase();
    let Some(line) = log.ring.find(from, forward, |line| contains(&line.text, &word)) else { return false };
    log.show_line(line, log.room(size));
    log.found = Some(line);
    true
}

/// To the next match of a text or a diff, around its end; while it is typed, from the top of what is seen.
fn jump_in_text(model: &mut Model, forward: bool, typing: bool) {
    let lines = usize::from(geometry::regions(model.size).body.height);
    let hit = match &mut model.screen_mut().place {
        Place::Diff(screen) => {
            let word = screen.search.to_lowercase();
            let from = screen.found.map_or(screen.top, |row| if forward { row + 1 } else { row });
            let hit = around(screen.rows.len(), from, forward, |row| screen.mentions(&screen.rows[row], &word));
            if let Some(row) = hit {
                screen.found = Some(row);
                screen.top = seen(screen.top, row, lines);
            }
            hit.is_some()
        }
        Place::Text(screen) => {
            let word = screen.search.to_lowercase();
            let from = screen.found.map_or(screen.top, |row| if forward { row + 1 } else { row });
            let hit = around(screen.lines().len(), from, forward, |row| contains(&screen.lines()[row], &word));
            if let Some(row) = hit {
                screen.found = Some(row);
                screen.top = seen(screen.top, row, lines);
            }
            hit.is_some()
        }
        _ => return,
    };
    if !hit && !typing {
        let search = model.screen().place.find().unwrap_or_default().to_owned();
        let told = if search.is_empty() { "search first: /".to_owned() } else { format!("{search:?} is not here") };
        model.toast(Said::Note, told);
    }
}

/// The first row from `from` on for which something holds, around the end.
fn around(rows: usize, from: usize, forward: bool, holds: impl Fn(usize) -> bool) -> Option<usize> {
    let from = from.min(rows);
    if forward {
        (from..rows).chain(0..from).find(|row| holds(*row))
    } else {
        (0..from).rev().chain((from..rows).rev()).find(|row| holds(*row))
    }
}

/// The top with which a row is seen; the same as before where it is seen already.
fn seen(top: usize, row: usize, lines: usize) -> usize {
    if (top..top + lines).contains(&row) { top } else { row.saturating_sub(lines / 3) }
}

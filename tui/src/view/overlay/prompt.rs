//! A question that needs words.

use quarterdeck_shared::application::ApplicationName;
use ratatui::layout::{Position, Rect};

use crate::console::Model;
use crate::model::act::Act;
use crate::model::overlay::Prompt;
use crate::paint::input;
use crate::paint::painter::Painter;
use crate::status_style::Tone;
use crate::text;
use crate::view::overlay::frame;

/// Draws it; where the cursor is comes back.
pub(crate) fn draw(painter: &mut Painter, model: &Model, prompt: &Prompt, area: Rect) -> Option<Position> {
    let source = |name: &ApplicationName| {
        let code = model.world.fleet.application(name).and_then(|application| application.code.clone());
        code.unwrap_or_else(|| "its code repository".to_owned())
    };
    let aim = prompt.aim.as_ref().map_or("", |aim| &aim.words);
    let (title, help) = match &prompt.act {
        Act::Suspend(id, _) => {
            let title = format!("Suspend {}: why?", model.world.fleet.label(id));
            (title, "Syncing stops until it is resumed.".to_owned())
        }
        Act::Build(name, _) => (format!("Build {name}: which tag, branch or commit?"), of_default(&source(name))),
        Act::Push(name, _) => {
            (format!("Build and push {name}: which tag, branch or commit?"), of_default(&source(name)))
        }
        Act::Rollback(id, _) => {
            let title = format!("Hold {} at {aim}: why?", model.world.fleet.label(id));
            (title, "It stays there until it is unpinned.".to_owned())
        }
        act @ (Act::Sync(..)
        | Act::Unpin(_)
        | Act::Test(_)
        | Act::Resume(_)
        | Act::Refresh(_)
        | Act::Cancel(_)
        | Act::Retry(_)
        | Act::Allow(_)) => (format!("{}?", act.describe()), String::new()),
    };
    let quiet = painter.theme.tone(Tone::Quiet);
    let help = text::broken(&help, area.width.saturating_sub(2));
    let lines = u16::try_from(help.len()).unwrap_or(u16::MAX).min(area.height);
    let inside = frame::sheet(painter, area, &title, lines + 3);
    let line = |nth: u16| Rect { y: inside.y + nth, height: 1, ..inside }.intersection(inside);
    for (nth, help) in (0..lines).zip(&help) {
        painter.text(line(nth), help, quiet);
    }
    let taken = painter.text(line(lines), "› ", painter.theme.accent());
    let rest = Rect { x: inside.x + taken, width: inside.width.saturating_sub(taken), ..line(lines) };
    let cursor = input::draw(painter, &prompt.input, rest);
    let accent = painter.theme.accent();
    painter.texts(line(lines + 2), [("enter", accent), (" confirm   ", quiet), ("esc", accent), (" cancel", quiet)]);
    cursor
}

fn of_default(source: &str) -> String {
    format!("From {source}; leave empty for the default branch.")
}

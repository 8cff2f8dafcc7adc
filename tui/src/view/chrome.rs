//! What stands around every screen: where one is, how things stand with the agent, what everyone must know, and what to
//! press next.

mod header;
mod status;

use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use crate::console::Model;
use crate::keymap::{Binding, Command, EVERYWHERE};
use crate::model::geometry::Regions;
use crate::model::overlay::{self, Overlay};
use crate::model::toast::Said;
use crate::paint::input;
use crate::paint::painter::Painter;
use crate::screen::Find;
use crate::status_style::Tone;
use crate::text;

/// Draws header, rules and footer.
pub(super) fn draw(painter: &mut Painter, model: &Model, regions: &Regions) {
    header::draw(painter, model, regions.header);
    painter.rule(regions.upper_rule);
    header::notices(painter, model, regions.upper_rule);
    painter.rule(regions.lower_rule);
    if model.world.link.loaded {
        status::draw(painter, model, regions.lower_rule);
    }
    if !matches!(model.overlay, Some(Overlay::Find(_))) {
        hints(painter, model, regions.footer);
    }
}

/// Keys of the screen, as many as there is room for; the way to all of them is always there. What lies over the screen
/// has its keys with it.
fn hints(painter: &mut Painter, model: &Model, area: Rect) {
    let bindings = || model.place().keys().iter().chain(EVERYWHERE);
    let hint = |command: Command| bindings().find(|binding| binding.command == command);
    let (first, last): (Vec<_>, Vec<_>) = match (&model.overlay, model.world.link.loaded) {
        (Some(Overlay::Help { .. }), _) => (vec![hint(Command::Down), hint(Command::Up)], vec![hint(Command::Back)]),
        (Some(_), _) => (Vec::new(), Vec::new()),
        (None, false) => (vec![hint(Command::Refresh)], vec![hint(Command::Help), hint(Command::Quit)]),
        (None, true) => {
            let is_filtered = !model.place().find().map_or("", Find::text).is_empty();
            let leads_back = model.screens.len() > 1 || is_filtered;
            let all = bindings().filter(|b| b.hint && (b.command != Command::Back || leads_back));
            let is_last = |binding: &&Binding| matches!(binding.command, Command::Help | Command::Back | Command::Quit);
            let (last, first): (Vec<_>, Vec<_>) = all.partition(is_last);
            (first.into_iter().map(Some).collect(), last.into_iter().map(Some).collect())
        }
    };
    let (first, last) = (first.into_iter().flatten(), last.into_iter().flatten().collect::<Vec<_>>());
    let width = |binding: &Binding| text::columns(binding.shown()) + text::columns(binding.word) + 3;
    let mut left = usize::from(area.width).saturating_sub(1 + last.iter().map(|binding| width(binding)).sum::<usize>());
    let fits = |binding: &&Binding| {
        let fits = width(binding) <= left;
        left = left.saturating_sub(width(binding));
        fits
    };
    let taken: Vec<_> = first.take_while(fits).collect();
    let (key, word) = (painter.theme.accent(), painter.theme.tone(Tone::Quiet));
    let texts = taken.into_iter().chain(last).flat_map(|binding| {
        [(" ", Style::new()), (binding.shown(), key), (" ", word), (binding.word, word), (" ", Style::new())]
    });
    painter.texts(area, texts);
}

/// Draws the filter or search that is typed; where its cursor is comes back.
pub(super) fn find(painter: &mut Painter, model: &Model, find: &overlay::Find, area: Rect) -> Option<Position> {
    let what = match model.place().find() {
        Some(Find::Search(_)) => " search ",
        Some(Find::Filter(_)) | None => " filter ",
    };
    let taken = painter.text(area, what, painter.theme.tone(Tone::Quiet));
    let rest = Rect { x: area.x + taken, width: area.width - taken, ..area };
    let taken = painter.text(rest, "/", painter.theme.accent());
    let rest = Rect { x: rest.x + taken, width: rest.width - taken, ..rest };
    input::draw(painter, &find.input, rest)
}

fn tone(said: Said) -> Tone {
    match said {
        Said::Done => Tone::Good,
        Said::Note => Tone::Plain,
        Said::Problem => Tone::Bad,
    }
}

/// Draws what is told for a few seconds, over the last lines of the screen.
pub(super) fn toasts(painter: &mut Painter, model: &Model, regions: &Regions) {
    let area = regions.body;
    let width = area.width.saturating_sub(4);
    let mut lines: Vec<(Tone, bool, String)> = Vec::new();
    for toast in &model.toasts {
        painter.changes_at(toast.until);
        let first = text::broken(&toast.text, width);
        lines.extend(first.into_iter().enumerate().map(|(nth, line)| (tone(toast.said), nth == 0, line)));
        for hint in &toast.hints {
            lines.extend(text::broken(hint, width).into_iter().map(|line| (Tone::Quiet, false, line)));
        }
    }
    // Half the screen at most: what is told must not hide what it is about.
    let surplus = lines.len().saturating_sub(usize::from(area.height / 2).max(1));
    let shown = &lines[surplus..];
    let top = area.bottom().saturating_sub(u16::try_from(shown.len()).unwrap_or(area.height));
    for ((tone, is_first, line), y) in shown.iter().zip(top..area.bottom()) {
        let row = Rect { y, height: 1, ..area };
        painter.clear(row);
        let style = painter.theme.tone(*tone);
        let sign = match (tone, is_first) {
            (Tone::Good, true) => " ✔ ",
            (Tone::Bad, true) => " ✖ ",
            (_, true) => " · ",
            (_, false) => "   ",
        };
        painter.texts(row, [(sign, style), (line, style)]);
    }
}

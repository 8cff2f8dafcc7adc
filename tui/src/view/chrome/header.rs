//! The first line: where one is on the left, how things stand on the right. And the line below it, which carries what
//! everyone must know.

use std::collections::BTreeSet;

use quarterdeck_shared::protocol::Role;
use quarterdeck_shared::snapshot::ConfigurationStatus;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::console::Model;
use crate::model::link::LinkState;
use crate::paint::painter::Painter;
use crate::screen;
use crate::status_style::Tone;
use crate::text;

type Texts = Vec<(String, Style)>;

/// Draws the first line.
pub(super) fn draw(painter: &mut Painter, model: &Model, area: Rect) {
    let link = link(painter, model);
    let taken = columns(&link);
    let end = Rect { x: area.x + area.width.saturating_sub(taken + 1), width: taken.min(area.width), ..area };
    painter.texts(end, borrowed(&link));
    let left = Rect { x: area.x + 1, width: area.width.saturating_sub(taken + 3), ..area };
    let crumbs = toned(painter, model.place().crumbs(&model.world));
    let used = painter.texts(left, borrowed(&crumbs));
    let rest = Rect { x: left.x + used + 2, width: left.width.saturating_sub(used + 2), ..left };
    for state in [state(painter, model, false), state(painter, model, true)] {
        let columns = columns(&state);
        if columns <= rest.width {
            let x = rest.x + rest.width - columns;
            painter.texts(Rect { x, width: columns, ..rest }, borrowed(&state));
            break;
        }
    }
}

/// Draws what everyone must know into the line below: a configuration that is not in force, a history that cannot be written,
/// what cannot be reached, what is a stand-in.
pub(super) fn notices(painter: &mut Painter, model: &Model, area: Rect) {
    let mut notices = Texts::new();
    let (bad, quiet) = (painter.theme.tone(Tone::Bad), painter.theme.tone(Tone::Plain));
    if let Some(error) = model.world.fleet.agent().and_then(|agent| agent.configuration_error.as_ref()) {
        notices.push((format!(" ✖ configuration: {error} "), bad));
    }
    let in_git = model.world.fleet.agent().and_then(|agent| agent.configuration_in_git.as_deref());
    if let Some(trouble) = in_git.and_then(ConfigurationStatus::trouble) {
        notices.push((format!(" ✖ {trouble} "), bad));
    }
    if let Some(error) = model.world.fleet.agent().and_then(|agent| agent.history_error.as_ref()) {
        notices.push((format!(" ✖ {error} "), bad));
    }
    for refused in model.world.fleet.sources().filter(|source| source.error.is_some()) {
        notices.push((format!(" ✖ applications of {} refused ", refused.name), bad));
    }
    for lost in model.world.fleet.connections().filter(|connection| !connection.reachable) {
        let age = painter.age(lost.since);
        notices.push((format!(" ✖ {} {} unreachable {age} ", lost.to.word(), lost.name), bad));
    }
    for lost in model.world.fleet.repositories().filter(|repository| repository.failures > 1) {
        notices.push((format!(" ✖ {} not polled ", lost.address), bad));
    }
    let unwatched: BTreeSet<&str> = model.world.fleet.unwatched().map(|unseen| &*unseen.what).collect();
    if let Some(first) = unwatched.first() {
        let more = unwatched.len() - 1;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        notices.push((format!(" ✖ {first}{more} not watched "), bad));
    }
    if let Some(banner) = model.world.fleet.agent().and_then(|agent| agent.banner.as_ref()) {
        notices.push((format!(" {banner} "), quiet));
    }
    let mut x = area.x + 1;
    for (text, style) in &notices {
        let left = (area.x + area.width).saturating_sub(x + 1);
        if left < 8 {
            break;
        }
        x += painter.text(Rect { x, width: left, ..area }, text, *style) + 1;
    }
}

/// Texts of the screen, in the colours of their tones.
fn toned(painter: &Painter, texts: screen::Texts) -> Texts {
    texts.into_iter().map(|(text, tone)| (text, painter.theme.tone(tone))).collect()
}

/// How the objects of the screen stand: in words, or in signs where there is no room for words.
fn state(painter: &Painter, model: &Model, short: bool) -> Texts {
    if !model.world.link.loaded {
        return Texts::new();
    }
    toned(painter, model.place().state(&model.world, short))
}

/// How things stand with the agent: `live`, or how old the picture is and what is done about it.
fn link(painter: &mut Painter, model: &Model) -> Texts {
    let mut texts = Texts::new();
    if model.world.role == Some(Role::Viewer) {
        texts.push(("viewer  ".to_owned(), painter.theme.tone(Tone::Quiet)));
    }
    let bad = painter.theme.tone(Tone::Bad);
    texts.push(match &model.world.link.state {
        LinkState::Live => ("live".to_owned(), painter.theme.tone(Tone::Good)),
        LinkState::Connecting => ("connecting".to_owned(), painter.theme.tone(Tone::Busy)),
        LinkState::Incompatible { .. } => ("another version".to_owned(), bad),
        LinkState::Lost { attempts, .. } if !model.world.link.loaded => {
            (format!("no agent, trying again ({attempts})"), bad)
        }
        LinkState::Lost { attempts, .. } => {
            let age = painter.span(Some(model.world.link.heard), None);
            (format!("stale {age}, reconnecting ({attempts})"), bad)
        }
    });
    texts
}

fn columns(texts: &Texts) -> u16 {
    u16::try_from(texts.iter().map(|(text, _)| text::columns(text)).sum::<usize>()).unwrap_or(u16::MAX)
}

fn borrowed(texts: &Texts) -> impl Iterator<Item = (&str, Style)> {
    texts.iter().map(|(text, style)| (text.as_str(), *style))
}

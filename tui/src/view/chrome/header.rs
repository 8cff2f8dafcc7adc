//! The first line: where one is on the left, how things stand on the right. And the line below it, which carries what
//! everyone must know.

use std::collections::BTreeSet;

use quarterdeck_shared::protocol::Role;
use quarterdeck_shared::status::{Health, Phase};
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::meaning::{SUSPENDED, Tone, of_health, of_phase, of_sync};
use crate::model::Model;
use crate::model::link::LinkState;
use crate::model::log::Source;
use crate::model::screen::Place;
use crate::model::table::{Listing, Table};
use crate::paint::painter::Painter;
use crate::text;

type Texts = Vec<(String, Style)>;

/// Draws the first line.
pub(super) fn draw(painter: &mut Painter, model: &Model, area: Rect) {
    let link = link(painter, model);
    let taken = columns(&link);
    let end = Rect { x: area.x + area.width.saturating_sub(taken + 1), width: taken.min(area.width), ..area };
    painter.texts(end, borrowed(&link));
    let left = Rect { x: area.x + 1, width: area.width.saturating_sub(taken + 3), ..area };
    let crumbs = crumbs(painter, model);
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
    if let Some(error) = model.fleet.agent().and_then(|agent| agent.configuration_error.as_ref()) {
        notices.push((format!(" ✖ configuration: {error} "), bad));
    }
    if let Some(error) = model.fleet.agent().and_then(|agent| agent.history_error.as_ref()) {
        notices.push((format!(" ✖ {error} "), bad));
    }
    for lost in model.fleet.connections().filter(|connection| !connection.reachable) {
        let age = painter.age(lost.since);
        notices.push((format!(" ✖ {} {} away {age} ", lost.to.word(), lost.name), bad));
    }
    for lost in model.fleet.repositories().filter(|repository| repository.failures > 1) {
        notices.push((format!(" ✖ {} not polled ", lost.address), bad));
    }
    let unwatched: BTreeSet<&str> = model.fleet.unwatched().map(|unseen| &*unseen.what).collect();
    if let Some(first) = unwatched.first() {
        let more = unwatched.len() - 1;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        notices.push((format!(" ✖ {first}{more} not watched "), bad));
    }
    if let Some(notice) = model.fleet.agent().and_then(|agent| agent.notice.as_ref()) {
        notices.push((format!(" {notice} "), quiet));
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

/// Where one is.
fn crumbs(painter: &Painter, model: &Model) -> Texts {
    let strong = painter.theme.tone(Tone::Strong);
    let quiet = painter.theme.tone(Tone::Quiet);
    let place = &model.screen().place;
    let title = match place {
        Place::Table(table) => match &table.listing {
            Listing::Applications => {
                let host = model.fleet.agent().filter(|_| model.size.0 >= 100).map(|agent| format!("  {}", agent.host));
                return vec![("Quarterdeck".to_owned(), strong), (host.unwrap_or_default(), quiet)];
            }
            Listing::Pods(_) => "pods".to_owned(),
            Listing::Runs(_) => "pipelines".to_owned(),
            Listing::System => "system".to_owned(),
        },
        Place::Application(screen) => {
            let spec = model.fleet.application(&screen.name).map(|application| &application.spec);
            let place = |spec: &quarterdeck_shared::snapshot::SpecSummary| {
                Some(format!("{}/{}", spec.cluster.as_deref()?, spec.namespace.as_deref()?))
            };
            spec.and_then(place).unwrap_or_default()
        }
        Place::Events(_) => "events".to_owned(),
        Place::History(_) => "history".to_owned(),
        Place::Logs(log) => log.source.title(),
        Place::Diff(screen) => match &screen.revision {
            Some(revision) => format!("diff to {}", revision.get(..7).unwrap_or(revision)),
            None => "diff".to_owned(),
        },
        Place::Text(screen) => match &screen.subject {
            crate::model::text::Subject::Live(resource) => resource.short(),
            crate::model::text::Subject::Manifests(_) => "manifests".to_owned(),
        },
        Place::ConsoleLog => "console log".to_owned(),
    };
    match place.application() {
        Some(name) if title.is_empty() => vec![(name.to_string(), strong)],
        Some(name) => vec![(name.to_string(), strong), (" › ".to_owned(), quiet), (title, Style::new())],
        None => vec![(title, strong)],
    }
}

/// How the objects of the screen stand: in words, or in signs where there is no room for words.
fn state(painter: &Painter, model: &Model, short: bool) -> Texts {
    if !model.link.loaded {
        return Texts::new();
    }
    let place = &model.screen().place;
    match (place, place.application().and_then(|name| model.fleet.application(name))) {
        (Place::Table(table), _) => counts(painter, table, short),
        (Place::Logs(log), _) if matches!(log.source, Source::Run { .. }) => run(painter, model, &log.source),
        (_, Some(application)) => {
            let sync = if application.suspended {
                (SUSPENDED, "Suspended")
            } else {
                (of_sync(application.sync), application.sync.word())
            };
            let health = (of_health(application.health), application.health.word());
            let word = |(meaning, word): (crate::meaning::Meaning, &str)| {
                let word = if short { meaning.sign.to_string() } else { format!("{} {word}", meaning.sign) };
                (format!("{word}  "), painter.theme.tone(meaning.tone))
            };
            vec![word(sync), word(health)]
        }
        _ => Texts::new(),
    }
}

/// How the run stands whose output is seen: `◐ push 43%`.
fn run(painter: &Painter, model: &Model, source: &Source) -> Texts {
    let Source::Run { run, .. } = source else { return Texts::new() };
    let Some(run) = model.fleet.run(*run) else { return Texts::new() };
    let stage = run.stages.iter().find(|stage| matches!(stage.phase, Phase::Running | Phase::Failed));
    let meaning = of_phase(stage.map_or(run.phase, |stage| stage.phase));
    let percent = stage.and_then(|stage| stage.percent).map(|percent| format!(" {percent}%")).unwrap_or_default();
    let word = stage.map_or(run.phase.word(), |stage| stage.kind.word());
    vec![(format!("{} {word}{percent}  ", meaning.sign), painter.theme.tone(meaning.tone))]
}

fn counts(painter: &Painter, table: &Table, short: bool) -> Texts {
    use Health::{Degraded, Healthy, Missing, Progressing, Suspended, Unknown};
    let word = |health: Health| match (&table.listing, health) {
        (Listing::Runs(_), Missing) => "queued",
        (Listing::Runs(_), Progressing) => "running",
        (Listing::Runs(_), Healthy) => "done",
        (Listing::Runs(_), Suspended) => "cancelled",
        (Listing::Runs(_), Degraded) => "failed",
        (Listing::System, Healthy) => "reachable",
        (Listing::System, Progressing) => "not polled yet",
        (Listing::System, Degraded) => "away",
        (_, Healthy) => "healthy",
        (_, Suspended) => "suspended",
        (_, Progressing) => "progressing",
        (_, Missing) => "missing",
        (_, Degraded) => "degraded",
        (_, Unknown) => "unknown",
    };
    let one = |health: Health| {
        let count = table.count(health);
        let meaning = of_health(health);
        let text = if short { format!("{}{count} ", meaning.sign) } else { format!("{count} {}  ", word(health)) };
        (count > 0).then(|| (text, painter.theme.tone(meaning.tone)))
    };
    [Healthy, Progressing, Suspended, Missing, Degraded, Unknown].into_iter().filter_map(one).collect()
}

/// How things stand with the agent: `live`, or how old the picture is and what is done about it.
fn link(painter: &mut Painter, model: &Model) -> Texts {
    let mut texts = Texts::new();
    if model.role == Some(Role::Viewer) {
        texts.push(("viewer  ".to_owned(), painter.theme.tone(Tone::Quiet)));
    }
    let bad = painter.theme.tone(Tone::Bad);
    texts.push(match &model.link.state {
        LinkState::Live => ("live".to_owned(), painter.theme.tone(Tone::Good)),
        LinkState::Connecting => ("connecting".to_owned(), painter.theme.tone(Tone::Busy)),
        LinkState::Incompatible { .. } => ("another version".to_owned(), bad),
        LinkState::Lost { attempts, .. } if !model.link.loaded => (format!("no agent, trying again ({attempts})"), bad),
        LinkState::Lost { attempts, .. } => {
            let age = painter.span(Some(model.link.heard), None);
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

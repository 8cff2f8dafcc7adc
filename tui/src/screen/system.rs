//! The agent, and what it talks to: clusters, engines, registries, repositories, sources of applications, and the images that
//! it follows.

use quarterdeck_shared::snapshot::{
    AgentStatus, ApplicationSourceStatus, ConnectionStatus, FollowedImage, Object, RepositoryStatus,
};
use quarterdeck_shared::status::Health;
use ratatui::layout::Rect;
use ratatui::style::Style;
use serde::{Deserialize, Serialize};

use crate::column::{Cell, Column, Kind};
use crate::keymap::table::FILTER;
use crate::keymap::{Binding, Root};
use crate::model::World;
use crate::model::table::{self, Lists};
use crate::paint::list::Line;
use crate::paint::painter::Painter;
use crate::screen::list::List;
use crate::status_style::{Tone, of_health};
use crate::text;

/// Its keys.
pub const KEYS: &[Binding] = &[FILTER];

/// The list of what the agent talks to.
#[derive(Debug, Serialize, Deserialize)]
pub struct System;

impl Lists for System {
    fn lists(&self, object: &Object) -> bool {
        matches!(
            object,
            Object::Connection(_) | Object::Repository(_) | Object::ApplicationSource(_) | Object::FollowedImage(_)
        )
    }
}

impl List for System {
    type Row<'a> = Row<'a>;

    const KEYS: &'static [Binding] = KEYS;
    const ROOT: Root = Root::System;
    const HAS_ORDERS: bool = false;

    fn columns<'a>() -> Vec<Column<Row<'a>>> {
        columns()
    }

    fn line<'a>(&self, _world: &'a World, object: &'a Object, row: table::Row) -> Option<Line<Row<'a>>> {
        let row = match object {
            Object::Connection(one) => Row::Connection(one, row.health.unwrap_or_default()),
            Object::Repository(one) => Row::Repository(one, row.health.unwrap_or_default()),
            Object::ApplicationSource(one) => Row::Source(one, row.health.unwrap_or_default()),
            Object::FollowedImage(one) => Row::Image(one, row.health.unwrap_or_default()),
            _ => return None,
        };
        let below = match row {
            Row::Source(one, _) if one.error.is_none() => Cell::text(one.line()),
            Row::Source(one, _) => Cell::text(one.line()).toned(Tone::Bad),
            Row::Image(one, Health::Suspended) => Cell::text(one.line()).toned(Tone::Warning),
            _ => Cell::text(text::with_hint(row.error(), row.hint())).toned(Tone::Bad),
        };
        Some(Line { below, row, is_old: false })
    }

    fn title(&self) -> String {
        "system".to_owned()
    }

    fn word(health: Health) -> &'static str {
        match health {
            Health::Healthy => "reachable",
            Health::Progressing => "not polled yet",
            Health::Degraded => "unreachable",
            Health::Suspended => "held",
            Health::Missing => "missing",
            Health::Unknown => "unknown",
        }
    }

    /// The agent itself, where there is room.
    fn below(&self, painter: &mut Painter, world: &World, area: Rect, used: u16) {
        if let Some(status) = world.fleet.agent()
            && used.saturating_add(3) <= area.height
        {
            agent(painter, status, Rect { y: area.y + used + 1, height: 2, ..area });
        }
    }
}

/// What the agent talks to, in a list.
#[derive(Debug, Clone, Copy)]
pub enum Row<'a> {
    /// A cluster, an engine or a registry.
    Connection(&'a ConnectionStatus, Health),
    /// A repository.
    Repository(&'a RepositoryStatus, Health),
    /// A source of applications.
    Source(&'a ApplicationSourceStatus, Health),
    /// An image that is followed.
    Image(&'a FollowedImage, Health),
}

/// The columns of what the agent talks to.
pub fn columns<'a>() -> Vec<Column<Row<'a>>> {
    vec![
        Column::text("WHAT", 10, what),
        Column::new("NAME", Kind::Names, (27, 60), name).naming(),
        Column::text("STATE", 13, state).from(44),
        Column::time("SINCE", 5, since).from(60),
        Column::new("IS", Kind::Prose, (19, 60), is).from(66),
    ]
}

impl Row<'_> {
    /// What went wrong.
    pub fn error(&self) -> &str {
        match self {
            Row::Connection(ConnectionStatus { error, .. }, _) | Row::Repository(RepositoryStatus { error, .. }, _) => {
                error.as_deref().unwrap_or_default()
            }
            Row::Source(one, _) => one.error.as_deref().unwrap_or_default(),
            Row::Image(one, _) => one.problem().unwrap_or_default().0,
        }
    }

    /// What to do about it.
    fn hint(&self) -> &str {
        match self {
            Row::Connection(ConnectionStatus { hint, .. }, _) | Row::Repository(RepositoryStatus { hint, .. }, _) => {
                hint
            }
            Row::Source(..) => "",
            Row::Image(one, _) => one.problem().unwrap_or_default().1,
        }
    }
}

fn what(row: &Row) -> Cell {
    Cell::text(match row {
        Row::Connection(one, _) => one.to.word(),
        Row::Repository(..) => "repository",
        Row::Source(..) => "source",
        Row::Image(..) => "image",
    })
    .quiet()
}

fn name(row: &Row) -> Cell {
    Cell::text(match row {
        Row::Connection(one, _) => &one.name,
        Row::Repository(one, _) => &one.address,
        Row::Source(one, _) => one.name.as_str(),
        Row::Image(one, _) => &one.image,
    })
}

fn state(row: &Row) -> Cell {
    match row {
        Row::Connection(one, health) => {
            Cell::mark(of_health(*health), if one.reachable { "reachable" } else { "unreachable" })
        }
        Row::Repository(one, health) => {
            let word = match (&one.error, one.polled) {
                (Some(_), _) => format!("failed {}×", one.failures),
                (None, None) => "not polled".to_owned(),
                (None, Some(_)) => "polled".to_owned(),
            };
            Cell::mark(of_health(*health), word)
        }
        Row::Source(one, health) => {
            let word = match (&one.error, &one.commit) {
                (Some(_), _) => "refused",
                (None, Some(commit)) => commit.short(),
                (None, None) => "not read",
            };
            Cell::mark(of_health(*health), word.to_owned())
        }
        Row::Image(one, health) => {
            let word = match (&one.error, &one.tag) {
                (Some(_), _) => "failed",
                (None, Some(tag)) => tag,
                (None, None) if one.checked.is_some() => "no such tag",
                (None, None) => "not checked",
            };
            Cell::mark(of_health(*health), word.to_owned())
        }
    }
}

fn since(row: &Row) -> Cell {
    match row {
        Row::Connection(one, _) => Cell::age(Some(one.since)),
        Row::Repository(one, _) => Cell::age(one.polled),
        Row::Source(one, _) => Cell::age(one.since),
        Row::Image(one, _) => Cell::age(one.checked),
    }
}

fn is(row: &Row) -> Cell {
    Cell::text(match row {
        Row::Connection(one, _) => one.version.clone(),
        Row::Repository(one, _) => {
            let branches = text::counted(one.branches.into(), "branch", "branches");
            format!("{branches}, {}", text::counted(one.tags.into(), "tag", "tags"))
        }
        Row::Source(one, _) => text::counted(one.applications.into(), "application", "applications"),
        Row::Image(one, _) => format!("{}: {}", one.application, one.policy),
    })
    .quiet()
}

fn agent(painter: &mut Painter, agent: &AgentStatus, area: Rect) {
    let quiet = painter.theme.tone(Tone::Quiet);
    let age = painter.age(agent.started);
    let first = format!("agent {} on {}, process {}, running for {age}", agent.version, agent.host, agent.pid);
    let inside = Rect { x: area.x + 2, width: area.width.saturating_sub(2), height: 1, ..area };
    painter.text(inside, &first, Style::new());
    let in_git = agent.configuration_in_git.as_deref().map(|one| format!(", and {}", one.place()));
    let second = format!("configuration {}{}", agent.configuration, in_git.unwrap_or_default());
    painter.text(Rect { y: inside.y + 1, ..inside }, &second, quiet);
}

//! The agent, and what it talks to: clusters, engines, registries, repositories.

use quarterdeck_shared::snapshot::{ConnectionStatus, RepositoryStatus};
use quarterdeck_shared::status::Health;

use crate::column::{Cell, Column, Kind};
use crate::meaning::of_health;
use crate::text;

/// What the agent talks to, in a list.
#[derive(Debug, Clone, Copy)]
pub enum Row<'a> {
    /// A cluster, an engine or a registry.
    Connection(&'a ConnectionStatus, Health),
    /// A repository.
    Repository(&'a RepositoryStatus, Health),
}

/// The columns of what the agent talks to.
pub fn columns<'a>() -> Vec<Column<Row<'a>>> {
    vec![
        Column::words("WHAT", 10, what),
        Column::new("NAME", Kind::Names, (28, 60), name).naming(),
        Column::words("STATE", 12, state).from(44),
        Column::time("SINCE", 5, since).from(60),
        Column::new("IS", Kind::Prose, (19, 60), is).from(66),
    ]
}

impl Row<'_> {
    /// What went wrong.
    pub fn error(&self) -> &str {
        let (Row::Connection(ConnectionStatus { error, .. }, _) | Row::Repository(RepositoryStatus { error, .. }, _)) =
            self;
        error.as_deref().unwrap_or_default()
    }
}

fn what(row: &Row) -> Cell {
    Cell::text(match row {
        Row::Connection(one, _) => one.to.word(),
        Row::Repository(..) => "repository",
    })
    .quiet()
}

fn name(row: &Row) -> Cell {
    Cell::text(match row {
        Row::Connection(one, _) => &one.name,
        Row::Repository(one, _) => &one.address,
    })
}

fn state(row: &Row) -> Cell {
    match row {
        Row::Connection(one, health) => {
            Cell::mark(of_health(*health), if one.reachable { "reachable" } else { "away" })
        }
        Row::Repository(one, health) => {
            let word = match (&one.error, one.polled) {
                (Some(_), _) => format!("failed {}×", one.failures),
                (None, None) => "not polled".to_owned(),
                (None, Some(_)) => "polled".to_owned(),
            };
            Cell::mark(of_health(*health), word)
        }
    }
}

fn since(row: &Row) -> Cell {
    match row {
        Row::Connection(one, _) => Cell::age(Some(one.since)),
        Row::Repository(one, _) => Cell::age(one.polled),
    }
}

fn is(row: &Row) -> Cell {
    Cell::text(match row {
        Row::Connection(one, _) => one.version.clone(),
        Row::Repository(one, _) => {
            let branches = text::counted(one.branches.into(), "branch", "branches");
            format!("{branches}, {}", text::counted(one.tags.into(), "tag", "tags"))
        }
    })
    .quiet()
}

//! The screens: each is a place, and where the reader is in it.

use std::collections::BTreeMap;

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::event::{EventRecord, SyncRecord};
use serde::{Deserialize, Serialize};

use crate::keymap::{Kind, Root};
use crate::model::diff::DiffScreen;
use crate::model::log::LogScreen;
use crate::model::records::Records;
use crate::model::table::{Listing, Table};
use crate::model::text::TextScreen;
use crate::model::tree::Tree;

/// A screen.
#[derive(Debug, Serialize, Deserialize)]
pub struct Screen {
    /// Answers and streams name the screen they are for by this number; late ones find no screen and are dropped.
    pub id: u64,
    /// What it shows.
    pub place: Place,
}

/// Top views that were left, as they were.
pub type Shelf = BTreeMap<Root, Screen>;

/// What a screen shows.
#[derive(Debug, Serialize, Deserialize)]
pub enum Place {
    /// Applications, pods, runs, connections.
    Table(Table),
    /// One application.
    Application(ApplicationScreen),
    /// What happened.
    Events(EventsScreen),
    /// The syncs of an application.
    History(HistoryScreen),
    /// A log.
    Logs(Box<LogScreen>),
    /// What a sync would change.
    Diff(Box<DiffScreen>),
    /// YAML.
    Text(Box<TextScreen>),
    /// The console's own log; where the reader is in it is kept by the library that shows it.
    ConsoleLog,
}

/// One application.
#[derive(Debug, Serialize, Deserialize)]
pub struct ApplicationScreen {
    /// Which.
    pub name: ApplicationName,
    /// Its objects.
    pub tree: Tree,
}

/// What happened, to one application or to all.
#[derive(Debug, Serialize, Deserialize)]
pub struct EventsScreen {
    /// To which; to all where none.
    pub of: Option<ApplicationName>,
    /// The events, newest first.
    pub records: Records<EventRecord>,
}

/// The syncs of an application.
#[derive(Debug, Serialize, Deserialize)]
pub struct HistoryScreen {
    /// Whose.
    pub of: ApplicationName,
    /// The syncs, newest first.
    pub records: Records<SyncRecord>,
}

impl Screen {
    /// The list of applications.
    pub fn applications(id: u64) -> Self {
        Self { id, place: Place::Table(Table::new(Listing::Applications)) }
    }
}

impl Place {
    /// The kind of screen it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Table(table) => table.listing.kind(),
            Self::Application(_) => Kind::Application,
            Self::Events(_) => Kind::Events,
            Self::History(_) => Kind::History,
            Self::Logs(_) => Kind::Logs,
            Self::Diff(_) => Kind::Diff,
            Self::Text(_) => Kind::Text,
            Self::ConsoleLog => Kind::ConsoleLog,
        }
    }

    /// The application that the whole screen is about.
    pub fn application(&self) -> Option<&ApplicationName> {
        match self {
            Self::Table(table) => table.listing.application(),
            Self::Application(screen) => Some(&screen.name),
            Self::Events(screen) => screen.of.as_ref(),
            Self::History(screen) => Some(&screen.of),
            Self::Logs(screen) => screen.source.application(),
            Self::Diff(screen) => Some(&screen.of),
            Self::Text(screen) => Some(&screen.of),
            Self::ConsoleLog => None,
        }
    }

    /// The words of its filter or search.
    pub fn find(&self) -> Option<&str> {
        match self {
            Self::Table(table) => Some(&table.filter),
            Self::Application(screen) => Some(&screen.tree.filter),
            Self::Events(screen) => Some(&screen.records.filter),
            Self::History(screen) => Some(&screen.records.filter),
            Self::Logs(screen) => Some(&screen.search),
            Self::Diff(screen) => Some(&screen.search),
            Self::Text(screen) => Some(&screen.search),
            Self::ConsoleLog => None,
        }
    }
}

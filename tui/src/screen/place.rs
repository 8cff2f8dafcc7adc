//! The list of the screens: of each its name, its file, and its type. Nothing else tells one screen from another.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};

use crate::keymap::{Binding, EVERYWHERE, Root};
use crate::model::destination::Destination;
use crate::model::diff::DiffScreen;
use crate::model::log::{LogScreen, Source};
use crate::model::table::Table;
use crate::screen::applications::Applications;
use crate::screen::console_log::ConsoleLog;
use crate::screen::environment::Environment;
use crate::screen::events::Events;
use crate::screen::history::History;
use crate::screen::packages::Packages;
use crate::screen::pods::Pods;
use crate::screen::runs::Runs;
use crate::screen::scan::Scan;
use crate::screen::system::System;
use crate::screen::text::Text;
use crate::screen::{
    Screen, applications, console_log, diff, environment, events, history, logs, packages, pods, runs, scan, system,
    text,
};

/// Makes one enum of the screens.
macro_rules! screens {
    ($($(#[doc = $doc:literal])* $name:ident, $file:ident, $screen:ty;)*) => {
        /// One of the screens.
        #[derive(Debug, Serialize, Deserialize)]
        pub enum Place {
            $($(#[doc = $doc])* $name(Box<$screen>),)*
        }

        $(impl From<$screen> for Place {
            fn from(screen: $screen) -> Self {
                Self::$name(Box::new(screen))
            }
        })*

        impl Place {
            /// The name of the screen in this list.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)*
                }
            }
        }

        impl Deref for Place {
            type Target = dyn Screen;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$name(screen) => &**screen,)*
                }
            }
        }

        impl DerefMut for Place {
            fn deref_mut(&mut self) -> &mut Self::Target {
                match self {
                    $(Self::$name(screen) => &mut **screen,)*
                }
            }
        }

        /// The keys of each screen.
        const KEYS: &[(&str, &[Binding])] = &[$((stringify!($name), $file::KEYS),)*];
    };
}

screens! {
    /// Is all well?
    Applications, applications, Table<Applications>;
    /// What is happening to it?
    Environment, environment, Environment;
    /// The pods.
    Pods, pods, Table<Pods>;
    /// The runs.
    Runs, runs, Table<Runs>;
    /// What is vulnerable in what a run pushed.
    Scan, scan, Scan;
    /// What is in what a run pushed.
    Packages, packages, Packages;
    /// The syncs of an environment.
    History, history, History;
    /// What does it say?
    Logs, logs, LogScreen;
    /// What will it do?
    Diff, diff, DiffScreen;
    /// YAML.
    Text, text, Text;
    /// What happened.
    Events, events, Events;
    /// The agent, and what it talks to.
    System, system, Table<System>;
    /// The console's own log.
    ConsoleLog, console_log, ConsoleLog;
}

impl Place {
    /// The screen that a console begins with.
    pub fn first() -> Self {
        Self::top(Root::Applications)
    }

    /// A top view, as it is before anybody was there.
    pub fn top(root: Root) -> Self {
        match root {
            Root::Applications => Table::new(Applications::default()).into(),
            Root::Pipelines => Table::new(Runs { of: None }).into(),
            Root::Pods => Table::new(Pods { of: None }).into(),
            Root::Events => Events::new(None).into(),
            Root::System => Table::new(System).into(),
            Root::AgentLog => LogScreen::new(Source::Agent).into(),
            Root::ConsoleLog => ConsoleLog.into(),
        }
    }
}

impl From<Destination> for Place {
    fn from(destination: Destination) -> Self {
        match destination {
            Destination::Environment(of) => Environment::new(of).into(),
            Destination::Pods(of) => Table::new(Pods { of: Some(of) }).into(),
            Destination::Runs(of) => Table::new(Runs { of: Some(of) }).into(),
            Destination::Scan(of, run) => Scan::new(of, run).into(),
            Destination::Packages(of, run) => Packages::new(of, run).into(),
            Destination::Events(of) => Events::new(Some(of)).into(),
            Destination::History(of) => History::new(of).into(),
            Destination::Diff(of, commit) => DiffScreen::new(of, commit).into(),
            Destination::Logs(source) => LogScreen::new(source).into(),
            Destination::Text(of, subject) => Text::new(of, subject).into(),
        }
    }
}

/// Every key of the console, with the screen on which it is in force; everywhere where none.
pub fn bindings() -> impl Iterator<Item = (Option<&'static str>, &'static Binding)> + Clone {
    let here = KEYS.iter().flat_map(|(screen, keys)| keys.iter().map(move |binding| (Some(*screen), binding)));
    here.chain(EVERYWHERE.iter().map(|binding| (None, binding)))
}

/// A screen that is open.
#[derive(Debug, Serialize, Deserialize)]
pub struct Opened {
    /// Answers and streams name the screen they are for by this number; late ones find no screen and are dropped.
    pub id: u64,
    /// What it shows.
    pub place: Place,
}

/// Top views that were left, as they were.
pub type Shelf = BTreeMap<Root, Opened>;

#[cfg(test)]
mod tests;

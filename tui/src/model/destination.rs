//! Where a screen sends its reader, named by what it is about. Screens know no other screen: the list of them turns this into one.

use quarterdeck_shared::application::{ApplicationName, EnvironmentId};
use quarterdeck_shared::snapshot::RunId;

use crate::model::log::Source;
use crate::model::subject::Subject;
use crate::model::text;

/// A screen to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// An environment.
    Environment(EnvironmentId),
    /// The pods of an application or environment.
    Pods(Subject),
    /// The runs of an application.
    Runs(Subject),
    /// What the scans of a run of an application found.
    Scan(ApplicationName, RunId),
    /// What is in the images that a run of an application pushed.
    Packages(ApplicationName, RunId),
    /// What happened to an application or environment.
    Events(Subject),
    /// The syncs of an environment.
    History(EnvironmentId),
    /// What a sync of an environment would do: to this commit, or to what it follows.
    Diff(EnvironmentId, Option<String>),
    /// The log that comes from there.
    Logs(Source),
    /// YAML of an environment.
    Text(EnvironmentId, text::Subject),
}

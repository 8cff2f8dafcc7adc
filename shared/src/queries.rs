//! The queries of the wire: what a `GET` asks for behind the `?` of its path. The console writes them and the agent reads
//! them as the same types. What is absent has its default; names that no field has are ignored.

use serde::{Deserialize, Serialize};

use crate::application::{Address, ApplicationName, EnvironmentName};
use crate::id::TypedId;

/// The revision that a diff or manifests are of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtRevision {
    /// A commit, branch or tag; the revision that the environment follows where absent.
    pub revision: Option<String>,
}

/// How many rows to answer, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// [`ROWS`](crate::protocol::ROWS) where absent, and at most [`ROWS_MAX`](crate::protocol::ROWS_MAX).
    pub limit: Option<usize>,
}

/// Which runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunsQuery {
    /// Only those of this application.
    pub application: Option<ApplicationName>,
    /// As in [`Limit`].
    pub limit: Option<usize>,
    /// Only those older than the run with this id.
    pub before: Option<TypedId>,
}

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsQuery {
    /// Only those of this application.
    pub application: Option<ApplicationName>,
    /// Only those of its environment of this name.
    pub environment: Option<EnvironmentName>,
    /// As in [`Limit`].
    pub limit: Option<usize>,
    /// Only those older than the event with this id.
    pub before: Option<TypedId>,
}

impl EventsQuery {
    /// The events of an application or of one environment; all where there is no address.
    pub fn about(address: Option<Address>) -> Self {
        let (application, environment) =
            address.map_or((None, None), |address| (Some(address.application), address.environment));
        Self { application, environment, ..Self::default() }
    }
}

/// Where a watch begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchQuery {
    /// The epoch of the state that was listed; the answer is 410 where the agent has another. Not compared where absent.
    pub epoch: Option<String>,
    /// The revision of the state that was listed: what changed after it is sent.
    pub since: u64,
}

/// Which lines of an environment's pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogQuery {
    /// Only this pod.
    pub pod: Option<String>,
    /// Only containers of this name.
    pub container: Option<String>,
    /// Go on as lines come, and as pods join.
    #[serde(default, skip_serializing_if = "is_off")]
    pub follow: bool,
    /// Only the last lines of each container.
    pub tail: Option<u64>,
    /// Only lines of the last so many seconds.
    pub since_seconds: Option<u64>,
    /// The log of the container before its last restart.
    #[serde(default, skip_serializing_if = "is_off")]
    pub previous: bool,
}

/// Which lines of a run's log or of the agent's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogOptions {
    /// Go on as lines come: until the run ends, or for as long as the client reads.
    #[serde(default, skip_serializing_if = "is_off")]
    pub follow: bool,
    /// Only the last lines that the agent keeps of its own log; the log of a run always comes whole.
    pub tail: Option<u64>,
}

/// A switch that is off is not written.
fn is_off(switch: &bool) -> bool {
    !switch
}

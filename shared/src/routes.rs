//! The routes of the wire, each once: its method, its path, the role that it requires, and the types that its path and its
//! query are made of. The agent mounts a handler for each, the console makes its paths from them; neither writes a path.
//!
//! What an `{address}` is: `APPLICATION/ENVIRONMENT`, or `APPLICATION` where it has one environment; with several the
//! answer is 409 and lists them. An `{id}` is one as people type it, see [`TypedId`].
//!
//! A `POST` without a body is one with the defaults, and is answered with 202 and what was
//! [`Accepted`](crate::protocol::Accepted). Every answer that is not 2xx is an [`ErrorAnswer`](crate::protocol::ErrorAnswer).

mod path;

use std::fmt;
use std::marker::PhantomData;

pub use self::path::Subject;
use crate::application::{Address, ApplicationName};
use crate::id::TypedId;
use crate::protocol::Role;
use crate::queries::{AtRevision, EventsQuery, Limit, LogOptions, LogQuery, RunsQuery, WatchQuery};
use crate::resource::ResourceRef;

/// How a route is asked: each takes one method. A `GET` route answers `HEAD` as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`: looks.
    Get,
    /// `POST`: changes something.
    Post,
}

impl Method {
    /// The method as HTTP writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A route in [`ROUTES`]: how it is asked, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// How it is asked.
    pub method: Method,
    /// Where; what it is about is in braces: `/v1/runs/{id}/log`.
    pub path: &'static str,
    /// The role that it requires.
    pub role: Role,
    /// Whether it changes a cluster on request: where the environment is `protected`, it requires the approver's role.
    pub guarded: bool,
    /// What is in braces in the path, or nothing.
    place: &'static str,
}

impl Row {
    /// The paths that a router matches, with a parameter for each part. What is about an environment has two: by the
    /// application that has no other, and by its full address.
    pub fn templates(&self) -> Vec<String> {
        if self.place == Address::PLACE {
            ["{application}", "{application}/{environment}"].map(|parts| self.path.replace(self.place, parts)).into()
        } else {
            vec![self.path.to_owned()]
        }
    }
}

/// A route with the types that its path is made of: what it is about, and its query.
#[derive(Debug)]
pub struct Route<Of = (), Query = ()> {
    /// How it is asked, and by whom.
    pub row: Row,
    types: PhantomData<(Of, Query)>,
}

impl<Of: Subject, Query> Route<Of, Query> {
    const fn new(method: Method, path: &'static str, role: Role, guarded: bool) -> Self {
        Self { row: Row { method, path, role, guarded, place: Of::PLACE }, types: PhantomData }
    }
}

const fn read<Of: Subject, Query>(path: &'static str) -> Route<Of, Query> {
    Route::new(Method::Get, path, Role::Viewer, false)
}

const fn act<Of: Subject>(path: &'static str) -> Route<Of> {
    Route::new(Method::Post, path, Role::Operator, false)
}

const fn act_guarded<Of: Subject>(path: &'static str) -> Route<Of> {
    Route::new(Method::Post, path, Role::Operator, true)
}

/// Each route as it is written here, and [`ROUTES`], so that none is missing there.
macro_rules! routes {
    ($($(#[$doc:meta])* pub const $name:ident: $route:ty = $made:expr;)*) => {
        $($(#[$doc])* pub const $name: $route = $made;)*

        /// Every route, in the order in which they are written.
        pub const ROUTES: &[Row] = &[$($name.row),*];
    };
}

routes! {
    /// Who the agent is: [`VersionAnswer`](crate::protocol::VersionAnswer).
    pub const VERSION: Route = read("/v1/version");

    /// Every object: [`State`](crate::protocol::State).
    pub const STATE: Route = read("/v1/state");

    /// What changes after a revision of the state, as NDJSON of [`WatchRecord`](crate::protocol::WatchRecord); 410: list again.
    pub const WATCH: Route<(), WatchQuery> = read("/v1/watch");

    /// What a sync would do: [`DiffAnswer`](crate::protocol::DiffAnswer).
    pub const DIFF: Route<Address, AtRevision> = read("/v1/environments/{address}/diff");

    /// What other controllers hold of the environment's objects, and what an adoption would write:
    /// [`AdoptionAnswer`](crate::protocol::AdoptionAnswer).
    pub const ADOPTION: Route<Address> = read("/v1/environments/{address}/adoption");

    /// What a deletion of all of its objects would do: [`DeletionAnswer`](crate::protocol::DeletionAnswer).
    pub const DELETION: Route<Address> = read("/v1/environments/{address}/deletion");

    /// What is rendered: [`ManifestsAnswer`](crate::protocol::ManifestsAnswer).
    pub const MANIFESTS: Route<Address, AtRevision> = read("/v1/environments/{address}/manifests");

    /// A live object: [`ManifestsAnswer`](crate::protocol::ManifestsAnswer).
    pub const OBJECT: Route<Address, ResourceRef> = read("/v1/environments/{address}/object");

    /// Syncs, newest first: an array of [`SyncRecord`](crate::event::SyncRecord).
    pub const HISTORY: Route<Address, Limit> = read("/v1/environments/{address}/history");

    /// Whether registries have the images of the newest syncs, each image once: an array of
    /// [`ImageAnswer`](crate::protocol::ImageAnswer). Registries are asked for it.
    pub const IMAGES: Route<Address, Limit> = read("/v1/environments/{address}/images");

    /// The newest run of the tests of its chart: [`TestsAnswer`](crate::protocol::TestsAnswer). 404 where there was none.
    pub const TESTS: Route<Address> = read("/v1/environments/{address}/tests");

    /// Commits of the deploy branch below the environment's path, newest first: an array of
    /// [`CommitAnswer`](crate::protocol::CommitAnswer).
    pub const COMMITS: Route<Address, Limit> = read("/v1/environments/{address}/commits");

    /// Lines of its pods, of all where none is named, as NDJSON of [`LogRecord`](crate::protocol::LogRecord).
    pub const POD_LOG: Route<Address, LogQuery> = read("/v1/environments/{address}/logs");

    /// Runs, newest first: an array of [`RunStatus`](crate::snapshot::RunStatus).
    pub const RUNS: Route<(), RunsQuery> = read("/v1/runs");

    /// One run: [`RunStatus`](crate::snapshot::RunStatus).
    pub const RUN: Route<TypedId> = read("/v1/runs/{id}");

    /// What is in the images that a run pushed: an array of [`PackagesAnswer`](crate::protocol::PackagesAnswer). Registries are
    /// asked for it.
    pub const PACKAGES: Route<TypedId> = read("/v1/runs/{id}/packages");

    /// What a run wrote, as NDJSON of [`LogRecord`](crate::protocol::LogRecord).
    pub const RUN_LOG: Route<TypedId, LogOptions> = read("/v1/runs/{id}/log");

    /// Events, newest first: an array of [`EventRecord`](crate::event::EventRecord).
    pub const EVENTS: Route<(), EventsQuery> = read("/v1/events");

    /// The agent's own log, as NDJSON of [`LogRecord`](crate::protocol::LogRecord).
    pub const AGENT_LOG: Route<(), LogOptions> = read("/v1/log");

    /// What the agent can reach and use: an array of [`Check`](crate::protocol::Check).
    pub const DOCTOR: Route = read("/v1/doctor");

    /// What the agent made on its machine, and what of it nobody needs: [`GcAnswer`](crate::protocol::GcAnswer).
    pub const UNNEEDED: Route = read("/v1/gc");

    /// Syncs now, with a [`SyncRequest`](crate::protocol::SyncRequest).
    pub const SYNC: Route<Address> = act_guarded("/v1/environments/{address}/sync");

    /// Polls the repositories of an application now.
    pub const REFRESH: Route<ApplicationName> = act("/v1/applications/{application}/refresh");

    /// Builds, with a [`DeliverRequest`](crate::protocol::DeliverRequest); the answer names the run.
    pub const BUILD: Route<ApplicationName> = act("/v1/applications/{application}/build");

    /// Builds and pushes, with a [`DeliverRequest`](crate::protocol::DeliverRequest); the answer names the run.
    pub const PUSH: Route<ApplicationName> = act("/v1/applications/{application}/push");

    /// Pins to an earlier revision, with a [`RollbackRequest`](crate::protocol::RollbackRequest); the answer names the
    /// revision.
    pub const ROLLBACK: Route<Address> = act_guarded("/v1/environments/{address}/rollback");

    /// Follows git again.
    pub const UNPIN: Route<Address> = act_guarded("/v1/environments/{address}/unpin");

    /// Makes the environment's objects that other controllers hold its own. An event tells what became of it.
    pub const ADOPT: Route<Address> = act_guarded("/v1/environments/{address}/adopt");

    /// Suspends it and deletes all of its objects, with a [`DeleteRequest`](crate::protocol::DeleteRequest). An event tells what became
    /// of it.
    pub const DELETE: Route<Address> = act_guarded("/v1/environments/{address}/delete");

    /// Runs the tests of its chart, with a [`TestRequest`](crate::protocol::TestRequest). An event tells what became of it.
    pub const TEST: Route<Address> = act_guarded("/v1/environments/{address}/test");

    /// Stops syncing, with a [`SuspendRequest`](crate::protocol::SuspendRequest).
    pub const SUSPEND: Route<Address> = act("/v1/environments/{address}/suspend");

    /// Syncs again after a suspension.
    pub const RESUME: Route<Address> = act_guarded("/v1/environments/{address}/resume");

    /// Queues a run that has ended once more; the answer names the new one.
    pub const RETRY: Route<TypedId> = act("/v1/runs/{id}/retry");

    /// Lets a run of a fork's code run.
    pub const ALLOW: Route<TypedId> = act("/v1/runs/{id}/allow");

    /// Stops a run.
    pub const CANCEL: Route<TypedId> = act("/v1/runs/{id}/cancel");

    /// Deletes what nobody needs; an event tells what became of it.
    pub const GC: Route = act("/v1/gc/delete");

    /// A push to a repository of the agent's machine is complete, with a [`ReceivedRequest`](crate::protocol::ReceivedRequest): it
    /// is polled now. 404 where no application uses it.
    pub const RECEIVED: Route = act("/v1/repositories/received");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_path_is_written_twice() {
        let templates: Vec<String> = ROUTES.iter().flat_map(Row::templates).collect();
        assert_eq!(templates.iter().collect::<BTreeSet<_>>().len(), templates.len(), "{templates:#?}");
    }

    #[test]
    fn a_path_has_one_place_for_what_it_is_about() {
        for Row { path, place, .. } in ROUTES {
            let named = path.find('{').map_or("", |start| &path[start..=path.rfind('}').unwrap()]);
            assert_eq!(named, *place, "{path}");
        }
    }
}

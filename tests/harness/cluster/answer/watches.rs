//! Watch: what changes, as it changes.
//!
//! A watcher is a place in the resource's history and nothing more: it reads on from there whenever something changed,
//! so that it costs nothing while it waits, cannot be overtaken in silence, and gets 410 when it fell out of the history.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::reads::too_large;
use super::{About, Ask, WATCH_MAX};
use crate::cluster::Shared;
use crate::cluster::failure::{Failure, Problem};
use crate::cluster::kinds::Kind;
use crate::cluster::select::Selector;
use crate::cluster::store::{Change, text};
use crate::cluster::view::View;

/// How often a client that wants bookmarks gets one while nothing happens.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// Changes read under the lock at once.
const BATCH: usize = 256;

struct Watcher {
    shared: Arc<Shared>,
    kind: Arc<Kind>,
    namespace: String,
    selector: Selector,
    view: View,
    /// The last revision that was looked at.
    seen: u64,
    pending: VecDeque<Bytes>,
    changed: watch::Receiver<u64>,
    cut: watch::Receiver<u64>,
    until: Instant,
    bookmarks: bool,
    over: bool,
}

pub(super) fn watch(shared: &Arc<Shared>, about: &About, ask: &Ask) -> Result<Response, Failure> {
    let initial = ask.query.flag("sendInitialEvents") && !ask.query.get("sendInitialEvents").is_empty();
    let matching = ask.query.get("resourceVersionMatch");
    if initial && matching != "NotOlderThan" {
        let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        let problem = Problem::forbidden("resourceVersionMatch", detail);
        return Err(Failure::invalid_as("meta.k8s.io", "ListOptions", "", &[problem]));
    }
    let selector = about.selector(ask)?;
    let seconds = ask.query.number("timeoutSeconds").filter(|seconds| *seconds > 0);
    let lasts = seconds.map_or(WATCH_MAX, |seconds| Duration::from_secs(seconds as u64).min(WATCH_MAX));
    let from = ask.query.get("resourceVersion");
    let from: u64 = match from {
        "" => 0,
        text => text.parse().map_err(|_| {
            let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
            Failure::internal(format!("resourceVersion: Invalid value: {text:?}: {why}"))
        })?,
    };
    let cut = shared.cut.subscribe();
    let world = shared.world();
    if initial {
        too_large(ask, world.state.revision())?;
    }
    let table = world.state.table(&about.kind.qualified()).ok_or_else(Failure::no_such_path)?;
    let mut watcher = Watcher {
        shared: shared.clone(),
        kind: about.kind.clone(),
        namespace: about.target.namespace.clone(),
        selector,
        view: ask.view(),
        seen: if from == 0 || initial { world.state.revision() } else { from },
        pending: VecDeque::new(),
        changed: table.subscribe(),
        cut,
        until: Instant::now() + lasts,
        bookmarks: ask.query.flag("allowWatchBookmarks") && !ask.query.get("allowWatchBookmarks").is_empty(),
        over: false,
    };
    if from == 0 || initial {
        for object in table.within(&watcher.namespace).filter(|object| watcher.selector.matches(object)) {
            let line = line("ADDED", &watcher.view.show(&watcher.kind, object));
            watcher.pending.push_back(line);
        }
    }
    if initial {
        watcher.bookmark(true);
    }
    drop(world);
    let stream = futures::stream::unfold(watcher, |mut watcher| async move {
        let chunk = watcher.next().await?;
        Some((Ok::<Bytes, Infallible>(chunk), watcher))
    });
    let mut response = Response::new(Body::from_stream(stream));
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    Ok(response)
}

impl Watcher {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(chunk) = self.pending.pop_front() {
                return Some(chunk);
            }
            if self.over {
                return None;
            }
            self.changed.borrow_and_update();
            if self.read() {
                continue;
            }
            let quiet = Instant::now() + BOOKMARK_EVERY;
            tokio::select! {
                changed = self.changed.changed() => self.over |= changed.is_err(),
                _ = self.cut.changed() => self.over = true,
                () = tokio::time::sleep_until(self.until.min(quiet)) => {
                    if Instant::now() >= self.until {
                        self.over = true;
                    } else if self.bookmarks {
                        self.mark();
                    }
                }
            }
        }
    }

    /// Reads on in the history. Whether there was something to read.
    fn read(&mut self) -> bool {
        let (changes, revision) = {
            let world = self.shared.world();
            let Kind { group, version, plural, .. } = &*self.kind;
            let served = world.state.kind(group, version, plural).is_some_and(|kind| Arc::ptr_eq(&kind, &self.kind));
            let Some(table) = world.state.table(&self.kind.qualified()).filter(|_| served) else {
                self.over = true; // its definition is gone, or another
                return true;
            };
            (table.since(self.seen, BATCH), world.state.revision())
        };
        let Some(changes) = changes else {
            let failure = Failure::expired(format!("too old resource version: {} ({revision})", self.seen));
            self.pending.push_back(line("ERROR", &failure.status()));
            self.over = true;
            return true;
        };
        for change in &changes {
            self.seen = change.revision;
            self.event(change);
        }
        !changes.is_empty()
    }

    fn event(&mut self, change: &Change) {
        let mine = |object: &Value| {
            (self.namespace.is_empty() || text(object, "/metadata/namespace") == self.namespace)
                && self.selector.matches(object)
        };
        let before = change.old.as_deref().is_some_and(mine);
        let after = !change.deleted && mine(&change.new);
        let kind = match (before, after) {
            (false, false) => return,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        let object = self.view.show(&self.kind, &change.new);
        self.pending.push_back(line(kind, &object));
    }

    /// Says how far it is. Who watches from a version of the future hears nothing, bookmarks neither, until that is reached.
    fn mark(&mut self) {
        let revision = self.shared.world().state.revision();
        if revision >= self.seen {
            self.seen = revision;
            self.bookmark(false);
        }
    }

    fn bookmark(&mut self, initial: bool) {
        let mut metadata = json!({"resourceVersion": self.seen.to_string()});
        if initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let (kind, api_version) = match self.view {
            View::Whole => (self.kind.kind.clone(), self.kind.api_version()),
            View::Metadata => ("PartialObjectMetadata".to_owned(), "meta.k8s.io/v1".to_owned()),
        };
        let object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
        self.pending.push_back(line("BOOKMARK", &object));
    }
}

fn line(kind: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{}\n", json!({"type": kind, "object": object})))
}

//! Logs of containers. Lines are not kept: what a container has printed follows from when it started and what it does.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::header::CONTENT_TYPE;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::watch;

use super::{About, Ask};
use crate::cluster::Shared;
use crate::cluster::failure::Failure;
use crate::cluster::kubelet::behaviour::Behaviour;
use crate::cluster::kubelet::container::{Container, State};
use crate::cluster::store::{Key, items, text};

/// Lines kept of one life, as a node keeps only so many bytes.
const LINES_MAX: u64 = 10_000;
/// Lines sent in one piece.
const PIECE_MAX: u64 = 500;

/// One life of a container, of which the log is asked.
#[derive(Debug, Clone)]
struct Life {
    behaviour: Behaviour,
    started: Timestamp,
    ended: Option<Timestamp>,
}

impl Life {
    fn printed(&self, now: Timestamp) -> u64 {
        let until = self.ended.unwrap_or(now);
        self.behaviour.printed(Duration::try_from(until.duration_since(self.started)).unwrap_or_default())
    }

    fn at(&self, index: u64) -> (Timestamp, String) {
        let (after, line) = self.behaviour.line(index);
        let after = SignedDuration::try_from(after).unwrap_or_default();
        (self.started.checked_add(after).unwrap_or(self.started), line)
    }
}

pub(super) fn log(shared: &Arc<Shared>, about: &About, ask: &Ask) -> Result<Response, Failure> {
    let key = about.key();
    let (container, changed, life) = {
        let world = shared.world();
        let pod = world.state.get(&key).cloned().ok_or_else(|| Failure::not_found(&about.kind, &key.name))?;
        let container = pick(&pod, &key.name, ask.query.get("container"))?;
        let known = world.manager.kubelet.pod(&key).and_then(|pod| pod.container(&container).cloned());
        let table = world.state.table("pods").ok_or_else(Failure::no_such_path)?;
        let life = life(known, &container, &key.name, ask.query.flag("previous"))?;
        (container, table.subscribe(), life)
    };
    let now = Timestamp::now();
    let printed = life.printed(now);
    let mut next = printed.saturating_sub(LINES_MAX);
    let since = match (ask.query.number("sinceSeconds"), ask.query.get("sinceTime").parse::<Timestamp>()) {
        (Some(seconds), _) => now.checked_sub(SignedDuration::from_secs(seconds)).ok(),
        (None, Ok(time)) => Some(time),
        (None, Err(_)) => None,
    };
    if let Some(since) = since {
        while next < printed && life.at(next).0 < since {
            next += 1;
        }
    }
    if let Some(tail) = ask.query.number("tailLines") {
        next = next.max(printed.saturating_sub(tail.max(0) as u64));
    }
    let reader = Reader {
        shared: shared.clone(),
        key,
        container,
        life,
        next,
        follow: ask.query.flag("follow") && !ask.query.get("follow").is_empty(),
        timestamps: ask.query.flag("timestamps"),
        bytes_left: ask.query.number("limitBytes").map_or(u64::MAX, |limit| limit.max(0) as u64),
        changed,
        cut: shared.cut.subscribe(),
    };
    let stream = futures::stream::unfold(reader, |mut reader| async move {
        let piece = reader.piece().await?;
        Some((Ok::<Bytes, Infallible>(piece), reader))
    });
    let mut response = Response::new(Body::from_stream(stream));
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("text/plain"));
    Ok(response)
}

struct Reader {
    shared: Arc<Shared>,
    key: Key,
    container: String,
    life: Life,
    next: u64,
    follow: bool,
    timestamps: bool,
    bytes_left: u64,
    changed: watch::Receiver<u64>,
    cut: watch::Receiver<u64>,
}

impl Reader {
    async fn piece(&mut self) -> Option<Bytes> {
        loop {
            self.changed.borrow_and_update();
            self.look();
            let now = Timestamp::now();
            let printed = self.life.printed(now);
            if self.next < printed {
                return self.lines(printed);
            }
            if !self.follow || self.life.ended.is_some() || self.bytes_left == 0 {
                return None;
            }
            let (at, _) = self.life.at(self.next);
            let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
            let prints = self.life.behaviour.every.is_some();
            tokio::select! {
                () = tokio::time::sleep(wait.max(Duration::from_millis(1))), if prints => {}
                changed = self.changed.changed() => changed.ok()?,
                _ = self.cut.changed() => return None,
            }
        }
    }

    /// Sees whether the life that is read has ended.
    fn look(&mut self) {
        let world = self.shared.world();
        let container = world.manager.kubelet.pod(&self.key).and_then(|pod| pod.container(&self.container));
        self.life.ended = self.life.ended.or_else(|| match container {
            None => Some(Timestamp::now()),
            Some(container) => match &container.state {
                State::Running { started, .. } if *started == self.life.started => None,
                State::Ended(ended, _) if ended.started == self.life.started => Some(ended.finished),
                _ => Some(container.last.as_ref().map_or(self.life.started, |last| last.finished)),
            },
        });
    }

    fn lines(&mut self, printed: u64) -> Option<Bytes> {
        let mut out = String::new();
        let end = printed.min(self.next + PIECE_MAX);
        while self.next < end {
            let (at, line) = self.life.at(self.next);
            if self.timestamps {
                out.push_str(&at.strftime("%Y-%m-%dT%H:%M:%S.%9fZ ").to_string());
            }
            out.push_str(&line);
            out.push('\n');
            self.next += 1;
        }
        let mut bytes = Bytes::from(out);
        bytes.truncate(usize::try_from(self.bytes_left).unwrap_or(usize::MAX));
        self.bytes_left -= bytes.len() as u64;
        (!bytes.is_empty()).then_some(bytes)
    }
}

/// The container that is meant.
fn pick(pod: &Value, name: &str, wanted: &str) -> Result<String, Failure> {
    let names = |list: &str| items(pod, list).map(|one| text(one, "/name").to_owned()).collect::<Vec<_>>();
    let (main, initial) = (names("/spec/containers"), names("/spec/initContainers"));
    match (wanted, main.as_slice()) {
        ("", [only]) => Ok(only.clone()),
        ("", many) => {
            let mut message =
                format!("a container name must be specified for pod {name}, choose one of: [{}]", many.join(" "));
            if !initial.is_empty() {
                message.push_str(&format!(" or one of the init containers: [{}]", initial.join(" ")));
            }
            Err(Failure::bad_request(message))
        }
        (wanted, _) if main.iter().chain(&initial).any(|one| one == wanted) => Ok(wanted.to_owned()),
        (wanted, _) => Err(Failure::bad_request(format!("container {wanted} is not valid for pod {name}"))),
    }
}

/// The life that is meant: the present or last one, or the one before.
fn life(container: Option<Container>, name: &str, pod: &str, previous: bool) -> Result<Life, Failure> {
    let waiting =
        |reason: &str| Failure::bad_request(format!("container {name:?} in pod {pod:?} is waiting to start: {reason}"));
    let Some(container) = container else { return Err(waiting("ContainerCreating")) };
    let Container { behaviour, state, last, .. } = container;
    if previous {
        let last = last.ok_or_else(|| {
            Failure::bad_request(format!("previous terminated container {name:?} in pod {pod:?} not found"))
        })?;
        return Ok(Life { behaviour, started: last.started, ended: Some(last.finished) });
    }
    match (state, last) {
        (State::Running { started, .. }, _) => Ok(Life { behaviour, started, ended: None }),
        (State::Ended(ended, _), _) => Ok(Life { behaviour, started: ended.started, ended: Some(ended.finished) }),
        (State::Waiting { .. }, Some(last)) => {
            Ok(Life { behaviour, started: last.started, ended: Some(last.finished) })
        }
        (State::Waiting { reason: "ImagePullBackOff", .. }, None) => Err(waiting("trying and failing to pull image")),
        (State::Waiting { reason: "ErrImagePull", .. }, None) => Err(waiting("image can't be pulled")),
        (State::Waiting { reason, .. }, None) => Err(waiting(reason)),
    }
}

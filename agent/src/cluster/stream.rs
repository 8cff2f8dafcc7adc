//! One watch: list, then follow, for ever. Each step tells [`Live`] what it saw.
//!
//! The loop is our own, since we have to know two things that a ready-made watcher keeps to itself: when a quiet watch
//! is connected again (until then nothing of its kind counts as known), and a page of a list object by object (so
//! that 10,000 pods never lie in memory at once).

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::pin::pin;
use std::time::Duration;

use futures::TryStreamExt as _;
use kube::Client;
use kube::api::WatchEvent;
use kube::discovery::ApiResource;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::cluster::caller::get;
use crate::cluster::interest::{WatchKey, What};
use crate::cluster::kube::{Route, collection_path, segment};
use crate::cluster::problem::{ApiProblem, Class};
use crate::cluster::watch::Shared;
use crate::render::scope::Scope;
use crate::sync::APPLICATION_LABEL;

/// Objects of one page. Pods have some 15 KB, so a page is below 10 MB.
const PAGE: usize = 500;

/// The server ends a watch after this many seconds; spread, so that a thousand do not end at once.
const WATCH_SECONDS: u64 = 240;
const WATCH_SECONDS_SPREAD: u64 = 60;

/// A watch that is silent for this long after its end is dead.
const GRACE: Duration = Duration::from_secs(15);

/// A watch is answered at once, however quiet it is afterwards.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The first pause after a failure; doubled up to [`PAUSE_MAX`], with jitter. All wake when one of them gets through.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// After a refusal, which a person has to mend.
const REFUSED_PAUSE: Duration = Duration::from_secs(300);

/// Why a round of the watch ended.
enum End {
    /// The server ended it in good order.
    Done,
    /// It may only be watched namespace by namespace; somebody else does that.
    Narrow,
}

/// Follows one watch until it is told that others do its work.
pub(super) async fn follow(shared: &Shared, key: &WatchKey) {
    let mut version = None;
    let mut failures = 0;
    loop {
        let began = tokio::time::Instant::now();
        let end = round(shared, key, &mut version).await;
        shared.live.cover(key, false);
        let lasted = began.elapsed();
        let pause = match end {
            Ok(End::Narrow) => return,
            Ok(End::Done) => {
                failures = if lasted > PAUSE_MAX { 0 } else { failures + 1 };
                // The usual end after some minutes costs no pause.
                if lasted > Duration::from_secs(5) { Duration::ZERO } else { jittered(failures) }
            }
            Err(problem) => {
                if lasted > PAUSE_MAX {
                    failures = 0;
                }
                failures += 1;
                tracing::debug!(%problem, kind = %key.kind, namespace = key.namespace.as_deref(), "a watch ended");
                take_note(shared, key, &problem, &mut version);
                match problem.class {
                    Class::Gone => jittered(1) / 4,
                    Class::Forbidden | Class::KindMissing => REFUSED_PAUSE,
                    _ => jittered(failures),
                }
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.link.restored(), if !pause.is_zero() && pause < REFUSED_PAUSE => {}
        }
    }
}

fn take_note(shared: &Shared, key: &WatchKey, problem: &ApiProblem, version: &mut Option<String>) {
    match problem.class {
        Class::Gone => *version = None,
        Class::KindMissing => {
            // Its definition was deleted, and its objects with it.
            *version = None;
            shared.live.listed(key, &HashSet::new());
        }
        Class::Forbidden => {
            tracing::warn!(%problem, hint = problem.hint(), "not watched; every sync looks at each object instead");
        }
        class if class.is_way_in() => {
            shared.link.lost(&shared.live, problem);
        }
        _ => tracing::warn!(%problem, "a watch failed and is tried again"),
    }
}

/// Lists where that is needed, and follows until the end.
async fn round(shared: &Shared, key: &WatchKey, version: &mut Option<String>) -> Result<End, ApiProblem> {
    let route = shared.objects.resource(&key.reference(), key.version.as_deref()).await?;
    let namespace = key.namespace.as_deref().filter(|_| route.scope == Scope::Namespaced);
    let selector =
        if key.what == What::Applied { format!("&labelSelector={APPLICATION_LABEL}") } else { String::new() };
    let path = collection_path(&route.resource, namespace);
    let result = match version {
        Some(_) => Ok(()),
        None => list(shared, key, &route, &format!("{path}?limit={PAGE}{selector}")).await.map(|v| *version = Some(v)),
    };
    let result = match result {
        Ok(()) => watch(shared, key, &route, &format!("{path}?watch=true{selector}"), version).await,
        Err(problem) => Err(problem),
    };
    match result {
        Err(problem)
            if problem.class == Class::Forbidden && key.namespace.is_none() && route.scope == Scope::Namespaced =>
        {
            shared.narrow(key, &problem);
            Ok(End::Narrow)
        }
        Err(problem) => Err(problem),
        Ok(()) => Ok(End::Done),
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    metadata: PageMetadata,
    #[serde(borrow, default)]
    items: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMetadata {
    #[serde(default)]
    resource_version: String,
    #[serde(default, rename = "continue")]
    next: String,
}

/// Lists all there is; gives the resource version to follow from.
async fn list(shared: &Shared, key: &WatchKey, route: &Route, path: &str) -> Result<String, ApiProblem> {
    let doing = format!("list {}", route.resource.plural);
    let bad =
        |error: serde_json::Error| ApiProblem::new(Class::Other, &*doing, format!("the answer is no list: {error}"));
    let mut seen = HashSet::new();
    let mut next = String::new();
    loop {
        let bytes = shared.objects.caller.bytes(&doing, get(&format!("{path}{next}"))).await?;
        shared.link.found(&shared.live);
        let page: Page<'_> = serde_json::from_slice(&bytes).map_err(bad)?;
        for item in page.items {
            let mut object: Value = serde_json::from_str(item.get()).map_err(bad)?;
            name_kind(&mut object, &route.resource);
            seen.insert(shared.put(key, object));
        }
        if page.metadata.next.is_empty() {
            shared.live.listed(key, &seen);
            return Ok(page.metadata.resource_version);
        }
        next = format!("&continue={}", segment(&page.metadata.next));
        // A list of many pages leaves room for others.
        tokio::task::yield_now().await;
    }
}

/// Items of a list do not say what they are.
fn name_kind(object: &mut Value, resource: &ApiResource) {
    if object["kind"].is_null() {
        object["apiVersion"] = resource.api_version.clone().into();
        object["kind"] = resource.kind.clone().into();
    }
}

async fn watch(
    shared: &Shared,
    key: &WatchKey,
    route: &Route,
    path: &str,
    version: &mut Option<String>,
) -> Result<(), ApiProblem> {
    let doing = format!("watch {}", route.resource.plural);
    let seconds = WATCH_SECONDS + RandomState::new().hash_one(key) % WATCH_SECONDS_SPREAD;
    let from = version.as_deref().unwrap_or("0");
    let path = format!("{path}&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={}", segment(from));
    let failed = |error: kube::Error| ApiProblem::unanswered(&*doing, &error);
    let silent = |_| ApiProblem::new(Class::Timeout, &*doing, "the connection is silent");
    let request = get(&path).map(|body| body.to_vec());
    let begin = |client: Client| {
        let request = request.clone();
        async move {
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, client.request_events::<Value>(request)).await;
            answer.map_err(silent)?.map_err(failed)
        }
    };
    let mut events = pin!(shared.objects.caller.with(begin).await?);
    shared.link.found(&shared.live);
    shared.live.cover(key, true);
    let limit = Duration::from_secs(seconds) + GRACE;
    while let Some(event) = tokio::time::timeout(limit, events.try_next()).await.map_err(silent)?.map_err(failed)? {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                note_version(version, &object);
                shared.put(key, object);
            }
            WatchEvent::Deleted(object) => {
                note_version(version, &object);
                shared.live.remove(key, &object);
            }
            WatchEvent::Bookmark(bookmark) => *version = Some(bookmark.metadata.resource_version),
            WatchEvent::Error(status) => return Err(ApiProblem::answered(&*doing, status.code, &status)),
        }
    }
    Ok(())
}

fn note_version(version: &mut Option<String>, object: &Value) {
    if let Some(newest) = object["metadata"]["resourceVersion"].as_str() {
        *version = Some(newest.to_owned());
    }
}

/// Half to whole of the doubled pause.
fn jittered(failures: u32) -> Duration {
    let pause = (PAUSE * 2u32.saturating_pow(failures.saturating_sub(1))).min(PAUSE_MAX);
    let share = RandomState::new().hash_one(failures) % 512;
    pause / 2 + pause * u32::try_from(share).unwrap_or(0) / 1024
}

impl Shared {
    /// Takes in an object; its last words are asked for where it is a pod that has crashed.
    fn put(&self, key: &WatchKey, object: Value) -> quarterdeck_shared::resource::ResourceRef {
        let Self { live, words, .. } = self;
        words.put(live, key, object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_growing() {
        for (failures, least, most) in [(1, 250, 500), (2, 500, 1_000), (5, 4_000, 8_000), (40, 15_000, 30_000)] {
            let pause = jittered(failures).as_millis();
            assert!((least..=most).contains(&pause), "{failures}: {pause} ms");
        }
    }
}

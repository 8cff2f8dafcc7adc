//! One watch: list, then follow, for ever. Each step tells [`ObjectCache`] what it saw.
//!
//! The loop is our own, since we have to know two things that a ready-made watcher keeps to itself: when a quiet watch
//! is connected again (until then nothing of its kind counts as known), and a page of a list object by object (so
//! that 10,000 pods never lie in memory at once).

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use http::Request;
use kube::Client;
use kube::api::WatchEvent;
use kube::discovery::ApiResource;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::cache::{Put, ToldBy, Uid};
use crate::classes::Claims;
use crate::identity::{SET_BACK, Ways};
use crate::objects::{Route, collection_path, segment};
use crate::pace::{self, PAUSE_MAX, WOKEN_PAUSE};
use crate::problem::{ApiProblem, Class};
use crate::requests::get;
use crate::survey::{METADATA, accepting};
use crate::watch::Shared;
use crate::watch_set::{WatchKey, What, is_foreign};
use quarterdeck_core::render::scope::Scope;
use quarterdeck_core::sync::APPLICATION_LABEL;
use quarterdeck_core::sync::manifest::is_definition;

/// Objects of one page. Pods have some 15 KB, so a page is below 10 MB.
const PAGE: usize = 500;

/// Definitions of one page: with the record of whose fields are whose, large ones have 1 MB.
const PAGE_OF_DEFINITIONS: usize = 20;

/// The server ends a watch after this many seconds; spread, so that a thousand do not end at once.
const WATCH_SECONDS: u64 = 240;
const WATCH_SECONDS_SPREAD: u64 = 60;

/// Servers send a bookmark each minute, give or take a quarter. One that sends none for longer may be frozen, or the way to
/// it cut without a word: it is asked for its version.
const SILENCE: Duration = Duration::from_secs(90);

/// A watch that is silent for this long after its end is dead.
const GRACE: Duration = Duration::from_secs(15);

/// A watch is answered at once, however quiet it is afterwards.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a round of the watch ended.
enum End {
    /// The server ended it in good order.
    Done,
    /// It may only be watched namespace by namespace; others do that.
    Narrow,
    /// The way in leads elsewhere, or what was known of the cluster was dropped.
    Moved,
}

/// How far the watch is in the history of the cluster.
#[derive(Default)]
struct Position {
    /// The epoch of all that is here.
    epoch: u64,
    /// The ways in when it was last looked whose history it is.
    ways: Ways,
    /// Where to follow from; none where all has to be listed.
    version: Option<String>,
    /// The newest version that was seen, be it followed from or not.
    newest: u64,
    /// Whether this round was connected.
    connected: bool,
    /// When the last round that was connected ended before its time: the server may have begun anew, with another past.
    broke: Option<Instant>,
    /// Whether versions come in order: not where a list has none, and all that is there comes as news.
    ordered: bool,
    /// Whether it was listed, and not connected since.
    listed: bool,
    /// Claims that are judged once their storage class is known.
    claims: Claims,
}

/// Follows one watch until it is told that others do its work.
pub(super) async fn follow(shared: &Shared, key: &WatchKey) {
    let mut news = News::new(shared);
    let mut at = Position::default();
    let mut failures = 0;
    loop {
        news.all_seen();
        let epoch = shared.objects.clock.epoch();
        if at.epoch != epoch {
            (at, failures) = (Position { epoch, ..Position::default() }, 0);
        }
        at.connected = false;
        let began = Instant::now();
        let end = tokio::select! {
            end = round(shared, key, &mut at) => end,
            () = news.moved() => Ok(End::Moved),
        };
        let lasted = began.elapsed();
        if lasted > PAUSE_MAX {
            failures = 0;
        }
        let is_usual = matches!(end, Ok(End::Done)) && lasted.as_secs() + 1 >= WATCH_SECONDS;
        if at.connected && !is_usual {
            at.broke = Some(Instant::now());
        }
        match end {
            Ok(End::Narrow) => return,
            Ok(End::Moved) => shared.lost(key, "it is listed again"),
            Ok(End::Done) => {
                shared.lost(key, "the server ended the watch");
                failures = if lasted > PAUSE_MAX { 0 } else { failures + 1 };
                tokio::select! {
                    () = tokio::time::sleep(pace::after_end(lasted, failures)) => {}
                    () = news.moved() => {}
                }
            }
            Err(problem) => {
                failures += 1;
                take_note(shared, key, &problem, &mut at, failures);
                wait(shared, key, &problem, failures, &mut news).await;
            }
        }
    }
}

/// What happens to the cluster that ends a pause, or a round.
struct News {
    restored: watch::Receiver<u64>,
    elsewhere: watch::Receiver<u64>,
    epoch: watch::Receiver<u64>,
}

impl News {
    fn new(shared: &Shared) -> Self {
        let requests = &shared.objects.requests;
        Self {
            restored: requests.link().restored(),
            elsewhere: requests.connection().elsewhere(),
            epoch: shared.objects.clock.epochs(),
        }
    }

    /// What happened until now is no news any more.
    fn all_seen(&mut self) {
        self.restored.mark_unchanged();
        self.elsewhere.mark_unchanged();
        self.epoch.mark_unchanged();
    }

    /// The way in leads elsewhere, or what was known of the cluster was dropped.
    async fn moved(&mut self) {
        tokio::select! {
            _ = self.elsewhere.changed() => {}
            _ = self.epoch.changed() => {}
        }
    }
}

/// Says why the watch is not connected, and forgets what cannot be followed any more.
fn take_note(shared: &Shared, key: &WatchKey, problem: &ApiProblem, at: &mut Position, failures: u32) {
    // A definition that is made anew has other objects; what is too old cannot be followed.
    if matches!(problem.class, Class::Gone | Class::KindMissing) {
        at.version = None;
    }
    shared.lost(key, &reason(problem));
    tracing::debug!(%problem, kind = %key.kind, namespace = key.namespace.as_deref(), "a watch ended");
    // What the cluster is to blame for is told once, with its connection.
    if failures > 1 || problem.class == Class::Gone || problem.class.is_way_in() {
        return;
    }
    if key.what == What::Kinds {
        let kinds = key.describe();
        tracing::info!(%problem, "{kinds} not watched; a kind that is missing is looked for at each retry");
    } else {
        let hint = &*problem.hint;
        tracing::warn!(%problem, hint, "{} not watched; until they are, objects are compared every few minutes", key.describe());
    }
}

/// In a few words, for a line that says already what is not watched.
fn reason(problem: &ApiProblem) -> String {
    match problem.class {
        Class::Forbidden => {
            let verb = problem.doing.split(' ').next().unwrap_or_default();
            format!("forbidden to {verb}")
        }
        _ => problem.message.clone(),
    }
}

/// Waits until it is worth another try.
async fn wait(shared: &Shared, key: &WatchKey, problem: &ApiProblem, failures: u32, news: &mut News) {
    let tried = Instant::now();
    let is_refused = matches!(problem.class, Class::Forbidden | Class::KindMissing);
    let woken = shared.objects.waiting().wait(&key.group, &key.kind);
    if problem.class.is_way_in() {
        shared.objects.requests.suspect(problem).await;
    } else {
        // This was an answer, which may be what said that the cluster is back.
        news.restored.mark_unchanged();
    }
    let pause = pace::pause(problem.class, failures);
    let News { restored, elsewhere, epoch } = news;
    tokio::select! {
        () = tokio::time::sleep_until(tried + pause) => {}
        _ = restored.changed() => {}
        _ = elsewhere.changed() => {}
        _ = epoch.changed() => {}
        () = woken.over(), if is_refused => tokio::time::sleep_until(tried + WOKEN_PAUSE.min(pause)).await,
    }
}

/// Lists where that is needed, and follows until the end.
async fn round(shared: &Shared, key: &WatchKey, at: &mut Position) -> Result<End, ApiProblem> {
    let ways = shared.ways();
    shared.check_identity(ways, at.broke).await?;
    if at.broke.is_some() || at.ways != ways {
        // The server may have begun anew with a past that another one has overtaken: what a list says is so in any.
        at.version = None;
    }
    // The first answer ever is no restoration: it may have been to this very look.
    (at.ways, at.broke) = (shared.ways(), None);
    let began = std::time::Instant::now();
    let route = shared.objects.resource(&key.reference(), key.version.as_deref()).await?;
    let namespace = key.namespace.as_deref().filter(|_| route.scope == Scope::Namespaced);
    let selector =
        if key.what == What::Applied { format!("&labelSelector={APPLICATION_LABEL}") } else { String::new() };
    let path = collection_path(&route.resource, namespace);
    let page = match key.what {
        // Where definitions are followed from is enough of a list of them.
        What::Kinds => 1,
        _ if is_definition(&key.group, &key.kind) => PAGE_OF_DEFINITIONS,
        _ => PAGE,
    };
    let listed = match at.version {
        Some(_) => Ok(()),
        None => list(shared, key, &route, &format!("{path}?limit={page}{selector}"), at).await,
    };
    let result = match listed {
        Ok(()) => watch(shared, key, &route, &format!("{path}?watch=true{selector}"), at).await,
        Err(problem) => Err(problem),
    };
    match result {
        // Its definition may have been made anew, in another scope or version.
        Err(problem) if problem.class == Class::KindMissing => {
            let now = shared.objects.resource_since(began, &key.reference(), key.version.as_deref()).await?;
            let class = if now == route { problem.class } else { Class::Gone };
            Err(ApiProblem { class, ..problem })
        }
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
    /// Servers write a list of nothing as null.
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMetadata {
    #[serde(default)]
    resource_version: String,
    #[serde(default, rename = "continue")]
    next: String,
}

/// Lists all there is, and notes where to follow from.
async fn list(shared: &Shared, key: &WatchKey, route: &Route, path: &str, at: &mut Position) -> Result<(), ApiProblem> {
    let doing = format!("list {}", route.resource.plural);
    let bad =
        |error: serde_json::Error| ApiProblem::new(Class::Other, &*doing, format!("the answer is not a list: {error}"));
    let told = ToldBy::Listed(Instant::now());
    // Those that are there still are seen again; what is gone must not come back with its class.
    at.claims = Claims::default();
    let mut seen: HashMap<_, Uid> = HashMap::new();
    let mut is_set_back = false;
    let mut next = String::new();
    // What is asked for now is at least as new.
    let newest = if is_foreign(&key.group) { at.newest } else { shared.objects.clock.newest(at.epoch) };
    loop {
        let bytes = shared.objects.requests.bytes(&doing, asked(key, &format!("{path}{next}"), METADATA)).await?;
        let page: Page<'_> = serde_json::from_slice(&bytes).map_err(bad)?;
        if next.is_empty() {
            let version = number(&page.metadata.resource_version);
            if version.is_some_and(|version| version < newest) && !shared.ran_backwards(key).await? {
                return Err(ApiProblem::new(Class::Gone, doing, "the cluster is of an earlier time"));
            }
            (at.newest, at.ordered) = (version.unwrap_or(0), version.is_some());
            shared.objects.clock.saw(at.epoch, &key.group, at.newest);
        }
        if key.what == What::Kinds {
            // What came and went before is in no event that follows.
            shared.kinds_changed(None);
            (at.version, at.listed) = (Some(page.metadata.resource_version), true);
            return Ok(());
        }
        for item in page.items.unwrap_or_default() {
            let mut object: Value = serde_json::from_str(item.get()).map_err(bad)?;
            name_kind(&mut object, &route.resource);
            at.claims.saw(shared.cache.classes(), &shared.objects, &object).await;
            let Put { resource, uid, set_back } = shared.messages.put(&shared.cache, key, object, told);
            seen.insert(resource, uid);
            is_set_back |= set_back;
        }
        if is_set_back {
            shared.replaced(SET_BACK);
            return Err(ApiProblem::new(Class::Gone, doing, "the cluster is of an earlier time"));
        }
        if page.metadata.next.is_empty() {
            shared.cache.listed(key, &seen);
            (at.version, at.listed) = (Some(page.metadata.resource_version), true);
            return Ok(());
        }
        next = format!("&continue={}", segment(&page.metadata.next));
        // A list of many pages leaves room for others.
        tokio::task::yield_now().await;
    }
}

/// A request for objects; of definitions only their metadata, in this form.
fn asked(key: &WatchKey, path: &str, metadata: &'static str) -> Request<Bytes> {
    if key.what == What::Kinds { accepting(path, metadata) } else { get(path) }
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
    at: &mut Position,
) -> Result<(), ApiProblem> {
    let doing = format!("watch {}", route.resource.plural);
    let seconds = WATCH_SECONDS + RandomState::new().hash_one(key) % WATCH_SECONDS_SPREAD;
    let from = at.version.as_deref().filter(|version| !version.is_empty()).unwrap_or("0");
    let path = format!("{path}&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={}", segment(from));
    let failed = |error: kube::Error| ApiProblem::unanswered(&*doing, &error);
    let silent = || ApiProblem::new(Class::Timeout, &*doing, "the connection is silent");
    let request = asked(key, &path, ONE).map(|body| body.to_vec());
    let begin = |client: Client| {
        let request = request.clone();
        async move {
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, client.request_events::<Value>(request)).await;
            answer.map_err(|_| silent())?.map_err(failed)
        }
    };
    let mut events = pin!(shared.objects.requests.with(begin).await?);
    shared.connected(key);
    at.connected = true;
    if std::mem::take(&mut at.listed) {
        shared.confirm();
    }
    let limit = Duration::from_secs(seconds) + GRACE;
    let ends = Instant::now() + limit;
    let mut silent_since = Instant::now();
    loop {
        let patience = silent_since + SILENCE;
        let look = at.claims.again.map_or(patience, |again| again.min(patience));
        let event = match tokio::time::timeout_at(look, events.try_next()).await {
            Ok(event) => event.map_err(failed)?,
            Err(_) if look < patience => {
                for claim in at.claims.again(shared.cache.classes(), &shared.objects).await {
                    drop(shared.messages.put(&shared.cache, key, claim, ToldBy::Followed));
                }
                continue;
            }
            Err(_) if Instant::now() >= ends => return Err(silent()),
            Err(_) => {
                shared.objects.requests.suspect(&silent()).await;
                if shared.objects.requests.link().is_lost() {
                    return Err(silent());
                }
                silent_since = Instant::now();
                continue;
            }
        };
        silent_since = Instant::now();
        let Some(event) = event else { return Ok(()) };
        let (version, object) = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => (version_of(&object), Some((object, true))),
            WatchEvent::Deleted(object) => (version_of(&object), Some((object, false))),
            WatchEvent::Bookmark(bookmark) => (bookmark.metadata.resource_version, None),
            WatchEvent::Error(status) => return Err(ApiProblem::answered(&*doing, status.code, &status)),
        };
        if !at.moves_to(version) && !shared.ran_backwards(key).await? {
            return Err(ApiProblem::new(Class::Gone, doing, "the cluster is of an earlier time"));
        }
        shared.objects.clock.saw(at.epoch, &key.group, at.newest);
        match object {
            Some((object, _)) if key.what == What::Kinds => {
                shared.kinds_changed(object["metadata"]["name"].as_str());
                continue;
            }
            Some((object, true)) => {
                at.claims.saw(shared.cache.classes(), &shared.objects, &object).await;
                drop(shared.messages.put(&shared.cache, key, object, ToldBy::Followed));
            }
            Some((object, false)) => {
                at.claims.lost(&object);
                shared.cache.remove(key, &object);
            }
            None => continue,
        }
        if is_definition(&key.group, &key.kind) {
            shared.objects.kinds_changed();
        }
    }
}

/// An object without its content.
const ONE: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

fn version_of(object: &Value) -> String {
    object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned()
}

/// Resource versions are numbers that grow (promised since Kubernetes 1.35, and so before).
fn number(version: &str) -> Option<u64> {
    version.parse().ok()
}

impl Position {
    /// Takes the next version that the watch tells of. False where it is one before the last: the history of this cluster
    /// is another.
    fn moves_to(&mut self, version: String) -> bool {
        if version.is_empty() {
            return true;
        }
        let now = number(&version).unwrap_or(0);
        let is_backwards = self.ordered && now > 0 && now < self.newest;
        self.newest = now;
        self.version = Some(version);
        !is_backwards
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_runs_backwards_is_noticed() {
        for (ordered, newest, version, forward, then) in [
            (true, 7, "8", true, 8),
            (true, 7, "7", true, 7),
            (true, 7, "6", false, 6),
            (true, 7, "", true, 7),
            (true, 7, "a", true, 0),
            (true, 0, "6", true, 6),
            (false, 7, "6", true, 6),
        ] {
            let mut at = Position { newest, ordered, ..Position::default() };
            assert_eq!((at.moves_to(version.to_owned()), at.newest), (forward, then), "{newest} {version}");
        }
    }
}

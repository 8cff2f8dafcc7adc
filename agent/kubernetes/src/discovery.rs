//! The kinds that an API server knows: their paths and whether they live in namespaces. Asked once (two requests), and
//! again when a kind is missing, when the server does not know what it knew, and when a CRD was written.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::Client;
use kube::discovery::{ApiResource, Discovery, Scope as KubeScope, verbs};

use crate::problem::{ApiProblem, Class};
use crate::requests::Requests;
use crate::waiting::Waiting;
use quarterdeck_core::render::scope::Scope;

/// A kind that is not known is asked for again after this long at the earliest: a manifest with a typing error must
/// not become two requests an attempt, and a CRD that somebody installs is seen at once for a person.
const AGAIN: Duration = Duration::from_secs(5);

/// Discovery of a cluster with some hundred CRDs is a few MB.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A kind as the API server serves it.
#[derive(Debug, Clone, PartialEq)]
pub struct Kind {
    /// Where its objects live.
    pub scope: Scope,
    /// What the paths of its objects are made of, for each version; the preferred version first.
    pub versions: Vec<ApiResource>,
    /// Whether its objects can be listed: a review or a binding is asked for and never kept.
    pub lists: bool,
    /// Whether its objects tell a status: it is a subresource of theirs.
    pub status: bool,
}

impl Kind {
    /// The resource for this version.
    pub fn version(&self, version: &str) -> Option<&ApiResource> {
        self.versions.iter().find(|resource| resource.version == version)
    }
}

/// All kinds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kinds {
    /// By group and kind.
    all: HashMap<(String, String), Kind>,
    /// Of [`Kinds::api_versions`].
    digest: u64,
}

impl Kinds {
    pub(super) fn new(all: HashMap<(String, String), Kind>) -> Self {
        let kinds = Self { all, digest: 0 };
        let mut hasher = DefaultHasher::new();
        kinds.api_versions().hash(&mut hasher);
        Self { digest: hasher.finish(), ..kinds }
    }

    /// A kind.
    pub fn get(&self, group: &str, kind: &str) -> Option<&Kind> {
        self.all.get(&(group.to_owned(), kind.to_owned()))
    }

    /// All of them whose objects can be listed.
    pub fn listed(&self) -> impl Iterator<Item = &Kind> {
        self.all.values().filter(|kind| kind.lists)
    }

    /// A number for all versions and kinds that are served: within one process the same for the same.
    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    /// Every version that is served and every kind of it, as charts ask for them: `apps/v1`, `apps/v1/Deployment`; sorted.
    pub fn api_versions(&self) -> Vec<String> {
        let resources = self.all.values().flat_map(|kind| &kind.versions);
        let both = |one: &ApiResource| [one.api_version.clone(), format!("{}/{}", one.api_version, one.kind)];
        resources.flat_map(both).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Where objects of the kind live.
    pub fn scope(&self, group: &str, kind: &str) -> Option<Scope> {
        self.get(group, kind).map(|kind| kind.scope)
    }
}

/// What was last asked.
#[derive(Default)]
pub(super) struct Cache {
    known: Mutex<Known>,
    asking: tokio::sync::Mutex<()>,
    /// Who waits for a kind that is not served, or may not be watched.
    pub(super) waiting: Waiting,
}

#[derive(Default)]
struct Known {
    /// The kinds, and when they were asked for: an answer is as old as its question.
    kinds: Option<(Instant, Arc<Kinds>)>,
    /// What was asked before is not to be relied on.
    stale: Option<Instant>,
}

impl Cache {
    /// The kinds, asked for where that was never done.
    pub(super) async fn kinds(&self, requests: &Requests) -> Result<Arc<Kinds>, ApiProblem> {
        match self.present(None) {
            Some(kinds) => Ok(kinds),
            None => self.ask(requests, None).await,
        }
    }

    /// The kinds as they are now, unless they were asked for a moment ago.
    pub(super) async fn newer(&self, requests: &Requests) -> Result<Arc<Kinds>, ApiProblem> {
        self.ask(requests, Some(AGAIN)).await
    }

    /// The kinds as they are now: a CRD was applied.
    pub(super) async fn now(&self, requests: &Requests) -> Result<Arc<Kinds>, ApiProblem> {
        self.ask(requests, Some(Duration::ZERO)).await
    }

    /// The kinds as they were at this time or later: the server did not know one of those that are kept. Who finds out at
    /// the same time asks once.
    pub(super) async fn since(&self, requests: &Requests, since: Instant) -> Result<Arc<Kinds>, ApiProblem> {
        self.stale_since(since);
        self.ask(requests, None).await
    }

    /// Kinds may have come, gone or changed: who asks next asks the cluster.
    pub(super) fn stale(&self) {
        self.stale_since(Instant::now());
    }

    fn stale_since(&self, since: Instant) {
        let mut known = self.known();
        known.stale = known.stale.max(Some(since));
    }

    /// The kinds that were asked for last, if ever: nobody is asked.
    pub(super) fn known_kinds(&self) -> Option<Arc<Kinds>> {
        self.known().kinds.as_ref().map(|(_, kinds)| kinds.clone())
    }

    /// The kinds are of another cluster.
    pub(super) fn forget(&self) {
        *self.known() = Known::default();
    }

    fn present(&self, younger_than: Option<Duration>) -> Option<Arc<Kinds>> {
        let known = self.known();
        let (at, kinds) = known.kinds.as_ref()?;
        let is_stale = known.stale.is_some_and(|stale| *at <= stale);
        (!is_stale && younger_than.is_none_or(|limit| at.elapsed() < limit)).then(|| kinds.clone())
    }

    async fn ask(&self, requests: &Requests, younger_than: Option<Duration>) -> Result<Arc<Kinds>, ApiProblem> {
        let _one_at_a_time = self.asking.lock().await;
        if let Some(kinds) = self.present(younger_than) {
            return Ok(kinds);
        }
        let at = Instant::now();
        let kinds = Arc::new(discover(requests).await?);
        let before = self.known().kinds.replace((at, kinds.clone()));
        if before.is_some_and(|(_, before)| before != kinds) {
            self.waiting.wake_all();
        }
        Ok(kinds)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(client: Client) -> kube::Result<Discovery> {
    match Discovery::new(client.clone()).run_aggregated().await {
        // Servers before 1.26 answer in the old way, or not at all.
        Err(kube::Error::SerdeError(_)) => Discovery::new(client).run().await,
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 406 | 415) => Discovery::new(client).run().await,
        other => other,
    }
}

async fn discover(requests: &Requests) -> Result<Kinds, ApiProblem> {
    let doing = "ask the cluster for its kinds";
    let late = |_| ApiProblem::new(Class::Timeout, doing, format!("no answer within {} s", TIMEOUT.as_secs()));
    let ask = |client| async move {
        let asked = tokio::time::timeout(TIMEOUT, ask(client)).await.map_err(late)?;
        asked.map_err(|error| ApiProblem::unanswered(doing, &error))
    };
    let discovery = requests.with(ask).await?;
    let mut kinds: HashMap<(String, String), Kind> = HashMap::new();
    for group in discovery.groups() {
        let preferred = group.preferred_version_or_latest().to_owned();
        let mut versions: Vec<&str> = group.versions().collect();
        versions.sort_by_key(|version| *version != preferred);
        for (resource, capabilities) in versions.into_iter().flat_map(|version| group.versioned_resources(version)) {
            let scope = match capabilities.scope {
                KubeScope::Namespaced => Scope::Namespaced,
                KubeScope::Cluster => Scope::Cluster,
            };
            let key = (resource.group.clone(), resource.kind.clone());
            let kind =
                kinds.entry(key).or_insert_with(|| Kind { scope, versions: Vec::new(), lists: false, status: false });
            kind.versions.push(resource);
            kind.lists |= capabilities.supports_operation(verbs::LIST);
            kind.status |= capabilities.subresources.iter().any(|(below, _)| below.plural == "status");
        }
    }
    Ok(Kinds::new(kinds))
}

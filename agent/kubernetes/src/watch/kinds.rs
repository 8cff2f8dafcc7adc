//! The kinds that environments use and that not every cluster serves: when one of them comes, goes or changes, the
//! environments that use it are told.
//!
//! ```text
//! pass -> Uses (kinds as they were when it rendered) --+
//! watches of CRDs and APIServices -> a group has news -+-> look: discovery -> whose kinds differ -> ClusterChange::Kinds
//! ```
//!
//! The watches tell names alone (metadata), and run only while some environment uses such a kind. Discovery is not
//! polled: it is asked after news, a few times, since it follows a definition by a moment. Where the definitions may not be
//! watched the passes of who waits ask for themselves, as often as a failed pass is tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quarterdeck_shared::application::EnvironmentId;
use tokio::sync::Notify;

use crate::changes::ClusterChange;
use crate::discovery::{Kind, Kinds};
use crate::watch::Shared;
use crate::watch_set::{WatchKey, What};
use quarterdeck_core::render::scope::builtin;

/// When discovery is asked after news, each counted from the one before: the API server takes up a definition within some
/// 100 ms, and the kinds of another API server when that one answers. The last two are for who still waits for a kind.
const POLLS: [Duration; 4] =
    [Duration::from_millis(300), Duration::from_millis(1_500), Duration::from_secs(3), Duration::from_secs(5)];

/// Definitions come by the hundred: however many do, discovery (some MB in a large cluster) is asked this often at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What says that the kinds of a group are others: group and kind of the objects that are watched. The second is there for
/// API servers beside Kubernetes' own.
const DEFINED_BY: [(&str, &str); 2] =
    [("apiextensions.k8s.io", "CustomResourceDefinition"), ("apiregistration.k8s.io", "APIService")];

/// A kind that an environment uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// Its group.
    pub group: String,
    /// Its name.
    pub kind: String,
    /// The version in which it is written.
    pub version: String,
}

impl Use {
    /// A kind that not every cluster serves; none for the others, and for what no definition could bring.
    pub fn new(group: &str, kind: &str, version: &str) -> Option<Self> {
        // The group of a definition is the name of a domain.
        let is_custom = group.contains('.') && builtin(group, kind).is_none();
        is_custom.then(|| Self { group: group.to_owned(), kind: kind.to_owned(), version: version.to_owned() })
    }

    fn is_served(&self, kinds: &Kinds) -> bool {
        kinds.get(&self.group, &self.kind).is_some_and(|kind| kind.version(&self.version).is_some())
    }
}

/// What an environment uses of what a cluster serves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Used {
    /// Kinds of its objects that not every cluster serves.
    pub kinds: BTreeSet<Use>,
    /// Whether it was rendered by what is served at all, used or not.
    pub all: bool,
}

/// Who uses which kinds.
#[derive(Default)]
pub(crate) struct Uses {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    /// What each environment uses, as it was served when it was last rendered.
    used: BTreeMap<EnvironmentId, Served>,
    /// The watches that tell of news now.
    connected: BTreeSet<WatchKey>,
}

/// How what is used was served.
struct Served {
    kinds: BTreeMap<Use, Option<Kind>>,
    /// Of all versions and kinds, for who asks for all.
    all: Option<u64>,
}

impl Served {
    fn new(used: Used, kinds: &Kinds) -> Self {
        let served = |one: Use| {
            let kind = kinds.get(&one.group, &one.kind).cloned();
            (one, kind)
        };
        Self { kinds: used.kinds.into_iter().map(served).collect(), all: used.all.then(|| kinds.digest()) }
    }

    fn is_other(&self, kinds: &Kinds) -> bool {
        self.kinds.iter().any(|(one, kind)| kinds.get(&one.group, &one.kind) != kind.as_ref())
            || self.all.is_some_and(|all| all != kinds.digest())
    }
}

impl Uses {
    /// An environment uses these kinds, which are served so. True where others have to be watched now.
    pub(crate) fn set(&self, environment: &EnvironmentId, used: Used, kinds: &Kinds) -> bool {
        let mut state = self.state();
        let before = !state.used.is_empty();
        match used == Used::default() {
            true => drop(state.used.remove(environment)),
            false => drop(state.used.insert(environment.clone(), Served::new(used, kinds))),
        }
        before == state.used.is_empty()
    }

    /// Whether the kinds of the environment are served otherwise than when it was rendered.
    pub(crate) fn differ(&self, environment: &EnvironmentId, kinds: &Kinds) -> bool {
        self.state().used.get(environment).is_some_and(|served| served.is_other(kinds))
    }

    /// The watches that are needed.
    pub(super) fn wanted(&self) -> Vec<WatchKey> {
        if self.state().used.is_empty() {
            return Vec::new();
        }
        let key = |(group, kind): (&str, &str)| WatchKey {
            what: What::Kinds,
            group: group.to_owned(),
            kind: kind.to_owned(),
            version: None,
            namespace: None,
        };
        DEFINED_BY.into_iter().map(key).collect()
    }

    /// A watch is connected, or not any more.
    pub(super) fn covers(&self, key: &WatchKey, connected: bool) {
        let mut state = self.state();
        match connected {
            true => drop(state.connected.insert(key.clone())),
            false => drop(state.connected.remove(key)),
        }
    }

    /// Whether what discovery said last is so until a watch says otherwise.
    pub(crate) fn are_covered(&self) -> bool {
        self.state().connected.len() == DEFINED_BY.len()
    }

    /// A definition of this name came, changed or went, or any may have: `boats.sea.example`, `v1beta1.metrics.k8s.io`.
    pub(super) fn changed(&self, name: Option<&str>) {
        let group = name.map(|name| name.split_once('.').map_or("", |(_, group)| group));
        let is_used = |one: &Use| group.is_none_or(|group| group == one.group);
        let concerns = |served: &Served| served.all.is_some() || served.kinds.keys().any(is_used);
        if self.state().used.values().any(concerns) {
            self.news.notify_one();
        }
    }

    fn differing(&self, kinds: &Kinds) -> Vec<EnvironmentId> {
        let state = self.state();
        let differing = state.used.iter().filter(|(_, served)| served.is_other(kinds));
        differing.map(|(environment, _)| environment.clone()).collect()
    }

    /// Whether somebody waits for a kind.
    fn is_awaited(&self, kinds: &Kinds) -> bool {
        self.state().used.values().flat_map(|served| served.kinds.keys()).any(|one| !one.is_served(kinds))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks discovery after each news, and tells whose kinds differ. Where it does not answer the watches list anew when it
/// does again, which is news.
pub(super) async fn poll(shared: Arc<Shared>) {
    let uses = &shared.uses;
    loop {
        uses.news.notified().await;
        let mut polls = 0;
        while let Some(pause) = POLLS.get(polls) {
            tokio::select! {
                () = tokio::time::sleep(*pause) => polls += 1,
                () = uses.news.notified() => {
                    tokio::time::sleep(LOOK_EVERY).await;
                    polls = 1;
                }
            }
            let kinds = match shared.objects.kinds_now().await {
                Ok(kinds) => kinds,
                Err(problem) => {
                    tracing::debug!(%problem, "the kinds of the cluster are not known");
                    continue;
                }
            };
            let differing = uses.differing(&kinds);
            let is_seen = polls > 1 || !differing.is_empty();
            shared.cache.outbox.push(differing.into_iter().map(|environment| ClusterChange::Kinds { environment }));
            if is_seen && !uses.is_awaited(&kinds) {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use kube::api::GroupVersionKind;
    use kube::discovery::ApiResource;
    use quarterdeck_core::render::scope::Scope;

    use super::*;

    fn uses(all: &[(&str, &str)]) -> Used {
        Used { kinds: all.iter().filter_map(|(group, kind)| Use::new(group, kind, "v1")).collect(), all: false }
    }

    #[test]
    fn only_what_a_definition_could_bring_is_waited_for() {
        for (group, kind, is_custom) in [
            ("sea.example", "Boat", true),
            ("gateway.networking.k8s.io", "Gateway", true),
            ("networking.k8s.io", "Ingress", false),
            ("apps", "Deploymnet", false),
            ("", "ConfigMapp", false),
        ] {
            assert_eq!(Use::new(group, kind, "v1").is_some(), is_custom, "{group} {kind}");
        }
    }

    #[test]
    fn definitions_are_watched_while_somebody_uses_one() {
        let (known, [shop, blog]) = (Uses::default(), ["shop/prod", "blog/prod"].map(|id| id.parse().unwrap()));
        let kinds = Kinds::default();
        for (environment, used, moved, watches) in [
            (&shop, uses(&[("", "ConfigMap")]), false, 0),
            (&shop, uses(&[("sea.example", "Boat")]), true, 2),
            (&blog, uses(&[("sea.example", "Boat")]), false, 2),
            (&shop, Used::default(), false, 2),
            (&blog, Used::default(), true, 0),
            (&blog, Used { all: true, ..Used::default() }, true, 2),
        ] {
            assert_eq!((known.set(environment, used, &kinds), known.wanted().len()), (moved, watches));
        }
    }

    #[test]
    fn who_asks_for_all_is_told_of_any_kind() {
        let boats = Kind { scope: Scope::Namespaced, versions: Vec::new(), lists: true, status: false };
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("sea.example", "v1", "Boat"));
        let boats = Kind { versions: vec![resource], ..boats };
        let none = Kinds::new(HashMap::new());
        let some = Kinds::new([(("sea.example".to_owned(), "Boat".to_owned()), boats)].into());
        let (known, shop) = (Uses::default(), "shop/prod".parse().unwrap());
        for (used, is_other) in [
            (Used { all: true, ..Used::default() }, true),
            (uses(&[("land.example", "Car")]), false),
            (uses(&[("sea.example", "Boat")]), true),
        ] {
            known.set(&shop, used, &none);
            assert!(!known.differ(&shop, &none));
            assert_eq!(known.differ(&shop, &some), is_other);
        }
    }

    #[test]
    fn news_of_a_group_that_nobody_uses_are_none() {
        use futures::FutureExt as _;
        let known = Uses::default();
        for (all, name, is_news) in [
            (false, Some("boats.sea.example"), true),
            (false, Some("v1.sea.example"), true),
            (false, Some("cars.land.example"), false),
            (false, Some("v1."), false),
            (false, None, true),
            (true, Some("cars.land.example"), true),
        ] {
            let used = Used { all, ..uses(&[("sea.example", "Boat")]) };
            known.set(&"shop/prod".parse().unwrap(), used, &Kinds::default());
            known.changed(name);
            assert_eq!(known.news.notified().now_or_never().is_some(), is_news, "{all} {name:?}");
        }
    }
}

//! Which watches the environments need: decided from what they have in the cluster, and nothing more is watched.
//!
//! - For each kind (and version) of applied objects: one watch over all namespaces of what carries our label, or one a
//!   namespace where RBAC forbids that.
//! - Where workloads live: pods, the ReplicaSets of Deployments and the Jobs of CronJobs, since these carry no label of
//!   ours and are known by their owners. One watch a namespace, or over all where there are many namespaces: a
//!   connection each costs more than reading past the pods of others.

use std::collections::{BTreeMap, BTreeSet};

use quarterdeck_shared::resource::{InventoryItem, ResourceRef, plural};

/// Up to this many namespaces are watched one by one.
const NAMESPACES_MAX: usize = 8;

/// What a watch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum What {
    /// Objects that carry our label.
    Applied,
    /// ReplicaSets and Jobs: they stand between an applied object and its pods.
    Between,
    /// Pods.
    Pods,
    /// What defines kinds: that something of a name changed, and nothing of what it is.
    Kinds,
}

/// A watch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct WatchKey {
    /// What it is for.
    pub(super) what: What,
    /// API group.
    pub(super) group: String,
    /// Kind.
    pub(super) kind: String,
    /// The version that it is asked in; the preferred one where absent. Applied objects are watched in the version that
    /// they are applied in, since what is ours in them is kept in that version.
    pub(super) version: Option<String>,
    /// All namespaces where absent.
    pub(super) namespace: Option<String>,
}

impl WatchKey {
    /// The kind, as [`WatchKey::namespace`] and version may vary.
    pub(super) fn reference(&self) -> ResourceRef {
        ResourceRef::new(&self.group, &self.kind, self.namespace.as_deref(), "")
    }

    /// `ConfigMaps in namespace shop`, `pods`.
    pub(super) fn describe(&self) -> String {
        let kind = match (self.what, self.kind.as_str()) {
            (What::Pods, _) => "pods".to_owned(),
            (_, kind) => plural(kind),
        };
        match &self.namespace {
            Some(namespace) => format!("{kind} in namespace {namespace}"),
            None => kind,
        }
    }

    /// Whether it would tell of objects in this namespace.
    pub(super) fn covers(&self, namespace: Option<&str>) -> bool {
        self.namespace.is_none() || self.namespace.as_deref() == namespace
    }
}

/// What decides which watch an object needs: group, kind, version, namespace.
type Scope = (String, String, String, Option<String>);

/// Scopes: two environments with the same need the same watches.
pub(super) type Scopes = BTreeSet<Scope>;

/// The places of these objects.
pub(super) fn scopes<'a>(items: impl IntoIterator<Item = &'a InventoryItem>) -> Scopes {
    let place = |item: &InventoryItem| {
        let ResourceRef { group, kind, namespace, .. } = item.resource.clone();
        (group, kind, item.version.clone(), namespace)
    };
    items.into_iter().map(place).collect()
}

/// Whether what is claimed of objects in these places stands on this watch: it tells of the objects themselves, of what
/// stands between them and their pods, or of the pods.
pub(super) fn stands_on(scopes: &Scopes, watch: &WatchKey) -> bool {
    scopes.iter().any(|(group, kind, version, namespace)| {
        if !watch.covers(namespace.as_deref()) {
            return false;
        }
        let is_of = |of: (&str, &str)| (watch.group.as_str(), watch.kind.as_str()) == of;
        match watch.what {
            What::Applied => is_of((group, kind)) && watch.version.as_ref().is_none_or(|asked| asked == version),
            What::Between => {
                namespace.is_some() && makes(group, kind).is_some_and(|steps| steps.iter().any(|s| is_of(*s)))
            }
            What::Pods => namespace.is_some() && makes(group, kind).is_some(),
            What::Kinds => false,
        }
    })
}

/// Where environments live, and how many do: a fleet in one namespace needs the same watches as its first.
#[derive(Debug, Default)]
pub(super) struct Inhabited(BTreeMap<Scope, usize>);

impl Inhabited {
    /// An environment lives in other places than before. True where one of them was empty, or one is empty now.
    pub(super) fn moves(&mut self, before: &Scopes, now: &Scopes) -> bool {
        let mut moved = false;
        for place in now.difference(before) {
            let count = self.0.entry(place.clone()).or_default();
            *count += 1;
            moved |= *count == 1;
        }
        for place in before.difference(now) {
            let Some(count) = self.0.get_mut(place) else { continue };
            *count -= 1;
            if *count == 0 {
                self.0.remove(place);
                moved = true;
            }
        }
        moved
    }

    /// All of them.
    pub(super) fn scopes(&self) -> Scopes {
        self.0.keys().cloned().collect()
    }
}

/// The kinds, by purpose, group and kind, for which watching all namespaces is forbidden.
pub(super) type Narrow = BTreeSet<(What, String, String)>;

/// The watches for these places.
pub(super) fn wanted(scopes: &Scopes, narrow: &Narrow) -> BTreeSet<WatchKey> {
    let mut applied: BTreeMap<(&str, &str, &str), BTreeSet<Option<&str>>> = BTreeMap::new();
    let mut between: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    let mut pods: BTreeSet<&str> = BTreeSet::new();
    for (group, kind, version, namespace) in scopes {
        applied.entry((group, kind, version)).or_default().insert(namespace.as_deref());
        let Some(namespace) = namespace else { continue };
        let makes = makes(group, kind);
        if makes.is_some() {
            pods.insert(namespace);
        }
        for step in makes.unwrap_or_default() {
            between.entry(*step).or_default().insert(namespace);
        }
    }
    let mut keys = BTreeSet::new();
    for ((group, kind, version), namespaces) in applied {
        // What has no namespace although its kind lives in one is of a time when the kind did not: it is nowhere now.
        let one_by_one = is_narrow(narrow, What::Applied, group, kind);
        spread(&mut keys, What::Applied, (group, kind, Some(version)), namespaces.into_iter().flatten(), one_by_one);
    }
    let steps = between.into_iter().map(|(step, namespaces)| (What::Between, step, namespaces));
    for (what, (group, kind), namespaces) in steps.chain([(What::Pods, ("", "Pod"), pods)]) {
        if !namespaces.is_empty() {
            let one_by_one = namespaces.len() <= NAMESPACES_MAX || is_narrow(narrow, what, group, kind);
            spread(&mut keys, what, (group, kind, None), namespaces.into_iter(), one_by_one);
        }
    }
    keys
}

fn is_narrow(narrow: &Narrow, what: What, group: &str, kind: &str) -> bool {
    narrow.contains(&(what, group.to_owned(), kind.to_owned()))
}

fn spread<'a>(
    keys: &mut BTreeSet<WatchKey>,
    what: What,
    (group, kind, version): (&str, &str, Option<&str>),
    namespaces: impl Iterator<Item = &'a str>,
    one_by_one: bool,
) {
    let key = |namespace: Option<&str>| WatchKey {
        what,
        group: group.to_owned(),
        kind: kind.to_owned(),
        version: version.map(str::to_owned),
        namespace: namespace.map(str::to_owned),
    };
    if one_by_one {
        keys.extend(namespaces.map(|namespace| key(Some(namespace))));
    } else {
        keys.insert(key(None));
    }
}

/// Groups of Kubernetes' own have no dot, or end so.
pub(super) fn is_foreign(group: &str) -> bool {
    group.contains('.') && !group.ends_with(".k8s.io")
}

/// What stands between objects of this kind and pods of theirs; none where it makes no pods.
fn makes(group: &str, kind: &str) -> Option<&'static [(&'static str, &'static str)]> {
    const REPLICA_SET: (&str, &str) = ("apps", "ReplicaSet");
    const JOB: (&str, &str) = ("batch", "Job");
    match (group, kind) {
        ("apps", "Deployment") => Some(&[REPLICA_SET]),
        ("batch", "CronJob") => Some(&[JOB]),
        ("apps", "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch", "Job") => Some(&[]),
        ("", "Pod" | "ReplicationController") => Some(&[]),
        // Any other kind may make pods as it likes.
        (group, _) if is_foreign(group) => Some(&[REPLICA_SET, JOB]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(objects: &[&str], narrow: &[(What, &str, &str)], expected: &[&str]) {
        let items: Vec<InventoryItem> = objects
            .iter()
            .map(|text| {
                let parts: Vec<&str> = text.split('/').collect();
                let resource = ResourceRef::new(parts[0], parts[1], Some(parts[2]), "x");
                InventoryItem { resource, version: "v1".to_owned() }
            })
            .collect();
        let narrow = narrow.iter().map(|(what, g, k)| (*what, (*g).to_owned(), (*k).to_owned())).collect();
        let got: Vec<String> = wanted(&scopes(&items), &narrow)
            .into_iter()
            .map(|key| format!("{:?} {} in {}", key.what, key.kind, key.namespace.as_deref().unwrap_or("all")))
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn only_what_applications_have_is_watched() {
        check(&[], &[], &[]);
        check(
            &["/ConfigMap/a", "/ConfigMap/b", "/Namespace/"],
            &[],
            &["Applied ConfigMap in all", "Applied Namespace in all"],
        );
        check(
            &["apps/Deployment/a", "batch/CronJob/b", "apps/StatefulSet/a"],
            &[],
            &[
                "Applied Deployment in all",
                "Applied StatefulSet in all",
                "Applied CronJob in all",
                "Between ReplicaSet in a",
                "Between Job in b",
                "Pods Pod in a",
                "Pods Pod in b",
            ],
        );
        check(
            &["example.com/Shop/a"],
            &[],
            &["Applied Shop in all", "Between ReplicaSet in a", "Between Job in a", "Pods Pod in a"],
        );
    }

    #[test]
    fn what_is_forbidden_over_all_namespaces_is_watched_in_each() {
        check(
            &["/ConfigMap/a", "/ConfigMap/b", "/Secret/a"],
            &[(What::Applied, "", "ConfigMap")],
            &["Applied ConfigMap in a", "Applied ConfigMap in b", "Applied Secret in all"],
        );
    }

    #[test]
    fn what_is_watched_is_told_as_people_write_it() {
        for (kind, namespace, words) in [
            ("ConfigMap", Some("shop"), "ConfigMaps in namespace shop"),
            ("NetworkPolicy", None, "NetworkPolicies"),
            ("Ingress", None, "Ingresses"),
            ("Endpoints", None, "Endpoints"),
            ("Gateway", None, "Gateways"),
        ] {
            let namespace = namespace.map(str::to_owned);
            let (group, kind) = (String::new(), kind.to_owned());
            assert_eq!(WatchKey { what: What::Applied, group, kind, version: None, namespace }.describe(), words);
        }
    }

    #[test]
    fn many_namespaces_share_one_watch() {
        let many: Vec<String> = (0..=NAMESPACES_MAX).map(|n| format!("apps/StatefulSet/n{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        check(&many, &[], &["Applied StatefulSet in all", "Pods Pod in all"]);
        let narrow = [(What::Pods, "", "Pod"), (What::Applied, "apps", "StatefulSet")];
        let items: Vec<InventoryItem> = many
            .iter()
            .map(|text| InventoryItem {
                resource: ResourceRef::new("apps", "StatefulSet", text.rsplit('/').next(), "x"),
                version: "v1".to_owned(),
            })
            .collect();
        let narrow = narrow.iter().map(|(what, g, k)| (*what, (*g).to_owned(), (*k).to_owned())).collect();
        assert_eq!(wanted(&scopes(&items), &narrow).len(), 2 * (NAMESPACES_MAX + 1));
    }
}

//! What cannot be seen, and what that makes of what is shown, for tables and screens alike. Pure.
//!
//! The agent says which cover of an environment is gone. What stands under it is what was so when it was last seen, and is
//! marked as such by one rule, whether a watch is missing or the whole cluster.

use std::borrow::Cow;

use jiff::Timestamp;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::snapshot::{ApplicationStatus, Cover, EnvironmentStatus, PodStatus, Unseen};

/// The first of these under which objects of a kind in a namespace stand.
pub fn over<'a>(unseen: &'a [Unseen], kind: &str, namespace: Option<&str>) -> Option<&'a Unseen> {
    unseen.iter().find(|unseen| match unseen.of {
        Cover::Cluster => true,
        Cover::Watch => is_watch_of(&unseen.what, kind, namespace),
        Cover::Repository | Cover::Artifact | Cover::Source | Cover::Chart | Cover::PullSecret => false,
    })
}

/// What a pod stands under of what its environment cannot see.
pub fn over_pod<'a>(environment: &'a EnvironmentStatus, pod: &PodStatus) -> Option<&'a Unseen> {
    over(&environment.unseen, "Pod", Some(&pod.namespace))
}

/// What an object stands under of what its environment cannot see.
pub fn over_resource<'a>(environment: &'a EnvironmentStatus, resource: &ResourceRef) -> Option<&'a Unseen> {
    over(&environment.unseen, &resource.kind, resource.namespace.as_deref())
}

/// Whether `ConfigMaps in namespace shop`, or `pods` in all namespaces, names the watch of such objects.
fn is_watch_of(what: &str, kind: &str, namespace: Option<&str>) -> bool {
    let (kinds, of) = what.split_once(" in namespace ").map_or((what, None), |(kinds, of)| (kinds, Some(of)));
    (of.is_none() || of == namespace) && is_plural(&kinds.to_ascii_lowercase(), &kind.to_ascii_lowercase())
}

/// `ingresses` of `ingress`, `networkpolicies` of `networkpolicy`, `endpoints` of `endpoints`.
fn is_plural(many: &str, one: &str) -> bool {
    let Some(ending) = many.strip_prefix(one) else {
        return one.strip_suffix('y').is_some_and(|stem| many.strip_prefix(stem) == Some("ies"));
    };
    matches!(ending, "" | "s" | "es")
}

/// `ConfigMaps in namespace shop not watched: forbidden, last seen 40s ago`. `ago` says how long ago a moment was.
pub fn line(unseen: &Unseen, ago: impl FnOnce(Timestamp) -> String) -> String {
    // It is not looked at, but made.
    if unseen.of == Cover::PullSecret {
        return unseen.describe();
    }
    format!("{}, {}", unseen.describe(), last_seen(unseen, ago))
}

/// `last seen 40s ago`.
pub fn last_seen(unseen: &Unseen, ago: impl FnOnce(Timestamp) -> String) -> String {
    unseen.last_seen.map_or("never seen".to_owned(), |at| format!("last seen {}", ago(at)))
}

/// Why an environment is as it is; where that is what cannot be seen, also since when, and what it was then.
pub fn message(environment: &EnvironmentStatus, ago: impl FnOnce(Timestamp) -> String) -> Cow<'_, str> {
    let Some(unseen) = cause(environment) else { return Cow::Borrowed(&environment.message) };
    let was = was(environment).map(|was| format!("; {was}")).unwrap_or_default();
    Cow::Owned(format!("{}{was}", line(unseen, ago)))
}

/// What is wrong with an application itself: why it is not operated, else what of its code cannot be seen.
pub fn of_application(application: &ApplicationStatus, ago: impl FnOnce(Timestamp) -> String) -> Cow<'_, str> {
    match application.unseen.first().filter(|_| application.message.is_empty()) {
        Some(unseen) => Cow::Owned(line(unseen, ago)),
        None => Cow::Borrowed(&application.message),
    }
}

/// What of this cannot be seen is why it is as it is.
pub fn cause(environment: &EnvironmentStatus) -> Option<&Unseen> {
    environment.unseen.iter().find(|unseen| unseen.describe() == environment.message)
}

/// `was Synced, Healthy`: as it was last known, where something of it is Unknown by what cannot be seen.
pub fn was(environment: &EnvironmentStatus) -> Option<String> {
    environment.last_known.map(|known| format!("was {}, {}", known.sync, known.health))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;
    use quarterdeck_shared::status::Health;

    #[test]
    fn a_watch_is_over_the_objects_of_its_kind_and_place() {
        for (what, kind, namespace, is_over) in [
            ("ConfigMaps in namespace shop", "ConfigMap", Some("shop"), true),
            ("ConfigMaps in namespace shop", "ConfigMap", Some("other"), false),
            ("ConfigMaps in namespace shop", "ConfigMap", None, false),
            ("pods in namespace shop", "Pod", Some("shop"), true),
            ("pods", "Pod", Some("any"), true),
            ("NetworkPolicies", "NetworkPolicy", Some("shop"), true),
            ("Ingresses", "Ingress", Some("shop"), true),
            ("Endpoints", "Endpoints", Some("shop"), true),
            ("PodDisruptionBudgets", "Pod", Some("shop"), false),
            ("Namespaces", "Namespace", None, true),
        ] {
            let unseen = fixture::unseen(Cover::Watch, what, "forbidden", 40);
            assert_eq!(over(&[unseen], kind, namespace).is_some(), is_over, "{what} {kind} {namespace:?}");
        }
        let cluster = fixture::unseen(Cover::Cluster, "cluster prod", "refused", 40);
        assert!(over(&[cluster], "ConfigMap", Some("shop")).is_some());
        let repository = fixture::unseen(Cover::Repository, "repository /x", "gone", 40);
        assert!(over(&[repository], "ConfigMap", Some("shop")).is_none());
    }

    #[test]
    fn a_message_says_since_when_and_what_was_known_then() {
        let unseen = fixture::unseen(Cover::Watch, "pods in namespace shop", "forbidden", 40);
        let status = EnvironmentStatus { unseen: vec![unseen], ..fixture::environment("shop/prod", Health::Healthy) };
        let ago = |at| crate::text::ago(at, fixture::now());
        let told = "pods in namespace shop not watched: forbidden, last seen 40s ago; was Synced, Healthy";
        assert_eq!(message(&status.shown(), ago), told);
        let status = EnvironmentStatus { message: "1 object differs".to_owned(), ..status };
        let status = EnvironmentStatus { sync: quarterdeck_shared::status::SyncStatus::OutOfSync, ..status };
        assert_eq!(message(&status.shown(), ago), "1 object differs");
    }
}

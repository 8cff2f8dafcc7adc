//! What the doctor says of what cannot be seen: a cluster can answer and still not be watched, and then what is shown of
//! its environments stands on nothing. Pure.

use std::collections::BTreeMap;

use quarterdeck_shared::protocol::{Check, CheckResult};
use quarterdeck_shared::snapshot::{Cover, EnvironmentStatus, Unseen};

/// Lines at most: what is wrong with many is wrong in one place, and the rest shows when that is put right.
const LINES_MAX: usize = 20;

/// Environments that a line names; the others are counted.
const NAMED_MAX: usize = 3;

/// What lines are made by: the cluster, what cannot be seen in it, and why.
type Place<'a> = (&'a str, &'a str, &'a str);

/// A line for each thing that cannot be seen, with whom it concerns and what to do.
pub(super) fn checks<'a>(environments: impl Iterator<Item = &'a EnvironmentStatus>) -> Vec<Check> {
    // By place and words: one watch that is missing to ten environments is one thing to put right.
    let mut found: BTreeMap<Place<'_>, (&Unseen, Vec<String>)> = BTreeMap::new();
    for environment in environments {
        for unseen in &environment.unseen {
            let place = (&*environment.spec.cluster, &*unseen.what, &*unseen.reason);
            found.entry(place).or_insert((unseen, Vec::new())).1.push(environment.environment.to_string());
        }
    }
    let more = found.len().saturating_sub(LINES_MAX);
    let lines = found.into_iter().take(LINES_MAX);
    let mut checks: Vec<Check> = lines.map(|((cluster, ..), (unseen, of))| check(unseen, cluster, &of)).collect();
    if more > 0 {
        let message = format!("{more} more cannot be seen");
        checks.push(bad("environments".to_owned(), message, "qd status names each".to_owned()));
    }
    checks
}

fn check(unseen: &Unseen, cluster: &str, of: &[String]) -> Check {
    let name = match of {
        [one] => format!("environment {one}"),
        many if many.len() <= NAMED_MAX => format!("environments {}", many.join(", ")),
        many => format!("environments {} and {} more", many[..NAMED_MAX].join(", "), many.len() - NAMED_MAX),
    };
    let place = if unseen.of == Cover::Watch { format!("in cluster {cluster}, ") } else { String::new() };
    let last_seen = match (unseen.of, unseen.last_seen) {
        (Cover::PullSecret, _) => String::new(),
        (_, Some(at)) => format!(", last seen {at}"),
        (_, None) => ", never seen".to_owned(),
    };
    bad(name, format!("{place}{}{last_seen}", unseen.describe()), hint(unseen))
}

fn hint(unseen: &Unseen) -> String {
    let reason = unseen.reason.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| reason.contains(words));
    match unseen.of {
        Cover::Watch if says(&["forbidden", "cannot list", "cannot watch"]) => {
            "give the agent's user list and watch on these; agent/rbac.yaml is the role that it needs"
        }
        Cover::Watch if says(&["not serve", "no kind", "could not find", "not found"]) => {
            "install its CustomResourceDefinition, or take these objects out of the manifests"
        }
        Cover::Watch => "retrying; see the line of the cluster",
        Cover::Cluster => "see the cluster's own line; until it is back, sync and health of these are not known",
        Cover::Repository => "see the repository's own line; what is deployed keeps running, and nothing new comes",
        Cover::Artifact => "see the line of the artifact; what is deployed keeps running",
        Cover::Source => "see the line of its repository or artifact; what is deployed keeps running",
        Cover::Chart => "see the line of the chart repository; the version that is deployed keeps running",
        Cover::PullSecret if says(&["forbidden"]) => {
            "give the agent's user the permissions for pull secrets in this namespace: see agent/rbac.yaml"
        }
        Cover::PullSecret => {
            "correct pull_secret of the environment, or what it names; until then pods pull with the last valid Secret"
        }
    }
    .to_owned()
}

fn bad(name: String, message: String, hint: String) -> Check {
    Check { name, result: CheckResult::Bad, message, hint }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn environment(name: &str, cluster: &str, unseen: Value) -> EnvironmentStatus {
        let spec = json!({"repository": "/x", "namespace": "shop", "cluster": cluster, "automatic": true, "prune": true, "self_heal": true});
        serde_json::from_value(json!({
            "environment": format!("{name}/prod"), "sync": "Synced", "health": "Unknown", "suspended": false, "spec": spec, "unseen": unseen,
            "since": "2026-11-23T12:00:00Z",
        }))
        .expect("an environment")
    }

    #[test]
    fn each_thing_that_cannot_be_seen_is_one_line_with_what_to_do() {
        let seen = "2026-11-23T12:04:20Z";
        let watch =
            |what: &str, reason: &str| json!({"of": "watch", "what": what, "reason": reason, "last_seen": seen});
        let pods = watch("pods in namespace shop", "pods is forbidden: User \"qd\" cannot watch resource \"pods\"");
        let shops = watch("Shops", "the cluster does not serve Shop");
        let cluster = json!({"of": "cluster", "what": "cluster w1", "reason": "connection refused"});
        let pull = |reason: &str| json!({"of": "pull_secret", "what": "pull secret pull", "reason": reason});
        let repository = json!({"of": "repository", "what": "repository /x", "reason": "gone", "last_seen": seen});
        let all = [
            environment("shop", "prod", json!([pods, shops])),
            environment("cart", "w1", json!([cluster])),
            environment("search", "w1", json!([cluster, repository])),
            environment("till", "prod", json!([pull("the file /p is empty")])),
            environment("desk", "prod", json!([pull("secrets \"pull\" is forbidden: User \"qd\" cannot get")])),
            environment("well", "prod", json!([])),
        ];
        let told: Vec<String> = checks(all.iter())
            .into_iter()
            .map(|check| {
                assert_eq!(check.result, CheckResult::Bad);
                format!("{}: {} → {}", check.name, check.message, check.hint)
            })
            .collect();
        assert_eq!(
            told,
            [
                "environment shop/prod: in cluster prod, Shops not watched: the cluster does not serve Shop, last seen \
                 2026-11-23T12:04:20Z → install its CustomResourceDefinition, or take these objects out of the manifests",
                "environment shop/prod: in cluster prod, pods in namespace shop not watched: pods is forbidden: User \"qd\" cannot \
                 watch resource \"pods\", last seen 2026-11-23T12:04:20Z → give the agent's user list and watch on these; \
                 agent/rbac.yaml is the role that it needs",
                "environment desk/prod: pull secret pull is not up to date: secrets \"pull\" is forbidden: User \"qd\" cannot get → \
                 give the agent's user the permissions for pull secrets in this namespace: see agent/rbac.yaml",
                "environment till/prod: pull secret pull is not up to date: the file /p is empty → correct pull_secret of the \
                 environment, or what it names; until then pods pull with the last valid Secret",
                "environments cart/prod, search/prod: cluster w1 cannot be observed: connection refused, never seen → see the cluster's \
                 own line; until it is back, sync and health of these are not known",
                "environment search/prod: repository /x cannot be read: gone, last seen 2026-11-23T12:04:20Z → see the repository's \
                 own line; what is deployed keeps running, and nothing new comes",
            ]
        );
    }

    #[test]
    fn a_thousand_blind_environments_are_a_page() {
        let name = |n: usize| format!("app-{n:04}");
        let one = json!([{"of": "cluster", "what": "cluster w1", "reason": "refused"}]);
        let alike: Vec<_> = (0..1000).map(|n| environment(&name(n), "w1", one.clone())).collect();
        let told = checks(alike.iter());
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].name, "environments app-0000/prod, app-0001/prod, app-0002/prod and 997 more");
        let each = |n: usize| json!([{"of": "watch", "what": format!("pods in namespace {n}"), "reason": "forbidden"}]);
        let all: Vec<_> = (0..1000).map(|n| environment(&name(n), "w1", each(n))).collect();
        let told = checks(all.iter());
        assert_eq!((told.len(), &*told[LINES_MAX].message), (LINES_MAX + 1, "980 more cannot be seen"));
    }
}

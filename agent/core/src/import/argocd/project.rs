//! An AppProject: what it limits is told with the option of an `[[application_source]]` that limits the same.

use serde_json::Value;

use super::super::fields::Fields;
use super::super::{Document, Imported, Outcome};
use super::{cluster_of, text};

const REASONS: &[(&str, Outcome, &str)] = &[
    ("spec.description", Outcome::Not, "not supported: write it as a comment"),
    (
        "spec.clusterResourceWhitelist",
        Outcome::Not,
        "the ServiceAccount of the [[cluster]] limits which kinds are applied",
    ),
    (
        "spec.clusterResourceBlacklist",
        Outcome::Not,
        "the ServiceAccount of the [[cluster]] limits which kinds are applied",
    ),
    (
        "spec.namespaceResourceWhitelist",
        Outcome::Not,
        "the ServiceAccount of the [[cluster]] limits which kinds are applied",
    ),
    (
        "spec.namespaceResourceBlacklist",
        Outcome::Not,
        "the ServiceAccount of the [[cluster]] limits which kinds are applied",
    ),
    ("spec.roles", Outcome::Not, "[[access]] and protected environments limit who may do what"),
    ("spec.syncWindows", Outcome::Not, "there are no windows: `qd suspend` stops syncing"),
    ("spec.signatureKeys", Outcome::Not, "commits of manifests are not verified: protect the branch on the forge"),
    ("spec.orphanedResources", Outcome::Not, "objects that nothing applied are not listed"),
    ("spec.sourceNamespaces", Outcome::Not, "there are no Applications in the cluster"),
    ("spec.destinationServiceAccounts", Outcome::Otherwise, "a [[cluster]] has a kubeconfig of its own"),
    ("metadata.finalizers", Outcome::Otherwise, "nothing of a project is in the cluster"),
];

pub(super) fn told(document: &Document, imported: &mut Imported) {
    let fields = &mut Fields::new(&document.object, &document.place, imported);
    let repositories = fields.list("spec.sourceRepos");
    let repositories: Vec<String> = repositories.iter().filter_map(Value::as_str).filter_map(prefix).collect();
    limited(fields, "spec.sourceRepos", &[("repositories", repositories)]);
    let destinations = fields.list("spec.destinations");
    let clusters = destinations.iter().filter_map(|one| text(one, "name").or(text(one, "server")));
    let clusters = clusters.filter(|there| *there != "*").map(cluster_of).collect();
    let namespaces = destinations.iter().filter_map(|one| text(one, "namespace")).map(str::to_owned).collect();
    limited(fields, "spec.destinations", &[("clusters", clusters), ("namespaces", namespaces)]);
    fields.tell_rest(REASONS);
}

/// What a pattern of addresses begins with: nothing where that is any address, or one that is excluded.
fn prefix(pattern: &str) -> Option<String> {
    let fixed = pattern.split('*').next().unwrap_or_default().trim_end_matches('/');
    (!fixed.is_empty() && !pattern.starts_with('!')).then(|| fixed.to_owned())
}

fn limited(fields: &mut Fields<'_>, field: &str, limits: &[(&str, Vec<String>)]) {
    let option = |(name, values): &(&str, Vec<String>)| {
        let mut values = values.clone();
        values.sort();
        values.dedup();
        let values: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
        (!values.is_empty()).then(|| format!("{name} = [{}]", values.join(", ")))
    };
    let options: Vec<String> = limits.iter().filter_map(option).collect();
    if !options.is_empty() {
        fields.otherwise(field, format!("an [[application_source]] of the team limits this: {}", options.join(", ")));
    }
}

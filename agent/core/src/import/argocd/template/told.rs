//! What a person has to know of a template, and of what Argo CD deletes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::super::fields::Fields;
use super::super::super::{Document, Imported, Outcome};
use super::super::tables::Table;
use super::Reading;

impl Reading<'_> {
    /// What a person has to know of this generator.
    pub(super) fn tell_of(&self, tables: &[Table], is_known: bool, clusters: &[String], imported: &mut Imported) {
        let fields = &mut Fields::new(&self.document.object, &self.document.place, imported);
        if !is_known {
            let words = "what it makes is not known here: compare it with `qd-agent check --source`, and `qd diff` before a sync";
            fields.otherwise("spec.generators", words);
        }
        if tables.iter().any(|table| table.is_of_git() || table.is_of_clusters()) {
            let words = "clusters, namespaces and repositories of the source are those of now: add what a new application needs";
            fields.otherwise("spec.generators", words);
        }
        for labels in tables.iter().filter_map(|table| table.written.clusters.as_ref()) {
            let of_words = self.words.iter().filter_map(|inner| inner.split('|').next()?.strip_prefix("cluster."));
            let names: BTreeSet<&str> = labels.keys().map(String::as_str).chain(of_words).collect();
            let names: Vec<&str> = names.into_iter().collect();
            let with = if names.is_empty() { String::new() } else { format!(" with the labels {}", names.join(", ")) };
            fields.otherwise("spec.generators", format!("add a [[cluster]] for each of {}{with}", clusters.join(", ")));
        }
        for table in tables.iter().filter(|table| table.is_of_merge_requests()) {
            let repository = table.written.repository.as_deref().unwrap_or_default();
            fields.otherwise(
                "spec.generators",
                format!("add a [[forge]] with a token that may list merge requests of {repository}"),
            );
            fields.otherwise("spec.generators", "merge requests of forks are left out: forks = true lists them, and whoever may fork runs code in the cluster then");
        }
        if self.words.iter().any(|inner| inner.starts_with("merge_request.slug")) {
            fields.otherwise("spec.template", "the slug of a branch whose name is not a DNS label ends with a hash");
        }
    }
}

/// Whether Argo CD deletes the objects of an application that the set no longer makes.
pub(super) fn prunes(policy: &Value) -> bool {
    let deletes = matches!(policy["applicationsSync"].as_str(), None | Some("sync" | "create-delete"));
    deletes && policy["preserveResourcesOnDeletion"] != true
}

/// What a person has to know of the set as a whole.
pub(super) fn tell(document: &Document, imported: &mut Imported) {
    let fields = &mut Fields::new(&document.object, &document.place, imported);
    for read in ["goTemplate", "goTemplateOptions", "generators", "template"] {
        fields.take(&format!("spec.{read}"));
    }
    let policy = fields.take("spec.syncPolicy").unwrap_or_default();
    let words = match prunes(&policy) {
        true => {
            "prune = true, as there: objects of what leaves are deleted where sync.automatic and sync.prune are on, of at most prune_max = 10 at the same time"
        }
        false => "prune is off, as there: objects of what leaves stay",
    };
    fields.otherwise("spec.syncPolicy", words);
    if let Some(sync) =
        policy["applicationsSync"].as_str().filter(|sync| matches!(*sync, "create-only" | "create-delete"))
    {
        let words =
            format!("{sync}: applications change with their template: pin one, or define it in the configuration");
        fields.not("spec.syncPolicy.applicationsSync", words);
    }
    fields.tell_rest(&[
        ("spec.strategy", Outcome::Not, "applications have no order among each other"),
        ("spec.preservedFields", Outcome::Otherwise, "nothing else writes to applications"),
        ("spec.ignoreApplicationDifferences", Outcome::Otherwise, "nothing else writes to applications"),
    ]);
}

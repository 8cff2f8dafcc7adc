//! A Kustomization of Flux: a folder of a repository, for a cluster.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::draft::{Draft, Environment, Sync, Variables, label};
use super::super::fields::Fields;
use super::super::{Around, Document, Imported, Outcome, name_parts};
use super::{Objects, REASONS, artifact, is_group, named, overlay, source};
use crate::tree::paths::join;

const OWN: &[(&str, Outcome, &str)] = &[
    ("spec.deletionPolicy", Outcome::Otherwise, "objects stay when an application is removed from the configuration"),
    ("spec.force", Outcome::Not, "an immutable field that changes is an error: delete the object manually"),
];

pub(super) fn read(
    document: &Document,
    documents: &[Document],
    objects: &Objects<'_>,
    around: &Around,
    imported: &mut Imported,
) {
    let fields = &mut Fields::new(&document.object, &document.place, imported);
    let name = label(document.object["metadata"]["name"].as_str().unwrap_or_default());
    let Some((path, reference)) = place_of(document, documents) else {
        return fields
            .not("spec.path", "the path is outside of the repository, or of an artifact that no generator makes");
    };
    fields.take("spec.path");
    fields.take("spec.sourceRef");
    let of_cluster = applied(&document.object);
    let built = around.built.get(&path).or(Some(&of_cluster).filter(|kinds| !kinds.is_empty()));
    if built.is_some_and(|kinds| !kinds.is_empty() && kinds.iter().all(|kind| is_of_flux_kind(kind))) {
        return fields.otherwise("", format!("{path} only has objects that are imported separately"));
    }
    let mut environment = Environment {
        name: around.environment.clone(),
        path,
        cluster: around.cluster.clone(),
        ..Environment::default()
    };
    let is_whole = follow(fields, (document, &reference), objects, around, &mut environment);
    environment.sync =
        Sync { automatic: !is_suspended(fields), prune: fields.flag("spec.prune").unwrap_or(false), self_heal: true };
    overlay::read(fields, around, &mut environment);
    environment.namespace = environment.kustomize.namespace.clone().unwrap_or_else(|| "default".to_owned());
    build(fields, &mut environment);
    let inner = built.into_iter().flatten().filter(|kind| is_of_flux_kind(kind));
    let inner: Vec<&str> = inner.filter_map(|kind| kind.rsplit('/').next()).collect();
    if !inner.is_empty() {
        let words = format!("objects of kind {} are imported separately: remove them from the path", inner.join(", "));
        fields.otherwise("spec.path", words);
    }
    fields.tell_rest(&[OWN, REASONS].concat());
    if is_whole {
        let (object, place) = (fields.object.clone(), document.place.clone());
        imported.drafts.push(Draft { name, environment: vec![environment], object, place });
    }
}

/// The kinds that one of a cluster applied, as `apps/Deployment`: its inventory names objects as `NAMESPACE_NAME_GROUP_KIND`.
fn applied(object: &Value) -> BTreeSet<String> {
    let entries = object["status"]["inventory"]["entries"].as_array().into_iter().flatten();
    let kind = |entry: &Value| {
        let mut parts = entry["id"].as_str()?.rsplit('_');
        let (kind, group) = (parts.next()?, parts.next()?);
        Some(format!("{group}/{kind}"))
    };
    entries.filter_map(kind).collect()
}

/// The folder that one builds, and the reference to its repository.
pub(super) fn place_of(document: &Document, documents: &[Document]) -> Option<(String, Value)> {
    let spec = &document.object["spec"];
    let path = join("", spec["path"].as_str().unwrap_or_default().trim_start_matches('/'))?;
    let (_, own, _) = name_parts(&document.object);
    let namespace = spec["sourceRef"]["namespace"].as_str().unwrap_or(own);
    match (spec["sourceRef"]["kind"].as_str(), spec["sourceRef"]["name"].as_str()) {
        (Some("ExternalArtifact"), Some(name)) => {
            artifact::origin(documents, namespace, name, &path).map(|origin| (origin.folder, origin.source))
        }
        _ => Some((path, spec["sourceRef"].clone())),
    }
}

/// The repository that it is of; whether an environment can follow it.
fn follow(
    fields: &mut Fields<'_>,
    (document, reference): (&Document, &Value),
    objects: &Objects<'_>,
    around: &Around,
    environment: &mut Environment,
) -> bool {
    match reference["kind"].as_str() {
        Some("GitRepository") => {}
        Some("OCIRepository") => {
            let found = named(objects, reference, document);
            if found.is_none() {
                fields.not("spec.sourceRef", "the OCIRepository is missing: import it as well");
            }
            return found.is_some_and(|found| source::artifact(fields, &found.object, environment));
        }
        _ => {
            fields.not("spec.sourceRef", "manifests are deployed from git or a registry");
            return false;
        }
    }
    match (named(objects, reference, document), &around.repository) {
        (Some(found), _) => source::git(fields, &found.object, environment),
        (None, Some(own)) => {
            fields.otherwise("spec.sourceRef", format!("the GitRepository is missing: {own} is used instead"));
            environment.repository.clone_from(own);
            true
        }
        (None, None) => {
            fields.not("spec.sourceRef", "the GitRepository is missing: import it as well, or use --repository");
            false
        }
    }
}

/// Whether it is stopped, which is said.
pub(super) fn is_suspended(fields: &mut Fields<'_>) -> bool {
    let is_suspended = fields.flag("spec.suspend") == Some(true);
    if is_suspended {
        fields.otherwise("spec.suspend", "imported with sync.automatic = false");
    }
    is_suspended
}

/// Keys and variables.
fn build(fields: &mut Fields<'_>, environment: &mut Environment) {
    if fields.take("spec.decryption").is_some() {
        fields.otherwise("spec.decryption", "write the age key to a file, and list that in age_keys of [sops]");
    }
    let (mut values, from) = (fields.map("spec.postBuild.substitute"), fields.list("spec.postBuild.substituteFrom"));
    if values.is_empty() && from.is_empty() {
        return;
    }
    for value in values.values_mut().filter(|value| !value.is_string()) {
        *value = Value::from(value.to_string());
    }
    for source in &from {
        let text = |key: &str| source[key].as_str().unwrap_or_default();
        let words =
            format!("{} {} is read in namespace {}: copy it there", text("kind"), text("name"), environment.namespace);
        fields.otherwise("spec.postBuild.substituteFrom", words);
    }
    // As there, one that nothing sets is empty.
    environment.variables = Some(Variables { strict: false, values, from });
}

fn is_of_flux_kind(kind: &str) -> bool {
    kind.split('/').next().is_some_and(is_group)
}

//! Argo CD: an Application is an application with one environment; an ApplicationSet is a source with a template, or the
//! Applications that it makes now.

mod clusters;
mod directory;
mod expand;
mod expression;
mod kustomize;
mod parameters;
mod project;
mod referenced;
mod set;
mod source;
mod tables;
mod template;

use serde_json::Value;

pub use self::clusters::SECRET_TYPE;
pub(super) use self::set::file_patterns;
pub(super) use crate::generate::globs::matches;

use super::draft::{Draft, Environment, Sync, label};
use super::fields::Fields;
use super::{Around, Document, Imported, Outcome, same};
use crate::tree::paths::is_below;

/// What is said of what is left over.
const REASONS: &[(&str, Outcome, &str)] = &[
    ("spec.ignoreDifferences", Outcome::Not, "list the fields in the object's annotation quarterdeck.dev/ignore"),
    ("spec.revisionHistoryLimit", Outcome::Otherwise, "[history] limits the syncs of each application"),
    ("spec.info", Outcome::Not, "not supported: write it as a comment"),
    ("spec.syncPolicy.retry", Outcome::Otherwise, "a failed sync is always retried, with a growing interval"),
    ("spec.syncPolicy.managedNamespaceMetadata", Outcome::Not, "add a Namespace with these labels to the manifests"),
    ("spec.sourceHydrator", Outcome::Not, "rendered manifests are not written to git: `qd manifests` shows them"),
    ("spec.source.plugin", Outcome::Not, "there are no plugins: commit the plugin's output"),
    ("spec.source.kustomize.version", Outcome::Otherwise, "the installed kustomize renders"),
    ("spec.source.kustomize.kubeVersion", Outcome::Not, CHARTS_OF_KUSTOMIZE),
    ("spec.source.kustomize.apiVersions", Outcome::Not, CHARTS_OF_KUSTOMIZE),
    ("spec.source.kustomize", Outcome::Not, "write it into the kustomization.yaml at the path"),
    ("spec.source.helm.passCredentials", Outcome::Not, "credentials are only sent to their own host"),
    ("spec.source.helm.skipTests", Outcome::Otherwise, "a sync never runs the tests of a chart"),
    ("spec.source.helm.version", Outcome::Otherwise, "the installed helm renders, 3 or 4"),
    ("spec.source.helm", Outcome::Not, "not supported: write it into a values file"),
    ("metadata.finalizers", Outcome::Otherwise, "objects stay when an application is removed from the configuration"),
];

const CHARTS_OF_KUSTOMIZE: &str = "charts of a kustomization are rendered without what the cluster serves";

/// Options of a sync, and what is said of them where they are not carried over as they are.
const OPTIONS: &[(&str, Outcome, &str)] = &[
    ("ServerSideApply=true", Outcome::Carried, ""),
    ("ApplyOutOfSyncOnly=true", Outcome::Carried, ""),
    ("PruneLast=true", Outcome::Carried, ""),
    ("SkipDryRunOnMissingResource=true", Outcome::Otherwise, "a sync always waits for kinds that it defines"),
    (
        "FailOnSharedResource=true",
        Outcome::Otherwise,
        "an object that two applications define stays with the first, and the status reports it",
    ),
    ("RespectIgnoreDifferences=true", Outcome::Otherwise, "fields in quarterdeck.dev/ignore are never overwritten"),
];

pub(super) fn import(documents: &[Document], around: &Around) -> Imported {
    let mut imported = Imported::default();
    for document in documents {
        let object = &document.object;
        let is_of_argo = is_of_argo(object);
        match object["kind"].as_str() {
            Some("Application") if is_of_argo => application(document, documents, around, &mut imported),
            Some("ApplicationSet") if is_of_argo && has_made(document, documents) => {
                let fields = &mut Fields::new(object, &document.place, &mut imported);
                fields.otherwise("", "the applications that it made are imported: a new one is not added by itself");
            }
            Some("ApplicationSet") if is_of_argo => {
                let template =
                    if around.expand { Err(None) } else { template::read(document, documents, around).map_err(Some) };
                match template {
                    Ok(Imported { sources, told, .. }) => {
                        imported.sources.extend(sources);
                        imported.told.extend(told);
                    }
                    Err(why) => {
                        for made in set::applications(document, documents, around, why.as_deref(), &mut imported) {
                            application(&made, documents, around, &mut imported);
                        }
                    }
                }
            }
            // Every Argo CD has this one, which allows everything unless somebody changed it.
            Some("AppProject") if is_of_argo && object["metadata"]["name"] != "default" => {
                project::told(document, &mut imported);
            }
            _ => {}
        }
    }
    imported
}

fn is_of_argo(object: &Value) -> bool {
    object["apiVersion"].as_str().is_some_and(|version| version.starts_with("argoproj.io/"))
}

/// Whether Applications that a set made are among the objects: they say more than its template.
fn has_made(set: &Document, documents: &[Document]) -> bool {
    let (name, namespace) = (&set.object["metadata"]["name"], &set.object["metadata"]["namespace"]);
    let mut objects = documents.iter().map(|document| &document.object);
    objects.any(|object| {
        let mut owners = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
        is_of_argo(object)
            && object["metadata"]["namespace"] == *namespace
            && owners.any(|owner| owner["kind"] == "ApplicationSet" && owner["name"] == *name)
    })
}

/// Whether an Application of a cluster has nothing but what Argo CD is asked for, as its status lists it.
fn lists_applications(object: &Value) -> bool {
    let resources = object["status"]["resources"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_asked = |one: &Value| {
        one["group"] == "argoproj.io"
            && matches!(one["kind"].as_str(), Some("Application" | "ApplicationSet" | "AppProject"))
    };
    !resources.is_empty() && resources.iter().all(is_asked)
}

/// Whether a folder has nothing but what Argo CD is asked for: the application of it is those that are asked for there.
fn is_of_applications(environment: &Environment, documents: &[Document], around: &Around) -> bool {
    let is_own = around.repository.as_deref().is_some_and(|own| same(own, &environment.repository));
    let below = |document: &&Document| is_below(&document.place.file, &environment.path);
    let is_object = |document: &&Document| document.object["metadata"]["name"].is_string();
    let mut below = documents.iter().filter(below).filter(is_object).peekable();
    is_own && below.peek().is_some() && below.all(|document| is_of_argo(&document.object))
}

fn application(document: &Document, documents: &[Document], around: &Around, imported: &mut Imported) {
    let fields = &mut Fields::new(&document.object, &document.place, imported);
    let written = document.object["metadata"]["name"].as_str().unwrap_or_default();
    let name = label(written);
    if name.is_empty() {
        return fields.not("metadata.name", "no name");
    }
    if name != written {
        fields.otherwise("metadata.name", format!("not a DNS label: imported as {name}"));
    }
    let mut environment = Environment { name: around.environment.clone(), ..Environment::default() };
    annotations(fields);
    if let Some(project) = fields.text("spec.project").filter(|project| project != "default") {
        fields.not("spec.project", format!("there are no projects: [[access]] replaces {project}"));
    }
    destination(fields, around, &mut environment);
    sync(fields, &mut environment);
    let is_whole = source::read(fields, around, &name, &mut environment);
    if lists_applications(&document.object) {
        return fields.otherwise("", "the applications that it lists are imported separately");
    }
    if is_of_applications(&environment, documents, around) {
        return fields.otherwise("", format!("the applications in {} are imported separately", environment.path));
    }
    fields.tell_rest(REASONS);
    if is_whole {
        let (object, place) = (fields.object.clone(), document.place.clone());
        imported.drafts.push(Draft { name, environment: vec![environment], object, place });
    }
}

fn annotations(fields: &mut Fields<'_>) {
    for name in fields.map("metadata.annotations").keys() {
        let field = format!("metadata.annotations.{name}");
        match name.strip_prefix("argocd.argoproj.io/") {
            Some("sync-wave") => fields.not(&field, "applications have no order among each other"),
            Some("manifest-generate-paths") => {
                fields.otherwise(&field, "the inputs of a render are known: a commit elsewhere renders nothing");
            }
            Some(_) => fields.not(&field, "not supported"),
            None if name.contains("notifications.argoproj.io") => {
                fields.not(&field, "a [[forge]] receives commit statuses; there are no other notifications");
            }
            None if name.contains("argocd-image-updater.argoproj.io") => {
                fields.otherwise(&field, "[[application.follow_image]] follows tags of images");
            }
            // Of others, or of kubectl: no business of ours.
            None => {}
        }
    }
}

fn destination(fields: &mut Fields<'_>, around: &Around, environment: &mut Environment) {
    let (server, name) = (fields.text("spec.destination.server"), fields.text("spec.destination.name"));
    let own = |name: &str| matches!(name, "in-cluster" | "https://kubernetes.default.svc");
    let wanted = name.or(server);
    environment.cluster = match wanted {
        Some(there) if !own(&there) => {
            let name = cluster_of(&there);
            fields.otherwise(
                "spec.destination",
                format!("{there} is cluster {name}: add a [[cluster]] or a context with this name"),
            );
            Some(name)
        }
        _ => around.cluster.clone(),
    };
    environment.namespace = fields.text("spec.destination.namespace").unwrap_or_else(|| "default".to_owned());
}

/// What a cluster is called by its name or by the address of its server.
fn cluster_of(there: &str) -> String {
    let rest = there.split_once("://").map_or(there, |(_, rest)| rest);
    label(rest.split(['/', ':']).next().unwrap_or_default())
}

fn sync(fields: &mut Fields<'_>, environment: &mut Environment) {
    let is_automatic = fields.has("spec.syncPolicy.automated");
    let is_enabled = fields.flag("spec.syncPolicy.automated.enabled").unwrap_or(true);
    environment.sync = Sync {
        automatic: is_automatic && is_enabled,
        prune: fields.flag("spec.syncPolicy.automated.prune").unwrap_or(false),
        self_heal: fields.flag("spec.syncPolicy.automated.selfHeal").unwrap_or(false),
    };
    if fields.flag("spec.syncPolicy.automated.allowEmpty") == Some(true) {
        fields.not("spec.syncPolicy.automated.allowEmpty", "a path without manifests is an error, and prunes nothing");
    }
    // An empty map says that it is automatic, and nothing else.
    fields.take("spec.syncPolicy.automated");
    for option in fields.list("spec.syncPolicy.syncOptions") {
        let option = option.as_str().unwrap_or_default();
        let field = format!("spec.syncPolicy.syncOptions.{option}");
        match OPTIONS.iter().find(|(known, ..)| *known == option) {
            Some((_, Outcome::Carried, _)) => {}
            Some((_, outcome, words)) => fields.say(&field, *outcome, *words),
            None if option == "CreateNamespace=true" => environment.create_namespace = true,
            // What is off is as if it were not said.
            None if option.ends_with("=false") && option != "Validate=false" => {}
            None => fields.not(&field, "not supported"),
        }
    }
}

/// The text of a field, or nothing.
fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value[key].as_str().filter(|text| !text.is_empty())
}

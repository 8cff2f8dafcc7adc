//! Flux: a Kustomization is an application, and so is a HelmRelease; their sources say where from.

mod artifact;
mod image;
mod kustomization;
mod overlay;
mod post_render;
mod release;
mod source;
mod values;

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::Fields;
use super::{Around, Document, Imported, Outcome, name_parts};

/// The kind that is built: what it builds may hold others.
const KUSTOMIZATION: &str = "Kustomization";

/// Objects by kind, namespace and name.
type Objects<'a> = BTreeMap<(&'a str, &'a str, &'a str), &'a Document>;

/// What is said of fields of all kinds.
const REASONS: &[(&str, Outcome, &str)] = &[
    (
        "spec.interval",
        Outcome::Otherwise,
        "agent.poll_interval, or poll_interval of a [[repository]]; agent.image_interval for charts",
    ),
    ("spec.retryInterval", Outcome::Otherwise, "what failed is retried, with a growing interval"),
    ("spec.timeout", Outcome::Otherwise, "health is watched without a limit; nothing waits for it"),
    ("spec.wait", Outcome::Otherwise, "the health of all objects is always reported"),
    ("spec.healthChecks", Outcome::Otherwise, "the health of all objects is always reported"),
    ("spec.healthCheckExprs", Outcome::Otherwise, "[[health]] has rules of this form"),
    ("spec.dependsOn", Outcome::Not, "applications have no order among each other"),
    ("spec.serviceAccountName", Outcome::Not, "the agent has one login per cluster"),
    ("spec.kubeConfig", Outcome::Not, "use --cluster: a [[cluster]] has a kubeconfig"),
    ("metadata.finalizers", Outcome::Otherwise, "objects stay when an application is removed from the configuration"),
];

/// Whether an object is one of Flux's.
pub fn is_of_flux(object: &Value) -> bool {
    object["apiVersion"].as_str().is_some_and(|version| version.split('/').next().is_some_and(is_group))
}

/// Whether a group of the API is Flux's.
fn is_group(group: &str) -> bool {
    group.ends_with(".toolkit.fluxcd.io") || group.ends_with(".extensions.fluxcd.io")
}

/// The folder that a Kustomization builds, from the root of its repository; nothing where the object is none, or its folder is
/// unknown.
pub fn builds(document: &Document, documents: &[Document]) -> Option<String> {
    let object = &document.object;
    if !is_of_flux(object) || object["kind"] != KUSTOMIZATION {
        return None;
    }
    kustomization::place_of(document, documents).map(|(folder, _)| folder)
}

pub(super) fn import(documents: &[Document], around: &Around) -> Imported {
    let mut imported = Imported::default();
    let of_flux: Vec<&Document> = documents.iter().filter(|document| is_of_flux(&document.object)).collect();
    let objects: Objects<'_> = of_flux.iter().map(|document| (name_parts(&document.object), *document)).collect();
    for document in &of_flux {
        match document.object["kind"].as_str().unwrap_or_default() {
            KUSTOMIZATION => kustomization::read(document, documents, &objects, around, &mut imported),
            "HelmRelease" => release::read(document, documents, &objects, around, &mut imported),
            "GitRepository" | "HelmRepository" | "OCIRepository" => source::told(document, &mut imported),
            "ImagePolicy" | "ImageRepository" | "ImageUpdateAutomation" => {
                image::read(document, &objects, &mut imported)
            }
            "Alert" | "Provider" => said(
                document,
                &mut imported,
                Outcome::Not,
                "a [[forge]] receives commit statuses; there are no other notifications",
            ),
            "ArtifactGenerator" => {
                said(document, &mut imported, Outcome::Otherwise, "an environment has the path in the repository")
            }
            "Receiver" => said(document, &mut imported, Outcome::Otherwise, "[webhook] accepts webhooks"),
            _ => said(document, &mut imported, Outcome::Not, "not supported"),
        }
    }
    imported
}

/// The object that a reference names; its namespace is that of the one that names it, where it says none.
fn named<'a>(objects: &Objects<'a>, reference: &Value, from: &Document) -> Option<&'a Document> {
    let text = |key: &str| reference[key].as_str();
    let namespace = text("namespace").or(from.object["metadata"]["namespace"].as_str()).unwrap_or_default();
    objects.get(&(text("kind")?, namespace, text("name")?)).copied()
}

fn said(document: &Document, imported: &mut Imported, outcome: Outcome, words: &str) {
    Fields::new(&document.object, &document.place, imported).say("", outcome, words);
}

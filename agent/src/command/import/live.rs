//! What is read for an import of a cluster: the objects of the tool, as they are there. Nothing is written.

use std::collections::BTreeSet;

use anyhow::Context as _;
use quarterdeck_core::import::{Around, Document, Outcome, Place, SECRET_TYPE, Told};
use quarterdeck_kubernetes::{ApiProblem, Class, Cluster, ClusterConfig};
use serde_json::{Value, json};

use super::gather::Gathered;
use super::{From, Import};

/// The kinds of Argo CD that are read.
const ARGO_CD: &[(&str, &str)] =
    &[("argoproj.io", "Application"), ("argoproj.io", "ApplicationSet"), ("argoproj.io", "AppProject")];

/// The kinds of Flux that are read.
const FLUX: &[(&str, &str)] = &[
    ("kustomize.toolkit.fluxcd.io", "Kustomization"),
    ("helm.toolkit.fluxcd.io", "HelmRelease"),
    ("source.toolkit.fluxcd.io", "GitRepository"),
    ("source.toolkit.fluxcd.io", "HelmRepository"),
    ("source.toolkit.fluxcd.io", "OCIRepository"),
    ("source.toolkit.fluxcd.io", "Bucket"),
    ("source.extensions.fluxcd.io", "ArtifactGenerator"),
    ("image.toolkit.fluxcd.io", "ImagePolicy"),
    ("image.toolkit.fluxcd.io", "ImageRepository"),
    ("image.toolkit.fluxcd.io", "ImageUpdateAutomation"),
    ("notification.toolkit.fluxcd.io", "Receiver"),
    ("notification.toolkit.fluxcd.io", "Alert"),
    ("notification.toolkit.fluxcd.io", "Provider"),
];

/// Reads all of it. A kind that may not be read is told, and the others are read.
///
/// # Errors
/// Where the cluster cannot be asked.
pub(super) fn gather(asked: &Import, context: &str) -> anyhow::Result<Gathered> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let around = Around {
        repository: asked.repository.clone(),
        environment: asked.environment.clone(),
        // Environments may name a context of the kubeconfig as their cluster.
        cluster: asked.cluster.clone().or_else(|| Some(context.to_owned())),
        automatic: asked.automatic,
        expand: asked.expand,
        ..Around::default()
    };
    let mut gathered = Gathered { around, ..Gathered::default() };
    let config = ClusterConfig { context: Some(context.to_owned()), ..ClusterConfig::named(Some(context)) };
    runtime.block_on(read(&Cluster::new(config), asked, context, &mut gathered))?;
    Ok(gathered)
}

async fn read(cluster: &Cluster, asked: &Import, context: &str, into: &mut Gathered) -> anyhow::Result<()> {
    let place = Place { file: format!("context {context}"), line: 0 };
    let namespace = asked.namespace.as_deref();
    let kinds = match asked.from {
        From::Argocd => ARGO_CD,
        From::Flux => FLUX,
    };
    let document = |object| Document { place: place.clone(), object };
    for kind in kinds {
        match cluster.list(*kind, namespace, None).await {
            Ok(found) => into.documents.extend(found.into_iter().map(document)),
            Err(problem) => into.unread.push(unread(&place, kind.1, problem)?),
        }
    }
    let wants_clusters = |document: &Document| document.object["kind"] == "ApplicationSet";
    if into.documents.iter().any(wants_clusters) {
        // They are where Argo CD is, whatever namespace its Applications are read in.
        match cluster.list(("", "Secret"), None, Some(&format!("{SECRET_TYPE}=cluster"))).await {
            Ok(found) => into.documents.extend(found.iter().map(without_login).map(document)),
            Err(problem) => into.unread.push(unread(&place, "Secret", problem)?),
        }
    }
    // One that several kinds are served in is listed once.
    let mut seen = BTreeSet::new();
    into.documents.retain(|document| seen.insert(document.object["metadata"]["uid"].to_string()));
    Ok(())
}

/// A cluster of Argo CD by its name, address and labels alone: its login is nobody's business here.
fn without_login(secret: &Value) -> Value {
    let (metadata, data) = (&secret["metadata"], &secret["data"]);
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
            "labels": metadata["labels"], "annotations": metadata["annotations"],
        },
        "data": { "name": data["name"], "server": data["server"] },
    })
}

fn unread(place: &Place, kind: &str, problem: ApiProblem) -> anyhow::Result<Told> {
    if problem.class != Class::Forbidden {
        return Err(problem.into());
    }
    Ok(Told {
        place: place.clone(),
        object: format!("objects of kind {kind}"),
        field: String::new(),
        outcome: Outcome::Not,
        words: format!("{problem}: import with a login that may read them"),
    })
}

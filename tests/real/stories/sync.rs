//! Cluster equals git: each change of either side on a real API server, whose words and habits decide what is right.
//!
//! Nothing is built here: the manifests name an image that the world's registry has from its begin.

mod adopted;
mod artifact;
mod asked;
mod beside;
mod bundled;
mod chart;
mod drift;
mod encrypted;
mod order;
mod podinfo;
mod pull;
mod refused;
mod rollback;
mod several;
mod source;

use anyhow::Context as _;
use harness::real::{Parts, Town};
use harness::world::borrowed;
use quarterdeck_shared::event::SyncRecord;
use quarterdeck_shared::protocol::State;
use quarterdeck_shared::snapshot::{Object, ResourceStatus};

use super::story;

/// A file of the manifests' folder.
pub(crate) fn file(name: &str, text: impl Into<String>) -> (String, String) {
    (format!("shop/{name}.yaml"), text.into())
}

/// A Deployment of one pod that only waits; `more` are lines of its spec.
pub(crate) fn deployment(parts: &Parts, more: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
spec:
{more}  selector:
    matchLabels: {{ app: shop }}
  template:
    metadata:
      labels: {{ app: shop }}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: shop
        image: {}/busybox:1
        command: [sleep, infinity]
",
        parts.get("REGISTRY")
    )
}

/// A ConfigMap with one value.
pub(crate) fn config(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  value: \"{value}\"\n")
}

/// Makes the folder of manifests hold these files alone. The commit's id.
pub(crate) fn commit(town: &Town, files: &[(String, String)], message: &str) -> anyhow::Result<String> {
    town.deploy.replace("shop", &borrowed(files), message)
}

/// Puts these files in the place of the town's own manifests, and starts the agent, which brings them.
async fn begin(town: &mut Town, files: &[(String, String)]) -> anyhow::Result<String> {
    let commit = commit(town, files, "The shop")?;
    town.start().await?;
    town.healthy("the first state", &commit).await?;
    Ok(commit)
}

/// A field of an object as kubectl prints it; empty where it is not there.
pub(crate) fn field(town: &Town, object: &str, path: &str) -> anyhow::Result<String> {
    town.kubectl(&["get", object, "--ignore-not-found", "-o", &format!("jsonpath={{{path}}}")])
}

/// The syncs of the shop, newest first.
async fn syncs(town: &Town) -> anyhow::Result<Vec<SyncRecord>> {
    town.agent.client().get("/v1/environments/shop/history?limit=50").await.context("cannot ask for the history")
}

/// An object of a state, by kind and name.
fn resource<'a>(state: &'a State, kind: &str, name: &str) -> Option<&'a ResourceStatus> {
    state.objects.values().find_map(|object| match object {
        Object::Resource(one) if one.resource.kind == kind && one.resource.name == name => Some(&**one),
        _ => None,
    })
}

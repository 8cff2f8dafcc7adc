//! The world's cluster without the agent: bare requests, as many at once as the agent makes, and clearing away.

use std::time::Instant;

use anyhow::Context as _;
use futures::StreamExt as _;
use harness::real::Parts;
use kube::Client;
use serde_json::Value;

use crate::measure::since;

/// Requests in flight: the agent's default, `max_concurrent_requests`.
const AT_ONCE: usize = 16;

/// A client of the world's cluster that has no bound of its own.
pub(crate) async fn client(parts: &Parts) -> anyhow::Result<Client> {
    let kubeconfig = kube::config::Kubeconfig::read_from(parts.get("KUBECONFIG"))?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await?;
    Ok(Client::try_from(config)?)
}

/// An object to be applied, and its collection: `/api/v1/namespaces/x/configmaps`.
pub(crate) struct Manifest {
    pub(crate) collection: String,
    pub(crate) object: Value,
}

/// A namespace of the benchmarks' own.
pub(crate) struct Namespace {
    pub(crate) name: String,
    client: Client,
    parts: Parts,
}

impl Namespace {
    pub(crate) async fn make(parts: &Parts, family: &str) -> anyhow::Result<Self> {
        let name = format!("bench-{family}-{}", std::process::id());
        parts.kubectl(&["create", "namespace", &name])?;
        Ok(Self { name, client: client(parts).await?, parts: parts.clone() })
    }

    /// Applies all of them, or only asks what applying would do; milliseconds. Every answer is read.
    pub(crate) async fn apply(&self, manifests: &[Manifest], dry: bool) -> anyhow::Result<f64> {
        let dry = if dry { "&dryRun=All" } else { "" };
        let request = |Manifest { collection, object }: &Manifest| {
            let name = object["metadata"]["name"].as_str().context("an object has a name")?;
            let path = format!("{collection}/{name}?fieldManager=bench&force=true&fieldValidation=Strict{dry}");
            let request = http::Request::patch(path).header(http::header::CONTENT_TYPE, "application/apply-patch+yaml");
            Ok(request.body(serde_json::to_vec(object)?)?)
        };
        let requests: Vec<_> = manifests.iter().map(request).collect::<anyhow::Result<_>>()?;
        let began = Instant::now();
        let mut answers = futures::stream::iter(requests)
            .map(|request| self.client.request::<Value>(request))
            .buffer_unordered(AT_ONCE);
        while let Some(answer) = answers.next().await {
            answer?;
        }
        Ok(since(began))
    }

    /// Changes an object as a person with kubectl does.
    pub(crate) async fn merge(&self, path: &str, patch: &Value) -> anyhow::Result<()> {
        let request = http::Request::patch(format!("{path}?fieldManager=by-hand"))
            .header(http::header::CONTENT_TYPE, "application/merge-patch+json");
        let request = request.body(serde_json::to_vec(patch)?)?;
        Ok(self.client.request::<Value>(request).await.map(drop)?)
    }

    /// Reads an object.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(self.client.request(http::Request::get(path).body(Vec::new())?).await?)
    }

    /// Deletes what the benchmarks and the agent put there.
    pub(crate) async fn clear(&self) -> anyhow::Result<()> {
        let core = format!("/api/v1/namespaces/{}", self.name);
        let of_label = [
            (format!("/apis/apps/v1/namespaces/{}/deployments", self.name), "bench"),
            (format!("{core}/services"), "bench"),
            (format!("{core}/serviceaccounts"), "bench"),
            (format!("{core}/configmaps"), "bench"),
            (format!("{core}/configmaps"), quarterdeck_kubernetes::INVENTORY_LABEL),
        ];
        for (collection, label) in of_label {
            let request = http::Request::delete(format!("{collection}?labelSelector={label}")).body(Vec::new())?;
            self.client.request::<Value>(request).await.with_context(|| format!("cannot empty {collection}"))?;
        }
        Ok(())
    }

    /// Deletes the namespace and waits until it is gone, so that its end disturbs nobody.
    pub(crate) fn delete(&self) -> anyhow::Result<()> {
        self.parts.kubectl(&["delete", "namespace", &self.name, "--timeout=120s"]).map(drop)
    }
}

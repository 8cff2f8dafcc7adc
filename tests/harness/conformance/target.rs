//! Whom the table is asked of: an API server behind a kubeconfig, be it the stand-in or a real one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use http::{Request, header};
use http_body_util::BodyExt as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use super::objects::DEFINITIONS;

/// How long what takes its time is waited for: a definition to be served, a namespace to go.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);

/// Between two looks at what takes its time.
pub(super) const LOOK: Duration = Duration::from_millis(25);

const NAMESPACES: &str = "/api/v1/namespaces";

/// An API server, and a name for all that is made there.
pub struct Target {
    client: Client,
    mark: String,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: u16,
    /// What it warns of, without the number before it.
    pub(super) warnings: Vec<String>,
    /// The object; of a watch, the list of its events.
    pub(super) body: Value,
}

/// A request.
#[derive(Debug, Clone, Default)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) headers: BTreeMap<&'static str, String>,
    pub(super) body: String,
}

impl Target {
    /// The one behind this kubeconfig, given as text.
    ///
    /// # Errors
    /// When it is none, or names no way to log in.
    pub async fn of(kubeconfig: &str) -> anyhow::Result<Self> {
        let kubeconfig = Kubeconfig::from_yaml(kubeconfig)?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        config.default_retry = false; // a refusal is an answer
        // Two tables may be asked of one server by one process in the same moment.
        static NTH: AtomicU64 = AtomicU64::new(0);
        let since = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let nth = NTH.fetch_add(1, Ordering::Relaxed);
        Ok(Self { client: Client::try_from(config)?, mark: format!("row-{since:x}{nth:03}") })
    }

    /// What the names of all that is made begin with.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    /// Sends a request and reads its answer to the end.
    pub(super) async fn send(&self, ask: &Ask) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(ask.method).uri(&ask.path).header(header::USER_AGENT, "table/1");
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let response = self.client.send(request.body(ask.body.clone().into_bytes().into())?).await?;
        let warnings = response.headers().get_all("warning").iter().filter_map(|value| value.to_str().ok());
        let warnings = warnings.map(unquoted);
        let (code, warnings) = (response.status().as_u16(), warnings.collect());
        let body = response.into_body().collect().await?.to_bytes();
        let body = if ask.path.contains("watch=true") && code == 200 {
            serde_json::Deserializer::from_slice(&body).into_iter().collect::<Result<Vec<Value>, _>>()?.into()
        } else {
            serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into())
        };
        Ok(Answer { code, warnings, body })
    }

    /// Sends what has to succeed.
    async fn done(&self, method: &'static str, path: String, body: Value) -> anyhow::Result<Value> {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let ask = Ask { method, path, headers: BTreeMap::from([("content-type", kind.to_owned())]), body };
        let answer = self.send(&ask).await?;
        // What goes may be gone already, or be told so once more.
        ensure!(answer.code < 300 || [404, 409].contains(&answer.code), "{method} {}: {answer:?}", ask.path);
        Ok(answer.body)
    }

    /// Makes a namespace.
    pub(super) async fn namespace(&self, name: &str) -> anyhow::Result<()> {
        let metadata = json!({"name": name, "labels": {"table": self.mark}});
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        self.done("POST", NAMESPACES.to_owned(), body).await.map(drop)
    }

    /// Takes away all that was made, whatever holds it, and waits until it is gone.
    pub(super) async fn clear(&self) -> anyhow::Result<()> {
        for name in self.made(DEFINITIONS).await? {
            self.done("DELETE", format!("{DEFINITIONS}/{name}"), Value::Null).await?;
        }
        for name in self.made(NAMESPACES).await? {
            // Only ConfigMaps are held by anything, where a row broke off in the middle.
            let configs = format!("{NAMESPACES}/{name}/configmaps");
            let list = self.done("GET", configs.clone(), Value::Null).await?;
            let held = |item: &&Value| item["metadata"].get("finalizers").is_some();
            for config in list["items"].as_array().into_iter().flatten().filter(held) {
                let config = config["metadata"]["name"].as_str().context("an object has a name")?;
                let free = json!({"metadata": {"finalizers": null}});
                self.done("PATCH", format!("{configs}/{config}"), free).await?;
            }
            self.done("DELETE", format!("{NAMESPACES}/{name}"), Value::Null).await?;
        }
        let begun = Instant::now();
        loop {
            let left = [self.made(DEFINITIONS).await?, self.made(NAMESPACES).await?].concat();
            if left.is_empty() {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "these are not gone: {left:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The names of what we made of a kind of the cluster's own.
    async fn made(&self, path: &str) -> anyhow::Result<Vec<String>> {
        let list = self.done("GET", format!("{path}?labelSelector=table%3D{}", self.mark), Value::Null).await?;
        let names = list["items"].as_array().into_iter().flatten();
        Ok(names.filter_map(|item| item["metadata"]["name"].as_str().map(str::to_owned)).collect())
    }
}

/// The text of a `Warning` header, without its number and quotes.
fn unquoted(header: &str) -> String {
    let text = header.strip_prefix("299 - \"").and_then(|rest| rest.strip_suffix('"'));
    text.unwrap_or(header).replace("\\\"", "\"")
}

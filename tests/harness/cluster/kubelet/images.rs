//! Whether an image can be pulled, and what is known of it then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};

use crate::cluster::ids::digits;

/// What a node asks a registry for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PullRequest {
    /// The image as the pod names it.
    pub image: String,
    /// User and password of the pull secret for its registry, where the pod has one.
    pub login: Option<(String, String)>,
}

/// What is known of an image that could be pulled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageInfo {
    /// `sha256:…`
    pub digest: String,
    /// The labels of its configuration, which may say how it behaves.
    pub labels: BTreeMap<String, String>,
}

/// Decides whether an image can be pulled. The error is what a person reads in the pod's status.
pub type Pull = Arc<dyn Fn(PullRequest) -> BoxFuture<'static, Result<ImageInfo, String>> + Send + Sync>;

/// Every image is there. Its digest is made from its name.
pub fn everything() -> Pull {
    Arc::new(|request| {
        let digest = match request.image.split_once('@') {
            Some((_, digest)) => digest.to_owned(),
            None => format!("sha256:{}", digits(&request.image, 64)),
        };
        Box::pin(std::future::ready(Ok(ImageInfo { digest, labels: BTreeMap::new() })))
    })
}

/// Asks the registry in the image's name, over plain http where that is on this machine.
/// A node that can log in by itself does so with `login` where the pod brings none.
pub fn from_registry(login: Option<(String, String)>) -> Pull {
    Arc::new(move |request| {
        let login = request.login.clone().or_else(|| login.clone());
        Box::pin(async move {
            let image = request.image;
            let pulled = tokio::time::timeout(Duration::from_secs(20), ask(&image, login)).await;
            pulled.unwrap_or_else(|_| Err("dial timeout".to_owned())).map_err(|why| {
                let code = if why.ends_with(": not found") { "rpc error: code = NotFound desc = " } else { "" };
                format!("{code}failed to pull and unpack image {image:?}: failed to resolve reference {image:?}: {why}")
            })
        })
    })
}

/// The images of this host are there, with no registry behind it; `pull` decides on all others.
pub fn with_host(host: &'static str, pull: Pull) -> Pull {
    let everything = everything();
    Arc::new(move |request| match request.image.split_once('/') {
        Some((named, _)) if named == host => everything(request),
        _ => pull(request),
    })
}

async fn ask(image: &str, login: Option<(String, String)>) -> Result<ImageInfo, String> {
    let reference: Reference = image.parse().map_err(|error| format!("{error}"))?;
    let host = reference.registry().to_owned();
    let local = host.starts_with("127.") || host.starts_with("localhost");
    let protocol = if local { ClientProtocol::Http } else { ClientProtocol::Https };
    let client = Client::new(ClientConfig { protocol, ..ClientConfig::default() });
    let auth = login.map_or(RegistryAuth::Anonymous, |(user, password)| RegistryAuth::Basic(user, password));
    let (_, digest, config) =
        client.pull_manifest_and_config(&reference, &auth).await.map_err(|error| told(image, &error.to_string()))?;
    let config: serde_json::Value = serde_json::from_str(&config).unwrap_or_default();
    let labels = config.pointer("/config/Labels").and_then(serde_json::Value::as_object).into_iter().flatten();
    let labels = labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    Ok(ImageInfo { digest, labels: labels.collect() })
}

/// A registry's refusal in the words of a container runtime.
fn told(image: &str, error: &str) -> String {
    let lower = error.to_lowercase();
    if lower.contains("not found") || lower.contains("unknown") || lower.contains("404") {
        format!("{image}: not found")
    } else if lower.contains("not authorized")
        || lower.contains("unauthorized")
        || lower.contains("authent")
        || lower.contains("401")
        || lower.contains("denied")
    {
        "pull access denied, repository does not exist or may require authorization: authorization failed".to_owned()
    } else {
        error.to_owned()
    }
}

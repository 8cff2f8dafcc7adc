//! Pulls an image from a registry into the stand-in engine, in the daemon's lines.

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::State;
use super::files::{digest, read_tar};
use super::images::{ImageConfig, Layer, short};
use super::output::{Output, Stop};
use super::remote::{Login, Remote, refused};

/// Pulls `name:tag` or `name@digest`.
pub(super) async fn pull(state: &State, reference: &str, login: Option<Login>, out: &Output) -> Result<(), Stop> {
    let (name, wanted) = split(reference);
    let mut remote = Remote::connect(name, login, "pull").await?;
    out.status(wanted, &format!("Pulling from {}", remote.repository)).await?;
    let mut manifest = fetch(&mut remote, &format!("manifests/{wanted}")).await?;
    let answered = digest(&manifest);
    if let Some(inner) = of_this_platform(&manifest) {
        manifest = fetch(&mut remote, &format!("manifests/{inner}")).await?;
    }
    let manifest: Value = serde_json::from_slice(&manifest).map_err(|error| Stop::failed(error.to_string()))?;
    let config = fetch(&mut remote, &format!("blobs/{}", text(&manifest["config"]["digest"]))).await?;
    let config_json = String::from_utf8_lossy(&config).into_owned();
    let config: ImageConfig = serde_json::from_str(&config_json).map_err(|error| Stop::failed(error.to_string()))?;

    let mut layers = Vec::new();
    for (descriptor, diff_id) in manifest["layers"].as_array().into_iter().flatten().zip(&config.rootfs.diff_ids) {
        let layer_digest = text(&descriptor["digest"]);
        let shown = short(&layer_digest);
        out.status(shown, "Pulling fs layer").await?;
        let known = state.images().blob(&layer_digest);
        let bytes = match known {
            Some(bytes) => Bytes::copy_from_slice(&bytes),
            None => fetch(&mut remote, &format!("blobs/{layer_digest}")).await?,
        };
        let unread = |error: std::io::Error| Stop::failed(format!("failed to register layer: {error}"));
        let size = read_tar(&bytes).map_err(unread)?.values().map(size_of).sum();
        state.images().add_blob(layer_digest.clone(), bytes.to_vec());
        out.status(shown, "Pull complete").await?;
        layers.push(Layer { digest: layer_digest, diff_id: diff_id.clone(), size });
    }
    {
        let mut images = state.images();
        let id = images.add_exact(config, config_json, layers);
        if !reference.contains('@') {
            images.tag(&id, reference);
        }
        images.pushed(&id, format!("{name}@{answered}"));
    }
    out.status("", &format!("Digest: {answered}")).await?;
    out.status("", &format!("Status: Downloaded newer image for {reference}")).await
}

async fn fetch(remote: &mut Remote, what: &str) -> Result<Bytes, Stop> {
    let answer = remote.send(Method::GET, what, "", Bytes::new()).await?;
    match answer.status().as_u16() {
        200 => Ok(answer.into_body()),
        404 => Err(Stop::failed(format!(
            "manifest for {} not found: manifest unknown: manifest unknown",
            remote.repository
        ))),
        _ => Err(refused(&answer)),
    }
}

fn of_this_platform(manifest: &[u8]) -> Option<String> {
    let index: Value = serde_json::from_slice(manifest).ok()?;
    let fits = |one: &&Value| one["platform"]["architecture"] == "amd64" && one["platform"]["os"] == "linux";
    index["manifests"].as_array()?.iter().find(fits).map(|one| text(&one["digest"]))
}

fn split(reference: &str) -> (&str, &str) {
    if let Some((name, digest)) = reference.split_once('@') {
        return (name, digest);
    }
    let slash = reference.rfind('/').unwrap_or(0);
    match reference[slash..].rfind(':') {
        Some(colon) => (&reference[..slash + colon], &reference[slash + colon + 1..]),
        None => (reference, "latest"),
    }
}

fn size_of(node: &super::files::Node) -> u64 {
    match node {
        super::files::Node::File { bytes, .. } => bytes.len() as u64,
        _ => 0,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

//! Images that come in an archive, in the form of `docker save` before OCI's.

use std::collections::BTreeMap;
use std::io::Read as _;

use axum::body::Body;
use http::Response;
use serde::Deserialize;
use serde_json::json;

use super::State;
use super::answer::{answered, failed};
use super::files::{digest, read_tar};
use super::images::Layer;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

pub(super) fn load(state: &State, archive: &[u8]) -> Response<Body> {
    match take(state, archive) {
        Ok(names) => answered(
            200,
            json!({ "stream": names.iter().map(|name| format!("Loaded image: {name}\n")).collect::<String>() }),
        ),
        Err(error) => failed(500, &format!("Error processing tar file: {error:#}")),
    }
}

fn take(state: &State, archive: &[u8]) -> anyhow::Result<Vec<String>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let (name, mut bytes) = (String::from_utf8_lossy(&entry.path_bytes()).into_owned(), Vec::new());
        entry.read_to_end(&mut bytes)?;
        files.insert(name, bytes);
    }
    let file = |name: &str| files.get(name).ok_or_else(|| anyhow::anyhow!("open {name}: no such file or directory"));
    let entries: Vec<Entry> = serde_json::from_slice(file("manifest.json")?)?;
    let mut images = state.images();
    let mut names = Vec::new();
    for entry in entries {
        let json = String::from_utf8(file(&entry.config)?.clone())?;
        let config: super::images::ImageConfig = serde_json::from_str(&json)?;
        anyhow::ensure!(config.rootfs.diff_ids.len() == entry.layers.len(), "invalid manifest, layers length mismatch");
        let mut layers = Vec::new();
        for (name, diff_id) in entry.layers.iter().zip(&config.rootfs.diff_ids) {
            let bytes = file(name)?.clone();
            read_tar(&bytes)?;
            let layer = Layer { digest: digest(&bytes), diff_id: diff_id.clone(), size: bytes.len() as u64 };
            images.add_blob(layer.digest.clone(), bytes);
            layers.push(layer);
        }
        let id = images.add_exact(config, json, layers);
        entry.repo_tags.iter().for_each(|name| images.tag(&id, name));
        names.extend(entry.repo_tags);
    }
    Ok(names)
}

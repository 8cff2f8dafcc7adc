//! Pushes an image of the stand-in engine to a registry, in the daemon's lines: layers, configuration, manifest.
//!
//! One layer after the other, where the daemon sends five at a time; and a failed layer is the end, where the daemon tries again.

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::{Method, Response};
use serde_json::json;
use tokio::sync::mpsc;

use super::State;
use super::files::digest;
use super::images::{Image, Layer, short};
use super::output::{Output, Stop};
use super::remote::{Login, Remote, location, refused};

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// In how many pieces a layer goes out, so that there is progress to be seen.
const PIECES: usize = 8;

/// Pushes `name:tag`, and answers the digest of its manifest.
pub(super) async fn push(
    state: &State,
    name: &str,
    tag: &str,
    login: Option<Login>,
    out: &Output,
) -> Result<String, Stop> {
    out.status("", &format!("The push refers to repository [{name}]")).await?;
    let found = state.images().find(&format!("{name}:{tag}")).map(|(id, image)| (id.to_owned(), image.clone()));
    let (id, image) =
        found.ok_or_else(|| Stop::failed(format!("An image does not exist locally with the tag: {name}")))?;
    for layer in &image.layers {
        out.status(short(&layer.diff_id), "Preparing").await?;
    }
    for layer in &image.layers {
        out.status(short(&layer.diff_id), "Waiting").await?;
    }
    let mut remote = Remote::connect(name, login, "pull,push").await?;
    for (number, layer) in image.layers.iter().enumerate() {
        push_layer(state, &mut remote, layer, out).await?;
        out.fault_after(number + 1).await?;
    }
    push_config(&mut remote, &id, &image).await?;

    let manifest = manifest(state, &id, &image);
    let answer = remote.send(Method::PUT, &format!("manifests/{tag}"), MANIFEST, manifest.clone().into()).await?;
    succeeded(&answer)?;
    let (digest, size) = (digest(&manifest), manifest.len());
    state.images().pushed(&id, format!("{name}@{digest}"));
    out.status("", &format!("{tag}: digest: {digest} size: {size}")).await?;
    out.line(json!({ "progressDetail": {}, "aux": { "Tag": tag, "Digest": digest, "Size": size } })).await?;
    Ok(digest)
}

async fn push_layer(state: &State, remote: &mut Remote, layer: &Layer, out: &Output) -> Result<(), Stop> {
    let shown = short(&layer.diff_id);
    let there = remote.send(Method::HEAD, &format!("blobs/{}", layer.digest), "", Bytes::new()).await?;
    if there.status().is_success() {
        return out.status(shown, "Layer already exists").await;
    }
    let bytes = state.images().blob(&layer.digest).ok_or_else(|| Stop::failed(format!("layer {shown} is gone")))?;
    let begun = remote.send(Method::POST, "blobs/uploads/", "", Bytes::new()).await?;
    succeeded(&begun)?;

    // Progress is told beside the upload, as its pieces leave.
    let delay = state.plan().piece_delay;
    let total = bytes.len() as u64;
    let pieces: Vec<Bytes> = bytes.chunks(bytes.len().div_ceil(PIECES).max(1)).map(Bytes::copy_from_slice).collect();
    // There are at most so many pieces, so there is always room for what is told of one.
    let (sent, mut left) = mpsc::channel(PIECES);
    let body = Body::from_stream(stream::unfold((pieces.into_iter(), sent), move |(mut pieces, sent)| async move {
        let piece = pieces.next()?;
        tokio::time::sleep(delay).await;
        let _ = sent.try_send(piece.len() as u64);
        Some((Ok::<_, std::io::Error>(piece), (pieces, sent)))
    }));
    let target = location(&begun, None);
    let mut upload = Box::pin(remote.send_stream(Method::PATCH, &target, body));
    let mut current = 0;
    let patched = loop {
        tokio::select! {
            biased;
            Some(piece) = left.recv() => {
                current += piece;
                out.progress(shown, "Pushing", current, total).await?;
            }
            answer = &mut upload => break answer?,
        }
    };
    drop(upload);
    succeeded(&patched)?;
    let target = location(&patched, Some(&layer.digest));
    succeeded(&remote.send(Method::PUT, &target, "application/octet-stream", Bytes::new()).await?)?;
    out.status(shown, "Pushed").await
}

async fn push_config(remote: &mut Remote, id: &str, image: &Image) -> Result<(), Stop> {
    if remote.send(Method::HEAD, &format!("blobs/{id}"), "", Bytes::new()).await?.status().is_success() {
        return Ok(());
    }
    let begun = remote.send(Method::POST, "blobs/uploads/", "", Bytes::new()).await?;
    succeeded(&begun)?;
    let body = Bytes::from(image.config_json.clone());
    succeeded(&remote.send(Method::PUT, &location(&begun, Some(id)), "application/octet-stream", body).await?)
}

fn manifest(state: &State, id: &str, image: &Image) -> Vec<u8> {
    let images = state.images();
    let layers: Vec<_> = image
        .layers
        .iter()
        .map(|layer| {
            let size = images.blob(&layer.digest).map_or(0, |bytes| bytes.len());
            json!({ "mediaType": LAYER, "size": size, "digest": layer.digest })
        })
        .collect();
    let config = json!({ "mediaType": CONFIG, "size": image.config_json.len(), "digest": id });
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
    serde_json::to_vec_pretty(&manifest).expect("a manifest is JSON")
}

fn succeeded(answer: &Response<Bytes>) -> Result<(), Stop> {
    if answer.status().is_success() { Ok(()) } else { Err(refused(answer)) }
}

//! One push: blobs and manifests go from this machine to the registry, which is told about the image last.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::BuildkitEngine;
use super::layout::{Descriptor, Whole};
use super::store::Store;
use crate::engine::docker::send;
use crate::engine::{BuildError, Progress, PushedDigest, Sink};
use crate::registry::credentials::Login;
use crate::registry::messages::hint;
use crate::registry::oci::{Upload, UploadError, UploadedBlob, UploadedManifest};
use quarterdeck_core::image_ref::ImageRef;

/// The share that is done is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(super) async fn push(
    engine: &BuildkitEngine,
    name: &ImageRef,
    login: Option<&Login>,
    sink: &Sink,
    cancel: &CancellationToken,
) -> Result<PushedDigest, BuildError> {
    let doing = format!("pushing {name}");
    let store = engine.store();
    let whole = store.whole(&name.to_string()).await?;
    let blobs: Vec<UploadedBlob> = whole.blobs().into_iter().map(|blob| uploaded(&store, blob)).collect();
    let manifests = manifests(&store, &whole, name)?;
    let total: u64 = blobs.iter().map(|blob| blob.size).sum();
    let done = Arc::new(AtomicU64::new(0));
    let upload = Upload { image: name, login, blobs: &blobs, manifests: &manifests, done: done.clone() };
    let mut uploading = std::pin::pin!(engine.registries.upload(upload));
    let (mut heard, mut seen, mut told) = (Instant::now(), 0, 0);
    let sent = loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(BuildError::Cancelled { doing }),
            sent = uploading.as_mut() => break sent,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let now = done.load(Ordering::Relaxed);
        if now != seen {
            (heard, seen) = (Instant::now(), now);
        } else if heard.elapsed() >= engine.limits.push_silent {
            return Err(BuildError::Silent { doing, seconds: heard.elapsed().as_secs() });
        }
        // 100 is said when the image is there.
        let percent = u8::try_from((now * 100).checked_div(total).unwrap_or_default().min(99)).unwrap_or_default();
        if percent > told {
            told = percent;
            send(sink, Progress::Percent(percent)).await;
        }
    };
    let sent = sent.map_err(|error| failure(name, login.is_some(), error))?;
    let digest = whole.root.digest;
    let (all, kept) = (blobs.len(), blobs.len() - sent);
    send(sink, Progress::Line(format!("{all} blobs: {sent} sent, {kept} already there"))).await;
    send(sink, Progress::Line(format!("{}: digest: {digest}", name.tag().unwrap_or("latest")))).await;
    send(sink, Progress::Percent(100)).await;
    Ok(PushedDigest(digest))
}

fn uploaded(store: &Store, blob: &Descriptor) -> UploadedBlob {
    UploadedBlob { digest: blob.digest.clone(), size: blob.size, path: store.blob(&blob.digest), offset: 0 }
}

/// The manifests with where each goes: the parts of an index by their digests, what is named by its tag last.
fn manifests(store: &Store, whole: &Whole, name: &ImageRef) -> Result<Vec<UploadedManifest>, BuildError> {
    let tag = name.tag().unwrap_or("latest");
    let manifest = |one: &Descriptor| {
        let path = store.blob(&one.digest);
        let bytes = std::fs::read(&path).map_err(|source| super::BuildkitError::Read { path, source })?;
        let reference = if one.digest == whole.root.digest { tag } else { one.digest.as_str() };
        Ok(UploadedManifest { reference: reference.to_owned(), media_type: one.media_type.clone(), bytes })
    };
    whole.manifests().into_iter().map(manifest).collect()
}

fn failure(name: &ImageRef, with_login: bool, error: UploadError) -> BuildError {
    let image = name.to_string();
    match error {
        UploadError::Registry(error) => BuildError::Registry(error),
        UploadError::Refused { message } => BuildError::Push { image, hint: hint(&message, with_login), message },
        UploadError::Read { path, source } => super::BuildkitError::Read { path, source }.into(),
    }
}

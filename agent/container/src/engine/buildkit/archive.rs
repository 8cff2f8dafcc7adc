//! An image for a container engine, which tests it: the part for the engine's platform, in the archive that `docker load` and
//! `podman load` take.
//!
//! On the engine it has a name that tells it from what was built there, and it stays for a while: the next test of it finds it.
//! It has the labels of the image, by which [gc] deletes it once it is old enough: it can be loaded again.

use std::fs::File;
use std::io::{self, Seek as _};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::layout::Part;
use super::store::Store;
use super::{BuildkitEngine, BuildkitError};
use crate::engine::docker::send;
use crate::engine::testing::TestError;
use crate::engine::{BuildError, Builder as _, LabelledImage, Progress, Sink};

/// What an image is called on an engine. Podman looks there for names without a host; no registry has it.
const NAME: &str = "localhost/quarterdeck-test";

/// An image of an engine, without the name that we gave it there: nobody else knows it by that.
pub(super) fn without_our_name(mut image: LabelledImage) -> LabelledImage {
    image.names.retain(|name| name.rsplit_once(':').is_none_or(|(name, _)| name != NAME));
    image
}

/// The image is on the engine: its name there.
pub(super) async fn on_engine(
    engine: &BuildkitEngine,
    id: &str,
    sink: &Sink,
    cancel: &CancellationToken,
) -> Result<String, TestError> {
    let no_engine = |error| match error {
        error @ BuildError::NoEngine { .. } => BuildkitError::NoEngine(Box::new(error)).into(),
        error => error,
    };
    let (store, containers) = (engine.store(), &engine.containers);
    let whole = store.whole(id).await.map_err(BuildError::from)?;
    let wanted = containers.info().await.map_err(no_engine)?.platform;
    let part = whole
        .part(&wanted)
        .ok_or_else(|| BuildError::from(BuildkitError::NoPart { has: whole.platforms(), wanted: wanted.clone() }))?;
    let hex = part.manifest.digest.rsplit(':').next().unwrap_or_default();
    let name = format!("{NAME}:{hex}");
    if containers.has(&name).await? {
        return Ok(name);
    }
    send(sink, Progress::Line(format!("loading the image for {} into the container engine", part.platform))).await;
    let archive = write(store, part.clone(), name.clone(), engine.scratch.clone()).await?;
    containers.load(archive, cancel).await?;
    Ok(name)
}

async fn write(store: Store, part: Part, name: String, scratch: std::path::PathBuf) -> Result<File, BuildError> {
    let cannot = {
        let scratch = scratch.clone();
        |source| BuildkitError::Write { doing: "packing an image for its test".to_owned(), path: scratch, source }
    };
    let span = tracing::Span::current();
    let pack = move || {
        // Without a name: it is gone when it was read, and when we are killed.
        let mut file = tempfile::tempfile_in(scratch)?;
        pack(&store, &part, &name, &file)?;
        file.rewind()?;
        io::Result::Ok(file)
    };
    match tokio::task::spawn_blocking(move || span.in_scope(pack)).await {
        Ok(packed) => Ok(packed.map_err(cannot)?),
        Err(failure) => std::panic::resume_unwind(failure.into_panic()),
    }
}

/// The form of `docker save` before OCI's: engines of any age read it, with layers that are compressed.
fn pack(store: &Store, part: &Part, name: &str, out: &File) -> io::Result<()> {
    let file = |digest: &str| format!("{}.blob", digest.replacen(':', "-", 1));
    let layers: Vec<String> = part.layers.iter().map(|layer| file(&layer.digest)).collect();
    let list = json!([{ "Config": file(&part.config.digest), "RepoTags": [name], "Layers": layers }]).to_string();
    let mut archive = tar::Builder::new(io::BufWriter::new(out));
    let mut header = tar::Header::new_gnu();
    header.set_size(list.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, "manifest.json", list.as_bytes())?;
    let mut packed = std::collections::BTreeSet::new();
    for blob in part.layers.iter().chain([&part.config]).filter(|blob| packed.insert(blob.digest.clone())) {
        archive.append_file(file(&blob.digest), &mut File::open(store.blob(&blob.digest))?)?;
    }
    io::Write::flush(&mut archive.into_inner()?)
}

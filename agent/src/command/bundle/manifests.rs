//! The files of a commit as an artifact in the layout of Flux, and the archive of a chart as one of Helm: the same bytes each time.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use quarterdeck_container::bundle::layout::{Descriptor, MANIFEST};
use quarterdeck_container::bundle::pack::pack;
use quarterdeck_container::manifests;
use quarterdeck_core::tree::EntryMode;
use quarterdeck_core::tree::memory::Files;
use quarterdeck_git::CommitId;
use quarterdeck_git::mirror::Mirror;
use quarterdeck_shared::revision::ChartRelease;
use serde_json::json;

/// Bytes of one file: as much as is read of one in an artifact.
const FILE_BYTES_MAX: u64 = 5 << 20;

/// Bytes of all files together: as many as are unpacked of an artifact.
const ALL_BYTES_MAX: u64 = 64 << 20;

/// An artifact: its manifest, its configuration and its layer.
pub(super) struct Artifact {
    pub(super) manifest: (Descriptor, Vec<u8>),
    pub(super) blobs: [(Descriptor, Vec<u8>); 2],
}

/// All files of a commit, and archives beside them.
pub(super) fn of_commit(
    mirror: &Mirror,
    commit: &CommitId,
    archives: BTreeMap<String, Arc<[u8]>>,
    source: &str,
    reference: &str,
) -> anyhow::Result<Artifact> {
    let (mut files, mut left) = (Files::default(), ALL_BYTES_MAX);
    let too_large = || format!("the files of commit {} are larger than {ALL_BYTES_MAX} bytes", commit.short());
    for (path, archive) in archives {
        left = left.checked_sub(archive.len() as u64).with_context(too_large)?;
        files.files.insert(path, (EntryMode::File, archive.to_vec()));
    }
    for entry in mirror.entries(commit, "")?.entries {
        if entry.mode == EntryMode::Submodule {
            continue;
        }
        let content = mirror.blob(&entry.id, FILE_BYTES_MAX).with_context(|| format!("cannot pack {}", entry.path))?;
        left = left.checked_sub(content.len() as u64).with_context(too_large)?;
        files.files.insert(entry.path, (entry.mode, content));
    }
    let layer = pack(&files)?;
    // What the agent of the other place would refuse is known here already.
    anyhow::ensure!(
        layer.len() as u64 <= manifests::LAYER_BYTES_MAX,
        "the files of commit {} are larger than {} bytes, packed",
        commit.short(),
        manifests::LAYER_BYTES_MAX
    );
    if let Err(error) = manifests::read(&layer) {
        anyhow::bail!("the files of commit {} cannot be an artifact: {error}", commit.short());
    }
    let annotations: BTreeMap<_, _> = [
        ("created", mirror.commit_info(commit)?.time.to_string()),
        ("revision", format!("{reference}@sha1:{commit}")),
        ("source", source.to_owned()),
    ]
    .map(|(name, text)| (format!("org.opencontainers.image.{name}"), text))
    .into();
    let kind = |what: &str| format!("application/vnd.cncf.flux.{what}");
    Ok(artifact((&kind("config.v1+json"), b"{}"), (&kind("content.v1.tar+gzip"), layer), &annotations))
}

/// A chart.
pub(super) fn of_chart(release: &ChartRelease, archive: Vec<u8>) -> anyhow::Result<Artifact> {
    let config = serde_json::to_vec(&json!({ "name": release.name, "version": release.version }))?;
    let kind = |what: &str| format!("application/vnd.cncf.helm.{what}");
    let layer = (&*kind("chart.content.v1.tar+gzip"), archive);
    Ok(artifact((&kind("config.v1+json"), &config), layer, &BTreeMap::new()))
}

fn artifact(
    (config_type, config): (&str, &[u8]),
    (layer_type, layer): (&str, Vec<u8>),
    annotations: &BTreeMap<String, String>,
) -> Artifact {
    let (named, content) = (Descriptor::of(config_type, config), Descriptor::of(layer_type, &layer));
    let mut manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": named, "layers": [content] });
    if !annotations.is_empty() {
        manifest["annotations"] = json!(annotations);
    }
    let manifest = manifest.to_string().into_bytes();
    Artifact {
        manifest: (Descriptor::of(MANIFEST, &manifest), manifest),
        blobs: [(named, config.to_vec()), (content, layer)],
    }
}

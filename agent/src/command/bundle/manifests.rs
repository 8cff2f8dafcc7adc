//! The files of a commit as an artifact in the layout of Flux, and the archive of a chart as one of Helm: the same bytes each time.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use quarterdeck_container::bundle::layout::{Descriptor, MANIFEST};
use quarterdeck_container::bundle::pack::pack;
use quarterdeck_container::manifests;
use quarterdeck_core::tree::EntryMode;
use quarterdeck_core::tree::memory::Files;
use quarterdeck_git::CommitId;
use quarterdeck_git::mirror::Mirror;
use quarterdeck_shared::revision::{ChartRelease, Revision};
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

/// The files of a revision: all of a commit, and of each source what is taken of it.
pub(super) struct Manifests {
    pub(super) files: Files,
    /// Bytes that are left for more.
    left: u64,
    revision: Revision,
    /// Where the environment's own files are from.
    address: String,
    /// When the newest of the commits was made.
    created: Timestamp,
}

impl Manifests {
    /// All files of the commit of a revision.
    pub(super) fn new(mirror: &Mirror, revision: Revision, address: String) -> anyhow::Result<Self> {
        let commit = revision.commit.clone();
        let (files, created) = (Files::default(), Timestamp::UNIX_EPOCH);
        let mut own = Self { files, left: ALL_BYTES_MAX, revision, address, created };
        own.add(mirror, &commit, ("", ""))?;
        Ok(own)
    }

    /// What is below a folder of a commit, at another folder.
    pub(super) fn add(
        &mut self,
        mirror: &Mirror,
        commit: &CommitId,
        (taken, folder): (&str, &str),
    ) -> anyhow::Result<()> {
        for entry in mirror.entries(commit, taken)?.entries {
            if entry.mode == EntryMode::Submodule {
                continue;
            }
            let content =
                mirror.blob(&entry.id, FILE_BYTES_MAX).with_context(|| format!("cannot pack {}", entry.path))?;
            let below = entry.path.strip_prefix(taken).unwrap_or(&entry.path).trim_start_matches('/');
            let path = if folder.is_empty() { below.to_owned() } else { format!("{folder}/{below}") };
            self.insert(path, entry.mode, content)?;
        }
        self.created = self.created.max(mirror.commit_info(commit)?.time);
        Ok(())
    }

    /// Archives, by their paths.
    pub(super) fn put(&mut self, archives: BTreeMap<String, Arc<[u8]>>) -> anyhow::Result<()> {
        archives.into_iter().try_for_each(|(path, archive)| self.insert(path, EntryMode::File, archive.to_vec()))
    }

    fn insert(&mut self, path: String, mode: EntryMode, content: Vec<u8>) -> anyhow::Result<()> {
        let too_large = || format!("{} are larger than {ALL_BYTES_MAX} bytes", self.describe());
        self.left = self.left.checked_sub(content.len() as u64).with_context(too_large)?;
        self.files.files.insert(path, (mode, content));
        Ok(())
    }

    /// `the files of commit 1f3c2a9`
    fn describe(&self) -> String {
        match self.revision.sources.is_empty() {
            true => format!("the files of commit {}", self.revision.commit.short()),
            false => format!("the files of {}", self.revision.short()),
        }
    }

    /// All of it as an artifact.
    pub(super) fn artifact(&self) -> anyhow::Result<Artifact> {
        let layer = pack(&self.files)?;
        // What the agent of the other place would refuse is known here already.
        anyhow::ensure!(
            layer.len() as u64 <= manifests::LAYER_BYTES_MAX,
            "{} are larger than {} bytes, packed",
            self.describe(),
            manifests::LAYER_BYTES_MAX
        );
        if let Err(error) = manifests::read(&layer) {
            anyhow::bail!("{} cannot be an artifact: {error}", self.describe());
        }
        let annotations: BTreeMap<_, _> = [
            ("created", self.created.to_string()),
            ("revision", Revision { artifact: None, ..self.revision.clone() }.to_string()),
            ("source", self.address.clone()),
        ]
        .map(|(name, text)| (format!("org.opencontainers.image.{name}"), text))
        .into();
        let kind = |what: &str| format!("application/vnd.cncf.flux.{what}");
        Ok(artifact((&kind("config.v1+json"), b"{}"), (&kind("content.v1.tar+gzip"), layer), &annotations))
    }
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

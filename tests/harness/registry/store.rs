//! Blobs, manifests, tags and unfinished uploads, in memory; written through to a folder where there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Context as _;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A manifest as it was put.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) media_type: String,
    pub(super) bytes: Bytes,
}

/// Why a manifest was not taken.
#[derive(Debug)]
pub(super) enum Refused {
    Digest,
    NotJson,
    MissingBlob(String),
}

/// Everything the registry holds.
#[derive(Debug, Default)]
pub(super) struct Store {
    folder: Option<PathBuf>,
    blobs: BTreeMap<String, Bytes>,
    repositories: BTreeMap<String, Repository>,
    uploads: BTreeMap<String, Vec<u8>>,
    uploads_begun: u64,
    /// A manifest goes with its last tag, also where that moves.
    pub(super) lets_go_untagged: bool,
    /// Lists of tags have an `ETag`.
    pub(super) knows_lists_again: bool,
    /// How many lists were not sent, since the client had them.
    pub(super) unchanged: u64,
    /// A page has no more tags, whatever is asked for.
    pub(super) page_max: Option<usize>,
    /// The same of a page of referrers.
    pub(super) referrers_page_max: Option<usize>,
}

/// What belongs to one repository; also the index file of the folder.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Repository {
    /// Digest to media type; the bytes are among the blobs.
    manifests: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    blobs: BTreeSet<String>,
}

impl Store {
    pub(super) fn open(folder: Option<PathBuf>) -> anyhow::Result<Self> {
        let mut store = Self { folder, ..Self::default() };
        let Some(folder) = store.folder.clone() else { return Ok(store) };
        std::fs::create_dir_all(folder.join("blobs")).with_context(|| format!("making {}", folder.display()))?;
        if let Ok(index) = std::fs::read(folder.join("index.json")) {
            store.repositories = serde_json::from_slice(&index).context("reading the registry's index")?;
        }
        for entry in std::fs::read_dir(folder.join("blobs"))? {
            let entry = entry?;
            let digest = format!("sha256:{}", entry.file_name().to_string_lossy());
            store.blobs.insert(digest, std::fs::read(entry.path())?.into());
        }
        Ok(store)
    }

    pub(super) fn manifests(&self, repository: &str) -> Vec<String> {
        self.repositories.get(repository).map(|r| r.manifests.keys().cloned().collect()).unwrap_or_default()
    }

    pub(super) fn tags(&self, repository: &str) -> Vec<String> {
        self.repositories.get(repository).map(|r| r.tags.keys().cloned().collect()).unwrap_or_default()
    }

    pub(super) fn knows(&self, repository: &str) -> bool {
        self.repositories.contains_key(repository)
    }

    pub(super) fn digest(&self, repository: &str, tag: &str) -> Option<String> {
        self.repositories.get(repository)?.tags.get(tag).cloned()
    }

    pub(super) fn manifest(&self, repository: &str, reference: &str) -> Option<(String, Manifest)> {
        let of = self.repositories.get(repository)?;
        let digest = if reference.contains(':') { reference } else { of.tags.get(reference)? };
        let media_type = of.manifests.get(digest)?.clone();
        let bytes = self.blobs.get(digest)?.clone();
        Some((digest.to_owned(), Manifest { media_type, bytes }))
    }

    /// Takes a manifest under a tag or a digest, once every blob that it names is there.
    pub(super) fn put_manifest(
        &mut self,
        repository: &str,
        reference: &str,
        manifest: Manifest,
    ) -> Result<String, Refused> {
        let digest = digest_of(&manifest.bytes);
        let by_digest = reference.contains(':');
        if by_digest && reference != digest {
            return Err(Refused::Digest);
        }
        let json: serde_json::Value = serde_json::from_slice(&manifest.bytes).map_err(|_| Refused::NotJson)?;
        let of = self.repositories.entry(repository.to_owned()).or_default();
        let named = std::iter::once(&json["config"])
            .chain(json["layers"].as_array().into_iter().flatten())
            .filter_map(|descriptor| descriptor["digest"].as_str());
        if let Some(missing) = named.into_iter().find(|digest| !of.blobs.contains(*digest)) {
            return Err(Refused::MissingBlob(missing.to_owned()));
        }
        of.manifests.insert(digest.clone(), manifest.media_type);
        if !by_digest {
            let before = of.tags.insert(reference.to_owned(), digest.clone());
            if let Some(before) =
                before.filter(|before| self.lets_go_untagged && !of.tags.values().any(|of| of == before))
            {
                of.manifests.remove(&before);
            }
        }
        self.keep(&digest, manifest.bytes);
        Ok(digest)
    }

    /// Removes a tag, or a manifest with all its tags. False if it was not there.
    pub(super) fn delete_manifest(&mut self, repository: &str, reference: &str) -> bool {
        let Some(of) = self.repositories.get_mut(repository) else { return false };
        let removed = if reference.contains(':') {
            of.tags.retain(|_, digest| digest != reference);
            of.manifests.remove(reference).is_some()
        } else {
            of.tags.remove(reference).is_some()
        };
        self.keep_index();
        removed
    }

    /// Manifests whose `subject` is this digest.
    pub(super) fn referrers(&self, repository: &str, subject: &str) -> Vec<(String, Manifest, serde_json::Value)> {
        let all = self.manifests(repository).into_iter().filter_map(|digest| self.manifest(repository, &digest));
        all.filter_map(|(digest, manifest)| {
            let json: serde_json::Value = serde_json::from_slice(&manifest.bytes).ok()?;
            (json["subject"]["digest"] == subject).then_some((digest, manifest, json))
        })
        .collect()
    }

    pub(super) fn blob(&self, repository: &str, digest: &str) -> Option<Bytes> {
        self.repositories.get(repository)?.blobs.get(digest)?;
        self.blob_anywhere(digest)
    }

    pub(super) fn blob_anywhere(&self, digest: &str) -> Option<Bytes> {
        self.blobs.get(digest).cloned()
    }

    /// Makes a blob of one repository one of another. False if it is not there.
    pub(super) fn mount(&mut self, repository: &str, digest: &str, from: &str) -> bool {
        if self.blob(from, digest).is_none() {
            return false;
        }
        self.repositories.entry(repository.to_owned()).or_default().blobs.insert(digest.to_owned());
        self.keep_index();
        true
    }

    pub(super) fn begin_upload(&mut self) -> String {
        self.uploads_begun += 1;
        let id = format!("upload-{}", self.uploads_begun);
        self.uploads.insert(id.clone(), Vec::new());
        id
    }

    pub(super) fn upload(&mut self, id: &str) -> Option<&mut Vec<u8>> {
        self.uploads.get_mut(id)
    }

    pub(super) fn forget_upload(&mut self, id: &str) -> bool {
        self.uploads.remove(id).is_some()
    }

    /// Turns an upload into a blob; false, and the upload is gone, if its bytes are not those of `digest`.
    pub(super) fn finish_upload(&mut self, repository: &str, id: &str, digest: &str) -> bool {
        let Some(bytes) = self.uploads.remove(id) else { return false };
        if digest_of(&bytes) != digest {
            return false;
        }
        self.repositories.entry(repository.to_owned()).or_default().blobs.insert(digest.to_owned());
        self.keep(digest, bytes.into());
        true
    }

    /// A blob as if it had been uploaded; its digest.
    pub(super) fn put_blob(&mut self, repository: &str, bytes: &[u8]) -> String {
        let digest = digest_of(bytes);
        self.repositories.entry(repository.to_owned()).or_default().blobs.insert(digest.clone());
        self.keep(&digest, Bytes::copy_from_slice(bytes));
        digest
    }

    fn keep(&mut self, digest: &str, bytes: Bytes) {
        if let Some(folder) = &self.folder {
            let file = folder.join("blobs").join(digest.trim_start_matches("sha256:"));
            std::fs::write(file, &bytes).expect("the stand-in registry writes into its folder");
        }
        self.blobs.insert(digest.to_owned(), bytes);
        self.keep_index();
    }

    /// Writes the index beside itself first, so that a kill leaves the old one or the new one.
    fn keep_index(&self) {
        let Some(folder) = &self.folder else { return };
        let index = serde_json::to_vec(&self.repositories).expect("an index of strings is JSON");
        let fresh = folder.join("index.json.new");
        std::fs::write(&fresh, index)
            .and_then(|()| std::fs::rename(&fresh, folder.join("index.json")))
            .expect("the stand-in registry writes into its folder");
    }
}

/// `sha256:` and the hash in hex.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

//! The images that a daemon built, on this machine: blobs by their digests, which images share, and a file for each image with
//! its names and labels.
//!
//! ```text
//! images/HEX.json    names, labels, when it was built, the blobs that it needs
//! blobs/sha256/HEX   as in OCI's image layout
//! ```
//!
//! It is bounded as the images of an engine are: [gc] keeps those of so many commits, and of those that run. What no image needs
//! goes with the last one that did.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::error::BuildkitError;
use super::layout::{Descriptor, Whole};
use crate::engine::{BuiltImage, LabelledImage};
use quarterdeck_core::image_ref::ImageRef;

/// One changes it at a time, whichever engine of this process it is: a reload makes a new one beside a build. What is written is
/// small, and what is large is moved.
static CHANGES: Mutex<()> = Mutex::const_new(());

/// The images in a folder.
#[derive(Debug, Clone)]
pub(super) struct Store {
    folder: Arc<PathBuf>,
}

/// An image.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    root: Descriptor,
    names: BTreeSet<String>,
    labels: BTreeMap<String, String>,
    /// Seconds since the epoch.
    built: i64,
    size_bytes: u64,
    /// All of its blobs, manifests among them.
    blobs: BTreeSet<String>,
}

impl Store {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder: Arc::new(folder) }
    }

    /// Every image, in no order.
    pub(super) async fn all(&self) -> Result<Vec<LabelledImage>, BuildkitError> {
        let image = |record: Record| LabelledImage {
            id: record.root.digest,
            names: record.names.into_iter().collect(),
            labels: record.labels,
            created: record.built,
            size_bytes: record.size_bytes,
        };
        Ok(self.work(Self::records).await?.into_iter().map(image).collect())
    }

    /// Moves an image in from its layout. One that is there gets these names too, and is new again.
    pub(super) async fn keep(
        &self,
        layout: PathBuf,
        labels: BTreeMap<String, String>,
        names: &[ImageRef],
    ) -> Result<BuiltImage, BuildkitError> {
        let names: BTreeSet<String> = names.iter().map(ImageRef::to_string).collect();
        let _alone = CHANGES.lock().await;
        self.work(move |store| store.take(&layout, labels, names)).await
    }

    /// Gives an image another name, which no other image has then.
    pub(super) async fn name(&self, id: &str, name: &ImageRef) -> Result<(), BuildkitError> {
        let (id, name) = (id.to_owned(), name.to_string());
        let _alone = CHANGES.lock().await;
        self.work(move |store| {
            let mut named = store.record(&id)?;
            store.take_names(&BTreeSet::from([name.clone()]), &id)?;
            named.names.insert(name);
            store.write(&named)
        })
        .await
    }

    /// Takes an image away, and what no other needs. False where it is none of these.
    pub(super) async fn remove(&self, id: &str) -> Result<bool, BuildkitError> {
        let id = id.to_owned();
        let _alone = CHANGES.lock().await;
        self.work(move |store| {
            match store.record(&id) {
                Ok(_) => {}
                Err(BuildkitError::NoImage { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
            store.at(std::fs::remove_file(store.file(&id)), &store.file(&id))?;
            store.sweep()?;
            Ok(true)
        })
        .await
    }

    /// The image of an id or a name, read whole.
    pub(super) async fn whole(&self, wanted: &str) -> Result<Whole, BuildkitError> {
        let wanted = wanted.to_owned();
        self.work(move |store| {
            let is_it = |record: &Record| record.root.digest == wanted || record.names.contains(&wanted);
            let found = store.records()?.into_iter().find(is_it);
            let record = found.ok_or_else(|| BuildkitError::NoImage { id: wanted.clone() })?;
            let damaged = |what| BuildkitError::Damaged { id: wanted.clone(), what };
            Whole::of(record.root, |digest| std::fs::read(store.blob(digest))).map_err(damaged)
        })
        .await
    }

    /// Where a blob is.
    pub(super) fn blob(&self, digest: &str) -> PathBuf {
        self.folder.join("blobs").join(digest.replacen(':', "/", 1))
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, BuildkitError> + Send + 'static,
    ) -> Result<T, BuildkitError> {
        let (store, span) = (self.clone(), tracing::Span::current());
        match tokio::task::spawn_blocking(move || span.in_scope(|| work(&store))).await {
            Ok(result) => result,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }

    fn records(&self) -> Result<Vec<Record>, BuildkitError> {
        let folder = self.folder.join("images");
        let cannot = |source| BuildkitError::Read { path: folder.clone(), source };
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(cannot(error)),
        };
        let mut records = Vec::new();
        for entry in entries {
            let path = entry.map_err(cannot)?.path();
            if path.extension().is_none_or(|kind| kind != "json") {
                continue;
            }
            let text = std::fs::read(&path).map_err(cannot)?;
            let record = serde_json::from_slice(&text).map_err(|error| cannot(io::Error::other(error)))?;
            records.push(record);
        }
        Ok(records)
    }

    /// Deletes the blobs that no image needs: those of one that went, and what a build brought that was killed before it was
    /// written down.
    fn sweep(&self) -> Result<(), BuildkitError> {
        let needed: BTreeSet<String> = self.records()?.into_iter().flat_map(|record| record.blobs).collect();
        let folder = self.folder.join("blobs/sha256");
        for entry in self.at(std::fs::read_dir(&folder), &folder)? {
            let entry = self.at(entry, &folder)?;
            if !needed.contains(&format!("sha256:{}", entry.file_name().to_string_lossy())) {
                self.at(std::fs::remove_file(entry.path()), &entry.path())?;
            }
        }
        Ok(())
    }

    fn record(&self, id: &str) -> Result<Record, BuildkitError> {
        let found = self.records()?.into_iter().find(|record| record.root.digest == id);
        found.ok_or_else(|| BuildkitError::NoImage { id: id.to_owned() })
    }

    fn take(
        &self,
        layout: &Path,
        labels: BTreeMap<String, String>,
        mut names: BTreeSet<String>,
    ) -> Result<BuiltImage, BuildkitError> {
        let built = |digest: &str| layout.join("blobs").join(digest.replacen(':', "/", 1));
        let index = std::fs::read(layout.join("index.json"));
        let whole = index.map_err(|error| error.to_string());
        let whole = whole.and_then(|index| Whole::of_layout(&index, |digest| std::fs::read(built(digest))));
        let whole =
            whole.map_err(|what| BuildkitError::Damaged { id: names.first().cloned().unwrap_or_default(), what })?;
        let all = || whole.blobs().into_iter().chain(whole.manifests());
        self.at(std::fs::create_dir_all(self.folder.join("blobs/sha256")), &self.folder)?;
        self.at(std::fs::create_dir_all(self.folder.join("images")), &self.folder)?;
        for blob in all() {
            let kept = self.blob(&blob.digest);
            if !kept.exists() {
                self.at(std::fs::rename(built(&blob.digest), &kept), &kept)?;
            }
        }
        let id = whole.root.digest.clone();
        self.take_names(&names, &id)?;
        if let Ok(before) = self.record(&id) {
            names.extend(before.names);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let record = Record {
            names,
            labels,
            built: i64::try_from(now.as_secs()).unwrap_or_default(),
            size_bytes: all().map(|blob| blob.size).sum(),
            blobs: all().map(|blob| blob.digest.clone()).collect(),
            root: whole.root.clone(),
        };
        self.write(&record)?;
        Ok(BuiltImage { id, size_bytes: record.size_bytes, names: record.names.into_iter().collect() })
    }

    /// No image but this one has these names any more.
    fn take_names(&self, names: &BTreeSet<String>, but: &str) -> Result<(), BuildkitError> {
        for mut record in self.records()?.into_iter().filter(|record| record.root.digest != but) {
            if !record.names.is_disjoint(names) {
                record.names = record.names.difference(names).cloned().collect();
                self.write(&record)?;
            }
        }
        Ok(())
    }

    fn file(&self, id: &str) -> PathBuf {
        self.folder.join("images").join(format!("{}.json", id.replacen(':', "-", 1)))
    }

    /// Beside itself first, so that a kill leaves the old one or the new one.
    fn write(&self, record: &Record) -> Result<(), BuildkitError> {
        let file = self.file(&record.root.digest);
        let (new, text) = (file.with_extension("new"), serde_json::to_vec(record));
        let written = text.map_err(io::Error::other).and_then(|text| std::fs::write(&new, text));
        self.at(written.and_then(|()| std::fs::rename(&new, &file)), &file)
    }

    fn at<T>(&self, result: io::Result<T>, path: &Path) -> Result<T, BuildkitError> {
        let doing = "keeping the built images".to_owned();
        result.map_err(|source| BuildkitError::Write { doing, path: path.to_owned(), source })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::layout::tests::{Blobs, manifest};
    use super::*;

    fn image(name: &str) -> ImageRef {
        ImageRef::parse(name).unwrap()
    }

    /// A layout with an image of this architecture, as a build leaves it.
    fn layout(folder: &Path, architecture: &str) -> (PathBuf, String) {
        let mut blobs = Blobs::new();
        let root: Value = manifest(&mut blobs, architecture);
        let layout = folder.join(format!("layout-{architecture}"));
        std::fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
        for (digest, bytes) in &blobs {
            std::fs::write(layout.join("blobs").join(digest.replacen(':', "/", 1)), bytes).unwrap();
        }
        std::fs::write(layout.join("index.json"), json!({ "manifests": [root] }).to_string()).unwrap();
        (layout, root["digest"].as_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn images_share_blobs_and_take_with_them_what_no_other_needs() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("store"));
        assert!(store.all().await.unwrap().is_empty() && !store.remove("sha256:0").await.unwrap());
        let labels = |of: &str| BTreeMap::from([("of".to_owned(), of.to_owned())]);
        let mut ids = Vec::new();
        for architecture in ["amd64", "arm64"] {
            let (layout, id) = layout(folder.path(), architecture);
            let name = image(&format!("r.example/shop:{architecture}"));
            let built = store.keep(layout, labels(architecture), std::slice::from_ref(&name)).await.unwrap();
            assert_eq!((built.id.as_str(), built.names), (id.as_str(), vec![name.to_string()]));
            ids.push(id);
        }
        let blobs = || std::fs::read_dir(folder.path().join("store/blobs/sha256")).unwrap().count();
        // Manifest, configuration and a layer each, and one layer of both.
        assert_eq!((store.all().await.unwrap().len(), blobs()), (2, 7));
        // As a build leaves it that was killed in the middle.
        std::fs::write(folder.path().join("store/blobs/sha256/left"), "").unwrap();
        assert!(store.remove(&ids[0]).await.unwrap());
        assert_eq!(blobs(), 4);
        let left = store.whole(&ids[1]).await.unwrap();
        assert!(left.blobs().iter().all(|blob| store.blob(&blob.digest).exists()));
        let gone = store.whole(&ids[0]).await.unwrap_err().to_string();
        assert_eq!(gone, format!("image {} was not built by the BuildKit daemon, or was removed", ids[0]));
    }

    #[tokio::test]
    async fn a_name_is_that_of_one_image_and_a_second_build_keeps_the_first_ones() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("store"));
        let (first, latest) = (image("r.example/shop:1"), image("r.example/shop:latest"));
        for architecture in ["amd64", "arm64"] {
            let (layout, _) = layout(folder.path(), architecture);
            store.keep(layout, BTreeMap::new(), std::slice::from_ref(&latest)).await.unwrap();
        }
        let (again, id) = layout(folder.path(), "amd64");
        store.name(&id, &first).await.unwrap();
        store.keep(again, BTreeMap::new(), std::slice::from_ref(&latest)).await.unwrap();
        let mut all = store.all().await.unwrap();
        all.sort_by_key(|image| std::cmp::Reverse(image.names.len()));
        assert_eq!(all[0].names, [first.to_string(), latest.to_string()]);
        assert_eq!((all[0].id.as_str(), all[1].names.len()), (id.as_str(), 0));
        assert_eq!(store.whole(&first.to_string()).await.unwrap().root.digest, id);
        assert!(store.name("sha256:0", &first).await.is_err());
    }
}

//! What the stand-in engine holds: images, their layers, tags and the build cache; in memory and, where told to, in a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::files::{Packed, Tree, digest, read_tar};

/// The configuration of an image, as registries store it. Its hash is the image id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ImageConfig {
    pub(super) architecture: String,
    pub(super) os: String,
    /// Always the epoch for images built here, so that the same build has the same id.
    pub(super) created: String,
    pub(super) config: RunConfig,
    pub(super) rootfs: RootFs,
    #[serde(default)]
    pub(super) history: Vec<History>,
}

/// How a container of the image would run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct RunConfig {
    pub(super) env: Vec<String>,
    pub(super) cmd: Option<Vec<String>>,
    pub(super) entrypoint: Option<Vec<String>>,
    pub(super) exposed_ports: BTreeMap<String, serde_json::Value>,
    pub(super) user: String,
    pub(super) working_dir: String,
    pub(super) labels: BTreeMap<String, String>,
}

/// The layers of an image, by the digests of their unpacked bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RootFs {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) diff_ids: Vec<String>,
}

/// Which instruction made what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct History {
    #[serde(default)]
    pub(super) created_by: String,
    #[serde(default)]
    pub(super) empty_layer: bool,
}

/// An image, intermediate ones of builds included.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Image {
    pub(super) config: ImageConfig,
    /// The exact bytes whose hash is the id: those of a pulled image are not ours to write anew.
    pub(super) config_json: String,
    pub(super) layers: Vec<Layer>,
    /// When it was first built or pulled here, in seconds since the epoch.
    pub(super) since: i64,
}

/// A layer of an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Layer {
    pub(super) digest: String,
    pub(super) diff_id: String,
    /// Bytes of the files in it.
    pub(super) size: u64,
}

/// All that the engine holds.
#[derive(Debug, Default)]
pub(super) struct Images {
    folder: Option<PathBuf>,
    blobs: BTreeMap<String, Arc<[u8]>>,
    index: Index,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Index {
    images: BTreeMap<String, Image>,
    /// `name:tag`, always with a tag, to image id.
    tags: BTreeMap<String, String>,
    /// `name@digest` that registries answered, by image id.
    digests: BTreeMap<String, BTreeSet<String>>,
    /// What a step on top of an image made last time.
    cache: BTreeMap<String, String>,
}

impl ImageConfig {
    /// An image of nothing, as `FROM scratch` begins.
    pub(super) fn scratch() -> Self {
        ImageConfig {
            architecture: "amd64".into(),
            os: "linux".into(),
            created: "1970-01-01T00:00:00Z".into(),
            config: RunConfig { env: vec![format!("PATH={PATH}")], ..RunConfig::default() },
            rootfs: RootFs { kind: "layers".into(), diff_ids: Vec::new() },
            history: Vec::new(),
        }
    }
}

/// The search path that the engine gives to every image.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Images {
    pub(super) fn open(folder: Option<PathBuf>) -> anyhow::Result<Self> {
        let mut images = Self { folder, ..Self::default() };
        let Some(folder) = images.folder.clone() else { return Ok(images) };
        std::fs::create_dir_all(folder.join("blobs")).with_context(|| format!("making {}", folder.display()))?;
        if let Ok(index) = std::fs::read(folder.join("images.json")) {
            images.index = serde_json::from_slice(&index).context("reading the engine's index")?;
        }
        for entry in std::fs::read_dir(folder.join("blobs"))? {
            let entry = entry?;
            let digest = format!("sha256:{}", entry.file_name().to_string_lossy());
            images.blobs.insert(digest, std::fs::read(entry.path())?.into());
        }
        Ok(images)
    }

    /// The image of a name (`shop`, `shop:1`, `shop@sha256:…`), an id, or the first part of an id.
    pub(super) fn find(&self, name: &str) -> Option<(&str, &Image)> {
        let id = self.index.tags.get(&with_tag(name)).cloned().or_else(|| {
            let by_digest = self.index.digests.iter().find(|(_, names)| names.contains(name));
            by_digest.map(|(id, _)| id.clone())
        });
        let id = id.or_else(|| {
            let hex = name.strip_prefix("sha256:").unwrap_or(name);
            let like_id = hex.len() >= 4 && hex.bytes().all(|b| b.is_ascii_hexdigit());
            self.index.images.keys().find(|id| like_id && id["sha256:".len()..].starts_with(hex)).cloned()
        })?;
        self.index.images.get_key_value(&id).map(|(id, image)| (id.as_str(), image))
    }

    /// Images with a name: what a list shows. Intermediate images are not among them.
    pub(super) fn tagged(&self) -> Vec<(String, Image)> {
        let ids: BTreeSet<&String> = self.index.tags.values().chain(self.index.digests.keys()).collect();
        ids.into_iter().filter_map(|id| Some((id.clone(), self.index.images.get(id)?.clone()))).collect()
    }

    pub(super) fn tags_of(&self, id: &str) -> Vec<String> {
        self.index.tags.iter().filter(|(_, of)| *of == id).map(|(tag, _)| tag.clone()).collect()
    }

    pub(super) fn digests_of(&self, id: &str) -> Vec<String> {
        self.index.digests.get(id).map(|names| names.iter().cloned().collect()).unwrap_or_default()
    }

    /// Tags of one repository name.
    pub(super) fn tags_of_name(&self, name: &str) -> Vec<String> {
        let prefix = format!("{name}:");
        self.index.tags.keys().filter_map(|tag| tag.strip_prefix(&prefix)).map(str::to_owned).collect()
    }

    /// Keeps an image, and answers its id.
    pub(super) fn add(&mut self, config: ImageConfig, layers: Vec<Layer>) -> String {
        let config_json = serde_json::to_string(&config).expect("an image configuration is JSON");
        self.add_exact(config, config_json, layers)
    }

    /// Keeps an image whose configuration bytes came from elsewhere.
    pub(super) fn add_exact(&mut self, config: ImageConfig, config_json: String, layers: Vec<Layer>) -> String {
        let id = digest(config_json.as_bytes());
        let since = jiff::Timestamp::now().as_second();
        self.index.images.entry(id.clone()).or_insert(Image { config, config_json, layers, since });
        id
    }

    pub(super) fn add_layer(&mut self, packed: Packed) -> Layer {
        let layer = Layer { digest: packed.digest.clone(), diff_id: packed.diff_id, size: packed.size };
        self.add_blob(packed.digest, packed.bytes);
        layer
    }

    pub(super) fn add_blob(&mut self, digest: String, bytes: Vec<u8>) {
        if let Some(folder) = &self.folder {
            let file = folder.join("blobs").join(digest.trim_start_matches("sha256:"));
            std::fs::write(file, &bytes).expect("the stand-in engine writes into its folder");
        }
        self.blobs.insert(digest, bytes.into());
    }

    pub(super) fn blob(&self, digest: &str) -> Option<Arc<[u8]>> {
        self.blobs.get(digest).cloned()
    }

    /// All files of an image, its layers laid over each other.
    pub(super) fn root(&self, layers: &[Layer]) -> Tree {
        let mut root = Tree::new();
        for layer in layers {
            if let Some(tree) = self.blobs.get(&layer.digest).and_then(|bytes| read_tar(bytes).ok()) {
                root.extend(tree);
            }
        }
        root
    }

    pub(super) fn tag(&mut self, id: &str, name: &str) {
        self.index.tags.insert(with_tag(name), id.to_owned());
        self.keep();
    }

    pub(super) fn pushed(&mut self, id: &str, name_at_digest: String) {
        self.index.digests.entry(id.to_owned()).or_default().insert(name_at_digest);
        self.keep();
    }

    /// Takes a name away; the image goes with its last name. Answers what happened, as `(untagged, deleted)`.
    pub(super) fn remove(&mut self, name: &str) -> Option<(Vec<String>, Option<String>)> {
        let (id, _) = self.find(name)?;
        let id = id.to_owned();
        let by_tag = self.index.tags.contains_key(&with_tag(name));
        let untagged = if by_tag { vec![with_tag(name)] } else { self.tags_of(&id) };
        untagged.iter().for_each(|tag| drop(self.index.tags.remove(tag)));
        let last = self.tags_of(&id).is_empty();
        if last {
            self.index.digests.remove(&id);
            self.index.images.remove(&id);
            self.index.cache.retain(|_, made| *made != id);
        }
        self.keep();
        Some((untagged, last.then_some(id)))
    }

    pub(super) fn cached(&self, step: &str) -> Option<String> {
        self.index.cache.get(step).filter(|id| self.index.images.contains_key(*id)).cloned()
    }

    pub(super) fn remember(&mut self, step: String, id: &str) {
        self.index.cache.insert(step, id.to_owned());
    }

    /// Writes the index beside itself first, so that a kill leaves the old one or the new one.
    pub(super) fn keep(&self) {
        let Some(folder) = &self.folder else { return };
        let index = serde_json::to_vec(&self.index).expect("an index of strings is JSON");
        let fresh = folder.join("images.json.new");
        std::fs::write(&fresh, index)
            .and_then(|()| std::fs::rename(&fresh, folder.join("images.json")))
            .expect("the stand-in engine writes into its folder");
    }
}

/// The name with its tag; `latest` where it has none. A colon before a slash is a port, not a tag.
pub(super) fn with_tag(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") }
}

/// An id as the daemon prints it: twelve digits, or nothing for scratch.
pub(super) fn short(id: &str) -> &str {
    let hex = id.strip_prefix("sha256:").unwrap_or(id);
    hex.get(..12).unwrap_or(hex)
}

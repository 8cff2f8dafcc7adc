//! What kustomizations may take from elsewhere, what an environment changes in its own, and what kustomize changes in the objects of
//! a chart.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// What kustomizations may take from elsewhere, and what an environment changes in its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KustomizeSpec {
    /// The repositories whose folders they may take, and the chart repositories and registries whose charts.
    pub remote: Vec<String>,
    /// The files that they may take.
    pub remote_files: Vec<RemoteFile>,
    /// What is changed in the kustomization of the environment's folder before it is built.
    pub overlay: Overlay,
}

/// What an environment writes into the kustomization of its folder, as Flux and Argo CD write it into the file: paths are seen from that
/// folder, and what the file says itself comes first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overlay {
    /// Whether a folder without a kustomization is built as if it had one that lists its manifests.
    pub generate: bool,
    /// The namespace of all objects, also of those that name another one.
    pub namespace: Option<String>,
    /// Instead of the prefix of names that the file has.
    pub name_prefix: Option<String>,
    /// Instead of the suffix of names that the file has.
    pub name_suffix: Option<String>,
    /// Folders of components, after those of the file.
    pub components: Vec<String>,
    /// Patches after those of the file, each with `patch` or `path` and, where it names no object itself, `target`.
    pub patches: Vec<Map<String, Value>>,
    /// Images: `name`, and `newName`, `newTag` or `digest`, which go before what the file says of the same name.
    pub images: Vec<Map<String, Value>>,
    /// Numbers of replicas, which go before those of the file.
    pub replicas: Vec<Replicas>,
    /// Labels of all objects.
    pub labels: BTreeMap<String, String>,
    /// Where else labels are written.
    pub labels_in: MetadataIn,
    /// Annotations of all objects.
    pub annotations: BTreeMap<String, String>,
    /// Where else annotations are written.
    pub annotations_in: MetadataIn,
}

impl Overlay {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How many pods an object has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replicas {
    /// The name of the object, as its manifest has it.
    pub name: String,
    /// How many.
    pub count: u32,
}

/// Where labels and annotations of all objects are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetadataIn {
    /// Into the metadata of objects, after the build, as Flux's `commonMetadata`.
    #[default]
    Objects,
    /// Into the templates of pods as well.
    Templates,
    /// Into templates and selectors, as `commonLabels` of kustomize. Selectors of workloads cannot be changed later.
    Selectors,
}

/// A file of a web server, with what it must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its address, as kustomizations write it.
    pub url: String,
    /// The SHA-256 of its content, 64 hexadecimal digits in lower case.
    pub sha256: String,
}

/// What is changed in the objects of a chart after they are rendered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostRender {
    /// The folder of a kustomization, from the root of the repository: the objects are among its resources.
    pub path: Option<String>,
    /// Patches of a kustomization, each with `patch` and, where it names no object itself, `target`.
    pub patches: Vec<Map<String, Value>>,
    /// Images of a kustomization: `name`, and `newName`, `newTag` or `digest`.
    pub images: Vec<Map<String, Value>>,
}

//! What kustomizations may take from elsewhere, and what kustomize changes in the objects of a chart.

use serde_json::{Map, Value};

/// What kustomizations may take from elsewhere: nothing that is not named here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KustomizeSpec {
    /// The repositories whose folders they may take, and the chart repositories and registries whose charts.
    pub remote: Vec<String>,
    /// The files that they may take.
    pub remote_files: Vec<RemoteFile>,
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

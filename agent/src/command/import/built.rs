//! Objects of a text, and of a folder that kustomize builds.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use quarterdeck_core::import::{Document, Place};
use quarterdeck_core::yaml;
use quarterdeck_shared::error::{Hint as _, chain};
use quarterdeck_system::program::Limits;

use crate::command::health::flatten;
use crate::renderers;
use crate::renderers::programs::Renderers;

/// A build of a large overlay takes seconds, and one that fetches a remote base some more.
const LIMITS: Limits = Limits { time: Duration::from_secs(120), output_bytes: yaml::TEXT_BYTES_MAX as u64 };

/// The objects of a text, those of lists one by one.
pub(super) fn objects(name: &str, bytes: &[u8]) -> anyhow::Result<Vec<Document>> {
    let mut documents = Vec::new();
    for document in yaml::parse(bytes)? {
        let place = Place { file: name.to_owned(), line: document.line };
        let mut objects = Vec::new();
        flatten(document.value, &mut objects);
        documents.extend(objects.into_iter().map(|object| Document { place: place.clone(), object }));
    }
    Ok(documents)
}

/// What kustomize makes of a folder.
pub(super) fn kustomized(renderers: &Renderers, folder: &Path, name: &str) -> anyhow::Result<Vec<Document>> {
    let program = renderers.kustomize().context("a kustomization is to be built: install kustomize, or kubectl")?;
    let built = renderers::in_place(program, folder, LIMITS).map_err(|error| {
        let hint = Some(error.hint()).filter(|hint| !hint.is_empty()).map(|hint| format!("\nhint: {hint}"));
        anyhow::anyhow!("{}{}", chain(&error), hint.unwrap_or_default()).context(name.to_owned())
    })?;
    let made = objects(name, &built)?;
    Ok(made
        .into_iter()
        .map(|Document { place, object }| Document { place: Place { line: 0, ..place }, object })
        .collect())
}

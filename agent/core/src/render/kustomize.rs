//! Renders a kustomization: which files it needs is found here (see [`super::kustomization`]), and who builds them is
//! handed in, since that is a program's work.

use std::collections::BTreeMap;
use std::error::Error;

use crate::render::kustomization::{Needs, needs};
use crate::render::object::{self, Found};
use crate::render::tree::{Tree, TreeEntry};
use crate::render::{RenderError, Request};
use crate::yaml;

pub use crate::render::kustomization::KustomizationError;

/// Who builds kustomizations.
pub trait Kustomize {
    /// Builds the kustomization of a folder from these files of the tree, each at its path.
    ///
    /// # Errors
    /// Where nobody can, the tree cannot be read, or a program says no.
    fn build(
        &self,
        tree: &dyn Tree,
        folder: &str,
        files: &BTreeMap<String, TreeEntry>,
    ) -> Result<Built, Box<dyn Error + Send + Sync>>;
}

/// What was built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Built {
    /// YAML documents.
    pub output: Vec<u8>,
    /// Warnings, a line each.
    pub notes: Vec<String>,
}

/// Why there is no output of kustomize.
#[derive(Debug, thiserror::Error)]
pub enum KustomizeError {
    /// It was not asked.
    #[error(transparent)]
    Kustomization(#[from] KustomizationError),
    /// It gave nothing.
    #[error(transparent)]
    Build(Box<dyn Error + Send + Sync>),
    /// What it wrote is no YAML.
    #[error("its output is not understood")]
    Output(#[source] yaml::YamlError),
}

/// What came of a kustomization.
pub(super) struct Kustomized {
    pub(super) found: Vec<Found>,
    pub(super) notes: Vec<String>,
    pub(super) inputs: Vec<String>,
}

/// Renders the kustomization of a folder.
pub(super) fn render(request: &Request<'_>, folder: &str) -> Result<Kustomized, RenderError> {
    let wrong = |source| RenderError::Kustomize { path: folder.to_owned(), source };
    let Needs { files, inputs, notes: own } = needs(request.tree, folder).map_err(|error| wrong(error.into()))?;
    let Built { output, mut notes } =
        request.kustomize.build(request.tree, folder, &files).map_err(|error| wrong(KustomizeError::Build(error)))?;
    notes.extend(own);
    let mut found = Vec::new();
    for document in yaml::parse(&output).map_err(|error| wrong(KustomizeError::Output(error)))? {
        object::find(document.value, &format!("kustomization of {folder}, document {}", document.number), &mut found)?;
    }
    if found.is_empty() {
        return Err(RenderError::Empty {
            path: folder.to_owned(),
            why: "its kustomization makes no object".to_owned(),
        });
    }
    Ok(Kustomized { found, notes, inputs: inputs.into_iter().collect() })
}

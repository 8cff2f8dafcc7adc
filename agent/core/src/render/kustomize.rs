//! Renders a kustomization: which files it needs is found here (see [`super::kustomization`]), and the program that builds
//! them is handed in.

use std::borrow::Cow;

use quarterdeck_shared::error::Hint;

use crate::render::built::{BuildFailure, Built};
use crate::render::kustomization::needs;
use crate::render::object;
use crate::render::programs::Programs;
use crate::render::{Made, RenderError, Request};
use crate::tree::Tree;
use crate::yaml::{self, Document};

pub use crate::render::kustomization::{KustomizationError, Needs};

/// Why there is no output of kustomize.
#[derive(Debug, thiserror::Error)]
pub enum KustomizeError {
    /// It was not asked.
    #[error(transparent)]
    Kustomization(#[from] KustomizationError),
    /// It gave nothing.
    #[error(transparent)]
    Build(#[from] BuildFailure),
    /// What it wrote is no YAML.
    #[error("its output is not understood")]
    Output(#[source] yaml::YamlError),
}

impl Hint for KustomizeError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Kustomization(error) => error.hint(),
            Self::Build(failure) => failure.hint().into(),
            Self::Output(_) => "".into(),
        }
    }
}

/// Renders the kustomization of a folder.
pub(super) fn render(request: &Request<'_>, folder: &str) -> Result<Made, RenderError> {
    let (Built { output, notes }, needs) = build(request.tree, folder, request.programs)?;
    let mut found = Vec::new();
    let wrong = |error| RenderError::Kustomize { path: folder.to_owned(), source: KustomizeError::Output(error) };
    let mut outcome = Ok(());
    let read = yaml::each(&output, |Document { number, value, .. }| {
        if outcome.is_ok() {
            outcome = object::find(value, &format!("kustomization of {folder}, document {number}"), &mut found);
        }
    });
    read.map_err(wrong)?;
    outcome?;
    if found.is_empty() {
        return Err(RenderError::Empty {
            path: folder.to_owned(),
            why: "its kustomization makes no object".to_owned(),
        });
    }
    Ok(Made { found, hooks: Vec::new(), on_demand: Vec::new(), notes, inputs: needs.inputs.into_iter().collect() })
}

/// Builds the kustomization of a folder, and says what it needed.
pub(crate) fn build(tree: &dyn Tree, folder: &str, programs: &dyn Programs) -> Result<(Built, Needs), RenderError> {
    let wrong = |source| RenderError::Kustomize { path: folder.to_owned(), source };
    let needs = needs(tree, folder).map_err(|error| wrong(error.into()))?;
    let built = programs.kustomize(tree, folder, &needs).map_err(|error| wrong(KustomizeError::Build(error)))?;
    Ok((built, needs))
}

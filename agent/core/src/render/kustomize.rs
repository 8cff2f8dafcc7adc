//! Renders a kustomization: which files it needs is found here (see [`super::kustomization`]), and who builds them is
//! handed in, since that is a program's work.

use std::borrow::Cow;
use std::error::Error;

use quarterdeck_shared::error::Hint;

use crate::render::kustomization::needs;
use crate::render::object::{self, Found};
use crate::render::{RenderError, Request};
use crate::tree::Tree;
use crate::yaml::{self, Document};

pub use crate::render::kustomization::{KustomizationError, Needs};

/// Who builds kustomizations.
pub trait Kustomize {
    /// Builds the kustomization of a folder from what it needs of the tree.
    ///
    /// # Errors
    /// Where nobody can, the tree cannot be read, or a program says no.
    fn build(&self, tree: &dyn Tree, folder: &str, needs: &Needs) -> Result<Built, BuildFailure>;
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
    Build(#[from] BuildFailure),
    /// What it wrote is no YAML.
    #[error("its output is not understood")]
    Output(#[source] yaml::YamlError),
}

/// Why the program gave nothing, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct BuildFailure {
    source: Box<dyn Error + Send + Sync>,
    hint: String,
}

impl BuildFailure {
    /// Of the error of who runs the program.
    pub fn new(error: impl Hint + Send + Sync + 'static) -> Self {
        Self { hint: error.hint().into_owned(), source: Box::new(error) }
    }
}

impl Hint for KustomizeError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Kustomization(error) => error.hint(),
            Self::Build(failure) => (&*failure.hint).into(),
            Self::Output(_) => "".into(),
        }
    }
}

/// What came of a kustomization.
pub(super) struct Kustomized {
    pub(super) found: Vec<Found>,
    pub(super) notes: Vec<String>,
    pub(super) inputs: Vec<String>,
}

/// Renders the kustomization of a folder.
pub(super) fn render(request: &Request<'_>, folder: &str) -> Result<Kustomized, RenderError> {
    let (Built { output, notes }, needs) = build(request.tree, folder, request.kustomize)?;
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
    Ok(Kustomized { found, notes, inputs: needs.inputs.into_iter().collect() })
}

/// Builds the kustomization of a folder, and says what it needed.
pub(crate) fn build(tree: &dyn Tree, folder: &str, kustomize: &dyn Kustomize) -> Result<(Built, Needs), RenderError> {
    let wrong = |source| RenderError::Kustomize { path: folder.to_owned(), source };
    let needs = needs(tree, folder).map_err(|error| wrong(error.into()))?;
    let built = kustomize.build(tree, folder, &needs).map_err(|error| wrong(KustomizeError::Build(error)))?;
    Ok((built, needs))
}

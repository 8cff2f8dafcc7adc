//! Renders a kustomization: which files it needs is found here (see [`super::kustomization`]), and the program that builds
//! them is handed in.

use std::borrow::Cow;

use quarterdeck_shared::application::{FilesSpec, Overlay};
use quarterdeck_shared::error::Hint;

use crate::render::built::{BuildFailure, Built};
use crate::render::differing::{differing, few};
use crate::render::kustomization::made::{Made as Listed, made};
use crate::render::kustomization::overlay::mark;
use crate::render::kustomization::{Changed, needs};
use crate::render::object;
use crate::render::programs::Programs;
use crate::render::{Made, RenderError, Request, kustomization_file};
use crate::tree::Tree;
use crate::tree::beside::Beside;
use crate::tree::paths::join;
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
    /// A chart of it makes values of its own.
    #[error("each build makes other values of {}", .objects.join(", "))]
    Changes {
        /// Kind and name of some of the objects.
        objects: Vec<String>,
    },
}

impl Hint for KustomizeError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Kustomization(error) => error.hint(),
            Self::Build(failure) => failure.hint().into(),
            Self::Output(_) => "".into(),
            Self::Changes { .. } => {
                "a chart makes up what it is not given, such as passwords and the name of its release: write releaseName, and \
                 give the rest as values"
                    .into()
            }
        }
    }
}

impl KustomizeError {
    /// Whether the repository, the program or whoever has what is elsewhere was away.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Build(failure) => failure.is_outage(),
            Self::Kustomization(error) => error.is_outage(),
            Self::Output(_) | Self::Changes { .. } => false,
        }
    }
}

/// Renders the kustomization of a folder.
pub(super) fn render(request: &Request<'_>, folder: &str) -> Result<Made, RenderError> {
    let wanted = Wanted { folder, overlay: request.overlay, files: request.files };
    let (Built { output, mut notes }, needs) = build(request.tree, &wanted, request.programs)?;
    if needs.looks_up {
        notes.push(LOOKS_UP.to_owned());
    }
    let mut found = Vec::new();
    let wrong = |error| RenderError::Kustomize { path: folder.to_owned(), source: KustomizeError::Output(error) };
    let mut outcome = Ok(());
    let read = yaml::each(&output, |Document { number, mut value, .. }| {
        if outcome.is_ok() {
            mark(request.overlay, &mut value);
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

/// What is said where templates of a chart ask the cluster.
pub(super) const LOOKS_UP: &str =
    "its templates call `lookup`, which finds nothing: the cluster is not asked while rendering";

/// Whether a path that is written in a folder leads out of the repository.
pub fn leaves(folder: &str, path: &str) -> bool {
    join(folder, path).is_none()
}

/// A kustomization that is built.
pub(crate) struct Wanted<'a> {
    /// Its folder.
    pub(crate) folder: &'a str,
    /// What an environment writes into it.
    pub(crate) overlay: &'a Overlay,
    /// Which files one lists that is made.
    pub(crate) files: &'a FilesSpec,
}

/// Builds the kustomization of a folder, and says what it needed.
pub(crate) fn build(
    tree: &dyn Tree,
    wanted: &Wanted<'_>,
    programs: &dyn Programs,
) -> Result<(Built, Needs), RenderError> {
    let Wanted { folder, overlay, files } = *wanted;
    let listed = match overlay.generate && kustomization_file(tree, folder)?.is_none() {
        true => Some(made(tree, folder, files)?),
        false => None,
    };
    let resources = listed.as_ref().map(|listed| listed.resources.as_slice());
    let changed = Changed { folder, resource: None, overlay: Some(overlay), made: resources };
    let built = build_with(&Beside::new(tree), folder, programs, changed);
    let (built, mut needs) = built.map_err(|source| RenderError::Kustomize { path: folder.to_owned(), source })?;
    needs.inputs.extend(listed.into_iter().flat_map(|Listed { inputs, .. }| inputs));
    Ok((built, needs))
}

/// The same, with what is changed in the kustomization of some folder.
pub(super) fn build_with(
    tree: &Beside<'_>,
    folder: &str,
    programs: &dyn Programs,
    changed: Changed<'_>,
) -> Result<(Built, Needs), KustomizeError> {
    let needs = needs(tree, folder, programs.elsewhere(), changed)?;
    let built = programs.kustomize(tree, folder, &needs)?;
    if needs.may_change {
        let again = programs.kustomize(tree, folder, &needs)?;
        let objects = differing(&built.output, &again.output, |_| true).map_err(KustomizeError::Output)?;
        if !objects.is_empty() {
            return Err(KustomizeError::Changes { objects: few(objects) });
        }
    }
    Ok((built, needs))
}

//! The programs that make manifests of files. Which files they get is decided here; who runs them is handed in.

use crate::render::built::{BuildFailure, Built};
use crate::render::chart::Chart;
use crate::render::elsewhere::{Elsewhere, Nowhere};
use crate::render::jsonnet::{Evaluated, Imports};
use crate::render::kustomization::Needs;
use crate::render::release::Release;
use crate::tree::Tree;
use quarterdeck_shared::application::JsonnetSpec;

/// Who runs the programs. All calls block.
pub trait Programs {
    /// Builds the kustomization of a folder from what it needs of the tree.
    ///
    /// # Errors
    /// Where nobody can, the tree cannot be read, or a program says no.
    fn kustomize(&self, tree: &dyn Tree, folder: &str, needs: &Needs) -> Result<Built, BuildFailure>;

    /// Renders a chart as a release of it, without asking a cluster.
    ///
    /// # Errors
    /// As [`Programs::kustomize`].
    fn helm(&self, tree: &dyn Tree, chart: &Chart, release: &Release<'_>) -> Result<Built, BuildFailure>;

    /// Evaluates each file that jsonnet begins at, in the order of their paths.
    ///
    /// # Errors
    /// As [`Programs::kustomize`].
    fn jsonnet(&self, tree: &dyn Tree, imports: &Imports, spec: &JsonnetSpec) -> Result<Vec<Evaluated>, BuildFailure>;

    /// Who gives what kustomizations take from elsewhere.
    fn elsewhere(&self) -> &dyn Elsewhere {
        &Nowhere
    }
}

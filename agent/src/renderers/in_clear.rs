//! Programs that get files in clear of a tree in which they are encrypted: a promotion builds what it changed, and what it changes
//! is the text that git has.

use std::path::Path;

use quarterdeck_core::render::built::{BuildFailure, Built};
use quarterdeck_core::render::chart::Chart;
use quarterdeck_core::render::elsewhere::Elsewhere;
use quarterdeck_core::render::jsonnet::{Evaluated, Imports};
use quarterdeck_core::render::kustomize::Needs;
use quarterdeck_core::render::programs::Programs;
use quarterdeck_core::render::release::Release;
use quarterdeck_core::sops::Keys;
use quarterdeck_core::sops::decrypting::Decrypting;
use quarterdeck_core::tree::Tree;
use quarterdeck_shared::application::JsonnetSpec;

use super::ByProgram;
use super::programs::Renderers;

/// Renders with what was found on this machine.
pub struct InClear<'a> {
    /// As of [`ByProgram`].
    pub renderers: &'a Renderers,
    /// As of [`ByProgram`].
    pub scratch: &'a Path,
    /// What decrypts the files.
    pub keys: &'a dyn Keys,
    /// Who gives what kustomizations take from elsewhere.
    pub elsewhere: &'a dyn Elsewhere,
}

impl Programs for InClear<'_> {
    fn kustomize(&self, tree: &dyn Tree, folder: &str, needs: &Needs) -> Result<Built, BuildFailure> {
        let Self { renderers, scratch, keys, .. } = *self;
        let tree = Decrypting::new(tree, keys, None);
        ByProgram { renderers, scratch, secrets: &tree }.kustomize(&tree, folder, needs)
    }

    fn helm(&self, tree: &dyn Tree, chart: &Chart, release: &Release<'_>) -> Result<Built, BuildFailure> {
        let Self { renderers, scratch, keys, .. } = *self;
        let tree = Decrypting::new(tree, keys, None);
        ByProgram { renderers, scratch, secrets: &tree }.helm(&tree, chart, release)
    }

    fn jsonnet(&self, tree: &dyn Tree, imports: &Imports, spec: &JsonnetSpec) -> Result<Vec<Evaluated>, BuildFailure> {
        let Self { renderers, scratch, keys, .. } = *self;
        let tree = Decrypting::new(tree, keys, None);
        ByProgram { renderers, scratch, secrets: &tree }.jsonnet(&tree, imports, spec)
    }

    fn elsewhere(&self) -> &dyn Elsewhere {
        self.elsewhere
    }
}

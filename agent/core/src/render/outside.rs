//! What a kustomization takes from elsewhere (folders of other repositories, files of web servers, charts): it is in no commit, so
//! a bundle does not carry it, and says so.

use std::borrow::Cow;

use quarterdeck_shared::application::{EnvironmentSpec, JsonnetSpec, Overlay};
use quarterdeck_shared::error::Hint;

use super::built::{BuildFailure, Built};
use super::chart::Chart;
use super::jsonnet::{Evaluated, Imports};
use super::kustomize::{self, KustomizationError, KustomizeError, Needs};
use super::programs::Programs;
use super::release::Release;
use super::{RenderError, folder, kustomization_file};
use crate::tree::Tree;

/// What to do about it.
pub const HINT: &str =
    "copy it into the repository, e.g. with `kustomize localize`; else the agent of the other place has to reach it";

/// The first that a kustomization of the environment names, for people: `apps/shop/kustomization.yaml names …`.
pub fn named(tree: &dyn Tree, spec: &EnvironmentSpec) -> Option<String> {
    // Without these options nothing of elsewhere is rendered.
    if spec.kustomize.remote.is_empty() && spec.kustomize.remote_files.is_empty() {
        return None;
    }
    let changes = spec.helm.post_render.as_ref().and_then(|changes| changes.path.as_deref());
    let own = spec.helm.chart.is_none().then_some(spec.path.as_str());
    own.into_iter().chain(changes).find_map(|path| {
        let at = folder(tree, path).ok()?;
        let overlay = if own == Some(path) { &spec.kustomize.overlay } else { &Overlay::default() };
        if !overlay.generate {
            kustomization_file(tree, &at).ok()??;
        }
        let wanted = kustomize::Wanted { folder: &at, overlay, files: &spec.files };
        match kustomize::build(tree, &wanted, &Nobody) {
            Err(RenderError::Kustomize { source: KustomizeError::Kustomization(error), .. }) => name(&error),
            _ => None,
        }
    })
}

fn name(error: &KustomizationError) -> Option<String> {
    match error {
        KustomizationError::NotNamed { path, text, .. } => Some(format!("{path} names {text}")),
        KustomizationError::FileNotNamed { path, url } => Some(format!("{path} names {url}")),
        _ => None,
    }
}

/// Nothing but kustomizations is looked at.
#[derive(Debug, thiserror::Error)]
#[error("no program is run to see what a kustomization names")]
struct NotRun;

impl Hint for NotRun {
    fn hint(&self) -> Cow<'_, str> {
        "".into()
    }
}

/// Runs no program and gives nothing of elsewhere.
struct Nobody;

impl Programs for Nobody {
    fn kustomize(&self, _: &dyn Tree, _: &str, _: &Needs) -> Result<Built, BuildFailure> {
        Ok(Built { output: Vec::new(), notes: Vec::new() })
    }

    fn helm(&self, _: &dyn Tree, _: &Chart, _: &Release<'_>) -> Result<Built, BuildFailure> {
        Err(BuildFailure::new(NotRun))
    }

    fn jsonnet(&self, _: &dyn Tree, _: &Imports, _: &JsonnetSpec) -> Result<Vec<Evaluated>, BuildFailure> {
        Err(BuildFailure::new(NotRun))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::memory::Files;

    #[test]
    fn what_is_in_no_commit_is_named() {
        let kustomization =
            |text: &str| Files::new(&[("apps/shop/kustomization.yaml", text), ("apps/shop/a.yaml", "")]);
        let mut spec = EnvironmentSpec::new("prod".parse().unwrap(), "/r".to_owned(), "shop".to_owned());
        spec.path = "apps/shop".to_owned();
        let base = "resources: [a.yaml, 'https://git.example/ops/base.git//shop?ref=v1']";
        assert_eq!(named(&kustomization(base), &spec), None, "nothing of elsewhere is allowed");
        spec.kustomize.remote = vec!["https://git.example/ops/base.git".to_owned()];
        let chart = "helmCharts: [{name: podinfo, version: 6.7.1, repo: 'https://charts.example'}]";
        for (text, found) in [
            ("resources: [a.yaml]", None),
            (base, Some("apps/shop/kustomization.yaml names https://git.example/ops/base.git//shop?ref=v1")),
            (chart, Some("apps/shop/kustomization.yaml names chart podinfo")),
            (
                "resources: ['https://web.example/crds.yaml']",
                Some("apps/shop/kustomization.yaml names https://web.example/crds.yaml"),
            ),
        ] {
            assert_eq!(named(&kustomization(text), &spec).as_deref(), found, "{text}");
        }
        assert_eq!(named(&Files::new(&[("apps/shop/a.yaml", "")]), &spec), None);
    }
}

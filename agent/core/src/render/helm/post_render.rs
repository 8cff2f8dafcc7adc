//! Changes the objects of a chart by kustomize after helm rendered them, as Flux's `postRenderers` do: by patches and images of the
//! configuration, by a kustomization of the repository, or by both, that of the repository first.
//!
//! Hooks are not among them: helm 3 and Flux change none either.

use std::sync::Arc;

use quarterdeck_shared::application::PostRender;
use serde_json::{Value, json};

use super::HelmError;
use crate::render::built::Built;
use crate::render::kustomization::{Changed, OURS};
use crate::render::kustomize::{KustomizeError, build_with};
use crate::render::object;
use crate::render::{Made, RenderError, Request, folder as folder_at};
use crate::tree::EntryMode;
use crate::tree::beside::Beside;
use crate::tree::memory::Files;
use crate::tree::paths::join;
use crate::yaml::{self, Document};

/// What the objects of the chart are called.
const OUTPUT: &str = "chart.yaml";

/// What becomes of the objects of a chart.
pub(super) fn apply(
    request: &Request<'_>,
    chart: &str,
    post: &PostRender,
    objects: &[Value],
) -> Result<Made, RenderError> {
    let wrong = |source: KustomizeError| {
        let source = Box::new(HelmError::PostRender(source));
        RenderError::Helm { path: chart.to_owned(), source }
    };
    let output = || (EntryMode::File, yaml::write_all(objects).into_bytes());
    let tree = Beside::new(request.tree);
    let own = post.path.as_ref().map(|path| folder_at(request.tree, path)).transpose()?;
    let (inline, below) = (format!("{OURS}post-render"), format!("{OURS}chart"));
    let resource = format!("{below}/{OUTPUT}");
    if let Some(own) = &own {
        let files = Files { files: [(OUTPUT.to_owned(), output())].into(), unnameable: Vec::new() };
        tree.put(&join(own, &below).unwrap_or_default(), Arc::new(files));
    }
    let is_inline = own.is_none() || !post.patches.is_empty() || !post.images.is_empty();
    if is_inline {
        let inner = own.as_ref().map_or_else(|| OUTPUT.to_owned(), |own| format!("../{own}"));
        let kustomization = json!({"resources": [inner], "patches": post.patches, "images": post.images});
        let mut files = Files::default();
        let text = yaml::write_all([&kustomization]).into_bytes();
        files.files.insert("kustomization.yaml".to_owned(), (EntryMode::File, text));
        if own.is_none() {
            files.files.insert(OUTPUT.to_owned(), output());
        }
        tree.put(&inline, Arc::new(files));
    }
    let changed = own.as_ref().map(|own| Changed { folder: own, resource: Some(&resource), ..Changed::default() });
    let begin = if is_inline { &inline } else { own.as_ref().unwrap_or(&inline) };
    let (Built { output, notes }, needs) =
        build_with(&tree, begin, request.programs, changed.unwrap_or_default()).map_err(wrong)?;
    let mut found = Vec::new();
    let mut outcome = Ok(());
    let read = yaml::each(&output, |Document { number, value, .. }| {
        if outcome.is_ok() {
            outcome =
                object::find(value, &format!("chart of {chart} after its post_render, document {number}"), &mut found);
        }
    });
    read.map_err(|error| wrong(KustomizeError::Output(error)))?;
    outcome?;
    if found.is_empty() {
        return Err(RenderError::Empty { path: chart.to_owned(), why: "its post_render leaves no object".to_owned() });
    }
    Ok(Made { found, hooks: Vec::new(), on_demand: Vec::new(), notes, inputs: needs.inputs.into_iter().collect() })
}

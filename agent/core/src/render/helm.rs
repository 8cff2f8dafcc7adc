//! Renders a Helm chart: what it needs is found here (see [`super::chart`]), and the program that renders it is handed in.
//!
//! What comes out is deployed like any other manifests: no release is kept in the cluster, so that `helm` neither lists
//! nor upgrades it. Its hooks are no objects: they are told apart here, see [`hooks`]. Values that a chart makes up anew in
//! each render are refused: they would be other ones after each restart.

pub mod file_parameters;
mod hooks;
mod post_render;

use std::borrow::Cow;

use quarterdeck_shared::application::HelmSpec;
use quarterdeck_shared::error::Hint;
use serde_json::Value;

use self::hooks::Sorted;
use crate::render::built::{BuildFailure, Built};
use crate::render::chart::{self, CHART_FILE, Chart, ChartError, Fetching};
use crate::render::differing::{differing, few, named};
use crate::render::kustomize::{KustomizeError, LOOKS_UP};
use crate::render::object;
use crate::render::programs::Programs;
use crate::render::release::Release;
use crate::render::{Made, RenderError, Request};
use crate::tree::{Node, Tree};
use crate::yaml::{self, Document, YamlError};

/// Why there are no manifests of a chart.
#[derive(Debug, thiserror::Error)]
pub enum HelmError {
    /// Helm was not asked.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// A value is the text of a file that is not there.
    #[error("the file {path} of the parameter {name} is not in this commit")]
    FileParameter {
        /// The parameter.
        name: String,
        /// As it is configured.
        path: String,
    },
    /// It gave nothing.
    #[error(transparent)]
    Build(#[from] BuildFailure),
    /// What it wrote is no YAML.
    #[error("its output is not understood")]
    Output(#[source] YamlError),
    /// It makes values of its own.
    #[error("each render makes other values of {}", .objects.join(", "))]
    Changes {
        /// Kind and name of some of the objects.
        objects: Vec<String>,
    },
    /// What is changed in its objects cannot be.
    #[error("its post_render failed")]
    PostRender(#[from] KustomizeError),
    /// It wants too much to be run beside its objects.
    #[error("it has {count} hooks, more than {}", hooks::HOOKS_MAX)]
    TooManyHooks {
        /// How many.
        count: usize,
    },
}

impl Hint for HelmError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Chart(error) => error.hint(),
            Self::Build(failure) => failure.hint().into(),
            Self::PostRender(error) => error.hint(),
            Self::FileParameter { .. } => "paths in `helm.file_parameters` begin at the root of the repository".into(),
            Self::Output(_) => "".into(),
            Self::Changes { .. } => {
                "the chart makes up what it is not given, such as passwords: give it as a value, or name a Secret of yours"
                    .into()
            }
            Self::TooManyHooks { .. } => {
                "turn them off by the values of the chart, or deploy it without them: `helm.skip_hooks = true`".into()
            }
        }
    }
}

/// Renders the chart of a folder.
pub(super) fn render(request: &Request<'_>, folder: &str) -> Result<Made, RenderError> {
    let wrong = |source: HelmError| RenderError::Helm { path: folder.to_owned(), source: Box::new(source) };
    let (Built { output, mut notes }, chart) = template(request.tree, folder, request.programs, request.release)?;
    if chart.may_change {
        let again = request.programs.helm(request.tree, &chart, request.release);
        let again = again.map_err(|error| wrong(error.into()))?;
        let is_used = |object: &Value| hooks::is_used(object, request.release.spec);
        let objects = differing(&output, &again.output, is_used);
        let objects = objects.map_err(|error| wrong(HelmError::Output(error)))?;
        if !objects.is_empty() {
            return Err(wrong(HelmError::Changes { objects: few(objects) }));
        }
    }
    let (mut found, mut objects) = (Vec::new(), Vec::new());
    let post = request.release.spec.post_render.as_ref();
    let mut sorted = Sorted::new(request.release.spec);
    let origins = Origins::of(&output, &chart);
    let mut outcome = Ok(());
    let read = yaml::each(&output, |Document { number, line, value }| {
        if outcome.is_ok() {
            let origin = origins.origin(line, number);
            outcome = sorted.sort(value, &origin).and_then(|object| match object {
                Some(object) if post.is_some() => {
                    objects.push(object);
                    Ok(())
                }
                Some(object) => object::find(object, &origin, &mut found),
                None => Ok(()),
            });
        }
    });
    read.map_err(|error| wrong(HelmError::Output(error)))?;
    outcome?;
    if found.is_empty() && objects.is_empty() {
        return Err(RenderError::Empty { path: folder.to_owned(), why: "its chart makes no object".to_owned() });
    }
    let mut inputs: Vec<String> = chart.inputs.into_iter().collect();
    if let Some(post) = post {
        let after = post_render::apply(request, folder, post, &objects)?;
        (found, notes) = (after.found, [notes, after.notes].concat());
        inputs.extend(after.inputs);
    }
    if chart.looks_up {
        notes.push(LOOKS_UP.to_owned());
    }
    let (hooks, on_demand, left_out) = sorted.done().map_err(wrong)?;
    notes.extend(left_out);
    Ok(Made { found, hooks, on_demand, notes, inputs })
}

/// Whether a folder holds a chart.
pub(super) fn is_chart(tree: &dyn Tree, folder: &str) -> Result<bool, RenderError> {
    let path = if folder.is_empty() { CHART_FILE.to_owned() } else { format!("{folder}/{CHART_FILE}") };
    let found = tree.lookup(&path).map_err(|source| RenderError::Read { path, source })?;
    Ok(matches!(found, Some(Node::File(_))))
}

/// Renders the chart of a folder, and says what it needed.
pub(crate) fn template(
    tree: &dyn Tree,
    folder: &str,
    programs: &dyn Programs,
    release: &Release<'_>,
) -> Result<(Built, Chart), RenderError> {
    let wrong = |source: HelmError| RenderError::Helm { path: folder.to_owned(), source: Box::new(source) };
    let HelmSpec { chart: packaged, dependencies, values_files, .. } = release.spec;
    // What a packaged chart depends on is in its archive.
    let fetching = Fetching { from: dependencies, elsewhere: programs.elsewhere() };
    let chart = chart::chart(tree, folder, values_files, packaged.is_none().then_some(fetching));
    let mut chart = chart.map_err(|error| wrong(error.into()))?;
    file_parameters::add(tree, &release.spec.file_parameters, &mut chart).map_err(wrong)?;
    let built = programs.helm(tree, &chart, release).map_err(|error| wrong(error.into()))?;
    Ok((built, chart))
}

/// Which template each document of helm's output comes from: `# Source: shop/templates/service.yaml` stands above it, with
/// the name of the chart in place of its folder.
struct Origins {
    folder: String,
    /// By the line of the comment, from 1.
    templates: Vec<(u64, String)>,
}

impl Origins {
    fn of(output: &[u8], chart: &Chart) -> Self {
        let text = String::from_utf8_lossy(output);
        let begin = format!("# Source: {}/", chart.name);
        let templates = (1..).zip(text.lines()).filter_map(|(line, text)| {
            let path = text.strip_prefix(&begin)?.trim_end();
            Some((line, if chart.folder.is_empty() { path.to_owned() } else { format!("{}/{path}", chart.folder) }))
        });
        Self { folder: chart.folder.clone(), templates: templates.collect() }
    }

    fn origin(&self, line: u64, number: usize) -> String {
        // The comment may count as the begin of its document.
        let above = self.templates.partition_point(|(at, _)| *at <= line + 1);
        match above.checked_sub(1).map(|index| &self.templates[index]) {
            Some((_, template)) => template.clone(),
            None => format!("chart of {}, document {number}", super::Folder(&self.folder)),
        }
    }
}

#[cfg(test)]
mod tests;

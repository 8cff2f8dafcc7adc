//! `helm template`: a chart as a release of it, without a cluster.

use std::ffi::OsString;

use quarterdeck_core::render::built::Built;
use quarterdeck_core::render::chart::Chart;
use quarterdeck_core::render::helm::file_parameters;
use quarterdeck_core::render::release::{Capabilities, Release};
use quarterdeck_core::tree::Tree;

use super::own_folder::Own;
use super::programs::Program;
use super::{BuildError, files, run};
use quarterdeck_system::program::ProgramError;

pub(super) fn template(
    own: &Own<'_>,
    program: &Program,
    tree: &dyn Tree,
    chart: &Chart,
    release: &Release<'_>,
    capabilities: &Capabilities,
) -> Result<Built, BuildError> {
    let root = own.root();
    let mut bytes_left = files::INPUT_BYTES_MAX;
    files::write(tree, &chart.files, own, &mut bytes_left)?;
    for (path, archive) in &chart.archives {
        bytes_left = bytes_left.checked_sub(archive.len() as u64).ok_or(BuildError::TooLarge)?;
        own.place(path, |target| std::fs::write(target, archive))?;
    }
    let mut arguments: Vec<OsString> =
        vec![program.subcommand().into(), release.name.into(), root.join(&chart.folder).into()];
    arguments.extend(["--namespace".into(), release.namespace.into()]);
    if !release.spec.skip_crds {
        arguments.push("--include-crds".into());
    }
    if let Some(version) = &capabilities.kube_version {
        arguments.extend(["--kube-version".into(), version.into()]);
    }
    for version in &capabilities.api_versions {
        arguments.extend(["--api-versions".into(), version.into()]);
    }
    for path in &chart.values {
        arguments.extend(["--values".into(), root.join(path).into()]);
    }
    // Not as an argument, which everybody on the machine may read.
    let values = &release.spec.values;
    let values =
        if values.is_empty() { Vec::new() } else { serde_json::Value::from(values.clone()).to_string().into_bytes() };
    if !values.is_empty() {
        arguments.extend(["--values".into(), "-".into()]);
    }
    for parameter in &release.spec.file_parameters {
        let path = root.join(file_parameters::place(parameter)).display().to_string();
        // A comma begins the next one.
        let path = path.replace('\\', r"\\").replace(',', r"\,");
        arguments.extend(["--set-file".into(), format!("{}={path}", parameter.name).into()]);
    }
    run(program, root, &arguments, &values, is_warning).map_err(|error| match error {
        BuildError::Program { program, source: ProgramError::Failed { status, stderr } } => {
            BuildError::Program { program, source: ProgramError::Failed { status, stderr: located(&stderr, chart) } }
        }
        other => other,
    })
}

/// The words of helm with the place of a template in the repository: helm begins it with the name of the chart. Without its
/// advice for who sits at a terminal.
fn located(words: &str, chart: &Chart) -> String {
    let folder = if chart.folder.is_empty() { String::new() } else { format!("{}/", chart.folder) };
    let lines = words.lines().filter(|line| !line.is_empty() && !line.starts_with("Use --debug flag"));
    let text = lines.collect::<Vec<_>>().join("\n");
    ["templates/", "charts/"]
        .iter()
        .fold(text, |text, below| text.replace(&format!("({}/{below}", chart.name), &format!("({folder}{below}")))
}

/// What helm writes beside an error: how it found a link, what it thinks of a field.
fn is_warning(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.contains("walk.go:") || line.starts_with("warning") || line.contains("level=warn")
}

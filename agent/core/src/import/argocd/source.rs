//! Where an Application has its manifests, and what renders them.

use quarterdeck_shared::revision::CommitId;
use serde_json::{Map, Value};

use super::super::draft::{self, Artifact, Chart, Environment, Helm};
use super::super::fields::Fields;
use super::super::{Around, known};
use super::directory;
use super::parameters;
use super::referenced::{self, Own};
use super::text;
use crate::follow::revision::WantedTag;
use crate::tree::paths::{is_below, join};

/// Reads the source, or the sources; whether the environment is whole with it. Why not was said.
pub(super) fn read(fields: &mut Fields<'_>, around: &Around, name: &str, environment: &mut Environment) -> bool {
    let sources = fields.list("spec.sources");
    let (manifests, values): (Vec<Value>, Vec<Value>) =
        sources.into_iter().partition(|source| text(source, "path").is_some() || text(source, "chart").is_some());
    let manifests = match <[Value; 1]>::try_from(manifests) {
        Ok([one]) => Some(one),
        Err(none) if none.is_empty() => None,
        Err(several) => {
            let words =
                format!("{} sources with manifests in one application: write one application for each", several.len());
            fields.not("spec.sources", words);
            return false;
        }
    };
    // Of several sources the fields are told as if it were the one.
    let source = match manifests {
        Some(source) => {
            fields.put("spec.source", source);
            values
        }
        // Where there are several, the one is not looked at.
        None if values.is_empty() && fields.has("spec.source") => Vec::new(),
        None => {
            fields.take("spec.source");
            fields.not("spec.source", "no source");
            return false;
        }
    };
    one(fields, around, name, &source, environment)
}

fn one(fields: &mut Fields<'_>, around: &Around, name: &str, values: &[Value], environment: &mut Environment) -> bool {
    let Some(repository) = fields.text("spec.source.repoURL") else {
        fields.not("spec.source.repoURL", "no repository");
        return false;
    };
    fields.take("spec.source.name");
    let name_of_own = fields.text("spec.source.ref");
    let revision = fields.text("spec.source.targetRevision");
    let chart = fields.text("spec.source.chart");
    let own = match &chart {
        // The first repository of values is the environment's own.
        Some(_) => {
            let first = values.iter().find(|source| text(source, "repoURL").is_some());
            let of = |key: &str| first.and_then(|first| text(first, key)).map(str::to_owned);
            Own { name: of("ref"), revision: of("targetRevision") }
        }
        None => Own { name: name_of_own, revision: revision.clone() },
    };
    let path = fields.text("spec.source.path").unwrap_or_default();
    if fields.has("spec.source.plugin") {
        // What is said of it follows; without it something else would be deployed.
        return false;
    }
    let is_artifact = repository.starts_with("oci://");
    let is_whole = match chart {
        Some(chart) => of_registry(fields, around, (repository, chart, revision), values, environment),
        None => {
            let Some(path) = join("", path.trim_start_matches('/')) else {
                fields.not("spec.source.path", format!("{path} leads out of the repository"));
                return false;
            };
            environment.path = path;
            if is_artifact {
                artifact(fields, repository, revision, environment)
            } else {
                environment.repository = repository;
                follow(fields, "spec.source.targetRevision", revision.as_deref(), environment)
            }
        }
    };
    let recurses = fields.flag("spec.source.directory.recurse");
    let is_jsonnet = fields.has("spec.source.directory.jsonnet") || has_jsonnet(around, environment);
    if !is_jsonnet && (recurses == Some(false) || (!fields.has("spec.source.helm") && subfolders(around, environment)))
    {
        fields.otherwise(
            "spec.source.directory.recurse",
            "every manifest below the path is deployed, also in subfolders",
        );
    }
    if !directory::read(fields, environment) {
        return false;
    }
    if environment.render.is_none() && has_jsonnet(around, environment) {
        environment.render = Some("jsonnet");
        let words = "the .jsonnet files of the folder are rendered, and no YAML beside them";
        fields.otherwise("spec.source.path", words);
    }
    let helm = helm(fields, name, (&own, values), environment, around);
    environment.helm = Helm { chart: environment.helm.chart.take(), ..helm };
    if environment.helm.chart.is_none() {
        super::kustomize::read(fields, around, environment);
    }
    is_whole
}

/// An artifact of a registry; whether what is followed of it can be.
fn artifact(
    fields: &mut Fields<'_>,
    repository: String,
    revision: Option<String>,
    environment: &mut Environment,
) -> bool {
    let mut artifact = Artifact { repository: repository.trim_end_matches('/').to_owned(), ..Artifact::default() };
    match revision {
        Some(digest) if digest.starts_with("sha256:") => artifact.digest = Some(digest),
        Some(range) if is_range(&range) => {
            if let Err(error) = WantedTag::in_range(&range) {
                fields.not("spec.source.targetRevision", error.to_string());
                return false;
            }
            artifact.semver = Some(range);
        }
        tag => artifact.tag = tag.filter(|tag| tag != "HEAD"),
    }
    environment.artifact = Some(artifact);
    true
}

fn is_range(revision: &str) -> bool {
    revision.contains(['*', '<', '>', '^', '~', ' ', '|', ','])
}

/// A chart of elsewhere; its values are in the repository that has a `ref`, or in the one that is imported.
fn of_registry(
    fields: &mut Fields<'_>,
    around: &Around,
    (repository, name, version): (String, String, Option<String>),
    values: &[Value],
    environment: &mut Environment,
) -> bool {
    let repository = if repository.contains("://") { repository } else { format!("oci://{repository}") };
    environment.helm.chart = Some(Chart { repository, name, version: version.unwrap_or_else(|| "*".to_owned()) });
    let of_values = values.iter().find_map(|source| Some((text(source, "repoURL")?, text(source, "targetRevision"))));
    match (of_values, &around.repository) {
        (Some((repository, revision)), _) => {
            environment.repository = repository.to_owned();
            follow(fields, "spec.sources.targetRevision", revision, environment)
        }
        (None, Some(repository)) => {
            environment.repository.clone_from(repository);
            true
        }
        (None, None) => {
            fields.not("spec.source.repoURL", "the repository of the values is unknown: use --repository");
            false
        }
    }
}

/// What is followed: a branch, a tag, a range of versions or a commit. Whether it can be.
fn follow(fields: &mut Fields<'_>, field: &str, revision: Option<&str>, environment: &mut Environment) -> bool {
    let Some(revision) = revision.filter(|revision| *revision != "HEAD") else { return true };
    let is_commit = revision.len() >= 7 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    if revision.parse::<CommitId>().is_ok() {
        environment.commit = Some(revision.to_owned());
    } else if is_commit {
        fields.not(field, format!("the first digits of a commit are not enough: write the whole id of {revision}"));
        return false;
    } else if is_range(revision) {
        if let Err(error) = WantedTag::in_range(revision) {
            fields.not(field, error.to_string());
            return false;
        }
        environment.semver = Some(revision.to_owned());
    } else if let Some(branch) = revision.strip_prefix("refs/heads/") {
        environment.branch = Some(branch.to_owned());
    } else if let Some(tag) = revision.strip_prefix("refs/tags/") {
        environment.tag = Some(tag.to_owned());
    } else if semver::Version::parse(revision.strip_prefix('v').unwrap_or(revision)).is_ok() {
        fields.otherwise(field, format!("{revision} is treated as a tag"));
        environment.tag = Some(revision.to_owned());
    } else {
        environment.branch = Some(revision.to_owned());
    }
    true
}

/// Whether a folder of plain manifests has jsonnet in it, which is evaluated there without being asked for.
fn has_jsonnet(around: &Around, environment: &Environment) -> bool {
    let files =
        || around.files.iter().filter_map(|file| below(file, &environment.path)).filter(|name| !name.contains('/'));
    let is_rendered = |name: &str| name == "Chart.yaml" || name.to_ascii_lowercase().starts_with("kustomization.y");
    known::is_own(around, environment)
        && environment.helm.chart.is_none()
        && files().any(|name| name.ends_with(".jsonnet"))
        && !files().any(is_rendered)
}

/// The path of a file below a folder.
fn below<'f>(file: &'f str, folder: &str) -> Option<&'f str> {
    if folder.is_empty() { Some(file) } else { file.strip_prefix(folder)?.strip_prefix('/') }
}

/// Whether it is known that a values file is not there: the files beside it, or in the folder of the chart, are.
fn is_missing(file: &str, environment: &Environment, around: &Around) -> bool {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let is_near = |known: &String| is_below(known, folder) || is_below(known, &environment.path);
    known::is_own(around, environment) && !around.files.contains(file) && around.files.iter().any(is_near)
}

/// Whether there are manifests in folders below the one that is deployed, of which kustomize reads none.
fn subfolders(around: &Around, environment: &Environment) -> bool {
    if environment.path.is_empty() || around.repository.as_ref() != Some(&environment.repository) {
        return false;
    }
    let below: Vec<&str> =
        around.files.iter().filter_map(|file| file.strip_prefix(&format!("{}/", environment.path))).collect();
    let is_rendered =
        below.iter().any(|file| file.to_ascii_lowercase().starts_with("kustomization") || *file == "Chart.yaml");
    !is_rendered && below.iter().any(|file| file.contains('/'))
}

fn helm(
    fields: &mut Fields<'_>,
    name: &str,
    sources: (&Own, &[Value]),
    environment: &mut Environment,
    around: &Around,
) -> Helm {
    let mut helm = Helm {
        release_name: fields.text("spec.source.helm.releaseName").filter(|release| release != name),
        ..Helm::default()
    };
    let may_miss = fields.flag("spec.source.helm.ignoreMissingValueFiles") == Some(true);
    for file in fields.list("spec.source.helm.valueFiles") {
        match values_file(fields, file.as_str().unwrap_or_default(), sources, environment) {
            Ok(file) if may_miss && is_missing(&file, environment, around) => {
                let words = format!("{file} is missing, and is omitted: add it to helm.values_files once it exists");
                fields.otherwise("spec.source.helm.valueFiles", words);
            }
            Ok(file) => helm.values_files.push(file),
            Err(words) => fields.not("spec.source.helm.valueFiles", words),
        }
    }
    if may_miss && !known::is_own(around, environment) {
        fields.not("spec.source.helm.ignoreMissingValueFiles", "a missing values file is an error: omit it");
    }
    let written = fields.text("spec.source.helm.values");
    let object = fields.map("spec.source.helm.valuesObject");
    helm.values = match written {
        // As there: the object goes before the text.
        Some(text) if object.is_empty() => values_of(fields, &text),
        _ => object,
    };
    for parameter in fields.list("spec.source.helm.parameters") {
        if let Err(words) = parameters::set(&mut helm.values, &parameter) {
            fields.not("spec.source.helm.parameters", words);
        }
    }
    for parameter in fields.list("spec.source.helm.fileParameters") {
        let name = text(&parameter, "name").unwrap_or_default().to_owned();
        let file = text(&parameter, "path").unwrap_or_default();
        let path = match name.is_empty() || name.contains([',', '=']) || file.is_empty() {
            true => Err(format!("{name} is not the name of a value with a file: write it into a values file")),
            false => values_file(fields, file, sources, environment),
        };
        match path {
            Ok(path) => helm.file_parameters.push(
                [("name", name), ("path", path)].map(|(key, text)| (key.to_owned(), text.into())).into_iter().collect(),
            ),
            Err(words) => fields.not("spec.source.helm.fileParameters", words),
        }
    }
    helm.skip_crds = fields.flag("spec.source.helm.skipCrds") == Some(true);
    let nulls = draft::remove_nulls(&mut helm.values);
    if nulls > 0 {
        fields.not(
            "spec.source.helm.values",
            format!("{nulls} null: TOML has no null, write such a value into a values file"),
        );
    }
    helm
}

fn values_of(fields: &mut Fields<'_>, text: &str) -> Map<String, Value> {
    let mut documents = match crate::yaml::parse(text.as_bytes()) {
        Ok(documents) => documents,
        Err(error) => {
            fields.not("spec.source.helm.values", format!("it is not valid YAML: {error}"));
            return Map::new();
        }
    };
    match documents.pop().map(|document| document.value) {
        Some(Value::Object(values)) => values,
        None | Some(Value::Null) => Map::new(),
        Some(_) => {
            fields.not("spec.source.helm.values", "it is not a map of values");
            Map::new()
        }
    }
}

/// A values file as we name it: from the root of its repository, or of a source.
fn values_file(
    fields: &mut Fields<'_>,
    written: &str,
    (own, sources): (&Own, &[Value]),
    environment: &mut Environment,
) -> Result<String, String> {
    if written.contains("://") {
        return Err(format!("{written}: values files are not downloaded: put it into the repository"));
    }
    if written.starts_with('$') {
        return referenced::values_file(fields, written, own, sources, environment, follow);
    }
    if environment.helm.chart.is_some() {
        return Err(format!("{written} is inside the chart: only values.yaml of a chart is read"));
    }
    join(&environment.path, written.trim_start_matches('/'))
        .ok_or_else(|| format!("{written} leads out of the repository"))
}

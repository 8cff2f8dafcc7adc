//! Other sources of an Application that its values files name: `$values/prod.yaml`.

use serde_json::Value;

use super::super::draft::{Environment, Source, label};
use super::super::fields::Fields;
use super::text;

/// The source that the environment itself is of.
pub(super) struct Own {
    /// What values files call it.
    pub(super) name: Option<String>,
    /// What of it is deployed.
    pub(super) revision: Option<String>,
}

/// Reads what is followed of a source into an environment; whether it can be.
pub(super) type Follow = fn(&mut Fields<'_>, &str, Option<&str>, &mut Environment) -> bool;

/// A values file `$NAME/PATH` as we name it. What it is of becomes a source of the environment where it is not its own repository.
///
/// # Errors
/// In words, where it cannot be.
pub(super) fn values_file(
    fields: &mut Fields<'_>,
    written: &str,
    own: &Own,
    sources: &[Value],
    environment: &mut Environment,
    follow: Follow,
) -> Result<String, String> {
    let rest = written.strip_prefix('$').unwrap_or(written);
    let (of, path) = rest.split_once('/').unwrap_or((rest, ""));
    if own.name.as_deref() == Some(of) {
        return Ok(path.to_owned());
    }
    let source = sources.iter().find(|source| text(source, "ref") == Some(of));
    let source = source.ok_or_else(|| format!("no source has ref {of}"))?;
    let repository = text(source, "repoURL").ok_or_else(|| format!("source {of} has no repository"))?;
    let revision = text(source, "targetRevision");
    if repository == environment.repository && revision == own.revision.as_deref() {
        return Ok(path.to_owned());
    }
    let name = label(of);
    if name.is_empty() {
        return Err(format!("{of} is not a name for a source"));
    }
    if !environment.source.iter().any(|known| known.name == name) {
        let mut followed = Environment::default();
        if !follow(fields, "spec.sources.targetRevision", revision, &mut followed) {
            return Err(format!("{written} is of source {of}, which is not imported"));
        }
        let Environment { branch, tag, semver, commit, .. } = followed;
        let repository = repository.to_owned();
        environment.source.push(Source { name: name.clone(), repository, branch, tag, semver, commit });
    }
    Ok(format!("${name}/{path}"))
}

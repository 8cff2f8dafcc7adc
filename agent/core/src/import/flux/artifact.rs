//! Artifacts that Flux puts together of folders of repositories: which folder of which repository a path in one is.

use serde_json::Value;

use super::super::{Document, name_parts};
use crate::tree::paths::join;

/// What a path in an artifact is.
pub(super) struct Origin {
    /// The folder, from the root of its repository.
    pub(super) folder: String,
    /// The object that the repository is, as a reference.
    pub(super) source: Value,
}

/// Where the path of an artifact of this name comes from; nothing where no generator says so, or it is put together of several.
pub(super) fn origin(documents: &[Document], namespace: &str, name: &str, path: &str) -> Option<Origin> {
    let generators = documents.iter().map(|document| &document.object).filter(|object| {
        let (kind, of, _) = name_parts(object);
        kind == "ArtifactGenerator" && of == namespace
    });
    generators.into_iter().find_map(|generator| {
        let artifact = list(&generator["spec"]["artifacts"]).find(|artifact| artifact["name"] == name)?;
        let mut copied = list(&artifact["copy"]).filter_map(|copy| {
            let (alias, from) = aliased(&copy["from"])?;
            let (_, to) = aliased(&copy["to"])?;
            let below = path.strip_prefix(to.trim_end_matches('/'))?.trim_start_matches('/');
            let folder = join(from.strip_suffix("**")?.trim_end_matches('/'), below)?;
            let mut source = list(&generator["spec"]["sources"]).find(|source| source["alias"] == alias)?.clone();
            if source["namespace"].is_null() {
                source["namespace"] = Value::from(namespace);
            }
            Some(Origin { folder, source })
        });
        copied.next()
    })
}

/// `@monorepo/apps/**` is `apps/**` of monorepo.
fn aliased(written: &Value) -> Option<(&str, &str)> {
    let rest = written.as_str()?.strip_prefix('@')?;
    Some(rest.split_once('/').unwrap_or((rest, "")))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

//! What `charts/` has of what a chart depends on.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::{CHART_FILE, Chart, ChartError, below};
use super::{Asked, Fetching, Place};
use crate::follow::{ranges, version};
use crate::tree::Tree;
use crate::tree::paths::is_below;

/// A chart in `charts/`.
struct Held {
    path: String,
    /// Nothing where nobody says it.
    version: Option<String>,
}

impl Chart {
    /// Whether `charts/` has it. Where the rest is fetched, what is there for it has to be of the version that is asked for: helm would
    /// take one of another version for a chart that nothing names.
    pub(super) fn is_held(
        &self,
        tree: &dyn Tree,
        charts: &str,
        (name, dependency): (&str, &Value),
        asked: &Asked,
        place: &Place<'_>,
        fetching: Option<Fetching<'_>>,
    ) -> Result<bool, ChartError> {
        let held = self.held(tree, charts, name);
        if fetching.is_none_or(|fetching| fetching.from.is_empty()) {
            return Ok(!held.is_empty());
        }
        if held.iter().any(|held| held.is_in(dependency)) {
            return Ok(true);
        }
        let is_used = |held: &&Held| {
            let mut same = asked.list.iter().filter(|other| other["name"] == name);
            same.any(|other| held.is_in(other))
        };
        match held.iter().find(|held| !is_used(held)) {
            None => Ok(false),
            Some(Held { path, version }) => Err(ChartError::Outdated {
                found: below(place.folder, path[place.at.len()..].trim_start_matches('/')),
                version: version.clone().unwrap_or_default(),
                path: below(place.folder, asked.named_by),
                wanted: dependency["version"].as_str().unwrap_or_default().to_owned(),
            }),
        }
    }

    /// What `charts/` has of a name: a folder of that name or with a chart of it, an archive with its version in its name.
    fn held(&self, tree: &dyn Tree, charts: &str, name: &str) -> Vec<Held> {
        let inside = self.files.keys().filter(|path| is_below(path, charts));
        let children: BTreeSet<(&str, bool)> = inside
            .map(|path| {
                let rest = &path[charts.len() + 1..];
                rest.split_once('/').map_or((rest, false), |(folder, _)| (folder, true))
            })
            .collect();
        let held = |(child, is_folder): (&str, bool)| {
            let path = below(charts, child);
            if is_folder {
                let about = self.read_yaml(tree, &below(&path, CHART_FILE)).ok().flatten().unwrap_or_default();
                let version = about["version"].as_str().map(str::to_owned);
                return (child == name || about["name"] == name).then_some(Held { path, version });
            }
            let rest = child.strip_prefix(name)?.strip_prefix('-')?.strip_suffix(".tgz")?;
            let is_longer = |(at, _)| version(&rest[at + 1..]).is_some();
            match version(rest) {
                Some(_) => Some(Held { path, version: Some(rest.to_owned()) }),
                // `redis-cluster-1.0.0.tgz` is no archive of `redis`.
                None if rest.match_indices('-').any(is_longer) => None,
                None => Some(Held { path, version: None }),
            }
        };
        children.into_iter().filter_map(held).collect()
    }
}

impl Held {
    /// Whether it is of a version that a dependency asks for. What cannot be compared is left to helm.
    fn is_in(&self, dependency: &Value) -> bool {
        let wanted = dependency["version"].as_str().and_then(|range| ranges(range).ok());
        let found = self.version.as_deref().and_then(version).filter(|version| version.pre.is_empty());
        wanted.zip(found).is_none_or(|(wanted, found)| wanted.iter().any(|range| range.matches(&found)))
    }
}

//! What a chart depends on, put where helm finds it: below `charts/`.
//!
//! ```text
//! charts/ of the folder ─────────────── as they are, where the version is in the range
//! repository: file://../common ──────── that folder of the same repository
//! other repositories ── Chart.lock ──── charts/NAME-VERSION.tgz, fetched where the configuration names the repository
//! ```
//! That is what `helm dependency build` does, without its `repositories.yaml` and with a lock file that has to be there: the same
//! commit gives the same manifests. Aliases, conditions, tags and imported values are helm's.

mod fetched;
mod held;

use std::collections::BTreeSet;

use quarterdeck_shared::application::{DependencyRepository, source_of};
use serde_json::Value;

use self::fetched::Missing;
use super::{CHART_FILE, Chart, ChartError, below};
use crate::charts::lock::Format;
use crate::render::elsewhere::Elsewhere;
use crate::tree::Tree;
use crate::tree::links::{Followed, resolve};
use crate::tree::paths::join;

/// The file that says what charts for Helm 2 depend on, which helm still reads.
const OLD_FILE: &str = "requirements.yaml";

/// From where it is fetched.
#[derive(Clone, Copy)]
pub(crate) struct Fetching<'a> {
    /// The repositories that the configuration names.
    pub(crate) from: &'a [DependencyRepository],
    /// Who fetches.
    pub(crate) elsewhere: &'a dyn Elsewhere,
}

/// Where a chart is.
pub(super) struct Place<'a> {
    /// Its folder in the tree.
    pub(super) folder: &'a str,
    /// Where it is written.
    pub(super) at: &'a str,
    /// Charts above it.
    pub(super) depth: usize,
}

/// The list of a chart, and which file has it.
struct Asked {
    list: Vec<Value>,
    /// `Chart.yaml`, or what charts for Helm 2 have instead.
    named_by: &'static str,
    format: Format,
}

impl Chart {
    /// Takes what a chart depends on.
    pub(super) fn take_dependencies(
        &mut self,
        tree: &dyn Tree,
        place: &Place<'_>,
        about: &Value,
        fetching: Option<Fetching<'_>>,
    ) -> Result<(), ChartError> {
        let &Place { folder, at, depth } = place;
        let asked = self.asked(tree, at, about)?;
        let charts = below(at, "charts");
        let (mut missing, mut beside) = (Vec::new(), BTreeSet::new());
        for (index, dependency) in asked.list.iter().enumerate() {
            let Some(name) = dependency["name"].as_str() else { continue };
            let written = dependency["repository"].as_str().filter(|repository| !repository.is_empty());
            let is_again = beside.contains(&(name, written));
            if is_again || self.is_held(tree, &charts, (name, dependency), &asked, place, fetching)? {
                continue;
            }
            let repository = written.unwrap_or("(no repository)").to_owned();
            match folder_beside(tree, folder, &repository)? {
                Some(target) => {
                    // Another one of that name is in a folder of its own; helm reads the name in it.
                    let is_taken = beside.iter().any(|(other, _)| *other == name);
                    let at = below(&charts, &if is_taken { format!("{name}-{index}") } else { name.to_owned() });
                    beside.insert((name, written));
                    self.take_chart(tree, &Place { folder: &target, at: &at, depth: depth + 1 }, fetching)?;
                }
                None => missing.push(Missing { index, name: name.to_owned(), repository }),
            }
        }
        if missing.is_empty() { Ok(()) } else { self.fetch(tree, place, &asked, &missing, fetching) }
    }

    fn asked(&self, tree: &dyn Tree, at: &str, about: &Value) -> Result<Asked, ChartError> {
        let (mut list, mut named_by) = (about["dependencies"].clone(), CHART_FILE);
        if list.is_null() {
            named_by = OLD_FILE;
            let file = self.read_yaml(tree, &below(at, named_by))?;
            list = file.and_then(|mut file| file.get_mut("dependencies").map(Value::take)).unwrap_or_default();
        }
        let list = if let Value::Array(list) = list { list } else { Vec::new() };
        let format = if matches!(about["apiVersion"].as_str(), None | Some("v1")) { Format::V1 } else { Format::V2 };
        Ok(Asked { list, named_by, format })
    }
}

/// The folder of the same repository that a dependency names; nothing where it names none.
fn folder_beside(tree: &dyn Tree, folder: &str, repository: &str) -> Result<Option<String>, ChartError> {
    let Some(path) = repository.strip_prefix("file://").and_then(|path| join(folder, path)) else { return Ok(None) };
    let found = resolve(tree, &path).map_err(|source| ChartError::Read { path, source })?;
    Ok(match found {
        // Another source of the environment is another repository.
        Followed::Folder(target) if source_of(&target) == source_of(folder) => Some(target),
        _ => None,
    })
}

#[cfg(test)]
mod tests;

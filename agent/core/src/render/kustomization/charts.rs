//! Charts that kustomize renders itself, `helmCharts`: each is put where kustomize looks before it would ask helm to fetch it
//! (`HelmChartInflationGenerator` of kustomize 5.8: `charts/NAME-VERSION/NAME` where a repository and a version are written, else
//! `charts/NAME`).

use serde_json::Value;

use super::{FILES_MAX, KustomizationError, Search};
use crate::charts::address::check_name;
use crate::charts::versions::Wanted;
use crate::render::chart::chart;
use crate::render::elsewhere::Refusal;
use crate::tree::paths::{join, parent};
use crate::tree::{Node, Tree as _};

/// The folder of charts where `helmGlobals` names none.
const HOME: &str = "charts";

impl Search<'_> {
    /// Takes the charts of a kustomization: from the repository where they are there, else from elsewhere.
    pub(super) fn take_charts(&mut self, path: &str, kustomization: &Value) -> Result<(), KustomizationError> {
        let folder = parent(path);
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let home = kustomization["helmGlobals"]["chartHome"].as_str().filter(|home| !home.is_empty());
        for entry in kustomization["helmCharts"].as_array().into_iter().flatten() {
            self.needs.has_charts = true;
            let (name, version, repo) = (text(entry, "name"), text(entry, "version"), text(entry, "repo"));
            let inner = match version.is_empty() || repo.is_empty() {
                true => name.clone(),
                false => format!("{name}-{version}/{name}"),
            };
            let at = join(folder, home.unwrap_or(HOME)).and_then(|home| join(&home, &inner));
            // Kustomize says what it thinks of the others.
            let Some(at) = at.filter(|at| check_name(&name).is_ok() && self.roots.are_same(folder, at)) else {
                continue;
            };
            let reading = |source| KustomizationError::Read { path: at.clone(), source };
            if self.tree.lookup(&at).map_err(reading)? != Some(Node::Folder) {
                self.take_chart_from_elsewhere(path, &at, (&repo, &name, &version))?;
            }
            let wrong = |source| KustomizationError::Chart { folder: at.clone(), source: Box::new(source) };
            let chart = chart(self.tree, &at, &[], None).map_err(wrong)?;
            if let Some(entry) = chart.files.values().find(|entry| !self.roots.are_same(folder, &entry.path)) {
                return Err(KustomizationError::Path { path: entry.path.clone() });
            }
            // Without a name helm makes one up.
            let is_named = entry["releaseName"].is_string() || entry["nameTemplate"].is_string();
            self.needs.may_change |= chart.may_change || !is_named;
            self.needs.looks_up |= chart.looks_up;
            self.needs.inputs.extend(chart.inputs);
            self.needs.files.extend(chart.files);
            if self.needs.files.len() > FILES_MAX {
                return Err(KustomizationError::TooManyFiles);
            }
        }
        Ok(())
    }

    fn take_chart_from_elsewhere(
        &mut self,
        path: &str,
        at: &str,
        (repo, name, version): (&str, &str, &str),
    ) -> Result<(), KustomizationError> {
        let path = path.to_owned();
        if repo.is_empty() {
            return Err(KustomizationError::Missing { path, field: "helmCharts".to_owned(), text: name.to_owned() });
        }
        if !matches!(Wanted::read(version), Ok(Wanted::Exact(_))) {
            return Err(KustomizationError::Version { path, name: name.to_owned(), version: version.to_owned() });
        }
        let taken = self.elsewhere.chart(repo, name, version).map_err(|refusal| match refusal {
            Refusal::NotNamed => {
                let (text, address) = (format!("chart {name}"), repo.to_owned());
                KustomizationError::NotNamed { path, text, address }
            }
            Refusal::Failed(source) => {
                KustomizationError::Elsewhere { path, text: format!("chart {name} {version} of {repo}"), source }
            }
        })?;
        self.tree.put(at, taken.tree);
        self.needs.places.insert(at.to_owned(), format!("{repo}/{name}@{version}"));
        Ok(())
    }
}

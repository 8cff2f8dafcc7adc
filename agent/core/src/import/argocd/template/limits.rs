//! What the source of a template is, and what its applications may use: what they use now.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::super::draft::{Draft, Environment};
use super::super::super::same;
use super::super::tables::{self, Table};
use super::{OWN_CLUSTER, Reading, value, word};

impl Reading<'_> {
    /// Where the folders and files are that are listed; else where the manifests are.
    pub(super) fn repository(&self, draft: &Draft) -> Result<(String, Option<String>), String> {
        if let Some((repository, revision)) = tables::repository(self.generator) {
            let branch = match revision.as_deref() {
                None | Some("HEAD") => None,
                Some(revision) => {
                    let revision = revision.strip_prefix("refs/heads/").unwrap_or(revision);
                    let is_version = semver::Version::parse(revision.strip_prefix('v').unwrap_or(revision)).is_ok();
                    let is_commit = revision.len() >= 7 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
                    if is_version || is_commit || revision.starts_with("refs/") {
                        return Err(format!("revision {revision} of its generator is not a branch"));
                    }
                    Some(revision.to_owned())
                }
            };
            return Ok((repository, branch));
        }
        let environment = &draft.environment[0];
        let is_fixed = |address: &&String| !address.is_empty() && !self.is_worded(address);
        let own = Some(&environment.repository).filter(is_fixed).or(self.known.around.repository.as_ref());
        own.cloned()
            .map(|repository| (repository, None))
            .ok_or_else(|| "a source is in a repository, and none is known: import with --repository URL".to_owned())
    }

    pub(super) fn is_worded(&self, text: &str) -> bool {
        (0..self.words.len()).any(|index| text.contains(&word(index)))
    }

    /// The clusters that the source may use: those of what is made now, and those that are to be selected.
    pub(super) fn clusters(
        &self,
        environment: &Environment,
        tables: &[Table],
        filled: &[(String, Value)],
    ) -> Result<Vec<String>, String> {
        let of = |(_, value): &(String, Value)| value["environment"][0]["cluster"].as_str().map(str::to_owned);
        let mut all: BTreeSet<String> = filled.iter().filter_map(of).collect();
        let own = environment.cluster.clone().unwrap_or_default();
        if !self.is_worded(&own) {
            all.insert(own);
        }
        if all.is_empty() {
            return Err("which clusters it may use is not known: it makes nothing now".to_owned());
        }
        let own = self.known.around.cluster.as_deref().unwrap_or(OWN_CLUSTER);
        for selected in tables.iter().filter_map(|table| table.selected(self.known, own)) {
            if selected.is_empty() {
                return Err("no cluster is selected now".to_owned());
            }
            // A source selects among the clusters that it may use: another one among these would be selected, too.
            if let Some(other) = all.iter().find(|name| !selected.contains(*name)) {
                return Err(format!("it deploys to {other}, which is not among the clusters that it selects"));
            }
            all.extend(selected);
        }
        Ok(all.into_iter().collect())
    }

    /// The namespaces: those that are written, or a pattern with what is filled in.
    pub(super) fn namespaces(
        &self,
        environment: &Environment,
        tables: &[Table],
        filled: &[(String, Value)],
    ) -> Vec<String> {
        let of = |(_, value): &(String, Value)| value["environment"][0]["namespace"].as_str().map(str::to_owned);
        if tables.iter().all(Table::is_list) && !filled.is_empty() {
            return filled.iter().filter_map(of).collect::<BTreeSet<String>>().into_iter().collect();
        }
        let any =
            (0..self.words.len()).fold(environment.namespace.clone(), |text, index| text.replace(&word(index), "*"));
        vec![any]
    }

    /// The repositories beside its own that are written, or that what is made now uses.
    pub(super) fn repositories(
        &self,
        draft: &Draft,
        own: &str,
        filled: &[(String, Value)],
    ) -> Result<Vec<String>, String> {
        let mut all = BTreeSet::new();
        addresses(&value(draft), &mut all);
        let is_any = all.iter().any(|address| self.is_worded(address));
        all.retain(|address| !self.is_worded(address));
        filled.iter().for_each(|(_, value)| addresses(value, &mut all));
        all.retain(|address| !same(address, own));
        if is_any && filled.is_empty() {
            return Err("which repositories it may use is not known: it makes nothing now".to_owned());
        }
        Ok(all.into_iter().collect())
    }
}

/// The addresses of repositories, charts and artifacts.
fn addresses(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields.iter().filter(|(key, _)| *key != "values") {
                match value {
                    Value::String(address) if key == "repository" && !address.is_empty() => {
                        into.insert(address.clone());
                    }
                    other => addresses(other, into),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| addresses(item, into)),
        _ => {}
    }
}

//! What the kustomizations of an environment take: components that may be missing, and folders, files and charts of elsewhere, which a
//! configuration allows by name. Only the kustomizations of the repository that is imported are known; what those of others take in
//! turn is told when they are fetched.

use std::collections::{BTreeSet, VecDeque};

use serde_json::Value;

use super::draft::Environment;
use super::fields::Fields;
use super::{Around, known};
use crate::charts::address::Repository;
use crate::charts::versions::Wanted;
use crate::render::elsewhere::address::{self, Address};
use crate::render::kustomization::{is_file_field, texts};
use crate::tree::paths::{is_below, join};

/// The components that are written; those that may be missing, and are, are left out, which is said.
pub(super) fn components(
    fields: &mut Fields<'_>,
    before: &str,
    mut written: Vec<String>,
    may_miss: bool,
    around: &Around,
    environment: &Environment,
) -> Vec<String> {
    if !may_miss || written.is_empty() {
        return written;
    }
    if !known::is_own(around, environment) {
        fields.not(&format!("{before}ignoreMissingComponents"), "a missing component is an error: omit it");
        return written;
    }
    written.retain(|component| {
        let folder = join(&environment.path, component);
        let is_there = folder.is_some_and(|folder| known::kustomization(around, &folder).is_some());
        if !is_there {
            let words =
                format!("{component} is missing, and is omitted: add it to kustomize.components once it exists");
            fields.otherwise(&format!("{before}components"), words);
        }
        is_there
    });
    written
}

/// What kustomizations name that is not in their repository.
#[derive(Default)]
struct Named {
    /// Repositories, chart repositories and registries.
    remote: BTreeSet<String>,
    /// Files of web servers.
    files: BTreeSet<String>,
    /// What has to be changed in the repository first, and how.
    unclear: BTreeSet<String>,
}

/// Allows what the kustomizations of an environment take from elsewhere, and tells what has no pin yet.
pub(super) fn from_elsewhere(fields: &mut Fields<'_>, field: &str, around: &Around, environment: &mut Environment) {
    if !known::is_own(around, environment) {
        return;
    }
    let Named { remote, files, unclear } = named(around, environment);
    if !remote.is_empty() {
        let all: Vec<&str> = remote.iter().map(String::as_str).collect();
        fields.otherwise(field, format!("its kustomizations may take from {}: kustomize.remote", all.join(", ")));
    }
    for url in files {
        let words = format!(
            "its kustomizations take {url}: add a [[application.environment.kustomize.remote_file]] with the sha256 that \
             `curl -fsSL {url} | sha256sum` prints"
        );
        fields.not(field, words);
    }
    unclear.into_iter().for_each(|words| fields.not(field, words));
    environment.kustomize.remote = remote.into_iter().collect();
}

fn named(around: &Around, environment: &Environment) -> Named {
    let mut named = Named::default();
    let components = environment.kustomize.components.iter();
    let components: Vec<String> = components.filter_map(|component| join(&environment.path, component)).collect();
    let mut waiting: VecDeque<String> = [environment.path.clone()].into_iter().chain(components).collect();
    if environment.kustomize.generate {
        waiting.extend(known::kustomizations_below(around, &environment.path).map(str::to_owned));
    }
    let mut seen = BTreeSet::new();
    while let Some(folder) = waiting.pop_front() {
        let file = known::kustomization(around, &folder).filter(|file| seen.insert(file.clone()));
        let Some(Value::Object(fields)) = file.as_ref().and_then(|file| around.kustomizations.get(file)) else {
            continue;
        };
        for (field, value) in fields {
            for (key, text) in texts(field, value) {
                match join(&folder, text).filter(|path| known::kustomization(around, path).is_some()) {
                    Some(below) => waiting.push_back(below),
                    None if is_file_field(field, key) => named.take(text),
                    None => {}
                }
            }
        }
        for chart in fields.get("helmCharts").and_then(Value::as_array).into_iter().flatten() {
            named.take_chart(around, &folder, &fields.get("helmGlobals").unwrap_or(&Value::Null)["chartHome"], chart);
        }
    }
    named
}

impl Named {
    /// A folder or a file, alone or as the right side of `key=address`.
    fn take(&mut self, text: &str) {
        let read = |text: &str| address::read(text).map(|address| (text.to_owned(), address));
        match read(text).or_else(|| read(text.split_once('=')?.1)) {
            Some((_, Address::Folder(folder))) if folder.reference.is_some() => {
                self.remote.insert(folder.repository);
            }
            Some((text, Address::Folder(_))) => {
                let words = "may change at any time: write ?ref= with a tag or a whole commit behind it";
                self.unclear.insert(format!("{text} {words}"));
            }
            Some((url, Address::File)) => {
                self.files.insert(url);
            }
            None => {}
        }
    }

    /// A chart that is not where kustomize looks for it.
    fn take_chart(&mut self, around: &Around, folder: &str, home: &Value, chart: &Value) {
        let text = |key: &str| chart[key].as_str().unwrap_or_default();
        let (name, version, repository) = (text("name"), text("version"), text("repo"));
        let home = home.as_str().filter(|home| !home.is_empty()).unwrap_or("charts");
        let place = join(folder, home).and_then(|home| join(&home, &format!("{name}-{version}/{name}")));
        let is_there = place.is_some_and(|place| around.files.iter().any(|file| is_below(file, &place)));
        if repository.is_empty() || is_there {
            return;
        }
        if !matches!(Wanted::read(version), Ok(Wanted::Exact(_))) {
            let words =
                format!("chart {name} has version {version:?}, which is not a single version: write one, as 6.7.1");
            self.unclear.insert(words);
        }
        if Repository::read(repository).is_ok() {
            self.remote.insert(repository.to_owned());
        }
    }
}

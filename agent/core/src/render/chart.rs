//! Which files of a repository a Helm chart needs: all below its folder, the charts that it depends on, and the files of
//! values. What of these is elsewhere is fetched where that is allowed ([`dependencies`]), else refused with what to do instead.

mod dependencies;
mod error;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quarterdeck_shared::application::HelmSpec;
use serde_json::Value;

use self::dependencies::Place;

use crate::render::elsewhere::Elsewhere;
use crate::tree::links::{Followed, resolve, resolve_noting};
use crate::tree::paths::{file_name, is_below, join};
use crate::tree::{EntryMode, Tree, TreeEntry};
use crate::yaml;

pub(crate) use self::dependencies::Fetching;
pub use self::error::ChartError;

/// The file that makes a folder a chart.
pub(crate) const CHART_FILE: &str = "Chart.yaml";

/// Files that a chart may have, with those of its dependencies: kube-prometheus-stack with all of its own has some 400.
const FILES_MAX: usize = 5_000;

/// Folders that links and dependencies lead to: links in circles end by it.
const FOLDERS_MAX: usize = 1_000;

/// Charts in charts: no published one is deeper than three.
const DEPTH_MAX: usize = 10;

/// Charts that are fetched for one: the largest umbrella charts that are published depend on some 30.
const DEPENDENCIES_MAX: usize = 100;

/// Bytes of their archives: three of the largest that is fetched, and half of what is written for one render.
const ARCHIVES_BYTES_MAX: usize = 64 << 20;

/// Functions of templates whose outcome is another one each time.
const CHANGING: &[&str] = &[
    "ago",
    "bcrypt",
    "encryptAES",
    "genCA",
    "genCAWithKey",
    "genPrivateKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
    "htpasswd",
    "now",
    "randAlpha",
    "randAlphaNum",
    "randAscii",
    "randBytes",
    "randInt",
    "randNumeric",
    "shuffle",
    "uuidv4",
];

/// A chart, and what it is rendered from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chart {
    /// Its folder, from the root of the repository.
    pub folder: String,
    /// What it is called in `Chart.yaml`.
    pub name: String,
    /// Its files and those of values, by the path to write each at; a link is there as the file that it stands for.
    pub files: BTreeMap<String, TreeEntry>,
    /// Archives of what it depends on that were fetched, by the path to write each at.
    pub archives: BTreeMap<String, Arc<[u8]>>,
    /// The files of values among them, the last one wins.
    pub values: Vec<String>,
    /// Whether two renders may differ: its templates, or an archive among its dependencies, may call for what is random.
    pub may_change: bool,
    /// Whether its templates ask the cluster.
    pub looks_up: bool,
    /// The folders and files that the outcome depends on.
    pub(super) inputs: BTreeSet<String>,
    /// Folders that were looked into.
    folders: usize,
}

/// Finds what the chart of a folder needs; the folder has its links followed.
pub(crate) fn chart(
    tree: &dyn Tree,
    folder: &str,
    values_files: &[String],
    fetching: Option<Fetching<'_>>,
) -> Result<Chart, ChartError> {
    let mut chart = Chart { folder: folder.to_owned(), ..Chart::default() };
    chart.name = chart.take_chart(tree, &Place { folder, at: folder, depth: 0 }, fetching)?;
    for path in values_files {
        let plain = join("", path).unwrap_or_default();
        let mut way = Vec::new();
        let found = resolve_noting(tree, &plain, &mut way);
        let Followed::File(entry) = found.map_err(|source| ChartError::Read { path: path.clone(), source })? else {
            return Err(ChartError::Values { path: path.clone() });
        };
        chart.inputs.extend(way.into_iter().chain([entry.path.clone()]));
        chart.files.insert(plain.clone(), entry);
        chart.values.push(plain);
    }
    Ok(chart)
}

/// The archives of what the chart of a folder depends on and has not beside it, by their paths; none where the folder holds no chart.
///
/// # Errors
/// Where the chart could not be rendered either.
pub fn archives(
    tree: &dyn Tree,
    folder: &str,
    spec: &HelmSpec,
    elsewhere: &dyn Elsewhere,
) -> Result<BTreeMap<String, Arc<[u8]>>, ChartError> {
    let found = resolve(tree, folder).map_err(|source| ChartError::Read { path: folder.to_owned(), source })?;
    let Followed::Folder(folder) = found else { return Ok(BTreeMap::new()) };
    let fetching = Fetching { from: &spec.dependencies, elsewhere };
    match chart(tree, &folder, &[], spec.chart.is_none().then_some(fetching)) {
        Ok(chart) => Ok(chart.archives),
        Err(ChartError::None { .. }) => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}

impl Chart {
    /// Takes a chart with what it depends on; returns its name.
    fn take_chart(
        &mut self,
        tree: &dyn Tree,
        place: &Place<'_>,
        fetching: Option<Fetching<'_>>,
    ) -> Result<String, ChartError> {
        let &Place { folder, at, depth } = place;
        if depth > DEPTH_MAX {
            return Err(ChartError::TooDeep);
        }
        self.inputs.insert(folder.to_owned());
        self.take_files(tree, folder, at, depth)?;
        let path = below(at, CHART_FILE);
        let about = self.read_yaml(tree, &path)?.ok_or_else(|| ChartError::None { folder: folder.to_owned() })?;
        let name = about["name"].as_str().ok_or_else(|| ChartError::Nameless { path: below(folder, CHART_FILE) })?;
        let name = name.to_owned();
        self.take_dependencies(tree, place, &about, fetching)?;
        Ok(name)
    }

    /// Takes every file below a folder; what a link leads to is written where the link is.
    fn take_files(&mut self, tree: &dyn Tree, folder: &str, at: &str, depth: usize) -> Result<(), ChartError> {
        let reading = |path: &str, source| ChartError::Read { path: path.to_owned(), source };
        self.folders += 1;
        if depth > DEPTH_MAX || self.folders > FOLDERS_MAX {
            return Err(ChartError::TooDeep);
        }
        for entry in tree.entries(folder).map_err(|source| reading(folder, source))?.entries {
            let rest = entry.path[folder.len()..].trim_start_matches('/');
            if rest.split('/').any(|part| matches!(part, "" | "." | "..")) || rest.contains('\0') {
                continue;
            }
            let target = below(at, rest);
            match entry.mode {
                EntryMode::File | EntryMode::Executable => self.take_file(tree, target, entry)?,
                EntryMode::Symlink => {
                    let mut way = Vec::new();
                    let found = resolve_noting(tree, &entry.path, &mut way);
                    match found.map_err(|source| reading(&entry.path, source))? {
                        Followed::File(file) => {
                            self.inputs.extend(way.into_iter().chain([file.path.clone()]));
                            self.take_file(tree, target, file)?;
                        }
                        // A link up the tree would be without an end.
                        Followed::Folder(linked) if !is_below(&entry.path, &linked) => {
                            self.inputs.extend(way.into_iter().chain([linked.clone()]));
                            self.take_files(tree, &linked, &target, depth + 1)?;
                        }
                        Followed::Folder(_) | Followed::Nowhere(_) => {}
                    }
                }
                EntryMode::Submodule => {}
            }
        }
        Ok(())
    }

    fn take_file(&mut self, tree: &dyn Tree, at: String, entry: TreeEntry) -> Result<(), ChartError> {
        self.look_into(tree, &at, &entry)?;
        self.files.insert(at, entry);
        if self.files.len() > FILES_MAX { Err(ChartError::TooManyFiles) } else { Ok(()) }
    }

    /// Notes what a file of it, or of what it depends on, asks for while it is rendered.
    fn look_into(&mut self, tree: &dyn Tree, at: &str, entry: &TreeEntry) -> Result<(), ChartError> {
        if at.split('/').any(|part| part == "templates") && file_name(at) != "NOTES.txt" {
            let content = tree.blob(entry).map_err(|source| ChartError::Read { path: entry.path.clone(), source })?;
            let text = String::from_utf8_lossy(&content);
            let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
            self.looks_up |= words.clone().any(|word| word == "lookup");
            self.may_change |= words.any(|word| CHANGING.contains(&word));
        }
        // Nobody looks into an archive here.
        self.may_change |= at.ends_with(".tgz");
        Ok(())
    }

    /// What a file of it says; nothing where it has no such file.
    fn read_yaml(&self, tree: &dyn Tree, path: &str) -> Result<Option<Value>, ChartError> {
        let Some(entry) = self.files.get(path) else { return Ok(None) };
        let content = tree.blob(entry).map_err(|source| ChartError::Read { path: entry.path.clone(), source })?;
        let wrong = |source| ChartError::Yaml { path: entry.path.clone(), source };
        Ok(yaml::parse(&content).map_err(wrong)?.into_iter().next().map(|document| document.value))
    }
}

fn below(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}

#[cfg(test)]
mod tests;

//! Which files of a repository a Helm chart needs: all below its folder, the charts that it depends on, and the files of
//! values. What it would fetch is refused with what to do instead.
//!
//! A dependency is there where helm finds it: below `charts/`, as a folder or an archive. One that names a folder of the
//! repository (`repository: file://../common`) is put there, as `helm dependency build` would.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use quarterdeck_shared::error::Hint;
use serde_json::Value;

use crate::tree::links::{Followed, resolve, resolve_noting};
use crate::tree::paths::{file_name, is_below, join};
use crate::tree::{EntryMode, Tree, TreeEntry, TreeFailure};
use crate::yaml::{self, YamlError};

/// The file that makes a folder a chart.
pub(crate) const CHART_FILE: &str = "Chart.yaml";

/// Files that a chart may have, with those of its dependencies: kube-prometheus-stack with all of its own has some 400.
const FILES_MAX: usize = 5_000;

/// Folders that links and dependencies lead to: links in circles end by it.
const FOLDERS_MAX: usize = 1_000;

/// Charts in charts: no published one is deeper than three.
const DEPTH_MAX: usize = 10;

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

/// Why a chart is not given to helm.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// The repository could not be read.
    #[error("cannot read {path} from the repository")]
    Read {
        /// What was read.
        path: String,
        /// Why not.
        source: TreeFailure,
    },
    /// The folder holds none.
    #[error("there is no Chart.yaml in {folder:?}")]
    None {
        /// Where it was looked for.
        folder: String,
    },
    /// `Chart.yaml` or `requirements.yaml` is no YAML.
    #[error("{path}")]
    Yaml {
        /// The file.
        path: String,
        /// What is wrong, and where.
        source: YamlError,
    },
    /// A chart has no name.
    #[error("{path} names no chart: it has no `name`")]
    Nameless {
        /// The file.
        path: String,
    },
    /// A file of values is not there.
    #[error("the values file {path} is not in this commit")]
    Values {
        /// As it is configured.
        path: String,
    },
    /// A chart that it depends on is elsewhere.
    #[error(
        "{path} depends on the chart {name} of {repository}, which is not in charts/: nothing is fetched while rendering"
    )]
    Dependency {
        /// The file that names it.
        path: String,
        /// Its name.
        name: String,
        /// Where it would come from, as it is written.
        repository: String,
    },
    /// There is more of it than we write.
    #[error("it has more than {FILES_MAX} files")]
    TooManyFiles,
    /// Charts hold charts, or links lead to folders, without an end.
    #[error("its dependencies or links are more than {DEPTH_MAX} deep, or lead to more than {FOLDERS_MAX} folders")]
    TooDeep,
}

impl Hint for ChartError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Yaml { source, .. } => return source.hint(),
            Self::Read { .. } | Self::Nameless { .. } => "",
            Self::None { .. } => "name the folder of the chart by `path` of the environment",
            Self::Values { .. } => "`helm.values_files` are paths from the root of the repository",
            Self::Dependency { .. } => {
                "run `helm dependency build`, and commit or package what it puts into charts/ with the chart"
            }
            Self::TooManyFiles => "name the folder of the chart alone by `path`",
            Self::TooDeep => "see that no chart depends on itself, and no link leads in a circle",
        }
        .into()
    }
}

/// Finds what the chart of a folder needs; the folder has its links followed.
pub(crate) fn chart(tree: &dyn Tree, folder: &str, values_files: &[String]) -> Result<Chart, ChartError> {
    let mut chart = Chart { folder: folder.to_owned(), ..Chart::default() };
    chart.name = chart.take_chart(tree, folder, folder, 0)?;
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

impl Chart {
    /// Takes the chart in `folder`, to be written at `at`; returns its name.
    fn take_chart(&mut self, tree: &dyn Tree, folder: &str, at: &str, depth: usize) -> Result<String, ChartError> {
        if depth > DEPTH_MAX {
            return Err(ChartError::TooDeep);
        }
        self.inputs.insert(folder.to_owned());
        self.take_files(tree, folder, at, depth)?;
        let path = below(at, CHART_FILE);
        let about = self.read_yaml(tree, &path)?.ok_or_else(|| ChartError::None { folder: folder.to_owned() })?;
        let name = about["name"].as_str().ok_or_else(|| ChartError::Nameless { path: below(folder, CHART_FILE) })?;
        let (mut requirements, mut named_by) = (about["dependencies"].clone(), CHART_FILE);
        if requirements.is_null() {
            // The form of charts for Helm 2, which helm still reads.
            named_by = "requirements.yaml";
            let file = self.read_yaml(tree, &below(at, named_by))?;
            requirements = file.and_then(|mut file| file.get_mut("dependencies").map(Value::take)).unwrap_or_default();
        }
        for dependency in requirements.as_array().into_iter().flatten() {
            let Some(name) = dependency["name"].as_str() else { continue };
            if self.holds(&below(at, "charts"), name) {
                continue;
            }
            let repository = dependency["repository"].as_str().unwrap_or("(no repository)");
            let beside = repository.strip_prefix("file://").and_then(|path| join(folder, path));
            let target = beside.map(|path| resolve(tree, &path).map_err(|source| ChartError::Read { path, source }));
            let Some(Followed::Folder(target)) = target.transpose()? else {
                let (path, name) = (below(folder, named_by), name.to_owned());
                return Err(ChartError::Dependency { path, name, repository: without_login(repository) });
            };
            self.take_chart(tree, &target, &below(&below(at, "charts"), name), depth + 1)?;
        }
        Ok(name.to_owned())
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
        if at.split('/').any(|part| part == "templates") && file_name(&at) != "NOTES.txt" {
            let content = tree.blob(&entry).map_err(|source| ChartError::Read { path: entry.path.clone(), source })?;
            let text = String::from_utf8_lossy(&content);
            let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
            self.looks_up |= words.clone().any(|word| word == "lookup");
            self.may_change |= words.any(|word| CHANGING.contains(&word));
        }
        // Nobody looks into an archive here.
        self.may_change |= at.ends_with(".tgz");
        self.files.insert(at, entry);
        if self.files.len() > FILES_MAX { Err(ChartError::TooManyFiles) } else { Ok(()) }
    }

    /// Whether a folder of charts holds this one, as a folder or as an archive with its version.
    fn holds(&self, charts: &str, name: &str) -> bool {
        self.files.keys().filter(|path| is_below(path, charts)).any(|path| {
            let rest = path[charts.len() + 1..].strip_prefix(name).unwrap_or_default();
            rest.starts_with('/') || (rest.starts_with('-') && rest.ends_with(".tgz") && !rest.contains('/'))
        })
    }

    /// What a file of it says; nothing where it has no such file.
    fn read_yaml(&self, tree: &dyn Tree, path: &str) -> Result<Option<Value>, ChartError> {
        let Some(entry) = self.files.get(path) else { return Ok(None) };
        let content = tree.blob(entry).map_err(|source| ChartError::Read { path: entry.path.clone(), source })?;
        let wrong = |source| ChartError::Yaml { path: entry.path.clone(), source };
        Ok(yaml::parse(&content).map_err(wrong)?.into_iter().next().map(|document| document.value))
    }
}

/// An address without what may be a password in it.
fn without_login(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    let host = rest[..end].rfind('@').map_or(rest, |at| &rest[at + 1..]);
    format!("{scheme}://{host}")
}

fn below(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}

#[cfg(test)]
mod tests;

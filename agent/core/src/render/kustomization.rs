//! Which files of a repository a kustomization needs, and what it asks for that we do not give it.
//!
//! What it names is needed, and what that names in turn: a render costs what the environment refers to, not what the
//! repository holds. Every text in a kustomization that happens to be a path of the repository counts as naming it: a
//! file too many is harmless, and no list of kustomize's fields has to be kept. What merely lies in the folder of a
//! kustomization is given to kustomize as far as it fits, and is not missed where it does not.
//!
//! Links are followed within the repository. One to a file is given as that file, since kustomize refuses one that leads
//! out of its folder; one to a folder stays a link, so that what is written in that folder is seen from where it is.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quarterdeck_shared::error::Hint;
use serde_json::Value;

use crate::render::KUSTOMIZATIONS;
use crate::tree::links::{Followed, resolve, resolve_noting};
use crate::tree::paths::{file_name, join, parent};
use crate::tree::{EntryMode, Node, Tree, TreeEntry, TreeFailure, is_lfs_pointer};
use crate::yaml::{self, YamlError};

/// Files that a kustomization may need: a repository of some hundred environments, all with bases, has fewer.
const FILES_MAX: usize = 20_000;

/// Fields of a kustomization whose texts are files or folders to read. What is named here has to be in the repository.
const PATHS: &[&str] = &["resources", "bases", "components"];

/// Fields whose texts are files or what such a file would hold: kustomize fetches where they are addresses.
const FILES: &[&str] = &["configurations", "crds", "generators", "patchesStrategicMerge", "transformers", "validators"];

/// The same in the entries of other fields: these keys of theirs.
const FILE_KEYS: &[&str] = &["path", "files", "env", "envs"];

/// Fields that name files which may name files themselves: the configurations of generators and transformers.
const CONFIGURATIONS: &[&str] = &["generators", "transformers", "validators"];

/// What a kustomization needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Every file that is named, by the path to write it at; a link is there as the file that it stands for.
    pub files: BTreeMap<String, TreeEntry>,
    /// Files that nothing names, in the folders of kustomizations.
    pub beside: BTreeMap<String, TreeEntry>,
    /// Links to folders: where each is, and the folder that it leads to.
    pub links: BTreeMap<String, String>,
    /// The folders and files that were asked for by name: what the outcome depends on.
    pub(super) inputs: BTreeSet<String>,
}

/// Why a kustomization is not given to kustomize.
#[derive(Debug, thiserror::Error)]
pub enum KustomizationError {
    /// The repository could not be read.
    #[error("cannot read {path} from the repository")]
    Read {
        /// What was read.
        path: String,
        /// Why not.
        source: TreeFailure,
    },
    /// There is no kustomization file.
    #[error("there is no kustomization.yaml in {folder:?}")]
    None {
        /// Where it was looked for.
        folder: String,
    },
    /// A kustomization file is no YAML.
    #[error("{path}")]
    Yaml {
        /// The file.
        path: String,
        /// What is wrong, and where.
        source: YamlError,
    },
    /// It names something on a network.
    #[error("{path} names {text:?} in {field}: nothing is fetched while rendering")]
    Remote {
        /// The kustomization.
        path: String,
        /// Which field.
        field: String,
        /// What it names.
        text: String,
    },
    /// It names what is not there.
    #[error("{path} names {text:?} in {field}, which is not in the repository")]
    Missing {
        /// The kustomization.
        path: String,
        /// Which field.
        field: String,
        /// What it names.
        text: String,
    },
    /// A name in the tree would be written elsewhere than it says.
    #[error("{path:?} cannot be the path of a file")]
    Path {
        /// The path.
        path: String,
    },
    /// It is kept in Git LFS.
    #[error("{path} is a Git LFS pointer, and its content is not fetched")]
    LargeFileStorage {
        /// The file.
        path: String,
    },
    /// It needs more files than we write.
    #[error("it needs more than {FILES_MAX} files")]
    TooManyFiles,
}

impl Hint for KustomizationError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Yaml { source, .. } => return source.hint(),
            Self::Read { .. } | Self::Missing { .. } | Self::Path { .. } => "",
            Self::None { .. } => "`render = \"plain\"` renders a folder without one",
            Self::Remote { .. } => "copy it into the repository",
            Self::LargeFileStorage { .. } => "keep manifests in git itself",
            Self::TooManyFiles => "begin at a smaller folder",
        }
        .into()
    }
}

/// Finds out what the kustomization of a folder needs.
pub(super) fn needs(tree: &dyn Tree, folder: &str) -> Result<Needs, KustomizationError> {
    let mut search = Search { tree, needs: Needs::default(), waiting: VecDeque::new() };
    if !search.take_folder(folder)? {
        return Err(KustomizationError::None { folder: folder.to_owned() });
    }
    while let Some(path) = search.waiting.pop_front() {
        search.follow_names(&path)?;
    }
    let Needs { files, beside, .. } = &mut search.needs;
    beside.retain(|path, _| !files.contains_key(path));
    Ok(search.needs)
}

/// What was found, and what is to be read yet.
struct Search<'a> {
    tree: &'a dyn Tree,
    needs: Needs,
    /// Files whose names are to be followed, each once.
    waiting: VecDeque<String>,
}

impl Search<'_> {
    /// Takes the kustomization of a folder, and notes what lies beside it; tells whether there is one.
    fn take_folder(&mut self, folder: &str) -> Result<bool, KustomizationError> {
        let reading = |source| KustomizationError::Read { path: folder.to_owned(), source };
        let mut has_one = false;
        for name in KUSTOMIZATIONS {
            let path = join(folder, name).unwrap_or_default();
            if let Some(Node::File(entry)) = self.tree.lookup(&path).map_err(reading)? {
                has_one |= self.take_file(entry, true)?;
            }
        }
        if self.needs.inputs.insert(folder.to_owned()) {
            for entry in self.tree.entries(folder).map_err(reading)?.entries {
                if self.needs.beside.len() < FILES_MAX {
                    self.note_beside(entry)?;
                }
            }
        }
        Ok(has_one)
    }

    /// A file that nothing names yet. One that cannot be given is not missed.
    fn note_beside(&mut self, entry: TreeEntry) -> Result<(), KustomizationError> {
        let path = entry.path.clone();
        match entry.mode {
            _ if !is_valid(&path) => {}
            EntryMode::File | EntryMode::Executable => drop(self.needs.beside.insert(path, entry)),
            EntryMode::Symlink => {
                let reading = |source| KustomizationError::Read { path: path.clone(), source };
                if let Followed::File(target) = resolve(self.tree, &path).map_err(reading)? {
                    self.needs.inputs.insert(target.path.clone());
                    self.needs.beside.insert(path, target);
                }
            }
            EntryMode::Submodule => {}
        }
        Ok(())
    }

    /// Takes a file that is named, or what a link stands for; tells whether there is something.
    fn take_file(&mut self, entry: TreeEntry, is_kustomization: bool) -> Result<bool, KustomizationError> {
        let path = entry.path.clone();
        let reading = |source| KustomizationError::Read { path: path.clone(), source };
        if !is_valid(&path) {
            return Err(KustomizationError::Path { path });
        }
        let mut way = Vec::new();
        let target = match entry.mode {
            EntryMode::File | EntryMode::Executable => entry,
            EntryMode::Submodule => return Ok(false),
            EntryMode::Symlink => match resolve_noting(self.tree, &path, &mut way).map_err(reading)? {
                Followed::File(target) => target,
                Followed::Folder(target) => {
                    self.needs.inputs.extend(way);
                    self.needs.links.insert(path, target.clone());
                    self.take_folder(&target)?;
                    return Ok(true);
                }
                Followed::Nowhere(_) => return Ok(false),
            },
        };
        self.needs.inputs.extend(way);
        self.needs.inputs.insert(target.path.clone());
        if self.needs.files.insert(path.clone(), target).is_none() && is_kustomization {
            self.waiting.push_back(path);
        }
        if self.needs.files.len() > FILES_MAX { Err(KustomizationError::TooManyFiles) } else { Ok(true) }
    }

    /// Takes everything that a kustomization, or the configuration of a generator, names.
    fn follow_names(&mut self, path: &str) -> Result<(), KustomizationError> {
        let folder = parent(path).to_owned();
        let reading = |source| KustomizationError::Read { path: path.to_owned(), source };
        let bytes = self.tree.blob(&self.needs.files[path]).map_err(reading)?;
        if is_lfs_pointer(&bytes) {
            return Err(KustomizationError::LargeFileStorage { path: path.to_owned() });
        }
        let documents = match yaml::parse(&bytes) {
            Ok(documents) => documents,
            Err(source) if KUSTOMIZATIONS.contains(&file_name(path)) => {
                return Err(KustomizationError::Yaml { path: path.to_owned(), source });
            }
            // Kustomize says what it thinks of it.
            Err(_) => return Ok(()),
        };
        let fields = documents.iter().filter_map(|document| document.value.as_object()).flatten();
        for (field, value) in fields {
            for (key, text) in texts(field, value) {
                let names_more = CONFIGURATIONS.contains(&field.as_str());
                if self.take_named(&folder, text, names_more)? {
                    continue;
                }
                let must_be_there = PATHS.contains(&field.as_str());
                let is_file = must_be_there || FILES.contains(&key) || FILE_KEYS.contains(&key);
                let (path, field, text) = (path.to_owned(), field.clone(), text.to_owned());
                if is_file && is_remote(&text) {
                    return Err(KustomizationError::Remote { path, field, text });
                }
                if must_be_there {
                    return Err(KustomizationError::Missing { path, field, text });
                }
            }
        }
        Ok(())
    }

    /// Takes what a text names, alone or as the right side of `key=path`; tells whether it names something.
    fn take_named(&mut self, folder: &str, text: &str, names_more: bool) -> Result<bool, KustomizationError> {
        // No path is longer, and no path of a manifest has several lines: what is inline is not looked up.
        if text.is_empty() || text.len() > 4096 || text.starts_with('/') || text.contains(['\n', '\0']) {
            return Ok(false);
        }
        let candidates = std::iter::once(text).chain(text.split_once('=').map(|(_, path)| path));
        for text in candidates {
            let Some(path) = self.place_of(folder, text)? else { continue };
            let node = self.tree.lookup(&path);
            match node.map_err(|source| KustomizationError::Read { path: path.clone(), source })? {
                Some(Node::Folder) => drop(self.take_folder(&path)?),
                Some(Node::File(entry)) => {
                    if !self.take_file(entry, names_more)? {
                        continue;
                    }
                    self.needs.inputs.insert(path);
                }
                None => continue,
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Where a path that is written in a file of `folder` is, with the links on the way followed and noted but for the last
    /// part, which may be one.
    fn place_of(&mut self, folder: &str, text: &str) -> Result<Option<String>, KustomizationError> {
        let text = text.trim_end_matches('/');
        let reading = |source| KustomizationError::Read { path: text.to_owned(), source };
        let (front, last) = match text.rsplit_once('/') {
            Some((front, last)) => (front, last),
            None => ("", text),
        };
        if matches!(last, "" | "." | "..") {
            return match resolve(self.tree, &format!("{folder}/{text}")).map_err(reading)? {
                Followed::Folder(path) => Ok(Some(path)),
                _ => Ok(None),
            };
        }
        let mut way = Vec::new();
        let front = format!("{folder}/{front}");
        let Followed::Folder(front) = resolve_noting(self.tree, &front, &mut way).map_err(reading)? else {
            return Ok(None);
        };
        for link in way {
            if let Followed::Folder(target) = resolve(self.tree, &link).map_err(reading)? {
                self.needs.links.insert(link.clone(), target);
                self.needs.inputs.insert(link);
            }
        }
        Ok(join(&front, last))
    }
}

/// Whether a file can be written at a path of the tree.
fn is_valid(path: &str) -> bool {
    !path.split('/').any(|part| matches!(part, "" | "." | "..")) && !path.contains('\0')
}

/// Every text in a value, at any depth, with the key that it is under.
fn texts<'a>(key: &'a str, value: &'a Value) -> Vec<(&'a str, &'a str)> {
    match value {
        Value::String(text) => vec![(key, text)],
        Value::Array(items) => items.iter().flat_map(|item| texts(key, item)).collect(),
        Value::Object(fields) => fields.iter().flat_map(|(key, value)| texts(key, value)).collect(),
        _ => Vec::new(),
    }
}

/// What kustomize would fetch.
fn is_remote(text: &str) -> bool {
    let begins =
        ["git@", "git::", "github.com/", "gitlab.com/", "bitbucket.org/"].iter().any(|begin| text.starts_with(begin));
    !text.contains('\n') && (begins || text.contains("://") || text.contains("?ref="))
}

#[cfg(test)]
mod tests;

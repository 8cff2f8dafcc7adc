//! Which files of a repository a kustomization needs, and what it asks for that we do not give it.
//!
//! What it names is needed, and what that names in turn: a render costs what the environment refers to, not what the
//! repository holds. Every text in a kustomization that happens to be a path of the repository counts as naming it: a
//! file too many is harmless, and no list of kustomize's fields has to be kept. What merely lies in the folder of a
//! kustomization is given to kustomize as far as it fits, and is not missed where it does not.
//!
//! Links are followed within the repository. One to a file is given as that file, since kustomize refuses one that leads
//! out of its folder; one to a folder stays a link, so that what is written in that folder is seen from where it is.
//!
//! What is named elsewhere and allowed is put beside the files of the repository ([`remote`], [`charts`]), and the kustomization
//! that kustomize reads names it there.

mod charts;
mod error;
pub(crate) mod made;
pub(crate) mod overlay;
mod remote;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::iter::once;

use quarterdeck_shared::application::Overlay;
use serde_json::{Value, json};

use self::remote::Roots;
use crate::render::KUSTOMIZATIONS;
use crate::render::elsewhere::Elsewhere;
use crate::render::elsewhere::address::is_remote;
use crate::tree::beside::Beside;
use crate::tree::links::{Followed, resolve, resolve_noting};
use crate::tree::paths::{file_name, join, parent};
use crate::tree::{EntryMode, Node, Tree as _, TreeEntry, is_lfs_pointer};
use crate::yaml;

pub use self::error::KustomizationError;

/// Files that a kustomization may need: a repository of some hundred environments, all with bases, has fewer.
const FILES_MAX: usize = 20_000;

/// Files and repositories that one render takes from elsewhere: large platforms name some twenty.
const REMOTES_MAX: usize = 100;

/// Repositories that name folders of others: nobody follows more by hand, and those in a circle end by it.
const DEPTH_MAX: usize = 5;

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
    /// Files that are written otherwise than they are: they name what is elsewhere by its place here.
    pub rewritten: BTreeMap<String, Vec<u8>>,
    /// The places of what is elsewhere, and how people call it.
    pub places: BTreeMap<String, String>,
    /// Whether kustomize renders charts of it.
    pub has_charts: bool,
    /// Whether two builds may differ: a chart may make up values, or is a release without a name.
    pub(super) may_change: bool,
    /// Whether a chart asks the cluster.
    pub(super) looks_up: bool,
    /// The folders and files that were asked for by name: what the outcome depends on.
    pub(super) inputs: BTreeSet<String>,
}

/// What is changed in the kustomization of one folder before anything reads it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Changed<'a> {
    /// The folder.
    pub(super) folder: &'a str,
    /// A resource beside its own, from there.
    pub(super) resource: Option<&'a str>,
    /// What an environment writes into it.
    pub(super) overlay: Option<&'a Overlay>,
    /// The resources of one that is made where the folder has none.
    pub(super) made: Option<&'a [String]>,
}

/// Finds out what the kustomization of a folder needs.
pub(super) fn needs(
    tree: &Beside<'_>,
    folder: &str,
    elsewhere: &dyn Elsewhere,
    changed: Changed<'_>,
) -> Result<Needs, KustomizationError> {
    let (needs, waiting, roots) = (Needs::default(), VecDeque::new(), Roots::default());
    let mut search = Search { tree, elsewhere, changed, needs, waiting, roots };
    match (search.take_folder(folder)?, changed.made) {
        (true, _) => {}
        (false, Some(resources)) => {
            let path = join(folder, KUSTOMIZATIONS[0]).unwrap_or_default();
            search.follow_values(&path, vec![json!({ "resources": resources })], true)?;
        }
        (false, None) => return Err(KustomizationError::None { folder: folder.to_owned() }),
    }
    while let Some(path) = search.waiting.pop_front() {
        search.follow_names(&path)?;
    }
    let Needs { files, beside, inputs, .. } = &mut search.needs;
    beside.retain(|path, _| !files.contains_key(path));
    // What is elsewhere is in no commit: whoever gave it knows what was given.
    inputs.retain(|path| !path.split('/').any(|part| part.starts_with(OURS)));
    Ok(search.needs)
}

/// How the names of folders begin that are put beside those of a repository.
pub(super) const OURS: &str = ".quarterdeck-";

/// What was found, and what is to be read yet.
struct Search<'a> {
    tree: &'a Beside<'a>,
    elsewhere: &'a dyn Elsewhere,
    changed: Changed<'a>,
    needs: Needs,
    /// Files whose names are to be followed, each once.
    waiting: VecDeque<String>,
    /// Where the files of other repositories are.
    roots: Roots,
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
                if let Followed::File(target) = resolve(self.tree, &path).map_err(reading)?
                    && self.roots.are_same(&path, &target.path)
                {
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
                Followed::File(target) if self.roots.are_same(&path, &target.path) => target,
                Followed::Folder(target) if self.roots.are_same(&path, &target) => {
                    self.needs.inputs.extend(way);
                    self.needs.links.insert(path, target.clone());
                    self.take_folder(&target)?;
                    return Ok(true);
                }
                Followed::File(_) | Followed::Folder(_) | Followed::Nowhere(_) => return Ok(false),
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
        let reading = |source| KustomizationError::Read { path: path.to_owned(), source };
        let bytes = self.tree.blob(&self.needs.files[path]).map_err(reading)?;
        if is_lfs_pointer(&bytes) {
            return Err(KustomizationError::LargeFileStorage { path: path.to_owned() });
        }
        let values: Vec<Value> = match yaml::parse(&bytes) {
            Ok(documents) => documents.into_iter().map(|document| document.value).collect(),
            Err(source) if KUSTOMIZATIONS.contains(&file_name(path)) => {
                return Err(KustomizationError::Yaml { path: path.to_owned(), source });
            }
            // Kustomize says what it thinks of it.
            Err(_) => return Ok(()),
        };
        self.follow_values(path, values, false)
    }

    /// The same of what is written in it; `is_made` where no file of the repository says it.
    fn follow_values(&mut self, path: &str, mut values: Vec<Value>, is_made: bool) -> Result<(), KustomizationError> {
        let folder = parent(path).to_owned();
        let changed =
            Some(self.changed).filter(|changed| changed.folder == folder && KUSTOMIZATIONS.contains(&file_name(path)));
        let is_changed = is_made | self.change(path, changed, &mut values)?;
        let mut replaced = Vec::new();
        for (field, value) in values.iter().filter_map(Value::as_object).flatten() {
            for (key, text) in texts(field, value) {
                let names_more = CONFIGURATIONS.contains(&field.as_str());
                if self.take_named(&folder, text, names_more)? {
                    continue;
                }
                let path = overlay::named_by(changed.and_then(|changed| changed.overlay), field, text, path);
                let must_be_there = PATHS.contains(&field.as_str());
                if is_file_field(field, key) && is_remote(text) {
                    let named = remote::Named { path, field, text, may_be_folder: must_be_there };
                    replaced.push((field.clone(), text.to_owned(), self.take_remote(&folder, &named)?));
                    continue;
                }
                if must_be_there {
                    let (path, field, text) = (path.to_owned(), field.clone(), text.to_owned());
                    return Err(KustomizationError::Missing { path, field, text });
                }
            }
        }
        if KUSTOMIZATIONS.contains(&file_name(path)) {
            for value in &values {
                self.take_charts(path, value)?;
            }
        }
        if replaced.is_empty() && !is_changed {
            return Ok(());
        }
        for (field, text, place) in &replaced {
            values.iter_mut().filter_map(|value| value.get_mut(field)).for_each(|value| replace(value, text, place));
        }
        self.needs.rewritten.insert(path.to_owned(), yaml::write_all(&values).into_bytes());
        Ok(())
    }

    /// Writes into a kustomization what is changed in it; tells whether something was.
    fn change(
        &self,
        path: &str,
        changed: Option<Changed<'_>>,
        values: &mut Vec<Value>,
    ) -> Result<bool, KustomizationError> {
        let Some(Changed { folder: _, resource, overlay, made: _ }) = changed else { return Ok(false) };
        let overlay = overlay.filter(|overlay| !overlay.is_empty());
        if resource.is_none() && overlay.is_none() {
            return Ok(false);
        }
        // An empty file is a kustomization all the same.
        if values.first().is_none_or(Value::is_null) {
            *values = vec![json!({})];
        }
        // Kustomize says what it thinks of what is no map.
        let Some(Value::Object(fields)) = values.first_mut() else { return Ok(false) };
        if let Some(overlay) = overlay {
            overlay::write(overlay, path, fields)?;
        }
        if let Some(resource) = resource
            && let Value::Array(resources) = fields.entry("resources").or_insert_with(|| json!([]))
        {
            resources.push(resource.into());
        }
        Ok(true)
    }

    /// Takes what a text names, alone or as the right side of `key=path`; tells whether it names something.
    fn take_named(&mut self, folder: &str, text: &str, names_more: bool) -> Result<bool, KustomizationError> {
        // No path is longer, and no path of a manifest has several lines: what is inline is not looked up.
        if text.is_empty() || text.len() > 4096 || text.starts_with('/') || text.contains(['\n', '\0']) {
            return Ok(false);
        }
        let candidates = once(text).chain(text.split_once('=').map(|(_, path)| path));
        for text in candidates {
            let place = self.place_of(folder, text)?;
            // Nothing of another repository reads files of this one, and none the other way by a name of ours.
            let Some(path) = place.filter(|path| self.roots.are_same(folder, path)) else { continue };
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

/// Whether what a text in a field, or in an entry of it, names is read: kustomize fetches it where it is an address.
pub(crate) fn is_file_field(field: &str, key: &str) -> bool {
    PATHS.contains(&field) || FILES.contains(&key) || FILE_KEYS.contains(&key)
}

/// Every text in a value, at any depth, with the key that it is under.
pub(crate) fn texts<'a>(key: &'a str, value: &'a Value) -> Vec<(&'a str, &'a str)> {
    match value {
        Value::String(text) => vec![(key, text)],
        Value::Array(items) => items.iter().flat_map(|item| texts(key, item)).collect(),
        Value::Object(fields) => fields.iter().flat_map(|(key, value)| texts(key, value)).collect(),
        _ => Vec::new(),
    }
}

/// Puts a place where a text names something elsewhere, alone or as the right side of `key=address`.
fn replace(value: &mut Value, text: &str, place: &str) {
    match value {
        Value::String(written) if written == text => {
            let key = text.split_once('=').filter(|(key, _)| !key.contains([':', '/', '?']));
            *written = key.map_or(place.to_owned(), |(key, _)| format!("{key}={place}"));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, text, place)),
        Value::Object(fields) => fields.values_mut().for_each(|value| replace(value, text, place)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;

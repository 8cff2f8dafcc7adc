//! A folder of manifests as it is: every `.yaml`, `.yml` and `.json` file below it.
//!
//! Links are followed within the repository: one to a file is that file, one to a folder elsewhere is what that folder
//! holds. What a link leads to within the folder is rendered where it is, and not once more. What is selected of all that
//! is told by [`super::selection`].

use std::collections::BTreeSet;

use crate::render::object::{self, Found};
use crate::render::selection::Selection;
use crate::render::{KUSTOMIZATIONS, RenderError};
use crate::tree::links::{Followed, resolve_noting};
use crate::tree::paths::{file_name, is_below};
use crate::tree::{EntryMode, Tree, TreeEntry, is_lfs_pointer};
use crate::yaml::{self, Document, YamlError};

/// What a folder holds.
pub(super) struct Plain {
    pub(super) found: Vec<Found>,
    pub(super) notes: Vec<String>,
    /// Files and folders outside of the folder that links in it lead to, and ignore files.
    pub(super) outside: Vec<String>,
}

/// A file that is rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// Where it is named, below the folder or through a link.
    pub(crate) path: String,
    /// The file itself, elsewhere where the path is a link.
    pub(crate) entry: TreeEntry,
}

/// The files of a folder that are rendered.
pub(crate) struct Sources<'a> {
    selection: &'a Selection,
    /// In the order of their paths.
    pub(crate) files: Vec<Source>,
    notes: Vec<String>,
    /// Files and folders outside of the folder that links in it lead to.
    pub(crate) outside: Vec<String>,
    hidden: usize,
    /// Manifests that are not selected.
    left_out: usize,
    /// Folders that were looked into.
    folders: BTreeSet<String>,
    /// The files that are rendered, by their own paths: each once.
    own: BTreeSet<String>,
}

impl Sources<'_> {
    fn take(&mut self, path: String, entry: TreeEntry) {
        if !self.selection.selects(&path) {
            self.left_out += 1;
        } else if self.own.insert(entry.path.clone()) {
            self.files.push(Source { path, entry });
        }
    }
}

/// Folders that links lead to from one folder: a repository with as many environments has hundreds, and links in circles end by themselves.
const FOLDERS_MAX: usize = 1_000;

/// Reads every manifest below the folder, in the order of their paths.
pub(super) fn render(tree: &dyn Tree, folder: &str, selection: &Selection) -> Result<Plain, RenderError> {
    let Sources { files, mut notes, mut outside, hidden, left_out, .. } = sources(tree, folder, selection)?;
    outside.extend(selection.inputs.iter().cloned());
    let mut found = Vec::new();
    for file in &files {
        read(tree, file, &mut found)?;
    }
    if hidden > 0 {
        notes.push(format!("left out: {hidden} manifests whose names, or whose folders' names, begin with a dot"));
    }
    if left_out > 0 {
        notes.push(format!("left out: {left_out} manifests, by include, exclude or an ignore file"));
    }
    if found.is_empty() {
        let why = match files.len() {
            0 if left_out > 0 => {
                format!("include, exclude and ignore files leave out all of its {left_out} manifest files")
            }
            0 => "there is no .yaml, .yml or .json file below it".to_owned(),
            1 => "its only manifest file holds no object".to_owned(),
            n => format!("its {n} manifest files hold no object"),
        };
        return Err(RenderError::Empty { path: folder.to_owned(), why });
    }
    Ok(Plain { found, notes, outside })
}

/// Finds the files of a folder that are rendered plainly.
pub(crate) fn sources<'a>(tree: &dyn Tree, folder: &str, selection: &'a Selection) -> Result<Sources<'a>, RenderError> {
    let mut sources = Sources {
        selection,
        files: Vec::new(),
        notes: Vec::new(),
        outside: Vec::new(),
        hidden: 0,
        left_out: 0,
        folders: BTreeSet::new(),
        own: BTreeSet::new(),
    };
    // Links are looked at when all files are known that are rendered where they are.
    let mut links = take_folder(tree, folder, folder, &mut sources)?;
    while let Some((shown, link)) = links.pop() {
        links.extend(take_link(tree, folder, &shown, &link, &mut sources)?);
        if sources.folders.len() > FOLDERS_MAX {
            return Err(RenderError::TooManyLinks { path: folder.to_owned() });
        }
    }
    sources.files.sort_by(|a, b| a.path.cmp(&b.path));
    sources.notes.sort();
    Ok(sources)
}

/// A link that is to be followed: where it is named, and itself.
type Link = (String, TreeEntry);

/// Takes the files of a folder that is named as `shown`; its links are returned.
fn take_folder(
    tree: &dyn Tree,
    folder: &str,
    shown: &str,
    sources: &mut Sources<'_>,
) -> Result<Vec<Link>, RenderError> {
    sources.folders.insert(folder.to_owned());
    let listing = tree.entries(folder).map_err(|source| RenderError::Read { path: folder.to_owned(), source })?;
    if let Some(path) = listing.unnameable.into_iter().find(|path| is_manifest(path)) {
        return Err(RenderError::NameNotUtf8 { path });
    }
    let mut links = Vec::new();
    for entry in listing.entries {
        let below = &entry.path[folder.len()..];
        let path = format!("{shown}{below}");
        let is_hidden = below.split('/').any(|part| part.starts_with('.'));
        match entry.mode {
            _ if sources.selection.leaves_out(&path) => sources.left_out += usize::from(is_manifest(below)),
            // Its manifests cannot be seen; to render the rest would prune them.
            EntryMode::Submodule => return Err(RenderError::Submodule { path: entry.path }),
            _ if is_hidden => sources.hidden += usize::from(is_manifest(below)),
            EntryMode::Symlink => links.push((path, entry)),
            _ if !is_manifest(below) => {}
            _ if KUSTOMIZATIONS.contains(&file_name(below)) => sources
                .notes
                .push(format!("{path} is left out: it is for kustomize, and this folder is rendered plain")),
            EntryMode::File | EntryMode::Executable => sources.take(path, entry),
        }
    }
    Ok(links)
}

/// Takes what a link stands for, where that is not rendered already; the links of a folder are returned.
fn take_link(
    tree: &dyn Tree,
    folder: &str,
    shown: &str,
    link: &TreeEntry,
    sources: &mut Sources<'_>,
) -> Result<Vec<Link>, RenderError> {
    let reading = |source| RenderError::Read { path: shown.to_owned(), source };
    let named = is_manifest(shown) && !KUSTOMIZATIONS.contains(&file_name(shown));
    let mut way = Vec::new();
    let to = resolve_noting(tree, &link.path, &mut way).map_err(reading)?;
    let is_elsewhere = |path: &str| !is_below(path, folder) && path != folder;
    match to {
        Followed::File(target) if named => {
            sources.outside.extend(way.into_iter().chain([target.path.clone()]).filter(|path| is_elsewhere(path)));
            sources.take(shown.to_owned(), target);
        }
        Followed::File(_) => {}
        Followed::Folder(target) if is_below(folder, &target) => sources.notes.push(format!(
            "{shown} is left out: it is a link to {}, which holds this folder itself",
            super::Folder(&target)
        )),
        Followed::Folder(target) if is_elsewhere(&target) && !sources.folders.contains(&target) => {
            sources.outside.extend(way.into_iter().chain([target.clone()]).filter(|path| is_elsewhere(path)));
            return take_folder(tree, &target, shown, sources);
        }
        Followed::Folder(_) => {}
        Followed::Nowhere(target) if named => return Err(RenderError::Link { path: shown.to_owned(), target }),
        Followed::Nowhere(target) => sources
            .notes
            .push(format!("{shown} is left out: it is a link to {target:?}, which is not a file of this repository")),
    }
    Ok(Vec::new())
}

fn read(tree: &dyn Tree, file: &Source, found: &mut Vec<Found>) -> Result<(), RenderError> {
    let Source { path, entry } = file;
    let bytes = tree.blob(entry).map_err(|source| RenderError::Read { path: path.clone(), source })?;
    if is_lfs_pointer(&bytes) {
        return Err(RenderError::LargeFileStorage { path: path.clone() });
    }
    let mut outcome = Ok(());
    let read = yaml::each(&bytes, |Document { number, line, value }| {
        if outcome.is_ok() {
            outcome = object::find(value, &format!("{path}, document {number}, line {line}"), found);
        }
    });
    read.map_err(|source| match is_template(&bytes, &source) {
        true => RenderError::Template { path: path.clone(), source },
        false => RenderError::Yaml { path: path.clone(), source },
    })?;
    outcome
}

fn is_manifest(path: &str) -> bool {
    let extension = file_name(path).rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    matches!(extension.as_deref(), Some("yaml" | "yml" | "json"))
}

/// Whether the line that is no YAML holds a placeholder.
fn is_template(bytes: &[u8], error: &YamlError) -> bool {
    let YamlError::Syntax { line, .. } = error else { return false };
    let index = usize::try_from(*line).unwrap_or(usize::MAX).saturating_sub(1);
    let text = bytes.split(|byte| *byte == b'\n').nth(index).unwrap_or_default();
    text.windows(2).any(|pair| pair == b"{{")
}

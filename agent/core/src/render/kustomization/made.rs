//! The kustomization of a folder that has none, as Flux makes it (`scanManifests` of fluxcd/pkg): its YAML files, those of folders below
//! it, and of a folder with a kustomization that one instead. What the folder's ignore files, `include` and `exclude` leave out is none
//! of them, as where the folder is rendered plain.

use std::collections::BTreeSet;

use quarterdeck_shared::application::FilesSpec;

use crate::render::plain::{self, Source};
use crate::render::selection::Selection;
use crate::render::{KUSTOMIZATIONS, RenderError};
use crate::tree::Tree;
use crate::tree::paths::{file_name, is_below, parent};

/// What such a kustomization lists.
pub(crate) struct Made {
    /// The files, each with its path from the root of the repository.
    pub(crate) files: Vec<Source>,
    /// Files and folders, from the folder.
    pub(crate) resources: Vec<String>,
    /// Files outside of the folder that have a say.
    pub(crate) inputs: Vec<String>,
}

/// Finds what the kustomization of a folder lists.
///
/// # Errors
/// Where the folder cannot be read, or holds nothing.
pub(crate) fn made(tree: &dyn Tree, folder: &str, files: &FilesSpec) -> Result<Made, RenderError> {
    let reading = |source| RenderError::Read { path: folder.to_owned(), source };
    let selection = Selection::read(tree, folder, files)?;
    let is_kustomization = |path: &str| KUSTOMIZATIONS.contains(&file_name(path));
    let listed = tree.entries(folder).map_err(reading)?.entries;
    let is_hidden = |path: &str| path[folder.len()..].split('/').any(|part| part.starts_with('.'));
    let folders: BTreeSet<&str> = listed
        .iter()
        .map(|entry| entry.path.as_str())
        .filter(|path| is_kustomization(path) && !is_hidden(path) && selection.selects(path))
        .map(parent)
        .filter(|below| *below != folder)
        .collect();
    let is_in_one = |path: &str| folders.iter().any(|folder| is_below(path, folder));
    let found = plain::sources(tree, folder, &selection)?;
    let (mut inputs, all) = (found.outside, found.files);
    let is_taken =
        |file: &Source| !is_in_one(&file.path) && (file.path.ends_with(".yaml") || file.path.ends_with(".yml"));
    let files: Vec<Source> = all.into_iter().filter(is_taken).collect();
    let outermost = folders.iter().copied().filter(|path| !is_in_one(path));
    let paths = files.iter().map(|file| file.path.as_str()).chain(outermost);
    let mut resources: Vec<String> =
        paths.map(|path| path[folder.len()..].trim_start_matches('/').to_owned()).collect();
    resources.sort();
    if resources.is_empty() {
        let why = "there is no .yaml or .yml file below it to make a kustomization of".to_owned();
        return Err(RenderError::Empty { path: folder.to_owned(), why });
    }
    inputs.extend(selection.inputs.iter().cloned());
    Ok(Made { files, resources, inputs })
}

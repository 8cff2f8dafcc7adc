//! A folder of manifests as it is: every `.yaml`, `.yml` and `.json` file below it.

use crate::render::object::{self, Found};
use crate::render::tree::{EntryMode, Followed, TreeEntry, file_name, follow};
use crate::render::{KUSTOMIZATIONS, RenderError, Request};
use crate::yaml::{self, YamlError};

/// What a folder holds.
pub(super) struct Plain {
    pub(super) found: Vec<Found>,
    pub(super) notes: Vec<String>,
    /// Files outside of the folder that links in it lead to.
    pub(super) outside: Vec<String>,
}

/// Reads every manifest below the folder, in the order of their paths.
pub(super) fn render(request: &Request<'_>, folder: &str) -> Result<Plain, RenderError> {
    let reading = |source| RenderError::Read { path: folder.to_owned(), source };
    let mut listing = request.tree.entries(folder).map_err(reading)?;
    if let Some(path) = listing.unreadable.into_iter().find(|path| is_manifest(path)) {
        return Err(RenderError::NameNotUtf8 { path });
    }
    listing.entries.sort_by(|a, b| a.path.cmp(&b.path));
    let mut plain = Plain { found: Vec::new(), notes: Vec::new(), outside: Vec::new() };
    let mut hidden = 0;
    let mut files = 0;
    for entry in &listing.entries {
        let below = &entry.path[folder.len()..];
        let is_hidden = below.split('/').any(|part| part.starts_with('.'));
        match entry.mode {
            // Its manifests cannot be seen; to render the rest would prune them.
            EntryMode::Submodule => return Err(RenderError::Submodule { path: entry.path.clone() }),
            _ if is_hidden => hidden += usize::from(is_manifest(below)),
            EntryMode::Symlink => {
                if let Some(target) = linked(request, entry, &mut plain)? {
                    files += 1;
                    read(request, &target, &entry.path, &mut plain.found)?;
                }
            }
            EntryMode::File if !is_manifest(below) => {}
            EntryMode::File if KUSTOMIZATIONS.contains(&file_name(below)) => {
                plain.notes.push(format!(
                    "{} is left out: it is for kustomize, and this folder is rendered plain",
                    entry.path
                ));
            }
            EntryMode::File => {
                files += 1;
                read(request, entry, &entry.path, &mut plain.found)?;
            }
        }
    }
    if hidden > 0 {
        plain
            .notes
            .push(format!("left out: {hidden} manifests whose names, or whose folders' names, begin with a dot"));
    }
    if plain.found.is_empty() {
        let why = match files {
            0 => "there is no .yaml, .yml or .json file below it".to_owned(),
            1 => "its only manifest file holds no object".to_owned(),
            n => format!("its {n} manifest files hold no object"),
        };
        return Err(RenderError::Empty { path: folder.to_owned(), why });
    }
    Ok(plain)
}

/// The file that a link stands for, where it has a manifest's name.
fn linked(request: &Request<'_>, link: &TreeEntry, plain: &mut Plain) -> Result<Option<TreeEntry>, RenderError> {
    let reading = |source| RenderError::Read { path: link.path.clone(), source };
    let named = is_manifest(&link.path);
    match follow(request.tree, link).map_err(reading)? {
        Followed::File(target) if named => {
            plain.outside.push(target.path.clone());
            Ok(Some(target))
        }
        Followed::File(_) => Ok(None),
        Followed::Folder(target) => {
            plain.notes.push(format!(
                "{} is left out: it is a link to the folder {target:?}, and folders are not followed",
                link.path
            ));
            Ok(None)
        }
        Followed::Nowhere(target) if named => Err(RenderError::Link { path: link.path.clone(), target }),
        Followed::Nowhere(target) => {
            plain.notes.push(format!(
                "{} is left out: it is a link to {target:?}, which is not a file of this repository",
                link.path
            ));
            Ok(None)
        }
    }
}

fn read(request: &Request<'_>, entry: &TreeEntry, path: &str, found: &mut Vec<Found>) -> Result<(), RenderError> {
    let bytes = request.tree.blob(&entry.id).map_err(|source| RenderError::Read { path: path.to_owned(), source })?;
    if bytes.starts_with(b"version https://git-lfs.github.com/spec/") {
        return Err(RenderError::LargeFileStorage { path: path.to_owned() });
    }
    let documents = yaml::parse(&bytes).map_err(|source| match is_template(&bytes, &source) {
        true => RenderError::Template { path: path.to_owned(), source },
        false => RenderError::Yaml { path: path.to_owned(), source },
    })?;
    for document in documents {
        object::find(document.value, &format!("{path}, document {}, line {}", document.number, document.line), found)?;
    }
    Ok(())
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

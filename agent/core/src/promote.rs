//! Promotion: writing a pushed artifact into the manifests of the deploy repository. Pure: a tree in, edits out.
//!
//! ```text
//! a kustomization ──► its `images:` entry, as `kustomize edit set image` would      [kustomize]
//! a chart ──────────► the values that it is given                                  [chart]
//! none ─────────────► every place that names the repository, in every manifest      [manifests], [places]
//! ```
//!
//! Only what is rendered is changed, and only the words that name the image. A parser says where they are, bytes are
//! spliced, and everything else (order, comments, quotes, line ends) stays as its author wrote it. What was written is
//! read again, and a kustomization or chart is built with it: an edit after which the manifests would not name the artifact never
//! becomes a commit.
//!
//! Not here: the commit, the push, and the decision to do it anew on a race.

pub mod log;

mod chart;
mod kustomize;
mod manifests;

mod apart;
mod by_keys;
mod places;

mod edited;
mod splice;

use std::borrow::Cow;
use std::collections::BTreeMap;

use quarterdeck_shared::application::{FilesSpec, ImageValues, Overlay, PromoteBy, RenderKind};
use quarterdeck_shared::error::Hint;
use serde_json::Value;

use self::edited::Edited;
use self::manifests::Spellings;
use crate::git::FileEdit;
use crate::render::kustomization::made::made;
use crate::render::kustomize::Wanted;
use crate::render::plain::Source;
use crate::render::programs::Programs;
use crate::render::release::Release;
use crate::render::selection::Selection;
use crate::render::{self, RenderError, Renderer};
use crate::tree::{Tree, TreeFailure, is_lfs_pointer, sourced};
use crate::yaml::YamlError;

/// A manifest larger than this is not promoted into: 4 MiB is several times the largest file with all CRDs of an
/// operator, and no file that a person keeps an image in comes near.
pub const FILE_BYTES_MAX: usize = 4 << 20;

/// A file larger than this is not read for an image: who renders takes no larger one.
const READ_BYTES_MAX: u64 = 16 << 20;

/// What the manifests are to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promoted {
    /// Registry and repository without a tag: `registry.example/ops/shop`.
    pub image: String,
    /// The image tag: `1.4.0`.
    pub tag: String,
    /// What the registry answered with: `sha256:…`.
    pub digest: String,
    /// Which of both is written.
    pub by: PromoteBy,
}

impl Promoted {
    /// The tag, if it is written.
    fn written_tag(&self) -> Option<&str> {
        matches!(self.by, PromoteBy::Tag | PromoteBy::TagAndDigest).then_some(&self.tag)
    }

    /// The digest, if it is written.
    fn written_digest(&self) -> Option<&str> {
        matches!(self.by, PromoteBy::Digest | PromoteBy::TagAndDigest).then_some(&self.digest)
    }

    /// What follows the name: `:1.4.0@sha256:…`.
    fn suffix(&self) -> String {
        let tag = self.written_tag().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = self.written_digest().map(|digest| format!("@{digest}")).unwrap_or_default();
        tag + &digest
    }
}

/// The manifests of an environment.
pub struct Manifests<'a> {
    /// The files of the commit.
    pub tree: &'a dyn Tree,
    /// The folder, from the root of the repository.
    pub path: &'a str,
    /// The folders of the tree that are other sources' files.
    pub sources: &'a [String],
    /// The one of these that may be changed; the environment's own files where absent. All others are read, and never changed.
    pub into: Option<&'a str>,
    /// How they are rendered.
    pub render: RenderKind,
    /// Which files are rendered, where they are rendered plainly.
    pub files: &'a FilesSpec,
    /// What is written into the kustomization of the folder.
    pub overlay: &'a Overlay,
    /// What a chart is told.
    pub release: &'a Release<'a>,
    /// Where its values name images, as the configuration says.
    pub values: &'a [ImageValues],
    /// Who runs the programs that render.
    pub programs: &'a dyn Programs,
}

impl Manifests<'_> {
    /// Whether a path is of what may be changed.
    fn may_change(&self, path: &str) -> bool {
        let is_of = |folder: &str| sourced::inner(path, folder).is_some();
        self.into.map_or_else(|| !self.sources.iter().any(|folder| is_of(folder)), is_of)
    }

    /// What may be changed, for people.
    fn changeable(&self) -> String {
        let source = self.into.map(|folder| format!("source {}", folder.trim_start_matches('$')));
        source.unwrap_or_else(|| "the environment's own repository".to_owned())
    }
}

/// Why an artifact cannot be written into the manifests.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    /// What names the image is not in the repository that is written into.
    #[error("{path} names the image, and promotions are written into {into}")]
    OfSource {
        /// The file.
        path: String,
        /// What may be changed.
        into: String,
    },
    /// The image is nowhere.
    #[error("no manifest below `{path}` names the image {image} ({files} files were read)")]
    Nowhere {
        /// The image.
        image: String,
        /// The directory that was looked through.
        path: String,
        /// How many manifests were read.
        files: usize,
    },
    /// A program is not edited.
    #[error("the images of {path:?} are named by jsonnet, which a promotion does not change")]
    Jsonnet {
        /// The folder.
        path: String,
    },
    /// The image is nowhere in what a kustomization makes.
    #[error("the kustomization of `{path}` makes nothing that names the image {image}")]
    NowhereInKustomization {
        /// The image.
        image: String,
        /// The directory of the kustomization.
        path: String,
    },
    /// The configuration says the version, and goes before what git says.
    #[error("images in kustomize of the environment says the version of {image}, before any that git names")]
    InOverlay {
        /// The image.
        image: String,
    },
    /// What names the image in a kustomization is not changed by its `images:`.
    #[error(
        "after the change of `images:` in {path} the kustomization still names another version of {image}, in {}",
        .objects.join(", ")
    )]
    Without {
        /// The kustomization.
        path: String,
        /// The image.
        image: String,
        /// Kind and name of the objects.
        objects: Vec<String>,
    },
    /// The image is nowhere in what a chart makes.
    #[error("the chart of `{path}` makes nothing that names the image {image}")]
    NowhereInChart {
        /// The image.
        image: String,
        /// The folder of the chart.
        path: String,
    },
    /// The values that an environment may change do not say the version of an image.
    #[error("no values file says the version of {image}")]
    NotInValues {
        /// The image.
        image: String,
        /// The keys that lead to it.
        at: String,
        /// The file that would say it.
        path: String,
    },
    /// The same, where the configuration says by which keys.
    #[error("no values file says the version of {image}: {path} has no {keys}, which promote.values names")]
    NotInTold {
        /// The image.
        image: String,
        /// The keys.
        keys: String,
        /// The file that would say it.
        path: String,
    },
    /// The chart comes from elsewhere, and the environment has no file that could say the version of an image.
    #[error(
        "no values file says the version of {image}: the environment has none, and the chart is not in the repository"
    )]
    NoValuesFile {
        /// The image.
        image: String,
    },
    /// What names the image in a chart is not changed by its values.
    #[error(
        "after the change of its values the chart of `{path}` still names another version of {image}, in {}",
        .objects.join(", ")
    )]
    WithoutValues {
        /// The folder of the chart.
        path: String,
        /// The image.
        image: String,
        /// Kind and name of the objects.
        objects: Vec<String>,
    },
    /// The manifests are not rendered, so nobody knows what they name.
    #[error("the manifests cannot be rendered")]
    Render(#[from] RenderError),
    /// What a program wrote is no YAML.
    #[error("what is rendered of {path} is not understood, line {line}: {what}")]
    Output {
        /// The folder.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        what: String,
    },
    /// A file cannot be read.
    #[error("cannot read {path} from the repository")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        source: TreeFailure,
    },
    /// A manifest is kept in Git LFS.
    #[error("{path} is a Git LFS pointer, and its content is not fetched")]
    LargeFileStorage {
        /// The file.
        path: String,
    },
    /// A file that has to be changed is no YAML.
    #[error("{path} cannot be read as YAML, line {line}: {what}")]
    Syntax {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        what: String,
    },
    /// A file that has to be changed is no text.
    #[error("{path} names the image but is not UTF-8")]
    NotUtf8 {
        /// The file.
        path: String,
    },
    /// A file that has to be changed is too long.
    #[error("{path} names the image and has {bytes} bytes, over the limit of {}", FILE_BYTES_MAX)]
    TooLong {
        /// The file.
        path: String,
        /// Its length.
        bytes: usize,
    },
    /// A place that is written in a way that is not changed by machine.
    #[error("{path}, line {line}: {what}")]
    Unclear {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is in the way, and what to do.
        what: String,
    },
    /// A tag, digest or name that would not be one word of YAML.
    #[error("`{0}` is not a name, tag or digest of an image")]
    NotAnImage(String),
}

impl Hint for PromoteError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Render(error) => error.hint(),
            Self::Nowhere { image, .. } => {
                format!("write `image: {image}` where it belongs, or set `promote.by = \"none\"`").into()
            }
            Self::OfSource { .. } => {
                "set promote.source to the source that has the file, or leave it out for the environment's own repository"
                    .into()
            }
            Self::Jsonnet { .. } => "set `promote.by = \"none\"`, and change the image there".into(),
            Self::NowhereInKustomization { image, .. } => {
                format!("write `image: {image}` in one of its resources, or set `promote.by = \"none\"`").into()
            }
            Self::NowhereInChart { image, .. } => {
                format!("let its values name {image}, or set `promote.by = \"none\"`").into()
            }
            Self::NotInValues { at, path, .. } => {
                format!("write `{at}.tag` into {path} once, or name other keys of the chart by `promote.values`; what other environments read as well is not changed").into()
            }
            Self::NotInTold { keys, path, .. } => {
                format!("write {keys} into {path} once; what other environments read as well is not changed").into()
            }
            Self::NoValuesFile { .. } => {
                "write the tag into a file of the repository, and name it by `helm.values_files`".into()
            }
            Self::WithoutValues { .. } => {
                "see which value the template takes the image from, and name it by `promote.values`".into()
            }
            Self::Without { .. } => {
                "an entry of `images:` changes the containers of pods alone, and only by the exact name".into()
            }
            Self::InOverlay { .. } => {
                "leave newTag and digest of it out of images in [application.environment.kustomize], or set `promote.by = \"none\"`"
                    .into()
            }
            Self::LargeFileStorage { .. } => "keep manifests in git itself".into(),
            Self::Syntax { .. } => "correct it; the image is not promoted into a file that is broken".into(),
            Self::NotUtf8 { .. } => "save it as UTF-8".into(),
            Self::TooLong { .. } => "split it".into(),
            Self::Output { .. } | Self::Read { .. } | Self::Unclear { .. } | Self::NotAnImage(_) => "".into(),
        }
    }
}

/// The edits that make the manifests name the artifact; none if they do already.
///
/// `files` are all files below `path`, the deploy directory, each with its path relative to it; the edits carry the
/// same paths. For manifests that are rendered plainly leave a kustomization file out.
pub fn promote(path: &str, files: &[(String, Vec<u8>)], to: &Promoted) -> Result<Vec<FileEdit>, PromoteError> {
    check(to)?;
    if to.by == PromoteBy::None {
        return Ok(Vec::new());
    }
    match files.iter().find(|(path, _)| kustomize::FILE_NAMES.contains(&path.as_str())) {
        Some((path, content)) => {
            let changed = kustomize::set_image(path, content, to)?;
            Ok(changed.into_iter().map(|content| FileEdit { path: path.clone(), content }).collect())
        }
        None => {
            let files: Vec<_> = files.iter().filter(|(path, _)| manifests::is_manifest(path)).cloned().collect();
            promote_manifests(path, &files, files.len(), to)
        }
    }
}

/// The edits that make the manifests name all images of an artifact, by their paths in the repository, and the images
/// that the manifests do not name at all.
///
/// # Errors
/// As [`promote`], and where the manifests cannot be rendered. That an image is nowhere is an error only where it is so
/// of all of them: an environment need not run each.
pub fn promote_all(
    manifests: &Manifests<'_>,
    images: &[Promoted],
) -> Result<(Vec<FileEdit>, Vec<String>), PromoteError> {
    images.iter().try_for_each(check)?;
    let images: Vec<&Promoted> = images.iter().filter(|image| image.by != PromoteBy::None).collect();
    if images.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let folder = render::folder(manifests.tree, manifests.path)?;
    let edits = match render::renderer(manifests.tree, &folder, manifests.render, manifests.overlay)? {
        Renderer::Kustomize => into_kustomization(manifests, &folder, &images)?,
        Renderer::Helm => chart::into_chart(manifests, &folder, &images)?,
        Renderer::Jsonnet => return Err(PromoteError::Jsonnet { path: folder }),
        Renderer::Plain => into_files(manifests, &folder, &images)?,
    };
    let Edits { changed, absent, nowhere } = edits;
    if let Some(path) = changed.keys().find(|path| !manifests.may_change(path)) {
        return Err(PromoteError::OfSource { path: path.clone(), into: manifests.changeable() });
    }
    match nowhere.filter(|_| absent.len() == images.len()) {
        Some(error) => Err(error),
        None => Ok((changed.into_iter().map(|(path, content)| FileEdit { path, content }).collect(), absent)),
    }
}

/// What is to be changed.
#[derive(Default)]
struct Edits {
    changed: BTreeMap<String, Vec<u8>>,
    absent: Vec<String>,
    /// Why, for the last of them.
    nowhere: Option<PromoteError>,
}

/// Into the files of a folder that is rendered plainly.
fn into_files(manifests: &Manifests<'_>, folder: &str, images: &[&Promoted]) -> Result<Edits, PromoteError> {
    let selection = Selection::read(manifests.tree, folder, manifests.files)?;
    into_each(manifests, folder, render::plain::sources(manifests.tree, folder, &selection)?.files, images)
}

/// Into the files that a kustomization lists which the folder does not have; built with them it has to name the artifact.
fn into_listed(manifests: &Manifests<'_>, folder: &str, images: &[&Promoted]) -> Result<Edits, PromoteError> {
    let listed = made(manifests.tree, folder, manifests.files)?;
    let before = built(manifests, manifests.tree, folder)?;
    not_in_overlay(manifests, &before, images)?;
    let edits = into_each(manifests, folder, listed.files, images)?;
    let tree = &Edited { tree: manifests.tree, edits: &edits.changed };
    let after = if edits.changed.is_empty() { before } else { built(manifests, tree, folder)? };
    named_in(&after, folder, &shown(folder), images)?;
    Ok(edits)
}

/// Into these files.
fn into_each(
    manifests: &Manifests<'_>,
    folder: &str,
    sources: Vec<Source>,
    images: &[&Promoted],
) -> Result<Edits, PromoteError> {
    let (mut files, read) = (Vec::new(), sources.len());
    for Source { path, entry } in sources {
        let reading = |source| PromoteError::Read { path: path.clone(), source };
        // Who renders refuses it, and it is not read for an image that it cannot hold.
        if manifests.tree.size(&entry).map_err(reading)? > READ_BYTES_MAX {
            continue;
        }
        let content = manifests.tree.blob(&entry).map_err(reading)?;
        if is_lfs_pointer(&content) {
            return Err(PromoteError::LargeFileStorage { path });
        }
        if images.iter().any(|image| manifests::mentions(&content, &image.image)) {
            files.push((entry.path, content));
        }
    }
    let mut edits = Edits::default();
    for image in images {
        match promote_manifests(folder, &files, read, image) {
            Ok(changed) => {
                for FileEdit { path, content } in changed {
                    files.iter_mut().filter(|(of, _)| *of == path).for_each(|(_, now)| now.clone_from(&content));
                    edits.changed.insert(path, content);
                }
            }
            Err(error @ PromoteError::Nowhere { .. }) => {
                edits.absent.push(image.image.clone());
                edits.nowhere = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(edits)
}

/// Into the kustomization of a folder: as it is built before says how the images are spelled, as it is built after has to name
/// the artifact and nothing else of these images.
fn into_kustomization(manifests: &Manifests<'_>, folder: &str, images: &[&Promoted]) -> Result<Edits, PromoteError> {
    let tree = manifests.tree;
    let Some(file) = render::kustomization_file(tree, folder)? else {
        if manifests.overlay.generate {
            return into_listed(manifests, folder, images);
        }
        // To build it says what is missing.
        built(manifests, tree, folder)?;
        return Ok(Edits::default());
    };
    let output = built(manifests, tree, folder)?;
    not_in_overlay(manifests, &output, images)?;
    let reading = |source| PromoteError::Read { path: file.path.clone(), source };
    let before = tree.blob(&file).map_err(reading)?;
    let (mut content, mut edits) = (before.clone(), Edits::default());
    for image in images {
        let Spellings { names, .. } = spellings(folder, &output, image)?;
        if names.is_empty() {
            let (image, path) = (image.image.clone(), shown(folder));
            edits.absent.push(image.clone());
            edits.nowhere = Some(PromoteError::NowhereInKustomization { image, path });
        }
        for name in names {
            let spelled = Promoted { image: name, ..(*image).clone() };
            if let Some(changed) = kustomize::set_image(&file.path, &content, &spelled)? {
                content = changed;
            }
        }
    }
    if content != before {
        edits.changed.insert(file.path.clone(), content);
    }
    let output = match edits.changed.is_empty() {
        true => output,
        false => built(manifests, &Edited { tree, edits: &edits.changed }, folder)?,
    };
    named_in(&output, folder, &file.path, images)?;
    Ok(edits)
}

/// Sees that what was built names the artifact, and nothing else of these images.
fn named_in(output: &str, folder: &str, path: &str, images: &[&Promoted]) -> Result<(), PromoteError> {
    for image in images {
        let Spellings { names: _, others } = spellings(folder, output, image)?;
        if !others.is_empty() {
            let (image, objects) = (image.image.clone(), others.into_iter().collect());
            return Err(PromoteError::Without { path: path.to_owned(), image, objects });
        }
    }
    Ok(())
}

/// Sees that no version of these images is said by the configuration, where another one is built.
fn not_in_overlay(manifests: &Manifests<'_>, output: &str, images: &[&Promoted]) -> Result<(), PromoteError> {
    for image in images {
        let Spellings { names, others } = spellings(manifests.path, output, image)?;
        let is_said = manifests.overlay.images.iter().any(|entry| {
            let text = |key: &str| entry.get(key).and_then(Value::as_str);
            let name = text("newName").or(text("name")).unwrap_or_default();
            (text("newTag").is_some() || text("digest").is_some()) && names.contains(name)
        });
        if is_said && !others.is_empty() {
            return Err(PromoteError::InOverlay { image: image.image.clone() });
        }
    }
    Ok(())
}

/// What kustomize makes of a folder.
fn built(manifests: &Manifests<'_>, tree: &dyn Tree, folder: &str) -> Result<String, PromoteError> {
    let wanted = Wanted { folder, overlay: manifests.overlay, files: manifests.files };
    let (built, _) = render::kustomize::build(tree, &wanted, manifests.programs)?;
    String::from_utf8(built.output).map_err(|_| {
        let source = render::kustomize::KustomizeError::Output(YamlError::NotUtf8 { line: 1 });
        PromoteError::Render(RenderError::Kustomize { path: folder.to_owned(), source })
    })
}

fn spellings(folder: &str, output: &str, image: &Promoted) -> Result<Spellings, PromoteError> {
    manifests::spellings(output, image).map_err(|crate::yaml::tree::Broken { line, what }| PromoteError::Output {
        path: shown(folder),
        line,
        what,
    })
}

fn shown(folder: &str) -> String {
    if folder.is_empty() { ".".to_owned() } else { folder.to_owned() }
}

/// `read` files were looked at; `files` are those that may name the image.
fn promote_manifests(
    path: &str,
    files: &[(String, Vec<u8>)],
    read: usize,
    to: &Promoted,
) -> Result<Vec<FileEdit>, PromoteError> {
    let mut edits = Vec::new();
    let mut found = 0;
    for (path, content) in files {
        let (places, changed) = manifests::set_image(path, content, to)?;
        found += places;
        edits.extend(changed.map(|content| FileEdit { path: path.clone(), content }));
    }
    if found == 0 {
        return Err(PromoteError::Nowhere { image: to.image.clone(), path: shown(path), files: read });
    }
    Ok(edits)
}

/// What is spliced has to be one word without meaning to YAML, whatever quotes it lands in.
fn check(to: &Promoted) -> Result<(), PromoteError> {
    for word in [&to.image, &to.tag, &to.digest] {
        let valid = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:/".contains(&b));
        if !valid || word.is_empty() || !word.as_bytes()[0].is_ascii_alphanumeric() && !word.starts_with('_') {
            return Err(PromoteError::NotAnImage(word.chars().take(200).flat_map(char::escape_default).collect()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

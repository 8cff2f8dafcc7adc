//! Promotion: writing a pushed artifact into the manifests of the deploy repository. Pure: files in, edits out.
//!
//! ```text
//! a kustomization at the top ──► its `images:` entry, as `kustomize edit set image` would      [kustomize]
//! none ───────────────────────► every `image:` of that repository name, in every manifest      [manifests]
//! ```
//!
//! Only the words that name the image change. A parser says where they are, bytes are spliced, and everything else
//! (order, comments, quotes, line ends) stays as its author wrote it. What was written is read again before it is
//! handed on, so an edit that would not say what it should never becomes a commit.
//!
//! Not here: which files there are, the commit, the push, and the decision to do it anew on a race.

pub mod log;

mod kustomize;
mod manifests;

mod splice;
mod tree;

use std::collections::BTreeMap;

use quarterdeck_shared::application::PromoteBy;

use crate::git::FileEdit;

/// A manifest larger than this is not promoted into: 4 MiB is several times the largest file with all CRDs of an
/// operator, and no file that a person keeps an image in comes near.
pub const FILE_BYTES_MAX: usize = 4 << 20;

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

/// Why an artifact cannot be written into the manifests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromoteError {
    /// The image is nowhere.
    #[error(
        "no manifest below `{path}` names the image {image} ({files} files were read); write `image: {image}` where it \
         belongs, or set `promote.by = \"none\"`"
    )]
    Nowhere {
        /// The image.
        image: String,
        /// The directory that was looked through.
        path: String,
        /// How many manifests were read.
        files: usize,
    },
    /// A file that has to be changed is no YAML.
    #[error("{path} cannot be read as YAML, line {line}: {what}; the image is not promoted into a file that is broken")]
    Syntax {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        what: String,
    },
    /// A file that has to be changed is no text.
    #[error("{path} names the image but is not UTF-8; save it as UTF-8")]
    NotUtf8 {
        /// The file.
        path: String,
    },
    /// A file that has to be changed is too long.
    #[error("{path} names the image and has {bytes} bytes, over the limit of {}; split it", FILE_BYTES_MAX)]
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
        None => promote_manifests(path, files, to),
    }
}

/// The edits that make the manifests name all images of an artifact, and the images that they do not name at all.
///
/// # Errors
/// As [`promote`]; that an image is nowhere is one only where it is so of all of them: an environment need not run each.
pub fn promote_all(
    path: &str,
    files: &[(String, Vec<u8>)],
    images: &[Promoted],
) -> Result<(Vec<FileEdit>, Vec<String>), PromoteError> {
    let mut files = files.to_vec();
    let (mut edited, mut absent, mut nowhere) = (BTreeMap::new(), Vec::new(), None);
    for image in images {
        match promote(path, &files, image) {
            Ok(edits) => {
                for FileEdit { path, content } in edits {
                    files.iter_mut().filter(|(of, _)| *of == path).for_each(|(_, now)| now.clone_from(&content));
                    edited.insert(path, content);
                }
            }
            Err(error @ PromoteError::Nowhere { .. }) => {
                absent.push(image.image.clone());
                nowhere = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    match nowhere.filter(|_| absent.len() == images.len()) {
        Some(error) => Err(error),
        None => Ok((edited.into_iter().map(|(path, content)| FileEdit { path, content }).collect(), absent)),
    }
}

fn promote_manifests(path: &str, files: &[(String, Vec<u8>)], to: &Promoted) -> Result<Vec<FileEdit>, PromoteError> {
    let mut edits = Vec::new();
    let (mut found, mut read) = (0, 0);
    for (path, content) in files.iter().filter(|(path, _)| manifests::is_manifest(path)) {
        read += 1;
        let (places, changed) = manifests::set_image(path, content, to)?;
        found += places;
        edits.extend(changed.map(|content| FileEdit { path: path.clone(), content }));
    }
    if found == 0 {
        let path = if path.is_empty() { "." } else { path };
        return Err(PromoteError::Nowhere { image: to.image.clone(), path: path.to_owned(), files: read });
    }
    Ok(edits)
}

/// What is spliced has to be one word without meaning to YAML, whatever quotes it lands in.
fn check(to: &Promoted) -> Result<(), PromoteError> {
    for word in [&to.image, &to.tag, &to.digest] {
        let sound = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:/".contains(&b));
        if !sound || word.is_empty() || !word.as_bytes()[0].is_ascii_alphanumeric() && !word.starts_with('_') {
            return Err(PromoteError::NotAnImage(word.chars().take(200).flat_map(char::escape_default).collect()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Files and folders of elsewhere: each gets a place beside the files of the repository, and the kustomization names that place.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::{DEPTH_MAX, KustomizationError, OURS, REMOTES_MAX, Search};
use crate::render::elsewhere::address::{self, Address, GitFolder};
use crate::render::elsewhere::{Refusal, Taken};
use crate::tree::links::{Followed, resolve};
use crate::tree::memory::Files;
use crate::tree::paths::{is_below, join};
use crate::tree::{EntryMode, Node, Tree as _};

/// What a kustomization names.
pub(super) struct Named<'a> {
    /// The kustomization.
    pub(super) path: &'a str,
    /// The field.
    pub(super) field: &'a str,
    /// The text.
    pub(super) text: &'a str,
    /// Whether that field may name folders of repositories.
    pub(super) may_be_folder: bool,
}

/// Where the files of other repositories are, and how many led there.
#[derive(Default)]
pub(super) struct Roots(BTreeMap<String, usize>);

impl Roots {
    /// The root of the repository that has what is at a path; `""` is our own.
    fn root(&self, path: &str) -> &str {
        let holds = |root: &&String| path == root.as_str() || is_below(path, root);
        self.0.keys().filter(holds).max_by_key(|root| root.len()).map_or("", String::as_str)
    }

    /// Whether two paths are of one repository.
    pub(super) fn are_same(&self, one: &str, other: &str) -> bool {
        self.root(one) == self.root(other)
    }

    fn depth(&self, path: &str) -> usize {
        self.0.get(self.root(path)).copied().unwrap_or(0)
    }
}

impl Named<'_> {
    fn refused(&self, refusal: Refusal, address: &str) -> KustomizationError {
        let (path, text, address) = (self.path.to_owned(), self.text.to_owned(), address.to_owned());
        match refusal {
            Refusal::NotNamed => KustomizationError::NotNamed { path, text, address },
            Refusal::Failed(source) => KustomizationError::Elsewhere { path, text, source },
        }
    }

    fn too_much(&self) -> KustomizationError {
        KustomizationError::TooMuchElsewhere { path: self.path.to_owned(), text: self.text.to_owned() }
    }
}

impl Search<'_> {
    /// Takes what is elsewhere; returns its place, as a file of `folder` names it.
    pub(super) fn take_remote(&mut self, folder: &str, named: &Named<'_>) -> Result<String, KustomizationError> {
        if self.needs.places.len() >= REMOTES_MAX {
            return Err(named.too_much());
        }
        let right = named.text.split_once('=').map(|(_, right)| right);
        let read = |text| address::read(text).map(|address| (text, address));
        match read(named.text).or_else(|| right.and_then(read)) {
            Some((url, Address::File)) => self.take_remote_file(folder, named, url),
            Some((_, Address::Folder(GitFolder { repository, path, reference: Some(reference) })))
                if named.may_be_folder =>
            {
                self.take_remote_folder(folder, named, (&repository, &reference, &path))
            }
            // A file may be called as a folder is.
            Some((url, Address::Folder(_))) => match self.take_remote_file(folder, named, url) {
                Err(KustomizationError::FileNotNamed { path, .. }) if named.may_be_folder => {
                    Err(KustomizationError::Unpinned { path, text: named.text.to_owned() })
                }
                taken => taken,
            },
            None => {
                let (path, field, text) = (named.path.to_owned(), named.field.to_owned(), named.text.to_owned());
                Err(KustomizationError::Remote { path, field, text })
            }
        }
    }

    /// A file is put below the folder that names it: kustomize reads none elsewhere.
    fn take_remote_file(&mut self, folder: &str, named: &Named<'_>, url: &str) -> Result<String, KustomizationError> {
        let content = self.elsewhere.file(url).map_err(|refusal| match refusal {
            Refusal::NotNamed => KustomizationError::FileNotNamed { path: named.path.to_owned(), url: url.to_owned() },
            failed => named.refused(failed, url),
        })?;
        let name = name_in(url, "file");
        let below = format!("{OURS}remote/{}", short(url));
        let at = join(folder, &below).unwrap_or_default();
        let mut files = Files::default();
        files.files.insert(name.clone(), (EntryMode::File, content));
        self.tree.put(&at, Arc::new(files));
        let path = format!("{at}/{name}");
        let found = self.tree.lookup(&path);
        if let Some(Node::File(entry)) =
            found.map_err(|source| KustomizationError::Read { path: path.clone(), source })?
        {
            self.take_file(entry, false)?;
        }
        self.needs.places.insert(path, url.to_owned());
        Ok(format!("{below}/{name}"))
    }

    fn take_remote_folder(
        &mut self,
        folder: &str,
        named: &Named<'_>,
        (repository, reference, path): (&str, &str, &str),
    ) -> Result<String, KustomizationError> {
        let depth = self.roots.depth(folder) + 1;
        if depth > DEPTH_MAX {
            return Err(named.too_much());
        }
        let taken = self.elsewhere.repository(repository, reference);
        let Taken { tree, is } = taken.map_err(|refusal| named.refused(refusal, repository))?;
        let root =
            format!("{OURS}remote/{}-{}", name_in(repository, "repository"), short(&format!("{repository} {is}")));
        self.tree.put(&root, tree);
        self.roots.0.entry(root.clone()).or_insert(depth);
        self.needs.places.insert(root.clone(), format!("{repository}@{reference}"));
        let missing = || {
            let (path, field, text) = (named.path.to_owned(), named.field.to_owned(), named.text.to_owned());
            KustomizationError::Missing { path, field, text }
        };
        let at = join(&root, path).unwrap_or_else(|| root.clone());
        let found = resolve(self.tree, &at).map_err(|source| KustomizationError::Read { path: at.clone(), source })?;
        let Followed::Folder(target) = found else { return Err(missing()) };
        if !self.roots.are_same(&root, &target) || !self.take_folder(&target)? {
            return Err(missing());
        }
        let up = "../".repeat(folder.split('/').filter(|part| !part.is_empty()).count());
        Ok(format!("{up}{target}"))
    }
}

/// The last part of an address, as the name of a file.
fn name_in(address: &str, otherwise: &str) -> String {
    let path = address.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let last = path.rsplit(['/', ':']).next().unwrap_or_default();
    // As long as file systems allow with some room.
    let name: String = last.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).take(100).collect();
    if name.trim_matches('.').is_empty() { otherwise.to_owned() } else { name }
}

/// What tells an address from others.
fn short(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

//! What a kustomization may take from elsewhere, as whoever can fetch it gives it: folders of repositories, files of web servers,
//! and charts; and the archives of what a chart depends on.

pub mod address;

use std::sync::Arc;

use quarterdeck_shared::application::DependencyRepository;

use crate::charts::address::Repository;
use crate::render::built::BuildFailure;
use crate::tree::Tree;

/// Gives what is allowed by name and pinned; what is not given names nothing. All calls block.
pub trait Elsewhere: Send + Sync {
    /// The files of a repository at a tag or a commit.
    ///
    /// # Errors
    /// Where it is not named by the configuration, has no such tag or commit, or cannot be fetched.
    fn repository(&self, repository: &str, reference: &str) -> Result<Taken, Refusal> {
        let _ = (repository, reference);
        Err(Refusal::NotNamed)
    }

    /// A file of a web server.
    ///
    /// # Errors
    /// As [`Elsewhere::repository`]; also where it is not what it must be.
    fn file(&self, url: &str) -> Result<Vec<u8>, Refusal> {
        let _ = url;
        Err(Refusal::NotNamed)
    }

    /// The files of a chart of exactly this version.
    ///
    /// # Errors
    /// As [`Elsewhere::repository`].
    fn chart(&self, repository: &str, name: &str, version: &str) -> Result<Taken, Refusal> {
        let _ = (repository, name, version);
        Err(Refusal::NotNamed)
    }

    /// The archive of a chart of exactly this version, which another chart depends on; `named` is what the configuration says of
    /// its repository.
    ///
    /// # Errors
    /// As [`Elsewhere::repository`].
    fn dependency(
        &self,
        named: &DependencyRepository,
        repository: &Repository,
        name: &str,
        version: &str,
    ) -> Result<Packaged, Refusal> {
        let _ = (named, repository, name, version);
        Err(Refusal::NotNamed)
    }
}

/// Files from elsewhere.
pub struct Taken {
    /// The files.
    pub tree: Arc<dyn Tree>,
    /// What tells them from others: a commit, a digest.
    pub is: String,
}

/// A chart as it is packaged.
pub struct Packaged {
    /// Its archive.
    pub archive: Arc<[u8]>,
    /// What is in it.
    pub files: Arc<dyn Tree>,
}

/// Why something is not given.
#[derive(Debug)]
pub enum Refusal {
    /// The configuration does not name it.
    NotNamed,
    /// It cannot be had.
    Failed(BuildFailure),
}

/// Gives nothing: the configuration names nothing.
pub struct Nowhere;

impl Elsewhere for Nowhere {}

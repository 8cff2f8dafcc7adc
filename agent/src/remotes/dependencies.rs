//! What charts depend on: archives of exactly one version, and which chart of a repository was asked for last.
//!
//! ```text
//! remotes/charts/1f3c2a9d8e7b6c5a-redis/17.3.0@9e2b….tgz    as of `[application.environment.helm.chart]`
//!         dependencies/77aa…                                `oci://registry.example/charts redis 17.3.0`, of what the configuration names
//! ```

use std::fs;
use std::path::PathBuf;

use quarterdeck_core::charts::address::Repository;
use quarterdeck_shared::application::{ChartSpec, DependencyRepository};

use super::files::{hex, keep};
use super::{RemoteProblem, Remotes};
use crate::charts::{self, ChartFiles, ChartProblem};

const FOLDER: &str = "dependencies";

/// A chart that another one depends on, as whoever fetches charts knows it.
pub(super) fn spec(named: &DependencyRepository, repository: &Repository, name: &str, version: &str) -> ChartSpec {
    let DependencyRepository { repository: _, username, password_env, password_file } = named.clone();
    ChartSpec {
        repository: repository.to_string(),
        name: name.to_owned(),
        version: version.to_owned(),
        username,
        password_env,
        password_file,
        // A lock file names a version, and the environment the repository: no signers.
        verify_keyring: None,
        verify: Vec::new(),
    }
}

impl Remotes {
    /// The archive of a chart and its digest: as it is kept, else fetched.
    pub(super) async fn dependency(&self, spec: &ChartSpec) -> Result<(String, Vec<u8>, ChartFiles), RemoteProblem> {
        let repository = Repository::read(&spec.repository).map_err(ChartProblem::from);
        let alone = self.of_chart(&repository.map_err(RemoteProblem::Dependency)?, &spec.name);
        let _alone = alone.lock().await;
        let (fetcher, images, config) = (self.fetcher.clone(), self.images.clone(), self.config.clone());
        let fetched = charts::pinned_archive(spec, &self.folder, fetcher, images, config).await;
        let (release, archive, files) = fetched.map_err(RemoteProblem::Dependency)?;
        Ok((release.digest, archive, files))
    }

    /// Remembers which chart of a repository that the configuration names was used last. What cannot be remembered is not asked for
    /// by `qd doctor`, and nothing else. Blocks.
    pub(super) fn uses(&self, named: &DependencyRepository, spec: &ChartSpec) {
        let ChartSpec { repository, name, version, .. } = spec;
        let (path, content) = (self.used_of(named), format!("{repository} {name} {version}\n"));
        if fs::read_to_string(&path).is_ok_and(|before| before == content) {
            return;
        }
        if let Err(error) = keep(&path, content.as_bytes()) {
            tracing::warn!(path = %path.display(), %error, "cannot remember which chart was used");
        }
    }

    /// The chart of a repository that was used last; nothing where none was. Blocks.
    pub fn used(&self, named: &DependencyRepository) -> Option<ChartSpec> {
        let content = fs::read_to_string(self.used_of(named)).ok()?;
        let mut words = content.trim_end().splitn(3, ' ');
        let (repository, name, version) = (words.next()?, words.next()?, words.next()?);
        Some(spec(named, &Repository::read(repository).ok()?, name, version))
    }

    /// Whether the repository of a chart answers; how many versions of it there are.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn check(&self, spec: &ChartSpec) -> Result<usize, RemoteProblem> {
        let (fetcher, images, config) = (self.fetcher.clone(), self.images.clone(), self.config.clone());
        charts::check(spec, &self.folder, fetcher, images, config).await.map_err(RemoteProblem::Dependency)
    }

    fn used_of(&self, named: &DependencyRepository) -> PathBuf {
        self.folder.join(FOLDER).join(&hex(named.repository.as_bytes())[..32])
    }
}

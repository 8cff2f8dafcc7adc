//! All repositories that are polled: each once, however many applications use it and however they write its address.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quarterdeck_git::mirror::{DESCRIPTION, Mirror};
use quarterdeck_git::url::{RepositoryUrl, UrlError};
use quarterdeck_git::{GitError, Remote};
use quarterdeck_shared::application::{ArtifactSpec, EnvironmentSpec};
use quarterdeck_shared::error::chain;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::polling::begin;
use super::repository::Repository;
use crate::artifacts::{ArtifactError, ArtifactSource};
use crate::config::Config;
use crate::images::Images;
use crate::journal::Journal;

/// All repositories, by the key that two spellings of one address share.
#[derive(Default)]
pub struct Repositories {
    by_key: Mutex<BTreeMap<String, Arc<Repository>>>,
    /// The keys of those whose merge requests an application wants.
    merge_requests: Mutex<BTreeSet<String>>,
}

fn artifact_key(spec: &ArtifactSpec) -> String {
    format!("artifact {spec:?}")
}

/// Where the files of an artifact are, as commits.
pub fn artifact_dir(spec: &ArtifactSpec, data_dir: &Path) -> PathBuf {
    let key = Sha256::digest(artifact_key(spec));
    let digest: String = key.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    data_dir.join("mirrors").join(format!("artifact-{digest}"))
}

impl Repositories {
    /// The repository of an address of the configuration; it is opened, and its polling begins, with the first who asks.
    pub fn get(
        &self,
        address: &str,
        config: &Config,
        base: &Path,
        data_dir: &Path,
        journal: &Journal,
    ) -> Result<Arc<Repository>, GitError> {
        let url = RepositoryUrl::parse(address, base).map_err(|error| bad_address(address, &error))?;
        let (remote, interval) = self.reached(url, config, base).map_err(|error| bad_address(address, &error))?;
        let key = remote.url.key().to_owned();
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(repository) = by_key.get(&key) {
            if repository.mirror().remote().url == remote.url {
                return Ok(repository.clone());
            }
            // It is written otherwise now.
            repository.stop.cancel();
        }
        let dir: PathBuf = data_dir.join("mirrors").join(remote.url.mirror_name());
        let address = remote.url.to_string();
        let mirror = Mirror::open_or_init(dir, remote)?;
        let repository = Arc::new(Repository::new(address, Arc::new(mirror), None, interval));
        by_key.insert(key, repository.clone());
        begin(&repository, journal);
        Ok(repository)
    }

    /// The repository that has the files of an artifact; its registry begins to be asked with the first who asks.
    ///
    /// # Errors
    /// Where its mirror cannot be opened.
    pub fn get_artifact(
        &self,
        spec: &ArtifactSpec,
        config: &Config,
        data_dir: &Path,
        images: &watch::Sender<Arc<Images>>,
        journal: &Journal,
    ) -> Result<Arc<Repository>, ArtifactError> {
        // No repository has such a key. All of it decides: what one key signed says nothing of another's.
        let key = artifact_key(spec);
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(repository) = by_key.get(&key) {
            return Ok(repository.clone());
        }
        let dir = artifact_dir(spec, data_dir);
        // Nothing is fetched from there.
        let here = dir.display().to_string();
        let remote = RepositoryUrl::parse(&here, data_dir).and_then(|url| Remote::new(url, &[], data_dir));
        let mirror = Mirror::open_or_init(&dir, remote.map_err(|error| bad_address(&here, &error))?)?;
        let address = spec.describe();
        // For whoever looks into the folder.
        let _ = std::fs::write(dir.join(DESCRIPTION), format!("{address}\n"));
        let artifact = ArtifactSource::new(spec, &mirror, images.subscribe())?;
        let interval = config.agent.image_interval.0;
        let repository = Arc::new(Repository::new(address, Arc::new(mirror), Some(artifact), interval));
        by_key.insert(key, repository.clone());
        begin(&repository, journal);
        Ok(repository)
    }

    /// Brings other options of repositories and another interval into force, without a stop of what uses them.
    pub fn configure(&self, config: &Config, base: &Path) {
        let code = config.applications.iter().filter_map(|one| one.delivery.as_ref()).map(|delivery| &delivery.code);
        let read = |address: &String| RepositoryUrl::parse(address, base).ok();
        let built = code.filter(|code| code.merge_requests).filter_map(|code| read(&code.repository));
        let manifests = config.applications.iter().flat_map(|one| &one.environments);
        let of = |environment: &'_ EnvironmentSpec| {
            let sources = environment.sources.iter().map(|source| source.repository.clone());
            sources.chain([environment.repository.clone()]).collect::<Vec<_>>()
        };
        let planned = manifests.flat_map(of).filter_map(|address| read(&address));
        let planned = planned.filter(|url| config.forge.iter().any(|forge| forge.plan && forge.has(url)));
        *self.merge_requests.lock().unwrap_or_else(PoisonError::into_inner) =
            built.chain(planned).map(|url| url.key().to_owned()).collect();
        for repository in self.all() {
            if repository.artifact.is_some() {
                repository.asked_every(config.agent.image_interval.0);
                continue;
            }
            let url = repository.mirror().remote().url.clone();
            let configured = self
                .reached(url, config, base)
                .map_err(|error| bad_address(&repository.address, &error))
                .and_then(|(remote, interval)| repository.configure(remote, interval));
            if let Err(error) = configured {
                let error = chain(&error);
                tracing::error!(repository = %repository.address, %error, "the options of the repository are unchanged");
            }
        }
    }

    /// How a repository is reached, and how often it is polled.
    fn reached(&self, url: RepositoryUrl, config: &Config, base: &Path) -> Result<(Remote, Duration), UrlError> {
        let mut remote = Remote::new(url, &config.repository, base)?;
        let wanted = self.merge_requests.lock().unwrap_or_else(PoisonError::into_inner);
        remote.merge_requests = wanted.contains(remote.url.key());
        let interval = remote.access.poll_interval().unwrap_or(config.agent.poll_interval.0);
        Ok((remote, interval))
    }

    /// Stops polling what nobody uses any more: who does is `used`, by address.
    pub fn keep_only(&self, used: &[Arc<Repository>]) -> Vec<String> {
        let mut gone = Vec::new();
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, repository| {
            let keep = used.iter().any(|other| Arc::ptr_eq(other, repository));
            if !keep {
                repository.stop.cancel();
                gone.push(repository.address.clone());
            }
            keep
        });
        // Another key of an artifact may have the same name.
        gone.retain(|address| !used.iter().any(|other| other.address == *address));
        gone
    }

    /// Stops all polling and interrupts git work that is under way.
    pub fn stop(&self) {
        for repository in self.by_key.lock().unwrap_or_else(PoisonError::into_inner).values() {
            repository.stop.cancel();
            repository.mirror().interrupt();
        }
    }

    /// Every repository.
    pub fn all(&self) -> Vec<Arc<Repository>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

fn bad_address(address: &str, error: &UrlError) -> GitError {
    GitError::NotFound { url: quarterdeck_git::url::redact(address), what: error.to_string() }
}

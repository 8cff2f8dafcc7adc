//! What kustomizations take from elsewhere, folders of repositories, files and charts, and what charts depend on: each fetched once and
//! kept in the data directory, so that a render needs nobody else.
//!
//! ```text
//! remotes/git/argo-cd-1f3c….git     a mirror with the commits that were asked for, and no more; nothing is polled
//!         tags/77aa…                the commit that a tag was at when it was first used
//!         files/9e2b…               a file, by its digest
//!         charts/…                  archives, also of what charts depend on, as of `[application.environment.helm.chart]`
//! ```
//! A tag is looked up once: what is deployed does not change under its name. `qd doctor` says where one was moved.

mod dependencies;
mod error;
mod files;
mod git;
mod tags;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use quarterdeck_container::charts::fetch::Fetcher;
use quarterdeck_core::charts::address::Repository;
use quarterdeck_core::render::built::BuildFailure;
use quarterdeck_core::render::elsewhere::{Elsewhere, Packaged, Refusal, Taken};
use quarterdeck_git::url::RepositoryUrl;
use quarterdeck_shared::application::{ChartSpec, DependencyRepository, KustomizeSpec};
use tokio::runtime::Handle;
use tokio::sync::watch;

pub use self::error::RemoteProblem;
pub use self::tags::KeptTag;
use crate::charts;
use crate::config::Config;
use crate::images::Images;

/// Where all of it is in a data directory.
pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("remotes")
}

/// Everything that was fetched from elsewhere for kustomizations and charts.
pub struct Remotes {
    /// Its folder in the data directory.
    folder: PathBuf,
    /// Where relative addresses begin.
    base: PathBuf,
    config: watch::Receiver<Arc<Config>>,
    images: watch::Receiver<Arc<Images>>,
    fetcher: Arc<Fetcher>,
    mirrors: git::Mirrors,
    /// One for each chart: an archive is fetched once, however many environments want it.
    charts: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Remotes {
    /// Those of a data directory; addresses in the configuration are relative to `base`.
    pub fn new(
        data_dir: &Path,
        base: &Path,
        config: watch::Receiver<Arc<Config>>,
        images: watch::Receiver<Arc<Images>>,
    ) -> Self {
        let (fetcher, mirrors, charts) = (Arc::default(), git::Mirrors::default(), Mutex::default());
        Self { folder: folder(data_dir), base: base.to_owned(), config, images, fetcher, mirrors, charts }
    }

    /// Where the mirrors are.
    pub fn mirrors(&self) -> PathBuf {
        self.folder.join("git")
    }

    /// What the mirror of a repository is called in that folder; nothing of what is no address of one.
    pub fn mirror_name(&self, address: &str) -> Option<String> {
        RepositoryUrl::parse(address, &self.base).ok().map(|url| url.mirror_name())
    }

    /// Interrupts git work that is under way.
    pub fn stop(&self) {
        self.mirrors.interrupt();
    }

    /// What is given of this to the renders of an environment. Its calls block, on no thread of the runtime.
    pub fn for_spec(self: &Arc<Self>, spec: &KustomizeSpec) -> Allowed {
        Allowed { remotes: self.clone(), spec: spec.clone(), handle: Handle::current(), taken: Mutex::default() }
    }

    /// What would be given for what a render asked for, as far as that is known without asking anyone. Blocks.
    pub fn known(&self, asked: &str, spec: &KustomizeSpec) -> Option<String> {
        let (what, asked) = asked.split_once(' ')?;
        match what {
            "git" => {
                let (key, reference) = asked.rsplit_once(' ')?;
                git::fixed(reference).or_else(|| tags::read(&self.folder, key, reference))
            }
            "file" => files::digest(spec, asked).map(str::to_owned),
            "chart" => {
                let (chart, version) = asked.rsplit_once(' ')?;
                let (repository, name) = chart.rsplit_once(' ')?;
                let repository = Repository::read(repository).ok()?;
                let store = charts::store::Store::of(&self.folder, &repository, name);
                store.chosen(version).map(|release| release.digest)
            }
            _ => None,
        }
    }

    /// What is held while a chart is fetched.
    fn of_chart(&self, repository: &Repository, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut charts = self.charts.lock().unwrap_or_else(PoisonError::into_inner);
        charts.entry(format!("{repository} {name}")).or_default().clone()
    }

    /// The repository that the configuration names for an address, as it writes it.
    fn named(&self, spec: &KustomizeSpec, repository: &str) -> Option<RepositoryUrl> {
        let parse = |text: &str| RepositoryUrl::parse(text, &self.base).ok();
        let asked = parse(repository)?;
        spec.remote.iter().filter_map(|text| parse(text)).find(|named| named.key() == asked.key())
    }
}

/// What one environment may have, and what was given of it.
pub struct Allowed {
    remotes: Arc<Remotes>,
    spec: KustomizeSpec,
    handle: Handle,
    taken: Mutex<Vec<(String, String)>>,
}

impl Allowed {
    /// What was asked for and given, in the words of [`Remotes::known`].
    pub fn taken(&self) -> Vec<(String, String)> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone();
        taken.sort();
        taken.dedup();
        taken
    }

    fn note(&self, asked: String, is: &str) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).push((asked, is.to_owned()));
    }
}

/// It may be otherwise at the next try.
fn failed(problem: impl Into<RemoteProblem>) -> Refusal {
    Refusal::Failed(BuildFailure::new(problem.into()))
}

impl Elsewhere for Allowed {
    fn repository(&self, repository: &str, reference: &str) -> Result<Taken, Refusal> {
        let url = self.remotes.named(&self.spec, repository).ok_or(Refusal::NotNamed)?;
        let key = url.key().to_owned();
        let (tree, commit) = self.remotes.commit(url, reference).map_err(failed)?;
        self.note(format!("git {key} {reference}"), &commit);
        Ok(Taken { tree, is: commit })
    }

    fn file(&self, url: &str) -> Result<Vec<u8>, Refusal> {
        let digest = files::digest(&self.spec, url).ok_or(Refusal::NotNamed)?;
        let content = self.handle.block_on(self.remotes.file(url, digest)).map_err(failed)?;
        self.note(format!("file {url}"), digest);
        Ok(content)
    }

    fn chart(&self, repository: &str, name: &str, version: &str) -> Result<Taken, Refusal> {
        let read = |text: &str| Repository::read(text).ok();
        let asked = read(repository).ok_or(Refusal::NotNamed)?;
        if !self.spec.remote.iter().any(|named| read(named).as_ref() == Some(&asked)) {
            return Err(Refusal::NotNamed);
        }
        let spec = ChartSpec {
            repository: asked.to_string(),
            name: name.to_owned(),
            version: version.to_owned(),
            username: None,
            password_env: None,
            password_file: None,
            // A kustomization names a version, and the environment the repository: no signers.
            verify_keyring: None,
            verify: Vec::new(),
        };
        let Remotes { folder, config, images, fetcher, .. } = &*self.remotes;
        let alone = self.remotes.of_chart(&asked, name);
        let fetched = self.handle.block_on(async {
            let _alone = alone.lock().await;
            charts::pinned(&spec, folder, fetcher.clone(), images.clone(), config.clone()).await
        });
        let (release, files) = fetched.map_err(failed)?;
        self.note(format!("chart {asked} {name} {version}"), &release.digest);
        Ok(Taken { tree: Arc::new(files.files), is: release.digest })
    }

    fn dependency(
        &self,
        named: &DependencyRepository,
        repository: &Repository,
        name: &str,
        version: &str,
    ) -> Result<Packaged, Refusal> {
        let spec = dependencies::spec(named, repository, name, version);
        let (digest, archive, files) = self.handle.block_on(self.remotes.dependency(&spec)).map_err(failed)?;
        self.remotes.uses(named, &spec);
        self.note(format!("chart {repository} {name} {version}"), &digest);
        Ok(Packaged { archive: archive.into(), files: Arc::new(files.files) })
    }
}

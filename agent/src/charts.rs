//! Charts of registries and chart repositories, as environments deploy them: one source for each that is configured, however
//! many environments have it.
//!
//! ```text
//! source: which version is wanted ──► store: archives by their digest ──► files, as a render and a promotion see them
//!    ▲ an interval, `qd refresh`        ▲ a restart, an absent source
//! ```
//! A version that is kept is never asked for again, so that what is deployed does not change under its name.

pub mod source;
pub mod store;

mod signers;

mod error;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use quarterdeck_container::charts::fetch::Fetcher;
use quarterdeck_core::tree::Tree;
use quarterdeck_core::tree::layered::Layered;
use quarterdeck_core::tree::memory::Files;
use quarterdeck_shared::application::ChartSpec;
use quarterdeck_shared::revision::ChartRelease;
use tokio::sync::watch;
use tracing::Instrument as _;

pub use self::error::ChartProblem;
use self::source::{Asking, ChartSource};
use crate::config::Config;
use crate::images::Images;

/// Every chart that an environment has of elsewhere.
#[derive(Default)]
pub struct Charts {
    by_spec: Mutex<BTreeMap<ChartSpec, Arc<ChartSource>>>,
    fetcher: Arc<Fetcher>,
}

/// The files of a version, and the folder that they are shown under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartFiles {
    /// `podinfo@6.7.1`
    pub folder: String,
    /// By their paths below it.
    pub files: Files,
}

impl ChartFiles {
    /// These files beside those of a commit.
    pub fn over<'a>(&'a self, tree: &'a dyn Tree) -> Layered<'a> {
        Layered { tree, folder: &self.folder, files: &self.files }
    }

    /// Whether a path of such a tree is one of theirs.
    pub fn holds(&self, path: &str) -> bool {
        path.strip_prefix(&self.folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// The files of a chart of exactly one version, for whoever follows none: as they are kept below `folder`, else fetched.
///
/// # Errors
/// Where it is neither kept nor can be fetched.
pub async fn pinned(
    spec: &ChartSpec,
    folder: &Path,
    fetcher: Arc<Fetcher>,
    images: watch::Receiver<Arc<Images>>,
    config: watch::Receiver<Arc<Config>>,
) -> Result<(ChartRelease, ChartFiles), ChartProblem> {
    let source = ChartSource::new(spec, folder, Asking { fetcher, images, config })?;
    let release = source.at_hand().await?;
    let files = source.files(&release).await?;
    Ok((release, files))
}

/// The same with the archive as it was published.
///
/// # Errors
/// As [`pinned`].
pub async fn pinned_archive(
    spec: &ChartSpec,
    folder: &Path,
    fetcher: Arc<Fetcher>,
    images: watch::Receiver<Arc<Images>>,
    config: watch::Receiver<Arc<Config>>,
) -> Result<(ChartRelease, Vec<u8>, ChartFiles), ChartProblem> {
    let source = ChartSource::new(spec, folder, Asking { fetcher, images, config })?;
    let release = source.at_hand().await?;
    let archive = source.archive(&release).await?;
    let files = source::unpacked(&release, archive.clone()).await?;
    Ok((release, archive, files))
}

/// Whether the repository of a chart answers; how many versions of it there are.
///
/// # Errors
/// Where it does not.
pub async fn check(
    spec: &ChartSpec,
    folder: &Path,
    fetcher: Arc<Fetcher>,
    images: watch::Receiver<Arc<Images>>,
    config: watch::Receiver<Arc<Config>>,
) -> Result<usize, ChartProblem> {
    ChartSource::new(spec, folder, Asking { fetcher, images, config })?.check().await
}

impl Charts {
    /// The source of a chart; it begins to be asked with the first environment that has it.
    ///
    /// # Errors
    /// Where it is configured otherwise than the configuration is checked for.
    pub fn get(
        &self,
        spec: &ChartSpec,
        data_dir: &Path,
        images: &watch::Sender<Arc<Images>>,
        config: &watch::Sender<Arc<Config>>,
    ) -> Result<Arc<ChartSource>, ChartProblem> {
        let mut by_spec = self.by_spec.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = by_spec.get(spec) {
            return Ok(source.clone());
        }
        let asking = Asking { fetcher: self.fetcher.clone(), images: images.subscribe(), config: config.subscribe() };
        let source = Arc::new(ChartSource::new(spec, data_dir, asking)?);
        by_spec.insert(spec.clone(), source.clone());
        let span = tracing::error_span!("chart", chart = %spec.describe());
        tokio::spawn(source::follow(source.clone()).instrument(span));
        Ok(source)
    }

    /// Ends those that no environment has any more.
    pub fn keep_only(&self, used: &[Arc<ChartSource>]) {
        self.by_spec.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, source| {
            let keep = used.iter().any(|other| Arc::ptr_eq(other, source));
            if !keep {
                source.stop();
            }
            keep
        });
    }

    /// Every source.
    pub fn all(&self) -> Vec<Arc<ChartSource>> {
        self.by_spec.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Ends all of them.
    pub fn stop(&self) {
        self.keep_only(&[]);
    }
}

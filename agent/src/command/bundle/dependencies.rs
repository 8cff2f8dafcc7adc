//! What a chart of git depends on and has not beside it: the archives that the agent keeps, put where `helm dependency build` would
//! put them. The place that the bundle is for fetches nothing then.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use quarterdeck_container::charts::archive;
use quarterdeck_core::charts::address::Repository;
use quarterdeck_core::render::chart::{ChartError, archives};
use quarterdeck_core::render::elsewhere::{Elsewhere, Packaged, Refusal};
use quarterdeck_core::tree::Tree;
use quarterdeck_shared::application::{DependencyRepository, EnvironmentSpec};

use crate::charts::store::Store;
use crate::remotes;

/// Why the archives are not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeptError {
    /// One is not kept any more.
    #[error("the archive of chart {0} is not kept by the agent")]
    NotKept(String),
    /// The chart could not be rendered either.
    #[error(transparent)]
    Chart(#[from] ChartError),
}

/// The archives by their paths in the repository.
pub(super) fn kept(
    tree: &dyn Tree,
    spec: &EnvironmentSpec,
    data_dir: &Path,
) -> Result<BTreeMap<String, Arc<[u8]>>, KeptError> {
    if spec.helm.dependencies.is_empty() {
        return Ok(BTreeMap::new());
    }
    let kept = Kept { folder: remotes::folder(data_dir), missing: Mutex::default() };
    archives(tree, &spec.path, &spec.helm, &kept).map_err(|error| {
        let missing = kept.missing.lock().unwrap_or_else(PoisonError::into_inner).take();
        missing.map_or_else(|| error.into(), KeptError::NotKept)
    })
}

/// Gives what is kept, and nothing else.
struct Kept {
    folder: PathBuf,
    missing: Mutex<Option<String>>,
}

impl Elsewhere for Kept {
    fn dependency(
        &self,
        _: &DependencyRepository,
        repository: &Repository,
        name: &str,
        version: &str,
    ) -> Result<Packaged, Refusal> {
        let store = Store::of(&self.folder, repository, name);
        let bytes = store.chosen(version).and_then(|release| store.read(&release).ok().flatten());
        let unpacked = bytes.and_then(|bytes| Some((archive::read(&bytes).ok()?, bytes)));
        let Some((packaged, bytes)) = unpacked else {
            *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{name} {version}"));
            return Err(Refusal::NotNamed);
        };
        Ok(Packaged { archive: bytes.into(), files: Arc::new(packaged.files) })
    }
}

//! What a chart depends on and has not beside it: which repository it is of, whether that is allowed, and in which version it is
//! fetched.

use std::collections::BTreeSet;

use quarterdeck_shared::application::DependencyRepository;
use serde_json::Value;

use super::super::{ARCHIVES_BYTES_MAX, Chart, ChartError, DEPENDENCIES_MAX, below};
use super::{Asked, Fetching, Place};
use crate::charts::address::{Repository, check_name};
use crate::charts::lock::{self, Format, Lock, is_alias};
use crate::follow::version;
use crate::render::elsewhere::Refusal;
use crate::tree::Tree;
use crate::tree::paths::parent;

/// The lock file, and that of charts for Helm 2.
const LOCK: &str = "Chart.lock";
const OLD_LOCK: &str = "requirements.lock";

/// One that neither `charts/` nor a folder of the repository has.
pub(super) struct Missing {
    /// Which of the list.
    pub(super) index: usize,
    pub(super) name: String,
    /// As it is written.
    pub(super) repository: String,
}

impl Chart {
    /// Fetches what is missing, in the versions of the lock file.
    pub(super) fn fetch(
        &mut self,
        tree: &dyn Tree,
        place: &Place<'_>,
        asked: &Asked,
        missing: &[Missing],
        fetching: Option<Fetching<'_>>,
    ) -> Result<(), ChartError> {
        let path = below(place.folder, asked.named_by);
        let not_fetched = |Missing { name, repository, .. }: &Missing| {
            let (path, name) = (path.clone(), name.clone());
            ChartError::Dependency { path, name, repository: without_login(repository) }
        };
        let fetching = fetching.ok_or_else(|| not_fetched(&missing[0]))?;
        let is_nowhere = |one: &&Missing| one.repository.starts_with("file://") || one.repository.starts_with('(');
        if let Some(nowhere) = missing.iter().find(is_nowhere) {
            return Err(not_fetched(nowhere));
        }
        let lock = self.lock(tree, place, asked.format)?;
        let repositories =
            missing.iter().map(|one| one.address(&path, lock.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let named = named(&path, missing, &repositories, fetching.from)?;
        let Some((lock_path, lock)) = lock else {
            return Err(ChartError::NoLock { path, lock: below(place.folder, asked.format.lock_file()) });
        };
        let list = lock::dependencies(&Value::Array(asked.list.clone()));
        let list = list.map_err(|error| ChartError::Form { path: path.clone(), why: error.to_string() })?;
        if !lock.is_of(&list, asked.format) {
            return Err(ChartError::OutOfSync { path, lock: lock_path });
        }
        if self.archives.len() + missing.len() > DEPENDENCIES_MAX {
            return Err(ChartError::TooManyDependencies);
        }
        for ((one, repository), named) in missing.iter().zip(&repositories).zip(named) {
            let locked = &lock.dependencies[one.index];
            if version(&locked.version).is_none() {
                let (name, version) = (one.name.clone(), locked.version.clone());
                return Err(ChartError::Unlocked { lock: lock_path, name, version });
            }
            let at = below(&below(place.at, "charts"), &format!("{}-{}.tgz", one.name, locked.version));
            if self.archives.contains_key(&at) {
                continue;
            }
            let packaged = fetching.elsewhere.dependency(named, repository, &one.name, &locked.version);
            let packaged = packaged.map_err(|refusal| match refusal {
                Refusal::NotNamed => not_fetched(one),
                Refusal::Failed(source) => {
                    let chart = format!("{} {} of {repository}", one.name, locked.version);
                    ChartError::Elsewhere { path: path.clone(), chart, source }
                }
            })?;
            for entry in
                packaged.files.entries("").map_err(|source| ChartError::Read { path: at.clone(), source })?.entries
            {
                self.look_into(&*packaged.files, &entry.path, &entry)?;
            }
            self.archives.insert(at, packaged.archive);
            if self.archives.values().map(|archive| archive.len()).sum::<usize>() > ARCHIVES_BYTES_MAX {
                return Err(ChartError::TooLarge);
            }
        }
        Ok(())
    }

    /// The lock file and its path in the repository; nothing where there is none.
    fn lock(&self, tree: &dyn Tree, place: &Place<'_>, format: Format) -> Result<Option<(String, Lock)>, ChartError> {
        for name in [format.lock_file(), LOCK, OLD_LOCK] {
            if let Some(written) = self.read_yaml(tree, &below(place.at, name))? {
                let path = below(place.folder, name);
                return match Lock::read(&written) {
                    Ok(lock) => Ok(Some((path, lock))),
                    Err(error) => Err(ChartError::Form { path, why: error.to_string() }),
                };
            }
        }
        Ok(None)
    }
}

impl Missing {
    /// Where it is fetched from: what its alias stands for is in the lock file.
    fn address(&self, path: &str, lock: Option<&(String, Lock)>) -> Result<Repository, ChartError> {
        let locked = lock.and_then(|(_, lock)| lock.dependencies.get(self.index));
        let locked = locked.filter(|locked| is_alias(&self.repository) && locked.name == self.name);
        let repository = locked.map_or(&self.repository, |locked| &locked.repository);
        if is_alias(repository) && lock.is_none() {
            return Err(ChartError::NoLock { path: path.to_owned(), lock: below(parent(path), LOCK) });
        }
        let wrong = |source| ChartError::Address { path: path.to_owned(), name: self.name.clone(), source };
        check_name(&self.name).map_err(wrong)?;
        Repository::read(repository).map_err(wrong)
    }
}

impl Format {
    fn lock_file(self) -> &'static str {
        match self {
            Self::V1 => OLD_LOCK,
            Self::V2 => LOCK,
        }
    }
}

/// What the configuration says of each of these repositories: the longest address that covers it.
fn named<'a>(
    path: &str,
    missing: &[Missing],
    repositories: &[Repository],
    from: &'a [DependencyRepository],
) -> Result<Vec<&'a DependencyRepository>, ChartError> {
    let of = |repository: &Repository| {
        let covering =
            from.iter().filter(|named| Repository::read(&named.repository).is_ok_and(|named| named.covers(repository)));
        covering.max_by_key(|named| named.repository.len())
    };
    let found: Vec<_> = repositories.iter().map(of).collect();
    let Some(first) = found.iter().position(Option::is_none) else { return Ok(found.into_iter().flatten().collect()) };
    let absent = repositories.iter().zip(&found).filter(|(_, named)| named.is_none());
    let absent: BTreeSet<String> = absent.map(|(repository, _)| format!("{:?}", repository.to_string())).collect();
    let absent = absent.into_iter().collect::<Vec<_>>().join(", ");
    Err(ChartError::NotNamed {
        path: path.to_owned(),
        name: missing[first].name.clone(),
        repository: repositories[first].to_string(),
        add: match from.is_empty() {
            true => format!("dependencies = [{absent}] to"),
            false => format!("{absent} to `dependencies` of"),
        },
    })
}

/// An address without what may be a password in it.
fn without_login(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    let host = rest[..end].rfind('@').map_or(rest, |at| &rest[at + 1..]);
    format!("{scheme}://{host}")
}

//! The other sources of an environment's files: what each is at, and its files beside those of the environment's own repository.

use quarterdeck_shared::revision::{Revision, SourceRevision};
use quarterdeck_shared::snapshot::EnvironmentStatus;

use super::ReconcileError;
use super::target::{self, Origin};
use crate::context::{Environment, Source};
use crate::source_tree::SourceTree;

/// What each source is at: that of the pin, else what it follows.
pub(super) async fn in_force(
    environment: &Environment,
    status: &EnvironmentStatus,
) -> Result<Vec<SourceRevision>, ReconcileError> {
    let pin = status.pin.as_ref().map(|pin| &pin.revision);
    at(environment, pin, status.revision.as_ref()).await
}

/// What each source follows, whatever is pinned.
pub(super) async fn newest(
    environment: &Environment,
    status: &EnvironmentStatus,
) -> Result<Vec<SourceRevision>, ReconcileError> {
    at(environment, None, status.revision.as_ref()).await
}

/// The files of each source at a revision.
///
/// # Errors
/// Where the revision says nothing of one, or the environment's own repository has a folder of that name.
pub(super) async fn trees(environment: &Environment, revision: &Revision) -> Result<Vec<SourceTree>, ReconcileError> {
    let missing = environment.sources.iter().find(|source| revision.source(&source.spec.name).is_none());
    if let Some(source) = missing {
        let (name, revision) = (source.spec.name.to_string(), revision.short());
        return Err(ReconcileError::SourceMissing { name, revision });
    }
    let trees = known_trees(environment, revision);
    if trees.is_empty() {
        return Ok(trees);
    }
    let folders: Vec<String> = trees.iter().map(|tree| tree.folder.clone()).collect();
    let commit = revision.commit.clone();
    let hidden = environment.repository.work(move |mirror| {
        for folder in folders {
            if mirror.tree_of(&commit, &folder)?.is_some() || mirror.entry(&commit, &folder)?.is_some() {
                return Ok(Some(folder));
            }
        }
        Ok(None)
    });
    // Where it cannot be read the render says so, or does with what was kept.
    match hidden.await.unwrap_or(None) {
        Some(folder) => {
            Err(ReconcileError::SourceHidden { folder, repository: environment.repository.address().to_owned() })
        }
        None => Ok(trees),
    }
}

/// The files of those sources that a revision says something of.
pub(super) fn known_trees(environment: &Environment, revision: &Revision) -> Vec<SourceTree> {
    let tree = |source: &Source| {
        let commit = revision.source(&source.spec.name)?.commit.clone();
        Some(SourceTree::new(source.spec.folder(), source.repository.mirror(), commit, &source.spec.path))
    };
    environment.sources.iter().filter_map(tree).collect()
}

/// The files of each source at what it follows, and their folders: what a promotion renders with.
///
/// # Errors
/// Where one cannot be resolved.
pub async fn newest_trees(
    environment: &Environment,
    deployed: Option<&Revision>,
) -> Result<Vec<SourceTree>, ReconcileError> {
    let mut trees = Vec::with_capacity(environment.sources.len());
    for SourceRevision { name, at } in at(environment, None, deployed).await? {
        let source = environment.sources.iter().find(|source| source.spec.name == name);
        trees.extend(source.map(|source| {
            SourceTree::new(source.spec.folder(), source.repository.mirror(), at.commit, &source.spec.path)
        }));
    }
    Ok(trees)
}

/// Whether each was asked for what it is at, by this run of the agent or an earlier one that kept it.
pub(super) fn were_asked(environment: &Environment) -> bool {
    environment.sources.iter().all(|source| source.repository.refs().borrow().is_some())
}

/// A source as a place that something is deployed from.
pub(super) fn of<'a>(environment: &'a Environment, source: &'a Source) -> Origin<'a> {
    Origin {
        repository: &source.repository,
        follow: &source.spec.follow,
        environment: &environment.id,
        source: Some(&source.spec.name),
    }
}

async fn at(
    environment: &Environment,
    pin: Option<&Revision>,
    deployed: Option<&Revision>,
) -> Result<Vec<SourceRevision>, ReconcileError> {
    let mut all = Vec::with_capacity(environment.sources.len());
    for source in &environment.sources {
        let name = &source.spec.name;
        let at = one(environment, source, pin, deployed).await.map_err(|error| error.of_source(name))?;
        all.push(SourceRevision { name: name.clone(), at });
    }
    Ok(all)
}

/// What one is at: what it is in `pin`, else what it follows.
pub(super) async fn one(
    environment: &Environment,
    source: &Source,
    pin: Option<&Revision>,
    deployed: Option<&Revision>,
) -> Result<Revision, ReconcileError> {
    let (name, origin) = (&source.spec.name, of(environment, source));
    let of = |revision: Option<&Revision>| revision.and_then(|revision| revision.source(name)).cloned();
    let asked = target::asked(origin, of(pin).as_ref(), of(deployed).as_ref()).await?;
    target::revision(origin, asked).await
}

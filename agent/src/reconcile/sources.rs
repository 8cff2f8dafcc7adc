//! The other sources of an environment's files: what each is at, and its files beside those of the environment's own repository.

use quarterdeck_core::oci_artifact;
use quarterdeck_shared::application::EnvironmentSourceName;
use quarterdeck_shared::revision::{CommitId, Revision, SourceRevision};
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
    let folders: Vec<String> = apart(environment).map(|source| source.spec.folder()).collect();
    if folders.is_empty() {
        return Ok(trees);
    }
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
pub fn known_trees(environment: &Environment, revision: &Revision) -> Vec<SourceTree> {
    let tree = |source: &Source| {
        let commit = match source.spec.bundled {
            true => revision.commit.clone(),
            false => revision.source(&source.spec.name)?.commit.clone(),
        };
        Some(SourceTree::new(source.spec.folder(), source.repository.mirror(), commit, &source.spec.path))
    };
    environment.sources.iter().filter_map(tree).collect()
}

/// What the environment's own repository and each source is at, whatever is pinned, but for one of these that is at `tip`: what a
/// promotion into that one renders with. It is the environment's own where `of` is absent.
///
/// # Errors
/// Where one cannot be resolved.
pub async fn with_tip(
    environment: &Environment,
    deployed: Option<&Revision>,
    of: Option<&EnvironmentSourceName>,
    tip: CommitId,
) -> Result<Revision, ReconcileError> {
    let at_tip = Revision::new(Revision::COMMIT, tip);
    let own = match of {
        None => at_tip.clone(),
        Some(_) => {
            let asked = target::asked(Origin::own(environment), None, deployed).await?;
            target::revision(Origin::own(environment), asked).await?
        }
    };
    let mut all = Vec::with_capacity(environment.sources.len());
    for source in apart(environment) {
        let name = &source.spec.name;
        let at = match of == Some(name) {
            true => at_tip.clone(),
            false => one(environment, source, None, deployed).await.map_err(|error| error.of_source(name))?,
        };
        all.push(SourceRevision { name: name.clone(), at });
    }
    Ok(joined(environment, own, all).await)
}

/// A revision of the environment's own repository with what its sources are at. Those that are in its artifact are at what that says of
/// them, so that the history names the commits that they were bundled of.
pub(super) async fn joined(environment: &Environment, own: Revision, mut others: Vec<SourceRevision>) -> Revision {
    let bundled = || environment.sources.iter().filter(|source| source.spec.bundled);
    if bundled().next().is_some() {
        let commit = own.commit.clone();
        let message = environment.repository.work(move |mirror| Ok(mirror.commit_info(&commit)?.message)).await;
        // One that cannot be read is told by the render.
        let said = message.ok().and_then(|message| oci_artifact::revision_of(&message));
        for Source { spec, .. } in bundled() {
            let said = said.as_ref().and_then(|revision| revision.source(&spec.name)).cloned();
            let at = said.unwrap_or_else(|| Revision { sources: Box::default(), chart: None, ..own.clone() });
            let is_pinned = own.reference == Revision::PIN;
            let reference = if is_pinned { own.reference.clone() } else { at.reference.clone() };
            others.push(SourceRevision { name: spec.name.clone(), at: Revision { reference, ..at } });
        }
    }
    own.with_sources(others)
}

/// The sources that are in no artifact of the environment.
pub(super) fn apart(environment: &Environment) -> impl Iterator<Item = &Source> {
    environment.sources.iter().filter(|source| !source.spec.bundled)
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
    for source in apart(environment) {
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

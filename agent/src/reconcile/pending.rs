//! What waits in git: commits of the branch or tag that an environment does not run since it is held, or since a person
//! decides.

use quarterdeck_shared::application::{EnvironmentSource, EnvironmentSpec};
use quarterdeck_shared::revision::{CommitId, Revision, SourceRevision};
use quarterdeck_shared::snapshot::{EnvironmentStatus, Pending};

use super::{Synced, queries};
use crate::context::Environment;
use crate::poll::Repository;
use crate::source_tree::paths_of;

/// The commits that change the environment and wait; none where it follows git by itself, or where that cannot be said.
pub(super) async fn pending(
    environment: &Environment,
    status: &EnvironmentStatus,
    synced: Option<&Synced>,
) -> Option<Pending> {
    if !status.is_held() && environment.spec.sync.automatic {
        return None;
    }
    // A pin that is not applied yet is about to be.
    let pinned = status.pin.as_ref().map(|pin| &pin.revision);
    let now = pinned.or(status.revision.as_ref())?;
    let newest = queries::head(environment, status).await.ok()?;
    if newest.commit == now.commit && newest.sources.iter().all(|source| is_at(now, source)) {
        return None;
    }
    // What was rendered last, else the folder: a commit that changes something else waits for nobody here.
    let rendered = synced.map(|synced| synced.inputs.files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>());
    let paths = rendered.filter(|paths| !paths.is_empty()).or_else(|| whole(&environment.spec))?;
    let folders: Vec<String> = environment.spec.sources.iter().map(EnvironmentSource::folder).collect();
    let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
    let own = paths_of(None, &folders, &paths);
    let mut commits = ahead(&environment.repository, &newest.commit, &now.commit, own).await?;
    for source in &environment.sources {
        let name = &source.spec.name;
        let taken = paths_of(Some((&source.spec.folder(), &source.spec.path)), &folders, &paths);
        if source.spec.bundled {
            commits = commits.max(ahead(&environment.repository, &newest.commit, &now.commit, taken).await?);
            continue;
        }
        let (Some(head), Some(now)) = (newest.source(name), now.source(name)) else { continue };
        commits += ahead(&source.repository, &head.commit, &now.commit, taken).await?;
    }
    // Several repositories may each have as many as are counted.
    let commits = commits.min(Pending::MAX as usize) as u32;
    (commits > 0).then_some(Pending { commits, newest })
}

/// Whether a source is at the commit that a revision has of it.
fn is_at(revision: &Revision, source: &SourceRevision) -> bool {
    revision.source(&source.name).is_some_and(|at| at.commit == source.at.commit)
}

/// Commits of one repository that change one of these; nothing where that cannot be said.
async fn ahead(repository: &Repository, head: &CommitId, now: &CommitId, paths: Vec<String>) -> Option<usize> {
    if head == now || paths.is_empty() {
        return Some(0);
    }
    let (head, now, most) = (head.clone(), now.clone(), Pending::MAX as usize);
    repository.work(move |mirror| mirror.ahead(&head, &now, &paths, most)).await.ok()
}

/// What may change it before it was rendered: its folder and the values files of its chart, or these alone where the chart comes
/// from elsewhere; nothing where it has none of these.
fn whole(spec: &EnvironmentSpec) -> Option<Vec<String>> {
    let folder = spec.helm.chart.is_none().then(|| spec.path.clone());
    let paths: Vec<String> = folder.into_iter().chain(spec.helm.values_files.iter().cloned()).collect();
    Some(paths).filter(|paths| !paths.is_empty())
}

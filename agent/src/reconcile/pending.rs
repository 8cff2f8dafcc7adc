//! What waits in git: commits of the branch or tag that an environment does not run since it is held, or since a person
//! decides.

use quarterdeck_shared::application::EnvironmentSpec;
use quarterdeck_shared::snapshot::{EnvironmentStatus, Pending};

use super::{Synced, queries};
use crate::context::Environment;

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
    let now = pinned.or(status.revision.as_ref())?.commit.clone();
    let newest = queries::head(environment, status).await.ok()?;
    let head = newest.commit.clone();
    if head == now {
        return None;
    }
    // What was rendered last, else the folder: a commit that changes something else waits for nobody here.
    let rendered = synced.map(|synced| synced.inputs.files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>());
    let paths = rendered.filter(|paths| !paths.is_empty()).or_else(|| whole(&environment.spec))?;
    let most = Pending::MAX as usize;
    let count = environment.repository.work(move |mirror| mirror.ahead(&head, &now, &paths, most)).await;
    let commits = count.ok().filter(|count| *count > 0)? as u32;
    Some(Pending { commits, newest })
}

/// What may change it before it was rendered: its folder, or its values where the chart comes from elsewhere; nothing where
/// it has none of these.
fn whole(spec: &EnvironmentSpec) -> Option<Vec<String>> {
    match &spec.helm.chart {
        Some(_) => Some(spec.helm.values_files.clone()).filter(|files| !files.is_empty()),
        None => Some(vec![spec.path.clone()]),
    }
}

//! The chart of an environment that comes from a registry or a chart repository: which version is deployed, and its files.

use quarterdeck_shared::error::Failure;
use quarterdeck_shared::revision::{ChartRelease, Revision};
use quarterdeck_shared::snapshot::EnvironmentStatus;

use super::ReconcileError;
use crate::charts::source::ChartState;
use crate::charts::{ChartFiles, ChartProblem};
use crate::context::Environment;

/// The version that is to be deployed: that of the pin, else the newest that is wanted. Nothing where the chart is in the
/// deploy repository.
pub(super) fn in_force(
    environment: &Environment,
    status: &EnvironmentStatus,
) -> Result<Option<ChartRelease>, ReconcileError> {
    let pinned = status.pin.as_ref().and_then(|pin| pin.revision.chart.as_deref());
    let is_ours =
        |release: &&ChartRelease| environment.spec.helm.chart.as_ref().is_some_and(|chart| chart.name == release.name);
    match pinned.filter(is_ours) {
        Some(pinned) => Ok(Some(pinned.clone())),
        None => newest(environment),
    }
}

/// The newest version that is wanted, as far as is known.
pub(super) fn newest(environment: &Environment) -> Result<Option<ChartRelease>, ReconcileError> {
    let Some(source) = &environment.chart else { return Ok(None) };
    let chart = || source.spec.describe();
    match source.state().borrow().clone() {
        ChartState { release: Some(release), .. } => Ok(Some(release)),
        ChartState { failure: Some(why), .. } => Err(ReconcileError::Chart { chart: chart(), why }),
        ChartState { .. } => Err(ReconcileError::ChartAwaited { chart: chart() }),
    }
}

/// The files of the chart of a revision.
pub(super) async fn files(
    environment: &Environment,
    revision: &Revision,
) -> Result<Option<ChartFiles>, ReconcileError> {
    let (Some(source), Some(release)) = (&environment.chart, &revision.chart) else { return Ok(None) };
    let failed = |problem: ChartProblem| {
        let (chart, why) = (release.short(), Failure::of(&problem));
        match problem.is_rejection() {
            true => ReconcileError::ChartRejected { chart, why },
            false => ReconcileError::Chart { chart, why },
        }
    };
    source.files(release).await.map(Some).map_err(failed)
}

//! Rendering by the kinds that the cluster serves, and saying which of them the environment uses: it is woken when one of
//! those comes, goes or changes.

use std::collections::BTreeSet;

use quarterdeck_shared::revision::Revision;

use super::reuse::Made;
use super::{ReconcileError, cluster_error, render_by};
use crate::context::{Context, Environment};
use quarterdeck_core::render::RenderError;
use quarterdeck_core::sync::manifest::Manifest;
use quarterdeck_kubernetes::{ApiProblem, Use, Used};

/// Renders for a pass. A kind that is missing may have come since the cluster was asked.
pub(super) async fn render(
    context: &Context,
    environment: &Environment,
    revision: &Revision,
    for_a_person: bool,
    anew: bool,
) -> Result<Made, ReconcileError> {
    let cluster = &environment.cluster;
    let failed = |problem: ApiProblem| cluster_error(environment, problem.into());
    let mut kinds = cluster.kinds().await.map_err(failed)?;
    let mut rendered = render_by(context, environment, revision, kinds.clone(), anew).await;
    if rendered.as_ref().is_err_and(|error| missing(error).is_some()) {
        let newer = cluster.kinds_again(for_a_person).await.map_err(failed)?;
        if newer != kinds {
            kinds = newer;
            rendered = render_by(context, environment, revision, kinds.clone(), anew).await;
        }
    }
    match &rendered {
        Ok(Made { rendered, .. }) => {
            let used = Used { kinds: used(&rendered.manifests), all: rendered.asks_capabilities };
            cluster.uses(&environment.id, used, &kinds);
        }
        Err(error) => {
            // Of what else is wrong with the manifests nothing follows for their kinds.
            if let Some((api_version, kind)) = missing(error) {
                let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
                let kinds_used = Use::new(group, kind, version).into_iter().collect();
                cluster.uses(&environment.id, Used { kinds: kinds_used, all: false }, &kinds);
            }
        }
    }
    rendered
}

fn missing(error: &ReconcileError) -> Option<(&str, &str)> {
    match error {
        ReconcileError::Render { source, .. } => match &**source {
            RenderError::UnknownKind { api_version, kind, .. } => Some((api_version, kind)),
            _ => None,
        },
        _ => None,
    }
}

/// The kinds that others define. What stands beside its definition comes with it.
fn used(manifests: &[Manifest]) -> BTreeSet<Use> {
    let own: BTreeSet<_> = manifests.iter().filter_map(|one| one.defines.clone()).collect();
    let all = manifests.iter().filter_map(|one| Use::new(&one.resource.group, &one.resource.kind, &one.version));
    all.filter(|one| !own.contains(&(one.group.clone(), one.kind.clone()))).collect()
}

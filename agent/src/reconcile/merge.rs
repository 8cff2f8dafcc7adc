//! What merging a commit would change: of the difference to the cluster that, which its own commits are the reason for.
//!
//! A merge request may be behind the branch it is merged into, and the cluster behind both. So its manifests are compared with
//! those of the commit where the two parted: what is alike there is not its doing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use quarterdeck_shared::change::Plan;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::revision::Revision;

use super::{ReconcileError, chart, queries, render, render_commit};
use crate::context::{Context, Environment};
use crate::wanted::Inputs;
use quarterdeck_core::render::Rendered;
use quarterdeck_core::sync::digest::ContentDigest;
use quarterdeck_git::CommitId;

/// What merging `head` into the branch of the environment, which is at `tip`, would change.
pub async fn plan(
    context: &Arc<Context>,
    environment: &Environment,
    head: &CommitId,
    tip: &CommitId,
) -> Result<Plan, ReconcileError> {
    // Of both the chart is the one that is wanted now: no merge request of a deploy repository changes it.
    let chart = chart::newest(environment)?;
    let with_chart = |commit: CommitId| Revision::new(Revision::PIN, commit).with_chart(chart.clone());
    let revision = with_chart(head.clone());
    let nothing = Plan { revision: revision.clone(), changes: Vec::new(), steps: Vec::new() };
    let (deployed, _) = context.wanted.last_rendered(&environment.id);
    if let Some(deployed) = deployed.filter(|deployed| deployed.spec == environment.spec)
        && is_same(&deployed.inputs, environment, &revision).await
    {
        return Ok(nothing);
    }
    let before = match parted(environment, head, tip).await? {
        Some(base) => rendered(context, environment, with_chart(base)).await?,
        None => None,
    };
    if let Some((base, before)) = &before {
        let inputs = render_commit::inputs(&environment.repository, base, &before.inputs).await;
        if is_same(&inputs, environment, &revision).await {
            return Ok(nothing);
        }
    }
    let after = render(context, environment, &revision).await?;
    let touched = touched(before.as_ref().map(|(_, before)| before), &after);
    if touched.is_empty() {
        return Ok(nothing);
    }
    let mut plan = queries::diff_to(context, environment, revision, &after).await?.plan;
    plan.changes.retain(|change| touched.contains(&change.resource));
    Ok(plan)
}

async fn is_same(inputs: &Inputs, environment: &Environment, revision: &Revision) -> bool {
    render_commit::are_same_in(inputs, &environment.repository, revision).await
}

/// The newest commit from which both come.
async fn parted(
    environment: &Environment,
    head: &CommitId,
    tip: &CommitId,
) -> Result<Option<CommitId>, ReconcileError> {
    let (one, other) = (head.clone(), tip.clone());
    let base = environment.repository.work(move |mirror| mirror.merge_base(&one, &other)).await;
    let what = || format!("where {} left the branch", head.short());
    base.map_err(|source| ReconcileError::Resolve { what: what(), source })
}

/// The manifests of the commit where the two parted. Nothing where they cannot be rendered: whatever is there after the merge
/// is its doing then.
async fn rendered(
    context: &Context,
    environment: &Environment,
    base: Revision,
) -> Result<Option<(Revision, Rendered)>, ReconcileError> {
    match render(context, environment, &base).await {
        Ok(rendered) => Ok(Some((base, rendered))),
        Err(ReconcileError::Render { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The objects that one render has and the other has not, or otherwise; those of hooks too.
fn touched(before: Option<&Rendered>, after: &Rendered) -> BTreeSet<ResourceRef> {
    let digests = |rendered: &Rendered| -> HashMap<ResourceRef, ContentDigest> {
        rendered.all().map(|manifest| (manifest.resource.clone(), manifest.digest)).collect()
    };
    let (before, after) = (before.map(digests).unwrap_or_default(), digests(after));
    let differs = |resource: &&ResourceRef| before.get(*resource) != after.get(*resource);
    before.keys().chain(after.keys()).filter(differs).cloned().collect()
}

//! What merging a commit would change: of the difference to the cluster that, which its own commits are the reason for.
//!
//! A merge request may be behind the branch it is merged into, and the cluster behind both. So its manifests are compared with
//! those of the commit where the two parted: what is alike there is not its doing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use quarterdeck_shared::change::Plan;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::revision::Revision;

use super::{ReconcileError, queries, render, render_commit};
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
    let revision = Revision::new(Revision::PIN, head.clone());
    let nothing = Plan { revision: revision.clone(), changes: Vec::new(), steps: Vec::new() };
    let (deployed, _) = context.wanted.last_rendered(&environment.id);
    if let Some(deployed) = deployed.filter(|deployed| deployed.spec == environment.spec)
        && is_same(&deployed.inputs, environment, head).await
    {
        return Ok(nothing);
    }
    let before = parted(context, environment, head, tip).await?;
    if let Some((base, before)) = &before {
        let inputs = render_commit::inputs(&environment.repository, base, &before.inputs).await;
        if is_same(&inputs, environment, head).await {
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

async fn is_same(inputs: &Inputs, environment: &Environment, commit: &CommitId) -> bool {
    render_commit::are_same_in(inputs, &environment.repository, commit).await
}

/// The commit from which both come, and its manifests. Nothing where they have none in common, or it has no manifests that can
/// be rendered: whatever is there after the merge is its doing then.
async fn parted(
    context: &Arc<Context>,
    environment: &Environment,
    head: &CommitId,
    tip: &CommitId,
) -> Result<Option<(CommitId, Rendered)>, ReconcileError> {
    let (one, other) = (head.clone(), tip.clone());
    let base = environment.repository.work(move |mirror| mirror.merge_base(&one, &other)).await;
    let what = || format!("where {} left the branch", head.short());
    let Some(base) = base.map_err(|source| ReconcileError::Resolve { what: what(), source })? else {
        return Ok(None);
    };
    match render(context, environment, &Revision::new(Revision::PIN, base.clone())).await {
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

//! What merging a commit would change: of the difference to the cluster that, which its own commits are the reason for.
//!
//! A merge request may be behind the branch it is merged into, and the cluster behind both. So its manifests are compared with
//! those of the commit where the two parted: what is alike there is not its doing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use quarterdeck_shared::application::EnvironmentSourceName;
use quarterdeck_shared::change::Plan;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::revision::{Revision, SourceRevision};

use super::{ReconcileError, chart, queries, render, render_commit};
use crate::context::{Context, Environment};
use crate::poll::Repository;
use crate::wanted::Inputs;
use quarterdeck_core::render::Rendered;
use quarterdeck_core::sync::digest::ContentDigest;
use quarterdeck_git::CommitId;

/// What merging `head` into the branch of the environment, which is at `tip`, would change: that of its own repository, or that of
/// one of its sources.
pub async fn plan(
    context: &Arc<Context>,
    environment: &Environment,
    of: Option<&EnvironmentSourceName>,
    head: &CommitId,
    tip: &CommitId,
) -> Result<Plan, ReconcileError> {
    // Of both all else is what is wanted now: a merge request changes one repository.
    let status = queries::status(context, environment)?;
    let chart = chart::newest(environment)?;
    let now = queries::head(environment, &status).await?.with_chart(chart);
    let with = |commit: CommitId| merged(&now, of, commit);
    let revision = with(head.clone());
    let repository = environment.repository_of(of);
    let nothing = Plan { revision: revision.clone(), changes: Vec::new(), steps: Vec::new() };
    let (deployed, _) = context.wanted.last_rendered(&environment.id);
    if let Some(deployed) = deployed.filter(|deployed| deployed.spec == environment.spec)
        && is_same(&deployed.inputs, environment, &revision).await
    {
        return Ok(nothing);
    }
    let before = match parted(repository, head, tip).await? {
        Some(base) => rendered(context, environment, with(base)).await?,
        None => None,
    };
    if let Some((base, before)) = &before {
        let inputs = render_commit::inputs(environment, base, &before.inputs).await;
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

/// What is wanted now, with another commit of one repository.
fn merged(now: &Revision, of: Option<&EnvironmentSourceName>, commit: CommitId) -> Revision {
    let own = if of.is_none() { commit.clone() } else { now.commit.clone() };
    let source = |source: &SourceRevision| match of == Some(&source.name) {
        true => SourceRevision { name: source.name.clone(), at: Revision::new(Revision::PIN, commit.clone()) },
        false => source.clone(),
    };
    let sources = now.sources.iter().map(source).collect();
    Revision::new(Revision::PIN, own).with_chart(now.chart.as_deref().cloned()).with_sources(sources)
}

async fn is_same(inputs: &Inputs, environment: &Environment, revision: &Revision) -> bool {
    render_commit::are_same_in(inputs, environment, revision).await
}

/// The newest commit from which both come.
async fn parted(repository: &Repository, head: &CommitId, tip: &CommitId) -> Result<Option<CommitId>, ReconcileError> {
    let (one, other) = (head.clone(), tip.clone());
    let base = repository.work(move |mirror| mirror.merge_base(&one, &other)).await;
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

//! What of the manifests is wanted, and what of a plan was applied before.

use std::collections::HashMap;

use quarterdeck_shared::change::Action;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::revision::Revision;

use super::ReconcileError;
use super::decide::Differing;
use crate::history::Intent;
use quarterdeck_core::render::Rendered;
use quarterdeck_core::sync::manifest::Manifest;
use quarterdeck_core::sync::plan::Memory;
use quarterdeck_kubernetes::PlannedSync;

/// All manifests, or those that a person named.
pub(super) fn select(
    rendered: &Rendered,
    revision: &Revision,
    intent: Option<&Intent>,
) -> Result<Vec<Manifest>, ReconcileError> {
    let only = intent.map(|intent| intent.request.only.as_slice()).unwrap_or_default();
    if let Some(unknown) = only.iter().find(|one| !rendered.manifests.iter().any(|manifest| manifest.resource == **one))
    {
        let (unknown, at) = (unknown.short(), revision.short());
        return Err(ReconcileError::NoSuch(format!(
            "{unknown} is not in {at}, and a sync of named objects prunes nothing"
        )));
    }
    let is_wanted = |manifest: &&Manifest| only.is_empty() || only.contains(&manifest.resource);
    Ok(rendered.manifests.iter().filter(is_wanted).cloned().collect())
}

/// The objects that a plan writes with the manifest that they had when they were last applied.
pub(super) fn applied_before(planned: &PlannedSync, memory: &Memory) -> HashMap<ResourceRef, bool> {
    let is_same = |manifest: &Manifest| memory.get(&manifest.resource).is_some_and(|it| it.manifest == manifest.digest);
    planned.writes().map(|manifest| (manifest.resource.clone(), is_same(manifest))).collect()
}

pub(super) fn differing<'a>(planned: &'a PlannedSync, again: &HashMap<ResourceRef, bool>) -> Vec<Differing<'a>> {
    let is_different = |action| matches!(action, Action::Create | Action::Configure | Action::Prune);
    let changes = planned.changes.iter().filter(|change| is_different(change.action));
    changes.map(|change| Differing { change, again: again.get(&change.resource) == Some(&true) }).collect()
}

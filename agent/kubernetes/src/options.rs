//! How a sync is to be done.

use std::sync::Arc;

use quarterdeck_shared::resource::ResourceRef;

use crate::pull_secrets::PullSecrets;
use quarterdeck_core::hooks::Wanted;
use quarterdeck_core::sync::neighbours::Neighbours;
use quarterdeck_core::sync::plan::Leaving;

/// How a sync is to be planned and executed.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The environment's namespace: where its inventory is.
    pub namespace: String,
    /// Make that namespace where it is not there.
    pub create_namespace: bool,
    /// What its cluster pulls images with.
    pub pull_secrets: Arc<PullSecrets>,
    /// Delete what left git.
    pub prune: bool,
    /// Compare every object, whatever is remembered.
    pub full: bool,
    /// `desired` holds only some objects of the environment: touch nothing else.
    pub partial: bool,
    /// What left git and is deleted whatever is in it: a person named it.
    pub prune_anyway: Vec<ResourceRef>,
    /// What the other environments of this agent want in the cluster; none where that was not looked at: nothing is taken
    /// over from one of them then.
    pub neighbours: Option<Arc<Neighbours>>,
    /// Read the inventory anew also where nothing is to be written: a new revision came, and so may have another agent.
    pub fresh: bool,
    /// The hooks of the release; none where `desired` is not all of one.
    pub hooks: Option<Arc<Wanted>>,
}

impl Options {
    pub(crate) fn leaving(&self) -> Leaving<'_> {
        Leaving { prune: self.prune, anyway: &self.prune_anyway, neighbours: self.neighbours.as_deref() }
    }
}

//! What other controllers hold of an environment's objects, and what an adoption would write.

use serde::{Deserialize, Serialize};

use crate::application::EnvironmentId;
use crate::resource::ResourceRef;
use crate::revision::Revision;

/// The answer of [`ADOPTION`](crate::routes::ADOPTION). An adoption writes ownership alone: no field of an object changes by it,
/// except labels and annotations of ownership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptionAnswer {
    /// Whose.
    pub environment: EnvironmentId,
    /// The revision whose manifests name the objects.
    pub revision: Revision,
    /// The objects that another controller holds, in the order in which they are applied.
    pub objects: Vec<AdoptedObject>,
    /// The controllers that hold them.
    pub holders: Vec<HolderAnswer>,
    /// Objects of the manifests that belong to other environments, and why nothing is adopted for it.
    pub refusals: Vec<String>,
    /// How many objects exist that no other controller holds: a sync applies them as always.
    pub free: u32,
    /// How many objects do not exist: a sync creates them.
    pub missing: u32,
    /// What could not be looked at, and why.
    pub unseen: Vec<String>,
}

/// An object that another controller holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptedObject {
    /// Which.
    pub resource: ResourceRef,
    /// Who holds it, and by what sign.
    pub held_by: Vec<HeldBy>,
    /// The field managers whose fields become the environment's.
    pub managers: Vec<String>,
    /// Whether it gets the labels of the environment.
    pub labels: bool,
    /// Whether it is added to the inventory of the environment.
    pub inventory: bool,
    /// The tracking that is removed, since the other controller would delete the object by it or revert its changes:
    /// `annotation argocd.argoproj.io/tracking-id`.
    pub removes: Vec<String>,
    /// How many of its fields the next sync changes; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differs: Option<u32>,
    /// Why that is not known; empty where it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub problem: String,
}

impl AdoptedObject {
    /// Whether nothing is left to be written.
    pub fn is_done(&self) -> bool {
        self.managers.is_empty() && !self.labels && !self.inventory && self.removes.is_empty()
    }
}

/// Who holds an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBy {
    /// `Argo CD Application argocd/shop`.
    pub holder: String,
    /// `annotation argocd.argoproj.io/tracking-id`.
    pub sign: String,
}

/// A controller that holds objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderAnswer {
    /// `Argo CD Application argocd/shop`.
    pub holder: String,
    /// What it does to the objects until it is turned off.
    pub does: Vec<String>,
    /// The commands that turn it off and leave the objects, in their order.
    pub turn_off: Vec<String>,
    /// Objects of it that the manifests do not name, at most [`Self::NOT_IN_GIT_MAX`]. They stay as they are.
    pub not_in_git: Vec<ResourceRef>,
    /// How many more of these there are.
    pub more_not_in_git: u32,
}

impl HolderAnswer {
    /// Objects that are listed: some screens of them. Who has more has to look at the manifests first.
    pub const NOT_IN_GIT_MAX: usize = 200;
}

impl AdoptionAnswer {
    /// How many objects an adoption writes.
    pub fn pending(&self) -> usize {
        self.objects.iter().filter(|object| !object.is_done()).count()
    }
}

//! How a sync is to be done.

use std::sync::Arc;

use quarterdeck_shared::resource::ResourceRef;
use secrecy::SecretString;

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
    /// All of the environment goes, since a person deletes it or it left its source: `desired` is empty, and that is no mistake.
    pub wipes: bool,
    /// The hooks of the release; none where `desired` is not all of one.
    pub hooks: Option<Arc<Wanted>>,
}

impl Options {
    pub(crate) fn leaving(&self) -> Leaving<'_> {
        Leaving {
            prune: self.prune,
            anyway: &self.prune_anyway,
            neighbours: self.neighbours.as_deref(),
            wipes: self.wipes,
        }
    }
}

/// The pull secrets that an environment wants.
#[derive(Debug, Clone, Default)]
pub struct PullSecrets {
    /// Those that are to be as they are here.
    pub known: Vec<PullSecret>,
    /// The names of those whose content is not known at the moment: what is there stays.
    pub unknown: Vec<String>,
}

/// A Secret with which a cluster pulls images.
#[derive(Debug, Clone)]
pub struct PullSecret {
    /// Its name.
    pub name: String,
    /// Its logins, as `config.json` of Docker.
    pub docker_config: SecretString,
    /// The ServiceAccounts that name it.
    pub service_accounts: Vec<String>,
}

impl PullSecrets {
    /// Whether none is wanted.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.unknown.is_empty()
    }

    pub(crate) fn names(&self, name: &str) -> bool {
        self.known.iter().any(|secret| secret.name == name) || self.unknown.iter().any(|unknown| unknown == name)
    }
}

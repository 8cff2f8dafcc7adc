//! The end of an environment that is not operated any more: what it applied is deleted, with its inventory.
//!
//! It is planned as any other prune is, so that the same stays: what something else lives in, what another environment wants,
//! what says that it is to be kept. Until the last object is gone the inventory names what is left.

use std::sync::Arc;

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::change::Action;

use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::options::Options;
use quarterdeck_core::sync::neighbours::Neighbours;
use quarterdeck_core::sync::plan::{Memory, Refusal};

/// What became of the objects of an environment that was removed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Removed {
    /// How many were deleted by this.
    pub deleted: usize,
    /// What stays, each with why.
    pub kept: Vec<String>,
    /// What is not gone yet, or could not be seen.
    pub open: Vec<String>,
    /// What could not be deleted.
    pub failed: Option<Refusal>,
    /// It was stopped on the way.
    pub stopped: bool,
}

impl Cluster {
    /// Deletes the objects of an environment. Told again and again it does the rest.
    ///
    /// # Errors
    /// Where the cluster could not be asked.
    pub async fn remove(
        &self,
        environment: &EnvironmentId,
        namespace: &str,
        neighbours: Neighbours,
        stop: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Removed, ClusterError> {
        let options = Options {
            namespace: namespace.to_owned(),
            prune: true,
            wipes: true,
            fresh: true,
            neighbours: Some(Arc::new(neighbours)),
            ..Options::default()
        };
        let planned = self.plan(environment, &[], &Memory::new(), &options).await;
        let removed = match planned {
            Ok(planned) => self.removed(planned, namespace, stop).await,
            Err(error) => Err(error),
        };
        // What is left is nobody's to watch.
        self.forget(environment);
        removed
    }

    async fn removed(
        &self,
        planned: crate::planned::PlannedSync,
        namespace: &str,
        stop: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Removed, ClusterError> {
        let environment = planned.environment.clone();
        let inventories = &self.0.inventories;
        if let Some(host) = inventories.other_agent(&environment, namespace) {
            let kept = vec![format!("the agent on host {host} operates it")];
            return Ok(Removed { kept, ..Removed::default() });
        }
        let mut removed = Removed::default();
        let (after, changes, undone) = if planned.is_nothing() {
            if planned.before != planned.after && !planned.after.items.is_empty() {
                self.keep(&planned).await?;
            }
            (planned.after, planned.changes, planned.undone)
        } else {
            let executed = self.execute_until(planned, &|_| {}, stop).await?;
            removed.failed = executed.failed.first().cloned();
            removed.stopped = executed.stopped;
            (executed.after, executed.changes, executed.undone)
        };
        removed.deleted = changes.iter().filter(|change| change.action == Action::Prune).count();
        removed.open = undone.open;
        let is_left = |change: &&quarterdeck_shared::change::Change| {
            change.action == Action::Skip && after.items.iter().any(|item| item.resource == change.resource)
        };
        let line = |change: &quarterdeck_shared::change::Change| {
            format!("{}: {}", change.resource.short(), change.reason.as_deref().unwrap_or_default())
        };
        removed.kept = changes.iter().filter(is_left).map(line).collect();
        if !undone.held.is_empty() {
            removed.open.extend(removed.kept.iter().cloned());
        }
        if after.items.is_empty() && removed.failed.is_none() && !removed.stopped {
            let name = environment.to_string();
            inventories.release(&self.0.objects, &name, namespace, &[], None).await?;
        }
        Ok(removed)
    }
}

//! A sync: planned, shown as a difference, and executed.

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::change::Action;
use quarterdeck_shared::protocol::ObjectDiff;
use quarterdeck_shared::resource::{Inventory, ResourceRef};
use serde_json::Value;
use tokio::time::Instant;

use crate::apply::{Executed, Executor, Far, Ran};
use crate::cache::Expect;
use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::options::{Options, PullSecrets};
use crate::planned::PlannedSync;
use crate::problem::{ApiProblem, Class};
use crate::pull_secrets::{PullProblem, PullSecretStep};
use quarterdeck_core::hooks::Run;
use quarterdeck_core::sync::confidential::Confidential;
use quarterdeck_core::sync::manifest::Manifest;
use quarterdeck_core::sync::plan::{Ended, Memory, Observed, Undone};
use quarterdeck_core::sync::{mask, normalize};
use quarterdeck_core::yaml;

impl Cluster {
    /// Plans a sync to these objects, which are in the order in which they are applied. Writes nothing.
    ///
    /// # Errors
    /// Where the cluster could not be asked. What it refuses is in [`PlannedSync::refusals`].
    pub async fn plan(
        &self,
        environment: &EnvironmentId,
        desired: &[Manifest],
        memory: &Memory,
        options: &Options,
    ) -> Result<PlannedSync, ClusterError> {
        let since = Instant::now();
        let planned = self.observe_and_plan(environment, desired, memory, options, false).await?.0;
        self.0.cache.expect(environment, expectations(&planned), since);
        Ok(planned)
    }

    /// Plans, and gives both sides of what differs as YAML with the values of Secrets masked. Writes nothing, and how
    /// objects should be stays as it was: who looks at another revision does not want it yet.
    ///
    /// # Errors
    /// As [`Cluster::plan`].
    pub async fn diff(
        &self,
        environment: &EnvironmentId,
        desired: &[Manifest],
        memory: &Memory,
        options: &Options,
    ) -> Result<(PlannedSync, Vec<ObjectDiff>), ClusterError> {
        let (planned, observed) = self.observe_and_plan(environment, desired, memory, options, true).await?;
        let confidential = desired.first().and_then(|manifest| manifest.confidential.as_deref());
        let masked = |object: &Value| masked(object, confidential);
        let mut sides = Vec::new();
        for change in &planned.changes {
            let seen = || desired.iter().zip(&observed).find(|(manifest, _)| manifest.resource == change.resource);
            let (live, desired) = match (change.action, seen()) {
                (Action::Unchanged | Action::Skip, _) => continue,
                (Action::Prune, _) => (self.0.objects.get(&change.resource, None).await?.map(|o| masked(&o)), None),
                (_, Some((_, Observed::Predicted { predicted, live, .. }))) => {
                    let (live, predicted) = masked_both(live, predicted, confidential);
                    (Some(live), Some(predicted))
                }
                (_, Some((_, Observed::Absent(Some(predicted))))) => (None, Some(masked(predicted))),
                (_, Some((manifest, _))) => (None, Some(masked(&manifest.object.value()))),
                (_, None) => continue,
            };
            sides.push(ObjectDiff { resource: change.resource.clone(), action: change.action, live, desired });
        }
        Ok((planned, sides))
    }

    /// Keeps what a plan that writes nothing found of the inventory: it forgets what is gone, and is written anew where it
    /// was lost. No request where it says so already.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub async fn keep(&self, plan: &PlannedSync) -> Result<(), ClusterError> {
        let (environment, namespace) = (&plan.environment, &plan.options.namespace);
        let (inventories, objects, hooks) = (&self.0.inventories, &self.0.objects, &plan.hooks.after);
        let write = || inventories.write(objects, environment, namespace, &plan.after, hooks, plan.by);
        let written = match write().await {
            Err(problem) if problem.class == Class::NamespaceMissing && plan.options.create_namespace => {
                self.0.objects.make_namespace(namespace).await?;
                write().await?
            }
            other => other?,
        };
        // What others took out of the inventory is watched no more either.
        if written || plan.before != plan.after {
            let memory = plan.unchanged.iter().cloned().collect();
            self.watch(environment, &watched(&plan.after, &plan.undone), &memory);
        }
        Ok(())
    }

    /// Executes a plan. Told again and again it does the same again.
    ///
    /// # Errors
    /// Where the plan has refusals or the cluster could not be asked; then nothing was done, or at most the inventory,
    /// new kinds and namespaces. What fails later is in [`Executed::failed`].
    pub async fn execute(
        &self,
        plan: PlannedSync,
        progress: &(dyn Fn(Far) + Send + Sync),
    ) -> Result<Executed, ClusterError> {
        self.execute_until(plan, progress, &|| false).await
    }

    /// The same, until `stop` says so: it is looked at before each object. The inventory then names old and new.
    ///
    /// # Errors
    /// As [`Cluster::execute`].
    pub async fn execute_until(
        &self,
        plan: PlannedSync,
        progress: &(dyn Fn(Far) + Send + Sync),
        stop: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Executed, ClusterError> {
        let (environment, options) = (plan.environment.clone(), plan.options.clone());
        let observer = self.observer(&environment, &options);
        let pull_secrets = PullSecretStep { made: self.0.pull_secrets.clone(), epoch: self.epoch() };
        let inventories = &self.0.inventories;
        let executed = Executor { observer, inventories, pull_secrets, progress, stop }.execute(plan).await?;
        let memory = executed.memory.iter().cloned().collect();
        self.watch(&environment, &watched(&executed.after, &executed.undone), &memory);
        self.0.cache.expect(&environment, going(&executed.undone), Instant::now());
        Ok(executed)
    }

    /// Runs hooks on their own, one after another up to the first that does not succeed, until `stop` says so; what came of each that
    /// was begun. Nothing of the environment changes by it.
    pub async fn run_alone(
        &self,
        environment: &EnvironmentId,
        namespace: &str,
        runs: &[Run],
        progress: &(dyn Fn(Far) + Send + Sync),
        stop: &(dyn Fn() -> bool + Send + Sync),
    ) -> Vec<Ran> {
        let options = Options { namespace: namespace.to_owned(), ..Options::default() };
        let observer = self.observer(environment, &options);
        let pull_secrets = PullSecretStep { made: self.0.pull_secrets.clone(), epoch: self.epoch() };
        let inventories = &self.0.inventories;
        Executor { observer, inventories, pull_secrets, progress, stop }.alone(runs).await
    }

    /// Makes the pull secrets of an environment as they are wanted, and deletes those that it does not want any more; told again and
    /// again it does the same again. The answer is what of them is not so, and why.
    ///
    /// # Errors
    /// Where the cluster could not be asked, or does not have the namespace.
    pub async fn keep_pull_secrets(
        &self,
        environment: &EnvironmentId,
        namespace: &str,
        wanted: &PullSecrets,
    ) -> Result<Vec<PullProblem>, ApiProblem> {
        self.0.pull_secrets.keep(&self.0.objects, self.epoch(), environment, namespace, wanted).await
    }

    /// The Jobs of the environment that ended as they were applied, also those that are gone by now.
    pub fn ended(&self, environment: &EnvironmentId) -> Vec<(ResourceRef, Ended)> {
        self.0.cache.ended(environment)
    }
}

/// How the objects of a plan should be, by what was seen for it.
fn expectations(plan: &PlannedSync) -> Vec<(ResourceRef, Expect)> {
    let unchanged = plan.unchanged.iter().map(|(resource, known)| (resource.clone(), Expect::Digest(known.live)));
    let writes = plan.writes.iter().map(|write| (write.manifest.resource.clone(), Expect::Otherwise));
    // What is pruned is expected to go: its end is no drift, and where it is held, it ends what is held.
    let prunes = plan.prunes.iter().map(|(item, _)| (item.resource.clone(), Expect::Gone));
    unchanged.chain(writes).chain(prunes).chain(going(&plan.undone)).collect()
}

/// What is being deleted: its end is told, since a pass waits for it.
fn going(undone: &Undone) -> impl Iterator<Item = (ResourceRef, Expect)> {
    undone.going.iter().map(|resource| (resource.clone(), Expect::Going))
}

/// What is watched for an environment: its inventory, without what another environment takes over. That it gets the other's
/// label is no drift, and it is not missing then.
fn watched(inventory: &Inventory, undone: &Undone) -> Inventory {
    let mut watched = inventory.clone();
    watched.items.retain(|item| !undone.handed.contains(&item.resource));
    watched
}

/// The content of an object as YAML, with the values of Secrets masked.
fn masked(object: &Value, confidential: Option<&Confidential>) -> String {
    let mut content = normalize::normalise(object);
    mask::mask(&mut content, confidential);
    yaml::write(&content)
}

/// The same of both sides of a difference.
fn masked_both(live: &Value, desired: &Value, confidential: Option<&Confidential>) -> (String, String) {
    let (mut live, mut desired) = (normalize::normalise(live), normalize::normalise(desired));
    mask::mask_both(&mut live, &mut desired, confidential);
    (yaml::write(&live), yaml::write(&desired))
}

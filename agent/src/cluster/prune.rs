//! Deletes what left git, and waits for its end: a prune is done when its object is gone.

use std::time::Duration;

use futures::FutureExt as _;
use quarterdeck_shared::change::{Action, Change};
use quarterdeck_shared::resource::{Inventory, InventoryItem};
use tokio::time::Instant;

use crate::cluster::apply::{Done, Executed, Executor, PlannedSync, brings, namespaces, same_stage};
use crate::cluster::left::waits_for;
use crate::cluster::observe::at_once;
use crate::cluster::problem::ApiProblem;
use quarterdeck_core::sync::plan::Refusal;

/// What is deleted and not gone is waited for this long: the protection of a volume claim is taken off within moments, and
/// what takes longer is waited for by later passes.
const GONE_TIMEOUT: Duration = Duration::from_secs(3);

impl Executor<'_> {
    /// Deletes stage by stage; what is not gone stays in the inventory, which is given back.
    pub(super) async fn prune(&self, plan: &PlannedSync, executed: &mut Executed, done: &Done<'_>) -> Inventory {
        let mut after = plan.after.clone();
        for group in plan.prunes.chunk_by(|a, b| same_stage(&a.0.resource, &b.0.resource)) {
            // What others may still be in waits for these: its end would not wait for what they wait for.
            let waits = !executed.undone.open.is_empty();
            let (later, now): (Vec<_>, Vec<_>) = group.iter().partition(|(item, _)| waits && brings(&item.resource));
            for (item, _) in later {
                let line =
                    format!("{} left git and is deleted when what left git before it is gone", item.resource.short());
                executed.undone.open.push(line);
                after.items.insert(item.clone());
            }
            let delete = |(item, uid): &(InventoryItem, String)| {
                let (item, uid) = (item.clone(), uid.clone());
                async move {
                    if (self.stop)() {
                        return (item, None);
                    }
                    let result = self.delete(&item, &uid).await;
                    self.tell(done, &item.resource);
                    (item, Some(result))
                }
                .boxed()
            };
            let results = at_once(now.into_iter().map(delete)).await;
            for (item, result) in results {
                match result {
                    None => {
                        executed.stopped = true;
                        after.items.insert(item);
                    }
                    Some(Ok(None)) => {
                        executed.changes.extend(done.line(&item.resource));
                        executed.forgotten.push(item.resource);
                    }
                    Some(Ok(Some(waits))) => {
                        let short = item.resource.short();
                        let line = done.line(&item.resource);
                        let reason = Some(format!("no longer in git; waiting for {waits}"));
                        executed.changes.extend(line.map(|line| Change { reason, ..line }));
                        let line = format!("{short} left git and is being deleted: waiting for {waits}");
                        executed.undone.open.push(line);
                        executed.undone.going.push(item.resource.clone());
                        after.items.insert(item);
                    }
                    Some(Err(problem)) => {
                        executed.failed.push(Refusal {
                            resource: item.resource.clone(),
                            origin: "no longer in git".into(),
                            message: problem.message.clone(),
                            hint: problem.hint().to_owned(),
                        });
                        after.items.insert(item);
                    }
                }
            }
        }
        executed.changes.extend(plan.changes.iter().filter(|change| change.action == Action::Skip).cloned());
        after
    }

    /// Deletes an object and waits a moment for its end; what it still waits for then.
    async fn delete(&self, item: &InventoryItem, uid: &str) -> Result<Option<String>, ApiProblem> {
        let objects = self.observer.objects;
        let Some(mut held) = objects.delete(&item.resource, &item.version, uid).await? else { return Ok(None) };
        let deadline = Instant::now() + GONE_TIMEOUT;
        let mut pause = Duration::from_millis(50);
        loop {
            if Instant::now() + pause >= deadline {
                return Ok(Some(waits_for(&held).unwrap_or_else(|| "its end".to_owned())));
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            match objects.get(&item.resource, None).await {
                Ok(Some(live)) if live["metadata"]["uid"] == uid => held = live,
                Ok(_) => return Ok(None),
                // Its deletion began: whether it ended is for a later pass to see.
                Err(problem) => tracing::debug!(object = %item.resource, error = %problem, "its end is not seen"),
            }
        }
    }

    /// What was taken over from applications that nobody operates any more leaves their inventories.
    pub(super) async fn release(&self, plan: &PlannedSync) -> Result<(), ApiProblem> {
        for (owner, adopted) in &plan.adopted {
            for namespace in namespaces(&plan.options.namespace, adopted.iter()) {
                self.inventories.release(self.observer.objects, owner, namespace, adopted).await?;
            }
        }
        Ok(())
    }
}

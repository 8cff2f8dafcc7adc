//! Deletes what left git, and waits for its end: a prune is done when its object is gone.

use std::time::Duration;

use futures::FutureExt as _;
use quarterdeck_shared::change::Change;
use quarterdeck_shared::resource::{InventoryItem, ResourceRef};
use tokio::time::Instant;

use crate::apply::{Executor, Walk};
use crate::left::waits_for;
use crate::observe::at_once;
use crate::problem::ApiProblem;
use quarterdeck_core::steps::Deletion;
use quarterdeck_core::sync::plan::Refusal;

impl Executor<'_> {
    /// Deletes side by side; what is not gone stays in the inventory. `holders` are left for a later pass where something
    /// that was deleted before them is not gone: their end would not wait for what it waits for.
    pub(super) async fn delete_all(
        &self,
        deletions: &[Deletion],
        holders: &[ResourceRef],
        timeout: Duration,
        walk: &mut Walk<'_>,
    ) {
        let (executed, after) = (&mut walk.executed, &mut walk.after);
        let leaving = walk.plan.options.leaving();
        let (verb, why) = (leaving.verb(), leaving.why());
        let waits = !executed.undone.open.is_empty();
        let (later, now): (Vec<_>, Vec<_>) =
            deletions.iter().partition(|(item, _)| waits && holders.contains(&item.resource));
        for (item, _) in later {
            let line = format!("{} {verb} and is deleted when what goes before it is gone", item.resource.short());
            executed.undone.open.push(line);
            after.items.insert(item.clone());
        }
        let done = &walk.done;
        let delete = |(item, uid): &Deletion| {
            let (item, uid) = (item.clone(), uid.clone());
            async move {
                if (self.stop)() {
                    return (item, None);
                }
                let result = self.delete(&item, &uid, timeout).await;
                self.report(done);
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
                    let reason = Some(format!("{why}; waiting for {waits}"));
                    executed.changes.extend(line.map(|line| Change { reason, ..line }));
                    let line = format!("{short} {verb} and is being deleted: waiting for {waits}");
                    executed.undone.open.push(line);
                    executed.undone.going.push(item.resource.clone());
                    after.items.insert(item);
                }
                Some(Err(problem)) => {
                    executed.failed.push(Refusal {
                        resource: item.resource.clone(),
                        origin: why.into(),
                        message: problem.message.clone(),
                        hint: problem.hint.clone().into_owned(),
                        immutable: false,
                    });
                    after.items.insert(item);
                }
            }
        }
    }

    /// Deletes an object and waits a moment for its end; what it still waits for then.
    async fn delete(&self, item: &InventoryItem, uid: &str, timeout: Duration) -> Result<Option<String>, ApiProblem> {
        let objects = self.observer.objects;
        let Some(mut held) = objects.delete(&item.resource, &item.version, uid).await? else { return Ok(None) };
        let deadline = Instant::now() + timeout;
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
}

//! What an environment applied that left a source is deleted, where the source says so: as a person would have it deleted
//! ([`super::deletion`]), with the hooks of what was deployed for that. Tried again until it is done, also by the next run of the agent.
//!
//! The environment is not operated any more, so its hooks are those of the manifests that were kept of its last sync.

use std::sync::Arc;

use quarterdeck_core::hooks::Wanted;
use quarterdeck_kubernetes::{Cluster, Far, Removed};
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::event::{Cause, Event};
use tokio_util::sync::CancellationToken;

use super::neighbours::{self, Place};
use super::{deletion, reuse};
use crate::context::Context;
use crate::journal::fact::Fact;
use crate::removals::{Deployed, Removal, Turn};
use crate::worker::{self, Reconciler, Requeue, Wake};

/// Objects of one event: a person reads some, the plan of the last sync had all.
const KEPT_SHOWN: usize = 10;

/// Deletes the objects of an environment, when the worker that synced it has ended.
pub async fn run(context: Arc<Context>, cluster: Cluster, removal: Removal, turn: Turn, stop: CancellationToken) {
    let _turn = tokio::select! {
        turn = turn.lock() => turn,
        () = stop.cancelled() => return,
    };
    let removing = Removing { context, cluster, removal, stop: stop.clone(), told: String::new(), hooks_done: 0 };
    worker::run(&Wake::default(), &stop, removing).await;
}

struct Removing {
    context: Arc<Context>,
    cluster: Cluster,
    removal: Removal,
    stop: CancellationToken,
    /// Why it is not done, as it was told last.
    told: String,
    /// How many hooks succeeded.
    hooks_done: usize,
}

impl Reconciler for Removing {
    async fn reconcile(&mut self) -> Requeue {
        let Removal { environment, cluster, namespace, repository, .. } = &self.removal;
        let place = Place { id: environment, cluster: cluster.as_deref(), repository };
        let neighbours = neighbours::all(&self.context, &place).await;
        let hooks = match self.hooks().await {
            Ok(hooks) => hooks,
            Err(why) => return self.not_done(why).await,
        };
        let (stop, removals) = (self.stop.clone(), &self.context.removals);
        let has_hooks = hooks.as_ref().is_some_and(|hooks| !hooks.hooks.is_empty());
        let tell = |far: Far| {
            if has_hooks {
                removals.waits(environment, &deletion::progress(far).describe());
            }
        };
        let is_stopped = || stop.is_cancelled();
        let removing = self.cluster.remove(environment, namespace, neighbours, hooks, (&tell, &is_stopped));
        let removed = removing.await;
        if self.stop.is_cancelled() {
            return Requeue::Idle;
        }
        if let Ok(Removed { failed: None, stopped: false, hooks, .. }) = &removed {
            self.hooks_done += hooks;
            self.context.removals.hooks_ran(environment);
            self.removal.deployed = None;
        }
        match removed {
            Err(error) => self.not_done(Failure::of(&error)).await,
            Ok(Removed { failed: Some(refusal), .. }) => {
                self.not_done(Failure { message: refusal.to_string(), hint: refusal.hint.clone() }).await
            }
            Ok(Removed { open, .. }) if !open.is_empty() => self.not_done(open.join("; ").into()).await,
            Ok(removed) => self.done(removed).await,
        }
    }
}

impl Removing {
    /// Those that are to run with the deletion; none where nothing was deployed, or they ran.
    async fn hooks(&self) -> Result<Option<Arc<Wanted>>, Failure> {
        let Removal { environment, at, deployed, .. } = &self.removal;
        let Some(Deployed { revision, content }) = deployed else { return Ok(None) };
        let kept = reuse::applied(&self.context, environment, revision, content, None).await;
        let kept = kept.ok_or_else(|| Failure {
            message: format!(
                "nothing was deleted: its hooks are not known, since what it ran ({}) is not kept",
                revision.short()
            ),
            hint: format!("define it again, and delete its objects first: qd delete {environment} --no-hooks"),
        })?;
        Ok(Some(deletion::wanted(deletion::of_deletion(kept), *at)))
    }

    async fn done(&self, removed: Removed) -> Requeue {
        let Removal { environment, source, .. } = &self.removal;
        let more = removed.kept.len().saturating_sub(KEPT_SHOWN);
        let shown = removed.kept.into_iter().take(KEPT_SHOWN);
        let kept = shown.chain((more > 0).then(|| format!("and {more} more"))).collect();
        let (environment, source) = (environment.clone(), source.clone());
        tracing::info!(%environment, %source, deleted = removed.deleted, "the objects of a removed environment are deleted");
        let event = Event::EnvironmentPruned {
            source,
            environment: environment.clone(),
            deleted: removed.deleted as u64,
            hooks: self.hooks_done as u64,
            kept,
        };
        self.tell(&environment, event).await;
        self.context.removals.take_back(&environment);
        Requeue::Idle
    }

    async fn not_done(&mut self, why: Failure) -> Requeue {
        let Removal { environment, source, .. } = self.removal.clone();
        self.context.removals.waits(&environment, &why.message);
        if self.told != why.message {
            tracing::warn!(%environment, error = %why.message, "the objects of a removed environment are not deleted yet");
            self.told.clone_from(&why.message);
            let Failure { message, hint } = why;
            let event = Event::EnvironmentNotPruned { source, environment: environment.clone(), message, hint };
            self.tell(&environment, event).await;
        }
        Requeue::Retry
    }

    async fn tell(&self, environment: &EnvironmentId, event: Event) {
        // Not kept on a full disk: the log of the agent says the same.
        let _ = self.context.journal.record(vec![Fact::happened(environment, &Cause::Configuration, event)]).await;
    }
}

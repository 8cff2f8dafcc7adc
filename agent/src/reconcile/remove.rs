//! What an environment applied that left a source is deleted, where the source says so: tried again until it is done, also by the
//! next run of the agent.

use std::sync::Arc;

use quarterdeck_kubernetes::{Cluster, Removed};
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::event::{Cause, Event};
use tokio_util::sync::CancellationToken;

use super::neighbours::{self, Place};
use crate::context::Context;
use crate::journal::fact::Fact;
use crate::removals::{Removal, Turn};
use crate::worker::{self, Reconciler, Requeue, Wake};

/// Objects of one event: a person reads some, the plan of the last sync had all.
const KEPT_SHOWN: usize = 10;

/// Deletes the objects of an environment, when the worker that synced it has ended.
pub async fn run(context: Arc<Context>, cluster: Cluster, removal: Removal, turn: Turn, stop: CancellationToken) {
    let _turn = tokio::select! {
        turn = turn.lock() => turn,
        () = stop.cancelled() => return,
    };
    let removing = Removing { context, cluster, removal, stop: stop.clone(), told: String::new() };
    worker::run(&Wake::default(), &stop, removing).await;
}

struct Removing {
    context: Arc<Context>,
    cluster: Cluster,
    removal: Removal,
    stop: CancellationToken,
    /// Why it is not done, as it was told last.
    told: String,
}

impl Reconciler for Removing {
    async fn reconcile(&mut self) -> Requeue {
        let Removal { environment, cluster, namespace, repository, .. } = &self.removal;
        let place = Place { id: environment, cluster: cluster.as_deref(), repository };
        let neighbours = neighbours::all(&self.context, &place).await;
        let stop = self.stop.clone();
        let removed = self.cluster.remove(environment, namespace, neighbours, &|| stop.is_cancelled()).await;
        if self.stop.is_cancelled() {
            return Requeue::Idle;
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

//! Adoption: the objects that git names and another controller holds become the environment's, without being changed.

use std::sync::Arc;

use jiff::Timestamp;
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::event::Event;
use quarterdeck_shared::protocol::AdoptionAnswer;
use quarterdeck_shared::status::Phase;

use super::{ReconcileError, cluster_error, queries, render, resolve};
use crate::context::{Context, Environment};
use crate::history::{Adoption, Intent};
use crate::journal::fact::Fact;
use crate::worker::Requeue;
use quarterdeck_core::sync::plan::Memory;

/// What an adoption would write, and what other controllers would still do. Writes nothing.
pub async fn plan(context: &Arc<Context>, environment: &Environment) -> Result<AdoptionAnswer, ReconcileError> {
    let name = &environment.id;
    let status = queries::status(context, environment)?;
    let revision = resolve(context, environment, &status).await?;
    let desired = render(context, environment, &revision).await?.manifests;
    let asked = name.clone();
    let memory = context.journal.ask(move |history| history.memory(&asked)).await?;
    let (cluster, namespace) = (&environment.cluster, &environment.spec.namespace);
    let failed = |source| cluster_error(environment, source);
    let mut adoption = cluster.adoption(name, namespace, &desired, &memory).await.map_err(failed)?;
    cluster.compare_adopted(name, &desired, &mut adoption).await.map_err(failed)?;
    let (plan, unseen) = (adoption.plan, adoption.unseen);
    Ok(AdoptionAnswer {
        environment: name.clone(),
        revision,
        objects: plan.shown,
        holders: plan.holders,
        refusals: plan.refusals,
        free: plan.free,
        missing: plan.missing,
        unseen,
    })
}

/// Does what a person asked for, and says what became of it. A sync that is owed beside it comes next.
pub(super) async fn adopt(
    context: &Arc<Context>,
    environment: &Environment,
    memory: &Memory,
    intent: &Intent,
) -> Result<Requeue, ReconcileError> {
    let name = &environment.id;
    let (event, phase) = match write(context, environment, memory).await {
        Ok(event) => (event, Phase::Succeeded),
        Err(error) => {
            let Failure { message, hint } = Failure::of(&error);
            tracing::warn!(environment = %name, error = %message, hint = %hint, "nothing or not all was adopted");
            (Event::AdoptionFailed { message, hint }, Phase::Failed)
        }
    };
    let next = Intent { adoption: None, ..intent.clone() };
    let mut facts = vec![
        Fact::happened(name, &intent.cause, event),
        Fact::last(name, "adopt", phase, Timestamp::now()),
        Fact::IntentDone { environment: name.clone(), intent: intent.clone() },
    ];
    // What was asked for meanwhile has this one in it.
    let is_newest = environment.intent().as_ref() == Some(intent);
    let owes_sync = intent.adoption == Some(Adoption::BeforeSync) && is_newest;
    if owes_sync {
        facts.push(Fact::Intent { environment: name.clone(), intent: next.clone() });
    }
    context.journal.record(facts).await?;
    environment.intent_done(Some(intent));
    if owes_sync && environment.intent().is_none() {
        environment.ask(next);
    }
    Ok(Requeue::Now)
}

async fn write(context: &Arc<Context>, environment: &Environment, memory: &Memory) -> Result<Event, ReconcileError> {
    let name = &environment.id;
    let status = queries::status(context, environment)?;
    let revision = resolve(context, environment, &status).await?;
    let desired = render(context, environment, &revision).await?.manifests;
    let (cluster, namespace) = (&environment.cluster, &environment.spec.namespace);
    let failed = |source| cluster_error(environment, source);
    let adoption = cluster.adoption(name, namespace, &desired, memory).await.map_err(failed)?;
    let plan = &adoption.plan;
    if let Some(first) = plan.refusals.first() {
        return Err(ReconcileError::NotAdopted { first: first.clone(), more: plan.refusals.len() - 1 });
    }
    let owed: Vec<_> = plan.shown.iter().filter(|object| !object.is_done()).collect();
    let mut from: Vec<String> =
        owed.iter().flat_map(|object| &object.held_by).map(|held| held.holder.clone()).collect();
    from.sort();
    from.dedup();
    if !owed.is_empty() {
        cluster.adopt(name, namespace, &desired, memory, &adoption).await.map_err(failed)?;
    }
    Ok(Event::Adopted { objects: owed.len() as u32, from })
}

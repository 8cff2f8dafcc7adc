//! The deletion of all objects of an environment: looked at, and asked for.

use axum::body::Bytes;
use axum::extract::State;
use axum::{Extension, Json};
use jiff::Timestamp;
use quarterdeck_shared::error::{Hint as _, chain};
use quarterdeck_shared::event::Event;
use quarterdeck_shared::protocol::{DeleteRequest, DeletionAnswer};
use quarterdeck_shared::snapshot::{Deletion, Hold};
use quarterdeck_shared::status::Phase;

use super::Shared;
use super::answer::{Answer, Failure, In, body};
use super::commands::{Taken, taken};
use crate::access::Peer;
use crate::journal::fact::{Fact, Patch};
use crate::reconcile::deletion;

pub(super) async fn plan(State(context): State<Shared>, In(environment): In) -> Answer<Json<DeletionAnswer>> {
    let planned = deletion::plan(&context, &environment).await;
    planned.map(Json).map_err(|error| Failure::conflict(chain(&error), &error.hint()))
}

/// It is suspended in the same moment, which also stops a sync that runs: nothing brings back what is deleted.
pub(super) async fn delete(
    State(context): State<Shared>,
    Extension(peer): Extension<Peer>,
    In(environment): In,
    bytes: Bytes,
) -> Answer<Taken> {
    let DeleteRequest { skip_hooks } = body(&bytes)?;
    let name = &environment.id;
    let status = context.journal.snapshot().environment(name);
    let running = status.as_ref().and_then(|status| status.deletion.as_ref());
    if let Some(deletion) = running.filter(|deletion| !deletion.phase.is_final()) {
        let who = deletion.cause.describe();
        let hint = format!("to stop it: qd resume {name}");
        return Err(Failure::conflict(format!("{name} is being deleted already: {who} asked for it"), &hint));
    }
    let (at, cause) = (Timestamp::now(), peer.cause());
    let mut facts = Vec::new();
    if !status.is_some_and(|status| status.suspended) {
        let reason = "its objects are deleted".to_owned();
        let hold = Hold { reason: reason.clone(), cause: cause.clone(), at };
        facts.push(Fact::patch(name, Patch::Suspension(Some(hold))));
        facts.push(Fact::happened(name, &cause, Event::Suspended { reason }));
    }
    let (finished, (message, hint)) = (None, Default::default());
    let deletion = Deletion { at, cause, skip_hooks, phase: Phase::Queued, finished, message, hint };
    facts.push(Fact::patch(name, Patch::Deletion(Box::new(deletion))));
    context.journal.record(facts).await?;
    environment.wake();
    let mut answer =
        taken(format!("{name} is suspended, and its objects will be deleted; `qd resume {name}` deploys it again"));
    answer.1.deletion = Some(at);
    Ok(answer)
}

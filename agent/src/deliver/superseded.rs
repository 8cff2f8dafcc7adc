//! Of a branch or merge request the newest commit counts: the runs of older ones end, whether they wait or run. And of forks'
//! code no more waits for a person than somebody reads through.

use jiff::Timestamp;
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::event::Event;
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::Phase;

use super::DeliverError;
use crate::context::{Application, Context};
use crate::journal::fact::{Batch, Fact};
use quarterdeck_core::queue;
use quarterdeck_core::run::ended;

/// Ends what newer commits made pointless. One that runs is told to, and records its end itself.
pub(super) async fn end(context: &Context, application: &Application) -> Result<(), DeliverError> {
    let runs = context.journal.snapshot().runs(&application.spec.name);
    let open = runs.iter().filter(|run| !run.phase.is_final());
    let superseded: Vec<_> = open.filter_map(|run| Some((run, queue::superseded_by(run, &runs)?))).collect();
    let waiting = superseded.iter().filter(|(run, _)| run.phase == Phase::Queued);
    let outdated = waiting.map(|(run, by)| (*run, DeliverError::Outdated { by: *by }));
    let is_outdated = |run: &RunStatus| superseded.iter().any(|(other, _)| other.id == run.id);
    let crowded = queue::crowded_out(&runs).into_iter().filter(|run| !is_outdated(run));
    let crowded = crowded.map(|run| (run, DeliverError::CrowdedOut { run: run.id.number }));
    let mut facts = Batch::new();
    for (run, why) in outdated.chain(crowded) {
        let why = Failure::of(&why);
        let event = Event::RunFinished { run: run.id, phase: Phase::Cancelled, message: why.message.clone() };
        facts.push(Fact::Run(Box::new(ended(run.clone(), Phase::Cancelled, why, Timestamp::now()))));
        facts.push(Fact::happened(&run.application, &run.cause, event));
    }
    if !facts.is_empty() {
        context.journal.record(facts).await?;
    }
    // Those that waited too: one may have begun meanwhile.
    for (run, _) in superseded {
        application.cancel(run.id);
    }
    Ok(())
}

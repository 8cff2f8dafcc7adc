//! Of a branch or merge request the newest commit counts: the runs of older ones end, whether they wait or run. Of forks'
//! code no more waits for a person than somebody reads through, and no more checks wait for their turn than there is room for.

use std::collections::BTreeSet;

use jiff::Timestamp;
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::event::Event;
use quarterdeck_shared::snapshot::{RunId, RunStatus};
use quarterdeck_shared::status::Phase;

use super::DeliverError;
use crate::context::{Application, Context};
use crate::journal::fact::{Batch, Fact};
use quarterdeck_core::queue;
use quarterdeck_core::queue::bound::{self, WAITING_MAX};
use quarterdeck_core::run::ended;

/// Ends what newer commits made pointless, and what there is no room for. One that runs is told to, and records its end itself.
pub(super) async fn end(context: &Context, application: &Application) -> Result<(), DeliverError> {
    let Ending { cancelled, ended: runs } = context.journal.snapshot().with_runs(&application.spec.name, ending);
    let mut facts = Batch::new();
    for (run, why) in runs {
        let why = Failure::of(&why);
        let event = Event::RunFinished { run: run.id, phase: Phase::Cancelled, message: why.message.clone() };
        facts.push(Fact::happened(&run.application, &run.cause, event));
        facts.push(Fact::Run(Box::new(ended(run, Phase::Cancelled, why, Timestamp::now()))));
    }
    if !facts.is_empty() {
        context.journal.record(facts).await?;
    }
    // Those that waited too: one may have begun meanwhile.
    for run in cancelled {
        application.cancel(run);
    }
    Ok(())
}

/// What is to end.
struct Ending {
    /// What newer commits made pointless, whether it waits or runs, and what there is no room for.
    cancelled: Vec<RunId>,
    /// What does not run and ends now, and why.
    ended: Vec<(RunStatus, DeliverError)>,
}

fn ending(runs: &[&RunStatus]) -> Ending {
    let superseded = queue::superseded(runs);
    let is_outdated: BTreeSet<RunId> = superseded.iter().map(|(run, _)| run.id).collect();
    let waiting = superseded.iter().filter(|(run, _)| run.phase == Phase::Queued);
    let outdated = waiting.map(|(run, by)| (*run, DeliverError::Outdated { by: *by }));
    let others: Vec<&RunStatus> = runs.iter().copied().filter(|run| !is_outdated.contains(&run.id)).collect();
    let crowded = queue::crowded_out(&others).into_iter();
    let crowded = crowded.map(|run| (run, DeliverError::CrowdedOut { run: run.id.number }));
    let dropped = bound::dropped(&others, WAITING_MAX);
    let cancelled = superseded.iter().map(|(run, _)| run.id).chain(dropped.iter().map(|run| run.id)).collect();
    let dropped = dropped.into_iter().map(|run| (run, DeliverError::Dropped { run: run.id.number }));
    let ended = outdated.chain(crowded).chain(dropped).map(|(run, why)| (run.clone(), why)).collect();
    Ending { cancelled, ended }
}

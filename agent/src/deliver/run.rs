//! Runs as they are queued, cut off, taken up again and ended: pure but for their numbers.

use jiff::Timestamp;
use quarterdeck_shared::event::Cause;
use quarterdeck_shared::snapshot::{RunGoal, RunId, RunStatus};
use quarterdeck_shared::status::{Phase, Stage, StageKind};

use crate::context::{Application, Context};
use crate::source::CommitId;
use crate::trigger::{Owed, TriggerKind};

/// The message of a queued run that is to build anew whatever is there.
pub(super) const REBUILD: &str = "rebuild asked for";

pub(super) fn new_run(context: &Context, application: &Application, owed: Owed, now: Timestamp) -> RunStatus {
    let goal = match owed.kind {
        TriggerKind::Build => RunGoal::Build,
        TriggerKind::Push => RunGoal::Push,
    };
    let cause = Cause::Tag { tag: owed.tag.clone(), commit: owed.commit.clone() };
    queued(context, application, goal, owed.tag, owed.commit, cause, now)
}

pub(super) fn queued(
    context: &Context,
    application: &Application,
    goal: RunGoal,
    reference: String,
    commit: CommitId,
    cause: Cause,
    now: Timestamp,
) -> RunStatus {
    let mut kinds = vec![StageKind::Checkout, StageKind::Build];
    if goal == RunGoal::Push {
        kinds.extend([StageKind::Push, StageKind::Promote]);
    }
    RunStatus {
        id: context.journal.next_run(),
        application: application.spec.name.clone(),
        goal,
        cause,
        reference,
        commit,
        subject: String::new(),
        phase: Phase::Queued,
        stages: kinds.into_iter().map(Stage::queued).collect(),
        queued: now,
        started: None,
        finished: None,
        message: String::new(),
        artifact: None,
        promoted: None,
    }
}

/// The run that takes up one that was cut off; its number is the caller's to give.
pub fn again(run: &RunStatus, now: Timestamp) -> RunStatus {
    RunStatus {
        phase: Phase::Queued,
        stages: run.stages.iter().map(|stage| Stage::queued(stage.kind)).collect(),
        queued: now,
        started: None,
        finished: None,
        // A rebuild that was asked for is still asked for.
        message: if run.message == REBUILD { run.message.clone() } else { String::new() },
        artifact: None,
        promoted: None,
        ..run.clone()
    }
}

/// A run that was cut off, and which one takes it up.
pub fn interrupted(run: &RunStatus, successor: RunId, why: &str, now: Timestamp) -> RunStatus {
    ended(run.clone(), Phase::Interrupted, format!("{why} in the middle; taken up by run {successor}"), now)
}

/// A run that is over; so are its stages.
pub fn ended(mut run: RunStatus, phase: Phase, message: String, now: Timestamp) -> RunStatus {
    for stage in run.stages.iter_mut().filter(|stage| !stage.phase.is_final()) {
        stage.phase = if stage.phase == Phase::Running { phase } else { Phase::Skipped };
        stage.finished = stage.started.map(|_| now);
    }
    run.phase = phase;
    run.finished = Some(now);
    run.message = message;
    run
}

//! Runs as they are queued, cut off, taken up again and ended: pure but for their numbers.

use jiff::Timestamp;
use quarterdeck_shared::event::Cause;
use quarterdeck_shared::snapshot::{RunGoal, RunId, RunStatus};
use quarterdeck_shared::status::{Phase, Stage, StageKind};

use crate::context::{Application, Context};
use crate::source::CommitId;
use crate::trigger::{Owed, TriggerKind};

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
        resumes: None,
        behind: None,
        application: application.spec.name.clone(),
        goal,
        rebuild: false,
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

/// The run that takes up one that was cut off, in its place. What was promoted stays known: the commit is in git.
pub fn again(run: &RunStatus, id: RunId, now: Timestamp) -> RunStatus {
    RunStatus {
        id,
        resumes: Some(run.place()),
        behind: None,
        phase: Phase::Queued,
        stages: run.stages.iter().map(|stage| Stage::queued(stage.kind)).collect(),
        queued: now,
        started: None,
        finished: None,
        message: String::new(),
        artifact: None,
        ..run.clone()
    }
}

/// A run that was cut off, and which one takes it up.
pub fn interrupted(run: &RunStatus, successor: RunId, why: &str, now: Timestamp) -> RunStatus {
    ended(run.clone(), Phase::Interrupted, format!("{why}; taken up by run {successor}"), now)
}

/// A run that is over; so are its stages.
pub fn ended(mut run: RunStatus, phase: Phase, message: String, now: Timestamp) -> RunStatus {
    for stage in run.stages.iter_mut().filter(|stage| !stage.phase.is_final()) {
        stage.phase = if stage.phase == Phase::Running { phase } else { Phase::Skipped };
        stage.finished = stage.started.map(|_| now);
    }
    run.phase = phase;
    run.behind = None;
    run.finished = Some(now);
    run.message = message;
    run
}

//! A run as it is cut off, taken up again and ended. (pure)

use jiff::Timestamp;
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::snapshot::{RunId, RunStatus};
use quarterdeck_shared::status::{Phase, Stage};

/// The run that takes up one that was cut off, in its place. What was promoted stays known: the commit is in git. So
/// does what scans found: they look at the digest, and need not look again.
pub fn again(run: &RunStatus, id: RunId, now: Timestamp) -> RunStatus {
    RunStatus {
        id,
        resumes: Some(run.place()),
        behind: None,
        phase: Phase::Queued,
        stages: run
            .stages
            .iter()
            .map(|stage| Stage { environment: stage.environment.clone(), ..Stage::queued(stage.kind) })
            .collect(),
        queued: now,
        started: None,
        finished: None,
        message: String::new(),
        hint: String::new(),
        artifact: None,
        tests: Vec::new(),
        ..run.clone()
    }
}

/// A run that was cut off, and which one takes it up.
pub fn interrupted(run: &RunStatus, successor: RunId, why: &str, now: Timestamp) -> RunStatus {
    ended(run.clone(), Phase::Interrupted, format!("{why}; resumed by run {}", successor.number), now)
}

/// A run that is over; so are its stages.
pub fn ended(mut run: RunStatus, phase: Phase, why: impl Into<Failure>, now: Timestamp) -> RunStatus {
    for stage in run.stages.iter_mut().filter(|stage| !stage.phase.is_final()) {
        stage.phase = if stage.phase == Phase::Running { phase } else { Phase::Skipped };
        stage.finished = stage.started.map(|_| now);
    }
    run.phase = phase;
    run.behind = None;
    run.finished = Some(now);
    Failure { message: run.message, hint: run.hint } = why.into();
    run
}

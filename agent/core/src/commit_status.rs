//! What a forge is told of a run: a commit status for each stage that it shows people. Pure.
//!
//! | stage | in its words |
//! | --- | --- |
//! | waits, also for a person | pending |
//! | runs | running |
//! | done, or found to be done already | success |
//! | failed | failure |
//! | cancelled, superseded | cancelled |
//! | never came about, since one before it failed or was cancelled | skipped |
//!
//! The checkout is not shown. Where it fails the first stage that is shown has failed with its words: a run that may not begin
//! is nothing that was skipped.

use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::{Phase, Stage, StageKind};

/// What GitHub takes of a description; the others take more.
const DESCRIPTION_MAX: usize = 140;

/// Where a stage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits.
    Pending,
    /// It runs.
    Running,
    /// It is done.
    Success,
    /// It failed.
    Failure,
    /// It was ended.
    Cancelled,
    /// It never began, and will not.
    Skipped,
}

/// A status of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitStatus {
    /// What it is of, the same for every run of the application: `quarterdeck/shop/build`, `quarterdeck/shop/promote/prod`.
    pub context: String,
    /// Where that stands.
    pub state: State,
    /// One line, 140 characters at most.
    pub description: String,
}

/// The statuses of a run. One that was cut off and `is_taken_up` has none: the run that takes it up tells.
pub fn statuses(run: &RunStatus, is_taken_up: bool) -> Vec<CommitStatus> {
    if run.phase == Phase::Interrupted && is_taken_up {
        return Vec::new();
    }
    let (hidden, shown): (Vec<&Stage>, Vec<&Stage>) =
        run.stages.iter().partition(|stage| stage.kind == StageKind::Checkout);
    let refused = hidden.into_iter().find(|stage| stage.phase == Phase::Failed);
    let first = refused.zip(shown.first().copied()).map(|(refused, first)| {
        let (phase, message) = (Phase::Failed, refused.message.clone());
        Stage { phase, message, ..first.clone() }
    });
    let begun = usize::from(first.is_some());
    let shown = first.iter().chain(shown.into_iter().skip(begun));
    let status = |stage: &Stage| CommitStatus {
        context: context(run, stage),
        state: state(stage),
        description: description(run, stage),
    };
    shown.map(status).collect()
}

fn context(run: &RunStatus, stage: &Stage) -> String {
    let environment = stage.environment.as_ref().map(|name| format!("/{name}")).unwrap_or_default();
    format!("quarterdeck/{}/{}{environment}", run.application, stage.kind.word())
}

fn state(stage: &Stage) -> State {
    match stage.phase {
        Phase::Queued => State::Pending,
        Phase::Running => State::Running,
        Phase::Succeeded => State::Success,
        // What was found to be done was looked for; what was never begun was not.
        Phase::Skipped if stage.started.is_some() => State::Success,
        Phase::Skipped => State::Skipped,
        Phase::Failed => State::Failure,
        Phase::Cancelled | Phase::Interrupted => State::Cancelled,
    }
}

fn description(run: &RunStatus, stage: &Stage) -> String {
    let line = match state(stage) {
        State::Pending => run.line(),
        State::Running => "".into(),
        State::Success | State::Failure if !stage.message.is_empty() => (&*stage.message).into(),
        _ => (&*run.message).into(),
    };
    let number = format!("run {}", run.id.number);
    let whole = if line.is_empty() { number } else { format!("{number}: {line}") };
    match whole.char_indices().nth(DESCRIPTION_MAX) {
        None => whole,
        Some(_) => whole.chars().take(DESCRIPTION_MAX - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::queue::tests::run;
    use crate::run::ended;
    use quarterdeck_shared::snapshot::{Permission, RunGoal};

    fn stage(kind: StageKind, phase: Phase, message: &str) -> Stage {
        let started = (phase != Phase::Queued).then_some(Timestamp::UNIX_EPOCH);
        Stage { phase, started, message: message.to_owned(), ..Stage::queued(kind) }
    }

    /// A line a status.
    fn lines(run: &RunStatus) -> Vec<String> {
        let line = |one: CommitStatus| format!("{} {:?}: {}", one.context, one.state, one.description);
        statuses(run, false).into_iter().map(line).collect()
    }

    #[test]
    fn each_stage_is_told_with_what_it_came_to() {
        use Phase::*;
        use StageKind::*;
        let queued = RunStatus {
            stages: vec![Stage::queued(Checkout), Stage::queued(Build), Stage::promotion(&"prod".parse().unwrap())],
            ..run(12, "push-1", RunGoal::Push)
        };
        assert_eq!(
            lines(&queued),
            ["quarterdeck/shop/build Pending: run 12", "quarterdeck/shop/promote/prod Pending: run 12"]
        );
        let waits =
            RunStatus { permission: Some(Permission::Awaited), stages: vec![Stage::queued(Build)], ..queued.clone() };
        let why = "its code is of a fork and waits for a person: qd runs allow 12";
        assert_eq!(lines(&waits), [format!("quarterdeck/shop/build Pending: run 12: {why}")]);

        let stages = vec![
            stage(Checkout, Succeeded, ""),
            stage(Build, Skipped, "built before"),
            stage(Test, Running, "npm test"),
            stage(Push, Queued, ""),
        ];
        let running = RunStatus { phase: Running, stages, ..queued.clone() };
        assert_eq!(
            lines(&running),
            [
                "quarterdeck/shop/build Success: run 12: built before",
                "quarterdeck/shop/test Running: run 12",
                "quarterdeck/shop/push Pending: run 12"
            ]
        );
        let failed = |stage: &Stage| {
            if stage.kind == Test {
                Stage { phase: Failed, message: "1 of 2 failed".into(), ..stage.clone() }
            } else {
                stage.clone()
            }
        };
        let failed = RunStatus { stages: running.stages.iter().map(failed).collect(), ..running.clone() };
        let failed = ended(failed, Failed, "test unit failed".to_owned(), Timestamp::UNIX_EPOCH);
        assert_eq!(
            lines(&failed)[1..],
            [
                "quarterdeck/shop/test Failure: run 12: 1 of 2 failed",
                "quarterdeck/shop/push Skipped: run 12: test unit failed"
            ]
        );
        let why = "tag push-1 is not signed";
        let refused = [stage(Checkout, Failed, why), Stage::queued(Build), Stage::queued(Push)];
        let refused = RunStatus { stages: refused.to_vec(), ..running.clone() };
        assert_eq!(
            lines(&ended(refused, Failed, why.to_owned(), Timestamp::UNIX_EPOCH)),
            [
                "quarterdeck/shop/build Failure: run 12: tag push-1 is not signed",
                "quarterdeck/shop/push Skipped: run 12: tag push-1 is not signed"
            ]
        );
        let cancelled = ended(running.clone(), Cancelled, "superseded by run 13".to_owned(), Timestamp::UNIX_EPOCH);
        assert_eq!(lines(&cancelled)[1], "quarterdeck/shop/test Cancelled: run 12: superseded by run 13");
        let cut_off = ended(running, Interrupted, "the agent was killed".to_owned(), Timestamp::UNIX_EPOCH);
        assert_eq!((statuses(&cut_off, true), statuses(&cut_off, false).len()), (Vec::new(), 3));
    }

    #[test]
    fn a_description_is_a_line_that_github_takes() {
        let long = RunStatus {
            stages: vec![stage(StageKind::Build, Phase::Failed, &"ü".repeat(300))],
            ..run(1, "a", RunGoal::Build)
        };
        let description = &statuses(&long, false)[0].description;
        assert_eq!((description.chars().count(), description.ends_with('…')), (140, true));
    }
}

//! Runs as they are queued: pure but for their numbers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use quarterdeck_shared::event::Cause;
use quarterdeck_shared::snapshot::{RunGoal, RunStatus};
use quarterdeck_shared::status::{Phase, Stage, StageKind};

use crate::context::{Application, Context};
use quarterdeck_core::trigger::{Head, Owed, OwedHead, TriggerKind};
use quarterdeck_git::CommitId;

pub(super) fn new_run(context: &Context, application: &Application, owed: Owed, now: Timestamp) -> RunStatus {
    let goal = match owed.kind {
        TriggerKind::Build => RunGoal::Build,
        TriggerKind::Push => RunGoal::Push,
    };
    let cause = Cause::Tag { tag: owed.tag.clone(), commit: owed.commit.clone() };
    queued(context, application, goal, owed.tag, owed.commit, cause, now)
}

/// A run that a new commit of a branch or merge request asks for: it is built and tested; of the repository's own merge requests it
/// is pushed as well where that is wanted, never of a fork's.
pub(super) fn check(context: &Context, application: &Application, owed: OwedHead, now: Timestamp) -> RunStatus {
    let OwedHead { head, commit, permission } = owed;
    let (reference, cause) = match head {
        Head::Branch(branch) => (branch.clone(), Cause::Branch { branch, commit: commit.clone() }),
        Head::MergeRequest(number) => {
            (format!("merge-request-{number}"), Cause::MergeRequest { number, commit: commit.clone() })
        }
    };
    let pushes = application.spec.delivery.as_ref().is_some_and(|delivery| delivery.code.push_merge_requests);
    let is_own = matches!(cause, Cause::MergeRequest { .. }) && permission.is_none();
    let goal = if pushes && is_own { RunGoal::Preview } else { RunGoal::Build };
    RunStatus { permission, ..queued(context, application, goal, reference, commit, cause, now) }
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
    if application.spec.delivery.as_ref().is_some_and(|delivery| !delivery.tests.is_empty()) {
        kinds.push(StageKind::Test);
    }
    let delivery = application.spec.delivery.as_ref();
    if goal != RunGoal::Build {
        kinds.push(StageKind::Push);
        if delivery.is_some_and(|delivery| delivery.scan.is_some()) {
            kinds.push(StageKind::Scan);
        }
    }
    if goal == RunGoal::Push && delivery.is_some_and(|delivery| delivery.sign.is_some()) {
        kinds.push(StageKind::Sign);
    }
    let environments = application.spec.environments.iter().filter(|_| goal == RunGoal::Push);
    let promotions = environments.map(|environment| Stage::promotion(&environment.name));
    RunStatus {
        id: context.journal.next_run(),
        resumes: None,
        behind: None,
        application: application.spec.name.clone(),
        goal,
        rebuild: false,
        cause,
        permission: None,
        reference,
        commit,
        subject: String::new(),
        phase: Phase::Queued,
        stages: kinds.into_iter().map(Stage::queued).chain(promotions).collect(),
        queued: now,
        started: None,
        finished: None,
        message: String::new(),
        hint: String::new(),
        artifact: None,
        tests: Vec::new(),
        scans: Vec::new(),
        promoted: BTreeMap::new(),
    }
}

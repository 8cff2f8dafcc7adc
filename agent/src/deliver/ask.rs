//! A run that a person asks for: what the words name in the code repository becomes a commit, and a queued run; or one that
//! has ended is queued once more.

use quarterdeck_shared::event::Cause;
use quarterdeck_shared::protocol::DeliverRequest;
use quarterdeck_shared::snapshot::{RunGoal, RunStatus};

use super::DeliverError;
use super::run::queued;
use crate::context::{Application, Context};
use quarterdeck_core::queue;
use quarterdeck_core::queue::bound::{self, WAITING_MAX};
use quarterdeck_git::mirror::Named;
use quarterdeck_git::{GitErrorKind, Target};

/// A run that a person asks for.
pub async fn ask(
    context: &Context,
    application: &Application,
    goal: RunGoal,
    request: &DeliverRequest,
    cause: Cause,
) -> Result<RunStatus, DeliverError> {
    let name = &application.spec.name;
    let Some(repository) = application.code.as_ref().map(|code| &code.repository) else {
        return Err(DeliverError::NoSuch(format!(
            "application {name} is only deployed: it has no [application.code] to build from"
        )));
    };
    let refs = repository.refs().borrow().clone();
    let reference = request.reference.clone();
    let asked = reference.clone().unwrap_or_else(|| "HEAD".to_owned());
    let found = repository
        .work(move |mirror| {
            let Some(text) = reference else {
                let default = refs.as_ref().and_then(|refs| refs.default_branch.clone());
                let commit = mirror.resolve(&Target::Default, default.as_deref())?;
                return Ok((default.unwrap_or_else(|| "HEAD".to_owned()), Named::Reference(commit)));
            };
            let named = mirror.named(refs.as_deref(), &text)?;
            Ok((text, named))
        })
        .await;
    let no_such =
        || DeliverError::NoSuch(format!("the code repository of {name} has no tag, branch or commit {asked}"));
    let (reference, commit) = match found {
        Ok((reference, Named::Reference(commit) | Named::Commit(commit))) => (reference, commit),
        Ok((_, Named::Missing)) => return Err(no_such()),
        Ok((text, Named::Ambiguous)) => {
            return Err(DeliverError::NoSuch(Named::ambiguous(&text)));
        }
        Err(error) if error.kind() == GitErrorKind::NotFound => return Err(no_such()),
        Err(source) => return Err(DeliverError::Git { doing: "find what to build", source }),
    };
    let mut run = queued(context, application, goal, reference, commit, cause, jiff::Timestamp::now());
    run.rebuild = request.rebuild;
    Ok(run)
}

/// Whether there is room for one more run that a person asks for.
pub fn room(context: &Context, application: &Application) -> Result<(), DeliverError> {
    let name = &application.spec.name;
    match context.journal.snapshot().with_runs(name, |runs| bound::is_full(runs, WAITING_MAX)) {
        true => Err(DeliverError::NoRoom { application: name.clone(), run: None }),
        false => Ok(()),
    }
}

/// A run that has ended, once more under a new number and behind all that wait: what it did is found and not done again.
pub fn retry(
    context: &Context,
    application: &Application,
    run: &RunStatus,
    runs: &[RunStatus],
    cause: Cause,
) -> Result<RunStatus, DeliverError> {
    let name = &application.spec.name;
    let no = |why: String, hint: String| Err(DeliverError::NoRetry { run: run.id.number, why, hint });
    if !run.phase.is_final() {
        return no("it has not ended".to_owned(), format!("`qd runs cancel {}` ends it", run.id.number));
    }
    if application.code.is_none() {
        return no(format!("application {name} has no [application.code] any more"), String::new());
    }
    if let Some(newer) = queue::outdone(run, runs) {
        let why = format!("run {} pushes a newer version, and this one would replace it", newer.number);
        return no(why, format!("to go back to it all the same: qd push {name} {}", run.reference));
    }
    let (reference, commit, now) = (run.reference.clone(), run.commit.clone(), jiff::Timestamp::now());
    let mut again = queued(context, application, run.goal, reference, commit, cause, now);
    again.subject.clone_from(&run.subject);
    again.permission = run.permission;
    Ok(again)
}

//! A run that a person asks for: what the words name in the code repository becomes a commit, and a queued run.

use quarterdeck_shared::event::Cause;
use quarterdeck_shared::protocol::DeliverRequest;
use quarterdeck_shared::snapshot::{RunGoal, RunStatus};

use super::DeliverError;
use super::run::queued;
use crate::context::{Application, Context};
use crate::source::{CommitId, GitError, GitErrorKind, Target};

/// A run that a person asks for.
pub async fn ask(
    context: &Context,
    application: &Application,
    goal: RunGoal,
    request: &DeliverRequest,
    cause: Cause,
) -> Result<RunStatus, DeliverError> {
    let name = &application.spec.name;
    let Some(repository) = &application.code else {
        return Err(DeliverError::NoSuch(format!(
            "application {name} is only deployed: it has no [application.code] to build from"
        )));
    };
    let refs = repository.refs().borrow().clone();
    let reference = request.reference.clone();
    let no_such = || {
        DeliverError::NoSuch(format!(
            "the code repository of {name} has no tag, branch or commit {}",
            request.reference.as_deref().unwrap_or("HEAD")
        ))
    };
    let (reference, commit) = repository
        .work(move |mirror| {
            let default = refs.as_ref().and_then(|refs| refs.default_branch.clone());
            let Some(text) = reference else {
                return Ok((
                    default.clone().unwrap_or_else(|| "HEAD".to_owned()),
                    mirror.resolve(&Target::Default, default.as_deref())?,
                ));
            };
            let commit = match (
                refs.as_ref().map(|refs| (refs.tags.get(&text), refs.branches.get(&text))),
                text.parse::<CommitId>(),
            ) {
                (Some((Some(tag), _)), _) if tag.commit.is_some() => {
                    mirror.resolve(&Target::Tag(text.clone()), None)?
                }
                (Some((_, Some(_))), _) => mirror.resolve(&Target::Branch(text.clone()), None)?,
                (_, Ok(commit)) => mirror.resolve(&Target::Commit(commit), None)?,
                (_, Err(_)) => return Err(GitError::NotFound { url: mirror.remote().url.to_string(), what: text }),
            };
            Ok((text, commit))
        })
        .await
        .map_err(|error| {
            if error.kind() == GitErrorKind::NotFound {
                no_such()
            } else {
                DeliverError::Git { doing: "find what to build", source: error }
            }
        })?;
    let mut run = queued(context, application, goal, reference, commit, cause, jiff::Timestamp::now());
    run.rebuild = request.rebuild;
    Ok(run)
}

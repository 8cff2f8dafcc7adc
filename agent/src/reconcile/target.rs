//! What an environment follows: which commit its repository is asked for, and what people call it.

use quarterdeck_core::follow::revision::{Choice, WantedTag};
use quarterdeck_git::{CommitId, GitErrorKind, Target};
use quarterdeck_shared::application::Follow;
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::snapshot::EnvironmentStatus;

use super::ReconcileError;
use crate::context::Environment;

/// What the repository is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// What it is.
    pub(super) target: Target,
    /// Its name in a revision.
    pub(super) name: String,
    /// The default branch of the repository, as of its last poll.
    default: Option<String>,
    /// The artifact that a pin holds: it is fetched again where it is not kept any more.
    artifact: Option<Box<str>>,
}

/// Its pin, else what it is configured to.
pub(super) async fn in_force(environment: &Environment, status: &EnvironmentStatus) -> Result<Asked, ReconcileError> {
    match &status.pin {
        Some(pin) => Ok(Asked {
            target: Target::Commit(pin.revision.commit.clone()),
            name: Revision::PIN.to_owned(),
            default: None,
            artifact: pin.revision.artifact.clone(),
        }),
        None => followed(environment, status).await,
    }
}

/// What it is configured to follow.
pub(super) async fn followed(environment: &Environment, status: &EnvironmentStatus) -> Result<Asked, ReconcileError> {
    let default = environment.repository.refs().borrow().as_ref().and_then(|refs| refs.default_branch.clone());
    let (target, name) = match &environment.spec.follow {
        Follow::Default => (Target::Default, default.clone().unwrap_or_else(|| "HEAD".to_owned())),
        Follow::Branch(branch) => (Target::Branch(branch.clone()), branch.clone()),
        Follow::Tag(tag) => (Target::Tag(tag.clone()), tag.clone()),
        Follow::NewestTag(pattern) => {
            chosen(environment, status, format!("tag that matches {pattern}"), WantedTag::matching(pattern)).await?
        }
        Follow::Semver(range) => {
            chosen(environment, status, format!("tag in the range {range}"), WantedTag::in_range(range)).await?
        }
        Follow::Commit(commit) => (Target::Commit(commit.clone()), Revision::COMMIT.to_owned()),
    };
    Ok(Asked { target, name, default, artifact: None })
}

/// The tag that a pattern or a range chooses.
async fn chosen<E: std::fmt::Display>(
    environment: &Environment,
    status: &EnvironmentStatus,
    what: String,
    wanted: Result<WantedTag, E>,
) -> Result<(Target, String), ReconcileError> {
    // The configuration was checked for it.
    let wanted = wanted.map_err(|error| ReconcileError::NoSuch(error.to_string()))?;
    let deployed = status.revision.as_ref().map(|revision| revision.reference.as_str());
    let refs = environment.repository.refs().borrow().clone();
    let tags = match refs {
        Some(refs) => refs.tags.keys().cloned().collect::<Vec<_>>(),
        // Before the first poll the mirror knows what an earlier life of the agent saw.
        None => {
            let tags = environment.repository.work(|mirror| mirror.tags()).await;
            tags.map_err(|source| ReconcileError::Resolve { what: format!("a {what}"), source })?
        }
    };
    match wanted.choose(tags.iter().map(String::as_str), deployed) {
        Choice::Tag(tag) => Ok((Target::Tag(tag.to_owned()), tag.to_owned())),
        Choice::Gone { left } => Err(ReconcileError::TagGone {
            tag: deployed.unwrap_or_default().to_owned(),
            repository: environment.repository.address().to_owned(),
            environment: environment.id.to_string(),
            left: left.map(str::to_owned),
        }),
        Choice::None => Err(ReconcileError::NoTag { what, repository: environment.repository.address().to_owned() }),
    }
}

/// The revision that is asked for. The mirror answers also where the remote is unreachable.
pub(super) async fn revision(environment: &Environment, asked: Asked) -> Result<Revision, ReconcileError> {
    let (name, digest) = (asked.name.clone(), asked.artifact.clone());
    let commit = match (commit(environment, asked).await, environment.repository.artifact(), digest) {
        (Err(_), Some(artifact), Some(digest)) => {
            let again = artifact.fetch_again(&environment.repository.mirror(), &digest).await;
            again.map_err(|error| ReconcileError::Artifact { digest: digest.into(), why: Failure::of(&error) })?
        }
        (commit, ..) => commit?,
    };
    Ok(of_artifact(environment, Revision::new(name, commit)))
}

/// The same with the tag and the digest of the artifact that its commit was made of.
pub(super) fn of_artifact(environment: &Environment, revision: Revision) -> Revision {
    let Some(artifact) = environment.repository.artifact() else { return revision };
    let Some((name, digest)) = artifact.release(&revision.commit) else { return revision };
    let reference = if revision.reference == Revision::PIN { revision.reference } else { name };
    Revision { reference, artifact: Some(digest.into()), ..revision }
}

/// The commit that is asked for; one that the configuration names and that no branch or tag leads to is asked of the remote,
/// once.
async fn commit(environment: &Environment, asked: Asked) -> Result<CommitId, ReconcileError> {
    let Asked { target, name: _, default, artifact: _ } = asked;
    let what = target.to_string();
    let repository = &environment.repository;
    let is_reached = repository.refs().borrow().is_some() && repository.trouble().borrow().is_none();
    let is_named =
        |commit: &Follow| matches!((commit, &target), (Follow::Commit(one), Target::Commit(other)) if one == other);
    let by_id = is_reached && is_named(&environment.spec.follow);
    let commit = repository.work(move |mirror| match (mirror.resolve(&target, default.as_deref()), &target) {
        (Err(error), Target::Commit(id)) if by_id && error.kind() == GitErrorKind::NotFound => {
            mirror.fetch_commit(id)?;
            mirror.resolve(&target, None)
        }
        (resolved, _) => resolved,
    });
    commit.await.map_err(|source| match &environment.spec.follow {
        Follow::Commit(commit) if by_id && source.kind() == GitErrorKind::NotFound => {
            ReconcileError::NoCommit { commit: commit.to_string(), repository: repository.address().to_owned() }
        }
        _ => ReconcileError::Resolve { what, source },
    })
}

//! What an environment follows: which commit its repository is asked for, and what people call it.

use quarterdeck_core::follow::revision::{Choice, WantedTag};
use quarterdeck_git::{CommitId, GitErrorKind, Target};
use quarterdeck_shared::application::{EnvironmentId, EnvironmentSourceName, Follow};
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::snapshot::EnvironmentStatus;

use super::ReconcileError;
use crate::context::Environment;
use crate::poll::Repository;

/// A repository, and what of it an environment follows.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) repository: &'a Repository,
    pub(super) follow: &'a Follow,
    pub(super) environment: &'a EnvironmentId,
    /// Which of its sources this is; nothing of its own repository.
    pub(super) source: Option<&'a EnvironmentSourceName>,
}

impl<'a> Origin<'a> {
    /// The environment's own repository.
    pub(super) fn own(environment: &'a Environment) -> Self {
        let Environment { id, spec, repository, .. } = environment;
        Self { repository, follow: &spec.follow, environment: id, source: None }
    }

    /// What it is called, for people.
    pub(super) fn describe(&self) -> String {
        match self.source {
            Some(source) => format!("source {source}"),
            None => "the deploy repository".to_owned(),
        }
    }
}

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
    let pin = status.pin.as_ref().map(|pin| &pin.revision);
    asked(Origin::own(environment), pin, status.revision.as_ref()).await
}

/// What is pinned, else what is followed.
pub(super) async fn asked(
    origin: Origin<'_>,
    pin: Option<&Revision>,
    deployed: Option<&Revision>,
) -> Result<Asked, ReconcileError> {
    match pin {
        Some(pin) => Ok(Asked {
            target: Target::Commit(pin.commit.clone()),
            name: Revision::PIN.to_owned(),
            default: None,
            artifact: pin.artifact.clone(),
        }),
        None => followed_of(origin, deployed).await,
    }
}

/// What it is configured to follow.
pub(super) async fn followed(environment: &Environment, status: &EnvironmentStatus) -> Result<Asked, ReconcileError> {
    followed_of(Origin::own(environment), status.revision.as_ref()).await
}

async fn followed_of(origin: Origin<'_>, deployed: Option<&Revision>) -> Result<Asked, ReconcileError> {
    let default = origin.repository.refs().borrow().as_ref().and_then(|refs| refs.default_branch.clone());
    let (target, name) = match origin.follow {
        Follow::Default => (Target::Default, default.clone().unwrap_or_else(|| "HEAD".to_owned())),
        Follow::Branch(branch) => (Target::Branch(branch.clone()), branch.clone()),
        Follow::Tag(tag) => (Target::Tag(tag.clone()), tag.clone()),
        Follow::NewestTag(pattern) => {
            chosen(origin, deployed, format!("tag that matches {pattern}"), WantedTag::matching(pattern)).await?
        }
        Follow::Semver(range) => {
            chosen(origin, deployed, format!("tag in the range {range}"), WantedTag::in_range(range)).await?
        }
        Follow::Commit(commit) => (Target::Commit(commit.clone()), Revision::COMMIT.to_owned()),
    };
    Ok(Asked { target, name, default, artifact: None })
}

/// The tag that a pattern or a range chooses.
async fn chosen<E: std::fmt::Display>(
    origin: Origin<'_>,
    deployed: Option<&Revision>,
    what: String,
    wanted: Result<WantedTag, E>,
) -> Result<(Target, String), ReconcileError> {
    // The configuration was checked for it.
    let wanted = wanted.map_err(|error| ReconcileError::NoSuch(error.to_string()))?;
    let deployed = deployed.map(|revision| revision.reference.as_str());
    let repository = origin.repository;
    let refs = repository.refs().borrow().clone();
    let tags = match refs {
        Some(refs) => refs.tags.keys().cloned().collect::<Vec<_>>(),
        // Before the first poll the mirror knows what an earlier life of the agent saw.
        None => {
            let tags = repository.work(|mirror| mirror.tags()).await;
            tags.map_err(|source| ReconcileError::Resolve { what: format!("a {what}"), source })?
        }
    };
    match wanted.choose(tags.iter().map(String::as_str), deployed) {
        Choice::Tag(tag) => Ok((Target::Tag(tag.to_owned()), tag.to_owned())),
        Choice::Gone { left } => Err(ReconcileError::TagGone {
            tag: deployed.unwrap_or_default().to_owned(),
            repository: repository.address().to_owned(),
            environment: origin.environment.to_string(),
            of: origin.source.cloned(),
            left: left.map(str::to_owned),
        }),
        Choice::None => Err(ReconcileError::NoTag { what, repository: repository.address().to_owned() }),
    }
}

/// The revision that is asked for. The mirror answers also where the remote is unreachable.
pub(super) async fn revision(origin: Origin<'_>, asked: Asked) -> Result<Revision, ReconcileError> {
    let (name, digest, repository) = (asked.name.clone(), asked.artifact.clone(), origin.repository);
    let commit = match (commit(origin, asked).await, repository.artifact(), digest) {
        (Err(_), Some(artifact), Some(digest)) => {
            let again = artifact.fetch_again(&repository.mirror(), &digest).await;
            again.map_err(|error| ReconcileError::Artifact { digest: digest.into(), why: Failure::of(&error) })?
        }
        (commit, ..) => commit?,
    };
    Ok(of_artifact(repository, Revision::new(name, commit)))
}

/// The same with the tag and the digest of the artifact that its commit was made of.
pub(super) fn of_artifact(repository: &Repository, revision: Revision) -> Revision {
    let Some(artifact) = repository.artifact() else { return revision };
    let Some((name, digest)) = artifact.release(&revision.commit) else { return revision };
    let reference = if revision.reference == Revision::PIN { revision.reference } else { name };
    Revision { reference, artifact: Some(digest.into()), ..revision }
}

/// The commit that is asked for; one that the configuration names and that no branch or tag leads to is asked of the remote,
/// once.
async fn commit(origin: Origin<'_>, asked: Asked) -> Result<CommitId, ReconcileError> {
    let Asked { target, name: _, default, artifact: _ } = asked;
    let what = target.to_string();
    let Origin { repository, follow, .. } = origin;
    let is_reached = repository.refs().borrow().is_some() && repository.trouble().borrow().is_none();
    let is_named =
        |commit: &Follow| matches!((commit, &target), (Follow::Commit(one), Target::Commit(other)) if one == other);
    let by_id = is_reached && is_named(follow);
    let commit = repository.work(move |mirror| match (mirror.resolve(&target, default.as_deref()), &target) {
        (Err(error), Target::Commit(id)) if by_id && error.kind() == GitErrorKind::NotFound => {
            mirror.fetch_commit(id)?;
            mirror.resolve(&target, None)
        }
        (resolved, _) => resolved,
    });
    commit.await.map_err(|source| match follow {
        Follow::Commit(commit) if by_id && source.kind() == GitErrorKind::NotFound => {
            ReconcileError::NoCommit { commit: commit.to_string(), repository: repository.address().to_owned() }
        }
        _ => ReconcileError::Resolve { what, source },
    })
}

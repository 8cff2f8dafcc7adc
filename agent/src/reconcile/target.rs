//! What an environment follows: which commit its repository is asked for.

use quarterdeck_shared::application::Follow;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::snapshot::EnvironmentStatus;

use crate::context::Environment;
use quarterdeck_git::Target;

/// Its pin, else what it is configured to.
pub(super) fn in_force(environment: &Environment, status: &EnvironmentStatus) -> Target {
    match &status.pin {
        Some(pin) => Target::Commit(pin.revision.commit.clone()),
        None => followed(environment),
    }
}

/// What it is configured to follow.
pub(super) fn followed(environment: &Environment) -> Target {
    match &environment.spec.follow {
        Follow::Default => Target::Default,
        Follow::Branch(branch) => Target::Branch(branch.clone()),
        Follow::Tag(tag) => Target::Tag(tag.clone()),
    }
}

/// The name of a target in a revision.
pub(super) fn reference(target: &Target, default: Option<&str>) -> String {
    match target {
        Target::Commit(_) => Revision::PIN.to_owned(),
        Target::Tag(name) | Target::Branch(name) => name.clone(),
        Target::Default => default.unwrap_or("HEAD").to_owned(),
    }
}

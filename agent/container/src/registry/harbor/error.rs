//! Why Harbor did not do what it was asked for, and what a person could do about it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use quarterdeck_shared::error::Hint;
use quarterdeck_system::certificate::Distrust;

use crate::registry::messages::AUTHORITY;

/// What Harbor is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// What it knows of an artifact.
    Artifact,
    /// A scan.
    Scan,
    /// The report of a scan.
    Report,
    /// A project, with its quota.
    Project,
    /// The rules of a project by which tags are immutable.
    Rules,
    /// The labels of a project.
    Labels,
    /// A new label in a project.
    MakeLabel,
    /// The artifacts of a repository.
    Artifacts,
    /// A label on an artifact.
    SetLabel,
    /// A label off an artifact.
    TakeLabelOff,
    /// One more tag of an artifact.
    AddTag,
    /// A tag off an artifact.
    TakeTagOff,
    /// How it is.
    Health,
}

impl What {
    /// The permission of a robot account that it needs.
    pub fn permission(self) -> &'static str {
        match self {
            Self::Artifact => "artifact:read",
            Self::Scan => "scan:create",
            Self::Report => "artifact-addition:read",
            Self::Project => "project:read",
            Self::Rules => "immutable-tag:list",
            Self::Labels => "label:list",
            Self::MakeLabel => "label:create",
            Self::Artifacts => "artifact:list",
            Self::SetLabel => "artifact-label:create",
            Self::TakeLabelOff => "artifact-label:delete",
            Self::AddTag => "tag:create",
            Self::TakeTagOff => "tag:delete",
            Self::Health => "none",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Artifact => "read the artifact",
            Self::Scan => "scan the artifact",
            Self::Report => "read the report of a scan",
            Self::Project => "read the project",
            Self::Rules => "list the immutable tag rules",
            Self::Labels => "list the labels",
            Self::MakeLabel => "make a label",
            Self::Artifacts => "list the artifacts",
            Self::SetLabel => "set a label",
            Self::TakeLabelOff => "take a label off",
            Self::AddTag => "add a tag",
            Self::TakeTagOff => "take a tag off",
            Self::Health => "report its health",
        })
    }
}

/// Why Harbor did not do it.
#[derive(Debug, thiserror::Error)]
pub enum HarborError {
    /// It could not be reached, or is in trouble.
    #[error("the Harbor registry {registry} is unreachable: {message}")]
    Away {
        /// The host.
        registry: String,
        /// What happened.
        message: String,
    },
    /// Its certificate is not to be trusted.
    #[error("the certificate of the registry {registry} was rejected: {why}")]
    Certificate {
        /// The host.
        registry: String,
        /// What is wrong with it.
        why: Distrust,
    },
    /// 429
    #[error("the Harbor registry {registry} limits requests{}", asked_wait(*.wait))]
    Busy {
        /// The host.
        registry: String,
        /// How long it wants to be left alone, where it says so.
        wait: Option<Duration>,
    },
    /// 401 with a login. Of a robot also where it expired or is disabled.
    #[error("the Harbor registry {registry} does not accept the login of {user}: {message}")]
    WrongLogin {
        /// The host.
        registry: String,
        /// The user name.
        user: String,
        /// Status and its words.
        message: String,
    },
    /// 401 or 403 without a login.
    #[error("the Harbor registry {registry} requires a login to {what}")]
    NoLogin {
        /// The host.
        registry: String,
        /// What was asked.
        what: What,
    },
    /// The login is of a kind that its API does not take.
    #[error("the Harbor registry {registry} requires a user name and a password, and its login is a token")]
    NoPassword {
        /// The host.
        registry: String,
    },
    /// 403 with a login.
    #[error("{user} may not {what} in the Harbor registry {registry}: {message}")]
    NoPermission {
        /// The host.
        registry: String,
        /// The user name.
        user: String,
        /// What was asked.
        what: What,
        /// Status and its words.
        message: String,
    },
    /// 404 of Harbor itself.
    #[error("the Harbor registry {registry} has no artifact {of}")]
    Missing {
        /// The host.
        registry: String,
        /// The image.
        of: String,
    },
    /// Something else answers at that address.
    #[error("the registry {registry} is not a Harbor")]
    NotHarbor {
        /// The host.
        registry: String,
    },
    /// The name of the image names no project.
    #[error("the image {image} is in no project of Harbor")]
    NoProject {
        /// The image.
        image: String,
    },
    /// 409: it is done already.
    #[error("the Harbor registry {registry} cannot {what} now: {message}")]
    Conflict {
        /// The host.
        registry: String,
        /// What was asked.
        what: What,
        /// Status and its words.
        message: String,
    },
    /// 412: a condition of the project is not met.
    #[error("the Harbor registry {registry} refuses to {what}: {message}")]
    Refused {
        /// The host.
        registry: String,
        /// What was asked.
        what: What,
        /// Status and its words.
        message: String,
    },
    /// Any other answer.
    #[error("asked to {what}, the Harbor registry {registry} answers {message}")]
    Answer {
        /// The host.
        registry: String,
        /// What was asked.
        what: What,
        /// Status and its words.
        message: String,
    },
    /// More than is read.
    #[error("asked to {what}, the Harbor registry {registry} answers with more than {bytes} bytes")]
    TooLong {
        /// The host.
        registry: String,
        /// What was asked.
        what: What,
        /// What is read.
        bytes: usize,
    },
}

fn asked_wait(wait: Option<Duration>) -> String {
    wait.map(|wait| format!(" (it asks for {} s)", wait.as_secs())).unwrap_or_default()
}

impl HarborError {
    /// Whether the same question may be answered later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::Certificate { .. } | Self::Busy { .. } | Self::Conflict { .. })
    }
}

impl Hint for HarborError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Certificate { why, .. } => why.remedy(AUTHORITY).into(),
            Self::WrongLogin { registry, .. } => {
                let robots = "a robot account that expired or is disabled is refused in this way as well";
                format!(
                    "check `username` and `password_env` under [[registry]], or `docker login {registry}`; {robots}"
                )
                .into()
            }
            Self::NoLogin { .. } | Self::NoPassword { .. } => {
                "set `username` and `password_env` under [[registry]], as of a robot account".into()
            }
            Self::NoPermission { what, .. } => {
                format!("give the robot account the permission {} in this project", what.permission()).into()
            }
            Self::Missing { .. } => {
                "see in Harbor whether a retention rule or a person deleted it; push it again".into()
            }
            Self::NotHarbor { .. } => {
                "leave out kind = \"harbor\" of [[registry]]; set by = \"trivy\" or by = \"grype\" in [application.scan]".into()
            }
            Self::NoProject { .. } => "name the image registry/project/name".into(),
            Self::Refused { what: What::Scan, .. } => {
                "see that Harbor has a default scanner, under Administration, Interrogation Services".into()
            }
            Self::Refused { what: What::TakeTagOff, .. } => {
                "exclude deployed-** from the immutable tag rules of the project".into()
            }
            Self::Away { .. }
            | Self::Busy { .. }
            | Self::Conflict { .. }
            | Self::Refused { .. }
            | Self::Answer { .. }
            | Self::TooLong { .. } => "".into(),
        }
    }
}

//! Why a registry did not answer, and what a person could do about it.

use std::borrow::Cow;
use std::time::Duration;

use quarterdeck_shared::error::Hint;
use quarterdeck_system::certificate::Distrust;

use crate::registry::authorities::NoAuthorities;
use crate::registry::messages::AUTHORITY;

/// Why a registry did not answer the question.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// 401 with a login: it is wrong, or it has ended.
    #[error("the registry {registry} does not accept the login of {user}: {message}")]
    WrongLogin {
        /// The host.
        registry: String,
        /// The user name, or what kind of token it was.
        user: String,
        /// The registry's words.
        message: String,
    },
    /// 401 or 403 though the login is good, or there is none.
    #[error("{}", no_permission(.image, .user.as_deref()))]
    NoPermission {
        /// Registry and repository.
        image: String,
        /// Who asked; none without a login.
        user: Option<String>,
    },
    /// It could not be reached, or broke off.
    #[error("the registry {registry} is unreachable: {message}")]
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
    #[error("the registry {registry} limits requests ({message})")]
    Busy {
        /// The host.
        registry: String,
        /// The registry's words.
        message: String,
        /// How long it asks to be left alone, where it says so.
        retry_after: Option<Duration>,
    },
    /// The file of its authorities names none.
    #[error("the registry {registry} cannot be asked: ca_file {source}")]
    Authorities {
        /// The host.
        registry: String,
        /// The file, and why.
        source: NoAuthorities,
    },
    /// The registry has something else under the tag than what was pushed.
    #[error(
        "the engine pushed {pushed} as {image}, but the registry answers {found}: another client pushed that tag, or a proxy changes images"
    )]
    OtherDigest {
        /// The full name with its tag.
        image: String,
        /// The engine's digest.
        pushed: String,
        /// What the registry says.
        found: String,
    },
    /// What is under the name is of another kind than what was asked for.
    #[error("{image} is {found}, not {wanted}")]
    OtherKind {
        /// The full name.
        image: String,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// The content is not that of its digest.
    #[error("the content of {image} does not match its digest {digest}: it was changed on the way, or in the registry")]
    OtherContent {
        /// The full name.
        image: String,
        /// What the manifest says.
        digest: String,
    },
    /// The content is larger than what is read.
    #[error("{image} is larger than {bytes_max} bytes")]
    TooLarge {
        /// The full name.
        image: String,
        /// The bound.
        bytes_max: u64,
    },
    /// Any other answer.
    #[error("asking the registry about {image}: {message}")]
    Answer {
        /// The image.
        image: String,
        /// Status and the registry's words.
        message: String,
    },
    /// No client could be made.
    #[error("the registry {registry} cannot be asked: {message}")]
    NoClient {
        /// The host.
        registry: String,
        /// Why.
        message: String,
    },
    /// The login is of a kind that only the engine can use.
    #[error(
        "the registry {registry} cannot be asked: the login is an identity token, which only the engine knows how to use"
    )]
    IdentityToken {
        /// The host.
        registry: String,
    },
}

impl Hint for RegistryError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::WrongLogin { registry, .. } => {
                format!("check `username` and `password_env` under [[registry]], or `docker login {registry}`").into()
            }
            Self::NoPermission { user: Some(_), .. } => "give that login the right, or check the image's name".into(),
            Self::NoPermission { user: None, .. } => {
                "set `username` and `password_env` under [[registry]], or use `docker login`".into()
            }
            Self::Certificate { why, .. } => why.remedy(AUTHORITY).into(),
            Self::OtherDigest { .. } => "nothing was recorded; push again".into(),
            Self::NoClient { .. } => "install ca-certificates, or name a `ca_file` under [[registry]]".into(),
            Self::Authorities { .. } => "correct `ca_file` under [[registry]], or the file".into(),
            Self::Busy { retry_after: Some(wait), .. } => {
                format!("wait {} s, as the registry asks; the agent does", wait.as_secs()).into()
            }
            Self::OtherContent { .. } => {
                "push it again, or see what stands between this machine and the registry".into()
            }
            Self::OtherKind { .. } | Self::TooLarge { .. } => "see that the name and the tag are right".into(),
            Self::Away { .. } | Self::Busy { .. } | Self::Answer { .. } | Self::IdentityToken { .. } => "".into(),
        }
    }
}

impl RegistryError {
    /// Whether the same question may be answered later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Away { .. } | Self::Busy { .. } => true,
            // A certificate is renewed, or its authority named, while the work waits.
            Self::Certificate { .. } | Self::Authorities { .. } => true,
            _ => false,
        }
    }

    /// How long the registry asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn no_permission(image: &str, user: Option<&str>) -> String {
    match user {
        Some(user) => format!("{user} may not read {image}"),
        None => format!("{image} does not exist, or requires a login"),
    }
}

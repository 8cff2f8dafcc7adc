//! Building and pushing images: what an engine can do for us, in words that know no engine.
//!
//! ```text
//! deliver --BuildRequest, TestRequest--> Builder (docker/, buildkit/) --tar of the commit's tree (context.rs)--> engine
//!    ^                          '--Progress (progress.rs)--> whoever keeps the run's log
//!    '--BuiltImage, PushedDigest
//! ```
//!
//! This room decides nothing about when and what to build, makes no image tags, and remembers nothing: an image that was built
//! before is found by its labels, so that a lost history builds nothing twice.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::ssh_agent::SshAgent;
use self::testing::{TestError, TestOutcome, TestRequest};
use crate::registry::credentials::Login;
use crate::registry::oci::RegistryError;
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::output::Mask;
use quarterdeck_core::secrets::SecretScrubber;
use quarterdeck_core::tree::Tree;
use quarterdeck_shared::error::Hint;

pub mod buildkit;
pub mod docker;

pub mod base;
pub mod context;
mod progress;
pub mod ssh_agent;
pub mod testing;

/// A container engine that builds, tests and pushes.
pub trait Builder: Send + Sync {
    /// What answers, for people and for `doctor`.
    fn info(&self) -> BoxFuture<'_, Result<EngineInfo, BuildError>>;

    /// The newest image that has all these labels and a name.
    fn find<'a>(
        &'a self,
        labels: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<Option<BuiltImage>, BuildError>>;

    /// Builds an image. Output goes to `sink` as it comes; it ends early, with [`BuildError::Cancelled`], when `cancel` says so.
    fn build<'a>(
        &'a self,
        request: BuildRequest,
        sink: Sink,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<BuiltImage, BuildError>>;

    /// Runs a command in a container of an image. Output goes to `sink` as it comes; it ends early when `cancel` says so.
    /// Whatever it comes to, nothing of it is left on the engine.
    fn test<'a>(
        &'a self,
        request: &'a TestRequest,
        sink: Sink,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<TestOutcome, TestError>>;

    /// Takes away what is left of an owner's tests.
    fn clear_tests<'a>(&'a self, owner: &'a str) -> BoxFuture<'a, Result<(), BuildError>>;

    /// Gives an image another name.
    fn tag<'a>(&'a self, image_id: &'a str, name: &'a ImageRef) -> BoxFuture<'a, Result<(), BuildError>>;

    /// All images that have this label, with a name or without one.
    fn labelled<'a>(&'a self, label: &'a str) -> BoxFuture<'a, Result<Vec<LabelledImage>, BuildError>>;

    /// Takes an image and all of its names off the engine's disk, unless something there needs it.
    fn remove<'a>(&'a self, id: &'a str, names: &'a [String]) -> BoxFuture<'a, Result<Removal, BuildError>>;

    /// Pushes the image of this name, and tells the digest that the engine says it has there. What the registry itself
    /// answers is asked through `registry::oci`; the two have to be equal.
    fn push<'a>(
        &'a self,
        name: &'a ImageRef,
        login: Option<&'a Login>,
        sink: Sink,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<PushedDigest, BuildError>>;
}

/// Where progress goes. It is bounded by who makes it: an engine whose output nobody reads has to wait. When the receiver is
/// gone the work goes on without being told.
pub type Sink = mpsc::Sender<Progress>;

/// Something to show while work is going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A clean line of output, without its line feed.
    Line(String),
    /// How much is done, where the engine tells it; never falls.
    Percent(u8),
}

/// What is to be built.
#[derive(Clone)]
pub struct BuildRequest {
    /// The files of the commit.
    pub tree: Arc<dyn Tree>,
    /// The folder of the context, from the root of the commit; a link on the way is followed.
    pub context: String,
    /// The time that every file gets, in seconds since the epoch: the commit's (see [`context`]).
    pub modified: u64,
    /// Seen from the context.
    pub dockerfile: String,
    /// The stage to build; the last if absent.
    pub target: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, GivenValue>,
    /// Secrets by their ids, for `RUN --mount=type=secret`; BuildKit alone has it. Masked in every line of output.
    pub secrets: BTreeMap<String, SecretString>,
    /// An ssh agent, for `RUN --mount=type=ssh`; BuildKit alone has it.
    pub ssh: Option<SshAgent>,
    /// The platforms to build for; the engine's own if empty. Several make an index, which only a BuildKit daemon of its own
    /// makes.
    pub platforms: Vec<String>,
    /// Images of registries whose build cache is used; BuildKit alone does.
    pub cache_from: Vec<ImageRef>,
    /// Writes the build cache into the image; BuildKit alone does.
    pub inline_cache: bool,
    /// An image of a registry under which the cache of all stages is kept; a BuildKit daemon of its own alone does.
    pub cache_to: Option<ImageRef>,
    /// Labels beside those of the Dockerfile.
    pub labels: BTreeMap<String, String>,
    /// Names for the image; at least one, or it could not be found again.
    pub tags: Vec<ImageRef>,
    /// Build every step anew.
    pub no_cache: bool,
    /// Logins for the registries of base images, by host.
    pub logins: BTreeMap<String, Login>,
}

impl BuildRequest {
    /// What of it no builder but BuildKit can do.
    fn of_buildkit(&self) -> Option<&'static str> {
        let asked = [
            ("build secrets", !self.secrets.is_empty()),
            ("ssh mounts", self.ssh.is_some()),
            ("caches of registries", !self.cache_from.is_empty()),
            ("caches in images", self.inline_cache),
        ];
        asked.into_iter().find_map(|(what, is_asked)| is_asked.then_some(what))
    }
}

/// The value of a build argument, or of a variable of a container.
#[derive(Clone)]
pub enum GivenValue {
    /// May be shown.
    Plain(String),
    /// Is masked in every line of output. The engine still keeps a build argument in the image's history: that is how they are.
    Secret(SecretString),
}

impl GivenValue {
    /// As the engine is told it.
    fn reveal(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose_secret(),
        }
    }

    /// What of it is to be masked.
    fn secret(&self) -> Option<&SecretString> {
        match self {
            Self::Plain(_) => None,
            Self::Secret(secret) => Some(secret),
        }
    }
}

/// BuildKit's words without the names of its own parts in front.
fn plain(message: &str) -> &str {
    let own =
        ["failed to solve with frontend dockerfile.v0: ", "failed to solve: ", "failed to create LLB definition: "];
    own.iter().fold(message, |message, part| message.strip_prefix(part).unwrap_or(message))
}

/// A mask for these secrets, which the process keeps from now on.
fn masking(secrets: Vec<&SecretString>) -> Mask {
    secrets.iter().for_each(|secret| SecretScrubber::global().keep(secret.expose_secret()));
    Mask::new(secrets)
}

impl fmt::Debug for GivenValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GivenValue::Plain(value) => write!(f, "{value:?}"),
            GivenValue::Secret(_) => f.write_str("***"),
        }
    }
}

/// An image that the engine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    /// `sha256:…`
    pub id: String,
    /// Bytes of its layers on the engine's disk.
    pub size_bytes: u64,
    /// Its names, as the engine tells them.
    pub names: Vec<String>,
}

/// An image with labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledImage {
    /// `sha256:…`
    pub id: String,
    /// Its names; none where another image has them now.
    pub names: Vec<String>,
    /// All of its labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made, in seconds since the epoch. Of one whose steps were all cached that may be long before it was built.
    pub created: i64,
    /// Bytes of its layers, some of which others may share.
    pub size_bytes: u64,
}

/// What became of an image that was to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Done,
    /// Something on the engine needs it, in the engine's words.
    Refused(String),
}

/// What the engine says it pushed: `sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedDigest(pub String);

/// An engine, described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// `Docker` or `Podman`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The newest API that it speaks.
    pub api: String,
    /// Which builder is used: `BuildKit` or `classic`.
    pub builder: String,
    /// `linux/amd64`
    pub platform: String,
    /// Where it was found: an address, and who named it.
    pub address: String,
}

/// Why an image was not built, named, found or pushed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No engine is configured, and none is where engines usually are.
    #[error("no container engine was found (tried {})", .tried.join(", "))]
    NoEngine {
        /// Where it was looked for.
        tried: Vec<String>,
    },
    /// The engine's address cannot be used.
    #[error("the engine address {address} (from {from}) cannot be used: {why}")]
    Address {
        /// As it was written.
        address: String,
        /// Who wrote it.
        from: String,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// The engine does not answer, or the connection broke.
    #[error("the container engine at {address} is unreachable while {doing}")]
    Away {
        /// Where it should be.
        address: String,
        /// What we were doing.
        doing: String,
        /// The connection's error.
        #[source]
        source: Option<Box<bollard::errors::Error>>,
    },
    /// The engine is there and has nothing to say.
    #[error("{doing}: no output for {seconds} s, so it was stopped")]
    Silent {
        /// What we were doing.
        doing: String,
        /// For how long.
        seconds: u64,
    },
    /// The engine's answer ended before the work did.
    #[error("{doing}: the engine's answer was cut off before the end")]
    CutOff {
        /// What we were doing.
        doing: String,
    },
    /// There is no context to build from.
    #[error(transparent)]
    Context(#[from] context::ContextError),
    /// A BuildKit daemon, or the way to it.
    #[error(transparent)]
    Buildkit(#[from] buildkit::BuildkitError),
    /// The registry could not be asked.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The Dockerfile failed.
    #[error("building {image} failed: {message}")]
    Build {
        /// The first name that it was to have.
        image: String,
        /// The engine's words.
        message: String,
        /// What to do, where the words are known.
        hint: Option<&'static str>,
    },
    /// The registry, or the engine, did not take the image.
    #[error("pushing {image} failed: {message}")]
    Push {
        /// The full name.
        image: String,
        /// The engine's words.
        message: String,
        /// What to do, where the words are known.
        hint: Option<&'static str>,
    },
    /// The engine refused a request.
    #[error("{doing}: the engine refused ({status}): {message}")]
    Refused {
        /// What we were doing.
        doing: String,
        /// The HTTP status.
        status: u16,
        /// The engine's words.
        message: String,
    },
    /// BuildKit is asked for in the configuration, and the engine has none.
    #[error("the engine at {address} has no BuildKit")]
    NoBuildkit {
        /// Where the engine is.
        address: String,
    },
    /// The engine builds without BuildKit what needs it.
    #[error("{what} need BuildKit, and the engine at {address} builds without it")]
    NeedsBuildkit {
        /// What of the build needs it, in the plural.
        what: &'static str,
        /// Where the engine is.
        address: String,
    },
    /// It was asked to stop.
    #[error("{doing} was cancelled")]
    Cancelled {
        /// What we were doing.
        doing: String,
    },
}

impl Hint for BuildError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Context(error) => return error.hint(),
            Self::Buildkit(error) => return error.hint(),
            Self::Registry(error) => return error.hint(),
            Self::Push { hint, .. } | Self::Build { hint, .. } => hint.unwrap_or_default(),
            Self::NoEngine { .. } => "start Docker or Podman, or set `address` in [engine]",
            Self::Away { .. } => "start the engine, and let the user of the agent reach its socket",
            Self::Silent { .. } => "see the engine's log, or build manually to see where it hangs",
            Self::NoBuildkit { .. } => "set `builder = \"auto\"` in [engine], or turn BuildKit on in the engine",
            Self::NeedsBuildkit { .. } => {
                "build on Docker 18.09 or newer, and leave out `builder = \"classic\"` in [engine]; Podman has no BuildKit"
            }
            Self::Address { .. }
            | Self::CutOff { .. }
            | Self::Refused { .. }
            | Self::Cancelled { .. } => "",
        }
        .into()
    }
}

impl BuildError {
    /// Whether a push was refused as by somebody unknown. Where the login was good when it began, its token ended on the way.
    pub fn is_login_lost(&self) -> bool {
        matches!(self, BuildError::Push { message, .. } if crate::registry::messages::is_unknown(message))
    }

    /// Whether trying the same again later can help: the engine or the registry was away, slow or busy.
    pub fn is_transient(&self) -> bool {
        match self {
            BuildError::NoEngine { .. }
            | BuildError::Away { .. }
            | BuildError::Silent { .. }
            | BuildError::CutOff { .. } => true,
            BuildError::Push { message, .. } => crate::registry::messages::is_transient(message),
            BuildError::Buildkit(error) => error.is_transient(),
            BuildError::Registry(error) => error.is_transient(),
            BuildError::Refused { status, .. } => *status >= 500 || *status == 429,
            BuildError::Build { message, .. } => crate::registry::messages::is_transient(message),
            BuildError::Address { .. }
            | BuildError::Context(_)
            | BuildError::NoBuildkit { .. }
            | BuildError::NeedsBuildkit { .. }
            | BuildError::Cancelled { .. } => false,
        }
    }
}

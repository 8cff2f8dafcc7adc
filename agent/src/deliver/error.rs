//! Why a run failed, and what a person could do about it.

use std::borrow::Cow;
use std::time::Duration;

use quarterdeck_shared::snapshot::RunId;

use super::scan_error::ScanError;
use crate::forge::ForgeError;
use crate::history::error::HistoryError;
use crate::images::LoginError;
use crate::journal::NotKept;
use crate::signing::SignError;
use quarterdeck_container::engine::BuildError;
use quarterdeck_container::engine::ssh_agent::SshAgentError;
use quarterdeck_container::engine::testing::TestError;
use quarterdeck_container::registry::oci::RegistryError;
use quarterdeck_container::registry::signature::KeyError;
use quarterdeck_core::admission::Refusal;
use quarterdeck_core::before_push;
use quarterdeck_core::image_ref::ImageRefError;
use quarterdeck_core::promote::PromoteError;
use quarterdeck_core::queue::AWAITED_MAX;
use quarterdeck_core::queue::bound::WAITING_MAX;
use quarterdeck_core::trigger::{GlobError, TemplateError};
use quarterdeck_git::GitError;
use quarterdeck_shared::application::{ApplicationName, TestName};
use quarterdeck_shared::error::{Failure, Hint};
use quarterdeck_system::secret::SecretError;

/// A run that failed, and in which step.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// Git did not give what was needed.
    #[error("cannot {doing}")]
    Git {
        /// What.
        doing: &'static str,
        /// Why.
        source: GitError,
    },
    /// The tag may not trigger.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The forge does not say whether it protects the tag.
    #[error("cannot ask whether the tag is protected")]
    Forge(#[from] ForgeError),
    /// No forge could say so; the configuration was checked for one.
    #[error("no [[forge]] has the repository {address}")]
    NoForge {
        /// As it is written.
        address: String,
    },
    /// What is there is not known in this life.
    #[error("the tags of {address} have not been read yet")]
    Unread {
        /// Of the repository, without secrets.
        address: String,
    },
    /// What is to be built cannot be pushed.
    #[error(transparent)]
    NoPush(#[from] before_push::Refusal),
    /// The engine failed.
    #[error(transparent)]
    Build(BuildError),
    /// A test could not be run to its end.
    #[error(transparent)]
    Test(TestError),
    /// A test failed.
    #[error("test {test} failed: {message}")]
    TestFailed {
        /// Which.
        test: TestName,
        /// Why, in a line.
        message: String,
    },
    /// An image could not be scanned.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// An image has vulnerabilities that are too severe.
    #[error("{message}")]
    Vulnerable {
        /// The run's number.
        run: u64,
        /// How many of which image, and the first of them.
        message: String,
    },
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The image cannot be named so.
    #[error("the image cannot be named")]
    Name(#[from] ImageRefError),
    /// A secret is not there.
    #[error("{what} {name} has no value")]
    Value {
        /// What it is the value of: a build argument, a build secret, a variable.
        what: &'static str,
        /// Which.
        name: String,
        /// Where it should be, and why not.
        source: SecretError,
    },
    /// A build is to have an ssh agent, and there is none.
    #[error("the build has no ssh agent: {why}")]
    NoSshAgent {
        /// Where it should be.
        why: String,
    },
    /// A build is to have an ssh key, and it cannot be used.
    #[error(transparent)]
    SshAgent(#[from] SshAgentError),
    /// A pattern of tags is none; the configuration was checked for it.
    #[error(transparent)]
    Glob(#[from] GlobError),
    /// A template of image tags is none; the configuration was checked for it.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// What was pushed cannot be signed.
    #[error(transparent)]
    Sign(SignError),
    /// A key that is required cannot be used.
    #[error("cannot check the signature")]
    Key(#[from] KeyError),
    /// None of the keys that an environment requires signed the image.
    #[error("{image} is not signed by {keys}: {found}")]
    Unsigned {
        /// By its digest.
        image: String,
        /// Their names.
        keys: String,
        /// What was found instead.
        found: String,
        /// Whether identities are among them.
        by_identity: bool,
    },
    /// What an identity signed cannot be verified.
    #[error("cannot verify a signature by {signer}")]
    Identity {
        /// Who should have signed.
        signer: String,
        /// Why not.
        source: SignError,
    },
    /// We cannot say who we are to the registry.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The chart that the manifests are made with is not at hand.
    #[error("cannot fetch chart {chart}: {}", why.message)]
    Chart {
        /// As it is configured.
        chart: String,
        /// Why not, and what to do.
        why: Failure,
    },
    /// The other sources of the manifests are not at hand.
    #[error("cannot read the sources of {environment}: {}", why.message)]
    Sources {
        /// Which.
        environment: String,
        /// Why not, and what to do.
        why: Failure,
    },
    /// The manifests do not take the image.
    #[error(transparent)]
    Promote(#[from] PromoteError),
    /// Others were faster, each time.
    #[error("the deploy branch {branch} changed {tries} times during the promotion")]
    Raced {
        /// Which branch.
        branch: String,
        /// How often.
        tries: u32,
    },
    /// What a person asked for is not there.
    #[error("{0}")]
    NoSuch(String),
    /// A run cannot be done once more.
    #[error("run {run} cannot be retried: {why}")]
    NoRetry {
        /// Its number.
        run: u64,
        /// Why not.
        why: String,
        /// What to do instead.
        hint: String,
    },
    /// The history cannot be written.
    #[error(transparent)]
    NotKept(#[from] NotKept),
    /// The history cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// What was away stayed away.
    #[error("gave up after {}", humantime::format_duration(*.timeout))]
    GaveUp {
        /// For how long a stage is tried.
        timeout: Duration,
        /// What it met the last time.
        source: Box<DeliverError>,
    },
    /// A person ended it, or the agent ends.
    #[error("cancelled")]
    Cancelled,
    /// It waited for what was away, and a newer run has its goal.
    #[error("superseded by run {} while waiting for: {waited_for}", by.number)]
    Superseded {
        /// The newer run.
        by: RunId,
        /// What it met the last time.
        waited_for: String,
    },
    /// Its branch or merge request has a newer commit.
    #[error("superseded by run {} of a newer commit", by.number)]
    Outdated {
        /// The run of that commit.
        by: RunId,
    },
    /// Too many of forks' code wait for a person.
    #[error("{max} newer runs wait for a permission", max = AWAITED_MAX)]
    CrowdedOut {
        /// Its number.
        run: u64,
    },
    /// A check for which the queue has no room.
    #[error("dropped: more than {max} runs of the application wait, and checks give way first", max = WAITING_MAX)]
    Dropped {
        /// Its number.
        run: u64,
    },
    /// A tag, or what a person asks for, for which the queue has no room.
    #[error("not queued: {max} runs of {application} wait already", max = WAITING_MAX)]
    NoRoom {
        /// Whose.
        application: ApplicationName,
        /// The run that stands for the tag.
        run: Option<u64>,
    },
    /// It waited for what was away, and a run that goes further waits behind it.
    #[error("gave way to run {} while waiting for: {waited_for}", to.number)]
    GaveWay {
        /// The run that is done first.
        to: RunId,
        /// What it met the last time.
        waited_for: String,
    },
}

/// An engine that stopped because it was asked to did not fail: the run was cancelled, whoever of the two noticed first.
impl From<BuildError> for DeliverError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Cancelled { .. } => Self::Cancelled,
            error => Self::Build(error),
        }
    }
}

/// The same of a test.
impl From<TestError> for DeliverError {
    fn from(error: TestError) -> Self {
        match error {
            TestError::Engine(error) => error.into(),
            error => Self::Test(error),
        }
    }
}

/// A program that was stopped because the run was cancelled did not fail.
impl From<SignError> for DeliverError {
    fn from(error: SignError) -> Self {
        match error {
            SignError::Dropped => Self::Cancelled,
            error => Self::Sign(error),
        }
    }
}

impl DeliverError {
    /// Whether something is merely away, so that trying again is of use.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Git { source, .. } => source.passes(),
            Self::Promote(error) => of_git(error).is_some_and(GitError::passes),
            // A build reads the commit from the mirror, which may be in trouble as well.
            Self::Build(error) => error.is_transient() || of_git(error).is_some_and(GitError::passes),
            Self::Test(error) => error.is_transient(),
            Self::Scan(error) => error.is_transient(),
            Self::Registry(error) => error.is_transient(),
            Self::Sign(error) | Self::Identity { source: error, .. } => error.is_transient(),
            Self::Forge(error) => error.passes(),
            Self::NotKept(_) | Self::History(_) | Self::Unread { .. } => true,
            Self::Chart { .. } | Self::Sources { .. } => true,
            _ => false,
        }
    }

    /// How long whoever limits requests asks to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Registry(error) => error.retry_after(),
            Self::Scan(error) => error.retry_after(),
            Self::Forge(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Whether it is about one environment, its manifests and the keys that it requires, and says nothing of the others.
    pub(super) fn is_of_promotion(&self) -> bool {
        let of_signature = || {
            let is_of_keys = matches!(self, Self::Unsigned { .. } | Self::Key(_) | Self::Identity { .. });
            is_of_keys || matches!(self, Self::Registry(_) | Self::Login(_) | Self::Name(_))
        };
        let of_manifests = matches!(
            self,
            Self::Promote(_)
                | Self::Chart { .. }
                | Self::Sources { .. }
                | Self::Raced { .. }
                | Self::Git { .. }
                | Self::GaveUp { .. }
        );
        of_manifests || of_signature()
    }
}

impl Hint for DeliverError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Git { source, .. } => source.hint(),
            Self::Refused(refusal) => refusal.hint(),
            Self::NoPush(refusal) => refusal.hint(),
            Self::Forge(error) => error.hint(),
            Self::NoForge { .. } => "add a [[forge]] with its address, or leave out require_protected_tags".into(),
            Self::Unread { .. } => "`qd doctor` shows whether it can be read".into(),
            Self::Build(error) => error.hint(),
            Self::Test(error) => error.hint(),
            Self::TestFailed { .. } => "its output is in the log of the run; `qd runs retry` runs it once more".into(),
            Self::Scan(error) => error.hint(),
            Self::Vulnerable { run, .. } => format!(
                "update the packages or the base image, or accept one for a while with [[application.scan.exception]]; \
                 `qd runs show {run}` lists the worst"
            )
            .into(),
            Self::Registry(error) => error.hint(),
            Self::Sign(error) | Self::Identity { source: error, .. } => error.hint(),
            Self::Key(error) => error.hint(),
            Self::Unsigned { by_identity: true, .. } => "sign it as one of these, or add who signed it to require_signature".into(),
            Self::Unsigned { .. } => {
                "sign it with one of these keys, or add the public key that signed it to require_signature".into()
            }
            Self::Login(error) => error.hint(),
            Self::Chart { why, .. } | Self::Sources { why, .. } => (&*why.hint).into(),
            Self::NotKept(error) => error.hint(),
            Self::History(error) => error.hint(),
            Self::Promote(error) => match error.hint() {
                hint if hint.is_empty() => {
                    "check the path of the environment, or set promote.by = \"none\" where others maintain the manifests"
                        .into()
                }
                hint => hint,
            },
            Self::SshAgent(error) => error.hint(),
            Self::NoSshAgent { .. } => {
                "start an ssh agent, and name its socket in the environment of the agent: the guide shows how".into()
            }
            Self::NoSuch(_) => "name a tag, branch or commit of the code repository".into(),
            Self::NoRetry { hint, .. } => hint.into(),
            Self::CrowdedOut { run } | Self::Dropped { run } => {
                format!("`qd runs retry {run}` queues it once more").into()
            }
            Self::NoRoom { run: Some(run), .. } => {
                format!("when fewer wait, `qd runs retry {run}` queues it; `qd runs cancel` ends those that are not wanted").into()
            }
            Self::NoRoom { run: None, .. } => {
                "ask again when fewer wait; `qd runs cancel` ends those that are not wanted".into()
            }
            Self::Raced { .. } => "retry later".into(),
            Self::Superseded { .. } => "`qd push` with this tag delivers it all the same".into(),
            Self::GaveUp { source, .. } => {
                let again = "ask for it again when that is back: `qd push` or `qd build` with this tag";
                match source.hint() {
                    hint if hint.is_empty() => again.into(),
                    hint => format!("{hint}; then {again}").into(),
                }
            }
            Self::Name(_)
            | Self::Value { .. }
            | Self::Glob(_)
            | Self::Template(_)
            | Self::Cancelled
            | Self::Outdated { .. }
            | Self::GaveWay { .. } => "".into(),
        }
    }
}

/// The failure of git that an error comes of.
fn of_git<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e GitError> {
    let mut causes = std::iter::successors(Some(error), |cause| cause.source());
    causes.find_map(|cause| cause.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use quarterdeck_container::engine::context::ContextError;

    /// A mirror that is lost in the middle of a build is fetched again, and the build is tried again.
    #[test]
    fn a_mirror_in_trouble_is_an_outage_of_a_build_as_well() {
        let lost = || GitError::Mirror {
            dir: "/data/mirrors/shop.git".into(),
            doing: "reading a tree",
            detail: "no such file".into(),
        };
        let gone = || GitError::NotFound { url: "/srv/shop".into(), what: "commit 1f3c2a9".into() };
        let read = |source: GitError| {
            let what = "the tree".to_owned();
            DeliverError::Build(BuildError::Context(ContextError::Read { what, source: Box::new(source) }))
        };
        for (error, is_outage) in [(read(lost()), true), (read(gone()), false)] {
            assert_eq!(error.is_outage(), is_outage, "{error:?}");
        }
    }

    /// The engine may notice before the stage does; the run is handed on all the same.
    #[test]
    fn an_engine_that_was_asked_to_stop_did_not_fail() {
        let stopped = BuildError::Cancelled { doing: "building registry.example/shop:1.4.0".to_owned() };
        assert!(matches!(DeliverError::from(stopped), DeliverError::Cancelled));
        let failed = BuildError::NoBuildkit { address: "unix:///run/docker.sock".to_owned() };
        assert!(matches!(DeliverError::from(failed), DeliverError::Build(_)));
    }
}

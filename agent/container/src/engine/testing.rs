//! What a test needs of an engine, and what it came to, in words that know no engine.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use super::{BuildError, GivenValue};
use crate::registry::credentials::Login;
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_shared::application::ContainerLimits;
use quarterdeck_shared::error::Hint;

/// The most bytes of reports that are read of one test, packed as the engine sends them: a hundred thousand cases.
pub const REPORT_BYTES_MAX: usize = 32 << 20;

/// A command to be run in a container of an image, with services beside it.
#[derive(Debug, Clone)]
pub struct TestRequest {
    /// What the test is called.
    pub name: String,
    /// Whose it is. What is left of an owner is taken away before its next test: there is one at a time.
    pub owner: String,
    /// What its containers and its network are called on the engine; a service has its own name behind it.
    pub called: String,
    /// What is run: the image is an id.
    pub container: ContainerRequest,
    /// JUnit files in the container, or folders of them.
    pub reports: Vec<String>,
    /// What runs beside it, by the name by which it is reached.
    pub services: Vec<(String, ServiceRequest)>,
    /// Of each container.
    pub limits: ContainerLimits,
    /// All of it, pulling included.
    pub timeout: Duration,
    /// Logins for the registries of the services' images, by host.
    pub logins: BTreeMap<String, Login>,
}

/// A container.
#[derive(Debug, Clone)]
pub struct ContainerRequest {
    /// An image, by id or by name.
    pub image: String,
    /// A program and its arguments. Of a service: what its image makes of it, and nothing for the image's own.
    pub command: Vec<String>,
    /// Variables beside those of the image.
    pub env: BTreeMap<String, GivenValue>,
}

/// A container beside a test.
#[derive(Debug, Clone)]
pub struct ServiceRequest {
    /// The container; its image is a name as it was written: engines find it by that.
    pub container: ContainerRequest,
    /// The same, in full: where it is pulled from.
    pub image: ImageRef,
    /// A command in it that exits with 0 once it is ready; the image's own health check where empty.
    pub ready: Vec<String>,
}

/// How a test ended that could be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestOutcome {
    /// Of its command.
    pub exit_code: i64,
    /// The kernel ended it, since it wanted more memory than it may have.
    pub out_of_memory: bool,
    /// The files that were found where reports should be.
    pub reports: Vec<ReportFile>,
}

/// A file of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    /// Where it is, for people.
    pub path: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Why a test could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] BuildError),
    /// The image of a service is not to be had.
    #[error("pulling {image} failed: {message}")]
    Pull {
        /// Which.
        image: String,
        /// The engine's words.
        message: String,
    },
    /// A container does not start.
    #[error("{what} cannot be started: {message}")]
    Start {
        /// `test unit`, `service db`
        what: String,
        /// The engine's words.
        message: String,
    },
    /// A service ended before it was ready.
    #[error("service {service} ended with exit code {exit_code} before it was ready")]
    Service {
        /// Which.
        service: String,
        /// Of its command.
        exit_code: i64,
    },
    /// It took too long.
    #[error("test {test} took longer than {} and was stopped: {doing}", humantime::format_duration(*.timeout))]
    TimedOut {
        /// Which.
        test: String,
        /// How long it may take.
        timeout: Duration,
        /// What it was at: `its command was running`.
        doing: String,
    },
    /// It wrote too much.
    #[error("test {test} wrote more than {} MiB and was stopped", .limit_bytes >> 20)]
    Output {
        /// Which.
        test: String,
        /// What it may write.
        limit_bytes: u64,
    },
}

impl TestError {
    /// Whether trying the same again later can help: the engine or a registry was away, slow or busy.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_transient(),
            Self::Pull { message, .. } => crate::registry::messages::is_transient(message),
            Self::Start { .. } | Self::Service { .. } | Self::TimedOut { .. } | Self::Output { .. } => false,
        }
    }
}

impl Hint for TestError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Engine(error) => error.hint(),
            Self::Pull { .. } => "check the image of the service; a private registry needs a [[registry]]".into(),
            Self::Start { .. } => "the command must be in the image: a program and its arguments, no shell".into(),
            Self::Service { .. } => "its last lines are in the log of the run".into(),
            Self::TimedOut { .. } => "set `timeout` of the test where it needs longer".into(),
            Self::Output { .. } => "".into(),
        }
    }
}

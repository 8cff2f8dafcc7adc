//! Why an image was not scanned, and what a person could do about it.

use std::borrow::Cow;
use std::time::Duration;

use quarterdeck_container::registry::harbor::HarborError;
use quarterdeck_container::scanner::ScannerError;
use quarterdeck_core::scan::ReportError;
use quarterdeck_shared::error::Hint;

/// A scan that gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The registry did not do it.
    #[error(transparent)]
    Harbor(HarborError),
    /// A program did not do it.
    #[error(transparent)]
    Program(ScannerError),
    /// What was found is not understood.
    #[error("the report about {image} cannot be read")]
    Report {
        /// The image.
        image: String,
        /// Why not.
        source: ReportError,
    },
    /// The registry's scanner came to another end.
    #[error("the scan of {image} by the registry {registry} failed: it is {status}")]
    Failed {
        /// The host.
        registry: String,
        /// The image.
        image: String,
        /// `Error`, `Stopped`.
        status: String,
    },
    /// It is still under way.
    #[error(
        "the scan of {image} by the registry {registry} did not end within {}",
        humantime::format_duration(*.timeout)
    )]
    TooLong {
        /// The host.
        registry: String,
        /// The image.
        image: String,
        /// How long it was waited for.
        timeout: Duration,
    },
    /// The registry answered none when it was pushed.
    #[error("the digest of {image} is not known")]
    NoDigest {
        /// The image.
        image: String,
    },
}

impl ScanError {
    /// How long whoever limits requests asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Harbor(HarborError::Busy { wait, .. }) => *wait,
            _ => None,
        }
    }

    /// Whether something is merely away, so that trying again is of use.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Harbor(error) => error.is_transient(),
            Self::Program(error) => error.is_transient(),
            Self::Report { .. } | Self::Failed { .. } | Self::TooLong { .. } | Self::NoDigest { .. } => false,
        }
    }
}

impl Hint for ScanError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Harbor(error) => error.hint(),
            Self::Program(error) => error.hint(),
            Self::Report { .. } => "see which version the scanner has; `qd doctor` asks it".into(),
            Self::Failed { .. } => {
                "Harbor has the log of the scan beside the artifact; `qd runs retry` scans again".into()
            }
            Self::TooLong { .. } => {
                "raise `timeout` in [application.scan], or see in Harbor whether its job service is busy".into()
            }
            Self::NoDigest { .. } => "`qd push --rebuild` pushes it again".into(),
        }
    }
}

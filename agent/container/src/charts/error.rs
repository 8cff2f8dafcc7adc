//! Why a chart is not fetched, and what a person could do about it.

use std::borrow::Cow;

use quarterdeck_core::charts::index::IndexError;
use quarterdeck_shared::error::Hint;
use quarterdeck_system::certificate::Distrust;

use super::archive::ArchiveError;
use crate::registry::oci::RegistryError;

/// A chart that is not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The repository does not know it.
    #[error("{repository} has no chart {name}")]
    NoChart {
        /// Where it was looked for.
        repository: String,
        /// What it should be called.
        name: String,
        /// Some that there are.
        others: Vec<String>,
    },
    /// It has no such version.
    #[error("chart {name} of {repository} has no version {wanted}{}", .newest.as_ref().map(|newest| format!(": the newest is {newest}")).unwrap_or_default())]
    NoVersion {
        /// Where it was looked for.
        repository: String,
        /// The chart.
        name: String,
        /// What is configured.
        wanted: String,
        /// The newest that there is.
        newest: Option<String>,
    },
    /// It will not let us.
    #[error("{repository} {}", refusal(.user.as_deref(), *.status))]
    Refused {
        /// Who.
        repository: String,
        /// The user that asked; none without a login.
        user: Option<String>,
        /// The status of its answer.
        status: u16,
    },
    /// It does not answer.
    #[error("{repository} is unreachable: {why}")]
    Unreachable {
        /// Who.
        repository: String,
        /// What happened.
        why: String,
    },
    /// Its certificate is not to be trusted.
    #[error("the certificate of {repository} was rejected: {why}")]
    Certificate {
        /// Whose.
        repository: String,
        /// What is wrong with it.
        why: Distrust,
    },
    /// It answers something that is of no use.
    #[error("asking {repository}: {why}")]
    Answer {
        /// Who.
        repository: String,
        /// What it said.
        why: String,
    },
    /// It has no index.
    #[error("{repository} is not a chart repository: it has no index.yaml")]
    NoIndex {
        /// Who.
        repository: String,
    },
    /// Its index is none.
    #[error("the index.yaml of {repository} cannot be read")]
    Index {
        /// Whose.
        repository: String,
        /// What is wrong.
        source: IndexError,
    },
    /// Something is larger than what is read.
    #[error("{what} is larger than {bytes_max} bytes")]
    TooLarge {
        /// What.
        what: String,
        /// The bound.
        bytes_max: u64,
    },
    /// The index names an archive that is not fetched.
    #[error("the index of {repository} has the archive of {name} {version} at {url:?}, {why}")]
    Place {
        /// Whose.
        repository: String,
        /// The chart.
        name: String,
        /// Its version.
        version: String,
        /// As it is written.
        url: String,
        /// Why not.
        why: &'static str,
    },
    /// The archive is another one.
    #[error("the archive of {name} {version} has the digest {found}, and {expected} is expected")]
    Digest {
        /// The chart.
        name: String,
        /// Its version.
        version: String,
        /// What the index, or an earlier look, says.
        expected: String,
        /// What came.
        found: String,
    },
    /// The archive cannot be used.
    #[error("the archive of {name} {version} is rejected")]
    Archive {
        /// The chart.
        name: String,
        /// Its version.
        version: String,
        /// Why.
        source: ArchiveError,
    },
    /// The archive is that of another chart.
    #[error("the archive of {name} {version} holds the chart {found}")]
    Other {
        /// The chart.
        name: String,
        /// Its version.
        version: String,
        /// Name and version of what is in it.
        found: String,
    },
    /// None of the keys signed it in its registry.
    #[error("{name} {version} is not signed by {keys}: {found}")]
    Unsigned {
        /// The chart.
        name: String,
        /// Its version.
        version: String,
        /// The names of the keys.
        keys: String,
        /// What was found instead.
        found: String,
    },
    /// The registry said no.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// No client could be made.
    #[error("no chart repository can be asked: {0}")]
    NoClient(String),
}

impl Hint for FetchError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::NoChart { others, .. } if !others.is_empty() => {
                format!("check `name` under [application.environment.helm.chart]; there are e.g. {}", others.join(", ")).into()
            }
            Self::NoChart { .. } => "check `name` and `repository` under [application.environment.helm.chart]".into(),
            Self::NoVersion { newest: Some(newest), .. } => format!("write a version that exists, as version = {newest:?}").into(),
            Self::NoVersion { .. } => "push a version, or check `name` and `repository`".into(),
            Self::Refused { user: Some(_), .. } => "check `username` and `password_file` under [application.environment.helm.chart], and whether that user may read the chart".into(),
            Self::Refused { user: None, .. } => "set `username` and `password_file` under [application.environment.helm.chart]".into(),
            Self::Certificate { why, .. } => why.remedy("add its authority to this machine's, or name a file with it in SSL_CERT_FILE of the agent's environment, and start the agent again").into(),
            Self::NoIndex { .. } => "see that `repository` is the address below which `index.yaml` is; of a registry it begins with oci://".into(),
            Self::Index { source, .. } => source.hint(),
            Self::Digest { .. } => "nothing was deployed of it; see who changed the archive, and publish it as a new version".into(),
            Self::Archive { .. } | Self::Other { .. } => "package the chart with `helm package`, and publish it as a new version".into(),
            Self::Unsigned { .. } => "sign it with `cosign sign --key`, or correct `verify` under [application.environment.helm.chart]".into(),
            Self::Place { .. } => "correct the index of the repository".into(),
            Self::Registry(error) => error.hint(),
            Self::NoClient(_) => "install ca-certificates".into(),
            Self::Unreachable { .. } | Self::Answer { .. } | Self::TooLarge { .. } => "".into(),
        }
    }
}

impl FetchError {
    /// Whether it refuses us: it is asked seldom then.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. }
                | Self::Registry(RegistryError::WrongLogin { .. } | RegistryError::NoPermission { .. })
        )
    }
}

impl FetchError {
    /// Whether the chart is there and may not be deployed.
    pub fn is_rejection(&self) -> bool {
        matches!(self, Self::Unsigned { .. })
    }
}

fn refusal(user: Option<&str>, status: u16) -> String {
    match user {
        Some(user) => format!("does not accept the login of {user}, or does not let it read: it answers {status}"),
        None => format!("requires a login: it answers {status}"),
    }
}

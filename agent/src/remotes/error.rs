//! Why something from elsewhere is not at hand.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use quarterdeck_container::charts::error::FetchError;
use quarterdeck_git::GitError;
use quarterdeck_git::url::UrlError;
use quarterdeck_shared::error::Hint;

use crate::charts::ChartProblem;

/// Something from elsewhere that is not at hand.
#[derive(Debug, thiserror::Error)]
pub enum RemoteProblem {
    /// The repository did not give it.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The configuration was checked for it.
    #[error(transparent)]
    Address(#[from] UrlError),
    /// A branch moves.
    #[error("{branch} is a branch of {repository}, so it may change at any time")]
    Branch {
        /// Its name.
        branch: String,
        /// Of which repository.
        repository: String,
        /// Where it is now.
        commit: String,
    },
    /// There is no such tag.
    #[error("{repository} has no tag {reference}")]
    NoTag {
        /// As it is written.
        reference: String,
        /// The repository.
        repository: String,
    },
    /// The server did not give a file.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Nothing is there.
    #[error("there is no file at {url}")]
    NoFile {
        /// Where.
        url: String,
    },
    /// A file is another one.
    #[error("the file at {url} has the SHA-256 {found}, and {expected} is expected")]
    Digest {
        /// Where.
        url: String,
        /// What is configured.
        expected: String,
        /// What came.
        found: String,
    },
    /// The chart is not at hand.
    #[error(transparent)]
    Chart(#[from] ChartProblem),
    /// What a chart depends on is not at hand.
    #[error(transparent)]
    Dependency(ChartProblem),
    /// It cannot be kept, or read where it is kept.
    #[error("cannot keep it in {path}")]
    Keep {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Hint for RemoteProblem {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Git(error) => error.hint(),
            Self::Branch { commit, .. } => format!("write the commit instead: ?ref={commit}").into(),
            Self::NoTag { .. } => "write a tag that exists, or a whole commit of 40 digits".into(),
            Self::Fetch(FetchError::Certificate { why, .. }) => {
                why.remedy("add its authority to this machine's, or name a file with it in SSL_CERT_FILE of the agent's environment, and start the agent again").into()
            }
            Self::Fetch(FetchError::TooLarge { .. }) => "copy what is needed of it into the repository".into(),
            Self::Fetch(_) | Self::Address(_) => "".into(),
            Self::NoFile { .. } => "correct the address in the kustomization and in the configuration".into(),
            Self::Digest { .. } => {
                "see what changed in it; if that is wanted, write the new digest as sha256 of [[application.environment.kustomize.remote_file]]".into()
            }
            Self::Chart(problem) => problem.hint(),
            Self::Dependency(problem) => match problem {
                ChartProblem::Password { .. } | ChartProblem::Fetch(FetchError::Refused { .. }) => {
                    "set `username` and `password_file` of that repository in `dependencies` of [application.environment.helm]".into()
                }
                ChartProblem::Fetch(FetchError::NoChart { .. } | FetchError::NoVersion { .. } | FetchError::NoIndex { .. }) => {
                    "correct it in Chart.yaml, run `helm dependency update`, and commit Chart.lock".into()
                }
                ChartProblem::Fetch(FetchError::Place { .. }) => {
                    "name the registry that has it as `repository` in Chart.yaml, or correct the index".into()
                }
                problem => problem.hint(),
            },
            Self::Keep { .. } => "see that the agent may write there, and that the disk is not full".into(),
        }
    }
}

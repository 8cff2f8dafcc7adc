//! Why a pass did not bring the cluster where git is, and whether another could.

use crate::history::sqlite::HistoryError;
use crate::journal::NotKept;
use quarterdeck_core::render::RenderError;
use quarterdeck_git::GitError;
use quarterdeck_kubernetes::ClusterError;

/// A pass that did not bring the cluster where git is.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The deploy branch, tag or pin has no commit here.
    #[error("cannot resolve {what}")]
    Resolve {
        /// What.
        what: String,
        /// Why.
        source: GitError,
    },
    /// The manifests are wrong.
    #[error("cannot render {revision}")]
    Render {
        /// Of which revision.
        revision: String,
        /// Why.
        source: Box<RenderError>,
    },
    /// The cluster did not do it.
    #[error("cluster {cluster}")]
    Cluster {
        /// Which.
        cluster: String,
        /// Why.
        source: ClusterError,
    },
    /// Some objects failed after others were applied.
    #[error("{0}")]
    Partly(String),
    /// What a person asked for is not there.
    #[error("{0}")]
    NoSuch(String),
    /// The history cannot be written.
    #[error(transparent)]
    NotKept(#[from] NotKept),
    /// The history cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
}

impl ReconcileError {
    /// What a person could do; empty where the words say it.
    pub fn hint(&self) -> &str {
        match self {
            Self::Cluster { source, .. } => source.hint(),
            Self::Resolve { .. } => "Check the branch of the environment, or wait until the repository is reached.",
            _ => "",
        }
    }

    /// Whether it may be otherwise without a new commit.
    pub(super) fn may_pass(&self) -> bool {
        !matches!(self, Self::Render { source, .. } if !matches!(**source, RenderError::UnknownKind { .. } | RenderError::Read { .. }))
    }

    /// Whether the cluster could not be asked, and may answer later.
    pub(super) fn is_outage(&self) -> bool {
        matches!(self, Self::Cluster { source, .. } if source.is_transient())
    }
}

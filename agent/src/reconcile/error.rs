//! Why a pass did not bring the cluster where git is, and whether another could.

use std::borrow::Cow;

use crate::history::error::HistoryError;
use crate::journal::NotKept;
use quarterdeck_core::render::RenderError;
use quarterdeck_git::GitError;
use quarterdeck_kubernetes::ClusterError;
use quarterdeck_shared::application::EnvironmentSourceName;
use quarterdeck_shared::error::{Failure, Hint};

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
    /// The tag that is deployed is gone, and what is left is older.
    #[error(
        "tag {tag}, which is deployed, is gone from {repository}{}: it stays deployed",
        left.as_ref().map(|left| format!(", and {left} is older")).unwrap_or_default()
    )]
    TagGone {
        /// Which.
        tag: String,
        /// Its repository.
        repository: String,
        /// Where it is deployed.
        environment: String,
        /// The other source that it is of.
        of: Option<EnvironmentSourceName>,
        /// The newest tag that is wanted and exists.
        left: Option<String>,
    },
    /// No tag is wanted.
    #[error("{repository} has no {what}")]
    NoTag {
        /// What is wanted.
        what: String,
        /// The repository.
        repository: String,
    },
    /// The commit that the configuration names cannot be had.
    #[error("{repository} has no branch or tag that leads to commit {commit}, and does not send it by its id")]
    NoCommit {
        /// Which.
        commit: String,
        /// The repository.
        repository: String,
    },
    /// Another source of the files has no commit here.
    #[error("source {name}")]
    Source {
        /// Which.
        name: String,
        /// Why.
        source: Box<ReconcileError>,
    },
    /// A revision is of a time before a source was configured.
    #[error("{revision} names no commit of source {name}")]
    SourceMissing {
        /// Which source.
        name: String,
        /// Which revision.
        revision: String,
    },
    /// The environment's own files have a folder of the name of a source.
    #[error("{repository} has {folder} at its root, where the files of a source of this name would be")]
    SourceHidden {
        /// The folder.
        folder: String,
        /// The environment's own repository.
        repository: String,
    },
    /// Which version of the chart there is was not asked yet.
    #[error("chart {chart} was not asked for yet")]
    ChartAwaited {
        /// As it is configured.
        chart: String,
    },
    /// An artifact that was deployed once is not at hand.
    #[error("cannot fetch the artifact {digest} again: {}", why.message)]
    Artifact {
        /// Of which.
        digest: String,
        /// Why not, and what to do.
        why: Failure,
    },
    /// The chart is not at hand.
    #[error("cannot fetch chart {chart}: {}", why.message)]
    Chart {
        /// As it is configured.
        chart: String,
        /// Why not, and what to do.
        why: Failure,
    },
    /// The chart is there and may not be deployed.
    #[error("chart {chart} is not deployed: {}", why.message)]
    ChartRejected {
        /// As it is configured.
        chart: String,
        /// Why not, and what to do.
        why: Failure,
    },
    /// What holds the variables of the manifests is not there.
    #[error("cannot read the variables of {object}: it is not in the cluster")]
    NoVariables {
        /// Kind, name and namespace.
        object: String,
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
    #[error("{message}")]
    Partly {
        /// Which, and why.
        message: String,
        /// Of the first of them.
        hint: String,
    },
    /// Objects that were to be adopted are another environment's.
    #[error("nothing was adopted: {first}{}", and_more(*.more))]
    NotAdopted {
        /// Which, and whose.
        first: String,
        /// How many more there are.
        more: usize,
    },
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

impl Hint for ReconcileError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Cluster { source, .. } => source.hint(),
            Self::Render { source, .. } => source.hint(),
            Self::NotKept(error) => error.hint(),
            Self::History(error) => error.hint(),
            Self::Resolve { source, .. } => match source.hint() {
                hint if hint.is_empty() => {
                    "check the branch of the environment, or wait until the repository is reached".into()
                }
                hint => hint,
            },
            Self::TagGone { environment, of: Some(of), left: Some(left), .. } => {
                format!("push a newer tag, or deploy the older one: qd rollback {environment} \"COMMIT {of}:{left}\"")
                    .into()
            }
            Self::TagGone { environment, of: None, left: Some(left), .. } => {
                format!("push a newer tag, or deploy the older one: qd rollback {environment} {left}").into()
            }
            Self::TagGone { left: None, .. } => "push it again, or a newer tag".into(),
            Self::NoTag { .. } => "push such a tag, or check tag_pattern or semver of the environment".into(),
            Self::NoCommit { .. } => "check commit of the environment, or push a tag to it".into(),
            Self::NoVariables { .. } => "create it, or set optional = true in `variables.from`".into(),
            Self::Chart { why, .. } | Self::ChartRejected { why, .. } | Self::Artifact { why, .. } => {
                (&*why.hint).into()
            }
            Self::Source { source, .. } => source.hint(),
            Self::SourceMissing { name, .. } => format!("name one behind the revision: {name}:BRANCH").into(),
            Self::SourceHidden { .. } => "give the source another name, or the folder".into(),
            Self::Partly { hint, .. } => (&**hint).into(),
            Self::NotAdopted { .. } => "remove the object from the manifests of one of the two environments".into(),
            Self::NoSuch(_) | Self::ChartAwaited { .. } => "".into(),
        }
    }
}

impl ReconcileError {
    /// The same, of another source of the files.
    pub(super) fn of_source(self, name: &EnvironmentSourceName) -> Self {
        match self {
            // It says already of which.
            Self::NoSuch(_) => self,
            other => Self::Source { name: name.to_string(), source: Box::new(other) },
        }
    }

    /// Whether it may be otherwise without a new commit.
    pub(super) fn may_pass(&self) -> bool {
        let Self::Render { source, .. } = self else { return true };
        match &**source {
            RenderError::Again(failed) => failed.may_pass(),
            RenderError::UnknownKind { .. }
            | RenderError::Read { .. }
            | RenderError::Decrypt { .. }
            | RenderError::Variable { .. } => true,
            _ => false,
        }
    }

    /// Whether the cluster could not be asked, and may answer later.
    pub(super) fn is_outage(&self) -> bool {
        matches!(self, Self::Cluster { source, .. } if source.is_transient())
    }
}

fn and_more(more: usize) -> String {
    if more > 0 { format!("; and {more} more") } else { String::new() }
}

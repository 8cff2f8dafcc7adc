//! Why a cluster did not do what it was asked.

use std::borrow::Cow;

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::error::Hint;

use crate::problem::ApiProblem;
use quarterdeck_core::sync::plan::Refusal;

/// Why a cluster did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClusterError {
    /// It could not be asked, or it did not answer.
    #[error(transparent)]
    Api(#[from] ApiProblem),
    /// It refuses objects of the plan; nothing was applied.
    #[error("{environment} is not applied: {}", list(.refusals))]
    Refused {
        /// Whose.
        environment: EnvironmentId,
        /// Each object that is refused, and why.
        refusals: Vec<Refusal>,
    },
}

impl Hint for ClusterError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Api(problem) => problem.hint(),
            Self::Refused { refusals, .. } => refusals.first().map_or("", |refusal| &refusal.hint).into(),
        }
    }
}

impl ClusterError {
    /// Whether the same may succeed later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Api(problem) if problem.class.is_transient())
    }
}

/// The first three: a line for people, the whole is in the plan.
fn list(refusals: &[Refusal]) -> String {
    let shown: Vec<String> = refusals.iter().take(3).map(ToString::to_string).collect();
    let more = refusals.len().saturating_sub(shown.len());
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join("; "))
}

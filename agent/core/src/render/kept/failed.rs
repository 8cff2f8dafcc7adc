//! A render that failed before, as it is told again.

use std::borrow::Cow;
use std::error::Error;

use quarterdeck_shared::error::Hint;
use serde::{Deserialize, Serialize};

use crate::render::RenderError;

/// Causes that are kept: no error has as many.
const CAUSES_MAX: usize = 16;

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Failed {
    message: String,
    #[source]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<Box<Failed>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    hint: String,
    /// Whether it may be otherwise without a new commit.
    may_pass: bool,
}

impl Failed {
    /// Of an error, with its causes.
    pub(super) fn of(error: &RenderError) -> Self {
        if let RenderError::Again(failed) = error {
            return (**failed).clone();
        }
        let may_pass = matches!(error, RenderError::Variable { .. });
        Self { hint: error.hint().into_owned(), may_pass, ..Self::told(error, CAUSES_MAX) }
    }

    fn told(error: &(dyn Error + 'static), causes: usize) -> Self {
        let cause = error.source().filter(|_| causes > 0).map(|cause| Box::new(Self::told(cause, causes - 1)));
        Self { message: error.to_string(), cause, hint: String::new(), may_pass: false }
    }

    /// Whether it may be otherwise without a new commit.
    pub fn may_pass(&self) -> bool {
        self.may_pass
    }
}

impl Hint for Failed {
    fn hint(&self) -> Cow<'_, str> {
        (&*self.hint).into()
    }
}

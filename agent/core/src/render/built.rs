//! What a program made of files, or why it made nothing.

use std::error::Error;

use quarterdeck_shared::error::Hint;

/// What was built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Built {
    /// YAML documents.
    pub output: Vec<u8>,
    /// Warnings, a line each.
    pub notes: Vec<String>,
}

/// Why a program gave nothing, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct BuildFailure {
    source: Box<dyn Error + Send + Sync>,
    hint: String,
    of_the_files: bool,
}

impl BuildFailure {
    /// Of the error of who runs the program: it may be gone at the next try.
    pub fn new(error: impl Hint + Send + Sync + 'static) -> Self {
        Self { hint: error.hint().into_owned(), source: Box::new(error), of_the_files: false }
    }

    /// What the program says of its files: with the same ones it says the same.
    pub fn of_the_files(error: impl Hint + Send + Sync + 'static) -> Self {
        Self { of_the_files: true, ..Self::new(error) }
    }

    /// Whether the program, or what it needs beside its files, was away.
    pub(super) fn is_outage(&self) -> bool {
        !self.of_the_files
    }

    /// What to do about it.
    pub(super) fn hint(&self) -> &str {
        &self.hint
    }
}

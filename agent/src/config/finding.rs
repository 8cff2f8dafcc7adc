//! What is wrong with a configuration, and where.

use super::locate::Step;

/// Something wrong, and the place of the option that has to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The way to the option.
    pub place: Vec<Step>,
    /// What is wrong, and what would be right.
    pub message: String,
}

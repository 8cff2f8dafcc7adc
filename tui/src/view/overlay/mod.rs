//! What lies over a screen.

pub(super) mod confirm;
pub(super) mod help;
pub(super) mod palette;
pub(super) mod prompt;

mod frame;

//! The lists of the console and of the command line: what a row is, and its columns.

pub mod applications;
pub mod events;
pub mod history;
pub mod pods;
pub mod runs;
pub mod system;

//! Signing of images, by the programs that people sign with: what the stage of a run and the doctor ask of them.

mod error;
mod kind;
mod programs;

pub use error::{SignError, short};
pub use kind::ProgramKind;
pub use programs::{Workplace, version};

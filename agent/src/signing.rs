//! Signing of images, by the programs that people sign with: what the stage of a run and the doctor ask of them.

mod error;
mod keyless;
mod kind;
mod programs;

pub use error::{SignError, short};
pub use keyless::{token, trusted_root};
pub use kind::ProgramKind;
pub use programs::{Workplace, version};

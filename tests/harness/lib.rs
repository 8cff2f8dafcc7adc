//! The harness.

pub mod serve;

pub mod engine;
pub mod registry;

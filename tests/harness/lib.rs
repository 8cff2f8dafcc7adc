//! The harness.

pub mod serve;

pub mod git;

pub mod engine;
pub mod registry;

pub mod cluster;

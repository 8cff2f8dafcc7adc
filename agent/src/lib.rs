//! The agent.

pub mod source;

pub mod sync;

//! The agent.

pub mod sync;

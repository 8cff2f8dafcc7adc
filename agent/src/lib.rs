//! The agent.

pub mod yaml;

pub mod source;

pub mod render;
pub mod sync;

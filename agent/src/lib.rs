//! The agent.

pub mod yaml;

pub mod source;

pub mod cluster;
pub mod render;
pub mod sync;

pub mod build;
pub mod registry;

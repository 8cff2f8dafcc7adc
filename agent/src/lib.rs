//! The agent.

pub mod telemetry;
pub mod yaml;

pub mod source;
pub mod trigger;

pub mod build;
pub mod registry;

pub mod promote;

pub mod cluster;
pub mod render;
pub mod sync;

pub mod health;

pub mod command;

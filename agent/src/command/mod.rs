//! What `qd-agent` does beside running: one subcommand a file.

pub mod config_path;

pub mod backup;
pub mod bundle;
pub mod cases;
pub mod health;
pub mod import;
pub mod repo;

//! What `qd-agent` does beside running: one subcommand a file.

pub mod backup;
pub mod cases;
pub mod health;

//! Forges, beyond git: they are told what became of their commits, by commit statuses.
//!
//! `api` says what each of them is asked and what its answers mean (pure), `client` asks, `tell` compares what was told with
//! what is so and tells the rest: a forge that is away is told when it is back, also by the next life of the agent.

mod api;
mod client;
mod tell;

pub use client::{Forge, ForgeError};
pub use tell::watch;

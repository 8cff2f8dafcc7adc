//! Forges, beyond git: they are told what became of their commits, by commit statuses and by a comment on each merge request, and
//! asked which tags they protect.
//!
//! `api` and `protection` say what each of them is asked and what its answers mean (pure), `client` asks, `report` compares what
//! was reported with what is so and sends the rest: a forge that is away gets it when it is back, also by the next life of the agent.

mod api;
mod client;
mod protection;
mod report;

pub use client::{Forge, ForgeError};
pub use report::watch;

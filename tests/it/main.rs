//! Hermetic end-to-end tests: one binary. Rust and git are all they need.

mod stand_ins;

mod corpus;
mod referee;

mod build;

mod git;

mod cluster;

mod life;

mod pty;

mod house;

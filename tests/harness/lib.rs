//! The vocabulary of the tests: real git, and stand-ins for engine, registry and cluster that speak the real HTTP APIs.
//!
//! What is stood in for is stood in for at its outermost boundary, so that every line of the agent runs in every test.
//! Each stand-in says in its header what it does not do.

pub mod world;

pub mod agent;

pub mod picture;
pub mod terminal;

pub mod serve;
pub mod tls;

pub mod git;
pub mod gpg;
pub mod helm;
pub mod jsonnet;
pub mod kustomize;
pub mod programs;
pub mod signing;

pub mod charts;
pub mod engine;
pub mod forge_api;
pub mod registry;

pub mod cluster;

pub mod conformance;

pub mod real;

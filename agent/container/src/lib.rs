//! Images: the engine that builds and pushes them, the registries that keep them, and the logins for both.
//!
//! - [`engine`]: what an engine can do for us, in words that know no engine; `engine::docker` speaks to Docker, Podman and their BuildKit,
//!   `engine::buildkit` to a BuildKit daemon elsewhere, `engine::context` is what is sent to it, `engine::base` which images a build will ask for.
//! - [`registry`]: what a registry is asked beside the engine, and whose logins are used.
//! - [`charts`]: packaged Helm charts of registries and chart repositories.
//! - [`manifests`]: what is in an artifact of a registry that has manifests.
//! - [`bundle`]: what an environment runs as one file, an OCI image layout.
//! - [`scanner`]: the programs that look for vulnerabilities in what a registry has.
//!
//! It decides nothing about when and what to build, and remembers nothing.

pub mod engine;
pub mod registry;

pub mod bundle;
pub mod charts;
pub mod manifests;
pub mod scanner;

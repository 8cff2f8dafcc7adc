//! Charts of registries and chart repositories: which version is wanted, and what a repository says it has. Pure; who asks
//! and who keeps them is elsewhere.

pub mod address;
pub mod index;
pub mod lock;
pub mod provenance;
pub mod versions;

/// The folder under which the files of such a chart are rendered and shown, beside those of the commit: `podinfo@6.7.1`.
pub fn folder(name: &str, version: &str) -> String {
    format!("{name}@{version}")
}

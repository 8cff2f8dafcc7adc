//! Registries: names of images, who we are to a registry, and what it says it has.
//!
//! The engine pushes (see [`crate::engine`]); this room finds the credentials, asks the registry which digest a tag has, and
//! puts a registry's refusals into words. Of a registry that is a Harbor it asks what only Harbor knows. It stores nothing and deletes nothing.

pub mod authorities;
pub mod credentials;
pub mod docker_config;

pub mod oci;

pub mod harbor;
pub mod signature;

pub mod messages;

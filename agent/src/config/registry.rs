//! `[[registry]] mirrors`: where the images of a registry are asked for first, as it is written.

use std::collections::BTreeMap;

use quarterdeck_core::registry_mirror::{MIRRORS_MAX, Mirror, MirrorError};
use serde::Deserialize;

use super::RegistryConfig;

/// A mirror: its place, or that with more beside it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "write \"mirror.example/path\", or { address = \"mirror.example/path\", tags = true }")]
pub enum WrittenMirror {
    /// `mirror.example/path`
    Address(String),
    /// With what it may answer for.
    Options(MirrorOptions),
}

/// A mirror that may answer for more than digests.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorOptions {
    /// `mirror.example/path`
    pub address: String,
    /// Whether it may say which tags there are, and which digest a tag has.
    #[serde(default)]
    pub tags: bool,
}

impl WrittenMirror {
    fn read(&self) -> Result<Mirror, MirrorError> {
        match self {
            Self::Address(address) => Mirror::parse(address, false),
            Self::Options(MirrorOptions { address, tags }) => Mirror::parse(address, *tags),
        }
    }
}

/// The mirrors of each registry. What is not valid was told by the checks.
pub fn mirrors(registries: &[RegistryConfig]) -> BTreeMap<String, Vec<Mirror>> {
    let of = |one: &RegistryConfig| one.mirrors.iter().filter_map(|one| one.read().ok()).collect::<Vec<_>>();
    let mirrored = registries.iter().filter(|one| !one.mirrors.is_empty());
    mirrored.map(|one| (one.host.clone(), of(one))).collect()
}

/// What is wrong with the mirrors of a registry.
pub(super) fn problems(registry: &RegistryConfig) -> Vec<String> {
    let mut problems = Vec::new();
    let mut known: Vec<String> = Vec::new();
    for written in &registry.mirrors {
        match written.read() {
            Err(error) => problems.push(error.to_string()),
            Ok(mirror) if mirror.registry() == registry.host && mirror.to_string() == registry.host => {
                problems.push(format!("{mirror} is the registry itself, which is asked anyway: leave it out"));
            }
            Ok(mirror) if known.contains(&mirror.to_string()) => {
                problems.push(format!("{mirror} is named twice: leave out one"));
            }
            Ok(mirror) => known.push(mirror.to_string()),
        }
    }
    if registry.mirrors.len() > MIRRORS_MAX {
        problems.push(format!("{} mirrors are more than {MIRRORS_MAX}: name the nearest", registry.mirrors.len()));
    }
    problems
}

//! What is known of the repository that is imported, where an environment is of that one.

use super::draft::Environment;
use super::{Around, same};
use crate::render::KUSTOMIZATIONS;
use crate::tree::paths::{is_below, join};

/// Whether the files of an environment's repository are known.
pub(super) fn is_own(around: &Around, environment: &Environment) -> bool {
    around.repository.as_deref().is_some_and(|own| same(own, &environment.repository)) && !around.files.is_empty()
}

/// The kustomization of a folder, where there is one.
pub(super) fn kustomization(around: &Around, folder: &str) -> Option<String> {
    let mut paths = KUSTOMIZATIONS.iter().filter_map(|name| join(folder, name));
    paths.find(|path| around.files.contains(path) || around.kustomizations.contains_key(path))
}

/// Whether the folder of an environment has a kustomization; nothing where that is not known.
pub(super) fn has_kustomization(around: &Around, environment: &Environment) -> Option<bool> {
    is_own(around, environment).then(|| kustomization(around, &environment.path).is_some())
}

/// Folders below one that have a kustomization.
pub(super) fn kustomizations_below<'a>(around: &'a Around, folder: &'a str) -> impl Iterator<Item = &'a str> {
    around.files.iter().filter(move |file| is_below(file, folder)).filter_map(move |file| {
        let (below, name) = file.rsplit_once('/').unwrap_or(("", file));
        (KUSTOMIZATIONS.contains(&name) && below != folder).then_some(below)
    })
}

/// Whether folders below that of an environment have kustomizations: each is a resource of the one that Flux makes.
pub(super) fn has_kustomizations_below(around: &Around, environment: &Environment) -> bool {
    is_own(around, environment) && kustomizations_below(around, &environment.path).next().is_some()
}

//! What becomes of the objects of an environment that leaves a source of applications. Pure.
//!
//! They stay, unless the source says that what leaves it is pruned. Even then they stay where a mistake is likelier than a
//! wish (an empty source, more than a bound at once, another place to read from), where nothing is pruned without a person
//! today (`protected`, no automatic sync, no prune), and where the same manifests only got another name.

use std::collections::BTreeMap;
use std::fmt;

use quarterdeck_shared::application::{ApplicationSpec, EnvironmentId, EnvironmentSpec};

/// What becomes of the objects of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Departure {
    /// They are deleted.
    Deleted,
    /// The same manifests are this environment now, which takes them over.
    Renamed(EnvironmentId),
    /// They are left in the cluster.
    Left(Kept),
}

/// Why objects are left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// The source does not say that they are to be deleted.
    NotAsked,
    /// It names no application any more.
    Empty,
    /// More left it at the same time than it may prune.
    TooMany {
        /// How many.
        count: usize,
        /// The bound.
        max: usize,
    },
    /// It is read from another place than before.
    Moved,
    /// The environment is protected.
    Protected,
    /// It is synced by a person alone.
    Manual,
    /// It keeps what leaves git.
    Unpruned,
    /// It is suspended.
    Suspended,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAsked => "its source does not set prune",
            Self::Empty => "its source has no applications left",
            Self::TooMany { count, max } => {
                return write!(f, "{count} environments left the source at the same time; prune_max is {max}");
            }
            Self::Moved => "its source is read from another place than before",
            Self::Protected => "it is protected",
            Self::Manual => "its automatic sync is off",
            Self::Unpruned => "its prune is off",
            Self::Suspended => "it is suspended",
        })
    }
}

/// A source before and after.
pub struct Change<'a> {
    /// Whether what leaves it is deleted.
    pub prune: bool,
    /// Environments that may be deleted at the same time.
    pub prune_max: usize,
    /// Whether it may name no application at all: what it is made of comes and goes by itself, as branches do.
    pub may_be_empty: bool,
    /// Whether it is read from the same place as before.
    pub is_same_place: bool,
    /// What it said before.
    pub before: Vec<&'a ApplicationSpec>,
    /// What it says now.
    pub after: Vec<&'a ApplicationSpec>,
    /// Whether an environment is suspended.
    pub is_suspended: &'a dyn Fn(&EnvironmentId) -> bool,
}

/// The environments that leave, each with what becomes of its objects.
pub fn departures(change: &Change<'_>) -> Vec<(EnvironmentId, Departure)> {
    let (before, after) = (environments(&change.before), environments(&change.after));
    let came: Vec<(&EnvironmentId, _)> = after.iter().filter(|(id, _)| !before.contains_key(id)).collect();
    let gone = before.iter().filter(|(id, _)| !after.contains_key(id));
    let mut all: Vec<(EnvironmentId, Departure)> = gone
        .map(|(id, spec)| {
            let same = came.iter().find(|(_, other)| is_same_content(spec, other));
            let departure = match same {
                Some((other, _)) => Departure::Renamed((*other).clone()),
                None => kept(change, id, spec).map_or(Departure::Deleted, Departure::Left),
            };
            (id.clone(), departure)
        })
        .collect();
    let count = all.iter().filter(|(_, departure)| *departure == Departure::Deleted).count();
    if count > change.prune_max {
        let too_many = Departure::Left(Kept::TooMany { count, max: change.prune_max });
        let deleted = all.iter_mut().filter(|(_, departure)| *departure == Departure::Deleted);
        deleted.for_each(|(_, departure)| *departure = too_many.clone());
    }
    all
}

/// Why the objects of an environment that left are not deleted.
fn kept(change: &Change<'_>, id: &EnvironmentId, spec: &EnvironmentSpec) -> Option<Kept> {
    let all = [
        (!change.prune, Kept::NotAsked),
        (change.after.is_empty() && !change.may_be_empty, Kept::Empty),
        (!change.is_same_place, Kept::Moved),
        (spec.protected, Kept::Protected),
        (!spec.sync.automatic, Kept::Manual),
        (!spec.sync.prune, Kept::Unpruned),
        ((change.is_suspended)(id), Kept::Suspended),
    ];
    all.into_iter().find_map(|(is_so, why)| is_so.then_some(why))
}

fn environments<'a>(of: &[&'a ApplicationSpec]) -> BTreeMap<EnvironmentId, &'a EnvironmentSpec> {
    let each = |spec: &&'a ApplicationSpec| {
        let name = spec.name.clone();
        spec.environments.iter().map(move |one| (EnvironmentId::new(&name, &one.name), one)).collect::<Vec<_>>()
    };
    of.iter().flat_map(each).collect()
}

/// Whether two environments bring the same manifests to the same place.
fn is_same_content(one: &EnvironmentSpec, other: &EnvironmentSpec) -> bool {
    let content = |spec: &EnvironmentSpec| EnvironmentSpec {
        name: one.name.clone(),
        sync: one.sync.clone(),
        promote: one.promote.clone(),
        protected: one.protected,
        create_namespace: one.create_namespace,
        ..spec.clone()
    };
    content(one) == content(other)
}

#[cfg(test)]
mod tests;

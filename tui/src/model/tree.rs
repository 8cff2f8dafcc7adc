//! The objects of one environment as a tree of owners: Deployment, ReplicaSet, Pod. The environment itself is its root.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::snapshot::{Key, Object};
use serde::{Deserialize, Serialize};

use crate::model::store::{Slot, Store};
use crate::model::table::{self, Term};
use crate::model::viewport;

/// Owners of owners are followed this deep. Kubernetes has chains of four; a ring of owners must end somewhere.
const DEPTH_MAX: u8 = 16;

/// A line of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeRow {
    /// The object; none for the environment itself.
    pub slot: Option<Slot>,
    /// How many owners it has above it.
    pub depth: u8,
    /// Bit `d` is set where the branch at depth `d` goes on below this line.
    pub guides: u32,
    /// Whether it is the last below its owner.
    pub last: bool,
    /// Whether it owns something, and if so whether that is shown.
    pub open: Option<bool>,
}

/// The tree and where the reader is in it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tree {
    /// The object under the cursor; none for the environment itself.
    pub selected: Option<Key>,
    /// The row under the cursor.
    pub cursor: usize,
    /// The first row that is seen.
    pub top: usize,
    /// Objects whose branch is closed.
    pub closed: BTreeSet<Key>,
    /// Words that rows, or what they own, must hold.
    pub filter: String,
    #[serde(skip)]
    rows: Vec<TreeRow>,
}

impl Tree {
    /// The rows, from the root downwards.
    pub fn rows(&self) -> &[TreeRow] {
        &self.rows
    }

    /// The slot under the cursor; none for the environment itself.
    pub fn slot(&self) -> Option<Slot> {
        self.rows.get(self.cursor)?.slot
    }

    /// Reads the tree from the fleet anew and finds the selected object again.
    pub fn rebuild(&mut self, fleet: &Store, id: &EnvironmentId, lines: u16) {
        let terms = table::terms(&self.filter);
        let grower = Grower { fleet, children: children(fleet, id), closed: &self.closed, terms: &terms };
        self.rows = vec![TreeRow { slot: None, depth: 0, guides: 0, last: true, open: None }];
        grower.grow(None, 0, 0, &mut self.rows);
        let selected = self.selected.as_ref().and_then(|key| fleet.slot(key));
        let place = selected.and_then(|slot| self.rows.iter().position(|row| row.slot == Some(slot)));
        let place = if self.selected.is_none() { Some(0) } else { place };
        match place {
            Some(place) => {
                if self.top > 0 {
                    self.top = (self.top + place).saturating_sub(self.cursor);
                }
                self.cursor = place;
                self.scroll(lines);
            }
            None => self.select(fleet, self.cursor, lines),
        }
    }

    /// Moves the cursor to a row, or to the last one.
    pub fn select(&mut self, fleet: &Store, place: usize, lines: u16) {
        self.cursor = place.min(self.rows.len().saturating_sub(1));
        self.selected = self.slot().and_then(|slot| fleet.key(slot)).cloned();
        self.scroll(lines);
    }

    /// The row that owns the one under the cursor.
    pub fn owner(&self) -> Option<usize> {
        let depth = self.rows.get(self.cursor)?.depth;
        self.rows[..self.cursor].iter().rposition(|row| row.depth < depth)
    }

    fn scroll(&mut self, lines: u16) {
        self.top = viewport::top(self.top, self.cursor, self.rows.len(), lines, |_| 1);
    }
}

/// What each object owns, in the order of showing; what nobody owns is under `None`.
fn children(fleet: &Store, id: &EnvironmentId) -> HashMap<Option<Slot>, Vec<Slot>> {
    let by_ref: HashMap<&ResourceRef, Slot> = fleet.resources(id).map(|(slot, r)| (&r.resource, slot)).collect();
    let owner = |owner: &Option<ResourceRef>| owner.as_ref().and_then(|owner| by_ref.get(owner)).copied();
    let mut children: HashMap<Option<Slot>, Vec<Slot>> = HashMap::new();
    for (slot, resource) in fleet.resources(id) {
        children.entry(owner(&resource.owner).filter(|owner| *owner != slot)).or_default().push(slot);
    }
    for (slot, pod) in fleet.pods(id) {
        children.entry(owner(&pod.owner)).or_default().push(slot);
    }
    for slots in children.values_mut() {
        // Two of a kind and a name in two groups or namespaces stand in one order, whichever came first: by their keys.
        slots.sort_by_cached_key(|slot| (rank(fleet.object(*slot)), fleet.key(*slot).cloned()));
    }
    children
}

/// Workloads first, then how they are reached, then what they read; of the objects of one owner the newest generation
/// first; then by name.
fn rank(object: Option<&Object>) -> (usize, Option<Reverse<jiff::Timestamp>>, String) {
    const KINDS: [&str; 13] = [
        "Namespace",
        "Deployment",
        "StatefulSet",
        "DaemonSet",
        "CronJob",
        "Job",
        "ReplicaSet",
        "HorizontalPodAutoscaler",
        "Service",
        "Ingress",
        "PersistentVolumeClaim",
        "ConfigMap",
        "Secret",
    ];
    match object {
        Some(Object::Resource(r)) => {
            let kind = KINDS.iter().position(|kind| *kind == r.resource.kind).unwrap_or(KINDS.len());
            let generation = r.owner.is_some().then(|| Reverse(r.created.unwrap_or_default()));
            (kind, generation, r.resource.short())
        }
        Some(Object::Pod(p)) => (KINDS.len() + 1, None, p.name.to_string()),
        _ => (usize::MAX, None, String::new()),
    }
}

/// Grows the rows below an object.
struct Grower<'a> {
    fleet: &'a Store,
    children: HashMap<Option<Slot>, Vec<Slot>>,
    closed: &'a BTreeSet<Key>,
    terms: &'a [Term],
}

impl Grower<'_> {
    fn grow(&self, owner: Option<Slot>, depth: u8, guides: u32, rows: &mut Vec<TreeRow>) {
        if depth >= DEPTH_MAX {
            return;
        }
        let shown = |slot: &&Slot| self.mentions(**slot, depth);
        let all: Vec<Slot> = self.children.get(&owner).into_iter().flatten().filter(shown).copied().collect();
        for (place, slot) in all.iter().enumerate() {
            let last = place + 1 == all.len();
            let guides = if last { guides } else { guides | 1 << depth };
            let owns = self.children.contains_key(&Some(*slot));
            let open = !self.fleet.key(*slot).is_some_and(|key| self.closed.contains(key));
            rows.push(TreeRow { slot: Some(*slot), depth, guides, last, open: owns.then_some(open) });
            if owns && open {
                self.grow(Some(*slot), depth + 1, guides, rows);
            }
        }
    }

    /// Whether the object, or anything it owns, holds the words of the filter.
    fn mentions(&self, slot: Slot, depth: u8) -> bool {
        let here = self.fleet.object(slot).is_some_and(|object| table::holds(&[object], self.terms));
        let below =
            || self.children.get(&Some(slot)).is_some_and(|all| all.iter().any(|s| self.mentions(*s, depth + 1)));
        here || (depth < DEPTH_MAX && !self.terms.is_empty() && below())
    }
}

#[cfg(test)]
mod tests {
    use quarterdeck_shared::status::Health;

    use super::*;
    use crate::model::fixture;

    /// Two of a kind and a name are told apart by namespace and group alone, and a console that begins anew, or reads its
    /// model from a file, meets them in another order.
    #[test]
    fn namesakes_stand_in_one_order_however_they_came() {
        let object = |group: &str, namespace: &str| {
            let mut object = fixture::resource((group, "Ingress"), "shop", None, Health::Healthy, "");
            if let Object::Resource(ingress) = &mut object {
                ingress.resource.namespace = Some(namespace.to_owned());
            }
            object
        };
        let all = [object("b.example", "x"), object("a.example", "y"), object("a.example", "x")];
        let order = |objects: Vec<&Object>| {
            let fleet = Store::load(objects.into_iter().map(|object| (object.key(), object.clone())));
            let mut tree = Tree::default();
            tree.rebuild(&fleet, &fixture::id("shop/prod"), 20);
            let keys = tree.rows().iter().filter_map(|row| fleet.key(row.slot?).cloned());
            keys.collect::<Vec<_>>()
        };
        let first = order(all.iter().collect());
        assert_eq!(first.len(), 3);
        assert_eq!(order(all.iter().rev().collect()), first);
    }
}

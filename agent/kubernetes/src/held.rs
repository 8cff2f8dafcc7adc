//! A plan of which some objects are held back: they stay as they are in the cluster and in the inventory, and the rest of
//! the plan is carried out.

use std::collections::HashSet;

use quarterdeck_shared::change::Action;
use quarterdeck_shared::resource::{InventoryItem, ResourceRef};

use crate::planned::{PlannedHooks, PlannedSync};
use quarterdeck_core::steps::Step;
use quarterdeck_core::sync::manifest::Manifest;

impl PlannedSync {
    /// The manifests that it would write, in its order.
    pub fn writes(&self) -> impl Iterator<Item = &Manifest> {
        self.writes.iter().map(|write| &write.manifest)
    }

    /// How many objects it would write, delete or run as hooks.
    pub fn size(&self) -> usize {
        let hooks = self.steps().iter().filter(|step| matches!(step, Step::Hook(_))).count();
        self.writes.len() + self.prunes.len() + hooks
    }

    /// The same without these objects. What of them was applied before stays in the inventory as it was, and what was not
    /// does not come into it. No hook is run: they belong to the whole.
    pub fn without(mut self, held: &HashSet<ResourceRef>) -> Self {
        let is_held = |resource: &ResourceRef| held.contains(resource);
        self.hooks = PlannedHooks { due: None, after: self.hooks.before.clone(), before: self.hooks.before };
        self.writes.retain(|write| !is_held(&write.manifest.resource));
        self.prunes.retain(|(item, _)| !is_held(&item.resource));
        for change in self.changes.iter_mut().filter(|change| is_held(&change.resource)) {
            if matches!(change.action, Action::Create | Action::Configure | Action::Prune) {
                change.action = Action::Skip;
                change.reason = Some("held back".to_owned());
            }
        }
        let before: Vec<InventoryItem> =
            self.before.items.iter().filter(|item| is_held(&item.resource)).cloned().collect();
        for inventory in [&mut self.during, &mut self.after] {
            inventory.items.retain(|item| !is_held(&item.resource));
            inventory.items.extend(before.iter().cloned());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use quarterdeck_shared::change::Change;
    use quarterdeck_shared::resource::Inventory;
    use serde_json::json;

    use super::*;
    use crate::options::Options;
    use quarterdeck_core::steps::Write;
    use quarterdeck_core::sync::plan::{Later, Undone};

    fn resource(name: &str) -> ResourceRef {
        ResourceRef::new("", "ConfigMap", Some("prod"), name)
    }

    fn item(name: &str) -> InventoryItem {
        InventoryItem { resource: resource(name), version: "v1".to_owned() }
    }

    fn write(name: &str) -> Write {
        let object = json!({"kind": "ConfigMap"});
        let manifest = Manifest::new(resource(name), "v1".to_owned(), object, "a.yaml".into());
        Write { manifest, later: Later::No, takes_over: false }
    }

    #[test]
    fn what_is_held_is_neither_written_nor_pruned_nor_gained_nor_lost() {
        let inventory = |names: &[&str]| Inventory { items: names.iter().map(|name| item(name)).collect() };
        let change = |name: &str, action| Change { resource: resource(name), action, fields: Vec::new(), reason: None };
        let planned = PlannedSync {
            environment: "shop/prod".parse().unwrap(),
            changes: vec![
                change("drifted", Action::Configure),
                change("new", Action::Create),
                change("same", Action::Unchanged),
                change("old", Action::Prune),
            ],
            refusals: Vec::new(),
            unchanged: Vec::new(),
            undone: Undone::default(),
            by: None,
            options: Options::default(),
            adopted: BTreeMap::new(),
            strangers: BTreeMap::new(),
            contested: false,
            writes: vec![write("drifted"), write("new")],
            prunes: vec![(item("old"), "uid".to_owned())],
            hooks: PlannedHooks::default(),
            before: inventory(&["drifted", "same", "old"]),
            during: inventory(&["drifted", "new", "same", "old"]),
            after: inventory(&["drifted", "new", "same"]),
        };
        let held: HashSet<ResourceRef> = ["new", "old", "same"].map(resource).into();
        let rest = planned.clone().without(&held);
        assert_eq!(rest.writes().map(|manifest| manifest.resource.name.as_str()).collect::<Vec<_>>(), ["drifted"]);
        assert!(rest.prunes.is_empty());
        assert_eq!((&rest.during, &rest.after), (&planned.before, &planned.before));
        let actions: Vec<_> = rest.changes.iter().map(|change| change.action).collect();
        assert_eq!(actions, [Action::Configure, Action::Skip, Action::Unchanged, Action::Skip]);
    }
}

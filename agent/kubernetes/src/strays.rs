//! What a cluster that was set back has of ours and no inventory names. A sync that was under way when the cluster went
//! back may have written what was so before: its inventory, without the objects that came back.
//!
//! Looked for once an epoch, with one list a kind for all environments; in an epoch that began with the agent nothing is
//! looked for, since then inventories and objects are of one time.

use std::collections::{BTreeMap, BTreeSet};

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::resource::InventoryItem;
use tokio::sync::Mutex;

use crate::inventory::Held;
use crate::objects::Objects;
use crate::problem::ApiProblem;
use crate::survey;

/// Found in this epoch, and not yet taken into the inventory of its environment.
#[derive(Default)]
pub(super) struct Strays(Mutex<Found>);

#[derive(Default)]
struct Found {
    epoch: u64,
    of: BTreeMap<EnvironmentId, Vec<InventoryItem>>,
}

impl Strays {
    /// Those of an environment in the namespaces that it lives in, each once. What is elsewhere stays where it was left.
    pub(super) async fn take(
        &self,
        objects: &Objects,
        epoch: u64,
        environment: &EnvironmentId,
        namespace: &str,
        held: &Held,
    ) -> Result<Vec<InventoryItem>, ApiProblem> {
        if epoch == 0 {
            return Ok(Vec::new());
        }
        let mut found = self.0.lock().await;
        if found.epoch != epoch {
            *found = Found { epoch, of: survey::applied(objects).await? };
        }
        let items = &held.inventory.items;
        let mut lived_in: BTreeSet<&str> = items.iter().filter_map(|item| item.resource.namespace.as_deref()).collect();
        lived_in.insert(namespace);
        let is_stray = |item: &InventoryItem| {
            let is_here = item.resource.namespace.as_deref().is_some_and(|namespace| lived_in.contains(namespace));
            is_here && !items.iter().any(|known| known.resource == item.resource)
        };
        Ok(found.of.remove(environment).unwrap_or_default().into_iter().filter(is_stray).collect())
    }
}

//! The inventory of an environment, kept in the cluster beside its objects: the ConfigMap `quarterdeck-APP.ENV` in the
//! environment's namespace. It says what we applied and may therefore prune, to us and to whoever comes after us.
//!
//! It is written before anything is applied, with old and new objects in it, and made smaller only after the prunes: an
//! agent that dies in between leaves nothing behind that nobody knows. It is not written where it says so already.
//! It carries no environment label, so it is no object of the environment and is never pruned.
//!
//! It is read again before each sync that writes anything. What it was when this run of the agent last wrote it is
//! remembered beside what it is: an inventory that was deleted or changed by others loses no object by that, and is
//! written anew. It is written only over what was read: where the cluster was set back in the meantime it names objects that
//! the plan does not know, and an agent that overwrote them and died would leave them to nobody. It carries the mark of the
//! agent that wrote it last, see [`mark`], and which release with hooks was applied last, see [`releases`].

mod format;
mod mark;
mod releases;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::id::SyncId;
use quarterdeck_shared::resource::{Inventory, InventoryItem, ResourceRef};
use serde_json::Value;

use self::format::{decode, encode};
use self::mark::{Mark, Operator};
use crate::objects::{Objects, collection_path, segment};
use crate::problem::{ApiProblem, Class};
use crate::requests::get;
use quarterdeck_core::hooks::Record;
use quarterdeck_core::sync::plan::Stranger;
use quarterdeck_system::identity::Identity;

pub use self::mark::OtherAgent;

/// On every inventory; its value is the environment's address, as `shop.prod`.
pub const INVENTORY_LABEL: &str = "quarterdeck.dev/inventory";

/// All inventories of a cluster are read at once when the agent begins (one request for all environments). That list is
/// good for as long as a begin takes.
const LIST_COUNTS_FOR: Duration = Duration::from_secs(30);

/// The resource version of one that is not there: no object has it, and an apply with it makes a new one or is a conflict.
const ABSENT: &str = "1";

/// Times that an inventory of somebody who left is read and written, where others write it as well.
const RELEASE_ATTEMPTS: usize = 3;

/// What is known of the inventories in a cluster.
#[derive(Default)]
pub(super) struct Inventories {
    me: Identity,
    known: Mutex<HashMap<ResourceRef, Known>>,
    /// The names of those that may be otherwise than in that list, since nobody operated them for a while: read when they
    /// are asked for.
    outdated: Mutex<HashSet<String>>,
    /// When the list was read, and in which epoch.
    listed: tokio::sync::Mutex<Option<(u64, Instant)>>,
    /// Counts up when all that was known is let go.
    epoch: AtomicU64,
}

/// One of them.
#[derive(Default)]
struct Known {
    /// As it is in the cluster; none where it is not there.
    recorded: Option<Inventory>,
    /// Its resource version; none where it is not there.
    version: Option<String>,
    /// All that we applied, whatever became of the ConfigMap.
    believed: Inventory,
    /// What it says of releases with hooks.
    hooks: Record,
    /// It is there and makes no sense; nothing is known then.
    unreadable: bool,
    operator: Operator,
}

/// The inventory of an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// All that we applied.
    pub(super) inventory: Inventory,
    /// Whether there is one in the cluster.
    pub(super) recorded: bool,
    /// What it says of releases with hooks.
    pub(super) hooks: Record,
}

impl Inventories {
    /// Nothing is known yet.
    pub(super) fn new(me: Identity) -> Self {
        Self { me, ..Self::default() }
    }

    /// The inventory of an environment, read where it is not known; empty where there is none.
    ///
    /// # Errors
    /// Where it cannot be read. One that is there and makes no sense is an error too: taking it for empty would orphan
    /// what it named.
    pub(super) async fn read(
        &self,
        objects: &Objects,
        environment: &EnvironmentId,
        namespace: &str,
    ) -> Result<Held, ApiProblem> {
        let place = place_of(environment, namespace);
        let is_outdated = || self.outdated().contains(&place.name);
        if !self.known().contains_key(&place) && !is_outdated() && self.list(objects).await? {
            self.known().entry(place.clone()).or_default();
        }
        match self.held(&place) {
            Some(held) => Ok(held),
            None => self.fresh(objects, environment, namespace).await,
        }
    }

    /// What was read is of another cluster, or of a time that this one forgot.
    pub(super) fn forget(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
        self.known().clear();
        self.outdated().clear();
    }

    /// The inventory as it is now, with all that this run of the agent knows to have been in it.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(super) async fn fresh(
        &self,
        objects: &Objects,
        environment: &EnvironmentId,
        namespace: &str,
    ) -> Result<Held, ApiProblem> {
        let place = place_of(environment, namespace);
        let object = objects.get(&place, Some("v1")).await?;
        let read = object.as_ref().map(decode).transpose();
        let mut all = self.known();
        let known = all.entry(place).or_insert_with(|| Known { unreadable: true, ..Known::default() });
        let recorded = match read {
            Ok(recorded) => recorded,
            Err(problem) if known.unreadable => return Err(problem),
            // It made sense when we wrote it: it is written anew.
            Err(problem) => {
                tracing::warn!(%environment, error = %problem, "the inventory was changed by others");
                None
            }
        };
        known.unreadable = false;
        known.believed.items.extend(recorded.iter().flat_map(|inventory| inventory.items.iter().cloned()));
        (known.recorded, known.version) = (recorded, object.as_ref().and_then(version_of));
        known.hooks = object.as_ref().map(releases::record_of).unwrap_or_default();
        known.operator.saw(object.as_ref().and_then(Mark::of).as_ref(), &self.me, Instant::now());
        Ok(known.held())
    }

    /// What was applied besides, as is known from elsewhere.
    pub(super) fn believe(&self, environment: &EnvironmentId, namespace: &str, items: Vec<InventoryItem>) -> Held {
        let mut all = self.known();
        let known = all.entry(place_of(environment, namespace)).or_default();
        known.believed.items.extend(items);
        known.held()
    }

    /// Writes the inventory, unless it is so already; whether it did.
    ///
    /// # Errors
    /// Where it cannot be written, and a conflict where it names objects by now that it did not name when it was read.
    pub(super) async fn write(
        &self,
        objects: &Objects,
        environment: &EnvironmentId,
        namespace: &str,
        inventory: &Inventory,
        hooks: &Record,
        by: Option<SyncId>,
    ) -> Result<bool, ApiProblem> {
        let place = place_of(environment, namespace);
        let is_same = |known: &Known| known.recorded.as_ref() == Some(inventory) && known.hooks == *hooks;
        let is_so = |known: &Known| is_same(known) && !known.operator.takes_over();
        if let Some(known) = self.known().get_mut(&place).filter(|known| is_so(known)) {
            known.believed = inventory.clone();
            return Ok(false);
        }
        let name = environment.to_string();
        let (version, before) =
            self.known().get(&place).map(|k| (k.version.clone(), k.believed.clone())).unwrap_or_default();
        let object = said(&name, &place, inventory, hooks)?;
        let written = match self.put(objects, &place, object.clone(), version.as_deref(), by).await {
            Err(problem) if problem.class == Class::Conflict => {
                if self.fresh(objects, environment, namespace).await?.inventory != before {
                    return Err(problem);
                }
                let version = self.known().get(&place).and_then(|known| known.version.clone());
                self.put(objects, &place, object, version.as_deref(), by).await?
            }
            written => written?,
        };
        let mut all = self.known();
        let known = all.entry(place).or_default();
        (known.recorded, known.believed) = (Some(inventory.clone()), inventory.clone());
        known.version = version_of(&written);
        known.hooks = hooks.clone();
        known.unreadable = false;
        known.operator.wrote();
        Ok(true)
    }

    /// Writes it over what has this resource version, or where there is none.
    async fn put(
        &self,
        objects: &Objects,
        place: &ResourceRef,
        mut object: Value,
        version: Option<&str>,
        by: Option<SyncId>,
    ) -> Result<Value, ApiProblem> {
        object["metadata"]["resourceVersion"] = version.unwrap_or(ABSENT).into();
        Mark::put(&mut object, &self.me, by, Timestamp::now());
        objects.apply_own(place, &object).await
    }

    /// Whether there is an inventory of this environment in another namespace: it goes elsewhere now, and what is there
    /// stays there. None where that may not be looked for.
    pub(super) async fn is_elsewhere(
        &self,
        objects: &Objects,
        environment: &EnvironmentId,
        namespace: &str,
    ) -> Result<Option<bool>, ApiProblem> {
        let doing = format!("look for other inventories of {environment}");
        let route = objects.resource(&ResourceRef::new("", "ConfigMap", None, ""), Some("v1")).await?;
        let path = collection_path(&route.resource, None);
        let path = format!("{path}?limit=250&labelSelector={INVENTORY_LABEL}%3D{}", segment(&label_of(environment)));
        match objects.requests.json(&doing, get(&path)).await {
            Ok(page) => {
                let mut found = page["items"].as_array().into_iter().flatten();
                Ok(Some(found.any(|object| object["metadata"]["namespace"] != namespace)))
            }
            Err(problem) if problem.class == Class::Forbidden => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// What an environment is whose label is on objects that are wanted here, by the inventories in these namespaces.
    pub(super) async fn stranger(
        &self,
        objects: &Objects,
        owner: &str,
        namespaces: &BTreeSet<&str>,
    ) -> Result<Stranger, ApiProblem> {
        for namespace in namespaces {
            let Some(object) = objects.get(&place_of(owner, namespace), Some("v1")).await? else { continue };
            return Ok(match Mark::of(&object) {
                Some(mark) if mark.is_of_another(&self.me) => Stranger::Operated(mark.host),
                _ => Stranger::Left,
            });
        }
        Ok(Stranger::Unknown)
    }

    /// Takes objects out of the inventory of an environment that is not operated any more; it goes with the last of them.
    pub(super) async fn release(
        &self,
        objects: &Objects,
        owner: &str,
        namespace: &str,
        adopted: &[ResourceRef],
        by: Option<SyncId>,
    ) -> Result<(), ApiProblem> {
        let mut attempt = 1;
        loop {
            match self.take_out(objects, owner, namespace, adopted, by).await {
                Err(problem) if problem.class == Class::Conflict && attempt < RELEASE_ATTEMPTS => attempt += 1,
                done => break done,
            }
        }
    }

    async fn take_out(
        &self,
        objects: &Objects,
        owner: &str,
        namespace: &str,
        adopted: &[ResourceRef],
        by: Option<SyncId>,
    ) -> Result<(), ApiProblem> {
        let place = place_of(owner, namespace);
        let Some(object) = objects.get(&place, Some("v1")).await? else { return Ok(()) };
        let mut inventory = decode(&object)?;
        let before = inventory.items.len();
        inventory.items.retain(|item| !adopted.contains(&item.resource));
        if inventory.items.is_empty() {
            let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
            objects.delete(&place, "v1", uid).await?;
        } else if inventory.items.len() < before {
            let less = said(owner, &place, &inventory, &releases::record_of(&object))?;
            self.put(objects, &place, less, version_of(&object).as_deref(), by).await?;
        }
        self.outdate(owner);
        Ok(())
    }

    /// The environment is not operated any more, or was not: whoever operates it next reads what is there.
    pub(super) fn outdate(&self, environment: impl fmt::Display) {
        let name = inventory_name(environment);
        self.known().retain(|place, _| place.name != name);
        self.outdated().insert(name);
    }

    /// Another agent that was noticed, once.
    pub(super) fn news(&self, environment: &EnvironmentId, namespace: &str) -> Option<OtherAgent> {
        self.known().get_mut(&place_of(environment, namespace))?.operator.news()
    }

    /// The host of another agent that operates the environment, too.
    pub(super) fn other_agent(&self, environment: &EnvironmentId, namespace: &str) -> Option<String> {
        let all = self.known();
        let known = all.get(&place_of(environment, namespace))?;
        known.operator.other(Instant::now()).map(str::to_owned)
    }

    /// Reads all inventories that we may list; true where the list counts.
    async fn list(&self, objects: &Objects) -> Result<bool, ApiProblem> {
        let mut listed = self.listed.lock().await;
        let epoch = self.epoch.load(Ordering::Relaxed);
        if let Some((_, at)) = listed.filter(|(of, _)| *of == epoch) {
            return Ok(at.elapsed() < LIST_COUNTS_FOR);
        }
        let doing = "list the inventories";
        let route = objects.resource(&ResourceRef::new("", "ConfigMap", None, ""), Some("v1")).await?;
        let path = format!("{}?limit=250&labelSelector={INVENTORY_LABEL}", collection_path(&route.resource, None));
        let mut next = String::new();
        loop {
            let page = match objects.requests.json(doing, get(&format!("{path}{next}"))).await {
                Ok(page) => page,
                // Who may not look into all namespaces reads them one by one.
                Err(problem) if problem.class == Class::Forbidden => {
                    *listed = Instant::now().checked_sub(LIST_COUNTS_FOR).map(|at| (epoch, at));
                    return Ok(false);
                }
                Err(problem) => return Err(problem),
            };
            for object in page["items"].as_array().into_iter().flatten() {
                self.found(object);
            }
            match page["metadata"]["continue"].as_str().filter(|token| !token.is_empty()) {
                Some(token) => next = format!("&continue={}", segment(token)),
                None => break,
            }
        }
        if self.epoch.load(Ordering::Relaxed) != epoch {
            // What was read meanwhile is of the time before.
            self.known().clear();
            return Ok(false);
        }
        *listed = Some((epoch, Instant::now()));
        Ok(true)
    }

    /// Takes in one of a list. One that makes no sense is told to its own environment when that asks for it.
    fn found(&self, object: &Value) {
        let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default();
        let place = ResourceRef::new("", "ConfigMap", Some(text("namespace")), text("name"));
        let mut known = Known::default();
        match decode(object) {
            Ok(inventory) => (known.recorded, known.believed) = (Some(inventory.clone()), inventory),
            Err(_) => known.unreadable = true,
        }
        known.version = version_of(object);
        known.hooks = releases::record_of(object);
        known.operator.saw(Mark::of(object).as_ref(), &self.me, Instant::now());
        self.known().entry(place).or_insert(known);
    }

    fn held(&self, place: &ResourceRef) -> Option<Held> {
        self.known().get(place).filter(|known| !known.unreadable).map(Known::held)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ResourceRef, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outdated(&self) -> MutexGuard<'_, HashSet<String>> {
        self.outdated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn held(&self) -> Held {
        Held { inventory: self.believed.clone(), recorded: self.recorded.is_some(), hooks: self.hooks.clone() }
    }
}

/// `quarterdeck-shop.prod`: the inventory of an environment, whose address has a slash where names of objects have a dot.
pub fn inventory_name(environment: impl fmt::Display) -> String {
    format!("quarterdeck-{}", label_of(environment))
}

/// `shop.prod`.
pub(super) fn label_of(environment: impl fmt::Display) -> String {
    environment.to_string().replace('/', ".")
}

/// An inventory as it is written, without what is known of it only then.
fn said(environment: &str, place: &ResourceRef, inventory: &Inventory, hooks: &Record) -> Result<Value, ApiProblem> {
    let mut object = encode(environment, place, inventory)?;
    releases::put(&mut object, hooks);
    Ok(object)
}

fn version_of(object: &Value) -> Option<String> {
    object["metadata"]["resourceVersion"].as_str().map(str::to_owned)
}

/// Where it is.
fn place_of(environment: impl fmt::Display, namespace: &str) -> ResourceRef {
    ResourceRef::new("", "ConfigMap", Some(namespace), &inventory_name(environment))
}

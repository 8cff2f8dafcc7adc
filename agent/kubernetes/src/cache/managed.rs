//! The objects that environments applied: what is there, what should be, and what is to be told of the difference.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::resource::{Inventory, ResourceRef};
use quarterdeck_shared::snapshot::ResourceStatus;
use quarterdeck_shared::status::{Health, SyncStatus};
use tokio::time::Instant;

use crate::cache::seen::{Seen, ToldBy, Uid, fingerprint, is_set_back, stands};
use crate::cache::tombstones::Tombstones;
use crate::changes::ClusterChange;
use crate::watch_set::{self, Inhabited, Scopes, WatchKey};
use quarterdeck_core::health::Verdict;
use quarterdeck_core::sync::digest::ContentDigest;
use quarterdeck_core::sync::plan::{Ended, Memory};

/// How an object should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Nobody has compared it yet.
    Unknown,
    /// What is ours in it has this digest.
    Digest(ContentDigest),
    /// Not as it is: git wants it otherwise, and nobody has applied that yet.
    Otherwise,
    /// Not there: it left git. Where nobody deletes it for us, somebody else may.
    Gone,
    /// Not at all: it left git and is being deleted. Its end is told, since a pass waits for it.
    Going,
}

/// All of them.
#[derive(Default)]
pub(super) struct Applied {
    environments: HashMap<EnvironmentId, Application>,
    /// Of who has none.
    nowhere: Scopes,
    inhabited: Inhabited,
    present: HashMap<ResourceRef, Present>,
    gone: Tombstones,
    /// When objects are otherwise by time alone. One that changed meanwhile is passed over when its time comes.
    due: BTreeSet<(Timestamp, ResourceRef)>,
    /// Watches that are connected, by group and kind.
    covered: HashMap<(String, String), Vec<WatchKey>>,
}

#[derive(Default)]
struct Application {
    scopes: Scopes,
    wants: HashMap<ResourceRef, Want>,
    synced: bool,
}

struct Want {
    api: Box<str>,
    expect: Expect,
    /// What was last told of it, as a hash.
    told: Option<u64>,
    /// The content that was told of as not as expected: a digest, or none for an object that is gone.
    differing: Option<Option<ContentDigest>>,
    /// The edition in which it was left otherwise than git says, or though it left git; none for an object that is gone.
    left: Option<Option<u64>>,
    /// How the object ended that was last seen here, where it is a Job that did: its end needs no other.
    ended: Option<Ended>,
}

/// What is kept of a live object.
pub(super) struct Present {
    pub(super) environment: EnvironmentId,
    pub(super) version: Box<str>,
    pub(super) digest: ContentDigest,
    edition: u64,
    api: Box<str>,
    uid: Uid,
    health: Health,
    reason: Box<str>,
    summary: Box<str>,
    rule: Box<str>,
    created: Option<Timestamp>,
    /// How it is after a time, if it stays as it is.
    later: Option<Box<Later>>,
    /// Who wrote to it last, other than us.
    manager: Option<Box<str>>,
    /// When it was seen so.
    seen: Instant,
}

struct Later {
    at: Timestamp,
    health: Health,
    reason: Box<str>,
}

impl Later {
    fn of(verdict: &Verdict) -> Option<Box<Self>> {
        let later = verdict.later()?;
        Some(Box::new(Self { at: verdict.changes_at?, health: later.health, reason: later.reason.into() }))
    }
}

impl Applied {
    /// The object, where a connected watch knows.
    pub(super) fn present(&self, resource: &ResourceRef) -> Option<&Present> {
        self.present.get(resource).filter(|_| self.is_covered(resource))
    }

    pub(super) fn is_covered(&self, resource: &ResourceRef) -> bool {
        let keys = self.covered.get(&(resource.group.clone(), resource.kind.clone()));
        keys.is_some_and(|keys| keys.iter().any(|key| key.covers(resource.namespace.as_deref())))
    }

    pub(super) fn is_synced(&self, environment: &EnvironmentId) -> bool {
        self.environments.get(environment).is_some_and(|environment| environment.synced)
    }

    pub(super) fn ended(&self, environment: &EnvironmentId) -> Vec<(ResourceRef, Ended)> {
        let wants = self.environments.get(environment).into_iter().flat_map(|environment| &environment.wants);
        wants.filter_map(|(resource, want)| Some((resource.clone(), want.ended?))).collect()
    }

    pub(super) fn scopes(&self) -> Scopes {
        self.inhabited.scopes()
    }

    pub(super) fn scopes_of(&self, environment: &EnvironmentId) -> &Scopes {
        self.environments.get(environment).map_or(&self.nowhere, |environment| &environment.scopes)
    }

    /// True where other watches are needed now.
    pub(super) fn track(
        &mut self,
        name: &EnvironmentId,
        inventory: &Inventory,
        memory: &Memory,
        changes: &mut Vec<ClusterChange>,
    ) -> bool {
        let mut before = self.environments.remove(name).unwrap_or_default();
        let scopes = watch_set::scopes(&inventory.items);
        let moved = self.inhabited.moves(&before.scopes, &scopes);
        let mut now = Application { scopes, wants: HashMap::new(), synced: before.synced };
        for item in &inventory.items {
            let old = before.wants.remove(&item.resource);
            let told = old.as_ref().and_then(|want| want.told);
            let expect = match (memory.get(&item.resource), &old) {
                (Some(remembered), _) => Expect::Digest(remembered.live),
                (None, Some(old)) => old.expect,
                (None, None) => Expect::Unknown,
            };
            let ended = match &old {
                Some(old) => old.ended,
                None => memory.get(&item.resource).and_then(|remembered| remembered.ended),
            };
            // Told once is enough, unless it was as expected or was written meanwhile.
            let same = old.filter(|old| old.expect == expect);
            let (differing, left) = same.map(|old| (old.differing, old.left)).unwrap_or_default();
            let want = Want { api: item.version.as_str().into(), expect, told, differing, left, ended };
            now.wants.insert(item.resource.clone(), want);
        }
        for (resource, _) in before.wants.into_iter().filter(|(_, want)| want.told.is_some()) {
            changes.push(ClusterChange::ResourceGone { environment: name.clone(), resource });
        }
        now.synced &= now.wants.keys().all(|resource| self.is_covered(resource));
        self.environments.insert(name.clone(), now);
        for item in &inventory.items {
            self.compare(name, &item.resource, changes);
            self.report(name, &item.resource, changes);
        }
        self.report_synced([name.clone()], changes);
        moved
    }

    pub(super) fn forget(&mut self, name: &EnvironmentId, changes: &mut Vec<ClusterChange>) {
        let Application { scopes, wants, .. } = self.environments.remove(name).unwrap_or_default();
        self.inhabited.moves(&scopes, &Scopes::new());
        for (resource, _) in wants.into_iter().filter(|(_, want)| want.told.is_some()) {
            changes.push(ClusterChange::ResourceGone { environment: name.clone(), resource });
        }
    }

    /// How an object should be, by a look at it that began at `since`: it may be otherwise by now.
    pub(super) fn expect(
        &mut self,
        name: &EnvironmentId,
        resource: &ResourceRef,
        expect: Expect,
        since: Instant,
        changes: &mut Vec<ClusterChange>,
    ) {
        if self.will_be(name, resource, expect) {
            let is_newer = self.present.get(resource).is_some_and(|present| present.seen > since);
            if expect == Expect::Otherwise && is_newer {
                // Nobody knows whether the look saw it so: it is looked at again.
                changes.push(ClusterChange::Otherwise { environment: name.clone() });
            }
            self.compare(name, resource, changes);
            self.report(name, resource, changes);
        }
    }

    /// How an object should be from now on; false where it should be so already.
    fn will_be(&mut self, name: &EnvironmentId, resource: &ResourceRef, expect: Expect) -> bool {
        let want = self.environments.get_mut(name).and_then(|environment| environment.wants.get_mut(resource));
        let Some(want) = want.filter(|want| want.expect != expect) else { return false };
        want.expect = expect;
        (want.differing, want.left) = (None, None);
        true
    }

    /// Takes in what we have just written, which is how it should be. What a watch told of it already may be newer, and is
    /// compared with it then.
    pub(super) fn wrote(&mut self, seen: Seen, changes: &mut Vec<ClusterChange>) -> Option<(ResourceRef, Uid)> {
        let (name, resource) = (seen.environment.clone()?, seen.resource.clone());
        self.will_be(&name, &resource, Expect::Digest(seen.digest));
        let before = self.put(seen, ToldBy::Followed, changes);
        self.compare(&name, &resource, changes);
        self.report(&name, &resource, changes);
        before
    }

    /// Whether a list names an object in a state before the one that is known, or one that was seen to go.
    pub(super) fn is_set_back(&self, seen: &Seen, told: ToldBy) -> bool {
        let known = self.present.get(&seen.resource).filter(|known| known.uid == seen.uid);
        match known {
            Some(known) => is_set_back(told, known.seen, is_older(&seen.version, &known.version)),
            None => self.gone.is_back(seen, told),
        }
    }

    /// Gives the object that was known before in this place.
    pub(super) fn put(
        &mut self,
        seen: Seen,
        told: ToldBy,
        changes: &mut Vec<ClusterChange>,
    ) -> Option<(ResourceRef, Uid)> {
        let Seen {
            resource,
            environment: Some(name),
            api,
            version,
            uid,
            digest,
            edition,
            verdict,
            created,
            manager,
            ended,
        } = seen
        else {
            return None;
        };
        // Two environments may use one kind in two versions; each object counts in the version that its own uses.
        let want = self.environments.get(&name).and_then(|environment| environment.wants.get(&resource));
        if want.is_some_and(|want| want.api != api) {
            return None;
        }
        let known = self.present.get(&resource).filter(|known| known.uid == uid && known.api == api);
        if known.is_some_and(|known| stands(told, known.seen, is_older(&version, &known.version))) {
            return None;
        }
        let later = Later::of(&verdict);
        self.due.extend(later.as_ref().map(|later| (later.at, resource.clone())));
        let present = Present {
            environment: name.clone(),
            later,
            version,
            digest,
            edition,
            api,
            uid,
            health: verdict.health,
            rule: told_rule(&verdict).into(),
            reason: verdict.reason.into(),
            summary: verdict.summary.into(),
            created,
            manager: manager.map(Box::from),
            seen: Instant::now(),
        };
        let before = self.present.insert(resource.clone(), present);
        if let Some(before) = before.as_ref().filter(|before| before.uid != uid) {
            self.gone.put(before.uid, &before.version);
        }
        if let Some(want) = self.environments.get_mut(&name).and_then(|app| app.wants.get_mut(&resource)) {
            want.ended = ended;
        }
        self.compare(&name, &resource, changes);
        self.report(&name, &resource, changes);
        let before = before?;
        if before.environment != name {
            self.report(&before.environment, &resource, changes);
        }
        Some((resource, before.uid))
    }

    /// When the next one may be otherwise by time alone.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn expire(&mut self, now: Timestamp, changes: &mut Vec<ClusterChange>) {
        while let Some((at, resource)) = self.due.pop_first() {
            if at > now {
                self.due.insert((at, resource));
                return;
            }
            let Some(present) = self.present.get_mut(&resource) else { continue };
            let Some(later) = present.later.take_if(|later| later.at <= now) else { continue };
            (present.health, present.reason) = (later.health, later.reason);
            let environment = present.environment.clone();
            self.report(&environment, &resource, changes);
        }
    }

    /// True where it was there, and this one.
    pub(super) fn remove(
        &mut self,
        resource: &ResourceRef,
        uid: Uid,
        api: &str,
        changes: &mut Vec<ClusterChange>,
    ) -> bool {
        if self.present.get(resource).is_none_or(|present| present.uid != uid || &*present.api != api) {
            return false;
        }
        self.take(resource, changes);
        true
    }

    /// Takes away what a whole list did not name.
    pub(super) fn retain(
        &mut self,
        key: &WatchKey,
        seen: &HashMap<ResourceRef, Uid>,
        changes: &mut Vec<ClusterChange>,
    ) -> Vec<(ResourceRef, Uid)> {
        let lost = self.present.iter().filter(|(resource, present)| {
            resource.group == key.group
                && resource.kind == key.kind
                && key.version.as_deref().is_none_or(|version| version == &*present.api)
                && key.covers(resource.namespace.as_deref())
                && !seen.contains_key(resource)
        });
        let lost: Vec<(ResourceRef, Uid)> = lost.map(|(resource, present)| (resource.clone(), present.uid)).collect();
        for (resource, _) in &lost {
            self.take(resource, changes);
        }
        lost
    }

    pub(super) fn cover(&mut self, key: &WatchKey, connected: bool, changes: &mut Vec<ClusterChange>) {
        let keys = self.covered.entry((key.group.clone(), key.kind.clone())).or_default();
        keys.retain(|other| other != key);
        if !connected {
            return;
        }
        keys.push(key.clone());
        // What came while nothing was known for sure, and what is not there, is told of now.
        let mut wanted = Vec::new();
        for (name, environment) in &self.environments {
            let here = environment.wants.keys().filter(|resource| {
                resource.group == key.group && resource.kind == key.kind && key.covers(resource.namespace.as_deref())
            });
            wanted.extend(here.map(|resource| (name.clone(), resource.clone())));
        }
        for (name, resource) in &wanted {
            self.compare(name, resource, changes);
            self.report(name, resource, changes);
        }
        let names: BTreeSet<EnvironmentId> = wanted.into_iter().map(|(name, _)| name).collect();
        self.report_synced(names, changes);
    }

    /// What was seen is of another cluster, or of a time that this one forgot. All is told again once it is listed anew.
    pub(super) fn replaced(&mut self) {
        self.present.clear();
        self.gone.clear();
        self.due.clear();
        self.covered.clear();
        for environment in self.environments.values_mut() {
            environment.synced = false;
            environment.wants.values_mut().for_each(|want| (want.differing, want.left) = (None, None));
        }
    }

    fn take(&mut self, resource: &ResourceRef, changes: &mut Vec<ClusterChange>) {
        let Some(gone) = self.present.remove(resource) else { return };
        self.gone.put(gone.uid, &gone.version);
        self.compare(&gone.environment, resource, changes);
        self.report(&gone.environment, resource, changes);
    }

    /// Says so, once, where the content of an object is not what it should be.
    fn compare(&mut self, name: &EnvironmentId, resource: &ResourceRef, changes: &mut Vec<ClusterChange>) {
        if !self.is_covered(resource) {
            return;
        }
        let there = self.present.get(resource).filter(|present| present.environment == *name);
        let want = self.environments.get_mut(name).and_then(|environment| environment.wants.get_mut(resource));
        let Some(want) = want else { return };
        let now = there.map(|present| present.digest);
        let is_expected = match want.expect {
            Expect::Digest(expected) => now == Some(expected) || (now.is_none() && want.ended.is_some()),
            Expect::Going => now.is_some(),
            // It is not as git says, and is left so: where anybody writes it, it may have become so. What is ours in it does
            // not tell: a field that somebody took over stays theirs, whatever its value. What left git was there when it was
            // looked at.
            Expect::Otherwise | Expect::Gone => {
                let edition = there.map(|present| present.edition);
                let before = want.left.replace(edition);
                let went_since = want.expect == Expect::Gone && before.is_none() && edition.is_none();
                if went_since || before.is_some_and(|before| before != edition) {
                    changes.push(ClusterChange::Otherwise { environment: name.clone() });
                }
                return;
            }
            Expect::Unknown => return,
        };
        if is_expected {
            // Somebody undid what was left to differ.
            if want.differing.take().is_some() {
                changes.push(ClusterChange::Otherwise { environment: name.clone() });
            }
        } else if want.differing != Some(now) {
            want.differing = Some(now);
            let manager = there.and_then(|present| present.manager.as_deref()).map(str::to_owned);
            let (environment, resource) = (name.clone(), resource.clone());
            changes.push(ClusterChange::ContentChanged { environment, resource, manager });
        }
    }

    /// Reports how an object is, unless that was reported already.
    fn report(&mut self, name: &EnvironmentId, resource: &ResourceRef, changes: &mut Vec<ClusterChange>) {
        let is_known = self.is_covered(resource);
        let there = self.present.get(resource).filter(|present| present.environment == *name);
        let Some(want) = self.environments.get_mut(name).and_then(|app| app.wants.get_mut(resource)) else { return };
        if there.is_none() && !is_known {
            return;
        }
        if there.is_none() && matches!(want.expect, Expect::Gone | Expect::Going) {
            // What is to go and is gone is no loss.
            if want.told.take().is_some() {
                changes.push(ClusterChange::ResourceGone { environment: name.clone(), resource: resource.clone() });
            }
            return;
        }
        let status = status(name, resource, want, there);
        let told = Some(fingerprint(&status));
        if want.told != told {
            want.told = told;
            changes.push(ClusterChange::ResourceChanged(Box::new(status)));
        }
    }

    /// Says so, once, of each of these that is wholly known now.
    fn report_synced(&mut self, names: impl IntoIterator<Item = EnvironmentId>, changes: &mut Vec<ClusterChange>) {
        for name in names {
            let Some(environment) = self.environments.get(&name) else { continue };
            if environment.synced || !environment.wants.keys().all(|resource| self.is_covered(resource)) {
                continue;
            }
            if let Some(environment) = self.environments.get_mut(&name) {
                environment.synced = true;
            }
            changes.push(ClusterChange::Synced { environment: name });
        }
    }
}

/// The rule that spoke, as it is shown: people know that the agent knows the kinds of Kubernetes.
pub(super) fn told_rule(verdict: &Verdict) -> &str {
    if verdict.rule.starts_with("built in: ") { "" } else { &verdict.rule }
}

fn status(name: &EnvironmentId, resource: &ResourceRef, want: &Want, there: Option<&Present>) -> ResourceStatus {
    let sync = match (want.expect, there) {
        (Expect::Digest(_), None) if want.ended.is_some() => SyncStatus::Synced,
        (Expect::Unknown, Some(_)) => SyncStatus::Unknown,
        (Expect::Digest(expected), Some(present)) if present.digest == expected => SyncStatus::Synced,
        _ => SyncStatus::OutOfSync,
    };
    let blank = ResourceStatus {
        environment: name.clone(),
        resource: resource.clone(),
        sync,
        health: Health::Missing,
        message: "it is not in the cluster".to_owned(),
        summary: String::new(),
        rule: String::new(),
        owner: None,
        created: None,
    };
    match there {
        None if sync == SyncStatus::Synced => {
            let (health, message) = match want.ended {
                Some(Ended::Failed) => (Health::Degraded, "failed; removed by its time to live"),
                _ => (Health::Healthy, "completed; removed since"),
            };
            ResourceStatus { health, message: message.to_owned(), ..blank }
        }
        None => blank,
        Some(present) => ResourceStatus {
            health: present.health,
            message: present.reason.as_ref().into(),
            summary: present.summary.as_ref().into(),
            rule: present.rule.as_ref().into(),
            created: present.created,
            ..blank
        },
    }
}

/// Resource versions are numbers that grow (promised since Kubernetes 1.35, and so before). What is no number is taken
/// as newer.
fn is_older(version: &str, than: &str) -> bool {
    match (version.parse::<u64>(), than.parse::<u64>()) {
        (Ok(version), Ok(than)) => version < than,
        _ => false,
    }
}

#[cfg(test)]
mod tests;

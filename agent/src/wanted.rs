//! What each environment of this agent wants in its cluster, as it was last rendered: looked at before anything is pruned.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quarterdeck_shared::application::{EnvironmentId, EnvironmentSpec};
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::revision::{ChartRelease, Revision};

use quarterdeck_core::sync::confidential::Confidential;
use quarterdeck_core::sync::digest::ContentDigest;

/// The files and folders that a render depended on, with their ids in the commits of a revision.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    /// Those of its own repository, and those of sources below their folders.
    pub(crate) files: Vec<(String, Option<String>)>,
    /// The chart, where it comes from elsewhere.
    pub(crate) chart: Option<Box<ChartRelease>>,
    /// The variables, where the cluster has some of them.
    pub(crate) variables: Option<ContentDigest>,
}

/// All of them. A name an environment and a reference an object, so it is bounded by what git names.
#[derive(Default)]
pub struct Wanted(Mutex<BTreeMap<EnvironmentId, Entry>>);

#[derive(Default)]
struct Entry {
    rendered: Option<Rendered>,
    /// Why it could not be rendered at a later commit.
    unrendered: Option<String>,
    /// What left it and waits for another environment to take it over.
    awaits: Vec<ResourceRef>,
}

/// What an environment wants, and what that was rendered from.
#[derive(Clone)]
pub(crate) struct Rendered {
    /// How it was configured then.
    pub(crate) spec: EnvironmentSpec,
    /// What is rendered: the commit of its own repository, the chart, and those of its other sources.
    pub(crate) at: Revision,
    /// The files and folders of all of them.
    pub(crate) inputs: Arc<Inputs>,
    /// The objects.
    pub(crate) objects: Arc<HashSet<ResourceRef>>,
    /// What was decrypted for them, where something was.
    pub(crate) confidential: Option<Arc<Confidential>>,
}

impl Wanted {
    /// An environment was rendered. Returns which environments have to look again: they held something for it that it does
    /// not want.
    pub(crate) fn rendered(&self, name: &EnvironmentId, rendered: Rendered) -> Vec<EnvironmentId> {
        let mut all = self.lock();
        let entry = all.entry(name.clone()).or_default();
        let before = entry.rendered.replace(rendered).map(|before| before.objects).unwrap_or_default();
        let held = entry.unrendered.take().is_some();
        let now = entry.rendered.iter().map(|now| now.objects.clone()).next().unwrap_or_default();
        let lets_go = |resource: &ResourceRef| held || (before.contains(resource) && !now.contains(resource));
        waiting(&all, name, lets_go)
    }

    /// A later commit changed nothing of what an environment is rendered from.
    pub(crate) fn unchanged(&self, name: &EnvironmentId, at: Revision) {
        if let Some(rendered) = self.lock().get_mut(name).and_then(|entry| entry.rendered.as_mut()) {
            rendered.at = at;
        }
    }

    /// An environment could not be rendered; what it wanted before is kept, if it is still configured like that.
    pub(crate) fn failed(&self, name: &EnvironmentId, spec: &EnvironmentSpec, why: String) {
        let mut all = self.lock();
        let entry = all.entry(name.clone()).or_default();
        entry.rendered = entry.rendered.take().filter(|rendered| rendered.spec == *spec);
        entry.unrendered = Some(why);
    }

    /// What was last rendered, and why not since.
    pub(crate) fn last_rendered(&self, name: &EnvironmentId) -> (Option<Rendered>, Option<String>) {
        let all = self.lock();
        let entry = all.get(name);
        (entry.and_then(|entry| entry.rendered.clone()), entry.and_then(|entry| entry.unrendered.clone()))
    }

    /// What left an environment and waits for others to take it over.
    pub(crate) fn awaits(&self, name: &EnvironmentId, resources: Vec<ResourceRef>) {
        self.lock().entry(name.clone()).or_default().awaits = resources;
    }

    /// An environment brought its objects into the cluster. Returns which environments waited for one of them.
    pub(crate) fn brought(&self, name: &EnvironmentId) -> Vec<EnvironmentId> {
        let all = self.lock();
        let objects = all.get(name).and_then(|entry| entry.rendered.as_ref()).map(|rendered| rendered.objects.clone());
        let objects = objects.unwrap_or_default();
        waiting(&all, name, |resource| objects.contains(resource))
    }

    /// An environment is not operated any more. Returns which environments waited for it.
    pub fn forget(&self, name: &EnvironmentId) -> Vec<EnvironmentId> {
        let mut all = self.lock();
        let gone = all.remove(name).and_then(|entry| entry.rendered).map(|rendered| rendered.objects);
        let gone = gone.unwrap_or_default();
        waiting(&all, name, |resource| gone.contains(resource))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<EnvironmentId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The other environments that wait for an object like this.
fn waiting(
    all: &BTreeMap<EnvironmentId, Entry>,
    but: &EnvironmentId,
    wanted: impl Fn(&ResourceRef) -> bool,
) -> Vec<EnvironmentId> {
    let waits = |(name, entry): &(&EnvironmentId, &Entry)| *name != but && entry.awaits.iter().any(&wanted);
    all.iter().filter(waits).map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> EnvironmentId {
        format!("{name}/prod").parse().unwrap()
    }

    fn claim(name: &str) -> ResourceRef {
        ResourceRef::new("", "PersistentVolumeClaim", Some("prod"), name)
    }

    fn rendered(objects: &[&str]) -> Rendered {
        Rendered {
            spec: EnvironmentSpec::new("prod".parse().unwrap(), "/r".to_owned(), "prod".to_owned()),
            at: Revision::new("main", "a".repeat(40).parse().unwrap()),
            inputs: Arc::default(),
            objects: Arc::new(objects.iter().map(|name| claim(name)).collect()),
            confidential: None,
        }
    }

    #[test]
    fn who_waits_is_woken_when_it_was_taken_over_or_is_not_wanted_any_more() {
        let (wanted, old, new) = (Wanted::default(), name("old"), name("new"));
        assert_eq!(wanted.rendered(&old, rendered(&["b"])), []);
        assert_eq!(wanted.rendered(&new, rendered(&["a"])), []);
        wanted.awaits(&old, vec![claim("a")]);
        assert_eq!(wanted.brought(&new), std::slice::from_ref(&old));
        assert_eq!(wanted.rendered(&new, rendered(&["a", "c"])), [], "it still wants it");
        assert_eq!(wanted.rendered(&new, rendered(&["c"])), std::slice::from_ref(&old));
        assert_eq!(wanted.rendered(&new, rendered(&["a"])), []);
        assert_eq!(wanted.forget(&new), std::slice::from_ref(&old));
        wanted.awaits(&old, vec![]);
        assert_eq!(wanted.brought(&new), []);
    }

    #[test]
    fn what_cannot_be_rendered_wants_what_it_wanted_before() {
        let (wanted, shop) = (Wanted::default(), name("shop"));
        let before = rendered(&["a"]);
        wanted.rendered(&shop, before.clone());
        wanted.failed(&shop, &before.spec, "bad".to_owned());
        let (last, why) = wanted.last_rendered(&shop);
        assert_eq!((last.is_some(), why.as_deref()), (true, Some("bad")));
        wanted.failed(&shop, &EnvironmentSpec { namespace: "test".to_owned(), ..before.spec }, "bad".to_owned());
        assert!(wanted.last_rendered(&shop).0.is_none(), "it was configured differently then");
    }
}

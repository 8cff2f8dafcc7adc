//! What is known of live objects without asking: what the watches last said, a few words an object.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use quarterdeck_shared::resource::ResourceRef;
use serde_json::Value;

use crate::sync::manifest::ContentDigest;
use crate::sync::owned;

/// The live objects that a watch covers.
#[derive(Default)]
pub(super) struct Live(Mutex<Store>);

#[derive(Default)]
struct Store {
    objects: HashMap<ResourceRef, LiveObject>,
    /// Kinds whose watches are up to date, by group and kind.
    covered: HashSet<(String, String)>,
}

/// What is kept of a live object.
struct LiveObject {
    application: Box<str>,
    version: Box<str>,
    digest: ContentDigest,
}

impl Live {
    /// The digest of what is ours in the object, where a watch knows.
    pub(super) fn digest(&self, resource: &ResourceRef) -> Option<ContentDigest> {
        self.look(resource, |object| Some(object.digest))
    }

    /// The same, if the object is at this resource version.
    pub(super) fn at(&self, resource: &ResourceRef, version: &str) -> Option<ContentDigest> {
        self.look(resource, |object| (&*object.version == version).then_some(object.digest))
    }

    /// The application that the object says it belongs to.
    pub(super) fn application(&self, resource: &ResourceRef) -> Option<Box<str>> {
        self.look(resource, |object| Some(object.application.clone()))
    }

    /// Takes in an object that we have just written, so that its echo on the watch is no news.
    pub(super) fn wrote(&self, resource: &ResourceRef, object: &Value) {
        let mut store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !store.covered.contains(&(resource.group.clone(), resource.kind.clone())) {
            return;
        }
        let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default().into();
        let application = owned::application_of(object).unwrap_or_default().into();
        store.objects.insert(resource.clone(), LiveObject { application, version, digest: owned::digest(object) });
    }

    fn look<T>(&self, resource: &ResourceRef, what: impl FnOnce(&LiveObject) -> Option<T>) -> Option<T> {
        let store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !store.covered.contains(&(resource.group.clone(), resource.kind.clone())) {
            return None;
        }
        store.objects.get(resource).and_then(what)
    }
}

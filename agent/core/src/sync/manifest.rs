//! A manifest: one desired object as it goes to the cluster, with the place in git that it came from.

use std::sync::Arc;

use quarterdeck_shared::resource::ResourceRef;
use serde_json::Value;

use crate::sync::confidential::Confidential;
use crate::sync::content::Content;
use crate::sync::digest::ContentDigest;
use crate::sync::mask;

/// One desired object.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Which object; its namespace is filled in.
    pub resource: ResourceRef,
    /// The API version without its group: `v1`.
    pub version: String,
    /// The whole object, as it is sent.
    pub object: Content,
    /// Where it was written, for messages: `apps/shop/deployment.yaml, document 2`.
    pub origin: Arc<str>,
    /// Of [`Manifest::object`].
    pub digest: ContentDigest,
    /// The group and the kind that it defines, where it is a CustomResourceDefinition.
    pub defines: Option<(String, String)>,
    /// What was decrypted for it and for the others of its render, where something was.
    pub confidential: Option<Arc<Confidential>>,
}

impl Manifest {
    /// The manifest of an object that has its namespace and is put into the form in which it is sent.
    pub fn new(resource: ResourceRef, version: String, object: Value, origin: Arc<str>) -> Self {
        let defines = defined(&resource.group, &resource.kind, &object);
        let (object, digest) = Content::digested(object);
        Self { resource, version, object, origin, digest, defines, confidential: None }
    }

    /// What a server says of it, without what is secret in it.
    pub fn scrub(&self, message: &str) -> String {
        let message = mask::scrub(message, &self.object.value());
        self.confidential.as_ref().map_or(message.clone(), |confidential| confidential.scrub(&message))
    }

    /// `apps/v1`, `v1`.
    pub fn api_version(&self) -> String {
        match self.resource.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }
}

/// Whether objects of this group and kind define kinds.
pub fn is_definition(group: &str, kind: &str) -> bool {
    group == "apiextensions.k8s.io" && kind == "CustomResourceDefinition"
}

/// The group and the kind that an object of this group and kind defines.
pub fn defined(group: &str, kind: &str, object: &Value) -> Option<(String, String)> {
    let spec = object.get("spec").filter(|_| is_definition(group, kind))?;
    Some((spec.get("group")?.as_str()?.to_owned(), spec.pointer("/names/kind")?.as_str()?.to_owned()))
}

//! Kubernetes objects by name: the reference to one, and the inventory of those that an application applied.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One Kubernetes object, named so that it stays the same object when its API version changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceRef {
    /// API group; empty for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// `Deployment`.
    pub kind: String,
    /// Absent for cluster-scoped objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The object's name.
    pub name: String,
}

impl ResourceRef {
    /// A reference from its four parts; an empty namespace is none.
    pub fn new(group: &str, kind: &str, namespace: Option<&str>, name: &str) -> Self {
        Self {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.filter(|n| !n.is_empty()).map(str::to_owned),
            name: name.to_owned(),
        }
    }

    /// `Deployment/shop`: enough for people who know the application.
    pub fn short(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// `Deployment/shop in namespace prod`: enough for people who know the cluster.
    pub fn with_namespace(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} in namespace {namespace}", self.short()),
            None => self.short(),
        }
    }
}

/// `apps/Deployment/prod/shop`; an empty part stands for the core group or for no namespace.
impl fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        write!(f, "{}/{}/{namespace}/{}", self.group, self.kind, self.name)
    }
}

/// An object of the inventory: what it is, and the API version that it was last applied with (needed to delete it).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InventoryItem {
    /// The object.
    #[serde(flatten)]
    pub resource: ResourceRef,
    /// `v1`.
    pub version: String,
}

/// The objects that an application applied and may therefore prune. Kept in the cluster, beside the objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Each object once.
    pub items: BTreeSet<InventoryItem>,
}

impl Inventory {
    /// Whether the object is in it, whatever its version.
    pub fn contains(&self, resource: &ResourceRef) -> bool {
        self.items.iter().any(|item| &item.resource == resource)
    }
}

/// `Ingresses`, `NetworkPolicies`, `Gateways`: as a person would write more than one.
pub fn plural(kind: &str) -> String {
    let is_vowel = |letter: Option<char>| letter.is_some_and(|letter| "aeiou".contains(letter));
    match kind.strip_suffix('y') {
        Some(stem) if !is_vowel(stem.chars().last()) => format!("{stem}ies"),
        _ if kind.ends_with("ss") || kind.ends_with('x') || kind.ends_with("ch") => format!("{kind}es"),
        _ if kind.ends_with('s') => kind.to_owned(),
        _ => format!("{kind}s"),
    }
}

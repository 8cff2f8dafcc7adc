//! What is in an object whose end takes others along: a namespace, and the definition of a kind.

use std::collections::BTreeMap;

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::resource::{InventoryItem, ResourceRef};
use serde_json::Value;

use crate::sync::manifest::Manifest;
use crate::sync::neighbours::Neighbours;

/// Objects that are named in a reason: what a person reads; the count says how many there are.
const NAMED: usize = 3;

/// An object that others live in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Container {
    /// A namespace, of this name.
    Namespace(String),
    /// The definition of a kind.
    Definition {
        /// API group of the kind.
        group: String,
        /// The kind.
        kind: String,
    },
}

impl Container {
    /// What the object is a container of; none for any other object. `live` is the object as it is.
    pub fn of(resource: &ResourceRef, live: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match (resource.group.as_str(), resource.kind.as_str()) {
            // A Project of OpenShift is its Namespace by another name.
            ("", "Namespace") | ("project.openshift.io", "Project") => Some(Self::Namespace(resource.name.clone())),
            ("apiextensions.k8s.io", "CustomResourceDefinition") => Some(Self::Definition {
                group: text(&live["spec"]["group"]),
                kind: text(&live["spec"]["names"]["kind"]),
            }),
            _ => None,
        }
    }

    /// Whether the object lives in it.
    pub fn holds(&self, resource: &ResourceRef) -> bool {
        match self {
            Self::Namespace(name) => resource.namespace.as_ref() == Some(name),
            Self::Definition { group, kind } => resource.group == *group && resource.kind == *kind,
        }
    }
}

/// What is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Objects of the environment that is planned, but for those that go with the plan.
    pub ours: usize,
    /// Objects of other environments, by their names.
    pub others: BTreeMap<String, usize>,
    /// Objects that are of no environment.
    pub strangers: usize,
    /// The first of these: `Secret/key`.
    pub named: Vec<String>,
    /// Why something in it cannot be seen.
    pub unseen: Option<Blind>,
}

/// What cannot be seen of it, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blind {
    /// In the server's words.
    pub why: String,
    /// Whether it may be seen later without anybody doing anything.
    pub passes: bool,
}

impl Contents {
    /// What is wanted in it: known without a request.
    pub fn wanted(
        container: &Container,
        desired: &[Manifest],
        stays: &[InventoryItem],
        neighbours: Option<&Neighbours>,
    ) -> Self {
        let of = |wanted: &mut dyn Iterator<Item = &ResourceRef>| wanted.filter(|r| container.holds(r)).count();
        let ours = of(&mut desired.iter().map(|manifest| &manifest.resource).chain(stays.iter().map(|i| &i.resource)));
        let others = neighbours
            .into_iter()
            .flat_map(|all| &all.0)
            .map(|(name, wants)| (name.to_string(), of(&mut wants.objects.iter())));
        let others = others.filter(|(_, count)| *count > 0).collect();
        Self { ours, others, ..Self::default() }
    }

    /// Counts an object that was found in it, by the environment that its label names.
    pub fn count(&mut self, environment: &EnvironmentId, label: Option<&str>, short: String) {
        match label {
            Some(name) if name == environment.to_string() => self.ours += 1,
            Some(name) => *self.others.entry(name.to_owned()).or_default() += 1,
            None => {
                self.strangers += 1;
                if self.named.len() < NAMED {
                    self.named.push(short);
                }
            }
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether something in it can be counted.
    pub fn is_inhabited(&self) -> bool {
        self.ours + self.strangers > 0 || !self.others.is_empty()
    }

    /// `2 objects of this environment, 1 of neigh and 3 others (Secret/key, …) are in it`.
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        let objects = |count: usize| if count == 1 { "1 object".to_owned() } else { format!("{count} objects") };
        let first = |parts: &Vec<String>, count| if parts.is_empty() { objects(count) } else { count.to_string() };
        if self.ours > 0 {
            parts.push(format!("{} of this environment", objects(self.ours)));
        }
        for (name, count) in &self.others {
            parts.push(format!("{} of {name}", first(&parts, *count)));
        }
        if self.strangers > 0 {
            let more = if self.strangers > self.named.len() { ", …" } else { "" };
            let names = format!(" ({}{more})", self.named.join(", "));
            let other = match (parts.is_empty(), self.strangers) {
                (true, count) => format!("{} of no environment", objects(count)),
                (false, 1) => "1 other".to_owned(),
                (false, count) => format!("{count} others"),
            };
            parts.push(other + &names);
        }
        let total = self.ours + self.strangers + self.others.values().sum::<usize>();
        let verb = if total == 1 { "is" } else { "are" };
        match parts.pop() {
            Some(last) if parts.is_empty() => format!("{last} {verb} in it"),
            Some(last) => format!("{} and {last} {verb} in it", parts.join(", ")),
            None => {
                let why = self.unseen.as_ref().map_or("", |blind| &blind.why);
                format!("what is in it cannot be seen: {why}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn contents_are_counted_and_named() {
        let shop: EnvironmentId = "shop/prod".parse().unwrap();
        let of = |found: &[(Option<&str>, &str)]| {
            let mut contents = Contents::default();
            for (label, name) in found {
                contents.count(&shop, *label, (*name).to_owned());
            }
            contents.describe()
        };
        let (ours, neigh) = ((Some("shop/prod"), ""), (Some("neigh"), ""));
        for (found, words) in [
            (&[ours, ours, neigh][..], "2 objects of this environment and 1 of neigh are in it"),
            (&[ours], "1 object of this environment is in it"),
            (&[neigh, (Some("pay"), "")], "1 object of neigh and 1 of pay are in it"),
            (&[(None, "Secret/key")], "1 object of no environment (Secret/key) is in it"),
            (
                &[neigh, (None, "A/1"), (None, "A/2"), (None, "A/3"), (None, "A/4")],
                "1 object of neigh and 4 others (A/1, A/2, A/3, …) are in it",
            ),
        ] {
            assert_eq!(of(found), words);
        }
        let blind = Blind { why: "cannot list Widgets: forbidden".to_owned(), passes: false };
        let unseen = Contents { unseen: Some(blind), ..Contents::default() };
        assert_eq!(unseen.describe(), "what is in it cannot be seen: cannot list Widgets: forbidden");
        assert!(!unseen.is_empty() && !unseen.is_inhabited());
    }

    #[test]
    fn what_others_live_in_is_known() {
        let crd = json!({"spec": {"group": "example.com", "names": {"kind": "Shop"}}});
        let of = |group: &str, kind: &str, name: &str| Container::of(&ResourceRef::new(group, kind, None, name), &crd);
        let inside = |container: Option<Container>, group: &str, kind: &str, namespace: &str| {
            container.is_some_and(|it| it.holds(&ResourceRef::new(group, kind, Some(namespace), "x")))
        };
        let namespace = || of("", "Namespace", "prod");
        let definition = || of("apiextensions.k8s.io", "CustomResourceDefinition", "shops.example.com");
        assert!(inside(namespace(), "apps", "Deployment", "prod"));
        assert!(inside(of("project.openshift.io", "Project", "prod"), "", "Secret", "prod"));
        assert!(!inside(namespace(), "apps", "Deployment", "test"));
        assert!(inside(definition(), "example.com", "Shop", "anywhere"));
        assert!(!inside(definition(), "example.com", "Order", "anywhere"));
        assert!(!inside(of("", "ConfigMap", "prod"), "", "ConfigMap", "prod"));
    }
}

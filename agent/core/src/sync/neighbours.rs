//! What the other environments of this agent want in the same cluster: an object that left one environment and came to
//! another is handed over and never deleted.
//!
//! It is a picture of one moment, taken for one plan. Who takes it sees to it that each environment was rendered at what
//! git says now, see `reconcile::neighbours`.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::resource::ResourceRef;

/// What one environment wants.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wants {
    /// Its objects, as they were last rendered.
    pub objects: Arc<HashSet<ResourceRef>>,
    /// Why what it wants now is not known; absent where the objects are those of what git says now.
    pub unrendered: Option<String>,
    /// Whether its manifests are in the same repository: then one commit can move an object to it.
    pub beside: bool,
}

/// The other environments of the cluster.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Neighbours(pub BTreeMap<EnvironmentId, Wants>);

impl Neighbours {
    /// The environment that wants this object.
    pub fn wanting(&self, resource: &ResourceRef) -> Option<&EnvironmentId> {
        self.0.iter().find(|(_, wants)| wants.objects.contains(resource)).map(|(name, _)| name)
    }

    /// What the environment of this name wants; none where this agent operates none of that name here.
    pub fn of(&self, name: &str) -> Option<&Wants> {
        self.0.get(&name.parse().ok()?)
    }

    /// An environment that one commit could have moved an object to, and whose wants are not known; with why.
    pub fn unrendered(&self) -> Option<(&EnvironmentId, &str)> {
        let unknown = |wants: &Wants| wants.unrendered.clone().filter(|_| wants.beside).is_some();
        let (name, wants) = self.0.iter().find(|(_, wants)| unknown(wants))?;
        Some((name, wants.unrendered.as_deref().unwrap_or_default()))
    }
}

/// Whether the end of such an object can take data with it that no sync brings back: volumes, what holds them, what holds
/// other objects, and every custom resource, since an operator may keep anything behind it.
pub fn holds_data(resource: &ResourceRef) -> bool {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "PersistentVolumeClaim" | "PersistentVolume" | "Namespace") => true,
        ("apps", "StatefulSet") | ("apiextensions.k8s.io", "CustomResourceDefinition") => true,
        ("" | "apps" | "batch" | "autoscaling" | "policy" | "extensions", _) => false,
        (group, _) => !group.ends_with(".k8s.io"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loses_data_with_its_end_is_known() {
        for (group, kind, holds) in [
            ("", "PersistentVolumeClaim", true),
            ("", "Namespace", true),
            ("apiextensions.k8s.io", "CustomResourceDefinition", true),
            ("apps", "StatefulSet", true),
            ("acid.zalan.do", "postgresql", true),
            ("apps", "Deployment", false),
            ("", "ConfigMap", false),
            ("networking.k8s.io", "Ingress", false),
            ("batch", "Job", false),
        ] {
            assert_eq!(holds_data(&ResourceRef::new(group, kind, None, "x")), holds, "{group}/{kind}");
        }
    }

    #[test]
    fn only_who_shares_the_repository_could_have_been_given_something() {
        let wants = |unrendered: Option<&str>, beside| Wants {
            unrendered: unrendered.map(str::to_owned),
            beside,
            ..Wants::default()
        };
        let name = |name: &str| format!("{name}/prod").parse::<EnvironmentId>().unwrap();
        let mut all = Neighbours([(name("a"), wants(None, true)), (name("b"), wants(Some("bad"), false))].into());
        assert_eq!(all.unrendered(), None);
        all.0.insert(name("c"), wants(Some("worse"), true));
        assert_eq!(all.unrendered(), Some((&name("c"), "worse")));
    }
}

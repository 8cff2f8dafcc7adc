//! The fleet: four applications, and the objects of theirs that come and go.
//!
//! `shop` is delivered from code to production; `tea` is synced by hand alone; `sea` and `pier` are plain and share a
//! namespace, so that an object may move from one to the other. Manifests are written as JSON, which is YAML too.

use serde_json::{Value, json};

use crate::dice::Dice;

/// An application of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum App {
    /// Code, image, promotion, manifests; automatic.
    Shop,
    /// Manifests; synced only when a person asks.
    Tea,
    /// Manifests, among them a definition and a claim; automatic.
    Sea,
    /// Manifests in the namespace of `sea`; automatic.
    Pier,
}

use App::{Pier, Sea, Shop, Tea};

impl App {
    /// All of them.
    pub(crate) const ALL: [App; 4] = [Shop, Tea, Sea, Pier];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Shop => "shop",
            Tea => "tea",
            Sea => "sea",
            Pier => "pier",
        }
    }

    /// Where it runs.
    pub(crate) fn namespace(self) -> &'static str {
        if self == Pier { "sea" } else { self.name() }
    }

    /// Whether it follows git by itself.
    pub(crate) fn is_automatic(self) -> bool {
        self != Tea
    }

    /// One of them.
    pub(crate) fn draw(dice: &mut Dice) -> App {
        dice.pick(&App::ALL)
    }
}

/// An object that a person may change, remove, give back, and move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing {
    /// What the pods of the shop read.
    Greeting,
    /// Of `tea`.
    Leaf,
    /// Of `tea`.
    Cup,
    /// Of `tea`.
    Pot,
    /// Of `sea`.
    Chart,
    /// Of `sea`.
    Log,
    /// Of `sea`: a claim, whose volume goes with it.
    Hold,
    /// Of `sea`: of a kind that `sea` defines.
    Skiff,
    /// Of `pier`.
    Plank,
    /// Of `pier`.
    Rope,
}

impl Thing {
    /// All of them.
    pub(crate) const ALL: [Thing; 10] = [
        Thing::Greeting,
        Thing::Leaf,
        Thing::Cup,
        Thing::Pot,
        Thing::Chart,
        Thing::Log,
        Thing::Hold,
        Thing::Skiff,
        Thing::Plank,
        Thing::Rope,
    ];

    /// Those of `sea` and `pier`, which may change places. What `sea` defines stays beside its definition.
    pub(crate) const MOVABLE: [Thing; 5] = [Thing::Chart, Thing::Log, Thing::Hold, Thing::Plank, Thing::Rope];

    /// Whose it is in the beginning.
    pub(crate) fn home(self) -> App {
        match self {
            Thing::Greeting => Shop,
            Thing::Leaf | Thing::Cup | Thing::Pot => Tea,
            Thing::Chart | Thing::Log | Thing::Hold | Thing::Skiff => Sea,
            Thing::Plank | Thing::Rope => Pier,
        }
    }

    /// Its name in the cluster, and that of its file.
    pub(crate) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// `ConfigMap`
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Thing::Hold => "PersistentVolumeClaim",
            Thing::Skiff => "Boat",
            _ => "ConfigMap",
        }
    }

    /// `configmaps`
    pub(crate) fn resource(self) -> &'static str {
        resource(self.kind())
    }

    /// Where it is in the cluster.
    pub(crate) fn place(self) -> Place {
        Place { resource: self.resource(), namespace: self.home().namespace().to_owned(), name: self.name() }
    }

    /// Its file while `app` has it.
    pub(crate) fn file(self, app: App) -> String {
        format!("apps/{}/{}.yaml", app.name(), self.name())
    }

    /// Its manifest with this value, where it has one.
    pub(crate) fn manifest(self, value: u8) -> String {
        let metadata = json!({"name": self.name()});
        let object = match self {
            Thing::Hold => json!({
                "apiVersion": "v1", "kind": self.kind(), "metadata": metadata,
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            }),
            Thing::Skiff => {
                json!({"apiVersion": "sea.example/v1", "kind": self.kind(), "metadata": metadata, "spec": {"size": value}})
            }
            _ => {
                json!({"apiVersion": "v1", "kind": self.kind(), "metadata": metadata, "data": {"value": value.to_string()}})
            }
        };
        written(&object)
    }

    /// One of them.
    pub(crate) fn draw(dice: &mut Dice) -> Thing {
        dice.pick(&Thing::ALL)
    }
}

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// `deployments.apps`
    pub(crate) resource: &'static str,
    /// Empty for the cluster's own.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

/// The resource of a kind of the fleet.
///
/// # Panics
/// Where the fleet has no such kind.
pub(crate) fn resource(kind: &str) -> &'static str {
    match kind {
        "ConfigMap" => "configmaps",
        "PersistentVolumeClaim" => "persistentvolumeclaims",
        "Deployment" => "deployments.apps",
        "Boat" => BOATS,
        "CustomResourceDefinition" => CRDS,
        other => panic!("the fleet has no {other}"),
    }
}

/// Every resource of the fleet.
pub(crate) const RESOURCES: [&str; 5] = ["configmaps", "persistentvolumeclaims", "deployments.apps", BOATS, CRDS];

/// The definitions.
pub(crate) const CRDS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// What `sea` defines.
pub(crate) const BOATS: &str = "boats.sea.example";

/// The definition that `sea` brings.
pub(crate) fn definition() -> String {
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}});
    written(&json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": BOATS},
        "spec": {
            "group": "sea.example", "scope": "Namespaced", "names": {"plural": "boats", "kind": "Boat"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    }))
}

/// The file of the Deployment of the shop, which promotion writes.
pub(crate) const SHOP: &str = "apps/shop/shop.yaml";

/// The Deployment that runs the image of the shop.
pub(crate) fn deployment(image: &str) -> String {
    let read = json!([{"name": "GREETING", "valueFrom": {"configMapKeyRef": {"name": "greeting", "key": "value", "optional": true}}}]);
    written(&json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "shop"}},
            "template": {
                "metadata": {"labels": {"app": "shop"}},
                "spec": {"containers": [{"name": "shop", "image": image, "env": read}]},
            },
        },
    }))
}

fn written(object: &Value) -> String {
    format!("{object:#}\n")
}

//! The number of replicas of what an autoscaler scales: it is left to the autoscaler.
//!
//! Kubernetes asks for manifests without `replicas` there, but the way to it leads through an outage: a field that we alone
//! own falls to its default, 1, when git stops naming it
//! (<https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#migrating-deployments-and-statefulsets-to-horizontal-autoscaling>).
//! And where git goes on naming it, git and the autoscaler write in turns. So the live value stays, whether git names one
//! or not, as if the object had the annotation `quarterdeck.dev/ignore: spec.replicas`.
//!
//! An autoscaler is whatever names its target in `spec.scaleTargetRef`: HorizontalPodAutoscaler, KEDA's ScaledObject, and
//! others of that form. A HorizontalPodAutoscaler does not touch a target with 0 replicas
//! (<https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#implicit-maintenance-mode-deactivation>): there, git
//! counts.

use quarterdeck_shared::resource::ResourceRef;
use serde_json::Value;

use crate::sync::concede;
use crate::sync::managed_fields::{self, MANAGER};
use crate::sync::path::Step;

/// An object that sets the replicas of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autoscaler {
    /// `HorizontalPodAutoscaler/shop`.
    pub name: String,
    target: ResourceRef,
    /// It leaves a target alone that has no replicas.
    rests_at_zero: bool,
}

impl Autoscaler {
    /// Whether it scales this object.
    pub fn scales(&self, resource: &ResourceRef) -> bool {
        self.target == *resource
    }

    /// Whether the replicas of its target are its business: as git has it, and as it is.
    fn is_in_charge(&self, desired: &Value, live: &Value) -> bool {
        !(self.rests_at_zero && [desired, live].iter().any(|object| object["spec"]["replicas"] == 0))
    }
}

/// What the object scales, if it is an autoscaler in this namespace.
pub fn autoscaler(object: &Value, namespace: Option<&str>) -> Option<Autoscaler> {
    let target = object["spec"]["scaleTargetRef"].as_object()?;
    let text = |name: &str| target.get(name).and_then(Value::as_str);
    // KEDA's defaults; a HorizontalPodAutoscaler has to name all three.
    let (api_version, kind) = (text("apiVersion").unwrap_or("apps/v1"), text("kind").unwrap_or("Deployment"));
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let (own_kind, own_name) = (object["kind"].as_str()?, object["metadata"]["name"].as_str()?);
    // One that another object made (KEDA's) is woken by that other, also from 0.
    let is_made = object["metadata"]["ownerReferences"].as_array().is_some_and(|owners| !owners.is_empty());
    Some(Autoscaler {
        name: format!("{own_kind}/{own_name}"),
        target: ResourceRef::new(group, kind, namespace, text("name")?),
        rests_at_zero: own_kind == "HorizontalPodAutoscaler" && !is_made,
    })
}

/// Whether it matters who scales the object: an apply would change its replicas, or would make them ours that are another's.
pub fn is_at_stake(desired: &Value, live: &Value, predicted: &Value) -> bool {
    let replicas = |object: &Value| object["spec"]["replicas"].clone();
    let named = !replicas(desired).is_null();
    let is_anothers = || managed_fields::manager_at(live, &path()).is_some_and(|manager| manager != MANAGER);
    replicas(live).is_number() && (replicas(live) != replicas(predicted) || (named && is_anothers()))
}

/// What is applied of the object where this autoscaler scales it; none where git counts.
pub fn leaving(autoscaler: &Autoscaler, desired: &Value, live: &Value) -> Option<Value> {
    autoscaler.is_in_charge(desired, live).then(|| concede::keeping(desired, live, &path()))
}

fn path() -> [Step; 2] {
    ["spec", "replicas"].map(|name| Step::Field(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shop() -> ResourceRef {
        ResourceRef::new("apps", "Deployment", Some("demo"), "shop")
    }

    #[test]
    fn what_names_its_target_is_an_autoscaler() {
        let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"});
        let of = |kind: &str, target: &Value| {
            autoscaler(
                &json!({"kind": kind, "metadata": {"name": "a"}, "spec": {"scaleTargetRef": target}}),
                Some("demo"),
            )
        };
        for (kind, target, scales) in [
            ("HorizontalPodAutoscaler", &target, true),
            ("ScaledObject", &json!({"name": "shop"}), true),
            ("ScaledObject", &json!({"name": "other"}), false),
            (
                "HorizontalPodAutoscaler",
                &json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "shop"}),
                false,
            ),
        ] {
            assert_eq!(of(kind, target).is_some_and(|one| one.scales(&shop())), scales, "{kind} {target}");
        }
        assert_eq!(of("Deployment", &Value::Null), None);
        let elsewhere = ResourceRef::new("apps", "Deployment", Some("other"), "shop");
        assert!(!of("HorizontalPodAutoscaler", &target).unwrap().scales(&elsewhere));
    }

    fn live(replicas: u32, manager: &str) -> Value {
        let operation = if manager == MANAGER { "Apply" } else { "Update" };
        json!({
            "metadata": {"managedFields": [
                {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            ]},
            "spec": {"replicas": replicas},
        })
    }

    #[test]
    fn the_live_number_stays_whoever_has_it_and_whatever_git_says() {
        let plain = Autoscaler { name: String::new(), target: shop(), rests_at_zero: true };
        let kedas = Autoscaler { rests_at_zero: false, ..plain.clone() };
        let named = |replicas: u32| json!({"spec": {"replicas": replicas, "paused": false}});
        let unnamed = json!({"spec": {"paused": false}});
        let hpa = "kube-controller-manager";
        // Git's object, the live one, and what is sent as replicas; none: git counts.
        for (scaler, desired, live, sent) in [
            (&plain, &unnamed, live(6, MANAGER), Some(json!(6))),
            (&plain, &unnamed, live(6, hpa), Some(Value::Null)),
            (&plain, &named(6), live(8, hpa), Some(Value::Null)),
            (&plain, &named(6), live(8, MANAGER), Some(json!(8))),
            (&plain, &named(0), live(8, hpa), None),
            (&plain, &named(6), live(0, "kubectl"), None),
            (&kedas, &named(6), live(0, hpa), Some(Value::Null)),
        ] {
            let object = leaving(scaler, desired, &live);
            assert_eq!(object.as_ref().map(|object| object["spec"]["replicas"].clone()), sent, "{desired} {live}");
            assert!(object.is_none_or(|object| object["spec"]["paused"] == json!(false)));
        }
    }

    #[test]
    fn nobody_is_asked_for_where_nothing_is_at_stake() {
        let named = json!({"spec": {"replicas": 6}});
        let at = |replicas: u32| json!({"spec": {"replicas": replicas}});
        for (desired, live, predicted, is) in [
            (&named, live(6, MANAGER), at(6), false),
            (&named, live(8, "hpa"), at(6), true),
            (&named, live(6, "hpa"), at(6), true),
            (&json!({"spec": {}}), live(8, "hpa"), at(8), false),
            (&json!({"spec": {}}), live(8, MANAGER), at(1), true),
            (&json!({"data": {}}), json!({"data": {}}), json!({"data": {}}), false),
        ] {
            assert_eq!(is_at_stake(desired, &live, &predicted), is, "{desired} {live} {predicted}");
        }
    }
}

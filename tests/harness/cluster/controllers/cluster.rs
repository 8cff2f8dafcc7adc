//! The small controllers: namespaces, definitions, claims, ingresses, autoscalers.

use std::time::Instant;

use serde_json::{Value, json};

use super::{MANAGER, garbage, pods};
use crate::cluster::clock::Clock;
use crate::cluster::delete;
use crate::cluster::events;
use crate::cluster::ids::address;
use crate::cluster::kinds::Kind;
use crate::cluster::store::{Key, State, items, number, text};
use crate::cluster::write::{self, Part};

/// The one storage class whose claims are bound.
const STORAGE: &str = "standard";

pub(super) fn reconcile(state: &mut State, key: &Key, clock: &Clock) -> Option<Instant> {
    let object = state.get(key).cloned();
    match (key.resource.as_str(), object) {
        ("namespaces", Some(namespace)) => self::namespace(state, key, &namespace, clock),
        ("customresourcedefinitions.apiextensions.k8s.io", Some(definition)) => {
            self::definition(state, key, &definition, clock);
        }
        ("persistentvolumeclaims", Some(claim)) => self::claim(state, key, &claim, clock),
        ("ingresses.networking.k8s.io", Some(ingress)) if ingress.pointer("/status/loadBalancer/ingress").is_none() => {
            let ip = address("192.0", state.serial() + 512);
            pods::set_status(state, key, json!({"loadBalancer": {"ingress": [{"ip": ip}]}}), clock);
        }
        ("horizontalpodautoscalers.autoscaling", Some(autoscaler)) => self::autoscaler(state, key, &autoscaler, clock),
        ("cronjobs.batch", Some(_)) => pods::set_status(state, key, json!({}), clock),
        ("serviceaccounts" | "configmaps", None) => {
            // The server's own objects of a namespace come back.
            let namespace = Key::new("namespaces", "", &key.namespace);
            if ["default", "kube-root-ca.crt"].contains(&key.name.as_str()) && state.get(&namespace).is_some() {
                state.touch(namespace);
            }
        }
        _ => {}
    }
    None
}

fn namespace(state: &mut State, key: &Key, namespace: &Value, clock: &Clock) {
    if namespace.pointer("/metadata/deletionTimestamp").is_none() {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
        let root = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt"},
            "data": {"ca.crt": "the stand-in serves plain http\n"},
        });
        for (resource, name, body) in
            [("serviceaccounts", "default", account), ("configmaps", "kube-root-ca.crt", root)]
        {
            if state.get(&Key::new(resource, &key.name, name)).is_none() {
                write::make(state, resource, &key.name, MANAGER, &clock.stamp(), body);
            }
        }
        return;
    }
    let resources: Vec<String> =
        state.kinds().iter().filter(|kind| kind.namespaced).map(|kind| kind.qualified()).collect();
    let mut left = false;
    for resource in resources {
        let keys: Vec<Key> = state
            .table(&resource)
            .into_iter()
            .flat_map(|table| table.within(&key.name))
            .map(|object| Key::of(&resource, object))
            .collect();
        for held in keys {
            garbage::remove(state, &held, "Background", clock);
            left |= state.get(&held).is_some();
        }
    }
    if left {
        return; // whatever goes next has its namespace looked at again
    }
    let mut empty = namespace.clone();
    if let Some(spec) = empty["spec"].as_object_mut() {
        spec.remove("finalizers");
    }
    let last = state.put(key, empty);
    if items(&last, "/metadata/finalizers").next().is_none() {
        state.remove(key);
    }
}

/// Serves what it defines, and takes that away with it.
fn definition(state: &mut State, key: &Key, definition: &Value, clock: &Clock) {
    if definition.pointer("/metadata/deletionTimestamp").is_some() {
        if !items(definition, "/metadata/finalizers").any(|finalizer| finalizer == delete::CLEANUP) {
            return;
        }
        let table = state.table(&key.name).into_iter().flat_map(|table| table.within(""));
        let all: Vec<Key> = table.map(|object| Key::of(&key.name, object)).collect();
        for held in &all {
            if state.kind_of(&key.name).is_some() {
                garbage::remove(state, held, "Background", clock);
            } else {
                state.remove(held); // in no version can anybody let go of it
            }
        }
        if state.table(&key.name).is_none_or(|table| table.objects.is_empty()) {
            state.withdraw(&key.name);
            delete::release(state, key, delete::CLEANUP, &clock.stamp());
        }
        return;
    }
    let kinds = Kind::of_definition(definition);
    let served: Vec<Kind> =
        state.kinds().iter().filter(|kind| kind.qualified() == key.name).map(|kind| (**kind).clone()).collect();
    if served != kinds {
        state.serve(&key.name, kinds);
    }
    let now = clock.stamp();
    let accepted = pods::condition(definition, "NamesAccepted", "True", "NoConflicts", "no conflicts found", &now);
    let established = pods::condition(
        definition,
        "Established",
        "True",
        "InitialNamesAccepted",
        "the initial names have been accepted",
        &now,
    );
    let status = json!({
        "conditions": [accepted, established], "acceptedNames": definition["spec"]["names"],
        "storedVersions": definition["status"]["storedVersions"],
    });
    if definition["status"] != status {
        write::edit(state, key, Part::Status, "kube-apiserver", &now, |object| object["status"] = status);
    }
}

fn claim(state: &mut State, key: &Key, claim: &Value, clock: &Clock) {
    const PROTECTION: &str = "kubernetes.io/pvc-protection";
    let uses =
        |pod: &Value| items(pod, "/spec/volumes").any(|one| text(one, "/persistentVolumeClaim/claimName") == key.name);
    let is_used = state.table("pods").is_some_and(|table| table.within(&key.namespace).any(|pod| uses(pod)));
    if claim.pointer("/metadata/deletionTimestamp").is_some() {
        if !is_used {
            delete::release(state, key, PROTECTION, &clock.stamp());
        }
        return;
    }
    let class = text(claim, "/spec/storageClassName").to_owned();
    if text(claim, "/status/phase") == "Bound" {
        return;
    }
    let known = state.get(&Key::new("storageclasses.storage.k8s.io", "", &class));
    if known.is_some_and(|class| text(class, "/volumeBindingMode") == "WaitForFirstConsumer") && !is_used {
        return;
    }
    if class != STORAGE && known.is_none() {
        let message = format!("storageclass.storage.k8s.io {class:?} not found");
        events::record(state, key, ("Warning", "ProvisioningFailed", &message), "persistentvolume-controller", clock);
        return;
    }
    let volume = format!("pvc-{}", text(claim, "/metadata/uid"));
    write::edit(state, key, Part::Main, MANAGER, &clock.stamp(), |claim| {
        claim["spec"]["volumeName"] = json!(volume);
        claim["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] = json!("yes");
        claim["metadata"]["annotations"]["pv.kubernetes.io/bound-by-controller"] = json!("yes");
    });
    let capacity = claim["spec"]["resources"]["requests"].clone();
    let status = json!({"phase": "Bound", "accessModes": claim["spec"]["accessModes"], "capacity": capacity});
    pods::set_status(state, key, status, clock);
}

/// It looks and leaves the number alone: there are no metrics here to scale by.
fn autoscaler(state: &mut State, key: &Key, autoscaler: &Value, clock: &Clock) {
    let target = &autoscaler["spec"]["scaleTargetRef"];
    let kind = state.kind_named(text(target, "/apiVersion"), text(target, "/kind"));
    let target_key = kind.map(|kind| Key::new(&kind.qualified(), &key.namespace, text(target, "/name")));
    let current =
        target_key.and_then(|key| state.get(&key).map(|object| number(object, "/spec/replicas").unwrap_or(1)));
    let now = clock.stamp();
    let say = |kind: &str, yes: &str, reason: &str, message: &str| {
        pods::condition(autoscaler, kind, yes, reason, message, &now)
    };
    let status = match current {
        None => json!({"currentReplicas": 0, "desiredReplicas": 0, "conditions": [say(
            "AbleToScale", "False", "FailedGetScale",
            &format!("the HPA controller was unable to get the target's current scale: {} {:?} not found", text(target, "/kind").to_lowercase(), text(target, "/name")),
        )]}),
        Some(replicas) => json!({"currentReplicas": replicas, "desiredReplicas": replicas, "conditions": [
            say("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size"),
            say("ScalingActive", "True", "ValidMetricFound", "the HPA was able to successfully calculate a replica count"),
            say("ScalingLimited", "False", "DesiredWithinRange", "the desired count is within the acceptable range"),
        ]}),
    };
    pods::set_status(state, key, status, clock);
}

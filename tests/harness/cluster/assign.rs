//! What the server hands out when an object is created: uid, addresses, ports, a Job's selector; and what it keeps from
//! the live object when an update leaves it out.

use serde_json::{Value, json};

use super::ids::address;
use super::kinds::Kind;
use super::store::{State, items, text};

/// Hands out what a new object of this kind needs.
pub fn on_create(state: &mut State, kind: &Kind, object: &mut Value, now: &str) {
    object["metadata"]["uid"] = json!(state.uid());
    object["metadata"]["creationTimestamp"] = json!(now);
    if kind.generation {
        object["metadata"]["generation"] = json!(1);
    }
    match kind.kind.as_str() {
        "Service" if !kind.custom => service(state, object, None),
        "Job" if !kind.custom => job(object),
        "DaemonSet" => object["metadata"]["annotations"][TEMPLATE_GENERATION] = json!("1"),
        "Namespace" => {
            object["spec"]["finalizers"] = json!(["kubernetes"]);
            object["status"]["phase"] = json!("Active");
        }
        "PersistentVolumeClaim" => {
            object["metadata"]["finalizers"] = json!(["kubernetes.io/pvc-protection"]);
            object["status"]["phase"] = json!("Pending");
            if object["spec"].get("storageClassName").is_none() {
                object["spec"]["storageClassName"] = json!("standard");
            }
        }
        "CustomResourceDefinition" => {
            let stored = items(object, "/spec/versions").find(|version| version["storage"] == true);
            object["status"]["storedVersions"] = json!([stored.map_or("", |version| text(version, "/name"))]);
        }
        "Pod" if !kind.custom => object["status"] = json!({"phase": "Pending", "qosClass": quality(object)}),
        _ => {}
    }
}

/// Counts the templates that a DaemonSet had.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// Hands out what an update needs, and keeps what was handed out before.
pub fn on_update(state: &mut State, kind: &Kind, object: &mut Value, live: &Value) {
    match kind.kind.as_str() {
        "Service" if !kind.custom => service(state, object, Some(live)),
        "DaemonSet" => {
            let before =
                live["metadata"]["annotations"][TEMPLATE_GENERATION].as_str().and_then(|text| text.parse().ok());
            let changed = object["spec"]["template"] != live["spec"]["template"];
            let generation = before.unwrap_or(1) + i64::from(changed);
            object["metadata"]["annotations"][TEMPLATE_GENERATION] = json!(generation.to_string());
        }
        "PersistentVolumeClaim" => {
            for name in ["storageClassName", "volumeName"] {
                if let (None, Some(kept)) = (object["spec"].get(name), live["spec"].get(name)) {
                    object["spec"][name] = kept.clone();
                }
            }
        }
        "Job" if !kind.custom && object["spec"].get("selector").is_none() => {
            object["spec"]["selector"] = live["spec"]["selector"].clone();
            object["spec"]["template"]["metadata"]["labels"] = live["spec"]["template"]["metadata"]["labels"].clone();
        }
        _ => {}
    }
}

fn service(state: &mut State, object: &mut Value, live: Option<&Value>) {
    if let Some(live) = live {
        drop_what_belongs_to_the_old_type(object, live);
    }
    if text(object, "/spec/type") == "ExternalName" {
        return;
    }
    let spec = &mut object["spec"];
    if text(spec, "/clusterIP").is_empty() {
        let kept = live.map(|live| text(live, "/spec/clusterIP").to_owned()).filter(|ip| !ip.is_empty());
        spec["clusterIP"] = json!(kept.unwrap_or_else(|| address("10.96", state.serial())));
    }
    spec["clusterIPs"] = json!([spec["clusterIP"]]);
    if spec.get("ipFamilies").is_none() {
        spec["ipFamilies"] = json!(["IPv4"]);
    }
    if spec.get("ipFamilyPolicy").is_none() {
        spec["ipFamilyPolicy"] = json!("SingleStack");
    }
    if text(spec, "/type") == "ClusterIP" {
        return;
    }
    let before: Vec<(i64, Value)> = live
        .into_iter()
        .flat_map(|live| items(live, "/spec/ports"))
        .filter_map(|port| Some((port["port"].as_i64()?, port.get("nodePort")?.clone())))
        .collect();
    for port in spec["ports"].as_array_mut().into_iter().flatten() {
        if port.get("nodePort").is_none() {
            let kept = before.iter().find(|(number, _)| Some(*number) == port["port"].as_i64());
            let fresh = || json!(30_000 + state.serial() % 2_768); // the usual range of node ports
            port["nodePort"] = kept.map_or_else(fresh, |(_, kept)| kept.clone());
        }
    }
}

/// A Service that changes its type loses what only the old one has, unless it was set anew.
fn drop_what_belongs_to_the_old_type(object: &mut Value, live: &Value) {
    let (old, new) = (text(live, "/spec/type").to_owned(), text(object, "/spec/type").to_owned());
    let mut gone = Vec::new();
    if new == "ExternalName" && old != new {
        gone.extend(["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"]);
    }
    if old != "ClusterIP" && ["ClusterIP", "ExternalName"].contains(&new.as_str()) {
        gone.push("externalTrafficPolicy");
        let kept: Vec<Value> = items(live, "/spec/ports").filter_map(|port| port.get("nodePort").cloned()).collect();
        for port in object["spec"]["ports"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            if port.get("nodePort").is_some_and(|number| kept.contains(number)) {
                port.remove("nodePort");
            }
        }
    }
    if old == "LoadBalancer" && new != old {
        gone.push("allocateLoadBalancerNodePorts");
    }
    let Some(spec) = object["spec"].as_object_mut() else { return };
    for name in gone {
        if spec.get(name) == live["spec"].get(name) {
            spec.remove(name);
        }
    }
}

/// A Job selects its pods by its own uid.
fn job(object: &mut Value) {
    if object["spec"]["manualSelector"] == true {
        return;
    }
    let uid = object["metadata"]["uid"].clone();
    let name = object["metadata"]["name"].clone();
    object["spec"]["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
    let metadata = &mut object["spec"]["template"]["metadata"];
    for (key, value) in [
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        ("job-name", &name),
    ] {
        metadata["labels"][key] = value.clone();
    }
    let labels = metadata["labels"].clone();
    if object["metadata"].get("labels").is_none() {
        object["metadata"]["labels"] = labels;
    }
}

/// The quality of service class of a pod.
fn quality(pod: &Value) -> &'static str {
    let containers: Vec<&Value> = items(pod, "/spec/containers").collect();
    let given = |container: &&Value, what: &str| container.pointer(what).is_some_and(|map| map != &json!({}));
    let none = |container: &&Value| !given(container, "/resources/requests") && !given(container, "/resources/limits");
    let full = |container: &&Value| {
        let limits = &container["resources"]["limits"];
        limits.get("cpu").is_some() && limits.get("memory").is_some() && limits == &container["resources"]["requests"]
    };
    match () {
        () if containers.iter().all(none) => "BestEffort",
        () if containers.iter().all(full) => "Guaranteed",
        () => "Burstable",
    }
}

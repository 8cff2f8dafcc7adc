//! Service: its Endpoints, and an address for a load balancer. EndpointSlices are not made.

use std::time::Instant;

use serde_json::{Value, json};

use super::{MANAGER, pods};
use crate::cluster::clock::Clock;
use crate::cluster::ids::address;
use crate::cluster::select::label_selector_matches;
use crate::cluster::store::{Key, State, items, text};
use crate::cluster::write::{self, Part};

/// Has the services that a pod may belong to looked at.
pub(super) fn pod_changed(state: &mut State, pod: &Key) {
    let (Some(table), object) = (state.table("services"), state.get(pod)) else { return };
    let selects = |service: &Value| {
        let (Some(selector), Some(pod)) = (service.pointer("/spec/selector"), object) else { return true };
        label_selector_matches(&json!({ "matchLabels": selector }), pod.pointer("/metadata/labels"))
    };
    let services = table.within(&pod.namespace).filter(|service| selects(service));
    let all: Vec<Key> = services.map(|service| Key::of("services", service)).collect();
    all.into_iter().for_each(|key| state.touch(key));
}

pub(super) fn reconcile(state: &mut State, key: &Key, clock: &Clock) -> Option<Instant> {
    let Some(service) = state.get(key).cloned() else {
        state.remove(&Key::new("endpoints", &key.namespace, &key.name));
        return None;
    };
    if text(&service, "/spec/type") == "LoadBalancer" && service.pointer("/status/loadBalancer/ingress").is_none() {
        let ip = address("192.0", state.serial() + 512);
        let status = json!({"loadBalancer": {"ingress": [{"ip": ip, "ipMode": "VIP"}]}});
        pods::set_status(state, key, status, clock);
    }
    let selector = service.pointer("/spec/selector").filter(|selector| *selector != &json!({}))?;
    let subsets = subsets(state, key, &service, &json!({ "matchLabels": selector }));
    let place = Key::new("endpoints", &key.namespace, &key.name);
    match state.get(&place) {
        None => {
            let body = json!({
                "apiVersion": "v1", "kind": "Endpoints", "subsets": subsets,
                "metadata": {"name": key.name, "labels": service["metadata"]["labels"]},
            });
            write::make(state, "endpoints", &key.namespace, MANAGER, &clock.stamp(), body);
        }
        Some(live) if live.get("subsets").unwrap_or(&json!([])) != &subsets => {
            write::edit(state, &place, Part::Main, MANAGER, &clock.stamp(), |object| object["subsets"] = subsets);
        }
        Some(_) => {}
    }
    None
}

fn subsets(state: &State, key: &Key, service: &Value, selector: &Value) -> Value {
    let Some(table) = state.table("pods") else { return json!([]) };
    let (mut ready, mut unready) = (Vec::new(), Vec::new());
    for pod in table.within(&key.namespace) {
        let ip = text(pod, "/status/podIP");
        if ip.is_empty() || !pods::is_active(pod) || !label_selector_matches(selector, pod.pointer("/metadata/labels"))
        {
            continue;
        }
        let target = json!({
            "kind": "Pod", "namespace": key.namespace, "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"],
        });
        let address = json!({"ip": ip, "nodeName": pod["spec"]["nodeName"], "targetRef": target});
        if pods::ready(pod).is_some() { ready.push(address) } else { unready.push(address) }
    }
    if ready.is_empty() && unready.is_empty() {
        return json!([]);
    }
    let ports = items(service, "/spec/ports").map(|port| {
        let number = port["targetPort"].as_i64().or(port["port"].as_i64()).unwrap_or(0);
        let mut out = json!({"port": number, "protocol": port["protocol"]});
        if let Some(name) = port.get("name") {
            out["name"] = name.clone();
        }
        out
    });
    let mut subset = json!({ "ports": ports.collect::<Vec<_>>() });
    for (name, addresses) in [("addresses", ready), ("notReadyAddresses", unready)] {
        if !addresses.is_empty() {
            subset[name] = json!(addresses);
        }
    }
    json!([subset])
}

//! Fields that a controller of the cluster fills in, and for which git holds a placeholder: they are left out of what is
//! applied. Written, the placeholder would replace what the controller wrote, and in between nobody has the permission, and
//! no webhook is trusted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

/// Annotations that ask for an authority to be injected: of cert-manager's cainjector
/// (<https://cert-manager.io/docs/concepts/ca-injector/>) and of OpenShift's service CA operator
/// (<https://github.com/openshift/service-ca-operator>).
const INJECTS: [&str; 5] = [
    "cert-manager.io/inject-ca-from",
    "cert-manager.io/inject-ca-from-secret",
    "cert-manager.io/inject-apiserver-ca",
    "service.beta.openshift.io/inject-cabundle",
    "service.alpha.openshift.io/inject-cabundle",
];

/// What every authority has that a client can read.
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Takes them out of an object.
pub(super) fn drop_what_controllers_fill_in(object: &mut Map<String, Value>, group: &str, kind: &str) {
    match (group, kind) {
        ("rbac.authorization.k8s.io", "ClusterRole") => drop_aggregated_rules(object),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration") => {
            let is_injected = asks_for_it(object);
            let webhooks = object.get_mut("webhooks").and_then(Value::as_array_mut).into_iter().flatten();
            webhooks
                .filter_map(|webhook| webhook.get_mut("clientConfig"))
                .for_each(|at| drop_authority(at, is_injected));
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            let is_injected = asks_for_it(object);
            let conversion =
                object.get_mut("spec").and_then(|spec| spec.pointer_mut("/conversion/webhook/clientConfig"));
            conversion.into_iter().for_each(|at| drop_authority(at, is_injected));
        }
        ("apiregistration.k8s.io", "APIService") => {
            let is_injected = asks_for_it(object);
            object.get_mut("spec").into_iter().for_each(|at| drop_authority(at, is_injected));
        }
        _ => {}
    }
}

/// The rules of an aggregated role are its controller's: what is written there by others is overwritten
/// (<https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles>), and many generators write an
/// empty list.
fn drop_aggregated_rules(role: &mut Map<String, Value>) {
    if role.get("aggregationRule").is_some_and(Value::is_object) {
        role.remove("rules");
    }
}

fn asks_for_it(object: &Map<String, Value>) -> bool {
    let annotations = object.get("metadata").and_then(|metadata| metadata.get("annotations"));
    INJECTS.iter().any(|name| annotations.and_then(|all| all.get(*name)).is_some_and(|value| value != "false"))
}

/// `caBundle` holds certificates in PEM, in base64. What holds none is a placeholder: `""`, `Cg==` (a line end).
fn drop_authority(client: &mut Value, is_injected: bool) {
    let Some(client) = client.as_object_mut() else { return };
    let is_authority = |value: &Value| match value.as_str().map(|text| BASE64.decode(text.trim())) {
        Some(Ok(bytes)) => bytes.windows(BEGIN.len()).any(|window| window == BEGIN),
        // The server says what is wrong with it.
        Some(Err(_)) => true,
        None => !value.is_null(),
    };
    if client.get("caBundle").is_some_and(|value| is_injected || !is_authority(value)) {
        client.remove("caBundle");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn left(group: &str, kind: &str, mut object: Value) -> Value {
        drop_what_controllers_fill_in(object.as_object_mut().unwrap(), group, kind);
        object
    }

    #[test]
    fn a_placeholder_of_an_authority_is_left_to_the_injector_and_an_authority_is_not() {
        let pem = BASE64.encode("# ours\n-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n");
        let plain = json!({});
        let asks = json!({"cert-manager.io/inject-ca-from": "demo/cert"});
        for (annotations, value, stays) in [
            (&plain, json!(pem), true),
            (&plain, json!("Cg=="), false),
            (&plain, json!(""), false),
            (&plain, json!(BASE64.encode("placeholder")), false),
            (&plain, json!("no base64!"), true),
            (&plain, Value::Null, false),
            (&asks, json!(pem), false),
            (&asks, json!("Cg=="), false),
            (&json!({"service.beta.openshift.io/inject-cabundle": "true"}), json!(pem), false),
            (&json!({"service.beta.openshift.io/inject-cabundle": "false"}), json!(pem), true),
        ] {
            let client = json!({"caBundle": value, "service": {"name": "s"}});
            let after = |stays: bool| if stays { client.clone() } else { json!({"service": {"name": "s"}}) };
            let metadata = json!({"annotations": annotations});
            for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
                let object = json!({"metadata": metadata, "webhooks": [{"name": "a", "clientConfig": client}]});
                let object = left("admissionregistration.k8s.io", kind, object);
                assert_eq!(object["webhooks"][0]["clientConfig"], after(stays), "{annotations} {value}");
            }
            let object = json!({"metadata": metadata, "spec": {"conversion": {"webhook": {"clientConfig": client}}}});
            let object = left("apiextensions.k8s.io", "CustomResourceDefinition", object);
            assert_eq!(object["spec"]["conversion"]["webhook"]["clientConfig"], after(stays), "{annotations} {value}");
            let object = left("apiregistration.k8s.io", "APIService", json!({"metadata": metadata, "spec": client}));
            assert_eq!(object["spec"], after(stays), "{annotations} {value}");
        }
        let other = json!({"spec": {"caBundle": "Cg=="}});
        assert_eq!(left("example.com", "APIService", other.clone()), other, "of no other kind");
    }
}

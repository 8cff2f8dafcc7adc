//! The order in which objects are applied and pruned.
//!
//! What others need comes first: a namespace before what lives in it, a definition before its objects, a service
//! account before the pods that run as it. Admission webhooks come last, since one whose server is not there yet refuses
//! what comes after it. Pruning goes the other way round. It is the order of Flux and of Argo CD, where these agree.
//!
//! A [`Stage`] is a barrier: everything in it is applied, and what [`must_be_ready`] is ready, before the next begins.
//! Within a stage the order is for people only, and objects may be applied side by side.

use std::cmp::Ordering;

use quarterdeck_shared::resource::ResourceRef;

use crate::sync::manifest::Manifest;

/// What is applied together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Namespaces, definitions, and what is cluster-wide and asked for by name.
    Prerequisites,
    /// What pods read when they start, and who they are.
    Configuration,
    /// What runs, what leads to it, and everything that is not named elsewhere.
    Workloads,
    /// What can refuse or divert requests to the API server.
    Admission,
}

/// Each kind that has a place of its own, in order. Every other kind is a workload after the last of these.
const KINDS: &[(Stage, &str, &str)] = {
    use Stage::{Admission, Configuration, Prerequisites, Workloads};
    const RBAC: &str = "rbac.authorization.k8s.io";
    const ADMISSION: &str = "admissionregistration.k8s.io";
    &[
        (Prerequisites, "", "Namespace"),
        (Prerequisites, "apiextensions.k8s.io", "CustomResourceDefinition"),
        (Prerequisites, "scheduling.k8s.io", "PriorityClass"),
        (Prerequisites, "node.k8s.io", "RuntimeClass"),
        (Prerequisites, "storage.k8s.io", "StorageClass"),
        (Prerequisites, "snapshot.storage.k8s.io", "VolumeSnapshotClass"),
        (Prerequisites, "networking.k8s.io", "IngressClass"),
        (Prerequisites, "gateway.networking.k8s.io", "GatewayClass"),
        (Prerequisites, "", "PersistentVolume"),
        (Prerequisites, RBAC, "ClusterRole"),
        (Configuration, "", "ResourceQuota"),
        (Configuration, "", "LimitRange"),
        (Configuration, "networking.k8s.io", "NetworkPolicy"),
        (Configuration, "", "ServiceAccount"),
        (Configuration, RBAC, "ClusterRoleBinding"),
        (Configuration, RBAC, "Role"),
        (Configuration, RBAC, "RoleBinding"),
        (Configuration, "", "Secret"),
        (Configuration, "", "ConfigMap"),
        (Configuration, "", "PersistentVolumeClaim"),
        (Configuration, "", "Service"),
        (Workloads, "apps", "DaemonSet"),
        (Workloads, "", "Pod"),
        (Workloads, "", "ReplicationController"),
        (Workloads, "apps", "ReplicaSet"),
        (Workloads, "apps", "Deployment"),
        (Workloads, "apps", "StatefulSet"),
        (Workloads, "autoscaling", "HorizontalPodAutoscaler"),
        (Workloads, "policy", "PodDisruptionBudget"),
        (Workloads, "batch", "Job"),
        (Workloads, "batch", "CronJob"),
        (Workloads, "networking.k8s.io", "Ingress"),
        // Here is the place of every other kind.
        (Admission, "apiregistration.k8s.io", "APIService"),
        (Admission, ADMISSION, "MutatingAdmissionPolicy"),
        (Admission, ADMISSION, "MutatingAdmissionPolicyBinding"),
        (Admission, ADMISSION, "ValidatingAdmissionPolicy"),
        (Admission, ADMISSION, "ValidatingAdmissionPolicyBinding"),
        (Admission, ADMISSION, "MutatingWebhookConfiguration"),
        (Admission, ADMISSION, "ValidatingWebhookConfiguration"),
    ]
};

/// The stage that a kind belongs to.
pub fn stage(group: &str, kind: &str) -> Stage {
    position(group, kind).map_or(Stage::Workloads, |place| KINDS[place].0)
}

/// Whether the next stage waits for objects of this kind to be ready: nothing can be made in a namespace or of a
/// definition that the server does not know yet.
pub fn must_be_ready(group: &str, kind: &str) -> bool {
    matches!((group, kind), ("", "Namespace") | ("apiextensions.k8s.io", "CustomResourceDefinition"))
}

/// The order in which two objects are applied. Total: by stage, kind, namespace and name.
pub fn compare(a: &ResourceRef, b: &ResourceRef) -> Ordering {
    rank(a).cmp(&rank(b)).then_with(|| a.cmp(b))
}

/// Sorts manifests into the order in which they are applied.
pub fn sort(manifests: &mut [Manifest]) {
    manifests.sort_by(|a, b| compare(&a.resource, &b.resource));
}

fn rank(resource: &ResourceRef) -> (Stage, usize) {
    match position(&resource.group, &resource.kind) {
        Some(place) => (KINDS[place].0, place),
        None => (Stage::Workloads, KINDS.len()),
    }
}

fn position(group: &str, kind: &str) -> Option<usize> {
    KINDS.iter().position(|(_, g, k)| *g == group && *k == kind)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn resource(text: &str) -> ResourceRef {
        let parts: Vec<&str> = text.split('/').collect();
        ResourceRef::new(parts[0], parts[1], Some(parts[2]), parts[3])
    }

    fn manifest(resource: ResourceRef) -> Manifest {
        let object = json!({"name": resource.to_string()});
        Manifest::new(resource, "v1".to_owned(), object, "test".into())
    }

    const IN_ORDER: &[&str] = &[
        "/Namespace//prod",
        "apiextensions.k8s.io/CustomResourceDefinition//shops.example.com",
        "storage.k8s.io/StorageClass//fast",
        "rbac.authorization.k8s.io/ClusterRole//reader",
        "/ServiceAccount/prod/shop",
        "rbac.authorization.k8s.io/RoleBinding/prod/shop",
        "/Secret/prod/key",
        "/ConfigMap/prod/a",
        "/ConfigMap/prod/b",
        "/ConfigMap/test/a",
        "/Service/prod/shop",
        "apps/Deployment/prod/shop",
        "batch/Job/prod/migrate",
        "networking.k8s.io/Ingress/prod/shop",
        "example.com/Shop/prod/one",
        "serving.knative.dev/Service/prod/shop",
        "apiregistration.k8s.io/APIService//v1.metrics",
        "admissionregistration.k8s.io/ValidatingWebhookConfiguration//guard",
    ];

    #[test]
    fn each_kind_has_its_stage() {
        for (group, kind, expected) in [
            ("", "Namespace", Stage::Prerequisites),
            ("apiextensions.k8s.io", "CustomResourceDefinition", Stage::Prerequisites),
            ("", "Secret", Stage::Configuration),
            ("", "Service", Stage::Configuration),
            ("serving.knative.dev", "Service", Stage::Workloads),
            ("apps", "Deployment", Stage::Workloads),
            ("example.com", "Shop", Stage::Workloads),
            ("admissionregistration.k8s.io", "MutatingWebhookConfiguration", Stage::Admission),
        ] {
            assert_eq!(stage(group, kind), expected, "{group}/{kind}");
        }
    }

    #[test]
    fn the_table_is_in_the_order_of_its_stages() {
        assert!(KINDS.is_sorted_by_key(|(stage, _, _)| *stage));
    }

    proptest! {
        #[test]
        fn any_order_of_input_gives_the_same_order(shuffled in Just(IN_ORDER.to_vec()).prop_shuffle()) {
            let mut manifests: Vec<_> = shuffled.iter().map(|text| manifest(resource(text))).collect();
            sort(&mut manifests);
            let sorted: Vec<_> = manifests.into_iter().map(|m| m.resource).collect();
            prop_assert_eq!(sorted, IN_ORDER.iter().map(|text| resource(text)).collect::<Vec<_>>());
        }
    }
}

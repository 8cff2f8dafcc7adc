//! Whether objects of a kind live in a namespace. The cluster knows; these are the kinds that every cluster has, for
//! where no cluster is asked.

/// Whether objects of a kind live in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Each is in one.
    Namespaced,
    /// None is.
    Cluster,
}

/// The scope of the kinds that Kubernetes itself has; nothing for all others.
pub fn builtin(group: &str, kind: &str) -> Option<Scope> {
    let cluster_scoped = match group {
        "" => ["Namespace", "Node", "PersistentVolume", "ComponentStatus"].as_slice(),
        "admissionregistration.k8s.io" => &[
            "MutatingWebhookConfiguration",
            "ValidatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
        ],
        "apiextensions.k8s.io" => &["CustomResourceDefinition"],
        "apiregistration.k8s.io" => &["APIService"],
        "certificates.k8s.io" => &["CertificateSigningRequest", "ClusterTrustBundle"],
        "flowcontrol.apiserver.k8s.io" => &["FlowSchema", "PriorityLevelConfiguration"],
        "networking.k8s.io" => &["IngressClass", "IPAddress", "ServiceCIDR"],
        "node.k8s.io" => &["RuntimeClass"],
        "rbac.authorization.k8s.io" => &["ClusterRole", "ClusterRoleBinding"],
        "resource.k8s.io" => &["DeviceClass", "ResourceSlice"],
        "scheduling.k8s.io" => &["PriorityClass"],
        "storage.k8s.io" => &["StorageClass", "CSIDriver", "CSINode", "VolumeAttachment", "VolumeAttributesClass"],
        _ => &[],
    };
    let namespaced = match group {
        "" => [
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "PersistentVolumeClaim",
            "Pod",
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
        ]
        .as_slice(),
        "apps" => &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"],
        "autoscaling" => &["HorizontalPodAutoscaler"],
        "batch" => &["CronJob", "Job"],
        "coordination.k8s.io" => &["Lease"],
        "discovery.k8s.io" => &["EndpointSlice"],
        "events.k8s.io" => &["Event"],
        "networking.k8s.io" => &["Ingress", "NetworkPolicy"],
        "policy" => &["PodDisruptionBudget"],
        "rbac.authorization.k8s.io" => &["Role", "RoleBinding"],
        "resource.k8s.io" => &["ResourceClaim", "ResourceClaimTemplate"],
        "storage.k8s.io" => &["CSIStorageCapacity"],
        _ => &[],
    };
    if cluster_scoped.contains(&kind) {
        return Some(Scope::Cluster);
    }
    namespaced.contains(&kind).then_some(Scope::Namespaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_known_by_its_group() {
        assert_eq!(builtin("", "Namespace"), Some(Scope::Cluster));
        assert_eq!(builtin("apps", "Deployment"), Some(Scope::Namespaced));
        assert_eq!(builtin("networking.k8s.io", "Ingress"), Some(Scope::Namespaced));
        assert_eq!(builtin("networking.k8s.io", "IngressClass"), Some(Scope::Cluster));
        assert_eq!(builtin("serving.knative.dev", "Service"), None);
    }
}

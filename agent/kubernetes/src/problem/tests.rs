//! The texts of real API servers (1.28 to 1.35), what they are taken for, and what a person is told to do.

use super::*;

/// A code, the server's words, the class, and a part of the hint.
const ANSWERS: &[(u16, &str, Class, &str)] = {
    use Class::*;
    &[
        (401, "Unauthorized", Unauthorized, "renew the credentials"),
        (
            403,
            "deployments.apps \"shop\" is forbidden: User \"qd\" cannot patch resource \"deployments\"",
            Forbidden,
            "permission",
        ),
        (
            403,
            "pods \"a\" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2",
            Refused,
            "free some of the quota",
        ),
        (
            403,
            "pods \"a\" is forbidden: failed quota: small: must specify limits.cpu for: app",
            Refused,
            "set these fields",
        ),
        (
            403,
            "pods \"a\" is forbidden: [maximum cpu usage per Container is 1, but limit is 2, minimum memory usage per Container is 64Mi, but request is 1Mi]",
            Refused,
            "LimitRange",
        ),
        (
            403,
            "pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"a\" must set securityContext.allowPrivilegeEscalation=false)",
            Refused,
            "pod-security.kubernetes.io/enforce",
        ),
        (
            403,
            "deployments.apps \"shop\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
            Refused,
            "policy allows it",
        ),
        (
            422,
            "deployments.apps \"shop\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: image is immutable here",
            Refused,
            "policy allows it",
        ),
        (400, "admission webhook \"w.example\" denied the request: no", Refused, "policy allows it"),
        (400, "admission webhook \"w.example\" does not support dry run", Refused, "sideEffects"),
        (409, "admission webhook \"w.example\" denied the request: it already exists", Refused, "policy allows it"),
        (
            403,
            "admission webhook \"w.example\" denied the request: User \"qd\" cannot use it",
            Refused,
            "policy allows it",
        ),
        (
            403,
            "configmaps \"a\" is forbidden: unable to create new content in namespace x because it is being terminated",
            Terminating,
            "wait until namespace x is gone",
        ),
        (
            405,
            "create not allowed while custom resource definition is terminating",
            Terminating,
            "CustomResourceDefinition is gone",
        ),
        (409, "object is being deleted: namespaces \"x\" already exists", Terminating, "metadata.finalizers"),
        (
            409,
            "Operation cannot be fulfilled on namespaces \"x\": The system is ensuring all content is removed from this namespace.  Upon completion, this namespace will automatically be purged by the system.",
            Terminating,
            "wait until it is gone",
        ),
        (
            403,
            "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"qd\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held: {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\"]}",
            Refused,
            "bind and escalate",
        ),
        (
            403,
            "pods \"a\" is forbidden: error looking up service account x/sa: serviceaccount \"sa\" not found",
            Refused,
            "add what is missing",
        ),
        (403, "pods \"a\" is forbidden: no PriorityClass with name high was found", Refused, "add what is missing"),
        (
            403,
            "namespaces \"kube-system\" is forbidden: this namespace may not be deleted",
            Refused,
            "what the message names",
        ),
        (404, "namespaces \"shop\" not found", NamespaceMissing, "create_namespace"),
        (404, "the server could not find the requested resource", KindMissing, "CustomResourceDefinition"),
        (404, "configmaps \"a\" not found", NotFound, ""),
        (
            409,
            "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again",
            Conflict,
            "another client changed",
        ),
        (409, "configmaps \"a\" already exists", Conflict, "another client created it"),
        (
            422,
            "Service \"a\" is invalid: spec.clusterIPs[0]: Invalid value: []: may not change once set",
            Immutable,
            "cannot be changed in place",
        ),
        (
            422,
            "Deployment.apps \"a\" is invalid: spec.selector: Invalid value: {}: field is immutable",
            Immutable,
            "cannot be changed in place",
        ),
        (
            422,
            "StatefulSet.apps \"a\" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
            Immutable,
            "cannot be changed in place",
        ),
        (
            422,
            "RoleBinding.rbac.authorization.k8s.io \"a\" is invalid: roleRef: Invalid value: {\"kind\":\"Role\"}: cannot change roleRef",
            Immutable,
            "cannot be changed in place",
        ),
        (
            422,
            "PersistentVolumeClaim \"a\" is invalid: spec.resources.requests.storage: Forbidden: field can not be less than previous value",
            Immutable,
            "cannot be changed in place",
        ),
        (
            422,
            "Deployment.apps \"a\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            Invalid,
            "correct the manifest",
        ),
        (
            422,
            "Job.batch \"a\" is invalid: spec.x: Invalid value: core.X{Note:\"immutable\", Env:[]core.EnvVar{}}: is wrong",
            Invalid,
            "correct the manifest",
        ),
        (422, "ConfigMap \"a\" is invalid: []: Too long: may not be more than 1048576 bytes", Invalid, "split it"),
        (413, "Request entity too large: limit is 3145728", Invalid, "split it"),
        (500, "etcdserver: request is too large", Invalid, "split it"),
        (
            500,
            "rpc error: code = ResourceExhausted desc = trying to send message larger than max (2106328 vs. 2097152)",
            Invalid,
            "split it",
        ),
        (500, "etcdserver: leader changed", Timeout, "storage behind the API server"),
        (500, "etcdserver: request timed out", Timeout, "storage behind the API server"),
        (500, "etcdserver: mvcc: database space exceeded", Other, "storage is full"),
        (500, "Internal error occurred: resource quota evaluation timed out", Timeout, "storage behind"),
        (400, "strict decoding error: unknown field \"spec.replica\"", Invalid, "correct the manifest"),
        (
            500,
            "failed to create typed patch object (a/b; apps/v1, Kind=Deployment): errors",
            Invalid,
            "correct the manifest",
        ),
        (
            500,
            "failed to convert new object (a/b; /v1, Kind=Secret) to proper version: illegal base64 data",
            Invalid,
            "correct the manifest",
        ),
        (
            500,
            "Internal error occurred: failed calling webhook \"v.lc.example\": failed to call webhook: Post \"https://lc.lc-hook.svc:443/validate?timeout=10s\": dial tcp 10.96.12.3:443: connect: connection refused",
            WebhookDown,
            "see that webhook v.lc.example (service lc in namespace lc-hook) runs and answers, or delete its ValidatingWebhookConfiguration",
        ),
        (
            500,
            "Internal error occurred: failed calling webhook \"w\": failed to call webhook: Post \"https://lc.hook.svc:443/?timeout=10s\": service \"lc\" not found",
            WebhookDown,
            "webhook w (service lc in namespace hook)",
        ),
        (
            500,
            "Internal error occurred: failed calling webhook \"w\": failed to call webhook: Post \"https://10.0.0.1/x\": context deadline exceeded",
            WebhookDown,
            "see that webhook w runs and answers",
        ),
        (
            500,
            "Internal error occurred: failed calling webhook \"w\": failed to call webhook: Post \"https://lc.hook.svc:443/?timeout=10s\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
            WebhookDown,
            "renew the certificate of webhook w",
        ),
        (
            500,
            "conversion webhook for lc.example.com/v1alpha1, Kind=Shop failed: Post \"https://conv.hooks.svc:443/convert?timeout=30s\": service \"conv\" not found",
            WebhookDown,
            "conversion webhook of Shop (service conv in namespace hooks) runs",
        ),
        (429, "too many requests, please try again later", TooMany, "overloaded"),
        (503, "apiserver not ready", Away, "see that the API server runs"),
        (
            504,
            "Timeout: request did not complete within requested timeout - context deadline exceeded",
            Timeout,
            "is slow",
        ),
        (504, "Timeout: Too large resource version: 900, current: 7", Gone, ""),
        (418, "", Other, ""),
    ]
};

fn answered(code: u16, message: &str) -> ApiProblem {
    ApiProblem::answered("apply", code, &Status { code, message: message.to_owned(), ..Status::default() })
}

#[test]
fn answers_are_told_apart_and_each_says_what_to_do() {
    for (code, message, class, hint) in ANSWERS {
        let problem = answered(*code, message);
        assert_eq!(problem.class, *class, "{code} {message}");
        let told = &problem.hint;
        assert!(told.contains(hint), "{message}: {told}");
    }
}

/// Whoever is told to change the manifest has something to change in it.
#[test]
fn no_hint_blames_the_manifest_for_something_else() {
    for (code, message, class, _) in ANSWERS {
        let hint = answered(*code, message).hint.to_lowercase();
        let others =
            ["webhook \"", "terminat", "deleted", "etcdserver: leader", "quota: small, requested", "already exists"];
        let denied = message.contains("denied the request");
        if others.iter().any(|words| message.contains(words)) && !denied && *class != Class::Refused {
            assert!(!hint.contains("the manifest"), "{message}: {hint}");
        }
    }
}

#[test]
fn an_immutable_field_is_told_first_and_its_value_is_short() {
    let value = format!(
        "core.PodTemplateSpec{{Spec:core.PodSpec{{Env:[]core.EnvVar{{core.EnvVar{{Value:{:?}}}}}}}}}",
        "x".repeat(2000)
    );
    let words = format!("Job.batch \"once\" is invalid: spec.template: Invalid value: {value}: field is immutable");
    assert_eq!(
        answered(422, &words).message,
        "spec.template: Invalid value: core.PodTemplateSpec{…}: field is immutable"
    );
}

#[test]
fn messages_are_one_bounded_line() {
    let problem = ApiProblem::new(Class::Other, "look", format!("a\n\tb\u{1b}[31m {}", "x".repeat(9000)));
    assert!(problem.message.starts_with("a b[31m x"));
    assert!(problem.message.len() < 4200);
    assert_eq!(ApiProblem::new(Class::Other, "look at it", "no").to_string(), "cannot look at it: no");
}

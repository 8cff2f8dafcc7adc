//! What to do about a refusal, by the server's words for it: classes tell how we act, and are too few to advise by.
//!
//! Nothing here blames the manifest for something else: who changes a manifest because a webhook is down has two things
//! to put right afterwards. Pure.

use std::borrow::Cow;

use super::{Class, SERVES};

/// What to do next; empty where the server's words say it. `message` is the server's, made short.
pub(super) fn advice(class: Class, message: &str) -> Cow<'static, str> {
    match class {
        Class::WebhookDown => webhook(message),
        Class::Terminating => terminating(message),
        Class::KindMissing if message.starts_with(SERVES) => {
            "write the manifest for what the cluster serves, or change the CustomResourceDefinition".into()
        }
        Class::Refused | Class::Invalid | Class::Conflict | Class::Timeout | Class::Other => {
            let known = KNOWN.iter().find(|(words, _)| words.iter().any(|words| message.contains(words)));
            known.map_or(class.hint(), |(_, hint)| hint).into()
        }
        class => class.hint().into(),
    }
}

/// Words of API servers 1.28 to 1.35, and what to do where they are said; the first that is found counts.
const KNOWN: &[(&[&str], &str)] = &[
    // First, for who writes a policy may use any of the words below.
    (&["denied request: ", "denied the request"], POLICY),
    (
        &["does not support dry run"],
        "set sideEffects: None or NoneOnDryRun in the configuration of that webhook: each plan asks by a dry run",
    ),
    (
        &["exceeded quota: ", "insufficient quota to match"],
        "free some of the quota in that namespace, or raise it (kubectl describe quota)",
    ),
    (
        &["failed quota: "],
        "set these fields in the manifest, as the quota of that namespace asks for, or give them defaults with a LimitRange",
    ),
    (
        &["usage per ", "limit to request ratio per "],
        "keep to the LimitRange of that namespace (kubectl describe limits), or change it",
    ),
    (
        &["violates PodSecurity "],
        "set these fields in the manifest, or lower the pod-security.kubernetes.io/enforce label of that namespace",
    ),
    (
        &["attempting to grant RBAC permissions not currently held", "attempting to grant RBAC permissions"],
        "give the agent's user these permissions, or the verbs bind and escalate: no user may grant more than they have",
    ),
    (
        &["no PriorityClass with name", "error looking up service account", "was not found, provided name"],
        "add what is missing to the manifests, or name one that exists",
    ),
    (
        &[
            "etcdserver: request is too large",
            "Request entity too large",
            "request entity too large",
            "trying to send message larger than max",
        ],
        TOO_LARGE,
    ),
    (
        &[
            "must have at most 262144 bytes",
            "Too long: may not be more than 1048576 bytes",
            "Too long: must have at most 1048576 bytes",
        ],
        TOO_LARGE,
    ),
    (
        &["database space exceeded"],
        "the cluster's storage is full: compact and defragment its etcd, or raise its quota",
    ),
    (
        &["etcdserver: ", "resource quota evaluation timed out"],
        "the storage behind the API server is slow or changes its leader; retrying",
    ),
    (&["already exists"], "another client created it in the meantime; retrying"),
];

const TOO_LARGE: &str =
    "split it into several objects, or keep the data elsewhere: an object holds 1.5 MB, a ConfigMap or Secret 1 MiB";

const POLICY: &str = "change the manifest so that the policy allows it, or change the policy";

/// A webhook that was asked and did not answer as it should.
fn webhook(message: &str) -> Cow<'static, str> {
    let service = service(message).map(|(name, namespace)| format!(" (service {name} in namespace {namespace})"));
    let service = service.unwrap_or_default();
    let certificate = ["x509: ", "tls: "].iter().any(|words| message.contains(words));
    if let Some(kind) = message.split_once("conversion webhook for ").map(|(_, rest)| rest) {
        let kind = kind.split_once(" failed").map_or(kind, |(kind, _)| kind);
        let kind = kind.rsplit_once("Kind=").map_or(kind, |(_, kind)| kind);
        let kind = if is_name(kind) { format!(" of {kind}") } else { String::new() };
        return match certificate {
            true => format!("renew the certificate of the conversion webhook{kind}{service}, or the caBundle in its CustomResourceDefinition"),
            false => format!("see that the conversion webhook{kind}{service} runs and answers; until then its objects cannot be read or written"),
        }
        .into();
    }
    let name = message.split_once("webhook \"").and_then(|(_, rest)| rest.split_once('"')).map(|(name, _)| name);
    let name = name.filter(|name| is_name(name)).map(|name| format!(" {name}")).unwrap_or_default();
    let configuration = "its ValidatingWebhookConfiguration or MutatingWebhookConfiguration";
    match certificate {
        true => format!("renew the certificate of webhook{name}{service}, or the caBundle in {configuration}"),
        false => format!("see that webhook{name}{service} runs and answers, or delete {configuration}"),
    }
    .into()
}

/// The service in `https://NAME.NAMESPACE.svc:443/path`, or in `service "NAME" not found` of such an address.
fn service(message: &str) -> Option<(&str, &str)> {
    let (host, _) = message.split_once("https://")?.1.split_once(".svc")?;
    let (name, namespace) = host.split_once('.')?;
    (is_name(name) && is_name(namespace)).then_some((name, namespace))
}

/// Something that is on its way out, and in whose place nothing new can come before.
fn terminating(message: &str) -> Cow<'static, str> {
    let namespace = message.split_once("in namespace ").and_then(|(_, rest)| rest.split_once(" because"));
    let namespace = namespace.map(|(name, _)| name.trim_matches('"')).filter(|name| is_name(name));
    if let Some(name) = namespace {
        return format!(
            "wait until namespace {name} is gone; its status.conditions say what holds it (kubectl get namespace {name} -o yaml)"
        )
        .into();
    }
    if message.contains("custom resource definition is terminating") {
        return "wait until the CustomResourceDefinition is gone; its finalizers and its objects hold it".into();
    }
    "wait until it is gone; metadata.finalizers of the live object names what holds it".into()
}

/// Whether it is a name as Kubernetes has them: only such a one is repeated in a hint.
fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    (1..=253).contains(&text.len()) && text.chars().all(fits)
}

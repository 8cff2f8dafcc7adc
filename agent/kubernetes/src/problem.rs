//! What a cluster answers when it does not do what it is asked: put into classes by which we act, in the server's own
//! words for people, with what to do next.

mod advice;
mod shorten;

#[cfg(test)]
mod tests;

use quarterdeck_shared::error::{Hint, chain};
use std::borrow::Cow;

use kube::Error;
use kube::core::Status;

use quarterdeck_core::secrets::SecretScrubber;
use quarterdeck_system::certificate::distrust;

/// A message of the server is a few lines; a validating policy with a long expression can be more.
const MESSAGE_BYTES_MAX: usize = 4096;

/// What kind of trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// No answer: refused connection, broken TLS, a proxy or server that says it is not there.
    Away,
    /// It answers with a certificate that is not to be trusted.
    Untrusted,
    /// No answer in time.
    Timeout,
    /// Our credentials are not taken.
    Unauthorized,
    /// The credentials are good and not enough.
    Forbidden,
    /// There is no such object.
    NotFound,
    /// The namespace is not there.
    NamespaceMissing,
    /// The API server does not know this kind.
    KindMissing,
    /// The object was changed or made by somebody else meanwhile.
    Conflict,
    /// A field cannot be changed in an object that exists.
    Immutable,
    /// The object is not what the server takes.
    Invalid,
    /// An admission policy, quota or webhook refuses it.
    Refused,
    /// A webhook that the server has to ask does not answer: it says nothing about the object.
    WebhookDown,
    /// Its namespace, its kind or the object itself is being deleted: nothing new comes before that has ended.
    Terminating,
    /// The server has too much to do.
    TooMany,
    /// What we know is too old; look again.
    Gone,
    /// Our own side: a kubeconfig, a context, a credential program.
    Configuration,
    /// Anything else.
    Other,
}

impl Class {
    /// Whether it says nothing about the object that was sent: the same request may succeed later.
    pub fn is_transient(self) -> bool {
        self.is_way_in() || matches!(self, Self::TooMany | Self::Gone)
    }

    /// Whether nothing at all can be asked before it is mended, by the server's side or by ours.
    pub fn is_way_in(self) -> bool {
        matches!(self, Self::Away | Self::Untrusted | Self::Timeout | Self::Unauthorized | Self::Configuration)
    }

    /// What to do next, by the class alone; empty where the server's words say it.
    fn hint(self) -> &'static str {
        match self {
            Self::Away => {
                "see that the API server runs, and that its address, and that of a proxy, is right in the kubeconfig and the environment"
            }
            Self::Untrusted => {
                "see that certificate-authority of this kubeconfig is the cluster's, and that its server is a name in the certificate"
            }
            Self::Timeout => "the API server, or an admission webhook that it asks, is slow; retrying",
            Self::Unauthorized => "renew the credentials of this context; the kubeconfig is read again when it changes",
            Self::Forbidden => "give the agent's user this permission; agent/rbac.yaml is the role that it needs",
            Self::NamespaceMissing => "add the Namespace to the manifests, or set create_namespace = true",
            Self::KindMissing => "install its CustomResourceDefinition first, or add it to the manifests",
            Self::Immutable => {
                "this field cannot be changed in place: put it back, give the object another name, or delete the live object \
                 yourself so that the next sync creates it again; it is never deleted for you"
            }
            Self::Invalid => "correct the manifest",
            // What refuses it is not known; see `advice` for what is.
            Self::Refused => "change what the message names: in the manifest, or in the cluster",
            Self::Configuration => "correct the kubeconfig or the [[cluster]] entry",
            Self::Conflict => "another client changed or deleted it at the same moment; retrying",
            Self::TooMany => "the API server is overloaded; retrying",
            // Told by `advice`, with the name of what holds it up.
            Self::WebhookDown | Self::Terminating => "",
            Self::NotFound | Self::Gone | Self::Other => "",
        }
    }
}

/// How a message begins that says what the cluster serves instead: there, no definition is missing.
pub(super) const SERVES: &str = "the cluster serves";

/// A request that a cluster did not fulfil.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {doing}: {message}")]
pub struct ApiProblem {
    /// What kind of trouble.
    pub class: Class,
    /// What we were trying to do: `apply Deployment/shop in namespace shop`.
    pub doing: String,
    /// In the server's own words, bounded, on one line and without the secrets that we hold: some echo what they were sent.
    pub message: String,
    /// What to do next; empty where the message says it.
    pub hint: Cow<'static, str>,
}

impl Hint for ApiProblem {
    fn hint(&self) -> Cow<'_, str> {
        (&*self.hint).into()
    }
}

impl ApiProblem {
    /// A problem in our own words.
    pub fn new(class: Class, doing: impl Into<String>, message: impl AsRef<str>) -> Self {
        let message = one_line(&SecretScrubber::global().scrub(message.as_ref()));
        Self { class, doing: doing.into(), hint: advice::advice(class, &message), message }
    }

    /// From an answer of the API server.
    pub fn answered(doing: impl Into<String>, code: u16, status: &Status) -> Self {
        let message = if status.message.is_empty() { &status.reason } else { &status.message };
        let message = if message.is_empty() { &format!("the server answered {code}") } else { message };
        // Before anything is read out of it: what a manifest holds is none of the server's words.
        let message = shorten::shorten(message);
        let class = classify(code, &status.reason, &message);
        let message = if class == Class::Immutable { field_first(&message) } else { &message };
        Self::new(class, doing, message)
    }

    /// From what the client could not do.
    pub fn unanswered(doing: impl Into<String>, error: &Error) -> Self {
        let doing = doing.into();
        match error {
            Error::Api(status) => Self::answered(doing, status.code, status),
            Error::Auth(source) => Self::new(Class::Configuration, doing, chain(source)),
            Error::InferConfig(_) | Error::InferKubeconfig(_) | Error::RustlsTls(_) => {
                Self::new(Class::Configuration, doing, chain(error))
            }
            Error::ProxyProtocolUnsupported { .. } | Error::ProxyProtocolDisabled { .. } => {
                Self::new(Class::Configuration, doing, chain(error))
            }
            Error::HyperError(_) | Error::Service(_) | Error::ReadEvents(_) => {
                if let Some(why) = distrust(error) {
                    let message = format!("the server's certificate was rejected: {why}");
                    let hint = why.remedy("name its authority by certificate-authority in this kubeconfig");
                    return Self { hint: hint.into(), ..Self::new(Class::Untrusted, doing, message) };
                }
                let words = innermost(error);
                if is_about_our_certificate(&words) {
                    let words = format!("the server rejects the client certificate, or requires one: {words}");
                    return Self::new(Class::Unauthorized, doing, words);
                }
                Self::new(Class::Away, doing, words)
            }
            other => Self::new(Class::Other, doing, chain(other)),
        }
    }
}

fn classify(code: u16, reason: &str, message: &str) -> Class {
    let says = |words: &str| message.contains(words);
    // A webhook refuses with any code that it likes, and in words of its own: who refuses is asked first.
    if message.starts_with("admission webhook \"") || says("ValidatingAdmissionPolicy '") && says("denied request") {
        return Class::Refused;
    }
    if says("failed calling webhook") || says("failed calling admission webhook") || says("conversion webhook for ") {
        return Class::WebhookDown;
    }
    if is_terminating(message) {
        return Class::Terminating;
    }
    match code {
        401 => Class::Unauthorized,
        403 if says("User \"") && says(" cannot ") => Class::Forbidden,
        403 => Class::Refused,
        404 if says("namespaces \"") => Class::NamespaceMissing,
        404 if says("could not find the requested resource") || says("page not found") => Class::KindMissing,
        404 if says("\" not found") => Class::NotFound,
        // Of something on the way, which says nothing about the object.
        404 => Class::Other,
        409 => Class::Conflict,
        410 => Class::Gone,
        429 => Class::TooMany,
        // What was followed is of a time that this cluster has not reached.
        504 if says("Too large resource version") => Class::Gone,
        503 => Class::Away,
        408 | 504 => Class::Timeout,
        _ if says("denied the request") || says("denied request") => Class::Refused,
        422 | 400 if is_immutable(message) => Class::Immutable,
        422 | 400 | 413 => Class::Invalid,
        // Server-side apply answers 500 where the object does not fit the schema of its kind.
        500 if says("failed to create typed patch object") || says("failed to convert new object") => Class::Invalid,
        500 if says("etcdserver: request is too large") || says("trying to send message larger than max") => {
            Class::Invalid
        }
        500 if says("database space exceeded") => Class::Other,
        500 if says("etcdserver: ") || says("resource quota evaluation timed out") => Class::Timeout,
        _ if reason == "Expired" => Class::Gone,
        _ => Class::Other,
    }
}

/// The ways in which API servers say that something has to end first.
fn is_terminating(message: &str) -> bool {
    [
        "because it is being terminated",
        "custom resource definition is terminating",
        "object is being deleted: ",
        "The system is ensuring all content is removed from this namespace",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// Without `Deployment.apps "shop" is invalid: `, which says again what was asked for: the field comes first.
fn field_first(message: &str) -> &str {
    message.split_once("\" is invalid: ").map_or(message, |(_, field)| field)
}

/// The ways in which API servers say that a field stays as it was made.
fn is_immutable(message: &str) -> bool {
    [
        "immutable",
        "may not change once set",
        "may not change fields other than",
        "Forbidden: updates to",
        "cannot be changed",
        "may not be changed",
        "cannot change roleRef",
        "can not be less than previous value",
        "failed rule: self == oldSelf",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// "Connection refused (os error 111)" rather than the four layers that say "client error" before it; but that it was
/// the proxy who did, and what a proxy answered, is worth its words.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    let mut by = "";
    while let Some(source) = innermost.source() {
        innermost = source;
        let layer = innermost.to_string();
        if layer.starts_with("tunnel error") || layer.starts_with("SOCKS error") {
            by = "the proxy on the way: ";
        }
    }
    format!("{by}{innermost}")
}

/// Ends of a handshake in which it is the server that does not take what it was shown, as rustls tells them.
fn is_about_our_certificate(words: &str) -> bool {
    let alert = words.split_once("received fatal alert: ").map_or("", |(_, alert)| alert);
    alert.contains("Certificate") || matches!(alert, "UnknownCA" | "AccessDenied")
}

fn one_line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.retain(|c| !c.is_control());
    if line.len() > MESSAGE_BYTES_MAX {
        let end = (0..=MESSAGE_BYTES_MAX).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
        line.truncate(end);
        line.push('…');
    }
    line
}

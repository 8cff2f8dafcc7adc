//! Refusals, as the `Status` objects that a Kubernetes API answers with. Pure.

use serde_json::{Value, json};

use super::kinds::Kind;

/// A refusal: an HTTP status and what a `metav1.Status` says beside it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// HTTP status.
    pub code: u16,
    /// `NotFound`, `Invalid`, …; empty where the server gives none.
    pub reason: &'static str,
    /// The sentence that a person reads.
    pub message: String,
    /// The object and the causes, where the server tells them.
    pub details: Option<Value>,
}

/// One thing wrong with an object: which field, the kind of fault, and the sentence after the field's name.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// `spec.template.spec.containers`
    pub field: String,
    /// `FieldValueRequired`, `FieldValueInvalid`, …
    pub reason: &'static str,
    /// `Required value: name or generateName is required`
    pub text: String,
}

impl Problem {
    /// A field that has to be there.
    pub fn required(field: impl Into<String>, detail: &str) -> Problem {
        let text = if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        Problem { field: field.into(), reason: "FieldValueRequired", text }
    }

    /// A value that cannot stand.
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Problem {
        Problem {
            field: field.into(),
            reason: "FieldValueInvalid",
            text: format!("Invalid value: {}: {detail}", shown(value)),
        }
    }

    /// A value outside of a closed list.
    pub fn unsupported(field: impl Into<String>, value: &Value, allowed: &[&str]) -> Problem {
        let allowed: Vec<String> = allowed.iter().map(|word| format!("{word:?}")).collect();
        let text = format!("Unsupported value: {value}: supported values: {}", allowed.join(", "));
        Problem { field: field.into(), reason: "FieldValueNotSupported", text }
    }

    /// A value that is defined twice.
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Problem {
        Problem {
            field: field.into(),
            reason: "FieldValueDuplicate",
            text: format!("Duplicate value: {}", shown(value)),
        }
    }

    /// Something that may not be done.
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Problem {
        Problem { field: field.into(), reason: "FieldValueForbidden", text: format!("Forbidden: {detail}") }
    }
}

fn shown(value: &Value) -> String {
    value.to_string() // the server prints structs as JSON and text in quotes
}

impl Failure {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Failure {
        Failure { code, reason, message: message.into(), details: None }
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Failure {
        Failure::new(400, "BadRequest", message)
    }

    /// 401.
    pub fn unauthorized() -> Failure {
        Failure::new(401, "Unauthorized", "Unauthorized")
    }

    /// 404 for a path that is nobody's.
    pub fn no_such_path() -> Failure {
        let details = json!({});
        Failure {
            details: Some(details),
            ..Failure::new(404, "NotFound", "the server could not find the requested resource")
        }
    }

    /// 404 for an object.
    pub fn not_found(kind: &Kind, name: &str) -> Failure {
        let message = format!("{} {name:?} not found", kind.qualified());
        Failure { details: Some(about(kind, name)), ..Failure::new(404, "NotFound", message) }
    }

    /// 405.
    pub fn not_allowed() -> Failure {
        let message = "the server does not allow this method on the requested resource";
        Failure { details: Some(json!({})), ..Failure::new(405, "MethodNotAllowed", message) }
    }

    /// 409 for a name that is taken.
    pub fn exists(kind: &Kind, name: &str) -> Failure {
        let message = format!("{} {name:?} already exists", kind.qualified());
        Failure { details: Some(about(kind, name)), ..Failure::new(409, "AlreadyExists", message) }
    }

    /// 409 for a write that rests on something else than what is there.
    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Failure {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.qualified());
        Failure { details: Some(about(kind, name)), ..Failure::new(409, "Conflict", message) }
    }

    /// 409 for a resource version that is not the current one.
    pub fn modified(kind: &Kind, name: &str) -> Failure {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Failure::conflict(kind, name, why)
    }

    /// 409 for fields that another manager owns.
    pub fn apply_conflict(message: String, causes: Vec<Value>) -> Failure {
        Failure { details: Some(json!({ "causes": causes })), ..Failure::new(409, "Conflict", message) }
    }

    /// 410 for a resource version that is no longer remembered.
    pub fn expired(message: impl Into<String>) -> Failure {
        Failure::new(410, "Expired", message)
    }

    /// 403.
    pub fn forbidden(kind: &Kind, name: &str, why: &str) -> Failure {
        let message = format!("{} {name:?} is forbidden: {why}", kind.qualified());
        Failure { details: Some(about(kind, name)), ..Failure::new(403, "Forbidden", message) }
    }

    /// 415.
    pub fn unsupported_media(message: impl Into<String>) -> Failure {
        Failure::new(415, "UnsupportedMediaType", message)
    }

    /// 500.
    pub fn internal(message: impl Into<String>) -> Failure {
        Failure::new(500, "", message) // a real server gives no reason either
    }

    /// 422 with all that is wrong.
    pub fn invalid(kind: &Kind, name: &str, problems: &[Problem]) -> Failure {
        Failure::invalid_as(&kind.group, &kind.kind, name, problems)
    }

    /// 422 for something that is no object of a served kind.
    pub fn invalid_as(group: &str, kind: &str, name: &str, problems: &[Problem]) -> Failure {
        let sentences: Vec<String> =
            problems.iter().map(|problem| format!("{}: {}", problem.field, problem.text)).collect();
        // Each sentence once; the causes are all of them.
        let mut said = std::collections::BTreeSet::new();
        let sentences: Vec<String> = sentences.into_iter().filter(|one| said.insert(one.clone())).collect();
        let all = match sentences.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let causes: Vec<Value> = problems
            .iter()
            .map(|problem| json!({"reason": problem.reason, "message": problem.text, "field": problem.field}))
            .collect();
        let mut details = json!({ "causes": causes });
        for (field, value) in [("name", name), ("group", group), ("kind", kind)] {
            if !value.is_empty() {
                details[field] = json!(value);
            }
        }
        Failure {
            details: Some(details),
            ..Failure::new(422, "Invalid", format!("{qualified} {name:?} is invalid: {all}"))
        }
    }

    /// A refusal that a test asked for, in the words that the server has for this status.
    pub fn injected(code: u16) -> Failure {
        let (reason, message) = match code {
            401 => ("Unauthorized", "Unauthorized"),
            403 => ("Forbidden", "forbidden: the stand-in was told to refuse this"),
            404 => ("NotFound", "the server could not find the requested resource"),
            409 => (
                "Conflict",
                "the object has been modified; please apply your changes to the latest version and try again",
            ),
            410 => ("Expired", "The resourceVersion for the provided watch is too old."),
            422 => ("Invalid", "the stand-in was told to find this invalid"),
            429 => ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
            503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
            504 => ("Timeout", "the server was unable to return a response in the time allotted"),
            _ => ("InternalError", "an error on the server has prevented the request from succeeding"),
        };
        let details = (code == 429).then(|| json!({"retryAfterSeconds": 1}));
        Failure { details, ..Failure::new(code, reason, message) }
    }

    /// The `Status` object.
    pub fn status(&self) -> Value {
        let Failure { code, reason, message, details } = self;
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Failure", "message": message, "code": code,
        });
        if !reason.is_empty() {
            status["reason"] = json!(reason);
        }
        if let Some(details) = details {
            status["details"] = details.clone();
        }
        status
    }
}

fn about(kind: &Kind, name: &str) -> Value {
    let mut about = json!({"name": name, "kind": kind.plural});
    if !kind.group.is_empty() {
        about["group"] = json!(kind.group);
    }
    about
}

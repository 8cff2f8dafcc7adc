//! Names, labels, annotations.

use serde_json::{Value, json};

use crate::cluster::failure::Problem;
use crate::cluster::kinds::Kind;
use crate::cluster::store::{items, text};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
/// All annotations of an object together.
const ANNOTATIONS_MAX: usize = 256 * 1024;

pub(super) fn check(kind: &Kind, object: &Value) -> Vec<Problem> {
    let mut found = Vec::new();
    name(kind, text(object, "/metadata/name"), &mut found);
    labels(object, "metadata", &mut found);
    let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
    let size = |(key, value): (&String, &Value)| key.len() + value.as_str().map_or(0, str::len);
    if annotations.into_iter().flatten().map(size).sum::<usize>() > ANNOTATIONS_MAX {
        let text = format!("Too long: may not be more than {ANNOTATIONS_MAX} bytes");
        found.push(Problem { field: "metadata.annotations".into(), reason: "FieldValueTooLong", text });
    }
    found
}

fn name(kind: &Kind, name: &str, found: &mut Vec<Problem>) {
    if name.is_empty() {
        return found.push(Problem::required("metadata.name", "name or generateName is required"));
    }
    let simple = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let label = |part: &str| {
        part.starts_with(simple) && part.ends_with(simple) && part.chars().all(|letter| simple(letter) || letter == '-')
    };
    let (valid, rule, longest) = match kind.kind.as_str() {
        "Service" => (label(name) && name.starts_with(|letter: char| letter.is_ascii_lowercase()), LABEL_1035, 63),
        "Namespace" => (label(name), LABEL, 63),
        "Role" | "RoleBinding" | "ClusterRole" | "ClusterRoleBinding" => {
            (!name.contains(['/', '%']) && name != "." && name != "..", "may not contain '/'", 253)
        }
        _ => (name.split('.').all(label), SUBDOMAIN, 253),
    };
    if !valid {
        found.push(Problem::invalid("metadata.name", &json!(name), rule));
    }
    if name.len() > longest {
        let detail = format!("must be no more than {longest} bytes");
        found.push(Problem::invalid("metadata.name", &json!(name), &detail));
    }
}

/// Nothing new may hold up what is being deleted.
pub(super) fn finalizers(object: &Value, live: Option<&Value>, found: &mut Vec<Problem>) {
    let Some(live) = live.filter(|live| live.pointer("/metadata/deletionTimestamp").is_some()) else { return };
    let before: Vec<&Value> = items(live, "/metadata/finalizers").collect();
    let new: Vec<String> =
        items(object, "/metadata/finalizers").filter(|one| !before.contains(one)).map(Value::to_string).collect();
    if !new.is_empty() {
        let names = new.join(", ");
        let detail = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{names}}}"
        );
        found.push(Problem::forbidden("metadata.finalizers", &detail));
    }
}

/// The labels of the metadata at `path`, which is relative to `object`.
pub(super) fn labels(object: &Value, path: &str, found: &mut Vec<Problem>) {
    let labels = object.pointer(&format!("/{}/labels", path.replace('.', "/"))).and_then(Value::as_object);
    let field = format!("{path}.labels");
    let word = |text: &str| {
        text.starts_with(|letter: char| letter.is_ascii_alphanumeric())
            && text.ends_with(|letter: char| letter.is_ascii_alphanumeric())
            && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
    };
    for (key, value) in labels.into_iter().flatten() {
        let name = key.rsplit_once('/').map_or(key.as_str(), |(_, name)| name);
        if !word(name) || name.len() > 63 {
            found.push(Problem::invalid(field.as_str(), &json!(key), QUALIFIED));
        }
        let text = value.as_str().unwrap_or_default();
        if text.len() > 63 {
            found.push(Problem::invalid(field.as_str(), value, "must be no more than 63 bytes"));
        } else if !text.is_empty() && !word(text) {
            found.push(Problem::invalid(field.as_str(), value, LABEL_VALUE));
        }
    }
}

//! Keeps the values of Secrets out of everything that people see: diffs, manifests, plans, events, messages.
//!
//! A value becomes `(hidden 3f2a91c0)`: equal values of one field look equal and different ones different, so that a
//! diff still tells what changes. The sign is a digest under a key that lives and dies with the agent, and it covers
//! the object and the field; so it neither lets a short value be guessed nor shows that two secrets are the same.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::sync::confidential::Confidential;
use crate::sync::normalize::{LAST_APPLIED, is_secret};

/// Hides the values of a Secret, and of every other object what was decrypted.
pub fn mask(object: &mut Value, hidden_too: Option<&Confidential>) {
    if is_secret(object) {
        mask_secret(object);
    }
    if let Some(confidential) = hidden_too.filter(|confidential| !confidential.is_empty()) {
        hide(object, confidential, "");
    }
}

fn mask_secret(object: &mut Value) {
    let name = format!("{}/{}", text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
    for part in ["data", "stringData"] {
        let Some(values) = object.get_mut(part).and_then(Value::as_object_mut) else { continue };
        for (key, value) in values.iter_mut() {
            *value = Value::String(hidden(&format!("{name}/{key}"), &plain(part, value)));
        }
    }
    if let Some(copy) = object.pointer_mut("/metadata/annotations").and_then(|all| all.get_mut(LAST_APPLIED)) {
        *copy = Value::String("(hidden)".to_owned());
    }
}

/// Hides both sides of a difference. Where one of them has something hidden the other is hidden as well: before a key was
/// turned, or after somebody wrote over it, the value is another and no less a secret.
pub fn mask_both(live: &mut Value, desired: &mut Value, hidden_too: Option<&Confidential>) {
    let plain = (live.clone(), desired.clone());
    mask(live, hidden_too);
    mask(desired, hidden_too);
    if hidden_too.is_some_and(|confidential| !confidential.is_empty()) {
        level(live, desired, &plain.0, &plain.1, "");
    }
}

/// Hides what the other side hides, place by place.
fn level(live: &mut Value, desired: &mut Value, plain_live: &Value, plain_desired: &Value, field: &str) {
    match (&mut *live, &mut *desired) {
        (Value::Object(live), Value::Object(desired)) => {
            for (key, desired) in desired {
                let Some(live) = live.get_mut(key) else { continue };
                level(live, desired, &plain_live[key], &plain_desired[key], &format!("{field}/{key}"));
            }
        }
        (Value::Array(live), Value::Array(desired)) => {
            for (place, (live, desired)) in live.iter_mut().zip(desired).enumerate() {
                level(live, desired, &plain_live[place], &plain_desired[place], &format!("{field}/{place}"));
            }
        }
        _ => match (live != plain_live, desired != plain_desired) {
            (true, false) if !plain_desired.is_null() => *desired = hidden_scalar(field, plain_desired),
            (false, true) if !plain_live.is_null() => *live = hidden_scalar(field, plain_live),
            _ => {}
        },
    }
}

/// Hides what is confidential, but for what an object is called and what kind it is: these are in every message of it.
fn hide(value: &mut Value, confidential: &Confidential, field: &str) {
    match value {
        Value::Object(fields) => {
            let named = ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"];
            for (key, value) in fields {
                let field = format!("{field}/{key}");
                if !named.contains(&&*field) {
                    hide(value, confidential, &field);
                }
            }
        }
        Value::Array(items) => {
            (0..)
                .zip(items)
                .for_each(|(place, item): (usize, _)| hide(item, confidential, &format!("{field}/{place}")));
        }
        Value::String(text) if confidential.is_in(text) => *value = hidden_scalar(field, value),
        Value::Number(number) if confidential.is_in(&number.to_string()) => *value = hidden_scalar(field, value),
        _ => {}
    }
}

fn hidden_scalar(field: &str, value: &Value) -> Value {
    Value::String(hidden(field, &plain("stringData", value)))
}

/// Takes every value of the Secret out of a message, encoded or not: the server quotes what it refuses.
pub fn scrub(message: &str, object: &Value) -> String {
    let mut message = message.to_owned();
    if !is_secret(object) {
        return message;
    }
    let mut found = Vec::new();
    ["data", "stringData"].iter().for_each(|part| scalars(&object[*part], &mut found));
    let mut forms: Vec<String> = found.iter().flat_map(|value| forms(value)).collect();
    // The longest first: a value that is part of another must not leave the rest of it.
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    for form in forms {
        // Two characters are part of too many words; a secret of two characters is none.
        if form.len() > 2 {
            message = message.replace(&form, "(hidden)");
        }
    }
    message
}

/// How a message may quote a value: encoded or not, each as it is, in a quoted string, and with its lines made one.
fn forms(value: &str) -> Vec<String> {
    let decoded = BASE64.decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let mut forms = vec![BASE64.encode(value)];
    for text in [value].into_iter().chain(decoded.as_deref()) {
        let quoted = Value::from(text).to_string();
        forms.push(quoted[1..quoted.len() - 1].to_owned());
        forms.push(text.split_whitespace().collect::<Vec<_>>().join(" "));
        forms.push(text.to_owned());
    }
    forms
}

fn scalars(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.values().for_each(|value| scalars(value, found)),
        Value::Array(list) => list.iter().for_each(|value| scalars(value, found)),
        Value::String(text) => found.push(text.clone()),
        Value::Number(number) => found.push(number.to_string()),
        Value::Null | Value::Bool(_) => {}
    }
}

/// `data` and `stringData` of the same value get the same sign.
fn plain(part: &str, value: &Value) -> Vec<u8> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match part {
        "data" => BASE64.decode(&text).unwrap_or_else(|_| text.into_bytes()),
        _ => text.into_bytes(),
    }
}

fn hidden(field: &str, value: &[u8]) -> String {
    static KEY: LazyLock<[u8; 16]> = LazyLock::new(|| {
        // The standard library seeds its hashers from the system; two of them give 128 bits.
        let half = |n: u8| RandomState::new().hash_one(n).to_le_bytes();
        let mut key = [0; 16];
        key[..8].copy_from_slice(&half(0));
        key[8..].copy_from_slice(&half(1));
        key
    });
    let digest = Sha256::new().chain_update(*KEY).chain_update(field).chain_update([0]).chain_update(value).finalize();
    format!("(hidden {:02x}{:02x}{:02x}{:02x})", digest[0], digest[1], digest[2], digest[3])
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(data: Value, string_data: Value) -> Value {
        let copy = format!("{{\"data\":{data}}}");
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "s", "namespace": "n", "annotations": {LAST_APPLIED: copy}},
            "data": data, "stringData": string_data,
        })
    }

    #[test]
    fn values_are_hidden_and_still_compare() {
        let mut one = secret(json!({"a": "aHVudGVyMg==", "b": "aHVudGVyMg=="}), json!({"c": "hunter2"}));
        let mut two = secret(json!({"a": "b3RoZXI=", "b": "aHVudGVyMg=="}), json!({"c": "hunter2"}));
        mask(&mut one, None);
        mask(&mut two, None);
        for object in [&one, &two] {
            let shown = object.to_string();
            for value in ["hunter2", "aHVudGVyMg", "other", "b3RoZXI"] {
                assert!(!shown.contains(value), "{shown}");
            }
        }
        assert_ne!(one["data"]["a"], two["data"]["a"], "different values look different");
        assert_eq!(one["data"]["b"], two["data"]["b"], "equal values look equal");
        assert_ne!(one["data"]["a"], one["data"]["b"], "but not across fields");
    }

    #[test]
    fn the_same_value_looks_the_same_encoded_or_not() {
        let mut one = secret(json!({"a": "aHVudGVyMg=="}), json!({}));
        let mut two = secret(json!({}), json!({"a": "hunter2"}));
        mask(&mut one, None);
        mask(&mut two, None);
        assert_eq!(one["data"]["a"], two["stringData"]["a"]);
    }

    #[test]
    fn what_was_decrypted_is_hidden_in_every_object_and_on_both_sides() {
        let mut confidential = Confidential::default();
        ["hunter22", "5432"].iter().for_each(|value| confidential.keep(value));
        let object = |password: &str, port: Value| {
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hunter22", "namespace": "n"},
                "data": {"url": format!("db://shop:{password}@db"), "host": "db"}, "ports": [{"port": port}],
            })
        };
        let (mut live, mut desired) = (object("an-older-one", json!(1234)), object("hunter22", json!(5432)));
        mask_both(&mut live, &mut desired, Some(&confidential));
        for shown in [&live, &desired] {
            assert_eq!(shown["metadata"]["name"], "hunter22");
            assert_eq!(shown["data"]["host"], "db");
            let text = shown.to_string();
            assert!(
                !text.contains("an-older-one") && !text.contains("shop:hunter22") && !text.contains("1234"),
                "{text}"
            );
            assert!(!text.contains("5432"), "{text}");
        }
        assert_ne!(live["data"]["url"], desired["data"]["url"], "different values look different");
        let (mut same, mut again) = (object("hunter22", json!(1)), object("hunter22", json!(1)));
        mask_both(&mut same, &mut again, Some(&confidential));
        assert_eq!(same, again, "equal values look equal");
        let mut plain = object("hunter22", json!(1));
        mask(&mut plain, None);
        assert_eq!(plain, object("hunter22", json!(1)));
    }

    #[test]
    fn messages_lose_the_values_that_they_quote() {
        let object = secret(json!({"a": 12345, "b": "aHVudGVyMg=="}), json!({"c": "letmein"}));
        let message = "got 12345, \"aHVudGVyMg==\", hunter2, letmein and bGV0bWVpbg==";
        assert_eq!(scrub(message, &object), "got (hidden), \"(hidden)\", (hidden), (hidden) and (hidden)");
        let key = secret(json!({}), json!({"key": "-----BEGIN KEY-----\nabc\"def\n-----END KEY-----\n"}));
        for message in [
            r#"Invalid value: "-----BEGIN KEY-----\nabc\"def\n-----END KEY-----\n""#,
            "no: -----BEGIN KEY----- abc\"def -----END KEY-----",
        ] {
            let scrubbed = scrub(message, &key);
            assert!(scrubbed.contains("(hidden)") && !scrubbed.contains("abc"), "{scrubbed}");
        }
        let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "letmein"}});
        assert_eq!(scrub("letmein", &config_map), "letmein");
    }
}

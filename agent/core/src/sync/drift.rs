//! How a live object differs from the object that an apply would make of it, field by field, in words for people.
//!
//! It compares what the cluster has with what the server's dry run predicts, never with the manifest itself: defaults,
//! quantities and what others own are thus the server's business, and there is no list of exceptions here.

use std::collections::{HashMap, HashSet};

use quarterdeck_shared::change::{Change, FieldChange};
use serde_json::{Map, Value};

use crate::sync::confidential::Confidential;
use crate::sync::managed_fields::manager_at;
use crate::sync::path::{Step, bare, readable};
use crate::sync::{mask, normalize, value_at};

/// A value in a line of a plan is to be read, not stored: 1 KiB of it is a screen full.
const VALUE_BYTES_MAX: usize = 1024;

/// Nesting of an object; Kubernetes' own schemas stay below 20, and a recursion needs an end.
const DEPTH_MAX: usize = 64;

/// Fields that tell the items of a list apart, tried in this order; most of the merge keys of Kubernetes' own lists.
const LIST_KEYS: [&[&str]; 9] = [
    &["name"],
    &["containerPort", "protocol"],
    &["port", "protocol"],
    &["mountPath"],
    &["devicePath"],
    &["ip"],
    &["uid"],
    &["type"],
    &["topologyKey", "whenUnsatisfiable"],
];

/// The fields that differ.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Differences {
    /// At most [`Change::MAX_FIELDS`], values of Secrets masked.
    pub fields: Vec<FieldChange>,
    /// How many more there are.
    pub more: usize,
}

/// Compares the content of a live object with that of the object as it would be; `manifest` is what git says of it, and what is
/// `confidential` is shown of neither.
pub fn differences(
    live: &Value,
    desired: &Value,
    manifest: &Value,
    confidential: Option<&Confidential>,
) -> Differences {
    let mut walk = Walk { managed: live, manifest, path: Vec::new(), found: Differences::default() };
    let (mut left, mut right) = (normalize::normalise(live), normalize::normalise(desired));
    // A status that somebody wrote as content is an ordinary field of its kind.
    let status = |object: &Value| object.get("status").cloned().map(|status| ("status".to_owned(), status));
    if manager_at(desired, &[Step::Field("status".to_owned())]).is_some()
        && let (Some(left), Some(right)) = (left.as_object_mut(), right.as_object_mut())
    {
        left.extend(status(live));
        right.extend(status(desired));
    }
    mask::mask_both(&mut left, &mut right, confidential);
    walk.values(Some(&left), Some(&right));
    walk.found
}

struct Walk<'a> {
    /// The live object with its managed fields.
    managed: &'a Value,
    manifest: &'a Value,
    path: Vec<Step>,
    found: Differences,
}

impl Walk<'_> {
    fn values(&mut self, live: Option<&Value>, desired: Option<&Value>) {
        match (live, desired) {
            (Some(a), Some(b)) if a == b => {}
            (Some(Value::Object(a)), Some(Value::Object(b))) if self.path.len() < DEPTH_MAX => self.maps(a, b),
            (Some(Value::Array(a)), Some(Value::Array(b))) if self.path.len() < DEPTH_MAX => self.lists(a, b),
            (None, None) => {}
            (live, desired) => self.differ(live, desired),
        }
    }

    fn maps(&mut self, live: &Map<String, Value>, desired: &Map<String, Value>) {
        let added = desired.keys().filter(|name| !live.contains_key(*name));
        for name in live.keys().chain(added) {
            self.below(Step::Field(name.clone()), live.get(name), desired.get(name));
        }
    }

    fn lists(&mut self, live: &[Value], desired: &[Value]) {
        if let Some(keys) = LIST_KEYS.into_iter().find(|keys| tells_apart(keys, live) && tells_apart(keys, desired)) {
            self.items(keys, live, desired);
        } else if live.len() == desired.len() && live.iter().chain(desired).all(Value::is_object) {
            for (place, (a, b)) in live.iter().zip(desired).enumerate() {
                self.below(Step::Index(place), Some(a), Some(b));
            }
        } else {
            self.differ(Some(&Value::Array(live.to_vec())), Some(&Value::Array(desired.to_vec())));
        }
    }

    fn items(&mut self, keys: &[&'static str], live: &[Value], desired: &[Value]) {
        let before: HashMap<String, &Value> = live.iter().map(|item| (key(keys, item), item)).collect();
        let after: HashMap<String, &Value> = desired.iter().map(|item| (key(keys, item), item)).collect();
        let step = |item: &Value| Step::Item(keys.iter().map(|name| ((*name).into(), item[*name].clone())).collect());
        for item in live {
            self.below(step(item), Some(item), after.get(&key(keys, item)).copied());
        }
        for item in desired.iter().filter(|item| !before.contains_key(&key(keys, item))) {
            self.below(step(item), None, Some(item));
        }
        // The same items in another order: containers start and variables expand in the order of their list.
        let order = |list: &[Value], others: &HashMap<String, &Value>| -> Vec<Value> {
            let both = list.iter().filter(|item| others.contains_key(&key(keys, item)));
            both.map(|item| item[keys[0]].clone()).collect()
        };
        let (was, will) = (order(live, &after), order(desired, &before));
        if was != will {
            self.path.push(Step::Order);
            self.differ(Some(&Value::Array(was)), Some(&Value::Array(will)));
            self.path.pop();
        }
    }

    fn below(&mut self, step: Step, live: Option<&Value>, desired: Option<&Value>) {
        self.path.push(step);
        self.values(live, desired);
        self.path.pop();
    }

    /// Git does not name the field: its value is the server's. An order is of items that git names.
    fn is_default(&self) -> bool {
        self.path.last() != Some(&Step::Order) && !value_at::is_written(self.manifest, &self.path)
    }

    fn differ(&mut self, live: Option<&Value>, desired: Option<&Value>) {
        if self.found.fields.len() >= Change::MAX_FIELDS {
            self.found.more += 1;
            return;
        }
        self.found.fields.push(FieldChange {
            path: readable(&self.path),
            live: live.map(shorten),
            desired: desired.map(shorten),
            manager: live.and_then(|_| manager_at(self.managed, &self.path)),
            default: desired.is_some() && self.is_default(),
        });
    }
}

/// Whether these fields are in every item and no two items have the same. Only the first has to be there: the server
/// fills in the protocol of a port.
fn tells_apart(keys: &[&str], list: &[Value]) -> bool {
    let mut seen = HashSet::new();
    let scalar = |item: &Value| item.get(keys[0]).is_some_and(|value| !value.is_object() && !value.is_array());
    list.iter().all(|item| scalar(item) && seen.insert(key(keys, item)))
}

fn key(keys: &[&str], item: &Value) -> String {
    keys.iter().map(|name| item[*name].to_string()).collect::<Vec<_>>().join("\n")
}

fn shorten(value: &Value) -> Value {
    let text = bare(value);
    if text.len() <= VALUE_BYTES_MAX {
        return value.clone();
    }
    let end = (0..=VALUE_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    Value::String(format!("{}… ({} bytes in all)", &text[..end], text.len()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::sync::managed_fields;

    /// Where git says all.
    fn differences(live: &Value, desired: &Value) -> Differences {
        super::differences(live, desired, desired, None)
    }

    #[test]
    fn what_git_does_not_name_falls_to_its_default() {
        let object = |spec: Value| json!({"metadata": {"name": "shop"}, "spec": spec});
        let ports = |port: Value| json!([port]);
        let live =
            object(json!({"replicas": 6, "paused": true, "ports": ports(json!({"port": 80, "protocol": "UDP"}))}));
        let desired =
            object(json!({"replicas": 1, "paused": false, "ports": ports(json!({"port": 81, "protocol": "TCP"}))}));
        let git = object(json!({"paused": false, "ports": ports(json!({"port": 81}))}));
        let found = super::differences(&live, &desired, &git, None).fields;
        let told: Vec<_> = found.iter().map(|field| (field.path.as_str(), field.default)).collect();
        assert_eq!(
            told,
            [
                ("spec.paused", false),
                ("spec.ports[port=80,protocol=UDP]", false),
                ("spec.ports[port=81,protocol=TCP]", false),
                ("spec.replicas", true),
            ]
        );
    }

    fn check(live: Value, desired: Value, expected: &[&str]) {
        let lines: Vec<String> = differences(&live, &desired)
            .fields
            .into_iter()
            .map(|f| {
                let side = |value: Option<Value>| value.map_or("-".to_owned(), |value| value.to_string());
                let by = f.manager.map(|m| format!(" by {m}")).unwrap_or_default();
                format!("{}: {} > {}{by}", f.path, side(f.live), side(f.desired))
            })
            .collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn fields_are_named_as_people_name_them() {
        let containers = |list: Value| json!({"spec": {"template": {"spec": {"containers": list}}}});
        check(
            containers(json!([{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}])),
            containers(json!([{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:2"}])),
            &[r#"spec.template.spec.containers[name=b].image: "b:1" > "b:2""#],
        );
        check(
            containers(json!([{"name": "a", "ports": [{"containerPort": 80, "protocol": "TCP"}]}])),
            containers(json!([{"name": "a", "ports": [{"containerPort": 80, "protocol": "TCP", "hostPort": 8}]}])),
            &["spec.template.spec.containers[name=a].ports[containerPort=80,protocol=TCP].hostPort: - > 8"],
        );
        check(
            containers(json!([{"name": "a"}, {"name": "b"}, {"name": "c"}])),
            containers(json!([{"name": "c"}, {"name": "a"}])),
            &[
                r#"spec.template.spec.containers[name=b]: {"name":"b"} > -"#,
                r#"spec.template.spec.containers(order): ["a","c"] > ["c","a"]"#,
            ],
        );
        check(
            containers(json!([{"name": "a"}])),
            containers(json!([{"name": "a"}, {"name": "c"}])),
            &[r#"spec.template.spec.containers[name=c]: - > {"name":"c"}"#],
        );
        check(
            json!({"metadata": {"annotations": {"example.com/x": "1", "plain": "1"}}}),
            json!({"metadata": {"annotations": {"plain": "2"}}}),
            &[r#"metadata.annotations["example.com/x"]: "1" > -"#, r#"metadata.annotations.plain: "1" > "2""#],
        );
    }

    #[test]
    fn lists_without_a_key_are_compared_by_place_or_as_a_whole() {
        check(
            json!({"rules": [{"host": "a", "paths": [1]}, {"host": "b", "paths": [1]}]}),
            json!({"rules": [{"host": "a", "paths": [1]}, {"host": "c", "paths": [1]}]}),
            &[r#"rules[1].host: "b" > "c""#],
        );
        check(json!({"args": ["a", "b"]}), json!({"args": ["a", "c"]}), &[r#"args: ["a","b"] > ["a","c"]"#]);
        check(
            json!({"spec": {"x": [{"name": "same"}, {"name": "same"}]}}),
            json!({"spec": {"x": [{"name": "same"}]}}),
            &[r#"spec.x: [{"name":"same"},{"name":"same"}] > [{"name":"same"}]"#],
        );
    }

    #[test]
    fn what_the_server_keeps_does_not_differ() {
        check(
            json!({"metadata": {"resourceVersion": "1", "labels": {"a": "1"}}, "status": {"x": 1}}),
            json!({"metadata": {"resourceVersion": "2", "labels": {"a": "1"}}}),
            &[],
        );
    }

    #[test]
    fn the_manager_that_set_the_live_value_is_told() {
        let live = json!({
            "metadata": {"name": "shop", "managedFields": [
                {"manager": "kubectl-scale", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            ]},
            "spec": {"replicas": 5},
        });
        check(
            live,
            json!({"metadata": {"name": "shop"}, "spec": {"replicas": 2}}),
            &["spec.replicas: 5 > 2 by kubectl-scale"],
        );
    }

    #[test]
    fn secrets_are_masked_and_much_is_bounded() {
        let secret = |value: &str| json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": value}});
        let found = differences(&secret("aHVudGVyMg=="), &secret("b3RoZXI="));
        let shown = format!("{found:?}");
        assert!(shown.contains("hidden") && !shown.contains("aHVudGVyMg") && !shown.contains("hunter2"), "{shown}");

        let many = |n: usize| Value::from_iter((0..60).map(|i| (format!("k{i}"), json!(n))));
        let found = differences(&json!({"data": many(1)}), &json!({"data": many(2)}));
        assert_eq!((found.fields.len(), found.more), (Change::MAX_FIELDS, 10));

        let long = differences(&json!({"data": "x".repeat(5000)}), &json!({}));
        assert!(
            long.fields[0]
                .live
                .as_ref()
                .is_some_and(|v| v.as_str().is_some_and(|t| t.ends_with("(5000 bytes in all)")))
        );
    }

    /// Any JSON of a few levels, with lists of the kinds that Kubernetes has.
    fn value() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..4).prop_map(Value::from),
            "[ab]{0,2}".prop_map(Value::from),
        ];
        let key = "[abc]|name|metadata|spec|data";
        scalar.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(key, inner, 0..4).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    fn secret(values: &BTreeMap<String, String>, text: &BTreeMap<String, String>) -> Value {
        let encode = |(name, value): (&String, &String)| (name.clone(), json!(BASE64_STANDARD.encode(value)));
        let data: Map<String, Value> = values.iter().map(encode).collect();
        let string_data: Map<String, Value> = text.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let copy = json!({"data": data, "stringData": string_data}).to_string();
        json!({
            "apiVersion": "v1", "kind": "Secret", "data": data, "stringData": string_data,
            "metadata": {"name": "s", "annotations": {normalize::LAST_APPLIED: copy}},
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn equal_objects_do_not_differ_and_different_content_does(a in value(), b in value()) {
            let object = |spec: &Value| json!({"apiVersion": "v1", "kind": "Any", "metadata": {"name": "a"}, "spec": spec});
            let (one, two) = (object(&a), object(&b));
            prop_assert_eq!(differences(&one, &one.clone()), Differences::default());
            prop_assert_eq!(managed_fields::digest(&one), managed_fields::digest(&one.clone()));
            let same = normalize::normalise(&one) == normalize::normalise(&two);
            prop_assert_eq!(differences(&one, &two) == Differences::default(), same, "{} and {}", a, b);
            // An object in which we own nothing is digested whole.
            prop_assert_eq!(managed_fields::digest(&one) == managed_fields::digest(&two), same, "{} and {}", a, b);
        }

        #[test]
        fn no_value_of_a_secret_is_in_a_difference(
            before in proptest::collection::btree_map("[a-c]", "[k-z+/\"\\n]{8,24}", 0..4),
            after in proptest::collection::btree_map("[a-c]", "[k-z+/\"\\n]{8,24}", 0..4),
            text in proptest::collection::btree_map("[a-e]", "[k-z+/\"\\n]{8,24}", 0..3),
        ) {
            let (live, desired) = (secret(&before, &BTreeMap::new()), secret(&after, &text));
            let shown: Vec<String> = [differences(&live, &desired), differences(&desired, &live), differences(&live, &json!({}))]
                .iter()
                .flat_map(|found| found.fields.iter().map(|field| format!("{field:?} {}", serde_json::to_string(field).unwrap())))
                .collect();
            let shown = shown.concat();
            for (_, value) in before.iter().chain(&after).chain(&text) {
                let quoted = json!(value).to_string();
                for form in [value.as_str(), &BASE64_STANDARD.encode(value), quoted.trim_matches('"')] {
                    prop_assert!(!shown.contains(form), "{form:?} in {shown}");
                }
            }
            prop_assert_eq!(differences(&live, &live.clone()), Differences::default());
            // What a server quotes of it, as it is or in a quoted string.
            for (_, value) in after.iter().chain(&text) {
                for quoted in [value.clone(), format!("{value:?}"), BASE64_STANDARD.encode(value)] {
                    let scrubbed = mask::scrub(&format!("data: Invalid value: {quoted}: no"), &desired);
                    prop_assert!(!scrubbed.contains(value.as_str()) && scrubbed.contains("(hidden)"), "{scrubbed}");
                }
            }
        }
    }
}

//! The round trip of an object through the API's own types: what is unknown is told and dropped, what is empty
//! disappears, what is always there appears. Live objects are therefore in one normal form, as on a real server.

use serde_json::{Map, Value};

use super::{Field, Scalar, Shape, Struct};

/// What the round trip found.
#[derive(Debug, Default, PartialEq)]
pub struct Findings {
    /// Paths of fields that the type does not have, in the server's notation: `spec.template.spec.containers[0].imagee`.
    pub unknown: Vec<String>,
    /// The first value that is of another type than its field: what the decoder would say of it.
    pub mistyped: Option<String>,
}

/// Brings `object` into normal form. `drop_unknown` is off for parts that keep what they do not know.
pub fn normalise(object: &mut Value, shape: &Shape) -> Findings {
    let mut findings = Findings::default();
    visit(object, shape, "", &mut String::new(), &mut findings);
    findings
}

/// An object in which nothing was set: what is always there, and null for lists and maps that are never left out.
pub fn empty(shape: &Shape) -> Value {
    let Some(of) = shape.fields() else { return Value::Null };
    let mut map = Map::new();
    for (name, field) in &of.fields {
        if field.always {
            map.insert(name.clone(), empty(&field.shape));
        } else if field.shown_when_unset {
            map.insert(name.clone(), unset_value(&field.shape));
        }
    }
    Value::Object(map)
}

/// `owner` is the name of the struct that the value is a field of.
fn visit(value: &mut Value, shape: &Shape, owner: &str, path: &mut String, findings: &mut Findings) {
    match shape {
        Shape::Any => {}
        Shape::Scalar(of) => check_scalar(value, *of, (owner, path), findings),
        Shape::List(of, _) => match value {
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    let length = path.len();
                    path.push_str(&format!("[{index}]"));
                    visit(item, of, owner, path, findings);
                    path.truncate(length);
                }
            }
            other => mistyped(other, "[]", (owner, path), findings),
        },
        Shape::Map(of, _) => match value {
            Value::Object(map) => {
                for (key, item) in map.iter_mut() {
                    if item.is_null() {
                        *item = zero(of);
                    }
                    match **of {
                        // Go tells of the map, and not of the key.
                        Shape::Scalar(_) => visit(item, of, owner, path, findings),
                        _ => descend(path, key, |path| visit(item, of, owner, path, findings)),
                    }
                }
            }
            other => mistyped(other, "map[string]string", (owner, path), findings),
        },
        Shape::Named(_) | Shape::Struct(_) => match (value, shape.fields()) {
            (Value::Object(map), Some(of)) => {
                let name = if let Shape::Named(name) = shape { name } else { "" };
                visit_struct(map, of, name, path, findings);
            }
            (other, _) => mistyped(other, "struct", (owner, path), findings),
        },
    }
}

fn visit_struct(map: &mut Map<String, Value>, of: &Struct, name: &str, path: &mut String, findings: &mut Findings) {
    map.retain(|key, value| {
        let Some(field) = of.fields.get(key) else {
            if !of.open {
                descend(path, key, |path| findings.unknown.push(path.clone()));
            }
            return of.open;
        };
        if value.is_null() {
            // Go drops it on its way through a type; the schema of a custom resource has to allow it.
            return name.is_empty() && field.default.is_none();
        }
        descend(path, key, |path| visit(value, &field.shape, name, path, findings));
        !(field.omitted_when_zero && is_zero(value))
    });
    for (key, field) in of.fields.iter().filter(|(_, field)| field.always) {
        if !map.contains_key(key) {
            let mut empty = Value::Object(Map::new());
            visit(&mut empty, &field.shape, name, path, findings);
            map.insert(key.clone(), empty);
        }
    }
    for (key, field) in of.fields.iter().filter(|(_, field)| field.shown_when_unset) {
        let unset = map.get(key).is_none_or(|value| match value {
            Value::Array(items) => items.is_empty(),
            Value::Object(entries) => entries.is_empty() && matches!(field.shape, Shape::Map(..)),
            _ => false,
        });
        if unset {
            map.insert(key.clone(), unset_value(&field.shape));
        }
    }
}

fn descend(path: &mut String, key: &str, then: impl FnOnce(&mut String)) {
    let length = path.len();
    if length > 0 {
        path.push('.');
    }
    path.push_str(key);
    then(path);
    path.truncate(length);
}

fn check_scalar(value: &Value, of: Scalar, place: (&str, &str), findings: &mut Findings) {
    let (fits, wanted) = match of {
        Scalar::Text => (value.is_string(), "string"),
        Scalar::Integer => (value.as_f64().is_some_and(|number| number.fract() == 0.0), "int32"),
        Scalar::Number => (value.is_number(), "float64"),
        Scalar::Bool => (value.is_boolean(), "bool"),
        Scalar::Untyped => (!value.is_object() && !value.is_array(), "string"),
    };
    if !fits {
        mistyped(value, wanted, place, findings);
    }
}

fn mistyped(value: &Value, wanted: &str, (owner, path): (&str, &str), findings: &mut Findings) {
    if value.is_null() {
        return;
    }
    let found = match value {
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        _ => "string",
    };
    findings.mistyped.get_or_insert_with(|| {
        let path: String = path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect();
        format!("json: cannot unmarshal {found} into Go struct field {owner}.{path} of type {wanted}")
    });
}

/// How a field that was not set is shown, if it is.
fn unset_value(shape: &Shape) -> Value {
    match shape {
        Shape::Scalar(Scalar::Untyped) => Value::Null,
        Shape::Scalar(_) => zero(shape),
        _ => Value::Null,
    }
}

fn zero(shape: &Shape) -> Value {
    match shape {
        Shape::Scalar(Scalar::Integer | Scalar::Number) => Value::from(0),
        Shape::Scalar(Scalar::Bool) => Value::from(false),
        Shape::Scalar(_) => Value::from(""),
        Shape::List(..) => Value::Array(Vec::new()),
        _ => Value::Object(Map::new()),
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// Fills in the defaults that a custom resource's schema names, and says what the schema forbids, in the server's words.
pub fn complete(value: &mut Value, shape: &Shape, path: &str, problems: &mut Vec<(String, String)>) {
    match (value, shape) {
        (Value::Array(items), Shape::List(of, _)) => {
            for (index, item) in items.iter_mut().enumerate() {
                complete(item, of, &format!("{path}[{index}]"), problems);
            }
        }
        (Value::Object(map), Shape::Map(of, _)) => {
            for (key, item) in map.iter_mut() {
                complete(item, of, &format!("{path}.{key}"), problems);
            }
        }
        (Value::Object(map), Shape::Struct(of)) => {
            for (name, field) in &of.fields {
                complete_field(map, name, field, &join(path, name), problems);
            }
        }
        _ => {}
    }
}

fn complete_field(
    map: &mut Map<String, Value>,
    name: &str,
    field: &Field,
    path: &str,
    problems: &mut Vec<(String, String)>,
) {
    if let (false, Some(default)) = (map.contains_key(name), &field.default) {
        map.insert(name.to_owned(), default.clone());
    }
    let Some(value) = map.get_mut(name) else {
        if field.required {
            problems.push((path.to_owned(), "Required value".to_owned()));
        }
        return;
    };
    if let Some(problem) = wrong_type(value, &field.shape, path) {
        problems.push((path.to_owned(), problem));
        return;
    }
    if let Some(allowed) = field.allowed.as_ref().filter(|allowed| !allowed.contains(value)) {
        let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
        problems
            .push((path.to_owned(), format!("Unsupported value: {value}: supported values: {}", allowed.join(", "))));
    }
    complete(value, &field.shape, path, problems);
}

fn wrong_type(value: &Value, shape: &Shape, path: &str) -> Option<String> {
    let (fits, wanted) = match shape {
        Shape::Scalar(Scalar::Text) => (value.is_string(), "string"),
        Shape::Scalar(Scalar::Integer) => (value.as_f64().is_some_and(|number| number.fract() == 0.0), "integer"),
        Shape::Scalar(Scalar::Number) => (value.is_number(), "number"),
        Shape::Scalar(Scalar::Bool) => (value.is_boolean(), "boolean"),
        Shape::List(..) => (value.is_array(), "array"),
        Shape::Map(..) | Shape::Struct(_) => (value.is_object(), "object"),
        Shape::Scalar(Scalar::Untyped) | Shape::Named(_) | Shape::Any => return None,
    };
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    (!fits).then(|| format!("Invalid value: \"{found}\": {path} in body must be of type {wanted}: \"{found}\""))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::known;
    use super::*;

    #[track_caller]
    fn check(kind: &str, given: Value, normal: Value, unknown: &[&str]) {
        let mut object = given;
        let findings = normalise(&mut object, &known(kind).expect("a known kind"));
        assert_eq!(object, normal);
        assert_eq!(findings.unknown, unknown);
    }

    #[test]
    fn empties_go_and_structs_stay() {
        check(
            "ConfigMap",
            json!({"metadata": {"labels": {}, "annotations": {"a": null}}, "data": {"k": ""}, "immutable": false}),
            json!({"metadata": {"annotations": {"a": ""}}, "data": {"k": ""}, "immutable": false}),
            &[],
        );
        check(
            "DeploymentSpec",
            json!({"replicas": 0, "minReadySeconds": 0, "paused": false, "replicass": 1}),
            json!({"replicas": 0, "selector": null, "strategy": {}, "template": {"metadata": {}, "spec": {"containers": null}}}),
            &["replicass"],
        );
        check(
            "PodSpec",
            json!({"containers": [{"name": "a", "imagee": "b", "env": [{"name": "E", "value": ""}]}], "volumes": []}),
            json!({"containers": [{"name": "a", "env": [{"name": "E"}], "resources": {}}]}),
            &["containers[0].imagee"],
        );
    }

    #[test]
    fn another_type_is_told() {
        let mut object = json!({"spec": {"replicas": "two"}});
        let findings = normalise(&mut object, &known("Deployment").expect("a known kind"));
        let said = findings.mistyped.expect("a finding");
        assert_eq!(
            said,
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
        );
    }
}

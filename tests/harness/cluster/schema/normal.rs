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
    visit(object, shape, &mut String::new(), &mut findings);
    findings
}

fn visit(value: &mut Value, shape: &Shape, path: &mut String, findings: &mut Findings) {
    match shape {
        Shape::Any => drop_nulls(value),
        Shape::Scalar(of) => check_scalar(value, *of, path, findings),
        Shape::List(of, _) => match value {
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    let length = path.len();
                    path.push_str(&format!("[{index}]"));
                    visit(item, of, path, findings);
                    path.truncate(length);
                }
            }
            other => mistyped(other, "array", path, findings),
        },
        Shape::Map(of, _) => match value {
            Value::Object(map) => {
                for (key, item) in map.iter_mut() {
                    if item.is_null() {
                        *item = zero(of);
                    }
                    descend(path, key, |path| visit(item, of, path, findings));
                }
            }
            other => mistyped(other, "object", path, findings),
        },
        Shape::Named(_) | Shape::Struct(_) => match (value, shape.fields()) {
            (Value::Object(map), Some(of)) => visit_struct(map, of, path, findings),
            (other, _) => mistyped(other, "object", path, findings),
        },
    }
}

fn visit_struct(map: &mut Map<String, Value>, of: &Struct, path: &mut String, findings: &mut Findings) {
    map.retain(|key, value| {
        let Some(field) = of.fields.get(key) else {
            if !of.open {
                descend(path, key, |path| findings.unknown.push(path.clone()));
            }
            return of.open;
        };
        if value.is_null() {
            return false;
        }
        descend(path, key, |path| visit(value, &field.shape, path, findings));
        !(field.omitted_when_zero && is_zero(value))
    });
    for (name, field) in of.fields.iter().filter(|(_, field)| field.always) {
        if !map.contains_key(name) {
            let mut empty = Value::Object(Map::new());
            visit(&mut empty, &field.shape, path, findings);
            map.insert(name.clone(), empty);
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

fn check_scalar(value: &Value, of: Scalar, path: &str, findings: &mut Findings) {
    let (fits, wanted) = match of {
        Scalar::Text => (value.is_string(), "string"),
        Scalar::Integer => (value.as_f64().is_some_and(|number| number.fract() == 0.0), "int32"),
        Scalar::Number => (value.is_number(), "float64"),
        Scalar::Bool => (value.is_boolean(), "bool"),
        Scalar::Untyped => (!value.is_object() && !value.is_array(), "string"),
    };
    if !fits {
        mistyped(value, wanted, path, findings);
    }
}

fn mistyped(value: &Value, wanted: &str, path: &str, findings: &mut Findings) {
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
    findings
        .mistyped
        .get_or_insert_with(|| format!("json: cannot unmarshal {found} into Go struct field .{path} of type {wanted}"));
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, item| !item.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
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
    if let Some(problem) = wrong_type(value, &field.shape) {
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

fn wrong_type(value: &Value, shape: &Shape) -> Option<String> {
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
    let name = path_free(value);
    (!fits).then(|| format!("Invalid value: {name}: must be of type {wanted}: \"{found}\""))
}

fn path_free(value: &Value) -> String {
    match value {
        Value::Object(_) | Value::Array(_) => "\"object\"".to_owned(),
        other => format!("{:?}", other.to_string().trim_matches('"')),
    }
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
            json!({"replicas": 0, "strategy": {}, "template": {"metadata": {}, "spec": {}}}),
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
        assert_eq!(said, "json: cannot unmarshal string into Go struct field .spec.replicas of type int32");
    }
}

//! Parameters of a chart, as `helm --set` reads them: a path with dots, and a text that may be a number or a flag.

use serde_json::{Map, Value};

use super::text;

/// Sets one in the values.
///
/// # Errors
/// Says which parameter is not read here.
pub(super) fn set(values: &mut Map<String, Value>, parameter: &Value) -> Result<(), String> {
    let name = text(parameter, "name").ok_or("a parameter has no name")?;
    let written = parameter["value"].as_str().unwrap_or_default();
    if name.contains(['[', ']', '{', ',', '=']) || written.starts_with('{') || written.contains('\\') {
        return Err(format!("{name} is part of a list: write it into values"));
    }
    let value = if parameter["forceString"] == true { Value::from(written) } else { value(written) };
    let mut keys = keys(name);
    let last = keys.pop().unwrap_or_default();
    let mut at = values;
    for key in keys {
        let below = at.entry(key).or_insert_with(|| Value::Object(Map::new()));
        if !below.is_object() {
            *below = Value::Object(Map::new());
        }
        let Value::Object(fields) = below else { return Ok(()) };
        at = fields;
    }
    at.insert(last, value);
    Ok(())
}

/// `a.b\.c` is `b.c` in `a`.
fn keys(name: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut characters = name.chars();
    while let Some(character) = characters.next() {
        let key = keys.last_mut();
        match (character, key) {
            ('.', _) => keys.push(String::new()),
            ('\\', Some(key)) => key.extend(characters.next()),
            (_, Some(key)) => key.push(character),
            (_, None) => {}
        }
    }
    keys
}

/// What helm takes a text for.
fn value(written: &str) -> Value {
    match written {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        _ if written == "0" || !written.starts_with('0') => {
            written.parse::<i64>().map_or_else(|_| Value::from(written), Value::from)
        }
        _ => Value::from(written),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_parameter_is_read_as_helm_reads_it() {
        let mut values = Map::new();
        for (name, value, is_text) in [
            ("image.tag", "1.10", false),
            ("replicas", "3", false),
            ("zip", "01234", false),
            ("port", "8080", true),
            ("debug", "true", false),
            (r"annotations.example\.com/name", "x", false),
            ("image.repository", "shop", false),
        ] {
            let parameter = json!({ "name": name, "value": value, "forceString": is_text });
            set(&mut values, &parameter).unwrap();
        }
        let wanted = json!({
            "image": { "tag": "1.10", "repository": "shop" }, "replicas": 3, "zip": "01234", "port": "8080", "debug": true,
            "annotations": { "example.com/name": "x" },
        });
        assert_eq!(Value::Object(values), wanted);
        let of_list = json!({ "name": "hosts[0]", "value": "a" });
        assert_eq!(set(&mut Map::new(), &of_list), Err("hosts[0] is part of a list: write it into values".to_owned()));
    }
}

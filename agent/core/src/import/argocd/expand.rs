//! Templates of ApplicationSets, as far as they only put parameters in: what stands between `{{` and `}}` is an
//! [`Expression`].

use serde_json::{Map, Value};

use super::expression::Expression;

/// The value with all of its texts expanded.
///
/// # Errors
/// The expression that is not known.
pub(super) fn expand(value: &Value, parameters: &Map<String, Value>, is_go: bool) -> Result<Value, String> {
    with(value, &mut |expression| Expression::read(expression, is_go)?.evaluate(parameters))
}

/// The value with what is found for each expression in its place.
///
/// # Errors
/// The expression for which nothing is found.
pub(super) fn with(value: &Value, find: &mut dyn FnMut(&str) -> Option<String>) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => Value::String(text_with(text, find)?),
        Value::Array(items) => Value::Array(items.iter().map(|item| with(item, find)).collect::<Result<_, _>>()?),
        Value::Object(fields) => {
            let mut expanded = Map::new();
            for (key, value) in fields {
                expanded.insert(text_with(key, find)?, with(value, find)?);
            }
            Value::Object(expanded)
        }
        other => other.clone(),
    })
}

/// The same of a text. `{{-` and `-}}` take the blanks beside them away, as in Go.
///
/// # Errors
/// The expression for which nothing is found.
pub(super) fn text_with(text: &str, find: &mut dyn FnMut(&str) -> Option<String>) -> Result<String, String> {
    let mut parts = text.split("{{");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (whole, rest) = part.split_once("}}").ok_or_else(|| part.to_owned())?;
        let trimmed = whole.strip_prefix('-');
        if trimmed.is_some() {
            out.truncate(out.trim_end().len());
        }
        let expression = trimmed.unwrap_or(whole);
        let (expression, rest) = match expression.strip_suffix('-') {
            Some(expression) => (expression, rest.trim_start()),
            None => (expression, rest),
        };
        out += &find(expression.trim()).ok_or_else(|| expression.trim().to_owned())?;
        out += rest;
    }
    Ok(out)
}

/// The parameters with the values that a generator adds, which may have the others in them.
pub(super) fn with_values(mut parameters: Map<String, Value>, values: &Value, is_go: bool) -> Map<String, Value> {
    // What is not known stays as it is, and is told where it is used.
    let values = expand(values, &parameters, is_go).unwrap_or_else(|_| values.clone());
    if is_go && !values.is_null() {
        parameters.insert("values".to_owned(), values);
        return parameters;
    }
    for (name, value) in values.as_object().into_iter().flatten() {
        parameters.insert(format!("values.{name}"), value.clone());
    }
    parameters
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_put_in_and_what_is_more_is_not_guessed() {
        let plain = json!({ "name": "shop", "port": 8080, "path.basename": "prod", "path[1]": "envs" });
        let go = json!({ "name": "shop", "path": { "basename": "prod", "segments": ["apps", "envs"] } });
        for (text, parameters, is_go, wanted) in [
            ("{{name}}-{{ path.basename }}:{{port}}", &plain, false, Ok("shop-prod:8080")),
            ("{{path[1]}}", &plain, false, Ok("envs")),
            ("{{nothing}}", &plain, false, Err("nothing")),
            ("{{ .name }}-{{.path.basename}}", &go, true, Ok("shop-prod")),
            ("{{ index .path.segments 1 }}", &go, true, Ok("envs")),
            ("{{ .name | upper }}", &go, true, Ok("SHOP")),
            ("a {{- .name -}} b", &go, true, Ok("ashopb")),
            ("{{ .name | title }}", &go, true, Err(".name | title")),
            ("{{ .missing }}", &go, true, Err(".missing")),
        ] {
            let Value::Object(parameters) = parameters else { unreachable!("all are maps") };
            let expanded = expand(&json!({ "a": [text] }), parameters, is_go);
            assert_eq!(expanded, wanted.map(|text| json!({ "a": [text] })).map_err(str::to_owned), "{text}");
        }
    }
}

//! Templates of ApplicationSets, as far as they only put parameters in: `{{name}}`, and of Go's `{{ .name }}`,
//! `{{ .path.basename }}`, `{{ index .path.segments 1 }}`.

use serde_json::{Map, Value};

/// The value with all of its texts expanded.
///
/// # Errors
/// The expression that is not known.
pub(super) fn expand(value: &Value, parameters: &Map<String, Value>, is_go: bool) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => Value::String(text_of(text, parameters, is_go)?),
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| expand(item, parameters, is_go)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let expanded = fields
                .iter()
                .map(|(key, value)| Ok((text_of(key, parameters, is_go)?, expand(value, parameters, is_go)?)));
            Value::Object(expanded.collect::<Result<_, String>>()?)
        }
        other => other.clone(),
    })
}

fn text_of(text: &str, parameters: &Map<String, Value>, is_go: bool) -> Result<String, String> {
    let mut parts = text.split("{{");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (expression, rest) = part.split_once("}}").ok_or_else(|| part.to_owned())?;
        let expression = expression.trim();
        let found = if is_go { of_go(expression, parameters) } else { plain(expression, parameters) };
        out += &found.ok_or_else(|| expression.to_owned())?;
        out += rest;
    }
    Ok(out)
}

fn plain(expression: &str, parameters: &Map<String, Value>) -> Option<String> {
    // `values.a` of a list is an element's map.
    parameters.get(expression).or_else(|| within(parameters, expression)).and_then(shown)
}

fn of_go(expression: &str, parameters: &Map<String, Value>) -> Option<String> {
    let expression = expression.trim_matches('-').trim();
    let words: Vec<&str> = expression.split_whitespace().collect();
    match words[..] {
        [path] => within(parameters, path.strip_prefix('.')?).and_then(shown),
        ["index", path, place] => {
            let list = within(parameters, path.strip_prefix('.')?)?;
            let place = place.trim_matches('"');
            place.parse::<usize>().map_or_else(|_| list.get(place), |place| list.get(place)).and_then(shown)
        }
        _ => None,
    }
}

fn within<'a>(parameters: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let mut keys = path.split('.');
    keys.by_ref()
        .next()
        .and_then(|first| parameters.get(first))
        .and_then(|value| keys.try_fold(value, |value, key| value.get(key)))
}

fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// Whether a folder is one of a pattern, in which `*` is any part of one name.
pub(crate) fn matches(pattern: &str, folder: &str) -> bool {
    gix_glob::wildmatch(pattern.into(), folder.into(), gix_glob::wildmatch::Mode::NO_MATCH_SLASH_LITERAL)
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
            ("{{ .name | upper }}", &go, true, Err(".name | upper")),
            ("{{ .missing }}", &go, true, Err(".missing")),
        ] {
            let Value::Object(parameters) = parameters else { unreachable!("all are maps") };
            let expanded = expand(&json!({ "a": [text] }), parameters, is_go);
            assert_eq!(expanded, wanted.map(|text| json!({ "a": [text] })).map_err(str::to_owned), "{text}");
        }
        assert!(
            matches("apps/*", "apps/shop") && !matches("apps/*", "apps/shop/base") && matches("apps/**", "apps/a/b")
        );
    }
}

//! What a file gives a template: each map in it is one element, with what is written there by its keys. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Element;

/// Values of one element: a file of parameters has some dozen, and each is kept for each element.
const VALUES_MAX: usize = 1_000;

/// Why a file gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// It is a text or a number.
    #[error("not a map of values, nor a list of such maps")]
    NoMap,
    /// It has too many values.
    #[error("more than {VALUES_MAX} values")]
    TooMany,
}

/// The elements of a file: one, or one for each entry where it is a list.
///
/// # Errors
/// Where it is neither a map nor a list of maps.
pub fn elements(path: &str, content: &Value) -> Result<Vec<Element>, FileFault> {
    let entries = match content {
        Value::Array(entries) => entries.as_slice(),
        one => std::slice::from_ref(one),
    };
    let element = |(number, entry): (usize, &Value)| {
        if !entry.is_object() {
            return Err(FileFault::NoMap);
        }
        let mut element = Element::of_file(path, flat(entry)?);
        if content.is_array() {
            element.of = format!("number {} of {path}", number + 1);
        }
        Ok(element)
    };
    entries.iter().enumerate().map(element).collect()
}

/// What is written in a map, by the paths of its keys: `image.tag`, `hosts.0`.
///
/// # Errors
/// Where it is too much.
pub fn flat(map: &Value) -> Result<BTreeMap<String, String>, FileFault> {
    let mut values = BTreeMap::new();
    gather(map, String::new(), &mut values);
    if values.len() > VALUES_MAX { Err(FileFault::TooMany) } else { Ok(values) }
}

fn gather(value: &Value, at: String, into: &mut BTreeMap<String, String>) {
    if into.len() > VALUES_MAX {
        return;
    }
    let below = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    match value {
        Value::Object(entries) => entries.iter().for_each(|(key, value)| gather(value, below(key), into)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(place, item)| gather(item, below(&place.to_string()), into));
        }
        Value::String(text) => drop(into.insert(at, text.clone())),
        Value::Number(number) => drop(into.insert(at, number.to_string())),
        Value::Bool(flag) => drop(into.insert(at, flag.to_string())),
        Value::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_gives_what_is_written_in_it_by_the_paths_of_its_keys() {
        let content = json!({
            "name": "shop", "image": { "tag": 1.5, "on": true }, "hosts": ["a", { "b": 2 }], "none": null, "path": "mine",
        });
        let found = elements("apps/shop/config.json", &content).unwrap();
        let values: Vec<String> = found[0].values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let wanted = "hosts.0=a hosts.1.b=2 image.on=true image.tag=1.5 name=shop path=apps/shop path.0=apps path.1=shop \
                      path.basename=shop path.file=config.json";
        assert_eq!((values.join(" ").as_str(), found[0].of.as_str()), (wanted, "apps/shop/config.json"));
        let several = elements("a.yaml", &json!([{ "a": 1 }, { "a": 2 }])).unwrap();
        assert_eq!((several.len(), several[1].of.as_str()), (2, "number 2 of a.yaml"));
        assert_eq!(several[1].values["path"], "");
        for wrong in [json!("a"), json!([1]), json!(null)] {
            assert_eq!(elements("a.yaml", &wrong), Err(FileFault::NoMap), "{wrong}");
        }
        let many: Vec<usize> = (0..=VALUES_MAX).collect();
        assert_eq!(elements("a.yaml", &json!({ "a": many })), Err(FileFault::TooMany));
    }
}

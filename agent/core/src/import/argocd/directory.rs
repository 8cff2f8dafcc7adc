//! What Argo CD renders of a folder: some of its files, and jsonnet.

use serde_json::{Map, Value};

use super::super::draft::{Environment, Jsonnet};
use super::super::fields::Fields;
use super::text;

/// Alternatives of one pattern: nobody writes more, and each pair of braces multiplies them.
const PATTERNS_MAX: usize = 100;

/// Reads the options of a folder; whether the environment is whole with them. Why not was said.
pub(super) fn read(fields: &mut Fields<'_>, environment: &mut Environment) -> bool {
    let (include, exclude) = ("spec.source.directory.include", "spec.source.directory.exclude");
    for (field, patterns) in [(include, &mut environment.include), (exclude, &mut environment.exclude)] {
        let Some(text) = fields.text(field) else { continue };
        let Some(read) = alternatives(&text) else {
            fields.not(field, "the pattern is not understood: write it as in a .gitignore");
            // Without it something else would be deployed.
            return false;
        };
        *patterns = read;
    }
    let jsonnet = fields.map("spec.source.directory.jsonnet");
    if !jsonnet.is_empty() {
        if !environment.include.is_empty() || !environment.exclude.is_empty() {
            fields.not(
                "spec.source.directory.jsonnet",
                "jsonnet beside include or exclude: keep libraries in other folders",
            );
            return false;
        }
        fields.otherwise(
            "spec.source.directory.jsonnet",
            "the .jsonnet files of the folder are rendered, and no YAML beside them",
        );
        let libs = jsonnet.get("libs").and_then(Value::as_array).into_iter().flatten();
        environment.render = Some("jsonnet");
        environment.jsonnet = Some(Jsonnet {
            tla: given(fields, &jsonnet, "tlas"),
            ext: given(fields, &jsonnet, "extVars"),
            libs: libs.filter_map(Value::as_str).map(str::to_owned).collect(),
        });
    }
    true
}

/// Arguments: texts as they are, and code where it is a constant.
fn given(fields: &mut Fields<'_>, jsonnet: &Map<String, Value>, key: &str) -> Map<String, Value> {
    let mut values = Map::new();
    for one in jsonnet.get(key).and_then(Value::as_array).into_iter().flatten() {
        let (Some(name), value) = (text(one, "name"), text(one, "value").unwrap_or_default()) else { continue };
        let is_code = one["code"].as_bool() == Some(true);
        let value = if is_code { serde_json::from_str(value).ok() } else { Some(Value::from(value)) };
        match value.filter(|value| !value.is_null()) {
            Some(value) => drop(values.insert(name.to_owned(), value)),
            None => fields.not(
                &format!("spec.source.directory.jsonnet.{key}"),
                format!("{name} is code, and only constants are imported: write it into a file"),
            ),
        }
    }
    values
}

/// `{a,b}.yaml` as its patterns. Like ours they match names at any depth; nothing of what is not understood.
fn alternatives(pattern: &str) -> Option<Vec<String>> {
    let Some((before, rest)) = pattern.split_once('{') else {
        let is_understood = !pattern.contains('}') && !pattern.starts_with('!') && !pattern.is_empty();
        return is_understood.then(|| vec![pattern.to_owned()]);
    };
    let (within, after) = rest.split_once('}')?;
    if before.contains('}') || within.contains('{') {
        return None;
    }
    let after = if after.is_empty() { vec![String::new()] } else { alternatives(after)? };
    let all: Vec<String> = within
        .split(',')
        .flat_map(|one| after.iter().map(move |after| format!("{before}{one}{after}")))
        .filter(|pattern| !pattern.is_empty())
        .collect();
    (1..=PATTERNS_MAX).contains(&all.len()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_patterns_of_their_own() {
        for (pattern, expected) in [
            ("*.yaml", Some(vec!["*.yaml"])),
            ("{a.yaml,b/*.yml}", Some(vec!["a.yaml", "b/*.yml"])),
            ("{a,b}.{yml,json}", Some(vec!["a.yml", "a.json", "b.yml", "b.json"])),
            ("{a,{b,c}}", None),
            ("{a,b", None),
            ("a}", None),
            ("{}", None),
        ] {
            let read = alternatives(pattern);
            let read = read.as_ref().map(|all| all.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(read, expected, "{pattern}");
        }
    }
}

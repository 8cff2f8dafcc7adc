//! Where what a generator lists is, and whether it is known here.

use serde_json::{Map, Value};

use super::super::super::Around;
use super::super::text;

/// Whether what a generator lists is known here: files of another repository and open merge requests are not.
pub(in super::super) fn is_known(generator: &Value, around: &Around, same: fn(&str, &str) -> bool) -> bool {
    let nested = |of: &Map<String, Value>| of.get("generators").and_then(Value::as_array).cloned().unwrap_or_default();
    generator.as_object().into_iter().flatten().all(|(kind, of)| match kind.as_str() {
        "pullRequest" => false,
        "git" => {
            let wanted = text(of, "repoURL").unwrap_or_default();
            around.repository.as_deref().is_some_and(|own| same(own, wanted))
        }
        _ => of.as_object().is_none_or(|of| nested(of).iter().all(|one| is_known(one, around, same))),
    })
}

/// The repository whose folders and files are listed, and what is followed of it.
pub(in super::super) fn repository(generator: &Value) -> Option<(String, Option<String>)> {
    let of = generator.as_object()?;
    let nested = |of: &Value| of["generators"].as_array().into_iter().flatten().find_map(repository);
    of.iter().find_map(|(kind, of)| match kind.as_str() {
        "git" => Some((text(of, "repoURL")?.to_owned(), text(of, "revision").map(str::to_owned))),
        _ => nested(of),
    })
}

//! Values that are not written in the configuration: where they are found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use quarterdeck_git::url::RepositoryUrl;
use quarterdeck_shared::application::ValueFrom;
use quarterdeck_system::secret::Place;

/// Relative paths of files that hold values begin at `base`.
pub(super) fn anchor(values: &mut BTreeMap<String, ValueFrom>, base: &Path) {
    for value in values.values_mut() {
        if let ValueFrom::File { file } = value {
            *file = base.join(&*file).display().to_string();
        }
    }
}

/// What is wrong with the secrets of a build: a `RUN --mount` names each by its id, in a list of words between commas.
pub(super) fn check_secrets(secrets: &BTreeMap<String, ValueFrom>, say: &mut impl FnMut(String)) {
    for (id, from) in secrets {
        let is_named = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if id.is_empty() || !id.bytes().all(is_named) {
            say(format!("{id:?} is not a valid id of a secret: write letters, digits, '.', '_' and '-'"));
        }
        if matches!(from, ValueFrom::Plain(_)) {
            say(format!(
                "the secret {id} is written in the configuration: write the name of its place, as \
                 {id} = {{ file = \"{id}\" }} or {id} = {{ env = \"NAME\" }}"
            ));
        }
    }
}

/// What is wrong with the options `WHAT_env` and `WHAT_file`, which name one secret from one place.
pub(super) fn two_places(what: &str, env: Option<&String>, file: Option<&PathBuf>) -> Option<String> {
    let both = env.is_some() && file.is_some();
    both.then(|| format!("the {what} comes from one place: leave out {what}_env or {what}_file"))
}

/// The same where there has to be one.
pub(super) fn no_place(what: &str, env: Option<&String>, file: Option<&PathBuf>) -> Option<String> {
    let neither = env.is_none() && file.is_none();
    neither.then(|| format!("a {what} is required: set {what}_file or {what}_env"))
}

/// Where a secret is that has to be somewhere; in no file where the configuration was not checked.
pub(super) fn required(env: Option<&String>, file: Option<&PathBuf>) -> Place {
    Place::named(env.map(String::as_str), file.map(PathBuf::as_path)).unwrap_or_else(|| Place::file(""))
}

/// Whether a path leads out of the folder that it should be in.
pub(super) fn escapes(path: &str) -> bool {
    path.starts_with('/') || path.split('/').any(|part| part == "..")
}

/// What is wrong with the address of a repository; relative ones begin at `base`.
pub(super) fn check_address(address: &str, base: &Path, say: &mut impl FnMut(String)) {
    if let Err(error) = RepositoryUrl::parse(address, base) {
        say(error.to_string());
    }
}

/// Whether there is a date of TOML in a value: JSON and YAML know none, and it would be read as a table.
pub(super) fn has_date(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Object(fields) => {
            fields.contains_key("$__toml_private_datetime") || fields.values().any(has_date)
        }
        serde_json::Value::Array(items) => items.iter().any(has_date),
        _ => false,
    }
}

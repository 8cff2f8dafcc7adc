//! How a Helm chart is rendered, as it is written.

use serde::Deserialize;
use serde_json::Value;

use quarterdeck_shared::application::{ApplicationName, HelmSpec, RenderKind};

use super::Interval;
use super::values::escapes;

/// `[application.environment.helm]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenHelm {
    release_name: Option<String>,
    values_files: Vec<String>,
    values: serde_json::Map<String, Value>,
    pub(super) skip_hooks: bool,
    hook_timeout: Option<Interval>,
}

impl WrittenHelm {
    /// What it means.
    pub(super) fn read(self) -> HelmSpec {
        let Self { release_name, values_files, values, skip_hooks, hook_timeout } = self;
        let hook_timeout = hook_timeout.map_or(HelmSpec::HOOK_TIMEOUT, |timeout| timeout.0);
        HelmSpec { release_name, values_files, values, skip_hooks, hook_timeout }
    }

    /// Everything that is wrong with it.
    pub(super) fn check(&self, render: RenderKind, say: &mut impl FnMut(&[&'static str], String)) {
        if *self != Self::default() && matches!(render, RenderKind::Plain | RenderKind::Kustomize) {
            say(&["helm"], "settings of a chart, and render is not \"helm\": leave out one of the two".to_owned());
        }
        // What helm takes for the name of a release; the same rule as for names of applications.
        if let Some(name) = self.release_name.as_ref().filter(|name| name.parse::<ApplicationName>().is_err()) {
            let rule = "write lower-case letters, digits and '-', 53 at most";
            say(&["helm", "release_name"], format!("{name:?} is not a valid name of a release: {rule}"));
        }
        if self.values.values().any(has_date) {
            say(&["helm", "values"], "a date is not a value of a chart: write it in quotes".to_owned());
        }
        for path in self.values_files.iter().filter(|path| path.is_empty() || escapes(path)) {
            say(&["helm", "values_files"], format!("the values file {path:?} must be a file inside the repository"));
        }
        if self.hook_timeout.is_some_and(|timeout| timeout.0.is_zero()) {
            say(&["helm", "hook_timeout"], "a hook takes longer than no time: write 5m".to_owned());
        }
    }
}

/// Whether there is a date of TOML in a value: JSON and YAML know none, and it would be read as a table.
fn has_date(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.contains_key("$__toml_private_datetime") || fields.values().any(has_date),
        Value::Array(items) => items.iter().any(has_date),
        _ => false,
    }
}

//! The hooks in what helm writes: told apart from objects by their annotation, and read as helm reads them.
//!
//! What helm itself only runs by commands of its own is left out, with a note: tests, and the hooks of a deletion.

use quarterdeck_shared::application::HelmSpec;
use serde_json::Value;

use super::{HelmError, few, named};
use crate::hooks::{DeletePolicy, Moment};
use crate::render::RenderError;
use crate::render::object::{self, Runs};

/// Hooks that a chart may have. Large charts have a dozen; each is a step that is waited for.
pub(super) const HOOKS_MAX: usize = 100;

/// Objects that are run as hooks, and when.
type Found = Vec<(object::Found, Runs)>;

/// What was found in a chart's output besides objects.
pub(super) struct Sorted<'a> {
    spec: &'a HelmSpec,
    hooks: Found,
    /// Those that the configuration leaves out.
    skipped: Vec<String>,
    /// Those of tests and of deletion, and what helm does not know either.
    other: usize,
    notes: Vec<String>,
}

impl<'a> Sorted<'a> {
    pub(super) fn new(spec: &'a HelmSpec) -> Self {
        Self { spec, hooks: Vec::new(), skipped: Vec::new(), other: 0, notes: Vec::new() }
    }

    /// Keeps a hook; gives back what is none.
    pub(super) fn sort(&mut self, object: Value, origin: &str) -> Result<Option<Value>, RenderError> {
        let Some(events) = annotation(&object, "helm.sh/hook") else { return Ok(Some(object)) };
        let moments: Vec<Moment> = list_items(events).filter_map(|event| Moment::named(&event)).collect();
        if moments.is_empty() {
            self.other += 1;
            return Ok(None);
        }
        if self.spec.skip_hooks {
            self.skipped.push(format!("{} ({events})", named(&object)));
            return Ok(None);
        }
        let (deleted, unknown) = delete_policy(annotation(&object, "helm.sh/hook-delete-policy"));
        if let Some(unknown) = unknown {
            self.notes.push(format!("{}: {unknown:?} is not a hook delete policy, and is ignored", named(&object)));
        }
        // What is not a number is zero, as for helm.
        let weight = annotation(&object, "helm.sh/hook-weight").and_then(|weight| weight.parse().ok()).unwrap_or(0);
        let runs = Runs { moments, weight, deleted, timeout: self.spec.hook_timeout };
        let mut found = Vec::new();
        object::find(object, origin, &mut found)?;
        self.hooks.extend(found.into_iter().map(|found| (found, runs.clone())));
        Ok(None)
    }

    /// The hooks, and what is to be said of others.
    pub(super) fn done(self) -> Result<(Found, Vec<String>), HelmError> {
        let Self { spec: _, hooks, skipped, other, mut notes } = self;
        if hooks.len() > HOOKS_MAX {
            return Err(HelmError::TooManyHooks { count: hooks.len() });
        }
        if !skipped.is_empty() {
            notes.push(format!("left out by skip_hooks: {}", few(skipped).join(", ")));
        }
        if other > 0 {
            let hooks = if other == 1 { "hook" } else { "hooks" };
            notes.push(format!("left out: {other} {hooks} of tests or deletion"));
        }
        Ok((hooks, notes))
    }
}

/// Whether an object is deployed or run: hooks of tests may have other names in each render.
pub(super) fn is_used(object: &Value, spec: &HelmSpec) -> bool {
    let Some(events) = annotation(object, "helm.sh/hook") else { return true };
    !spec.skip_hooks && list_items(events).any(|event| Moment::named(&event).is_some())
}

fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object["metadata"]["annotations"][name].as_str()
}

/// The words of a list with commas.
fn list_items(list: &str) -> impl Iterator<Item = String> {
    list.split(',').map(|word| word.trim().to_ascii_lowercase()).filter(|word| !word.is_empty())
}

/// What a delete policy says, and a word of it that means nothing. Without a word it is what helm takes for it.
fn delete_policy(written: Option<&str>) -> (DeletePolicy, Option<String>) {
    let (mut policy, mut unknown, mut is_written) = (DeletePolicy::default(), None, false);
    for word in list_items(written.unwrap_or_default()) {
        is_written = true;
        match word.as_str() {
            "before-hook-creation" => policy.before_creation = true,
            "hook-succeeded" => policy.succeeded = true,
            "hook-failed" => policy.failed = true,
            _ => unknown = Some(word),
        }
    }
    policy.before_creation |= !is_written;
    (policy, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_as_helm_reads_them() {
        let policy = |before_creation, succeeded, failed| DeletePolicy { before_creation, succeeded, failed };
        for (written, expected, unknown) in [
            (None, policy(true, false, false), None),
            (Some(""), policy(true, false, false), None),
            (Some("hook-succeeded"), policy(false, true, false), None),
            (Some("Before-Hook-Creation, hook-failed"), policy(true, false, true), None),
            (Some("hook-succeed"), policy(false, false, false), Some("hook-succeed")),
        ] {
            assert_eq!(delete_policy(written), (expected, unknown.map(str::to_owned)), "{written:?}");
        }
    }
}

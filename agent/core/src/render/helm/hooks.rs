//! The hooks in what helm writes: told apart from objects by their annotation, and read as helm reads them.
//!
//! What helm itself only runs by commands of its own stays apart, for no sync runs it: tests, and the hooks of a deletion. Nothing
//! that is wrong with one of these is in the way of a sync: it is left out, with a note.

use quarterdeck_shared::application::HelmSpec;
use serde_json::Value;

use super::{HelmError, few, named};
use crate::hooks::{DeletePolicy, Event, Moment};
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
    on_demand: Found,
    /// Those that the configuration leaves out.
    skipped: Vec<String>,
    /// Those of moments that helm does not know either.
    unknown: Vec<String>,
    notes: Vec<String>,
}

impl<'a> Sorted<'a> {
    pub(super) fn new(spec: &'a HelmSpec) -> Self {
        let (hooks, on_demand) = Default::default();
        Self { spec, hooks, on_demand, skipped: Vec::new(), unknown: Vec::new(), notes: Vec::new() }
    }

    /// Keeps a hook; gives back what is none.
    pub(super) fn sort(&mut self, object: Value, origin: &str) -> Result<Option<Value>, RenderError> {
        let Some(events) = annotation(&object, "helm.sh/hook") else { return Ok(Some(object)) };
        let what = format!("{} ({events})", named(&object));
        let moments: Vec<Moment> = list_items(events).filter_map(|event| Moment::named(&event)).collect();
        if moments.is_empty() {
            self.unknown.push(what);
            return Ok(None);
        }
        // A test is not skipped: nothing but a person runs it.
        let is_kept = |moment: &Moment| !self.spec.skip_hooks || moment.event == Event::Test;
        let (moments, skipped): (Vec<Moment>, Vec<Moment>) = moments.into_iter().partition(is_kept);
        if !skipped.is_empty() {
            self.skipped.push(what.clone());
        }
        if moments.is_empty() {
            return Ok(None);
        }
        let (on_demand, moments): (Vec<Moment>, Vec<Moment>) =
            moments.into_iter().partition(|moment| moment.is_on_demand());
        let (deleted, unknown) = delete_policy(annotation(&object, "helm.sh/hook-delete-policy"));
        if let Some(unknown) = unknown {
            self.notes.push(format!("{}: {unknown:?} is not a hook delete policy, and is ignored", named(&object)));
        }
        // What is not a number is zero, as for helm.
        let weight = annotation(&object, "helm.sh/hook-weight").and_then(|weight| weight.parse().ok()).unwrap_or(0);
        let mut found = Vec::new();
        match object::find(object, origin, &mut found) {
            Err(error) if moments.is_empty() => {
                self.notes.push(format!("left out, as no sync runs it: {what}: {error}"))
            }
            Err(error) => return Err(error),
            Ok(()) => {}
        }
        let runs = |moments: &[Moment]| {
            let moments = moments.to_vec();
            Runs { moments, weight, deleted, timeout: self.spec.hook_timeout }
        };
        if !on_demand.is_empty() {
            self.on_demand.extend(found.iter().map(|found| (found.clone(), runs(&on_demand))));
        }
        if !moments.is_empty() {
            self.hooks.extend(found.into_iter().map(|found| (found, runs(&moments))));
        }
        Ok(None)
    }

    /// The hooks of syncs, those that only a person runs, and what is to be said of others.
    pub(super) fn done(self) -> Result<(Found, Found, Vec<String>), HelmError> {
        let Self { spec: _, hooks, mut on_demand, skipped, unknown, mut notes } = self;
        if hooks.len() > HOOKS_MAX {
            return Err(HelmError::TooManyHooks { count: hooks.len() });
        }
        if on_demand.len() > HOOKS_MAX {
            notes.push(format!("left out: tests and hooks of a deletion after the first {HOOKS_MAX}"));
            on_demand.truncate(HOOKS_MAX);
        }
        if !skipped.is_empty() {
            notes.push(format!("left out by skip_hooks: {}", few(skipped).join(", ")));
        }
        if !unknown.is_empty() {
            notes.push(format!("left out, as hooks that helm does not know: {}", few(unknown).join(", ")));
        }
        Ok((hooks, on_demand, notes))
    }
}

/// Whether an object is deployed or run by a sync: hooks of tests may have other names in each render.
pub(super) fn is_used(object: &Value, spec: &HelmSpec) -> bool {
    let Some(events) = annotation(object, "helm.sh/hook") else { return true };
    let by_sync = |event: String| Moment::named(&event).is_some_and(|moment| !moment.is_on_demand());
    !spec.skip_hooks && list_items(events).any(by_sync)
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

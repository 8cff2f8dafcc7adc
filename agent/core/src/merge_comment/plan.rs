//! What merging would change in each environment, in the words of `qd diff`.

use std::fmt::Write as _;

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::change::{Action, Change, FieldChange, Plan};
use quarterdeck_shared::revision::CommitId;
use serde_json::Value;

use super::span;

/// Characters of the section, so that with the runs it fits into a comment of GitHub.
pub(super) const CHARS_MAX: usize = 8_000;

/// Fields of one object: the first few tell what a change is about, and `qd diff` shows all of them.
const FIELDS_MAX: usize = 5;

/// What merging a merge request would change.
#[derive(Debug, Clone, PartialEq)]
pub struct MergePlan {
    /// Its newest commit.
    pub commit: CommitId,
    /// The environments that follow the branch it would be merged into, in the order of their names.
    pub environments: Vec<PlannedMerge>,
}

/// What merging would change in one environment.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedMerge {
    /// Which.
    pub environment: EnvironmentId,
    /// The lines of a plan that merging is the reason for; or why there is none.
    pub plan: Result<Plan, String>,
}

impl PlannedMerge {
    fn is_silent(&self) -> bool {
        self.plan.as_ref().is_ok_and(|plan| !plan.differs())
    }
}

impl MergePlan {
    /// Whether it has anything to tell: a change, or why one cannot be told.
    pub fn tells(&self) -> bool {
        self.environments.iter().any(|one| !one.is_silent())
    }
}

/// What the section of a deploy repository begins with: it is not shown, and by it a comment is found that is ours. An agent
/// has one such comment on a merge request, named after the first environment of the repository.
pub fn plan_marker(first: &EnvironmentId) -> String {
    format!("<!-- quarterdeck plan {first} -->")
}

pub(super) fn section(text: &mut String, plan: &MergePlan) {
    if let Some(first) = plan.environments.first() {
        let _ = writeln!(text, "{}", plan_marker(&first.environment));
    }
    let commit = span(plan.commit.short());
    if !plan.tells() {
        let _ = writeln!(text, "**Merging {commit} changes no environment**\n");
        return;
    }
    let _ = writeln!(text, "**Merging {commit} changes**\n");
    let mut lines = Vec::new();
    plan.environments.iter().filter(|one| !one.is_silent()).for_each(|one| environment(&mut lines, one));
    let mut room = CHARS_MAX;
    for (place, line) in lines.iter().enumerate() {
        let length = line.chars().count() + 1;
        if length > room {
            let _ = writeln!(text, "- and {} more lines: see `qd diff --revision`", lines.len() - place);
            break;
        }
        room -= length;
        let _ = writeln!(text, "{line}");
    }
    text.push('\n');
}

fn environment(lines: &mut Vec<String>, one: &PlannedMerge) {
    let name = &one.environment;
    match &one.plan {
        Err(why) => lines.push(format!("- **{name}**: {}", span(why))),
        Ok(plan) => {
            lines.push(format!("- **{name}**: {}", plan.summary()));
            plan.changes.iter().for_each(|change| object(lines, change));
            let hooks = plan.steps.iter().filter_map(|step| Some((step.hook.as_ref()?, step.resources.first()?)));
            lines.extend(hooks.map(|(moment, resource)| format!("  - run hook {}", span(&moment.describe(resource)))));
        }
    }
}

fn object(lines: &mut Vec<String>, change: &Change) {
    let reason = change.reason.as_ref().map(|reason| format!(", {}", span(reason))).unwrap_or_default();
    lines.push(format!("  - {} {}{reason}", change.action, span(&change.resource.with_namespace())));
    if change.action == Action::Configure {
        lines.extend(change.fields.iter().take(FIELDS_MAX).map(|field| format!("    - {}", field_line(field))));
        if let Some(more) = change.fields.len().checked_sub(FIELDS_MAX).filter(|more| *more > 0) {
            lines.push(format!("    - and {more} more fields"));
        }
    }
}

fn field_line(field: &FieldChange) -> String {
    let value = |value: &Value| span(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let path = span(&field.path);
    match (&field.live, &field.desired) {
        (Some(live), Some(desired)) => format!("{path}: {} → {}", value(live), value(desired)),
        (None, Some(desired)) => format!("{path}: set to {}", value(desired)),
        (Some(live), None) => format!("{path}: {} is removed", value(live)),
        (None, None) => path,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use quarterdeck_shared::change::{HookMoment, PlanStep, StepAction, Wait};
    use quarterdeck_shared::resource::ResourceRef;
    use quarterdeck_shared::revision::Revision;
    use serde_json::json;

    use super::super::{comment, marker};
    use super::*;

    fn commit() -> CommitId {
        "ab".repeat(20).parse().unwrap()
    }

    fn change(action: Action, kind: &str, name: &str) -> Change {
        let resource = ResourceRef::new("", kind, Some("shop"), name);
        Change { resource, action, fields: Vec::new(), reason: None }
    }

    fn planned(environment: &str, changes: Vec<Change>) -> PlannedMerge {
        let plan = Plan { revision: Revision::new("pin", commit()), changes, steps: Vec::new() };
        PlannedMerge { environment: environment.parse().unwrap(), plan: Ok(plan) }
    }

    fn field(path: &str, live: Option<Value>, desired: Option<Value>) -> FieldChange {
        FieldChange { path: path.to_owned(), live, desired, manager: None, default: false }
    }

    #[test]
    fn it_names_what_changes_in_which_environment_and_why_that_cannot_be_told() {
        let mut shop = change(Action::Configure, "Deployment", "shop");
        shop.fields = vec![
            field("spec.replicas", Some(json!(2)), Some(json!(3))),
            field("metadata.labels.tier", None, Some(json!("web"))),
            field("spec.paused", Some(json!(true)), None),
        ];
        let mut prod = planned("shop/prod", vec![shop, change(Action::Create, "ConfigMap", "flags")]);
        prod.plan.as_mut().unwrap().steps.push(PlanStep {
            action: StepAction::Hook,
            resources: vec![ResourceRef::new("batch", "Job", Some("shop"), "migrate")],
            wait: Wait::Completed,
            timeout_seconds: 300,
            hook: Some(HookMoment { phase: "pre-upgrade".to_owned(), weight: 0 }),
        });
        let broken = PlannedMerge { environment: "shop/qa".parse().unwrap(), plan: Err("no `a`\nb".to_owned()) };
        let quiet = planned("shop/test", vec![change(Action::Unchanged, "Service", "shop")]);
        let plan = MergePlan { commit: commit(), environments: vec![prod, broken, quiet] };
        assert_eq!(
            comment(&[], Some(&plan)),
            "<!-- quarterdeck plan shop/prod -->\n\
            **Merging `abababa` changes**\n\n\
            - **shop/prod**: 1 to create, 1 to configure, 1 hook to run\n\
            \x20 - configure `Deployment/shop in namespace shop`\n\
            \x20   - `spec.replicas`: `2` → `3`\n\
            \x20   - `metadata.labels.tier`: set to `web`\n\
            \x20   - `spec.paused`: `true` is removed\n\
            \x20 - create `ConfigMap/flags in namespace shop`\n\
            \x20 - run hook `Job/migrate (pre-upgrade, weight 0)`\n\
            - **shop/qa**: `no 'a' b`\n\n\
            Quarterdeck keeps this comment up to date.\n"
        );
    }

    #[test]
    fn where_nothing_changes_it_says_so_once() {
        let plan = MergePlan { commit: commit(), environments: vec![planned("shop/prod", Vec::new())] };
        assert!(!plan.tells());
        let text = comment(&[], Some(&plan));
        assert!(text.contains("**Merging `abababa` changes no environment**\n\nQuarterdeck keeps"), "{text}");
        assert!(text.starts_with(&plan_marker(&plan.environments[0].environment)), "{text}");
        assert!(!text.contains(&marker(&"shop".parse().unwrap())), "{text}");
    }

    /// More than a comment has room for.
    pub(in super::super) fn large() -> MergePlan {
        let name = "n".repeat(100);
        let many = (0..500).map(|_| change(Action::Prune, "ConfigMap", &name)).collect();
        MergePlan { commit: commit(), environments: vec![planned("shop/prod", many)] }
    }

    #[test]
    fn a_large_plan_is_cut_at_a_line_and_says_how_much_is_missing() {
        let text = comment(&[], Some(&large()));
        assert!(text.chars().count() < CHARS_MAX + 300, "{}", text.len());
        let shown = text.lines().filter(|line| line.starts_with("  - prune")).count();
        assert!(shown > 20 && text.contains(&format!("- and {} more lines", 500 - shown)), "{shown}: {text}");
    }
}

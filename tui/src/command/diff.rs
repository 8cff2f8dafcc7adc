//! `qd diff APP[/ENV]`: what a sync would change in the cluster. Exits 0 for nothing, 1 for something, above for errors, as
//! `kubectl diff` does.
//!
//! JSON: [`DiffAnswer`]: `environment`, `plan` (`revision`, `changes` with `resource`, `action` as `create`, `configure`,
//! `unchanged`, `prune`, `skip`, `fields`, `reason`, and `steps` with `action` as `apply`, `delete`, `hook`, `resources`, `wait`,
//! `timeout_seconds` and, of a hook, its `phase` and `weight`), `objects` (`resource`, `action`, `live`, `desired` as YAML).
//!
//! For people, a unified difference on standard output, so that it can be paged, mailed and highlighted; counts and what
//! is skipped on standard error.

use std::io;
use std::time::Duration;

use quarterdeck_shared::change::{Action, Change, FieldChange, Plan};
use quarterdeck_shared::protocol::{DiffAnswer, ObjectDiff};
use quarterdeck_shared::queries::AtRevision;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::routes;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::command::arguments::{At, InForm, Of};
use crate::command::several::{self, NAME_ONE};
use crate::command::{CommandError, Context};
use crate::exit::Exit;
use crate::output::Line;
use crate::status_style::{Tone, of_action};

/// What a sync would change in the cluster.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which environment.
    #[command(flatten)]
    pub of: Of,

    /// At which revision.
    #[command(flatten)]
    pub at: At,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let of = &args.of.address;
    let at = AtRevision { revision: args.at.revision.clone() };
    let answer = context.client.get(&routes::DIFF.of_with(of, &at)).await;
    let answer: DiffAnswer = several::one(answer, of, NAME_ONE, context).await?;
    context.answer(args.form.output, &answer, people)?;
    Ok(if answer.plan.differs() { Exit::Failed } else { Exit::Done })
}

fn people(context: &mut Context, answer: &DiffAnswer) -> io::Result<()> {
    let plan = &answer.plan;
    for change in plan.changes.iter().filter(|change| writes(change.action)) {
        let object = answer.objects.iter().find(|object| object.resource == change.resource);
        one(change, object, plan, context)?;
    }
    for change in plan.changes.iter().filter(|change| change.action == Action::Skip) {
        let reason = change.reason.as_deref().unwrap_or("left alone");
        context.output.note(&format!("skipped {}: {reason}", change.resource.short()))?;
    }
    for change in plan.changes.iter().filter(|change| change.action == Action::Unchanged) {
        if let Some(reason) = &change.reason {
            context.output.note(&format!("unchanged {}: {reason}", change.resource.short()))?;
        }
    }
    context.output.note(&format!("{} to {}: {}", answer.environment, plan.revision.short(), plan.summary()))?;
    plan.step_lines().iter().try_for_each(|line| context.output.note(line))
}

fn writes(action: Action) -> bool {
    matches!(action, Action::Create | Action::Configure | Action::Prune)
}

/// One object: its difference as text, else (a masked Secret looks the same on both sides) the fields that differ.
fn one(change: &Change, object: Option<&ObjectDiff>, plan: &Plan, context: &mut Context) -> io::Result<()> {
    let reason = change.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let title = format!("{} {}{reason}", change.action, change.resource.short());
    context.output.line(Line::new().with(Tone::Strong, title))?;
    let written = match object {
        Some(object) => {
            let sides = (object.live.as_deref().unwrap_or(""), object.desired.as_deref().unwrap_or(""));
            text(sides, &format!("live {}", place(&change.resource)), &plan.revision.short(), context)?
        }
        None => false,
    };
    if !written {
        fields(change).into_iter().try_for_each(|line| context.output.line(line))?;
    }
    Ok(())
}

/// `Deployment/prod/shop`.
fn place(resource: &ResourceRef) -> String {
    let parts = [Some(&*resource.kind), resource.namespace.as_deref(), Some(&*resource.name)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("/")
}

/// The unified difference of two texts; whether there was any.
fn text((live, desired): (&str, &str), left: &str, right: &str, context: &mut Context) -> io::Result<bool> {
    // Two manifests of 10 MB could take minutes to compare well; after this long they are compared well enough.
    let diff = TextDiff::configure().timeout(Duration::from_secs(2)).diff_lines(live, desired);
    let unified = diff.unified_diff();
    let mut any = false;
    for hunk in unified.iter_hunks() {
        if !any {
            context.output.line(Line::new().with(Tone::Bad, format!("--- {left}")))?;
            context.output.line(Line::new().with(Tone::Good, format!("+++ {right}")))?;
            any = true;
        }
        context.output.line(Line::new().with(Tone::Busy, hunk.header().to_string().trim_end()))?;
        for change in hunk.iter_changes() {
            let (sign, tone) = match change.tag() {
                ChangeTag::Delete => ('-', Tone::Bad),
                ChangeTag::Insert => ('+', Tone::Good),
                ChangeTag::Equal => (' ', Tone::Plain),
            };
            let text = change.value().trim_end_matches(['\r', '\n']);
            context.output.line(Line::new().with(tone, format!("{sign}{text}")))?;
        }
    }
    Ok(any)
}

/// A plan as lines: `~ Deployment/shop  spec.replicas: 2 → 3`.
pub(super) fn plan_lines(plan: &Plan) -> Vec<Line> {
    let mut lines = Vec::new();
    for change in plan.changes.iter().filter(|change| change.action != Action::Unchanged) {
        let meaning = of_action(change.action);
        let reason = change.reason.as_ref().map(|reason| format!("  {reason}")).unwrap_or_default();
        let title = format!("{} {}", meaning.sign, change.resource.short());
        lines.push(Line::new().with(meaning.tone, title).with(Tone::Quiet, reason));
        lines.extend(fields(change));
    }
    lines
}

fn fields(change: &Change) -> Vec<Line> {
    let value = |value: &Option<Value>| match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    let line = |field: &FieldChange| {
        let default = if field.default { " (default)" } else { "" };
        let by = field.manager.as_ref().map(|manager| format!("  set by {manager}")).unwrap_or_default();
        Line::new()
            .with(Tone::Plain, format!("    {}: ", field.path))
            .with(Tone::Bad, value(&field.live))
            .with(Tone::Plain, " → ")
            .with(Tone::Good, value(&field.desired))
            .with(Tone::Quiet, format!("{default}{by}"))
    };
    change.fields.iter().map(line).collect()
}

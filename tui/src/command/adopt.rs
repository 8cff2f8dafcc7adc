//! `qd adopt APP[/ENV]`: makes the objects that git names, and that Argo CD, Flux or Helm holds, the environment's own. It writes
//! ownership and nothing else, and shows first what it would write.
//!
//! JSON: [`AdoptionAnswer`]: `environment`, `revision`, `objects` (`resource`, `held_by` with `holder` and `sign`, `managers`,
//! `labels`, `inventory`, `removes`, `differs`, `problem`), `holders` (`holder`, `does`, `turn_off`, `not_in_git`), `refusals`,
//! `free`, `missing`, `unseen`. Exits 1 where another environment has one of the objects: nothing is adopted then.

use std::io;

use quarterdeck_shared::protocol::{Accepted, AdoptedObject, AdoptionAnswer, HolderAnswer};
use quarterdeck_shared::routes;

use crate::command::arguments::{InForm, Of};
use crate::command::several::{self, NAME_ONE};
use crate::command::{CommandError, Context};
use crate::exit::Exit;
use crate::output::Line;
use crate::status_style::Tone;
use crate::text::counted;

/// Take over the objects that Argo CD, Flux or Helm holds, without changing them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which environment.
    #[command(flatten)]
    pub of: Of,

    /// Show what would be written, and write nothing.
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,

    /// Do not ask before it is written.
    #[arg(short, long)]
    pub yes: bool,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let of = &args.of.address;
    let answer = context.client.get(&routes::ADOPTION.of(of)).await;
    let answer: AdoptionAnswer = several::one(answer, of, NAME_ONE, context).await?;
    context.answer(args.form.output, &answer, people)?;
    for refusal in &answer.refusals {
        context.output.complain(&format!("qd: {refusal}"))?;
    }
    if !answer.refusals.is_empty() {
        return Ok(Exit::Failed);
    }
    let pending = answer.pending();
    if pending == 0 {
        context.output.note(&format!("{}: nothing to adopt.", answer.environment))?;
        return Ok(Exit::Done);
    }
    if args.dry_run {
        return Ok(Exit::Done);
    }
    let question = format!("adopt {}?", counted(pending as u64, "object", "objects"));
    if !(args.yes || context.confirm(&question).await?) {
        return Ok(Exit::Done);
    }
    let accepted: Accepted = context.client.post_empty(&routes::ADOPT.of(&answer.environment.clone().into())).await?;
    context.output.note(&accepted.message)?;
    Ok(Exit::Done)
}

fn people(context: &mut Context, answer: &AdoptionAnswer) -> io::Result<()> {
    for object in &answer.objects {
        object_lines(object).into_iter().try_for_each(|line| context.output.line(line))?;
    }
    for holder in &answer.holders {
        holder_lines(holder).into_iter().try_for_each(|line| context.output.line(line))?;
    }
    for unseen in &answer.unseen {
        context.output.note(&format!("not seen: {unseen}"))?;
    }
    let AdoptionAnswer { environment, revision, objects, free, missing, .. } = answer;
    let pending = counted(answer.pending() as u64, "object", "objects");
    let done = objects.len() - answer.pending();
    let differing = objects.iter().filter(|object| object.differs.is_some_and(|fields| fields > 0)).count();
    context.output.note(&format!(
        "{environment} at {}: {pending} to adopt, {done} adopted, {free} held by no controller, {missing} missing",
        revision.short()
    ))?;
    if differing > 0 {
        let objects = counted(differing as u64, "object", "objects");
        context.output.note(&format!("the next sync changes {objects}; adopting changes only ownership"))?;
    }
    Ok(())
}

fn object_lines(object: &AdoptedObject) -> Vec<Line> {
    let held: Vec<String> = object.held_by.iter().map(|held| format!("{} ({})", held.holder, held.sign)).collect();
    let title = object.resource.with_namespace();
    let mut lines = vec![Line::new().with(Tone::Strong, title).with(Tone::Plain, format!(": {}", held.join(", ")))];
    let mut tell = |tone, text: String| lines.push(Line::new().with(tone, format!("    {text}")));
    if object.is_done() {
        tell(Tone::Quiet, "already adopted".to_owned());
    }
    if !object.managers.is_empty() {
        tell(Tone::Plain, format!("takes over the fields of {}", object.managers.join(", ")));
    }
    let adds = [(object.labels, "labels of the environment"), (object.inventory, "entry in the inventory")];
    let adds: Vec<&str> = adds.iter().filter(|(is_new, _)| *is_new).map(|(_, what)| *what).collect();
    if !adds.is_empty() {
        tell(Tone::Good, format!("adds {}", adds.join(", ")));
    }
    for tracking in &object.removes {
        tell(Tone::Bad, format!("removes {tracking}: its holder deletes and reverts objects by it"));
    }
    match object.differs {
        Some(0) => {}
        Some(fields) => {
            let fields = counted(u64::from(fields), "field", "fields");
            tell(Tone::Warning, format!("differs from git in {fields}"));
        }
        None => tell(Tone::Warning, format!("cannot be compared with git: {}", object.problem)),
    }
    lines
}

fn holder_lines(holder: &HolderAnswer) -> Vec<Line> {
    let mut lines = vec![Line::new().with(Tone::Strong, holder.holder.clone())];
    let mut tell = |tone, text: String| lines.push(Line::new().with(tone, format!("    {text}")));
    holder.does.iter().for_each(|does| tell(Tone::Warning, does.clone()));
    if !holder.turn_off.is_empty() {
        tell(
            Tone::Plain,
            "it may write its ownership again until it is turned off; to do that and keep the objects:".to_owned(),
        );
        holder.turn_off.iter().for_each(|command| tell(Tone::Plain, format!("  {command}")));
    }
    if !holder.not_in_git.is_empty() {
        tell(Tone::Plain, "not in git, stays unchanged:".to_owned());
        holder.not_in_git.iter().for_each(|object| tell(Tone::Plain, format!("  {}", object.with_namespace())));
    }
    if holder.more_not_in_git > 0 {
        tell(Tone::Quiet, format!("  and {} more", holder.more_not_in_git));
    }
    lines
}

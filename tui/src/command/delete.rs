//! `qd delete APP[/ENV]`: suspends an environment and deletes all of its objects, with the hooks of its chart for that, and waits for the
//! end. It shows first what it would delete.
//!
//! JSON: [`DeletionAnswer`]: `environment`, `plan` (`revision`, `changes`, `steps`), `no_hooks`; then, unless `--dry-run`, [`Accepted`]:
//! `message`, `deletion`. Exits 1 where not all was deleted.

use std::io;
use std::time::Duration;

use quarterdeck_shared::error::Failure;
use quarterdeck_shared::protocol::{Accepted, DeleteRequest, DeletionAnswer};
use quarterdeck_shared::routes;

use crate::command::arguments::{InForm, Of};
use crate::command::diff::plan_lines;
use crate::command::several::{self, NAME_ONE};
use crate::command::wait::{self, Goal, Judgement};
use crate::command::{CommandError, Context, act};
use crate::exit::Exit;
use crate::text::counted;

/// A deletion ends by its own time limits; this only ends a wait for an agent that does not come back.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Suspend an environment and delete all of its objects.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which environment.
    #[command(flatten)]
    pub of: Of,

    /// Leave out the pre-delete and post-delete hooks of its chart.
    #[arg(long)]
    pub no_hooks: bool,

    /// Show what would be deleted, and delete nothing.
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,

    /// Do not ask before it is deleted.
    #[arg(short, long)]
    pub yes: bool,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let of = &args.of.address;
    let answer = context.client.get(&routes::DELETION.of(of)).await;
    let answer: DeletionAnswer = several::one(answer, of, NAME_ONE, context).await?;
    context.answer(args.form.output, &answer, people)?;
    if !answer.no_hooks.is_empty() && !args.no_hooks {
        let message = format!("the hooks of its chart are not known: {}", answer.no_hooks);
        let hint = "delete it without them: --no-hooks".to_owned();
        return Err(CommandError::NotPassed(Failure { message, hint }));
    }
    if args.dry_run {
        return Ok(Exit::Done);
    }
    let question = format!("suspend {} and delete {}?", answer.environment, objects(&answer));
    if !(args.yes || context.confirm(&question).await?) {
        return Ok(Exit::Done);
    }
    let (of, request) = (answer.environment.into(), DeleteRequest { skip_hooks: args.no_hooks });
    let accepted: Accepted = context.client.post(&routes::DELETE.of(&of), &request).await?;
    act::print_accepted(&accepted, args.form.output, context)?;
    let goal = Goal::Deleted { of, at: accepted.deletion };
    match wait::until(&goal, PATIENCE, args.form.output.is_none(), context).await?.0 {
        Judgement::Good(message) => {
            context.output.note(&message)?;
            Ok(Exit::Done)
        }
        Judgement::Bad(why) => Err(CommandError::NotPassed(why)),
        Judgement::Waiting(state) => {
            Err(CommandError::NotPassed(format!("the deletion has not ended: {state}").into()))
        }
    }
}

fn objects(answer: &DeletionAnswer) -> String {
    use quarterdeck_shared::change::Action;
    let going = answer.plan.changes.iter().filter(|change| change.action == Action::Prune).count();
    counted(going as u64, "object", "objects")
}

fn people(context: &mut Context, answer: &DeletionAnswer) -> io::Result<()> {
    let DeletionAnswer { environment, plan, .. } = answer;
    context.output.line(format!("{environment}: {} to delete", objects(answer)))?;
    plan_lines(plan).into_iter().try_for_each(|line| context.output.line(line))?;
    plan.step_lines().into_iter().try_for_each(|line| context.output.line(line))
}

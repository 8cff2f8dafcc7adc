//! `qd doctor`: git, engine, registries, clusters and renderers, as the agent sees them, and what to do.
//!
//! JSON: an array of [`Check`]: `name`, `result` (`good`, `warning`, `bad`), `message`, `hint`. The first is the agent
//! itself. Exits 1 where something is bad.

use std::io;

use quarterdeck_shared::error::hint_line;
use quarterdeck_shared::protocol::{Check, CheckResult, VersionAnswer};
use quarterdeck_shared::routes;

use crate::command::arguments::InForm;
use crate::command::{CommandError, Context};
use crate::exit::Exit;
use crate::output::Line;
use crate::status_style::{Tone, of_check};
use crate::text::{age, columns};

/// Check git, engine, registries, clusters and renderers, and say what to do.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let version: VersionAnswer = context.client.get(routes::VERSION.path()).await?;
    let mut checks = vec![agent(&version, context)];
    checks.extend(context.client.get::<Vec<Check>>(routes::DOCTOR.path()).await?);
    context.answer(args.form.output, &checks, people)?;
    let bad = checks.iter().any(|check| check.result == CheckResult::Bad);
    Ok(if bad { Exit::Failed } else { Exit::Done })
}

/// That it answers is what is to be known; and what it lets us do.
fn agent(version: &VersionAnswer, context: &Context) -> Check {
    let ours = env!("CARGO_PKG_VERSION");
    let up = age(version.started, (context.clock)());
    let (result, hint) = match version.agent == ours {
        true => (CheckResult::Good, String::new()),
        false => {
            (CheckResult::Warning, format!("this qd is {ours}; they work together, but install them from one build"))
        }
    };
    let message =
        format!("version {}, process {}, up {up}; your role is {}", version.agent, version.pid, version.role.word());
    Check { name: "agent".to_owned(), result, message, hint }
}

fn people(context: &mut Context, checks: &Vec<Check>) -> io::Result<()> {
    let width = checks.iter().map(|check| columns(&check.name)).max().unwrap_or(0);
    for check in checks {
        let meaning = of_check(check.result);
        let word = match check.result {
            CheckResult::Good => "good",
            CheckResult::Warning => "warning",
            CheckResult::Bad => "bad",
        };
        let word = format!("{word:<7}");
        let padding = " ".repeat(width - columns(&check.name));
        context.output.line(
            Line::new()
                .with(meaning.tone, context.output.word(meaning, &word))
                .with(Tone::Strong, format!("  {}{padding}  ", check.name))
                .with(Tone::Plain, &*check.message),
        )?;
        if !check.hint.is_empty() {
            context.output.line(Line::new().with(Tone::Warning, format!("    {}", hint_line(&check.hint))))?;
        }
    }
    Ok(())
}

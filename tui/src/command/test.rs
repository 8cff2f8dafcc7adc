//! `qd test APP[/ENV]`: runs the tests of the chart that an environment runs, and waits for their end.
//!
//! JSON: [`TestsAnswer`]: `environment`, `run` (`at`, `cause`, `only`, `timeout_seconds`, `revision`, `phase`, `finished`, `message`,
//! `hint`), `tests` (`resource`, `weight`, `phase`, `seconds`, `message`, `hint`, `log`). Exits 1 where a test failed, where none was
//! run, and where the tests were stopped.

use std::io;
use std::time::Duration;

use quarterdeck_shared::error::hint_line;
use quarterdeck_shared::protocol::{Accepted, ChartTest, TestRequest, TestsAnswer};
use quarterdeck_shared::routes;
use quarterdeck_shared::status::Phase;

use crate::command::arguments::{InForm, Of};
use crate::command::several::{self, NAME_ONE};
use crate::command::wait::{self, Goal, Judgement};
use crate::command::{CommandError, Context};
use crate::exit::Exit;
use crate::output::Line;
use crate::status_style::{Tone, of_phase};

/// Tests end by their own time limits; this only ends a wait for an agent that does not come back.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Run the tests of the chart of an environment, and wait for their end.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which environment.
    #[command(flatten)]
    pub of: Of,

    /// Only the test of this name, or the tests whose names begin so: `shop-grpc*`. May be given again.
    #[arg(long, value_name = "NAME")]
    pub filter: Vec<String>,

    /// How long each test may take; `hook_timeout` of the environment (5m) by default.
    #[arg(long, value_name = "TIME", value_parser = whole_seconds)]
    pub timeout: Option<Duration>,

    /// Show the last lines that each test wrote; of a test that failed they are always shown.
    #[arg(long)]
    pub logs: bool,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time.as_secs() > 0 => Ok(time),
        Ok(_) => Err("at least 1s".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let of = &args.of.address;
    let request = TestRequest { only: args.filter.clone(), timeout_seconds: args.timeout.map(|time| time.as_secs()) };
    let accepted = context.client.post(&routes::TEST.of(of), &request).await;
    let accepted: Accepted = several::one(accepted, of, NAME_ONE, context).await?;
    let is_for_people = args.form.output.is_none();
    if is_for_people {
        context.output.note(&accepted.message)?;
    }
    let goal = Goal::Tested { of: of.clone(), at: accepted.tests };
    let ended = wait::until(&goal, PATIENCE, is_for_people, context).await?.0;
    // The answer is of the newest run: where another one came since, this one's end is known by its event alone.
    let answer: TestsAnswer = context.client.get(&routes::TESTS.of(of)).await?;
    if accepted.tests.is_some_and(|at| at == answer.run.at) {
        context.answer(args.form.output, &answer, |context, answer| people(context, answer, args.logs))?;
    }
    match ended {
        Judgement::Good(_) => Ok(Exit::Done),
        // The answer says why.
        Judgement::Bad(_) if !is_for_people => Ok(Exit::Failed),
        Judgement::Bad(why) => Err(CommandError::NotPassed(why)),
        Judgement::Waiting(state) => Err(CommandError::NotPassed(format!("the tests have not ended: {state}").into())),
    }
}

fn people(context: &mut Context, answer: &TestsAnswer, logs: bool) -> io::Result<()> {
    for test in &answer.tests {
        lines(test, logs).into_iter().try_for_each(|line| context.output.line(line))?;
    }
    if answer.run.phase == Phase::Succeeded {
        context.output.line(format!(
            "{} at {}: {}",
            answer.environment,
            answer.run.revision.short(),
            answer.run.message
        ))?;
    }
    Ok(())
}

fn lines(test: &ChartTest, logs: bool) -> Vec<Line> {
    let word = match test.phase {
        Phase::Succeeded => "passed",
        Phase::Failed => "failed",
        Phase::Cancelled => "stopped",
        _ => "not run",
    };
    let took = if test.phase == Phase::Skipped { String::new() } else { format!("  {:.1} s", test.seconds) };
    let line = Line::new().with(of_phase(test.phase).tone, format!("{word:<8}"));
    let mut lines = vec![line.with(Tone::Plain, test.resource.short()).with(Tone::Quiet, took)];
    let mut tell = |tone, text: String| lines.push(Line::new().with(tone, format!("    {text}")));
    if !test.message.is_empty() {
        tell(Tone::Plain, test.message.clone());
    }
    if !test.hint.is_empty() {
        tell(Tone::Plain, hint_line(&test.hint));
    }
    if logs || test.phase == Phase::Failed {
        test.log.iter().for_each(|line| tell(Tone::Quiet, format!("| {line}")));
    }
    lines
}

//! `qd runs [APP]`, `qd runs show ID`, `qd runs log ID`, `qd runs packages ID` (see [`packages`]), `qd runs cancel ID`, `qd runs retry ID`, `qd runs allow ID`: the
//! runs that built, tested and pushed.
//!
//! JSON: an array of [`RunStatus`], newest first: `id`, `resumes` (the first run of its trigger, where one was cut off),
//! `behind` (the run that is done before it), `application`, `goal` (`build`, `push`), `rebuild`, `cause`, `permission` (of a fork's code: `awaited`, `given`), `reference`,
//! `commit`, `subject`, `phase`, `stages` (`kind`, `environment` of a promotion, `phase`, `started`, `finished`,
//! `percent`, `message`), `queued`, `started`, `finished`, `message`, `artifact` (`tag`, `images`, `tested`), `tests` (`name`,
//! `phase`, `message`, `cases`: `passed`, `failed`, `skipped`, `failures`), `scans` (`name`, `digest`, `by`, `scanner`, `scanned`,
//! `counts`: `severity`, `total`, `fixable`, then `accepted`, `refused`, and the worst `vulnerabilities`: `id`, `severity`,
//! `severity_word`, `package`, `version`, `fixed_in`, `accepted`), `promoted` (a commit by environment). `show` gives
//! one. `log` gives a record a line, see [`crate::command::logs`], or with `--steps` an array, see [`steps`]. `cancel` gives [`Accepted`]: `message`; so do `retry`,
//! with the new `run`, and `allow`.

use std::io;

use clap::Subcommand;
use quarterdeck_shared::application::Severity;
use quarterdeck_shared::id::TypedId;
use quarterdeck_shared::protocol::{Accepted, ROWS_MAX};
use quarterdeck_shared::queries::{LogOptions, RunsQuery};
use quarterdeck_shared::routes::{self, Route};
use quarterdeck_shared::snapshot::{Cases, RunStatus, Vulnerability};

use crate::command::arguments::{InForm, InListForm, OfAnyApplication, OneRun, run_id};
use crate::command::logs::{self, Prefix};
use crate::command::{CommandError, Context, Format, ListFormat, act, packages, steps};
use crate::event_text::stage_called;
use crate::exit::Exit;
use crate::output::Line;
use crate::output::table::{Cell, Column, Table};
use crate::screen::runs::columns;
use crate::status_style::{Tone, of_phase, of_severity};
use crate::text::span;

/// The runs of one application, or of all.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// What to do with one run; a list of them where absent.
    #[command(subcommand)]
    pub command: Option<RunCommand>,

    /// Which application, or all.
    #[command(flatten)]
    pub of: OfAnyApplication,

    /// How many, from the newest.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = limit)]
    pub limit: usize,

    /// Only those older than this run.
    #[arg(long, value_name = "RUN", value_parser = run_id)]
    pub before: Option<TypedId>,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InListForm,
}

/// What to do with one run.
#[derive(Debug, Subcommand)]
pub enum RunCommand {
    /// All about one run.
    Show(OneArgs),
    /// The log of a run.
    Log(LogArgs),
    /// What is in the images that a run pushed.
    Packages(packages::Args),
    /// Stop a run.
    Cancel(OneArgs),
    /// Queue a run that has ended once more: what it did is not done again.
    Retry(OneArgs),
    /// Let a run of a fork's code run: without secrets, and nothing of it is pushed.
    Allow(OneArgs),
}

/// One run.
#[derive(Debug, clap::Args)]
pub struct OneArgs {
    /// Which.
    #[command(flatten)]
    pub run: OneRun,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

/// The log of a run.
#[derive(Debug, clap::Args)]
pub struct LogArgs {
    /// Which.
    #[command(flatten)]
    pub run: OneRun,

    /// Follow the log until the run ends.
    #[arg(short, long)]
    pub follow: bool,

    /// The steps of its builds, each with how long it took, instead of the lines.
    #[arg(long)]
    pub steps: bool,

    /// The output format; text by default. json: a record per line.
    #[arg(short, long, value_name = "FORM")]
    pub output: Option<Format>,
}

/// A number of rows that an answer can hold.
pub(super) fn limit(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=ROWS_MAX).contains(&n) => Ok(n),
        _ => Err(format!("not a number from 1 to {ROWS_MAX}")),
    }
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    match &args.command {
        None => list(args, context).await,
        Some(RunCommand::Show(args)) => {
            let run: RunStatus = context.client.get(&routes::RUN.of(&args.run.id)).await?;
            context.answer(args.form.output, &run, page)?;
            Ok(Exit::Done)
        }
        Some(RunCommand::Log(args)) => {
            let lines = LogOptions { follow: args.follow, tail: None };
            let records = context.client.stream(&routes::RUN_LOG.of_with(&args.run.id, &lines), None).await?;
            if args.steps {
                return steps::write(records, args.output, context).await;
            }
            logs::write(records, Prefix::Source, false, args.output, context).await
        }
        Some(RunCommand::Packages(args)) => packages::run(args, context).await,
        Some(RunCommand::Cancel(args)) => ask(&routes::CANCEL, args, context).await,
        Some(RunCommand::Retry(args)) => ask(&routes::RETRY, args, context).await,
        Some(RunCommand::Allow(args)) => ask(&routes::ALLOW, args, context).await,
    }
}

/// Asks for something to be done with one run.
async fn ask(route: &Route<TypedId>, args: &OneArgs, context: &mut Context) -> Result<Exit, CommandError> {
    let accepted: Accepted = context.client.post_empty(&route.of(&args.run.id)).await?;
    act::print_accepted(&accepted, args.form.output, context)
}

async fn list(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let query = RunsQuery { application: args.of.application.clone(), limit: Some(args.limit), before: args.before };
    let runs: Vec<RunStatus> = context.client.get(&routes::RUNS.with(&query)).await?;
    let now = (context.clock)();
    match args.form.output {
        Some(ListFormat::Json) => context.output.json(&runs)?,
        Some(ListFormat::Name) => runs.iter().try_for_each(|run| context.output.line(format!("run/{}", run.id)))?,
        None if runs.is_empty() && args.before.is_some() => context.output.note("No older runs.")?,
        None if runs.is_empty() => {
            context.output.note("No runs yet: a tag such as build-1.0 or push-1.0 makes one.")?
        }
        None | Some(ListFormat::Wide) => {
            context.output.table(&Table::of(&columns(), args.form.table(), &runs, now))?;
            if let Some(oldest) = runs.last().filter(|_| runs.len() == args.limit) {
                context.output.note(&format!("-- older ones: --before {}", oldest.id.number))?;
            }
        }
    }
    Ok(Exit::Done)
}

/// All about one run.
fn page(context: &mut Context, run: &RunStatus) -> io::Result<()> {
    let now = (context.clock)();
    let phase = of_phase(run.phase);
    let facts = [
        ("Run", Tone::Strong, run.id.number.to_string()),
        ("Id", Tone::Quiet, run.id.to_string()),
        ("Application", Tone::Strong, run.application.to_string()),
        ("Goal", Tone::Plain, run.goal.word().to_owned()),
        ("Phase", phase.tone, context.output.word(phase, run.phase.word())),
        ("Message", Tone::Plain, run.line().into_owned()),
        ("Hint", Tone::Plain, run.hint.clone()),
        ("Resumes", Tone::Plain, run.resumes.map(|run| format!("run {}", run.number)).unwrap_or_default()),
        ("Cause", Tone::Plain, run.cause.describe()),
        ("Reference", Tone::Plain, run.reference.clone()),
        ("Commit", Tone::Plain, run.commit.to_string()),
        ("Subject", Tone::Plain, run.subject.clone()),
        ("Queued", Tone::Plain, context.local(run.queued)),
    ];
    let images = run.artifact.iter().flat_map(|artifact| artifact.pinned());
    let images = images.enumerate().map(|(at, image)| (if at == 0 { "Images" } else { "" }, Tone::Plain, image));
    let promoted = run.promoted.iter().enumerate().map(|(at, (environment, commit))| {
        (if at == 0 { "Promoted" } else { "" }, Tone::Plain, format!("{environment} {commit}"))
    });
    for (name, tone, text) in facts.into_iter().chain(images).chain(promoted).filter(|(_, _, text)| !text.is_empty()) {
        context.output.line(Line::new().with(Tone::Quiet, format!("{name:<12}")).with(tone, text))?;
    }
    let mut stages = Table::new(&[
        Column::text("STAGE"),
        Column::text("PHASE"),
        Column::text("TOOK"),
        Column::numbers("PERCENT"),
        Column::prose("MESSAGE"),
    ]);
    for stage in &run.stages {
        stages.row(vec![
            stage_called(stage.kind, stage.environment.as_ref()).into(),
            Cell::of(of_phase(stage.phase), stage.phase.word()),
            Cell::quiet(span(stage.started, stage.finished, now)),
            stage.percent.map(|percent| percent.to_string()).unwrap_or_default().into(),
            (&stage.message).into(),
        ]);
    }
    context.output.line("")?;
    context.output.table(&stages)?;
    tests(context, run)?;
    scans(context, run)
}

/// What the tests of a run came to, and the cases that failed.
fn tests(context: &mut Context, run: &RunStatus) -> io::Result<()> {
    if run.tests.is_empty() {
        return Ok(());
    }
    let mut tests = Table::new(&[
        Column::text("TEST"),
        Column::text("PHASE"),
        Column::numbers("PASSED"),
        Column::numbers("FAILED"),
        Column::numbers("SKIPPED"),
        Column::prose("MESSAGE"),
    ]);
    let mut failures = Table::new(&[Column::text("TEST"), Column::prose("FAILED CASE"), Column::prose("MESSAGE")]);
    for test in &run.tests {
        let count = |of: fn(&Cases) -> u32| test.cases.as_ref().map(|cases| of(cases).to_string()).unwrap_or_default();
        tests.row(vec![
            test.name.to_string().into(),
            Cell::of(of_phase(test.phase), test.phase.word()),
            count(|cases| cases.passed).into(),
            count(|cases| cases.failed).into(),
            count(|cases| cases.skipped).into(),
            (&test.message).into(),
        ]);
        for case in test.cases.iter().flat_map(|cases| &cases.failures) {
            failures.row(vec![test.name.to_string().into(), (&case.name).into(), (&case.message).into()]);
        }
    }
    context.output.line("")?;
    context.output.table(&tests)?;
    if run.tests.iter().flat_map(|test| &test.cases).any(|cases| !cases.failures.is_empty()) {
        context.output.line("")?;
        context.output.table(&failures)?;
    }
    Ok(())
}

/// What the scans of a run found: counts by severity, and the worst.
fn scans(context: &mut Context, run: &RunStatus) -> io::Result<()> {
    if run.scans.is_empty() {
        return Ok(());
    }
    let mut scans = Table::new(&[
        Column::text("IMAGE"),
        Column::numbers("CRITICAL"),
        Column::numbers("HIGH"),
        Column::numbers("MEDIUM"),
        Column::numbers("LOW"),
        Column::numbers("OTHER"),
        Column::numbers("FIXABLE"),
        Column::numbers("ACCEPTED"),
        Column::numbers("REFUSED"),
        Column::text("SCANNER"),
    ]);
    let mut worst = Table::new(&[
        Column::text("VULNERABILITY"),
        Column::text("SEVERITY"),
        Column::text("PACKAGE"),
        Column::text("VERSION"),
        Column::text("FIXED IN"),
        Column::prose("ACCEPTED"),
    ]);
    for scan in &run.scans {
        let other = scan.count(Severity::Negligible) + scan.count(Severity::Unknown);
        let counts = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low].map(|one| scan.count(one));
        let numbers = counts.into_iter().chain([other, scan.fixable(), scan.accepted, scan.refused]);
        let mut row: Vec<Cell> = vec![(&scan.name).into()];
        row.extend(numbers.map(|number| Cell::from(number.to_string())));
        row.push((&scan.scanner).into());
        scans.row(row);
        scan.vulnerabilities.iter().for_each(|one| worst.row(vulnerability(one)));
    }
    context.output.line("")?;
    context.output.table(&scans)?;
    let (total, listed) = run
        .scans
        .iter()
        .fold((0, 0), |(total, listed), scan| (total + scan.total() as usize, listed + scan.vulnerabilities.len()));
    if listed > 0 {
        context.output.line("")?;
        context.output.table(&worst)?;
    }
    if total > listed {
        context.output.line("")?;
        let text = format!("the worst {listed} of {total}; `qd runs log {}` has more", run.id.number);
        context.output.line(Line::new().with(Tone::Quiet, text))?;
    }
    Ok(())
}

fn vulnerability(one: &Vulnerability) -> Vec<Cell> {
    // What somebody accepted asks for no look.
    let tone = if one.accepted.is_some() { Tone::Quiet } else { of_severity(one.severity) };
    vec![
        (&one.id).into(),
        Cell::toned(tone, one.severity_text()),
        (&one.package).into(),
        (&one.version).into(),
        one.fixed_in.clone().unwrap_or_default().into(),
        one.accepted.clone().unwrap_or_default().into(),
    ]
}

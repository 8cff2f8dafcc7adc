//! `qd status [APP]`: how applications are.
//!
//! JSON: an array of applications; with APP, that one object. An application is
//! [`ApplicationStatus`](quarterdeck_shared::snapshot::ApplicationStatus): `name`, `sync` (`Synced`, `OutOfSync`,
//! `Unknown`), `health` (`Healthy`, `Suspended`, `Progressing`, `Missing`, `Degraded`, `Unknown`), `revision`
//! (`main@sha1:…`, null before the first sync), `images`, `suspended`, `message`, `since`, `spec`, and where they apply
//! `target`, `pin`, `suspension`, `activity`, `last`, `last_sync`, `artifact`, `drifted`, `resources`; where something of it
//! cannot be seen, `unseen` (`of`: `cluster`, `watch` or `repository`; `what`, `reason`, `last_seen`), and where that makes
//! `sync` or `health` Unknown, `last_known` (`sync`, `health`).

use std::io;

use jiff::Timestamp;
use quarterdeck_shared::protocol::State;
use quarterdeck_shared::snapshot::{
    ApplicationStatus, ConnectionKind, ConnectionStatus, Hold, Object, RepositoryStatus, ResourceStatus, SpecSummary,
};

use crate::column::Form;
use crate::command::arguments::{InListForm, OfAny};
use crate::command::{CommandError, Context, ListFormat, objects, pods};
use crate::exit::Exit;
use crate::meaning::{self, Tone};
use crate::output::Line;
use crate::output::table::{Cell, Column, Table};
use crate::screen::applications::{Row, columns};
use crate::screen::runs;
use crate::text::{age, ago};
use crate::unseen;

/// How applications are: one, or all.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Which application, or all.
    #[command(flatten)]
    pub of: OfAny,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InListForm,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let state = context.client.state().await?;
    let for_people = matches!(args.form.output, None | Some(ListFormat::Wide));
    if for_people {
        banners(&state, context)?;
    }
    match &args.of.application {
        Some(name) => {
            let application = objects::application(&state, name)?;
            match args.form.output {
                Some(ListFormat::Json) => context.output.json(application)?,
                Some(ListFormat::Wide) => context.output.table(&table([application], Form::Wide, context))?,
                Some(ListFormat::Name) => context.output.line(format!("application/{name}"))?,
                None => page(application, &state, context)?,
            }
        }
        None => {
            let all: Vec<_> = objects::applications(&state).collect();
            match args.form.output {
                Some(ListFormat::Json) => context.output.json(&all)?,
                Some(ListFormat::Name) => {
                    all.iter().try_for_each(|a| context.output.line(format!("application/{}", a.name)))?;
                }
                None if all.is_empty() => context.output.note(&nothing_yet(&state))?,
                None | Some(ListFormat::Wide) => context.output.table(&table(all, args.form.table(), context))?,
            }
        }
    }
    if for_people {
        let spec = args.of.application.as_ref().map(|name| objects::application(&state, name)).transpose()?;
        unreachable(&state, spec.map(|application| &application.spec), context)?;
    }
    Ok(Exit::Done)
}

/// What everyone who looks should know first.
fn banners(state: &State, context: &mut Context) -> io::Result<()> {
    let Some(agent) = objects::agent(state) else { return Ok(()) };
    if let Some(banner) = &agent.banner {
        context.output.note(&format!("note: {banner}"))?;
    }
    if let Some(error) = &agent.configuration_error {
        let kept = "the configuration before it stays in force";
        context.output.note(&format!("warning: {} is not in force, {kept}: {error}", agent.configuration))?;
    }
    if let Some(error) = &agent.history_error {
        context.output.note(&format!("warning: the agent {error}"))?;
    }
    Ok(())
}

/// What the agent cannot reach: all of it, or what one application comes from and goes to. What is shown above stands on
/// it; beside the answer, since scripts read its rows.
fn unreachable(state: &State, of: Option<&SpecSummary>, context: &mut Context) -> io::Result<()> {
    let now = (context.clock)();
    let is_of = |one: &Option<String>, name: &str| one.as_deref() == Some(name);
    let mut lines = Vec::new();
    for object in state.objects.values() {
        match object {
            Object::Connection(ConnectionStatus { to, name, reachable: false, error, since, .. })
                if of.is_none_or(|spec| *to != ConnectionKind::Cluster || is_of(&spec.cluster, name)) =>
            {
                let why = error.as_deref().unwrap_or("no answer");
                lines.push(format!("warning: {} {name} unreachable for {}: {why}", to.word(), age(*since, now)));
            }
            Object::Repository(RepositoryStatus { address, polled, error: Some(error), .. })
                if of.is_none_or(|spec| is_of(&spec.repository, address) || is_of(&spec.code, address)) =>
            {
                let since = polled.map_or("never read".to_owned(), |at| format!("last read {}", ago(at, now)));
                lines.push(format!("warning: repository {address} cannot be read, {since}: {error}"));
            }
            _ => {}
        }
    }
    lines.iter().try_for_each(|line| context.output.note(line))
}

fn nothing_yet(state: &State) -> String {
    let place = objects::agent(state).map_or("the agent's configuration", |agent| &agent.configuration);
    format!("No applications yet. Add one to {place}, or see how it works: cargo demo")
}

fn table<'a>(all: impl IntoIterator<Item = &'a ApplicationStatus>, form: Form, context: &Context) -> Table {
    let now = (context.clock)();
    let rows = all.into_iter().map(|application| Row { application, now, says_below: false });
    Table::of(&columns(), form, rows, now)
}

/// All about one application.
fn page(application: &ApplicationStatus, state: &State, context: &mut Context) -> io::Result<()> {
    let now = (context.clock)();
    for line in facts(application, context) {
        context.output.line(line)?;
    }
    let resources: Vec<_> = objects::resources(state, &application.name).filter(|r| r.owner.is_none()).collect();
    if !resources.is_empty() {
        context.output.line("")?;
        context.output.table(&resource_table(&resources, application, now))?;
    }
    let pods = pods::table(objects::pods(state, Some(&application.name)), state, Form::Table, now);
    if !pods.is_empty() {
        context.output.line("")?;
        context.output.table(&pods)?;
    }
    let runs = objects::runs(state, &application.name);
    if !runs.is_empty() {
        context.output.line("")?;
        context.output.table(&Table::of(&runs::columns(), Form::Table, runs.into_iter().take(5), now))?;
    }
    Ok(())
}

/// The facts of one application, a line each, those that do not apply left out.
fn facts(application: &ApplicationStatus, context: &Context) -> Vec<Line> {
    let now = (context.clock)();
    let ago = |at| ago(at, now);
    let hold = |hold: &Hold| {
        let reason = if hold.reason.is_empty() { String::new() } else { format!(": {}", hold.reason) };
        format!("by {}, {}{reason}", hold.cause.words(), ago(hold.at))
    };
    let spec = &application.spec;
    let mut lines = Vec::new();
    let mut fact = |name: &str, tone: Tone, text: String| {
        if !text.is_empty() {
            lines.push(Line::new().with(Tone::Quiet, format!("{name:<12}")).with(tone, text));
        }
    };

    fact("Application", Tone::Strong, application.name.to_string());
    let (sync, health) = (meaning::of_sync(application.sync), meaning::of_health(application.health));
    fact("Sync", sync.tone, context.output.word(sync, application.sync.word()));
    fact("Health", health.tone, context.output.word(health, application.health.word()));
    fact("Since", Tone::Plain, ago(application.since));
    let was = application.last_known.map(|known| format!("{}, {}", known.sync, known.health));
    fact("Last known", Tone::Quiet, was.unwrap_or_default());
    let told = unseen::told(application).is_some();
    fact("Message", Tone::Plain, if told { String::new() } else { application.message.clone() });
    for (at, unseen) in application.unseen.iter().enumerate() {
        fact(if at == 0 { "Unseen" } else { "" }, Tone::Warning, unseen::line(unseen, ago));
    }
    fact("Activity", Tone::Busy, application.activity.clone().unwrap_or_default());
    fact(
        "Suspended",
        Tone::Warning,
        match (&application.suspension, application.suspended) {
            (Some(suspension), true) => hold(suspension),
            (None, true) => "yes".to_owned(),
            (_, false) => String::new(),
        },
    );
    let pinned = application.pin.as_ref().map(|pin| format!("to {} {}", pin.revision.short(), hold(&pin.hold)));
    fact("Pinned", Tone::Warning, pinned.unwrap_or_default());
    fact("Revision", Tone::Plain, application.revision.as_ref().map(ToString::to_string).unwrap_or_default());
    let ahead = application.target.as_ref().filter(|target| Some(*target) != application.revision.as_ref());
    fact("Git says", Tone::Warning, ahead.map(ToString::to_string).unwrap_or_default());
    for (at, image) in application.images.iter().enumerate() {
        fact(if at == 0 { "Images" } else { "" }, Tone::Plain, image.clone());
    }
    fact("Code", Tone::Plain, spec.code.clone().unwrap_or_default());
    let path = Some(&*spec.path).filter(|path| !path.is_empty()).map(|path| format!(", {path}")).unwrap_or_default();
    fact("Manifests", Tone::Plain, spec.repository.as_ref().map(|r| format!("{r}{path}")).unwrap_or_default());
    let place = [spec.cluster.as_deref(), spec.namespace.as_deref()];
    fact("Destination", Tone::Plain, place.into_iter().flatten().collect::<Vec<_>>().join("/"));
    let switches = [
        (spec.automatic, "automatic"),
        (!spec.automatic, "manual"),
        (spec.prune, "prune"),
        (spec.self_heal, "self-heal"),
        (spec.protected, "protected"),
    ];
    let policy: Vec<_> = switches.into_iter().filter(|(on, _)| *on).map(|(_, word)| word).collect();
    fact("Policy", Tone::Plain, policy.join(", "));
    let sync = application.last_sync.as_ref().map(|sync| {
        let what = if sync.message.is_empty() { String::new() } else { format!(": {}", sync.message) };
        format!("#{} {} {} ({}){what}", sync.id, sync.phase, ago(sync.started), sync.cause.words())
    });
    fact("Last sync", Tone::Plain, sync.unwrap_or_default());
    lines
}

fn resource_table(resources: &[&ResourceStatus], application: &ApplicationStatus, now: Timestamp) -> Table {
    let mut table = Table::new(&[
        Column::words("OBJECT"),
        Column::words("SYNC"),
        Column::words("HEALTH"),
        Column::prose("SUMMARY"),
    ]);
    for resource in resources {
        let over = unseen::over_resource(application, &resource.resource);
        let seen = over.map(|over| unseen::last_seen(over, |at| ago(at, now))).unwrap_or_default();
        let summary = [&*seen, &*resource.summary, &*resource.message].into_iter().filter(|part| !part.is_empty());
        table.row(vec![
            resource.resource.short().into(),
            Cell::of(meaning::of_sync(resource.sync), resource.sync.word()).old(over.is_some()),
            Cell::of(meaning::of_health(resource.health), resource.health.word()).old(over.is_some()),
            summary.collect::<Vec<_>>().join("; ").into(),
        ]);
    }
    table
}

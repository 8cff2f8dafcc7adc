//! `qd status [APP[/ENV]]`: how environments are.
//!
//! JSON: an array of environments; with an address that means one, that one object. An environment is
//! [`EnvironmentStatus`]: `environment` (its address), `sync` (`Synced`, `OutOfSync`,
//! `Unknown`), `health` (`Healthy`, `Suspended`, `Progressing`, `Missing`, `Degraded`, `Unknown`), `revision`
//! (`main@sha1:…`, null before the first sync), `images`, `suspended`, `message`, `since`, `spec`, and where they apply
//! `target`, `pin`, `suspension`, `activity`, `last`, `last_sync`, `drifted`, `resources`; where something of it
//! cannot be seen, `unseen` (`of`: `cluster`, `watch` or `repository`; `what`, `reason`, `last_seen`), and where that makes
//! `sync` or `health` Unknown, `last_known` (`sync`, `health`). Applications that are only built have a row, and no object.

use std::io;

use jiff::Timestamp;
use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::protocol::State;
use quarterdeck_shared::snapshot::{
    ApplicationStatus, ConnectionKind, ConnectionStatus, EnvironmentStatus, Hold, Object, RepositoryStatus,
    ResourceStatus, SpecSummary,
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

/// How environments are: one, those of an application, or all.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Which environments, or all.
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
    let found = match &args.of.environment {
        Some(of) => objects::meant(&state, of)?,
        None => objects::environments(&state).collect(),
    };
    match (&*found, args.form.output) {
        ([one], Some(ListFormat::Json)) if args.of.environment.is_some() => context.output.json(one)?,
        (all, Some(ListFormat::Json)) => context.output.json(&all)?,
        (_, Some(ListFormat::Name)) => {
            rows(&state, args, context).iter().try_for_each(|row| context.output.line(path(row)))?;
        }
        ([one], None) if args.of.environment.is_some() => page(one, &state, context)?,
        _ => {
            let rows = rows(&state, args, context);
            if rows.is_empty() {
                context.output.note(&nothing_yet(&state))?;
            } else {
                let now = (context.clock)();
                context.output.table(&Table::of(&columns(), args.form.table(), rows, now))?;
            }
        }
    }
    if for_people {
        let of = args.of.environment.as_ref().map(|of| &of.application);
        unreachable(&state, of, &found, context)?;
    }
    Ok(Exit::Done)
}

/// The environments that are asked for, each with its application, and applications that have none.
fn rows<'a>(state: &'a State, args: &Args, context: &Context) -> Vec<Row<'a>> {
    let now = (context.clock)();
    let of = args.of.environment.as_ref();
    let is_asked = |application: &&ApplicationStatus| of.is_none_or(|of| of.application == application.name);
    let row = |application: &'a ApplicationStatus, environment: Option<&'a EnvironmentStatus>| Row {
        application: Some(application),
        environment,
        worst: None,
        folded: None,
        now,
        says_below: false,
    };
    let mut rows = Vec::new();
    for application in objects::applications(state).filter(is_asked) {
        let ids = application.ids().filter(|id| of.is_none_or(|of| of.means(id)));
        let environments = ids.filter_map(|id| objects::environments(state).find(|one| one.environment == id));
        let own: Vec<_> = environments.map(|environment| row(application, Some(environment))).collect();
        rows.extend(if own.is_empty() { vec![row(application, None)] } else { own });
    }
    rows
}

/// `environment/shop/prod`, or `application/tools` where it has none.
fn path(row: &Row) -> String {
    match (row.environment, row.application) {
        (Some(environment), _) => format!("environment/{}", environment.environment),
        (None, application) => format!("application/{}", application.map_or("", |one| one.name.as_str())),
    }
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

/// What the agent cannot reach: all of it, or what an application comes from and goes to. What is shown above stands on
/// it; beside the answer, since scripts read its rows.
fn unreachable(
    state: &State,
    of: Option<&ApplicationName>,
    shown: &[&EnvironmentStatus],
    context: &mut Context,
) -> io::Result<()> {
    let now = (context.clock)();
    let code = of.and_then(|name| objects::applications(state).find(|one| one.name == *name)?.code.as_ref());
    let is_of = |part: fn(&SpecSummary) -> &String, name: &str| shown.iter().any(|one| part(&one.spec) == name);
    let mut lines = Vec::new();
    for object in state.objects.values() {
        match object {
            Object::Connection(ConnectionStatus { to, name, reachable: false, error, since, .. })
                if of.is_none() || *to != ConnectionKind::Cluster || is_of(|spec| &spec.cluster, name) =>
            {
                let why = error.as_deref().unwrap_or("no answer");
                lines.push(format!("warning: {} {name} unreachable for {}: {why}", to.word(), age(*since, now)));
            }
            Object::Repository(RepositoryStatus { address, polled, error: Some(error), .. })
                if of.is_none() || is_of(|spec| &spec.repository, address) || code == Some(address) =>
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

/// All about one environment.
fn page(environment: &EnvironmentStatus, state: &State, context: &mut Context) -> io::Result<()> {
    let now = (context.clock)();
    for line in facts(environment, state, context) {
        context.output.line(line)?;
    }
    let resources: Vec<_> = objects::resources(state, &environment.environment).filter(|r| r.owner.is_none()).collect();
    if !resources.is_empty() {
        context.output.line("")?;
        context.output.table(&resource_table(&resources, environment, now))?;
    }
    let pods =
        pods::table(objects::pods(state, Some(&environment.environment.clone().into())), state, Form::Table, now);
    if !pods.is_empty() {
        context.output.line("")?;
        context.output.table(&pods)?;
    }
    let runs = objects::runs(state, &environment.environment.application);
    if !runs.is_empty() {
        context.output.line("")?;
        context.output.table(&Table::of(&runs::columns(), Form::Table, runs.into_iter().take(5), now))?;
    }
    Ok(())
}

/// The facts of one environment, a line each, those that do not apply left out.
fn facts(environment: &EnvironmentStatus, state: &State, context: &Context) -> Vec<Line> {
    let now = (context.clock)();
    let ago = |at| ago(at, now);
    let hold = |hold: &Hold| {
        let reason = if hold.reason.is_empty() { String::new() } else { format!(": {}", hold.reason) };
        format!("by {}, {}{reason}", hold.cause.words(), ago(hold.at))
    };
    let spec = &environment.spec;
    let mut lines = Vec::new();
    let mut fact = |name: &str, tone: Tone, text: String| {
        if !text.is_empty() {
            lines.push(Line::new().with(Tone::Quiet, format!("{name:<12}")).with(tone, text));
        }
    };

    let id = &environment.environment;
    fact("Application", Tone::Strong, id.application.to_string());
    fact("Environment", Tone::Strong, id.environment.to_string());
    let (sync, health) = (meaning::of_sync(environment.sync), meaning::of_health(environment.health));
    fact("Sync", sync.tone, context.output.word(sync, environment.sync.word()));
    fact("Health", health.tone, context.output.word(health, environment.health.word()));
    fact("Since", Tone::Plain, ago(environment.since));
    let was = environment.last_known.map(|known| format!("{}, {}", known.sync, known.health));
    fact("Last known", Tone::Quiet, was.unwrap_or_default());
    let told = unseen::told(environment).is_some();
    fact("Message", Tone::Plain, if told { String::new() } else { environment.message.clone() });
    for (at, unseen) in environment.unseen.iter().enumerate() {
        fact(if at == 0 { "Unseen" } else { "" }, Tone::Warning, unseen::line(unseen, ago));
    }
    fact("Activity", Tone::Busy, environment.activity.clone().unwrap_or_default());
    fact(
        "Suspended",
        Tone::Warning,
        match (&environment.suspension, environment.suspended) {
            (Some(suspension), true) => hold(suspension),
            (None, true) => "yes".to_owned(),
            (_, false) => String::new(),
        },
    );
    let pinned = environment.pin.as_ref().map(|pin| format!("to {} {}", pin.revision.short(), hold(&pin.hold)));
    fact("Pinned", Tone::Warning, pinned.unwrap_or_default());
    fact("Revision", Tone::Plain, environment.revision.as_ref().map(ToString::to_string).unwrap_or_default());
    let ahead = environment.target.as_ref().filter(|target| Some(*target) != environment.revision.as_ref());
    fact("Git says", Tone::Warning, ahead.map(ToString::to_string).unwrap_or_default());
    for (at, image) in environment.images.iter().enumerate() {
        fact(if at == 0 { "Images" } else { "" }, Tone::Plain, image.clone());
    }
    let code = objects::applications(state).find(|one| one.name == id.application).and_then(|one| one.code.clone());
    fact("Code", Tone::Plain, code.unwrap_or_default());
    let path = Some(&*spec.path).filter(|path| !path.is_empty()).map(|path| format!(", {path}")).unwrap_or_default();
    fact("Manifests", Tone::Plain, format!("{}{path}", spec.repository));
    fact("Destination", Tone::Plain, format!("{}/{}", spec.cluster, spec.namespace));
    let switches = [
        (spec.automatic, "automatic"),
        (!spec.automatic, "manual"),
        (spec.prune, "prune"),
        (spec.self_heal, "self-heal"),
        (spec.protected, "protected"),
    ];
    let policy: Vec<_> = switches.into_iter().filter(|(on, _)| *on).map(|(_, word)| word).collect();
    fact("Policy", Tone::Plain, policy.join(", "));
    let sync = environment.last_sync.as_ref().map(|sync| {
        let what = if sync.message.is_empty() { String::new() } else { format!(": {}", sync.message) };
        format!("#{} {} {} ({}){what}", sync.id, sync.phase, ago(sync.started), sync.cause.words())
    });
    fact("Last sync", Tone::Plain, sync.unwrap_or_default());
    lines
}

fn resource_table(resources: &[&ResourceStatus], environment: &EnvironmentStatus, now: Timestamp) -> Table {
    let mut table = Table::new(&[
        Column::words("OBJECT"),
        Column::words("SYNC"),
        Column::words("HEALTH"),
        Column::prose("SUMMARY"),
    ]);
    for resource in resources {
        let over = unseen::over_resource(environment, &resource.resource);
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

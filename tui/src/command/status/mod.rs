//! `qd status [APP[/ENV]]`: how applications and their environments are, a row an environment.
//!
//! JSON: an array of environments, and of those applications that have none; where APP or APP/ENV means but one of these,
//! that object. Whoever wants one and the same shape whatever else is configured writes APP/ENV. An environment is
//! [`EnvironmentStatus`]: `environment` (`shop/prod`), `sync` (`Synced`, `OutOfSync`, `Unknown`), `health` (`Healthy`,
//! `Suspended`, `Progressing`, `Missing`, `Degraded`, `Unknown`), `revision` (`main@sha1:…`, null before the first sync),
//! `images`, `suspended`, `message`, `since`, `spec`, and where they apply `target`, `pin` and `suspension` (`reason`, `cause`,
//! `at`), `pending` (`commits`, `newest`: what waits in git), `progress` (`step`: `queued`, `rendering`, `planning` with
//! `objects`, `applying` with `done`, `of`, `waiting`, each a `kind` and its `count`, and `hook`: `resource`, `moment` with `phase` and
//! `weight`, `message`), `last`, `last_sync`, `drifted`, `resources`; where something of it cannot be seen, `unseen` (`of`: `cluster`, `watch` or
//! `repository`; `what`, `reason`, `last_seen`), and where that makes `sync` or `health` Unknown, `last_known` (`sync`,
//! `health`). An application is [`ApplicationStatus`]: `name`, `environments` (none), `images`, and where they apply `code`,
//! `defined` (`source`, `file`: where it is defined, if not in the configuration), `last`, `artifact`, `message`, `unseen`.
//!
//! `-o name` has `environment/shop/prod`, and `application/tools` of an application that has no environments.

mod page;

use std::io;

use jiff::Timestamp;
use quarterdeck_shared::application::Address;
use quarterdeck_shared::error::hint_line;
use quarterdeck_shared::protocol::State;
use quarterdeck_shared::snapshot::{
    ApplicationStatus, ConfigurationStatus, ConnectionKind, ConnectionStatus, EnvironmentStatus, Object,
    RepositoryStatus, SpecSummary,
};
use serde::Serialize;

use crate::column::Form;
use crate::command::arguments::{InListForm, OfAny};
use crate::command::{CommandError, Context, ListFormat, objects};
use crate::exit::Exit;
use crate::model::summary::Summary;
use crate::output::table::Table;
use crate::screen::applications::{Row, columns};
use crate::text::{age, ago};

/// How applications and their environments are: one, or all.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Which application or environment, or all.
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
    let chosen = chosen(&state, args.of.address.as_ref())?;
    let items: Vec<Item> = chosen.iter().flat_map(Chosen::items).collect();
    match (args.form.output, &chosen[..], &items[..]) {
        (Some(ListFormat::Json), _, [one]) if args.of.address.is_some() => context.output.json(one)?,
        (Some(ListFormat::Json), ..) => context.output.json(&items)?,
        (Some(ListFormat::Name), ..) => items.iter().try_for_each(|item| context.output.line(item.name()))?,
        (None, [one], _) if args.of.address.is_some() => page::page(one, &state, context)?,
        (None, [], _) => context.output.note(&nothing_yet(&state))?,
        (None | Some(ListFormat::Wide), ..) => context.output.table(&table(&chosen, args.form.table(), context))?,
    }
    if for_people {
        unreachable(&state, args.of.address.as_ref().and(chosen.first()), context)?;
    }
    Ok(Exit::Done)
}

/// An application, and those of its environments that are asked for.
struct Chosen<'a> {
    application: &'a ApplicationStatus,
    environments: Vec<&'a EnvironmentStatus>,
}

/// What an address means; all applications with all of their environments where there is none.
fn chosen<'a>(state: &'a State, of: Option<&Address>) -> Result<Vec<Chosen<'a>>, CommandError> {
    if let Some(of) = of {
        let (application, environments) = objects::addressed(state, of)?;
        return Ok(vec![Chosen { application, environments }]);
    }
    let all = objects::applications(state);
    Ok(all
        .map(|application| Chosen { application, environments: objects::environments(state, application).collect() })
        .collect())
}

/// What is told of: an environment, or an application that has none.
#[derive(Serialize)]
#[serde(untagged)]
enum Item<'a> {
    Environment(&'a EnvironmentStatus),
    Application(&'a ApplicationStatus),
}

impl Item<'_> {
    fn name(&self) -> String {
        match self {
            Self::Environment(environment) => format!("environment/{}", environment.environment),
            Self::Application(application) => format!("application/{}", application.name),
        }
    }
}

impl<'a> Chosen<'a> {
    fn items(&self) -> Vec<Item<'a>> {
        match &self.environments[..] {
            [] => vec![Item::Application(self.application)],
            all => all.iter().copied().map(Item::Environment).collect(),
        }
    }

    /// The rows of a table: each environment, by the name of the application alone where it has but one.
    fn rows(&self, now: Timestamp) -> Vec<Row<'a>> {
        let row = |name, summary| Row { name, application: Some(self.application), summary, now, says_below: false };
        let name = |one: &EnvironmentStatus| match self.application.environments.len() {
            1 => self.application.name.to_string(),
            _ => one.environment.to_string(),
        };
        match &self.environments[..] {
            [] => vec![row(self.application.name.to_string(), None)],
            all => all.iter().map(|one| row(name(one), Some(Summary::one(one)))).collect(),
        }
    }
}

/// What everyone who looks should know first.
fn banners(state: &State, context: &mut Context) -> io::Result<()> {
    let Some(agent) = objects::agent(state) else { return Ok(()) };
    if let Some(banner) = &agent.banner {
        context.output.note(&format!("note: {banner}"))?;
    }
    if let Some(error) = &agent.configuration_error {
        let kept = "the previous configuration stays in use";
        context.output.note(&format!("warning: {} is not used, {kept}: {error}", agent.configuration))?;
    }
    if let Some(trouble) = agent.configuration_in_git.as_deref().and_then(ConfigurationStatus::trouble) {
        context.output.note(&format!("warning: {trouble}"))?;
    }
    for object in state.objects.values() {
        if let Object::ApplicationSource(source) = object
            && source.error.is_some()
        {
            let (name, kept) = (&source.name, "its applications are unchanged");
            context.output.note(&format!("warning: source {name} is refused, {kept}: {}", source.line()))?;
        }
    }
    if let Some(error) = &agent.history_error {
        context.output.note(&format!("warning: the agent {error}"))?;
        hint(&agent.history_hint).into_iter().try_for_each(|line| context.output.note(&line))?;
    }
    Ok(())
}

/// What the agent cannot reach: all of it, or what one application comes from and goes to. What is shown above stands on
/// it; beside the answer, since scripts read its rows.
fn unreachable(state: &State, of: Option<&Chosen>, context: &mut Context) -> io::Result<()> {
    let now = (context.clock)();
    let is_cluster = |name: &str| of.is_none_or(|of| of.environments.iter().any(|one| one.spec.cluster == name));
    let is_repository = |address: &str| {
        of.is_none_or(|of| {
            let is_code = of.application.code.as_deref() == Some(address);
            let is_of = |spec: &SpecSummary| {
                spec.repository == address || spec.sources.iter().any(|source| source.repository == address)
            };
            is_code || of.environments.iter().any(|one| is_of(&one.spec))
        })
    };
    let mut lines = Vec::new();
    for object in state.objects.values() {
        match object {
            Object::Connection(ConnectionStatus { to, name, reachable: false, error, hint, since, .. })
                if *to != ConnectionKind::Cluster || is_cluster(name) =>
            {
                let why = error.as_deref().unwrap_or("no answer");
                lines.push(format!("warning: {} {name} unreachable for {}: {why}", to.word(), age(*since, now)));
                lines.extend(self::hint(hint));
            }
            Object::Repository(RepositoryStatus { address, polled, error: Some(error), hint, .. })
                if is_repository(address) =>
            {
                let since = polled.map_or("never read".to_owned(), |at| format!("last read {}", ago(at, now)));
                lines.push(format!("warning: repository {address} cannot be read, {since}: {error}"));
                lines.extend(self::hint(hint));
            }
            _ => {}
        }
    }
    lines.iter().try_for_each(|line| context.output.note(line))
}

/// What to do, in a line below what is wrong.
fn hint(hint: &str) -> Option<String> {
    (!hint.is_empty()).then(|| hint_line(hint))
}

fn nothing_yet(state: &State) -> String {
    let place = objects::agent(state).map_or("the agent's configuration", |agent| &agent.configuration);
    format!("No applications yet. Add one to {place}, or see how it works: cargo demo")
}

fn table(chosen: &[Chosen], form: Form, context: &Context) -> Table {
    let now = (context.clock)();
    Table::of(&columns(), form, chosen.iter().flat_map(|one| one.rows(now)), now)
}

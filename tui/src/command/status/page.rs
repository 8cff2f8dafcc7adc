//! All about one environment, or about an application with several or none: facts, objects, pods, runs.

use std::io;

use jiff::Timestamp;
use quarterdeck_shared::protocol::State;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::snapshot::{
    ApplicationSourceStatus, ApplicationStatus, DefinedIn, EnvironmentStatus, Hold, Key, Object, Pending, Progress,
    RenderedFrom, ResourceStatus, SourceSummary,
};

use super::Chosen;
use crate::column::Form;
use crate::command::{Context, objects, pods};
use crate::output::Line;
use crate::output::table::{Cell, Column, Table};
use crate::screen::runs;
use crate::status_style::{self, Tone};
use crate::text::ago;
use crate::unseen;

/// All about one environment; of an application with several, or none, what is common to them.
pub(super) fn page(chosen: &Chosen, state: &State, context: &mut Context) -> io::Result<()> {
    let now = (context.clock)();
    let Chosen { application, environments } = chosen;
    if let [environment] = environments[..] {
        facts(application, environment, state, context).into_iter().try_for_each(|line| context.output.line(line))?;
        objects_of(environment, state, context)?;
    } else {
        facts_of_application(application, state, context).into_iter().try_for_each(|line| context.output.line(line))?;
        if !environments.is_empty() {
            context.output.line("")?;
            let table = super::table(std::slice::from_ref(chosen), Form::Table, context);
            context.output.table(&table)?;
        }
    }
    let runs = objects::runs(state, &application.name);
    if !runs.is_empty() {
        context.output.line("")?;
        context.output.table(&Table::of(&runs::columns(), Form::Table, runs.into_iter().take(5), now))?;
    }
    Ok(())
}

/// The objects of an environment, and its pods.
fn objects_of(environment: &EnvironmentStatus, state: &State, context: &mut Context) -> io::Result<()> {
    let now = (context.clock)();
    let id = &environment.environment;
    let resources: Vec<_> = objects::resources(state, id).filter(|r| r.owner.is_none()).collect();
    if !resources.is_empty() {
        context.output.line("")?;
        context.output.table(&resource_table(&resources, environment, now))?;
    }
    let pods = pods::table(objects::pods(state, Some(&id.clone().into())), state, Form::Table, now);
    if !pods.is_empty() {
        context.output.line("")?;
        context.output.table(&pods)?;
    }
    Ok(())
}

/// Facts, a line each, those that do not apply left out.
#[derive(Default)]
struct Facts(Vec<Line>);

impl Facts {
    fn add(&mut self, name: &str, tone: Tone, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.0.push(Line::new().with(Tone::Quiet, format!("{name:<12}")).with(tone, text));
        }
    }

    /// The name stands before the first alone.
    fn all(&mut self, name: &str, tone: Tone, texts: impl IntoIterator<Item = String>) {
        let names = std::iter::once(name).chain(std::iter::repeat(""));
        names.zip(texts).for_each(|(name, text)| self.add(name, tone, text));
    }

    /// What an application is beside its environments.
    fn delivery(&mut self, application: &ApplicationStatus, state: &State, now: Timestamp) {
        self.add("Defined in", Tone::Plain, defined(application, state).unwrap_or_default());
        self.add("Code", Tone::Plain, application.code.clone().unwrap_or_default());
        let unseen = application.unseen.iter().map(|unseen| unseen::line(unseen, |at| ago(at, now)));
        self.all("Unseen", Tone::Warning, unseen);
    }
}

/// `teams/shop.toml of source teams at 1f3c2a9`; nothing where that is the local file.
fn defined(application: &ApplicationStatus, state: &State) -> Option<String> {
    let DefinedIn { source, file } = application.defined.as_ref()?;
    let Some(source) = source else {
        let commit = objects::agent(state).and_then(|agent| agent.configuration_in_git.as_deref()?.commit.as_ref());
        let at = commit.map_or_else(String::new, |commit| format!(" at {}", commit.short()));
        return Some(format!("{file} of the configuration in git{at}"));
    };
    let commit = match state.objects.get(&Key::application_source(source)) {
        Some(Object::ApplicationSource(ApplicationSourceStatus { commit: Some(commit), .. })) => {
            format!(" at {}", commit.short())
        }
        _ => String::new(),
    };
    Some(format!("{file} of source {source}{commit}"))
}

/// The facts of an application with several environments, or none.
fn facts_of_application(application: &ApplicationStatus, state: &State, context: &Context) -> Vec<Line> {
    let now = (context.clock)();
    let mut facts = Facts::default();
    facts.add("Application", Tone::Strong, application.name.to_string());
    facts.add("Message", Tone::Plain, &*application.message);
    facts.delivery(application, state, now);
    facts.all("Builds", Tone::Plain, application.images.iter().cloned());
    let built = application.artifact.as_ref().map(|artifact| {
        let commit = artifact.commit.short();
        format!("{} of {commit}, {}", artifact.tag, ago(artifact.pushed.unwrap_or(artifact.built), now))
    });
    facts.add("Built", Tone::Plain, built.unwrap_or_default());
    let last = application.last.as_ref().map(|last| format!("{} {} {}", last.what, last.phase, ago(last.at, now)));
    facts.add("Last", Tone::Plain, last.unwrap_or_default());
    facts.0
}

/// The facts of one environment.
fn facts(
    application: &ApplicationStatus,
    environment: &EnvironmentStatus,
    state: &State,
    context: &Context,
) -> Vec<Line> {
    let now = (context.clock)();
    let ago = |at| ago(at, now);
    let hold = |hold: &Hold| {
        let reason = if hold.reason.is_empty() { String::new() } else { format!(": {}", hold.reason) };
        format!("by {}, {}{reason}", hold.cause.describe(), ago(hold.at))
    };
    let spec = &environment.spec;
    let mut facts = Facts::default();
    facts.add("Application", Tone::Strong, application.name.to_string());
    facts.add("Environment", Tone::Strong, environment.environment.environment.to_string());
    let (sync, health) = (status_style::of_sync(environment.sync), status_style::of_health(environment.health));
    facts.add("Sync", sync.tone, context.output.word(sync, environment.sync.word()));
    facts.add("Health", health.tone, context.output.word(health, environment.health.word()));
    facts.add("Since", Tone::Plain, ago(environment.since));
    let was = environment.last_known.map(|known| format!("{}, {}", known.sync, known.health));
    facts.add("Last known", Tone::Quiet, was.unwrap_or_default());
    let told = unseen::cause(environment).is_some();
    facts.add("Message", Tone::Plain, if told { "" } else { &*environment.message });
    facts.add("Hint", Tone::Plain, if told { "" } else { &*environment.hint });
    facts.add("Message", Tone::Plain, &*application.message);
    facts.all("Unseen", Tone::Warning, environment.unseen.iter().map(|unseen| unseen::line(unseen, ago)));
    let progress = environment.progress.as_ref().map(Progress::describe).unwrap_or_default();
    facts.add("Activity", Tone::Busy, if progress == environment.message { "" } else { &*progress });
    if let Some(tests) = environment.tests.as_ref().filter(|tests| tests.phase.is_final()) {
        let tone = status_style::of_phase(tests.phase).tone;
        facts.add("Tests", tone, format!("{}, {}", tests.message, tests.finished.map(&ago).unwrap_or_default()));
    }
    let suspended = match (&environment.suspension, environment.suspended) {
        (Some(suspension), true) => hold(suspension),
        (None, true) => "yes".to_owned(),
        (_, false) => String::new(),
    };
    facts.add("Suspended", Tone::Warning, suspended);
    let pinned = environment.pin.as_ref().map(|pin| format!("to {} {}", pin.revision.short(), hold(&pin.hold)));
    facts.add("Pinned", Tone::Warning, pinned.unwrap_or_default());
    facts.add("Revision", Tone::Plain, environment.revision.as_ref().map(Revision::in_git).unwrap_or_default());
    let chart = environment.revision.as_ref().and_then(|revision| revision.chart.as_ref());
    facts.add("Chart", Tone::Plain, chart.map(ToString::to_string).unwrap_or_default());
    let sources = environment.revision.iter().flat_map(|revision| &revision.sources);
    let sources = sources.map(|source| format!("{} {}", source.name, source.at.in_git()));
    facts.all("Source revisions", Tone::Plain, sources);
    let ahead = environment.target.as_ref().filter(|target| Some(*target) != environment.revision.as_ref());
    let pending = environment.pending.as_ref().map(Pending::describe).unwrap_or_default();
    facts.add("Pending", Tone::Warning, pending);
    facts.add("Git says", Tone::Warning, ahead.map(ToString::to_string).unwrap_or_default());
    facts.all("Images", Tone::Plain, environment.images.iter().cloned());
    facts.delivery(application, state, now);
    let path = if spec.path.is_empty() { String::new() } else { format!(", {}", spec.path) };
    facts.add("Manifests", Tone::Plain, format!("{}{path}", spec.repository));
    facts.all("Sources", Tone::Plain, spec.sources.iter().map(SourceSummary::describe));
    let rendered = environment.rendered.map(RenderedFrom::describe).unwrap_or_default();
    let tone = if environment.rendered == Some(RenderedFrom::Kept) { Tone::Warning } else { Tone::Plain };
    facts.add("Rendered", tone, rendered);
    facts.add("Follows", Tone::Plain, &*spec.chart);
    facts.add("Destination", Tone::Plain, format!("{}/{}", spec.cluster, spec.namespace));
    let switches = [
        (spec.automatic, "automatic"),
        (!spec.automatic, "manual"),
        (spec.prune, "prune"),
        (spec.self_heal, "self-heal"),
        (spec.protected, "protected"),
    ];
    let policy: Vec<_> = switches.into_iter().filter(|(on, _)| *on).map(|(_, word)| word).collect();
    facts.add("Policy", Tone::Plain, policy.join(", "));
    let sync = environment.last_sync.as_ref().map(|sync| {
        let what = if sync.message.is_empty() { String::new() } else { format!(": {}", sync.message) };
        format!("#{} {} {} ({}){what}", sync.id.number, sync.phase, ago(sync.started), sync.cause.describe())
    });
    facts.add("Last sync", Tone::Plain, sync.unwrap_or_default());
    facts.0
}

fn resource_table(resources: &[&ResourceStatus], environment: &EnvironmentStatus, now: Timestamp) -> Table {
    let mut table =
        Table::new(&[Column::text("OBJECT"), Column::text("SYNC"), Column::text("HEALTH"), Column::prose("SUMMARY")]);
    for resource in resources {
        let over = unseen::over_resource(environment, &resource.resource);
        let seen = over.map(|over| unseen::last_seen(over, |at| ago(at, now))).unwrap_or_default();
        let summary = [&*seen, &*resource.summary, &*resource.message].into_iter().filter(|part| !part.is_empty());
        table.row(vec![
            resource.resource.short().into(),
            Cell::of(status_style::of_sync(resource.sync), resource.sync.word()).old(over.is_some()),
            Cell::of(status_style::of_health(resource.health), resource.health.word()).old(over.is_some()),
            summary.collect::<Vec<_>>().join("; ").into(),
        ]);
    }
    table
}

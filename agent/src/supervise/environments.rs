//! Environments that come, change and go: their sync.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use quarterdeck_shared::application::{ArtifactSpec, ChartSpec, EnvironmentId, EnvironmentSource, EnvironmentSpec};
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::snapshot::{SourceSummary, SpecSummary};
use quarterdeck_shared::status::SyncStatus;
use tokio::sync::watch;
use tracing::Instrument as _;

use super::{Change, News, removals, work};
use crate::charts::source::ChartState;
use crate::config::Config;
use crate::context::{Context, Environment};
use crate::history::Intent;
use crate::history::sqlite::Reader;
use crate::journal::NotKept;
use crate::journal::fact::{Fact, Patch};
use crate::{clusters, monitor, readable, reconcile};

/// All environments of a configuration.
pub(super) fn all(config: &Config) -> impl Iterator<Item = (EnvironmentId, &EnvironmentSpec)> {
    let of = |spec: &quarterdeck_shared::application::ApplicationSpec, one: &EnvironmentSpec| {
        EnvironmentId::new(&spec.name, &one.name)
    };
    config.applications.iter().flat_map(move |spec| spec.environments.iter().map(move |one| (of(spec, one), one)))
}

/// Ends the workers of environments that are not named any more, or otherwise. One that is to change can be looked at
/// until the changed one takes its place.
pub(super) async fn end(change: &Change<'_>) -> Result<Vec<String>, NotKept> {
    let (context, mut lines) = (change.context, Vec::new());
    let wanted: BTreeMap<EnvironmentId, &EnvironmentSpec> = all(change.config).collect();
    for (id, environment) in present(context) {
        let spec = wanted.get(&id);
        if spec.is_some_and(|spec| stays(change, &environment, spec)) {
            continue;
        }
        environment.stop.cancel();
        if spec.is_none() {
            remove(context, &id);
            context.removals.after(&id, environment.turn.clone());
            lines.push(removals::removed(context, &environment).await);
            context.clusters.forget(&id);
            reconcile::neighbours::wake(context, context.wanted.forget(&id));
            context.journal.record(vec![Fact::EnvironmentRemoved(id)]).await?;
        }
    }
    Ok(lines)
}

/// The environments that are new, or another than before.
pub(super) fn beginning<'a>(change: &Change<'a>) -> Vec<(EnvironmentId, &'a EnvironmentSpec)> {
    let present = present(change.context);
    let is_new = |(id, spec): &(EnvironmentId, &EnvironmentSpec)| {
        present.get(id).is_none_or(|known| !stays(change, known, spec))
    };
    all(change.config).filter(is_new).collect()
}

/// What consoles see of the configuration: nothing that could be a secret.
pub(super) fn configured(id: &EnvironmentId, spec: &EnvironmentSpec, config: &Config) -> Fact {
    let shown = |repository: &str, artifact: Option<&ArtifactSpec>| match artifact {
        // It has no login in it, and an `@` before its digest.
        Some(_) => repository.to_owned(),
        None => quarterdeck_git::url::redact(repository),
    };
    let source = |source: &EnvironmentSource| SourceSummary {
        name: source.name.to_string(),
        repository: shown(&source.repository, source.artifact.as_ref()),
        follows: source.follows(),
        path: source.path.clone(),
        is_promoted: spec.promoted_source().is_some_and(|into| into.name == source.name),
    };
    let summary = SpecSummary {
        repository: shown(&spec.repository, spec.artifact.as_ref()),
        sources: spec.sources.iter().map(source).collect(),
        path: spec.path.clone(),
        chart: spec.helm.chart.as_ref().map(ChartSpec::describe).unwrap_or_default(),
        cluster: clusters::name(spec.cluster.as_deref(), config),
        namespace: spec.namespace.clone(),
        automatic: spec.sync.automatic,
        prune: spec.sync.prune,
        self_heal: spec.sync.self_heal,
        protected: spec.protected,
    };
    Fact::patch(id, Patch::Configured(summary))
}

/// Begins them.
pub(super) async fn begin(
    change: &Change<'_>,
    beginning: Vec<(EnvironmentId, &EnvironmentSpec)>,
) -> Result<Vec<String>, NotKept> {
    if beginning.is_empty() {
        return Ok(Vec::new());
    }
    let (context, mut lines) = (change.context, Vec::new());
    let present = present(context);
    // A history that does not answer is told by the next record; the intents are then asked for at the next start.
    let mut intents = context.journal.ask(Reader::intents).await.unwrap_or_default();
    for (id, spec) in beginning {
        let known = present.get(&id);
        lines.push(format!("environment {id} is {}", if known.is_some() { "changed" } else { "added" }));
        lines.extend(known.and_then(|known| left_behind(known, spec)));
        match equip(change, &id, spec, intents.remove(&id)) {
            Ok(mut environment) => {
                let taken_back = context.removals.take_back(&id);
                environment.turn = known.map(|known| known.turn.clone()).or(taken_back).unwrap_or_default();
                operate(change, Arc::new(environment));
            }
            Err(why) => {
                remove(context, &id);
                tracing::error!(environment = %id, error = %why.message, hint = %why.hint, "cannot operate the environment");
                let patch = Patch::Compared { sync: SyncStatus::Unknown, why, drifted: 0, resources: None };
                context.journal.record(vec![Fact::patch(&id, patch)]).await?;
            }
        }
    }
    Ok(lines)
}

/// Wakes those whose clusters pull with logins of ours.
pub(super) fn wake_for_pull_secrets(context: &Context) {
    let has_some = |environment: &&Arc<Environment>| !environment.spec.pull_secrets.is_empty();
    present(context).values().filter(has_some).for_each(|environment| environment.wake());
}

/// Whoever changes an interval, a login or another's cluster leaves this one alone.
fn stays(change: &Change<'_>, known: &Environment, spec: &EnvironmentSpec) -> bool {
    known.spec == *spec && clusters::is_same(spec.cluster.as_deref(), change.before, change.config)
}

fn present(context: &Context) -> BTreeMap<EnvironmentId, Arc<Environment>> {
    context.environments.read().unwrap_or_else(PoisonError::into_inner).clone()
}

fn remove(context: &Context, id: &EnvironmentId) {
    context.environments.write().unwrap_or_else(PoisonError::into_inner).remove(id);
}

/// What an environment that goes elsewhere leaves where it was: its inventory is there, and is not looked for here.
fn left_behind(known: &Environment, now: &EnvironmentSpec) -> Option<String> {
    let (was, id) = (&known.spec, &known.id);
    if (&now.cluster, &now.namespace) == (&was.cluster, &was.namespace) {
        return None;
    }
    let cluster = was.cluster.as_ref().map(|cluster| format!(" of cluster {cluster}")).unwrap_or_default();
    let (namespace, inventory) = (&was.namespace, quarterdeck_kubernetes::inventory_name(id));
    Some(format!(
        "environment {id} is moved; its objects are left in namespace {namespace}{cluster}, where the inventory \
         {inventory} lists them: delete those that are not needed"
    ))
}

fn equip(
    change: &Change<'_>,
    id: &EnvironmentId,
    spec: &EnvironmentSpec,
    intent: Option<Intent>,
) -> Result<Environment, Failure> {
    let context = change.context;
    let repository = change.manifests(spec).map_err(|error| Failure::of(&error))?;
    let chart = spec.helm.chart.as_ref().map(|chart| change.chart(chart)).transpose();
    let chart = chart.map_err(|error| Failure::of(&error))?;
    let assess = |cluster, stop| monitor::assess(context.clone(), cluster, stop);
    let (named, stop) = (spec.cluster.as_deref(), &context.stop);
    let cluster = context.clusters.get(named, change.config, &context.identity, stop, assess);
    let mut environment = Environment::new(id.clone(), spec.clone(), repository, chart, cluster, intent, stop);
    environment.sources = change.sources(spec).map_err(|error| Failure::of(&error))?;
    Ok(environment)
}

/// Begins the worker that syncs.
fn operate(change: &Change<'_>, environment: Arc<Environment>) {
    let context = change.context;
    let id = environment.id.clone();
    context.environments.write().unwrap_or_else(PoisonError::into_inner).insert(id, environment.clone());
    let span = || {
        let EnvironmentId { application, environment } = &environment.id;
        tracing::error_span!("environment", application = %application, environment = %environment)
    };
    change.tasks.spawn(readable::of_manifests(context.clone(), environment.clone()).instrument(span()));
    if let Some(chart) = &environment.chart {
        change.tasks.spawn(readable::of_chart(context.clone(), environment.clone(), chart.state()).instrument(span()));
        change.tasks.spawn(wake_on_versions(chart.state(), environment.clone()));
    }
    change.tasks.spawn(readable::of_sources(context.clone(), environment.clone()).instrument(span()));
    for source in &environment.sources {
        change.tasks.spawn(wake_on_commits(source.repository.refs(), environment.clone()));
    }
    let reconciliation = work(
        environment.sync.clone(),
        environment.stop.clone(),
        environment.turn.clone(),
        environment.repository.refs(),
        reconcile::Reconciliation::new(context, &environment),
    );
    change.tasks.spawn(reconciliation.instrument(span()));
}

/// Pokes whenever the refs of another source are others.
async fn wake_on_commits(mut news: News, environment: Arc<Environment>) {
    loop {
        tokio::select! {
            changed = news.changed() => match changed {
                Ok(()) => environment.wake(),
                Err(_) => return,
            },
            () = environment.stop.cancelled() => return,
        }
    }
}

/// Pokes whenever another version of the chart is wanted, or why none is known has changed.
async fn wake_on_versions(mut news: watch::Receiver<ChartState>, environment: Arc<Environment>) {
    loop {
        tokio::select! {
            changed = news.changed() => match changed {
                Ok(()) => environment.wake(),
                Err(_) => return,
            },
            () = environment.stop.cancelled() => return,
        }
    }
}

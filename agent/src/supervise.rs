//! Which applications are in force: at the start and at every reload, the workers of the configuration are begun, and
//! those that it no longer names, or names otherwise, are ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use jiff::Timestamp;
use quarterdeck_shared::application::{ApplicationName, ApplicationSpec};
use quarterdeck_shared::event::{Cause, Event};
use quarterdeck_shared::snapshot::{Key, SpecSummary};
use quarterdeck_shared::status::{Phase, SyncStatus};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::context::{Application, Context, Deploy};
use crate::history::Intent;
use crate::history::sqlite::Reader;
use crate::journal::NotKept;
use crate::journal::fact::{Fact, Patch};
use crate::source::GitError;
use crate::worker::{self, Poke, Story};
use crate::{assess, deliver, readable, reconcile};
use quarterdeck_core::run;
use quarterdeck_shared::error::chain;
use tracing::Instrument as _;

/// Brings a configuration into force. Returns a line a change.
pub async fn apply(context: &Arc<Context>, config: Arc<Config>, tasks: &TaskTracker) -> Result<Vec<String>, NotKept> {
    let _no_command = context.reload.write().await;
    let before = context.config();
    let mut changes = Vec::new();
    context.config.send_replace(config.clone());
    context.clusters.configure(&config);
    let wanted: BTreeMap<ApplicationName, &ApplicationSpec> =
        config.application.iter().map(|spec| (spec.name.clone(), spec)).collect();
    let base = context.config_path.parent().unwrap_or(&context.config_path);
    context.repositories.configure(&config, base);

    let present = context.applications.read().unwrap_or_else(PoisonError::into_inner).clone();
    // Whoever changes an interval, a login or another's cluster leaves this one alone.
    let stays = |application: &Application| {
        let Some(spec) = wanted.get(&application.spec.name) else { return false };
        let cluster = spec.deploy.as_ref().map(|deploy| deploy.cluster.as_deref());
        **spec == application.spec && cluster.is_none_or(|cluster| crate::clusters::is_same(cluster, &before, &config))
    };
    for (name, application) in present.iter().filter(|(_, application)| !stays(application)) {
        application.stop.cancel();
        // One that is to change can be looked at until the changed one takes its place.
        if !wanted.contains_key(name) {
            application.delivering.cancel();
            remove(context, name);
            changes.push(format!("application {name} is no longer operated; what it applied stays in its cluster"));
            context.clusters.forget(name);
            reconcile::neighbours::wake(context, context.wanted.forget(name));
            context.journal.record(vec![Fact::ApplicationRemoved(name.clone())]).await?;
        }
    }
    let beginning: Vec<(ApplicationName, &ApplicationSpec)> = wanted
        .iter()
        .filter(|(name, _)| present.get(*name).is_none_or(|known| !stays(known)))
        .map(|(name, spec)| (name.clone(), *spec))
        .collect();
    // One write and one question for all of them: the start of a fleet costs what it has to, not a wait for each.
    let configured = |(name, spec): &(ApplicationName, &ApplicationSpec)| {
        Fact::patch(name, Patch::Configured(summary(spec, &config)))
    };
    let mut intents = BTreeMap::new();
    if !beginning.is_empty() {
        context.journal.record(beginning.iter().map(configured).collect()).await?;
        // A history that does not answer is told by the next record; the intents are then asked for at the next start.
        intents = context.journal.ask(Reader::intents).await.unwrap_or_default();
    }
    for (name, spec) in beginning {
        let known = present.get(&name);
        changes.push(format!("application {name} is {}", if known.is_some() { "changed" } else { "operated" }));
        changes.extend(known.and_then(|known| left_behind(&known.spec, spec)));
        let intent = intents.remove(&name);
        match equip(context, spec, &config, intent) {
            Ok(mut application) => {
                application.turns = known.map(|known| known.turns.clone()).unwrap_or_default();
                let mut delivers = true;
                if let Some(known) = known {
                    if application.delivers_as(known) {
                        application.inherit_delivery(known);
                        delivers = false;
                    } else {
                        known.delivering.cancel();
                    }
                }
                begin(context, Arc::new(application), delivers, tasks);
                if spec.code.is_none() {
                    end_what_is_queued(context, &name).await?;
                }
            }
            Err(error) => {
                if let Some(known) = known {
                    known.delivering.cancel();
                }
                remove(context, &name);
                let message = chain(&error);
                tracing::error!(application = %name, error = %message, "cannot operate the application");
                let patch = Patch::Compared { sync: SyncStatus::Unknown, message, drifted: 0, resources: None };
                context.journal.record(vec![Fact::patch(&name, patch)]).await?;
            }
        }
    }
    let gone = context.repositories.keep_only(&used(context));
    context
        .journal
        .tell(gone.into_iter().map(|address| Fact::Gone(Key(format!("repository/{address}").into()))).collect())
        .await;
    Ok(changes)
}

/// An application without code builds nothing: what was queued for it while it had some would wait for ever.
async fn end_what_is_queued(context: &Context, name: &ApplicationName) -> Result<(), NotKept> {
    let now = Timestamp::now();
    let queued = context.journal.snapshot().runs(name).into_iter().filter(|run| run.phase == Phase::Queued);
    let over = queued.map(|run| {
        let why = deliver::NO_CODE.to_owned();
        Fact::Run(Box::new(run::ended(run.clone(), Phase::Interrupted, why, now)))
    });
    let facts: Vec<Fact> = over.collect();
    if facts.is_empty() { Ok(()) } else { context.journal.record(facts).await }
}

fn remove(context: &Context, name: &ApplicationName) {
    context.applications.write().unwrap_or_else(PoisonError::into_inner).remove(name);
}

/// What an application that goes elsewhere leaves where it was: its inventory is there, and is not looked for here.
fn left_behind(before: &ApplicationSpec, now: &ApplicationSpec) -> Option<String> {
    let (was, is) = (before.deploy.as_ref()?, now.deploy.as_ref());
    if is.is_some_and(|is| (&is.cluster, &is.namespace) == (&was.cluster, &was.namespace)) {
        return None;
    }
    let cluster = was.cluster.as_ref().map(|cluster| format!(" of cluster {cluster}")).unwrap_or_default();
    let (name, namespace) = (&now.name, &was.namespace);
    Some(format!(
        "application {name} goes elsewhere now; what it applied stays in namespace {namespace}{cluster}, as its inventory \
         quarterdeck-{name} there says: delete what is not wanted any more"
    ))
}

/// Tells that a configuration came into force, or why not.
pub async fn tell(context: &Context, event: Event) {
    // Not kept on a full disk: the agent's status and its log say the same.
    let _ =
        context.journal.record(vec![Fact::Happened { application: None, cause: Cause::Configuration, event }]).await;
}

fn equip(
    context: &Arc<Context>,
    spec: &ApplicationSpec,
    config: &Config,
    intent: Option<Intent>,
) -> Result<Application, GitError> {
    let base = context.config_path.parent().unwrap_or(&context.config_path);
    let repository =
        |address: &str| context.repositories.get(address, config, base, &context.data_dir, &context.journal);
    let code = spec.code.as_ref().map(|code| repository(&code.repository)).transpose()?;
    let assess = |cluster, stop| assess::assess(context.clone(), cluster, stop);
    let deploy = match &spec.deploy {
        Some(deploy) => Some(Deploy {
            repository: repository(&deploy.repository)?,
            cluster: context.clusters.get(deploy.cluster.as_deref(), config, &context.identity, &context.stop, assess),
        }),
        None => None,
    };
    Ok(Application::new(spec.clone(), code, deploy, intent, &context.stop))
}

/// Begins the workers of an application; the one that delivers may go on from before.
fn begin(context: &Arc<Context>, application: Arc<Application>, delivers: bool, tasks: &TaskTracker) {
    context
        .applications
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(application.spec.name.clone(), application.clone());
    let span = || tracing::error_span!("application", application = %application.spec.name);
    tasks.spawn(readable::tell(context.clone(), application.clone()).instrument(span()));
    if let Some(code) = application.code.as_ref().filter(|_| delivers) {
        let delivery = work(
            application.delivery.clone(),
            application.delivering.clone(),
            application.turns.delivery.clone(),
            code.refs(),
            deliver::Delivery::new(context, &application),
        );
        tasks.spawn(delivery.instrument(span()));
    }
    if let Some(deploy) = &application.deploy {
        let reconciliation = work(
            application.sync.clone(),
            application.stop.clone(),
            application.turns.sync.clone(),
            deploy.repository.refs(),
            reconcile::Reconciliation::new(context, &application),
        );
        tasks.spawn(reconciliation.instrument(span()));
    }
}

/// Drives a story; news of its repository pokes it. It begins when the worker before it has ended its last pass.
async fn work(poke: Poke, stop: CancellationToken, turn: Arc<Mutex<()>>, news: News, story: impl Story) {
    let _turn = tokio::select! {
        turn = turn.lock() => turn,
        () = stop.cancelled() => return,
    };
    tokio::select! {
        () = worker::drive(&poke, &stop, story) => {}
        () = poke_on_news(news, &poke) => {}
    }
}

type News = tokio::sync::watch::Receiver<Option<Arc<crate::source::RefSnapshot>>>;

/// Pokes whenever the refs of a repository are others.
async fn poke_on_news(mut news: News, poke: &Poke) {
    while news.changed().await.is_ok() {
        poke.poke();
    }
    // The repository is polled no more: the worker is ended by others.
    std::future::pending().await
}

fn used(context: &Context) -> Vec<Arc<crate::poll::Repository>> {
    let applications = context.applications.read().unwrap_or_else(PoisonError::into_inner);
    let of = |application: &Arc<Application>| {
        let deploy = application.deploy.as_ref().map(|deploy| deploy.repository.clone());
        application.code.iter().cloned().chain(deploy).collect::<Vec<_>>()
    };
    applications.values().flat_map(of).collect()
}

/// Names of the applications of a configuration.
pub fn names(config: &Config) -> BTreeSet<ApplicationName> {
    config.application.iter().map(|spec| spec.name.clone()).collect()
}

/// What consoles see of a configuration: nothing that could be a secret.
fn summary(spec: &ApplicationSpec, config: &Config) -> SpecSummary {
    let redact = |address: &String| crate::source::url::redact(address);
    SpecSummary {
        code: spec.code.as_ref().map(|code| redact(&code.repository)),
        image: spec.build.as_ref().map(|build| build.image.clone()),
        repository: spec.deploy.as_ref().map(|deploy| redact(&deploy.repository)),
        path: spec.deploy.as_ref().map(|deploy| deploy.path.clone()).unwrap_or_default(),
        cluster: spec.deploy.as_ref().map(|deploy| crate::clusters::name(deploy.cluster.as_deref(), config)),
        namespace: spec.deploy.as_ref().map(|deploy| deploy.namespace.clone()),
        automatic: spec.sync.automatic,
        prune: spec.sync.prune,
        self_heal: spec.sync.self_heal,
        protected: spec.protected,
    }
}

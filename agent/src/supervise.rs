//! Which applications and environments are in force: at the start and at every reload, the workers of the configuration
//! are begun, and those that it no longer names, or names otherwise, are ended. What a change leaves as it is goes on: a
//! reload that adds an environment stops no sync and no run.

mod applications;
mod environments;
mod removals;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use quarterdeck_shared::application::{ApplicationName, ArtifactSpec, ChartSpec, EnvironmentSource, EnvironmentSpec};
use quarterdeck_shared::event::{Cause, Event};
use quarterdeck_shared::snapshot::Key;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::artifacts::ArtifactError;
use crate::charts::ChartProblem;
use crate::charts::source::ChartSource;
use crate::config::Config;
use crate::config::source::ApplicationSource;
use crate::context::{Application, Context, Source};
use crate::journal::NotKept;
use crate::journal::fact::Fact;
use crate::poll::Repository;
use crate::worker::{self, Reconciler, Wake};
use quarterdeck_git::GitError;

/// Brings a configuration into force. Returns a line a change.
pub async fn apply(context: &Arc<Context>, config: Arc<Config>, tasks: &TaskTracker) -> Result<Vec<String>, NotKept> {
    let _no_command = context.reload.write().await;
    let before = context.config();
    context.config.send_replace(config.clone());
    context.clusters.configure(&config);
    context.repositories.configure(&config, base(context));
    let change = Change { context, before: &before, config: &config, tasks };
    let mut lines = applications::end(&change).await?;
    lines.extend(environments::end(&change).await?);
    // What is new is in the snapshot before anything is told of it: one write for all, and one question.
    let (applications, environments) = (applications::beginning(&change), environments::beginning(&change));
    let moved = applications::moved(&change, &applications);
    let configured = applications.iter().chain(&moved).map(|spec| applications::configured(spec, &config));
    let configured =
        configured.chain(environments.iter().map(|(id, spec)| environments::configured(id, spec, &config)));
    let facts: Vec<Fact> = configured.collect();
    if !facts.is_empty() {
        context.journal.record(facts).await?;
    }
    lines.extend(environments::begin(&change, environments).await?);
    lines.extend(applications::begin(&change, applications).await?);
    let sources = config.application_source.iter().flat_map(ApplicationSource::repositories_read);
    let sources = sources.chain(config.configuration.iter().map(|configuration| configuration.repository.clone()));
    let sources = sources.filter_map(|address| change.repository(&address).ok());
    let gone = context.repositories.keep_only(&used(context).into_iter().chain(sources).collect::<Vec<_>>());
    let gone = gone.into_iter().map(|address| Fact::Gone(Key::repository(&address)));
    context.charts.keep_only(&charts_used(context));
    let operated = environments::all(&config).map(|(id, _)| id).collect();
    lines.extend(removals::settle(&change, &operated));
    context.journal.publish(gone.collect()).await;
    Ok(lines)
}

/// A reload may mean that a password is another: what clusters pull with is looked at.
pub fn look_at_pull_secrets(context: &Context) {
    environments::wake_for_pull_secrets(context);
}

/// From one configuration to another.
struct Change<'a> {
    context: &'a Arc<Context>,
    before: &'a Config,
    config: &'a Config,
    tasks: &'a TaskTracker,
}

impl Change<'_> {
    fn repository(&self, address: &str) -> Result<Arc<Repository>, GitError> {
        let Context { repositories, data_dir, journal, .. } = &**self.context;
        repositories.get(address, self.config, base(self.context), data_dir, journal)
    }

    /// Where the manifests of an environment are: a repository, or what an artifact became.
    fn manifests(&self, spec: &EnvironmentSpec) -> Result<Arc<Repository>, ArtifactError> {
        self.files(&spec.repository, spec.artifact.as_ref())
    }

    /// Where promotions to an environment are written.
    fn promoted(&self, spec: &EnvironmentSpec) -> Result<Arc<Repository>, ArtifactError> {
        match spec.promoted_source() {
            Some(source) => self.files(&source.repository, source.artifact.as_ref()),
            None => self.manifests(spec),
        }
    }

    /// Where the files of its other sources are.
    fn sources(&self, spec: &EnvironmentSpec) -> Result<Vec<Source>, ArtifactError> {
        let source = |spec: &EnvironmentSource| {
            Ok(Source { spec: spec.clone(), repository: self.files(&spec.repository, spec.artifact.as_ref())? })
        };
        spec.sources.iter().map(source).collect()
    }

    fn files(&self, address: &str, artifact: Option<&ArtifactSpec>) -> Result<Arc<Repository>, ArtifactError> {
        let Context { repositories, data_dir, journal, images, .. } = &**self.context;
        match artifact {
            Some(artifact) => repositories.get_artifact(artifact, self.config, data_dir, images, journal),
            None => Ok(self.repository(address)?),
        }
    }

    fn chart(&self, spec: &ChartSpec) -> Result<Arc<ChartSource>, ChartProblem> {
        let Context { charts, data_dir, images, config, .. } = &**self.context;
        charts.get(spec, data_dir, images, config)
    }
}

fn base(context: &Context) -> &std::path::Path {
    context.config_path.parent().unwrap_or(&context.config_path)
}

/// Records that a configuration came into force, or why not.
pub async fn record_event(context: &Context, event: Event) {
    // Not kept on a full disk: the agent's status and its log say the same.
    let _ = context.journal.record(vec![Fact::at_large(Cause::Configuration, event)]).await;
}

/// Drives a story; news of its repository wakes it. It begins when the worker before it has ended its last pass.
async fn work(wake: Wake, stop: CancellationToken, turn: Arc<Mutex<()>>, news: News, story: impl Reconciler) {
    let _turn = tokio::select! {
        turn = turn.lock() => turn,
        () = stop.cancelled() => return,
    };
    tokio::select! {
        () = worker::run(&wake, &stop, story) => {}
        () = wake_on_news(news, &wake) => {}
    }
}

type News = tokio::sync::watch::Receiver<Option<Arc<quarterdeck_git::RefSnapshot>>>;

/// Pokes whenever the refs of a repository are others.
async fn wake_on_news(mut news: News, wake: &Wake) {
    while news.changed().await.is_ok() {
        wake.wake();
    }
    // The repository is polled no more: the worker is ended by others.
    std::future::pending().await
}

fn used(context: &Context) -> Vec<Arc<Repository>> {
    let applications = context.applications.read().unwrap_or_else(PoisonError::into_inner);
    let environments = context.environments.read().unwrap_or_else(PoisonError::into_inner);
    let of_application = |application: &Arc<Application>| {
        let promoted_to = application.destinations.iter().map(|destination| destination.repository.clone());
        application.code.iter().map(|code| code.repository.clone()).chain(promoted_to).collect::<Vec<_>>()
    };
    let of_environments = environments.values().flat_map(|environment| environment.repositories()).cloned();
    applications.values().flat_map(of_application).chain(of_environments).collect()
}

fn charts_used(context: &Context) -> Vec<Arc<ChartSource>> {
    let environments = context.environments.read().unwrap_or_else(PoisonError::into_inner);
    environments.values().filter_map(|environment| environment.chart.clone()).collect()
}

/// Names of the applications of a configuration.
pub fn names(config: &Config) -> BTreeSet<ApplicationName> {
    config.applications.iter().map(|spec| spec.name.clone()).collect()
}

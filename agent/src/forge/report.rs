//! Tells each forge what became of its commits: what it knows is compared with what is so, and the rest is owed.
//!
//! Both are kept, so that a forge that is away, and an agent that is killed, cost nothing: at worst something is sent twice.
//! A run that leaves the history takes what is owed of it along.

mod comments;
mod patience;
mod plans;
mod statuses;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quarterdeck_git::url::RepositoryUrl;
use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::error::chain;
use quarterdeck_shared::snapshot::Object;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use self::comments::{Comments, Known};
use self::patience::Patience;
use self::plans::Planner;
use self::statuses::Reported;
use super::Forge;
use crate::config::Config;
use crate::config::forge::ForgeConfig;
use crate::context::Context;
use crate::journal::fact::Fact;
use crate::journal::snapshots::Changes;

/// What is so is compared this often at most: a run says more in a second than a forge has to know.
const PACE: Duration = Duration::from_millis(300);

/// The wait where the history cannot be read.
const UNREAD: Duration = Duration::from_secs(5);

/// By application what its forge calls its repository.
type Projects = BTreeMap<ApplicationName, String>;

/// A forge, and the applications whose code it has.
struct Reporter {
    forge: Forge,
    projects: Projects,
    /// Those whose runs it may not know as they are.
    behind: BTreeSet<ApplicationName>,
    /// Of its commit statuses.
    patience: Patience,
    /// Where it is to have any.
    comments: Option<Comments>,
    /// What plans its merge requests, where it is to show that.
    planner: Option<AbortOnDropHandle<()>>,
}

/// What all forges were told.
struct Told {
    statuses: Reported,
    comments: Known,
}

/// Tells until the agent ends.
pub async fn watch(context: Arc<Context>) {
    let snapshot = context.journal.snapshot();
    let (mut changes, mut configuration) = (snapshot.subscribe(), context.config.subscribe());
    let Some(mut told) = recorded(&context).await else { return };
    let mut seen = *changes.borrow_and_update();
    let news = Arc::new(Notify::new());
    let mut reporters = reporters_of(&configuration.borrow_and_update().clone(), &context, &news);
    loop {
        for reporter in &mut reporters {
            // What is sent and not recorded when the agent ends is sent once more by the next life.
            tokio::select! {
                () = reporter.round(&context, &mut told) => {}
                () = context.stop.cancelled() => return,
            }
        }
        let again = reporters.iter().filter_map(Reporter::again).min();
        tokio::select! {
            () = tokio::time::sleep(PACE) => {}
            () = context.stop.cancelled() => return,
        }
        tokio::select! {
            changed = changes.changed(), if !reporters.is_empty() => {
                if changed.is_err() {
                    return;
                }
                let changed = context.journal.snapshot().since(seen).ok();
                seen = changed.as_ref().map_or_else(|| *changes.borrow(), |changed| changed.revision);
                reporters.iter_mut().for_each(|reporter| reporter.falls_behind(changed.as_ref()));
            }
            changed = configuration.changed() => {
                if changed.is_err() {
                    return;
                }
                reporters = reporters_of(&configuration.borrow_and_update().clone(), &context, &news);
            }
            () = news.notified() => {}
            () = tokio::time::sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {}
            () = context.stop.cancelled() => return,
        }
    }
}

/// What the lives before told; nothing where the agent ends meanwhile.
async fn recorded(context: &Context) -> Option<Told> {
    loop {
        let read = context.journal.ask(|history| Ok((history.commit_statuses()?, history.comments()?))).await;
        match read {
            Ok((statuses, comments)) => return Some(Told { statuses, comments }),
            Err(error) => tracing::warn!(error = %chain(&error), "cannot read what forges were sent"),
        }
        tokio::select! {
            () = tokio::time::sleep(UNREAD) => {}
            () = context.stop.cancelled() => return None,
        }
    }
}

/// The forges of the configuration that have code or manifests of ours. Each is behind with all of it.
fn reporters_of(config: &Config, context: &Arc<Context>, news: &Arc<Notify>) -> Vec<Reporter> {
    let base = context.config_path.parent().unwrap_or(&context.config_path);
    let one = |of: &ForgeConfig| {
        let forge = Forge::new(of)?;
        let projects = config.applications.iter().filter_map(|application| {
            let address = RepositoryUrl::parse(&application.delivery.as_ref()?.code.repository, base).ok()?;
            Some((application.name.clone(), forge.project(&address)?))
        });
        let projects: Projects = projects.collect();
        let behind = projects.keys().cloned().collect();
        let planner = Forge::new(of).and_then(|forge| Planner::new(forge, config, base, news));
        let comments = Comments::new(of.comment, planner.as_ref().map(Planner::plans));
        let planner = planner.map(|planner| AbortOnDropHandle::new(tokio::spawn(planner.run(context.clone()))));
        Some(Reporter { projects, behind, forge, patience: Patience::default(), comments, planner })
    };
    let reporters = config.forge.iter().filter_map(one);
    reporters.filter(|one| !one.projects.is_empty() || one.planner.is_some()).collect()
}

impl Reporter {
    /// Takes note of what changed; of everything where more did than is kept.
    fn falls_behind(&mut self, changed: Option<&Changes>) {
        let Some(changed) = changed else {
            self.behind = self.projects.keys().cloned().collect();
            return;
        };
        for (_, object) in &changed.keys {
            if let Some(Object::Run(run)) = object.as_deref()
                && self.projects.contains_key(&run.application)
            {
                self.behind.insert(run.application.clone());
            }
        }
    }

    /// When it is asked again after a failure.
    fn again(&self) -> Option<Instant> {
        let comments = self.comments.as_ref().and_then(|comments| comments.patience.again());
        self.patience.again().into_iter().chain(comments).min()
    }

    /// Notes what it is yet to be told, and tells it. A token that may not do the one may do the other.
    async fn round(&mut self, context: &Context, told: &mut Told) {
        let Self { forge, projects, behind, patience, comments, .. } = self;
        let behind = std::mem::take(behind);
        statuses::note(context, forge.config.kind, &behind, &mut told.statuses).await;
        if let Some(comments) = comments {
            comments.note(context, forge, projects, &behind, &mut told.comments).await;
        }
        statuses::send(context, forge, projects, &mut told.statuses, patience).await;
        if let Some(comments) = comments {
            comments.send(context, forge, &mut told.comments).await;
        }
    }
}

/// Keeps it for the next life.
async fn record(context: &Context, fact: Fact) {
    if let Err(error) = context.journal.record(vec![fact]).await {
        tracing::debug!(error = %chain(&error), "what a forge was sent is not recorded");
    }
}

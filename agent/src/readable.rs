//! Whether repositories can be read, told at the applications and environments that use them: what is deployed keeps
//! running while a forge is unreachable, and whoever looks must see that nothing newer is known.

use std::sync::Arc;

use futures::future::select_all;
use quarterdeck_shared::snapshot::{Cover, Unseen};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::charts::source::ChartState;
use crate::context::{Application, Context, Environment, Source};
use crate::journal::fact::{ApplicationPatch, Fact, Patch};
use crate::poll::{Repository, Trouble};

/// Tells it of the code repository until the application ends. At the begin too: an earlier configuration may have left
/// another answer.
pub async fn of_code(context: Arc<Context>, application: Arc<Application>) {
    let Some(code) = application.code.as_ref().map(|code| &code.repository) else { return };
    let name = &application.spec.name;
    let what = format!("code repository {}", code.address());
    let known = || context.journal.snapshot().application(name).map(|status| status.unseen).unwrap_or_default();
    let fact = |unseen| Fact::Application { name: name.clone(), patch: ApplicationPatch::Unseen(unseen) };
    publish_unseen(&context, (code, Cover::Repository, &what), known, fact, &application.stop).await;
}

/// Tells it of the repository of the manifests until the environment ends.
pub async fn of_manifests(context: Arc<Context>, environment: Arc<Environment>) {
    let (id, repository) = (&environment.id, &environment.repository);
    let (of, kind) = match repository.artifact() {
        Some(_) => (Cover::Artifact, "artifact"),
        None => (Cover::Repository, "repository"),
    };
    let what = format!("{kind} {}", repository.address());
    let known = || {
        let unseen = context.journal.snapshot().environment(id).map(|status| status.unseen).unwrap_or_default();
        unseen.into_iter().filter(|unseen| unseen.of == of).collect()
    };
    let fact = |unseen| Fact::patch(id, Patch::Unseen { of, unseen });
    // A reload may have made one of the other.
    let other = if of == Cover::Artifact { Cover::Repository } else { Cover::Artifact };
    let has_other =
        context.journal.snapshot().environment(id).is_some_and(|it| it.unseen.iter().any(|one| one.of == other));
    if has_other {
        context.journal.publish(vec![Fact::patch(id, Patch::Unseen { of: other, unseen: Vec::new() })]).await;
    }
    publish_unseen(&context, (repository, of, &what), known, fact, &environment.stop).await;
}

/// Tells it of its other sources until the environment ends. Where it has none what an earlier configuration left is taken back.
pub async fn of_sources(context: Arc<Context>, environment: Arc<Environment>) {
    let id = &environment.id;
    // Those in the environment's own artifact are seen with that.
    let sources: Vec<&Source> = environment.sources.iter().filter(|source| !source.spec.bundled).collect();
    let mut troubles: Vec<_> = sources.iter().map(|source| source.repository.trouble()).collect();
    loop {
        let unseen: Vec<Unseen> = sources.iter().copied().zip(&mut troubles).filter_map(of_source).collect();
        let known = context.journal.snapshot().environment(id).map(|status| status.unseen).unwrap_or_default();
        if !known.into_iter().filter(|unseen| unseen.of == Cover::Source).eq(unseen.iter().cloned()) {
            context.journal.publish(vec![Fact::patch(id, Patch::Unseen { of: Cover::Source, unseen })]).await;
        }
        if troubles.is_empty() {
            return;
        }
        tokio::select! {
            // The sender of a repository lives as long as its environment holds it.
            _ = select_all(troubles.iter_mut().map(|trouble| Box::pin(trouble.changed()))) => {}
            () = environment.stop.cancelled() => return,
        }
    }
}

fn of_source((source, trouble): (&Source, &mut watch::Receiver<Option<Trouble>>)) -> Option<Unseen> {
    let Trouble { reason, last_seen, .. } = trouble.borrow_and_update().clone()?;
    let kind = if source.repository.artifact().is_some() { "artifact" } else { "repository" };
    let what = format!("source {} ({kind} {})", source.spec.name, source.repository.address());
    Some(Unseen { of: Cover::Source, what, reason, last_seen })
}

/// Tells it of the registry or chart repository of its chart until the environment ends.
pub async fn of_chart(context: Arc<Context>, environment: Arc<Environment>, mut state: watch::Receiver<ChartState>) {
    let (id, chart) = (&environment.id, environment.spec.helm.chart.as_ref());
    let what = chart.map(|chart| format!("chart {} of {}", chart.name, chart.repository)).unwrap_or_default();
    loop {
        let ChartState { failure, last_seen, .. } = state.borrow_and_update().clone();
        let unseen: Vec<Unseen> = failure
            .map(|why| Unseen { of: Cover::Chart, what: what.clone(), reason: why.message, last_seen })
            .into_iter()
            .collect();
        let known = context.journal.snapshot().environment(id).map(|status| status.unseen).unwrap_or_default();
        if !known.into_iter().filter(|unseen| unseen.of == Cover::Chart).eq(unseen.iter().cloned()) {
            let patch = Patch::Unseen { of: Cover::Chart, unseen };
            context.journal.publish(vec![Fact::patch(id, patch)]).await;
        }
        tokio::select! {
            // The sender of a chart lives as long as its environment holds it.
            _ = state.changed() => {}
            () = environment.stop.cancelled() => return,
        }
    }
}

async fn publish_unseen(
    context: &Context,
    (repository, of, what): (&Repository, Cover, &str),
    known: impl Fn() -> Vec<Unseen>,
    fact: impl Fn(Vec<Unseen>) -> Fact,
    stop: &CancellationToken,
) {
    let mut trouble = repository.trouble();
    loop {
        let unseen = trouble.borrow_and_update().clone().map(|trouble| {
            let (reason, last_seen) = (trouble.reason, trouble.last_seen);
            Unseen { of, what: what.to_owned(), reason, last_seen }
        });
        let unseen: Vec<Unseen> = unseen.into_iter().collect();
        if known() != unseen {
            context.journal.publish(vec![fact(unseen)]).await;
        }
        tokio::select! {
            // The sender of a repository lives as long as we hold the repository.
            _ = trouble.changed() => {}
            () = stop.cancelled() => return,
        }
    }
}

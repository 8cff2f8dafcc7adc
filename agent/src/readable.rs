//! Whether repositories can be read, told at the applications and environments that use them: what is deployed keeps
//! running while a forge is unreachable, and whoever looks must see that nothing newer is known.

use std::sync::Arc;

use quarterdeck_shared::snapshot::{Cover, Unseen};
use tokio_util::sync::CancellationToken;

use crate::context::{Application, Context, Environment};
use crate::journal::fact::{ApplicationPatch, Fact, Patch};
use crate::poll::Repository;

/// Tells it of the code repository until the application ends. At the begin too: an earlier configuration may have left
/// another answer.
pub async fn of_code(context: Arc<Context>, application: Arc<Application>) {
    let Some(code) = application.code.as_ref().map(|code| &code.repository) else { return };
    let name = &application.spec.name;
    let what = format!("code repository {}", code.address());
    let known = || context.journal.snapshot().application(name).map(|status| status.unseen).unwrap_or_default();
    let fact = |unseen| Fact::Application { name: name.clone(), patch: ApplicationPatch::Unseen(unseen) };
    publish_unseen(&context, code, &what, known, fact, &application.stop).await;
}

/// Tells it of the repository of the manifests until the environment ends.
pub async fn of_manifests(context: Arc<Context>, environment: Arc<Environment>) {
    let (id, repository) = (&environment.id, &environment.repository);
    let what = format!("repository {}", repository.address());
    let known = || {
        let unseen = context.journal.snapshot().environment(id).map(|status| status.unseen).unwrap_or_default();
        unseen.into_iter().filter(|unseen| unseen.of == Cover::Repository).collect()
    };
    let fact = |unseen| Fact::patch(id, Patch::Unseen { of: Cover::Repository, unseen });
    publish_unseen(&context, repository, &what, known, fact, &environment.stop).await;
}

async fn publish_unseen(
    context: &Context,
    repository: &Repository,
    what: &str,
    known: impl Fn() -> Vec<Unseen>,
    fact: impl Fn(Vec<Unseen>) -> Fact,
    stop: &CancellationToken,
) {
    let mut trouble = repository.trouble();
    loop {
        let unseen = trouble.borrow_and_update().clone().map(|trouble| {
            let (reason, last_seen) = (trouble.reason, trouble.last_seen);
            Unseen { of: Cover::Repository, what: what.to_owned(), reason, last_seen }
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

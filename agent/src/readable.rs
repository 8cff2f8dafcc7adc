//! Whether the repositories of an application can be read, told at the application: what is deployed keeps running while
//! a forge is unreachable, and whoever looks must see that nothing newer is known.

use std::sync::Arc;

use quarterdeck_shared::snapshot::{Cover, Unseen};

use crate::context::{Application, Context};
use crate::journal::fact::{Fact, Patch};
use crate::poll::Repository;

/// Tells it until the application ends. At the begin too: an earlier configuration may have left another answer.
pub async fn tell(context: Arc<Context>, application: Arc<Application>) {
    let name = &application.spec.name;
    let repositories = of(&application);
    if repositories.is_empty() {
        return;
    }
    let mut troubles: Vec<_> = repositories.iter().map(|(_, repository)| repository.trouble()).collect();
    loop {
        let unseen: Vec<Unseen> = repositories
            .iter()
            .zip(&mut troubles)
            .filter_map(|((what, _), trouble)| {
                let trouble = trouble.borrow_and_update().clone()?;
                let (reason, last_seen) = (trouble.reason, trouble.last_seen);
                Some(Unseen { of: Cover::Repository, what: what.clone(), reason, last_seen })
            })
            .collect();
        let known = context.journal.snapshot().application(name).map(|status| status.unseen).unwrap_or_default();
        if !known.iter().filter(|known| known.of == Cover::Repository).eq(&unseen) {
            context.journal.tell(vec![Fact::patch(name, Patch::Unseen { of: Cover::Repository, unseen })]).await;
        }
        let changed = troubles.iter_mut().map(|trouble| Box::pin(trouble.changed()));
        tokio::select! {
            // The sender of a repository lives as long as we hold the repository.
            _ = futures::future::select_all(changed) => {}
            () = application.stop.cancelled() => return,
        }
    }
}

/// The repository of the manifests first: what it says is what is deployed. One that is both is told as that.
fn of(application: &Application) -> Vec<(String, Arc<Repository>)> {
    let manifests = application.deploy.as_ref().map(|deploy| deploy.repository.clone());
    let code = application.code.clone().filter(|code| !manifests.iter().any(|other| Arc::ptr_eq(other, code)));
    let manifests = manifests.map(|repository| (format!("repository {}", repository.address()), repository));
    let code = code.map(|repository| (format!("code repository {}", repository.address()), repository));
    manifests.into_iter().chain(code).collect()
}

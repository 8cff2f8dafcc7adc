//! How far a pass is, told while it lasts: what is quick is not told at all, and what takes long at most five times a second.

use std::time::Duration;

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::snapshot::Progress;
use tokio::sync::watch;

use crate::journal::Journal;
use crate::journal::fact::{Fact, Patch};

/// A person sees no more, and each telling is a change for every console. What takes less time than this is not told.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);

/// Works, and tells that it does where that takes long; takes that back at the end.
pub(super) async fn with_progress<T>(
    journal: &Journal,
    name: &EnvironmentId,
    progress: Progress,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => return done,
        () = tokio::time::sleep(PUBLISH_EVERY) => {}
    }
    journal.try_publish(Fact::patch(name, Patch::Progress(Some(progress))));
    let done = work.await;
    // Not kept on a full disk, which it need not be: it is shown all the same.
    let _ = journal.record(vec![Fact::patch(name, Patch::Progress(None))]).await;
    done
}

/// Works, and tells what is sent meanwhile: of what comes quickly the newest. Who called takes it back.
pub(super) async fn telling<T>(
    journal: &Journal,
    name: &EnvironmentId,
    mut progress: watch::Receiver<Progress>,
    work: impl Future<Output = T>,
) -> T {
    let tell = async {
        while progress.changed().await.is_ok() {
            let now = progress.borrow_and_update().clone();
            journal.try_publish(Fact::patch(name, Patch::Progress(Some(now))));
            tokio::time::sleep(PUBLISH_EVERY).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        done = work => done,
        () = tell => unreachable!("it never ends"),
    }
}

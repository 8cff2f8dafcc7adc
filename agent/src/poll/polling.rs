//! The loop of one repository: it is polled again and again, and what came of it is told.

use std::sync::Arc;

use jiff::Timestamp;
use quarterdeck_git::RefSnapshot;
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::event::{Cause, Event};
use quarterdeck_shared::snapshot::{Object, RepositoryStatus};
use tracing::Instrument as _;

use super::repository::{Repository, Trouble};
use super::turn::{Listed, look, turn};
use super::unanswered::Unanswered;
use crate::artifacts::ArtifactSource;
use crate::journal::Journal;
use crate::journal::fact::Fact;
use crate::worker::jitter;

/// Begins to poll a repository.
pub(super) fn begin(repository: &Arc<Repository>, journal: &Journal) {
    let span = tracing::error_span!("repository", repository = repository.address());
    tokio::spawn(poll(repository.clone(), journal.clone()).instrument(span));
}

/// The loop of one repository.
async fn poll(repository: Arc<Repository>, journal: Journal) {
    let mut status = RepositoryStatus {
        address: repository.address.clone(),
        polled: None,
        next_poll: None,
        branches: 0,
        tags: 0,
        error: None,
        hint: String::new(),
        failures: 0,
    };
    let (mut whole, mut images) = (false, repository.artifact.as_ref().map(ArtifactSource::images));
    loop {
        let answer = match &repository.artifact {
            Some(artifact) => look(&repository, artifact).await,
            None => turn(&repository, whole).await.map_err(Unanswered::Git),
        };
        let now = Timestamp::now();
        let is_pause = answer.as_ref().is_err_and(Unanswered::is_pause);
        let wait = match answer {
            Ok(Listed { refs, passed_by, renewed, .. }) => {
                repository.is_in(None);
                if status.failures > 0 {
                    tell_connection(&journal, &repository, None).await;
                }
                status = RepositoryStatus {
                    polled: Some(now),
                    branches: refs.branches.len() as u32,
                    tags: refs.tags.len() as u32,
                    error: None,
                    hint: String::new(),
                    failures: 0,
                    ..status
                };
                tell_tags(&journal, &repository, &refs, passed_by).await;
                let changed = repository.refs.borrow().as_deref() != Some(&*refs);
                // What could not be read of a damaged mirror is read now.
                if changed || renewed {
                    repository.refs.send_replace(Some(refs));
                }
                jitter(*repository.interval.borrow())
            }
            Err(_) if repository.stop.is_cancelled() => return,
            Err(error) => {
                let Failure { message, hint } = error.failure();
                let trouble = Trouble { reason: message.clone(), hint: hint.clone(), last_seen: status.polled };
                repository.is_in(Some(trouble));
                status.failures += 1;
                if status.error.as_ref() != Some(&message) {
                    tracing::warn!(repository = %repository.address, error = %message, %hint, "poll failed");
                    tell_connection(&journal, &repository, Some(message.clone())).await;
                }
                (status.error, status.hint) = (Some(message), hint);
                error.backoff(status.failures, *repository.interval.borrow())
            }
        };
        status.next_poll = Timestamp::now().checked_add(wait).ok();
        journal.publish(vec![Fact::Seen(Object::Repository(status.clone()))]).await;
        whole = tokio::select! {
            () = repository.received.notified() => true,
            () = tokio::time::sleep(wait) => false,
            () = repository.wake.notified(), if !is_pause => false,
            // Another login may be accepted.
            () = repository.other_images(&mut images) => false,
            () = repository.stop.cancelled() => return,
        };
    }
}

async fn tell_connection(journal: &Journal, repository: &Repository, lost: Option<String>) {
    let to = format!("repository {}", repository.address);
    let event = match lost {
        Some(message) => Event::ConnectionLost { to, message },
        None => Event::ConnectionRestored { to },
    };
    // Not kept on a full disk: the repository's status says the same.
    let _ = journal.record(vec![Fact::at_large(Cause::Agent, event)]).await;
}

/// Tells which tags are new, moved or gone, from the second poll on; those that only passed by are new and gone.
async fn tell_tags(journal: &Journal, repository: &Repository, now: &RefSnapshot, passed_by: Vec<String>) {
    /// Names in one event; a push of thousands of tags is one line for people.
    const NAMES: usize = 20;
    let Some(before) = repository.refs.borrow().clone() else { return };
    let differ = now.tags.iter().filter(|(name, tag)| before.tags.get(*name) != Some(tag));
    let passed_by: Vec<String> = passed_by.into_iter().filter(|name| !before.tags.contains_key(name)).collect();
    let gone = before.tags.keys().filter(|name| !now.tags.contains_key(*name)).count() + passed_by.len();
    let changed: Vec<String> = differ.map(|(name, _)| name.clone()).chain(passed_by).take(NAMES).collect();
    let moved = changed.iter().filter(|name| before.tags.contains_key(*name)).cloned().collect();
    let deleted = gone as u64;
    if !changed.is_empty() || deleted > 0 {
        let event = Event::TagsChanged { repository: repository.address.clone(), changed, moved, deleted };
        let _ = journal.record(vec![Fact::at_large(Cause::Agent, event)]).await;
    }
}

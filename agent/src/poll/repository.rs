//! A repository that is polled: what is known of it, and how its poll is hastened.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_git::mirror::Mirror;
use quarterdeck_git::{GitError, RefSnapshot, Remote};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::artifacts::ArtifactSource;
use crate::images::Images;

/// A repository that is polled.
pub struct Repository {
    /// Its mirror in the data directory. Its calls block: see [`Repository::work`]. Another one where the configuration
    /// says that the remote is reached otherwise.
    pub(super) mirror: Mutex<Arc<Mirror>>,
    /// The artifact whose files the mirror has, where it mirrors no repository.
    pub(super) artifact: Option<ArtifactSource>,
    pub(super) address: String,
    pub(super) interval: watch::Sender<Duration>,
    pub(super) refs: watch::Sender<Option<Arc<RefSnapshot>>>,
    pub(super) trouble: watch::Sender<Option<Trouble>>,
    pub(super) wake: Notify,
    pub(super) received: Notify,
    pub(super) stop: CancellationToken,
}

/// Why a repository cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// In one line.
    pub reason: String,
    /// What to do, where that is known.
    pub hint: String,
    /// The last poll that was answered; nothing where none was yet.
    pub last_seen: Option<Timestamp>,
}

impl Repository {
    /// The refs as they were at the last poll that was answered, all of them in the mirror; nothing before the first.
    pub fn refs(&self) -> watch::Receiver<Option<Arc<RefSnapshot>>> {
        self.refs.subscribe()
    }

    /// Why it cannot be read since its last poll; nothing where that was answered.
    pub fn trouble(&self) -> watch::Receiver<Option<Trouble>> {
        self.trouble.subscribe()
    }

    /// The words of one failure are told once, however often it is met.
    pub(super) fn is_in(&self, trouble: Option<Trouble>) {
        self.trouble.send_if_modified(|now| {
            let is_news = *now != trouble;
            *now = trouble;
            is_news
        });
    }

    /// The artifact of a registry, where it is one.
    pub fn artifact(&self) -> Option<&ArtifactSource> {
        self.artifact.as_ref()
    }

    /// The address without secrets.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Polls now.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Polls now: a push is complete, as the repository's own hook says after git wrote the last of its refs, or a webhook of its
    /// forge, which is sent by then, or who pushed and asks for it. Where a turn waits for the rest of a push it waits no longer.
    pub fn received(&self) {
        self.received.notify_one();
    }

    /// Whether the remote is this git directory of this machine, which is written absolute and without links. Blocks.
    pub fn is_at(&self, directory: &Path) -> bool {
        quarterdeck_git::local::leads_to(&self.mirror().remote().url, directory)
    }

    /// Runs git work where it may block. The mirror bounds its own time, so that no thread is lost for ever.
    pub async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Mirror) -> Result<T, GitError> + Send + 'static,
    ) -> Result<T, GitError> {
        let (mirror, span) = (self.mirror(), tracing::Span::current());
        match tokio::task::spawn_blocking(move || span.in_scope(|| work(&mirror))).await {
            Ok(result) => result,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }

    /// The mirror, for who already is where it may block.
    pub fn mirror(&self) -> Arc<Mirror> {
        self.mirror.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Polls as this configuration says. Whoever works with the repository goes on: what it began ends as it began, and
    /// what it begins next takes the new way.
    pub(super) fn configure(&self, remote: Remote, interval: Duration) -> Result<(), GitError> {
        self.asked_every(interval);
        let mut mirror = self.mirror.lock().unwrap_or_else(PoisonError::into_inner);
        let is_elsewhere = *mirror.remote() != remote;
        if is_elsewhere {
            *mirror = Arc::new(mirror.reached_by(remote)?);
        }
        if is_elsewhere {
            self.wake();
        }
        Ok(())
    }

    pub(super) fn asked_every(&self, interval: Duration) {
        if self.interval.send_if_modified(|before| std::mem::replace(before, interval) != interval) {
            self.wake();
        }
    }

    pub(super) fn new(
        address: String,
        mirror: Arc<Mirror>,
        artifact: Option<ArtifactSource>,
        interval: Duration,
    ) -> Self {
        // What an earlier life of the agent kept of an artifact is all that there is while its registry is unreachable.
        let known = artifact.as_ref().and_then(|artifact| artifact.known().map(Arc::new));
        Self {
            address,
            mirror: Mutex::new(mirror),
            artifact,
            interval: watch::Sender::new(interval),
            refs: watch::Sender::new(known),
            trouble: watch::Sender::new(None),
            wake: Notify::new(),
            received: Notify::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Waits until another login, authority or way to its registry is configured; forever where it is not one of a registry.
    pub(super) async fn other_images(&self, images: &mut Option<watch::Receiver<Arc<Images>>>) {
        if let Some(images) = images
            && images.changed().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}

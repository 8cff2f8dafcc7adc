//! Polling: one loop a repository, however many applications use it.
//!
//! Each turn asks the remote for its refs, once; only where they are others than before is anything fetched. Who works
//! with the repository (a worker) watches the refs and never asks the remote itself. A remote that fails is asked less
//! and less often; one that refuses our credentials least of all, since some forges ban an address for that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_shared::event::{Cause, Event};
use quarterdeck_shared::snapshot::{Object, RepositoryStatus};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::journal::fact::Fact;
use crate::journal::{Journal, chain};
use crate::source::git::Mirror;
use crate::source::url::{RepositoryUrl, UrlError};
use crate::source::{GitError, GitErrorKind, RefSnapshot, Remote};
use crate::worker::jitter;

/// A remote that is away is asked at least this often: what was broken overnight is back within minutes.
const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// A remote that refused our credentials is asked this seldom. GitLab bans an address after 30 refusals in 3 minutes,
/// older ones after 10 in one.
const REFUSED: Duration = Duration::from_secs(600);

/// A repository that is polled.
pub struct Repository {
    /// Its mirror in the data directory. Its calls block: see [`Repository::work`].
    mirror: Arc<Mirror>,
    address: String,
    interval: Duration,
    refs: watch::Sender<Option<Arc<RefSnapshot>>>,
    trouble: watch::Sender<Option<Trouble>>,
    wake: Notify,
    stop: CancellationToken,
}

/// Why a repository cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// In one line.
    pub reason: String,
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
    fn is_in(&self, trouble: Option<Trouble>) {
        self.trouble.send_if_modified(|now| {
            let is_news = *now != trouble;
            *now = trouble;
            is_news
        });
    }

    /// The address without secrets.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Polls now.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Runs git work where it may block. The mirror bounds its own time, so that no thread is lost for ever.
    pub async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Mirror) -> Result<T, GitError> + Send + 'static,
    ) -> Result<T, GitError> {
        let mirror = self.mirror.clone();
        match tokio::task::spawn_blocking(move || work(&mirror)).await {
            Ok(result) => result,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }

    /// The mirror, for who already is where it may block.
    pub fn mirror(&self) -> &Arc<Mirror> {
        &self.mirror
    }
}

/// All repositories, by the key that two spellings of one address share.
#[derive(Default)]
pub struct Repositories {
    by_key: Mutex<BTreeMap<String, Arc<Repository>>>,
}

impl Repositories {
    /// The repository of an address of the configuration; it is opened, and its polling begins, with the first who asks.
    pub fn get(
        &self,
        address: &str,
        config: &Config,
        base: &Path,
        data_dir: &Path,
        journal: &Journal,
    ) -> Result<Arc<Repository>, GitError> {
        let url = RepositoryUrl::parse(address, base).map_err(|error| bad_address(address, &error))?;
        let remote = Remote::new(url, &config.repository, base).map_err(|error| bad_address(address, &error))?;
        let key = remote.url.key().to_owned();
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(repository) = by_key.get(&key) {
            if *repository.mirror.remote() == remote {
                return Ok(repository.clone());
            }
            // Its credentials or options are others now.
            repository.stop.cancel();
        }
        let dir: PathBuf = data_dir.join("mirrors").join(remote.url.mirror_name());
        let interval = remote.access.poll_interval().unwrap_or(config.agent.poll_interval.0);
        let repository = Arc::new(Repository {
            address: remote.url.to_string(),
            mirror: Arc::new(Mirror::open_or_init(dir, remote)?),
            interval,
            refs: watch::Sender::new(None),
            trouble: watch::Sender::new(None),
            wake: Notify::new(),
            stop: CancellationToken::new(),
        });
        by_key.insert(key, repository.clone());
        tokio::spawn(poll(repository.clone(), journal.clone()));
        Ok(repository)
    }

    /// Stops polling what nobody uses any more: who does is `used`, by address.
    pub fn keep_only(&self, used: &[Arc<Repository>]) -> Vec<String> {
        let mut gone = Vec::new();
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, repository| {
            let keep = used.iter().any(|other| Arc::ptr_eq(other, repository));
            if !keep {
                repository.stop.cancel();
                gone.push(repository.address.clone());
            }
            keep
        });
        gone
    }

    /// Stops all polling and interrupts git work that is under way.
    pub fn stop(&self) {
        for repository in self.by_key.lock().unwrap_or_else(PoisonError::into_inner).values() {
            repository.stop.cancel();
            repository.mirror.interrupt();
        }
    }

    /// Every repository.
    pub fn all(&self) -> Vec<Arc<Repository>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

fn bad_address(address: &str, error: &UrlError) -> GitError {
    GitError::NotFound { url: crate::source::url::redact(address), what: error.to_string() }
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
        failures: 0,
    };
    loop {
        let answer = turn(&repository).await;
        let now = Timestamp::now();
        let wait = match answer {
            Ok(refs) => {
                repository.is_in(None);
                if status.failures > 0 {
                    tell_connection(&journal, &repository, None).await;
                }
                status = RepositoryStatus {
                    polled: Some(now),
                    branches: refs.branches.len() as u32,
                    tags: refs.tags.len() as u32,
                    error: None,
                    failures: 0,
                    ..status
                };
                tell_tags(&journal, &repository, &refs).await;
                let changed = repository.refs.borrow().as_deref() != Some(&*refs);
                if changed {
                    repository.refs.send_replace(Some(refs));
                }
                jitter(repository.interval)
            }
            Err(_) if repository.stop.is_cancelled() => return,
            Err(error) => {
                let message = chain(&error);
                repository.is_in(Some(Trouble { reason: message.clone(), last_seen: status.polled }));
                status.failures += 1;
                if status.error.as_ref() != Some(&message) {
                    tracing::warn!(repository = %repository.address, error = %message, "poll failed");
                    tell_connection(&journal, &repository, Some(message.clone())).await;
                }
                status.error = Some(message);
                backoff(&error, status.failures, repository.interval)
            }
        };
        status.next_poll = Timestamp::now().checked_add(wait).ok();
        journal.tell(vec![Fact::Seen(Object::Repository(status.clone()))]).await;
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = repository.wake.notified() => {}
            () = repository.stop.cancelled() => return,
        }
    }
}

/// One poll: the refs, and what is new of them fetched.
async fn turn(repository: &Repository) -> Result<Arc<RefSnapshot>, GitError> {
    let known = repository.refs.borrow().clone();
    let address = repository.address.clone();
    repository
        .work(move |mirror| {
            let refs = mirror.list_refs()?;
            if known.as_deref() != Some(&refs) {
                mirror.fetch(&refs)?;
                // What was fetched counts, also where there is no git program to pack it up with.
                if let Err(error) = mirror.maintain() {
                    tracing::warn!(repository = %address, error = %chain(&error), "the mirror is not packed up");
                }
            }
            Ok(Arc::new(refs))
        })
        .await
}

/// How long to wait after a number of failures in a row. Doubles from the interval.
fn backoff(error: &GitError, failures: u32, interval: Duration) -> Duration {
    match error.kind() {
        GitErrorKind::Credentials if failures > 3 => jitter(REFUSED),
        _ => jitter(interval.saturating_mul(1 << failures.min(10)).min(BACKOFF_MAX.max(interval))),
    }
}

async fn tell_connection(journal: &Journal, repository: &Repository, lost: Option<String>) {
    let to = format!("repository {}", repository.address);
    let event = match lost {
        Some(message) => Event::ConnectionLost { to, message },
        None => Event::ConnectionRestored { to },
    };
    // Not kept on a full disk: the repository's status says the same.
    let _ = journal.record(vec![Fact::Happened { application: None, cause: Cause::Agent, event }]).await;
}

/// Tells which tags are new, moved or gone, from the second poll on.
async fn tell_tags(journal: &Journal, repository: &Repository, now: &RefSnapshot) {
    /// Names in one event; a push of thousands of tags is one line for people.
    const NAMES: usize = 20;
    let Some(before) = repository.refs.borrow().clone() else { return };
    let changed: Vec<String> = now
        .tags
        .iter()
        .filter(|(name, tag)| before.tags.get(*name) != Some(tag))
        .map(|(name, _)| name.clone())
        .take(NAMES)
        .collect();
    let moved = changed.iter().filter(|name| before.tags.contains_key(*name)).cloned().collect();
    let deleted = before.tags.keys().filter(|name| !now.tags.contains_key(*name)).count() as u64;
    if !changed.is_empty() || deleted > 0 {
        let event = Event::TagsChanged { repository: repository.address.clone(), changed, moved, deleted };
        let _ = journal.record(vec![Fact::Happened { application: None, cause: Cause::Agent, event }]).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_is_asked_less_and_less_and_who_refuses_us_least() {
        let away = GitError::Unreachable { url: "https://forge/x".into(), detail: "refused".into() };
        let dead = GitError::AccessDenied { url: "https://forge/x".into(), detail: "401".into() };
        let interval = Duration::from_secs(30);
        for (error, failures, seconds) in [
            (&away, 1, 60.0),
            (&away, 2, 120.0),
            (&away, 4, 300.0),
            (&away, 60, 300.0),
            (&dead, 3, 240.0),
            (&dead, 4, 600.0),
        ] {
            let wait = backoff(error, failures, interval).as_secs_f64();
            assert!((seconds * 0.89..=seconds * 1.11).contains(&wait), "{error}: after {failures} failures {wait} s");
        }
        let rare = Duration::from_secs(3_600);
        assert!(backoff(&away, 9, rare) > rare.mul_f64(0.89), "a person who polls seldom is not overruled");
    }
}

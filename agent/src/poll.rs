//! Polling: one loop a repository, however many applications use it. An artifact of a registry is a repository too, of which the
//! registry is asked ([`crate::artifacts`]).
//!
//! Each turn asks the remote for its refs, once; only where they are others than before is anything fetched, and only where
//! tags are news is it asked again: until two listings agree. Where the repository itself or its forge says that a push is
//! complete, one listing has all of it. Who works
//! with the repository (a worker) watches the refs and never asks the remote itself. A remote that fails is asked less
//! and less often; one that refuses our credentials least of all, since some forges ban an address for that.

mod unanswered;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_shared::application::{ArtifactSpec, EnvironmentSpec};
use quarterdeck_shared::event::{Cause, Event};
use quarterdeck_shared::snapshot::{Object, RepositoryStatus};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use self::unanswered::Unanswered;
use crate::artifacts::{ArtifactError, ArtifactSource, Looked};
use crate::config::Config;
use crate::images::Images;
use crate::journal::Journal;
use crate::journal::fact::Fact;
use crate::worker::jitter;
use quarterdeck_git::mirror::{DESCRIPTION, Mirror};
use quarterdeck_git::url::{RepositoryUrl, UrlError};
use quarterdeck_git::{GitError, RefSnapshot, Remote};
use quarterdeck_shared::error::{Failure, chain};
use tracing::Instrument as _;

/// The pause before tags that are news are listed again. Gitea shows the tags of one push a third of a second apart; three
/// times that is long enough for a forge that is busy. Who polls more often than every other second waits half of that.
const PAUSE: Duration = Duration::from_secs(1);

/// Listings until two agree: a push of some hundred tags at that pace. One that takes longer is decided in parts.
const LISTINGS_MAX: u32 = 60;

/// A repository that is polled.
pub struct Repository {
    /// Its mirror in the data directory. Its calls block: see [`Repository::work`]. Another one where the configuration
    /// says that the remote is reached otherwise.
    mirror: Mutex<Arc<Mirror>>,
    /// The artifact whose files the mirror has, where it mirrors no repository.
    artifact: Option<ArtifactSource>,
    address: String,
    interval: watch::Sender<Duration>,
    refs: watch::Sender<Option<Arc<RefSnapshot>>>,
    trouble: watch::Sender<Option<Trouble>>,
    wake: Notify,
    received: Notify,
    stop: CancellationToken,
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
    fn is_in(&self, trouble: Option<Trouble>) {
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
    fn configure(&self, remote: Remote, interval: Duration) -> Result<(), GitError> {
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

    fn asked_every(&self, interval: Duration) {
        if self.interval.send_if_modified(|before| std::mem::replace(before, interval) != interval) {
            self.wake();
        }
    }

    fn new(address: String, mirror: Arc<Mirror>, artifact: Option<ArtifactSource>, interval: Duration) -> Self {
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

    /// Begins to poll it.
    fn begin(self: &Arc<Self>, journal: &Journal) {
        let span = tracing::error_span!("repository", repository = self.address());
        tokio::spawn(poll(self.clone(), journal.clone()).instrument(span));
    }

    /// Waits until another login, authority or way to its registry is configured; forever where it is not one of a registry.
    async fn other_images(&self, images: &mut Option<watch::Receiver<Arc<Images>>>) {
        if let Some(images) = images
            && images.changed().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}

/// All repositories, by the key that two spellings of one address share.
#[derive(Default)]
pub struct Repositories {
    by_key: Mutex<BTreeMap<String, Arc<Repository>>>,
    /// The keys of those whose merge requests an application wants.
    merge_requests: Mutex<BTreeSet<String>>,
}

fn artifact_key(spec: &ArtifactSpec) -> String {
    format!("artifact {spec:?}")
}

/// Where the files of an artifact are, as commits.
pub fn artifact_dir(spec: &ArtifactSpec, data_dir: &Path) -> PathBuf {
    let key = Sha256::digest(artifact_key(spec));
    let digest: String = key.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    data_dir.join("mirrors").join(format!("artifact-{digest}"))
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
        let (remote, interval) = self.reached(url, config, base).map_err(|error| bad_address(address, &error))?;
        let key = remote.url.key().to_owned();
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(repository) = by_key.get(&key) {
            if repository.mirror().remote().url == remote.url {
                return Ok(repository.clone());
            }
            // It is written otherwise now.
            repository.stop.cancel();
        }
        let dir: PathBuf = data_dir.join("mirrors").join(remote.url.mirror_name());
        let address = remote.url.to_string();
        let mirror = Mirror::open_or_init(dir, remote)?;
        let repository = Arc::new(Repository::new(address, Arc::new(mirror), None, interval));
        by_key.insert(key, repository.clone());
        repository.begin(journal);
        Ok(repository)
    }

    /// The repository that has the files of an artifact; its registry begins to be asked with the first who asks.
    ///
    /// # Errors
    /// Where its mirror cannot be opened.
    pub fn get_artifact(
        &self,
        spec: &ArtifactSpec,
        config: &Config,
        data_dir: &Path,
        images: &watch::Sender<Arc<Images>>,
        journal: &Journal,
    ) -> Result<Arc<Repository>, ArtifactError> {
        // No repository has such a key. All of it decides: what one key signed says nothing of another's.
        let key = artifact_key(spec);
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(repository) = by_key.get(&key) {
            return Ok(repository.clone());
        }
        let dir = artifact_dir(spec, data_dir);
        // Nothing is fetched from there.
        let here = dir.display().to_string();
        let remote = RepositoryUrl::parse(&here, data_dir).and_then(|url| Remote::new(url, &[], data_dir));
        let mirror = Mirror::open_or_init(&dir, remote.map_err(|error| bad_address(&here, &error))?)?;
        let address = spec.describe();
        // For whoever looks into the folder.
        let _ = std::fs::write(dir.join(DESCRIPTION), format!("{address}\n"));
        let artifact = ArtifactSource::new(spec, &mirror, images.subscribe())?;
        let interval = config.agent.image_interval.0;
        let repository = Arc::new(Repository::new(address, Arc::new(mirror), Some(artifact), interval));
        by_key.insert(key, repository.clone());
        repository.begin(journal);
        Ok(repository)
    }

    /// Brings other options of repositories and another interval into force, without a stop of what uses them.
    pub fn configure(&self, config: &Config, base: &Path) {
        let code = config.applications.iter().filter_map(|one| one.delivery.as_ref()).map(|delivery| &delivery.code);
        let read = |address: &String| RepositoryUrl::parse(address, base).ok();
        let built = code.filter(|code| code.merge_requests).filter_map(|code| read(&code.repository));
        let manifests = config.applications.iter().flat_map(|one| &one.environments);
        let of = |environment: &'_ EnvironmentSpec| {
            let sources = environment.sources.iter().map(|source| source.repository.clone());
            sources.chain([environment.repository.clone()]).collect::<Vec<_>>()
        };
        let planned = manifests.flat_map(of).filter_map(|address| read(&address));
        let planned = planned.filter(|url| config.forge.iter().any(|forge| forge.plan && forge.has(url)));
        *self.merge_requests.lock().unwrap_or_else(PoisonError::into_inner) =
            built.chain(planned).map(|url| url.key().to_owned()).collect();
        for repository in self.all() {
            if repository.artifact.is_some() {
                repository.asked_every(config.agent.image_interval.0);
                continue;
            }
            let url = repository.mirror().remote().url.clone();
            let configured = self
                .reached(url, config, base)
                .map_err(|error| bad_address(&repository.address, &error))
                .and_then(|(remote, interval)| repository.configure(remote, interval));
            if let Err(error) = configured {
                let error = chain(&error);
                tracing::error!(repository = %repository.address, %error, "the options of the repository are unchanged");
            }
        }
    }

    /// How a repository is reached, and how often it is polled.
    fn reached(&self, url: RepositoryUrl, config: &Config, base: &Path) -> Result<(Remote, Duration), UrlError> {
        let mut remote = Remote::new(url, &config.repository, base)?;
        let wanted = self.merge_requests.lock().unwrap_or_else(PoisonError::into_inner);
        remote.merge_requests = wanted.contains(remote.url.key());
        let interval = remote.access.poll_interval().unwrap_or(config.agent.poll_interval.0);
        Ok((remote, interval))
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
        // Another key of an artifact may have the same name.
        gone.retain(|address| !used.iter().any(|other| other.address == *address));
        gone
    }

    /// Stops all polling and interrupts git work that is under way.
    pub fn stop(&self) {
        for repository in self.by_key.lock().unwrap_or_else(PoisonError::into_inner).values() {
            repository.stop.cancel();
            repository.mirror().interrupt();
        }
    }

    /// Every repository.
    pub fn all(&self) -> Vec<Arc<Repository>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

fn bad_address(address: &str, error: &UrlError) -> GitError {
    GitError::NotFound { url: quarterdeck_git::url::redact(address), what: error.to_string() }
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

/// One poll of an artifact.
async fn look(repository: &Repository, artifact: &ArtifactSource) -> Result<Listed, Unanswered> {
    let mirror = repository.mirror();
    let looked = tokio::select! {
        looked = artifact.look(&mirror) => looked.map_err(Unanswered::Artifact)?,
        () = repository.stop.cancelled() => return Err(GitError::Interrupted { url: repository.address.clone(), doing: "the poll" }.into()),
    };
    let Looked { refs, renewed } = looked;
    Ok(Listed { refs: Arc::new(refs), tags_are_news: false, passed_by: Vec::new(), renewed })
}

/// One poll: the refs, and what is new of them fetched. Where tags are news, it is listed again until two listings agree
/// on them: a forge shows the tags of one push one after another, and they are to be decided together.
///
/// So does git itself: it writes the refs of a push one by one, with the hooks of each between them, and a listing may come in
/// their midst, on this machine as well as elsewhere. Its post-receive hook runs after the last of them, and out of that a forge
/// sends its webhooks of the push. A turn that begins with its word (`whole`) sees all of that push, and decides it without a
/// second look. Another push that is under way at that moment says so itself when it is complete; what was seen of it is decided
/// in parts, as of one that takes longer than our patience, and its tags keep their order by `queue::are_together`.
async fn turn(repository: &Repository, mut whole: bool) -> Result<Listed, GitError> {
    let known = repository.refs.borrow().clone();
    let mut seen: Vec<String> = Vec::new();
    let mut listed = list(repository, known).await?;
    for _ in 0..LISTINGS_MAX {
        let Some(pause) = pause(listed.tags_are_news, whole, *repository.interval.borrow()) else { break };
        whole = tokio::select! {
            () = repository.received.notified() => true,
            () = tokio::time::sleep(pause) => false,
            () = repository.stop.cancelled() => break,
        };
        seen.extend(listed.refs.tags.keys().cloned());
        let again = list(repository, Some(listed.refs)).await?;
        listed = Listed { renewed: listed.renewed || again.renewed, ..again };
    }
    seen.retain(|tag| !listed.refs.tags.contains_key(tag));
    seen.sort();
    seen.dedup();
    Ok(Listed { passed_by: seen, ..listed })
}

/// How long to wait before the tags are listed again; nothing where they are to be decided as they were listed.
fn pause(tags_are_news: bool, whole: bool, interval: Duration) -> Option<Duration> {
    (tags_are_news && !whole).then(|| PAUSE.min(interval / 2))
}

/// What a poll found.
struct Listed {
    refs: Arc<RefSnapshot>,
    /// Whether a fetch brought or took tags.
    tags_are_news: bool,
    /// Tags that came and went while it was listed again.
    passed_by: Vec<String>,
    /// Whether the mirror had to be fetched anew.
    renewed: bool,
}

/// One listing, and what is new of it fetched.
async fn list(repository: &Repository, known: Option<Arc<RefSnapshot>>) -> Result<Listed, GitError> {
    let address = repository.address.clone();
    repository
        .work(move |mirror| {
            mirror.heal()?;
            let mut refs = mirror.list_refs()?;
            mirror.peel_known(&mut refs, known.as_deref());
            let renewed = mirror.is_anew();
            let mut tags_are_news = false;
            if renewed || known.as_deref() != Some(&refs) {
                // A mirror that fails is looked at, and what is damaged is made anew: it is fetched into that.
                let fetched = mirror.fetch(&refs).or_else(|error| match error {
                    GitError::Mirror { .. } if mirror.heal()? => mirror.fetch(&refs),
                    other => Err(other),
                })?;
                mirror.peel_known(&mut refs, known.as_deref());
                tags_are_news =
                    fetched.updated.iter().chain(&fetched.pruned).any(|name| name.starts_with("refs/tags/"));
                // What was fetched counts, also where there is no git program to pack it up with.
                if let Err(error) = mirror.maintain() {
                    tracing::warn!(repository = %address, error = %chain(&error), "the mirror is not packed up");
                }
            }
            Ok(Listed { refs: Arc::new(refs), tags_are_news, passed_by: Vec::new(), renewed })
        })
        .await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_listed_again_unless_the_push_is_known_to_be_complete() {
        let (often, seldom) = (Duration::from_millis(500), Duration::from_secs(3_600));
        for (tags_are_news, whole, interval, wanted) in [
            (false, false, seldom, None),
            (false, true, seldom, None),
            (true, true, seldom, None),
            (true, true, often, None),
            (true, false, seldom, Some(PAUSE)),
            (true, false, often, Some(often / 2)),
        ] {
            assert_eq!(pause(tags_are_news, whole, interval), wanted, "{tags_are_news} {whole} {interval:?}");
        }
    }
}

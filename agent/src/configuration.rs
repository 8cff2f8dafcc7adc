//! The configuration of the agent: the local file, and what a repository has beside it.
//!
//! ```text
//! SIGHUP ─► local file ─────────────────────────────────────┐
//! news of the repository ─► newest commit ─ signed? ─ files ─┴─ compose ─► right: in force, and kept
//!                                                                        └─ wrong: what is in force stays
//! ```
//! One owner: the loop of the agent. What was in force last is [`kept`] in the data directory, so that the agent starts while the
//! repository is unreachable; the first start waits for it with what the local file says.

pub mod folder;
mod kept;
mod reading;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use quarterdeck_git::CommitId;
use quarterdeck_git::url::redact;
use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::error::{Failure, chain};
use quarterdeck_shared::snapshot::ConfigurationStatus;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::kept::Kept;
use crate::commit_tree::CommitTree;
use crate::config::git_source::ConfigurationSource;
use crate::config::in_git::{self, GitFile};
use crate::config::{Config, ConfigError, places};
use crate::context::Context;
use crate::poll::Repository;
use crate::supervise;

/// What the local file and git say, and what of it is in force.
pub struct Configuration {
    path: PathBuf,
    data_dir: PathBuf,
    /// The text of the local file that is in force.
    local: String,
    source: Option<ConfigurationSource>,
    repository: Option<Result<Followed, String>>,
    /// The files that are in force.
    in_force: Option<Kept>,
    /// Whether those were read in this run.
    is_read: bool,
    since: Option<Timestamp>,
    /// The newest commit that was looked at: it is in force, or what is wrong with it is known.
    looked: Option<CommitId>,
    /// What the other side was wrong with: tried again with its next change, so that what moves from one to the other never leaves.
    pending: Pending,
    local_error: Option<String>,
    error: Option<Trouble>,
    /// What is wrong with a commit and was told as an event.
    told: Option<String>,
    news: Arc<Notify>,
}

/// What was read and is not in force.
#[derive(Default)]
struct Pending {
    /// The local file that was asked for last.
    local: Option<String>,
    /// The newest commit.
    commit: Option<Kept>,
}

/// Why what is in git is not in force as it is now.
#[derive(Debug, Clone)]
struct Trouble {
    why: String,
    /// It is what a commit says; else the commit cannot be seen, of which the poll tells.
    is_of_commit: bool,
}

/// A repository whose news are waited for as long as this lives.
struct Followed {
    repository: Arc<Repository>,
    _watch: DropGuard,
}

/// Another configuration of a commit, and what is told of it.
pub struct Changed {
    /// What is to come into force.
    pub config: Config,
    /// The commit, who signed it, and whether it is another history.
    pub lines: Vec<String>,
}

impl Configuration {
    /// Reads the local file, and beside it what was in force when the agent last ran.
    ///
    /// # Errors
    /// Where the local file is wrong.
    pub fn open(path: &Path) -> anyhow::Result<(Self, Config)> {
        let local = read(path)?;
        let alone = Config::parse(path, &local)?;
        let data_dir = places::data_dir(&alone.agent)?;
        let source = alone.configuration.clone();
        let kept = source.as_ref().and_then(|source| Kept::read(&data_dir).filter(|kept| kept.is_of(source)));
        let mut configuration = Self {
            path: path.to_owned(),
            data_dir,
            local,
            source,
            repository: None,
            in_force: None,
            is_read: false,
            since: None,
            looked: None,
            pending: Pending::default(),
            local_error: None,
            error: None,
            told: None,
            news: Arc::default(),
        };
        let Some(kept) = kept else { return Ok((configuration, alone)) };
        match compose(path, &configuration.local, &kept.files()) {
            Ok(config) => {
                configuration.in_force = Some(kept);
                Ok((configuration, config))
            }
            Err(error) => {
                configuration.error = Some(Trouble { why: chain(&error), is_of_commit: true });
                Ok((configuration, alone))
            }
        }
    }

    /// The applications that were in force when the agent last ran, wherever they were defined.
    pub fn names(&self) -> BTreeSet<ApplicationName> {
        Kept::read(&self.data_dir).map(|kept| kept.applications).unwrap_or_default()
    }

    /// Pokes whoever waits when the repository may have news.
    pub fn news(&self) -> Arc<Notify> {
        self.news.clone()
    }

    /// Reads the local file again; git has what is in force until it is looked at.
    ///
    /// # Errors
    /// Where the file is wrong, also together with what git has: nothing changes then.
    pub fn reload(&mut self) -> Result<Changed, ConfigError> {
        let local = read(&self.path);
        let reloaded = local.and_then(|local| self.reloaded(local));
        self.local_error = reloaded.as_ref().err().map(|error| chain(error));
        reloaded
    }

    fn reloaded(&mut self, local: String) -> Result<Changed, ConfigError> {
        self.pending.local = Some(local.clone());
        let source = Config::parse(&self.path, &local)?.configuration;
        let commit = self.pending.commit.take().filter(|kept| source.as_ref().is_some_and(|source| kept.is_of(source)));
        let with_commit = commit.and_then(|kept| Some((compose(&self.path, &local, &kept.files()).ok()?, kept)));
        let (config, lines) = match with_commit {
            Some((config, kept)) => {
                let lines = lines(&kept, None);
                self.take_up(kept, &config);
                (config, lines)
            }
            None => {
                let in_force = self.in_force.as_ref().filter(|_| source.is_some());
                let config = compose(&self.path, &local, &in_force.map(Kept::files).unwrap_or_default())?;
                (config, Vec::new())
            }
        };
        if source.is_none() {
            (self.in_force, self.since, self.error) = (None, None, None);
            Kept::forget(&self.data_dir);
        }
        (self.local, self.source, self.pending.local) = (local, source, None);
        // Signers, folders and places may be others: the newest commit is judged again.
        self.looked = None;
        Ok(Changed { config, lines })
    }

    /// What a commit has is in force from now on.
    fn take_up(&mut self, mut kept: Kept, config: &Config) {
        kept.applications = supervise::names(config);
        kept.write(&self.data_dir);
        if self.since.is_none() || self.in_force.as_ref().is_none_or(|before| !before.says_the_same(&kept)) {
            self.since = Some(Timestamp::now());
        }
        (self.in_force, self.is_read, self.pending.commit) = (Some(kept), true, None);
    }

    /// Waits for news of the repository from now on; what is in force uses it, so that it is polled.
    pub fn follow(&mut self, context: &Context) {
        let Some(source) = &self.source else {
            self.repository = None;
            return;
        };
        let base = context.config_path.parent().unwrap_or(&context.config_path);
        let Context { repositories, data_dir, journal, .. } = context;
        let got = repositories.get(&source.repository, &context.config(), base, data_dir, journal);
        self.repository = Some(got.map_err(|error| chain(&error)).map(|repository| {
            let stop = CancellationToken::new();
            tokio::spawn(poke(repository.clone(), self.news.clone(), stop.clone()));
            Followed { repository, _watch: stop.drop_guard() }
        }));
        self.news.notify_one();
    }

    /// Looks at the newest commit; the configuration with it, where that is another one and right.
    pub async fn look(&mut self, context: &Context) -> Option<Changed> {
        let source = self.source.clone()?;
        let repository = match self.repository.as_ref()? {
            Ok(followed) => followed.repository.clone(),
            Err(why) => {
                self.error = Some(Trouble { why: why.clone(), is_of_commit: false });
                return None;
            }
        };
        let commit = match newest(&source, &repository) {
            Ok(commit) => commit?,
            Err(why) => {
                (self.looked, self.error) = (None, Some(Trouble { why, is_of_commit: false }));
                return None;
            }
        };
        if self.looked.as_ref() == Some(&commit) {
            return None;
        }
        match self.judge(context, &source, &repository, &commit).await {
            Ok(changed) => {
                (self.looked, self.error) = (Some(commit), None);
                changed
            }
            Err(Refused { why, is_final }) => {
                self.looked = is_final.then_some(commit);
                self.error = Some(Trouble { why, is_of_commit: true });
                None
            }
        }
    }

    /// Brings a commit into force, or says why not.
    async fn judge(
        &mut self,
        context: &Context,
        source: &ConfigurationSource,
        repository: &Repository,
        commit: &CommitId,
    ) -> Result<Option<Changed>, Refused> {
        let shown = format!("{}@{}", repository.address(), commit.short());
        let signer = signer(context, source, repository, commit, &shown).await?;
        let (path, at) = (source.path.clone(), commit.clone());
        let read = repository.work(move |mirror| {
            let tree = CommitTree { mirror, commit: at, bytes_max: reading::FILE_BYTES_MAX };
            Ok(reading::read(&tree, &path))
        });
        let read = read.await.map_err(|error| Refused::for_now(chain(&error)))?;
        let read = read.map_err(|error| Refused::for_now(chain(&*error)))?;
        let files = read.map_err(|problem| Refused::for_good(format!("{shown}:{problem}")))?;
        let kept = Kept::new(source, commit.clone(), signer, shown, files);
        let config = match self.composed(&kept) {
            Ok(config) => config,
            Err(error) => {
                self.pending.commit = Some(kept);
                return Err(Refused::for_good(chain(&error)));
            }
        };
        let before = self.in_force.as_ref();
        let is_rewritten = is_rewritten(repository, before, &kept).await;
        let is_other = before.is_none_or(|before| !before.says_the_same(&kept)) || is_rewritten;
        let lines = lines(&kept, is_rewritten.then_some(before).flatten());
        self.take_up(kept, &config);
        Ok(is_other.then_some(Changed { config, lines }))
    }

    /// The configuration with a commit: with the local file that was refused before, where it is right now, else with the one in
    /// force.
    fn composed(&mut self, kept: &Kept) -> Result<Config, ConfigError> {
        let refused = self.pending.local.as_ref();
        let with_refused = refused.and_then(|local| compose(&self.path, local, &kept.files()).ok());
        // Other settings of the table are for a reload, which looks at the commit by them.
        match with_refused.filter(|config| config.configuration == self.source) {
            Some(config) => {
                self.local = self.pending.local.take().unwrap_or_default();
                self.local_error = None;
                Ok(config)
            }
            None => compose(&self.path, &self.local, &kept.files()),
        }
    }

    /// Why the local file as it is now is not in force.
    pub fn local_error(&self) -> Option<String> {
        self.local_error.clone()
    }

    /// What is wrong with the newest commit, where that was not told yet. It counts as told then.
    pub fn untold(&mut self) -> Option<String> {
        let now = self.error.as_ref().filter(|trouble| trouble.is_of_commit).map(|trouble| trouble.why.clone());
        if self.told == now {
            return None;
        }
        self.told.clone_from(&now);
        now
    }

    /// What consoles see of the part that is in git.
    pub fn status(&self) -> Option<ConfigurationStatus> {
        let source = self.source.as_ref()?;
        let in_force = self.in_force.as_ref();
        Some(ConfigurationStatus {
            repository: redact(&source.repository),
            branch: source.branch.clone().unwrap_or_default(),
            path: source.path.clone(),
            commit: in_force.map(|kept| kept.commit.clone()),
            signer: in_force.map(|kept| kept.signer.clone()).unwrap_or_default(),
            files: in_force.map(Kept::paths).unwrap_or_default(),
            since: self.since,
            kept: in_force.is_some() && !self.is_read,
            error: self.error.as_ref().map(|trouble| trouble.why.clone()),
        })
    }
}

/// What a program beside the agent takes for the configuration: the local file, and what of git was in force last.
///
/// # Errors
/// Where the local file is wrong.
pub fn in_force(path: &Path) -> anyhow::Result<Config> {
    Ok(Configuration::open(path)?.1)
}

/// Polls the repository of the configuration.
pub fn wake(context: &Context) {
    let config = context.config();
    let Some(source) = &config.configuration else { return };
    let base = context.config_path.parent().unwrap_or(&context.config_path);
    let Context { repositories, data_dir, journal, .. } = context;
    if let Ok(repository) = repositories.get(&source.repository, &config, base, data_dir, journal) {
        repository.wake();
    }
}

/// Why a commit is not in force.
struct Refused {
    why: String,
    /// It stays so, as long as the local file stays as it is.
    is_final: bool,
}

impl Refused {
    fn for_good(why: String) -> Self {
        Self { why, is_final: true }
    }

    fn for_now(why: String) -> Self {
        Self { why, is_final: false }
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

fn compose(path: &Path, local: &str, files: &[GitFile]) -> Result<Config, ConfigError> {
    in_git::compose(path, local, files, &in_git::real)
}

/// The newest commit of the branch, as of the last poll that was answered; nothing before the first was answered or failed.
fn newest(source: &ConfigurationSource, repository: &Repository) -> Result<Option<CommitId>, String> {
    let address = repository.address();
    let refs = repository.refs().borrow().clone();
    let Some(refs) = refs else {
        let trouble = repository.trouble().borrow().clone();
        return match trouble {
            Some(trouble) => Err(format!("repository {address} cannot be read: {}", trouble.reason)),
            None => Ok(None),
        };
    };
    let branch = source.branch.as_ref().or(refs.default_branch.as_ref());
    let branch = branch.ok_or_else(|| format!("{address} names no default branch: set branch"))?;
    refs.branches.get(branch).cloned().map(Some).ok_or_else(|| format!("{address} has no branch {branch}"))
}

/// Who signed a commit; nobody where that is not asked.
async fn signer(
    context: &Context,
    source: &ConfigurationSource,
    repository: &Repository,
    commit: &CommitId,
    shown: &str,
) -> Result<String, Refused> {
    let Some(signers) = source.require_signed.clone() else { return Ok(String::new()) };
    let (commit, scratch) = (commit.clone(), context.scratch());
    let signer = repository.work(move |mirror| mirror.signer_of_commit(&commit, &signers, &scratch)).await;
    let told = |failure: Failure| match failure.hint.is_empty() {
        true => format!("{shown}: {}", failure.message),
        false => format!("{shown}: {} ({})", failure.message, failure.hint),
    };
    let signer = signer.map_err(|error| Refused::for_now(told(Failure::of(&error))))?;
    signer.map_err(|refusal| Refused::for_good(told(Failure::of(&refusal))))
}

/// Whether the branch left the history that is in force. Where that cannot be said nothing is told.
async fn is_rewritten(repository: &Repository, before: Option<&Kept>, now: &Kept) -> bool {
    let Some(before) = before.filter(|before| before.place == now.place) else { return false };
    let (before, now) = (before.commit.clone(), now.commit.clone());
    matches!(repository.work(move |mirror| mirror.contains(&now, &before)).await, Ok(Some(false)))
}

/// What is told of a commit beside what it changes.
fn lines(now: &Kept, left: Option<&Kept>) -> Vec<String> {
    let signed = if now.signer.is_empty() { String::new() } else { format!(", signed by {}", now.signer) };
    let commit = format!("commit {} of {}{signed}", now.commit.short(), now.address());
    let rewritten = left.map(|left| format!("its history was rewritten: {} is not part of it", left.commit.short()));
    [commit].into_iter().chain(rewritten).collect()
}

/// Pokes whenever the refs of a repository are others, or it cannot be read for another reason.
async fn poke(repository: Arc<Repository>, news: Arc<Notify>, stop: CancellationToken) {
    let (mut refs, mut trouble) = (repository.refs(), repository.trouble());
    loop {
        let changed = tokio::select! {
            changed = refs.changed() => changed,
            changed = trouble.changed() => changed,
            () = stop.cancelled() => return,
        };
        match changed {
            Ok(()) => news.notify_one(),
            Err(_) => return,
        }
    }
}

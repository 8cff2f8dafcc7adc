//! One remote repository and our bare mirror of it.
//!
//! A [`Mirror`] is made once for each remote and shared by every application that uses it: reads run side by side,
//! changes one after the other. All calls block: the agent runs them in `spawn_blocking`. Each ends by itself within
//! the limits of its [`Remote`], or soon after [`Mirror::interrupt`].
//!
//! What is spoken is gix's, over transports of our own ([`http`], [`process`]); the `git` program pushes, packs up
//! and asks credential helpers. Nothing is ever checked out.
//!
//! ```text
//! list_refs   one round, no process (ssh excepted)      [list]   over [link] ─ [http] ([auth]) | [ssh] | the disk
//! fetch       brings the mirror to a snapshot           [fetch]
//! resolve, tree_of, entries, blob, commit_info, log     [tree], [history] through [lenient]
//! commit_edits                                          [commit]
//! push, maintain                                        [push], [maintain] through [program], [process]
//! heal                                                  [heal]: what is damaged is made anew
//! signer_of                                             [signature] through [program], [process]
//! ```
//!
//! Invariant: the mirror is a cache. Whatever it holds can be fetched again, so it may be deleted at any time while no
//! agent runs, and what a killed agent left in it (locks) is cleared on opening. One that is damaged is fetched anew.

mod fetch;
mod gc;
mod heal;
mod history;
mod known;
mod lenient;
mod ls_refs;
mod named;
mod transport;
mod tree;

mod commit;
mod push;
mod signature;

mod auth;
mod http;
mod operation;
mod process;
mod program;
mod ssh;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub use self::named::Named;
pub use self::signature::{missing_programs, readable};
pub use self::ssh::hang_up;

use self::transport::Link;
use super::error::chain;
use super::{GitError, RefSnapshot, Remote};
use quarterdeck_core::failpoint;

/// How many packs can be looked at while a mirror is open. gix would take what it finds on opening and then fail when
/// fetches add more; [`Mirror::maintain`] packs up at 50, so this is never reached unless that fails for weeks.
const PACK_SLOTS: gix::odb::store::init::Slots = gix::odb::store::init::Slots::Given(512);

/// See the module.
pub struct Mirror {
    dir: PathBuf,
    remote: Remote,
    /// Exchanged once at most, when a first fetch shows that the remote counts in SHA-256.
    repository: RwLock<gix::ThreadSafeRepository>,
    link: Link,
    /// Held by whatever changes refs or packs of the mirror.
    writing: Arc<Mutex<()>>,
    /// The last listing of a repository on this machine: a tag that did not move needs no second look at its object.
    seen: Mutex<RefSnapshot>,
    interrupt: Arc<AtomicBool>,
    doubt: Arc<Mutex<heal::Doubt>>,
    known: Arc<known::Known>,
}

/// The file of a bare repository that says what it is, as git has it: the redacted address of what a mirror mirrors.
pub const DESCRIPTION: &str = "description";

impl Mirror {
    /// Opens the mirror at `dir`, or makes an empty one there. Nothing is sent to the remote yet.
    ///
    /// Only one `Mirror` may be open on a directory, in one process: locks found there are taken for those of a dead
    /// process and removed.
    pub fn open_or_init(dir: impl Into<PathBuf>, remote: Remote) -> Result<Self, GitError> {
        let dir = dir.into();
        let is_new = !dir.join("HEAD").exists();
        if is_new {
            init(&dir, gix::hash::Kind::Sha1)?;
        }
        clear_locks(&dir);
        let damage = heal::examine(&dir, &remote).err();
        if let Some(damage) = &damage {
            if heal::lack(damage).is_some() {
                let (doing, detail) = ("opening it", damage.clone());
                return Err(GitError::Mirror { dir, doing, detail });
            }
            tracing::warn!(mirror = %dir.display(), "the mirror is damaged and is fetched again: {damage}");
            empty(&dir, gix::hash::Kind::Sha1)?;
        }
        let repository = open(&dir, &remote).map_err(|detail| opening(&dir, detail))?;
        // For whoever looks into the folder; the mirror does without.
        let _ = std::fs::write(dir.join(DESCRIPTION), format!("{}\n", remote.url));
        let link = Link::new(&remote, &dir);
        let (writing, seen, interrupt) = (Arc::default(), Mutex::default(), Arc::default());
        let (repository, doubt, known) = (RwLock::new(repository), Arc::default(), Arc::default());
        let mirror = Self { dir, remote, repository, link, writing, seen, interrupt, doubt, known };
        damage.into_iter().for_each(|damage| mirror.made_anew(damage));
        // Also where an earlier life ended between the making and the first fetch.
        if is_new || mirror.own_refs(&mirror.repository())?.is_empty() {
            mirror.begins_empty();
        }
        Ok(mirror)
    }

    /// Opens the mirror at `dir` to read what it holds: beside an agent that has it open, whose locks stay.
    ///
    /// # Errors
    /// Where there is none, or it cannot be opened.
    pub fn open_to_read(dir: &Path, remote: Remote) -> Result<Self, GitError> {
        let repository = RwLock::new(open(dir, &remote).map_err(|detail| opening(dir, detail))?);
        let link = Link::new(&remote, dir);
        let (writing, seen, interrupt) = (Arc::default(), Mutex::default(), Arc::default());
        let (doubt, known) = (Arc::default(), Arc::default());
        Ok(Self { dir: dir.to_owned(), remote, repository, link, writing, seen, interrupt, doubt, known })
    }

    /// The same mirror, with the remote reached otherwise. What is under way goes on as it began; changes of both come one
    /// after the other.
    pub fn reached_by(&self, remote: Remote) -> Result<Self, GitError> {
        let repository = open(&self.dir, &remote).map_err(|detail| opening(&self.dir, detail))?;
        let link = Link::new(&remote, &self.dir);
        let (dir, writing, interrupt) = (self.dir.clone(), self.writing.clone(), self.interrupt.clone());
        let (repository, seen, doubt) = (RwLock::new(repository), Mutex::default(), self.doubt.clone());
        let known = self.known.clone();
        Ok(Self { dir, remote, repository, link, writing, seen, interrupt, doubt, known })
    }

    /// Where the mirror is on disk.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it mirrors.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Ends every conversation that is under way or begins later, because the agent stops.
    pub fn interrupt(&self) {
        self.interrupt.store(true, Ordering::Relaxed);
    }

    fn url(&self) -> String {
        self.remote.url.to_string()
    }

    /// A handle for this thread.
    fn repository(&self) -> gix::Repository {
        let mut repository = self.repository.read().unwrap_or_else(PoisonError::into_inner).to_thread_local();
        // Trees of one directory share their parents: 4 MiB hold those of a large repository.
        repository.object_cache_size_if_unset(4 << 20);
        repository
    }

    /// Makes the mirror anew and empty, for this kind of object ids.
    fn begin_again(&self, kind: gix::hash::Kind) -> Result<(), GitError> {
        empty(&self.dir, kind)?;
        // What it knew is as true as before, and no longer in it.
        self.known.forget();
        self.reopen()
    }

    /// Opens the mirror again, so that nothing is remembered of what was there.
    fn reopen(&self) -> Result<(), GitError> {
        let opened = open(&self.dir, &self.remote).map_err(|detail| opening(&self.dir, detail))?;
        *self.repository.write().unwrap_or_else(PoisonError::into_inner) = opened;
        Ok(())
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn broken(&self, doing: &'static str, error: &(dyn std::error::Error + 'static)) -> GitError {
        self.failed_here(doing, chain(error))
    }

    fn not_found(&self, what: impl ToString) -> GitError {
        // Nothing is said to be gone by a mirror that lost it.
        let ours = self.incomplete().or_else(|| self.damaged("looking for something in it"));
        ours.unwrap_or_else(|| GitError::NotFound { url: self.url(), what: what.to_string() })
    }
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mirror({} at {})", self.remote.url, self.dir.display())
    }
}

fn open(dir: &Path, remote: &Remote) -> Result<gix::ThreadSafeRepository, String> {
    let limit = format!("gitoxide.objects.allocLimit={}", remote.access.limits.object_bytes);
    let options = gix::open::Options::isolated().open_path_as_is(true);
    let options = options.config_overrides([limit]).object_store_slots(PACK_SLOTS);
    gix::ThreadSafeRepository::open_opts(dir, options).map_err(|error| chain(&error))
}

fn opening(dir: &Path, detail: String) -> GitError {
    GitError::Mirror { dir: dir.to_owned(), doing: "opening it", detail }
}

/// Puts an empty mirror in the place of one that is of no more use, if there is one.
fn empty(dir: &Path, kind: gix::hash::Kind) -> Result<(), GitError> {
    match std::fs::remove_file(dir.join("HEAD")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let (doing, detail) = ("recreating it", error.to_string());
            Err(GitError::Mirror { dir: dir.to_owned(), doing, detail })
        }
        _ => init(dir, kind),
    }
}

/// Makes an empty bare repository beside its place and moves it there, so that a half-made one is never opened.
fn init(dir: &Path, kind: gix::hash::Kind) -> Result<(), GitError> {
    let failed = |detail: String| GitError::Mirror { dir: dir.to_owned(), doing: "making it", detail };
    let parent = dir.parent().ok_or_else(|| failed("it has no parent directory".into()))?;
    std::fs::create_dir_all(parent).map_err(|error| failed(error.to_string()))?;
    let made = tempfile::Builder::new().prefix(".new-mirror-").tempdir_in(parent).map_err(|e| failed(e.to_string()))?;
    gix::create::into(
        made.path(),
        gix::create::Kind::Bare,
        gix::create::Options { object_hash: Some(kind), ..Default::default() },
    )
    .map_err(|error| failed(chain(&error)))?;
    failpoint::reached("git: before a mirror is put in its place");
    // A directory without HEAD is no repository: what an interrupted deletion left may go.
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error.to_string())),
        _ => {}
    }
    std::fs::rename(made.keep(), dir).map_err(|error| failed(error.to_string()))?;
    failpoint::reached("git: after a mirror is put in its place");
    Ok(())
}

/// Removes the locks that a killed process left behind; they would stop every later change.
fn clear_locks(dir: &Path) {
    let stale = |path: &Path| path.extension().is_some_and(|ending| ending == "lock");
    remove_if(dir, &stale, 0);
    remove_if(&dir.join("refs"), &stale, 32);
    // A pack is marked `.keep` until the refs that use it are written; the mark would keep it from being packed up. And
    // half a pack under a temporary name is of no use to anyone.
    let left = |path: &Path| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        path.extension().is_some_and(|ending| ending == "keep")
            || name.starts_with(b".tmp")
            || name.starts_with(b"tmp_")
    };
    remove_if(&dir.join("objects/pack"), &left, 0);
    let _ = std::fs::remove_file(dir.join("gc.pid"));
}

fn remove_if(dir: &Path, stale: &dyn Fn(&Path) -> bool, depth: usize) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if depth > 0 {
                remove_if(&path, stale, depth - 1);
            }
        } else if stale(&path) {
            // What cannot be removed fails the first change, with a message that names it.
            let _ = std::fs::remove_file(&path);
        }
    }
}

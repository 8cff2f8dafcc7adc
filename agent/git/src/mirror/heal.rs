//! A mirror that is damaged: found, and made anew by itself. It is a cache, so nothing is lost by that but time.
//!
//! ```text
//! open ──────────── examine ── damage ──► anew
//! a read or fetch that fails here ─► doubt ─► (next poll) locks cleared, examine ── damage, or doubt again ──► anew ─► fetch
//! ```
//! What is no damage is not healed by that: a disk without room, a missing right, the limit of open files.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Mirror, clear_locks, open};
use crate::error::chain;
use crate::{GitError, Remote};
use quarterdeck_core::backoff::doubled;
use quarterdeck_system::open_files;

/// How long a mirror that was made anew is left as it is when it is damaged again: doubled with each time that follows
/// another, since a disk that fails would have all of a repository fetched at each poll. Two accidents in a row are none.
const ANEW_AGAIN: Duration = Duration::from_secs(30);

/// The longest of these pauses. What is well for so long begins from the first again.
const ANEW_EVERY: Duration = Duration::from_secs(600);

/// Tips whose objects are looked for: some milliseconds, and damage of one pack shows at hundreds of them.
const TIPS: usize = 1_000;

/// What is known against a mirror.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// Something failed since the last look.
    raised: bool,
    /// When the last look found nothing and left it at that.
    cleared: Option<Instant>,
    /// When it was made anew.
    renewed: Option<Instant>,
    /// How many times in a row.
    renewals: u32,
    /// Why it was, until all is fetched again.
    anew: Option<String>,
}

impl Doubt {
    /// Notes that the mirror was made anew, and why.
    fn renewed_for(&mut self, why: String) {
        let in_a_row = self.renewed.is_some_and(|then| then.elapsed() < 2 * ANEW_EVERY);
        self.renewals = if in_a_row { self.renewals + 1 } else { 1 };
        (self.renewed, self.cleared, self.anew) = (Some(Instant::now()), None, Some(why));
    }
}

/// What is done about a doubt.
#[derive(Debug, PartialEq, Eq)]
enum Care {
    /// Locks are cleared and it is opened again: a first failure may be anything.
    Clear,
    /// It is made anew.
    Renew,
    /// Its disk is at fault.
    Leave,
}

/// Pure: decides by what a look found, by how long ago the last doubt was cleared and the mirror made anew, and by how
/// often in a row that was.
fn care(damaged: bool, cleared: Option<Duration>, renewed: Option<Duration>, renewals: u32) -> Care {
    let is_within = |ago: Option<Duration>, time: Duration| ago.is_some_and(|ago| ago < time);
    match damaged || is_within(cleared, ANEW_EVERY) {
        false => Care::Clear,
        true if is_within(renewed, pause(renewals)) => Care::Leave,
        true => Care::Renew,
    }
}

/// How long it is left after it was made anew so many times in a row.
fn pause(renewals: u32) -> Duration {
    doubled(ANEW_AGAIN, renewals.saturating_sub(1), ANEW_EVERY)
}

impl Mirror {
    /// Looks at a mirror against which something is known, or that is gone, and makes it anew where it is damaged; says
    /// whether anything was done. Cheap where nothing is known.
    pub fn heal(&self) -> Result<bool, GitError> {
        if !self.doubt().raised && self.dir.join("HEAD").exists() {
            return Ok(false);
        }
        let _writing = self.writing();
        clear_locks(&self.dir);
        let damage = examine(&self.dir, &self.remote).err();
        if let Some(ours) = damage.as_ref().and_then(|damage| self.ours("opening it", damage)) {
            return Err(ours);
        }
        let mut doubt = self.doubt();
        let ago = |then: Option<Instant>| then.map(|then| then.elapsed());
        // What somebody removed says nothing of its disk.
        let renewed = ago(doubt.renewed).filter(|_| self.dir.exists());
        let why = damage.clone().unwrap_or_else(|| "what it holds cannot be read".to_owned());
        match care(damage.is_some(), ago(doubt.cleared), renewed, doubt.renewals) {
            Care::Clear => {
                self.reopen()?;
                doubt.cleared = Some(Instant::now());
            }
            Care::Renew => {
                tracing::warn!(mirror = %self.dir.display(), "the mirror is damaged and is fetched again: {why}");
                let kind = self.repository().object_hash();
                self.begin_again(kind)?;
                doubt.renewed_for(why);
            }
            Care::Leave => {
                let detail = format!("{why}, soon after it was fetched again; check the disk that it is on");
                return Err(GitError::Mirror { dir: self.dir.clone(), doing: "reading it", detail });
            }
        }
        doubt.raised = false;
        Ok(true)
    }

    /// Whether the mirror was made anew and does not hold yet what was fetched before.
    pub fn is_anew(&self) -> bool {
        self.doubt().anew.is_some()
    }

    /// Notes that all is fetched.
    pub(super) fn complete(&self) {
        self.doubt().anew = None;
    }

    /// Notes that it was made anew at its opening.
    pub(super) fn made_anew(&self, why: String) {
        self.doubt().renewed_for(why);
    }

    /// Notes that nothing was fetched into it yet: the first time, or since it was removed or made anew in an earlier life.
    pub(super) fn begins_empty(&self) {
        self.doubt().anew.get_or_insert_with(|| "nothing was fetched into it yet".to_owned());
    }

    /// Notes that something failed which an intact mirror would have done.
    pub(super) fn suspect(&self) {
        self.doubt().raised = true;
    }

    /// A failure on this side, in a library's or a program's words: what this machine lacks, else a doubt of the mirror.
    pub(super) fn failed_here(&self, doing: &'static str, detail: String) -> GitError {
        self.ours(doing, &detail).unwrap_or_else(|| {
            self.suspect();
            GitError::Mirror { dir: self.dir.clone(), doing, detail }
        })
    }

    /// The failure where these words of a library or a program are about this machine.
    pub(super) fn ours(&self, doing: &'static str, message: &str) -> Option<GitError> {
        Some(match lack(message)? {
            Lack::Room => GitError::NoRoom { url: self.url(), detail: message.to_owned() },
            Lack::OpenFiles => GitError::OpenFiles { url: self.url(), limit: open_files::limit_reached() },
            Lack::Right => GitError::Mirror { dir: self.dir.clone(), doing, detail: message.to_owned() },
        })
    }

    /// The failure of something that could not be explained otherwise, where the mirror turns out to be damaged.
    pub(super) fn damaged(&self, doing: &'static str) -> Option<GitError> {
        let detail = examine(&self.dir, &self.remote).err()?;
        Some(self.failed_here(doing, detail))
    }

    /// What is not found in a mirror that does not hold everything yet is no news of the remote.
    pub(super) fn incomplete(&self) -> Option<GitError> {
        let detail = self.doubt().anew.clone()?;
        Some(GitError::Mirror { dir: self.dir.clone(), doing: "being fetched again", detail })
    }

    fn doubt(&self) -> MutexGuard<'_, Doubt> {
        self.doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What this machine lacks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lack {
    Room,
    OpenFiles,
    Right,
}

/// Pure: libraries' errors have no kinds to tell by, and hold the system's number or words.
pub(super) fn lack(message: &str) -> Option<Lack> {
    if ["No space left on device", "Disk quota exceeded"].iter().any(|said| message.contains(said)) {
        return Some(Lack::Room);
    }
    if open_files::is_reached_in(message) {
        return Some(Lack::OpenFiles);
    }
    // EPERM, EACCES, EROFS by number alone: ssh says `Permission denied` of a key.
    [1, 13, 30].iter().any(|code| message.contains(&format!("(os error {code})"))).then_some(Lack::Right)
}

/// Looks whether a mirror is whole, as far as some milliseconds tell: its folders, configuration and refs, the end of each
/// pack, and the objects at its tips. The answer is what is wrong.
pub(super) fn examine(dir: &Path, remote: &Remote) -> Result<(), String> {
    for folder in ["objects/pack", "refs"] {
        std::fs::read_dir(dir.join(folder)).map_err(|error| format!("its folder {folder}: {error}"))?;
    }
    let repository = open(dir, remote)?.to_thread_local();
    for pack in std::fs::read_dir(dir.join("objects/pack")).into_iter().flatten().flatten() {
        let index = pack.path();
        if index.extension().is_some_and(|ending| ending == "idx") {
            is_whole(&index, repository.object_hash().len_in_bytes())?;
        }
    }
    let refs = |error: gix::Error| format!("its refs: {}", chain(&error));
    let mut tips = BTreeSet::new();
    for found in repository.references().map_err(refs)?.prefixed("refs/").map_err(refs)? {
        tips.extend(found.map_err(refs)?.try_id().map(|id| id.detach()));
    }
    for tip in tips.into_iter().take(TIPS) {
        match repository.try_find_object(tip) {
            Ok(Some(_)) => {}
            Ok(None) => return Err(format!("object {tip} is missing")),
            Err(error) => return Err(format!("object {tip}: {}", chain(&error))),
        }
    }
    Ok(())
}

/// Whether a pack ends as its index says: both end with the pack's checksum, the index with its own after that.
fn is_whole(index: &Path, hash: usize) -> Result<(), String> {
    let name = index.file_stem().unwrap_or_default().display();
    let failed = |error: std::io::Error| format!("pack {name}: {error}");
    let end = |path: &Path, from_end: usize| -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-(from_end as i64)))?;
        let mut bytes = vec![0; hash];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    if end(&index.with_extension("pack"), hash).map_err(failed)? != end(index, 2 * hash).map_err(failed)? {
        return Err(format!("pack {name} is cut off or does not belong to its index"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_doubt_is_cleared_and_damage_is_fetched_anew_more_and_more_seldom() {
        let ago = |seconds| Some(Duration::from_secs(seconds));
        for (damaged, cleared, renewed, renewals, wanted) in [
            (false, None, None, 0, Care::Clear),
            (false, None, ago(20), 1, Care::Clear),
            (false, ago(601), ago(601), 9, Care::Clear),
            (false, ago(60), None, 0, Care::Renew),
            (false, ago(60), ago(20), 1, Care::Leave),
            (true, None, None, 0, Care::Renew),
            (true, None, ago(20), 1, Care::Leave),
            (true, None, ago(31), 1, Care::Renew),
            (true, None, ago(31), 2, Care::Leave),
            (true, None, ago(61), 2, Care::Renew),
            (true, None, ago(599), 99, Care::Leave),
            (true, ago(60), ago(601), 99, Care::Renew),
        ] {
            let context = format!("{damaged} {cleared:?} {renewed:?} {renewals}");
            assert_eq!(care(damaged, cleared, renewed, renewals), wanted, "{context}");
        }
    }

    #[test]
    fn what_this_machine_lacks_is_told_by_the_systems_number_or_words() {
        let system = |code| std::io::Error::from_raw_os_error(code).to_string();
        for (message, wanted) in [
            (system(28), Some(Lack::Room)),
            (system(122), Some(Lack::Room)),
            ("error: file write error: No space left on device".to_owned(), Some(Lack::Room)),
            (system(24), Some(Lack::OpenFiles)),
            (system(23), Some(Lack::OpenFiles)),
            ("fatal: cannot create pipe: Too many open files".to_owned(), Some(Lack::OpenFiles)),
            (system(13), Some(Lack::Right)),
            (system(1), Some(Lack::Right)),
            (system(30), Some(Lack::Right)),
            ("git@forge: Permission denied (publickey).".to_owned(), None),
            (system(2), None),
            (system(104), None),
            ("object not found".to_owned(), None),
        ] {
            assert_eq!(lack(&message), wanted, "{message}");
        }
    }
}

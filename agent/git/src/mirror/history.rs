//! Commits, for reading: one, or the latest of a path.

use gix::bstr::ByteSlice;

use super::Mirror;
use super::lenient::{self, Raw};
use crate::error::clean;
use crate::id::GixId;
use crate::{CommitId, CommitInfo, GitError, ObjectId, TreeId};

/// The longest message that is kept; git has no bound of its own.
const MESSAGE_MAX: usize = 64 << 10;
/// The longest subject: what a list line can show, twice over.
const SUBJECT_MAX: usize = 200;
/// How many commits a log looks at before it answers with what it found: a path that changed once, years ago, must not
/// cost a walk over all history for each question. The Linux kernel has 80,000 commits a year.
const WALK_MAX: usize = 50_000;

impl Mirror {
    /// A commit's author, message, time and tree.
    pub fn commit_info(&self, commit: &CommitId) -> Result<CommitInfo, GitError> {
        let repository = self.repository();
        let id = commit.to_gix();
        Ok(info(id, &self.raw(&repository, id)?))
    }

    /// When a tag was made: the time of the tag object, else that of the commit. `None` if it is not in the mirror or
    /// says none.
    pub fn time_of(&self, tag: &ObjectId) -> Option<jiff::Timestamp> {
        let repository = self.repository();
        let object = repository.try_find_object(tag.to_gix()).ok()??;
        let seconds = match object.kind {
            gix::objs::Kind::Tag => lenient::tagged_at(&object.data)?,
            gix::objs::Kind::Commit => Raw::parse(&object.data)?.seconds,
            gix::objs::Kind::Tree | gix::objs::Kind::Blob => return None,
        };
        jiff::Timestamp::from_second(seconds).ok()
    }

    /// Whether `earlier` is `commit` or one of its ancestors; `None` where more than [`WALK_MAX`] commits would have to be
    /// looked at.
    pub fn contains(&self, commit: &CommitId, earlier: &CommitId) -> Result<Option<bool>, GitError> {
        self.known.order((commit.to_gix(), earlier.to_gix()), || self.reaches(commit, earlier))
    }

    fn reaches(&self, commit: &CommitId, earlier: &CommitId) -> Result<Option<bool>, GitError> {
        let repository = self.repository();
        for (looked_at, step) in self.walk(&repository, commit.to_gix())?.enumerate() {
            if looked_at >= WALK_MAX {
                return Ok(None);
            }
            if step?.0 == earlier.to_gix() {
                return Ok(Some(true));
            }
        }
        Ok(Some(false))
    }

    /// The newest commit from which both come; nothing where their histories have none in common.
    pub fn merge_base(&self, one: &CommitId, other: &CommitId) -> Result<Option<CommitId>, GitError> {
        let repository = self.repository();
        let base = repository.merge_base(one.to_gix(), other.to_gix());
        let base = base.map_err(|error| self.broken("looking for where two commits parted", &error))?;
        Ok(base.map(|base| CommitId::from_gix(base.detach())))
    }

    /// Up to `count` commits from `commit` backwards, newest first; with a `path`, only those that changed it.
    pub fn log(&self, commit: &CommitId, count: usize, path: Option<&str>) -> Result<Vec<CommitInfo>, GitError> {
        let repository = self.repository();
        let mut found = Vec::new();
        for step in self.walk(&repository, commit.to_gix())?.take(WALK_MAX) {
            if found.len() >= count {
                break;
            }
            let (id, raw) = step?;
            let changed = match path {
                Some(path) => self.changed(&repository, id, raw.parents.iter().copied(), path)?,
                None => true,
            };
            if changed {
                found.push(info(id, &raw));
            }
        }
        Ok(found)
    }

    /// How many commits `head` has that `base` has not and that changed one of the paths, counted up to `most`.
    pub fn ahead(&self, head: &CommitId, base: &CommitId, paths: &[String], most: usize) -> Result<usize, GitError> {
        let repository = self.repository();
        let mut walk = self.walk(&repository, head.to_gix())?;
        walk.hide(base.to_gix())?;
        let mut found = 0;
        for step in walk.take(WALK_MAX) {
            if found >= most {
                break;
            }
            let (id, raw) = step?;
            for path in paths {
                if self.changed(&repository, id, raw.parents.iter().copied(), path)? {
                    found += 1;
                    break;
                }
            }
        }
        Ok(found)
    }

    /// What `read` makes of up to `find` of the `look_at` newest commits from `commit` backwards, newest first.
    pub fn search<T>(
        &self,
        commit: &CommitId,
        look_at: usize,
        find: usize,
        read: impl Fn(&CommitInfo) -> Option<T>,
    ) -> Result<Vec<T>, GitError> {
        let repository = self.repository();
        let mut found = Vec::new();
        for step in self.walk(&repository, commit.to_gix())?.take(look_at) {
            if found.len() >= find {
                break;
            }
            let (id, raw) = step?;
            found.extend(read(&info(id, &raw)));
        }
        Ok(found)
    }

    /// Whether a commit differs at `path` from all its parents: a merge that only took one side did not change it.
    fn changed(
        &self,
        repository: &gix::Repository,
        commit: gix::ObjectId,
        parents: impl Iterator<Item = gix::ObjectId>,
        path: &str,
    ) -> Result<bool, GitError> {
        let own = self.id_at(repository, commit, path)?;
        let mut is_root = true;
        for parent in parents {
            is_root = false;
            if self.id_at(repository, parent, path)? == own {
                return Ok(false);
            }
        }
        Ok(!is_root || own.is_some())
    }

    fn id_at(
        &self,
        repository: &gix::Repository,
        commit: gix::ObjectId,
        path: &str,
    ) -> Result<Option<gix::ObjectId>, GitError> {
        let root = self.root(repository, &CommitId::from_gix(commit))?;
        let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
        if parts.peek().is_none() {
            return Ok(Some(root.id));
        }
        let entry = root.lookup_entry(parts).map_err(|error| self.broken("reading a tree", &error))?;
        Ok(entry.map(|entry| entry.object_id()))
    }
}

fn info(id: gix::ObjectId, raw: &Raw) -> CommitInfo {
    let message = shown(&raw.message, MESSAGE_MAX);
    let subject = message.lines().take_while(|line| !line.trim().is_empty()).collect::<Vec<_>>().join(" ");
    CommitInfo {
        id: CommitId::from_gix(id),
        subject: subject.chars().take(SUBJECT_MAX).collect(),
        message,
        author: clean(&shown(&raw.author, SUBJECT_MAX)).replace('\n', " "),
        author_email: clean(&shown(&raw.email, SUBJECT_MAX)).replace('\n', " "),
        // A hostile commit may have any number of seconds; what jiff cannot hold is shown as the beginning of time.
        time: jiff::Timestamp::from_second(raw.seconds).unwrap_or_default(),
        tree: TreeId::from_gix(raw.tree),
    }
}

/// Text of a commit without control characters (but line breaks and tabs), bounded.
fn shown(text: &[u8], max: usize) -> String {
    let text = text[..text.len().min(max)].to_str_lossy();
    text.trim().chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

//! Commits as git itself reads them: by the few lines that it needs, whatever the others hold. Imports of other systems
//! and broken scripts left authors without a closing bracket, and git clones, fetches and shows them all the same.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};

use gix::bstr::ByteSlice;

use super::Mirror;
use crate::GitError;

/// What a commit says, as far as it can be read.
pub(super) struct Raw {
    pub(super) tree: gix::ObjectId,
    pub(super) parents: Vec<gix::ObjectId>,
    pub(super) author: Vec<u8>,
    pub(super) email: Vec<u8>,
    /// Of the committer; zero where there is none, as for git.
    pub(super) seconds: i64,
    pub(super) message: Vec<u8>,
}

impl Raw {
    /// Reads a commit object; nothing where it has no tree, which git refuses as well.
    pub(super) fn parse(data: &[u8]) -> Option<Self> {
        let (head, message) = match data.find(b"\n\n") {
            Some(end) => (&data[..end], &data[end + 2..]),
            None => (data, &data[data.len()..]),
        };
        let mut lines = head.lines().peekable();
        let id = |line: &[u8], key: &str| gix::ObjectId::from_hex(line.strip_prefix(key.as_bytes())?.trim()).ok();
        let tree = id(lines.next()?, "tree ")?;
        let mut parents = Vec::new();
        while let Some(parent) = lines.peek().and_then(|line| id(line, "parent ")) {
            parents.push(parent);
            lines.next();
        }
        let (mut author, mut email, mut seconds) = (Vec::new(), Vec::new(), 0);
        for line in lines {
            if let Some(written) = line.strip_prefix(b"author ") {
                let (name, mail) = person(written);
                (author, email) = (name.to_vec(), mail.to_vec());
            } else if let Some(written) = line.strip_prefix(b"committer ") {
                seconds = time(written);
            }
        }
        Some(Self { tree, parents, author, email, seconds, message: message.to_vec() })
    }
}

/// The time of a tag object; nothing where it names no tagger.
pub(super) fn tagged_at(data: &[u8]) -> Option<i64> {
    let head = data.lines().take_while(|line| !line.is_empty());
    head.into_iter().find_map(|line| line.strip_prefix(b"tagger ")).map(time)
}

/// Name and address of `Name <address> 1700000000 +0000`, with or without their brackets.
fn person(written: &[u8]) -> (&[u8], &[u8]) {
    match written.split_once_str("<") {
        Some((name, rest)) => {
            let end = rest.find_byte(b'>').unwrap_or_else(|| rest.len() - stamp(rest).len());
            (name.trim(), rest[..end].trim())
        }
        None => (written[..written.len() - stamp(written).len()].trim(), b""),
    }
}

/// The two last words where they are a time and its zone.
fn stamp(written: &[u8]) -> &[u8] {
    let is_number = |word: &[u8]| word.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-'));
    let mut words = written.rsplitn_str(3, " ");
    match (words.next(), words.next()) {
        (Some(zone), Some(seconds)) if is_number(zone) && is_number(seconds) => {
            &written[written.len() - zone.len() - seconds.len() - 1..]
        }
        _ => b"",
    }
}

fn time(written: &[u8]) -> i64 {
    let after = written.rsplit_once_str(">").map_or(stamp(written), |(_, after)| after);
    let word = after.trim_start().split_str(" ").next().unwrap_or_default();
    word.to_str().ok().and_then(|word| word.parse().ok()).unwrap_or(0)
}

impl Mirror {
    pub(super) fn raw(&self, repository: &gix::Repository, id: gix::ObjectId) -> Result<Raw, GitError> {
        let doing = "reading a commit";
        let object = repository.try_find_object(id).map_err(|error| self.broken(doing, &error))?;
        let object = object.ok_or_else(|| self.not_found(format!("commit {id}")))?;
        match object.kind {
            gix::objs::Kind::Commit => {
                Raw::parse(&object.data).ok_or_else(|| self.failed_here(doing, format!("{id} names no tree")))
            }
            kind => Err(self.not_found(format!("a commit at {id} (it is a {kind})"))),
        }
    }

    /// The commits from one backwards, newest first by the committer's time, each once.
    pub(super) fn walk<'r>(
        &'r self,
        repository: &'r gix::Repository,
        from: gix::ObjectId,
    ) -> Result<Walk<'r>, GitError> {
        let mut walk = Walk {
            mirror: self,
            repository,
            waiting: BinaryHeap::new(),
            seen: HashSet::new(),
            hidden: HashSet::new(),
            failed: false,
        };
        walk.add(from)?;
        Ok(walk)
    }
}

/// See [`Mirror::walk`].
pub(super) struct Walk<'r> {
    mirror: &'r Mirror,
    repository: &'r gix::Repository,
    waiting: BinaryHeap<Waiting>,
    seen: HashSet<gix::ObjectId>,
    /// What is passed by, with all that is behind it.
    hidden: HashSet<gix::ObjectId>,
    failed: bool,
}

struct Waiting {
    /// Those of one second come in the order in which they were found.
    order: (i64, std::cmp::Reverse<usize>),
    id: gix::ObjectId,
    raw: Raw,
}

impl Walk<'_> {
    /// Passes by this commit and all that it comes from, as `git log ^id` does, as far as the times of commits allow.
    pub(super) fn hide(&mut self, id: gix::ObjectId) -> Result<(), GitError> {
        self.hidden.insert(id);
        self.add(id)
    }

    fn add(&mut self, id: gix::ObjectId) -> Result<(), GitError> {
        if self.seen.insert(id) {
            let raw = self.mirror.raw(self.repository, id)?;
            let order = (raw.seconds, std::cmp::Reverse(self.seen.len()));
            self.waiting.push(Waiting { order, id, raw });
        }
        Ok(())
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<(gix::ObjectId, Raw), GitError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        while self.hidden.is_empty() || self.waiting.iter().any(|one| !self.hidden.contains(&one.id)) {
            let Waiting { id, raw, .. } = self.waiting.pop()?;
            let is_hidden = self.hidden.contains(&id);
            for parent in raw.parents.clone() {
                if is_hidden {
                    self.hidden.insert(parent);
                }
                if let Err(error) = self.add(parent) {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
            if !is_hidden {
                return Some(Ok((id, raw)));
            }
        }
        None
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order.cmp(&other.order)
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Waiting {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_is_read_as_far_as_it_can_be() {
        for (line, name, email) in [
            ("Ann <ann@example.com> 1700000000 +0000", "Ann", "ann@example.com"),
            ("Nobody <nobody 1700000000 +0000", "Nobody", "nobody"),
            ("Nobody 1700000000 +0000", "Nobody", ""),
            ("<> 0 +0000", "", ""),
            ("A <a@b> <c@d> 1 -0100", "A", "a@b"),
            ("Only Words", "Only Words", ""),
            ("", "", ""),
        ] {
            let (name_read, email_read) = person(line.as_bytes());
            assert_eq!((name_read.as_bstr(), email_read.as_bstr()), (name.into(), email.into()), "{line}");
        }
    }

    #[test]
    fn a_commit_is_read_by_what_git_needs_of_it() {
        let id = "0".repeat(40);
        let commit = |lines: &str| Raw::parse(format!("tree {id}\nparent {id}\nparent {id}\n{lines}").as_bytes());
        for (lines, seconds, message) in [
            ("author A <a> 5 +0000\ncommitter B <b> 7 +0000\n\nsubject\n\nbody\n", 7, "subject\n\nbody\n"),
            ("author A <a\n> 5 +0000\ncommitter B 7 +0000\nencoding x\ngpgsig a\n b\n\n", 7, ""),
            ("author A <a> 5 +0000\ncommitter B <b> x\n\nm", 0, "m"),
            ("committer B <b> -7 +0000", -7, ""),
            ("", 0, ""),
        ] {
            let read = commit(lines).unwrap();
            assert_eq!((read.parents.len(), read.seconds), (2, seconds), "{lines:?}");
            assert_eq!(read.message.as_bstr(), message, "{lines:?}");
        }
        assert!(Raw::parse(b"author A <a> 5 +0000\n\nm").is_none());
        assert!(Raw::parse(b"").is_none());
    }
}

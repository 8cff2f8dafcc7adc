//! What a person names: a tag, a branch, or a commit by its first digits. One rule for every question.

use std::collections::HashSet;

use super::Mirror;
use crate::id::GixId;
use crate::{CommitId, GitError, RefSnapshot, Target};

/// Fewer digits name too many commits: git itself shows seven.
const DIGITS_MIN: usize = 7;

/// What a name leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// The commit of a tag or branch of that name.
    Reference(CommitId),
    /// The only commit of the mirror that begins so.
    Commit(CommitId),
    /// Several commits begin so.
    Ambiguous,
    /// Nothing.
    Missing,
}

impl Named {
    /// What a person reads where a text is [`Named::Ambiguous`].
    pub fn ambiguous(text: &str) -> String {
        format!("{text} is ambiguous: several commits begin so; use more digits")
    }
}

impl Mirror {
    /// The commit that a text names, in the order of gitrevisions(7): a tag, a branch, a commit.
    ///
    /// # Errors
    /// Where the mirror cannot be read.
    pub fn named(&self, refs: Option<&RefSnapshot>, text: &str) -> Result<Named, GitError> {
        if refs.and_then(|refs| refs.tags.get(text)).is_some_and(|tag| tag.commit.is_some()) {
            return Ok(Named::Reference(self.resolve(&Target::Tag(text.to_owned()), None)?));
        }
        if refs.is_some_and(|refs| refs.branches.contains_key(text)) {
            return Ok(Named::Reference(self.resolve(&Target::Branch(text.to_owned()), None)?));
        }
        let digits = text.to_ascii_lowercase();
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let Some(prefix) = gix::hash::Prefix::from_hex(&digits).ok().filter(|_| is_hex && digits.len() >= DIGITS_MIN)
        else {
            return Ok(Named::Missing);
        };
        let repository = self.repository();
        let mut found = HashSet::new();
        repository
            .objects
            .lookup_prefix(prefix, Some(&mut found))
            .map_err(|error| self.broken("looking for a commit", &error))?;
        let is_commit = |id: &gix::ObjectId| {
            repository.find_header(*id).is_ok_and(|header| header.kind() == gix::objs::Kind::Commit)
        };
        let mut commits = found.into_iter().filter(is_commit);
        Ok(match (commits.next(), commits.next()) {
            (None, _) => Named::Missing,
            (Some(id), None) => Named::Commit(CommitId::from_gix(id)),
            (Some(_), Some(_)) => Named::Ambiguous,
        })
    }
}

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
    /// The same among more commits than the mirror's, such as those that only a history knows.
    pub fn or_among<'c>(self, known: impl IntoIterator<Item = &'c CommitId>, text: &str) -> Self {
        let Some(digits) = digits(text) else { return self };
        let begins_so = |commit: &&CommitId| commit.as_str().starts_with(&digits);
        known.into_iter().filter(begins_so).fold(self, |named, commit| match named {
            Self::Missing => Self::Commit(commit.clone()),
            Self::Commit(found) if found != *commit => Self::Ambiguous,
            named => named,
        })
    }

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
        let prefix = digits(text).and_then(|digits| gix::hash::Prefix::from_hex(&digits).ok());
        let Some(prefix) = prefix else { return Ok(Named::Missing) };
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

/// The first digits of a commit as ids are written; nothing where the text is something else.
fn digits(text: &str) -> Option<String> {
    let digits = text.to_ascii_lowercase();
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hex && digits.len() >= DIGITS_MIN).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_that_the_mirror_does_not_have_are_named_by_the_same_rule() {
        let id = |digits: &str| format!("{digits:0<40}").parse::<CommitId>().unwrap();
        let (one, twin, other) = (id("1f3c2a9"), id("1f3c2a91"), id("abcdef0"));
        let reference = || Named::Reference(other.clone());
        let commit = |id: &CommitId| Named::Commit(id.clone());
        for (what, named, known, text, expected) in [
            ("only known", Named::Missing, vec![&one, &other], "1f3c2a9", commit(&one)),
            ("in capitals", Named::Missing, vec![&one], "1F3C2A9", commit(&one)),
            ("whole", Named::Missing, vec![&one, &twin], twin.as_str(), commit(&twin)),
            ("too few digits", Named::Missing, vec![&one], "1f3c2a", Named::Missing),
            ("no digits", Named::Missing, vec![&one], "", Named::Missing),
            ("another", Named::Missing, vec![&other], "1f3c2a9", Named::Missing),
            ("known in both", commit(&one), vec![&one, &one], "1f3c2a9", commit(&one)),
            ("one in each", commit(&one), vec![&twin], "1f3c2a9", Named::Ambiguous),
            ("two known", Named::Missing, vec![&one, &twin], "1f3c2a9", Named::Ambiguous),
            ("ambiguous in the mirror", Named::Ambiguous, vec![&one], "1f3c2a9", Named::Ambiguous),
            ("a tag of that name", reference(), vec![&one], "1f3c2a9", reference()),
        ] {
            assert_eq!(named.or_among(known, text), expected, "{what}");
        }
    }
}

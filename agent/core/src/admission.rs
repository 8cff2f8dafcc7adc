//! Whether a tag may trigger: which tag a run stands on, what its signature is worth, and whether its forge protects it. Pure.
//!
//! ```text
//! run + refs ─ tag_of ─► the tag that it stands on, or none (a branch, a commit: whoever named it trusts it)
//! tag object ─ signature::read ─► is it signed, and how ── git verify-tag ─ signature::judge ─► who signed, or why not
//! rules of a forge ─ pattern ─► whether one of them is about the tag
//! ```
//! It is asked each time a run begins: what was built before is no reason to trust the tag of now.

pub mod commit;
pub mod pattern;
pub mod signature;

use std::borrow::Cow;

use quarterdeck_shared::error::Hint;
use quarterdeck_shared::event::Cause;
use quarterdeck_shared::revision::CommitId;
use quarterdeck_shared::snapshot::RunStatus;

use crate::git::{RefSnapshot, TagRef};
use crate::trigger::TagRules;

/// Why a tag does not trigger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It went, or a branch has its name now.
    #[error("the repository has no tag {tag} any more")]
    Gone {
        /// Its name.
        tag: String,
    },
    /// It points elsewhere than when its run was queued.
    #[error("tag {tag} was moved to {now} after the run of {commit} was queued")]
    Moved {
        /// Its name.
        tag: String,
        /// Where it is: a short commit, or words.
        now: String,
        /// Short, of the run.
        commit: String,
    },
    /// Nobody signed it.
    #[error("tag {tag} is not signed")]
    Unsigned {
        /// Its name.
        tag: String,
    },
    /// What was signed is a tag of another name.
    #[error("tag {tag} is a copy of the signed tag {signed}")]
    Copied {
        /// Its name.
        tag: String,
        /// The name that was signed.
        signed: String,
    },
    /// There is no one who may sign so.
    #[error("tag {tag} has an {kind} signature, and require_signed names no signers of that kind")]
    NoSigners {
        /// Its name.
        tag: String,
        /// Of which kind.
        kind: signature::Kind,
    },
    /// Its signer may not.
    #[error("tag {tag} is signed by a key that is not among the signers of {file}: {key}")]
    Stranger {
        /// Its name.
        tag: String,
        /// The name of the file that names the signers.
        file: String,
        /// The fingerprint, and what the file says about it where that is why.
        key: String,
    },
    /// The signature is worth nothing.
    #[error("the signature of tag {tag} is not valid: {why}")]
    Invalid {
        /// Its name.
        tag: String,
        /// Why.
        why: String,
    },
    /// Anyone who may push may make it.
    #[error("tag {tag} is not protected by forge {forge}")]
    Unprotected {
        /// Its name.
        tag: String,
        /// The address of the forge.
        forge: String,
        /// How it is protected there.
        how: &'static str,
    },
}

impl Hint for Refusal {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Gone { .. } | Self::Moved { .. } => {
                "a commit is built without a tag: `qd push` or `qd build` with the commit".into()
            }
            Self::Unsigned { tag } => format!(
                "sign it: `git tag --sign --force {tag} COMMIT`, and push it with --force; `qd push` with the commit trusts it without a tag"
            )
            .into(),
            Self::Copied { .. } => "sign a tag of this very name: a signature counts for the name that was signed".into(),
            Self::NoSigners { .. } => "sign with a key of the other kind (gpg.format), or name signers of this kind in require_signed".into(),
            Self::Stranger { file, .. } => {
                format!("if the key is to be trusted, add it to {file}; then `qd runs retry`").into()
            }
            Self::Invalid { .. } => "have the tag signed again by one of the signers".into(),
            Self::Unprotected { how, .. } => format!("{how}; then `qd runs retry`").into(),
        }
    }
}

/// The tag that a run stands on; nothing where a person named a branch or commit, or where it is of a new commit of a branch
/// or merge request.
///
/// # Errors
/// Where the tag went or points elsewhere meanwhile. A name that triggers as a tag has to be one: else a branch of that name
/// would do.
pub fn tag_of<'r>(run: &RunStatus, refs: &'r RefSnapshot, rules: &TagRules) -> Result<Option<&'r TagRef>, Refusal> {
    if run.is_check() || run.permission.is_some() {
        return Ok(None);
    }
    let tag = &run.reference;
    let moved = |now: Option<&CommitId>| Refusal::Moved {
        tag: tag.clone(),
        now: now.map_or("an object that is not a commit", CommitId::short).to_owned(),
        commit: run.commit.short().to_owned(),
    };
    match refs.tags.get(tag) {
        Some(found) if found.commit.as_ref() == Some(&run.commit) => Ok(Some(found)),
        Some(found) => Err(moved(found.commit.as_ref())),
        None if is_no_tag(run, refs, rules) => Ok(None),
        None => Err(Refusal::Gone { tag: tag.clone() }),
    }
}

/// Whether the reference of a run that is no tag of now was none either when the run was asked for.
fn is_no_tag(run: &RunStatus, refs: &RefSnapshot, rules: &TagRules) -> bool {
    let reference = &run.reference;
    let is_commit = run.commit.as_str().starts_with(&reference.to_ascii_lowercase());
    let is_head = reference == "HEAD" || refs.branches.contains_key(reference) || run.merge_request().is_some();
    let by_tag = matches!(run.cause, Cause::Tag { .. }) || rules.kind_of(reference).is_some();
    !by_tag && (is_commit || is_head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::tests::run;
    use quarterdeck_shared::application::ExistingTags;
    use quarterdeck_shared::snapshot::{Permission, RunGoal};

    fn id(digit: char) -> String {
        digit.to_string().repeat(40)
    }

    #[test]
    fn a_run_stands_on_the_tag_that_it_names() {
        let rules = TagRules::new(&[], &["push-*".to_owned()], ExistingTags::Latest).unwrap();
        let tag = |commit: Option<char>| TagRef {
            object: id('9').try_into().unwrap(),
            commit: commit.map(|commit| id(commit).parse().unwrap()),
        };
        let refs = RefSnapshot {
            tags: [("push-1", Some('a')), ("v1", Some('a')), ("push-tree", None)]
                .map(|(name, commit)| (name.to_owned(), tag(commit)))
                .into(),
            branches: ["main", "push-branch"].map(|name| (name.to_owned(), id('a').parse().unwrap())).into(),
            ..RefSnapshot::default()
        };
        let by_tag = |name: &str| Cause::Tag { tag: name.to_owned(), commit: id('a').parse().unwrap() };
        let person = || Cause::Person { uid: 1001, name: "alice".to_owned() };
        let branch = || Cause::Branch { branch: "push-1".to_owned(), commit: id('a').parse().unwrap() };
        let merge_request = || Cause::MergeRequest { number: 7, commit: id('a').parse().unwrap() };
        let short = &id('a')[..7];
        let gone = |tag: &str| format!("the repository has no tag {tag} any more");
        for (cause, reference, commit, expected) in [
            (by_tag("push-1"), "push-1", 'a', "tag".to_owned()),
            (
                by_tag("push-1"),
                "push-1",
                'b',
                "tag push-1 was moved to aaaaaaa after the run of bbbbbbb was queued".to_owned(),
            ),
            (
                by_tag("push-tree"),
                "push-tree",
                'b',
                "tag push-tree was moved to an object that is not a commit after the run of bbbbbbb was queued"
                    .to_owned(),
            ),
            (by_tag("push-2"), "push-2", 'a', gone("push-2")),
            // A branch in the place of a tag is none.
            (by_tag("push-branch"), "push-branch", 'a', gone("push-branch")),
            (person(), "push-branch", 'a', gone("push-branch")),
            // Whoever queued it.
            (person(), "push-1", 'a', "tag".to_owned()),
            (person(), "v1", 'a', "tag".to_owned()),
            (person(), "v2", 'a', gone("v2")),
            // What a person names and trusts.
            (person(), "main", 'b', "none".to_owned()),
            (person(), "HEAD", 'b', "none".to_owned()),
            (person(), short, 'a', "none".to_owned()),
            (person(), &short.to_uppercase(), 'a', "none".to_owned()),
            (person(), short, 'b', gone(short)),
            (person(), "merge-request-7", 'b', "none".to_owned()),
            // What no tag asked for.
            (branch(), "push-1", 'b', "none".to_owned()),
            (merge_request(), "merge-request-7", 'b', "none".to_owned()),
        ] {
            let commit = id(commit).parse().unwrap();
            let one = RunStatus { cause: cause.clone(), commit, ..run(12, reference, RunGoal::Push) };
            let found = match tag_of(&one, &refs, &rules) {
                Ok(Some(_)) => "tag".to_owned(),
                Ok(None) => "none".to_owned(),
                Err(refusal) => refusal.to_string(),
            };
            assert_eq!(found, expected, "{cause:?} {reference}");
        }
        // A fork's code, queued once more by a person.
        let fork = RunStatus { permission: Some(Permission::Given), ..run(12, "push-1", RunGoal::Build) };
        assert_eq!(tag_of(&fork, &refs, &rules), Ok(None));
    }
}

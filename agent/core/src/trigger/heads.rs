//! Which runs new commits of branches and merge requests ask for. Pure.
//!
//! Each new commit is built and tested, and nothing of it is pushed. What is there when it is first looked for asks for
//! nothing: a repository has hundreds of merge requests that were closed long ago, and their refs stay.
//!
//! Whose code a merge request is can be told without the forge: only who may push to a repository can make a branch of
//! it. So the head of a merge request that is also the tip of a branch is the repository's own, and any other is taken for
//! a fork's, which at worst asks a person once too often.

use std::collections::BTreeSet;

use quarterdeck_shared::application::{Code, Forks};
use quarterdeck_shared::revision::CommitId;
use quarterdeck_shared::snapshot::Permission;

use super::rules::{GlobError, TagGlob};
use super::{Objects, Seen, SeenRefs, is_new, seen_after};
use crate::git::{MergeRequestRef, ObjectId, RefSnapshot};

/// Which branches and merge requests are triggers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadRules {
    branches: Vec<TagGlob>,
    merge_requests: bool,
    forks: Forks,
}

impl HeadRules {
    /// Reads the patterns of an application.
    pub fn new(code: &Code) -> Result<Self, GlobError> {
        let branches = code.branches.iter().map(|text| TagGlob::parse(text)).collect::<Result<_, _>>()?;
        Ok(Self { branches, merge_requests: code.merge_requests, forks: code.forks })
    }
}

/// What a new commit is the newest of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Head {
    /// A branch, without `refs/heads/`.
    Branch(String),
    /// A merge request, by number.
    MergeRequest(u64),
}

/// A run that a new commit asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedHead {
    /// Of what it is the newest commit.
    pub head: Head,
    /// The commit to build and test.
    pub commit: CommitId,
    /// Whether it may run, where it is of a fork.
    pub permission: Option<Permission>,
}

/// What follows from a listing of branches and merge requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeadsDecision {
    /// The runs that are owed: branches by name, then merge requests by number.
    pub owed: Vec<OwedHead>,
    /// The branches to keep as seen.
    pub branches: Option<Seen>,
    /// The merge requests to keep as seen.
    pub merge_requests: Option<Seen>,
}

/// Decides what is owed. What was `seen` of a kind is nothing where that kind is looked at for the first time.
pub fn owed_heads(rules: &HeadRules, now: &RefSnapshot, seen: Option<&SeenRefs>) -> HeadsDecision {
    let mut decision = HeadsDecision::default();
    if !rules.branches.is_empty() {
        let before = seen.and_then(|seen| seen.branches.as_ref());
        let there = now.branches.iter().map(|(name, commit)| (name.clone(), commit.clone().into()));
        let (changed, seen) = changed(there.collect(), before, now);
        let is_wanted = |name: &String| changed.contains(name) && rules.branches.iter().any(|glob| glob.matches(name));
        let wanted = now.branches.iter().filter(|(name, _)| is_wanted(name));
        let owed = |(name, commit): (&String, &CommitId)| OwedHead {
            head: Head::Branch(name.clone()),
            commit: commit.clone(),
            permission: None,
        };
        decision.owed.extend(wanted.map(owed));
        decision.branches = Some(seen);
    }
    if let Some(listed) = now.merge_requests.as_ref().filter(|_| rules.merge_requests) {
        let before = seen.and_then(|seen| seen.merge_requests.as_ref());
        let there = listed.iter().map(|(number, head)| (number.to_string(), head.commit.clone().into()));
        let (changed, seen) = changed(there.collect(), before, now);
        for (number, MergeRequestRef { commit, .. }) in listed.iter().filter(|(n, _)| changed.contains(&n.to_string()))
        {
            let permission = match rules.forks {
                _ if now.branches.values().any(|tip| tip == commit) => None,
                Forks::Ask => Some(Permission::Awaited),
                Forks::Run => Some(Permission::Given),
                Forks::Never => continue,
            };
            let (head, commit) = (Head::MergeRequest(*number), commit.clone());
            decision.owed.push(OwedHead { head, commit, permission });
        }
        decision.merge_requests = Some(seen);
    }
    decision
}

/// The names that are new or elsewhere than they were seen, and what is seen now.
fn changed(there: Objects, before: Option<&Seen>, now: &RefSnapshot) -> (BTreeSet<String>, Seen) {
    let is_changed = |(name, object): &(&String, &ObjectId)| before.is_some() && is_new(before, name, object);
    let names = there.iter().filter(is_changed).map(|(name, _)| name.clone()).collect();
    (names, seen_after(there, before, !now.branches.is_empty()).0)
}

#[cfg(test)]
mod tests;

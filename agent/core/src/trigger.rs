//! Which runs are owed: tags now, tags seen before and the rules of an application go in, triggers come out. Pure.
//!
//! Nothing is remembered here and nothing is done. The caller keeps the tags it has seen beside the runs that it has
//! queued, in one step; so a poll that is lost or repeated (a crash, a webhook and a timer at once) owes the same runs.
//!
//! What branches and merge requests ask for is `heads`.
//!
//! ```text
//! tags of the remote ─┐
//! tags seen before ───┼─► owed ─► runs, in order (build: make the image; push: push the image of that very commit)
//! globs, existing tags┘       └─► tags seen now
//! ```

mod heads;
mod image_tag;
mod preview_tag;
mod rules;
mod version;

use std::collections::BTreeMap;

use jiff::Timestamp;
use quarterdeck_shared::application::ExistingTags;
use quarterdeck_shared::revision::CommitId;
use serde::{Deserialize, Serialize};

use crate::git::{ObjectId, RefSnapshot};

pub use heads::{Head, HeadRules, HeadsDecision, OwedHead, owed_heads};
pub use image_tag::{TagTemplate, TemplateError, image_tag};
pub use preview_tag::{merge_request_of, preview_tag};
pub use rules::{GlobError, TagGlob, TagRules};
pub use version::NaturalKey;

/// What a tag asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerKind {
    /// Build the image of the tag's commit.
    Build,
    /// Push the image of the tag's commit, and build it first only if it is not there.
    Push,
}

/// A run that a tag asks for and that was not asked for before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// What to do.
    pub kind: TriggerKind,
    /// The name of the tag, without `refs/tags/`.
    pub tag: String,
    /// What the tag points at: with the name, the identity of this trigger.
    pub object: ObjectId,
    /// The commit to build.
    pub commit: CommitId,
}

/// What follows from a listing of tags.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// The runs that are owed, in the [`order`] of their tags.
    pub owed: Vec<Owed>,
    /// What is to be kept as seen together with the runs.
    pub seen: Seen,
    /// How many tags this listing lost, see [`is_loss`]; zero where tags went one by one.
    pub lost: usize,
    /// Tags that match a rule and point to no commit: they trigger nothing, and a person should know.
    pub without_commit: Vec<String>,
}

/// Names, with what they pointed at.
pub type Objects = BTreeMap<String, ObjectId>;

/// The refs of a repository that need no thought any more.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SeenRefs {
    /// Its tags.
    #[serde(flatten)]
    pub tags: Seen,
    /// Its branches; nothing where they were no triggers at the last listing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branches: Option<Seen>,
    /// Its merge requests by number; nothing as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge_requests: Option<Seen>,
}

/// Names of one kind that need no thought any more.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Those of the last listing.
    pub there: Objects,
    /// Those that a listing lost, until they come back: a restore brings them at the same objects, and nothing is new.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lost: Objects,
    /// Those that went in the listings up to the last one, in each of them some: the beginning of a loss, where the rest
    /// follows, or all of one so far. A forge that is busy deletes a hundred tags in a minute, and is polled meanwhile.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub going: Objects,
}

/// Lost tags that are remembered: as many as a listing may hold by default.
const LOST_MAX: usize = 100_000;

/// The order in which tags are done: by time (of the tag object, else of the commit; one without counts as the oldest),
/// builds before pushes of one second, and then as people count: 1.9 before 1.10.
pub fn order(time: Option<Timestamp>, kind: TriggerKind, tag: &str) -> impl Ord + use<> {
    (time, kind, NaturalKey::new(tag))
}

/// Decides what is owed. `seen` is `None` for a repository that this application has never seen; `time_of` says when a
/// tag was made.
///
/// New is a tag that was not seen at this object: one that was pushed, moved or written anew. A tag that a person deleted
/// and pushed again is new as well, since the other tags stayed meanwhile. What a listing lost and a later one has again
/// at the same object is not: it was decided when it was first seen, and a restored forge asks for nothing.
pub fn owed(
    rules: &TagRules,
    now: &RefSnapshot,
    seen: Option<&Seen>,
    time_of: impl Fn(&str) -> Option<Timestamp>,
) -> Decision {
    let mut decision = Decision::default();
    let mut there = Objects::new();
    for (name, tag) in &now.tags {
        there.insert(name.clone(), tag.object.clone());
        let is_new = is_new(seen, name, &tag.object);
        let Some(kind) = rules.kind_of(name).filter(|_| is_new) else { continue };
        match &tag.commit {
            Some(commit) => {
                let (object, commit) = (tag.object.clone(), commit.clone());
                decision.owed.push(Owed { kind, tag: name.clone(), object, commit });
            }
            None => decision.without_commit.push(name.clone()),
        }
    }
    decision.owed.sort_by_cached_key(|owed| order(time_of(&owed.tag), owed.kind, &owed.tag));
    if seen.is_none() {
        decision.owed = existing_tags(rules.existing_tags, decision.owed);
    }
    (decision.seen, decision.lost) = seen_after(there, seen, !now.branches.is_empty());
    decision
}

/// What is seen after a listing of `there`, and how many names the listing lost.
fn seen_after(there: Objects, before: Option<&Seen>, has_branches: bool) -> (Seen, usize) {
    let mut seen = Seen { there, ..Seen::default() };
    let Some(before) = before else { return (seen, 0) };
    let is_gone = |name: &&String| !seen.there.contains_key(*name);
    let newly: Objects = before.there.iter().filter(|(name, _)| is_gone(name)).map(copied).collect();
    seen.lost = before.lost.iter().filter(|(name, _)| is_gone(name)).map(copied).collect();
    let gone = newly.len();
    let mut going = newly;
    if gone > 0 {
        going.extend(before.going.iter().filter(|(name, _)| is_gone(name)).map(copied));
    }
    let all_went = seen.there.is_empty() && going.len() > 1;
    // What goes while a loss is on its way goes with it, were it the last tag alone.
    let goes_on = going.keys().any(|name| seen.lost.contains_key(name));
    let mut lost = 0;
    if goes_on || all_went || is_loss(gone, before.there.len(), has_branches) {
        lost = going.len();
        seen.lost.extend(going.iter().map(copied));
        while seen.lost.len() > LOST_MAX {
            seen.lost.pop_first();
        }
    }
    seen.going = going;
    (seen, lost)
}

/// Whether a name was not seen at this object, neither at the last listing nor before it was lost.
fn is_new(seen: Option<&Seen>, name: &str, object: &ObjectId) -> bool {
    let was = |objects: &Objects| objects.get(name) == Some(object);
    !seen.is_some_and(|seen| was(&seen.there) || was(&seen.lost))
}

fn copied((name, object): (&String, &ObjectId)) -> (String, ObjectId) {
    (name.clone(), object.clone())
}

/// Whether a listing in which `gone` of `of` tags are missing lost them: the repository was emptied, made anew, or is
/// being restored. More than half of several went together, or all of them and every branch as well. A person who deletes
/// a tag to push it again deletes one, and the rest stays.
fn is_loss(gone: usize, of: usize, has_branches: bool) -> bool {
    gone > 0 && (!has_branches && gone == of || gone > 1 && gone * 2 > of)
}

/// What of the tags that were there before us is owed; `all` is sorted by time.
fn existing_tags(choice: ExistingTags, all: Vec<Owed>) -> Vec<Owed> {
    match choice {
        ExistingTags::All => all,
        ExistingTags::None => Vec::new(),
        ExistingTags::Latest => {
            let newest = |kind| all.iter().rposition(|owed| owed.kind == kind);
            let kept = [newest(TriggerKind::Build), newest(TriggerKind::Push)];
            all.into_iter().enumerate().filter(|(at, _)| kept.contains(&Some(*at))).map(|(_, owed)| owed).collect()
        }
    }
}

#[cfg(test)]
mod tests;

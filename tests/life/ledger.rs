//! What was done in a life, as far as it cannot be read from git, the cluster or the agent: what is asked of a rest.

use std::collections::{BTreeMap, BTreeSet};

use crate::things::{App, Place, Thing};

/// A tag that somebody pushed.
#[derive(Debug, Clone)]
pub(crate) struct Tag {
    /// Its number, in the order of time.
    pub(crate) number: usize,
    /// Whether it pushes an image; else it builds one.
    pub(crate) push: bool,
    /// Where it is.
    pub(crate) commit: String,
}

impl Tag {
    /// `push-12`
    pub(crate) fn name(&self) -> String {
        format!("{}-{}", if self.push { "push" } else { "build" }, self.number)
    }
}

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Steps so far.
    pub(crate) acts: u64,
    /// Whether an application is suspended; not in it where nobody knows whether the last word arrived.
    pub(crate) suspended: BTreeMap<App, bool>,
    /// Where it is pinned.
    pub(crate) pinned: BTreeMap<App, Option<String>>,
    /// Every tag, oldest first.
    pub(crate) tags: Vec<Tag>,
    /// Tags whose run a person stopped: they may have an image and a commit, or not.
    pub(crate) excused: BTreeSet<String>,
    /// Tags that a person asked for again: they may be promoted again.
    pub(crate) again: BTreeSet<usize>,
    /// Tags that vanished before the agent is known to have seen them: when they return they are as new as if a person had
    /// pushed them then, whatever was promoted meanwhile.
    pub(crate) late: BTreeSet<usize>,
    /// The newest push tag when a person took the newest promotion back.
    pub(crate) reverted: usize,
    /// Tags that were there when the agent looked for the first time after it lost its data: it may leave them.
    pub(crate) before_loss: usize,
    /// It lost its data, and nobody knows yet that it has looked.
    pub(crate) lost: bool,
    /// So it was when the copy of its data was made.
    pub(crate) copied_lost: bool,
    /// An object moved between applications.
    pub(crate) moved: bool,
    /// Those that did since the last rest.
    moves: BTreeSet<Place>,
    /// Since then something was committed that is no YAML: nobody knows what is wanted there, and only what holds data waits
    /// until that is known.
    slipped: bool,
    /// Since then an application was taken out of the configuration: what moves to it is wanted by nobody.
    removed: bool,
    /// Commits of the manifests that somebody asked to be synced where nothing is automatic, and what of them.
    pub(crate) asked: Vec<(String, Option<Thing>)>,
    /// Something was asked for since the last rest, so that every newer commit may be what is synced.
    asking: Option<Option<Thing>>,
    /// What was deleted, or left git, since the last rest.
    touched: BTreeSet<Place>,
    /// Anything may have been.
    touched_all: bool,
    /// The uid of each object of git at the last rest.
    pub(crate) uids: BTreeMap<Place, String>,
    /// The runs that were seen, by number: what they were for.
    pub(crate) runs: BTreeMap<u64, String>,
    /// Tags of before the last rest.
    rested_tags: usize,
    last_tag: usize,
}

impl Ledger {
    /// Notes that somebody asked for one of these commits of the manifests.
    pub(crate) fn asked_for(&mut self, app: App, offered: Vec<String>, only: Option<Thing>) {
        if !app.is_automatic() {
            self.asking = Some(only);
            self.asked.extend(offered.into_iter().map(|commit| (commit, only)));
        }
    }

    /// Notes a new commit of the manifests.
    pub(crate) fn committed(&mut self, commit: String) {
        if let Some(only) = self.asking {
            self.asked.push((commit, only));
        }
    }

    /// Notes that an object may be another from now on.
    pub(crate) fn touch(&mut self, thing: Thing) {
        self.touched.insert(thing.place());
    }

    /// Notes that any may be.
    pub(crate) fn touch_all(&mut self) {
        self.touched_all = true;
    }

    /// Whether an object may be another than at the last rest.
    pub(crate) fn was_touched(&self, place: &Place) -> bool {
        let lost_on_the_way = self.removed || (self.slipped && place.resource == "configmaps");
        self.touched_all || self.touched.contains(place) || (lost_on_the_way && self.moves.contains(place))
    }

    /// Notes that an object moves between applications.
    pub(crate) fn moves(&mut self, thing: Thing) {
        self.moved = true;
        self.moves.insert(thing.place());
    }

    /// Notes that an application cannot be rendered.
    pub(crate) fn slipped(&mut self) {
        self.slipped = true;
    }

    /// Notes that an application is not in the configuration.
    pub(crate) fn removed(&mut self, app: App) {
        self.removed = true;
        self.forget_intents(app);
    }

    /// Begins another day.
    pub(crate) fn rested(&mut self) {
        self.touched.clear();
        self.touched_all = false;
        self.moves.clear();
        (self.slipped, self.removed) = (false, false);
        self.asking = None;
        self.lost = false;
        self.rested_tags = self.tags.len();
    }

    /// Notes that runs which are not over yet may fail for good: what they stand on is taken away.
    pub(crate) fn excuse_new_tags(&mut self) {
        let new = self.tags[self.rested_tags..].iter().map(Tag::name);
        self.excused.extend(new);
    }

    /// Notes that all tags vanish.
    pub(crate) fn tags_vanish(&mut self) {
        self.late.extend(self.tags[self.rested_tags..].iter().map(|tag| tag.number));
    }

    /// The number of the next tag.
    pub(crate) fn next_tag(&mut self) -> usize {
        self.last_tag += 1;
        self.last_tag
    }

    /// That of the newest.
    pub(crate) fn newest(&self) -> usize {
        self.last_tag
    }

    /// Notes a tag.
    pub(crate) fn tagged(&mut self, number: usize, push: bool, commit: String) -> Tag {
        let tag = Tag { number, push, commit };
        self.tags.push(tag.clone());
        tag
    }

    /// The newest tag that pushes.
    pub(crate) fn newest_push(&self) -> Option<&Tag> {
        self.tags.iter().rev().find(|tag| tag.push)
    }

    /// Nobody knows what an application was told.
    pub(crate) fn forget_intents(&mut self, app: App) {
        self.suspended.remove(&app);
        self.pinned.remove(&app);
    }

    /// What the agent kept is that of an earlier day. What people said since is not in it.
    pub(crate) fn restored_data(&mut self) {
        if self.copied_lost {
            return self.lost_data();
        }
        self.other_data();
    }

    /// The agent lost all it kept.
    pub(crate) fn lost_data(&mut self) {
        self.other_data();
        self.lost = true;
        self.before_loss = self.last_tag;
    }

    fn other_data(&mut self) {
        // Who was pinned may go back to what git says.
        self.touched_all |= self.pinned.values().any(Option::is_some);
        App::ALL.iter().for_each(|app| self.forget_intents(*app));
        self.runs.clear();
    }
}

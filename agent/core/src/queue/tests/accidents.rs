//! Pushes, restarts, kills, reloads, lost and restored histories, emptied and restored forges, reverts by persons, in any
//! order: tags are promoted in their order and each once, and production ends on the newest.
//!
//! The world is a model; what decides is the agent's own: what is owed, which run is next, what takes up a run, what the
//! log of the deploy branch says.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;
use quarterdeck_shared::application::ExistingTags;
use quarterdeck_shared::id::Prefix;
use quarterdeck_shared::revision::CommitId;
use quarterdeck_shared::snapshot::{RunGoal, RunId, RunStatus};
use quarterdeck_shared::status::Phase;

use crate::git::{RefSnapshot, TagRef};
use quarterdeck_shared::application::EnvironmentName;

use crate::promote::log::{Asked, Promotion, Trailers, Verdict, judge, written_by};
use crate::queue;
use crate::run::{again, ended, interrupted};
use crate::trigger::{Seen, TagRules, TriggerKind, order, owed};

/// What happens.
#[derive(Debug, Clone)]
enum Act {
    /// A push of so many tags; all of one second where it says so.
    Push(u8, bool),
    /// A poll.
    Poll,
    /// The next run begins, and ends.
    Run,
    /// It begins, and the agent dies (or is reloaded) before its commit is pushed.
    CutOff,
    /// It begins, pushes its commit, and the agent dies before that is recorded.
    CutOffAfterThePush,
    /// It begins and fails.
    Fail,
    /// The data directory is copied.
    Copy,
    /// The agent dies, and goes on with the copy, or with nothing.
    Restore(bool),
    /// The forge shows no refs for a poll, and then all of them again.
    Emptied,
    /// A person takes back the last promotion.
    Revert,
}

/// What the agent keeps.
#[derive(Debug, Clone, Default)]
struct History {
    runs: Vec<RunStatus>,
    seen: Option<Seen>,
    last: u64,
}

#[derive(Default)]
struct World {
    /// Tags with their times.
    tags: BTreeMap<String, (TagRef, i64)>,
    history: History,
    copy: History,
    /// Histories that were lost, or exchanged for the copy: each draws a prefix.
    lives: u64,
    /// Every id that was given.
    given: BTreeSet<RunId>,
    /// Newest first.
    log: Vec<Promotion>,
    /// The version that the manifests name.
    production: Option<String>,
    reverted: bool,
    second: i64,
}

/// Digits that are never given twice, as object ids.
fn digits(number: usize) -> String {
    format!("{number:040x}")
}

fn version(what: &Trailers) -> &String {
    what.images.values().next().unwrap()
}

fn prod() -> EnvironmentName {
    "prod".parse().unwrap()
}

fn what(run: &RunStatus) -> Trailers {
    Trailers {
        application: run.application.clone(),
        environment: prod(),
        images: [("registry.example/ops/shop".to_owned(), format!("{}@sha256:{}", run.reference, run.commit))].into(),
        path: "apps/shop".to_owned(),
        reference: run.reference.clone(),
        source: run.commit.clone(),
    }
}

impl World {
    fn number(&mut self) -> RunId {
        self.history.last += 1;
        let id = RunId::new(Prefix::of(self.lives), self.history.last);
        assert!(self.given.insert(id), "{id} is given twice");
        id
    }

    fn time(&self, tag: &str) -> Option<Timestamp> {
        Timestamp::from_second(self.tags.get(tag)?.1).ok()
    }

    /// The tags in their order.
    fn in_order(&self) -> Vec<String> {
        let mut tags: Vec<String> = self.tags.keys().cloned().collect();
        tags.sort_by_cached_key(|tag| order(self.time(tag), TriggerKind::Push, tag));
        tags
    }

    fn push(&mut self, count: u8, in_one_second: bool) {
        for number in 0..=count % 4 {
            if number == 0 || !in_one_second {
                self.second += 1;
            }
            let count = self.tags.len() + 1;
            let commit: CommitId = digits(count).parse().unwrap();
            let tag = TagRef { object: digits(count).parse().unwrap(), commit: Some(commit) };
            self.tags.insert(format!("push-1.{count}"), (tag, self.second));
        }
    }

    fn poll(&mut self, refs: &RefSnapshot) {
        let rules = TagRules::new(&[], &["push-*".to_owned()], ExistingTags::Latest).unwrap();
        let decision = owed(&rules, refs, self.history.seen.as_ref(), |tag| self.time(tag));
        if !decision.owed.is_empty() {
            // The first numbers of a life go on after those that the deploy branch knows.
            let highest = self.log.iter().map(|promotion| promotion.run.number).max();
            self.history.last = self.history.last.max(highest.unwrap_or(0));
        }
        for owed in decision.owed {
            let id = self.number();
            let run = RunStatus { id, commit: owed.commit, ..super::run(id.number, &owed.tag, RunGoal::Push) };
            self.history.runs.push(run);
        }
        self.history.seen = Some(decision.seen);
    }

    fn refs(&self) -> RefSnapshot {
        let main = ("main".to_owned(), digits(0).parse().unwrap());
        let tags = self.tags.iter().map(|(name, (tag, _))| (name.clone(), tag.clone())).collect();
        RefSnapshot { tags, branches: BTreeMap::from([main]), ..RefSnapshot::default() }
    }

    /// Begins the next run.
    fn begin(&mut self) -> Option<RunStatus> {
        let next = queue::next(&self.history.runs)?.clone();
        let run = self.history.runs.iter_mut().find(|run| run.id == next.id)?;
        run.phase = Phase::Running;
        Some(run.clone())
    }

    fn end(&mut self, run: &RunStatus, phase: Phase, promoted: Option<CommitId>) {
        let promoted = promoted.map(|commit| (prod(), commit)).into_iter().collect();
        let over = ended(RunStatus { promoted, ..run.clone() }, phase, String::new(), Timestamp::UNIX_EPOCH);
        *self.history.runs.iter_mut().find(|one| one.id == run.id).unwrap() = over;
    }

    /// The promotion of a run; the commit that is its own, made now or before.
    fn promote(&mut self, run: &RunStatus) -> Option<CommitId> {
        let tags = self.in_order();
        let own = tags.iter().position(|tag| *tag == run.reference);
        let newer = &tags[own.map_or(0, |own| own + 1)..];
        let asked = Asked {
            what: what(run),
            formerly: None,
            first: run.place(),
            run: run.id,
            by_person: false,
            newer: newer.iter().map(|tag| (tag.clone(), self.tags[tag].0.commit.clone().unwrap())).collect(),
            known: self.history.runs.iter().flat_map(|run| run.promoted.values().cloned()).collect::<BTreeSet<_>>(),
        };
        if self.production.as_ref() == Some(version(&asked.what)) {
            return written_by(&asked, &self.log).map(|(commit, _)| commit);
        }
        match judge(&asked, &self.log) {
            Verdict::New => {}
            Verdict::Own(commit) => return Some(commit),
            Verdict::Before(_) | Verdict::Overtaken { .. } => return None,
        }
        let commit: CommitId = digits(1_000_000 + self.log.len()).parse().unwrap();
        self.production = Some(version(&asked.what).clone());
        self.reverted = false;
        self.log.insert(0, Promotion { commit: commit.clone(), what: asked.what, run: run.id });
        Some(commit)
    }

    /// A life ends in the middle, and the next takes up what it left.
    fn take_up(&mut self) {
        for run in self.history.runs.clone().into_iter().filter(|run| run.phase == Phase::Running) {
            let id = self.number();
            let successor = again(&run, id, Timestamp::UNIX_EPOCH);
            let cut_off = interrupted(&run, id, "the agent ended", Timestamp::UNIX_EPOCH);
            *self.history.runs.iter_mut().find(|one| one.id == run.id).unwrap() = cut_off;
            self.history.runs.push(successor);
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Push(count, in_one_second) => self.push(*count, *in_one_second),
            Act::Poll => self.poll(&self.refs()),
            Act::Run => {
                let Some(run) = self.begin() else { return };
                let commit = self.promote(&run);
                self.end(&run, Phase::Succeeded, commit);
            }
            Act::CutOff => {
                self.begin();
                self.take_up();
            }
            Act::CutOffAfterThePush => {
                let Some(run) = self.begin() else { return };
                self.promote(&run);
                self.take_up();
            }
            Act::Fail => {
                let Some(run) = self.begin() else { return };
                self.end(&run, Phase::Failed, None);
            }
            Act::Copy => {
                self.begin();
                self.copy = self.history.clone();
                self.take_up();
            }
            Act::Restore(copy) => {
                self.lives += 1;
                self.history = if *copy { self.copy.clone() } else { History::default() };
                self.take_up();
                self.poll(&self.refs());
            }
            Act::Emptied => {
                self.poll(&RefSnapshot::default());
                self.poll(&self.refs());
            }
            Act::Revert => {
                let before = self.log.get(1).map(|promotion| version(&promotion.what).clone());
                self.reverted = !self.log.is_empty();
                self.production = before;
            }
        }
    }
}

fn acts(forgets: bool, fails: bool) -> impl Strategy<Value = Vec<Act>> {
    let mut kinds = vec![
        (4, (any::<u8>(), any::<bool>()).prop_map(|(count, at_once)| Act::Push(count, at_once)).boxed()),
        (5, Just(Act::Poll).boxed()),
        (6, Just(Act::Run).boxed()),
        (3, Just(Act::CutOff).boxed()),
        (3, Just(Act::CutOffAfterThePush).boxed()),
        (1, Just(Act::Emptied).boxed()),
    ];
    if fails {
        kinds.push((2, Just(Act::Fail).boxed()));
    }
    if forgets {
        kinds.push((2, Just(Act::Copy).boxed()));
        kinds.push((2, any::<bool>().prop_map(Act::Restore).boxed()));
        kinds.push((1, Just(Act::Revert).boxed()));
    }
    proptest::collection::vec(proptest::strategy::Union::new_weighted(kinds), 1..40)
}

/// The tags that were promoted, oldest promotion first, after all that was owed is done.
fn ends(acts: &[Act]) -> (World, Vec<String>) {
    let mut world = World::default();
    // The agent was there before the first tag: nothing is skipped at first sight.
    world.poll(&world.refs());
    acts.iter().for_each(|act| world.act(act));
    world.poll(&world.refs());
    while queue::next(&world.history.runs).is_some() {
        world.act(&Act::Run);
    }
    let promoted = world.log.iter().rev().map(|promotion| promotion.what.reference.clone()).collect();
    (world, promoted)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn each_tag_has_one_commit_in_its_order(acts in acts(false, false)) {
        let (world, promoted) = ends(&acts);
        prop_assert_eq!(promoted, world.in_order());
    }

    /// With a history that is lost or an older one too: what cannot be known may be skipped, and nothing is turned round,
    /// done twice or taken from a person.
    #[test]
    fn production_never_goes_back(acts in acts(true, true)) {
        let (world, promoted) = ends(&acts);
        let tags = world.in_order();
        let places: Vec<_> = promoted.iter().map(|tag| tags.iter().position(|one| one == tag).unwrap()).collect();
        prop_assert!(places.is_sorted_by(|one, next| one < next), "{:?} of {:?}", promoted, tags);
        // Each run that says what it promoted names a commit of its tag.
        for run in &world.history.runs {
            let made = |commit: &CommitId| world.log.iter().find(|made| made.commit == *commit).map(|made| &made.what);
            prop_assert!(run.promoted.values().all(|commit| made(commit) == Some(&what(run))), "{:?}", run);
        }
    }

    /// Where nothing fails production ends on the newest tag, unless a person took it back.
    #[test]
    fn production_ends_on_the_newest(acts in acts(true, false)) {
        let (world, _) = ends(&acts);
        let newest = world.in_order().last().map(|tag| format!("{tag}@sha256:{}", world.tags[tag].0.object));
        prop_assert!(world.reverted || world.production == newest, "{:?}, not {:?}", world.production, newest);
    }
}

//! The bound of the queue: a table, and what holds through anything that is pushed, asked for, cut off and ended.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use quarterdeck_shared::event::Cause;
use quarterdeck_shared::id::Prefix;
use quarterdeck_shared::snapshot::{Permission, RunGoal};
use quarterdeck_shared::status::Phase;

use super::*;
use crate::queue::tests::run;
use crate::queue::{next, superseded};
use crate::run::{again, ended, interrupted};

fn tag(number: u64) -> RunStatus {
    run(number, &format!("push-{number}"), RunGoal::Push)
}

fn check(number: u64) -> RunStatus {
    let run = run(number, &format!("branch-{number}"), RunGoal::Build);
    RunStatus { cause: Cause::Branch { branch: run.reference.clone(), commit: run.commit.clone() }, ..run }
}

fn asked(number: u64) -> RunStatus {
    RunStatus { cause: Cause::Agent, ..tag(number) }
}

fn numbers<'r>(runs: impl IntoIterator<Item = &'r RunStatus>) -> Vec<u64> {
    runs.into_iter().map(|run| run.id.number).collect()
}

#[test]
fn checks_go_first_the_oldest_first_and_then_the_newest_tag_is_refused() {
    let awaits = RunStatus { permission: Some(Permission::Awaited), ..check(1) };
    let runs_already = RunStatus { phase: Phase::Running, ..check(1) };
    let cut_off = RunStatus { phase: Phase::Running, ..tag(1) };
    let taken_up = again(&cut_off, RunId::new(Prefix::of(1), 9), Timestamp::UNIX_EPOCH);
    for (what, runs, are_dropped, are_refused) in [
        ("room for all", vec![tag(1), check(2), asked(3)], vec![], vec![]),
        ("the oldest check", vec![check(1), tag(2), check(3), tag(4)], vec![1], vec![]),
        ("also where it is new", vec![tag(1), tag(2), tag(3), check(4)], vec![4], vec![]),
        ("all checks, and the newest tag", vec![check(1), tag(2), tag(3), asked(4), tag(5)], vec![1], vec![5]),
        ("not what a person asked for", vec![tag(1), tag(2), tag(3), asked(6)], vec![], vec![3]),
        ("not what waits for a person", vec![awaits, tag(2), tag(3), tag(4)], vec![], vec![]),
        ("not what runs", vec![runs_already, tag(2), tag(3), tag(4)], vec![], vec![]),
        ("not what takes up another", vec![tag(2), tag(3), tag(4), taken_up], vec![], vec![4]),
    ] {
        assert_eq!(numbers(dropped(&runs, 3)), are_dropped, "dropped: {what}");
        // What people ask for and what takes up another are not of the refs that were looked at.
        let of_refs = |run: &RunStatus| run.cause != Cause::Agent && run.resumes.is_none() && run.id.number > 2;
        let refused: Vec<u64> = refused(&runs, of_refs, 3).iter().map(|id| id.number).collect();
        assert_eq!(refused, are_refused, "refused: {what}");
    }
    assert!(is_full(&[tag(1), asked(2), tag(3)], 3));
    assert!(!is_full(&[tag(1), asked(2), check(3), check(4)], 3), "a check makes room");
}

/// What happens to a queue.
#[derive(Debug, Clone)]
enum Act {
    /// So many tags and checks are seen in one look.
    Seen(u8, u8),
    /// A person asks for a run.
    Ask,
    /// The next run begins, and ends.
    Run,
    /// It begins, and the agent dies.
    CutOff,
}

/// Few, so that it is met.
const MOST: usize = 5;

#[derive(Default)]
struct Queue {
    runs: Vec<RunStatus>,
    last: u64,
    /// What became of each trigger, by the number of its first run.
    told: BTreeMap<u64, &'static str>,
    refused_people: u64,
}

impl Queue {
    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn end(&mut self, id: RunId, phase: Phase, what: &'static str) {
        let Some(run) = self.runs.iter_mut().find(|run| run.id == id) else { return };
        *run = ended(run.clone(), phase, String::new(), Timestamp::UNIX_EPOCH);
        let before = self.told.insert(run.place().number, what);
        assert_eq!(before, None, "{what}: {run:?}");
    }

    fn open(&self) -> Vec<RunStatus> {
        self.runs.iter().filter(|run| !run.phase.is_final()).cloned().collect()
    }

    /// As the agent does: tags beyond the bound are refused in the look that saw them, checks end after it.
    fn act(&mut self, act: &Act) {
        match act {
            Act::Seen(tags, checks) => {
                let from = self.last;
                for _ in 0..tags % 8 {
                    let number = self.number();
                    self.runs.push(tag(number));
                }
                for _ in 0..checks % 8 {
                    let number = self.number();
                    self.runs.push(check(number));
                }
                for id in refused(&self.open(), |run| run.id.number > from, MOST) {
                    self.end(id, Phase::Failed, "refused");
                }
            }
            Act::Ask if is_full(&self.open(), MOST) => self.refused_people += 1,
            Act::Ask => {
                let number = self.number();
                self.runs.push(asked(number));
            }
            Act::Run | Act::CutOff => {
                let open = self.open();
                let Some(id) = next(&open).map(|run| run.id) else { return };
                if matches!(act, Act::Run) {
                    return self.end(id, Phase::Succeeded, "done");
                }
                let successor = RunId::new(Prefix::of(1), self.number());
                let Some(run) = self.runs.iter_mut().find(|run| run.id == id) else { return };
                let taken_up = again(run, successor, Timestamp::UNIX_EPOCH);
                *run = interrupted(run, successor, "the agent ended", Timestamp::UNIX_EPOCH);
                self.runs.push(taken_up);
            }
        }
        let open = self.open();
        assert!(superseded(&open).is_empty(), "each check is of a branch of its own");
        for id in dropped(&open, MOST).iter().map(|run| run.id).collect::<Vec<_>>() {
            self.end(id, Phase::Cancelled, "dropped");
        }
    }
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let seen = (any::<u8>(), any::<u8>()).prop_map(|(tags, checks)| Act::Seen(tags, checks));
    let act = prop_oneof![3 => seen, 2 => Just(Act::Ask), 6 => Just(Act::Run), 2 => Just(Act::CutOff)];
    proptest::collection::vec(act, 1..60)
}

proptest! {
    /// Each trigger comes to one end, none to two and none to nothing; no more than the bound waits after each step, and none
    /// but checks are dropped.
    #[test]
    fn nothing_is_lost_or_doubled_and_no_more_than_the_bound_waits(acts in acts()) {
        let mut queue = Queue::default();
        for act in &acts {
            queue.act(act);
            let waiting = queue.open().len();
            prop_assert!(waiting <= MOST, "{waiting} wait after {act:?}");
        }
        while next(&queue.open()).is_some() {
            queue.act(&Act::Run);
        }
        let triggers: Vec<u64> = queue.runs.iter().filter(|run| run.resumes.is_none()).map(|run| run.id.number).collect();
        prop_assert_eq!(triggers, queue.told.keys().copied().collect::<Vec<_>>());
        for run in &queue.runs {
            let told = queue.told[&run.place().number];
            prop_assert!(told != "dropped" || run.is_check(), "{:?} was dropped", run);
            prop_assert!(told != "refused" || matches!(run.cause, Cause::Tag { .. }), "{:?} was refused", run);
        }
    }

    /// What is done is done in its order: of what waits at the same time a tag never after a check, nor after a newer one.
    #[test]
    fn the_order_is_kept(acts in acts()) {
        let mut queue = Queue::default();
        for act in &acts {
            let open = queue.open();
            let first = next(&open).map(|run| run.place());
            let older = |run: &RunStatus| !run.is_check() && Some(run.place()) < first;
            let is_check = next(&open).is_some_and(RunStatus::is_check);
            prop_assert!(!open.iter().any(|run| older(run) || is_check && !run.is_check()), "{:?} of {:?}", first, open);
            queue.act(act);
        }
    }

    /// In one pass it is the same as run by run.
    #[test]
    fn what_is_superseded_is_found_in_one_pass(heads in proptest::collection::vec((0u64..4, 0u8..4, 1u64..20), 0..30)) {
        let one = |(number, (branch, kind, place)): (usize, &(u64, u8, u64))| {
            let id = number as u64 + 20;
            let run = match kind {
                0 => tag(id),
                1 => RunStatus { phase: Phase::Failed, ..check(id) },
                _ => check(id),
            };
            let cause = match run.cause {
                Cause::Branch { commit, .. } => Cause::Branch { branch: branch.to_string(), commit },
                cause => cause,
            };
            let resumes = (*kind == 3).then(|| RunId::new(Prefix::of(1), *place));
            RunStatus { cause, resumes, ..run }
        };
        let runs: Vec<RunStatus> = heads.iter().enumerate().map(one).collect();
        let by_run = runs.iter().filter(|run| !run.phase.is_final());
        let by_run: Vec<_> = by_run.filter_map(|run| Some((run.id, super::super::superseded_by(run, &runs)?))).collect();
        let at_once: Vec<_> = superseded(&runs).into_iter().map(|(run, by)| (run.id, by)).collect();
        prop_assert_eq!(at_once, by_run);
    }
}

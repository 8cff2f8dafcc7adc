//! The order of runs: tables, and what holds through any accidents.

mod accidents;

use std::collections::BTreeMap;

use super::*;
use crate::run::{again, ended};
use jiff::Timestamp;
use quarterdeck_shared::event::Cause;
use quarterdeck_shared::id::Prefix;

/// A run of one history.
fn id(number: u64) -> RunId {
    RunId::new(Prefix::of(1), number)
}

/// A run of a tag, queued.
pub(super) fn run(id: u64, reference: &str, goal: RunGoal) -> RunStatus {
    let commit: quarterdeck_shared::revision::CommitId = format!("{id:040x}").parse().unwrap();
    RunStatus {
        id: self::id(id),
        resumes: None,
        behind: None,
        application: "shop".parse().unwrap(),
        goal,
        rebuild: false,
        cause: Cause::Tag { tag: reference.to_owned(), commit: commit.clone() },
        reference: reference.to_owned(),
        commit,
        subject: String::new(),
        phase: Phase::Queued,
        stages: Vec::new(),
        queued: Timestamp::UNIX_EPOCH,
        started: None,
        finished: None,
        message: String::new(),
        hint: String::new(),
        artifact: None,
        tests: Vec::new(),
        promoted: BTreeMap::new(),
    }
}

fn push(id: u64) -> RunStatus {
    run(id, &format!("push-{id}"), RunGoal::Push)
}

fn build(id: u64) -> RunStatus {
    run(id, &format!("build-{id}"), RunGoal::Build)
}

fn running(run: RunStatus) -> RunStatus {
    RunStatus { phase: Phase::Running, ..run }
}

#[test]
fn tags_that_are_seen_within_seconds_may_be_of_one_push() {
    let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
    let tagged = |number, seconds| RunStatus { queued: at(seconds), ..push(number) };
    let asked = |number, seconds| RunStatus { cause: Cause::Agent, ..tagged(number, seconds) };
    // Cut off, and taken up a minute later.
    let (cut_off, taken_up) = (tagged(12, 100), again(&running(tagged(12, 100)), id(14), at(160)));
    let runs = [cut_off.clone(), taken_up.clone(), tagged(13, 102)];
    for (one, other, together) in [
        (tagged(13, 102), cut_off.clone(), true),
        (cut_off.clone(), tagged(13, 102), true),
        (tagged(15, 110), cut_off.clone(), true),
        (tagged(15, 111), cut_off.clone(), false),
        (tagged(13, 102), taken_up.clone(), true),
        (tagged(15, 161), taken_up, false),
        (asked(13, 102), cut_off.clone(), false),
        (tagged(13, 102), asked(12, 100), false),
    ] {
        assert_eq!(are_together(&one, &other, &runs), together, "{} {}", one.id, other.id);
    }
}

#[test]
fn what_takes_up_a_run_has_its_place() {
    let cut_off = running(RunStatus { rebuild: true, ..push(12) });
    let taken_up = again(&cut_off, id(14), Timestamp::UNIX_EPOCH);
    let once_more = again(&running(taken_up.clone()), id(16), Timestamp::UNIX_EPOCH);
    let over = ended(cut_off, Phase::Interrupted, String::new(), Timestamp::UNIX_EPOCH);
    for runs in [vec![over.clone(), push(13), taken_up], vec![over, push(13), push(15), once_more]] {
        let next = next(&runs).unwrap();
        assert_eq!((&*next.reference, next.place(), next.rebuild), ("push-12", id(12), true));
    }
    assert_eq!(next(&[running(push(1))]).map(|run| run.id), None);
}

#[test]
fn each_that_waits_says_behind_which() {
    let behind = |runs: &[RunStatus]| -> Vec<(u64, Option<u64>)> {
        retold(runs).iter().map(|run| (run.id.number, run.behind.map(|run| run.number))).collect()
    };
    let says = |run: RunStatus, before: u64| RunStatus { behind: Some(id(before)), ..run };
    let taken_up = again(&running(push(12)), id(15), Timestamp::UNIX_EPOCH);
    for (what, runs, changed) in [
        ("alone", vec![push(13)], vec![]),
        ("one runs", vec![running(push(12)), push(13), push(14)], vec![(13, Some(12)), (14, Some(13))]),
        ("said already", vec![running(push(12)), says(push(13), 12), says(push(14), 13)], vec![]),
        ("it ended", vec![says(push(13), 12), says(push(14), 13)], vec![(13, None)]),
        ("one between was cancelled", vec![running(push(12)), says(push(14), 13)], vec![(14, Some(12))]),
        ("it is taken up", vec![says(push(13), 12), says(push(14), 13), taken_up], vec![(13, Some(15))]),
    ] {
        assert_eq!(behind(&runs), changed, "{what}");
    }
}

#[test]
fn a_run_that_waits_gives_way_to_a_newer_release_alone() {
    let superseded = |number| Some(Way::Superseded(id(number)));
    let behind = |number| Some(Way::Behind(id(number)));
    let taken_up = again(&running(push(2)), id(9), Timestamp::UNIX_EPOCH);
    for (what, waits, queued, way) in [
        ("nothing is queued", push(5), vec![], None),
        ("a newer release", push(5), vec![push(6), push(7), build(8)], superseded(7)),
        ("builds only", push(5), vec![build(6)], None),
        ("a build, and releases", build(5), vec![build(6), push(7), push(8)], behind(7)),
        ("a build, and builds", build(5), vec![build(6), build(7)], None),
        ("an older one that was taken up", push(5), vec![taken_up], None),
        ("one that ended", push(5), vec![ended(push(6), Phase::Cancelled, String::new(), Timestamp::UNIX_EPOCH)], None),
    ] {
        assert_eq!(gives_way(&running(waits), &queued), way, "{what}");
    }
}

#[test]
fn a_push_is_not_done_once_more_behind_a_newer_one() {
    let (failed, good) =
        (|run| RunStatus { phase: Phase::Failed, ..run }, |run| RunStatus { phase: Phase::Succeeded, ..run });
    let of_this_commit = RunStatus { commit: push(5).commit, ..good(push(8)) };
    for (what, run, others, newer) in [
        ("alone", push(5), vec![], None),
        ("older ones", push(5), vec![good(push(4))], None),
        ("newer ones", push(5), vec![good(push(6)), push(7), good(build(8))], Some(7)),
        ("newer ones that failed", push(5), vec![failed(push(6))], None),
        ("the same commit", push(5), vec![of_this_commit], None),
        ("a build", build(5), vec![good(push(6))], None),
    ] {
        assert_eq!(outdone(&failed(run), &others).map(|run| run.number), newer, "{what}");
    }
}

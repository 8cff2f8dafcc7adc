//! The order of runs: tables, and what holds through any accidents.

mod accidents;

use std::collections::BTreeMap;

use super::*;
use crate::run::{again, ended};
use jiff::Timestamp;
use quarterdeck_shared::event::Cause;
use quarterdeck_shared::id::Prefix;
use quarterdeck_shared::snapshot::Permission;

/// A run of one history.
fn id(number: u64) -> RunId {
    RunId::new(Prefix::of(1), number)
}

/// A run of a tag, queued.
pub(crate) fn run(id: u64, reference: &str, goal: RunGoal) -> RunStatus {
    let commit: quarterdeck_shared::revision::CommitId = format!("{id:040x}").parse().unwrap();
    RunStatus {
        id: self::id(id),
        resumes: None,
        behind: None,
        application: "shop".parse().unwrap(),
        goal,
        rebuild: false,
        cause: Cause::Tag { tag: reference.to_owned(), commit: commit.clone() },
        permission: None,
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
        scans: Vec::new(),
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

/// A run of a new commit of a branch.
fn check(id: u64, branch: &str) -> RunStatus {
    let run = build(id);
    RunStatus { cause: Cause::Branch { branch: branch.to_owned(), commit: run.commit.clone() }, ..run }
}

/// A run of a new commit of a merge request.
fn merge_request(id: u64, number: u64) -> RunStatus {
    let run = build(id);
    RunStatus { cause: Cause::MergeRequest { number, commit: run.commit.clone() }, ..run }
}

fn of_fork(run: RunStatus, permission: Permission) -> RunStatus {
    RunStatus { permission: Some(permission), ..run }
}

#[test]
fn tags_and_people_come_before_checks_and_a_fork_waits_for_a_person() {
    let fork = |permission| of_fork(merge_request(2, 7), permission);
    for (what, runs, is_next) in [
        ("a tag", vec![check(1, "main"), build(3)], Some(3)),
        ("the older check", vec![check(4, "main"), merge_request(3, 7)], Some(3)),
        ("not what waits for a person", vec![fork(Permission::Awaited), check(4, "main")], Some(4)),
        ("nothing else", vec![fork(Permission::Awaited)], None),
        ("what was allowed", vec![fork(Permission::Given), check(4, "main")], Some(2)),
    ] {
        assert_eq!(next(&runs).map(|run| run.id.number), is_next, "{what}");
        let told: Vec<u64> = retold(&runs).iter().map(|run| run.id.number).collect();
        assert!(!runs.iter().any(|run| run.awaits_permission() && told.contains(&run.id.number)), "{what}");
    }
    let line = fork(Permission::Awaited).line().into_owned();
    assert_eq!(line, "its code is of a fork and waits for a person: qd runs allow 2");
}

/// Anyone can open merge requests from forks, as many as they like.
#[test]
fn of_forks_that_wait_for_a_person_the_newest_fifty_stay() {
    let fork = |number| of_fork(merge_request(number, number), Permission::Awaited);
    let more = [push(1), of_fork(merge_request(2, 2), Permission::Given)];
    for (count, out) in [(50, vec![]), (53, vec![10, 11, 12])] {
        let runs: Vec<RunStatus> = more.iter().cloned().chain((10..10 + count).map(fork)).collect();
        assert_eq!(crowded_out(&runs).iter().map(|run| run.id.number).collect::<Vec<_>>(), out, "{count}");
    }
}

#[test]
fn of_a_branch_or_merge_request_the_newest_commit_counts() {
    let over = |run: RunStatus| ended(run, Phase::Failed, String::new(), Timestamp::UNIX_EPOCH);
    let taken_up = again(&running(check(1, "main")), id(9), Timestamp::UNIX_EPOCH);
    let newer_fork = of_fork(merge_request(4, 7), Permission::Awaited);
    for (what, run, others, by) in [
        ("a newer one", check(1, "main"), vec![check(2, "main"), check(3, "main")], Some(3)),
        ("also where it runs", running(check(1, "main")), vec![check(2, "main")], Some(2)),
        ("an older one does not", check(2, "main"), vec![running(check(1, "main"))], None),
        ("what takes up an older one does not", check(2, "main"), vec![taken_up.clone()], None),
        ("what takes up an older one is", taken_up, vec![check(2, "main")], Some(2)),
        ("another branch does not", check(1, "main"), vec![check(2, "next")], None),
        ("a tag does not", check(1, "main"), vec![push(2)], None),
        ("nor is a tag", push(1), vec![check(2, "main"), push(3)], None),
        ("one that ended does not", check(1, "main"), vec![over(check(2, "main"))], None),
        ("one that waits for a person does", running(merge_request(1, 7)), vec![newer_fork], Some(4)),
        ("another merge request does not", merge_request(1, 7), vec![merge_request(2, 8)], None),
    ] {
        assert_eq!(superseded_by(&run, &others).map(|by| by.number), by, "{what}");
    }
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
        ("a check, and a release", check(5, "main"), vec![build(6), push(7)], behind(7)),
        ("a check, and an older release", check(5, "main"), vec![push(3)], behind(3)),
        ("a release, and checks", push(5), vec![check(6, "main")], None),
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

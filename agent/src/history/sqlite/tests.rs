//! What the history tells of what it was told.

mod plans;

use jiff::{SignedDuration, Timestamp};
use quarterdeck_shared::application::{ApplicationName, EnvironmentId};
use quarterdeck_shared::artifact::{Artifact, Image};
use quarterdeck_shared::event::{Cause, Event, SyncRecord};
use quarterdeck_shared::id::{Prefix, RunId, SyncId, TypedId};
use quarterdeck_shared::protocol::SyncRequest;
use quarterdeck_shared::revision::{CommitId, Revision};
use quarterdeck_shared::snapshot::{RunGoal, RunStatus};
use quarterdeck_shared::status::Phase;

use super::write::ARTIFACTS_KEPT;
use super::*;
use crate::config::HistoryConfig;
use crate::history::{About, Intent};

/// The prefix of a history.
const HISTORY: Prefix = Prefix::of(1);

/// Of the application shop.
fn shop() -> ApplicationName {
    "shop".parse().unwrap()
}

/// Its environment.
fn prod() -> EnvironmentId {
    "shop/prod".parse().unwrap()
}

#[test]
fn what_is_owed_is_told_of_all_applications_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let mut connection = open(&path).unwrap();
    let intent = |full| Intent {
        request: SyncRequest { full, ..SyncRequest::default() },
        cause: Cause::Agent,
        at: Timestamp::UNIX_EPOCH,
        adoption: None,
    };
    let names: Vec<EnvironmentId> = ["cart/qa", "shop/qa", "till/qa"].map(|name| name.parse().unwrap()).into();
    let transaction = connection.transaction().unwrap();
    let writer = Writer { transaction: &transaction, history: HISTORY };
    for (name, full) in names.iter().zip([true, false, true]) {
        writer.intent(name, &intent(full)).unwrap();
    }
    writer.intent_done(&names[2], &intent(true)).unwrap();
    transaction.commit().unwrap();
    let owed = Reader::open(&path).unwrap().intents().unwrap();
    let owed: Vec<_> = owed.iter().map(|(name, intent)| (name.to_string(), intent.request.full)).collect();
    assert_eq!(owed, [("cart/qa".to_owned(), true), ("shop/qa".to_owned(), false)]);
}

/// Noon, by a clock that is right.
fn noon() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// What a clock says, one time after another: an hour back, a day forward, and right again.
fn jumps() -> [Timestamp; 4] {
    [noon(), noon() - hours(1), noon() + hours(24), noon()]
}

fn commit(digit: &str) -> CommitId {
    digit.repeat(40).parse().unwrap()
}

fn event(number: usize) -> Event {
    Event::ConfigurationRefused { message: number.to_string() }
}

fn run(id: u64, queued: Timestamp) -> RunStatus {
    RunStatus {
        id: RunId::new(HISTORY, id),
        application: "shop".parse().unwrap(),
        resumes: None,
        behind: None,
        goal: RunGoal::Push,
        rebuild: false,
        permission: None,
        cause: Cause::Agent,
        reference: format!("push-{id}"),
        commit: commit("a"),
        subject: String::new(),
        phase: Phase::Succeeded,
        stages: Vec::new(),
        queued,
        started: Some(queued),
        finished: Some(queued - hours(1)),
        message: String::new(),
        hint: String::new(),
        artifact: None,
        tests: Vec::new(),
        scans: Vec::new(),
        promoted: Default::default(),
    }
}

fn sync(id: u64, started: Timestamp) -> SyncRecord {
    SyncRecord {
        id: SyncId::new(HISTORY, id),
        environment: prod(),
        revision: Revision::new("main", commit("a")),
        part: None,
        content: String::new(),
        cause: Cause::Agent,
        phase: Phase::Succeeded,
        started,
        finished: Some(started),
        message: String::new(),
        hint: String::new(),
        images: Vec::new(),
        changes: Vec::new(),
    }
}

fn drift() -> Cause {
    Cause::Drift {
        resource: quarterdeck_shared::resource::ResourceRef::new("apps", "Deployment", Some("prod"), "shop"),
        manager: None,
    }
}

fn artifact(digit: &str, tag: &str, built: Timestamp) -> Artifact {
    Artifact {
        application: "shop".parse().unwrap(),
        commit: commit(digit),
        tag: tag.to_owned(),
        images: vec![Image { name: "registry.example/ops/shop".to_owned(), id: "sha256:1".to_owned(), digest: None }],
        built,
        pushed: None,
        tested: std::collections::BTreeMap::new(),
    }
}

/// Writes, and lets go what is too much or too old at `now`.
fn write(connection: &mut Connection, now: Timestamp, bounds: &HistoryConfig, facts: impl FnOnce(&Writer)) {
    let transaction = connection.transaction().unwrap();
    let writer = Writer { transaction: &transaction, history: HISTORY };
    facts(&writer);
    writer.let_go(bounds, Some(now)).unwrap();
    transaction.commit().unwrap();
}

/// Between facts, and over a restart.
#[test]
fn under_a_clock_that_jumps_order_is_by_number_and_nothing_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let bounds = HistoryConfig::default();
    for (number, at) in jumps().into_iter().enumerate() {
        // Each in a life of its own.
        write(&mut open(&path).unwrap(), at, &bounds, |writer| {
            let id = number as u64 + 1;
            writer.event(at, &About::from(&prod()), &Cause::Agent, &event(number)).unwrap();
            writer.run(&run(id, at)).unwrap();
            writer.sync(&sync(id, at)).unwrap();
            writer.artifact(&artifact("a", &format!("1.{number}"), at)).unwrap();
        });
        let reader = Reader::open(&path).unwrap();
        let newest_first: Vec<u64> = (1..=number as u64 + 1).rev().collect();
        let events = reader.events(Some(&shop()), None, None, 10).unwrap();
        assert_eq!(events.iter().map(|event| event.id.number).collect::<Vec<_>>(), newest_first);
        let ids = |runs: Vec<RunStatus>| runs.iter().map(|run| run.id.number).collect::<Vec<_>>();
        assert_eq!(ids(reader.runs(Some(&shop()), None, 10).unwrap()), newest_first);
        for of in [None, Some(&shop())] {
            assert_eq!(ids(reader.runs(of, Some(newest_first[0]), 10).unwrap()), newest_first[1..]);
        }
        assert_eq!(
            reader.syncs(&prod(), 10).unwrap().iter().map(|sync| sync.id.number).collect::<Vec<_>>(),
            newest_first
        );
        let newest = reader.artifact(&shop(), &commit("a")).unwrap().unwrap();
        assert_eq!(newest.tag, format!("1.{number}"), "the image that was made last");
        let left = remember(&open(&path).unwrap(), 2).unwrap();
        assert_eq!((left.last_run, left.last_sync), (number as u64 + 1, number as u64 + 1));
        assert_eq!(left.runs.last().unwrap().id.number, number as u64 + 1);
    }
}

#[test]
fn the_images_of_the_last_releases_are_those_that_were_brought_last() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let mut connection = open(&path).unwrap();
    let brought = |id, image: &str| SyncRecord { images: vec![image.to_owned()], ..sync(id, noon()) };
    write(&mut connection, noon(), &HistoryConfig::default(), |writer| {
        for record in [
            brought(1, "shop:1"),
            brought(2, "shop:2"),
            brought(3, "shop:3"),
            // Another commit of the same images, one that failed, and one that reverted drift.
            brought(4, "shop:3"),
            SyncRecord { phase: Phase::Failed, ..brought(5, "shop:4") },
            SyncRecord { cause: drift(), ..brought(6, "shop:1") },
            sync(7, noon()),
        ] {
            writer.sync(&record).unwrap();
        }
    });
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.released_images(&prod(), 2).unwrap(), [["shop:3"], ["shop:2"]]);
}

#[test]
fn what_branches_and_merge_requests_ran_and_built_pushes_no_release_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let mut connection = open(&path).unwrap();
    let bounds = HistoryConfig { runs: 3, ..HistoryConfig::default() };
    let check = |id| RunStatus { cause: Cause::MergeRequest { number: id, commit: commit("b") }, ..run(id, noon()) };
    write(&mut connection, noon(), &bounds, |writer| {
        writer.artifact(&Artifact { pushed: Some(noon()), ..artifact("a", "1.0", noon()) }).unwrap();
        (1..=2).for_each(|id| writer.run(&run(id, noon())).unwrap());
        (3..=9).for_each(|id| writer.run(&check(id)).unwrap());
        for number in 0..=ARTIFACTS_KEPT {
            writer.artifact(&artifact("b", &format!("{number}"), noon())).unwrap();
        }
    });
    let reader = Reader::open(&path).unwrap();
    let left: Vec<u64> = reader.runs(None, None, 100).unwrap().iter().map(|run| run.id.number).collect();
    assert_eq!(left, [9, 8, 7, 2, 1]);
    assert!(reader.artifact(&shop(), &commit("a")).unwrap().is_some());
    assert_eq!(reader.artifacts(&shop()).unwrap().len() as u32, ARTIFACTS_KEPT + 1);
}

#[test]
fn an_image_that_was_made_while_the_clock_was_behind_is_kept_before_older_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let mut connection = open(&path).unwrap();
    let bounds = HistoryConfig::default();
    write(&mut connection, noon(), &bounds, |writer| {
        for number in 0..ARTIFACTS_KEPT {
            writer.artifact(&artifact("a", &format!("1.{number}"), noon())).unwrap();
        }
        // Built anew: the newest again.
        writer.artifact(&artifact("a", "1.0", noon())).unwrap();
    });
    write(&mut connection, noon() - hours(1), &bounds, |writer| {
        writer.artifact(&artifact("b", "2.0", noon() - hours(1))).unwrap();
    });
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.artifact(&shop(), &commit("b")).unwrap().unwrap().tag, "2.0");
    let kept: Vec<String> = bodies::<Artifact>(&connection, "SELECT body FROM artifact ORDER BY rowid DESC", [])
        .unwrap()
        .into_iter()
        .map(|artifact| artifact.tag)
        .collect();
    assert_eq!(kept.len() as u32, ARTIFACTS_KEPT);
    assert_eq!(kept[..2], ["2.0", "1.0"]);
    assert!(!kept.contains(&"1.1".to_owned()), "the oldest went");
}

/// A machine that begins with a clock of years ahead, until it hears the time.
#[test]
fn of_what_a_jump_makes_too_old_each_application_keeps_its_newest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let mut connection = open(&path).unwrap();
    let till: ApplicationName = "till".parse().unwrap();
    let bounds = HistoryConfig::default();
    write(&mut connection, noon(), &bounds, |writer| {
        for id in 1..=3 {
            writer.run(&run(id, noon())).unwrap();
            writer.sync(&sync(id, noon())).unwrap();
            writer.event(noon(), &About::from(&prod()), &Cause::Agent, &event(id as usize)).unwrap();
        }
        writer.event(noon(), &About::from(&till), &Cause::Agent, &event(4)).unwrap();
    });
    let ahead = noon() + hours(24 * 3_650);
    write(&mut connection, ahead, &bounds, |writer| {
        writer.event(ahead, &About::Agent, &Cause::Agent, &event(5)).unwrap();
    });
    let reader = Reader::open(&path).unwrap();
    let ids: Vec<u64> = reader.events(None, None, None, 10).unwrap().iter().map(|event| event.id.number).collect();
    assert_eq!(ids, [5, 4, 3]);
    assert_eq!(reader.runs(None, None, 10).unwrap().iter().map(|run| run.id.number).collect::<Vec<_>>(), [3]);
    assert_eq!(reader.syncs(&prod(), 10).unwrap().iter().map(|sync| sync.id.number).collect::<Vec<_>>(), [3]);

    // Who wants to keep for ever writes a big number.
    let for_ever = HistoryConfig { days: u32::MAX, ..bounds };
    write(&mut connection, ahead, &for_ever, |_| {});
    assert_eq!(Reader::open(&path).unwrap().events(None, None, None, 10).unwrap().len(), 3);
}

/// Hundreds of reverts and of failures, releases a year old: there is always something to roll back to.
#[test]
fn reverts_and_failures_push_no_release_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let mut connection = open(&path).unwrap();
    let bounds = HistoryConfig { syncs: 3, ..HistoryConfig::default() };
    let release = |id: u64, digit: &str| SyncRecord {
        revision: Revision::new("main", commit(digit)),
        content: format!("content {digit}"),
        ..sync(id, noon())
    };
    let part = || Some(quarterdeck_shared::event::Part { named: Vec::new(), count: 1, of: 3 });
    let later = noon() + hours(24 * 400);
    write(&mut connection, later, &bounds, |writer| {
        let mut id = 0;
        let mut keep = |sync: SyncRecord| {
            id += 1;
            writer.sync(&SyncRecord { id: SyncId::new(HISTORY, id), ..sync }).unwrap();
        };
        ["1", "2", "3", "4", "5"].into_iter().for_each(|digit| keep(release(0, digit)));
        // The newest again and again: one release.
        (0..50).for_each(|_| keep(release(0, "5")));
        let at = later - hours(1);
        for _ in 0..50 {
            keep(SyncRecord { cause: drift(), started: at, ..release(0, "5") });
            keep(SyncRecord { phase: Phase::Failed, started: at, ..release(0, "6") });
            keep(SyncRecord { part: part(), started: at, ..release(0, "7") });
        }
    });
    let reader = Reader::open(&path).unwrap();
    let shop = prod();
    let digits = |syncs: Vec<SyncRecord>| -> String {
        syncs.iter().map(|sync| sync.revision.commit.as_str()[..1].to_owned()).collect()
    };
    assert_eq!(digits(reader.releases(&shop, 100).unwrap()), "54", "the last two, whatever their age");
    let kept = reader.syncs(&shop, 1_000).unwrap();
    let count = |is: fn(&&SyncRecord) -> bool| kept.iter().filter(is).count();
    assert_eq!(count(|sync| matches!(sync.cause, Cause::Drift { .. })), 3, "reverts have a bound of their own");
    assert_eq!(count(|sync| sync.phase == Phase::Failed || sync.part.is_some()), 3, "and so has what was no release");
    assert_eq!(kept.len(), 8);

    let young = HistoryConfig { syncs: 3, days: u32::MAX, ..HistoryConfig::default() };
    write(&mut connection, later, &young, |writer| {
        ["1", "2", "3", "4"].into_iter().enumerate().for_each(|(at, digit)| {
            writer.sync(&release(1_000 + at as u64, digit)).unwrap();
        });
    });
    assert_eq!(digits(reader.releases(&shop, 100).unwrap()), "432", "as many contents as are to be kept");
}

#[test]
fn how_a_job_ended_is_kept_and_what_was_asked_for_meanwhile_stays() {
    use crate::history::Intent;
    use quarterdeck_core::sync::digest::ContentDigest;
    use quarterdeck_core::sync::plan::{Ended, Remembered};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let mut connection = open(&path).unwrap();
    let (shop, bounds) = (prod(), HistoryConfig::default());
    let resource = |name: &str| quarterdeck_shared::resource::ResourceRef::new("batch", "Job", Some("prod"), name);
    let digest = ContentDigest([7; 32]);
    let all = [(None, "a"), (Some(Ended::Completed), "b"), (Some(Ended::Failed), "c")];
    let applied = all.map(|(ended, name)| (resource(name), Remembered { manifest: digest, live: digest, ended }));
    let intent = |name: &str| Intent {
        request: quarterdeck_shared::protocol::SyncRequest { only: vec![resource(name)], ..Default::default() },
        cause: Cause::Agent,
        at: noon(),
        adoption: None,
    };
    write(&mut connection, noon(), &bounds, |writer| {
        writer.applied(&shop, &applied, &[]).unwrap();
        writer.intent(&shop, &intent("b")).unwrap();
        writer.intent_done(&shop, &intent("a")).unwrap();
    });
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.memory(&shop).unwrap(), applied.into());
    assert_eq!(reader.intents().unwrap().get(&shop), Some(&intent("b")), "another one was done");
    write(&mut connection, noon(), &bounds, |writer| writer.intent_done(&shop, &intent("b")).unwrap());
    assert!(reader.intents().unwrap().is_empty());
}

/// A crash loop in the middle of one run makes a row each time.
#[test]
fn runs_that_were_cut_off_push_no_real_ones_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let bounds = HistoryConfig { runs: 5, ..HistoryConfig::default() };
    let mut connection = open(&path).unwrap();
    write(&mut connection, noon(), &bounds, |writer| {
        (1..=4).for_each(|id| writer.run(&run(id, noon())).unwrap());
        let cut_off = |id| RunStatus { phase: Phase::Interrupted, ..run(id, noon()) };
        (5..=90).for_each(|id| writer.run(&cut_off(id)).unwrap());
        writer.run(&run(91, noon())).unwrap();
    });
    let kept: Vec<u64> =
        Reader::open(&path).unwrap().runs(None, None, 100).unwrap().iter().map(|run| run.id.number).collect();
    assert_eq!(kept, [91, 90, 89, 88, 87, 86, 4, 3, 2, 1]);
    let shown: Vec<u64> = remember(&connection, 3).unwrap().runs.iter().map(|run| run.id.number).collect();
    assert_eq!(shown, [3, 4, 88, 89, 90, 91]);
}

/// A restored history holds ids of an earlier prefix beside those that it gives since.
#[test]
fn a_number_finds_what_is_held_and_a_whole_id_only_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let later = Prefix::of(2);
    let mut connection = open(&path).unwrap();
    let transaction = connection.transaction().unwrap();
    for (history, number) in [(HISTORY, 1), (later, 2)] {
        let writer = Writer { transaction: &transaction, history };
        writer.run(&RunStatus { id: RunId::new(history, number), ..run(number, noon()) }).unwrap();
        writer.sync(&SyncRecord { id: SyncId::new(history, number), ..sync(number, noon()) }).unwrap();
        writer.event(noon(), &About::Agent, &Cause::Agent, &event(0)).unwrap();
    }
    transaction.commit().unwrap();
    let reader = Reader::open(&path).unwrap();
    let typed = |history, number| TypedId { history, number };
    for (id, is_held) in [
        (typed(None, 1), true),
        (typed(None, 2), true),
        (typed(Some(HISTORY), 1), true),
        (typed(Some(later), 2), true),
        // Given by the history that the backup was taken of, after it was taken.
        (typed(Some(HISTORY), 2), false),
        (typed(Some(later), 1), false),
        (typed(None, u64::MAX), false),
    ] {
        assert_eq!(reader.run(id).unwrap().is_some(), is_held, "run {id}");
        assert_eq!(reader.sync(&prod(), id).unwrap().is_some(), is_held, "sync {id}");
    }
    let events: Vec<String> =
        reader.events(None, None, None, 9).unwrap().iter().map(|event| event.id.to_string()).collect();
    assert_eq!(events, [format!("{later}-2"), format!("{HISTORY}-1")]);
}

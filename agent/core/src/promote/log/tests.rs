//! What is read from commits, and what follows: tables.

use quarterdeck_shared::id::Prefix;

use super::*;
use crate::git::{CommitInfo, TreeId};

fn id(digit: char) -> CommitId {
    digit.to_string().repeat(40).parse().unwrap()
}

fn run(number: u64) -> RunId {
    RunId::new(Prefix::of(1), number)
}

fn trailers(reference: &str, source: char) -> Trailers {
    let tag = reference.trim_start_matches("push-");
    Trailers {
        application: "shop".parse().unwrap(),
        environment: "prod".parse().unwrap(),
        images: ["registry.example:5000/ops/shop", "registry.example:5000/ops/worker"]
            .map(|image| (image.to_owned(), format!("{tag}@sha256:{}", source.to_string().repeat(64))))
            .into(),
        path: "apps/shop".to_owned(),
        reference: reference.to_owned(),
        source: id(source),
    }
}

fn commit(message: &str) -> CommitInfo {
    CommitInfo {
        id: id('c'),
        subject: String::new(),
        message: message.to_owned(),
        author: String::new(),
        author_email: String::new(),
        time: jiff::Timestamp::UNIX_EPOCH,
        tree: TreeId::try_from("d".repeat(40)).unwrap(),
    }
}

#[test]
fn what_is_written_is_read_whatever_the_message_says() {
    let what = trailers("push-1.4.0", 'a');
    for message in ["shop: 1.4.0\n\nImage …\n", "", "one line", "Quarterdeck-Run: 7\nQuarterdeck-Tag: push-9\n\n\n"] {
        let text = what.below(message, run(41));
        assert!(text.starts_with(message.trim_end()), "{text}");
        let read = Promotion::read(&commit(&text));
        assert_eq!(read, Some(Promotion { commit: id('c'), what: what.clone(), run: run(41) }), "{text}");
    }
}

#[test]
fn what_is_no_promotion_is_none() {
    let whole = trailers("push-1.4.0", 'a').below("shop", run(41));
    for message in ["shop: 1.4.0", "Revert \"shop: 1.4.0\"\n\nThis reverts commit 1f3c.", "Quarterdeck-Run: k7x2m-41"] {
        assert_eq!(Promotion::read(&commit(message)), None, "{message}");
    }
    for (from, to) in [
        ("Quarterdeck-Run: ", "Quarterdeck-Run: many"),
        (":1.4.0@", "@"),
        ("@sha256", "-sha256"),
        ("Quarterdeck-Source: aaaa", "Quarterdeck-Source: xaaa"),
        ("Quarterdeck-Path", "Quarterdeck-Folder"),
    ] {
        assert_eq!(Promotion::read(&commit(&whole.replace(from, to))), None, "{from} is {to}");
    }
}

/// A promotion of a tag at a commit by a run, written as a commit of its own.
fn made(reference: &str, source: char, run: u64, commit: char) -> Promotion {
    Promotion { commit: id(commit), what: trailers(reference, source), run: self::run(run) }
}

#[test]
fn a_tag_is_promoted_once_and_a_person_outranks_the_log() {
    let asked = |reference: &str, source: char| Asked {
        what: trailers(reference, source),
        formerly: None,
        first: run(20),
        run: run(22),
        by_person: false,
        newer: BTreeMap::new(),
        known: BTreeSet::new(),
    };
    let (one, two, moved) = (made("push-1", 'a', 3, '1'), made("push-2", 'b', 4, '2'), made("push-1", 'f', 5, '3'));
    let elsewhere = |promotion: &Promotion| Promotion {
        what: Trailers { path: "apps/other".to_owned(), ..promotion.what.clone() },
        ..promotion.clone()
    };
    let called = |environment: &str| Asked {
        what: Trailers { environment: environment.parse().unwrap(), ..trailers("push-1", 'a') },
        formerly: Some("apps/other".to_owned()),
        ..asked("push-1", 'a')
    };
    let renamed = |promotion: &Promotion| Promotion {
        what: Trailers { application: "store".parse().unwrap(), ..promotion.what.clone() },
        ..promotion.clone()
    };
    let newer =
        |asked: Asked, tag: &str, at: char| Asked { newer: BTreeMap::from([(tag.to_owned(), id(at))]), ..asked };
    for (what, asked, log, verdict) in [
        ("never", asked("push-3", 'c'), vec![two.clone(), one.clone()], Verdict::New),
        ("before", asked("push-2", 'b'), vec![two.clone(), one.clone()], Verdict::Before(id('2'))),
        (
            "before, and a newer one since",
            asked("push-1", 'a'),
            vec![two.clone(), one.clone()],
            Verdict::Before(id('1')),
        ),
        ("under another name", asked("push-1", 'a'), vec![renamed(&one)], Verdict::Before(id('1'))),
        ("in another folder", asked("push-1", 'a'), vec![elsewhere(&one)], Verdict::New),
        ("as it was called formerly", called("prod"), vec![elsewhere(&one)], Verdict::Before(id('1'))),
        ("of another environment of that folder", called("qa"), vec![elsewhere(&one)], Verdict::New),
        ("moved", asked("push-1", 'f'), vec![two.clone(), one.clone()], Verdict::New),
        ("moved back", asked("push-1", 'a'), vec![moved.clone(), one.clone()], Verdict::New),
        (
            "by a person",
            Asked { by_person: true, ..asked("push-1", 'a') },
            vec![two.clone(), one.clone()],
            Verdict::New,
        ),
        (
            "by this run, and cut off",
            asked("push-3", 'c'),
            vec![two.clone(), made("push-3", 'c', 21, '4')],
            Verdict::Own(id('4')),
        ),
        (
            "by this run of a person, and cut off",
            Asked { by_person: true, ..asked("push-3", 'c') },
            vec![made("push-3", 'c', 20, '4')],
            Verdict::Own(id('4')),
        ),
        (
            "a newer one, by an agent that nobody remembers",
            newer(asked("push-1", 'a'), "push-2", 'b'),
            vec![two.clone()],
            Verdict::Overtaken { by: "push-2".to_owned(), commit: id('2') },
        ),
        (
            "a newer one, that the history knows: an old commit under a new tag is asked for",
            newer(Asked { known: BTreeSet::from([id('2')]), ..asked("push-1", 'a') }, "push-2", 'b'),
            vec![two.clone()],
            Verdict::New,
        ),
        ("a newer one that moved since", newer(asked("push-1", 'a'), "push-2", 'e'), vec![two], Verdict::New),
    ] {
        assert_eq!(judge(&asked, &log), verdict, "{what}");
    }
}

#[test]
fn what_the_manifests_name_was_written_by_the_newest_such_commit() {
    let asked = Asked {
        what: trailers("push-1", 'a'),
        formerly: None,
        first: run(20),
        run: run(22),
        by_person: false,
        newer: BTreeMap::new(),
        known: BTreeSet::new(),
    };
    let log = |runs: &[(u64, char)]| -> Vec<Promotion> {
        runs.iter().map(|(run, commit)| made("push-1", 'a', *run, *commit)).collect()
    };
    for (runs, by) in
        [(&[][..], None), (&[(3, '1')], Some((id('1'), false))), (&[(21, '2'), (3, '1')], Some((id('2'), true)))]
    {
        assert_eq!(written_by(&asked, &log(runs)), by, "{runs:?}");
    }
}

/// The number alone would take the run of another agent for an own one that was cut off.
#[test]
fn what_a_run_of_another_agent_made_is_not_its_own() {
    let of = |history: u64, number: u64| RunId::new(Prefix::of(history), number);
    let asked = |first, run| Asked {
        formerly: None,
        what: trailers("push-1", 'a'),
        first,
        run,
        by_person: false,
        newer: BTreeMap::new(),
        known: BTreeSet::new(),
    };
    // The first run of the tag and the one that takes it up; the run that made the commit; whether it is their own.
    for (first, run, made_by, is_own) in [
        (of(1, 20), of(1, 22), of(1, 21), true),
        (of(1, 20), of(1, 22), of(2, 21), false),
        (of(1, 20), of(1, 22), of(1, 23), false),
        (of(1, 20), of(3, 22), of(1, 20), true),
        (of(1, 20), of(3, 22), of(3, 22), true),
        (of(1, 20), of(3, 22), of(2, 21), false),
    ] {
        let asked = asked(first, run);
        let log = [Promotion { run: made_by, ..made("push-1", 'a', 0, '1') }];
        let verdict = if is_own { Verdict::Own(id('1')) } else { Verdict::Before(id('1')) };
        assert_eq!(judge(&asked, &log), verdict, "{first}, {run}: {made_by}");
        assert_eq!(written_by(&asked, &log), Some((id('1'), is_own)), "{first}, {run}: {made_by}");
    }
}

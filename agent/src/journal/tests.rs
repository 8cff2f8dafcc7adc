//! A disk that fills up, and a history that cannot be used.

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::error::{Failure, Hint as _};
use quarterdeck_shared::snapshot::{Cover, Hold, Key, Object, Progress, SpecSummary, Unseen};

use super::fact::Patch;
use super::writer::LET_GO_EVERY;
use super::*;

/// A journal's thread on a history of its own.
fn thread(dir: &Path) -> JournalWriter {
    JournalWriter::new(
        sqlite::open(&dir.join("history.db")).unwrap(),
        JournalState::new(Default::default(), Default::default()),
        Snapshots::new("a test".to_owned()),
        dir.join("history.db"),
        Prefix::of(1),
        Beside {
            logs: RunLogs::open(&dir.join("runs"), 1 << 20).unwrap(),
            numbers: Numbers::open(dir),
            clock: Clock::new(Timestamp::now(), Instant::now(), None),
        },
        HistoryConfig::default(),
    )
}

/// Writes a batch and gives back what its story hears.
fn write(thread: &mut JournalWriter, batch: Batch) -> Result<(), NotKept> {
    let (done, mut kept) = oneshot::channel();
    thread.write(vec![(batch, Some(done))]);
    kept.try_recv().unwrap()
}

fn pages(thread: &JournalWriter, at_most: &str) {
    thread.connection.pragma_update_and_check(None, "max_page_count", at_most, |_| Ok(())).unwrap();
}

fn an_agent() -> Object {
    Object::Agent(quarterdeck_shared::snapshot::AgentStatus {
        version: "1".into(),
        host: "here".into(),
        pid: 1,
        started: Timestamp::UNIX_EPOCH,
        configuration: "config.toml".into(),
        configuration_error: None,
        configuration_in_git: None,
        history_error: None,
        history_hint: String::new(),
        banner: None,
    })
}

#[test]
fn a_full_disk_stops_the_work_and_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = thread(dir.path());
    // As many pages as there are: SQLite then answers as it does on a full disk.
    pages(&thread, "1");
    let name: EnvironmentId = "shop/prod".parse().unwrap();
    let event = Event::ConfigurationRefused { message: "x".repeat(100_000) };
    let agent = an_agent();
    let batch = || {
        vec![
            Fact::patch(&name, Patch::Configured(SpecSummary::default())),
            Fact::at_large(Cause::Agent, event.clone()),
            Fact::Seen(agent.clone()),
        ]
    };
    let not_kept = write(&mut thread, batch()).unwrap_err();
    let error = not_kept.to_string();
    assert!(error.starts_with("cannot write to the history database, no changes were made: "), "{error}");
    assert!(error.contains("full") && not_kept.hint().contains("free some disk space or fix"), "{error}");
    assert!(thread.published.environment(&name).is_none(), "what is not in the history is not shown");
    let objects = thread.published.all().1.len();
    assert_eq!(objects, 1, "what is merely seen is shown all the same");
    let told = |thread: &JournalWriter| match thread.published.get(&Key::agent()).as_deref() {
        Some(Object::Agent(agent)) => agent.history_error.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(told(&thread), Some(error), "and says that the work stops");
    thread.write(vec![(vec![Fact::Seen(agent.clone())], None)]);
    assert!(told(&thread).is_some(), "what needs no disk says nothing of it");

    pages(&thread, "100000");
    write(&mut thread, batch()).unwrap();
    assert_eq!(told(&thread), None);
    assert!(thread.published.environment(&name).is_some());
    let kept = Reader::open(&dir.path().join("history.db")).unwrap().events(None, None, None, 10).unwrap();
    assert_eq!(kept.len(), 1, "and once");
}

#[test]
fn a_damaged_and_a_newer_history_are_told_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let text = "this is no database, and long enough to be looked at. ".repeat(100);
    std::fs::write(&path, &text).unwrap();
    let error = Failure::of(&sqlite::open(&path).unwrap_err()).to_string();
    assert!(error.contains("cannot open the history") && error.contains("move it away"), "{error}");
    assert!(error.contains("not a database"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);

    let path = dir.path().join("newer.db");
    sqlite::open(&path).unwrap().pragma_update(None, "user_version", 4_711).unwrap();
    let error = Failure::of(&sqlite::open(&path).unwrap_err()).to_string();
    assert!(error.contains("newer.db is of version 4711") && error.contains("run the newer agent"), "{error}");
}

/// A history with some of everything that a start reads, in one file of many pages.
fn history(dir: &Path) -> Vec<u8> {
    let mut thread = thread(dir);
    for number in 0..40 {
        let name: EnvironmentId = format!("shop-{number}/prod").parse().unwrap();
        let words = format!("{number} ").repeat(400);
        let event = Event::ConfigurationRefused { message: words.clone() };
        let batch = vec![
            Fact::patch(&name, Patch::Configured(SpecSummary { path: words, ..SpecSummary::default() })),
            Fact::happened(&name, &Cause::Agent, event),
        ];
        write(&mut thread, batch).unwrap();
    }
    // Who closes it last brings all into the one file.
    drop(thread);
    std::fs::read(dir.join("history.db")).unwrap()
}

/// As a power cut in the middle of a write, or a bad disk, leaves one: half of a page is another's.
#[test]
fn a_torn_page_is_told_and_nothing_is_overwritten() {
    const PAGE: usize = 4_096;
    let whole = history(tempfile::tempdir().unwrap().path());
    let (mut refused, mut begun) = (0, 0);
    for page in 1..whole.len() / PAGE {
        for torn in [0, PAGE / 2] {
            let mut bytes = whole.clone();
            bytes[page * PAGE + torn..][..PAGE / 2].fill(0xa5);
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("history.db");
            std::fs::write(&path, &bytes).unwrap();
            match Journal::open(dir.path(), &HistoryConfig::default(), &BTreeSet::new(), Timestamp::now()) {
                Err(error) => {
                    let Failure { message, hint } = Failure::of(&error);
                    let words = format!("the history {} is damaged: ", path.display());
                    assert!(message.starts_with(&words), "page {page}: {message}");
                    assert!(hint.starts_with("move it away and start again: "), "{hint}");
                    assert!(std::fs::read(&path).unwrap() == bytes, "page {page} is overwritten");
                    refused += 1;
                }
                // What a start neither reads nor writes is found by who asks for it.
                Ok(_) => begun += 1,
            }
        }
    }
    assert!(
        refused > 10 && begun > 10,
        "{refused} are refused, and {begun} begun with, of {} pages",
        whole.len() / PAGE
    );
}

#[test]
fn what_left_the_configuration_comes_back_without_what_was_seen_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = thread(dir.path());
    let name: EnvironmentId = "shop/prod".parse().unwrap();
    let of = Cover::Watch;
    let unseen = vec![Unseen { of, what: "Boats".into(), reason: "forbidden".into(), last_seen: None }];
    let configured = || Fact::patch(&name, Patch::Configured(SpecSummary::default()));
    let suspended = Fact::patch(
        &name,
        Patch::Suspension(Some(Hold { reason: String::new(), cause: Cause::Agent, at: Timestamp::UNIX_EPOCH })),
    );
    let first = vec![configured(), suspended, Fact::patch(&name, Patch::Unseen { of, unseen })];
    for (batch, shown) in [
        (first, Some((true, 1))),
        (vec![Fact::EnvironmentRemoved(name.clone())], None),
        // It may have been on its way.
        (vec![Fact::patch(&name, Patch::Progress(Some(Progress::Rendering)))], None),
        (vec![configured()], Some((true, 0))),
    ] {
        write(&mut thread, batch).unwrap();
        let status = thread.published.environment(&name);
        assert_eq!(status.map(|status| (status.suspended, status.unseen.len())), shown);
    }
}

fn told(number: usize) -> Batch {
    let event = Event::ConfigurationRefused { message: number.to_string() };
    vec![Fact::at_large(Cause::Agent, event)]
}

/// What another connection reads, newest first.
fn kept(dir: &Path) -> Vec<u64> {
    let reader = Reader::open(&dir.join("history.db")).unwrap();
    reader.events(None, None, None, 10).unwrap().iter().map(|event| event.id.number).collect()
}

fn error_shown(thread: &JournalWriter) -> Option<String> {
    match thread.published.get(&Key::agent()).as_deref() {
        Some(Object::Agent(agent)) => agent.history_error.clone(),
        _ => None,
    }
}

/// Removed, its folder moved, or another put in its place: what is written then would be gone with the process.
#[test]
fn a_history_that_is_removed_or_exchanged_takes_nothing_until_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let mut thread = thread(&data);
    thread.write(vec![(vec![Fact::Seen(an_agent())], None)]);
    write(&mut thread, told(1)).unwrap();
    let (path, aside) = (data.join("history.db"), dir.path().join("aside"));
    type Accident<'a> = (&'a str, &'a dyn Fn(), &'a dyn Fn());
    let accidents: [Accident<'_>; 3] = [
        ("removed", &|| std::fs::rename(&path, &aside).unwrap(), &|| std::fs::rename(&aside, &path).unwrap()),
        (
            "replaced by another file",
            &|| {
                std::fs::rename(&path, &aside).unwrap();
                std::fs::write(&path, "another").unwrap();
            },
            &|| std::fs::rename(&aside, &path).unwrap(),
        ),
        ("removed", &|| std::fs::rename(&data, &aside).unwrap(), &|| std::fs::rename(&aside, &data).unwrap()),
    ];
    for (number, (loss, accident, remedy)) in accidents.into_iter().enumerate() {
        accident();
        thread.check_files();
        let words = format!(
            "cannot write to the history database, no changes were made: history.db was {loss} while the agent runs"
        );
        assert_eq!(error_shown(&thread).as_ref(), Some(&words));
        let not_kept = write(&mut thread, told(0)).unwrap_err();
        assert_eq!(not_kept.to_string(), words);
        assert!(not_kept.hint().ends_with("qd-agent restore FILE"), "{}", not_kept.hint());
        remedy();
        thread.check_files();
        assert_eq!(error_shown(&thread), None);
        write(&mut thread, told(number + 2)).unwrap();
        assert_eq!(kept(&data).len(), number + 2, "each once, and none that was refused");
    }
}

/// As a cleaner, or a person who takes them for leftovers, removes what SQLite keeps beside the database.
#[test]
fn what_is_removed_beside_the_history_costs_nothing() {
    for gone in [&["-wal"][..], &["-shm"], &["-wal", "-shm"]] {
        let dir = tempfile::tempdir().unwrap();
        let mut thread = thread(dir.path());
        write(&mut thread, told(1)).unwrap();
        for ending in gone {
            std::fs::remove_file(dir.path().join(format!("history.db{ending}"))).unwrap();
        }
        write(&mut thread, told(2)).unwrap();
        assert_eq!(kept(dir.path()), [2, 1], "{gone:?}");
        for ending in gone {
            std::fs::remove_file(dir.path().join(format!("history.db{ending}"))).unwrap();
        }
        thread.check_files();
        assert_eq!(kept(dir.path()), [2, 1], "{gone:?}: also while nothing is written");
        write(&mut thread, told(3)).unwrap();
        // As after kill -9: what is on disk now, without the last words of the process.
        let copy = tempfile::tempdir().unwrap();
        for ending in ["", "-wal"] {
            let name = format!("history.db{ending}");
            std::fs::copy(dir.path().join(&name), copy.path().join(&name)).unwrap();
        }
        assert_eq!(kept(copy.path()), [3, 2, 1], "{gone:?}");
    }
}

#[test]
fn a_jump_of_the_clock_lets_nothing_go_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = thread(dir.path());
    let year = jiff::SignedDuration::from_hours(365 * 24);
    for number in 0..3 {
        write(&mut thread, told(number)).unwrap();
    }
    let back = (Timestamp::now() - year).to_string();
    // To a clock that is a year ahead all that was written before is a year old; it was right a moment ago.
    thread.connection.execute("UPDATE event SET at = ?1", [back]).unwrap();
    thread.beside.clock = Clock::new(Timestamp::now() - year, Instant::now(), None);
    thread.transactions = LET_GO_EVERY - 1;
    write(&mut thread, told(3)).unwrap();
    assert_eq!(kept(dir.path()), [4, 3, 2, 1]);
    // With a clock that is believed, they go, but for the newest.
    thread.beside.clock = Clock::new(Timestamp::now(), Instant::now(), None);
    thread.transactions = LET_GO_EVERY - 1;
    write(&mut thread, told(4)).unwrap();
    assert_eq!(kept(dir.path()), [5, 4]);
}

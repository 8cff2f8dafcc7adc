//! A disk that fills up, and a history that cannot be used.

use quarterdeck_shared::snapshot::{Key, Object, SpecSummary};

use super::fact::Patch;
use super::*;

/// A journal's thread on a history of its own.
fn thread(dir: &Path) -> Writing {
    Writing::new(
        sqlite::open(&dir.join("history.db")).unwrap(),
        Keeper::new(std::collections::BTreeMap::new()),
        Published::new("a test".to_owned()),
        dir.join("history.db"),
        RunLogs::open(&dir.join("runs"), 1 << 20).unwrap(),
        HistoryConfig::default(),
    )
}

/// Writes a batch and gives back what its story hears.
fn write(thread: &mut Writing, batch: Batch) -> Result<(), NotKept> {
    let (done, mut kept) = oneshot::channel();
    thread.write(vec![(batch, Some(done))]);
    kept.try_recv().unwrap()
}

fn pages(thread: &Writing, at_most: &str) {
    thread.connection.pragma_update_and_check(None, "max_page_count", at_most, |_| Ok(())).unwrap();
}

#[test]
fn a_full_disk_stops_the_work_and_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = thread(dir.path());
    // As many pages as there are: SQLite then answers as it does on a full disk.
    pages(&thread, "1");
    let name: ApplicationName = "shop".parse().unwrap();
    let event = Event::ConfigurationRefused { message: "x".repeat(100_000) };
    let agent = Object::Agent(quarterdeck_shared::snapshot::AgentStatus {
        version: "1".into(),
        host: "here".into(),
        pid: 1,
        started: Timestamp::UNIX_EPOCH,
        configuration: "config.toml".into(),
        configuration_error: None,
        history_error: None,
        notice: None,
    });
    let batch = || {
        vec![
            Fact::patch(&name, Patch::Configured(SpecSummary::default())),
            Fact::Happened { application: None, cause: Cause::Agent, event: event.clone() },
            Fact::Seen(agent.clone()),
        ]
    };
    let error = write(&mut thread, batch()).unwrap_err().to_string();
    assert!(error.starts_with("cannot write the history, so nothing was changed: "), "{error}");
    assert!(error.contains("full") && error.contains("free some disk or mend"), "{error}");
    assert!(thread.published.application(&name).is_none(), "what is not in the history is not shown");
    let objects = thread.published.all().1.len();
    assert_eq!(objects, 1, "what is merely seen is shown all the same");
    let told = |thread: &Writing| match thread.published.get(&Key::agent()).as_deref() {
        Some(Object::Agent(agent)) => agent.history_error.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(told(&thread), Some(error), "and says that the work stops");
    thread.write(vec![(vec![Fact::Seen(agent.clone())], None)]);
    assert!(told(&thread).is_some(), "what needs no disk says nothing of it");

    pages(&thread, "100000");
    write(&mut thread, batch()).unwrap();
    assert_eq!(told(&thread), None);
    assert!(thread.published.application(&name).is_some());
    let kept = Reader::open(&dir.path().join("history.db")).unwrap().events(None, None, 10).unwrap();
    assert_eq!(kept.len(), 1, "and once");
}

#[test]
fn a_damaged_and_a_newer_history_are_told_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let text = "this is no database, and long enough to be looked at. ".repeat(100);
    std::fs::write(&path, &text).unwrap();
    let error = chain(&sqlite::open(&path).unwrap_err());
    assert!(error.contains("cannot open the history") && error.contains("move it away"), "{error}");
    assert!(error.contains("not a database"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);

    let path = dir.path().join("newer.db");
    sqlite::open(&path).unwrap().pragma_update(None, "user_version", 4_711).unwrap();
    let error = sqlite::open(&path).unwrap_err().to_string();
    assert!(error.contains("newer.db is of version 4711") && error.contains("run the newer agent"), "{error}");
}

/// A history with some of everything that a start reads, in one file of many pages.
fn history(dir: &Path) -> Vec<u8> {
    let mut thread = thread(dir);
    for number in 0..40 {
        let name: ApplicationName = format!("shop-{number}").parse().unwrap();
        let words = format!("{number} ").repeat(400);
        let event = Event::ConfigurationRefused { message: words.clone() };
        let batch = vec![
            Fact::patch(&name, Patch::Configured(SpecSummary { path: words, ..SpecSummary::default() })),
            Fact::Happened { application: Some(name), cause: Cause::Agent, event },
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
                    let words = format!("the history {} is damaged; move it away and start again: ", path.display());
                    let error = chain(&error);
                    assert!(error.starts_with(&words), "page {page}: {error}");
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

//! A backup that is taken, and one that is put back; and what is no backup.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::event::{Cause, SyncRecord};
use quarterdeck_shared::id::SyncId;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::snapshot::{Hold, Pin, SpecSummary};
use quarterdeck_shared::status::Phase;

use super::*;
use crate::config::HistoryConfig;
use crate::history::sqlite::Reader;
use crate::journal::Journal;
use crate::journal::fact::{Fact, Patch};
use quarterdeck_shared::error::chain;

fn open(data_dir: &Path) -> Journal {
    let shop = BTreeSet::from(["shop".parse().unwrap()]);
    Journal::open(data_dir, &HistoryConfig::default(), &shop, Timestamp::now()).unwrap().0
}

fn revision() -> Revision {
    Revision::new("main", "a".repeat(40).parse().unwrap())
}

fn sync(id: SyncId) -> Fact {
    Fact::Sync(Box::new(SyncRecord {
        id,
        environment: "shop/prod".parse().unwrap(),
        revision: revision(),
        part: None,
        content: String::new(),
        cause: Cause::Agent,
        phase: Phase::Succeeded,
        started: Timestamp::UNIX_EPOCH,
        finished: None,
        message: String::new(),
        hint: String::new(),
        images: Vec::new(),
        changes: Vec::new(),
    }))
}

/// An agent's history with a shop that is suspended and pinned, and its first sync; the journal still runs.
async fn suspended(data_dir: &Path) -> Journal {
    let journal = open(data_dir);
    let shop: EnvironmentId = "shop/prod".parse().unwrap();
    let hold = Hold { reason: "a fire".to_owned(), cause: Cause::Agent, at: Timestamp::UNIX_EPOCH };
    let patches = [
        Patch::Configured(SpecSummary::default()),
        Patch::Suspension(Some(hold.clone())),
        Patch::Pin(Some(Pin { revision: revision(), hold })),
    ];
    let mut facts: Vec<Fact> = patches.into_iter().map(|patch| Fact::patch(&shop, patch)).collect();
    facts.push(sync(journal.next_sync()));
    journal.record(facts).await.unwrap();
    journal
}

/// Ends a journal: its thread closes the history, and SQLite then removes what it kept beside it.
async fn ended(journal: Journal, data_dir: &Path) {
    drop(journal);
    while ["history.db-wal", "history.db-shm"].iter().any(|file| data_dir.join(file).exists()) {
        tokio::task::yield_now().await;
    }
}

fn text(result: anyhow::Result<()>, out: Vec<u8>) -> String {
    match result {
        Ok(()) => String::from_utf8(out).unwrap(),
        Err(error) => chain(error.as_ref()),
    }
}

fn take(data_dir: &Path, file: &Path, force: bool) -> String {
    let mut out = Vec::new();
    text(backup(data_dir, file, force, &mut out), out)
}

fn put_back(data_dir: &Path, file: &Path, answer: Option<&str>) -> String {
    let (mut out, mut input) = (Vec::new(), answer.unwrap_or_default().as_bytes());
    text(restore(data_dir, file, answer.is_none(), &mut input, &mut out), out)
}

/// What a folder holds besides the backups' own.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_running_history_is_copied_whole_and_no_file_is_overwritten_unasked() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = folder.path().join("backup");
    assert_eq!(take(data.path(), &file, false), format!("no history at {}", data.path().join("history.db").display()));
    let journal = suspended(data.path()).await;
    let told = take(data.path(), &file, false);
    assert!(told.contains("1 environment, 0 runs, 1 sync, ") && told.contains("; the newest event is of 20"), "{told}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(folder.path()), ["backup"], "one file, and nothing beside it");
    let held = contents(&file).unwrap();
    assert_eq!((held.suspended.len(), held.pinned.len(), held.syncs), (1, 1, 1));

    let told = take(data.path(), &file, false);
    assert!(told.ends_with("backup exists: name another file, or replace it with --force"), "{told}");
    journal.record(vec![sync(journal.next_sync())]).await.unwrap();
    take(data.path(), &file, true);
    assert_eq!(contents(&file).unwrap().syncs, 2);
    let history = data.path().join("history.db");
    let linked = folder.path().join("linked");
    std::os::unix::fs::symlink(&history, &linked).unwrap();
    for itself in [&history, &linked, &data.path().join("history.db-wal")] {
        assert!(take(data.path(), itself, true).contains("is the history itself"));
    }
    let told = take(data.path(), &folder.path().join("nowhere/backup"), false);
    assert!(told.starts_with("cannot write ") && told.contains("No such file"), "{told}");
}

#[tokio::test]
async fn a_restored_history_says_so_and_gives_no_number_twice() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = folder.path().join("backup");
    let journal = suspended(data.path()).await;
    take(data.path(), &file, false);
    let later = [journal.next_sync(), journal.next_sync()];
    journal.record(later.map(sync).into()).await.unwrap();
    let shop: EnvironmentId = "shop/prod".parse().unwrap();
    journal.record(vec![Fact::patch(&shop, Patch::Suspension(None))]).await.unwrap();
    ended(journal, data.path()).await;

    let lock = crate::agent::claim(data.path()).unwrap();
    let told = put_back(data.path(), &file, None);
    assert!(told.starts_with("cannot restore: another agent works in "), "{told}");
    drop(lock);
    // Who only reads a history cannot remove what SQLite makes beside it for that.
    let of_now = || contents(&data.path().join("history.db")).unwrap().syncs;
    let before = (of_now(), names(data.path()));
    assert_eq!(put_back(data.path(), &file, Some("n\n")), "nothing was changed");
    assert_eq!((of_now(), names(data.path())), before);
    assert_eq!(before.0, 3);

    let told = put_back(data.path(), &file, Some("y\n"));
    for words in [
        "backup: 1 environment, 0 runs, 1 sync, ",
        "\nsuspended: shop/prod\npinned: shop/prod to main@aaaaaaa\nrequested syncs: none\nunfinished runs, resumed at the next start: none\n",
        "\nin place of: 1 environment, 0 runs, 3 syncs, ",
        " are not in the backup; git, registry and clusters are not changed\n",
        "history.db: start the agent\n",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let aside = names(data.path()).into_iter().find(|name| name.starts_with("history.db.2")).unwrap();
    assert_eq!(contents(&data.path().join(aside)).unwrap().syncs, 3, "the one before is whole");

    let journal = open(data.path());
    let events = journal.ask(|reader: &Reader| reader.events(None, None, None, 10)).await.unwrap();
    let restored = events.iter().find(|event| matches!(event.event, Event::HistoryRestored { .. })).unwrap();
    assert!(
        matches!(&restored.event, Event::HistoryRestored { from, state_of: Some(_) } if *from == file.display().to_string())
    );
    assert!(matches!(restored.cause, Cause::Person { .. }));
    let next = journal.next_sync();
    assert_eq!(next.number, 4, "2 and 3 were given in what is not known any more");
    assert_ne!(next.history, later[0].history, "and under another prefix");
    assert_eq!(restored.id.history, next.history);
    let old = events
        .iter()
        .find(|event| matches!(event.event, Event::AgentStarted { .. }) && event.id.history == later[0].history);
    assert!(old.is_some(), "what the backup holds keeps its ids");
}

#[tokio::test]
async fn what_is_no_backup_changes_nothing() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = |name: &str| folder.path().join(name);
    ended(suspended(data.path()).await, data.path()).await;
    take(data.path(), &file("whole"), false);
    let whole = std::fs::read(file("whole")).unwrap();
    std::fs::write(file("cut"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(file("cut in a page"), &whole[..whole.len() - 1_000]).unwrap();
    std::fs::write(file("empty"), "").unwrap();
    std::fs::write(file("text"), "no database, and long enough to be looked at. ".repeat(100)).unwrap();
    std::fs::copy(file("whole"), file("newer")).unwrap();
    sqlite::open(&file("newer")).unwrap().pragma_update(None, "user_version", 4_711).unwrap();
    let of_another = rusqlite::Connection::open(file("other")).unwrap();
    of_another.execute_batch("CREATE TABLE a (b); PRAGMA user_version = 1").unwrap();
    drop(of_another);
    drop(crate::agent::claim(data.path()).unwrap());
    let before = (names(data.path()), contents(&data.path().join("history.db")).unwrap());
    for (name, words) in [
        ("missing", "no history at "),
        ("cut", "cut cannot be read whole: "),
        ("cut in a page", "cut in a page is cut off: "),
        ("empty", "empty is not a history of qd-agent"),
        ("text", "text is not a history of qd-agent"),
        ("newer", "newer was written by a newer agent: it is of version 4711, and this agent knows "),
        ("other", "other cannot be read whole: "),
    ] {
        let told = put_back(data.path(), &file(name), None);
        assert!(told.contains(words), "{name}: {told}");
        assert_eq!((names(data.path()), contents(&data.path().join("history.db")).unwrap()), before, "{name}");
    }
    assert!(put_back(data.path(), &data.path().join("history.db"), None).contains("is the history itself"));

    // A history that is damaged is set aside as it is.
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(data.path().join(format!("history.db{ending}")));
    }
    std::fs::write(data.path().join("history.db"), "torn").unwrap();
    let told = put_back(data.path(), &file("whole"), None);
    assert!(told.contains("in place of a history that cannot be read: "), "{told}");
    assert_eq!(contents(&data.path().join("history.db")).unwrap().suspended.len(), 1);
    // And where none is, as on a new machine, it is the first.
    let fresh = tempfile::tempdir().unwrap();
    put_back(fresh.path(), &file("whole"), None);
    assert_eq!(contents(&fresh.path().join("history.db")).unwrap().syncs, 1);
}

/// One backup, brought to a second machine, put back on the first, and copied over the history by a person: whichever of
/// them works on, no two of them give an id that another gave.
#[tokio::test]
async fn no_two_copies_of_a_history_give_the_same_id() {
    let (first, second, folder) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = folder.path().join("backup");
    let mut prefixes = BTreeSet::new();
    let mut drawn = async |data_dir: &Path| {
        let journal = open(data_dir);
        let history = journal.history();
        assert_eq!(journal.next_sync().history, history);
        ended(journal, data_dir).await;
        let next = open(data_dir);
        assert_eq!(next.history(), history, "the next run of the agent goes on with it");
        ended(next, data_dir).await;
        prefixes.insert(history)
    };
    ended(suspended(first.path()).await, first.path()).await;
    assert!(drawn(first.path()).await);
    take(first.path(), &file, false);
    put_back(second.path(), &file, None);
    assert!(drawn(second.path()).await, "on another machine");
    put_back(first.path(), &file, None);
    assert!(drawn(first.path()).await, "over a newer history");
    std::fs::copy(&file, folder.path().join("history.db")).unwrap();
    assert!(drawn(folder.path()).await, "copied by a person");
    std::fs::copy(&file, first.path().join("history.db")).unwrap();
    assert!(drawn(first.path()).await, "into the file that is there");
    std::fs::remove_file(first.path().join("history.db")).unwrap();
    assert!(drawn(first.path()).await, "lost, and made anew");
}

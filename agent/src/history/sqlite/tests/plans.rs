//! How SQLite answers what is asked of a long history: by an index, with no row read that is not in the answer, and no sorting.

use rusqlite::types::Null;

use super::*;
use crate::history::sqlite::read::{EVENTS, EVENTS_OF_APPLICATION, RUN, RUNS, RUNS_OF_APPLICATION};
use crate::history::sqlite::write::RUNS_TO_LET_GO;

/// The steps of the plan, as SQLite words them.
fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let nothing = vec![Null; statement.parameter_count()];
    let steps = statement.query_map(rusqlite::params_from_iter(nothing), |row| row.get(3)).unwrap();
    steps.collect::<std::result::Result<_, _>>().unwrap()
}

#[test]
fn a_long_history_is_asked_by_its_indices() {
    let folder = tempfile::tempdir().unwrap();
    let connection = open(&folder.path().join("history.db")).unwrap();
    for (what, sql, by) in [
        ("runs", RUNS, "SEARCH run USING INTEGER PRIMARY KEY (rowid<?)"),
        (
            "runs of an application",
            RUNS_OF_APPLICATION,
            "SEARCH run USING INDEX run_application (application=? AND id<?)",
        ),
        ("one run", RUN, "SEARCH run USING INTEGER PRIMARY KEY (rowid=?)"),
        ("open runs", OPEN, "SCAN run USING INDEX run_open"),
        ("recent runs", RECENT, "SEARCH run USING INDEX run_recent (application=? AND cut_off=?)"),
        ("applications", APPLICATIONS, "SEARCH run USING COVERING INDEX run_application (application>?)"),
        ("runs to let go", RUNS_TO_LET_GO, "SCAN run USING COVERING INDEX run_bound"),
        ("events", EVENTS, "SEARCH event USING INTEGER PRIMARY KEY (rowid<?)"),
        (
            "events of an application",
            EVENTS_OF_APPLICATION,
            "SEARCH event USING INDEX event_application (application=? AND id<?)",
        ),
    ] {
        let plan = plan(&connection, sql);
        assert!(plan.iter().any(|step| step == by), "{what}: {plan:#?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY")), "{what} are sorted: {plan:#?}");
    }
}

/// What an older agent wrote is counted as a newer one counts it.
#[test]
fn checks_of_an_older_history_are_known_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let older = Connection::open(&path).unwrap();
    for (index, migration) in MIGRATIONS[..3].iter().enumerate() {
        older.execute_batch(migration).unwrap();
        older.pragma_update(None, "user_version", index as i64 + 1).unwrap();
    }
    let check = Cause::MergeRequest { number: 7, commit: commit("b") };
    for run in [run(1, noon()), RunStatus { cause: check, ..run(2, noon()) }] {
        let (id, body) = (run.id.number as i64, serde_json::to_string(&run).unwrap());
        let sql = "INSERT INTO run (id, application, open, at, body) VALUES (?1, 'shop', 0, ?2, ?3)";
        older.execute(sql, params![id, noon().to_string(), body]).unwrap();
    }
    drop(older);
    let mut connection = open(&path).unwrap();
    let bounds = HistoryConfig { runs: 1, ..HistoryConfig::default() };
    write(&mut connection, noon(), &bounds, |writer| writer.run(&run(3, noon())).unwrap());
    let left: Vec<u64> =
        Reader::open(&path).unwrap().runs(None, None, 10).unwrap().iter().map(|run| run.id.number).collect();
    assert_eq!(left, [3, 2], "the check has a bound of its own");
}

/// The newest of each application, with those that were cut off counted by themselves, and whatever is open.
#[test]
fn a_start_remembers_what_is_open_and_the_newest_of_each_application() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let mut connection = open(&path).unwrap();
    let till = |id| RunStatus { application: "till".parse().unwrap(), ..run(id, noon()) };
    let phase = |phase, run| RunStatus { phase, ..run };
    write(&mut connection, noon(), &HistoryConfig::default(), |writer| {
        let open = phase(Phase::Queued, run(1, noon()));
        let cut_off = [4, 5, 6].map(|id| phase(Phase::Interrupted, run(id, noon())));
        let runs = [open, run(2, noon()), run(3, noon()), run(7, noon()), till(8), till(9), till(10)];
        runs.iter().chain(&cut_off).for_each(|run| writer.run(run).unwrap());
    });
    let left = remember(&connection, 2).unwrap();
    assert_eq!(left.runs.iter().map(|run| run.id.number).collect::<Vec<_>>(), [1, 3, 5, 6, 7, 9, 10]);
    assert!(remember(&open(&folder.path().join("new.db")).unwrap(), 2).unwrap().runs.is_empty());
}

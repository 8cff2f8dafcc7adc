//! The history file. Bodies are JSON of the shared types; columns beside them are what queries ask for.

pub mod copy;
pub mod prefix;

mod read;
mod write;

use std::collections::BTreeMap;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_shared::snapshot::{ApplicationStatus, RunStatus};
use rusqlite::{Connection, params};
use serde::de::DeserializeOwned;

pub use self::read::Reader;
pub use self::write::Writer;
use super::error::HistoryError;
use super::{EnvironmentRow, Left};
use quarterdeck_core::failpoint;

#[cfg(test)]
mod tests;

/// What a migration does, in order; the file's `user_version` counts those that were done. Never edit one that was
/// released: add another.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE prefix (prefix TEXT PRIMARY KEY, files TEXT NOT NULL) STRICT;
    CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT, history TEXT NOT NULL, at TEXT NOT NULL, application TEXT, environment TEXT, cause TEXT NOT NULL, event TEXT NOT NULL) STRICT;
    CREATE INDEX event_application ON event (application, id);
    CREATE TABLE run (id INTEGER PRIMARY KEY, application TEXT NOT NULL, open INTEGER NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL,
        cut_off INTEGER NOT NULL DEFAULT 0) STRICT;
    CREATE INDEX run_application ON run (application, id);
    CREATE INDEX run_open ON run (open) WHERE open;
    CREATE TABLE sync (id INTEGER PRIMARY KEY, environment TEXT NOT NULL, open INTEGER NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL) STRICT;
    CREATE INDEX sync_environment ON sync (environment, id);
    CREATE INDEX sync_open ON sync (open) WHERE open;
    CREATE TABLE artifact (application TEXT NOT NULL, commit_id TEXT NOT NULL, tag TEXT NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (application, commit_id, tag)) STRICT;
    CREATE TABLE application (name TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
    CREATE TABLE environment (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
    CREATE TABLE tags_seen (application TEXT PRIMARY KEY, repository TEXT NOT NULL, tags TEXT NOT NULL) STRICT;
    CREATE TABLE applied (environment TEXT NOT NULL, resource TEXT NOT NULL, manifest BLOB NOT NULL, live BLOB NOT NULL,
        ended INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (environment, resource)) STRICT, WITHOUT ROWID;
    CREATE TABLE intent (environment TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
", "
    CREATE TABLE commit_status (run INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
", "
    CREATE TABLE comment (merge_request TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
", "
    ALTER TABLE run ADD COLUMN is_check INTEGER NOT NULL DEFAULT 0;
    UPDATE run SET is_check = body ->> '$.cause.by' IN ('branch', 'merge_request');
    CREATE INDEX run_recent ON run (application, cut_off, id);
    CREATE INDEX run_bound ON run (application, cut_off, is_check, id DESC, open, at);
"];

type Result<T> = std::result::Result<T, HistoryError>;

/// Opens or makes the file for writing and brings it to our version.
pub fn open(path: &Path) -> Result<Connection> {
    let make = |source| HistoryError::Make { path: path.to_owned(), source };
    // 0600 before SQLite sees it; SQLite gives the same mode to the files beside it. One that is there is not opened:
    // closing it again would drop the locks of whoever in this process has it open.
    match std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(make(error)),
        _ => {}
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(make)?;
    let open = |source| HistoryError::Open { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(open)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(open)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(open)?;
    // NORMAL: a killed agent loses nothing; a power cut may lose the last transactions, never the file, and what was
    // lost is found again by comparing git, registry and cluster.
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(open)?;
    let done: usize =
        connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).map_err(open)? as usize;
    if done > MIGRATIONS.len() {
        return Err(HistoryError::Newer { path: path.to_owned(), found: done, known: MIGRATIONS.len() });
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        let transaction = connection.transaction().map_err(open)?;
        transaction.execute_batch(migration).map_err(open)?;
        transaction.pragma_update(None, "user_version", (index + 1) as i64).map_err(open)?;
        failpoint::reached("history: before a migration");
        transaction.commit().map_err(open)?;
        failpoint::reached("history: after a migration");
    }
    Ok(connection)
}

/// The newest event of those before a time.
pub fn newest_event_before(connection: &Connection, time: Timestamp) -> Result<Option<Timestamp>> {
    let sql = "SELECT max(at) FROM event WHERE at < ?1";
    let at: Option<String> = connection.query_row(sql, [time.to_string()], |row| row.get(0))?;
    Ok(at.and_then(|at| at.parse().ok()))
}

/// Brings all that the write-ahead log holds into the database.
pub fn checkpoint(connection: &Connection) -> Result<()> {
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy != 0 {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        return Err(HistoryError::Sqlite(rusqlite::Error::SqliteFailure(code, None)));
    }
    Ok(())
}

/// What the last life left: `kept_runs` newest runs of each application, and all that is open.
pub fn remember(connection: &Connection, kept_runs: usize) -> Result<Left> {
    let mut remembered = Left::default();
    // A row of an older agent that no longer reads is forgotten: what it was about is looked at anew.
    let mut rows = connection.prepare("SELECT body FROM environment")?;
    for body in rows.query_map([], |row| row.get::<_, String>(0))? {
        if let Ok(row) = serde_json::from_str::<EnvironmentRow>(&body?) {
            remembered.environments.insert(row.status.environment.clone(), row);
        }
    }
    let mut rows = connection.prepare("SELECT body FROM application")?;
    for body in rows.query_map([], |row| row.get::<_, String>(0))? {
        if let Ok(status) = serde_json::from_str::<ApplicationStatus>(&body?) {
            remembered.applications.insert(status.name.clone(), status);
        }
    }
    remembered.runs = recent_runs(connection, kept_runs)?;
    remembered.open_syncs = bodies(connection, "SELECT body FROM sync WHERE open ORDER BY id", [])?;
    let highest = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    remembered.last_run = highest("SELECT coalesce(max(id), 0) FROM run")? as u64;
    remembered.last_sync = highest("SELECT coalesce(max(id), 0) FROM sync")? as u64;
    Ok(remembered)
}

/// All applications that have runs, each found by the one before it: a history of any length costs as many looks as there are
/// applications.
const APPLICATIONS: &str = "WITH RECURSIVE each(name) AS (SELECT min(application) FROM run UNION ALL
    SELECT (SELECT min(application) FROM run WHERE application > each.name) FROM each WHERE each.name IS NOT NULL)
    SELECT name FROM each WHERE name IS NOT NULL";

/// The newest runs of an application: of those that were cut off, or of the others.
const RECENT: &str = "SELECT body FROM run WHERE application = ?1 AND cut_off = ?2 ORDER BY id DESC LIMIT ?3";

const OPEN: &str = "SELECT body FROM run WHERE open";

/// The runs that are open, and so many of the newest of each application, oldest first; of those that were cut off as many by themselves.
fn recent_runs(connection: &Connection, count: usize) -> Result<Vec<RunStatus>> {
    let mut runs: BTreeMap<u64, RunStatus> = BTreeMap::new();
    let mut keep = |found: Vec<RunStatus>| runs.extend(found.into_iter().map(|run| (run.id.number, run)));
    keep(bodies(connection, OPEN, [])?);
    let mut names = connection.prepare(APPLICATIONS)?;
    for name in names.query_map([], |row| row.get::<_, String>(0))? {
        let name = name?;
        for cut_off in [false, true] {
            keep(bodies(connection, RECENT, params![name, cut_off, count as i64])?);
        }
    }
    Ok(runs.into_values().collect())
}

fn bodies<T: DeserializeOwned>(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params, |row| row.get::<_, String>(0))?;
    rows.map(|body| Ok(serde_json::from_str(&body?)?)).collect()
}

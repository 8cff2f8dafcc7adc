//! The history file. Bodies are JSON of the shared types; columns beside them are what queries ask for.

use std::collections::BTreeMap;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::artifact::Artifact;
use quarterdeck_shared::event::{Cause, Event, EventRecord, SyncRecord};
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::revision::CommitId;
use quarterdeck_shared::snapshot::{RunId, RunStatus};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ApplicationRow, Left, TagsSeen};
use crate::config::HistoryConfig;
use crate::journal::fact::Intent;
use crate::steps;
use crate::sync::manifest::ContentDigest;
use crate::sync::plan::{Memory, Remembered};
use crate::trigger::SeenTags;

#[cfg(test)]
mod tests;

/// What a migration does, in order; the file's `user_version` counts those that were done. Never edit one that was
/// released: add another.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, application TEXT, cause TEXT NOT NULL, event TEXT NOT NULL) STRICT;
    CREATE INDEX event_application ON event (application, id);
    CREATE TABLE run (id INTEGER PRIMARY KEY, application TEXT NOT NULL, open INTEGER NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL) STRICT;
    CREATE INDEX run_application ON run (application, id);
    CREATE INDEX run_open ON run (open) WHERE open;
    CREATE TABLE sync (id INTEGER PRIMARY KEY, application TEXT NOT NULL, open INTEGER NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL) STRICT;
    CREATE INDEX sync_application ON sync (application, id);
    CREATE INDEX sync_open ON sync (open) WHERE open;
    CREATE TABLE artifact (application TEXT NOT NULL, commit_id TEXT NOT NULL, image TEXT NOT NULL, tag TEXT NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (application, commit_id, image, tag)) STRICT;
    CREATE TABLE application (name TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
    CREATE TABLE tags_seen (application TEXT PRIMARY KEY, repository TEXT NOT NULL, tags TEXT NOT NULL) STRICT;
    CREATE TABLE applied (application TEXT NOT NULL, resource TEXT NOT NULL, manifest BLOB NOT NULL, live BLOB NOT NULL,
        PRIMARY KEY (application, resource)) STRICT, WITHOUT ROWID;
    CREATE TABLE intent (application TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
"];

/// Artifacts kept of each application: a rollback reaches as far as its syncs, a rebuild costs minutes only.
const ARTIFACTS_KEPT: u32 = 200;

/// The history cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file was made by a newer agent.
    #[error(
        "the history {path} is of version {found}, and this agent knows {known}: run the newer agent, or move the file away"
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// The file cannot be opened or is damaged.
    #[error(
        "cannot open the history {path}; if it is damaged, move it away: git, registry and cluster hold the truth, only the past is lost"
    )]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The file was opened, and something in it is not as SQLite or we wrote it.
    #[error(
        "the history {path} is damaged; move it away and start again: git, registry and cluster hold the truth, only the past is lost"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What was found.
        source: Box<HistoryError>,
    },
    /// The folder or file cannot be made.
    #[error("cannot make the history {path}")]
    Make {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A read or write failed.
    #[error("the history does not answer")]
    Sqlite(#[from] rusqlite::Error),
    /// A row is not what it should be.
    #[error("a row of the history cannot be read")]
    Row(#[from] serde_json::Error),
}

impl HistoryError {
    /// The same, with the file that is damaged where that is what it tells.
    #[must_use]
    pub fn of(self, path: &Path) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        let is_damage = match &self {
            // A torn page may also turn a text into bytes that are none, or a number into a text.
            Self::Sqlite(
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..)
                | rusqlite::Error::IntegralValueOutOfRange(..),
            )
            | Self::Row(_) => true,
            Self::Sqlite(error) => {
                matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
            }
            _ => false,
        };
        if is_damage { Self::Damaged { path: path.to_owned(), source: Box::new(self) } } else { self }
    }

    /// Whether nothing can be done with the file.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}

type Result<T> = std::result::Result<T, HistoryError>;

/// Opens or makes the file for writing and brings it to our version.
pub fn open(path: &Path) -> Result<Connection> {
    let make = |source| HistoryError::Make { path: path.to_owned(), source };
    // 0600 before SQLite sees it; SQLite gives the same mode to the files beside it.
    let file = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(make)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(make)?;
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
        steps::reached("history: before a migration");
        transaction.commit().map_err(open)?;
        steps::reached("history: after a migration");
    }
    Ok(connection)
}

/// What the last life left: `kept_runs` newest runs of each application, and all that is open.
pub fn remember(connection: &Connection, kept_runs: usize) -> Result<Left> {
    let mut remembered = Left::default();
    let mut rows = connection.prepare("SELECT body FROM application")?;
    for body in rows.query_map([], |row| row.get::<_, String>(0))? {
        // A row of an older agent that no longer reads is forgotten: the application is assessed anew.
        if let Ok(row) = serde_json::from_str::<ApplicationRow>(&body?) {
            remembered.applications.insert(row.status.name.clone(), row);
        }
    }
    remembered.runs = bodies(
        connection,
        "SELECT body FROM (SELECT id, open, body, row_number() OVER (PARTITION BY application ORDER BY id DESC) AS place FROM run) WHERE open OR place <= ?1 ORDER BY id",
        params![kept_runs as i64],
    )?;
    remembered.open_syncs = bodies(connection, "SELECT body FROM sync WHERE open ORDER BY id", [])?;
    let highest = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    remembered.last_run = highest("SELECT coalesce(max(id), 0) FROM run")? as u64;
    remembered.last_sync = highest("SELECT coalesce(max(id), 0) FROM sync")? as u64;
    Ok(remembered)
}

fn bodies<T: DeserializeOwned>(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params, |row| row.get::<_, String>(0))?;
    rows.map(|body| Ok(serde_json::from_str(&body?)?)).collect()
}

fn json(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(value)?)
}

/// What the journal writes, each within its transaction.
pub struct Writer<'a>(pub &'a Transaction<'a>);

impl Writer<'_> {
    /// Keeps an event and returns its id.
    pub fn event(
        &self,
        at: Timestamp,
        application: Option<&ApplicationName>,
        cause: &Cause,
        event: &Event,
    ) -> Result<u64> {
        self.0
            .prepare_cached("INSERT INTO event (at, application, cause, event) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![at.to_string(), application.map(ApplicationName::as_str), json(cause)?, json(event)?])?;
        Ok(self.0.last_insert_rowid() as u64)
    }

    /// Keeps a run as it is now.
    pub fn run(&self, run: &RunStatus) -> Result<()> {
        let RunStatus { id, application, phase, queued, .. } = run;
        self.0
            .prepare_cached("INSERT INTO run (id, application, open, at, body) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET open = ?3, body = ?5")?
            .execute(params![id.0 as i64, application.as_str(), !phase.is_final(), queued.to_string(), json(run)?])?;
        Ok(())
    }

    /// Keeps a sync as it is now.
    pub fn sync(&self, sync: &SyncRecord) -> Result<()> {
        let SyncRecord { id, application, phase, started, .. } = sync;
        self.0
            .prepare_cached("INSERT INTO sync (id, application, open, at, body) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET open = ?3, body = ?5")?
            .execute(params![*id as i64, application.as_str(), !phase.is_final(), started.to_string(), json(sync)?])?;
        Ok(())
    }

    /// Keeps an artifact as it is now, under a new number: what was last worked with is the newest, whatever the clock says.
    pub fn artifact(&self, artifact: &Artifact) -> Result<()> {
        let Artifact { application, commit, image, tag, built, .. } = artifact;
        self.0
            .prepare_cached("INSERT OR REPLACE INTO artifact (application, commit_id, image, tag, at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![application.as_str(), commit.as_str(), image, tag, built.to_string(), json(artifact)?])?;
        Ok(())
    }

    /// Keeps an application as it is now.
    pub fn application(&self, row: &ApplicationRow) -> Result<()> {
        self.0
            .prepare_cached(
                "INSERT INTO application (name, body) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET body = ?2",
            )?
            .execute(params![row.status.name.as_str(), json(row)?])?;
        Ok(())
    }

    /// Keeps which tags need no thought any more.
    pub fn tags_seen(&self, application: &ApplicationName, repository: &str, tags: &SeenTags) -> Result<()> {
        self.0
            .prepare_cached("INSERT INTO tags_seen (application, repository, tags) VALUES (?1, ?2, ?3) ON CONFLICT (application) DO UPDATE SET repository = ?2, tags = ?3")?
            .execute(params![application.as_str(), repository, json(tags)?])?;
        Ok(())
    }

    /// Keeps what was applied.
    pub fn applied(
        &self,
        application: &ApplicationName,
        applied: &[(ResourceRef, Remembered)],
        gone: &[ResourceRef],
    ) -> Result<()> {
        let mut insert = self.0.prepare_cached("INSERT INTO applied (application, resource, manifest, live) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET manifest = ?3, live = ?4")?;
        for (resource, digests) in applied {
            insert.execute(params![application.as_str(), json(resource)?, digests.manifest.0, digests.live.0])?;
        }
        let mut delete = self.0.prepare_cached("DELETE FROM applied WHERE application = ?1 AND resource = ?2")?;
        for resource in gone {
            delete.execute(params![application.as_str(), json(resource)?])?;
        }
        Ok(())
    }

    /// Keeps what a person asked for, or that it is done.
    pub fn intent(&self, application: &ApplicationName, intent: Option<&Intent>) -> Result<()> {
        match intent {
            Some(intent) => self
                .0
                .prepare_cached("INSERT INTO intent (application, body) VALUES (?1, ?2) ON CONFLICT (application) DO UPDATE SET body = ?2")?
                .execute(params![application.as_str(), json(intent)?])?,
            None => self.0.prepare_cached("DELETE FROM intent WHERE application = ?1")?.execute([application.as_str()])?,
        };
        Ok(())
    }

    /// Lets go what is over the bounds of the configuration; returns the runs whose logs may go with them.
    pub fn let_go(&self, bounds: &HistoryConfig, now: Timestamp) -> Result<Vec<RunId>> {
        let kept = jiff::SignedDuration::from_hours(24 * i64::from(bounds.days));
        let oldest = now.saturating_sub(kept).unwrap_or(Timestamp::MIN).to_string();
        let ranked = |table: &str| {
            format!(
                "SELECT id FROM (SELECT id, open, at, row_number() OVER (PARTITION BY application ORDER BY id DESC) AS place FROM {table}) WHERE NOT open AND place > 1 AND (place > ?1 OR at < ?2)"
            )
        };
        let runs: Vec<RunId> = self
            .0
            .prepare_cached(&ranked("run"))?
            .query_map(params![bounds.runs, oldest], |row| Ok(RunId(row.get::<_, i64>(0)? as u64)))?
            .collect::<std::result::Result<_, _>>()?;
        for run in &runs {
            self.0.prepare_cached("DELETE FROM run WHERE id = ?1")?.execute([run.0 as i64])?;
        }
        self.0.execute(&format!("DELETE FROM sync WHERE id IN ({})", ranked("sync")), params![bounds.syncs, oldest])?;
        self.0.execute(
            "DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?1 OR at < ?2 AND id NOT IN (SELECT max(id) FROM event GROUP BY application)",
            params![bounds.events, oldest],
        )?;
        self.0.execute(
            "DELETE FROM artifact WHERE rowid IN (SELECT rowid FROM (SELECT rowid, row_number() OVER (PARTITION BY application ORDER BY rowid DESC) AS place FROM artifact) WHERE place > ?1)",
            [ARTIFACTS_KEPT],
        )?;
        Ok(runs)
    }
}

/// Reads on a connection of its own. Cheap to open; blocking.
pub struct Reader(Connection);

impl Reader {
    /// Opens the file for reading.
    pub fn open(path: &Path) -> Result<Self> {
        let open = |source| HistoryError::Open { path: path.to_owned(), source };
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
                .map_err(open)?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(open)?;
        Ok(Self(connection))
    }

    /// Events, newest first, below an id.
    pub fn events(
        &self,
        application: Option<&ApplicationName>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<EventRecord>> {
        let mut statement = self.0.prepare_cached(
            "SELECT id, at, application, cause, event FROM event WHERE (?1 IS NULL OR application = ?1) AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3",
        )?;
        let rows = statement.query_map(
            params![application.map(ApplicationName::as_str), before.map(|id| id as i64), limit as i64],
            |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, Option<String>>(2)?,
                    row.get::<_, String>(3)?,
                    row.get::<_, String>(4)?,
                ))
            },
        )?;
        rows.map(|row| {
            let (id, at, application, cause, event) = row?;
            Ok(EventRecord {
                id: id as u64,
                at: at.parse().unwrap_or(Timestamp::UNIX_EPOCH),
                application: application.and_then(|name| name.parse().ok()),
                cause: serde_json::from_str(&cause)?,
                event: serde_json::from_str(&event)?,
            })
        })
        .collect()
    }

    /// Runs, newest first.
    pub fn runs(&self, application: Option<&ApplicationName>, limit: usize) -> Result<Vec<RunStatus>> {
        let sql = "SELECT body FROM run WHERE ?1 IS NULL OR application = ?1 ORDER BY id DESC LIMIT ?2";
        bodies(&self.0, sql, params![application.map(ApplicationName::as_str), limit as i64])
    }

    /// One run.
    pub fn run(&self, id: RunId) -> Result<Option<RunStatus>> {
        Ok(bodies(&self.0, "SELECT body FROM run WHERE id = ?1", [id.0 as i64])?.pop())
    }

    /// Syncs, newest first.
    pub fn syncs(&self, application: &ApplicationName, limit: usize) -> Result<Vec<SyncRecord>> {
        bodies(
            &self.0,
            "SELECT body FROM sync WHERE application = ?1 ORDER BY id DESC LIMIT ?2",
            params![application.as_str(), limit as i64],
        )
    }

    /// The image of a commit, the newest where several tags name it.
    pub fn artifact(&self, application: &ApplicationName, commit: &CommitId) -> Result<Option<Artifact>> {
        let sql = "SELECT body FROM artifact WHERE application = ?1 AND commit_id = ?2 ORDER BY rowid DESC LIMIT 1";
        Ok(bodies(&self.0, sql, params![application.as_str(), commit.as_str()])?.pop())
    }

    /// Which tags need no thought any more; nothing where the application was never looked at.
    pub fn tags_seen(&self, application: &ApplicationName) -> Result<Option<TagsSeen>> {
        let row = self
            .0
            .query_row("SELECT repository, tags FROM tags_seen WHERE application = ?1", [application.as_str()], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })
            .optional()?;
        row.map(|(repository, tags)| Ok(TagsSeen { repository, tags: serde_json::from_str(&tags)? })).transpose()
    }

    /// What was applied at the last sync.
    pub fn memory(&self, application: &ApplicationName) -> Result<Memory> {
        let mut statement =
            self.0.prepare_cached("SELECT resource, manifest, live FROM applied WHERE application = ?1")?;
        let rows = statement.query_map([application.as_str()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, [u8; 32]>(1)?, row.get::<_, [u8; 32]>(2)?))
        })?;
        rows.map(|row| {
            let (resource, manifest, live) = row?;
            Ok((
                serde_json::from_str(&resource)?,
                Remembered { manifest: ContentDigest(manifest), live: ContentDigest(live) },
            ))
        })
        .collect()
    }

    /// What persons asked for and is still owed, of all applications.
    pub fn intents(&self) -> Result<BTreeMap<ApplicationName, Intent>> {
        let mut statement = self.0.prepare_cached("SELECT application, body FROM intent")?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        let mut intents = BTreeMap::new();
        for row in rows {
            let (name, body) = row?;
            // One that no longer reads is forgotten; it takes no other with it.
            if let (Ok(name), Ok(intent)) = (name.parse(), serde_json::from_str(&body)) {
                intents.insert(name, intent);
            }
        }
        Ok(intents)
    }
}

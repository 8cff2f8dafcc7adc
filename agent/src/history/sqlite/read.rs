//! What is read from the history while the agent runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_shared::application::{ApplicationName, EnvironmentId, EnvironmentName};
use quarterdeck_shared::artifact::Artifact;
use quarterdeck_shared::event::{EventRecord, SyncRecord};
use quarterdeck_shared::id::{EventId, TypedId};
use quarterdeck_shared::revision::CommitId;
use quarterdeck_shared::snapshot::RunStatus;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::{Result, bodies};
use crate::history::error::HistoryError;
use crate::history::{Comment, CommitStatuses, Intent, RefsSeen};
use quarterdeck_core::sync::digest::ContentDigest;
use quarterdeck_core::sync::plan::{Ended, Memory, Remembered};
use quarterdeck_system::open_files;

/// Whether a row of `sync` is a release: the whole of a revision was brought, and not since somebody had changed it.
pub(super) const IS_RELEASE: &str =
    "body ->> '$.phase' = 'Succeeded' AND body ->> '$.part' IS NULL AND body ->> '$.cause.by' <> 'drift'";

/// The newest runs below a number.
pub(super) const RUNS: &str = "SELECT body FROM run WHERE id < ?1 ORDER BY id DESC LIMIT ?2";

/// Those of an application: a question of its own, since SQLite uses no index for one that may be left out.
pub(super) const RUNS_OF_APPLICATION: &str =
    "SELECT body FROM run WHERE application = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";

/// The run of a number.
pub(super) const RUN: &str = "SELECT body FROM run WHERE id = ?1";

/// The newest events below a number.
pub(super) const EVENTS: &str = "SELECT id, history, at, application, environment, cause, event FROM event
    WHERE ?1 IS NULL AND (?2 IS NULL OR environment = ?2) AND id < ?3 ORDER BY id DESC LIMIT ?4";

/// Those of an application, or of one of its environments.
pub(super) const EVENTS_OF_APPLICATION: &str =
    "SELECT id, history, at, application, environment, cause, event FROM event
    WHERE application = ?1 AND (?2 IS NULL OR environment = ?2) AND id < ?3 ORDER BY id DESC LIMIT ?4";

/// Reads on a connection of its own. Cheap to open; blocking.
pub struct Reader(Connection);

impl Reader {
    /// Opens the file for reading.
    pub fn open(path: &Path) -> Result<Self> {
        let open = |source| match std::fs::File::open("/dev/null") {
            // SQLite says of each file that it cannot open the same.
            Err(error) if open_files::is_reached(&error) => {
                HistoryError::OpenFiles { limit: open_files::limit_reached() }
            }
            _ => HistoryError::Open { path: path.to_owned(), source },
        };
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
                .map_err(open)?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(open)?;
        Ok(Self(connection))
    }

    /// Events, newest first, below a number: of all, of an application, or of one of its environments.
    pub fn events(
        &self,
        application: Option<&ApplicationName>,
        environment: Option<&EnvironmentName>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<EventRecord>> {
        let mut statement =
            self.0.prepare_cached(if application.is_some() { EVENTS_OF_APPLICATION } else { EVENTS })?;
        let rows = statement.query_map(
            params![
                application.map(ApplicationName::as_str),
                environment.map(EnvironmentName::as_str),
                before.map_or(i64::MAX, |id| id as i64),
                limit as i64
            ],
            |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                    row.get::<_, Option<String>>(3)?,
                    row.get::<_, Option<String>>(4)?,
                    row.get::<_, String>(5)?,
                    row.get::<_, String>(6)?,
                ))
            },
        )?;
        rows.map(|row| {
            let (number, history, at, application, environment, cause, event) = row?;
            let history = history.parse().map_err(<serde_json::Error as serde::de::Error>::custom)?;
            Ok(EventRecord {
                id: EventId::new(history, number as u64),
                at: at.parse().unwrap_or(Timestamp::UNIX_EPOCH),
                application: application.and_then(|name| name.parse().ok()),
                environment: environment.and_then(|name| name.parse().ok()),
                cause: serde_json::from_str(&cause)?,
                event: serde_json::from_str(&event)?,
            })
        })
        .collect()
    }

    /// Runs, newest first, below a number.
    pub fn runs(
        &self,
        application: Option<&ApplicationName>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<RunStatus>> {
        let (before, limit) = (before.map_or(i64::MAX, u64::cast_signed), limit as i64);
        match application {
            None => bodies(&self.0, RUNS, [before, limit]),
            Some(name) => bodies(&self.0, RUNS_OF_APPLICATION, params![name.as_str(), before, limit]),
        }
    }

    /// The run that is meant.
    pub fn run(&self, id: TypedId) -> Result<Option<RunStatus>> {
        let run: Option<RunStatus> = bodies(&self.0, RUN, [id.number.cast_signed()])?.pop();
        Ok(run.filter(|run| run.id.is_meant_by(id)))
    }

    /// Syncs, newest first.
    pub fn syncs(&self, environment: &EnvironmentId, limit: usize) -> Result<Vec<SyncRecord>> {
        bodies(
            &self.0,
            "SELECT body FROM sync WHERE environment = ?1 ORDER BY id DESC LIMIT ?2",
            params![environment.to_string(), limit as i64],
        )
    }

    /// The sync of an environment that is meant.
    pub fn sync(&self, environment: &EnvironmentId, id: TypedId) -> Result<Option<SyncRecord>> {
        let sql = "SELECT body FROM sync WHERE environment = ?1 AND id = ?2";
        let params = params![environment.to_string(), id.number.cast_signed()];
        Ok(bodies(&self.0, sql, params)?.pop().filter(|sync: &SyncRecord| sync.id.is_meant_by(id)))
    }

    /// Syncs that brought a revision as a whole, newest first.
    pub fn releases(&self, environment: &EnvironmentId, limit: usize) -> Result<Vec<SyncRecord>> {
        let sql = format!("SELECT body FROM sync WHERE environment = ?1 AND {IS_RELEASE} ORDER BY id DESC LIMIT ?2");
        bodies(&self.0, &sql, params![environment.to_string(), limit as i64])
    }

    /// The images of a commit, the newest where several tags name it.
    pub fn artifact(&self, application: &ApplicationName, commit: &CommitId) -> Result<Option<Artifact>> {
        let sql = "SELECT body FROM artifact WHERE application = ?1 AND commit_id = ?2 ORDER BY rowid DESC LIMIT 1";
        Ok(bodies(&self.0, sql, params![application.as_str(), commit.as_str()])?.pop())
    }

    /// The images of the last releases of an environment, the newest first; releases of the same images count as one.
    pub fn released_images(&self, environment: &EnvironmentId, count: usize) -> Result<Vec<Vec<String>>> {
        let sql = format!(
            "SELECT body ->> '$.images' AS images FROM sync WHERE environment = ?1 AND {IS_RELEASE} AND images IS NOT NULL
             GROUP BY images ORDER BY max(id) DESC LIMIT ?2"
        );
        bodies(&self.0, &sql, params![environment.to_string(), count as i64])
    }

    /// All images of an application that are known, the last worked with first.
    pub fn artifacts(&self, application: &ApplicationName) -> Result<Vec<Artifact>> {
        let sql = "SELECT body FROM artifact WHERE application = ?1 ORDER BY rowid DESC";
        bodies(&self.0, sql, [application.as_str()])
    }

    /// Which tags need no thought any more; nothing where the application was never looked at.
    pub fn refs_seen(&self, application: &ApplicationName) -> Result<Option<RefsSeen>> {
        let row = self
            .0
            .query_row("SELECT repository, tags FROM tags_seen WHERE application = ?1", [application.as_str()], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })
            .optional()?;
        row.map(|(repository, tags)| Ok(RefsSeen { repository, refs: serde_json::from_str(&tags)? })).transpose()
    }

    /// What forges know, by application and the number of the run.
    pub fn commit_statuses(&self) -> Result<BTreeMap<ApplicationName, BTreeMap<u64, CommitStatuses>>> {
        let sql = "SELECT run.application, run.id, commit_status.body FROM commit_status JOIN run ON run.id = commit_status.run";
        let mut statement = self.0.prepare_cached(sql)?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?)))?;
        let mut all: BTreeMap<ApplicationName, BTreeMap<u64, CommitStatuses>> = BTreeMap::new();
        for row in rows {
            let (application, run, body) = row?;
            // A name that is none any more is of a configuration that nobody has.
            let Ok(application) = application.parse() else { continue };
            all.entry(application).or_default().insert(run as u64, serde_json::from_str(&body)?);
        }
        Ok(all)
    }

    /// Our comments, by merge request.
    pub fn comments(&self) -> Result<BTreeMap<String, Comment>> {
        let mut statement = self.0.prepare_cached("SELECT merge_request, body FROM comment")?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        rows.map(|row| row.map_err(Into::into).and_then(|(key, body)| Ok((key, serde_json::from_str(&body)?))))
            .collect()
    }

    /// What was applied at the last sync.
    pub fn memory(&self, environment: &EnvironmentId) -> Result<Memory> {
        let mut statement =
            self.0.prepare_cached("SELECT resource, manifest, live, ended FROM applied WHERE environment = ?1")?;
        let rows = statement.query_map([environment.to_string()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, [u8; 32]>(1)?, row.get::<_, [u8; 32]>(2)?, row.get::<_, u8>(3)?))
        })?;
        rows.map(|row| {
            let (resource, manifest, live, ended) = row?;
            let ended = ended_of(ended);
            Ok((
                serde_json::from_str(&resource)?,
                Remembered { manifest: ContentDigest(manifest), live: ContentDigest(live), ended },
            ))
        })
        .collect()
    }

    /// What persons asked for and is still owed, of all environments.
    pub fn intents(&self) -> Result<BTreeMap<EnvironmentId, Intent>> {
        let mut statement = self.0.prepare_cached("SELECT environment, body FROM intent")?;
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

/// How the end of a Job is kept in a column.
pub(super) fn number_of(ended: Option<Ended>) -> u8 {
    match ended {
        None => 0,
        Some(Ended::Completed) => 1,
        Some(Ended::Failed) => 2,
    }
}

fn ended_of(number: u8) -> Option<Ended> {
    [Ended::Completed, Ended::Failed].into_iter().find(|ended| number_of(Some(*ended)) == number)
}

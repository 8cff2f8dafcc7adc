//! Copies of a history: whole and of one moment, also while an agent writes to it, and what they hold.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::snapshot::RunStatus;
use rusqlite::{Connection, OpenFlags};

use super::{MIGRATIONS, Reader, checkpoint, prefix, remember};
use crate::history::error::HistoryError;
use crate::history::place::beside;

/// A history that is not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is no such file.
    #[error("no history at {path}")]
    Missing {
        /// Where none is.
        path: PathBuf,
    },
    /// It is something else.
    #[error("{path} is not a history of qd-agent")]
    NotAHistory {
        /// Which.
        path: PathBuf,
    },
    /// A newer agent wrote it.
    #[error("{path} was written by a newer agent: it is of version {found}, and this agent knows {known}")]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: usize,
    },
    /// Its end is missing.
    #[error("{path} is cut off: {found} of {wanted} bytes")]
    CutOff {
        /// Which.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// What it says that it has.
        wanted: u64,
    },
    /// It is damaged.
    #[error("{path} cannot be read whole")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What was found.
        source: HistoryError,
    },
}

/// What a history holds.
#[derive(Debug, Default, PartialEq)]
pub struct Contents {
    /// Every environment that ever was.
    pub environments: usize,
    /// Those that are suspended.
    pub suspended: Vec<EnvironmentId>,
    /// Those that are held at a revision, and at which.
    pub pinned: Vec<(EnvironmentId, String)>,
    /// Those whose sync a person asked for.
    pub asked: Vec<EnvironmentId>,
    /// How many runs are kept.
    pub runs: u64,
    /// Those that are not ended: queued, or under way at that moment.
    pub unfinished: Vec<RunStatus>,
    /// How many syncs are kept.
    pub syncs: u64,
    /// How many events are kept.
    pub events: u64,
    /// The time of the newest event.
    pub newest: Option<Timestamp>,
}

/// Copies the history at `from` to `to`, which is an empty file; says what the copy holds. `from` is only read.
pub fn copy(from: &Path, to: &Path) -> Result<Contents, CopyError> {
    let path = || from.to_owned();
    if !from.is_file() {
        return Err(CopyError::Missing { path: path() });
    }
    let damaged = |source: HistoryError| match &source {
        HistoryError::Sqlite(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            CopyError::NotAHistory { path: path() }
        }
        _ => CopyError::Damaged { path: path(), source },
    };
    let failed = |error: rusqlite::Error| damaged(error.into());
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    // An agent that writes is waited for.
    source.busy_timeout(Duration::from_secs(30)).map_err(failed)?;
    match source.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).map_err(failed)? {
        found if found > MIGRATIONS.len() as i64 => {
            return Err(CopyError::Newer { path: path(), found, known: MIGRATIONS.len() });
        }
        found if found < 1 => return Err(CopyError::NotAHistory { path: path() }),
        _ => {}
    }
    // SQLite takes the missing end of a last page for zeros. What a log beside it holds is not in its length yet.
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    let pragma = |name| source.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let wanted = (pragma("page_count").map_err(failed)? * pragma("page_size").map_err(failed)?) as u64;
    let found = length(from);
    if found < wanted && length(&beside(from, "-wal")) == 0 {
        return Err(CopyError::CutOff { path: path(), found, wanted });
    }
    // One transaction, and every page is read: what is torn is found here.
    source.execute("VACUUM INTO ?1", [to.to_string_lossy()]).map_err(failed)?;
    Connection::open(to).and_then(|copy| prefix::forget(&copy)).map_err(failed)?;
    contents(to).map_err(damaged)
}

/// What the history at a path holds.
pub fn contents(path: &Path) -> Result<Contents, HistoryError> {
    let reader = Reader::open(path)?;
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    // What the next start reads, so that a copy which it could not read is none.
    let left = remember(&connection, 1)?;
    let count =
        |table: &str| connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0));
    let statuses = || left.environments.iter().map(|(name, row)| (name, &row.status));
    Ok(Contents {
        environments: left.environments.len(),
        suspended: statuses().filter(|(_, status)| status.suspended).map(|(name, _)| name.clone()).collect(),
        pinned: statuses()
            .filter_map(|(name, status)| Some((name.clone(), status.pin.as_ref()?.revision.short())))
            .collect(),
        asked: reader.intents()?.into_keys().collect(),
        runs: count("run")? as u64,
        unfinished: left.runs.iter().filter(|run| !run.phase.is_final()).cloned().collect(),
        syncs: count("sync")? as u64,
        events: count("event")? as u64,
        newest: reader.events(None, None, None, 1)?.first().map(|event| event.at),
    })
}

/// Puts `new` in the place of the history at `path`, and what was there aside; nothing is lost of that, also where it is
/// damaged. No agent may run.
pub fn exchange(path: &Path, new: &Path, aside: &Path) -> std::io::Result<()> {
    if path.exists() {
        // What its log still holds belongs to it, and must not be taken for the new one's.
        if let Ok(connection) = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE) {
            let _ = checkpoint(&connection);
        }
        for ending in ["-wal", "-shm"] {
            match std::fs::rename(beside(path, ending), beside(aside, ending)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        // A link, so that a history is in its place at each moment; not every file system has them.
        std::fs::hard_link(path, aside).or_else(|_| std::fs::rename(path, aside))?;
    }
    std::fs::rename(new, path)
}

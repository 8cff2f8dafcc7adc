//! Why the history cannot be used, and whether its file is damaged.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use quarterdeck_shared::error::Hint;

/// What became of a file that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Its path leads nowhere.
    Removed,
    /// Its path leads to another file.
    Replaced,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Removed => "removed",
            Self::Replaced => "replaced by another file",
        })
    }
}

/// The history cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file was made by a newer agent.
    #[error("the history {path} is of version {found}, and this agent knows {known}")]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// The file cannot be opened or is damaged.
    #[error("cannot open the history {path}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The file was opened, and something in it is not as SQLite or we wrote it.
    #[error("the history {path} is damaged")]
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
    /// A file of the history is not where it was when it was opened: what is written would be gone with the process.
    #[error("{} was {loss} while the agent runs", path.file_name().unwrap_or_default().display())]
    Lost {
        /// Which.
        path: PathBuf,
        /// What became of it.
        loss: Loss,
    },
    /// This process may open no more files.
    #[error("the history cannot be read: {limit}")]
    OpenFiles {
        /// What is reached, and how it is raised.
        limit: String,
    },
    /// A read or write failed.
    #[error("the history does not answer")]
    Sqlite(#[from] rusqlite::Error),
    /// A row is not what it should be.
    #[error("a row of the history cannot be read")]
    Row(#[from] serde_json::Error),
}

impl Hint for HistoryError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Newer { .. } => "run the newer agent, or move the file away",
            Self::Open { .. } => {
                "if it is damaged, move it away: git, registry and cluster hold the truth, only the past is lost"
            }
            Self::Damaged { .. } => {
                "move it away and start again: git, registry and cluster hold the truth, only the past is lost"
            }
            Self::Lost { .. } => {
                "put it and the files beside it back, or stop the agent and restore a backup: qd-agent restore FILE"
            }
            Self::Make { .. } | Self::OpenFiles { .. } | Self::Sqlite(_) | Self::Row(_) => "",
        }
        .into()
    }
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

    /// What to do about it, for who cannot write to `path`.
    pub fn remedy(&self, path: &Path) -> String {
        match self.hint() {
            hint if hint.is_empty() => format!("free some disk space or fix {}", path.display()),
            hint => hint.into_owned(),
        }
    }

    /// Whether nothing can be done with the file.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}

//! The place of the history: whether its path still leads to the files that SQLite has open.
//!
//! A file that is removed or exchanged stays open, and what is written into it is gone with the process. So the files are
//! compared by device and inode, by path alone: opening and closing one of them here would drop the locks that SQLite
//! holds on it (POSIX drops all locks of a process on a file with the first descriptor that it closes).

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::error::{HistoryError, Loss};

/// Which file a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

/// Of a file that is not where it has to be; no file has it.
const NOWHERE: FileId = FileId { device: 0, inode: 0 };

/// The files of a history in use: the database, its write-ahead log, and the memory that connections share.
#[derive(Debug, Clone)]
pub struct Place {
    database: PathBuf,
    opened: Vec<(PathBuf, FileId)>,
}

impl Place {
    /// The files as they are now, just after they were opened. One that is missing already counts as lost: connections of
    /// one process may share memory that has no name any more, and other processes would not see their locks.
    pub fn of(database: &Path) -> Self {
        let files = [database.to_owned(), beside(database, "-wal"), beside(database, "-shm")];
        let opened = files.map(|file| (file.clone(), file_id(&file).unwrap_or(NOWHERE))).into();
        Self { database: database.to_owned(), opened }
    }

    /// Whether the database itself is where it was.
    pub fn check_database(&self) -> Result<(), HistoryError> {
        self.check_those(|file| file == self.database)
    }

    /// Whether each file is where it was.
    pub fn check(&self) -> Result<(), HistoryError> {
        self.check_those(|_| true)
    }

    /// Whether the log beside the database is ours, gone, or another that holds nothing: then what the open one holds can
    /// be brought into the database, and no other process wrote anything that this would undo.
    pub fn can_be_renewed(&self) -> bool {
        let log = beside(&self.database, "-wal");
        let is_ours = || self.opened.iter().any(|(file, opened)| *file == log && file_id(&log).ok() == Some(*opened));
        self.check_database().is_ok() && (std::fs::metadata(&log).map_or(true, |found| found.len() == 0) || is_ours())
    }

    /// Notes that the files beside the database are no longer those that are open, whatever their paths lead to.
    pub fn forget_beside(&mut self) {
        for (_, opened) in self.opened.iter_mut().filter(|(file, _)| *file != self.database) {
            *opened = NOWHERE;
        }
    }

    fn check_those(&self, those: impl Fn(&Path) -> bool) -> Result<(), HistoryError> {
        for (file, opened) in self.opened.iter().filter(|(file, _)| those(file)) {
            if let Some(loss) = loss(*opened, file_id(file).ok()) {
                return Err(HistoryError::Lost { path: file.clone(), loss });
            }
        }
        Ok(())
    }
}

fn loss(opened: FileId, found: Option<FileId>) -> Option<Loss> {
    match found {
        None => Some(Loss::Removed),
        Some(found) if found != opened => Some(Loss::Replaced),
        Some(_) => None,
    }
}

fn file_id(path: &Path) -> io::Result<FileId> {
    let found = std::fs::metadata(path)?;
    Ok(FileId { device: found.dev(), inode: found.ino() })
}

/// A file beside the database, as SQLite names it.
pub(super) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_removed_or_exchanged_is_missed_until_it_is_back() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("history.db");
        let (log, aside) = (beside(&database, "-wal"), dir.path().join("aside"));
        std::fs::write(&database, "a").unwrap();
        std::fs::write(&log, "b").unwrap();
        std::fs::write(beside(&database, "-shm"), "c").unwrap();
        let place = Place::of(&database);
        let lost = || match place.check() {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        };
        assert_eq!(lost(), "");
        for (file, name) in [(&database, "history.db"), (&log, "history.db-wal")] {
            std::fs::rename(file, &aside).unwrap();
            assert_eq!(lost(), format!("{name} was removed while the agent runs"));
            std::fs::write(file, "another").unwrap();
            assert_eq!(lost(), format!("{name} was replaced by another file while the agent runs"));
            assert!(!place.can_be_renewed(), "what another process wrote is left alone");
            std::fs::rename(&aside, file).unwrap();
            assert_eq!(lost(), "", "put back");
        }
        std::fs::rename(&log, &aside).unwrap();
        assert!(place.can_be_renewed() && place.check_database().is_ok());
        std::fs::rename(dir.path().join("aside"), &log).unwrap();
        let moved = tempfile::tempdir().unwrap();
        std::fs::rename(dir.path(), moved.path().join("data")).unwrap();
        assert_eq!(lost(), "history.db was removed while the agent runs", "its folder went with it");
    }
}

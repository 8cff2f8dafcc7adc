//! The prefix of the ids that a history gives, kept in it beside the files that it was drawn for.
//!
//! A history that is found in another file is a copy: the one that it was copied from may give ids as well, or gave some
//! since. So it draws another prefix for what comes, and what it holds keeps its ids. That is so of a backup that is
//! restored, here or on another machine, of an older copy that is put over a newer history, and of a data directory that
//! is moved to another disk, where it costs nothing.
//!
//! A file is known by its inode and by when it was made, which no copy brings along. Who writes a copy into the file that
//! is there keeps both; so each start of the agent makes a file anew beside the history, which then is not the one that
//! the copy names. A file system that is set back or cloned as a whole cannot be noticed here: the deploy branch says
//! which numbers were given, see [`crate::deliver`].

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use quarterdeck_shared::id::Prefix;
use rusqlite::{Connection, OptionalExtension, params};

use super::Result;

/// A new one. The seed of `RandomState` is the system's randomness; an id is no secret.
pub fn draw() -> Prefix {
    Prefix::of(RandomState::new().hash_one(std::process::id()))
}

/// The one that was drawn for the files at this path; none for a new history and for a copy.
pub fn kept(connection: &Connection, database: &Path) -> Result<Option<Prefix>> {
    let sql = "SELECT prefix FROM prefix WHERE files = ?1";
    let text: Option<String> = connection.query_row(sql, [files(database)], |row| row.get(0)).optional()?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// Keeps the prefix of the files at this path, and no other.
pub(super) fn keep(connection: &Connection, database: &Path, prefix: Prefix) -> Result<()> {
    forget(connection)?;
    let sql = "INSERT INTO prefix (prefix, files) VALUES (?1, ?2)";
    connection.execute(sql, params![prefix.to_string(), files(database)])?;
    Ok(())
}

/// Whoever works with this history draws a prefix.
pub(super) fn forget(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM prefix", []).map(drop)
}

/// Makes the file beside the history anew; what was kept before names another one.
pub fn begin(database: &Path) -> io::Result<()> {
    let (file, new) = (beside(database), beside(database).with_extension("new"));
    std::fs::write(&new, "")?;
    std::fs::rename(new, file)
}

fn beside(database: &Path) -> PathBuf {
    database.with_file_name("last-start")
}

/// Which files they are.
fn files(database: &Path) -> String {
    format!("{}, {}", file(database), file(&beside(database)))
}

/// Looked at by its path: closing the database here would drop the locks of SQLite.
fn file(path: &Path) -> String {
    let Ok(found) = std::fs::metadata(path) else { return "none".to_owned() };
    // Some file systems do not say when a file was made.
    let made = found.created().ok().and_then(|made| made.duration_since(SystemTime::UNIX_EPOCH).ok());
    format!("{} of {}", found.ino(), made.unwrap_or_default().as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::sqlite::open;

    fn found(database: &Path) -> Option<Prefix> {
        kept(&open(database).unwrap(), database).unwrap()
    }

    #[test]
    fn a_prefix_stays_with_its_files_and_a_copy_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (database, copy) = (path("history.db"), path("copy.db"));
        assert_eq!(found(&database), None);
        let mine = draw();
        begin(&database).unwrap();
        keep(&open(&database).unwrap(), &database, draw()).unwrap();
        keep(&open(&database).unwrap(), &database, mine).unwrap();
        assert_eq!(found(&database), Some(mine));
        std::fs::copy(&database, &copy).unwrap();
        assert_eq!(found(&copy), None);
        std::fs::rename(&database, path("moved.db")).unwrap();
        assert_eq!(found(&path("moved.db")), Some(mine), "a file is the same under another name");
        std::fs::rename(&copy, &database).unwrap();
        assert_eq!(found(&database), None, "whatever it is called");
    }

    #[test]
    fn a_copy_that_is_written_into_the_file_is_noticed_after_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (database, mine) = (path("history.db"), draw());
        let start = || {
            let before = found(&database);
            begin(&database).unwrap();
            keep(&open(&database).unwrap(), &database, before.unwrap_or(mine)).unwrap();
        };
        start();
        let names = ["history.db", "last-start"];
        for name in names {
            std::fs::copy(path(name), path(&format!("{name}.copy"))).unwrap();
        }
        start();
        assert_eq!(found(&database), Some(mine));
        for name in names {
            std::fs::copy(path(&format!("{name}.copy")), path(name)).unwrap();
        }
        assert_eq!(found(&database), None);
    }
}

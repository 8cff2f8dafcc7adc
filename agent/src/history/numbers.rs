//! The highest numbers of runs and syncs that were given, beside the database.
//!
//! A database that is restored from a backup knows less than was done: a number that it would give again is in people's
//! notes, in events elsewhere, and in the name of a log. So the numbers go on from where they were. The file is written
//! when a run or a sync is first recorded, which both take seconds at least.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Numbers that were given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The highest of a run.
    pub run: u64,
    /// The highest of a sync.
    pub sync: u64,
}

impl Given {
    /// The higher of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { run: self.run.max(other.run), sync: self.sync.max(other.sync) }
    }
}

/// The file, and what it says.
#[derive(Debug)]
pub struct Numbers {
    path: PathBuf,
    given: Given,
}

impl Numbers {
    /// Reads the file. One that is missing or torn says nothing: the database's own numbers count then.
    pub fn open(data_dir: &Path) -> Self {
        let path = data_dir.join("numbers.json");
        let given = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self { path, given }
    }

    /// What the file says.
    pub fn given(&self) -> Given {
        self.given
    }

    /// Writes numbers that are higher than those of the file, whole or not at all. A disk that does not take them costs
    /// this file alone: the database keeps each number too.
    pub fn keep(&mut self, given: Given) {
        let higher = self.given.max(given);
        if higher == self.given {
            return;
        }
        let new = self.path.with_extension("json.new");
        let bytes = serde_json::to_vec(&higher).unwrap_or_default();
        match std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, &self.path)) {
            Ok(()) => self.given = higher,
            Err(error) => tracing::debug!(%error, "cannot write {}", self.path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_only_grow_and_a_torn_file_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut numbers = Numbers::open(dir.path());
        assert_eq!(numbers.given(), Given::default());
        numbers.keep(Given { run: 7, sync: 3 });
        numbers.keep(Given { run: 2, sync: 9 });
        assert_eq!(Numbers::open(dir.path()).given(), Given { run: 7, sync: 9 });
        std::fs::write(dir.path().join("numbers.json"), "{\"run\":").unwrap();
        assert_eq!(Numbers::open(dir.path()).given(), Given::default());
    }
}

//! Packing up: gix adds a pack with each fetch and never merges them, so git does, now and then.

use std::path::Path;
use std::time::Duration;

use super::operation::{Bounds, Operation};
use super::program::git;
use super::{Mirror, process};
use crate::GitError;
use quarterdeck_core::failpoint;

/// git's own bound (`gc.autoPackLimit`): beyond, each lookup that misses costs a search in every pack.
const PACKS_MAX: usize = 50;
/// A quarter of git's own bound (`gc.auto` is 6,700): we write loose objects only for promotions.
const LOOSE_MAX: usize = 1700;
/// Repacking a repository of some GiB takes minutes; it runs beside the agent's work.
const TIME: Duration = Duration::from_secs(1800);

impl Mirror {
    /// Packs the mirror up if it needs that, in a `git gc`; tells whether it did. Call it after a fetch, it is cheap.
    pub fn maintain(&self) -> Result<bool, GitError> {
        let objects = self.dir.join("objects");
        if packs(&objects) <= PACKS_MAX && loose(&objects) <= LOOSE_MAX {
            return Ok(false);
        }
        let _writing = self.writing();
        let doing = "packing up";
        let bounds = Bounds { doing, time: TIME, stall: TIME, bytes: 1 << 20, bytes_option: None };
        let talk = Operation::new(self.dir.display().to_string(), bounds, self.interrupt.clone());
        // An hour spares the objects of a promotion that is about to be pushed.
        failpoint::reached("git: before a mirror is packed up");
        let finished = process::run(git(&self.dir, &["gc", "--quiet", "--prune=1.hour.ago"]), b"", &talk)?;
        if !finished.status.success() {
            return Err(match self.ours(doing, &finished.stderr).or_else(|| self.damaged(doing)) {
                Some(ours) => ours,
                None => GitError::Mirror { dir: self.dir.clone(), doing, detail: finished.stderr },
            });
        }
        failpoint::reached("git: after a mirror is packed up");
        Ok(true)
    }
}

impl Mirror {
    /// Has git write down parents and times of all commits beside them. The caller holds the right to write.
    pub(super) fn write_commit_graph(&self) -> Result<(), GitError> {
        let doing = "writing its commit-graph";
        let bounds = Bounds { doing, time: TIME, stall: TIME, bytes: 1 << 20, bytes_option: None };
        let talk = Operation::new(self.dir.display().to_string(), bounds, self.interrupt.clone());
        let finished = process::run(git(&self.dir, &["commit-graph", "write", "--reachable"]), b"", &talk)?;
        if !finished.status.success() {
            return Err(GitError::Mirror { dir: self.dir.clone(), doing, detail: finished.stderr });
        }
        self.reopen()
    }
}

fn packs(objects: &Path) -> usize {
    let entries = std::fs::read_dir(objects.join("pack")).into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "pack")).count()
}

/// How many loose objects there are: one of the 256 directories tells for all, as hashes spread evenly.
fn loose(objects: &Path) -> usize {
    std::fs::read_dir(objects.join("17")).into_iter().flatten().count() * 256
}

//! Logs of runs: a file of NDJSON records each, bounded by the size of one run's log and gone with the run.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use quarterdeck_shared::protocol::LogRecord;
use quarterdeck_shared::snapshot::RunId;

use quarterdeck_core::failpoint;

/// The end of a log that is kept apart while its middle is cut: the last lines tell why a build failed.
const TAIL_BYTES: usize = 256 * 1024;

/// Reasons that are kept for logs that could not be made: more than the runs that a person asks about after a bad night.
const REASONS: usize = 200;

/// The folder of the logs.
#[derive(Debug, Clone)]
pub struct RunLogs {
    dir: PathBuf,
    bytes_max: u64,
    /// Why there is no log of a run, of the newest such runs of this life.
    missing: Arc<Mutex<BTreeMap<RunId, String>>>,
}

impl RunLogs {
    /// The folder is made where it is not there; `bytes_max` bounds one run's log.
    pub fn open(dir: &Path, bytes_max: u64) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned(), bytes_max, missing: Arc::default() })
    }

    /// Where a run's log is.
    pub fn path(&self, run: RunId) -> PathBuf {
        self.dir.join(format!("run-{run}.ndjson"))
    }

    /// Begins a run's log, or continues it. What cannot be made is answered to who asks for it.
    pub fn writer(&self, run: RunId) -> io::Result<RunLog> {
        let made = self.make(run);
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        match &made {
            Ok(_) => missing.remove(&run),
            Err(error) => missing.insert(run, format!("{error}")),
        };
        while missing.len() > REASONS {
            missing.pop_first();
        }
        made
    }

    /// Why there is no log of a run that began.
    pub fn why_missing(&self, run: RunId) -> String {
        let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.get(&run).cloned().unwrap_or_else(|| format!("{} was removed", self.path(run).display()))
    }

    fn make(&self, run: RunId) -> io::Result<RunLog> {
        let path = self.path(run);
        let open = || OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let file = match open() {
            // The folder went while the agent runs.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.dir)?;
                open()?
            }
            opened => opened?,
        };
        failpoint::reached("history: after a run's log is begun");
        let written = file.metadata()?.len();
        Ok(RunLog {
            file,
            written,
            head_max: self.bytes_max.saturating_sub(TAIL_BYTES as u64),
            tail: VecDeque::new(),
            tail_bytes: 0,
            cut: 0,
            lost: 0,
        })
    }

    /// Removes the logs of runs that history let go.
    pub fn let_go(&self, runs: &[RunId]) {
        for run in runs {
            // Not being there is as good.
            let _ = fs::remove_file(self.path(*run));
        }
    }
}

/// A run's log being written: its head goes to the file at once; past the bound, the newest lines are held back and
/// written at the end after a gap that tells how many are missing.
#[derive(Debug)]
pub struct RunLog {
    file: File,
    written: u64,
    head_max: u64,
    tail: VecDeque<Vec<u8>>,
    tail_bytes: usize,
    cut: u64,
    /// Records that could not be written since one could.
    lost: u64,
}

impl RunLog {
    /// Writes one record; a log that cannot be written costs the log, never the run. What is missing is told where it is
    /// missing, as soon as there is room.
    pub fn write(&mut self, record: &LogRecord) {
        let Ok(mut line) = serde_json::to_vec(record) else { return };
        line.push(b'\n');
        if self.written + line.len() as u64 <= self.head_max && self.tail.is_empty() {
            self.append(&line);
            return;
        }
        self.tail_bytes += line.len();
        self.tail.push_back(line);
        while self.tail_bytes > TAIL_BYTES {
            let Some(first) = self.tail.pop_front() else { break };
            self.tail_bytes -= first.len();
            self.cut += 1;
        }
    }
}

impl RunLog {
    /// Puts a line at the end of the file, whole or not at all.
    fn append(&mut self, line: &[u8]) {
        if self.lost > 0 {
            let gap = gap(Some(self.lost), "the log could not be written: the disk had no room");
            if !self.put(&gap) {
                self.lost += 1;
                return;
            }
            self.lost = 0;
        }
        if !self.put(line) {
            self.lost += 1;
        }
    }

    fn put(&mut self, line: &[u8]) -> bool {
        let is_put = self.file.write_all(line).is_ok();
        if is_put {
            self.written += line.len() as u64;
        } else {
            // Half a line would be glued to the next one.
            let _ = self.file.set_len(self.written);
        }
        is_put
    }
}

impl Drop for RunLog {
    fn drop(&mut self) {
        if self.cut > 0 {
            let line = gap(Some(self.cut), "the log of one run is bounded; its beginning and its end are kept");
            self.append(&line);
        }
        for line in std::mem::take(&mut self.tail) {
            self.append(&line);
        }
    }
}

fn gap(lines: Option<u64>, reason: &str) -> Vec<u8> {
    let gap = LogRecord::Gap { lines, reason: reason.into() };
    let mut line = serde_json::to_vec(&gap).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use quarterdeck_shared::id::Prefix;

    use super::*;

    fn run(number: u64) -> RunId {
        RunId::new(Prefix::of(1), number)
    }

    #[test]
    fn a_long_log_keeps_its_beginning_and_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let logs = RunLogs::open(dir.path(), 512 * 1024).unwrap();
        let mut log = logs.writer(run(1)).unwrap();
        for number in 0..20_000 {
            log.write(&LogRecord::Line {
                at: None,
                from: "build".into(),
                text: format!("line {number} {}", "x".repeat(60)).into(),
            });
        }
        drop(log);
        let text = fs::read_to_string(logs.path(run(1))).unwrap();
        let records: Vec<LogRecord> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let cut: u64 = records.iter().map(|r| if let LogRecord::Gap { lines: Some(n), .. } = r { *n } else { 0 }).sum();
        let lines = records.iter().filter(|r| matches!(r, LogRecord::Line { .. })).count() as u64;
        assert_eq!(lines + cut, 20_000, "every line is kept or counted");
        assert!(text.len() < 1024 * 1024, "{}", text.len());
        assert!(
            text.lines().next().unwrap().contains("line 0 ") && text.lines().last().unwrap().contains("line 19999 ")
        );
    }

    #[test]
    fn what_a_full_disk_kept_out_is_told_where_it_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let logs = RunLogs::open(dir.path(), 1 << 20).unwrap();
        let line = |text: &str| LogRecord::Line { at: None, from: "build".into(), text: text.into() };
        let mut log = logs.writer(run(1)).unwrap();
        log.write(&line("one"));
        // Each write to it is answered as on a disk without room.
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let file = std::mem::replace(&mut log.file, full);
        log.write(&line("two"));
        log.write(&line("three"));
        log.file = file;
        log.write(&line("four"));
        drop(log);
        let text = fs::read_to_string(logs.path(run(1))).unwrap();
        let told: Vec<LogRecord> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(
            matches!(&told[..], [first, LogRecord::Gap { lines: Some(2), reason }, last]
            if *first == line("one") && *last == line("four") && reason.contains("no room")),
            "{told:?}"
        );
    }

    #[test]
    fn a_folder_that_went_is_made_again_and_what_cannot_be_made_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("runs");
        let logs = RunLogs::open(&folder, 1 << 20).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        logs.writer(run(1)).unwrap();
        assert!(logs.path(run(1)).exists());
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(logs.why_missing(run(1)), format!("{} was removed", logs.path(run(1)).display()));
        fs::write(&folder, "a file in its way").unwrap();
        logs.writer(run(2)).unwrap_err();
        assert!(logs.why_missing(run(2)).contains("Not a directory"), "{}", logs.why_missing(run(2)));
        (3..1_000).for_each(|number| drop(logs.writer(run(number)).unwrap_err()));
        assert_eq!(logs.missing.lock().unwrap().len(), REASONS);
    }

    #[test]
    fn a_log_is_continued_and_another_history_has_another() {
        let dir = tempfile::tempdir().unwrap();
        let logs = RunLogs::open(dir.path(), 1 << 20).unwrap();
        let line = |text: &str| LogRecord::Line { at: None, from: "build".into(), text: text.into() };
        let of_another = RunId::new(Prefix::of(9), 1);
        logs.writer(of_another).unwrap().write(&line("of a history that is gone"));
        logs.writer(run(1)).unwrap().write(&line("one"));
        logs.writer(run(1)).unwrap().write(&line("two"));
        let text = fs::read_to_string(logs.path(run(1))).unwrap();
        let told: Vec<LogRecord> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(told, [line("one"), line("two")]);
    }
}

//! Logs of runs: a file of NDJSON records each, bounded by the size of one run's log and gone with the run.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use quarterdeck_shared::protocol::LogRecord;
use quarterdeck_shared::snapshot::RunId;

use crate::steps;

/// The end of a log that is kept apart while its middle is cut: the last lines tell why a build failed.
const TAIL_BYTES: usize = 256 * 1024;

/// The folder of the logs.
#[derive(Debug, Clone)]
pub struct RunLogs {
    dir: PathBuf,
    bytes_max: u64,
}

impl RunLogs {
    /// The folder is made where it is not there; `bytes_max` bounds one run's log.
    pub fn open(dir: &Path, bytes_max: u64) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned(), bytes_max })
    }

    /// Where a run's log is.
    pub fn path(&self, run: RunId) -> PathBuf {
        self.dir.join(format!("run-{run}.ndjson"))
    }

    /// Begins or continues a run's log.
    pub fn writer(&self, run: RunId) -> io::Result<RunLog> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(self.path(run))?;
        steps::reached("history: after a run's log is begun");
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
            let gap = gap(self.lost, "the log could not be written: the disk had no room");
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
            let line = gap(self.cut, "the log of one run is bounded; its beginning and its end are kept");
            self.append(&line);
        }
        for line in std::mem::take(&mut self.tail) {
            self.append(&line);
        }
    }
}

fn gap(lines: u64, reason: &str) -> Vec<u8> {
    let gap = LogRecord::Gap { lines: Some(lines), reason: reason.into() };
    let mut line = serde_json::to_vec(&gap).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_keeps_its_beginning_and_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let logs = RunLogs::open(dir.path(), 512 * 1024).unwrap();
        let mut log = logs.writer(RunId(1)).unwrap();
        for number in 0..20_000 {
            log.write(&LogRecord::Line {
                at: None,
                from: "build".into(),
                text: format!("line {number} {}", "x".repeat(60)).into(),
            });
        }
        drop(log);
        let text = fs::read_to_string(logs.path(RunId(1))).unwrap();
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
        let mut log = logs.writer(RunId(1)).unwrap();
        log.write(&line("one"));
        // Each write to it is answered as on a disk without room.
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let file = std::mem::replace(&mut log.file, full);
        log.write(&line("two"));
        log.write(&line("three"));
        log.file = file;
        log.write(&line("four"));
        drop(log);
        let text = fs::read_to_string(logs.path(RunId(1))).unwrap();
        let told: Vec<LogRecord> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(
            matches!(&told[..], [first, LogRecord::Gap { lines: Some(2), reason }, last]
            if *first == line("one") && *last == line("four") && reason.contains("no room")),
            "{told:?}"
        );
    }
}

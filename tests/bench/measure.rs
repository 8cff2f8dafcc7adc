//! Clocks and meters: how long, how much processor, how much memory.

use std::process::Command;
use std::time::Instant;

use anyhow::Context as _;

/// Milliseconds since a moment.
pub(crate) fn since(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1000.0
}

/// Runs a program to its end and says how long that took; if it fails, the error has its words.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<f64> {
    let began = Instant::now();
    harness::real::said(command)?;
    Ok(since(began))
}

/// What a process used so far, read from `/proc`.
#[derive(Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// Seconds of processor time, its own and of the programs that it started and waited for. In steps of 10 ms.
    pub(crate) fn cpu(self) -> anyhow::Result<f64> {
        let stat = self.read("stat")?;
        // The name in parentheses may hold anything; the numbers begin after it, the third field being the first of them.
        let numbers = stat.rsplit_once(')').context("a process has a name")?.1;
        let ticks = numbers.split_whitespace().skip(11).take(4).filter_map(|number| number.parse::<f64>().ok());
        // Linux tells programs 100 ticks a second, whatever it counts itself.
        Ok(ticks.sum::<f64>() / 100.0)
    }

    /// The most memory that it had at once since the start or since [`Process::forget_peak`], in MiB.
    pub(crate) fn peak(self) -> anyhow::Result<f64> {
        self.status("VmHWM")
    }

    /// The memory that it has now, in MiB.
    pub(crate) fn resident(self) -> anyhow::Result<f64> {
        self.status("VmRSS")
    }

    /// Begins the peak anew.
    pub(crate) fn forget_peak(self) -> anyhow::Result<()> {
        std::fs::write(format!("/proc/{}/clear_refs", self.0), "5").context("cannot begin the peak of memory anew")
    }

    fn status(self, name: &str) -> anyhow::Result<f64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        Ok(kib.with_context(|| format!("no {name} of process {}", self.0))? / 1024.0)
    }

    fn read(self, file: &str) -> anyhow::Result<String> {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.0)).with_context(|| format!("process {} ended", self.0))
    }
}

//! Clocks and meters: how long, how much processor, how much memory.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

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
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0));
        let stat = stat.with_context(|| format!("process {} ended", self.0))?;
        // The name in parentheses may hold anything; the numbers begin after it, the third field being the first of them.
        let numbers = stat.rsplit_once(')').context("a process has a name")?.1;
        let ticks = numbers.split_whitespace().skip(11).take(4).filter_map(|number| number.parse::<f64>().ok());
        // Linux tells programs 100 ticks a second, whatever it counts itself.
        Ok(ticks.sum::<f64>() / 100.0)
    }

    /// The most memory that it had at once since its start, in MiB.
    pub(crate) fn peak(self) -> anyhow::Result<f64> {
        self.status("VmHWM")
    }

    /// The memory that it has now, in MiB: resident, mapped files included.
    pub(crate) fn resident(self) -> anyhow::Result<f64> {
        self.status("VmRSS")
    }

    /// The memory that is its own now, in MiB: without mapped files, which the system may take back at any time.
    pub(crate) fn own(self) -> anyhow::Result<f64> {
        self.status("RssAnon")
    }

    /// Looks at its own memory every few milliseconds from now on.
    pub(crate) fn watch_own(self) -> OwnMemory {
        let over = CancellationToken::new();
        let end = over.clone();
        let look = async move {
            let mut most = 0.0_f64;
            while !end.is_cancelled() {
                most = self.own().map_or(most, |now| most.max(now));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            most
        };
        OwnMemory { over, looking: tokio::spawn(look) }
    }

    fn status(self, line: &str) -> anyhow::Result<f64> {
        Ok(harness::agent::memory_kib(self.0, line)? as f64 / 1024.0)
    }
}

/// The memory of a process, looked at until it is asked for.
pub(crate) struct OwnMemory {
    over: CancellationToken,
    looking: JoinHandle<f64>,
}

impl OwnMemory {
    /// The most that was seen, in MiB.
    pub(crate) async fn end(self) -> f64 {
        self.over.cancel();
        // It cannot fail: it only reads.
        self.looking.await.unwrap_or_default()
    }
}

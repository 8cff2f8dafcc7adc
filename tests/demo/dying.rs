//! An agent that ends as a power cut would, at the step that the tests ask for; and a list of the steps it came to.
//!
//! This is of the tests' program alone: the agent that people run knows neither variable.

use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};

use harness::agent::{DIES_AT, STEPS};

/// Watches the steps of the agent where its surroundings ask for it.
pub(crate) fn watch() {
    let Some(file) = std::env::var_os(STEPS) else { return };
    let dies_at = std::env::var(DIES_AT).unwrap_or_default();
    let Ok(file) = std::fs::OpenOptions::new().create(true).append(true).open(file) else { return };
    let count = AtomicU32::new(0);
    quarterdeck_core::failpoint::watch(Box::new(move |step| {
        // One write a step, so that steps of several threads stay whole lines.
        let _ = (&file).write_all(format!("{step}\n").as_bytes());
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        if step == dies_at || number.to_string() == dies_at {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            // The signal comes a moment later: nothing more happens here.
            loop {
                std::thread::park();
            }
        }
    }));
}

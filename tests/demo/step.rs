//! What a tour prints: one line a step with its time, on stand-ins and on real parts alike.

use std::io::Write as _;
use std::time::Instant;

/// The steps of the tour, and what each came to.
pub(crate) struct Tour {
    begun: Instant,
    step: Instant,
    number: u32,
}

impl Tour {
    pub(crate) fn begin() -> Self {
        Self { begun: Instant::now(), step: Instant::now(), number: 0 }
    }

    pub(crate) fn done(&mut self, what: &str, seen: &str) -> anyhow::Result<()> {
        self.number += 1;
        let took = self.step.elapsed();
        writeln!(std::io::stdout(), "{:2}  {:5.2} s  {what}: {seen}", self.number, took.as_secs_f64())?;
        self.step = Instant::now();
        Ok(())
    }

    pub(crate) fn passed(&self) -> anyhow::Result<()> {
        writeln!(std::io::stdout(), "the tour passed in {:.1} s", self.begun.elapsed().as_secs_f64())?;
        Ok(())
    }
}

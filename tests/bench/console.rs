//! console: the console on a large fleet, of 1,000 applications and 10,000 pods; one agent, one console in a
//! pseudo-terminal.
//!
//! The fleet is made once and all is measured on it, one after the other. Figures of k9s and sofka are quoted: they were
//! measured on the same number of pods, on a 2-core machine of this kind, and know no applications.

pub(crate) mod log;

mod fleet;
mod pty;

mod deaths;
mod filter;
mod idle;
mod keys;
mod start;

use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use vt100::Screen;

use crate::Options;
use crate::console::fleet::{Fleet, Shape};
use crate::console::pty::{Pty, lines};
use crate::figure::Figure;

/// Pods of each application.
const PODS: usize = 10;

/// How terminals are told in the figures, and their columns and rows.
const SIZES: [(&str, (u16, u16)); 2] = [("80x24", (80, 24)), ("200x60", (200, 60))];

/// From this age on, ages are told in minutes, and the screen is quiet for most of each.
const AGES_IN_MINUTES: Duration = Duration::from_secs(130);

pub(crate) fn family(options: &Options) -> BoxFuture<'_, anyhow::Result<Vec<Figure>>> {
    async move {
        let fleet =
            Fleet::start(options, &Shape { applications: options.applications, pods: PODS, annotations: &[] }).await?;
        let made = Instant::now();
        let mut figures = start::measure(options, &fleet)?;
        figures.extend(keys::measure(options, &fleet)?);
        figures.extend(filter::measure(options, &fleet)?);
        figures.extend(deaths::measure(options, &fleet)?);
        tokio::time::sleep(AGES_IN_MINUTES.saturating_sub(made.elapsed())).await;
        figures.extend(idle::measure(options, &fleet)?);
        Ok(figures)
    }
    .boxed()
}

/// A console that shows the pods of all applications.
fn on_pods(options: &Options, fleet: &Fleet, size: (u16, u16)) -> anyhow::Result<Pty> {
    let mut console = Pty::start(&options.console, &fleet.agent.socket(), size)?;
    console.wait("the applications", |screen| start::is_loaded(screen, options))?;
    console.press("3")?;
    console.wait("the pods", |screen| has_all(screen, options.applications * PODS))?;
    console.quiet(Duration::from_millis(50))?;
    Ok(console)
}

/// Whether the status line says that so many rows are there.
fn has_all(screen: &Screen, rows: usize) -> bool {
    let digits = |line: &str| line.chars().filter(char::is_ascii_digit).collect::<String>();
    lines(screen).any(|line| line.rsplit_once(" of ").is_some_and(|(_, all)| digits(all) == rows.to_string()))
}

/// The smallest number below or at which so much of all lies.
fn percentile(numbers: &[f64], part: f64) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(place.max(1) - 1).copied()
}

fn milliseconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1_000.0
}

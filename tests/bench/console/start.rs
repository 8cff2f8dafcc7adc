//! From the start of the program to its first bytes, and to the fleet on screen.

use std::time::Duration;

use vt100::Screen;

use super::fleet::{Fleet, name};
use super::pty::{Pty, lines};
use super::{SIZES, has_all, milliseconds};
use crate::Options;
use crate::figure::{Figure, Goal, Unit};

pub(super) fn measure(options: &Options, fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let (mut first, mut shown, mut live) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.runs {
        let mut console = Pty::start(&options.console, &fleet.agent.socket(), SIZES[0].1)?;
        first.push(milliseconds(console.started, console.wait("any byte", |_| true)?.at));
        shown.push(milliseconds(console.started, console.wait("rows", has_rows)?.at));
        if !is_loaded(console.screen(), options) {
            console.wait("all of the fleet", |screen| is_loaded(screen, options))?;
        }
        live.push(console.bytes as f64);
        console.quiet(Duration::from_millis(50))?;
    }
    Ok(vec![
        Figure::new("start: first bytes", Unit::Milliseconds, first)
            .quoted("k9s", 400.0)
            .quoted("sofka 0.34", 10.0)
            .goal(Goal::AtMost(10.0)),
        Figure::new("start: rows on screen", Unit::Milliseconds, shown)
            .quoted("k9s", 14_000.0)
            .quoted("sofka 0.34", 210.0)
            .goal(Goal::AtMost(150.0)),
        Figure::new("start: bytes to the terminal", Unit::Bytes, live),
    ])
}

/// Whether the first application stands there, as it is.
fn has_rows(screen: &Screen) -> bool {
    lines(screen).any(|line| line.contains(&name(0)) && line.contains("Healthy"))
}

/// Whether all of the fleet is there.
pub(super) fn is_loaded(screen: &Screen, options: &Options) -> bool {
    let is_live = lines(screen).next().is_some_and(|line| line.contains("live"));
    has_rows(screen) && has_all(screen, options.applications) && is_live
}

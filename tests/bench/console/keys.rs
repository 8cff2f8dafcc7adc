//! From a key to its paint, and what the paint costs the line: the cursor moves in the list of all pods.

use std::time::Duration;

use super::fleet::Fleet;
use super::pty::{Pty, selected};
use super::{SIZES, milliseconds, on_pods, percentile};
use crate::Options;
use crate::figure::{Figure, Goal, Unit};

/// Keys of one run. With two hundred, the 99th of a hundred is the third slowest.
const KEYS: usize = 200;

pub(super) fn measure(options: &Options, fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (size_words, size) in SIZES {
        let mut console = on_pods(options, fleet, size)?;
        let (mut middle, mut slow, mut bytes, mut scrolled) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..options.runs {
            let moves = moves(&mut console, usize::from(size.1))?;
            let times: Vec<f64> = moves.iter().map(|(time, ..)| *time).collect();
            middle.extend(percentile(&times, 0.5));
            slow.extend(percentile(&times, 0.99));
            let sizes = |scrolls: bool| -> Vec<f64> {
                moves.iter().filter(|(.., scroll)| *scroll == scrolls).map(|(_, bytes, _)| *bytes as f64).collect()
            };
            bytes.extend(percentile(&sizes(false), 0.5));
            scrolled.extend(percentile(&sizes(true), 0.5));
        }
        let figure = |what: &str, unit, runs| Figure::new(format!("{what}, {size_words}"), unit, runs);
        figures.push(
            figure("key to paint, p50", Unit::Milliseconds, middle)
                .quoted("k9s", 9.6)
                .quoted("sofka 0.34, 1,000 pods", 1.9)
                .goal(Goal::AtMost(2.0)),
        );
        figures.push(
            figure("key to paint, p99", Unit::Milliseconds, slow)
                .quoted("sofka 0.34, 1,000 pods", 4.8)
                .goal(Goal::AtMost(16.0)),
        );
        figures.push(
            figure("bytes a cursor move", Unit::Bytes, bytes)
                .quoted("k9s", 1_237.0)
                .quoted("sofka 0.34", 722.0)
                .goal(Goal::AtMost(300.0)),
        );
        figures.push(figure("bytes a move that scrolls the list", Unit::Bytes, scrolled));
    }
    Ok(figures)
}

/// Moves down by two screens and up again, and so on: the milliseconds and bytes of each move, and whether it scrolled.
fn moves(console: &mut Pty, rows: usize) -> anyhow::Result<Vec<(f64, usize, bool)>> {
    let mut moves = Vec::new();
    for number in 0..KEYS {
        let key = if (number / (2 * rows)).is_multiple_of(2) { "j" } else { "k" };
        console.quiet(Duration::from_millis(2))?;
        let (before, place) = (selected(console.screen()), console.screen().contents());
        let pressed = console.press(key)?;
        let paint = console.wait("the cursor to move", |screen| selected(screen) != before)?;
        let row = |screen: &str| screen.lines().position(|line| line.starts_with('▌'));
        let scrolled = row(&place) == row(&console.screen().contents());
        moves.push((milliseconds(pressed, paint.at), paint.bytes, scrolled));
    }
    console.press("g")?;
    console.quiet(Duration::from_millis(50))?;
    Ok(moves)
}

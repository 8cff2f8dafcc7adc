//! A filter as it is typed, over all pods: each key filters anew.

use std::time::Duration;

use super::fleet::{Fleet, name};
use super::pty::lines;
use super::{PODS, SIZES, has_all, milliseconds, on_pods};
use crate::Options;
use crate::figure::{Figure, Goal, Unit};

pub(super) fn measure(options: &Options, fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let (mut each, mut last) = (Vec::new(), Vec::new());
    let mut console = on_pods(options, fleet, SIZES[0].1)?;
    for run in 0..options.runs {
        let word = name(run * 7);
        console.press("/")?;
        console.wait("the filter to be asked for", |screen| footer(screen).contains("filter /"))?;
        for end in 1..=word.len() {
            console.quiet(Duration::from_millis(5))?;
            let typed = &word[..end];
            let pressed = console.press(&word[end - 1..end])?;
            let paint = console.wait("the filter", |screen| {
                footer(screen).trim_end().ends_with(&format!("filter /{typed}"))
                    && lines(screen).any(|line| line.contains(&format!("filter /{typed}")) && line.contains(" of "))
            })?;
            let took = milliseconds(pressed, paint.at);
            each.push(took);
            if end == word.len() {
                last.push(took);
            }
        }
        anyhow::ensure!(
            has_all(console.screen(), PODS),
            "not the ten pods of {word}:\n{}",
            console.screen().contents()
        );
        console.press("\x1b")?;
        console.wait("all pods again", |screen| has_all(screen, options.applications * PODS))?;
    }
    Ok(vec![
        Figure::new("filter of all pods: last key to paint", Unit::Milliseconds, last)
            .quoted("k9s", 2_000.0)
            .quoted("sofka 0.34, 1,000 pods", 4.0)
            .goal(Goal::AtMost(16.0)),
        Figure::new("filter of all pods: any key to paint", Unit::Milliseconds, each),
    ])
}

/// The last line.
fn footer(screen: &vt100::Screen) -> String {
    lines(screen).last().unwrap_or_default()
}

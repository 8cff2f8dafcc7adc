//! Nothing happens: what that costs.

use std::time::{Duration, Instant};

use super::fleet::Fleet;
use super::pty::Pty;
use super::{SIZES, on_pods};
use crate::Options;
use crate::figure::{Figure, Goal, Unit};

/// How long it is watched: processor time is counted in hundredths of a second, so a minute's is told to 0.03.
const WATCHED: Duration = Duration::from_secs(20);

pub(super) fn measure(options: &Options, fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let mut console = on_pods(options, fleet, SIZES[0].1)?;
    let (process, agent) = (console.process()?, fleet.process);
    let [mut ages, mut aging, mut agents, mut bytes, mut still] = [const { Vec::new() }; 5];
    for _ in 0..options.runs {
        let before = agent.cpu()?;
        let (written, cpu) = watched(&mut console)?;
        agents.push(minute(agent.cpu()? - before));
        ages.push(written);
        aging.push(cpu);
    }
    // An object as YAML does not grow older: where nothing happens nothing is to be written.
    console.press("y")?;
    console.wait("the pod as YAML", |screen| screen.contents().contains("apiVersion"))?;
    for _ in 0..options.runs {
        let (written, cpu) = watched(&mut console)?;
        bytes.push(written);
        still.push(cpu);
    }
    Ok(vec![
        Figure::new("idle, pods on screen: bytes in 20 s, ages alone", Unit::Bytes, ages).goal(Goal::AtMost(0.0)),
        Figure::new("idle, pods on screen", Unit::CpuPerMinute, aging)
            .quoted("k9s", 38.0)
            .quoted("sofka 0.34", 0.12)
            .goal(Goal::AtMost(0.06)),
        Figure::new("idle, nothing ages: bytes in 20 s", Unit::Bytes, bytes).goal(Goal::AtMost(0.0)),
        Figure::new("idle, nothing ages", Unit::CpuPerMinute, still).goal(Goal::AtMost(0.06)),
        Figure::new("idle: memory of the console", Unit::Mebibytes, vec![process.peak()?])
            .quoted("k9s", 993.0)
            .quoted("sofka 0.34", 410.0)
            .goal(Goal::AtMost(40.0)),
        Figure::new("idle: the agent", Unit::CpuPerMinute, agents),
        Figure::new("idle: memory of the agent", Unit::Mebibytes, vec![agent.peak()?]).goal(Goal::AtMost(100.0)),
    ])
}

/// Bytes, and seconds of processor time in a minute, that the console takes while nothing happens.
fn watched(console: &mut Pty) -> anyhow::Result<(f64, f64)> {
    console.quiet(Duration::from_millis(500))?;
    let (bytes, process) = (console.bytes, console.process()?);
    let before = process.cpu()?;
    console.watch(Instant::now() + WATCHED, |_, _| {})?;
    Ok(((console.bytes - bytes) as f64, minute(process.cpu()? - before)))
}

fn minute(seconds: f64) -> f64 {
    seconds * 60.0 / WATCHED.as_secs_f64()
}

//! A cluster in motion: pods die all over it, their owners make new ones, and somebody moves about in the list.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::cluster::store::text;

use super::fleet::Fleet;
use super::pty::selected;
use super::{SIZES, milliseconds, on_pods, percentile};
use crate::Options;
use crate::figure::{Figure, Goal, Unit};

/// From one that dies to the next: a prime, so that all come once.
const STRIDE: usize = 7_919;

/// So many of the first in the list live on: more than a screen shows.
const LIVE_ON: usize = 100;

/// Between two deaths: twenty a second.
const BETWEEN_DEATHS: Duration = Duration::from_millis(50);

/// Between two keys: a person who holds a key down sends more, one who reads far fewer.
const BETWEEN_KEYS: Duration = Duration::from_millis(100);

/// A key that is not painted by then is counted as unpainted.
const UNPAINTED_MS: f64 = 100.0;

/// How long it is watched, each time.
const WATCHED: Duration = Duration::from_secs(12);

pub(super) fn measure(options: &Options, fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let mut console = on_pods(options, fleet, SIZES[0].1)?;
    // Those in trouble come first, so that what happens is seen: by name, most of it would happen out of sight.
    console.press("ss")?;
    console.wait("another order", |screen| screen.contents().contains("trouble first"))?;
    let (stop, died) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (pods, process, agent) = (fleet.cluster.pods(""), console.process()?, fleet.process);
    // All over the fleet, and none twice. The first ones live on: nothing young is on screen when an idle console is watched.
    let victims: Vec<(String, String)> = (0..pods.len())
        .map(|number| number * STRIDE % pods.len())
        .filter(|place| *place >= LIVE_ON)
        .map(|place| &pods[place])
        .map(|pod| (text(pod, "/metadata/namespace").to_owned(), text(pod, "/metadata/name").to_owned()))
        .collect();
    let [mut rate, mut ours, mut agents, mut p50, mut p99, mut unpainted, mut bytes] = [const { Vec::new() }; 7];
    let mut rest = victims.iter();
    for _ in 0..options.runs {
        stop.store(false, Ordering::Relaxed);
        died.store(0, Ordering::Relaxed);
        let (before, ours_before, agents_before) = (console.bytes, process.cpu()?, agent.cpu()?);
        let began = Instant::now();
        let mut times = Vec::new();
        std::thread::scope(|scope| -> anyhow::Result<()> {
            let deaths = scope.spawn(|| kill(fleet, &mut rest, &stop, &died));
            while began.elapsed() < WATCHED {
                let key = if (times.len() / 10).is_multiple_of(2) { "j" } else { "k" };
                console.watch(Instant::now() + BETWEEN_KEYS, |_, _| {})?;
                let before = selected(console.screen());
                let pressed = console.press(key)?;
                let paint = console.wait("the cursor to move", |screen| selected(screen) != before)?;
                times.push(milliseconds(pressed, paint.at));
            }
            stop.store(true, Ordering::Relaxed);
            deaths.join().map_err(|_| anyhow::anyhow!("the killing of pods has failed"))
        })?;
        let took = began.elapsed().as_secs_f64();
        let minute = |seconds: f64| seconds * 60.0 / took;
        rate.push(died.load(Ordering::Relaxed) as f64 / took);
        ours.push(minute(process.cpu()? - ours_before));
        agents.push(minute(agent.cpu()? - agents_before));
        p50.extend(percentile(&times, 0.5));
        p99.extend(percentile(&times, 0.99));
        let late = times.iter().filter(|time| **time > UNPAINTED_MS).count();
        unpainted.push(100.0 * late as f64 / times.len() as f64);
        bytes.push((console.bytes - before) as f64 / took);
    }
    let figure = |what: &str, unit, runs| Figure::new(format!("20 pods die a second: {what}"), unit, runs);
    Ok(vec![
        // Fewer than twenty where the machine had no time for the stand-in: the figures below are of that many then.
        Figure::new("pods that died a second", Unit::Count, rate),
        figure("the console", Unit::CpuPerMinute, ours)
            .quoted("k9s", 27.0)
            .quoted("sofka 0.34", 33.0)
            .goal(Goal::AtMost(6.0)),
        figure("the agent", Unit::CpuPerMinute, agents),
        figure("key to paint, p50", Unit::Milliseconds, p50),
        figure("key to paint, p99", Unit::Milliseconds, p99).goal(Goal::AtMost(16.0)),
        figure("keys not painted in 100 ms", Unit::Percent, unpainted).quoted("k9s", 13.0).goal(Goal::AtMost(0.0)),
        figure("bytes a second to the terminal", Unit::Bytes, bytes),
    ])
}

/// Deletes pods, one after the other, until told to stop.
fn kill<'v>(
    fleet: &Fleet,
    victims: &mut (impl Iterator<Item = &'v (String, String)> + Send),
    stop: &AtomicBool,
    died: &AtomicUsize,
) {
    let mut next = Instant::now();
    for (namespace, name) in victims {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if fleet.cluster.delete("pods", namespace, name).is_ok() {
            died.fetch_add(1, Ordering::Relaxed);
        }
        next += BETWEEN_DEATHS;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

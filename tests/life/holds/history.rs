//! What the agent keeps and what it costs: a history without gaps, numbers that are given once, and all of it bounded.

use super::{Finding, Seen};
use crate::reader::{number, of_kind};
use crate::town::Town;

/// Events that one step may cause, in the mean: a dozen tags at once are a dozen runs of some ten events each.
const EVENTS: u64 = 60;
/// Requests to the cluster that one step may cause, in the mean.
const REQUESTS: u64 = 150;
/// What the agent may hold in memory, in KiB: three times what it holds at rest.
const MEMORY: u64 = 192 * 1024;

pub(super) fn broken(seen: &Seen, town: &Town) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut say = |rule, words: String| found.push(Finding::new(rule, words));
    let ids: Vec<u64> = seen.events.iter().filter_map(|event| number(&event["id"])).collect();
    if let Some(pair) = ids.windows(2).find(|pair| pair[0] != pair[1] + 1) {
        say("events", format!("event {} follows event {}", pair[0], pair[1]));
    }
    for run in &seen.runs {
        let (id, reference) = (number(&run["id"]).unwrap_or_default(), run["reference"].as_str().unwrap_or_default());
        if let Some(before) = town.ledger.runs.get(&id).filter(|before| *before != reference) {
            say("run number", format!("run {id} was of {before}, and is of {reference}"));
        }
    }
    for agent in of_kind(&seen.state, "Agent") {
        for trouble in ["configuration_error", "history_error"] {
            if !agent[trouble].is_null() {
                say("trouble", format!("{trouble}: {}", agent[trouble]));
            }
        }
    }
    for connection in of_kind(&seen.state, "Connection").filter(|one| one["reachable"] != true) {
        say(
            "trouble",
            format!("{} {} is said to be away: {}", connection["to"], connection["name"], connection["error"]),
        );
    }
    for repository in of_kind(&seen.state, "Repository").filter(|one| !one["error"].is_null()) {
        say("trouble", format!("{}: {}", repository["address"], repository["error"]));
    }
    let acts = town.ledger.acts + 10;
    let newest = ids.first().copied().unwrap_or_default();
    if newest > EVENTS * acts {
        say("bounds", format!("{newest} events of {acts} steps"));
    }
    let requests = town.world.cluster.counts().all();
    if requests > REQUESTS * acts {
        say("bounds", format!("{requests} requests to the cluster in {acts} steps"));
    }
    if let Ok(kib) = town.world.memory_kib("VmHWM")
        && kib > MEMORY
    {
        say("bounds", format!("{kib} KiB of memory"));
    }
    found
}

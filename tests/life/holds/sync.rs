//! The cluster and what is told of it: equal to git where that is wanted, untouched where it is not, and shown as it is.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Finding, Seen};
use crate::reader::{commit_of, goes, is_so, label, of_kind};
use crate::things::{App, BOATS, CRDS, Place, Thing};
use crate::town::Town;

pub(super) fn broken(seen: &Seen, town: &Town) -> Vec<Finding> {
    let mut found = Vec::new();
    for app in App::ALL {
        application(seen, town, app, &mut found);
    }
    pods(seen, &mut found);
    unasked(seen, town, &mut found);
    remade(seen, town, &mut found);
    found
}

fn application(seen: &Seen, town: &Town, app: App, found: &mut Vec<Finding>) {
    let name = app.name();
    let mut say = |rule, words: String| found.push(Finding::new(rule, format!("{name}: {words}")));
    let Some(row) = seen.row(app) else { return say("row", "it is not in the state".to_owned()) };
    let (suspended, pin) = (row["suspended"] == true, super::pin(row));
    if town.ledger.suspended.get(&app).is_some_and(|meant| *meant != suspended) {
        say("intent", format!("a person left it {}suspended", if suspended { "un" } else { "" }));
    }
    if town.ledger.pinned.get(&app).is_some_and(|meant| *meant != pin) {
        say("intent", format!("a person pinned it to {:?}, and it is at {pin:?}", town.ledger.pinned[&app]));
    }
    // What is not defined cannot be watched: whoever is held does not put the definition back.
    let may_be = |unseen: &Value| unseen["what"] == "Boats" && !is_defined(seen);
    if row["unseen"].as_array().is_some_and(|all| !all.iter().all(may_be)) {
        say("unseen", format!("all can be seen, and it says {}", row["unseen"]));
    }
    // Who is held may still want what moved to its neighbour, and a person has to say whose it is.
    let held = |app: App| seen.row(app).is_some_and(|row| row["suspended"] == true || super::pin(row).is_some());
    let shared = [App::Sea, App::Pier];
    if town.ledger.moved && shared.contains(&app) && shared.into_iter().any(held) {
        return;
    }
    let Some((commit, objects)) = seen.target(app) else { return };
    // Where nothing is left of a folder that is a mistake before it is a wish: nothing is pruned, nor taken over, and said so.
    let is_bare = |app: App| seen.target(app).is_some_and(|(_, objects)| objects.is_empty());
    if is_bare(app) || (shared.contains(&app) && shared.into_iter().any(is_bare)) {
        return;
    }
    // A rewritten branch may name an object in both folders: then they may only be told so.
    let is_in = |app: App, place: &Place| seen.target(app).is_some_and(|(_, objects)| objects.contains_key(place));
    if shared.contains(&app) && objects.keys().any(|place| shared.into_iter().all(|app| is_in(app, place))) {
        return;
    }
    let differs = differs(seen, app, objects);
    let told = format!("{} {} at {}: {}", row["sync"], row["health"], row["revision"], row["message"]);
    let sync = if differs.is_empty() { "Synced" } else { "OutOfSync" };
    if row["sync"] != sync {
        say("sync shown", format!("it is {sync} ({}), and it says {told}", differs.join(", ")));
    }
    if app.is_automatic() && !suspended {
        if !differs.is_empty() {
            say("sync", format!("{}; it says {told}", differs.join(", ")));
        }
        if commit_of(&row["revision"]).as_ref() != Some(commit) {
            say("revision", format!("git is at {commit}, and it says {told}"));
        }
        // A person may have taken back all that was promoted: then git names an image that nobody pushed.
        let is_there = !objects.values().any(|object| object.to_string().contains("ops/shop:none"));
        if (row["health"] == "Healthy") != is_there {
            let rows = of_kind(&seen.state, "Resource").filter(|one| one["environment"] == row["environment"]);
            let ill = rows.filter(|one| one["health"] != "Healthy").map(|one| {
                let live = seen.live.iter().find(|(place, _)| place.name == one["resource"]["name"]);
                format!("{one}, and it is {}", live.map_or(&Value::Null, |(_, live)| &live["status"]))
            });
            say("health", format!("it says {told}; {}", ill.collect::<Vec<_>>().join("; ")));
        }
    }
}

/// Whether the cluster serves what `sea` defines.
fn is_defined(seen: &Seen) -> bool {
    let definition = Place { resource: CRDS, namespace: String::new(), name: BOATS.to_owned() };
    seen.live.get(&definition).is_some_and(|live| live["spec"]["versions"][0]["served"] == true)
}

/// How the cluster differs from what is wanted: what is missing, other, or too much.
fn differs(seen: &Seen, app: App, objects: &std::collections::BTreeMap<Place, Value>) -> Vec<String> {
    let mut differs = Vec::new();
    for (place, manifest) in objects {
        match seen.live.get(place) {
            None => differs.push(format!("{} is missing", place.name)),
            Some(live) if !is_so(manifest, live) => differs.push(format!("{} is other", place.name)),
            Some(live) if label(live) != Some(app.name()) => {
                differs.push(format!("{} has the label {:?}", place.name, label(live)));
            }
            Some(_) => {}
        }
    }
    let ours = seen.live.iter().filter(|(place, live)| {
        label(live) == Some(app.name()) && !goes(live) && !place.name.starts_with("quarterdeck-")
    });
    differs.extend(
        ours.filter(|(place, _)| !objects.contains_key(place)).map(|(place, _)| format!("{} is too much", place.name)),
    );
    differs
}

/// The pods that are told are those that are there.
fn pods(seen: &Seen, found: &mut Vec<Finding>) {
    let told: BTreeSet<(&str, &str)> = of_kind(&seen.state, "Pod")
        .filter(|pod| pod["status"] != "Terminating")
        .filter_map(|pod| Some((pod["namespace"].as_str()?, pod["name"].as_str()?)))
        .collect();
    let there: BTreeSet<(&str, &str)> = seen
        .pods
        .iter()
        .flat_map(|(namespace, names)| names.iter().map(move |name| (namespace.as_str(), name.as_str())))
        .collect();
    if told != there {
        found.push(Finding::new("pods", format!("there are {there:?}, and it tells of {told:?}")));
    }
}

/// Where nothing is automatic there is nothing that nobody asked for, and nothing is missing that nobody took.
fn unasked(seen: &Seen, town: &Town, found: &mut Vec<Finding>) {
    let asked = |thing: Thing| town.ledger.asked.iter().filter(move |(_, only)| only.is_none_or(|only| only == thing));
    for thing in Thing::ALL.into_iter().filter(|thing| thing.home() == App::Tea) {
        let place = thing.place();
        let meant: Vec<Option<Value>> =
            asked(thing).map(|(commit, _)| town.wanted(commit).get(&App::Tea)?.get(&place).cloned()).collect();
        let fine = match seen.live.get(&place) {
            Some(live) if live["data"]["value"] == "edited" => true,
            Some(live) => meant.iter().flatten().any(|manifest| is_so(manifest, live)),
            None => {
                meant.iter().any(Option::is_none)
                    || town.ledger.was_touched(&place)
                    || !town.ledger.uids.contains_key(&place)
            }
        };
        if !fine {
            let is = seen.live.get(&place).map_or(&Value::Null, |live| &live["data"]);
            found.push(Finding::new("asked", format!("{thing:?} is {is}, and nobody asked for that")));
        }
    }
}

/// What git wants all the time is the same object all the time.
fn remade(seen: &Seen, town: &Town, found: &mut Vec<Finding>) {
    for (place, uid) in uids(seen) {
        let before = town.ledger.uids.get(&place).filter(|_| !town.ledger.was_touched(&place));
        if before.is_some_and(|before| *before != uid) {
            found.push(Finding::new("remade", format!("{} was deleted and made anew", place.name)));
        }
    }
}

/// The uids of what git wants.
pub(crate) fn uids(seen: &Seen) -> Vec<(Place, String)> {
    let all = App::ALL.into_iter().filter_map(|app| seen.target(app)).flat_map(|(_, objects)| objects.keys());
    all.filter_map(|place| Some((place.clone(), seen.live.get(place)?["metadata"]["uid"].as_str()?.to_owned())))
        .collect()
}

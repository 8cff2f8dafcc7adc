//! Tags, runs, images and promotion commits: one to one, in the order of the tags, and production on the newest.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Finding, Seen};
use crate::ledger::Tag;
use crate::things::SHOP;
use crate::town::Town;

pub(super) fn broken(seen: &Seen, town: &Town) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut say = |rule, words: String| found.push(Finding::new(rule, words));
    for run in &seen.runs {
        if ["Queued", "Running"].iter().any(|phase| run["phase"] == *phase) {
            say("run", format!("run {} {} is still {}: {}", run["id"], run["reference"], run["phase"], run["message"]));
        }
    }
    let owed = |tag: &&Tag| tag.number > town.ledger.before_loss && !town.ledger.excused.contains(&tag.name());
    for tag in town.ledger.tags.iter().filter(owed) {
        let of_tag = || seen.runs.iter().filter(|run| run["reference"] == *tag.name());
        // An outage that lasts longer than a few seconds ends what only waits for it, where a newer release is queued.
        let gave_way = |run: &Value| run["message"].as_str().is_some_and(|said| said.starts_with("superseded by run "));
        if of_tag().any(|run| run["phase"] == "Cancelled" && gave_way(run)) {
            continue;
        }
        if !of_tag().any(|run| run["phase"] == "Succeeded" || run["phase"] == "Skipped") {
            let ends: Vec<String> = of_tag().map(|run| format!("{} {}", run["phase"], run["message"])).collect();
            say("run", format!("no run of {} did what it should: {ends:?}", tag.name()));
        }
        if tag.push && town.world.registry.digest("ops/shop", &tag.number.to_string()).is_none() {
            say("image", format!("there is no image of {}", tag.name()));
        }
    }
    let promoted: Vec<usize> =
        seen.subjects.iter().filter_map(|subject| subject.strip_prefix("shop: ")?.parse().ok()).collect();
    found.extend(disorder(&promoted, &(&town.ledger.again | &town.ledger.late)));
    production(seen, town, &mut found);
    found
}

/// What is wrong with the order in which versions were promoted; those that a person asked for again may come at any time.
fn disorder(promoted: &[usize], again: &BTreeSet<usize>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut before = BTreeSet::new();
    for number in promoted.iter().filter(|number| !again.contains(number)) {
        if before.contains(number) {
            found.push(Finding::new("promoted twice", format!("{number} was promoted twice: {promoted:?}")));
        } else if let Some(newer) = before.last().filter(|newer| **newer > number) {
            found.push(Finding::new("order", format!("{number} was promoted after {newer}: {promoted:?}")));
        }
        before.insert(number);
    }
    found
}

fn production(seen: &Seen, town: &Town, found: &mut Vec<Finding>) {
    let pushes = town.ledger.tags.iter().filter(|tag| tag.push && !town.ledger.excused.contains(&tag.name()));
    let wanted = pushes.map(|tag| tag.number).max().unwrap_or(0);
    if wanted <= town.ledger.reverted {
        return;
    }
    let manifest: Value = serde_json::from_str(&town.deploy.file("main", SHOP)).unwrap_or_default();
    let image = manifest["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
    let (name, digest) = image.split_once('@').unwrap_or((image, ""));
    let number: usize = name.rsplit(':').next().and_then(|tag| tag.parse().ok()).unwrap_or(0);
    if number < wanted && !town.ledger.late.contains(&number) {
        let newest = seen.runs.iter().filter(|run| run["reference"] == format!("push-{wanted}"));
        let ends: Vec<String> =
            newest.map(|run| format!("{} {} {}", run["id"], run["phase"], run["message"])).collect();
        let branch = &seen.subjects;
        let words = format!(
            "the newest version is {wanted}, and production is at {number}; its runs: {ends:?}; the branch: {branch:?}"
        );
        found.push(Finding::new("production", words));
    }
    if town.world.registry.digest("ops/shop", &number.to_string()).as_deref() != Some(digest) {
        found.push(Finding::new("production", format!("the registry has no {image}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_go_up_and_each_goes_once() {
        let again = BTreeSet::from([7]);
        let table: [(&[usize], &[&str]); 5] = [
            (&[1, 2, 4, 10], &[]),
            (&[1, 3, 2], &["order"]),
            (&[1, 2, 1], &["promoted twice"]),
            (&[1, 10, 2, 3, 11], &["order", "order"]),
            (&[7, 8, 7, 9], &[]),
        ];
        for (promoted, rules) in table {
            let found: Vec<&str> = disorder(promoted, &again).iter().map(|finding| finding.rule).collect();
            assert_eq!(found, rules, "{promoted:?}");
        }
    }
}

//! While an accident lasts: what cannot be seen is not claimed.

use serde_json::Value;

use super::Finding;
use crate::reader::{self, of_kind};
use crate::town::Town;

/// What is claimed, and stands on nothing.
pub(crate) fn unsaid(state: &Value, town: &Town) -> Vec<Finding> {
    let mut found = Vec::new();
    let live = reader::live(&town.world.cluster);
    // What has nothing in the cluster has nothing to be watched.
    let is_there = |row: &Value| {
        live.values()
            .any(|object| reader::label(object).is_some_and(|name| row["environment"] == format!("{name}/prod")))
    };
    let forbidden = |verb: &str| town.accidents.forbidden.iter().any(|(one, _)| one == verb || one == "*");
    for row in of_kind(state, "Environment") {
        let mut say = |words: &str| {
            let told = format!("{} {} {}, {}", row["sync"], row["health"], row["message"], row["unseen"]);
            found.push(Finding::new("claimed", format!("{}: {words}; it says {told}", row["environment"])));
        };
        let unseen = |of: &str| row["unseen"].as_array().into_iter().flatten().any(|unseen| unseen["of"] == of);
        if town.accidents.cluster_away && (row["sync"] != "Unknown" || row["health"] != "Unknown") {
            say("the cluster is away");
        } else if forbidden("watch") && row["health"] != "Unknown" && is_there(row) {
            // Where only listing is forbidden, a watch goes on from where it was.
            say("nothing may be watched");
        }
        let repository = town.accidents.forge_away || town.accidents.forge_fails || !town.has_deploy();
        if repository && !unseen("repository") && !unseen("cluster") {
            say("the repository of the manifests cannot be read");
        }
    }
    found
}

//! What must hold: each rule looks at what was seen and says what is wrong. Nothing is done here.

mod cover;
mod delivery;
mod history;
mod sync;

pub(crate) use self::cover::unsaid;
pub(crate) use self::sync::uids;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::reader::{self, Objects, Wanted, commit_of};
use crate::things::App;
use crate::town::Town;

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Which rule.
    pub(crate) rule: &'static str,
    /// What was seen.
    pub(crate) words: String,
}

impl Finding {
    /// A finding.
    pub(crate) fn new(rule: &'static str, words: impl Into<String>) -> Finding {
        Finding { rule, words: words.into() }
    }
}

/// Everything that is looked at, read once.
pub(crate) struct Seen {
    /// What the agent tells.
    pub(crate) state: Value,
    /// Its newest events, newest first.
    pub(crate) events: Vec<Value>,
    /// Its newest runs of the shop, newest first.
    pub(crate) runs: Vec<Value>,
    /// What is in the cluster.
    pub(crate) live: Objects,
    /// The pods of the cluster by namespace: the names of those that stay.
    pub(crate) pods: BTreeMap<String, Vec<String>>,
    /// Where the deploy branch is.
    pub(crate) head: String,
    /// What commits of it want: that one, and those that are pinned to.
    pub(crate) wanted: BTreeMap<String, Arc<Wanted>>,
    /// The subjects of the deploy branch, oldest first.
    pub(crate) subjects: Vec<String>,
}

impl Seen {
    /// Looks at everything. Nothing where the agent does not answer.
    pub(crate) async fn now(town: &Town) -> Option<Seen> {
        let state = town.state().await?;
        let rows = |answer: Value| answer.as_array().cloned().unwrap_or_default();
        let events = rows(town.get("/v1/events?limit=1000").await?);
        let runs = rows(town.get("/v1/runs?application=shop&limit=1000").await?);
        let head = town.deploy.rev("main");
        let pinned = App::ALL.into_iter().filter_map(|app| pin(row(&state, app)?));
        let commits = pinned.chain([head.clone()]);
        let wanted = commits.map(|commit| (commit.clone(), town.wanted(&commit))).collect();
        let mut subjects = town.deploy.subjects("main");
        subjects.reverse();
        let mut pods: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for app in App::ALL {
            let staying = town.world.cluster.pods(app.namespace()).into_iter().filter(|pod| !reader::goes(pod));
            let names = staying.map(|pod| pod["metadata"]["name"].as_str().unwrap_or_default().to_owned());
            pods.insert(app.namespace().to_owned(), names.collect());
        }
        Some(Seen { state, events, runs, live: reader::live(&town.world.cluster), pods, head, wanted, subjects })
    }

    /// The row of an application.
    pub(crate) fn row(&self, app: App) -> Option<&Value> {
        row(&self.state, app)
    }

    /// What an application is to be: the commit that it follows, and what that wants.
    pub(crate) fn target(&self, app: App) -> Option<(&String, &Objects)> {
        let commit = self.row(app).and_then(pin).unwrap_or_else(|| self.head.clone());
        let (commit, wanted) = self.wanted.get_key_value(&commit)?;
        Some((commit, wanted.get(&app)?))
    }
}

fn row(state: &Value, app: App) -> Option<&Value> {
    state["objects"].get(format!("environment/{}/prod", app.name()))
}

/// The commit that a row is pinned to.
pub(crate) fn pin(row: &Value) -> Option<String> {
    commit_of(&row["pin"]["revision"])
}

/// All that has to hold at a rest.
pub(crate) fn broken(seen: &Seen, town: &Town) -> Vec<Finding> {
    [sync::broken(seen, town), delivery::broken(seen, town), history::broken(seen, town)].concat()
}

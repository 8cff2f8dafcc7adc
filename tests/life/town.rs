//! A town: one agent, all that it talks to, and what is wrong at the moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use harness::cluster::faults::Fault;
use harness::cluster::store::Snapshot;
use harness::git::{Change, Repo};
use harness::world::World;
use serde_json::Value;

use crate::ledger::Ledger;
use crate::reader::{self, Wanted, commit_of};
use crate::things::{App, Thing};

/// Everything of one life.
pub(crate) struct Town {
    /// The agent, the forge, the engine, the registry and the cluster.
    pub(crate) world: World,
    /// The code of the shop.
    pub(crate) code: Repo,
    /// The manifests of all.
    pub(crate) deploy: Repo,
    /// What was done.
    pub(crate) ledger: Ledger,
    /// What is wrong.
    pub(crate) accidents: Accidents,
    /// What the configuration says beside what it always says.
    pub(crate) configured: Configured,
    /// A backup of etcd.
    pub(crate) backup: Option<Snapshot>,
    /// What commits of the manifests want: each is read once, for a rest looks twenty times a second.
    wanted: Mutex<BTreeMap<String, Arc<Wanted>>>,
}

/// What is wrong at the moment, as far as it has to be undone.
#[derive(Debug, Default)]
pub(crate) struct Accidents {
    /// The API server is down.
    pub(crate) cluster_away: bool,
    /// What is forbidden, by verb.
    pub(crate) forbidden: Vec<(String, Fault)>,
    /// The forge is down.
    pub(crate) forge_away: bool,
    /// The forge answers 500.
    pub(crate) forge_fails: bool,
    /// The registry is down.
    pub(crate) registry_away: bool,
    /// The engine is down.
    pub(crate) engine_away: bool,
    /// The agent is stopped where it is.
    pub(crate) frozen: bool,
}

/// What the configuration says.
#[derive(Debug, Default)]
pub(crate) struct Configured {
    /// Polls are a little further apart.
    pub(crate) slower: bool,
    /// Applications that are not in it.
    pub(crate) without: BTreeSet<App>,
}

/// How long the agent has to answer a person.
const ANSWER: Duration = Duration::from_secs(5);

impl Town {
    /// A town of which nothing is deployed yet.
    pub(crate) fn new(world: World) -> Town {
        let (code, deploy) = (world.forge.repo("ops/shop"), world.forge.repo("ops/deploy"));
        let mut ledger = Ledger::default();
        for app in App::ALL {
            ledger.suspended.insert(app, false);
            ledger.pinned.insert(app, None);
        }
        Town {
            world,
            code,
            deploy,
            ledger,
            accidents: Accidents::default(),
            configured: Configured::default(),
            backup: None,
            wanted: Mutex::default(),
        }
    }

    /// Writes the configuration as it is now.
    pub(crate) fn configure(&self) -> anyhow::Result<()> {
        let interval = if self.configured.slower { "350ms" } else { "300ms" };
        let mut text = self.world.config_head("a life").replace("\"500ms\"", &format!("\"{interval}\""));
        for app in App::ALL.into_iter().filter(|app| !self.configured.without.contains(app)) {
            text += &self.application(app);
        }
        self.world.configure(&text)
    }

    fn application(&self, app: App) -> String {
        let (name, namespace) = (app.name(), app.namespace());
        let mut text = format!("\n[[application]]\nname = \"{name}\"\n");
        if app == App::Shop {
            let (from, image) = (self.world.forge.http("ops/shop"), self.world.image("ops/shop"));
            text +=
                &format!("[application.code]\nrepository = \"{from}\"\n[[application.image]]\nname = \"{image}\"\n");
        }
        let deploy = self.world.forge.http("ops/deploy");
        text += &format!(
            "[[application.environment]]\nname = \"prod\"\nrepository = \"{deploy}\"\nbranch = \"main\"\npath = \"apps/{name}\"\ncluster = \"demo\"\n\
             namespace = \"{namespace}\"\ncreate_namespace = true\n"
        );
        if !app.is_automatic() {
            text += "[application.environment.sync]\nautomatic = false\n";
        }
        text
    }

    /// The same, and has the agent read it.
    pub(crate) fn reload(&self) -> anyhow::Result<()> {
        self.configure()?;
        self.world.reload_agent();
        Ok(())
    }

    /// Whether the manifests are there.
    pub(crate) fn has_deploy(&self) -> bool {
        self.deploy.path().join("HEAD").exists()
    }

    /// Whether the code is there.
    pub(crate) fn has_code(&self) -> bool {
        !aside(&self.code).exists()
    }

    /// Whether the manifests have this file.
    pub(crate) fn has_file(&self, path: &str) -> bool {
        self.has_deploy() && !self.deploy.git(&["ls-tree", "main", "--", path]).is_empty()
    }

    /// What a commit of the manifests wants.
    pub(crate) fn wanted(&self, commit: &str) -> Arc<Wanted> {
        let mut known = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || Arc::new(reader::wanted(&self.deploy, commit));
        known.entry(commit.to_owned()).or_insert_with(read).clone()
    }

    /// The application that has an object in git.
    pub(crate) fn owner(&self, thing: Thing) -> Option<App> {
        App::ALL.into_iter().find(|app| self.has_file(&thing.file(*app)))
    }

    /// Commits a change of the manifests.
    pub(crate) fn commit<'r>(&'r mut self, message: &str, change: impl FnOnce(Change<'r>) -> Change<'r>) {
        let commit = change(self.deploy.change("main")).commit(message);
        self.ledger.committed(commit);
    }

    /// Notes that the manifests are at another commit.
    pub(crate) fn committed(&mut self) {
        self.ledger.committed(self.deploy.rev("main"));
    }

    /// The state, if the agent answers.
    pub(crate) async fn state(&self) -> Option<Value> {
        self.request("GET", "/v1/state", &Value::Null).await
    }

    /// Asks for something, if the agent answers. Nothing where it refuses.
    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        self.request("GET", path, &Value::Null).await
    }

    /// Tells the agent something. Nothing where it does not take it.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Option<Value> {
        self.request("POST", path, body).await
    }

    async fn request(&self, method: &str, path: &str, body: &Value) -> Option<Value> {
        if self.accidents.frozen || self.world.pid().is_none() {
            return None;
        }
        let socket = self.world.socket();
        tokio::time::timeout(ANSWER, reader::request(&socket, method, path, body)).await.ok()?.ok()
    }

    /// The manifests that somebody may get who asks for them now: what the agent saw of them last, what there is, and all
    /// between.
    pub(crate) async fn offered(&self, app: App) -> Vec<String> {
        let state = self.state().await.unwrap_or_default();
        let row = &state["objects"][format!("environment/{}/prod", app.name())];
        let mut all = Vec::from_iter(commit_of(&row["target"]));
        if self.has_deploy() {
            let newer = all.first().map(|seen| self.deploy.git(&["rev-list", &format!("{seen}..main")]));
            all.extend(newer.iter().flat_map(|newer| newer.lines()).map(str::to_owned));
            all.push(self.deploy.rev("main"));
        }
        all
    }

    /// Waits until each repository was polled once more, or that does not come within two seconds, for there may be a reason.
    pub(crate) async fn breathe(&self) -> anyhow::Result<()> {
        let Some(before) = self.state().await else { return Ok(()) };
        let polls = |state: &Value| -> Vec<Value> {
            reader::of_kind(state, "Repository").map(|one| one["polled"].clone()).collect()
        };
        let before = polls(&before);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) {
            let now = self.state().await.map(|state| polls(&state)).unwrap_or_default();
            if now.len() != before.len() || now.iter().zip(&before).all(|(now, before)| now != before) {
                break;
            }
            pause().await;
        }
        Ok(())
    }
}

/// Where a repository is while it is not there.
pub(crate) fn aside(repository: &Repo) -> std::path::PathBuf {
    repository.path().with_extension("aside")
}

/// How long whoever waits for a state waits until it looks again.
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

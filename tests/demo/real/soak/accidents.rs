//! What happens once in months: a namespace or an inventory is deleted, etcd is restored from an older copy, tags come all
//! at once or vanish and return, files of the agent are removed, a suspended application is forgotten about, the agent is
//! frozen, the configuration is reloaded again and again.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use harness::agent::is_at;
use harness::real::{code, said, world};
use harness::world::borrowed;
use quarterdeck_shared::protocol::Accepted;
use quarterdeck_shared::snapshot::EnvironmentStatus;

use super::check::Pushed;
use super::{Day, Kind};

/// What of Kubernetes keeps objects in memory and has to look anew after etcd was set back.
const LOOK_ANEW: [&str; 3] = ["controllers", "scheduler", "kubelet"];

impl Day<'_> {
    pub(super) async fn namespace_deleted(&mut self) -> anyhow::Result<()> {
        self.say("kubectl delete namespace")?;
        let namespace = self.town.namespace.clone();
        self.town.parts.kubectl(&["delete", "namespace", &namespace, "--timeout=120s"])?;
        // The agent makes the namespace again; the pull secret is a person's, and put back by one.
        let patience = std::time::Instant::now();
        while let Err(error) = self.town.pull_secret() {
            if patience.elapsed() > Duration::from_secs(60) {
                return self.find(&error.context("the namespace was not made again"));
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    }

    pub(super) fn inventory_deleted(&mut self) -> anyhow::Result<()> {
        self.say("kubectl delete configmap quarterdeck-shop.prod")?;
        self.town.kubectl(&["delete", "configmap", "quarterdeck-shop.prod", "--ignore-not-found"]).map(drop)
    }

    /// Etcd is copied, something is deployed, and the copy is put back.
    pub(super) async fn set_back(&mut self) -> anyhow::Result<()> {
        self.say("etcd is copied, and put back after a commit was deployed")?;
        let state = self.town.parts.get("WORLD_STATE").to_owned();
        let (live, copy) = (Path::new(&state).join("etcd"), Path::new(&state).join("etcd.copy"));
        self.without_etcd(|| replace(&live, &copy)).await?;
        let commit = self.commit_greeting("changed")?;
        let deployed = |app: &EnvironmentStatus| is_at(app, &commit);
        let deployed = self.town.agent.wait_for("a commit before etcd is set back", "shop", deployed).await;
        self.without_etcd(|| replace(&copy, &live)).await?;
        for part in LOOK_ANEW {
            said(world("stop").arg(part))?;
            said(world("start").arg(part))?;
        }
        std::fs::remove_dir_all(&copy)?;
        if let Err(error) = deployed {
            self.find(&error)?;
        }
        // What the copy does not have is made so again, although git did not change since.
        let patience = std::time::Instant::now();
        let path = ["get", "configmap", "shop", "-o", "jsonpath={.data.greeting}"];
        while self.town.kubectl(&path).unwrap_or_default() != "changed" {
            if patience.elapsed() > Duration::from_secs(120) {
                self.find(&anyhow::anyhow!("120 s after etcd was set back the cluster is not as git says"))?;
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        self.commit_greeting("hello").map(drop)
    }

    /// Does something to the files of etcd while neither it nor the API server runs.
    async fn without_etcd(&self, act: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        said(world("stop").args(["apiserver", "etcd"]))?;
        act()?;
        said(world("start").args(["etcd", "apiserver"]))?;
        if !world("status").output()?.status.success() {
            said(&mut world("up"))?;
        }
        Ok(())
    }

    fn commit_greeting(&self, greeting: &str) -> anyhow::Result<String> {
        let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shop\ndata:\n  greeting: {greeting}\n");
        let mut tries = 0;
        loop {
            tries += 1;
            match self.town.deploy.commit(&[("shop/config.yaml", &text)], &format!("Say {greeting}")) {
                Ok(commit) => return Ok(commit),
                Err(error) if tries == 5 => return Err(error).context("others were faster five times"),
                Err(_) => {}
            }
        }
    }

    /// Three versions in one push; the forge shows their tags one after another.
    pub(super) fn tags_at_once(&mut self) -> anyhow::Result<()> {
        let mut tags = Vec::new();
        for _ in 0..3 {
            let version = format!("1.{}.0", self.pushed.len() + 1);
            let tag = format!("push-{version}");
            self.town.shop.commit(&borrowed(&code(&version, 0)), &format!("Shop {version}"))?;
            self.town.shop.git(&["tag", &tag])?;
            self.pushed.push(Pushed { tag: tag.clone(), version, good: true, promotes: true });
            tags.push(tag);
        }
        self.say(&format!("pushed at once: {}", tags.join(" ")))?;
        self.town.shop.git(&["push", "--quiet", "origin", "--tags"]).map(drop)
    }

    /// All tags go, for at least two polls, and come back as they were.
    pub(super) async fn tags_return(&mut self) -> anyhow::Result<()> {
        super::check::everything(self.town, &self.pushed).await.map(drop).or_else(|error| self.find(&error))?;
        self.say("all tags vanish, and return")?;
        let tags: Vec<String> = self.pushed.iter().map(|pushed| format!("refs/tags/{}", pushed.tag)).collect();
        let gone: Vec<&str> =
            ["push", "--quiet", "origin", "--delete"].into_iter().chain(tags.iter().map(String::as_str)).collect();
        self.town.shop.git(&gone)?;
        let none = |state: &quarterdeck_shared::protocol::State| {
            let code = &self.town.shop.url;
            state.objects.values().any(|object| matches!(object, quarterdeck_shared::snapshot::Object::Repository(r) if r.address == *code && r.tags == 0)).then_some(())
        };
        if let Err(error) = self.town.agent.wait("the tags to be gone", none).await {
            self.find(&error)?;
        }
        self.town.shop.git(&["push", "--quiet", "origin", "--tags"]).map(drop)
    }

    /// A cleaner, or a disk, takes something of the agent's own.
    pub(super) async fn own_files(&mut self) -> anyhow::Result<()> {
        let what = *self.dice.one_of(&["socket", "mirrors", "a pack", "logs of runs"]);
        self.say(&format!("removed: {what}"))?;
        let data = self.town.agent.path("data");
        match what {
            "socket" => {
                std::fs::remove_file(self.town.agent.socket())?;
                let back = |_: &quarterdeck_shared::protocol::State| Some(());
                if let Err(error) = self.town.agent.wait("the socket to be made again", back).await {
                    return self.find(&error);
                }
            }
            "mirrors" => remove(&data.join("mirrors"))?,
            "a pack" => {
                for mirror in std::fs::read_dir(data.join("mirrors"))? {
                    let packs = mirror?.path().join("objects/pack");
                    for file in std::fs::read_dir(packs).into_iter().flatten() {
                        let path = file?.path();
                        if path.extension().is_some_and(|ending| ending == "pack") {
                            // Packs are written once and read-only.
                            let file = std::fs::OpenOptions::new().write(true).open(&path)?;
                            file.set_len(60)?;
                        }
                    }
                }
                self.town.agent.kill_agent();
                self.town.agent.start_agent().await?;
            }
            _ => remove(&data.join("runs"))?,
        }
        // Whatever became of the files, the next version is delivered.
        self.push(Kind::Good).await
    }

    /// Suspended, a commit comes and the agent dies: nothing is applied until it is resumed.
    pub(super) async fn suspended(&mut self) -> anyhow::Result<()> {
        self.say("suspended over a commit and a kill")?;
        let suspend = quarterdeck_shared::protocol::SuspendRequest { reason: "the dice".to_owned() };
        let _: Accepted = self.town.agent.client().post("/v1/environments/shop/suspend", &suspend).await?;
        self.commit_greeting("suspended")?;
        self.town.agent.kill_agent();
        self.town.agent.start_agent().await?;
        let held = |app: &EnvironmentStatus| app.suspended && app.target != app.revision;
        let held = self.town.agent.wait_for("the commit to be held back", "shop", held).await;
        let greeting = self.town.kubectl(&["get", "configmap", "shop", "-o", "jsonpath={.data.greeting}"])?;
        if greeting == "suspended" {
            self.find(&anyhow::anyhow!("a suspended application was synced"))?;
        }
        self.commit_greeting("hello")?;
        let _: Accepted = self.town.agent.client().post_empty("/v1/environments/shop/resume").await?;
        held.map_or_else(|error| self.find(&error), |_| Ok(()))
    }

    pub(super) async fn frozen(&mut self) -> anyhow::Result<()> {
        let seconds = 2 + self.dice.below(10);
        self.say(&format!("the agent is frozen for {seconds} s"))?;
        self.town.agent.freeze(true);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.town.agent.freeze(false);
        Ok(())
    }

    /// The configuration changes in what concerns no application, again and again, while a version is on its way.
    pub(super) async fn reloads(&mut self) -> anyhow::Result<()> {
        self.push(Kind::Big).await?;
        self.say("twenty reloads, each with another poll interval")?;
        let config = self.town.config() + "\n[history]\nruns = 10000\n";
        for time in 0..20 {
            let interval = format!("poll_interval = \"{}ms\"", 900 + time);
            self.town.agent.configure(&config.replace("poll_interval = \"1s\"", &interval))?;
            self.town.agent.reload_agent();
            tokio::time::sleep(Duration::from_millis(self.dice.below(300))).await;
        }
        self.town.agent.configure(&config)?;
        self.town.agent.reload_agent();
        Ok(())
    }
}

/// Removes a folder that the agent writes into at the same time.
fn remove(folder: &Path) -> std::io::Result<()> {
    loop {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {}
            done => return done,
        }
    }
}

/// Puts a copy of one folder in the place of another.
fn replace(from: &Path, to: &Path) -> anyhow::Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    said(std::process::Command::new("cp").arg("--archive").arg(from).arg(to)).map(drop)
}

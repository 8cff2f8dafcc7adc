//! A town: what one story makes in the world, with names of its own, so that stories share a world and leave nothing.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quarterdeck_shared::status::SyncStatus;

use super::{Checkout, Parts, Way};
use crate::agent::Agent;
use crate::world::borrowed;

/// How long a state is waited for. Real parts share the machine with the agent.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);

/// How many towns this process made: two of one second differ by it.
static TOWNS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

/// What a story made in the world.
pub struct Town {
    /// The agent, which does not run yet.
    pub agent: Agent,
    /// The world it is in.
    pub parts: Parts,
    /// The code, a repository on the forge.
    pub shop: Checkout,
    /// The manifests, another.
    pub deploy: Checkout,
    /// The name of the code's repository and of its image: `shop-1a2b3c`.
    pub name: String,
    /// Where the shop runs: the same name.
    pub namespace: String,
    /// `127.0.0.1:15002/ops/shop-1a2b3c`
    pub image: String,
}

impl Town {
    /// Its names and folders; nothing in the world yet. `program` runs the agent's command line, as in [`Agent::new`].
    pub fn make(parts: Parts, program: (PathBuf, Vec<String>)) -> anyhow::Result<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let process = u64::from(std::process::id() & 0xff);
        let town = u64::from(TOWNS.fetch_add(1, std::sync::atomic::Ordering::Relaxed) & 0xff);
        let mark = format!("{:x}", since << 16 | process << 8 | town);
        let name = format!("shop-{mark}");
        let agent = Agent::new(program, PATIENCE)?;
        let shop = parts.checkout(Way::Http, &name, agent.path("shop"))?;
        let deploy = parts.checkout(Way::Ssh, &format!("deploy-{mark}"), agent.path("deploy"))?;
        let image = format!("{}/{}/{name}", parts.get("FORGE_REGISTRY"), parts.get("FORGE_USER"));
        Ok(Self { agent, parts, shop, deploy, namespace: name.clone(), name, image })
    }

    /// Repositories on the forge, first manifests, the configuration.
    pub async fn settle(&self) -> anyhow::Result<()> {
        for name in [&self.name, &self.deploy_name()] {
            let body = serde_json::json!({ "name": name, "private": true, "default_branch": "main" });
            self.parts.forge("POST", "/user/repos", &body.to_string()).await?;
        }
        let manifests = super::manifests(&format!("{}:none", self.image));
        self.deploy.commit(&borrowed(&manifests), "Manifests of the shop")?;
        self.write_secret("forge-token", self.parts.get("FORGE_TOKEN"))?;
        self.agent.configure(&self.config())
    }

    /// The configuration of an agent that operates the shop: code over http with a token, manifests over ssh with a key.
    pub fn config(&self) -> String {
        let at = |name: &str| self.parts.get(name);
        format!(
            "[agent]\npoll_interval = \"1s\"\ndata_dir = \"{data}\"\nsocket = \"{socket}\"\nretry_timeout = \"60s\"\n\
             banner = \"forge, engine, registry and cluster are real\"\n\n\
             [engine]\naddress = \"{engine}\"\n\n\
             [[registry]]\nhost = \"{registry}\"\nusername = \"{user}\"\npassword_file = \"forge-token\"\n\n\
             [[repository]]\nurl = \"{http}\"\nusername = \"{user}\"\ntoken_file = \"forge-token\"\n\n\
             [[repository]]\nurl = \"{ssh}\"\nssh_key = \"{key}\"\nknown_hosts = \"{hosts}\"\n\n\
             [[cluster]]\nname = \"world\"\nkubeconfig = \"{kubeconfig}\"\ncontext = \"{context}\"\n\n\
             [[application]]\nname = \"shop\"\n[application.code]\nrepository = \"{code}\"\n[[application.image]]\nname = \"{image}\"\n\
             [[application.environment]]\nname = \"prod\"\nrepository = \"{deploy}\"\nbranch = \"main\"\npath = \"shop\"\ncluster = \"world\"\nnamespace = \"{namespace}\"\n\
             create_namespace = true\n",
            data = self.agent.path("data").display(),
            socket = self.agent.socket().display(),
            engine = at("DOCKER_HOST"),
            registry = at("FORGE_REGISTRY"),
            user = at("FORGE_USER"),
            http = at("FORGE_URL"),
            ssh = at("FORGE_SSH"),
            key = at("FORGE_SSH_KEY"),
            hosts = at("FORGE_KNOWN_HOSTS"),
            kubeconfig = at("KUBECONFIG"),
            context = at("KUBE_CONTEXT"),
            code = self.shop.url,
            image = self.image,
            deploy = self.deploy.url,
            namespace = self.namespace,
        )
    }

    /// Starts the agent; its first sync makes the namespace, and the pull secret is put there by hand, as operators do.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        self.agent.start_agent().await?;
        let synced = |app: &quarterdeck_shared::snapshot::EnvironmentStatus| app.sync == SyncStatus::Synced;
        self.agent.wait_for("the first sync", "shop", synced).await?;
        self.pull_secret()
    }

    /// Puts the secret that pods pull with into the namespace, as operators do.
    pub fn pull_secret(&self) -> anyhow::Result<()> {
        let login = format!("--from-file=.dockerconfigjson={}/config.json", self.parts.get("DOCKER_CONFIG"));
        let kind = "--type=kubernetes.io/dockerconfigjson";
        self.kubectl(&["create", "secret", "generic", "pull", kind, &login]).map(drop)
    }

    /// kubectl in our namespace.
    pub fn kubectl(&self, words: &[&str]) -> anyhow::Result<String> {
        self.parts.kubectl(&[&["--namespace", &self.namespace], words].concat())
    }

    /// The name of the manifests' repository.
    pub fn deploy_name(&self) -> String {
        self.name.replacen("shop", "deploy", 1)
    }

    /// Writes a file of the agent's folder that only its owner may read.
    pub fn write_secret(&self, name: &str, text: &str) -> anyhow::Result<()> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.agent.path(name))?;
        Ok(file.write_all(text.as_bytes())?)
    }

    /// The ids of our images in the engine.
    pub fn images(&self) -> anyhow::Result<String> {
        self.parts.docker(&["images", "--quiet", "--no-trunc", &self.image])
    }

    /// Takes everything of ours out of the world. All of it is tried; the first failure is told.
    pub async fn clear(&self) -> anyhow::Result<()> {
        let user = self.parts.get("FORGE_USER");
        let mut all = vec![
            self.parts
                .kubectl(&["delete", "namespace", &self.namespace, "--ignore-not-found", "--timeout=90s"])
                .map(drop),
            self.clear_packages(user).await,
        ];
        for name in [&self.name, &self.deploy_name()] {
            all.push(self.parts.forge("DELETE", &format!("/repos/{user}/{name}"), "").await.map(drop));
        }
        all.push(self.clear_images());
        all.into_iter().collect()
    }

    fn clear_images(&self) -> anyhow::Result<()> {
        let images = self.images()?;
        let ids: std::collections::BTreeSet<&str> = images.lines().collect();
        if ids.is_empty() {
            return Ok(());
        }
        self.parts.docker(&[&["rmi", "--force"], &ids.into_iter().collect::<Vec<_>>()[..]].concat()).map(drop)
    }

    async fn clear_packages(&self, user: &str) -> anyhow::Result<()> {
        let list = format!("/packages/{user}?type=container&limit=50&q={}", self.name);
        let packages: Vec<serde_json::Value> = serde_json::from_str(&self.parts.forge("GET", &list, "").await?)?;
        for package in packages.iter().filter(|package| package["name"] == *self.name) {
            let version = package["version"].as_str().unwrap_or_default();
            self.parts.forge("DELETE", &format!("/packages/{user}/container/{}/{version}", self.name), "").await?;
        }
        Ok(())
    }
}

/// Tells a story in a town of its own. What was made in the world goes, whatever became of the story.
pub async fn in_town(
    parts: &Parts,
    program: (PathBuf, Vec<String>),
    story: impl AsyncFnOnce(&mut Town) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut town = Town::make(parts.clone(), program)?;
    let result = match town.settle().await {
        Ok(()) => story(&mut town).await,
        Err(error) => Err(error),
    };
    town.agent.kill_agent();
    let cleared = town.clear().await;
    result?;
    cleared
}

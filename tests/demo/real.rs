//! The playground on real parts: repositories on a real forge, a real engine, the forge's registry, a real Kubernetes.
//!
//! The world is `tests/real/world`'s; what is made in it here (repositories, packages, a namespace) has names of its own, so
//! that it can be shared with other trials, and is gone at the end. If no world runs, one is started and ends with us.

mod parts;
mod story;

use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use harness::agent::Agent;
use harness::world::borrowed;
use quarterdeck_shared::status::SyncStatus;

pub(crate) use self::parts::{CANNOT, NoWorld};
use self::parts::{Clone, Parts, Way};
use crate::DemoOptions;
use crate::tour::this_program;

/// How long a state is waited for. Real parts share the machine with the agent.
const PATIENCE: Duration = Duration::from_secs(180);

/// What we made in the world.
struct Town {
    agent: Agent,
    parts: Parts,
    /// The code, reached over http with a token.
    shop: Clone,
    /// The manifests, reached over ssh with a key.
    deploy: Clone,
    /// The name of the code's repository and of its image: `shop-1a2b3c`.
    name: String,
    namespace: String,
    /// `127.0.0.1:15002/ops/shop-1a2b3c`
    image: String,
}

/// Tells the story without a terminal, or opens the console. What was made in the world goes either way.
pub(crate) async fn real(options: &DemoOptions) -> anyhow::Result<()> {
    let mut tour = crate::step::Tour::begin();
    let parts = Parts::up()?;
    let mut town = Town::make(parts)?;
    let result = match town.settle().await {
        Ok(()) if options.tour => story::tell(&mut town, &mut tour).await,
        Ok(()) => play(&mut town, options.no_console).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &result {
        // Now, since clearing away takes a while and may fail as well.
        writeln!(std::io::stderr(), "playground: {error:#}; clearing away")?;
    }
    town.agent.kill_agent();
    let cleared = town.clear().await;
    let ended = town.parts.end();
    result?;
    cleared?;
    ended?;
    if options.tour {
        tour.done("clean end", "the agent stopped cleanly; repositories, packages and namespace are gone")?;
        tour.passed()?;
    }
    Ok(())
}

async fn play(town: &mut Town, no_console: bool) -> anyhow::Result<()> {
    town.start().await?;
    town.shop.commit(&borrowed(&story::code("1.0.0", 0)), "The first shop")?;
    town.shop.tag("push-1.0.0")?;
    writeln!(
        std::io::stdout(),
        "\nQuarterdeck on real parts: forge {forge} (user {user}, password in world.env), cluster KUBECONFIG={kubeconfig}\n\n\
         \x20 deliver   cd {shop} && git commit -q --allow-empty -m Again && git tag push-1.1.0 && git push -q origin main push-1.1.0\n\
         \x20 drift     kubectl -n {namespace} scale deployment shop --replicas 5\n\
         \x20 ask       export QD_SOCKET={socket}; curl -s --unix-socket $QD_SOCKET http://qd/v1/state | jq '.objects | keys'\n",
        forge = town.parts.get("FORGE_URL"),
        user = town.parts.get("FORGE_USER"),
        kubeconfig = town.parts.get("KUBECONFIG"),
        shop = town.agent.path("shop").display(),
        namespace = town.namespace,
        socket = town.agent.socket().display(),
    )?;
    if no_console {
        tokio::signal::ctrl_c().await?;
    } else {
        writeln!(std::io::stdout(), "The console opens when you press Enter.")?;
        let _ = std::io::stdin().read_line(&mut String::new());
        let program = std::env::current_exe()?;
        let status = Command::new(program).args(["console", "--socket"]).arg(town.agent.socket()).status();
        let status = status.context("cannot start the console")?;
        anyhow::ensure!(
            status.success(),
            "the console ended with {status}; the agent's log said:\n{}",
            town.agent.log()
        );
    }
    town.agent.stop_agent().map(drop)
}

impl Town {
    /// Its names and folders; nothing in the world yet.
    fn make(parts: Parts) -> anyhow::Result<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let mark = format!("{:x}", since.as_secs() << 8 | u64::from(std::process::id() & 0xff));
        let name = format!("shop-{mark}");
        let agent = Agent::new(this_program()?, PATIENCE)?;
        let shop = parts.clone(Way::Http, &name, agent.path("shop"))?;
        let deploy = parts.clone(Way::Ssh, &format!("deploy-{mark}"), agent.path("deploy"))?;
        let image = format!("{}/{}/{name}", parts.get("FORGE_REGISTRY"), parts.get("FORGE_USER"));
        Ok(Self { agent, parts, shop, deploy, namespace: name.clone(), name, image })
    }

    /// Repositories on the forge, first manifests, the pull secret, the configuration.
    async fn settle(&self) -> anyhow::Result<()> {
        for name in [&self.name, &self.deploy_name()] {
            let body = serde_json::json!({ "name": name, "private": true, "default_branch": "main" });
            self.parts.forge("POST", "/user/repos", &body.to_string()).await?;
        }
        let manifests = story::manifests(&format!("{}:none", self.image));
        self.deploy.commit(&borrowed(&manifests), "Manifests of the shop")?;
        self.write_secret("forge-token", self.parts.get("FORGE_TOKEN"))?;
        std::fs::write(self.agent.path("config.toml"), self.config())?;
        Ok(())
    }

    fn config(&self) -> String {
        let at = |name: &str| self.parts.get(name);
        format!(
            "[agent]\npoll_interval = \"1s\"\ndata_dir = \"{data}\"\nsocket = \"{socket}\"\npatience = \"60s\"\n\
             notice = \"playground: forge, engine, registry and cluster are real\"\n\n\
             [engine]\naddress = \"{engine}\"\n\n\
             [[registry]]\nhost = \"{registry}\"\nusername = \"{user}\"\npassword_file = \"forge-token\"\n\n\
             [[repository]]\nurl = \"{http}\"\nusername = \"{user}\"\ntoken_file = \"forge-token\"\n\n\
             [[repository]]\nurl = \"{ssh}\"\nssh_key = \"{key}\"\nknown_hosts = \"{hosts}\"\n\n\
             [[cluster]]\nname = \"world\"\nkubeconfig = \"{kubeconfig}\"\ncontext = \"{context}\"\n\n\
             [[application]]\nname = \"shop\"\n[application.source]\nrepository = \"{code}\"\n[application.build]\nimage = \"{image}\"\n\
             [application.deploy]\nrepository = \"{deploy}\"\nbranch = \"main\"\npath = \"shop\"\ncluster = \"world\"\nnamespace = \"{namespace}\"\n\
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
    async fn start(&mut self) -> anyhow::Result<()> {
        self.agent.start_agent().await?;
        let synced = |app: &quarterdeck_shared::snapshot::ApplicationStatus| app.sync == SyncStatus::Synced;
        self.agent.wait_for("the first sync", "shop", synced).await?;
        let login = format!("--from-file=.dockerconfigjson={}/config.json", self.parts.get("DOCKER_CONFIG"));
        let kind = "--type=kubernetes.io/dockerconfigjson";
        self.kubectl(&["create", "secret", "generic", "pull", kind, &login]).map(drop)
    }

    /// kubectl in our namespace.
    fn kubectl(&self, words: &[&str]) -> anyhow::Result<String> {
        self.parts.kubectl(&[&["--namespace", &self.namespace], words].concat())
    }

    fn deploy_name(&self) -> String {
        self.name.replacen("shop", "deploy", 1)
    }

    fn write_secret(&self, name: &str, text: &str) -> anyhow::Result<()> {
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
    fn images(&self) -> anyhow::Result<String> {
        self.parts.docker(&["images", "--quiet", "--no-trunc", &self.image])
    }

    /// Takes everything of ours out of the world. All of it is tried; the first failure is told.
    async fn clear(&self) -> anyhow::Result<()> {
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

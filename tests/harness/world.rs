//! A whole world for one agent: a real forge folder, an engine, a registry and a cluster that stand in, a configuration,
//! and the agent itself as a process of its own, so that it can be killed.
//!
//! ```text
//! World::start ─► Forge (real git) · Registry (token login) · Engine · Cluster  ─► config.toml ─► agent (process)
//! tests and the playground ─► Agent::client (the Unix socket)
//! ```

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

pub use crate::agent::{Agent, environment, runs};
use crate::cluster::kubelet::images;
use crate::cluster::{Cluster, Options, Pace};
use crate::engine::{Engine, EngineOptions};
use crate::git::Forge;
use crate::registry::{Auth, Registry, RegistryOptions, User};
use crate::tls::Authority;

/// What the agent logs in to the registry with.
const LOGIN: (&str, &str) = ("robot", "robot-secret-4711");

/// A host whose images can always be pulled, for what is about other things than images.
pub const EVERYWHERE: &str = "everywhere.example";

/// How long a state is waited for before it is missing. Far above what any takes, so that a busy machine passes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A world. Everything in it ends when it is dropped.
pub struct World {
    /// The agent, if it runs. First, so that it ends before what it talks to.
    agent: Agent,
    /// Real git repositories.
    pub forge: Forge,
    /// The container engine that stands in.
    pub engine: Engine,
    /// The registry that stands in.
    pub registry: Registry,
    /// The cluster that stands in.
    pub cluster: Cluster,
}

impl World {
    /// Starts everything but the agent. `program` runs the agent's command line: a program, and the words that go first.
    pub async fn start(pace: Pace, program: (PathBuf, Vec<String>)) -> anyhow::Result<Self> {
        let agent = Agent::new(program, PATIENCE)?;
        let login = User::new(LOGIN.0, LOGIN.1);
        let registry =
            Registry::start(RegistryOptions { auth: Auth::Token(vec![login]), ..RegistryOptions::default() }).await?;
        let engine = Engine::start(EngineOptions::on_socket(agent.path("engine.sock"))).await?;
        engine.add_image("busybox:1", &[("bin/sh", "a stand-in for busybox")])?;
        let pull = images::from_registry(Some((LOGIN.0.to_owned(), LOGIN.1.to_owned())));
        let pull = images::with_host(EVERYWHERE, pull);
        let cluster = Cluster::start_with(Options { pace, pull, ..Options::default() }).await?;
        cluster.kubeconfig(&agent.path("kubeconfig"))?;
        let world = Self { agent, forge: Forge::start().await?, engine, registry, cluster };
        std::fs::write(world.path("registry-password"), LOGIN.1)?;
        Ok(world)
    }

    /// Lets the cluster speak TLS: kubectl sends no token without. Before the agent starts.
    pub async fn secure_cluster(&self) -> anyhow::Result<()> {
        let authority = Authority::new("A playground's cluster")?;
        self.cluster.secure(&authority.sign("127.0.0.1")?).await;
        std::fs::write(self.path("kubeconfig"), self.cluster.kubeconfig_by_tls(&authority.pem()))?;
        Ok(())
    }

    /// The name of an image in the world's registry.
    pub fn image(&self, name: &str) -> String {
        self.registry.image(name)
    }

    /// The part of a configuration that is the same in every world: polls fast, and knows this engine, registry, cluster.
    ///
    /// Renderers may write where they like: stand-ins count their calls in a file beside them.
    pub fn config_head(&self, banner: &str) -> String {
        format!(
            "[agent]\npoll_interval = \"500ms\"\nimage_interval = \"1s\"\ndata_dir = \"{data}\"\nsocket = \"{socket}\"\nbanner = \"{banner}\"\nretry_timeout = \"60s\"\nconfine_renderers = false\n\n\
             [engine]\naddress = \"{engine}\"\n\n\
             [[registry]]\nhost = \"{registry}\"\nusername = \"{user}\"\npassword_file = \"registry-password\"\n\n\
             [[cluster]]\nname = \"demo\"\nkubeconfig = \"kubeconfig\"\ncontext = \"standin\"\n",
            data = self.path("data").display(),
            socket = self.socket().display(),
            engine = self.engine.host(),
            registry = self.registry.address(),
            user = LOGIN.0,
        )
    }

    /// An application with code in `ops/NAME` and manifests in `apps/NAME` of `ops/deploy`.
    pub fn application(&self, name: &str, more: &str) -> String {
        format!(
            "\n[[application]]\nname = \"{name}\"\n[application.code]\nrepository = \"{source}\"\n[[application.image]]\nname = \"{image}\"\n\
             [[application.environment]]\nname = \"prod\"\nrepository = \"{deploy}\"\nbranch = \"main\"\npath = \"apps/{name}\"\ncluster = \"demo\"\nnamespace = \"{name}\"\ncreate_namespace = true\n{more}",
            source = self.forge.path(&format!("ops/{name}")).display(),
            image = self.image(&format!("ops/{name}")),
            deploy = self.forge.path("ops/deploy").display(),
        )
    }
}

impl std::ops::Deref for World {
    type Target = Agent;

    fn deref(&self) -> &Agent {
        &self.agent
    }
}

impl std::ops::DerefMut for World {
    fn deref_mut(&mut self) -> &mut Agent {
        &mut self.agent
    }
}

/// The manifests of an application that runs one image.
pub fn manifests(name: &str, image: &str) -> Vec<(String, String)> {
    let file = |file: &str, text: String| (format!("apps/{name}/{file}"), text);
    vec![
        file(
            "deployment.yaml",
            format!(
                "# The image is written by Quarterdeck's promotion.\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  replicas: 2\n  \
                 selector:\n    matchLabels: {{ app: {name} }}\n  template:\n    metadata:\n      labels: {{ app: {name} }}\n    spec:\n      containers:\n      - name: {name}\n        \
                 image: {image}   # promoted\n        ports:\n        - containerPort: 8080\n        env:\n        - {{ name: GREETING, valueFrom: {{ configMapKeyRef: {{ name: {name}, key: greeting }} }} }}\n"
            ),
        ),
        file(
            "service.yaml",
            format!(
                "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  selector: {{ app: {name} }}\n  ports:\n  - port: 80\n    targetPort: 8080\n"
            ),
        ),
        file(
            "config.yaml",
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  greeting: hello\n"),
        ),
    ]
}

/// The code of an application: enough to be built.
pub fn code(name: &str, version: &str) -> Vec<(String, String)> {
    vec![
        (
            "Dockerfile".to_owned(),
            format!(
                "FROM busybox:1\nCOPY app.txt /srv/app.txt\nRUN echo built {name}\nLABEL standin.quarterdeck.dev/log=\"{name} {version} listening on :8080\"\nLABEL standin.quarterdeck.dev/log-every-ms=\"1500\"\nLABEL standin.quarterdeck.dev/line=\"GET / 200 {version}\"\nCMD [\"/bin/sh\"]\n"
            ),
        ),
        ("app.txt".to_owned(), format!("{name} {version}\n")),
        (".dockerignore".to_owned(), "*.md\n".to_owned()),
        ("README.md".to_owned(), format!("# {name}\n")),
    ]
}

/// Files as the repository builder takes them.
pub fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect()
}

/// A working clone for a person.
pub fn clone(repository: &Path, into: &Path) -> anyhow::Result<()> {
    let status =
        Command::new("git").args(["clone", "--quiet"]).arg(repository).arg(into).status().context("cannot run git")?;
    anyhow::ensure!(status.success(), "git clone failed");
    Ok(())
}

//! The fleet that is looked at: the real agent with its real socket, its applications in a real repository, and their
//! pods in the cluster that stands in, which lives in our own process and so counts in nobody's figures.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use harness::agent::Agent;
use harness::cluster::Cluster;
use harness::git::Forge;
use quarterdeck_shared::protocol::VersionAnswer;
use quarterdeck_shared::routes;
use quarterdeck_shared::snapshot::Object;
use quarterdeck_shared::status::{Health, SyncStatus};

use crate::Options;
use crate::measure::Process;

/// How long the fleet may take until all of it is synced and well: several times what it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// Namespaces that the applications are spread over.
const NAMESPACES: usize = 50;

/// How large it is.
pub(crate) struct Shape<'a> {
    /// Applications: a Deployment and a ConfigMap each.
    pub(crate) applications: usize,
    /// Pods of each.
    pub(crate) pods: usize,
    /// What the pods do: annotations that the stand-in understands.
    pub(crate) annotations: &'a [(&'a str, &'a str)],
}

/// A fleet. It ends when it is dropped.
pub(crate) struct Fleet {
    /// First, so that it ends before what it talks to.
    pub(crate) agent: Agent,
    pub(crate) cluster: Cluster,
    /// The agent's process.
    pub(crate) process: Process,
    _forge: Forge,
}

impl Fleet {
    /// Starts one, and waits until all of it is synced and well.
    pub(crate) async fn start(options: &Options, shape: &Shape<'_>) -> anyhow::Result<Self> {
        let mut agent = Agent::new((options.agent.clone(), Vec::new()), PATIENCE)?;
        let cluster = Cluster::start().await?;
        cluster.kubeconfig(&agent.path("kubeconfig"))?;
        let forge = Forge::start().await?;
        let files: Vec<(String, String)> = (0..shape.applications).map(|number| manifest(shape, number)).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
        forge.repo("ops/deploy").commit("main", &files, "The fleet");
        let repository = forge.path("ops/deploy");
        let mut text = format!(
            "[agent]\ndata_dir = \"{}\"\nsocket = \"{}\"\n\n[[cluster]]\nname = \"demo\"\nkubeconfig = \"kubeconfig\"\ncontext = \"standin\"\n",
            agent.path("data").display(),
            agent.socket().display(),
        );
        for number in 0..shape.applications {
            text.push_str(&format!(
                "\n[[application]]\nname = \"{}\"\n[[application.environment]]\nname = \"prod\"\nrepository = \"{}\"\nbranch = \"main\"\npath = \"apps/{}\"\n\
                 cluster = \"demo\"\nnamespace = \"team-{:02}\"\ncreate_namespace = true\n",
                name(number),
                repository.display(),
                name(number),
                number % NAMESPACES,
            ));
        }
        agent.configure(&text)?;
        agent.start_agent().await?;
        let version: VersionAnswer = agent.client().get(routes::VERSION.path()).await?;
        let fleet = Self { agent, cluster, process: Process(version.pid), _forge: forge };
        fleet.all_well(shape).await?;
        Ok(fleet)
    }

    async fn all_well(&self, shape: &Shape<'_>) -> anyhow::Result<()> {
        let (applications, pods) = (shape.applications, shape.applications * shape.pods);
        let began = Instant::now();
        loop {
            // Asked seldom: the whole state is megabytes, and what is waited for takes seconds.
            tokio::time::sleep(Duration::from_millis(500)).await;
            // The cluster first, since that costs the agent nothing.
            let running = self.cluster.pods("").len();
            if running < pods && began.elapsed() < PATIENCE {
                continue;
            }
            let state = self.agent.state().await?;
            let mut well = BTreeMap::new();
            for object in state.objects.values() {
                let kind = match object {
                    Object::Environment(a) if a.sync == SyncStatus::Synced && a.health == Health::Healthy => {
                        "applications"
                    }
                    Object::Pod(pod) if pod.health == Health::Healthy => "pods",
                    _ => continue,
                };
                *well.entry(kind).or_insert(0) += 1;
            }
            if well.get("applications") == Some(&applications) && well.get("pods") == Some(&pods) {
                return Ok(());
            }
            anyhow::ensure!(
                began.elapsed() < PATIENCE,
                "of {applications} applications and {pods} pods ({running} in the cluster) only these are well after {} s: {well:?}\n{}",
                PATIENCE.as_secs(),
                self.agent.log(),
            );
        }
    }
}

/// The name of an application; in their order by name.
pub(crate) fn name(number: usize) -> String {
    format!("app-{number:04}")
}

fn manifest(shape: &Shape<'_>, number: usize) -> (String, String) {
    let (name, replicas) = (name(number), shape.pods);
    let annotations: String =
        shape.annotations.iter().map(|(key, value)| format!("        {key}: \"{value}\"\n")).collect();
    let annotations = if annotations.is_empty() { annotations } else { format!("      annotations:\n{annotations}") };
    let text = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  greeting: hello\n---\n\
         apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  replicas: {replicas}\n  selector:\n    matchLabels: {{app: {name}}}\n  \
         template:\n    metadata:\n      labels: {{app: {name}}}\n{annotations}    spec:\n      containers:\n      - name: app\n        \
         image: registry.example/ops/{name}:1.0.0\n        ports:\n        - containerPort: 8080\n"
    );
    (format!("apps/{name}/app.yaml"), text)
}

//! What goes wrong between an engine, a registry and a node: a wrong password, a registry that goes away in the middle of
//! a push, a node that may not pull.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::agent::runs;
use quarterdeck_shared::snapshot::ApplicationStatus;
use quarterdeck_shared::status::Health;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::*;

/// The engine of every town.
fn engine(town: &Town) -> String {
    format!("address = \"{}\"", town.parts.get("DOCKER_HOST"))
}

fn login(host: &str) -> String {
    format!("[[registry]]\nhost = \"{host}\"\nusername = \"ops\"\npassword_file = \"password\"\n")
}

#[tokio::test]
async fn a_wrong_password_is_told_and_the_right_one_pushes_what_was_built() -> anyhow::Result<()> {
    story(async |town| {
        let place = Place::with_login(town);
        town.image = format!("{}/{}", place.host, town.name);
        let config = config(town, &engine(town), &login(&place.host));
        town.write_secret("password", "wrong-4711")?;
        town.agent.configure(&config)?;
        town.shop.commit(&borrowed(&code("1.4.0", 0)), "A shop")?;
        town.agent.start_agent().await?;
        town.shop.tag("push-1.4.0")?;
        let ended = |run: &RunStatus| run.reference == "push-1.4.0" && run.phase.is_final();
        let run = town.agent.wait_run("the run to end", ended).await?;
        ensure!(run.phase == Phase::Failed, "{} {}", run.phase, run.message);
        ensure!(run.message.contains("check the login"), "what to do: {}", run.message);
        let told = serde_json::to_string(&town.agent.state().await?)?
            + &std::fs::read_to_string(town.agent.path("agent.log"))?;
        ensure!(!told.contains("wrong-4711"), "the password is told:\n{told}");

        let password = place.login.as_ref().map(|(_, password)| password.clone()).unwrap_or_default();
        town.write_secret("password", &password)?;
        town.shop.tag("push-1.4.1")?;
        let run = town.run("push-1.4.1").await?;
        let images: std::collections::BTreeSet<String> = town.images()?.lines().map(str::to_owned).collect();
        ensure!(images.len() == 1, "built once: {images:?}");
        place.forget(town, &run).await
    })
    .await
}

/// Stands before a registry, and is away for a while once so many bytes were sent through it.
struct Gate {
    address: String,
    cuts: Arc<AtomicUsize>,
    /// True while it is there.
    open: watch::Sender<bool>,
    /// How often somebody came while it was not.
    missed: watch::Sender<usize>,
    task: tokio::task::JoinHandle<()>,
}

impl Gate {
    async fn before(host: &str, after: usize) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (open, is_open) = watch::channel(true);
        let (host, cuts, sent) = (host.to_owned(), Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let missed = watch::Sender::new(0);
        let (cut, gate, miss) = (cuts.clone(), open.clone(), missed.clone());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !*is_open.borrow() {
                    miss.send_modify(|missed| *missed += 1);
                    continue;
                }
                let (host, sent, cut, gate, mut is_open) =
                    (host.clone(), sent.clone(), cut.clone(), gate.clone(), is_open.clone());
                tokio::spawn(async move {
                    let carried = carry(client, &host, |bytes| {
                        let before = sent.fetch_add(bytes, Ordering::Relaxed);
                        if before < after && before + bytes >= after {
                            cut.fetch_add(1, Ordering::Relaxed);
                            gate.send_replace(false);
                        }
                    });
                    tokio::select! {
                        _ = carried => {}
                        _ = is_open.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Ok(Self { address, cuts, open, missed, task })
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, host: &str, mut note: impl FnMut(usize)) -> std::io::Result<()> {
    let (mut from, mut to) = client.into_split();
    let (mut answers, mut server) = TcpStream::connect(host).await?.into_split();
    let there = async {
        let mut buffer = vec![0; 16 << 10];
        loop {
            let read = from.read(&mut buffer).await?;
            if read == 0 {
                return server.shutdown().await;
            }
            note(read);
            server.write_all(&buffer[..read]).await?;
        }
    };
    let back = async { tokio::io::copy(&mut answers, &mut to).await.map(drop) };
    tokio::try_join!(there, back).map(drop)
}

#[tokio::test]
async fn a_registry_that_goes_away_in_a_push_gets_it_in_the_end() -> anyhow::Result<()> {
    story(async |town| {
        let place = Place::with_login(town);
        let gate = Gate::before(&place.host, 2 << 20).await?;
        town.image = format!("{}/{}", gate.address, town.name);
        town.write_secret("password", place.login.as_ref().map_or("", |(_, password)| password))?;
        town.agent.configure(&config(town, &engine(town), &login(&gate.address)))?;
        town.shop.commit(&borrowed(&code("1.4.0", 8)), "A shop with ballast")?;
        town.agent.start_agent().await?;
        town.shop.tag("push-1.4.0")?;
        let mut missed = gate.missed.subscribe();
        let met = missed.wait_for(|missed| *missed > 0);
        tokio::time::timeout(Duration::from_secs(120), met).await.context("nobody met the outage")??;
        gate.open.send_replace(true);
        let run = town.run("push-1.4.0").await?;
        ensure!(gate.cuts.load(Ordering::Relaxed) == 1, "the push met the outage");
        ensure!(runs(&town.agent.state().await?).count() == 1 && town.images()?.lines().count() == 1, "built once");
        place.forget(town, &run).await
    })
    .await
}

#[tokio::test]
async fn a_node_without_the_pull_secret_is_told_by_its_pods() -> anyhow::Result<()> {
    story(async |town| {
        let place = Place::with_login(town);
        town.image = format!("{}/{}", place.host, town.name);
        town.write_secret("password", place.login.as_ref().map_or("", |(_, password)| password))?;
        town.agent.configure(&(town.config() + &login(&place.host)))?;
        town.deploy.commit(&borrowed(&manifests(&format!("{}:none", town.image))), "From the other registry")?;
        town.shop.commit(&borrowed(&code("1.4.0", 0)), "A shop")?;
        town.agent.start_agent().await?;
        town.shop.tag("push-1.4.0")?;
        let run = town.run("push-1.4.0").await?;
        let version = town.promoted(&run)?;
        let refused = |app: &ApplicationStatus| {
            let says = |words: &str| app.message.to_lowercase().contains(words);
            app.health == Health::Degraded && says("pull") && says(&version.digest) && says("auth")
        };
        town.agent.wait_for("the pull to be refused", "shop", refused).await?;
        let secret = format!("--from-file=.dockerconfigjson={}/config.json", town.parts.get("DOCKER_CONFIG"));
        town.kubectl(&["create", "secret", "generic", "pull", "--type=kubernetes.io/dockerconfigjson", &secret])?;
        // The kubelet waits longer and longer before it pulls again; a new pod does not.
        town.kubectl(&["delete", "pods", "--selector", "app=shop", "--wait=false"])?;
        town.healthy("the version with its secret", &version.commit).await?;
        place.forget(town, &run).await
    })
    .await
}

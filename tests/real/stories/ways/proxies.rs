//! Proxies between the agent and the API server: the kubeconfig's, and the environment's with its exceptions.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use harness::agent::Agent;
use quarterdeck_shared::snapshot::{ConnectionKind, ConnectionStatus, Object};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A proxy that knows CONNECT, and notes whom it was asked for.
struct Proxy {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let noted = asked.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, noted.clone()));
            }
        });
        Ok(Self { address, asked, task })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(mut client: TcpStream, asked: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned();
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(target.clone());
    let mut server = TcpStream::connect(target).await?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}

#[tokio::test]
async fn the_kubeconfigs_proxy_is_taken() -> anyhow::Result<()> {
    as_guest("proxy-url", async |guest| {
        let proxy = Proxy::start().await?;
        let server = format!("{}\n    proxy-url: http://{}", guest.server(), proxy.address);
        let cluster = guest.cluster(&guest.kubeconfig(&server, &format!("    token: {}", guest.token()?)))?;
        enters(&cluster, guest).await?;
        let wanted = guest.parts.get("KUBE_SERVER").trim_start_matches("https://");
        ensure!(
            !proxy.asked().is_empty() && proxy.asked().iter().all(|target| target == wanted),
            "{:?}",
            proxy.asked()
        );
        let closed = proxy.address.clone();
        drop(proxy);
        let server = format!("{}\n    proxy-url: http://{closed}", guest.server());
        let cluster = guest.cluster(&guest.kubeconfig(&server, "    token: any"))?;
        let problem = enters(&cluster, guest).await.err().context("there is no proxy")?;
        ensure!(problem.to_string().ends_with("the proxy on the way: Connection refused (os error 111)"), "{problem}");
        Ok(())
    })
    .await
}

/// The cluster as an agent finds it that was started with these variables.
async fn seen(guest: &Guest, kubeconfig: &str, variables: &[String]) -> anyhow::Result<ConnectionStatus> {
    let (program, words) = crate::program();
    let words = variables.iter().cloned().chain([program.display().to_string()]).chain(words);
    let mut agent = Agent::new(("/usr/bin/env".into(), words.collect()), Duration::from_secs(60))?;
    std::fs::write(agent.path("kubeconfig"), kubeconfig)?;
    agent.configure(&format!(
        "[agent]\ndata_dir = \"{}\"\nsocket = \"{}\"\n[[cluster]]\nname = \"far\"\nkubeconfig = \"kubeconfig\"\n\
         [[application]]\nname = \"shop\"\n[[application.environment]]\nname = \"prod\"\nrepository = \"{}\"\nnamespace = \"{}\"\n",
        agent.path("data").display(),
        agent.socket().display(),
        agent.path("nothing").display(),
        guest.namespace
    ))?;
    agent.start_agent().await?;
    let connection = |object: &Object| match object {
        Object::Connection(c) if c.to == ConnectionKind::Cluster => Some(c.clone()),
        _ => None,
    };
    agent.wait("the cluster to be asked", |state| state.objects.values().find_map(connection)).await
}

#[tokio::test]
async fn the_environments_proxy_is_taken_but_for_its_exceptions() -> anyhow::Result<()> {
    as_guest("proxies", async |guest| {
        let server = guest.parts.get("KUBE_SERVER_IN_WORLD");
        let lines = format!("    server: {server}\n    certificate-authority-data: CA");
        let kubeconfig = guest.kubeconfig(&lines, &format!("    token: {}", guest.token()?));
        let proxy = Proxy::start().await?;
        let through = format!("HTTPS_PROXY=http://{}", proxy.address);
        let network = server.trim_start_matches("https://").split('.').take(2).collect::<Vec<_>>().join(".");
        // What NO_PROXY says of the proxy's own address is nothing to the server; a comma at its end is nothing to anybody.
        for (none, taken) in [("", true), ("127.0.0.1,localhost,", true), (&*format!("{network}.0.0/16,"), false)] {
            let before = proxy.asked().len();
            let connection = seen(guest, &kubeconfig, &[through.clone(), format!("NO_PROXY={none}")]).await?;
            ensure!(connection.reachable, "NO_PROXY={none}: {connection:?}");
            ensure!((proxy.asked().len() > before) == taken, "NO_PROXY={none}: {:?}", proxy.asked());
        }
        Ok(())
    })
    .await
}

//! The agent as the service account of its own pod, with the least role: enough for the whole job, and what lies beyond
//! is told. Then its token is taken back, and it is in again by itself once the token is renewed.
//!
//! A pod's view is made by a mount namespace: the files that the kubelet mounts, and the variables that it sets.

use std::path::Path;

use anyhow::ensure;
use harness::agent::is_at;
use harness::real::{Town, code};
use harness::world::borrowed;
use quarterdeck_shared::protocol::{Check, CheckResult, LogRecord};
use quarterdeck_shared::queries::LogQuery;
use quarterdeck_shared::routes;
use quarterdeck_shared::snapshot::EnvironmentStatus;
use quarterdeck_shared::status::SyncStatus;

use super::*;

/// Where every pod finds its account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The program in a mount namespace where `account` is the pod's.
fn in_pod(parts: &Parts, account: &Path) -> (PathBuf, Vec<String>) {
    let (program, words) = crate::program();
    let network = parts.get("SERVICE_NET");
    let server = network.rsplit_once('.').map_or(network, |(network, _)| network);
    // /run is hidden there, since nothing on this machine is to be made for it.
    let enter =
        format!("mount -t tmpfs none /run && mkdir -p {ACCOUNT} && mount --bind \"$0\" {ACCOUNT} && exec \"$@\"");
    let begin =
        ["--mount", "/usr/bin/env", &format!("KUBERNETES_SERVICE_HOST={server}.1"), "KUBERNETES_SERVICE_PORT=443"];
    let shell = ["/bin/sh", "-c", &enter, &account.display().to_string(), &program.display().to_string()];
    ("/usr/bin/unshare".into(), begin.into_iter().chain(shell).map(str::to_owned).chain(words).collect())
}

/// A token that ends with the secret of this name.
fn token(town: &Town, account: &Path, secret: &str) -> anyhow::Result<()> {
    town.kubectl(&["create", "secret", "generic", secret])?;
    let bound = ["--bound-object-kind", "Secret", "--bound-object-name", secret];
    let token = town.kubectl(&[&["create", "token", "quarterdeck"], &bound[..]].concat())?;
    // As the kubelet does: another file in its place.
    std::fs::write(account.join("..token"), token.trim())?;
    Ok(std::fs::rename(account.join("..token"), account.join("token"))?)
}

/// The town's configuration, with the cluster of its own pod.
fn config(town: &Town) -> String {
    let text = town
        .config()
        .replace("create_namespace = true\n", "")
        .replace("cluster = \"world\"", "cluster = \"in-cluster\"");
    let (before, rest) = text.split_once("[[cluster]]").unwrap_or((&text, ""));
    let after = rest.find("[[application]]").map_or("", |at| &rest[at..]);
    format!("{before}{after}")
}

#[tokio::test]
async fn the_least_role_is_enough_in_a_pod() -> anyhow::Result<()> {
    let account = tempfile::tempdir()?;
    crate::story_of(in_pod(&Parts::running()?, account.path()), async |town| {
        invite(&town.parts, &town.namespace, &town.agent.path("rbac.yaml"))?;
        std::fs::copy(town.parts.get("KUBE_CA"), account.path().join("ca.crt"))?;
        std::fs::write(account.path().join("namespace"), &town.namespace)?;
        token(town, account.path(), "login-1")?;
        town.agent.configure(&config(town))?;
        town.shop.commit(&borrowed(&code("1.4.0", 0)), "A shop")?;
        town.start().await?;
        town.shop.tag("push-1.4.0")?;
        let version = town.promoted(&town.run("push-1.4.0").await?)?;
        town.healthy("the first version", &version.commit).await?;
        town.runs_digest(&version)?;
        town.answers("1.4.0").await?;
        reads_logs(town).await?;
        prunes(town).await?;
        is_told_what_it_may_not(town).await?;
        comes_back_with_a_new_token(town, account.path()).await
    })
    .await
}

async fn reads_logs(town: &Town) -> anyhow::Result<()> {
    let path = routes::POD_LOG.of_with(&"shop".parse()?, &LogQuery { tail: Some(5), ..LogQuery::default() });
    let mut records = town.agent.client().stream::<LogRecord>(&path, None).await?;
    let mut seen = Vec::new();
    while let Some(record) = records.next().await? {
        seen.push(record);
    }
    let is_first =
        |record: &LogRecord| matches!(record, LogRecord::Line { text, .. } if text.starts_with("shop 1.4.0 listens"));
    ensure!(seen.iter().any(is_first), "{seen:?}");
    Ok(())
}

/// A manifest leaves git; the commit's id.
fn removed(town: &Town, path: &str) -> anyhow::Result<String> {
    town.deploy.pull()?;
    town.deploy.git(&["rm", "--quiet", path])?;
    town.deploy.git(&["commit", "--quiet", "--message", &format!("Without {path}")])?;
    town.deploy.git(&["push", "--quiet", "origin", "HEAD:main"])?;
    town.deploy.git(&["rev-parse", "HEAD"])
}

async fn prunes(town: &Town) -> anyhow::Result<()> {
    let commit = removed(town, "shop/service.yaml")?;
    town.synced("the sync without a Service", &commit).await?;
    let left = town.kubectl(&["get", "services", "--output", "name"])?;
    ensure!(left.is_empty(), "the Service is pruned: {left}");
    Ok(())
}

/// One object of a kind beyond the role: nothing of its commit is applied, and the server's words say why.
async fn is_told_what_it_may_not(town: &Town) -> anyhow::Result<()> {
    let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: shop}\n";
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shop\ndata:\n  greeting: beyond\n";
    town.deploy.commit(&[("shop/account.yaml", account), ("shop/config.yaml", config)], "Beyond the role")?;
    let who = format!(
        "User \"system:serviceaccount:{}:quarterdeck\" cannot patch resource \"serviceaccounts\"",
        town.namespace
    );
    let told = town.agent.wait_for("the refusal", "shop", |app| app.message.contains(&who)).await?;
    ensure!(told.sync == SyncStatus::OutOfSync, "{} {}", told.sync, told.message);
    let greeting = ["get", "configmap", "shop", "--output", "jsonpath={.data.greeting}"];
    ensure!(town.kubectl(&greeting)? == "hello", "nothing of a refused commit is applied");
    let commit = removed(town, "shop/account.yaml")?;
    town.synced("the sync within the role", &commit).await?;
    ensure!(town.kubectl(&greeting)? == "beyond", "the rest is synced");
    Ok(())
}

async fn comes_back_with_a_new_token(town: &Town, account: &Path) -> anyhow::Result<()> {
    town.kubectl(&["delete", "secret", "login-1"])?;
    // The server believes a token that it saw for some seconds more.
    let refused = async || {
        let checks: Vec<Check> = town.agent.client().get(routes::DOCTOR.path()).await?;
        let cluster = checks.into_iter().find(|check| check.name == "cluster in-cluster");
        anyhow::Ok(cluster.filter(|check| check.result == CheckResult::Bad))
    };
    let started = std::time::Instant::now();
    let check = loop {
        if let Some(check) = refused().await? {
            break check;
        }
        ensure!(started.elapsed() < std::time::Duration::from_secs(60), "the token is still taken");
    };
    ensure!(check.message.contains("Unauthorized") && check.hint.contains("renew the credentials"), "{check:?}");
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shop\ndata:\n  greeting: again\n";
    let commit = town.deploy.commit(&[("shop/config.yaml", config)], "Another greeting")?;
    let told = |app: &EnvironmentStatus| {
        app.message.starts_with("cluster in-cluster: cannot ")
            && app.message.ends_with(": Unauthorized")
            && app.hint.starts_with("renew the credentials")
    };
    town.agent.wait_for("the refusal", "shop", told).await?;
    token(town, account, "login-2")?;
    let back =
        |app: &quarterdeck_shared::snapshot::EnvironmentStatus| app.sync == SyncStatus::Synced && is_at(app, &commit);
    town.agent.wait_for("the way back", "shop", back).await.map(drop)
}

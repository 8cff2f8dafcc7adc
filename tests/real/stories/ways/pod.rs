//! The agent as a Deployment in the cluster that it deploys to: its program and a shell, nothing else in the image (no git, no
//! certificate authorities), as nobody, with the least role. Git comes over http, from where the node finds the forge.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use harness::agent::is_at;
use harness::real::{Town, http};
use quarterdeck_shared::protocol::{Check, CheckResult};
use quarterdeck_shared::snapshot::EnvironmentStatus;
use quarterdeck_shared::status::{Health, SyncStatus};

use super::*;
use crate::sync::{commit, config, deployment, field, file};

#[tokio::test]
async fn an_agent_of_the_cluster_deploys_beside_itself() -> anyhow::Result<()> {
    crate::story(async |town| {
        invite(&town.parts, &town.namespace, &town.agent.path("rbac.yaml"))?;
        let image = format!("{}/{}-agent:1", town.parts.get("REGISTRY"), town.name);
        build(town, &image)?;
        let told = deploys(town, &image).await;
        let log = town.kubectl(&["logs", "deployment/quarterdeck", "--tail", "30"]).unwrap_or_default();
        let forgotten = forget(town, &image).await;
        told.with_context(|| format!("the agent's log:\n{log}"))?;
        ensure!(!log.contains(town.parts.get("FORGE_TOKEN")), "the token is in the log:\n{log}");
        forgotten
    })
    .await
}

async fn deploys(town: &Town, image: &str) -> anyhow::Result<()> {
    let shop = file("shop", deployment(&town.parts, ""));
    let first = commit(town, &[shop.clone(), file("config", config("greeting", "one"))], "The shop")?;
    run(town, image)?;
    synced(town, "the first state", &first).await?;
    let checks: Vec<Check> = serde_json::from_str(&qd(town, &["doctor", "-o", "json"])?)?;
    let well =
        |name: &str| checks.iter().any(|check| check.name.starts_with(name) && check.result == CheckResult::Good);
    ensure!(well("git http://") && well("cluster in-cluster"), "{checks:#?}");
    let greeting = ["configmap/greeting", ".metadata.managedFields[0].manager"];
    ensure!(field(town, greeting[0], greeting[1])? == "quarterdeck", "it is applied by the agent");

    let second = commit(town, &[shop.clone(), file("config", config("greeting", "two"))], "Another greeting")?;
    synced(town, "the second state", &second).await?;
    ensure!(field(town, greeting[0], ".data.value")? == "two", "the second state is in the cluster");

    // It is killed, and what it kept goes with its pod; git moves on meanwhile.
    let (pods, uid) = (pods(town)?, field(town, "deployment/shop", ".metadata.uid")?);
    town.kubectl(&["delete", "pods", "--selector", "app=quarterdeck", "--grace-period=0", "--force"])?;
    let third = commit(town, &[shop, file("other", config("other", "three"))], "Another ConfigMap")?;
    synced(town, "the third state", &third).await?;
    ensure!(field(town, greeting[0], ".metadata.name")?.is_empty(), "what the one before applied is pruned");
    ensure!(field(town, "deployment/shop", ".metadata.uid")? == uid && self::pods(town)? == pods, "the rest is left");
    Ok(())
}

/// Builds an image of the agent's program with what it is linked to, and pushes it.
fn build(town: &Town, image: &str) -> anyhow::Result<()> {
    let folder = town.agent.path("image");
    let root = folder.join("root");
    let program = crate::program().0;
    std::fs::create_dir_all(root.join("bin"))?;
    said(Command::new("strip").arg("-o").arg(root.join("bin/playground")).arg(&program))?;
    let linked = String::from_utf8(said(Command::new("ldd").arg(&program))?.stdout)?;
    for library in linked.split_whitespace().filter(|word| word.starts_with('/')) {
        let copy = root.join(library.trim_start_matches('/'));
        std::fs::create_dir_all(copy.parent().context("a library has a folder")?)?;
        std::fs::copy(library, copy)?;
    }
    for (name, part) in [("qd-agent", "agent"), ("qd", "console")] {
        executable(&root.join("bin").join(name), &format!("#!/bin/sh\nexec /bin/playground {part} \"$@\"\n"))?;
    }
    std::fs::write(folder.join("Dockerfile"), "FROM world/busybox:1\nCOPY root /\n")?;
    town.parts.docker(&["build", "--quiet", "--tag", image, &folder.display().to_string()])?;
    town.parts.docker(&["push", "--quiet", image]).map(drop)
}

fn executable(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text)?;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?)
}

/// Takes the image out of engine and registry.
async fn forget(town: &Town, image: &str) -> anyhow::Result<()> {
    let digest = town.parts.docker(&["image", "inspect", "--format", "{{index .RepoDigests 0}}", image])?;
    let digest = digest.trim().rsplit('@').next().unwrap_or_default();
    let path = format!("/v2/{}-agent/manifests/{digest}", town.name);
    let (status, text) = http(town.parts.get("REGISTRY"), "DELETE", &path, "", "").await?;
    ensure!(status == 202, "the registry answered {status}: {text}");
    town.parts.docker(&["rmi", "--force", image]).map(drop)
}

/// The configuration as a ConfigMap, the login as a Secret, and a Deployment that mounts both.
fn run(town: &Town, image: &str) -> anyhow::Result<()> {
    let forge = town.parts.get("FORGE_URL_IN_WORLD");
    let user = town.parts.get("FORGE_USER");
    let text = format!(
        "[agent]\npoll_interval = \"1s\"\ndata_dir = \"/var/lib/quarterdeck\"\nsocket = \"/run/quarterdeck/agent.sock\"\n\n\
         [[repository]]\nurl = \"{forge}\"\nusername = \"{user}\"\ntoken_file = \"/etc/quarterdeck/login/forge-token\"\ninsecure = true\n\n\
         [[application]]\nname = \"shop\"\n[[application.environment]]\nname = \"prod\"\nrepository = \"{forge}/{user}/{}.git\"\nbranch = \"main\"\npath = \"shop\"\n\
         cluster = \"in-cluster\"\nnamespace = \"{}\"\n",
        town.deploy_name(),
        town.namespace,
    );
    let from = |name: &str| format!("--from-file={name}={}", town.agent.path(name).display());
    town.agent.configure(&text)?;
    town.kubectl(&["create", "configmap", "agent", &from("config.toml")])?;
    town.kubectl(&["create", "secret", "generic", "agent", &from("forge-token")])?;
    let agent = format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{ name: quarterdeck }}
spec:
  strategy: {{ type: Recreate }}
  selector: {{ matchLabels: {{ app: quarterdeck }} }}
  template:
    metadata: {{ labels: {{ app: quarterdeck }} }}
    spec:
      serviceAccountName: quarterdeck
      terminationGracePeriodSeconds: 5
      securityContext: {{ runAsNonRoot: true, runAsUser: 65534, runAsGroup: 65534, fsGroup: 65534 }}
      containers:
      - name: agent
        image: {image}
        command: [qd-agent, run, --config, /etc/quarterdeck/config.toml]
        securityContext:
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
          capabilities: {{ drop: [ALL] }}
        readinessProbe: {{ exec: {{ command: [qd, status] }}, periodSeconds: 1 }}
        volumeMounts:
        - {{ name: config, mountPath: /etc/quarterdeck }}
        - {{ name: data, mountPath: /var/lib/quarterdeck }}
        - {{ name: run, mountPath: /run }}
      volumes:
      - name: config
        projected:
          defaultMode: 0440
          sources:
          - configMap: {{ name: agent }}
          - secret: {{ name: agent, items: [{{ key: forge-token, path: login/forge-token }}] }}
      - {{ name: data, emptyDir: {{}} }}
      - {{ name: run, emptyDir: {{}} }}
"
    );
    std::fs::write(town.agent.path("agent.yaml"), agent)?;
    town.kubectl(&["apply", "--filename", &town.agent.path("agent.yaml").display().to_string()]).map(drop)
}

/// The command line in the agent's pod.
fn qd(town: &Town, words: &[&str]) -> anyhow::Result<String> {
    town.kubectl(&[&["exec", "deployment/quarterdeck", "--", "qd"], words].concat())
}

/// Waits until the agent says by its command line that the shop is at a commit, and well.
async fn synced(town: &Town, what: &str, commit: &str) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let told = qd(town, &["status", "shop", "-o", "json"]);
        let seen = match &told {
            Ok(json) => {
                let app: EnvironmentStatus = serde_json::from_str(json)?;
                if app.sync == SyncStatus::Synced && app.health == Health::Healthy && is_at(&app, commit) {
                    return Ok(());
                }
                format!("{} {} {:?} {}", app.sync, app.health, app.revision, app.message)
            }
            Err(error) => format!("{error:#}"),
        };
        if started.elapsed() > Duration::from_secs(120) {
            bail!("waited for {what}, and saw: {seen}");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The pods of the shop.
fn pods(town: &Town) -> anyhow::Result<String> {
    town.kubectl(&["get", "pods", "--selector", "app=shop", "--output", "name"])
}

//! podinfo, the application that Flux shows itself by: its chart and its kustomization as they are published, asked for in Flux's
//! own words, imported and brought up on the cluster; helm and kubectl say whether the cluster is as they would have it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use harness::real::said;
use quarterdeck_shared::snapshot::EnvironmentStatus;
use quarterdeck_shared::status::{Health, SyncStatus};

use super::*;

/// Of which it is served, as its image has it.
const IMAGE: &str = "FROM world/busybox:1
WORKDIR /home/app
COPY podinfo .
COPY podcli /bin/podcli
COPY ui ui
";

/// What the chart is given beside the image.
const COLOR: &str = "#34577c";

/// A release of the chart, and a Kustomization, as Flux is asked for them.
fn asked(town: &Town, image: &str) -> String {
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {{ name: deploy, namespace: flux-system }}
spec: {{ interval: 1m, url: '{url}', ref: {{ branch: main }} }}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{ name: podinfo, namespace: flux-system }}
spec: {{ interval: 1m, path: ./shop/overlay, prune: true, targetNamespace: {namespace}, sourceRef: {{ kind: GitRepository, name: deploy }} }}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{ name: podinfo-chart, namespace: {namespace} }}
spec:
  interval: 1m
  chart: {{ spec: {{ chart: ./shop/charts/podinfo, sourceRef: {{ kind: GitRepository, name: deploy, namespace: flux-system }} }} }}
  values: {{ image: {{ repository: {image}, tag: real }}, ui: {{ color: '{COLOR}' }} }}
",
        url = town.deploy.url,
        namespace = town.namespace,
    )
}

/// The files below a folder, as those of another.
fn files(from: &Path, to: &str, into: &mut Vec<(String, String)>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let path = entry?.path();
        let name = format!("{to}/{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            files(&path, &name, into)?;
        } else {
            into.push((name, std::fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

/// The manifests: both as they are published, and an overlay that names the image of this world.
fn manifests(published: &Path, image: &str, color: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    files(&published.join("chart"), "shop/charts/podinfo", &mut all)?;
    files(&published.join("kustomize"), "shop/kustomize", &mut all)?;
    let overlay = format!(
        "resources: [../kustomize]\nimages: [{{ name: ghcr.io/stefanprodan/podinfo, newName: {image}, newTag: real }}]\n\
         patches:\n- patch: |-\n    - {{ op: replace, path: /spec/template/spec/containers/0/env/0/value, value: '{color}' }}\n  \
         target: {{ kind: Deployment }}\n"
    );
    all.push(("shop/overlay/kustomization.yaml".to_owned(), overlay));
    Ok(all)
}

/// The configuration that an import of the Flux objects gives.
fn imported(town: &Town, image: &str) -> anyhow::Result<String> {
    let folder = town.agent.path("flux");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("all.yaml"), asked(town, image))?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_playground"));
    command.args(["agent", "import", "flux"]).arg(&folder);
    command.args(["--environment", "prod", "--cluster", "world", "--automatic"]);
    Ok(String::from_utf8(said(&mut command)?.stdout)?)
}

/// That `kubectl diff` finds nothing to change: what the programs make is what is there. Whoever applied it is no difference.
fn is_as_made(town: &Town, what: &[&str]) -> anyhow::Result<()> {
    let differs = ["diff", "--server-side", "--force-conflicts"];
    town.kubectl(&[&differs, what].concat()).map(drop).context("kubectl sees a difference")
}

/// What helm makes of the chart, in a file.
fn template(town: &Town, image: &str) -> anyhow::Result<PathBuf> {
    let mut command = Command::new(Path::new(town.parts.get("WORLD_BIN")).join("helm"));
    command.args(["template", "podinfo-chart"]).arg(town.agent.path("deploy").join("shop/charts/podinfo"));
    let version: serde_json::Value = serde_json::from_str(&town.kubectl(&["get", "--raw", "/version"])?)?;
    let version = version["gitVersion"].as_str().unwrap_or_default();
    command.args(["--namespace", &town.namespace, "--no-hooks", "--kube-version", version]);
    command.arg("--set").arg(format!("image.repository={image},image.tag=real,ui.color={COLOR}"));
    let file = town.agent.path("podinfo.yaml");
    std::fs::write(&file, said(&mut command)?.stdout)?;
    Ok(file)
}

#[tokio::test]
async fn podinfo_runs_by_its_chart_and_by_its_kustomization_as_flux_would_have_it() -> anyhow::Result<()> {
    story(async |town| {
        let published = Path::new(town.parts.get("WORLD_STATE")).join("podinfo");
        let image = format!("{}/{}", town.parts.get("REGISTRY"), town.name);
        let name = format!("{image}:real");
        let dockerfile = town.agent.path("Dockerfile").display().to_string();
        std::fs::write(&dockerfile, IMAGE)?;
        town.parts.docker(&[
            "build",
            "--quiet",
            "--tag",
            &name,
            "--file",
            &dockerfile,
            &published.display().to_string(),
        ])?;
        let pushed = town.parts.docker(&["push", "--quiet", &name]).map(drop);
        town.parts.docker(&["rmi", "--force", &name])?;
        pushed?;

        town.agent.set("PATH", town.parts.path_with_programs()?);
        let config = town.config();
        let (head, _) = config.split_once("[[application]]").unwrap_or((&config, ""));
        town.agent.configure(&format!("{head}{}", imported(town, &image)?))?;
        town.parts.kubectl(&["create", "namespace", &town.namespace])?;
        commit(town, &manifests(&published, &image, COLOR)?, "podinfo")?;
        town.agent.start_agent().await?;
        let is_synced = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && app.progress.is_none();
        let is_up = |app: &EnvironmentStatus| is_synced(app) && app.health == Health::Healthy;
        town.agent.wait_for("the chart to be healthy", "podinfo-chart", is_up).await?;
        // The autoscaler of the kustomization asks for metrics, which a world has none of: its pods are looked at instead.
        town.agent.wait_for("the kustomization to be synced", "podinfo", is_synced).await?;
        for one in ["podinfo", "podinfo-chart"] {
            town.kubectl(&["rollout", "status", &format!("deployment/{one}"), "--timeout=120s"])?;
            let version = ["exec", &format!("deployment/{one}"), "--", "wget", "-qO-", "http://127.0.0.1:9898/version"];
            let version: serde_json::Value = serde_json::from_str(&town.kubectl(&version)?)?;
            ensure!(version["version"].is_string(), "{one} answers {version}");
        }
        is_as_made(town, &["-k", &town.agent.path("deploy/shop/overlay").display().to_string()])?;
        is_as_made(town, &["-f", &template(town, &image)?.display().to_string()])?;

        // A commit to one of them rolls that one out.
        let before = field(town, "deployment/podinfo-chart", ".metadata.generation")?;
        commit(town, &manifests(&published, &image, "#c0ffee")?, "Another color")?;
        let color = "jsonpath={.spec.template.spec.containers[0].env[0].value}";
        town.until("the other color", &["get", "deployment/podinfo", "-o", color], "#c0ffee").await?;
        town.agent.wait_for("the kustomization to be synced again", "podinfo", is_synced).await?;
        town.kubectl(&["rollout", "status", "deployment/podinfo", "--timeout=120s"])?;
        ensure!(
            field(town, "deployment/podinfo-chart", ".metadata.generation")? == before,
            "the other one was changed"
        );
        is_as_made(town, &["-k", &town.agent.path("deploy/shop/overlay").display().to_string()])
    })
    .await
}

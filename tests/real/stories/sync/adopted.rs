//! What Argo CD and Helm hold in a real cluster becomes an environment's own: a real API server decides what of `managedFields`
//! may be written, who owns what then, and whether a pod is restarted.

use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use harness::real::said;
use quarterdeck_shared::protocol::{Accepted, AdoptionAnswer};
use quarterdeck_shared::snapshot::EnvironmentStatus;
use quarterdeck_shared::status::SyncStatus;
use serde_json::json;

use super::super::program;
use super::*;

const DEFINITION: &str = "applications.argoproj.io";

/// A kind of Argo CD, as far as anybody here reads it.
fn definition() -> String {
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": { "name": DEFINITION },
        "spec": {
            "group": "argoproj.io", "scope": "Namespaced", "names": { "plural": "applications", "kind": "Application" },
            "versions": [{ "name": "v1alpha1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } }],
        },
    })
    .to_string()
}

/// Applies a text in the town's namespace as this field manager.
fn apply(town: &Town, manager: &str, text: &str) -> anyhow::Result<()> {
    let file = town.agent.path("applied.yaml");
    std::fs::write(&file, text)?;
    let manager = format!("--field-manager={manager}");
    town.kubectl(&["apply", "--server-side", &manager, "-f", &file.display().to_string()]).map(drop)
}

/// A manifest as Argo CD applies it: with its tracking.
fn tracked(town: &Town, manifest: &str, of: &str) -> String {
    let id = format!("store:{of}:{}/shop", town.namespace);
    manifest.replacen(
        "  name: shop\n",
        &format!("  name: shop\n  annotations: {{ argocd.argoproj.io/tracking-id: '{id}' }}\n"),
        1,
    )
}

/// An Application that deploys the town's manifests.
fn application(town: &Town) -> String {
    let resource = |group: &str, kind: &str, name: &str| json!({ "group": group, "version": "v1", "kind": kind, "namespace": town.namespace, "name": name, "status": "Synced" });
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "name": "store", "finalizers": ["resources-finalizer.argocd.argoproj.io"] },
        "spec": {
            "project": "default", "destination": { "server": "https://kubernetes.default.svc", "namespace": town.namespace },
            "source": { "repoURL": town.deploy.url, "path": "shop", "targetRevision": "main" },
            "syncPolicy": { "automated": { "prune": true, "selfHeal": true } },
        },
        "status": { "resources": [resource("apps", "Deployment", "shop"), resource("", "ConfigMap", "shop"), resource("", "ConfigMap", "old")] },
    })
    .to_string()
}

/// What `qd-agent import` makes of the Applications of the town's namespace.
fn imported(town: &Town) -> anyhow::Result<String> {
    let (program, words) = program();
    let context = town.parts.get("KUBE_CONTEXT");
    let mut command = Command::new(program);
    command.args(words).args(["import", "argocd", "--context", context, "--namespace", &town.namespace]);
    command.args(["--environment", "prod", "--cluster", "world"]).env("KUBECONFIG", town.parts.get("KUBECONFIG"));
    Ok(String::from_utf8(said(&mut command)?.stdout)?)
}

async fn plan(town: &Town, name: &str) -> anyhow::Result<AdoptionAnswer> {
    town.agent.client().get(&format!("/v1/environments/{name}/adoption")).await.context("cannot ask for the adoption")
}

async fn ask(town: &Town, name: &str, what: &str) -> anyhow::Result<()> {
    let path = format!("/v1/environments/{name}/{what}");
    town.agent.client().post::<Accepted>(&path, &json!({})).await.context("not accepted")?;
    let is_done = |app: &EnvironmentStatus| match what {
        "adopt" => app.last.as_ref().is_some_and(|last| last.what == "adopt"),
        _ => app.sync == SyncStatus::Synced,
    };
    town.agent.wait_for(&format!("the {what}"), name, is_done).await.map(drop)
}

/// The field managers of an object.
fn managers(town: &Town, object: &str) -> anyhow::Result<String> {
    town.kubectl(&["get", object, "--show-managed-fields", "-o", "jsonpath={.metadata.managedFields[*].manager}"])
}

#[tokio::test]
async fn what_argo_cd_applied_is_imported_adopted_and_synced_without_a_restart() -> anyhow::Result<()> {
    story(async |town| {
        let told = adopted_from_argo_cd(town).await;
        let gone = town.parts.kubectl(&["delete", "crd", DEFINITION, "--ignore-not-found"]);
        told.and(gone.map(drop))
    })
    .await
}

async fn adopted_from_argo_cd(town: &mut Town) -> anyhow::Result<()> {
    let (web, before) = (deployment(&town.parts, ""), config("shop", "1") + "  legacy: argo\n");
    commit(town, &[file("web", &*web), file("config", &*before)], "As Argo CD deployed it")?;
    let namespace = town.namespace.clone();
    town.parts.kubectl(&["create", "namespace", &namespace])?;
    apply(town, "installer", &definition())?;
    town.parts.kubectl(&["wait", "--for=condition=established", &format!("crd/{DEFINITION}"), "--timeout=60s"])?;
    apply(town, "argocd-controller", &tracked(town, &web, "apps/Deployment"))?;
    apply(town, "argocd-controller", &tracked(town, &before, "/ConfigMap"))?;
    apply(town, "argocd-controller", &config("old", "1"))?;
    apply(town, "argocd-server", &application(town))?;
    town.kubectl(&["rollout", "status", "deployment/shop", "--timeout=120s"])?;
    let pod = field(town, "pods", ".items[*].metadata.uid")?;
    let (spec, uid) = (field(town, "deployment/shop", ".spec")?, field(town, "deployment/shop", ".metadata.uid")?);

    let head = town.config();
    let head = head.split("[[application]]").next().unwrap_or_default();
    town.agent.configure(&format!("{head}{}", imported(town)?))?;
    town.agent.start_agent().await?;
    town.agent.wait_for("the imported application", "store", |app| app.sync == SyncStatus::OutOfSync).await?;
    let answer = plan(town, "store").await?;
    let lines: Vec<_> =
        answer.objects.iter().map(|one| (one.resource.short(), one.managers.join(","), one.differs)).collect();
    let wanted = |name: &str| (name.to_owned(), "argocd-controller".to_owned(), Some(0));
    ensure!(lines == [wanted("ConfigMap/shop"), wanted("Deployment/shop")], "{answer:#?}");
    let [holder] = &answer.holders[..] else { anyhow::bail!("{answer:#?}") };
    ensure!(
        holder.holder == format!("Argo CD Application {namespace}/store") && holder.not_in_git.len() == 1,
        "{holder:#?}"
    );

    ask(town, "store", "adopt").await?;
    ensure!(plan(town, "store").await?.objects.is_empty(), "{:#?}", plan(town, "store").await?);
    ensure!(field(town, "configmap/shop", ".data.legacy")? == "argo", "no field changes by it");
    ensure!(field(town, "configmap/shop", ".metadata.annotations")?.is_empty(), "the tracking is gone");
    for object in ["configmap/shop", "deployment/shop"] {
        let managers = managers(town, object)?;
        ensure!(managers.contains("quarterdeck") && !managers.contains("argocd"), "{object}: {managers}");
        ensure!(managers.matches("quarterdeck").count() == 1, "{object}: {managers}");
    }
    ensure!(field(town, "deployment/shop", ".spec")? == spec, "no field changes by it");
    // Each command by which Argo CD is turned off is one that kubectl understands.
    for command in &holder.turn_off {
        let words = command.trim_start_matches("kubectl ").replace('\'', "");
        town.parts.kubectl(&words.split(' ').collect::<Vec<_>>())?;
    }
    ensure!(
        field(town, "configmap/shop", ".data.value")? == "1" && field(town, "configmap/old", ".data.value")? == "1"
    );

    ask(town, "store", "sync").await?;
    let after = commit(town, &[file("web", &*web), file("config", config("shop", "1"))], "Without the field")?;
    let at = |app: &EnvironmentStatus| app.target.as_ref().is_some_and(|target| target.commit.as_str() == after);
    town.agent.wait_for("the commit", "store", at).await?;
    town.agent.wait_for("the difference", "store", |app| app.sync == SyncStatus::OutOfSync).await?;
    ask(town, "store", "sync").await?;
    ensure!(field(town, "configmap/shop", ".data.legacy")?.is_empty(), "what only Argo CD had set is gone");
    ensure!(field(town, "pods", ".items[*].metadata.uid")? == pod, "no pod was restarted");
    ensure!(field(town, "deployment/shop", ".metadata.uid")? == uid, "the Deployment is the same");
    Ok(())
}

/// Runs helm in the town's namespace; what it printed.
fn helm(town: &Town, words: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new(Path::new(town.parts.get("WORLD_BIN")).join("helm"));
    command.args(words).env("KUBECONFIG", town.parts.get("KUBECONFIG")).env("HOME", town.agent.path("home"));
    command.args(["--kube-context", town.parts.get("KUBE_CONTEXT"), "--namespace", &town.namespace]);
    Ok(String::from_utf8(said(&mut command)?.stdout)?)
}

#[tokio::test]
async fn what_helm_installed_is_adopted_and_its_fields_go_with_the_next_sync() -> anyhow::Result<()> {
    story(async |town| {
        let folder = town.agent.path("chart");
        std::fs::create_dir_all(folder.join("templates"))?;
        std::fs::write(folder.join("Chart.yaml"), "apiVersion: v2\nname: cache\nversion: 1.0.0\n")?;
        let labels = "  labels: { app.kubernetes.io/managed-by: {{ .Release.Service }} }\n";
        let chart =
            |name: &str| config(name, "1").replacen("\ndata:", &format!("\n{labels}data:"), 1) + "  legacy: helm\n";
        std::fs::write(folder.join("templates/shop.yaml"), chart("shop"))?;
        std::fs::write(folder.join("templates/left.yaml"), chart("left"))?;
        let namespace = town.namespace.clone();
        helm(town, &["install", "cache", &folder.display().to_string(), "--create-namespace"])?;
        commit(town, &[file("config", config("shop", "1"))], "What git says")?;
        let manual = "[application.environment.sync]\nautomatic = false\n";
        town.agent.configure(&format!("{}{manual}", town.config()))?;
        town.agent.start_agent().await?;
        town.agent.wait_for("the comparison", "shop", |app| app.sync == SyncStatus::OutOfSync).await?;
        let uid = field(town, "configmap/shop", ".metadata.uid")?;

        let answer = plan(town, "shop").await?;
        let [holder] = &answer.holders[..] else { anyhow::bail!("{answer:#?}") };
        ensure!(holder.holder == format!("Helm release {namespace}/cache"), "{holder:#?}");
        let left: Vec<String> = holder.not_in_git.iter().map(|one| one.short()).collect();
        ensure!(left == ["ConfigMap/left"], "{left:?}");
        ensure!(answer.objects.len() == 1 && answer.objects[0].managers == ["helm"], "{answer:#?}");
        ask(town, "shop", "adopt").await?;
        ensure!(plan(town, "shop").await?.pending() == 0, "{:#?}", plan(town, "shop").await?);
        ensure!(field(town, "configmap/shop", ".data.legacy")? == "helm", "no field changes by it");

        ask(town, "shop", "sync").await?;
        ensure!(field(town, "configmap/shop", ".data.legacy")?.is_empty(), "what only Helm had set is gone");
        ensure!(field(town, "configmap/shop", ".metadata.uid")? == uid, "it is the same object");
        ensure!(field(town, "configmap/left", ".data.legacy")? == "helm");
        ensure!(helm(town, &["list"])?.contains("cache"), "the release is still known to Helm");
        Ok(())
    })
    .await
}

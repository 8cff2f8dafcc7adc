//! What Argo CD and Flux are asked for in a cluster is read there: `qd-agent import … --context`.

use std::process::{Command, Output};

use harness::cluster::faults::Fault;
use serde_json::{Value, json};

use super::adopted::define;
use super::*;

/// What an import of the world's cluster printed. The cluster answers meanwhile.
async fn import(world: &World, words: &[&str]) -> Output {
    let kubeconfig = world.path("import-kubeconfig");
    std::fs::write(&kubeconfig, world.cluster.kubeconfig_text()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_playground"));
    command.args(["agent", "import"]).args(words).env("KUBECONFIG", kubeconfig);
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn in_a_cluster() -> World {
    let world = world().await;
    for kind in ["Application", "ApplicationSet", "AppProject"] {
        define(&world, "argoproj.io", "v1alpha1", kind).await;
    }
    for namespace in ["argocd", "team"] {
        world.cluster.namespace(namespace).unwrap();
    }
    let application = |name: &str, namespace: &str| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": { "name": name, "namespace": namespace },
            "spec": {
                "project": "default", "destination": { "server": "https://kubernetes.default.svc", "namespace": name },
                "source": { "repoURL": "https://forge.example/ops/deploy.git", "path": format!("apps/{name}"), "targetRevision": "main" },
            },
            "status": { "sync": { "status": "Synced" }, "resources": [] },
        })
    };
    let set = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "metadata": { "name": "everywhere", "namespace": "argocd" },
        "spec": {
            "generators": [{ "clusters": { "selector": { "matchLabels": { "env": "prod" } } } }],
            "template": { "metadata": { "name": "log-{{name}}" }, "spec": application("log", "argocd")["spec"].clone() },
        },
    });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "cluster-eu", "namespace": "argocd", "labels": { "argocd.argoproj.io/secret-type": "cluster", "env": "prod" } },
        "stringData": { "name": "eu", "server": "https://eu.example:6443", "config": "{\"bearerToken\":\"hunter2\"}" },
    });
    for object in [application("shop", "argocd"), application("till", "team"), set, secret] {
        world.cluster.put(object).unwrap();
    }
    world
}

fn names(toml: &str) -> Vec<String> {
    let mut names: Vec<String> = toml
        .lines()
        .filter(|line| line.starts_with("name = "))
        .map(|line| line.trim_start_matches("name = ").trim_matches('"').to_owned())
        .filter(|name| name != "default")
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_applications_of_a_cluster_are_imported_with_the_clusters_that_a_set_names() {
    let world = in_a_cluster().await;
    let all = import(&world, &["argocd", "--context", "standin"]).await;
    let (out, table) = (text(&all.stdout), text(&all.stderr));
    assert_eq!(names(&out), ["log-eu", "shop", "till"], "{out}{table}");
    assert!(out.contains("cluster = \"standin\"") && out.contains("path = \"apps/shop\""), "{out}");
    assert!(table.contains("Application argocd/shop") && table.contains("context standin"), "{table}");
    assert!(!out.contains("hunter2") && !table.contains("hunter2"));

    let one = import(&world, &["argocd", "--context", "standin", "--namespace", "team", "--cluster", "prod"]).await;
    assert_eq!(names(&text(&one.stdout)), ["till"]);
    assert!(text(&one.stdout).contains("cluster = \"prod\""), "{}", text(&one.stdout));
}

#[tokio::test]
async fn what_may_not_be_read_is_told_and_a_cluster_without_any_says_so() {
    let world = in_a_cluster().await;
    world.cluster.fault(Fault::forbidden().on("list", "secrets"));
    let all = import(&world, &["argocd", "--context", "standin"]).await;
    let table = text(&all.stderr);
    assert_eq!(names(&text(&all.stdout)), ["shop", "till"]);
    for line in [
        "objects of kind Secret",
        "import with a login that may read them",
        "the Secrets of the clusters are not among the objects",
    ] {
        assert!(table.contains(line), "{line}: {table}");
    }

    let of_flux = import(&world, &["flux", "--context", "standin"]).await;
    assert_eq!(text(&of_flux.stderr), "qd-agent: nothing of Flux is in context standin\n");
    let missing = import(&world, &["argocd", "--context", "nowhere"]).await;
    assert!(!missing.status.success() && text(&missing.stderr).contains("nowhere"), "{}", text(&missing.stderr));
    world.cluster.away().await;
    let away = import(&world, &["argocd", "--context", "standin"]).await;
    assert!(text(&away.stderr).contains("\nhint: see that the API server runs"), "{}", text(&away.stderr));
}

#[tokio::test]
async fn what_flux_applies_in_a_cluster_is_imported() {
    let world = world().await;
    let groups = [("kustomize", "Kustomization"), ("source", "GitRepository")];
    for (group, kind) in groups {
        define(&world, &format!("{group}.toolkit.fluxcd.io"), "v1", kind).await;
    }
    world.cluster.namespace("flux-system").unwrap();
    let object = |group: &str, kind: &str, name: &str, spec: Value| {
        json!({
            "apiVersion": format!("{group}.toolkit.fluxcd.io/v1"), "kind": kind,
            "metadata": { "name": name, "namespace": "flux-system" }, "spec": spec,
        })
    };
    let repository = json!({ "url": "https://forge.example/ops/fleet.git", "ref": { "branch": "main" } });
    world.cluster.put(object("source", "GitRepository", "fleet", repository)).unwrap();
    for (name, inventory) in
        [("root", "flux-system_shop_kustomize.toolkit.fluxcd.io_Kustomization"), ("shop", "shop_web_apps_Deployment")]
    {
        let source = json!({ "kind": "GitRepository", "name": "fleet" });
        let mut one =
            object("kustomize", "Kustomization", name, json!({ "path": name, "prune": true, "sourceRef": source }));
        one["status"] = json!({ "inventory": { "entries": [{ "id": inventory, "v": "v1" }] } });
        world.cluster.put(one).unwrap();
    }
    let all = import(&world, &["flux", "--context", "standin"]).await;
    assert_eq!(names(&text(&all.stdout)), ["shop"], "{}{}", text(&all.stdout), text(&all.stderr));
    assert!(text(&all.stderr).contains("root only has objects that are imported separately"), "{}", text(&all.stderr));
}

/// A stand-in for kustomize that says whether it sees what is of the person who imports, and of no repository.
const PRYING: &str = r#"#!/bin/sh
[ -z "$TOKEN" ] || seen="token-$seen"
echo written 2>/dev/null >"FOLDER/programs/outside" && seen="files-$seen"
printf 'apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: "%s", namespace: flux-system}\n' "saw-${seen:-nothing}"
printf 'spec: {path: ./apps, prune: true, sourceRef: {kind: GitRepository, name: fleet}}\n'
"#;

#[tokio::test]
async fn what_builds_the_kustomizations_of_a_repository_sees_nothing_else_unless_it_may_fetch() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().canonicalize().unwrap();
    let fleet = at.join("fleet/clusters/one");
    std::fs::create_dir_all(&fleet).unwrap();
    std::fs::write(fleet.join("kustomization.yaml"), "resources: []\n").unwrap();
    let script = PRYING.replace("FOLDER", &at.display().to_string());
    let path = harness::programs::install(&at, "kustomize", &script).unwrap();
    let run = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_playground"));
        command.args(["agent", "import", "flux"]).arg(at.join("fleet")).args(["--path", "clusters/one"]).args(more);
        command
            .args(["--repository", "https://forge.example/ops/fleet.git"])
            .env("PATH", &path)
            .env("TOKEN", "hunter2");
        let output = command.output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        let at = said.find("saw-").unwrap_or_else(|| panic!("{said}"));
        let end = said[at..].find(|sign: char| !sign.is_ascii_alphanumeric() && sign != '-').unwrap();
        said[at..at + end].to_owned()
    };
    let confined = run(&[]);
    // How far it goes is the kernel's to allow; the environment it never has.
    let has_namespaces =
        Command::new("unshare").args(["--user", "--mount", "true"]).status().is_ok_and(|one| one.success());
    match has_namespaces {
        true => assert_eq!(confined, "saw-nothing"),
        false => assert!(!confined.contains("token"), "{confined}"),
    }
    assert!(run(&["--fetch"]).contains("token"));
}

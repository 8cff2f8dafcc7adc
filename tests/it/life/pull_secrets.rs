//! Secrets with which a cluster pulls: made before what pulls, renewed with their password, and gone when nobody wants them; what
//! belongs to others stays as it is.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use harness::cluster::faults::Fault;
use harness::registry::{Auth, User};
use quarterdeck_shared::protocol::{Check, CheckResult};
use quarterdeck_shared::snapshot::Cover;
use quarterdeck_shared::status::Health;
use serde_json::{Value, json};

use super::*;

/// The name of the Secret where nobody chose one.
const NAME: &str = "quarterdeck-pull";

/// A login of the cluster's own for the world's registry, with more of its options.
fn own_login(world: &World, more: &str) -> String {
    format!("{}username = \"puller\"\npassword_file = \"pull-password\"\n{more}", table(world))
}

/// The agent's login for the world's registry.
fn table(world: &World) -> String {
    format!("[[application.environment.pull_secret]]\nregistry = \"{}\"\n", world.registry.address())
}

fn configure(world: &World, more: &str) {
    let address = world.forge.path("ops/deploy").display().to_string();
    world.configure(&(world.config_head("a test") + &application("shop", &address, more))).unwrap();
}

fn secret(world: &World) -> Option<Arc<Value>> {
    world.cluster.get("secrets", "shop", NAME)
}

/// User and password that the Secret has for the world's registry.
fn login(world: &World) -> Option<(String, String)> {
    let secret = secret(world)?;
    let config = BASE64_STANDARD.decode(secret["data"][".dockerconfigjson"].as_str()?).ok()?;
    let config: Value = serde_json::from_slice(&config).ok()?;
    let entry = &config["auths"][world.registry.address()];
    Some((entry["username"].as_str()?.to_owned(), entry["password"].as_str()?.to_owned()))
}

async fn logs_in_as(world: &World, user: &str, password: &str) {
    let wanted = (user.to_owned(), password.to_owned());
    let is_it = |_: &harness::cluster::Cluster| (login(world).as_ref() == Some(&wanted)).then_some(());
    world.cluster.wait_for(&format!("the Secret with the login of {user}"), is_it).await;
}

/// The Secrets that a ServiceAccount names.
fn names(world: &World, account: &str) -> Vec<String> {
    let account = world.cluster.get("serviceaccounts", "shop", account);
    let list = account.as_ref().and_then(|account| account["imagePullSecrets"].as_array());
    list.into_iter().flatten().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

fn account(name: &str, more: &str) -> String {
    format!("apiVersion: v1\nkind: ServiceAccount\nmetadata: {{ name: {name} }}\n{more}")
}

/// Waits until the shop says this of its pull secret, and of nothing else.
async fn says(world: &World, words: &str) -> EnvironmentStatus {
    let is_it = |app: &EnvironmentStatus| matches!(&app.unseen[..], [one] if one.of == Cover::PullSecret && one.describe().contains(words));
    world.wait_for(&format!("{words:?} to be told"), "shop", is_it).await.unwrap()
}

async fn says_nothing(world: &World) {
    world.wait_for("nothing to be wrong", "shop", |app| app.unseen.is_empty()).await.unwrap();
}

/// What the cluster was asked to write since the counts were reset.
fn writes(world: &World) -> u64 {
    let counts = world.cluster.counts();
    counts.of("patch", "secrets") + counts.of("patch", "serviceaccounts")
}

#[tokio::test]
async fn pods_pull_with_a_login_of_the_clusters_own_and_a_rotated_one_is_taken_up() {
    let mut world = shop().await;
    let users = |password: &str| User::read_only("puller", password);
    let robot = std::fs::read_to_string(world.path("registry-password")).unwrap();
    world.registry.set_auth(Auth::Token(vec![User::new("robot", &robot), users("pull-4730")]));
    std::fs::write(world.path("pull-password"), "pull-4730\n").unwrap();
    let text = world.config_head("a test") + &world.application("shop", &own_login(&world, ""));
    world.configure(&text).unwrap();
    code(&world).tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    let runs = |app: &EnvironmentStatus| app.health == Health::Healthy && app.sync == SyncStatus::Synced;
    let app = world.wait_for("the push to run", "shop", runs).await.unwrap();
    assert_eq!(app.resources, 3, "it is no object of the environment");

    let made = secret(&world).unwrap();
    assert_eq!(made["type"], "kubernetes.io/dockerconfigjson");
    let labels = &made["metadata"]["labels"];
    assert_eq!(
        (&labels["quarterdeck.dev/pull-secret"], &labels["quarterdeck.dev/application"]),
        (&json!("shop.prod"), &Value::Null)
    );
    assert_eq!(
        (login(&world), names(&world, "default")),
        (Some(("puller".into(), "pull-4730".into())), vec![NAME.into()])
    );
    let inventory = world.cluster.get("configmaps", "shop", "quarterdeck-shop.prod").unwrap();
    assert!(!inventory["data"].to_string().contains(NAME), "{inventory}");

    // The registry knows the old one no more, and nobody else: what pulls now pulls with the new one.
    world.registry.set_auth(Auth::Token(vec![users("pull-4731")]));
    std::fs::write(world.path("pull-password"), "pull-4731").unwrap();
    world.reload_agent();
    logs_in_as(&world, "puller", "pull-4731").await;
    let file = "apps/shop/deployment.yaml";
    let more = deploy(&world).file("main", file).replace("replicas: 2", "replicas: 3");
    let commit = deploy(&world).commit("main", &[(file, &more)], "One more");
    let is_it = |app: &EnvironmentStatus| is_at(app, &commit) && runs(app);
    world.wait_for("one more to run", "shop", is_it).await.unwrap();
    assert!(world.cluster.pods("shop").len() >= 3);
}

#[tokio::test]
async fn a_login_that_cannot_be_read_leaves_the_last_good_secret_and_stops_no_sync() {
    let mut world = world().await;
    manifests(&world, &[("a.yaml", &config_map("a", "one"))], "One");
    configure(&world, &own_login(&world, ""));
    world.start_agent().await.unwrap();
    let app = says(&world, "pull-password cannot be read: No such file").await;
    let words = format!("pull secret {NAME} is not up to date: registry {} has no password", world.registry.address());
    assert!(app.unseen[0].describe().starts_with(&words), "{:?}", app.unseen);
    let is_it = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && app.message.starts_with(&words);
    world.wait_for("the sync beside it", "shop", is_it).await.unwrap();
    assert!(secret(&world).is_none());
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let check = checks.iter().find(|check| check.message.starts_with(&words)).unwrap();
    assert!(check.result == CheckResult::Bad && check.hint.contains("the last valid Secret"), "{check:?}");

    std::fs::write(world.path("pull-password"), "pull-4732").unwrap();
    world.reload_agent();
    logs_in_as(&world, "puller", "pull-4732").await;
    says_nothing(&world).await;

    std::fs::write(world.path("pull-password"), "").unwrap();
    world.reload_agent();
    says(&world, "pull-password is empty").await;
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Two");
    synced_to(&world, &commit).await;
    logs_in_as(&world, "puller", "pull-4732").await;
    assert_eq!(names(&world, "default"), [NAME]);
}

#[tokio::test]
async fn what_somebody_changed_or_deleted_is_made_again_and_at_rest_nothing_is_written() {
    let mut world = world().await;
    manifests(&world, &[("a.yaml", &config_map("a", "one"))], "One");
    std::fs::write(world.path("pull-password"), "pull-4733").unwrap();
    configure(&world, &table(&world));
    world.start_agent().await.unwrap();
    logs_in_as(&world, "robot", "robot-secret-4711").await;
    says_nothing(&world).await;

    let no_login = |object: &mut Value| object["data"][".dockerconfigjson"] = json!(BASE64_STANDARD.encode("{}"));
    world.cluster.edit("secrets", "shop", NAME, "somebody", no_login).unwrap();
    ask(&world, "sync", json!({})).await;
    logs_in_as(&world, "robot", "robot-secret-4711").await;

    world.cluster.delete("secrets", "shop", NAME).unwrap();
    let none = |object: &mut Value| drop(object.as_object_mut().unwrap().remove("imagePullSecrets"));
    world.cluster.edit("serviceaccounts", "shop", "default", "somebody", none).unwrap();
    ask(&world, "sync", json!({})).await;
    logs_in_as(&world, "robot", "robot-secret-4711").await;
    let named = |_: &harness::cluster::Cluster| (names(&world, "default") == [NAME]).then_some(());
    world.cluster.wait_for("the ServiceAccount to name it", named).await;

    // As it is: a sync that has something to do looks at it, and writes nothing of it.
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Two");
    synced_to(&world, &commit).await;
    world.cluster.reset_counts();
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "three"))], "Three");
    synced_to(&world, &commit).await;
    assert_eq!(writes(&world), 0);
    assert!(world.cluster.counts().of("get", "secrets") > 0, "it was looked at");

    // Another login by another configuration.
    configure(&world, &own_login(&world, ""));
    world.reload_agent();
    logs_in_as(&world, "puller", "pull-4733").await;
}

#[tokio::test]
async fn what_leaves_the_configuration_is_deleted_and_what_others_have_stays() {
    let mut world = world().await;
    world.cluster.namespace("shop").unwrap();
    let default = |cluster: &harness::cluster::Cluster| cluster.get("serviceaccounts", "shop", "default");
    world.cluster.wait_for("the account of each namespace", default).await;
    let theirs = |object: &mut Value| object["imagePullSecrets"] = json!([{ "name": "theirs" }]);
    world.cluster.edit("serviceaccounts", "shop", "default", "somebody", theirs).unwrap();
    let commit = manifests(&world, &[("build.yaml", &account("build", ""))], "An account");
    configure(&world, &(table(&world) + "service_accounts = [\"default\", \"build\"]\n"));
    world.start_agent().await.unwrap();
    synced_to(&world, &commit).await;
    says_nothing(&world).await;
    assert_eq!(names(&world, "default"), ["theirs", NAME]);
    assert_eq!(names(&world, "build"), [NAME]);

    // The manifest says nothing of it: an apply of the account leaves it.
    let labelled = account("build", "").replace("name: build", "name: build, labels: { tier: ci }");
    let commit = manifests(&world, &[("build.yaml", &labelled)], "A label");
    synced_to(&world, &commit).await;
    assert_eq!(names(&world, "build"), [NAME]);

    configure(&world, &(table(&world) + "service_accounts = [\"build\"]\n"));
    world.reload_agent();
    let less = |_: &harness::cluster::Cluster| (names(&world, "default") == ["theirs"]).then_some(());
    world.cluster.wait_for("the one account to name it no more", less).await;
    assert_eq!(names(&world, "build"), [NAME]);

    // Also by an agent that does not remember it.
    world.stop_agent().unwrap();
    std::fs::remove_dir_all(world.path("data")).unwrap();
    configure(&world, "");
    world.start_agent().await.unwrap();
    let gone = |_: &harness::cluster::Cluster| secret(&world).is_none().then_some(());
    world.cluster.wait_for("the Secret to go", gone).await;
    assert!(names(&world, "build").is_empty());
    assert_eq!(names(&world, "default"), ["theirs"]);
}

#[tokio::test]
async fn what_belongs_to_others_is_left_to_them_and_told() {
    let mut world = world().await;
    world.cluster.namespace("shop").unwrap();
    let own = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME, "namespace": "shop"}, "stringData": {"a": "b"}});
    world.cluster.put(own).unwrap();
    let listed = |secrets: &str| account("build", &format!("imagePullSecrets: [{secrets}]\n"));
    let commit = manifests(&world, &[("build.yaml", &listed("{ name: mine }"))], "An account");
    configure(&world, &(table(&world) + "service_accounts = [\"build\", \"none\"]\n"));
    world.start_agent().await.unwrap();
    synced_to(&world, &commit).await;
    says(&world, "it was not made by Quarterdeck; choose another name, or delete it").await;
    assert_eq!(secret(&world).unwrap()["type"], "Opaque");

    world.cluster.delete("secrets", "shop", NAME).unwrap();
    world.reload_agent();
    logs_in_as(&world, "robot", "robot-secret-4711").await;
    let both = |app: &EnvironmentStatus| {
        let told: Vec<String> = app.unseen.iter().map(|one| one.describe()).collect();
        let says = |words: &str| told.iter().any(|line| line.contains(words));
        says(
            "ServiceAccount/build in namespace shop: its imagePullSecrets is applied by quarterdeck; name the Secret there",
        ) && says("ServiceAccount/none in namespace shop: it does not exist")
    };
    world.wait_for("both accounts to be told", "shop", both).await.unwrap();
    assert_eq!(names(&world, "build"), ["mine"], "the manifest has the list");

    let commit =
        manifests(&world, &[("build.yaml", &listed(&format!("{{ name: mine }}, {{ name: {NAME} }}")))], "Named");
    synced_to(&world, &commit).await;
    says(&world, "ServiceAccount/none").await;

    // Of the manifests: they have it.
    let text = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{ name: {NAME} }}\ntype: kubernetes.io/dockerconfigjson\ndata: {{ .dockerconfigjson: e30= }}\n"
    );
    let commit = manifests(&world, &[("secret.yaml", &text)], "One of git");
    synced_to(&world, &commit).await;
    world.reload_agent();
    says(&world, "it is in the manifests of shop").await;
    assert_eq!(secret(&world).unwrap()["data"][".dockerconfigjson"], "e30=");
}

#[tokio::test]
async fn an_agent_that_may_not_write_it_says_so_and_syncs() {
    let mut world = world().await;
    world.cluster.fault(Fault::forbidden().on("patch", "secrets"));
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "one"))], "One");
    configure(&world, &table(&world));
    world.start_agent().await.unwrap();
    synced_to(&world, &commit).await;
    says(&world, "cannot patch resource \"secrets\"").await;
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let check = checks.iter().find(|check| check.message.contains("pull secret")).unwrap();
    assert!(check.hint.contains("agent/rbac.yaml"), "{check:?}");
    world.cluster.mend();
    world.reload_agent();
    logs_in_as(&world, "robot", "robot-secret-4711").await;
    says_nothing(&world).await;

    // One that may not even look has made none.
    configure(&world, "");
    world.cluster.fault(Fault::forbidden().on("*", "secrets"));
    world.kill_agent();
    world.start_agent().await.unwrap();
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Two");
    synced_to(&world, &commit).await;
    says_nothing(&world).await;
}

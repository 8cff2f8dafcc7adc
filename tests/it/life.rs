//! The life of a whole agent in a whole world: it is killed, starved of what it talks to, told nonsense and asked for
//! much. Every test waits for a state that consoles see, or for what the world was asked; none waits for a time.

use harness::agent::is_at;
use harness::cluster::Pace;
use harness::git::Repo;
use harness::world::{self, World, borrowed};
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::protocol::{Accepted, LogRecord, State};
use quarterdeck_shared::snapshot::{
    AgentStatus, ConnectionKind, EnvironmentStatus, Object, RepositoryStatus, RunStatus,
};
use quarterdeck_shared::status::SyncStatus;

mod access;
mod adopted;
mod alone;
mod artifacts;
mod asked;
mod bundled;
mod certificates;
mod chart_hooks;
mod chart_signed;
mod chart_tested;
mod charts;
mod checked;
mod cleaned;
mod commented;
mod configured;
mod configured_in_git;
mod confined;
mod crashed;
mod deleted;
mod departed;
mod depended;
mod edited;
mod elsewhere;
mod encrypted;
mod environments;
mod fleet;
mod followed;
mod fought;
mod generated;
mod held;
mod hooked;
mod ids;
mod images;
mod imported;
mod jobs;
mod jsonnet;
mod kept;
mod kept_running;
mod keyless;
mod killed;
mod kinds;
mod labelled;
mod logged;
mod manifests;
mod mirrored;
mod moved;
mod order;
mod outages;
mod output;
mod overlaid;
mod own_files;
mod own_repository;
mod planned;
mod previews;
mod projects;
mod promoted;
mod protected;
mod pruned;
mod pull_secrets;
mod queued;
mod quiet;
mod refused;
mod remote;
mod rendered;
mod revisions;
mod scanned;
mod secrets;
mod selected;
mod sets;
mod several;
mod signed;
mod socket;
mod sources;
mod tags;
mod tested;
mod told;
mod unseen;
mod variables;
mod wiped;

/// A world without anything to operate yet.
async fn world() -> World {
    World::start(Pace::default(), (env!("CARGO_BIN_EXE_playground").into(), vec!["agent".into()])).await.unwrap()
}

/// A world with the code and the manifests of a shop that nobody built yet; the agent does not run.
async fn shop() -> World {
    let world = world().await;
    code(&world).commit("main", &borrowed(&world::code("shop", "1.4.0")), "A shop");
    let image = format!("{}:none", world.image("ops/shop"));
    deploy(&world).commit("main", &borrowed(&world::manifests("shop", &image)), "Manifests of the shop");
    world.configure(&(world.config_head("a test") + &world.application("shop", ""))).unwrap();
    world
}

/// A world with an application that is only deployed, from these files of `apps/shop`; the agent runs, and synced it.
async fn deployed(files: &[(&str, &str)], more: &str) -> World {
    let mut world = world().await;
    let commit = manifests(&world, files, "Manifests of the shop");
    let address = world.forge.path("ops/deploy").display().to_string();
    world.configure(&(world.config_head("a test") + &application("shop", &address, more))).unwrap();
    world.start_agent().await.unwrap();
    if !more.contains("automatic = false") {
        synced_to(&world, &commit).await;
    }
    // The cluster's version is asked beside that; what a test counts comes after it.
    let told = |object: &Object| matches!(object, Object::Connection(to) if to.to == ConnectionKind::Cluster && !to.version.is_empty());
    world.wait("the cluster's version", |state| state.objects.values().any(told).then_some(())).await.unwrap();
    world
}

/// An application that is only deployed.
fn application(name: &str, repository: &str, more: &str) -> String {
    format!(
        "\n[[application]]\nname = \"{name}\"\n[[application.environment]]\nname = \"prod\"\nrepository = \"{repository}\"\nbranch = \"main\"\n\
         path = \"apps/{name}\"\ncluster = \"demo\"\nnamespace = \"{name}\"\ncreate_namespace = true\n{more}"
    )
}

fn code(world: &World) -> Repo {
    world.forge.repo("ops/shop")
}

fn deploy(world: &World) -> Repo {
    world.forge.repo("ops/deploy")
}

/// Writes files into the shop's folder of manifests.
fn manifests(world: &World, files: &[(&str, &str)], message: &str) -> String {
    let files: Vec<_> = files.iter().map(|(name, text)| (format!("apps/shop/{name}"), (*text).to_owned())).collect();
    deploy(world).commit("main", &borrowed(&files), message)
}

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name} }}\ndata: {{ value: \"{value}\" }}\n")
}

/// The value of such a ConfigMap in the cluster.
fn value(world: &World, name: &str) -> Option<String> {
    Some(world.cluster.get("configmaps", "shop", name)?["data"]["value"].as_str()?.to_owned())
}

async fn synced_to(world: &World, commit: &str) -> EnvironmentStatus {
    let what = format!("the shop to be synced to {commit}");
    world.wait_for(&what, "shop", |app| app.sync == SyncStatus::Synced && is_at(app, commit)).await.unwrap()
}

/// Refused credentials are told with what to do, and who refused them is left alone for a while. Some forges ban an address
/// that comes with a dead token again and again.
fn is_told_and_left_alone(address: &str, error: &str, next: jiff::Timestamp, asked: usize) {
    let should =
        format!("access to {address} is refused: the server answers 401 Unauthorized: HTTP Basic: Access denied");
    assert_eq!(error, should);
    let wait = next.duration_since(jiff::Timestamp::now());
    assert!(wait > jiff::SignedDuration::from_mins(8), "asked again in {wait:?}");
    assert!(asked <= 10, "asked {asked} times");
}

/// As programs print what failed: what to do is in a line of its own.
fn told(message: &str, hint: &str) -> String {
    Failure { message: message.to_owned(), hint: hint.to_owned() }.to_string()
}

async fn ask(world: &World, what: &str, body: serde_json::Value) -> Accepted {
    let of = if matches!(what, "build" | "push" | "refresh") { "applications" } else { "environments" };
    world.client().post(&format!("/v1/{of}/shop/{what}"), &body).await.unwrap()
}

fn agent(state: &State) -> Option<&AgentStatus> {
    state.objects.values().find_map(|object| if let Object::Agent(agent) = object { Some(agent) } else { None })
}

/// The lines of the log of a run.
async fn log_lines(world: &World, run: &RunStatus) -> Vec<String> {
    let mut told = world.client().stream::<LogRecord>(&format!("/v1/runs/{}/log", run.id), None).await.unwrap();
    let mut lines = Vec::new();
    while let Some(record) = told.next().await.unwrap() {
        if let LogRecord::Line { text, .. } = record {
            lines.push(text.into());
        }
    }
    lines
}

fn repositories(state: &State) -> Vec<&RepositoryStatus> {
    let mut found = Vec::new();
    for object in state.objects.values() {
        if let Object::Repository(repository) = object {
            found.push(repository);
        }
    }
    found
}

/// Waits until each repository was polled twice more.
async fn polled_twice(world: &World) {
    for _ in 0..2 {
        let before: Vec<_> = repositories(&world.state().await.unwrap()).iter().map(|r| r.polled).collect();
        let polled = |state: &State| {
            let now: Vec<_> = repositories(state).iter().map(|r| r.polled).collect();
            now.iter().zip(&before).all(|(now, before)| now > before).then_some(())
        };
        world.wait("another poll", polled).await.unwrap();
    }
}

//! Ids of runs, syncs and events: two agents never give the same, in git, in the cluster, and after a restore.

use std::time::Duration;

use harness::agent::Agent;
use quarterdeck_shared::event::EventRecord;
use quarterdeck_shared::id::{Prefix, RunId, SyncId};
use quarterdeck_shared::protocol::VersionAnswer;
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::Phase;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::*;

/// Why the agent does not give what is asked for.
async fn refused<T: DeserializeOwned + std::fmt::Debug>(agent: &Agent, path: &str) -> String {
    agent.client().get::<T>(path).await.unwrap_err().to_string()
}

async fn history(agent: &Agent) -> Prefix {
    agent.client().get::<VersionAnswer>("/v1/version").await.unwrap().history
}

async fn delivered(agent: &Agent, tag: &str) -> RunId {
    let ended = |run: &RunStatus| run.reference == tag && run.phase.is_final() && run.phase != Phase::Interrupted;
    let run = agent.wait_run(tag, ended).await.unwrap();
    assert_eq!(run.phase, Phase::Succeeded, "{}", run.message);
    run.id
}

/// An agent with a folder of its own, in the world of another.
fn neighbour(world: &World, application: &str) -> Agent {
    let program = (env!("CARGO_BIN_EXE_playground").into(), vec!["agent".into()]);
    let agent = Agent::new(program, Duration::from_secs(60)).unwrap();
    for file in ["kubeconfig", "registry-password"] {
        std::fs::copy(world.path(file), agent.path(file)).unwrap();
    }
    let own = |text: String, name: &str| {
        text.replace(&world.path(name).display().to_string(), &agent.path(name).display().to_string())
    };
    let head = own(own(world.config_head("the neighbour"), "data"), "run/agent.sock");
    agent.configure(&(head + application)).unwrap();
    agent
}

#[tokio::test]
async fn two_agents_of_one_fleet_never_give_the_same_id() {
    let mut world = shop().await;
    let cart = world.forge.repo("ops/cart");
    cart.commit("main", &borrowed(&world::code("cart", "1.4.0")), "A cart");
    let image = format!("{}:none", world.image("ops/cart"));
    deploy(&world).commit("main", &borrowed(&world::manifests("cart", &image)), "Manifests of the cart");
    let mut other = neighbour(&world, &world.application("cart", ""));
    world.start_agent().await.unwrap();
    other.start_agent().await.unwrap();
    code(&world).tag("push-1.4.0", "main");
    cart.tag("push-1.4.0", "main");
    let (here, there) = (delivered(&world, "push-1.4.0").await, delivered(&other, "push-1.4.0").await);
    assert_eq!((here.history, there.history), (history(&world).await, history(&other).await));
    assert_ne!(here.history, there.history);

    // One deploy branch: each promotion names its run.
    let commits = deploy(&world).git(&["log", "--format=%B", "main"]);
    for (application, run) in [("shop", here), ("cart", there)] {
        let commit =
            commits.split("\n\n\n").find(|text| text.contains(&format!("Quarterdeck-Application: {application}")));
        assert!(commit.is_some_and(|text| text.contains(&format!("Quarterdeck-Run: {run}\n"))), "{run}: {commits}");
    }
    // One cluster: each inventory names its sync, which is the first of both.
    for (agent, name, run) in [(&*world, "shop", here), (&other, "cart", there)] {
        let synced = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && app.progress.is_none();
        agent.wait_for("its sync", name, synced).await.unwrap();
        let inventory = world.cluster.get("configmaps", name, &format!("quarterdeck-{name}.prod")).unwrap();
        let sync = inventory["metadata"]["annotations"]["quarterdeck.dev/sync"].as_str().unwrap();
        assert_eq!(sync.parse::<SyncId>().unwrap(), SyncId::new(run.history, 1));
    }

    // A number is meant of the own history; a whole id of another one is refused as such.
    let own: RunStatus = world.client().get(&format!("/v1/runs/{}", here.number)).await.unwrap();
    assert_eq!(own.id, here);
    let words = |what: &str, id: &str| {
        format!("{what} {id} belongs to another history: the ids of this agent begin with {}", here.history)
    };
    let foreign = there.to_string();
    for path in ["", "/log"] {
        let told = refused::<RunStatus>(&world, &format!("/v1/runs/{foreign}{path}")).await;
        assert!(told.contains(&words("run", &foreign)), "{path}: {told}");
    }
    let told = world.client().post::<Accepted>(&format!("/v1/runs/{foreign}/cancel"), &json!({})).await.unwrap_err();
    assert!(told.to_string().contains(&words("run", &foreign)), "{told}");
    let foreign = SyncId::new(there.history, 1).to_string();
    let request = json!({ "to": foreign });
    let told = world.client().post::<Accepted>("/v1/environments/shop/rollback", &request).await.unwrap_err();
    assert!(told.to_string().contains(&words("sync", &foreign)), "{told}");
    for path in ["/v1/runs/K7", "/v1/events?before=K7"] {
        let told = refused::<RunStatus>(&world, path).await;
        assert!(told.contains("invalid id \"K7\": use a number such as 12, or a whole id such as k7x2m-12"), "{told}");
    }
}

fn command(agent: &Agent, words: &[&str]) {
    let output = agent.agent_command().args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What was done after the backup is not known any more; its ids are not given to what comes.
#[tokio::test]
async fn a_restored_history_gives_other_ids_than_the_one_that_it_replaces() {
    let mut world = shop().await;
    world.start_agent().await.unwrap();
    code(&world).tag("build-1.0.0", "main");
    let kept = delivered(&world, "build-1.0.0").await;
    let backup = world.path("backup").display().to_string();
    command(&world, &["backup", &backup]);
    code(&world).tag("build-1.1.0", "main");
    let lost = delivered(&world, "build-1.1.0").await;
    assert_eq!(lost, RunId::new(kept.history, 2));
    world.stop_agent().unwrap();
    command(&world, &["restore", "--yes", &backup]);
    world.start_agent().await.unwrap();

    let again = delivered(&world, "build-1.1.0").await;
    assert_eq!((again.number, again.history), (3, history(&world).await), "numbers go on");
    assert_ne!(again.history, kept.history);
    for id in [kept.number.to_string(), kept.to_string()] {
        let run: RunStatus = world.client().get(&format!("/v1/runs/{id}")).await.unwrap();
        assert_eq!(run.id, kept, "what the backup holds keeps its id");
    }
    let told = refused::<RunStatus>(&world, &format!("/v1/runs/{lost}")).await;
    assert!(told.contains(&format!("run {lost} belongs to another history")), "{told}");
    assert!(world.path(&format!("data/runs/run-{again}.ndjson")).exists(), "its log is a file of its own");

    // The next start goes on with it, and so does who reads on from an event.
    world.stop_agent().unwrap();
    world.start_agent().await.unwrap();
    assert_eq!(history(&world).await, again.history);
    let events: Vec<EventRecord> = world.client().get("/v1/events?limit=1000").await.unwrap();
    assert!(events.is_sorted_by(|one, next| one.id.number > next.id.number));
    let middle = events.iter().find(|event| event.id.history == kept.history).unwrap().id;
    let before: Vec<EventRecord> = world.client().get(&format!("/v1/events?before={middle}")).await.unwrap();
    let older: Vec<_> = events.iter().filter(|event| event.id.number < middle.number).cloned().collect();
    assert_eq!(before, older);
}

//! More runs than there is room for, and many at once through one kill after the other: none is lost, none is done twice, and who
//! is refused hears of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use harness::engine::Outcome;
use harness::world::runs;
use quarterdeck_shared::id::RunId;
use quarterdeck_shared::status::{Phase, StageKind};
use serde_json::json;

use super::*;

/// Long enough to be killed in, and to queue behind, whatever the machine does meanwhile.
const WINDOW: Duration = Duration::from_secs(120);

/// As `quarterdeck_core::queue::bound::WAITING_MAX` has it.
const ROOM: usize = 1_000;

fn builds(run: &RunStatus) -> bool {
    run.stages.iter().any(|one| one.kind == StageKind::Build && one.phase == Phase::Running)
}

/// The runs that wait, by their tags.
fn waiting(state: &State) -> BTreeSet<String> {
    runs(state).filter(|run| run.phase == Phase::Queued).map(|run| run.reference.clone()).collect()
}

async fn refused(world: &World, path: &str, body: serde_json::Value) -> String {
    world.client().post::<Accepted>(path, &body).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_full_queue_drops_checks_refuses_the_newest_tag_and_outlives_a_kill() {
    let mut world = shop().await;
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    world.configure(&text.replace("[application.code]\n", "[application.code]\nbranches = [\"next\"]\n")).unwrap();
    code(&world).branch("next", "main");
    world.start_agent().await.unwrap();
    polled_twice(&world).await;
    world.engine.set_step_delay(WINDOW);
    code(&world).tag("push-1.0", "main");
    world.wait_run("the first to build", |run| run.reference == "push-1.0" && builds(run)).await.unwrap();
    code(&world).commit("next", &[("app.txt", "next")], "Next");
    let queued = |run: &RunStatus| run.reference == "next" && run.phase == Phase::Queued;
    let check = world.wait_run("the check to wait", queued).await.unwrap();

    // One more than there is room for, in one push.
    let commit = code(&world).rev("main");
    let tags: Vec<String> = (0..=ROOM).map(|number| format!("push-2.{number}")).collect();
    let create: String = tags.iter().map(|tag| format!("create refs/tags/{tag} {commit}\n")).collect();
    code(&world).git_raw(&["update-ref", "--stdin"], create.as_bytes());
    let all: BTreeSet<String> = tags[..ROOM].iter().cloned().collect();
    let full = |state: &State| (waiting(state) == all).then(|| state.clone());
    let state = world.wait("all that there is room for", full).await.unwrap();
    // What ended is not shown beside so many that are open: the history has it.
    let dropped: RunStatus = world.client().get(&format!("/v1/runs/{}", check.id)).await.unwrap();
    assert_eq!(dropped.phase, Phase::Cancelled);
    let words = "dropped: more than 1000 runs of the application wait, and checks give way first";
    assert_eq!((&*dropped.message, &*dropped.hint), (words, "`qd runs retry 2` queues it once more"));
    let newest: Vec<RunStatus> = world.client().get("/v1/runs?limit=1").await.unwrap();
    let [last] = &newest[..] else { panic!("{newest:#?}") };
    let (number, words) = (last.id.number, "not queued: 1000 runs of shop wait already");
    assert_eq!((&last.reference, last.phase, &*last.message), (&tags[ROOM], Phase::Failed, words));
    assert!(last.hint.starts_with(&format!("when fewer wait, `qd runs retry {number}` queues it")), "{}", last.hint);

    // A person hears the same.
    let retry = format!("/v1/runs/{number}/retry");
    for (path, body) in [("/v1/applications/shop/push", json!({ "reference": "push-1.0" })), (&*retry, json!({}))] {
        let told = refused(&world, path, body).await;
        assert!(told.contains(words), "{told}");
    }

    // The next life has all of them, in their places, behind what was cut off.
    let order = |state: &State| -> BTreeMap<RunId, String> {
        runs(state).filter(|run| run.phase == Phase::Queued).map(|run| (run.place(), run.reference.clone())).collect()
    };
    let before = order(&state);
    world.kill_agent();
    world.start_agent().await.unwrap();
    world.wait_run("the first to be taken up", |run| run.reference == "push-1.0" && builds(run)).await.unwrap();
    let state = world.state().await.unwrap();
    assert_eq!(order(&state), before);
    assert_eq!(runs(&state).filter(|run| run.phase == Phase::Queued).count(), ROOM);

    // Where there is room again, what was refused is queued, and once.
    for tag in &tags[..2] {
        let run = runs(&state).find(|run| run.reference == *tag).unwrap().id;
        let _: Accepted = world.client().post(&format!("/v1/runs/{run}/cancel"), &json!({})).await.unwrap();
    }
    let _: Accepted = world.client().post(&retry, &json!({})).await.unwrap();
    let state = world.state().await.unwrap();
    let newest = tags[2..].iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(waiting(&state), newest);
    assert_eq!(runs(&state).filter(|run| run.reference == tags[ROOM] && run.phase == Phase::Queued).count(), 1);
}

/// Applications of one engine, all of whose images one tag asks for.
const MANY: usize = 50;
const KILLS: usize = 10;

fn name(number: usize) -> String {
    format!("app-{number:02}")
}

/// Fifty applications that are built from folders of one repository and promoted into another; nothing is synced by itself.
fn configure_many(world: &World) {
    let application = |number: usize| {
        let name = name(number);
        let image = world.image(&format!("ops/{name}"));
        deploy(world).commit("main", &borrowed(&world::manifests(&name, &format!("{image}:none"))), &name);
        let files = world::code(&name, "1.0").into_iter().map(|(path, text)| (format!("{name}/{path}"), text));
        code(world).commit("main", &borrowed(&files.collect::<Vec<_>>()), &name);
        let [own, shared] = [&*format!("ops/{name}"), "ops/shop"].map(|repository| world.forge.path(repository));
        world
            .application(&name, "[application.environment.sync]\nautomatic = false\n")
            .replace(&own.display().to_string(), &shared.display().to_string())
            .replace("[[application.image]]\n", &format!("[[application.image]]\ncontext = \"{name}\"\n"))
    };
    let applications: String = (0..MANY).map(application).collect();
    world.configure(&(world.config_head("a test") + &applications)).unwrap();
}

/// Applications that have a run that succeeded.
fn done(state: &State) -> BTreeSet<String> {
    let succeeded = runs(state).filter(|run| run.phase == Phase::Succeeded);
    succeeded.map(|run| run.application.to_string()).collect()
}

#[tokio::test]
async fn fifty_applications_tagged_at_once_through_ten_kills() {
    let mut world = world().await;
    configure_many(&world);
    world.start_agent().await.unwrap();
    polled_twice(&world).await;
    world.engine.set_step_delay(WINDOW);
    code(&world).tag("push-1.0", "main");
    for kill in 0..KILLS {
        let doing = |state: &State| runs(state).any(builds).then_some(());
        world.wait("a build to be killed in", doing).await.unwrap();
        world.kill_agent();
        world.engine.set_step_delay(Duration::ZERO);
        world.start_agent().await.unwrap();
        let enough = (kill + 1) * (MANY / KILLS / 2);
        world.wait("some more to succeed", |state| (done(state).len() >= enough).then_some(())).await.unwrap();
        if kill + 1 < KILLS {
            world.engine.set_step_delay(WINDOW);
        }
    }
    world.wait("all to succeed", |state| (done(state).len() == MANY).then_some(())).await.unwrap();

    let mut cut_off = 0;
    for number in 0..MANY {
        let all: Vec<RunStatus> =
            world.client().get(&format!("/v1/runs?application={}&limit=100", name(number))).await.unwrap();
        let (succeeded, others): (Vec<_>, Vec<_>) = all.iter().partition(|run| run.phase == Phase::Succeeded);
        let [run] = succeeded[..] else { panic!("{all:#?}") };
        assert!(others.iter().all(|run| run.phase == Phase::Interrupted), "{all:#?}");
        assert!(all.iter().all(|one| one.place() == run.place()), "one trigger, one place: {all:#?}");
        cut_off += others.len();
    }
    assert!(cut_off >= KILLS, "{cut_off} runs were cut off by {KILLS} kills");
    let mut promoted = deploy(&world).subjects("main");
    promoted.retain(|subject| subject.ends_with(": 1.0"));
    promoted.sort();
    let once: Vec<String> = (0..MANY).map(|number| format!("{}: 1.0", name(number))).collect();
    assert_eq!(promoted, once, "each is promoted once");
    for number in 0..MANY {
        let builds = world.engine.builds_labelled("dev.quarterdeck.application", &name(number));
        let done = builds.iter().filter(|build| matches!(build.outcome, Outcome::Done(_) | Outcome::Cached(_))).count();
        assert_eq!(done, 1, "{builds:#?}");
        assert!(world.registry.digest(&format!("ops/{}", name(number)), "1.0").is_some());
    }
}

//! The order of deliveries: through kills, reloads, cancellations, outages, lost and older histories and restored forges
//! production ends on the newest tag, and each tag has one commit.

use std::path::Path;
use std::time::Duration;

use harness::world::runs;
use quarterdeck_shared::event::{Event, EventRecord};
use quarterdeck_shared::routes;
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::{Phase, StageKind};
use serde_json::json;

use super::*;

/// A shop whose tags the agent has looked at: what comes now is new.
async fn watched(more: impl Fn(String) -> String) -> World {
    let mut world = shop().await;
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    world.configure(&more(text)).unwrap();
    world.start_agent().await.unwrap();
    polled_twice(&world).await;
    world
}

/// A new commit of the code under a tag.
fn release(world: &World, version: &str) -> String {
    let commit = code(world).commit("main", &[("app.txt", version)], version);
    let tag = format!("push-{version}");
    code(world).tag(&tag, &commit);
    tag
}

async fn all(world: &World) -> Vec<RunStatus> {
    world.client().get("/v1/runs?limit=500").await.unwrap()
}

async fn events(world: &World) -> Vec<Event> {
    let events: Vec<EventRecord> = world.client().get("/v1/events?limit=1000").await.unwrap();
    events.into_iter().map(|record| record.event).collect()
}

/// The newest run of a tag, when it ended.
async fn ended(world: &World, tag: &str) -> RunStatus {
    let newest = |state: &State| runs(state).filter(|run| run.reference == tag).max_by_key(|run| run.id).cloned();
    let over = |state: &State| newest(state).filter(|run| run.phase.is_final() && run.phase != Phase::Interrupted);
    world.wait(tag, over).await.unwrap()
}

async fn succeeded(world: &World, tag: &str) -> RunStatus {
    let run = ended(world, tag).await;
    assert_eq!(run.phase, Phase::Succeeded, "{tag}: {}", run.message);
    run
}

async fn is_in(world: &World, tag: &str, stage: StageKind) {
    let doing = |run: &RunStatus| {
        run.reference == tag && run.stages.iter().any(|one| one.kind == stage && one.phase == Phase::Running)
    };
    world.wait_run("the stage to run", doing).await.unwrap();
}

/// Versions that were promoted, newest first.
fn promoted(world: &World) -> Vec<String> {
    let subjects = deploy(world).subjects("main").into_iter();
    subjects.filter_map(|subject| subject.strip_prefix("shop: ").map(str::to_owned)).collect()
}

/// Pushes to the deploy repository arrive, and are not answered until the answer is let go.
struct Gate(std::path::PathBuf);

impl Gate {
    fn shut(world: &World) -> Self {
        let gate = world.path("gate");
        std::fs::write(&gate, "").unwrap();
        let script = format!("touch '{0}.met'; while [ -e '{0}' ]; do sleep 0.05; done", gate.display());
        deploy(world).hook("pre-receive", &script);
        Self(gate)
    }

    async fn met(&self) {
        while !self.0.with_extension("met").exists() {
            tokio::task::yield_now().await;
        }
    }

    fn open(self) {
        std::fs::remove_file(self.0).unwrap();
    }
}

async fn reloaded(world: &World, text: &str) {
    let count = async || {
        let is_it = |event: &&Event| matches!(event, Event::ConfigurationReloaded { .. });
        events(world).await.iter().filter(is_it).count()
    };
    let before = count().await;
    world.configure(text).unwrap();
    world.reload_agent();
    while count().await == before {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_was_cut_off_comes_before_what_waited() {
    let mut world = watched(|text| text).await;
    world.engine.set_step_delay(Duration::from_secs(20));
    let first = release(&world, "1.0");
    is_in(&world, &first, StageKind::Build).await;
    let second = release(&world, "1.1");
    let waits = |run: &RunStatus| run.reference == second && run.phase == Phase::Queued && run.behind.is_some();
    let queued = world.wait_run("the second to be queued", waits).await.unwrap();
    assert_eq!(queued.line(), "queued behind run 1");
    world.kill_agent();
    world.engine.set_step_delay(Duration::ZERO);
    world.start_agent().await.unwrap();
    succeeded(&world, &second).await;
    assert_eq!(promoted(&world), ["1.1", "1.0"]);
    let taken_up = succeeded(&world, &first).await;
    assert_eq!((taken_up.id.number, taken_up.resumes.map(|run| run.number)), (3, Some(1)));
}

/// Another interval, other options of its repositories and another policy of syncing are none of a delivery's business.
#[tokio::test]
async fn a_reload_of_other_options_lets_a_run_go_on() {
    let world = watched(|text| text).await;
    let gate = Gate::shut(&world);
    let tag = release(&world, "1.0");
    gate.met().await;
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    let limits = format!(
        "[application.environment.sync]\nprune = false\n[[repository]]\nurl = \"{}\"\n[repository.limits]\nrefs = 1000\n",
        world.forge.path("ops/shop").parent().unwrap().display()
    );
    reloaded(&world, &(text.replace("500ms", "400ms") + &limits)).await;
    gate.open();
    succeeded(&world, &tag).await;
    let phases: Vec<_> = all(&world).await.iter().map(|run| run.phase).collect();
    assert_eq!((phases, promoted(&world)), (vec![Phase::Succeeded], vec!["1.0".to_owned()]));
    let next = release(&world, "1.1");
    succeeded(&world, &next).await;
    assert_eq!(promoted(&world), ["1.1", "1.0"], "and what comes next is seen");
}

/// The commit of a run is told once, by the run that is recorded for it.
async fn told_once(world: &World, run: &RunStatus) {
    let commit = deploy(world).rev("main");
    assert_eq!(harness::agent::promotion(run).map(|commit| commit.as_str()), Some(&*commit), "{}", run.message);
    let told = |event: &&Event| matches!(event, Event::ImagePromoted { commit: made, .. } if made.as_str() == commit);
    assert_eq!(events(world).await.iter().filter(told).count(), 1);
}

#[tokio::test]
async fn a_push_that_began_is_recorded_whoever_reloads() {
    let world = watched(|text| text).await;
    let gate = Gate::shut(&world);
    let tag = release(&world, "1.0");
    gate.met().await;
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    let other = "[application.code]\nbuild_tags = [\"build-*\"]\n";
    reloaded(&world, &text.replace("[application.code]\n", other)).await;
    gate.open();
    let run = succeeded(&world, &tag).await;
    assert_eq!(all(&world).await.len(), 1);
    told_once(&world, &run).await;
}

#[tokio::test]
async fn a_push_that_began_is_recorded_whoever_cancels() {
    let world = watched(|text| text).await;
    let gate = Gate::shut(&world);
    let tag = release(&world, "1.0");
    gate.met().await;
    let _: Accepted = world.client().post("/v1/runs/1/cancel", &json!({})).await.unwrap();
    gate.open();
    let run = succeeded(&world, &tag).await;
    assert!(run.message.ends_with("; the cancellation came too late"), "{}", run.message);
    told_once(&world, &run).await;
}

/// The agent is killed, and its push arrives all the same, before or while the next run looks.
#[tokio::test]
async fn a_push_that_outlived_its_run_is_found() {
    let mut world = watched(|text| text).await;
    let gate = Gate::shut(&world);
    let tag = release(&world, "1.0");
    gate.met().await;
    world.kill_agent();
    gate.open();
    world.start_agent().await.unwrap();
    let run = succeeded(&world, &tag).await;
    assert_eq!(promoted(&world), ["1.0"]);
    told_once(&world, &run).await;
}

/// Tags that a forge shows one after another are decided together.
#[tokio::test]
async fn tags_of_one_push_are_done_in_their_order_however_they_come() {
    let world = watched(|text| text.replace("500ms", "2s")).await;
    let repository = code(&world);
    let [older, newer] = ["1.9", "1.10"].map(|version| repository.commit("main", &[("app.txt", version)], version));
    repository.tag("push-1.10", &newer);
    while !is_mirrored(&world.path("data/mirrors"), "push-1.10") {
        tokio::task::yield_now().await;
    }
    repository.tag("push-1.9", &older);
    succeeded(&world, "push-1.10").await;
    succeeded(&world, "push-1.9").await;
    assert_eq!(promoted(&world), ["1.10", "1.9"]);
}

/// `git push && qd refresh`: git has returned, so nothing of the push is still to come, and nothing is waited for.
#[tokio::test]
async fn tags_that_somebody_asks_for_are_decided_as_they_are() {
    let mut world = shop().await;
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    world.configure(&text.replace("500ms", "1h")).unwrap();
    world.start_agent().await.unwrap();
    let polled = |state: &State| repositories(state).iter().all(|one| one.polled.is_some()).then_some(());
    world.wait("the first poll", polled).await.unwrap();
    let repository = code(&world);
    let [older, newer] = ["1.9", "1.10"].map(|version| repository.commit("main", &[("app.txt", version)], version));
    repository.tag("push-1.10", &newer);
    world.client().post_empty::<Accepted>(&routes::REFRESH.of(&"shop".parse().unwrap())).await.unwrap();
    while !is_mirrored(&world.path("data/mirrors"), "push-1.10") {
        tokio::task::yield_now().await;
    }
    repository.tag("push-1.9", &older);
    succeeded(&world, "push-1.10").await;
    let references: Vec<String> = all(&world).await.into_iter().map(|run| run.reference).collect();
    assert_eq!(references, ["push-1.10"]);
}

/// A forge that is busy shows the older one when the newer one is decided already.
#[tokio::test]
async fn an_older_tag_of_one_push_that_is_shown_late_takes_nothing_back() {
    let world = watched(|text| text).await;
    let repository = code(&world);
    let [older, newer] = ["1.9", "1.10"].map(|version| repository.commit("main", &[("app.txt", version)], version));
    repository.tag("push-1.10", &newer);
    world.wait_run("the newer one to be decided", |run| run.reference == "push-1.10").await.unwrap();
    repository.tag("push-1.9", &older);
    succeeded(&world, "push-1.10").await;
    let run = succeeded(&world, "push-1.9").await;
    assert!(run.message.contains(", not promoted: push-1.10 was, by "), "{}", run.message);
    assert_eq!(promoted(&world), ["1.10"]);
}

fn is_mirrored(mirrors: &Path, tag: &str) -> bool {
    let name = format!("refs/tags/{tag}");
    let mirrors = std::fs::read_dir(mirrors).into_iter().flatten().flatten().map(|entry| entry.path());
    mirrors.into_iter().any(|mirror| {
        mirror.join(&name).exists()
            || std::fs::read_to_string(mirror.join("packed-refs")).is_ok_and(|refs| refs.contains(&name))
    })
}

/// The repository is emptied, and restored as it was: what was done is done.
#[tokio::test]
async fn what_a_restored_forge_shows_again_is_not_run_again() {
    let world = watched(|text| text).await;
    for version in ["1.0", "1.1", "1.2"] {
        let tag = release(&world, version);
        succeeded(&world, &tag).await;
    }
    let repository = code(&world);
    let refs = repository.git(&["for-each-ref", "--format=%(objectname) %(refname)"]);
    let script = |line: &dyn Fn(&str, &str) -> String| -> String {
        refs.lines().filter_map(|text| text.split_once(' ')).map(|(id, name)| line(id, name)).collect()
    };
    repository.git_raw(&["update-ref", "--stdin"], script(&|_, name| format!("delete {name}\n")).as_bytes());
    let lost = |event: &&Event| matches!(event, Event::TagsLost { lost: 3, of: 3, .. });
    while events(&world).await.iter().filter(lost).count() == 0 {
        tokio::task::yield_now().await;
    }
    repository.git_raw(&["update-ref", "--stdin"], script(&|id, name| format!("create {name} {id}\n")).as_bytes());
    polled_twice(&world).await;
    let next = release(&world, "1.3");
    succeeded(&world, &next).await;
    assert_eq!(promoted(&world), ["1.3", "1.2", "1.1", "1.0"]);
    assert_eq!(all(&world).await.len(), 4);
}

/// The file that names the image, as it was at a commit, is committed again.
fn revert_to(world: &World, commit: &str) {
    let path = "apps/shop/deployment.yaml";
    let text = deploy(world).file(commit, path);
    deploy(world).commit("main", &[(path, &text)], "Revert");
}

#[tokio::test]
async fn a_revert_outranks_an_agent_that_lost_its_history() {
    let mut world = watched(|text| text).await;
    for version in ["1.0", "1.1"] {
        let tag = release(&world, version);
        succeeded(&world, &tag).await;
    }
    let by = deploy(&world).rev("main");
    revert_to(&world, "main~1");
    let reverted = deploy(&world).rev("main");
    world.stop_agent().unwrap();
    std::fs::remove_dir_all(world.path("data")).unwrap();
    world.start_agent().await.unwrap();
    let run = succeeded(&world, "push-1.1").await;
    assert!(run.message.ends_with(&format!("promoted before by {}", &by[..7])), "{}", run.message);
    assert_eq!(run.id.number, 3, "numbers go on after those that the deploy branch knows");
    assert_eq!(deploy(&world).rev("main"), reverted);
    let told = run.stages.last().unwrap().message.clone();
    assert!(told.ends_with("; to promote it again: qd push shop push-1.1"), "{told}");
    // A person may.
    let asked = ask(&world, "push", json!({ "reference": "push-1.1" })).await;
    let again = |run: &RunStatus| Some(run.id) == asked.run && run.phase == Phase::Succeeded;
    world.wait_run("the push that a person asks for", again).await.unwrap();
    assert_eq!(promoted(&world), ["1.1", "1.1", "1.0"]);
}

#[tokio::test]
async fn an_older_history_does_nothing_again() {
    let mut world = watched(|text| text).await;
    let tag = release(&world, "1.0");
    succeeded(&world, &tag).await;
    world.stop_agent().unwrap();
    let copied = std::process::Command::new("cp").arg("-a").args([world.path("data"), world.path("old")]).status();
    assert!(copied.unwrap().success());
    world.start_agent().await.unwrap();
    for version in ["1.1", "1.2"] {
        let tag = release(&world, version);
        succeeded(&world, &tag).await;
    }
    let production = deploy(&world).rev("main");
    world.stop_agent().unwrap();
    std::fs::remove_dir_all(world.path("data")).unwrap();
    std::fs::rename(world.path("old"), world.path("data")).unwrap();
    world.start_agent().await.unwrap();
    succeeded(&world, "push-1.1").await;
    let last = succeeded(&world, "push-1.2").await;
    assert_eq!(deploy(&world).rev("main"), production);
    assert_eq!(harness::agent::promotion(&last).map(|commit| commit.as_str()), Some(&*production));
    assert_eq!(last.id.number, 5, "no number is given twice");
}

/// A release that only waits for what is away gives way to the newer one, which is seen meanwhile, and is done although
/// its tag is deleted.
#[tokio::test]
async fn a_release_that_waits_for_an_outage_gives_way_to_a_newer_one() {
    let world = watched(|text| text).await;
    world.engine.away().await;
    let first = release(&world, "1.0");
    is_in(&world, &first, StageKind::Build).await;
    let tries = |run: &RunStatus| run.stages.iter().any(|stage| stage.message.starts_with("trying again in "));
    world.wait_run("it to be tried again", tries).await.unwrap();
    let told: RunStatus = world.client().get("/v1/runs/1").await.unwrap();
    assert!(tries(&told), "{told:#?}");
    let second = release(&world, "1.1");
    let waits = |run: &RunStatus| run.reference == second && run.line() == "queued behind run 1";
    world.wait_run("the second to be queued", waits).await.unwrap();
    code(&world).delete_tag(&second);
    let over = ended(&world, &first).await;
    assert_eq!(over.phase, Phase::Cancelled);
    assert!(
        over.message.starts_with("superseded by run 2 while waiting for: the container engine"),
        "{}",
        over.message
    );
    world.engine.back().await.unwrap();
    succeeded(&world, &second).await;
    assert_eq!(promoted(&world), ["1.1"]);
}

/// With one place on the engine, what a tag asks for is done before what a branch asks for, whichever application has it, and who
/// waits says for what.
#[tokio::test]
async fn a_tag_gets_the_place_before_a_branch_that_waits_longer() {
    let built = |world: &World, name: &str, more: &str| {
        let repo = world.forge.repo(&format!("ops/{name}"));
        repo.commit("main", &borrowed(&world::code(name, "1.0")), name);
        format!(
            "\n[[application]]\nname = \"{name}\"\n[application.code]\nrepository = \"{}\"\n{more}[[application.image]]\nname = \"{}\"\n",
            repo.path().display(),
            world.image(&format!("ops/{name}"))
        )
    };
    let mut world = shop().await;
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    let text = text.replacen("[agent]\n", "[agent]\nmax_concurrent_builds = 1\n", 1);
    let more = built(&world, "web", "branches = [\"main\"]\n") + &built(&world, "tool", "");
    world.configure(&(text + &more)).unwrap();
    world.start_agent().await.unwrap();
    polled_twice(&world).await;

    world.engine.set_step_delay(Duration::from_secs(60));
    let held = release(&world, "1.0");
    is_in(&world, &held, StageKind::Build).await;
    world.engine.hold_no_more().await;
    let words = "waiting for a place: max_concurrent_builds is 1";
    let waits = |name: &'static str| {
        move |run: &RunStatus| run.application.as_str() == name && run.phase == Phase::Queued && run.line() == words
    };
    world.forge.repo("ops/web").commit("main", &[("app.txt", "1.1")], "Web");
    world.wait_run("the branch to wait", waits("web")).await.unwrap();
    world.forge.repo("ops/tool").tag("build-1.1", "main");
    let waiting = world.wait_run("the tag to wait", waits("tool")).await.unwrap();
    // `qd runs` and `qd runs show` ask the history, which keeps no such words.
    let told: RunStatus = world.client().get(&format!("/v1/runs/{}", waiting.id)).await.unwrap();
    assert_eq!(told.line(), words);
    let listed = all(&world).await;
    assert!(listed.iter().any(|run| run.id == waiting.id && run.line() == words), "{listed:#?}");
    let held = world.wait_run("the one that builds", |run: &RunStatus| run.reference == held).await.unwrap();
    let _: Accepted = world.client().post(&format!("/v1/runs/{}/cancel", held.id), &json!({})).await.unwrap();

    let done =
        |name: &'static str| move |run: &RunStatus| run.application.as_str() == name && run.phase == Phase::Succeeded;
    let branch = world.wait_run("the branch", done("web")).await.unwrap();
    let tag = world.wait_run("the tag", done("tool")).await.unwrap();
    assert!(tag.finished.unwrap() <= branch.started.unwrap(), "{tag:?} {branch:?}");
    assert_eq!(tag.id.number, branch.id.number + 1, "it was queued after it");
}

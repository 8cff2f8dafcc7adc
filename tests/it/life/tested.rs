//! Tests between build and push: what fails is not pushed, what passed is not run twice, and nothing of it stays on the engine.

use std::time::Duration;

use quarterdeck_shared::event::{Event, EventRecord};
use quarterdeck_shared::snapshot::{RunStatus, TestResult};
use quarterdeck_shared::status::{Phase, StageKind};
use serde_json::json;

use super::*;

const PASSES: &str =
    "<testsuite><testcase classname='cart' name='adds'/><testcase name='later'><skipped/></testcase></testsuite>";
const FAILS: &str = "<testsuite><testcase classname='cart' name='adds'/><testcase classname='cart' name='pays'>\
                     <failure message='3 is not 4'>at cart.rs:7</failure></testcase></testsuite>";

/// A shop with these tests, and these files in its image below `/srv`; nothing is tagged yet.
async fn tested(tests: &str, files: &[(&str, &str)]) -> World {
    let mut world = shop().await;
    let copies: String = files.iter().map(|(name, _)| format!("COPY {name} /srv/{name}\n")).collect();
    let dockerfile = format!("FROM busybox:1\nCOPY app.txt /srv/app.txt\n{copies}");
    let all: Vec<_> = files.iter().copied().chain([("Dockerfile", &*dockerfile)]).collect();
    code(&world).commit("main", &all, "Tests");
    configure(&world, tests);
    world.start_agent().await.unwrap();
    world
}

pub(super) fn configure(world: &World, tests: &str) {
    world.configure(&(world.config_head("a test") + &world.application("shop", tests))).unwrap();
}

/// Other tests, in force when this returns.
pub(super) async fn reconfigure(world: &World, tests: &str) {
    let reloads = async || {
        let events: Vec<EventRecord> = world.client().get("/v1/events?limit=200").await.unwrap();
        events.iter().filter(|record| matches!(record.event, Event::ConfigurationReloaded { .. })).count()
    };
    let before = reloads().await;
    configure(world, tests);
    world.reload_agent();
    while reloads().await == before {
        tokio::task::yield_now().await;
    }
}

/// A test that runs this.
fn command(words: &str, more: &str) -> String {
    format!("[[application.test]]\nname = \"unit\"\ncommand = {words}\n{more}")
}

pub(super) async fn ended(world: &World, tag: &str) -> RunStatus {
    let is_it = |run: &RunStatus| run.reference == tag && run.phase.is_final();
    world.wait_run(&format!("the end of {tag}"), is_it).await.unwrap()
}

fn result(run: &RunStatus) -> &TestResult {
    run.tests.first().unwrap_or_else(|| panic!("a test of {run:#?}"))
}

#[tokio::test]
async fn what_passes_is_pushed_by_its_id_and_not_tested_twice() {
    let test = command("['echo', 'two cases']", "reports = ['/srv/reports.xml']\n");
    let world = tested(&test, &[("reports.xml", PASSES)]).await;
    code(&world).tag("build-1.4.0", "main");
    let built = ended(&world, "build-1.4.0").await;
    assert_eq!((built.phase, &*result(&built).message), (Phase::Succeeded, "1 passed, 1 skipped"), "{built:#?}");
    assert!(log_lines(&world, &built).await.contains(&"two cases".to_owned()));

    code(&world).tag("push-1.4.0", "main");
    let pushed = ended(&world, "push-1.4.0").await;
    assert_eq!((pushed.phase, result(&pushed).phase), (Phase::Succeeded, Phase::Skipped), "{pushed:#?}");
    let ran = world.engine.ran();
    assert_eq!(ran.len(), 1, "{ran:?}");
    assert_eq!(ran[0].image, pushed.artifact.unwrap().images[0].id, "what was tested is what was pushed");
    assert_eq!(ran[0].limits, (4 << 30, Some(4096)));
    assert_eq!(world.engine.left(), Vec::<String>::new());
}

#[tokio::test]
async fn what_fails_is_not_pushed_and_can_be_retried() {
    let test = command("['sh', '-c', 'echo testing; exit 1']", "reports = ['/srv']\n");
    let world = tested(&test, &[("reports.xml", FAILS)]).await;
    code(&world).tag("push-1.4.0", "main");
    let failed = ended(&world, "push-1.4.0").await;
    assert_eq!(failed.phase, Phase::Failed);
    assert_eq!(failed.message, "test unit failed: 1 of 2 failed");
    let cases = result(&failed).cases.clone().unwrap();
    assert_eq!((cases.passed, cases.failed), (1, 1));
    assert_eq!((&*cases.failures[0].name, &*cases.failures[0].message), ("cart pays", "3 is not 4"));
    let log = log_lines(&world, &failed).await;
    for line in ["testing", "failed: cart pays: 3 is not 4", "    at cart.rs:7"] {
        assert!(log.iter().any(|one| one == line), "{line}: {log:#?}");
    }
    assert_eq!(world.engine.pushes().len(), 0);
    assert_eq!(world.registry.manifests("ops/shop").len(), 0);

    reconfigure(&world, &command("['true']", "")).await;
    let retried: Accepted = world.client().post(&format!("/v1/runs/{}/retry", failed.id), &json!({})).await.unwrap();
    let again = |run: &RunStatus| Some(run.id) == retried.run && run.phase.is_final();
    let again = world.wait_run("the retry", again).await.unwrap();
    assert_eq!((again.phase, &*again.reference, again.resumes), (Phase::Succeeded, "push-1.4.0", None), "{again:#?}");
    let build = again.stages.iter().find(|stage| stage.kind == StageKind::Build).unwrap();
    assert_eq!(build.phase, Phase::Skipped, "what was built is not built again: {build:#?}");
}

#[tokio::test]
async fn an_older_push_is_not_retried_over_a_newer_one() {
    let world = tested(&command("['false']", ""), &[]).await;
    code(&world).tag("push-1.4.0", "main");
    let failed = ended(&world, "push-1.4.0").await;
    reconfigure(&world, "").await;
    let commit = code(&world).commit("main", &[("app.txt", "newer")], "Newer");
    code(&world).tag("push-1.5.0", &commit);
    let newer = ended(&world, "push-1.5.0").await;
    let path = format!("/v1/runs/{}/retry", failed.id);
    let refused = world.client().post::<Accepted>(&path, &json!({})).await.unwrap_err().to_string();
    let why = format!("run {} pushes a newer version, and this one would replace it", newer.id.number);
    assert!(refused.contains(&why), "{refused}");
}

#[tokio::test]
async fn services_are_reached_by_their_names_once_they_are_ready() {
    let service = "[[application.test.service]]\nname = 'db'\nimage = 'busybox:1'\nready = ['true']\n";
    let world = tested(&command("['reach', 'db']", service), &[]).await;
    code(&world).tag("build-1", "main");
    let run = ended(&world, "build-1").await;
    assert_eq!((run.phase, &*result(&run).message), (Phase::Succeeded, "passed"), "{run:#?}");
    let ran = world.engine.ran();
    let names: Vec<_> = ran.iter().map(|one| one.name.as_str()).collect();
    let called = format!("quarterdeck-{}-unit", run.id);
    assert_eq!(names, [&*format!("{called}-db"), &*called]);
    assert!(ran.iter().all(|one| one.network == called), "{ran:?}");
    assert_eq!(world.engine.left(), Vec::<String>::new());

    // It ends instead of getting ready, and says why.
    let service = "[[application.test.service]]\nname = 'db'\nimage = 'busybox:1'\ncommand = ['sh', '-c', 'echo no disk; exit 3']\nready = ['false']\n";
    reconfigure(&world, &command("['true']", service)).await;
    code(&world).tag("build-2", "main");
    let run = ended(&world, "build-2").await;
    assert_eq!(run.message, "service db ended with exit code 3 before it was ready");
    assert!(log_lines(&world, &run).await.contains(&"db: no disk".to_owned()));
    assert_eq!(world.engine.left(), Vec::<String>::new());
}

#[tokio::test]
async fn each_limit_is_kept_and_told() {
    let world = tested("", &[]).await;
    let rows = [
        (
            "['swell']",
            "memory_bytes = 67108864\n",
            "test unit failed: it needed more than its 64 MiB of memory (memory_bytes)",
        ),
        (
            "['forever']",
            "timeout = '300ms'\n",
            "test unit took longer than 300ms and was stopped: its command was running",
        ),
        ("['missing']", "", "exec: \"missing\": executable file not found in $PATH"),
        ("['sh', '-c', 'echo a; exit 7']", "reports = ['/none']\n", "test unit failed: exit code 7"),
    ];
    for (number, (words, more, told)) in rows.into_iter().enumerate() {
        reconfigure(&world, &command(words, more)).await;
        let tag = format!("build-{number}");
        code(&world).tag(&tag, "main");
        let run = ended(&world, &tag).await;
        assert!(run.phase == Phase::Failed && run.message.contains(told), "{told}: {run:#?}");
        assert_eq!(world.engine.left(), Vec::<String>::new(), "{told}");
    }
}

#[tokio::test]
async fn a_stage_of_the_dockerfile_is_a_test() {
    let mut world = shop().await;
    let test = "[[application.test]]\nname = 'lint'\ntarget = 'check'\n";
    let config = world.config_head("a test") + &world.application("shop", test);
    world.configure(&config.replace("[[application.image]]\n", "[[application.image]]\ntarget = 'app'\n")).unwrap();
    let stages =
        |checks: &str| format!("FROM busybox:1 AS app\nCOPY app.txt /srv/app.txt\nFROM app AS check\nRUN {checks}\n");
    code(&world).commit("main", &[("Dockerfile", &stages("true"))], "Good");
    world.start_agent().await.unwrap();
    code(&world).tag("push-1.4.0", "main");
    let run = ended(&world, "push-1.4.0").await;
    assert_eq!((run.phase, &*result(&run).message), (Phase::Succeeded, "stage check was built"), "{run:#?}");

    let commit = code(&world).commit("main", &[("Dockerfile", &stages("false"))], "Bad");
    code(&world).tag("push-1.5.0", &commit);
    let run = ended(&world, "push-1.5.0").await;
    assert_eq!(run.phase, Phase::Failed);
    let told = "test lint failed: building an image without a name failed: The command '/bin/sh -c false' returned a non-zero code: 1";
    assert_eq!(run.message, told);
    assert_eq!(world.engine.pushes().len(), 1, "of the first");
}

#[tokio::test]
async fn a_cancelled_or_killed_test_leaves_nothing_and_is_taken_up() {
    let mut world = tested(&command("['sh', '-c', 'echo begun; forever']", ""), &[]).await;
    let begun = |tag: &'static str| {
        move |run: &RunStatus| {
            let begun =
                |stage: &quarterdeck_shared::status::Stage| stage.kind == StageKind::Test && stage.message == "begun";
            run.reference == tag && run.stages.iter().any(begun)
        }
    };
    code(&world).tag("build-1", "main");
    let run = world.wait_run("the test to begin", begun("build-1")).await.unwrap();
    let asked = std::time::Instant::now();
    let _: Accepted = world.client().post(&format!("/v1/runs/{}/cancel", run.id), &json!({})).await.unwrap();
    let run = ended(&world, "build-1").await;
    assert_eq!(run.phase, Phase::Cancelled, "{run:#?}");
    assert!(asked.elapsed() < Duration::from_secs(10), "a command that never ends is ended");
    assert_eq!(world.engine.left(), Vec::<String>::new());

    code(&world).tag("build-2", "main");
    world.wait_run("the test to begin", begun("build-2")).await.unwrap();
    world.kill_agent();
    assert_eq!(world.engine.left().len(), 1, "nobody is there to take it away");
    configure(&world, &command("['true']", ""));
    world.start_agent().await.unwrap();
    let resumed = |run: &RunStatus| run.resumes.is_some() && run.phase == Phase::Succeeded;
    world.wait_run("the run that takes it up", resumed).await.unwrap();
    assert_eq!(world.engine.left(), Vec::<String>::new(), "what the killed one left is gone");
}

/// Also where it forgot all that it did.
#[tokio::test]
async fn what_an_agent_left_that_lost_its_data_is_taken_away() {
    let service = "[[application.test.service]]\nname = 'db'\nimage = 'busybox:1'\n";
    let mut world = tested(&command("['forever']", service), &[]).await;
    code(&world).tag("build-1", "main");
    let left = |_: &State| (world.engine.left().len() == 3).then_some(());
    world.wait("the test and its service to run", left).await.unwrap();
    world.kill_agent();
    std::fs::remove_dir_all(world.path("data")).unwrap();
    configure(&world, &command("['true']", ""));
    world.start_agent().await.unwrap();
    let run = ended(&world, "build-1").await;
    assert_eq!(run.phase, Phase::Succeeded, "{run:#?}");
    assert_eq!(world.engine.left(), Vec::<String>::new());
}

#[tokio::test]
async fn secrets_of_a_test_are_in_no_log() {
    let test = command("['env']", "env = { MODE = 'fast', TOKEN = { file = 'token' } }\n");
    let world = tested("", &[]).await;
    std::fs::write(world.path("token"), "hunter22-of-the-tests\n").unwrap();
    reconfigure(&world, &test).await;
    code(&world).tag("build-1", "main");
    let run = ended(&world, "build-1").await;
    let log = log_lines(&world, &run).await;
    assert!(log.iter().any(|line| line == "MODE=fast") && log.iter().any(|line| line == "TOKEN=***"), "{log:#?}");
    std::fs::remove_file(world.path("token")).unwrap();
    let commit = code(&world).commit("main", &[("app.txt", "newer")], "Newer");
    code(&world).tag("build-2", &commit);
    let run = ended(&world, "build-2").await;
    assert!(run.message.starts_with("variable TOKEN has no value"), "{}", run.message);
}

/// Of an outage it is no news that it passes: the test begins anew.
#[tokio::test]
async fn an_engine_that_goes_away_in_the_middle_is_waited_for() {
    let world = tested(&command("['sh', '-c', 'echo begun; sleep 1']", ""), &[]).await;
    code(&world).tag("build-1", "main");
    let test =
        |run: &RunStatus| run.stages.iter().any(|stage| stage.kind == StageKind::Test && stage.message == "begun");
    world.wait_run("the test to begin", test).await.unwrap();
    world.engine.away().await;
    let waits = |run: &RunStatus| {
        run.stages.iter().any(|stage| stage.kind == StageKind::Test && stage.message.starts_with("trying again in"))
    };
    world.wait_run("the test to be tried again", waits).await.unwrap();
    world.engine.back().await.unwrap();
    let run = ended(&world, "build-1").await;
    assert_eq!(run.phase, Phase::Succeeded, "{run:#?}");
    assert_eq!(world.engine.left(), Vec::<String>::new());
}

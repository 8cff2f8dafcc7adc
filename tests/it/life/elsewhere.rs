//! Builds by a BuildKit daemon elsewhere: what it builds is kept, tested, pushed and deleted here as what an engine builds.

use std::path::PathBuf;

use harness::engine::Buildctl;
use harness::registry::{Fault, Step};
use quarterdeck_shared::protocol::{Check, CheckResult, GcAnswer, GcKind};
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::{Phase, Stage, StageKind};
use serde_json::{Value, json};

use super::tested::ended;
use super::*;

/// Of the world's registry; it must not be an argument.
const LOGIN: &str = "robot-secret-4711";

const SECRET: &str = "s3cret-of-npm";

const DAEMON: &str = "\n[engine.buildkit]\naddress = 'tcp://build.example:1234'\n";

/// Of an image; `{image}` is its name.
const IMAGE: &str =
    "secrets = { npmrc = { file = 'npmrc' } }\ncache_from = ['{image}:latest']\ncache_to = '{image}:cache'\n";

/// A shop that a daemon builds, with these options of its image and more behind that; the agent runs.
async fn built(image: &str, more: &str) -> (World, Buildctl) {
    let mut world = shop().await;
    let playground = PathBuf::from(env!("CARGO_BIN_EXE_playground"));
    let buildctl = Buildctl::install(&world.path(""), &playground).unwrap();
    world.set("PATH", buildctl.path());
    std::fs::write(world.path("npmrc"), SECRET).unwrap();
    configure(&world, image, more);
    world.start_agent().await.unwrap();
    (world, buildctl)
}

fn configure(world: &World, image: &str, more: &str) {
    let application = world.application("shop", more);
    let image = image.replace("{image}", &world.image("ops/shop"));
    let environment = "[[application.environment]]";
    let application = application.replacen(environment, &format!("{image}{environment}"), 1);
    world.configure(&(world.config_head("a test") + DAEMON + &application)).unwrap();
}

fn stage(run: &RunStatus, kind: StageKind) -> &Stage {
    run.stages.iter().find(|stage| stage.kind == kind).unwrap_or_else(|| panic!("a stage {kind} of {run:#?}"))
}

/// What a stage says that it waits for.
async fn waits(world: &World, kind: StageKind) -> String {
    let waits = |state: &State| {
        let mut stages = harness::world::runs(state).flat_map(|run| &run.stages);
        let stage = stages.find(|stage| stage.kind == kind && stage.phase == Phase::Running)?;
        Some(stage.message.strip_prefix("trying again in ")?.split_once(" s: ")?.1.to_owned())
    };
    world.wait("a stage to wait", waits).await.unwrap()
}

async fn check(world: &World, name: &str) -> Check {
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("{name}: {checks:#?}")).clone()
}

const DAEMON_ROW: &str = "buildkit tcp://build.example:1234";

#[tokio::test]
async fn what_a_daemon_builds_is_pushed_and_promoted_and_nothing_secret_is_an_argument() {
    let (world, buildctl) = built(IMAGE, "").await;
    let cache = world.image("ops/shop");
    code(&world).tag("push-1.4.0", "main");
    let run = ended(&world, "push-1.4.0").await;
    assert_eq!(run.phase, Phase::Succeeded, "{run:#?}");
    let pushed = run.artifact.as_ref().unwrap().images[0].clone();
    assert_eq!(pushed.digest.as_ref(), Some(&pushed.id), "the image is known by what it has in the registry");
    assert!(world.registry.manifests("ops/shop").contains(&pushed.id));
    assert!(deploy(&world).file("main", "apps/shop/deployment.yaml").contains(&pushed.id));
    synced_to(&world, &deploy(&world).rev("main")).await;
    assert_eq!((world.engine.builds().len(), world.engine.pushes().len()), (0, 0));
    let log = log_lines(&world, &run).await;
    for line in ["#1 [linux/amd64 1/6] COPY app.txt /srv/app.txt", "#1 did COPY app.txt /srv/app.txt", "#1 DONE 0.0s"] {
        assert!(log.iter().any(|one| one == line), "{line}: {log:#?}");
    }

    let [call] = &buildctl.builds()[..] else { panic!("one build: {:#?}", buildctl.builds()) };
    let all = call.arguments.join(" ");
    assert!(!all.contains(LOGIN) && !all.contains(SECRET), "{all}");
    assert_eq!(call.secrets["npmrc"], SECRET);
    assert_eq!(
        (call.mode, call.folder.exists(), &call.logins),
        (0o700, false, &vec![world.registry.address().to_owned()])
    );
    assert_eq!(call.all("--import-cache"), [format!("type=registry,ref={cache}:latest")]);
    assert_eq!(call.all("--export-cache"), [format!("type=registry,ref={cache}:cache,mode=max")]);

    // The same commit under another tag: it is not built again, and its blobs are there.
    let uploads = world.registry.count(Step::UploadStart);
    code(&world).tag("push-1.4.1", "main");
    let again = ended(&world, "push-1.4.1").await;
    assert_eq!((again.phase, stage(&again, StageKind::Build).phase), (Phase::Succeeded, Phase::Skipped), "{again:#?}");
    assert_eq!((buildctl.builds().len(), world.registry.count(Step::UploadStart)), (1, uploads));
    assert!(world.registry.tags("ops/shop").contains(&"1.4.1".to_owned()));

    let daemon = check(&world, DAEMON_ROW).await;
    let workers =
        "BuildKit v0.99.0-standin, linux/amd64, linux/386 at tcp://build.example:1234 (from [engine.buildkit])";
    assert_eq!((daemon.result, &*daemon.message), (CheckResult::Good, workers));
    let engine = check(&world, "engine").await;
    assert!(engine.result == CheckResult::Good && engine.message.ends_with(", for tests"), "{engine:?}");
}

#[tokio::test]
async fn several_platforms_become_one_index() {
    let (world, buildctl) = built("platforms = ['linux/amd64', 'linux/arm64']\n", "").await;
    code(&world).tag("push-1.4.0", "main");
    let run = ended(&world, "push-1.4.0").await;
    assert_eq!(run.phase, Phase::Succeeded, "{run:#?}");
    assert!(buildctl.builds()[0].all("--opt").contains(&"platform=linux/amd64,linux/arm64"));
    let index: Value = serde_json::from_slice(&world.registry.manifest("ops/shop", "1.4.0").unwrap()).unwrap();
    let parts: Vec<(&str, bool)> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| {
            let has = world.registry.manifests("ops/shop").iter().any(|digest| part["digest"] == **digest);
            (part["platform"]["architecture"].as_str().unwrap(), has)
        })
        .collect();
    assert_eq!(parts, [("amd64", true), ("arm64", true)]);
    let daemon = check(&world, DAEMON_ROW).await;
    assert_eq!(daemon.result, CheckResult::Warning);
    assert!(
        daemon.message.ends_with("; no worker has linux/arm64: only steps that run no program can be built"),
        "{daemon:?}"
    );
}

#[tokio::test]
async fn a_test_gets_the_image_onto_the_engine_once_and_a_stage_needs_none() {
    let tests = "[[application.test]]\nname = 'unit'\ncommand = ['true']\n[[application.test]]\nname = 'lint'\ncommand = ['true']\n\
                 [[application.test]]\nname = 'stage'\ntarget = '0'\n";
    let (world, buildctl) = built("platforms = ['linux/arm64', 'linux/amd64']\n", tests).await;
    code(&world).tag("build-1", "main");
    let run = ended(&world, "build-1").await;
    assert_eq!(run.phase, Phase::Succeeded, "{run:#?}");
    let ran: Vec<String> = world.engine.ran().into_iter().map(|one| one.image).collect();
    assert!(ran.len() == 2 && ran[0] == ran[1], "{ran:?}");
    let log = log_lines(&world, &run).await;
    let loaded = log.iter().filter(|line| *line == "loading the image for linux/amd64 into the container engine");
    assert_eq!(loaded.count(), 1, "{log:#?}");
    assert_eq!(world.engine.file(&ran[0], "/srv/app.txt").as_deref(), Some("shop 1.4.0\n"));
    let [image, stage] = &buildctl.builds()[..] else { panic!("two builds: {:#?}", buildctl.builds()) };
    assert_eq!((image.all("--output").len(), stage.all("--output").len()), (1, 0), "a stage is only tried");
    assert_eq!(world.engine.left(), Vec::<String>::new());
}

#[tokio::test]
async fn a_test_without_an_engine_waits_for_one_and_says_so() {
    let (world, _) = built("", "[[application.test]]\nname = 'unit'\ncommand = ['true']\n").await;
    world.engine.away().await;
    code(&world).tag("build-1", "main");
    let why = waits(&world, StageKind::Test).await;
    let address = world.engine.host();
    assert!(why.starts_with(&format!("the container engine at {address} (from [engine] address)")), "{why}");
    let engine = check(&world, "engine").await;
    assert_eq!(engine.result, CheckResult::Bad);
    assert!(engine.message.starts_with("tests that run a command need one beside [engine.buildkit]: "), "{engine:?}");
    world.engine.back().await.unwrap();
    assert_eq!(ended(&world, "build-1").await.phase, Phase::Succeeded);
}

#[tokio::test]
async fn a_daemon_that_is_away_is_waited_for_and_one_that_rejects_us_is_not() {
    let (world, buildctl) = built("", "").await;
    buildctl.be("away");
    code(&world).tag("push-1", "main");
    let why = waits(&world, StageKind::Build).await;
    let refused = "failed to list workers: Unavailable: connection error: desc = \"transport: Error while dialing: dial tcp \
                   10.0.0.1:1234: connect: connection refused\"";
    let name = world.image("ops/shop");
    let away = |doing: &str| {
        format!("the BuildKit daemon at tcp://build.example:1234 is unreachable while {doing}: {refused}")
    };
    // A stage shows as much of it as fits into a line.
    assert!(away(&format!("building {name}:1")).starts_with(&why) && why.contains("failed to list workers"), "{why}");
    let row = check(&world, DAEMON_ROW).await;
    assert_eq!((row.result, row.message), (CheckResult::Bad, away("asking for its workers")));
    assert_eq!(row.hint, "see that buildkitd runs and listens there: buildctl --addr ADDRESS debug workers");
    buildctl.be("");
    assert_eq!(ended(&world, "push-1").await.phase, Phase::Succeeded);

    buildctl.be("certificate");
    let commit = code(&world).commit("main", &[("app.txt", "2")], "Two");
    code(&world).tag("push-2", &commit);
    let run = ended(&world, "push-2").await;
    assert_eq!(
        run.message,
        "the BuildKit daemon at tcp://build.example:1234 and the agent reject each other's certificates: failed to list \
         workers: Unavailable: connection error: desc = \"error reading server preface: remote error: tls: certificate required\""
    );
    assert_eq!(
        run.hint,
        "check ca_file, cert_file and key_file in [engine.buildkit], and the names in the daemon's certificate"
    );

    std::fs::remove_file(world.path("buildctl/bin/buildctl")).unwrap();
    let retried: Accepted = world.client().post(&format!("/v1/runs/{}/retry", run.id), &json!({})).await.unwrap();
    let is_it = |one: &RunStatus| Some(one.id) == retried.run && one.phase.is_final();
    let run = world.wait_run("the retry", is_it).await.unwrap();
    assert_eq!(run.message, "buildctl is not on the PATH, and [engine.buildkit] builds with it");
    assert!(run.hint.starts_with("install buildctl where the agent runs"), "{}", run.hint);
}

#[tokio::test]
async fn what_the_dockerfile_or_the_registry_refuses_is_told_in_their_words() {
    let (world, _) = built("", "").await;
    let commit = code(&world).commit("main", &[("Dockerfile", "FROM busybox:1\nRUN exit 3\n")], "Fails");
    code(&world).tag("push-1", &commit);
    let run = ended(&world, "push-1").await;
    let name = world.image("ops/shop");
    assert!(run.message.starts_with(&format!("building {name}:1 failed: ")), "{}", run.message);
    assert_eq!(run.phase, Phase::Failed);

    let commit = code(&world).commit("main", &[("Dockerfile", "FROM busybox:1\nCOPY app.txt /app.txt\n")], "Builds");
    let words = r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#;
    world.registry.fail(Step::UploadStart, Fault::Words(403, words.to_owned()), 1);
    code(&world).tag("push-2", &commit);
    let run = ended(&world, "push-2").await;
    assert_eq!(run.message, format!("pushing {name}:2 failed: denied: requested access to the resource is denied"));
    assert_eq!(run.hint, "this login may not do that there: give it push rights, or check the image's name");
    world.registry.fail(Step::UploadPut, Fault::Status(503), 1);
    let _: Accepted = world.client().post(&format!("/v1/runs/{}/retry", run.id), &json!({})).await.unwrap();
    let again = |one: &RunStatus| one.reference == "push-2" && one.id != run.id && one.phase.is_final();
    let again = world.wait_run("the retry", again).await.unwrap();
    assert_eq!(again.phase, Phase::Succeeded, "what is busy is tried again: {again:#?}");
}

#[tokio::test]
async fn a_key_file_is_served_by_an_agent_of_the_builds_own() {
    let (world, buildctl) = built("ssh = { key_file = 'deploy-key' }\n", "").await;
    code(&world).tag("build-1", "main");
    let run = ended(&world, "build-1").await;
    let key = world.path("deploy-key").display().to_string();
    assert_eq!(run.message, format!("cannot read the ssh key {key}: No such file or directory (os error 2)"));
    assert_eq!(run.hint, "correct `key_file` in [[application.image]], or let the user of the agent read the file");

    let made = std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &key]).status();
    assert!(made.unwrap().success());
    let _: Accepted = world.client().post(&format!("/v1/runs/{}/retry", run.id), &json!({})).await.unwrap();
    let again = |one: &RunStatus| one.id != run.id && one.phase.is_final();
    let again = world.wait_run("the retry", again).await.unwrap();
    assert_eq!(again.phase, Phase::Succeeded, "{again:#?}");
    let [call] = &buildctl.builds()[..] else { panic!("one build: {:#?}", buildctl.builds()) };
    assert_eq!(call.keys, Some(1));
    let socket = PathBuf::from(call.all("--ssh")[0].trim_start_matches("default="));
    assert!(socket.starts_with(world.path("data/scratch")) && !socket.exists(), "{}", socket.display());
}

#[tokio::test]
async fn a_cancelled_build_ends_its_program() {
    let (world, buildctl) = built("", "").await;
    buildctl.be("hang");
    code(&world).tag("build-1", "main");
    let is_building = |run: &RunStatus| run.reference == "build-1" && buildctl.hanging().is_some();
    let run = world.wait_run("the build", is_building).await.unwrap();
    let program = PathBuf::from(format!("/proc/{}", buildctl.hanging().unwrap()));
    assert!(program.exists());
    let _: Accepted = world.client().post(&format!("/v1/runs/{}/cancel", run.id), &json!({})).await.unwrap();
    assert_eq!(ended(&world, "build-1").await.phase, Phase::Cancelled);
    while program.exists() {
        tokio::task::yield_now().await;
    }
    assert_eq!(std::fs::read_dir(world.path("data/scratch")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_nobody_needs_goes_from_the_disk() {
    let (world, _) = built("", "[[application.test]]\nname = 'unit'\ncommand = ['true']\n").await;
    let gc = "\n[gc]\nautomatic = false\nimages = 1\ndays = 0\n";
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    world.configure(&text.replacen(DAEMON, &format!("{DAEMON}{gc}"), 1)).unwrap();
    world.reload_agent();
    let mut ids = Vec::new();
    for version in ["1", "2"] {
        let commit = code(&world).commit("main", &[("app.txt", version)], version);
        code(&world).tag(&format!("build-{version}"), &commit);
        let run = ended(&world, &format!("build-{version}")).await;
        ids.push(run.artifact.unwrap_or_else(|| panic!("an artifact: {}", run.message)).images[0].id.clone());
    }
    let blob = |id: &str| world.path("data/images/blobs").join(id.replacen(':', "/", 1));
    assert!(ids.iter().all(|id| blob(id).exists()));
    let images = async || {
        let answer: GcAnswer = world.client().get("/v1/gc").await.unwrap();
        answer.items.into_iter().filter(|item| item.kind == GcKind::Image).count()
    };
    // Of each commit the daemon's image, and the one that the engine was given to test.
    assert_eq!(images().await, 4);
    let _: Accepted = world.client().post("/v1/gc/delete", &json!({})).await.unwrap();
    while images().await != 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ids.iter().map(|id| blob(id).exists()).collect::<Vec<_>>(), [false, true]);
}

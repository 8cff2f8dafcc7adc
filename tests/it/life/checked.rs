//! New commits of branches and merge requests are built and tested, and nothing of them is pushed; a fork's wait for a
//! person, and get no secrets.

use std::time::Duration;

use quarterdeck_shared::event::{Cause, Event, EventRecord};
use quarterdeck_shared::snapshot::{Permission, RunStatus};
use quarterdeck_shared::status::{Phase, StageKind};
use serde_json::json;

use super::*;

const TEST: &str =
    "[[application.test]]\nname = 'unit'\ncommand = ['env']\nenv = { MODE = 'fast', TOKEN = { file = 'token' } }\n";

/// A shop whose code has these triggers beside tags. Its first tag was built: what the repository holds was seen.
async fn checked(code_options: &str) -> World {
    let mut world = shop().await;
    world.engine.have_buildkit();
    std::fs::write(world.path("token"), "token-secret-4711").unwrap();
    configure(&world, code_options);
    code(&world).tag("build-0", "main");
    world.start_agent().await.unwrap();
    ended(&world, "build-0").await;
    world
}

fn configure(world: &World, code_options: &str) {
    let application = world.application("shop", TEST).replacen(
        "[[application.image]]",
        &format!("{code_options}\n[[application.image]]"),
        1,
    );
    let secret = "args = { FLAVOUR = 'sweet', KEY = { file = 'token' } }\n\
                  secrets = { npmrc = { file = 'token' } }\nsource_date_epoch = true\n\
                  cache_from = ['127.0.0.1:9/shop:cache']\ncache_to = 'inline'\n[[application.environment]]";
    let application = application.replacen("[[application.environment]]", secret, 1);
    world.configure(&(world.config_head("a test") + &application)).unwrap();
}

/// A commit on `main` in a fork, as the forge shows it in the merge request.
fn of_fork(world: &World, number: u64, text: &str) -> String {
    of_fork_with(world, number, &[("app.txt", text)])
}

fn of_fork_with(world: &World, number: u64, files: &[(&str, &str)]) -> String {
    let repo = code(world);
    repo.branch("elsewhere", "main");
    let commit = repo.commit("elsewhere", files, &format!("Of merge request {number}"));
    repo.delete_branch("elsewhere");
    repo.git(&["update-ref", &format!("refs/pull/{number}/head"), &commit]);
    commit
}

async fn ended(world: &World, reference: &str) -> RunStatus {
    let is_it = |run: &RunStatus| run.reference == reference && run.phase.is_final();
    world.wait_run(&format!("the end of {reference}"), is_it).await.unwrap()
}

async fn ended_at(world: &World, commit: &str) -> RunStatus {
    let is_it = |run: &RunStatus| run.commit.as_str() == commit && run.phase.is_final();
    world.wait_run(&format!("the end of the run of {commit}"), is_it).await.unwrap()
}

async fn runs(world: &World) -> Vec<RunStatus> {
    world.client().get("/v1/runs?limit=100").await.unwrap()
}

#[tokio::test]
async fn a_new_commit_of_a_branch_is_built_and_tested_and_its_tag_pushes_that_very_image() {
    let world = checked("branches = ['main', 'release/*']").await;
    code(&world).branch("feature", "main");
    let commit = code(&world).commit("feature", &[("app.txt", "not yet")], "Not yet");
    code(&world).branch("main", &commit);
    let run = ended(&world, "main").await;
    assert_eq!((run.phase, run.commit.as_str(), run.permission), (Phase::Succeeded, &*commit, None), "{run:#?}");
    assert_eq!(run.cause, Cause::Branch { branch: "main".to_owned(), commit: run.commit.clone() });
    assert_eq!(run.tests.len(), 1);
    assert_eq!(world.engine.pushes().len(), 0);

    code(&world).tag("push-1", "main");
    let pushed = ended(&world, "push-1").await;
    let stage = |kind| pushed.stages.iter().find(|stage| stage.kind == kind).unwrap().phase;
    assert_eq!(
        [StageKind::Build, StageKind::Test, StageKind::Push].map(stage),
        [Phase::Skipped, Phase::Skipped, Phase::Succeeded]
    );
    let all = runs(&world).await;
    assert!(all.iter().all(|run| run.reference != "feature"), "{all:#?}");
}

#[tokio::test]
async fn of_a_branch_the_newest_commit_counts() {
    let world = checked("branches = ['*']").await;
    world.engine.set_step_delay(Duration::from_secs(600));
    let running = code(&world).commit("main", &[("app.txt", "1")], "First");
    let runs_now = |run: &RunStatus| run.commit.as_str() == running && run.phase == Phase::Running;
    world.wait_run("the first to run", runs_now).await.unwrap();
    let waiting = code(&world).branch_off("other", "main").write("app.txt", "2").commit("Waits");
    let waits = |run: &RunStatus| run.commit.as_str() == waiting && run.behind.is_some();
    let waits = world.wait_run("the other to wait", waits).await.unwrap();
    let instead = code(&world).commit("other", &[("app.txt", "3")], "Instead");
    let superseded = ended_at(&world, &waiting).await;
    assert_eq!((superseded.id, superseded.phase), (waits.id, Phase::Cancelled));

    world.engine.hold_no_more().await;
    let newest = code(&world).commit("main", &[("app.txt", "4")], "Newest");
    let stopped = ended_at(&world, &running).await;
    let (newest, instead) = (ended_at(&world, &newest).await, ended_at(&world, &instead).await);
    assert_eq!([&newest, &instead].map(|run| run.phase), [Phase::Succeeded; 2]);
    for (old, by) in [(&stopped, &newest), (&superseded, &instead)] {
        let why = format!("superseded by run {} of a newer commit", by.id.number);
        assert_eq!((old.phase, &*old.message), (Phase::Cancelled, &*why));
    }
}

#[tokio::test]
async fn a_release_does_not_wait_behind_checks() {
    let world = checked("branches = ['*']").await;
    world.engine.set_step_delay(Duration::from_secs(600));
    code(&world).commit("main", &[("app.txt", "1")], "Runs");
    let first = world.wait_run("the first to run", |run| run.phase == Phase::Running).await.unwrap();
    let other = code(&world).branch_off("other", "main").write("app.txt", "2").commit("Waits");
    world.wait_run("the other to wait", |run| run.commit.as_str() == other && run.behind.is_some()).await.unwrap();
    code(&world).tag("push-1", "main");
    let is_first = |run: &RunStatus| run.reference == "push-1" && run.behind == Some(first.id);
    let push = world.wait_run("the release to be next", is_first).await.unwrap();
    let is_behind = |run: &RunStatus| run.commit.as_str() == other && run.behind == Some(push.id);
    world.wait_run("the other to be behind it", is_behind).await.unwrap();
}

#[tokio::test]
async fn a_merge_request_of_the_repository_is_run_and_a_forks_waits_for_a_person() {
    let world = checked("merge_requests = true").await;
    code(&world).branch("fix", "main");
    let own = code(&world).commit("fix", &[("app.txt", "fixed")], "Fix");
    code(&world).git(&["update-ref", "refs/merge-requests/7/head", &own]);
    let run = ended(&world, "merge-request-7").await;
    assert_eq!((run.phase, run.permission), (Phase::Succeeded, None), "{run:#?}");
    assert!(log_lines(&world, &run).await.concat().contains("TOKEN=***"));

    let foreign = of_fork(&world, 8, "from elsewhere");
    let waits = |run: &RunStatus| run.reference == "merge-request-8" && run.awaits_permission();
    let waits = world.wait_run("the fork's to wait", waits).await.unwrap();
    // What is asked for after it is done: it holds nothing up.
    code(&world).tag("build-1", "fix");
    ended(&world, "build-1").await;
    let path = format!("/v1/runs/{}/allow", waits.id);
    let _: Accepted = world.client().post(&path, &json!({})).await.unwrap();
    let allowed = ended(&world, "merge-request-8").await;
    assert_eq!((allowed.phase, allowed.permission), (Phase::Succeeded, Some(Permission::Given)), "{allowed:#?}");
    assert_eq!((allowed.id, allowed.commit.as_str()), (waits.id, &*foreign));
    let log = log_lines(&world, &allowed).await.join("\n");
    for line in [
        "MODE=fast",
        "secret build arguments are withheld from code of a fork: KEY",
        "build secrets are withheld from code of a fork: npmrc",
        "secret variables are withheld from code of a fork: TOKEN",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert!(!log.contains("TOKEN=") && !log.contains("4711"), "{log}");
    let of_commit = |commit: &str| world.engine.builds_labelled("org.opencontainers.image.revision", commit);
    assert_eq!(of_commit(&foreign)[0].args, ["BUILDKIT_CACHE_MOUNT_NS", "FLAVOUR", "SOURCE_DATE_EPOCH"]);
    assert!(of_commit(&foreign)[0].cache_from.is_empty());
    let refused = world.client().post::<Accepted>(&path, &json!({})).await.unwrap_err().to_string();
    assert!(refused.contains(&format!("run {} does not wait for a permission", waits.id.number)), "{refused}");
    let events: Vec<EventRecord> = world.client().get("/v1/events?limit=200").await.unwrap();
    let by_person = |record: &&EventRecord| matches!(record.event, Event::RunAllowed { run } if run == waits.id);
    assert!(matches!(events.iter().find(by_person).unwrap().cause, Cause::Person { .. }));

    // Merged, and pushed: nothing that a fork's run made is in it.
    code(&world).branch("main", &foreign);
    code(&world).tag("push-2", "main");
    let pushed = ended(&world, "push-2").await;
    assert_eq!(pushed.phase, Phase::Succeeded, "{pushed:#?}");
    let builds = of_commit(&foreign);
    assert_eq!(builds.last().unwrap().args, ["BUILDKIT_INLINE_CACHE", "FLAVOUR", "KEY", "SOURCE_DATE_EPOCH"]);
    assert_eq!(builds.last().unwrap().cache_from, ["127.0.0.1:9/shop:cache"]);
    assert_eq!(pushed.tests[0].phase, Phase::Succeeded, "it is tested anew");

    // Each commit needs a permission of its own.
    of_fork(&world, 8, "something else");
    let again = |run: &RunStatus| run.reference == "merge-request-8" && run.id != waits.id && run.awaits_permission();
    world.wait_run("the next commit to wait", again).await.unwrap();
}

#[tokio::test]
async fn a_forks_build_is_given_no_secret_and_the_same_commit_is_once_it_is_merged() {
    let world = checked("merge_requests = true\nforks = 'run'").await;
    let dockerfile = code(&world).git(&["show", "main:Dockerfile"])
        + "\nRUN --mount=type=secret,id=npmrc,required=true cat /run/secrets/npmrc\n";
    let commit = of_fork_with(&world, 9, &[("Dockerfile", &dockerfile)]);
    let run = ended(&world, "merge-request-9").await;
    assert_eq!(run.phase, Phase::Failed);
    assert!(run.message.ends_with("secret npmrc: not found"), "{}", run.message);

    code(&world).branch("main", &commit);
    code(&world).tag("push-3", "main");
    let pushed = ended(&world, "push-3").await;
    assert_eq!(pushed.phase, Phase::Succeeded, "{pushed:#?}");
    let log = log_lines(&world, &pushed).await.join("\n");
    assert!(log.contains("cat /run/secrets/npmrc") && !log.contains("4711"), "{log}");
}

#[tokio::test]
async fn a_build_secret_that_is_missing_is_named() {
    let mut world = checked("").await;
    world.kill_agent();
    std::fs::remove_file(world.path("token")).unwrap();
    let secrets = std::fs::read_to_string(world.path("config.toml")).unwrap().replace(", KEY = { file = 'token' }", "");
    world.configure(&secrets).unwrap();
    let builds = world.engine.builds().len();
    let commit = code(&world).commit("main", &[("app.txt", "without")], "Without");
    world.start_agent().await.unwrap();
    code(&world).tag("build-1", &commit);
    let run = ended(&world, "build-1").await;
    assert_eq!(run.phase, Phase::Failed);
    let words = "build secret npmrc has no value: the file ";
    assert!(run.message.starts_with(words) && run.message.contains("cannot be read"), "{}", run.message);
    assert_eq!(world.engine.builds().len(), builds);
}

#[tokio::test]
async fn what_was_there_is_not_run_and_what_came_while_nobody_looked_is() {
    let mut world = checked("branches = ['main']").await;
    for number in 1..=5 {
        of_fork(&world, number, "closed long ago");
    }
    world.kill_agent();
    configure(&world, "merge_requests = true\nforks = 'run'");
    world.start_agent().await.unwrap();
    code(&world).tag("build-1", "main");
    ended(&world, "build-1").await;

    world.kill_agent();
    of_fork(&world, 6, "came at night");
    world.start_agent().await.unwrap();
    let run = ended(&world, "merge-request-6").await;
    assert_eq!((run.phase, run.permission), (Phase::Succeeded, Some(Permission::Given)), "{run:#?}");
    let checks: Vec<_> = runs(&world).await.into_iter().filter(RunStatus::is_check).map(|run| run.reference).collect();
    assert_eq!(checks, ["merge-request-6"]);
}

#[tokio::test]
async fn a_run_that_waits_for_a_person_waits_through_restarts_and_can_be_cancelled() {
    let mut world = checked("merge_requests = true").await;
    of_fork(&world, 3, "from elsewhere");
    let waits = |run: &RunStatus| run.reference == "merge-request-3" && run.awaits_permission();
    let before = world.wait_run("it to wait", waits).await.unwrap();
    world.kill_agent();
    world.start_agent().await.unwrap();
    code(&world).tag("build-1", "main");
    ended(&world, "build-1").await;
    let now = world.wait_run("it to wait still", waits).await.unwrap();
    assert_eq!(now.id, before.id);
    let _: Accepted = world.client().post(&format!("/v1/runs/{}/cancel", now.id), &json!({})).await.unwrap();
    let cancelled = ended(&world, "merge-request-3").await;
    assert_eq!((cancelled.phase, cancelled.started), (Phase::Cancelled, None));
}

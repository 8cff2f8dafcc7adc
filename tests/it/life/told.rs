//! A forge is told what became of its commits, whatever happens to it and to the agent meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::forge_api::{ForgeApi, Posted, TOKEN};
use quarterdeck_shared::protocol::{Check, CheckResult};
use quarterdeck_shared::snapshot::{ConnectionStatus, RunId, RunStatus};
use quarterdeck_shared::status::{Phase, Stage, StageKind};
use serde_json::json;

use super::*;

/// A shop whose code is on a forge that has this API. Its first tag was built.
async fn on_a_forge(kind: &str, path: &str) -> (World, ForgeApi) {
    let mut world = shop().await;
    let api = ForgeApi::start().await.unwrap();
    std::fs::write(world.path("forge-token"), TOKEN).unwrap();
    configure(&world, &api, kind, path);
    code(&world).tag("build-0", "main");
    world.start_agent().await.unwrap();
    ended(&world, |run| run.reference == "build-0").await;
    (world, api)
}

fn configure(world: &World, api: &ForgeApi, kind: &str, path: &str) {
    let code = world.forge.http("ops/shop");
    let web = code.strip_suffix("/ops/shop.git").unwrap_or_else(|| panic!("{code}"));
    let forge = format!(
        "\n[[forge]]\nkind = \"{kind}\"\nurl = \"{web}\"\napi = \"{}{path}\"\ntoken_file = \"forge-token\"\n",
        api.url()
    );
    let application = world.application("shop", "[[application.test]]\nname = 'unit'\ncommand = ['true']\n");
    let folder = world.forge.path("ops/shop").display().to_string();
    let application = application.replacen(&format!("\"{folder}\""), &format!("\"{code}\"\nbranches = ['main']"), 1);
    world.configure(&(world.config_head("a test") + &forge + &application)).unwrap();
}

async fn ended(world: &World, is_it: impl Fn(&RunStatus) -> bool) -> RunStatus {
    world.wait_run("the end of a run", |run| is_it(run) && run.phase.is_final()).await.unwrap()
}

/// Waits until the forge was told what is `wanted`; every request of it is a turn of this loop away.
async fn told(api: &ForgeApi, what: &str, wanted: impl Fn(&[Posted]) -> bool) {
    let found = async {
        while !wanted(&api.told()) {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(120), found).await;
    waited.unwrap_or_else(|_| panic!("{what}: {:#?}", api.told()));
}

fn is(commit: &str, stage: &str, state: &str) -> impl Fn(&[Posted]) -> bool {
    let (commit, context, state) = (commit.to_owned(), format!("quarterdeck/shop/{stage}"), state.to_owned());
    move |all| {
        all.iter().rfind(|one| one.commit == commit && one.context == context).is_some_and(|one| one.state == state)
    }
}

#[tokio::test]
async fn each_forge_is_told_of_each_stage() {
    for (kind, path, failed) in
        [("gitlab", "/api/v4", "failed"), ("github", "/api/v3", "failure"), ("gitea", "/api/v1", "failure")]
    {
        let (world, api) = on_a_forge(kind, path).await;
        world.engine.set_step_delay(Duration::from_secs(600));
        let held = code(&world).commit("main", &[("app.txt", "held")], "Held");
        let builds = |run: &RunStatus| {
            let builds = |stage: &Stage| stage.kind == StageKind::Build && stage.phase == Phase::Running;
            run.commit.as_str() == held && run.stages.iter().any(builds)
        };
        world.wait_run("the build to begin", builds).await.unwrap();
        told(&api, "a test that waits", is(&held, "test", "pending")).await;
        world.engine.hold_no_more().await;
        let commit = code(&world).commit("main", &[("app.txt", "new")], "New");
        let cancelled = if kind == "gitlab" { "canceled" } else { "error" };
        told(&api, "a build that is superseded", is(&held, "build", cancelled)).await;
        told(&api, "the test of a branch", is(&commit, "test", "success")).await;
        told(&api, "its build", is(&commit, "build", "success")).await;
        let all = api.told();
        let of_branch = all.iter().find(|one| one.commit == commit).unwrap();
        let reference = (kind == "gitlab").then(|| "main".to_owned());
        assert_eq!((&*of_branch.project, &of_branch.reference), ("ops/shop", &reference));

        code(&world).tag("push-1", &commit);
        told(&api, "its promotion", is(&commit, "promote/prod", "success")).await;
        let bad = code(&world).commit("main", &[("Dockerfile", "FROM nowhere\nRUN\n")], "Bad");
        told(&api, "a build that fails", is(&bad, "build", failed)).await;
        let skipped = if kind == "gitlab" { "skipped" } else { "error" };
        told(&api, "the test that does not come about", is(&bad, "test", skipped)).await;
        let description = |one: &&Posted| one.commit == bad && one.state == failed;
        let description = api.told().iter().find(description).unwrap().description.clone();
        assert!(description.starts_with("run ") && description.contains("build"), "{description}");

        // Each state once: nothing is said twice.
        let all = api.told();
        let twice = |at: usize, one: &Posted| {
            let later = all[at + 1..].iter().find(|other| other.commit == one.commit && other.context == one.context);
            later.is_some_and(|other| other.state == one.state && other.description == one.description)
        };
        let twice: Vec<_> = all.iter().enumerate().filter(|(at, one)| twice(*at, one)).collect();
        assert_eq!(twice, [], "{kind}");
    }
}

#[tokio::test]
async fn what_a_forge_could_not_be_told_it_is_told_by_the_next_life() {
    let (mut world, api) = on_a_forge("gitlab", "/api/v4").await;
    let before = code(&world).commit("main", &[("app.txt", "told")], "Told");
    told(&api, "the first commit", is(&before, "test", "success")).await;
    api.away().await;
    let commit = code(&world).commit("main", &[("app.txt", "new")], "New");
    let run = ended(&world, |run| run.commit.as_str() == commit).await;
    assert_eq!(run.phase, Phase::Succeeded);
    world.kill_agent();
    let count = api.told().len();
    api.back().await.unwrap();
    world.start_agent().await.unwrap();
    told(&api, "what it missed", is(&commit, "test", "success")).await;
    let again: Vec<_> = api.told().into_iter().skip(count).filter(|one| one.commit == before).collect();
    assert_eq!(again, [], "what it was told it is not told again");
}

#[tokio::test]
async fn a_status_that_a_forge_does_not_take_keeps_no_other_from_it() {
    let (world, api) = on_a_forge("gitea", "/api/v1").await;
    told(&api, "the first run", |all| all.iter().filter(|one| one.state == "success").count() == 2).await;
    // The first status of a run that goes on for long.
    world.engine.set_step_delay(Duration::from_secs(600));
    api.fault(404);
    let held = code(&world).commit("main", &[("app.txt", "held")], "Held");
    told(&api, "the other stages of that run", is(&held, "test", "pending")).await;
    assert!(world.log().contains("rejects the status: 404 404 on purpose"), "{}", world.log());
    assert_eq!(api.states(&held, "quarterdeck/shop/build"), Vec::<String>::new());
    world.engine.hold_no_more().await;
    let commit = code(&world).commit("main", &[("app.txt", "new")], "New");
    told(&api, "the build of the next", is(&commit, "build", "success")).await;
    told(&api, "its test", is(&commit, "test", "success")).await;
}

#[tokio::test]
async fn a_token_that_is_refused_is_told_and_one_that_is_good_again_is_used() {
    let (world, api) = on_a_forge("github", "/api/v3").await;
    std::fs::write(world.path("forge-token"), "expired-4712").unwrap();
    let commit = code(&world).commit("main", &[("app.txt", "new")], "New");
    let refused = |object: &Object| match object {
        Object::Connection(ConnectionStatus { to: ConnectionKind::Forge, error: Some(error), hint, .. }) => {
            error.contains("refuses our token: 401 401 Unauthorized") && hint.contains("repo:status")
        }
        _ => false,
    };
    world.wait("the refusal", |state| state.objects.values().any(refused).then_some(())).await.unwrap();
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let check = checks.iter().find(|check| check.name.starts_with("forge http://127.0.0.1")).unwrap();
    assert!(check.result == CheckResult::Bad && check.message.contains("401"), "{check:?}");
    ended(&world, |run| run.commit.as_str() == commit).await;
    assert_eq!(api.states(&commit, "quarterdeck/shop/test"), Vec::<String>::new());
    assert!(!world.log().contains("4712"), "a token is in the log");

    std::fs::write(world.path("forge-token"), TOKEN).unwrap();
    world.reload_agent();
    told(&api, "it with the new token", is(&commit, "test", "success")).await;
    let good =
        |object: &Object| matches!(object, Object::Connection(to) if to.to == ConnectionKind::Forge && to.reachable);
    world.wait("the forge to be reachable", |state| state.objects.values().any(good).then_some(())).await.unwrap();
    assert!(api.refused() > 0);
}

#[tokio::test]
async fn a_forge_that_limits_requests_is_left_alone_for_as_long_as_it_asks() {
    let (world, api) = on_a_forge("gitlab", "/api/v4").await;
    told(&api, "the first run", |all| all.iter().filter(|one| one.state == "success").count() == 2).await;
    let before = api.told().len();
    api.limit(3_600);
    let commit = code(&world).commit("main", &[("app.txt", "new")], "New");
    ended(&world, |run| run.commit.as_str() == commit).await;
    let logged = async {
        while !world.log().contains("answered 429 Retry later, and asks for a pause of 1h") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), logged).await.unwrap_or_else(|_| panic!("{}", world.log()));
    assert_eq!(api.told().len(), before, "nothing is told during the pause");

    // A person who knows better has it asked at once.
    world.reload_agent();
    told(&api, "the commit after a reload", is(&commit, "test", "success")).await;
}

/// GitLab knows a commit that is on no branch by a tag alone, also where a person asks for its run.
#[tokio::test]
async fn what_a_person_builds_and_retries_is_told_with_its_tag_or_branch() {
    let (world, api) = on_a_forge("gitlab", "/api/v4").await;
    let commit = code(&world).rev("main");
    let is_told_with = async |run: Option<RunId>, reference: Option<&str>| {
        let run = ended(&world, |one| Some(one.id) == run).await;
        let number = format!("run {}", run.id.number);
        let is_of_it = |one: &&Posted| one.description.split(':').next() == Some(&*number);
        told(&api, &number, |all| all.iter().filter(is_of_it).any(|one| one.state == "success")).await;
        let references: BTreeSet<_> = api.told().iter().filter(is_of_it).map(|one| one.reference.clone()).collect();
        assert_eq!(references, BTreeSet::from([reference.map(str::to_owned)]), "{run:#?}");
        run
    };
    for (named, reference) in [("build-0", Some("build-0")), ("main", Some("main")), (&*commit, None)] {
        let accepted = ask(&world, "build", json!({ "reference": named, "rebuild": true })).await;
        let run = is_told_with(accepted.run, reference).await;
        let again: Accepted = world.client().post(&format!("/v1/runs/{}/retry", run.id), &json!({})).await.unwrap();
        is_told_with(again.run, reference).await;
    }
}

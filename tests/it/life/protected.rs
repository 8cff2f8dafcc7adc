//! Who may make a tag that triggers: one that is signed by those whom the configuration names, or that the forge protects.

use std::time::Duration;

use harness::forge_api::{ForgeApi, TOKEN};
use harness::git::Signer;
use quarterdeck_shared::protocol::{Check, CheckResult};
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::{Phase, Stage, StageKind};
use serde_json::json;

use super::*;

/// A shop whose tags have to keep to these options. Its repository was seen without any tag. By what the agent's user configured
/// for git no signature is good, which must not count.
async fn guarded(options: &str) -> World {
    let mut world = shop().await;
    let own = world.path("gitconfig");
    std::fs::write(&own, "[gpg \"ssh\"]\n\trevocationFile = /no/such/file\n").unwrap();
    world.set("GIT_CONFIG_GLOBAL", own);
    configure(&world, options, "");
    world.start_agent().await.unwrap();
    polled_twice(&world).await;
    world
}

/// A shop on a forge that has this API, with these options.
async fn on_a_forge(kind: &str, path: &str, options: &str) -> (World, ForgeApi) {
    let mut world = shop().await;
    let api = ForgeApi::start().await.unwrap();
    std::fs::write(world.path("forge-token"), TOKEN).unwrap();
    let code = world.forge.http("ops/shop");
    let web = code.strip_suffix("/ops/shop.git").unwrap_or_else(|| panic!("{code}"));
    let forge = format!(
        "\n[[forge]]\nkind = \"{kind}\"\nurl = \"{web}\"\napi = \"{}{path}\"\ntoken_file = \"forge-token\"\n",
        api.url()
    );
    configure(&world, options, &forge);
    world.start_agent().await.unwrap();
    polled_twice(&world).await;
    (world, api)
}

fn configure(world: &World, options: &str, forge: &str) {
    let folder = world.forge.path("ops/shop").display().to_string();
    let address = if forge.is_empty() { folder.clone() } else { world.forge.http("ops/shop") };
    let application = world.application("shop", "");
    let application = application.replacen(&format!("\"{folder}\""), &format!("\"{address}\"\n{options}"), 1);
    world.configure(&(world.config_head("a test") + forge + &application)).unwrap();
}

async fn ended(world: &World, what: &str, is_it: impl Fn(&RunStatus) -> bool) -> RunStatus {
    world.wait_run(&format!("the end of {what}"), |run| is_it(run) && run.phase.is_final()).await.unwrap()
}

async fn ended_of(world: &World, tag: &str) -> RunStatus {
    ended(world, tag, |run| run.reference == tag).await
}

/// A run that a person asks for.
async fn asked(world: &World, what: &str, reference: &str) -> RunStatus {
    let accepted = ask(world, what, json!({ "reference": reference })).await;
    ended(world, reference, |run| Some(run.id) == accepted.run).await
}

async fn retried(world: &World, run: &RunStatus) -> RunStatus {
    let path = format!("/v1/runs/{}/retry", run.id);
    let accepted: Accepted = world.client().post(&path, &json!({})).await.unwrap();
    ended(world, "the retry", |run| Some(run.id) == accepted.run).await
}

fn checkout(run: &RunStatus) -> &Stage {
    run.stages.iter().find(|stage| stage.kind == StageKind::Checkout).unwrap()
}

/// A run that ended in its first stage, for this reason.
fn is_refused(run: &RunStatus, why: &str) {
    assert_eq!((run.phase, checkout(run).phase), (Phase::Failed, Phase::Failed), "{run:#?}");
    assert!(run.message.starts_with(why) && checkout(run).message == run.message, "wanted {why}\n{run:#?}");
    assert!(!run.hint.is_empty(), "{run:#?}");
    let begun = run.stages.iter().filter(|stage| stage.started.is_some()).count();
    assert_eq!(begun, 1, "nothing else began: {run:#?}");
}

#[tokio::test]
async fn only_a_tag_that_one_of_the_signers_signed_is_pushed() {
    let world = guarded("require_signed = { ssh = 'allowed_signers' }").await;
    let [alice, eve] = ["alice", "eve"].map(Signer::with_ssh);
    std::fs::write(world.path("allowed_signers"), alice.allowed("")).unwrap();
    let repo = code(&world);
    let refused = [
        ("push-1", "tag push-1 is not signed".to_owned()),
        ("push-2", "tag push-2 is not signed".to_owned()),
        (
            "push-3",
            format!(
                "tag push-3 is signed by a key that is not among the signers of allowed_signers: {}",
                eve.fingerprint()
            ),
        ),
    ];
    repo.tag("push-1", "main");
    is_refused(&ended_of(&world, "push-1").await, &refused[0].1);
    repo.annotated_tag("push-2", "main", "a tag");
    is_refused(&ended_of(&world, "push-2").await, &refused[1].1);
    repo.signed_tag("push-3", "main", &eve);
    let strange = ended_of(&world, "push-3").await;
    is_refused(&strange, &refused[2].1);
    is_refused(&asked(&world, "push", "push-1").await, &refused[0].1);
    is_refused(&asked(&world, "build", "push-1").await, &refused[0].1);
    is_refused(&retried(&world, &strange).await, &refused[2].1);
    assert_eq!((world.engine.builds().len(), world.engine.pushes().len()), (0, 0));
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let signers = checks.iter().find(|check| check.name == "signers shop").unwrap();
    assert!(signers.result == CheckResult::Good && signers.message.ends_with("allowed_signers"), "{signers:?}");

    repo.signed_tag("push-4", "main", &alice);
    let run = ended_of(&world, "push-4").await;
    assert_eq!(run.phase, Phase::Succeeded, "{run:#?}");
    assert!(checkout(&run).message.ends_with(" A shop; signed by alice@example.com"), "{run:#?}");
    assert!(log_lines(&world, &run).await.concat().contains("; signed by alice@example.com"));
    assert_eq!(run.promoted.len(), 1, "{run:#?}");

    // That its image is there is no reason to trust a tag.
    repo.tag("push-5", "main");
    is_refused(&ended_of(&world, "push-5").await, "tag push-5 is not signed");
    // A person trusts the commit that is named.
    let commit = repo.rev("main");
    let run = asked(&world, "push", &commit).await;
    assert_eq!((run.phase, checkout(&run).message.contains("signed")), (Phase::Succeeded, false), "{run:#?}");
}

#[tokio::test]
async fn a_corrected_file_of_signers_counts_at_the_next_run() {
    let world = guarded("require_signed = { ssh = 'allowed_signers' }").await;
    let alice = Signer::with_ssh("alice");
    code(&world).signed_tag("push-1", "main", &alice);
    let run = ended_of(&world, "push-1").await;
    let file = world.path("allowed_signers").display().to_string();
    is_refused(
        &run,
        &format!("cannot check the signature of the tag: cannot read the signers in {file}: No such file"),
    );
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let signers = checks.iter().find(|check| check.name == "signers shop").unwrap();
    assert!(signers.result == CheckResult::Bad && signers.message.contains("No such file"), "{signers:?}");

    std::fs::write(world.path("allowed_signers"), alice.allowed("")).unwrap();
    let again = retried(&world, &run).await;
    assert_eq!((again.phase, &*again.reference), (Phase::Succeeded, "push-1"), "{again:#?}");
    assert!(checkout(&again).message.ends_with("; signed by alice@example.com"), "{again:#?}");
}

#[tokio::test]
async fn a_tag_that_was_moved_or_deleted_meanwhile_is_refused() {
    let world = guarded("require_signed = { ssh = 'allowed_signers' }").await;
    let alice = Signer::with_ssh("alice");
    std::fs::write(world.path("allowed_signers"), alice.allowed("")).unwrap();
    let repo = code(&world);
    let first = repo.rev("main");
    repo.signed_tag("build-0", "main", &alice);
    assert_eq!(ended_of(&world, "build-0").await.phase, Phase::Succeeded);

    // Both wait behind a run that is held.
    world.engine.set_step_delay(Duration::from_secs(600));
    let held = repo.commit("main", &[("app.txt", "held")], "Held");
    repo.signed_tag("build-1", &held, &alice);
    let held = world.wait_run("a build that is held", |run| run.reference == "build-1" && run.phase == Phase::Running);
    let held = held.await.unwrap();
    repo.signed_tag("push-1", &first, &alice);
    repo.signed_tag("push-2", &first, &alice);
    let waits = async |tag: &str| {
        let waits = |run: &RunStatus| run.reference == tag && run.phase == Phase::Queued;
        world.wait_run(&format!("{tag} to wait"), waits).await.unwrap()
    };
    let (moved, deleted) = (waits("push-1").await, waits("push-2").await);
    let now = repo.commit("main", &[("app.txt", "else")], "Something else");
    repo.signed_tag("push-1", &now, &alice);
    repo.delete_tag("push-2");
    polled_twice(&world).await;
    world.engine.hold_no_more().await;
    let _: Accepted = world.client().post(&format!("/v1/runs/{}/cancel", held.id), &json!({})).await.unwrap();
    let moved = ended(&world, "the moved tag", |run| run.id == moved.id).await;
    is_refused(&moved, &format!("tag push-1 was moved to {} after the run of {} was queued", &now[..7], &first[..7]));
    let deleted = ended(&world, "the deleted tag", |run| run.id == deleted.id).await;
    is_refused(&deleted, "the repository has no tag push-2 any more");
    // A branch in its place is none.
    repo.branch("push-2", &first);
    polled_twice(&world).await;
    is_refused(&asked(&world, "push", "push-2").await, "the repository has no tag push-2 any more");
    let last =
        ended(&world, "the tag as it is now", |run| run.reference == "push-1" && run.commit.as_str() == now).await;
    assert_eq!(last.phase, Phase::Succeeded, "{last:#?}");
}

#[tokio::test]
async fn only_a_tag_that_the_forge_protects_is_pushed() {
    for (kind, path, failed, how) in [
        ("gitlab", "/api/v4", "failed", "Protected tags"),
        ("github", "/api/v3", "failure", "an active ruleset"),
        ("gitea", "/api/v1", "failure", "under Settings > Tags"),
    ] {
        let (world, api) = on_a_forge(kind, path, "require_protected_tags = true").await;
        let web = world.forge.http("ops/shop").replacen("/ops/shop.git", "", 1);
        api.protect_tags(&["build-*", "v1"]);
        code(&world).tag("push-1", "main");
        let refused = ended_of(&world, "push-1").await;
        is_refused(&refused, &format!("tag push-1 is not protected by forge {web}"));
        assert!(refused.hint.contains(how), "{kind}: {}", refused.hint);
        let commit = code(&world).rev("main");
        let is_told = async {
            while api.states(&commit, "quarterdeck/shop/build").last().map(String::as_str) != Some(failed) {
                tokio::task::yield_now().await;
            }
        };
        let told = tokio::time::timeout(Duration::from_secs(120), is_told).await;
        assert!(told.is_ok(), "{kind}: {:#?}", api.told());
        assert!(
            api.told().iter().any(|one| one.description.contains("tag push-1 is not protected")),
            "{:#?}",
            api.told()
        );
        assert_eq!(world.engine.builds().len(), 0);

        api.protect_tags(&["build-*", "push-*"]);
        let again = retried(&world, &refused).await;
        assert_eq!(again.phase, Phase::Succeeded, "{kind}: {again:#?}");
        assert!(checkout(&again).message.ends_with(&format!("; protected by {web}")), "{again:#?}");
    }
}

#[tokio::test]
async fn a_forge_that_is_unreachable_is_waited_for_and_then_decides() {
    let (world, api) = on_a_forge("gitea", "/api/v1", "require_protected_tags = true").await;
    api.protect_tags(&["push-*"]);
    api.away().await;
    code(&world).tag("push-1", "main");
    code(&world).tag("build-1", "main");
    let waits = |run: &RunStatus| checkout(run).message.contains("trying again in");
    let waits = world.wait_run("a run to wait", waits).await.unwrap();
    assert_eq!(waits.phase, Phase::Running, "{waits:#?}");
    let message = &checkout(&waits).message;
    assert!(message.contains("cannot ask whether the tag is protected: forge http://127.0.0.1"), "{message}");
    assert_eq!(world.engine.builds().len(), 0);
    api.back().await.unwrap();
    is_refused(&ended_of(&world, "build-1").await, "tag build-1 is not protected by forge ");
    let pushed = ended_of(&world, "push-1").await;
    assert_eq!(pushed.phase, Phase::Succeeded, "{pushed:#?}");
}

//! Images of merge requests in the registry: pushed under a tag of their own, scanned and shown, and taken away again.

use std::time::Duration;

use harness::forge_api::{ForgeApi, TOKEN};
use harness::registry::{Fault, Found, Step};
use quarterdeck_shared::protocol::{GcAnswer, GcItem, GcKind};
use quarterdeck_shared::snapshot::{RunGoal, RunStatus};
use quarterdeck_shared::status::{Phase, StageKind};
use serde_json::json;

use super::tested::ended;
use super::*;

const CRITICAL: Found = Found { id: "CVE-2026-1", severity: "Critical", package: "openssl", fixed_in: "3.0.2" };

const GC: &str = "\n[gc]\nautomatic = false\nmerge_request_images = 1\ndays = 0\n";

/// A shop whose merge requests are pushed, and `more` of its application; its agent runs, and its first tag was built.
async fn previewed(head: &str, more: &str) -> World {
    let mut world = shop().await;
    let application = world.application("shop", more);
    let triggers = "merge_requests = true\npush_merge_requests = true\nforks = 'run'\n[[application.image]]";
    let application = application.replacen("[[application.image]]", triggers, 1);
    world.configure(&(world.config_head("a test") + head + &application)).unwrap();
    code(&world).tag("build-0", "main");
    world.start_agent().await.unwrap();
    ended(&world, "build-0").await;
    world
}

/// A commit of merge request 7, from a branch of the repository, and the end of its run.
async fn merge_request(world: &World, text: &str) -> RunStatus {
    let repo = code(world);
    if repo.git(&["branch", "--list", "fix"]).is_empty() {
        repo.branch("fix", "main");
    }
    let commit = repo.commit("fix", &[("app.txt", text)], text);
    repo.git(&["update-ref", "refs/pull/7/head", &commit]);
    let is_it = |run: &RunStatus| run.commit.as_str() == commit && run.phase.is_final();
    world.wait_run("the run of the merge request", is_it).await.unwrap()
}

fn tag(run: &RunStatus) -> String {
    format!("merge-request-7-{}", &run.commit.as_str()[..12])
}

fn stages(run: &RunStatus) -> Vec<StageKind> {
    run.stages.iter().map(|stage| stage.kind).collect()
}

/// The tags of merge requests, each with why it stays.
async fn tags(world: &World) -> Vec<(String, Option<String>)> {
    let answer: GcAnswer = world.client().get("/v1/gc").await.unwrap();
    assert_eq!(answer.problems, []);
    let is_tag = |item: &GcItem| item.kind == GcKind::Tag;
    let tag = |item: GcItem| (item.name.rsplit_once(':').unwrap().1.to_owned(), item.kept);
    answer.items.into_iter().filter(is_tag).map(tag).collect()
}

async fn delete(world: &World) {
    let _: Accepted = world.client().post("/v1/gc/delete", &json!({})).await.unwrap();
}

/// Waits for what a stand-in shows: every request of it is a turn of this loop away.
async fn until(world: &World, what: &str, is_so: impl Fn() -> bool) {
    let so = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(120), so).await;
    waited.unwrap_or_else(|_| panic!("{what} did not come: {}", world.log()));
}

#[tokio::test]
async fn a_merge_request_is_pushed_and_scanned_and_shown_and_no_environment_gets_it() {
    let api = ForgeApi::start().await.unwrap();
    let mut world = shop().await;
    world.registry.be_harbor(&[CRITICAL]);
    std::fs::write(world.path("forge-token"), TOKEN).unwrap();
    let address = world.forge.http("ops/shop");
    let web = address.strip_suffix("/ops/shop.git").unwrap();
    let forge = format!(
        "\n[[forge]]\nkind = \"gitea\"\nurl = \"{web}\"\napi = \"{}/api/v1\"\ntoken_file = \"forge-token\"\ncomment = true\n",
        api.url()
    );
    let folder = world.forge.path("ops/shop").display().to_string();
    let triggers = format!("\"{address}\"\nmerge_requests = true\npush_merge_requests = true\nforks = 'run'");
    let application = world.application("shop", "[application.scan]\nby = \"harbor\"\nmax_severity = \"high\"\n");
    let application = application.replacen(&format!("\"{folder}\""), &triggers, 1);
    world.configure(&(world.config_head("a test") + &forge + &application)).unwrap();
    code(&world).tag("build-0", "main");
    world.start_agent().await.unwrap();
    ended(&world, "build-0").await;

    let run = merge_request(&world, "a fix").await;
    use StageKind::{Build, Checkout, Push, Scan};
    assert_eq!((run.goal, stages(&run)), (RunGoal::Preview, vec![Checkout, Build, Push, Scan]), "{run:#?}");
    assert_eq!((run.phase, run.scans[0].refused), (Phase::Failed, 1), "what is too severe is told: {run:#?}");
    let pushed = world.registry.digest("ops/shop", &tag(&run));
    assert_eq!(pushed, run.artifact.as_ref().unwrap().images[0].digest);
    assert!(pushed.is_some() && run.promoted.is_empty(), "{run:#?}");
    let found = "- scan of `127.0.0.1";
    let worst = "  - `CVE-2026-1 in openssl 3.0.1 (critical, fixed in 3.0.2)`";
    let is_shown = || {
        let comments = api.comments("ops/shop", 7);
        let has = |text: &str| comments.iter().any(|one| one.body.contains(text));
        has(found) && has(worst) && has(&format!("pushed as `{}`", tag(&run)))
    };
    until(&world, "the comment", is_shown).await;

    // A fork's code is built and tested, and never pushed.
    let repo = code(&world);
    repo.branch("theirs", "main");
    let commit = repo.commit("theirs", &[("app.txt", "theirs")], "Theirs");
    repo.git(&["update-ref", "refs/pull/8/head", &commit]);
    repo.git(&["branch", "-D", "theirs"]);
    let fork = ended(&world, "merge-request-8").await;
    assert_eq!((fork.goal, stages(&fork), fork.phase), (RunGoal::Build, vec![Checkout, Build], Phase::Succeeded));
    assert!(world.registry.tags("ops/shop").iter().all(|tag| !tag.contains("merge-request-8")));

    // A release of that commit is the very same image, under its own tag.
    world.registry.be_harbor(&[]);
    code(&world).tag("push-1.4.0", run.commit.as_str());
    let release = ended(&world, "push-1.4.0").await;
    assert_eq!((release.phase, release.promoted.len()), (Phase::Succeeded, 1), "{release:#?}");
    assert_eq!(world.registry.digest("ops/shop", "1.4.0"), pushed);
}

#[tokio::test]
async fn tags_of_merge_requests_go_and_what_runs_or_is_a_release_stays() {
    let world = previewed(GC, "").await;
    let first = merge_request(&world, "one").await;
    let second = merge_request(&world, "two").await;
    let third = merge_request(&world, "three").await;
    assert_eq!([&first, &second, &third].map(|run| run.phase), [Phase::Succeeded; 3], "{first:#?}");
    // Another was released under a tag of its own, one release ago too many for a rollback, and one runs in an environment.
    for (tag, commit) in [("push-1.0.0", second.commit.as_str()), ("push-1.1.0", third.commit.as_str())] {
        code(&world).tag(tag, commit);
        let run = ended(&world, tag).await;
        assert_eq!(run.phase, Phase::Succeeded, "{run:#?}");
        synced_to(&world, run.promoted.values().next().unwrap().as_str()).await;
    }
    let image = format!("{}:{}", world.image("ops/shop"), tag(&first));
    let commit = deploy(&world).commit("main", &borrowed(&world::manifests("shop", &image)), "A preview");
    synced_to(&world, &commit).await;
    let deployed = Some("an environment runs it, or ran it before".to_owned());
    let mut expected = vec![(tag(&first), deployed.clone()), (tag(&second), None), (tag(&third), deployed)];
    expected.sort();
    let mut found = tags(&world).await;
    found.sort();
    assert_eq!(found, expected);

    // A registry that deletes no tags keeps them, and is asked again the next time.
    world.registry.fail(Step::ManifestDelete, Fault::Status(405), 1);
    delete(&world).await;
    until(&world, "a question", || world.registry.count(Step::ManifestDelete) > 0).await;
    delete(&world).await;
    until(&world, "the end of a tag", || !world.registry.tags("ops/shop").contains(&tag(&second))).await;
    let left = world.registry.tags("ops/shop");
    let released = world.registry.digest("ops/shop", "1.0.0");
    assert!(left.contains(&tag(&first)) && left.contains(&tag(&third)), "{left:?}");
    assert!(released.is_some() && world.registry.manifest("ops/shop", "1.0.0").is_some(), "{left:?}");
    assert_eq!(tags(&world).await.len(), 2);
}

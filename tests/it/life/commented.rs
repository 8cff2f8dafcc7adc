//! A merge request shows by one comment of ours what became of its commits.

use std::time::Duration;

use harness::forge_api::{ForgeApi, Shown, TOKEN};
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::Phase;

use super::*;

/// Where the shop is on the forge.
const PROJECT: &str = "ops/shop";

/// A shop whose merge requests are tested, on a forge that has this API. Its first tag was built.
async fn on_a_forge(kind: &str, path: &str, more: &str) -> (World, ForgeApi) {
    let mut world = shop().await;
    let api = ForgeApi::start().await.unwrap();
    std::fs::write(world.path("forge-token"), TOKEN).unwrap();
    configure(&world, &api, kind, path, more);
    code(&world).tag("build-0", "main");
    world.start_agent().await.unwrap();
    world.wait_run("build-0", |run| run.reference == "build-0" && run.phase.is_final()).await.unwrap();
    (world, api)
}

fn configure(world: &World, api: &ForgeApi, kind: &str, path: &str, more: &str) {
    let code = world.forge.http(PROJECT);
    let web = code.strip_suffix("/ops/shop.git").unwrap_or_else(|| panic!("{code}"));
    let forge = format!(
        "\n[[forge]]\nkind = \"{kind}\"\nurl = \"{web}\"\napi = \"{}{path}\"\ntoken_file = \"forge-token\"\ncomment = true\n",
        api.url()
    );
    let application = |name: &str| {
        let application = world.application(name, "[[application.test]]\nname = 'unit'\ncommand = ['true']\n");
        let folder = world.forge.path(&format!("ops/{name}")).display().to_string();
        let triggers = format!("\"{code}\"\nmerge_requests = true\nforks = 'run'");
        application.replacen(&format!("\"{folder}\""), &triggers, 1)
    };
    let more = if more.is_empty() { String::new() } else { application(more) };
    world.configure(&(world.config_head("a test") + &forge + &application("shop") + &more)).unwrap();
}

/// A commit of merge request 7, from a branch of the repository.
fn merge_request(world: &World, files: &[(&str, &str)], subject: &str) -> String {
    let repo = code(world);
    if repo.git(&["branch", "--list", "fix"]).is_empty() {
        repo.branch("fix", "main");
    }
    let commit = repo.commit("fix", files, subject);
    repo.git(&["update-ref", "refs/pull/7/head", &commit]);
    commit
}

/// Waits until the comments on merge request 7 are as wanted; every request of the forge is a turn of this loop away.
async fn shown(api: &ForgeApi, what: &str, wanted: impl Fn(&[Shown]) -> bool) -> Vec<Shown> {
    let found = async {
        loop {
            let all = api.comments(PROJECT, 7);
            if wanted(&all) {
                return all;
            }
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(120), found).await;
    waited.unwrap_or_else(|_| panic!("{what}: {:#?}", api.comments(PROJECT, 7)))
}

fn says(commit: &str, words: &str) -> impl Fn(&[Shown]) -> bool {
    let (commit, words) = (format!("`{}`", &commit[..7]), words.to_owned());
    move |all| all.iter().any(|one| one.body.contains(&commit) && one.body.contains(&words))
}

#[tokio::test]
async fn each_forge_has_one_comment_that_follows_the_commits() {
    for (kind, path) in [("gitlab", "/api/v4"), ("github", "/api/v3"), ("gitea", "/api/v1")] {
        let (world, api) = on_a_forge(kind, path, "").await;
        let good = merge_request(&world, &[("app.txt", "good")], "Good `/close` @all");
        let all = shown(&api, "what was tested", says(&good, "| test | Succeeded |")).await;
        assert_eq!(all.len(), 1, "{kind}: {all:#?}");
        let text = &all[0].body;
        assert!(text.contains("**shop: Succeeded**") && text.contains("`Good '/close' @all`"), "{kind}: {text}");
        assert!(text.contains("/ops/shop` with the id `sha256:"), "{kind}: {text}");

        let bad = merge_request(&world, &[("Dockerfile", "FROM nowhere\nRUN\n")], "Bad");
        let all = shown(&api, "a build that fails", says(&bad, "| build | Failed |")).await;
        assert_eq!((all.len(), all[0].author.as_str()), (1, "quarterdeck"), "{kind}: {all:#?}");
        assert!(!all[0].body.contains(&good[..7]) && all[0].body.contains("**shop: Failed**"), "{kind}: {all:#?}");
    }
}

#[tokio::test]
async fn a_comment_is_found_again_whatever_was_lost_and_nobody_elses_is_touched() {
    let (mut world, api) = on_a_forge("github", "/api/v3", "").await;
    // Another agent's, and one that looks like ours; so many that ours is on the second page.
    api.write_comment(PROJECT, 7, "quarterdeck", "<!-- quarterdeck web -->\nof another agent");
    api.write_comment(PROJECT, 7, "mallory", "<!-- quarterdeck shop -->\nall is well");
    (0..110).for_each(|at| api.write_comment(PROJECT, 7, "alice", &format!("comment {at}")));
    let ours = |all: &[Shown]| -> Vec<Shown> {
        let is_ours = |one: &&Shown| one.author == "quarterdeck" && one.body.contains("quarterdeck shop");
        all.iter().filter(is_ours).cloned().collect()
    };
    let first = merge_request(&world, &[("app.txt", "1")], "First");
    let all = shown(&api, "the first", says(&first, "| test | Succeeded |")).await;
    assert_eq!(ours(&all).len(), 1, "{all:#?}");

    // The history is lost: the next life finds the comment by what it says.
    world.kill_agent();
    std::fs::remove_dir_all(world.path("data")).unwrap();
    world.start_agent().await.unwrap();
    world
        .wait("the repository to be seen", |state| {
            state.objects.values().any(|one| matches!(one, Object::Run(_))).then_some(())
        })
        .await
        .unwrap();
    let second = merge_request(&world, &[("app.txt", "2")], "Second");
    let all = shown(&api, "the second", says(&second, "| test | Succeeded |")).await;
    assert_eq!(ours(&all).len(), 1, "{all:#?}");
    let others: Vec<_> = all.iter().filter(|one| one.edits > 0 && !one.body.contains("quarterdeck shop")).collect();
    assert_eq!(others, Vec::<&Shown>::new());

    // A person deletes it: it comes back with what is new.
    api.delete_comment(ours(&all)[0].id);
    let third = merge_request(&world, &[("app.txt", "3")], "Third");
    let all = shown(&api, "the third", says(&third, "| test | Succeeded |")).await;
    assert_eq!(ours(&all).len(), 1, "{all:#?}");
}

#[tokio::test]
async fn applications_of_one_repository_share_the_comment() {
    let (world, api) = on_a_forge("gitea", "/api/v1", "web").await;
    let is_it = |run: &RunStatus| run.application.as_str() == "web" && run.phase.is_final();
    world.wait_run("the first run of web", is_it).await.unwrap();
    let commit = merge_request(&world, &[("app.txt", "new")], "New");
    let both = |all: &[Shown]| {
        all.iter().any(|one| one.body.contains("**shop: Succeeded**") && one.body.contains("**web: Succeeded**"))
    };
    let all = shown(&api, "both applications", both).await;
    assert!(all.len() == 1 && all[0].body.contains(&commit[..7]), "{all:#?}");
}

#[tokio::test]
async fn who_may_not_comment_still_tells_statuses_and_what_was_missed_follows() {
    let (mut world, api) = on_a_forge("gitlab", "/api/v4", "").await;
    api.may_comment(false);
    let commit = merge_request(&world, &[("app.txt", "new")], "New");
    let is_it = |run: &RunStatus| run.commit.as_str() == commit && run.phase.is_final();
    let run = world.wait_run("the run", is_it).await.unwrap();
    assert_eq!(run.phase, Phase::Succeeded);
    let tested = async {
        while api.states(&commit, "quarterdeck/shop/test").last().is_none_or(|state| state != "success") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), tested).await.expect("its statuses");
    let refused = async {
        while !world.log().contains("comments on merge requests wait") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), refused).await.expect("the refusal in the log");
    assert_eq!(api.comments(PROJECT, 7), []);
    assert!(world.log().contains("or leave out `comment`"), "{}", world.log());

    world.kill_agent();
    api.may_comment(true);
    world.start_agent().await.unwrap();
    shown(&api, "what it missed", says(&commit, "| test | Succeeded |")).await;
}

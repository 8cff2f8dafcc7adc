//! A merge request of a deploy repository shows by one comment what merging it would change.

use std::time::Duration;

use harness::forge_api::{ForgeApi, Open, Shown, TOKEN};
use harness::git::Repo;

use super::*;

/// Where the manifests are on the forge.
const PROJECT: &str = "ops/deploy";

/// A shop that is deployed from a forge that has this API: `flags` and `colours` run.
async fn on_a_forge(kind: &str, path: &str) -> (World, ForgeApi) {
    let mut world = world().await;
    let files = [("flags.yaml", config_map("flags", "1")), ("colours.yaml", config_map("colours", "red"))];
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let commit = manifests(&world, &files, "Manifests");
    let api = ForgeApi::start().await.unwrap();
    std::fs::write(world.path("forge-token"), TOKEN).unwrap();
    let address = world.forge.http(PROJECT);
    let web = address.strip_suffix("/ops/deploy.git").unwrap_or_else(|| panic!("{address}"));
    let forge = format!(
        "\n[[forge]]\nkind = \"{kind}\"\nurl = \"{web}\"\napi = \"{}{path}\"\ntoken_file = \"forge-token\"\nplan = true\n",
        api.url()
    );
    world.configure(&(world.config_head("a test") + &forge + &application("shop", &address, ""))).unwrap();
    world.start_agent().await.unwrap();
    synced_to(&world, &commit).await;
    (world, api)
}

/// A new commit of merge request 7, which begins at `main` as it was.
fn commit(world: &World, api: &ForgeApi, files: &[(&str, &str)], is_of_fork: bool) -> String {
    let repo = deploy(world);
    if repo.git(&["branch", "--list", "fix"]).is_empty() {
        repo.branch("fix", "main");
    }
    let files: Vec<_> = files.iter().map(|(name, text)| (format!("apps/shop/{name}"), (*text).to_owned())).collect();
    let head = repo.commit("fix", &borrowed(&files), "Change");
    open(&repo, api, 7, &head, "main", is_of_fork);
    head
}

fn open(repo: &Repo, api: &ForgeApi, number: u64, head: &str, target: &str, is_of_fork: bool) {
    let (head, target) = (head.to_owned(), target.to_owned());
    api.open_merge_request(Open { project: PROJECT.to_owned(), number, head: head.clone(), target, is_of_fork });
    // The ref is what the agent sees first.
    repo.git(&["update-ref", &format!("refs/pull/{number}/head"), &head]);
}

async fn shown(api: &ForgeApi, number: u64, what: &str, wanted: impl Fn(&str) -> bool) -> Shown {
    let found = async {
        loop {
            let all = api.comments(PROJECT, number);
            assert!(all.len() < 2, "{what}: {all:#?}");
            if let Some(one) = all.into_iter().next().filter(|one| wanted(&one.body)) {
                return one;
            }
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(120), found).await;
    waited.unwrap_or_else(|_| panic!("{what}: {:#?}", api.comments(PROJECT, number)))
}

#[tokio::test]
async fn each_forge_shows_what_merging_changes_and_nothing_that_others_changed() {
    for (kind, path) in [("gitlab", "/api/v4"), ("github", "/api/v3"), ("gitea", "/api/v1")] {
        let (world, api) = on_a_forge(kind, path).await;
        let first = commit(&world, &api, &[("flags.yaml", &config_map("flags", "2"))], false);
        let one = shown(&api, 7, kind, |text| text.contains(&format!("**Merging `{}` changes**", &first[..7]))).await;
        let lines = [
            "- **shop/prod**: 1 to configure\n",
            "  - configure `ConfigMap/flags in namespace shop`\n",
            "    - `data.value`: `1` → `2`\n",
        ];
        assert!(one.body.contains(&lines.concat()) && one.author == "quarterdeck", "{kind}: {}", one.body);
        assert!(!one.body.contains("colours"), "{kind}: {}", one.body);

        // The branch moves on beside it: what merging changes is the same, and the next commit removes an object.
        let moved = manifests(&world, &[("colours.yaml", &config_map("colours", "blue"))], "Blue");
        synced_to(&world, &moved).await;
        let repo = deploy(&world);
        repo.git(&["update-ref", "refs/heads/fix", &first]);
        let without = repo.change("fix").remove("apps/shop/flags.yaml").commit("No flags");
        open(&repo, &api, 7, &without, "main", false);
        let one = shown(&api, 7, kind, |text| text.contains("- **shop/prod**: 1 to prune\n")).await;
        assert!(one.body.contains("  - prune `ConfigMap/flags in namespace shop`"), "{kind}: {}", one.body);
        assert!(!one.body.contains("colours"), "what others changed is not its doing: {kind}: {}", one.body);

        // Taken back, it changes nothing, and says so over what it said before.
        let back = repo.commit("fix", &[("apps/shop/flags.yaml", &config_map("flags", "1"))], "Flags");
        open(&repo, &api, 7, &back, "main", false);
        shown(&api, 7, kind, |text| text.contains(&format!("**Merging `{}` changes no environment**", &back[..7])))
            .await;
    }
}

#[tokio::test]
async fn code_of_forks_other_branches_and_what_changes_nothing_get_no_comment() {
    let (world, api) = on_a_forge("github", "/api/v3").await;
    let repo = deploy(&world);
    repo.branch("next", "main");
    let elsewhere = repo.commit("next", &[("apps/shop/flags.yaml", &config_map("flags", "9"))], "Next");
    open(&repo, &api, 5, &elsewhere, "next", false);
    let beside =
        repo.commit("next", &[("apps/shop/flags.yaml", &config_map("flags", "1")), ("README.md", "x")], "Text");
    open(&repo, &api, 6, &beside, "main", false);
    commit(&world, &api, &[("flags.yaml", &config_map("flags", "2"))], true);
    // The last that is opened is planned after all of them.
    let own = repo.commit("next", &[("apps/shop/flags.yaml", &config_map("flags", "3"))], "Own");
    open(&repo, &api, 8, &own, "main", false);
    shown(&api, 8, "one of the repository's own", |text| text.contains("`1` → `3`")).await;
    for number in 5..8 {
        assert_eq!(api.comments(PROJECT, number), [], "{number}");
    }
}

#[tokio::test]
async fn what_cannot_be_rendered_says_why_and_secrets_stay_hidden() {
    let (world, api) = on_a_forge("gitea", "/api/v1").await;
    commit(&world, &api, &[("flags.yaml", "kind: [\n")], false);
    let one = shown(&api, 7, "what is broken", |text| text.contains("- **shop/prod**: `")).await;
    assert!(one.body.contains("apps/shop/flags.yaml"), "{}", one.body);

    let secret = "apiVersion: v1\nkind: Secret\nmetadata: { name: login }\nstringData: { password: hunter2-4711 }\n";
    commit(&world, &api, &[("flags.yaml", &config_map("flags", "1")), ("secret.yaml", secret)], false);
    let one = shown(&api, 7, "a secret", |text| text.contains("create `Secret/login in namespace shop`")).await;
    assert!(!one.body.contains("hunter2"), "{}", one.body);
}

#[tokio::test]
async fn a_restart_leaves_it_as_it_is_and_takes_up_what_came_meanwhile() {
    let (mut world, api) = on_a_forge("gitlab", "/api/v4").await;
    let first = commit(&world, &api, &[("flags.yaml", &config_map("flags", "2"))], false);
    let before = shown(&api, 7, "the first", |text| text.contains(&first[..7])).await;
    world.kill_agent();
    let repo = deploy(&world);
    repo.branch("later", "main");
    let later = repo.commit("later", &[("apps/shop/more.yaml", &config_map("more", "1"))], "More");
    open(&repo, &api, 8, &later, "main", false);
    world.start_agent().await.unwrap();
    shown(&api, 8, "what came meanwhile", |text| text.contains("create `ConfigMap/more in namespace shop`")).await;
    // What was sent and not recorded when the agent was killed is sent once more.
    let after = shown(&api, 7, "the first, still", |text| text.contains(&first[..7])).await;
    assert_eq!((after.id, after.body), (before.id, before.body));
}

#[tokio::test]
async fn a_token_that_may_not_list_them_is_told_and_asked_again_after_a_reload() {
    let (world, api) = on_a_forge("gitlab", "/api/v4").await;
    api.may_list(false);
    let head = commit(&world, &api, &[("flags.yaml", &config_map("flags", "2"))], false);
    let refused = async {
        while !world.log().contains("or leave out `plan`") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), refused).await.expect("the refusal in the log");
    assert_eq!(api.comments(PROJECT, 7), []);
    api.may_list(true);
    let config = std::fs::read_to_string(world.path("config.toml")).unwrap();
    world.configure(&(config + "\n")).unwrap();
    world.reload_agent();
    shown(&api, 7, "after the reload", |text| text.contains(&head[..7])).await;
}

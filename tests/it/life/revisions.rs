//! What of a repository is deployed where no branch is: the newest of several tags, a version in a range, a commit.

use quarterdeck_shared::revision::Revision;
use serde_json::json;

use super::*;

/// A world whose shop is deployed from what this option says; the agent does not run. Its manifests are committed one after the
/// other, each value tagged by these names.
async fn tagged(option: &str, releases: &[(&str, &str)]) -> World {
    let world = world().await;
    for (tag, value) in releases {
        let commit = manifests(&world, &[("a.yaml", &config_map("a", value))], &format!("Release {value}"));
        deploy(&world).tag(tag, &commit);
    }
    manifests(&world, &[("a.yaml", &config_map("a", "main"))], "Not a release");
    configure(&world, option);
    world
}

fn configure(world: &World, option: &str) {
    let address = world.forge.path("ops/deploy").display().to_string();
    let application = application("shop", &address, "").replace("branch = \"main\"\n", &format!("{option}\n"));
    world.configure(&(world.config_head("a test") + &application)).unwrap();
}

/// Waits until this is deployed, under this name.
async fn runs(world: &World, name: &str, wanted: &str) -> EnvironmentStatus {
    let is_it = |app: &EnvironmentStatus| {
        let is_named = app.revision.as_ref().is_some_and(|revision| revision.reference == name);
        is_named && app.sync == SyncStatus::Synced && value(world, "a").as_deref() == Some(wanted)
    };
    world.wait_for(&format!("{wanted} of {name} to run"), "shop", is_it).await.unwrap()
}

async fn told(world: &World, words: &str) -> EnvironmentStatus {
    let is_it = |app: &EnvironmentStatus| app.message.contains(words);
    world.wait_for(&format!("{words:?} to be told"), "shop", is_it).await.unwrap()
}

#[tokio::test]
async fn the_newest_tag_of_a_pattern_is_deployed_and_one_that_is_gone_leads_to_no_older_one() {
    let mut world =
        tagged("tag_pattern = \"release-*\"", &[("release-9", "nine"), ("other-11", "other"), ("release-8", "eight")])
            .await;
    world.start_agent().await.unwrap();
    let first = runs(&world, "release-9", "nine").await.revision.unwrap();
    assert_eq!(first.short(), format!("release-9@{}", first.commit.short()));
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "ten"))], "Release ten");
    deploy(&world).annotated_tag("release-10", &commit, "Ten");
    runs(&world, "release-10", "ten").await;

    deploy(&world).delete_tag("release-10");
    let status = told(&world, "is gone from").await;
    let address = world.forge.path("ops/deploy").display().to_string();
    assert_eq!(
        status.message.replace(&address, "DEPLOY"),
        "tag release-10, which is deployed, is gone from DEPLOY, and release-9 is older: it stays deployed"
    );
    assert_eq!(status.hint, "push a newer tag, or deploy the older one: qd rollback shop/prod release-9");
    assert_eq!(status.revision.map(|revision| revision.reference).as_deref(), Some("release-10"));
    assert_eq!(value(&world, "a").as_deref(), Some("ten"));
    // Over a restart as well, and as the hint says it.
    world.kill_agent();
    world.start_agent().await.unwrap();
    told(&world, "is gone from").await;
    assert_eq!(value(&world, "a").as_deref(), Some("ten"));
    ask(&world, "rollback", json!({ "to": "release-9", "reason": "a test" })).await;
    runs(&world, Revision::PIN, "nine").await;
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "eleven"))], "Release eleven");
    deploy(&world).tag("release-11", &commit);
    let waits =
        |app: &EnvironmentStatus| app.pending.as_ref().is_some_and(|pending| pending.newest.reference == "release-11");
    world.wait_for("the newer tag to wait for the pin", "shop", waits).await.unwrap();
    ask(&world, "unpin", json!({})).await;
    runs(&world, "release-11", "eleven").await;
}

#[tokio::test]
async fn the_newest_version_of_a_range_is_deployed_also_while_the_forge_is_away() {
    let releases = [("v1.4.0", "one"), ("1.5.0-rc.1", "candidate"), ("v2.0.0", "two"), ("v1", "moving")];
    let mut world = tagged("semver = \">=1.0 <2\"", &releases).await;
    world.start_agent().await.unwrap();
    runs(&world, "v1.4.0", "one").await;
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "newer"))], "Release 1.10.0");
    deploy(&world).tag("1.10.0", &commit);
    runs(&world, "1.10.0", "newer").await;

    world.kill_agent();
    let (here, elsewhere) = (world.forge.path("ops/deploy"), world.path("elsewhere"));
    std::fs::rename(&here, &elsewhere).unwrap();
    world.start_agent().await.unwrap();
    let is_seen = |app: &EnvironmentStatus| !app.unseen.is_empty() && app.sync == SyncStatus::Synced;
    world.wait_for("the forge to be told unreachable", "shop", is_seen).await.unwrap();
    world.cluster.edit("configmaps", "shop", "a", "kubectl-edit", |it| it["data"]["value"] = json!("by hand")).unwrap();
    while value(&world, "a").as_deref() != Some("newer") {
        tokio::task::yield_now().await;
    }
    std::fs::rename(&elsewhere, &here).unwrap();

    configure(&world, "semver = \">=3\"");
    world.reload_agent();
    let status = told(&world, "has no tag in the range >=3").await;
    assert_eq!(status.hint, "push such a tag, or check tag_pattern or semver of the environment");
    assert_eq!(value(&world, "a").as_deref(), Some("newer"));
}

#[tokio::test]
async fn a_commit_never_moves_and_need_not_be_on_a_branch() {
    let mut world = tagged("", &[]).await;
    let aside = deploy(&world).commit("aside", &[("apps/shop/a.yaml", &config_map("a", "aside"))], "Aside");
    deploy(&world).delete_branch("aside");
    configure(&world, &format!("commit = \"{aside}\""));
    world.start_agent().await.unwrap();
    let revision = runs(&world, Revision::COMMIT, "aside").await.revision.unwrap();
    assert_eq!((revision.commit.as_str(), revision.short()), (&*aside, format!("commit@{}", &aside[..7])));
    manifests(&world, &[("a.yaml", &config_map("a", "newer"))], "Another value");
    polled_twice(&world).await;
    assert_eq!(value(&world, "a").as_deref(), Some("aside"));

    // What the remote gave once is here, also after it is fetched from again.
    world.kill_agent();
    let (here, elsewhere) = (world.forge.path("ops/deploy"), world.path("elsewhere"));
    std::fs::rename(&here, &elsewhere).unwrap();
    world.start_agent().await.unwrap();
    runs(&world, Revision::COMMIT, "aside").await;
    std::fs::rename(&elsewhere, &here).unwrap();

    configure(&world, &format!("commit = \"{}\"", "1f3c2a9d".repeat(5)));
    world.reload_agent();
    let status = told(&world, "does not send it by its id").await;
    let address = here.display().to_string();
    assert_eq!(
        status.message.replace(&address, "DEPLOY"),
        format!(
            "DEPLOY has no branch or tag that leads to commit {}, and does not send it by its id",
            "1f3c2a9d".repeat(5)
        )
    );
    assert_eq!(status.hint, "check commit of the environment, or push a tag to it");
    assert_eq!(value(&world, "a").as_deref(), Some("aside"));
}

//! What an environment writes into the kustomization of its folder: components, metadata of all objects, one that is made where there is
//! none; and values of a chart that are the texts of files. The stand-in for kustomize follows resources and components.

use harness::kustomize;

use super::*;

/// A world whose shop has these files and options; the agent runs.
async fn overlaid(files: &[(&str, &str)], more: &str) -> World {
    let mut world = world().await;
    deploy(&world).commit("main", files, "Manifests");
    configure(&world, more);
    let path = kustomize::install_following(&world.path("")).unwrap();
    world.set("PATH", path);
    world.start_agent().await.unwrap();
    world
}

fn configure(world: &World, more: &str) {
    let address = world.forge.path("ops/deploy").display().to_string();
    world.configure(&(world.config_head("a test") + &application("shop", &address, more))).unwrap();
}

/// Waits until this is deployed, and nothing is under way.
async fn runs(world: &World, name: &str, wanted: &str) {
    let is_it = |app: &EnvironmentStatus| {
        let is_whole = app.sync == SyncStatus::Synced && app.progress.is_none();
        is_whole && value(world, name).as_deref() == Some(wanted)
    };
    world.wait_for(&format!("{name} to be {wanted}"), "shop", is_it).await.unwrap();
}

async fn told(world: &World, words: &str) {
    let is_it = |app: &EnvironmentStatus| app.message.contains(words);
    world.wait_for(&format!("{words:?} to be told"), "shop", is_it).await.unwrap();
}

fn metadata(world: &World, name: &str, pointer: &str) -> Option<String> {
    let object = world.cluster.get("configmaps", "shop", name)?;
    object.pointer(pointer).and_then(serde_json::Value::as_str).map(str::to_owned)
}

#[tokio::test]
async fn a_component_of_the_environment_is_deployed_and_watched() {
    let (own, part) = (config_map("own", "1"), config_map("part", "1"));
    let files = [
        ("apps/shop/kustomization.yaml", "resources:\n- own.yaml\n"),
        ("apps/shop/own.yaml", own.as_str()),
        ("parts/one/kustomization.yaml", "resources:\n- part.yaml\n"),
        ("parts/one/part.yaml", part.as_str()),
    ];
    let more = "[application.environment.kustomize]\ncomponents = [\"../../parts/one\"]\nlabels = { team = \"shop\" }\n\
                annotations = { \"example.com/contact\" = \"ops\" }\n";
    let world = overlaid(&files, more).await;
    runs(&world, "own", "1").await;
    runs(&world, "part", "1").await;
    for name in ["own", "part"] {
        assert_eq!(metadata(&world, name, "/metadata/labels/team").as_deref(), Some("shop"));
        assert_eq!(metadata(&world, name, "/metadata/annotations/example.com~1contact").as_deref(), Some("ops"));
    }
    let before = kustomize::starts(&world.path(""));
    let elsewhere = deploy(&world).commit("main", &[("parts/two/kustomization.yaml", "")], "Not ours");
    synced_to(&world, &elsewhere).await;
    assert_eq!(kustomize::starts(&world.path("")), before, "a commit elsewhere starts no program");
    let part = config_map("part", "2");
    deploy(&world).commit("main", &[("parts/one/part.yaml", part.as_str())], "The component");
    runs(&world, "part", "2").await;
}

#[tokio::test]
async fn a_component_that_is_missing_is_told_and_what_runs_stays() {
    let own = config_map("own", "1");
    let files = [("apps/shop/kustomization.yaml", "resources:\n- own.yaml\n"), ("apps/shop/own.yaml", own.as_str())];
    let mut world = overlaid(&files, "").await;
    runs(&world, "own", "1").await;
    world.kill_agent();
    configure(&world, "[application.environment.kustomize]\ncomponents = [\"../../parts/one\"]\n");
    world.start_agent().await.unwrap();
    told(
        &world,
        "kustomize of the environment names \"../../parts/one\" in components, which is not in the repository",
    )
    .await;
    assert_eq!(value(&world, "own").as_deref(), Some("1"));
    let part = config_map("part", "1");
    let files = [("parts/one/kustomization.yaml", "resources:\n- part.yaml\n"), ("parts/one/part.yaml", part.as_str())];
    deploy(&world).commit("main", &files, "The component");
    runs(&world, "part", "1").await;
}

#[tokio::test]
async fn a_folder_without_a_kustomization_is_built_as_if_it_had_one() {
    let (own, below, web) = (config_map("own", "1"), config_map("below", "1"), config_map("web", "1"));
    let files = [
        ("apps/shop/own.yaml", own.as_str()),
        ("apps/shop/deep/below.yaml", below.as_str()),
        ("apps/shop/web/kustomization.yaml", "resources:\n- web.yaml\n"),
        ("apps/shop/web/web.yaml", web.as_str()),
        ("apps/shop/web/unlisted.yaml", "not: an object\n"),
    ];
    let world = overlaid(&files, "[application.environment.kustomize]\ngenerate = true\n").await;
    for name in ["own", "below", "web"] {
        runs(&world, name, "1").await;
    }
    // One that comes is listed; one that the repository has itself says what is.
    let more = config_map("more", "1");
    deploy(&world).commit("main", &[("apps/shop/more.yaml", more.as_str())], "One more");
    runs(&world, "more", "1").await;
    let own = config_map("own", "2");
    let files = [("apps/shop/kustomization.yaml", "resources:\n- own.yaml\n"), ("apps/shop/own.yaml", own.as_str())];
    deploy(&world).commit("main", &files, "A kustomization");
    runs(&world, "own", "2").await;
    let is_gone = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && value(&world, "web").is_none();
    world.wait_for("what it does not list to be pruned", "shop", is_gone).await.unwrap();
}

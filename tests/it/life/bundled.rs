//! Bundles: what a shop runs is carried as one file to a place where its forge and its registry do not exist.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use harness::agent::{Agent, digest, promotion};
use harness::charts::package;
use harness::registry::{Fault, Step};
use quarterdeck_shared::change::Action;
use quarterdeck_shared::protocol::{DiffAnswer, ManifestsAnswer};
use quarterdeck_shared::queries::AtRevision;
use quarterdeck_shared::routes;
use quarterdeck_shared::status::Phase;

use super::*;

/// Where the other place has what is pushed.
const MIRROR: &str = "mirror";

/// Runs the agent's program; tells what it printed, or why it failed.
async fn bundle(agent: &Agent, words: &[&str]) -> Result<String, String> {
    let mut command = agent.agent_command();
    command.arg("bundle").args(words);
    // The stand-ins answer on this thread.
    let output = tokio::process::Command::from(command).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// A shop that was built, pushed and synced, and the digest of its image.
async fn delivered() -> (World, String) {
    let mut world = shop().await;
    world.start_agent().await.unwrap();
    code(&world).tag("push-1.4.0", "main");
    let ended = |run: &RunStatus| run.reference == "push-1.4.0" && run.phase.is_final();
    let run = world.wait_run("the shop to be pushed", ended).await.unwrap();
    let commit = promotion(&run).unwrap_or_else(|| panic!("{run:?}")).clone();
    let is_recorded = |app: &EnvironmentStatus| {
        let is_it = |sync: &quarterdeck_shared::event::SyncRecord| {
            sync.revision.commit == commit && sync.phase == Phase::Succeeded
        };
        app.sync == SyncStatus::Synced && app.last_sync.as_ref().is_some_and(is_it)
    };
    world.wait_for("the shop to be synced", "shop", is_recorded).await.unwrap();
    (world, digest(&run).unwrap())
}

/// The other place: a registry, a cluster and an agent of its own, whose shop follows an artifact there.
async fn place() -> World {
    let mut world = world().await;
    follow(&world, "");
    world.start_agent().await.unwrap();
    world
}

/// The shop of the other place, with what it says of a chart.
fn follow(world: &World, chart: &str) {
    let artifact = format!(
        "[application.environment.artifact]\nrepository = \"oci://{}\"\ntag = \"current\"\n[application.environment.sync]\n",
        world.image(&format!("{MIRROR}/shop-prod"))
    );
    let application =
        application("shop", "-", &(artifact + chart)).replace("repository = \"-\"\nbranch = \"main\"\n", "");
    let application = if chart.is_empty() { application } else { application.replace("path = \"apps/shop\"\n", "") };
    world.configure(&(world.config_head("without a network") + &application)).unwrap();
}

async fn rendered(world: &World) -> String {
    let answer: ManifestsAnswer = world.client().get("/v1/environments/shop/manifests").await.unwrap();
    answer.yaml
}

/// The repository of the shop's image in the other place.
fn mirrored(first: &World) -> String {
    format!("{MIRROR}/{}/ops/shop", first.registry.address().replace(':', "-"))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn what_a_shop_runs_is_carried_to_a_place_without_its_forge_and_its_registry() {
    let (mut first, digest) = delivered().await;
    let (file, again) = (first.path("shop.tar"), first.path("again.tar"));
    let told = bundle(&first, &["create", "shop/prod", "-o", text(&file)]).await.unwrap();
    assert!(told.contains("shop/prod at main@") && told.contains(", 1 image, "), "{told}");
    bundle(&first, &["create", "shop/prod", "-o", text(&again)]).await.unwrap();
    assert!(std::fs::read(&file).unwrap() == std::fs::read(&again).unwrap(), "the same sync is the same bytes");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let shown = bundle(&first, &["show", text(&file), "-o", "json"]).await.unwrap();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["environment"], &shown["parts"][0]["name"]), (&"shop/prod".into(), &"shop-prod".into()));
    assert_eq!((&shown["parts"][1]["part"], &shown["parts"][1]["digest"]), (&"image".into(), &(&*digest).into()));
    let table = bundle(&first, &["show", text(&file)]).await.unwrap();
    assert!(table.starts_with("environment  shop/prod\nrevision     main@sha1:"), "{table}");
    let image = format!("image      {}:1.4.0@{digest}  {digest}", first.image("ops/shop"));
    assert!(table.contains(&image), "{table}");
    let before = rendered(&first).await;

    first.stop_agent().unwrap();
    first.registry.away().await;
    std::fs::rename(first.forge.path("ops/deploy"), first.path("gone")).unwrap();
    let second = place().await;
    let carried = second.path("carried.tar");
    std::fs::copy(&file, &carried).unwrap();
    let told = bundle(&second, &["apply", text(&carried), "shop/prod"]).await.unwrap();
    assert!(told.ends_with("the agent looks now\n"), "{told}");
    let here = second.registry.address();
    let host = format!("[host.\"http://{here}/v2/{MIRROR}/{}\"]", first.registry.address().replace(':', "-"));
    assert!(told.contains(&host) && told.contains("override_path = true"), "{told}");
    assert_eq!(second.registry.manifests(&mirrored(&first)), [digest]);
    let manifests = second.registry.digest("mirror/shop-prod", "current").unwrap();
    assert_eq!(shown["parts"][0]["digest"], *manifests);
    let is_it = |app: &EnvironmentStatus| {
        let is_it =
            |revision: &quarterdeck_shared::revision::Revision| revision.artifact.as_deref() == Some(&*manifests);
        app.sync == SyncStatus::Synced && app.progress.is_none() && app.revision.as_ref().is_some_and(is_it)
    };
    second.wait_for("the bundle to be synced", "shop", is_it).await.unwrap();
    assert_eq!(rendered(&second).await, before);
    let environment = "shop/prod".parse().unwrap();
    let at = AtRevision { revision: None };
    let diff: DiffAnswer = second.client().get(&routes::DIFF.of_with(&environment, &at)).await.unwrap();
    assert!(diff.plan.changes.iter().all(|change| change.action == Action::Unchanged), "{:?}", diff.plan);

    // What is there already is not sent again.
    let sent = second.registry.count(Step::UploadStart);
    let to = second.image(MIRROR);
    let told = bundle(&second, &["push", text(&carried), "--to", &to]).await.unwrap();
    assert!(told.contains("(0 of "), "{told}");
    assert_eq!(second.registry.count(Step::UploadStart), sent);
    assert_eq!(second.registry.tags("mirror/shop-prod").len(), 2);
}

#[tokio::test]
async fn what_cannot_be_bundled_leaves_no_file_and_what_is_damaged_is_not_pushed() {
    let (first, digest) = delivered().await;
    let file = first.path("shop.tar");
    let refused = |told: Result<String, String>, words: &str| {
        let told = told.unwrap_err();
        assert!(told.contains(words), "{told}, not {words}");
    };
    refused(bundle(&first, &["create", "shop/test", "-o", text(&file)]).await, "has no environment shop/test");
    refused(
        bundle(&first, &["create", "shop/prod", "--sync", "999", "-o", text(&file)]).await,
        "sync 999 of shop/prod does not exist",
    );
    refused(
        bundle(&first, &["create", "shop/prod", "-o", "/nowhere/shop.tar"]).await,
        "cannot write /nowhere/shop.tar",
    );
    bundle(&first, &["create", "shop/prod", "-o", text(&file)]).await.unwrap();
    refused(bundle(&first, &["apply", text(&file), "shop/prod"]).await, "shop/prod follows git, not an artifact");

    let second = place().await;
    let to = second.image(MIRROR);
    let whole = std::fs::read(&file).unwrap();
    let manifest = first.registry.manifest("ops/shop", &digest).unwrap();
    let named: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let layer = named["layers"][0]["digest"].as_str().unwrap();
    let content = first.registry.blob(layer).unwrap();
    let place = whole.windows(content.len()).position(|window| window == content).unwrap();
    let damaged = second.path("damaged.tar");
    let mut bytes = whole.clone();
    bytes[place] ^= 1;
    std::fs::write(&damaged, &bytes).unwrap();
    let push = ["push", text(&damaged), "--to", &to];
    refused(bundle(&second, &push).await, &format!("blob {layer} of {}", first.image("ops/shop")));
    for bytes in [&whole[..whole.len() / 2], b"words", b""] {
        std::fs::write(&damaged, bytes).unwrap();
        refused(bundle(&second, &push).await, "is not a bundle");
    }
    assert_eq!(second.registry.manifests(&mirrored(&first)), Vec::<String>::new());
    std::fs::write(&damaged, &whole).unwrap();
    let words = r#"{"errors":[{"code":"DENIED","message":"the quota is used up"}]}"#;
    second.registry.fail(Step::UploadStart, Fault::Words(403, words.to_owned()), 1);
    refused(bundle(&second, &push).await, "denied: the quota is used up");
    let words = r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#;
    second.registry.fail(Step::ManifestPut, Fault::Words(404, words.to_owned()), 1);
    refused(bundle(&second, &push).await, "make the bundle with all platforms, without --platform");
    assert_eq!(second.registry.digest("mirror/shop-prod", "current"), None, "manifests go last");

    first.registry.withdraw("ops/shop", &digest);
    let other = first.path("other.tar");
    let told = bundle(&first, &["create", "shop/prod", "-o", text(&other)]).await;
    refused(told, &format!("the registry does not have {}", first.image("ops/shop")));
    assert!(!other.exists());
    let left = std::fs::read_dir(first.path("")).unwrap().flatten();
    assert!(!left.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(".qd-bundle-")));
    refused(bundle(&second, &["create", "shop/prod", "-o", text(&other)]).await, "shop/prod was never synced");
}

/// The chart of the shop, from this registry, with values of git.
fn charted(repository: &str) -> String {
    format!(
        "[application.environment.helm]\nvalues_files = [\"envs/prod.yaml\"]\n[application.environment.helm.chart]\n\
         repository = \"oci://{repository}\"\nname = \"podinfo\"\nversion = \"6.7.1\"\n"
    )
}

#[tokio::test]
async fn a_chart_of_a_registry_is_carried_with_its_values() {
    let (mut first, mut second) = (world().await, world().await);
    for world in [&mut first, &mut second] {
        let path = harness::helm::install(&world.path("")).unwrap();
        world.set("PATH", path);
    }
    let template = config_map("a", "6.7.1");
    let archive = package("podinfo", "6.7.1", &[("templates/a.yaml", &template), ("values.yaml", "words: none\n")]);
    let layer = first.registry.publish_chart("charts/podinfo", "6.7.1", &archive);
    deploy(&first).commit("main", &[("envs/prod.yaml", "words: carried\n")], "Values");
    let address = first.forge.path("ops/deploy").display().to_string();
    let shop = application("shop", &address, &charted(&first.image("charts"))).replace("path = \"apps/shop\"\n", "");
    first.configure(&(first.config_head("a test") + &shop)).unwrap();
    first.start_agent().await.unwrap();
    let is_whole = |app: &EnvironmentStatus| {
        let is_it = |sync: &quarterdeck_shared::event::SyncRecord| sync.phase == Phase::Succeeded;
        app.sync == SyncStatus::Synced && app.progress.is_none() && app.last_sync.as_ref().is_some_and(is_it)
    };
    first.wait_for("the chart to be synced", "shop", is_whole).await.unwrap();
    let file = first.path("shop.tar");
    bundle(&first, &["create", "shop/prod", "-o", text(&file)]).await.unwrap();
    let before = rendered(&first).await;
    first.registry.away().await;

    follow(&second, &charted(&second.image(&format!("{MIRROR}/charts"))));
    let told = bundle(&second, &["apply", text(&file), "shop/prod"]).await.unwrap();
    assert!(told.ends_with("the agent is not running; it looks when it starts\n"), "{told}");
    second.start_agent().await.unwrap();
    let status = second.wait_for("the bundle to be synced", "shop", is_whole).await.unwrap();
    let chart = status.revision.unwrap().chart.unwrap();
    assert_eq!((chart.version, chart.digest), ("6.7.1".to_owned(), layer));
    assert_eq!(value(&second, "a").as_deref(), Some("6.7.1"));
    assert_eq!(rendered(&second).await, before);
}

#[tokio::test]
async fn an_environment_of_a_source_is_bundled_as_those_of_the_configuration_are() {
    let world = super::sources::sailing().await;
    let commit = deploy(&world).rev("main");
    let is_recorded = |app: &EnvironmentStatus| {
        app.sync == SyncStatus::Synced
            && app
                .last_sync
                .as_ref()
                .is_some_and(|sync| sync.revision.commit.as_str() == commit && sync.phase == Phase::Succeeded)
    };
    world.wait_for("the shop to be synced", "shop", is_recorded).await.unwrap();
    let file = world.path("shop.tar");
    let told = bundle(&world, &["create", "shop/prod", "-o", text(&file)]).await.unwrap();
    assert!(told.contains("shop/prod at main@") && told.contains(", 0 images, "), "{told}");
    let none = bundle(&world, &["create", "shop/qa", "-o", text(&file)]).await.unwrap_err();
    assert!(none.contains("neither the configuration nor a source has the environment shop/qa"), "{none}");
    std::fs::remove_dir_all(world.path("data/mirrors")).unwrap();
    let lost = bundle(&world, &["create", "shop/prod", "-o", text(&file)]).await.unwrap_err();
    assert!(
        lost.contains("the configuration has no environment shop/prod, and source fleet cannot be read: "),
        "{lost}"
    );
}

//! An application with two images that runs in two environments: one push reaches both, and each is its own.

use harness::agent::environment;
use harness::world::runs;
use quarterdeck_shared::application::EnvironmentName;
use quarterdeck_shared::artifact::Artifact;
use quarterdeck_shared::event::SyncRecord;
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::{Health, Phase, StageKind};
use serde_json::json;

use super::*;

/// The pods of the shop in one environment, each with both images.
fn of(world: &World, environment: &str) -> (String, String) {
    let (till, stock) = (world.image("ops/till"), world.image("ops/stock"));
    let pods = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: shop }}\nspec:\n  replicas: 1\n  selector: {{ matchLabels: {{ app: shop }} }}\n  \
         template:\n    metadata: {{ labels: {{ app: shop }} }}\n    spec:\n      containers:\n      - name: till\n        image: {till}:none\n      \
         - name: stock\n        image: {stock}:none\n"
    );
    (format!("apps/{environment}/pods.yaml"), pods)
}

/// A table of the configuration for one environment.
fn table(world: &World, environment: &str) -> String {
    format!(
        "[[application.environment]]\nname = \"{environment}\"\nrepository = \"{}\"\nbranch = \"main\"\npath = \"apps/{environment}\"\n\
         cluster = \"demo\"\nnamespace = \"shop-{environment}\"\ncreate_namespace = true\n",
        world.forge.path("ops/deploy").display()
    )
}

fn config(world: &World, environments: &[&str]) -> String {
    let mut text = world.config_head("a test");
    text += &format!(
        "\n[[application]]\nname = \"shop\"\n[application.code]\nrepository = \"{}\"\n[[application.image]]\nname = \"{}\"\n\
         [[application.image]]\nname = \"{}\"\ncontext = \"stock\"\n",
        world.forge.path("ops/shop").display(),
        world.image("ops/till"),
        world.image("ops/stock"),
    );
    environments.iter().for_each(|name| text += &table(world, name));
    text
}

/// Code of two images, and manifests of both environments; the agent runs those that are named.
async fn two_images(environments: &[&str]) -> World {
    let mut world = world().await;
    let mut files = world::code("till", "1.0");
    files.extend(world::code("stock", "1.0").into_iter().map(|(path, text)| (format!("stock/{path}"), text)));
    code(&world).commit("main", &borrowed(&files), "A shop of two images");
    deploy(&world).commit("main", &borrowed(&[of(&world, "qa"), of(&world, "prod")]), "Manifests");
    world.configure(&config(&world, environments)).unwrap();
    world.start_agent().await.unwrap();
    world
}

/// Whether it runs every image that a run pushed.
fn runs_all(status: &EnvironmentStatus, run: &RunStatus) -> bool {
    let images = run.artifact.as_ref().map(Artifact::pinned).unwrap_or_default();
    !images.is_empty() && images.iter().all(|image| status.images.contains(image))
}

async fn pushed(world: &World, tag: &str) -> RunStatus {
    code(world).tag(tag, "main");
    world.wait_run(tag, |run| run.reference == tag && run.phase == Phase::Succeeded).await.unwrap()
}

fn name(text: &str) -> EnvironmentName {
    text.parse().unwrap()
}

#[tokio::test]
async fn one_push_builds_each_image_and_reaches_each_environment() {
    let world = two_images(&["qa", "prod"]).await;
    let run = pushed(&world, "push-1.0").await;
    let artifact = run.artifact.as_ref().unwrap();
    let names: Vec<&str> = artifact.images.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(names, [world.image("ops/till"), world.image("ops/stock")]);
    assert!(artifact.images.iter().all(|image| image.digest.is_some()), "{artifact:?}");

    let promotions: Vec<_> = run.stages.iter().filter(|stage| stage.kind == StageKind::Promote).collect();
    let of: Vec<_> = promotions.iter().map(|stage| stage.environment.clone()).collect();
    assert_eq!(of, [Some(name("qa")), Some(name("prod"))], "in the order of the configuration");
    assert_ne!(run.promoted[&name("qa")], run.promoted[&name("prod")], "a commit for each");

    for environment in ["qa", "prod"] {
        let well = |status: &EnvironmentStatus| status.health == Health::Healthy && runs_all(status, &run);
        let status = world.wait_for(environment, &format!("shop/{environment}"), well).await.unwrap();
        assert_eq!(status.sync, SyncStatus::Synced);
        let live = world.cluster.get("deployments.apps", &format!("shop-{environment}"), "shop").unwrap();
        assert_eq!(live["metadata"]["labels"]["quarterdeck.dev/environment"], environment);
        let inventory = format!("quarterdeck-shop.{environment}");
        assert!(world.cluster.get("configmaps", &format!("shop-{environment}"), &inventory).is_some(), "{inventory}");
    }
    assert_eq!(runs(&world.state().await.unwrap()).count(), 1, "one tag, one run");
}

#[tokio::test]
async fn a_deed_on_one_environment_leaves_the_other_and_an_ambiguous_one_is_refused() {
    let world = two_images(&["qa", "prod"]).await;
    pushed(&world, "push-1.0").await;
    let well = |status: &EnvironmentStatus| status.health == Health::Healthy && status.progress.is_none();
    world.wait_for("qa", "shop/qa", well).await.unwrap();
    world.wait_for("prod", "shop/prod", well).await.unwrap();
    let history = async |of: &str| -> Vec<SyncRecord> {
        world.client().get(&format!("/v1/environments/shop/{of}/history")).await.unwrap()
    };
    let before = history("qa").await.len();

    let _: Accepted =
        world.client().post("/v1/environments/shop/prod/suspend", &json!({ "reason": "a freeze" })).await.unwrap();
    world.wait_for("prod to be held", "shop/prod", |status| status.suspended).await.unwrap();
    let second = pushed(&world, "push-1.1").await;
    let at = |status: &EnvironmentStatus| runs_all(status, &second) && well(status);
    let qa = world.wait_for("qa to go on", "shop/qa", at).await.unwrap();
    assert!(!qa.suspended);
    assert_eq!(history("qa").await.len(), before + 1);
    let state = world.state().await.unwrap();
    let prod = environment(&state, "shop/prod").unwrap();
    assert!(!runs_all(prod, &second), "{prod:?}");

    let refused = world.client().post::<Accepted>("/v1/environments/shop/sync", &json!({})).await.unwrap_err();
    let said = format!("{refused:#}");
    assert!(said.contains("shop/qa") && said.contains("shop/prod"), "{said}");
}

#[tokio::test]
async fn a_reload_adds_an_environment_and_takes_it_away_beside_the_other() {
    let world = two_images(&["qa"]).await;
    let first = pushed(&world, "push-1.0").await;
    assert_eq!(first.promoted.keys().collect::<Vec<_>>(), [&name("qa")]);
    let well = |status: &EnvironmentStatus| status.health == Health::Healthy && status.progress.is_none();
    world.wait_for("qa", "shop/qa", well).await.unwrap();

    world.configure(&config(&world, &["qa", "prod"])).unwrap();
    world.reload_agent();
    world.wait_for("prod to be there", "shop/prod", |status| status.target.is_some()).await.unwrap();
    let second = pushed(&world, "push-1.1").await;
    for of in ["qa", "prod"] {
        let at = |status: &EnvironmentStatus| runs_all(status, &second) && well(status);
        world.wait_for(of, &format!("shop/{of}"), at).await.unwrap();
    }

    world.configure(&config(&world, &["prod"])).unwrap();
    world.reload_agent();
    let gone = |state: &State| (environment(state, "shop/qa").is_none()).then_some(());
    world.wait("qa to leave", gone).await.unwrap();
    // Its objects stay, as those of an application that leaves.
    assert!(world.cluster.get("deployments.apps", "shop-qa", "shop").is_some());
    let state = world.state().await.unwrap();
    let left = state.objects.keys().filter(|key| key.0.contains("shop/qa")).collect::<Vec<_>>();
    assert!(left.is_empty(), "{left:?}");
    assert!(environment(&state, "shop/prod").is_some_and(|status| status.health == Health::Healthy));
}

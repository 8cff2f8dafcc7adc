//! Bundles: what a shop runs is carried as one file to a place where its forge and its registry do not exist.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use harness::agent::{Agent, digest, promotion};
use harness::charts::{ChartRepository, package};
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
         repository = \"{repository}\"\nname = \"podinfo\"\nversion = \"6.7.1\"\n"
    )
}

/// The archive of a chart, which says its version.
fn podinfo() -> Vec<u8> {
    let template = config_map("a", "6.7.1");
    package("podinfo", "6.7.1", &[("templates/a.yaml", &template), ("values.yaml", "words: none\n")])
}

#[tokio::test]
async fn a_chart_of_a_registry_is_carried_with_its_values() {
    let first = world().await;
    first.registry.publish_chart("charts/podinfo", "6.7.1", &podinfo());
    let repository = format!("oci://{}", first.image("charts"));
    chart_is_carried(first, &repository).await;
}

#[tokio::test]
async fn a_chart_of_a_chart_repository_is_carried_as_one_of_a_registry() {
    let (first, repository) = (world().await, ChartRepository::start().await.unwrap());
    repository.publish("podinfo", "6.7.1", podinfo());
    chart_is_carried(first, &repository.address()).await;
}

async fn chart_is_carried(mut first: World, repository: &str) {
    let mut second = world().await;
    for world in [&mut first, &mut second] {
        let path = harness::helm::install(&world.path("")).unwrap();
        world.set("PATH", path);
    }
    deploy(&first).commit("main", &[("envs/prod.yaml", "words: carried\n")], "Values");
    let address = first.forge.path("ops/deploy").display().to_string();
    let shop = application("shop", &address, &charted(repository)).replace("path = \"apps/shop\"\n", "");
    first.configure(&(first.config_head("a test") + &shop)).unwrap();
    first.start_agent().await.unwrap();
    let is_whole = |app: &EnvironmentStatus| {
        let is_it = |sync: &quarterdeck_shared::event::SyncRecord| sync.phase == Phase::Succeeded;
        app.sync == SyncStatus::Synced && app.progress.is_none() && app.last_sync.as_ref().is_some_and(is_it)
    };
    let status = first.wait_for("the chart to be synced", "shop", is_whole).await.unwrap();
    let deployed = status.revision.unwrap().chart.unwrap();
    let file = first.path("shop.tar");
    bundle(&first, &["create", "shop/prod", "-o", text(&file)]).await.unwrap();
    let before = rendered(&first).await;
    first.registry.away().await;

    follow(&second, &charted(&format!("oci://{}", second.image(&format!("{MIRROR}/charts")))));
    let told = bundle(&second, &["apply", text(&file), "shop/prod"]).await.unwrap();
    assert!(told.ends_with("the agent is not running; it looks when it starts\n"), "{told}");
    second.start_agent().await.unwrap();
    let status = second.wait_for("the bundle to be synced", "shop", is_whole).await.unwrap();
    let chart = status.revision.unwrap().chart.unwrap();
    assert_eq!((&*chart.version, &chart.digest), ("6.7.1", &deployed.digest));
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

/// The shop of the other place: a chart that is in the artifact, with values of the environment's own.
fn follow_several(world: &World) {
    let artifact = format!(
        "[application.environment.artifact]\nrepository = \"oci://{}\"\ntag = \"current\"\n\
         [[application.environment.source]]\nname = \"charts\"\nbundled = true\n\
         [application.environment.helm]\nvalues_files = [\"envs/prod.yaml\"]\n",
        world.image(&format!("{MIRROR}/shop-prod"))
    );
    let application = application("shop", "-", &artifact)
        .replace("repository = \"-\"\nbranch = \"main\"\n", "")
        .replace("path = \"apps/shop\"", "path = \"$charts/shop\"");
    world.configure(&(world.config_head("without a network") + &application)).unwrap();
}

/// Waits until this revision is recorded as synced, and says this.
async fn recorded(world: &World, short: &str, wanted: &str) -> EnvironmentStatus {
    let is_it = |app: &EnvironmentStatus| {
        let is_whole = |sync: &quarterdeck_shared::event::SyncRecord| {
            sync.revision.short() == short && sync.phase == Phase::Succeeded
        };
        app.sync == SyncStatus::Synced
            && app.progress.is_none()
            && app.revision.as_ref().is_some_and(|revision| revision.short() == short)
            && app.last_sync.as_ref().is_some_and(is_whole)
            && value(world, "a").as_deref() == Some(wanted)
    };
    world.wait_for(&format!("{short} to be recorded"), "shop", is_it).await.unwrap()
}

#[tokio::test]
async fn several_sources_are_carried_in_one_artifact_and_change_together() {
    use super::several::{both, chart, charts, several};

    let (mut first, own, of_chart) = several().await;
    first.start_agent().await.unwrap();
    recorded(&first, &both(&own, &of_chart), "one 1").await;
    let (file, again) = (first.path("shop.tar"), first.path("again.tar"));
    let told = bundle(&first, &["create", "shop/prod", "-o", text(&file)]).await.unwrap();
    assert!(told.contains(&format!("shop/prod at {}, 0 images", both(&own, &of_chart))), "{told}");
    bundle(&first, &["create", "shop/prod", "-o", text(&again)]).await.unwrap();
    assert!(std::fs::read(&file).unwrap() == std::fs::read(&again).unwrap(), "the same sync is the same bytes");
    let shown = bundle(&first, &["show", text(&file)]).await.unwrap();
    let revision = format!("revision     main@sha1:{own} charts:main@sha1:{of_chart}\n");
    assert!(shown.contains(&revision), "{shown}");
    let before = rendered(&first).await;
    let newer_chart = charts(&first).commit("main", &borrowed(&chart("2")), "Another chart");
    let newer = deploy(&first).commit("main", &[("envs/prod.yaml", "value: two\n")], "Other values");
    recorded(&first, &both(&newer, &newer_chart), "two 2").await;
    bundle(&first, &["create", "shop/prod", "-o", text(&again)]).await.unwrap();

    // Of a source that the sync did not have there is nothing to carry.
    first.stop_agent().unwrap();
    let config = std::fs::read_to_string(first.path("config.toml")).unwrap();
    let more = format!(
        "[[application.environment.source]]\nname = \"late\"\nrepository = \"{}\"\n",
        first.forge.path("ops/charts").display()
    );
    first.configure(&(config + &more)).unwrap();
    let told = bundle(&first, &["create", "shop/prod", "-o", text(&first.path("late.tar"))]).await.unwrap_err();
    assert!(
        told.contains("of shop/prod was without source late\nhint: sync it with this configuration first"),
        "{told}"
    );

    let mut second = world().await;
    let path = harness::helm::install(&second.path("")).unwrap();
    second.set("PATH", path);
    follow_several(&second);
    second.start_agent().await.unwrap();
    let carry = async |file: &Path| {
        let told = bundle(&second, &["apply", text(file), "shop/prod"]).await.unwrap();
        assert!(told.ends_with("the agent looks now\n"), "{told}");
        second.registry.digest("mirror/shop-prod", "current").unwrap()
    };
    let digest = carry(&file).await;
    let short = |digest: &str, chart: &str| format!("current@{} charts:main@{}", &digest[..14], &chart[..7]);
    let status = recorded(&second, &short(&digest, &of_chart), "one 1").await;
    assert_eq!(rendered(&second).await, before);
    let text_of = status.last_sync.unwrap().revision.to_string();
    assert!(text_of.ends_with(&format!(" charts:main@sha1:{of_chart}")), "{text_of}");
    let shown: Vec<String> = status.spec.sources.iter().map(|source| source.describe()).collect();
    assert!(shown[0].starts_with("charts: oci://") && shown[0].ends_with(", $charts"), "{shown:?}");

    let next = carry(&again).await;
    recorded(&second, &short(&next, &newer_chart), "two 2").await;
    let history: Vec<quarterdeck_shared::event::SyncRecord> =
        second.client().get("/v1/environments/shop/history").await.unwrap();
    let synced: Vec<String> = history.iter().map(|sync| sync.revision.short()).collect();
    assert_eq!(synced, [short(&next, &newer_chart), short(&digest, &of_chart)], "never one without the other");
    let environment = "shop/prod".parse().unwrap();
    let at = AtRevision { revision: Some(format!("current charts:{of_chart}")) };
    let refused = second.client().get::<DiffAnswer>(&routes::DIFF.of_with(&environment, &at)).await.unwrap_err();
    assert!(refused.to_string().contains("source charts is in the artifact of shop/prod"), "{refused}");
    ask(&second, "rollback", serde_json::json!({ "reason": "a test" })).await;
    recorded(&second, &format!("pin@{} charts:pin@{}", &digest[..14], &of_chart[..7]), "one 1").await;

    // What came in a bundle goes on in the next one.
    ask(&second, "unpin", serde_json::json!({})).await;
    recorded(&second, &short(&next, &newer_chart), "two 2").await;
    let onward = second.path("onward.tar");
    bundle(&second, &["create", "shop/prod", "-o", text(&onward)]).await.unwrap();
    let shown = bundle(&second, &["show", text(&onward)]).await.unwrap();
    assert!(shown.contains(&format!(" charts:main@sha1:{newer_chart}")), "{shown}");
}

#[tokio::test]
async fn what_a_bundle_does_not_carry_is_told() {
    let mut world = world().await;
    let (base, own) = (world.forge.repo("ops/base"), config_map("a", "a base"));
    let commit =
        base.commit("main", &[("base/kustomization.yaml", "resources:\n- a.yaml\n"), ("base/a.yaml", &own)], "A base");
    base.tag("v1", &commit);
    let of_base = world.forge.http("ops/base");
    let named = format!("{of_base}//base?ref=v1");
    manifests(&world, &[("kustomization.yaml", &format!("resources:\n- {named}\n"))], "A kustomization");
    let address = world.forge.path("ops/deploy").display().to_string();
    let more = format!("[application.environment.kustomize]\nremote = [\"{of_base}\"]\n");
    world.configure(&(world.config_head("a test") + &application("shop", &address, &more))).unwrap();
    let path = harness::kustomize::install_following(&world.path("")).unwrap();
    world.set("PATH", path);
    world.start_agent().await.unwrap();
    recorded(&world, &format!("main@{}", &deploy(&world).rev("main")[..7]), "a base").await;
    let told = bundle(&world, &["create", "shop/prod", "-o", text(&world.path("shop.tar"))]).await.unwrap();
    let words = format!(
        "apps/shop/kustomization.yaml names {named}, which is not in the bundle\nhint: copy it into the repository"
    );
    assert!(told.contains(&words), "{told}");
}

#[tokio::test]
async fn what_is_encrypted_is_carried_encrypted() {
    use super::encrypted::{FIRST, KEY, VALUES, encrypted, first as in_clear, live};

    let mut first = encrypted(KEY, &[("db.yaml", FIRST)], "").await;
    first.start_agent().await.unwrap();
    let commit = deploy(&first).rev("main");
    synced_to(&first, &commit).await;
    let is_recorded =
        |app: &EnvironmentStatus| app.last_sync.as_ref().is_some_and(|sync| sync.phase == Phase::Succeeded);
    first.wait_for("the sync to be recorded", "shop", is_recorded).await.unwrap();
    let file = first.path("shop.tar");
    bundle(&first, &["create", "shop/prod", "-o", text(&file)]).await.unwrap();

    let mut second = world().await;
    follow(&second, "");
    let config = std::fs::read_to_string(second.path("config.toml")).unwrap();
    second
        .configure(&config.replace("\n[[application]]", "\n[sops]\nage_keys = [\"age.txt\"]\n\n[[application]]"))
        .unwrap();
    std::fs::write(second.path("age.txt"), KEY).unwrap();
    std::fs::set_permissions(second.path("age.txt"), std::fs::Permissions::from_mode(0o600)).unwrap();
    second.start_agent().await.unwrap();
    bundle(&second, &["apply", text(&file), "shop/prod"]).await.unwrap();
    second.wait_for("what is encrypted to run", "shop", |app| app.sync == SyncStatus::Synced).await.unwrap();
    assert_eq!(live(&second), Some(in_clear()));

    // In the artifact it is as it is in git.
    let digest = second.registry.digest("mirror/shop-prod", "current").unwrap();
    let manifest = second.registry.manifest("mirror/shop-prod", &digest).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let layer = second.registry.blob(manifest["layers"][0]["digest"].as_str().unwrap()).unwrap();
    std::fs::write(second.path("layer.tgz"), layer).unwrap();
    let output = std::process::Command::new("tar").arg("-xzOf").arg(second.path("layer.tgz")).output().unwrap();
    let files = String::from_utf8(output.stdout).unwrap();
    assert!(files.contains("ENC[AES256_GCM") && !files.contains(VALUES[0]), "{files}");
}

//! Charts that have to be signed: by the provenance file of `helm package --sign`, and by cosign in a registry.

use harness::charts::{ChartRepository, package};
use harness::git::Signer;
use harness::gpg::{self, provenance};
use harness::registry::Beside;
use harness::signing::{Key, payload, simple};
use quarterdeck_shared::protocol::{Check, CheckResult};
use serde_json::json;

use super::*;

fn podinfo(version: &str) -> Vec<u8> {
    package("podinfo", version, &[("templates/a.yaml", &config_map("a", version))])
}

/// A world whose shop is a chart of elsewhere that has to be signed; the agent does not run.
async fn charted(repository: &str, version: &str, more: &str) -> World {
    let mut world = by_the_real_gpg(repository, version, more).await;
    let path = gpg::install(&world.path("")).unwrap();
    world.set("PATH", path);
    world
}

/// The same with the `gpg` of this machine.
async fn by_the_real_gpg(repository: &str, version: &str, more: &str) -> World {
    let mut world = world().await;
    deploy(&world).commit("main", &[("README.md", "nothing")], "Nothing");
    std::fs::write(world.path("signers.asc"), gpg::keyring(&["carol"])).unwrap();
    configure(&world, repository, version, more);
    let path = harness::helm::install(&world.path("")).unwrap();
    world.set("PATH", path);
    world
}

const KEYRING: &str = "verify_keyring = \"signers.asc\"\n";

fn configure(world: &World, repository: &str, version: &str, more: &str) {
    let address = world.forge.path("ops/deploy").display().to_string();
    let chart = format!(
        "[application.environment.helm.chart]\nrepository = \"{repository}\"\nname = \"podinfo\"\nversion = \"{version}\"\n{more}"
    );
    let application = application("shop", &address, &chart).replace("path = \"apps/shop\"\n", "");
    world.configure(&(world.config_head("a test") + &application)).unwrap();
}

/// Waits until this version is deployed.
async fn runs(world: &World, version: &str) -> EnvironmentStatus {
    let is_it = |app: &EnvironmentStatus| {
        let chart = app.revision.as_ref().and_then(|revision| revision.chart.as_ref());
        app.sync == SyncStatus::Synced
            && app.progress.is_none()
            && chart.is_some_and(|chart| chart.version == version)
            && value(world, "a").as_deref() == Some(version)
    };
    world.wait_for(&format!("podinfo {version} to run"), "shop", is_it).await.unwrap()
}

/// Waits until the environment says this of the chart; its words and the hint.
async fn told(world: &World, words: &str) -> (String, String) {
    let is_it = |app: &EnvironmentStatus| app.message.contains(words);
    let status = world.wait_for(&format!("{words:?} to be told"), "shop", is_it).await.unwrap();
    (status.message, status.hint)
}

/// The same, once the pass of the environment met it as well: it says what to do.
async fn refused(world: &World, words: &str) -> (String, String) {
    let is_it = |app: &EnvironmentStatus| app.message.contains(words) && !app.hint.is_empty();
    let status = world.wait_for(&format!("{words:?} to be told"), "shop", is_it).await.unwrap();
    (status.message, status.hint)
}

async fn refreshed(world: &World, words: &str) -> (String, String) {
    ask(world, "refresh", json!({})).await;
    refused(world, words).await
}

async fn doctor(world: &World) -> Check {
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    checks.into_iter().find(|check| check.name.starts_with("charts ")).expect("a line of the chart repository")
}

#[tokio::test]
async fn a_chart_is_deployed_that_one_of_the_keys_signed_and_no_other() {
    let repository = ChartRepository::start().await.unwrap();
    repository.publish("podinfo", "6.7.1", podinfo("6.7.1"));
    let mut world = charted(&repository.address(), "6.7.1", KEYRING).await;
    world.start_agent().await.unwrap();
    let (message, hint) = refused(&world, "is not signed").await;
    let chart = format!("podinfo 6.7.1 of {}", repository.address());
    assert_eq!(
        message,
        format!("cannot fetch chart {chart}: podinfo 6.7.1 is not signed: its repository has no provenance file of it")
    );
    assert_eq!(hint, "package it with `helm package --sign`, and publish the .prov file beside it");

    let prove =
        |by: &str, archive: &[u8]| repository.prove("podinfo", "6.7.1", &provenance("podinfo", "6.7.1", archive, by));
    prove("dan", &podinfo("6.7.1"));
    let (message, hint) = refreshed(&world, "is signed by key").await;
    let key = gpg::key("dan");
    let words = format!("podinfo 6.7.1 is signed by key {key}, which is not in signers.asc");
    assert!(message.ends_with(&words), "{message}");
    assert_eq!(hint, "see who signed it; if that key may sign, add it to the keyring");
    prove("carol", b"another archive");
    let (message, _) = refreshed(&world, "its provenance file says sha256:").await;
    assert!(message.contains(", and the archive is sha256:"), "{message}");
    let good = provenance("podinfo", "6.7.1", &podinfo("6.7.1"), "carol");
    repository.prove("podinfo", "6.7.1", &good.replace("apiVersion: v2", "apiVersion: v3"));
    let (message, hint) = refreshed(&world, "is not valid").await;
    assert!(message.ends_with("the signature of podinfo 6.7.1 is not valid: it is not of this content"), "{message}");
    assert_eq!(hint, "see who changed the provenance file, and publish the chart as a new version");
    repository.prove("podinfo", "6.7.1", &provenance("other", "6.7.1", &podinfo("6.7.1"), "carol"));
    refreshed(&world, "its provenance file is that of other 6.7.1").await;
    assert_eq!(value(&world, "a"), None, "nothing was deployed of all that");
    repository.prove("podinfo", "6.7.1", &good);
    ask(&world, "refresh", json!({})).await;
    runs(&world, "6.7.1").await;
    assert_eq!(doctor(&world).await.result, CheckResult::Good);

    // It is known without the repository, also after a restart.
    world.kill_agent();
    repository.away().await;
    let again = deploy(&world).commit("main", &[("README.md", "still nothing")], "Nothing");
    world.start_agent().await.unwrap();
    synced_to(&world, &again).await;
    repository.back().await.unwrap();
}

#[tokio::test]
async fn a_newer_version_that_is_not_signed_is_told_and_the_last_good_one_runs() {
    let repository = ChartRepository::start().await.unwrap();
    let publish = |version: &str| repository.publish("podinfo", version, podinfo(version));
    let prove = |version: &str, by: &str| {
        repository.prove("podinfo", version, &provenance("podinfo", version, &podinfo(version), by))
    };
    publish("6.7.1");
    prove("6.7.1", "carol");
    let mut world = charted(&repository.address(), "6.x", KEYRING).await;
    world.start_agent().await.unwrap();
    let before = runs(&world, "6.7.1").await;
    publish("6.8.0");
    let (_, _) = told(&world, "podinfo 6.8.0 is not signed").await;
    let shown = runs(&world, "6.7.1").await;
    assert_eq!((shown.sync, shown.revision), (before.sync, before.revision));
    prove("6.8.0", "carol");
    runs(&world, "6.8.0").await;

    // A keyring without the key that signed what runs: nothing new is deployed of it, and what runs stays.
    std::fs::write(world.path("signers.asc"), gpg::keyring(&["dan"])).unwrap();
    let check = async || doctor(&world).await;
    assert_eq!(check().await.result, CheckResult::Good);
    ask(&world, "sync", json!({"full": true})).await;
    let (message, hint) = refused(&world, "chart podinfo 6.8.0 is not deployed").await;
    assert!(message.contains("is signed by key"), "{message}");
    assert_eq!(hint, "see who signed it; if that key may sign, add it to the keyring");
    assert_eq!(value(&world, "a").as_deref(), Some("6.8.0"));
    std::fs::write(world.path("signers.asc"), "").unwrap();
    let check = check().await;
    assert_eq!((check.result, check.message.contains("it is empty")), (CheckResult::Bad, true), "{check:?}");
    std::fs::write(world.path("signers.asc"), gpg::keyring(&["dan", "carol"])).unwrap();
    ask(&world, "sync", json!({})).await;
    runs(&world, "6.8.0").await;
}

#[tokio::test]
async fn a_chart_of_a_registry_has_its_provenance_beside_its_archive_or_a_signature_of_cosign() {
    let mut world = charted("https://unused.example", "6.7.1", "").await;
    let charts = format!("oci://{}", world.image("charts"));
    configure(&world, &charts, "6.7.1", KEYRING);
    world.registry.publish_chart("charts/podinfo", "6.7.1", &podinfo("6.7.1"));
    world.start_agent().await.unwrap();
    told(&world, "podinfo 6.7.1 is not signed").await;
    let signed = provenance("podinfo", "6.7.1", &podinfo("6.7.1"), "carol");
    world.registry.publish_proven_chart("charts/podinfo", "6.7.1", &podinfo("6.7.1"), signed.as_bytes());
    ask(&world, "refresh", json!({})).await;
    runs(&world, "6.7.1").await;

    let (key, stranger) = (Key::generate(), Key::generate());
    std::fs::write(world.path("cosign.pub"), key.public()).unwrap();
    world.registry.publish_chart("charts/podinfo", "6.8.0", &podinfo("6.8.0"));
    configure(&world, &charts, "6.8.0", "verify = [\"cosign.pub\"]\n");
    world.reload_agent();
    let (message, hint) = refused(&world, "podinfo 6.8.0 is not signed by cosign.pub").await;
    assert!(message.ends_with("no signature was found"), "{message}");
    assert!(hint.starts_with("sign it with `cosign sign --key`"), "{hint}");
    let digest = world.registry.digest("charts/podinfo", "6.8.0").unwrap();
    let sign = |key: &Key| {
        let payload = payload(&world.image("charts/podinfo"), &digest);
        let (tag, signature) = (format!("{}.sig", digest.replace(':', "-")), key.sign(&payload));
        world.registry.attach("charts/podinfo", &Beside::Tag(&tag), &[simple(payload, signature)]);
    };
    sign(&stranger);
    refreshed(&world, "found a signature by an unknown key").await;
    assert_eq!(value(&world, "a").as_deref(), Some("6.7.1"), "what runs stays");
    sign(&key);
    ask(&world, "refresh", json!({})).await;
    runs(&world, "6.8.0").await;

    // It is known without the registry.
    world.kill_agent();
    world.registry.away().await;
    let again = deploy(&world).commit("main", &[("README.md", "still nothing")], "Nothing");
    world.start_agent().await.unwrap();
    synced_to(&world, &again).await;
    world.registry.back().await.unwrap();
}

#[tokio::test]
#[ignore = "wants gpg; told by tests/real/run"]
async fn the_real_gpg_says_who_signed_a_chart() {
    let [carol, dan] = ["carol", "dan"].map(Signer::with_gpg);
    let repository = ChartRepository::start().await.unwrap();
    repository.publish("podinfo", "6.7.1", podinfo("6.7.1"));
    let mut world = by_the_real_gpg(&repository.address(), "6.7.1", KEYRING).await;
    std::fs::write(world.path("signers.asc"), carol.armored()).unwrap();
    let body = gpg::unsigned("podinfo", "6.7.1", &podinfo("6.7.1"));
    repository.prove("podinfo", "6.7.1", &dan.clear_signed(&body));
    world.start_agent().await.unwrap();
    told(&world, "which is not in signers.asc").await;
    let signed = carol.clear_signed(&body);
    repository.prove("podinfo", "6.7.1", &signed.replace("name: podinfo", "name: podinfa"));
    refreshed(&world, "the signature of podinfo 6.7.1 is not valid: it is not of this content").await;
    // What stands around what was signed does not count.
    repository.prove("podinfo", "6.7.1", &format!("{}\n{signed}", gpg::unsigned("podinfo", "6.7.1", b"other")));
    ask(&world, "refresh", json!({})).await;
    runs(&world, "6.7.1").await;
}

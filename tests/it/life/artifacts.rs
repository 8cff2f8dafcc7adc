//! Manifests that come from a registry: which artifact is deployed, what is refused, and what becomes of it while the registry is
//! unreachable.

use harness::charts::archive;
use harness::registry::{Beside, Fault, Step};
use harness::signing::{Key, payload, simple};
use quarterdeck_shared::protocol::{Check, CheckResult, CommitAnswer, DiffAnswer, ManifestsAnswer};
use quarterdeck_shared::queries::AtRevision;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::routes;
use quarterdeck_shared::snapshot::Cover;
use serde_json::json;

use super::*;

/// Where the manifests of the shop are.
const MANIFESTS: &str = "ops/shop-manifests";

/// A world whose shop is deployed from an artifact, with these options; the agent does not run.
async fn packaged(more: &str) -> World {
    let world = world().await;
    configure(&world, more);
    world
}

fn configure(world: &World, more: &str) {
    let artifact = format!(
        "[application.environment.artifact]\nrepository = \"oci://{}\"\n{more}\n[application.environment.sync]\n",
        world.image(MANIFESTS)
    );
    let application = application("shop", "-", &artifact).replace("repository = \"-\"\nbranch = \"main\"\n", "");
    world.configure(&(world.config_head("a test") + &application)).unwrap();
}

/// A folder with a value of the shop, packed.
fn folder(value: &str) -> Vec<u8> {
    archive(&[("apps/shop/a.yaml", &config_map("a", value)), ("README.md", "not deployed")])
}

/// Somebody pushes such a folder; tells its digest.
fn push(world: &World, tag: &str, value: &str) -> String {
    world.registry.publish_folder(MANIFESTS, tag, &folder(value))
}

fn sign(world: &World, key: &Key, digest: &str) {
    let payload = payload(&world.image(MANIFESTS), digest);
    let tag = format!("{}.sig", digest.replace(':', "-"));
    let signature = key.sign(&payload);
    world.registry.attach(MANIFESTS, &Beside::Tag(&tag), &[simple(payload, signature)]);
}

/// `sha256:9e2b1c2`
fn short(digest: &str) -> &str {
    &digest[..14]
}

/// Waits until this is deployed, under this name.
async fn runs(world: &World, name: &str, digest: &str, wanted: &str) -> EnvironmentStatus {
    let named = format!("{name}@{}", short(digest));
    let is_it = |app: &EnvironmentStatus| {
        let is_named = app.revision.as_ref().is_some_and(|revision| revision.short() == named);
        is_named
            && app.sync == SyncStatus::Synced
            && app.progress.is_none()
            && value(world, "a").as_deref() == Some(wanted)
    };
    world.wait_for(&format!("{named} to run"), "shop", is_it).await.unwrap()
}

/// Waits until the environment says why nothing newer is deployed.
async fn told(world: &World, words: &str) -> EnvironmentStatus {
    let is_it = |app: &EnvironmentStatus| {
        app.unseen.iter().any(|unseen| unseen.of == Cover::Artifact && unseen.reason.contains(words))
    };
    world.wait_for(&format!("{words:?} to be told"), "shop", is_it).await.unwrap()
}

/// The reason that is told, with the changing names as words.
fn reason(world: &World, status: &EnvironmentStatus, digest: &str) -> String {
    let reason = status.unseen.iter().find(|unseen| unseen.of == Cover::Artifact).map(|unseen| unseen.reason.clone());
    let reason = reason.unwrap_or_default().replace(&world.image(MANIFESTS), "MANIFESTS").replace(digest, "DIGEST");
    reason.replace(world.registry.address(), "REGISTRY")
}

async fn doctor(world: &World) -> Check {
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    checks.into_iter().find(|check| check.name.starts_with("artifact ")).expect("a line of the artifact")
}

/// Waits until the registry was asked this often more.
async fn asked(world: &World, step: Step, times: u64) {
    let before = world.registry.count(step);
    while world.registry.count(step) < before + times {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_pushed_under_the_tag_is_deployed_and_a_rollback_goes_back() {
    let mut world = packaged("").await;
    let first = push(&world, "latest", "one");
    world.start_agent().await.unwrap();
    let status = runs(&world, "latest", &first, "one").await;
    assert_eq!(status.spec.repository, format!("oci://{}:latest", world.image(MANIFESTS)));
    let revision = status.revision.clone().unwrap();
    assert_eq!(revision.to_string(), format!("latest@{first}@sha1:{}", revision.commit));
    assert_eq!(status.last_sync.unwrap().revision, revision, "the history says it");
    let check = doctor(&world).await;
    assert_eq!((check.result, check.message), (CheckResult::Good, format!("answers: latest is {}", short(&first))));

    // What is known is not fetched again.
    let fetched = |world: &World| [Step::ManifestGet, Step::BlobGet].map(|step| world.registry.count(step));
    let before = fetched(&world);
    asked(&world, Step::ManifestHead, 3).await;
    assert_eq!(fetched(&world), before);

    let second = push(&world, "latest", "two");
    runs(&world, "latest", &second, "two").await;
    let at = AtRevision { revision: Some(short(&first).to_owned()) };
    let environment = "shop/prod".parse().unwrap();
    let diff: DiffAnswer = world.client().get(&routes::DIFF.of_with(&environment, &at)).await.unwrap();
    assert_eq!((diff.plan.changes.len(), diff.plan.revision.artifact.as_deref()), (1, Some(&*first)));
    let commits: Vec<CommitAnswer> = world.client().get("/v1/environments/shop/commits").await.unwrap();
    assert_eq!(commits.len(), 2);
    assert_eq!(commits[0].subject, format!("Artifact {} of latest@sha1:1f3c2a9d", short(&second)));
    assert_eq!(commits[0].at.to_string(), "2026-11-30T10:00:00Z");

    ask(&world, "rollback", json!({ "reason": "a test" })).await;
    let pinned = runs(&world, Revision::PIN, &first, "one").await;
    assert_eq!(pinned.revision.unwrap().commit, revision.commit, "one artifact is one commit");
    let third = push(&world, "latest", "three");
    let waits = |app: &EnvironmentStatus| {
        app.pending.as_ref().is_some_and(|pending| pending.newest.artifact.as_deref() == Some(&*third))
    };
    world.wait_for("the newest to wait for the pin", "shop", waits).await.unwrap();
    ask(&world, "unpin", json!({})).await;
    runs(&world, "latest", &third, "three").await;
    ask(&world, "rollback", json!({ "to": short(&second), "reason": "a test" })).await;
    runs(&world, Revision::PIN, &second, "two").await;
}

#[tokio::test]
async fn while_the_registry_is_unreachable_what_was_deployed_last_is_rendered_also_after_a_restart() {
    let mut world = packaged("").await;
    let digest = push(&world, "latest", "one");
    world.start_agent().await.unwrap();
    runs(&world, "latest", &digest, "one").await;
    world.kill_agent();
    world.registry.away().await;
    world.start_agent().await.unwrap();
    let status = told(&world, "is unreachable").await;
    assert!(
        status.shown().message.starts_with(&format!("artifact {} is not up to date", status.spec.repository)),
        "{status:?}"
    );
    let manifests: ManifestsAnswer = world.client().get("/v1/environments/shop/manifests").await.unwrap();
    assert!(manifests.yaml.contains("value: one"), "{}", manifests.yaml);
    world.cluster.edit("configmaps", "shop", "a", "kubectl-edit", |it| it["data"]["value"] = json!("by hand")).unwrap();
    while value(&world, "a").as_deref() != Some("one") {
        tokio::task::yield_now().await;
    }
    assert_eq!(doctor(&world).await.result, CheckResult::Bad);

    world.registry.back().await.unwrap();
    let second = push(&world, "latest", "two");
    ask(&world, "refresh", json!({})).await;
    let status = runs(&world, "latest", &second, "two").await;
    assert_eq!(status.unseen, []);

    // The repository is lost while no agent runs, and a pin needs what is in no list any more.
    ask(&world, "rollback", json!({ "reason": "a test" })).await;
    runs(&world, Revision::PIN, &digest, "one").await;
    world.kill_agent();
    std::fs::remove_dir_all(world.path("data/mirrors")).unwrap();
    world.start_agent().await.unwrap();
    world.cluster.edit("configmaps", "shop", "a", "kubectl-edit", |it| it["data"]["value"] = json!("by hand")).unwrap();
    runs(&world, Revision::PIN, &digest, "one").await;
}

#[tokio::test]
async fn the_newest_version_of_a_range_is_deployed_and_a_digest_never_moves() {
    let mut world = packaged("semver = \">=1 <2\"").await;
    push(&world, "1.9.0", "old");
    let newest = push(&world, "v1.10.0", "newest");
    push(&world, "2.0.0", "other");
    push(&world, "latest", "latest");
    world.start_agent().await.unwrap();
    runs(&world, "v1.10.0", &newest, "newest").await;
    let newer = push(&world, "1.11.0", "newer");
    runs(&world, "1.11.0", &newer, "newer").await;
    world.registry.withdraw(MANIFESTS, "1.11.0");
    let status = told(&world, "is gone from").await;
    assert_eq!(
        reason(&world, &status, &newer),
        "tag 1.11.0, which is deployed, is gone from MANIFESTS, and v1.10.0 is older: it stays deployed"
    );
    assert_eq!(value(&world, "a").as_deref(), Some("newer"));

    configure(&world, &format!("digest = \"{newest}\""));
    world.reload_agent();
    let status = runs(&world, "shop-manifests", &newest, "newest").await;
    assert_eq!(status.unseen, []);
    // Nobody has to be asked about it again.
    polled_twice(&world).await;
    let before = world.registry.counts();
    polled_twice(&world).await;
    assert_eq!(world.registry.counts(), before);

    configure(&world, &format!("digest = \"sha256:{}\"", "d".repeat(64)));
    world.reload_agent();
    let status = told(&world, "does not exist").await;
    assert_eq!(reason(&world, &status, "sha256:"), format!("MANIFESTS@DIGEST{} does not exist", "d".repeat(64)));
    assert_eq!(value(&world, "a").as_deref(), Some("newest"));
}

#[tokio::test]
async fn what_no_required_key_signed_is_not_deployed_and_what_runs_stays() {
    let mut world = packaged("verify = ['cosign.pub']").await;
    let (key, other) = (Key::generate(), Key::generate());
    std::fs::write(world.path("cosign.pub"), key.public()).unwrap();
    let first = push(&world, "latest", "one");
    world.start_agent().await.unwrap();
    let status = told(&world, "is not signed").await;
    assert_eq!(
        reason(&world, &status, &first),
        "MANIFESTS@DIGEST is not signed by cosign.pub, and is not deployed: no signature was found"
    );
    assert_eq!((status.revision, value(&world, "a")), (None, None));
    sign(&world, &other, &first);
    let status = told(&world, "an unknown key").await;
    assert_eq!(
        reason(&world, &status, &first),
        "MANIFESTS@DIGEST is not signed by cosign.pub, and is not deployed: found a signature by an unknown key"
    );
    sign(&world, &key, &first);
    ask(&world, "refresh", json!({})).await;
    let status = runs(&world, "latest", &first, "one").await;
    assert!(status.spec.repository.ends_with(":latest, signed by cosign.pub"), "{}", status.spec.repository);

    let second = push(&world, "latest", "two");
    told(&world, "is not signed by cosign.pub").await;
    let check = doctor(&world).await;
    assert_eq!(check.result, CheckResult::Bad, "{check:?}");
    assert_eq!(
        check.hint,
        "sign it with one of these keys, or add the public key that signed it to verify in [application.environment.artifact]"
    );
    assert_eq!(value(&world, "a").as_deref(), Some("one"));
    // A key that is not there verifies nothing.
    std::fs::remove_file(world.path("cosign.pub")).unwrap();
    sign(&world, &key, &second);
    told(&world, "cannot read the public key").await;
    assert_eq!(value(&world, "a").as_deref(), Some("one"));
    std::fs::write(world.path("cosign.pub"), key.public()).unwrap();
    ask(&world, "refresh", json!({})).await;
    runs(&world, "latest", &second, "two").await;
}

#[tokio::test]
async fn what_is_no_folder_of_manifests_is_refused_and_the_last_good_one_runs() {
    let mut world = packaged("").await;
    let first = push(&world, "latest", "one");
    world.start_agent().await.unwrap();
    runs(&world, "latest", &first, "one").await;
    let whole = folder("two");
    let mut noise = 1_u64;
    let large: Vec<u8> = (0..21 << 20)
        .map(|_| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (noise >> 56) as u8
        })
        .collect();
    for (layer, words) in [
        (
            whole[..whole.len() / 2].to_vec(),
            "the layer of MANIFESTS@DIGEST is rejected: it is not a whole tar archive, gzipped or not",
        ),
        (
            b"apiVersion: v1\n".to_vec(),
            "the layer of MANIFESTS@DIGEST is rejected: it is not a whole tar archive, gzipped or not",
        ),
        (archive(&[]), "the layer of MANIFESTS@DIGEST is rejected: it holds no files"),
        (
            archive(&[("../../etc/cron.d/a", "x")]),
            "the layer of MANIFESTS@DIGEST is rejected: it names a file that leads out of it, or that git cannot have",
        ),
        (large, "MANIFESTS@DIGEST is larger than 20971520 bytes"),
    ] {
        let digest = world.registry.publish_folder(MANIFESTS, "latest", &layer);
        ask(&world, "refresh", json!({})).await;
        let status = told(&world, &digest).await;
        let reason = reason(&world, &status, &digest);
        assert!(reason.starts_with(words), "{reason}, not {words}");
        assert_eq!(value(&world, "a").as_deref(), Some("one"));
    }
    let image = world.registry.publish_created(MANIFESTS, "latest", "2026-11-30T10:00:00Z");
    ask(&world, "refresh", json!({})).await;
    let status = told(&world, "not an artifact with manifests").await;
    let found = "MANIFESTS@DIGEST is an index of several artifacts, not an artifact with manifests";
    assert_eq!(reason(&world, &status, &image), found);

    // Other bytes than those of the digest, once.
    let digest = push(&world, "latest", "two");
    world.registry.fail(Step::BlobGet, Fault::Words(200, "garbage".to_owned()), 1);
    ask(&world, "refresh", json!({})).await;
    let status = told(&world, "does not match its digest").await;
    assert!(reason(&world, &status, &digest).starts_with("the content of MANIFESTS@DIGEST does not match its digest"));
    ask(&world, "refresh", json!({})).await;
    runs(&world, "latest", &digest, "two").await;
}

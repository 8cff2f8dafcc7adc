//! Mirrors of a registry: asked first for what the agent reads, the registry itself where one fails or does not have it, and what is said
//! of one that fails.

use harness::charts::archive;
use harness::registry::{Auth, Fault, Registry, RegistryOptions, Step, User};
use quarterdeck_shared::protocol::{Check, CheckResult};
use quarterdeck_shared::snapshot::ConnectionStatus;

use super::*;

/// Where the image of others is, and the manifests of the shop.
const IMAGE: &str = "vendor/podinfo";
const MANIFESTS: &str = "ops/shop-manifests";

/// The login of the mirror, which is not the registry's.
const LOGIN: (&str, &str) = ("reader", "the-mirror's-own-4711");

/// A mirror that has the images of the world's registry below `hub`, and who may read from it.
async fn mirror() -> Registry {
    let auth = Auth::Token(vec![User::read_only(LOGIN.0, LOGIN.1)]);
    Registry::start(RegistryOptions { auth, ..RegistryOptions::default() }).await.unwrap()
}

/// The head of a configuration whose registry has this mirror.
fn head(world: &World, mirror: &Registry, tags: bool) -> String {
    std::fs::write(world.path("mirror-password"), LOGIN.1).unwrap();
    let at = mirror.address();
    let own = "password_file = \"registry-password\"\n";
    let mirrored = format!("{own}mirrors = [{{ address = \"{at}/hub\", tags = {tags} }}]\n");
    let login =
        format!("\n[[registry]]\nhost = \"{at}\"\nusername = \"{}\"\npassword_file = \"mirror-password\"\n", LOGIN.0);
    world.config_head("a test").replace(own, &mirrored) + &login
}

fn follow(world: &World, mirror: &Registry, tags: bool) {
    let files = world::manifests("shop", &format!("{}:0.0.0", world.image(IMAGE)));
    deploy(world).commit("main", &borrowed(&files), "Manifests");
    let address = world.forge.path("ops/deploy").display().to_string();
    let follow = format!("[[application.follow_image]]\nimage = '{}'\nsemver = '6.x'\n", world.image(IMAGE));
    world.configure(&(head(world, mirror, tags) + &application("shop", &address, &follow))).unwrap();
}

/// Waits until the shop runs this image.
async fn runs(world: &World, tag: &str, digest: &str) {
    let image = format!("{}:{tag}@{digest}", world.image(IMAGE));
    let is_it = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && app.images == [image.clone()];
    world.wait_for(&format!("{image} to run"), "shop", is_it).await.unwrap();
}

/// What the console says of the mirror.
async fn connection(world: &World, what: &str, is_it: impl Fn(&ConnectionStatus) -> bool) -> ConnectionStatus {
    let of = |state: &State| {
        let found = |object: &Object| match object {
            Object::Connection(one) if one.name.contains("a mirror of") && is_it(one) => Some(one.clone()),
            _ => None,
        };
        state.objects.values().find_map(found)
    };
    world.wait(what, of).await.unwrap()
}

/// What a registry was asked by tag. The manifest is fetched by the cluster as well, which has no mirror.
fn asked_by_tag(registry: &Registry) -> [u64; 2] {
    [Step::Tags, Step::ManifestHead].map(|step| registry.count(step))
}

#[tokio::test]
async fn a_mirror_that_may_is_asked_for_tags_and_the_registry_where_it_fails() {
    let (mut world, mirror) = (world().await, mirror().await);
    follow(&world, &mirror, true);
    let digest = world.registry.publish(IMAGE, "6.1.0", "the same");
    assert_eq!(mirror.publish(&format!("hub/{IMAGE}"), "6.1.0", "the same"), digest);
    world.start_agent().await.unwrap();
    runs(&world, "6.1.0", &digest).await;
    assert_eq!(asked_by_tag(&world.registry), [0, 0], "{:?}", world.registry.counts());
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let check = checks.into_iter().find(|check| check.name.starts_with("mirror ")).expect("a line of the mirror");
    assert_eq!((check.result, &*check.message), (CheckResult::Good, "answers; asked first for digests and tags"));

    // Its list is old until somebody pushes there as well; one that fails is not waited for.
    mirror.fail(Step::Tags, Fault::Status(503), u32::MAX);
    let newer = world.registry.publish(IMAGE, "6.2.0", "newer");
    runs(&world, "6.2.0", &newer).await;
    let name = format!("{}/hub, a mirror of {}", mirror.address(), world.registry.address());
    let away = connection(&world, "the mirror to be missed", |one| !one.reachable).await;
    assert_eq!(away.name, name);
    let error = away.error.unwrap_or_default();
    assert!(error.starts_with(&format!("the registry {} is unreachable: 503", mirror.address())), "{error}");
    let meanwhile = format!("{} itself is asked meanwhile; see `mirrors` under [[registry]]", world.registry.address());
    assert_eq!(away.hint, meanwhile);
    assert_eq!(mirror.counts().keys().filter(|step| is_write(**step)).count(), 0, "{:?}", mirror.counts());
}

fn is_write(step: Step) -> bool {
    use Step::{ManifestDelete, ManifestPut, UploadPatch, UploadPut, UploadStart};
    matches!(step, UploadStart | UploadPatch | UploadPut | ManifestPut | ManifestDelete)
}

/// Waits until this is deployed.
async fn deployed(world: &World, digest: &str, wanted: &str) {
    let is_it = |app: &EnvironmentStatus| {
        let is_named = app.revision.as_ref().is_some_and(|revision| revision.artifact.as_deref() == Some(digest));
        is_named && app.sync == SyncStatus::Synced && value(world, "a").as_deref() == Some(wanted)
    };
    world.wait_for(&format!("{digest} to be deployed"), "shop", is_it).await.unwrap();
}

#[tokio::test]
async fn a_mirror_answers_for_digests_alone_where_nothing_else_is_said() {
    let (mut world, mirror) = (world().await, mirror().await);
    let artifact = format!(
        "[application.environment.artifact]\nrepository = \"oci://{}\"\n[application.environment.sync]\n",
        world.image(MANIFESTS)
    );
    let application = application("shop", "-", &artifact).replace("repository = \"-\"\nbranch = \"main\"\n", "");
    world.configure(&(head(&world, &mirror, false) + &application)).unwrap();
    let folder = |value: &str| archive(&[("apps/shop/a.yaml", &config_map("a", value))]);
    let there = format!("hub/{MANIFESTS}");
    let first = world.registry.publish_folder(MANIFESTS, "latest", &folder("one"));
    assert_eq!(mirror.publish_folder(&there, "latest", &folder("one")), first);
    world.start_agent().await.unwrap();
    deployed(&world, &first, "one").await;
    let content = |registry: &Registry| [Step::ManifestGet, Step::BlobGet].map(|step| registry.count(step));
    assert_eq!(content(&world.registry), [0, 0]);
    assert_eq!(content(&mirror), [1, 1]);
    assert_eq!((mirror.count(Step::Tags), mirror.count(Step::ManifestHead)), (0, 0), "it is asked for no tag");

    // What it does not have yet, and what was changed on the way, comes from the registry.
    let second = world.registry.publish_folder(MANIFESTS, "latest", &folder("two"));
    deployed(&world, &second, "two").await;
    assert_eq!(content(&world.registry), [1, 1]);
    mirror.fail(Step::BlobGet, Fault::Words(200, "something else".to_owned()), u32::MAX);
    let third = mirror.publish_folder(&there, "latest", &folder("three"));
    assert_eq!(world.registry.publish_folder(MANIFESTS, "latest", &folder("three")), third);
    deployed(&world, &third, "three").await;
    assert!(mirror.count(Step::BlobGet) >= 2, "{:?}", mirror.counts());
    assert_eq!(content(&world.registry), [2, 2]);
}

#[tokio::test]
async fn a_mirror_that_refuses_the_login_is_named() {
    let (mut world, mirror) = (world().await, mirror().await);
    follow(&world, &mirror, true);
    std::fs::write(world.path("mirror-password"), "another").unwrap();
    let digest = world.registry.publish(IMAGE, "6.1.0", "the same");
    world.start_agent().await.unwrap();
    runs(&world, "6.1.0", &digest).await;
    let refused = connection(&world, "the refusal to be told", |one| !one.reachable).await;
    let error = refused.error.unwrap_or_default();
    let login = format!("the registry {} does not accept the login of {}", mirror.address(), LOGIN.0);
    assert!(error.starts_with(&login), "{error}");
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let check = checks.into_iter().find(|check| check.name.starts_with("mirror ")).expect("a line of the mirror");
    let meanwhile = format!("; {} itself is asked meanwhile", world.registry.address());
    assert!(check.result == CheckResult::Bad && check.message.ends_with(&meanwhile), "{check:?}");
    std::fs::write(world.path("mirror-password"), LOGIN.1).unwrap();
    connection(&world, "it to be accepted", |one| one.reachable).await;
}

//! Webhooks: a push is noticed when the forge or the registry says so, and who does not know the secret moves nothing.

use std::sync::atomic::{AtomicU16, Ordering};

use harness::registry::Step;
use quarterdeck_shared::protocol::{Check, CheckResult};
use quarterdeck_shared::snapshot::RunStatus;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const SECRET: &str = "It's a Secret to Everybody";

/// What GitHub's documentation signs with that secret, and the signature.
const SIGNED: (&str, &str) =
    ("Hello, World!", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");

/// A listener whose port stays free when it is gone: it is none of those that are given to who asks for any.
async fn reserved() -> (TcpListener, u16) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let offset = std::process::id() as u16 % 100 * 100 + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + offset;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            return (listener, port);
        }
    }
}

fn configure(world: &World, port: u16, secret_file: &str) {
    let code = world.forge.http("ops/shop");
    let folder = world.forge.path("ops/shop").display().to_string();
    let application = world.application("shop", "").replacen(&folder, &code, 1);
    let head = world.config_head("a test").replacen("500ms", "1h", 1);
    let webhook = format!("\n[webhook]\nlisten = \"127.0.0.1:{port}\"\nsecret_file = \"{secret_file}\"\n");
    world.configure(&(head + &webhook + &application)).unwrap();
}

/// A shop that is polled once an hour, and listens for webhooks. Its code was polled.
async fn hooked() -> (World, u16) {
    let mut world = shop().await;
    let (_, port) = reserved().await;
    std::fs::write(world.path("webhook-secret"), format!("{SECRET}\n")).unwrap();
    configure(&world, port, "webhook-secret");
    world.start_agent().await.unwrap();
    let polled = |state: &State| repositories(state).iter().filter(|one| one.polled.is_some()).count() == 2;
    world.wait("the first polls", |state| polled(state).then_some(())).await.unwrap();
    (world, port)
}

/// The status of the answer to a hook; none where nobody listens.
async fn post(port: u16, headers: &[(&str, &str)], body: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let request =
        format!("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
    // Who answers before it has read all may close meanwhile.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer.split(' ').nth(1).and_then(|status| status.parse().ok())
}

/// What GitLab sends of a push to this project.
fn push_to(project: &str) -> String {
    let project = format!(r#""project": {{"git_ssh_url": "git@forge.example:{project}.git"}}"#);
    format!(
        r#"{{"object_kind": "tag_push", "ref": "refs/tags/build-1", "before": "0", "after": "1f3c2a9", {project}}}"#
    )
}

async fn built(world: &World, tag: &str) {
    let is_it = |run: &RunStatus| run.reference == tag && run.phase.is_final();
    world.wait_run(&format!("the end of {tag}"), is_it).await.unwrap();
}

async fn runs(world: &World) -> usize {
    world.client().get::<Vec<RunStatus>>("/v1/runs?limit=100").await.unwrap().len()
}

#[tokio::test]
async fn a_hook_polls_its_repository_and_no_other() {
    let (world, port) = hooked().await;
    code(&world).tag("build-1", "main");
    let token = ("X-Gitlab-Token", SECRET);
    for (headers, body, status) in [
        (vec![], push_to("ops/shop"), 401),
        (vec![("X-Gitlab-Token", "guessed")], push_to("ops/shop"), 401),
        (vec![("X-Gitea-Signature", "00"), token], push_to("ops/shop"), 401),
        (vec![token], push_to("ops/workshop"), 200),
        (vec![token], "x".repeat((1 << 20) + 1), 413),
    ] {
        assert_eq!(post(port, &headers, &body).await, Some(status), "{headers:?}");
    }
    assert_eq!(runs(&world).await, 0);
    assert_eq!(post(port, &[token, ("Idempotency-Key", "a")], &push_to("ops/shop")).await, Some(200));
    built(&world, "build-1").await;

    // The same delivery once more says nothing new; one that names nothing may mean any.
    code(&world).tag("build-2", "main");
    assert_eq!(post(port, &[token, ("Idempotency-Key", "a")], &push_to("ops/shop")).await, Some(200));
    assert_eq!(runs(&world).await, 1);
    assert_eq!(post(port, &[("X-Hub-Signature-256", SIGNED.1)], SIGNED.0).await, Some(200));
    built(&world, "build-2").await;
    let log = std::fs::read_to_string(world.path("agent.log")).unwrap();
    assert!(log.contains("a webhook is refused: no signature and no token") && !log.contains("Everybody"), "{log}");
}

#[tokio::test]
async fn the_listener_goes_where_the_configuration_says_and_waits_for_its_place() {
    let (world, first) = hooked().await;
    let (taken, second) = reserved().await;
    configure(&world, second, "webhook-secret");
    world.reload_agent();
    while post(first, &[], "").await.is_some() {
        tokio::task::yield_now().await;
    }
    drop(taken);
    while post(second, &[], "").await != Some(401) {
        tokio::task::yield_now().await;
    }
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let check = checks.iter().find(|check| check.name == format!("webhook 127.0.0.1:{second}")).unwrap();
    assert_eq!((check.result, &*check.message), (CheckResult::Good, "listens"));

    // Another secret in the same place: it is let go of before it is taken again.
    let failures = || world.log().matches("cannot listen for webhooks").count();
    let before = failures();
    std::fs::write(world.path("other-secret"), "other").unwrap();
    configure(&world, second, "other-secret");
    world.reload_agent();
    while post(second, &[("X-Gitlab-Token", "other")], "{}").await != Some(200) {
        tokio::task::yield_now().await;
    }
    assert_eq!(failures(), before);

    std::fs::remove_file(world.path("other-secret")).unwrap();
    assert_eq!(
        post(second, &[("X-Gitlab-Token", SECRET)], "{}").await,
        Some(503),
        "without a secret nobody is believed"
    );
}

/// What Harbor sends of something in this repository.
fn of_harbor(kind: &str, repository: &str) -> String {
    let repository = json!({ "name": "podinfo", "repo_full_name": repository, "repo_type": "private" });
    let resources =
        json!([{ "digest": "sha256:1", "tag": "6.2.0", "resource_url": "harbor.example/vendor/podinfo:6.2.0" }]);
    let data = json!({ "resources": resources, "repository": repository });
    json!({ "type": kind, "occur_at": 1_586_922_308, "operator": "admin", "event_data": data }).to_string()
}

#[tokio::test]
async fn a_hook_of_harbor_has_the_followed_images_of_its_repository_looked_at() {
    let mut world = shop().await;
    let (_, port) = reserved().await;
    std::fs::write(world.path("webhook-secret"), format!("{SECRET}\n")).unwrap();
    configure(&world, port, "webhook-secret");
    let follow =
        format!("\n[[application.follow_image]]\nimage = \"{}\"\nsemver = \"6.x\"\n", world.image("vendor/podinfo"));
    let config = std::fs::read_to_string(world.path("config.toml")).unwrap();
    world.configure(&(config.replacen("image_interval = \"1s\"", "image_interval = \"1h\"", 1) + &follow)).unwrap();
    world.registry.publish("vendor/podinfo", "6.1.0", "a");
    world.start_agent().await.unwrap();
    let newest = async |tag: &str| {
        let is_it = |object: &Object| matches!(object, Object::FollowedImage(one) if one.tag.as_deref() == Some(tag));
        let found = |state: &State| state.objects.values().any(is_it).then_some(());
        world.wait(&format!("{tag} to be the newest"), found).await.unwrap();
    };
    newest("6.1.0").await;

    world.registry.publish("vendor/podinfo", "6.2.0", "b");
    let looks = world.registry.count(Step::Tags);
    let auth = ("Authorization", SECRET);
    for (headers, body, status) in [
        (vec![("Authorization", "guessed")], of_harbor("PUSH_ARTIFACT", "vendor/podinfo"), 401),
        (vec![], of_harbor("PUSH_ARTIFACT", "vendor/podinfo"), 401),
        (vec![auth], of_harbor("PUSH_ARTIFACT", "vendor/other"), 200),
        (vec![auth], of_harbor("PULL_ARTIFACT", "vendor/podinfo"), 200),
        (vec![auth], "x".repeat((1 << 20) + 1), 413),
    ] {
        assert_eq!(post(port, &headers, &body).await, Some(status), "{headers:?}");
    }
    assert_eq!(world.registry.count(Step::Tags), looks, "nobody looked");
    assert_eq!(post(port, &[auth], &of_harbor("PUSH_ARTIFACT", "vendor/podinfo")).await, Some(200));
    newest("6.2.0").await;
    // A hook that it sends again, which has no name, has it looked at again.
    world.registry.publish("vendor/podinfo", "6.3.0", "c");
    assert_eq!(post(port, &[auth], &of_harbor("PUSH_ARTIFACT", "vendor/podinfo")).await, Some(200));
    newest("6.3.0").await;
    assert!(!world.log().contains("Everybody"));
}

#[tokio::test]
async fn a_hook_of_harbor_has_an_artifact_that_is_deployed_looked_at() {
    let mut world = world().await;
    let (_, port) = reserved().await;
    std::fs::write(world.path("webhook-secret"), format!("{SECRET}\n")).unwrap();
    let artifact =
        format!("[application.environment.artifact]\nrepository = \"oci://{}\"\n", world.image("ops/manifests"));
    let shop = application("shop", "-", &artifact).replace("repository = \"-\"\nbranch = \"main\"\n", "");
    let head = world.config_head("a test").replacen("image_interval = \"1s\"", "image_interval = \"1h\"", 1);
    let webhook = format!("[webhook]\nlisten = \"127.0.0.1:{port}\"\nsecret_file = \"webhook-secret\"\n");
    world.configure(&(head + &webhook + &shop)).unwrap();
    let push = |world: &World, value: &str| {
        let folder = harness::charts::archive(&[("apps/shop/a.yaml", &config_map("a", value))]);
        world.registry.publish_folder("ops/manifests", "latest", &folder)
    };
    push(&world, "one");
    world.start_agent().await.unwrap();
    let runs = async |value: &str| {
        while super::value(&world, "a").as_deref() != Some(value) {
            tokio::task::yield_now().await;
        }
    };
    runs("one").await;
    push(&world, "two");
    let looks = world.registry.count(Step::ManifestHead);
    let auth = ("Authorization", SECRET);
    assert_eq!(post(port, &[auth], &of_harbor("PUSH_ARTIFACT", "ops/other")).await, Some(200));
    assert_eq!(post(port, &[auth], &of_harbor("PULL_ARTIFACT", "ops/manifests")).await, Some(200));
    assert_eq!(world.registry.count(Step::ManifestHead), looks, "nobody looked");
    assert_eq!(post(port, &[auth], &of_harbor("PUSH_ARTIFACT", "ops/manifests")).await, Some(200));
    runs("two").await;
}

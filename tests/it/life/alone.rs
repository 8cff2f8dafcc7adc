//! An agent with nothing beside it, as in an image that holds its program alone: no git, no certificate authorities.

use super::*;

/// Nothing that is on this machine.
fn bare(world: &mut World) {
    for variable in ["PATH", "SSL_CERT_DIR", "SSL_CERT_FILE"] {
        world.set(variable, "/proc/quarterdeck".into());
    }
}

#[tokio::test]
async fn what_is_only_deployed_over_http_needs_nothing() {
    let mut world = world().await;
    let first = manifests(&world, &[("c.yaml", &config_map("c", "one"))], "One");
    let address = world.forge.http("ops/deploy");
    world.configure(&(world.config_head("a test") + &application("shop", &address, ""))).unwrap();
    bare(&mut world);
    world.start_agent().await.unwrap();
    synced_to(&world, &first).await;

    // So many packs that they want packing up, which only git does.
    let mirror = std::fs::read_dir(world.path("data/mirrors")).unwrap().next().unwrap().unwrap().path();
    for n in 0..60 {
        std::fs::write(mirror.join(format!("objects/pack/pack-{n}.pack")), "").unwrap();
    }
    let second = manifests(&world, &[("c.yaml", &config_map("c", "two"))], "Two");
    synced_to(&world, &second).await;
    assert!(world.log().contains("the mirror is not packed up"), "{}", world.log());
}

#[tokio::test]
async fn without_authorities_https_says_what_to_install() {
    let mut world = world().await;
    world
        .configure(&(world.config_head("a test") + &application("shop", "https://127.0.0.1:1/ops/deploy", "")))
        .unwrap();
    bare(&mut world);
    world.start_agent().await.unwrap();
    let told = |state: &State| repositories(state).into_iter().find_map(|repository| repository.error.clone());
    let error = world.wait("the error", told).await.unwrap();
    assert!(error.contains("install ca-certificates, or name a `ca_file`"), "{error}");
}

/// Registries on loopback get plain http; the client for it is the same.
#[tokio::test]
async fn without_authorities_a_push_says_what_to_install() {
    let mut world = shop().await;
    for variable in ["SSL_CERT_DIR", "SSL_CERT_FILE"] {
        world.set(variable, "/proc/quarterdeck".into());
    }
    world.start_agent().await.unwrap();
    let missed = |object: &Object| matches!(object, Object::Connection(to) if to.to == ConnectionKind::Registry && !to.reachable);
    world.wait("the registry to be missed", |state| state.objects.values().any(missed).then_some(())).await.unwrap();
    code(&world).tag("push-1.4.0", "main");
    let run = world.wait_run("the run to end", |run| run.phase.is_final()).await.unwrap();
    let hint = "install ca-certificates, or name a `ca_file` under [[registry]]";
    assert_eq!(run.hint, hint, "{} {}", run.phase, run.message);
}

//! Forges and registries with certificates that are not to be trusted, and with those of a company's own authority.

use harness::agent::runs;
use harness::tls::{Authority, Certificate};
use quarterdeck_shared::event::{Event, EventRecord};
use quarterdeck_shared::protocol::{Check, CheckResult};
use quarterdeck_shared::status::{Phase, Stage, StageKind};

use super::*;

/// The forge shows one bad certificate after another: each is told, once, with what to do; what runs goes on running as it
/// was last said, and with a good one again git is followed on.
#[tokio::test]
async fn a_forge_with_a_bad_certificate_is_told_and_the_last_good_state_keeps_running() {
    let mut world = world().await;
    let (ours, theirs) = (Authority::new("Ours").unwrap(), Authority::new("Somebody").unwrap());
    let its_own = Certificate::of_its_own("127.0.0.1").unwrap();
    std::fs::write(world.path("ours.pem"), format!("{}{}", ours.pem(), its_own.pem())).unwrap();
    world.forge.secure(&ours.sign("127.0.0.1").unwrap()).await.unwrap();
    let first = manifests(&world, &[("a.yaml", &config_map("a", "one"))], "One");
    let address = world.forge.https("ops/deploy");
    let access = format!("[[repository]]\nurl = \"{address}\"\nca_file = \"ours.pem\"\n");
    world.configure(&(world.config_head("a test") + &access + &application("shop", &address, ""))).unwrap();
    world.start_agent().await.unwrap();
    synced_to(&world, &first).await;

    let last = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Two");
    for (certificate, why, remedy) in [
        (
            theirs.sign("127.0.0.1"),
            "it is signed by an unknown authority",
            "if it is the right one, name its authority by `ca_file` under [[repository]]",
        ),
        (ours.sign("forge.example"), "it is for forge.example, not for 127.0.0.1", "have one made for 127.0.0.1"),
        (
            ours.sign_ended("127.0.0.1"),
            "it expired at 2020-02-03T00:00:00Z",
            "have it renewed, or see that this machine's clock",
        ),
        (
            Ok(its_own),
            "it is the certificate of an authority (CA:TRUE), shown as that of a server",
            "make one for the server with -addext basicConstraints=critical,CA:FALSE",
        ),
    ] {
        world.forge.secure(&certificate.unwrap()).await.unwrap();
        let told = |state: &State| {
            let repository = repositories(state).into_iter().find(|repository| repository.failures > 1)?;
            let error = repository.error.clone().filter(|error| error.contains(why))?;
            Some((error, repository.hint.clone()))
        };
        let (error, hint) = world.wait(why, told).await.unwrap();
        assert!(error.starts_with(&format!("the certificate of {address} was rejected: ")), "{error}");
        assert!(hint.contains(remedy), "{error}: {hint}");
        assert_eq!(value(&world, "a").as_deref(), Some("one"), "what was good last runs");
    }
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let git = checks.iter().find(|check| check.name.starts_with("git ")).unwrap();
    assert!(git.result == CheckResult::Bad && git.hint.contains("make one for the server"), "{git:?}");

    world.forge.secure(&ours.sign("127.0.0.1").unwrap()).await.unwrap();
    synced_to(&world, &last).await;
    let events: Vec<EventRecord> = world.client().get("/v1/events?limit=1000").await.unwrap();
    let lost = events.iter().filter(|record| matches!(record.event, Event::ConnectionLost { .. })).count();
    assert!(lost <= 4, "each kind once, however often it is tried: {lost}");
}

/// A registry of a company whose authority is named for it alone: what the agent asks goes on as soon as the file is right, and the
/// run says what to do until then.
#[tokio::test]
async fn the_authority_of_a_registry_is_read_from_its_file_each_time() {
    let mut world = shop().await;
    let (ours, theirs) = (Authority::new("Ours").unwrap(), Authority::new("Somebody").unwrap());
    world.registry.set_auth(harness::registry::Auth::None);
    let elsewhere = world.registry.address().replace("127.0.0.1", "0.0.0.0");
    world.registry.secure(&ours.sign("0.0.0.0").unwrap()).await.unwrap();
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    let text = text.replace(world.registry.address(), &elsewhere);
    let named = "password_file = \"registry-password\"\nca_file = \"ca.pem\"\n";
    world.configure(&text.replace("password_file = \"registry-password\"\n", named)).unwrap();
    let image = format!("{elsewhere}/ops/shop:none");
    deploy(&world).commit("main", &borrowed(&world::manifests("shop", &image)), "The other name");
    code(&world).tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    let says = |words: &str| {
        let words = words.to_owned();
        move |state: &State| {
            let run = runs(state).next()?;
            let is_it = |stage: &Stage| stage.phase == Phase::Running && stage.message.contains(&words);
            run.stages.iter().any(is_it).then(|| run.hint.clone())
        }
    };
    let missing = format!("the registry {elsewhere} cannot be asked: ca_file {}", world.path("ca.pem").display());
    let hint = world.wait("the file to be missed", says(&missing)).await.unwrap();
    assert!(hint.contains("correct `ca_file` under [[registry]]"), "{hint}");

    std::fs::write(world.path("ca.pem"), theirs.pem()).unwrap();
    let hint = world.wait("the other authority", says("it is signed by an unknown authority")).await.unwrap();
    assert!(hint.contains("name its authority by `ca_file` under [[registry]]"), "{hint}");
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let registry = checks.iter().find(|check| check.name.starts_with("registry ")).unwrap();
    assert!(registry.result == CheckResult::Bad && registry.hint.contains("`ca_file`"), "{registry:?}");

    // Of several authorities in the file each is trusted.
    std::fs::write(world.path("ca.pem"), theirs.pem() + &ours.pem()).unwrap();
    let run = world.wait_run("the push", |run| run.phase.is_final()).await.unwrap();
    assert_eq!(run.phase, Phase::Succeeded, "{}", run.message);
    synced_to(&world, &deploy(&world).rev("main")).await;
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let registry = checks.iter().find(|check| check.name.starts_with("registry ")).unwrap();
    assert_eq!(registry.result, CheckResult::Good, "{registry:?}");
}

/// A registry and a forge of a company with an authority of its own. Where nobody named it, nothing is built for nothing: the
/// push waits and says what to do. With SSL_CERT_FILE the work goes on where it was: the registry is asked, git is read and
/// written.
#[tokio::test]
async fn an_authority_that_the_environment_names_is_trusted_by_all() {
    let mut world = shop().await;
    let ours = Authority::new("Ours").unwrap();
    let authority = world.path("ours.pem");
    std::fs::write(&authority, ours.pem()).unwrap();
    world.registry.set_auth(harness::registry::Auth::None);
    // Loopback is spoken to in plain http; this address of the same machine is not.
    let elsewhere = world.registry.address().replace("127.0.0.1", "0.0.0.0");
    world.registry.secure(&ours.sign("0.0.0.0").unwrap()).await.unwrap();
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    let text = text.replace(world.registry.address(), &elsewhere);
    world.configure(&text).unwrap();
    let image = format!("{elsewhere}/ops/shop:none");
    deploy(&world).commit("main", &borrowed(&world::manifests("shop", &image)), "The other name");
    code(&world).tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    let waits = |state: &State| {
        let run = runs(state).next()?;
        let stage = run.stages.iter().find(|stage| stage.phase == Phase::Running && !stage.message.is_empty())?;
        stage.message.contains("certificate").then(|| (stage.kind, stage.message.clone(), run.hint.clone()))
    };
    let (stage, message, hint) = world.wait("the certificate to be told", waits).await.unwrap();
    let told =
        format!("the certificate of the registry {elsewhere} was rejected: it is signed by an unknown authority");
    assert!(message.starts_with("trying again in") && message.contains(&told), "{stage}: {message}");
    assert!(hint.contains("SSL_CERT_FILE"), "what to do is said while it waits: {hint}");
    assert!(matches!(stage, StageKind::Build | StageKind::Push));
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let registry = checks.iter().find(|check| check.name.starts_with("registry ")).unwrap();
    assert!(registry.message.contains(&told) && registry.hint.contains("SSL_CERT_FILE"), "{registry:?}");

    // The same authority for the forge, whose listings the agent reads and whose pushes git does.
    world.stop_agent().unwrap();
    world.forge.secure(&ours.sign("127.0.0.1").unwrap()).await.unwrap();
    let path = world.forge.path("ops/deploy").display().to_string();
    world.configure(&text.replace(&path, &world.forge.https("ops/deploy"))).unwrap();
    world.set("SSL_CERT_FILE", authority);
    world.start_agent().await.unwrap();
    let run = world.wait_run("the push", |run| run.phase.is_final() && run.phase != Phase::Interrupted).await.unwrap();
    assert_eq!(run.phase, Phase::Succeeded, "{}", run.message);
    synced_to(&world, &deploy(&world).rev("main")).await;
    let subjects = deploy(&world).subjects("main");
    assert_eq!(subjects, ["shop: 1.4.0", "The other name", "Manifests of the shop"]);
    assert_eq!(world.registry.tags("ops/shop"), ["1.4.0"]);
}

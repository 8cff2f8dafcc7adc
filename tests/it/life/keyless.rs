//! Signatures without a key: what is pushed is signed for an identity, and what no required identity signed is promoted nowhere.

use std::path::PathBuf;

use harness::registry::Beside;
use harness::signing::{Certified, FULCIO, ISSUER, Programs, identity_token, statement, trusted_root};
use quarterdeck_shared::event::{Event, EventRecord};
use quarterdeck_shared::protocol::{Check, CheckResult};
use quarterdeck_shared::snapshot::FollowState;
use quarterdeck_shared::status::{Phase, Stage, StageKind};
use serde_json::json;

use super::signed::{IMAGE, prod};
use super::*;

/// Who signs what is pushed.
const OWN: &str = "ci@example.com";

/// What the services are, for `[application.sign.keyless]`.
const SERVICES: &str = "fulcio_url = 'https://fulcio.example'\ntimestamp_url = 'https://timestamp.example'\n";

/// Options of an environment: this identity of this issuer has to have signed.
fn required(identity: &str, issuer: &str) -> String {
    format!(
        "[application.environment.promote]\nrequire_signature = [{{ identity = '{identity}', issuer = '{issuer}', trusted_root = \
         'root.json' }}]\n"
    )
}

/// Signs for an identity, and attaches this.
fn signs(attached: &str) -> String {
    format!(
        "[application.sign]\n{attached}[application.sign.keyless]\nidentity = '{OWN}'\nissuer = '{ISSUER}'\n\
         identity_token_file = 'token'\ntrusted_root = 'root.json'\n{SERVICES}"
    )
}

fn write(world: &World, file: &str, text: &str) {
    std::fs::write(world.path(file), text).unwrap();
}

/// A shop with these options and the programs as of cosign 3, a token and a trusted root; the agent runs.
async fn signing(more: &str) -> (World, Programs) {
    let mut world = shop().await;
    write(&world, "token", &identity_token(OWN, ISSUER, 3_600));
    write(&world, "root.json", &trusted_root(FULCIO, true));
    let playground = PathBuf::from(env!("CARGO_BIN_EXE_playground"));
    let programs = Programs::install(&world.path(""), &playground, 3).unwrap();
    world.set("PATH", programs.path());
    world.configure(&(world.config_head("a test") + &world.application("shop", more))).unwrap();
    world.start_agent().await.unwrap();
    (world, programs)
}

async fn ended(world: &World, tag: &str) -> RunStatus {
    let is_it = |run: &RunStatus| run.reference == tag && run.phase.is_final();
    world.wait_run(&format!("the end of {tag}"), is_it).await.unwrap()
}

fn stage(run: &RunStatus, kind: StageKind) -> &Stage {
    run.stages.iter().find(|stage| stage.kind == kind).unwrap_or_else(|| panic!("a stage {kind} of {run:#?}"))
}

fn pinned(run: &RunStatus) -> String {
    let image = &run.artifact.as_ref().unwrap().images[0];
    format!("{}@{}", image.name, image.digest.as_ref().unwrap())
}

/// Another version of the shop under this tag, and what became of it.
async fn pushed(world: &World, tag: &str) -> RunStatus {
    let commit = code(world).commit("main", &[("app.txt", tag)], "More");
    code(world).tag(tag, &commit);
    ended(world, tag).await
}

async fn check(world: &World, name: &str) -> Check {
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    checks.iter().find(|check| check.name == name).cloned().unwrap_or_else(|| panic!("{name} of {checks:#?}"))
}

#[tokio::test]
async fn what_is_pushed_is_signed_for_an_identity_and_promoted_where_it_is_required() {
    let (world, programs) =
        signing(&format!("{}{}", required(OWN, ISSUER), signs("sbom = 'spdx'\nprovenance = true\n"))).await;
    code(&world).tag("push-1.4.0", "main");
    let run = ended(&world, "push-1.4.0").await;
    assert_eq!(run.phase, Phase::Succeeded, "{run:#?}");
    let (name, by) = (pinned(&run), format!("{OWN} (issuer {ISSUER})"));
    let signed = format!("{name} signed by {by}, with an SBOM (spdx) and its provenance");
    assert_eq!(stage(&run, StageKind::Sign).message, signed);
    let promoted = &stage(&run, StageKind::Promote).message;
    assert!(promoted.ends_with(&format!("; signed by {by}")), "{promoted}");

    // The token is no argument, and no other identity of the machine is asked for.
    let token = std::fs::read_to_string(world.path("token")).unwrap();
    let calls = programs.calls();
    let is_work = |call: &&harness::signing::Call| {
        let first = call.arguments.first().map(String::as_str);
        matches!(first, Some("sign" | "attest")) && !call.arguments.contains(&"--help".to_owned())
    };
    assert!(!format!("{calls:?}").contains(&token), "{calls:?}");
    let work: Vec<_> = calls.iter().filter(is_work).collect();
    assert_eq!(work.len(), 3, "{work:#?}");
    for call in work {
        assert!(call.arguments.contains(&"--oidc-disable-ambient-providers=true".to_owned()), "{call:?}");
        assert!(call.mode == 0o700 && call.strays.is_empty(), "{call:?}");
    }

    // The same image under another tag: the registry says that it is signed, and no token is needed.
    std::fs::remove_file(world.path("token")).unwrap();
    code(&world).tag("push-1.4.1", "main");
    let again = ended(&world, "push-1.4.1").await;
    assert_eq!((again.phase, stage(&again, StageKind::Sign).phase), (Phase::Succeeded, Phase::Skipped), "{again:#?}");
    let keys = check(&world, "signature keys shop/prod").await;
    assert!(keys.result == CheckResult::Good && keys.message.contains(&format!("root.json for {by}")), "{keys:?}");
}

/// The configuration of the shop with these options, once it is taken up.
async fn reconfigure(world: &World, more: &str) {
    let reloads = async || {
        let events: Vec<EventRecord> = world.client().get("/v1/events?limit=200").await.unwrap();
        events.iter().filter(|record| matches!(record.event, Event::ConfigurationReloaded { .. })).count()
    };
    let before = reloads().await;
    world.configure(&(world.config_head("a test") + &world.application("shop", more))).unwrap();
    world.reload_agent();
    while reloads().await == before {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_another_identity_signed_is_refused_and_whose_it_is_is_told() {
    let (world, _) = signing(&format!("{}{}", required("other@example.com", ISSUER), signs(""))).await;
    let other = "https://another.example";
    let rows = [
        ("other@example.com", ISSUER, format!("found a signature by {OWN}")),
        (OWN, other, format!("found a signature by the same identity of the issuer {ISSUER}")),
    ];
    for (number, (identity, issuer, found)) in rows.iter().enumerate() {
        if number > 0 {
            reconfigure(&world, &format!("{}{}", required(identity, issuer), signs(""))).await;
        }
        let run = pushed(&world, &format!("push-{number}")).await;
        let why = format!("{} is not signed by {identity} (issuer {issuer}): {found}", pinned(&run));
        assert_eq!((run.phase, &*run.message), (Phase::Failed, &*why), "{run:#?}");
        assert_eq!(run.hint, "sign it as one of these, or add who signed it to require_signature");
    }
    assert!(deploy(&world).file("main", "apps/shop/deployment.yaml").contains(":none"), "nothing was written");
}

#[tokio::test]
async fn a_tag_of_others_is_held_until_the_required_identity_signed_it() {
    let mut world = world().await;
    write(&world, "root.json", &trusted_root(FULCIO, true));
    let programs = Programs::install(&world.path(""), &PathBuf::from(env!("CARGO_BIN_EXE_playground")), 3).unwrap();
    world.set("PATH", programs.path());
    let files = world::manifests("shop", &format!("{}:0.0.0", world.image(IMAGE)));
    deploy(&world).commit("main", &borrowed(&files), "Manifests");
    let address = world.forge.path("ops/deploy").display().to_string();
    let follow = format!("[[application.follow_image]]\nimage = '{}'\nsemver = '6.x'\n", world.image(IMAGE));
    let more = format!("{}{follow}", required(OWN, ISSUER));
    world.configure(&(world.config_head("a test") + &application("shop", &address, &more))).unwrap();
    world.start_agent().await.unwrap();

    let sign = "https://sigstore.dev/cosign/sign/v1";
    let rows: [(&str, Option<(Certified, &str)>); 5] = [
        ("no signature was found", None),
        (
            "found a signed statement, and no signature of the image",
            Some((Certified::new(FULCIO, OWN, ISSUER, true), "https://slsa.dev/provenance/v1")),
        ),
        (
            "found a signature without a timestamp that the trusted root can verify",
            Some((Certified::new(FULCIO, OWN, ISSUER, false), sign)),
        ),
        (
            "found a signature whose certificate is not of the trusted root",
            Some((Certified::new("https://elsewhere.example", OWN, ISSUER, true), sign)),
        ),
        (
            "found a signature by someone@example.com",
            Some((Certified::new(FULCIO, "someone@example.com", ISSUER, true), sign)),
        ),
    ];
    let attach = |digest: &str, certified: &Certified, kind: &str| {
        let artifact_type = "application/vnd.dev.sigstore.bundle.v0.3+json";
        let bundle = certified.bundle(&statement(kind, digest, &json!({})));
        world.registry.attach(IMAGE, &Beside::Referring { digest, artifact_type }, &[bundle]);
    };
    for (number, (found, signed)) in rows.iter().enumerate() {
        let tag = format!("6.{}.0", number + 1);
        let digest = world.registry.publish(IMAGE, &tag, &tag);
        if let Some((certified, kind)) = signed {
            attach(&digest, certified, kind);
        }
        let why = format!("{}@{digest} is not signed by {OWN} (issuer {ISSUER}): {found}", world.image(IMAGE));
        let held = prod(&world, &why, |one| one.message == why).await;
        assert_eq!(held.state, FollowState::Held, "{held:?}");
    }
    let digest = world.registry.publish(IMAGE, "6.20.0", "the last");
    attach(&digest, &Certified::new(FULCIO, OWN, ISSUER, true), sign);
    prod(&world, "it to be promoted", |one| one.state == FollowState::Current).await;
    let manifest = deploy(&world).file("main", "apps/shop/deployment.yaml");
    assert!(manifest.contains(&format!(":6.20.0@{digest}")), "{manifest}");
}

#[tokio::test]
async fn what_keeps_an_identity_from_signing_is_told_in_plain_words() {
    let (world, programs) = signing(&signs("")).await;
    let file = |name: &str| world.path(name).display().to_string();
    let cosign = |version: u8| {
        let playground = PathBuf::from(env!("CARGO_BIN_EXE_playground"));
        Programs::install(&world.path(""), &playground, version).unwrap()
    };
    let good = || {
        write(&world, "token", &identity_token(OWN, ISSUER, 3_600));
        write(&world, "root.json", &trusted_root(FULCIO, true));
        cosign(3);
    };
    let renews = "check identity_token_file in [application.sign.keyless]";
    let root = "write one with `cosign trusted-root create`";
    let rows: [(String, &str, &dyn Fn()); 7] = [
        (format!("cannot use the identity token {}: it expired at 2", file("token")), renews, &|| {
            write(&world, "token", &identity_token(OWN, ISSUER, -60));
        }),
        (
            format!("cannot use the identity token {}: it does not hold an identity token", file("token")),
            renews,
            &|| {
                write(&world, "token", "glpat-4711-0815");
            },
        ),
        (format!("cannot use the identity token {}: No such file", file("token")), renews, &|| {
            std::fs::remove_file(world.path("token")).unwrap();
        }),
        (
            "the certificate authority made no certificate for the identity token: ".to_owned(),
            "see that Fulcio knows the issuer https://issuer.example and reaches it",
            &|| write(&world, "token", &identity_token(OWN, "https://unknown.example", 3_600)),
        ),
        (format!("cannot use the trusted root {}: No such file", file("root.json")), root, &|| {
            std::fs::remove_file(world.path("root.json")).unwrap();
        }),
        (
            format!("cannot use the trusted root {}: it has neither a timestamp authority nor", file("root.json")),
            root,
            &|| write(&world, "root.json", &trusted_root(FULCIO, false)),
        ),
        ("signing without a key requires cosign 3".to_owned(), "install cosign 3, or sign with a key", &|| {
            cosign(2);
        }),
    ];
    for (number, (words, hint, breaks)) in rows.iter().enumerate() {
        breaks();
        let run = pushed(&world, &format!("push-{number}")).await;
        assert!(run.phase == Phase::Failed && run.message.starts_with(words.as_str()), "wanted {words}: {run:#?}");
        assert!(run.hint.starts_with(hint), "{run:#?}");
        good();
    }
    assert!(!format!("{:?}", programs.calls()).contains("glpat-4711-0815"));
    let signing = check(&world, "signing shop").await;
    let told = format!(", as {OWN} (issuer {ISSUER}); the token is by {ISSUER} and expires at ");
    assert!(signing.result == CheckResult::Good && signing.message.contains(&told), "{signing:?}");
    write(&world, "token", &identity_token(OWN, ISSUER, -60));
    let signing = check(&world, "signing shop").await;
    assert!(signing.result == CheckResult::Bad && signing.message.contains("it expired at"), "{signing:?}");
}

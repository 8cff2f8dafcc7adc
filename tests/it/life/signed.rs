//! Signatures: what is pushed is signed by the key of the application, and what no required key signed is promoted nowhere.

use std::path::PathBuf;

use harness::registry::{Beside, Fault, Step};
use harness::signing::{Key, Layer, Programs, bundle, payload, simple, statement};
use quarterdeck_shared::application::{EnvironmentName, SbomFormat};
use quarterdeck_shared::event::{Event, EventRecord};
use quarterdeck_shared::protocol::{Check, CheckResult, Package, PackagesAnswer};
use quarterdeck_shared::routes;
use quarterdeck_shared::snapshot::{FollowState, FollowedImage, FollowedIn, RunStatus};
use quarterdeck_shared::status::{Phase, Stage, StageKind};
use serde_json::json;

use super::*;

/// Of the key of the application.
const PASSWORD: &str = "s3cret-of-the-key";

/// Its own login is in `World`; it must not be an argument either.
const LOGIN: &str = "robot-secret-4711";

const REQUIRED: &str = "[application.environment.promote]\nrequire_signature = ['cosign.pub']\n";
const SIGNS: &str = "[application.sign]\nkey = 'cosign.key'\npassword = { file = 'cosign-password' }\n";

/// A shop with these options, the programs as of this version of cosign, and a key pair `cosign`; the agent runs.
async fn signing(version: u8, more: &str) -> (World, Programs, Key) {
    let mut world = shop().await;
    let key = Key::generate();
    write(&world, "cosign.pub", &key.public());
    write(&world, "cosign.key", &key.private(PASSWORD));
    write(&world, "cosign-password", &format!("{PASSWORD}\n"));
    let playground = PathBuf::from(env!("CARGO_BIN_EXE_playground"));
    let programs = Programs::install(&world.path(""), &playground, version).unwrap();
    world.set("PATH", programs.path());
    world.configure(&(world.config_head("a test") + &world.application("shop", more))).unwrap();
    world.start_agent().await.unwrap();
    (world, programs, key)
}

fn write(world: &World, file: &str, text: &str) {
    std::fs::write(world.path(file), text).unwrap();
}

async fn ended(world: &World, tag: &str) -> RunStatus {
    let is_it = |run: &RunStatus| run.reference == tag && run.phase.is_final();
    world.wait_run(&format!("the end of {tag}"), is_it).await.unwrap()
}

fn stage(run: &RunStatus, kind: StageKind) -> &Stage {
    run.stages.iter().find(|stage| stage.kind == kind).unwrap_or_else(|| panic!("a stage {kind} of {run:#?}"))
}

/// The image of a run, by its digest.
fn pinned(run: &RunStatus) -> (String, String) {
    let image = &run.artifact.as_ref().unwrap().images[0];
    (image.name.clone(), image.digest.clone().unwrap())
}

fn manifest(world: &World) -> String {
    deploy(world).file("main", "apps/shop/deployment.yaml")
}

#[tokio::test]
async fn what_is_pushed_is_signed_and_promoted_where_its_key_is_required() {
    for version in [2, 3] {
        let (world, programs, _) =
            signing(version, &format!("{REQUIRED}{SIGNS}sbom = 'spdx'\nprovenance = true\n")).await;
        code(&world).tag("push-1.4.0", "main");
        let run = ended(&world, "push-1.4.0").await;
        assert_eq!(run.phase, Phase::Succeeded, "{run:#?}");
        let kinds: Vec<_> = run.stages.iter().map(|stage| stage.kind).collect();
        use StageKind::{Build, Checkout, Promote, Push, Sign};
        assert_eq!(kinds, [Checkout, Build, Push, Sign, Promote]);
        let (name, digest) = pinned(&run);
        let signed = format!("{name}@{digest} signed by cosign.key, with an SBOM (spdx) and its provenance");
        assert_eq!(stage(&run, Sign).message, signed);
        let promoted = &stage(&run, Promote).message;
        assert!(promoted.ends_with(&format!("names {name}:1.4.0@{digest}; signed by cosign.pub")), "{promoted}");
        assert!(manifest(&world).contains(&digest));

        // Each in the form of its version, and once.
        let (tags, referring) = (world.registry.tags("ops/shop"), world.registry.referrers("ops/shop", &digest));
        let beside: Vec<_> = tags.iter().filter(|tag| tag.starts_with("sha256-")).map(|tag| &tag[71..]).collect();
        let wanted = if version == 2 { (vec![".att", ".sig"], 0) } else { (vec![], 3) };
        assert_eq!((beside, referring.len()), wanted);

        // Nothing secret is an argument, the login is for this user alone, and gone.
        let calls = programs.calls();
        let all = format!("{calls:?}");
        assert!(!all.contains(PASSWORD) && !all.contains(LOGIN) && all.contains("--tlog-upload=false"), "{all}");
        for call in &calls {
            assert!(call.mode == 0o700 && !PathBuf::from(&call.docker_config).exists(), "{call:?}");
            assert!(call.strays.is_empty(), "{call:?}");
        }

        // What was listed is to be seen, and whose it is.
        let listed: Vec<PackagesAnswer> = world.client().get(&routes::PACKAGES.of(&run.id.into())).await.unwrap();
        let [PackagesAnswer { image, format, signer, total: 1, packages, reason }] = &listed[..] else {
            panic!("{listed:?}")
        };
        assert_eq!((image, format, reason.as_str()), (&format!("{name}@{digest}"), &Some(SbomFormat::Spdx), ""));
        assert_eq!(signer.as_deref(), Some("cosign.pub"));
        let Package { name: called, version, kind, license } = &packages[0];
        assert_eq!([called, version, kind, license], ["busybox", "1.36.1", "apk", "GPL-2.0-only"]);

        // The same image under another tag: the registry says that it is signed.
        code(&world).tag("push-1.4.1", "main");
        let again = ended(&world, "push-1.4.1").await;
        assert_eq!((again.phase, stage(&again, Sign).phase), (Phase::Succeeded, Phase::Skipped), "{again:#?}");
        assert_eq!(
            stage(&again, Sign).message,
            format!("{name}@{digest} signed by cosign.key before, with an SBOM (spdx) and its provenance")
        );
        let wrote = |what: &str| programs.calls().iter().filter(|call| is_work(&call.arguments, what)).count();
        assert_eq!((wrote("sign"), wrote("attest"), wrote("scan")), (1, 2, 1));
    }
}

/// Why there is no list of what is in the image of a run; empty where there is one.
async fn unlisted(world: &World, run: &RunStatus) -> String {
    let listed: Vec<PackagesAnswer> = world.client().get(&routes::PACKAGES.of(&run.id.into())).await.unwrap();
    let [PackagesAnswer { format, packages, reason, .. }] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((format.is_none(), packages.is_empty()), (!reason.is_empty(), !reason.is_empty()), "{listed:?}");
    reason.clone()
}

#[tokio::test]
async fn why_there_is_no_list_of_packages_is_told() {
    let (world, _, _) = signing(2, &format!("{SIGNS}sbom = 'spdx'\n")).await;
    code(&world).tag("build-1", "main");
    assert_eq!(unlisted(&world, &ended(&world, "build-1").await).await, "it was not pushed");
    code(&world).tag("push-1", "main");
    let run = ended(&world, "push-1").await;
    assert_eq!(run.phase, Phase::Succeeded, "{run:#?}");

    // Another key is required from now on than the one that signed the list.
    write(&world, "cosign.pub", &Key::generate().public());
    let config = std::fs::read_to_string(world.path("config.toml")).unwrap();
    world.configure(&config.replacen("[application.sign]", &format!("{REQUIRED}[application.sign]"), 1)).unwrap();
    world.reload_agent();
    let by = "no list of packages is signed by cosign.pub: found a signature by an unknown key";
    while unlisted(&world, &run).await != by {
        tokio::task::yield_now().await;
    }
    let tag = format!("{}.att", pinned(&run).1.replace(':', "-"));
    world.registry.withdraw("ops/shop", &tag);
    let none = "no list of packages is attached to it; `sbom` under [application.sign] has one made";
    assert_eq!(unlisted(&world, &run).await, none);
    let registry = world.registry.address().to_owned();
    world.registry.fail(Step::ManifestGet, Fault::Status(503), 9);
    assert!(unlisted(&world, &run).await.starts_with(&format!("the registry {registry} is unreachable")));
}

fn is_work(arguments: &[String], what: &str) -> bool {
    arguments.first().is_some_and(|first| first == what) && !arguments.contains(&"--help".to_owned())
}

#[tokio::test]
async fn what_another_key_signed_is_refused_there_and_nowhere_else() {
    let (world, _, _) = signing(3, "").await;
    let other = Key::generate();
    write(&world, "other.pub", &other.public());
    let qa = format!(
        "[[application.environment]]\nname = 'qa'\nrepository = '{}'\nbranch = 'main'\npath = 'apps/qa'\ncluster = 'demo'\n\
         namespace = 'qa'\ncreate_namespace = true\n",
        world.forge.path("ops/deploy").display()
    );
    deploy(&world).commit(
        "main",
        &borrowed(&world::manifests("qa", &format!("{}:none", world.image("ops/shop")))),
        "QA",
    );
    let required = |keys: &str| format!("[application.environment.promote]\nrequire_signature = [{keys}]\n{qa}{SIGNS}");
    reconfigure(&world, &required("'other.pub'")).await;
    code(&world).tag("push-1.4.0", "main");
    let run = ended(&world, "push-1.4.0").await;
    let (name, digest) = pinned(&run);
    let hint = bundle_hint(&world, &digest);
    let why = format!("{name}@{digest} is not signed by other.pub: found a signature by the unknown key {hint}");
    assert_eq!((run.phase, &*run.message), (Phase::Failed, &*why), "{run:#?}");
    assert_eq!(run.hint, "sign it with one of these keys, or add the public key that signed it to require_signature");
    let qa: EnvironmentName = "qa".parse().unwrap();
    assert_eq!(run.promoted.keys().collect::<Vec<_>>(), [&qa]);
    assert!(manifest(&world).contains(":none"), "nothing was written for prod");

    reconfigure(&world, &required("'other.pub', 'cosign.pub'")).await;
    let retried: Accepted = world.client().post(&format!("/v1/runs/{}/retry", run.id), &json!({})).await.unwrap();
    let again = world.wait_run("the retry", |run| Some(run.id) == retried.run && run.phase.is_final()).await.unwrap();
    assert_eq!(again.phase, Phase::Succeeded, "{again:#?}");
    assert!(manifest(&world).contains(&digest));
}

/// What the one bundle that refers to an image calls its key.
fn bundle_hint(world: &World, digest: &str) -> String {
    let referring = world.registry.referrers("ops/shop", digest);
    let [manifest] = &referring[..] else { panic!("{referring:?}") };
    let manifest: serde_json::Value =
        serde_json::from_slice(&world.registry.manifest("ops/shop", manifest).unwrap()).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    let bundle: serde_json::Value = serde_json::from_slice(&world.registry.blob(layer).unwrap()).unwrap();
    bundle["verificationMaterial"]["publicKey"]["hint"].as_str().unwrap().to_owned()
}

/// Other options, in force when this returns.
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

/// Where a followed image is in the registry.
pub(super) const IMAGE: &str = "vendor/podinfo";

/// What is known of it in production, once that is so.
pub(super) async fn prod(world: &World, what: &str, is_it: impl Fn(&FollowedIn) -> bool) -> FollowedIn {
    let of = |state: &State| {
        let image = |object: &Object| match object {
            Object::FollowedImage(one) => Some(FollowedImage::clone(one)),
            _ => None,
        };
        state.objects.values().find_map(image)?.environments.values().find(|one| is_it(one)).cloned()
    };
    world.wait(what, of).await.unwrap()
}

#[tokio::test]
async fn a_tag_of_others_is_held_until_a_required_key_signed_it() {
    let mut world = world().await;
    let (key, other) = (Key::generate(), Key::generate());
    write(&world, "cosign.pub", &key.public());
    let files = world::manifests("shop", &format!("{}:0.0.0", world.image(IMAGE)));
    deploy(&world).commit("main", &borrowed(&files), "Manifests");
    let address = world.forge.path("ops/deploy").display().to_string();
    let follow = format!("{REQUIRED}[[application.follow_image]]\nimage = '{}'\nsemver = '6.x'\n", world.image(IMAGE));
    world.configure(&(world.config_head("a test") + &application("shop", &address, &follow))).unwrap();
    world.start_agent().await.unwrap();

    let spdx = |digest: &str| statement("https://spdx.dev/Document", digest, &json!({}));
    let signs = |digest: &str| statement("https://sigstore.dev/cosign/sign/v1", digest, &json!({}));
    let none = format!("sha256:{}", "0".repeat(64));
    let good = |digest: &str| {
        let payload = payload(IMAGE, digest);
        simple(payload.clone(), key.sign(&payload))
    };
    type Made<'a> = &'a dyn Fn(&str) -> Vec<Layer>;
    let rows: [(&str, bool, Made<'_>); 9] = [
        ("no signature was found", false, &|_| Vec::new()),
        ("an invalid signature (it is of another image)", false, &|_| vec![good(&none)]),
        ("a signature by an unknown key", false, &|digest| {
            let payload = payload(IMAGE, digest);
            vec![simple(payload.clone(), other.sign(&payload))]
        }),
        ("an invalid signature (its signature is not base64)", false, &|digest| {
            let payload = payload(IMAGE, digest);
            vec![simple(payload.clone(), format!("{}?", key.sign(&payload)))]
        }),
        ("an invalid signature (its payload is not valid JSON)", false, &|digest| {
            let payload = payload(IMAGE, digest);
            vec![simple(payload[..payload.len() / 2].to_vec(), key.sign(&payload))]
        }),
        ("more than 32 signatures, of which 32 are looked at", false, &|digest| {
            let payload = payload(IMAGE, digest);
            let forged = simple(payload.clone(), other.sign(&payload));
            // The good one is the oldest.
            std::iter::once(good(digest)).chain(std::iter::repeat_n(forged, 32)).collect()
        }),
        ("no signature was found", true, &|digest| vec![bundle(&key, &spdx(digest))]),
        ("an invalid signature (it is of another image)", true, &|_| vec![bundle(&key, &signs(&none))]),
        ("a signature by the unknown key", true, &|digest| vec![bundle(&other, &signs(digest))]),
    ];
    for (number, (words, refers, layers)) in rows.iter().enumerate() {
        let tag = format!("6.{}.0", number + 1);
        let digest = world.registry.publish(IMAGE, &tag, &tag);
        attach(&world, &digest, *refers, &layers(&digest));
        let pinned = format!("{}@{digest} is not signed by cosign.pub: ", world.image(IMAGE));
        let is_held = |one: &FollowedIn| one.message.starts_with(&pinned) && one.message.contains(words);
        let one = prod(&world, &format!("{words} of {pinned}"), is_held).await;
        assert_eq!(one.state, FollowState::Held, "{one:?}");
        assert!(one.hint.starts_with("sign it with one of these keys"), "{one:?}");
    }
    assert!(manifest(&world).contains(":0.0.0"), "{}", manifest(&world));

    // Whoever pushed it signs it later: nothing else changes, and it is promoted.
    let digest = world.registry.publish(IMAGE, "6.20.0", "the last");
    prod(&world, "it to be held", |one| one.message.contains(&digest) && one.state == FollowState::Held).await;
    attach(&world, &digest, true, &[bundle(&key, &signs(&digest))]);
    let one = prod(&world, "it to be promoted", |one| one.state == FollowState::Current).await;
    assert!(one.message.ends_with("; signed by cosign.pub") || one.message == "6.20.0", "{one:?}");
    assert!(manifest(&world).contains(&format!(":6.20.0@{digest}")), "{}", manifest(&world));
}

fn attach(world: &World, digest: &str, refers: bool, layers: &[Layer]) {
    if layers.is_empty() {
        return;
    }
    let tag = format!("{}.sig", digest.replace(':', "-"));
    let artifact_type = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let beside = if refers { Beside::Referring { digest, artifact_type } } else { Beside::Tag(&tag) };
    world.registry.attach(IMAGE, &beside, layers);
}

/// Reports of scanners refer to an image as well, one for each day.
#[tokio::test]
async fn a_signature_is_found_among_pages_of_what_else_refers_to_the_image() {
    let mut world = world().await;
    let key = Key::generate();
    write(&world, "cosign.pub", &key.public());
    let files = world::manifests("shop", &format!("{}:0.0.0", world.image(IMAGE)));
    deploy(&world).commit("main", &borrowed(&files), "Manifests");
    let address = world.forge.path("ops/deploy").display().to_string();
    let follow = format!("{REQUIRED}[[application.follow_image]]\nimage = '{}'\nsemver = '6.x'\n", world.image(IMAGE));
    world.configure(&(world.config_head("a test") + &application("shop", &address, &follow))).unwrap();
    world.registry.page_referrers_by(1);
    let digest = world.registry.publish(IMAGE, "6.1.0", "an image");
    let referring = Beside::Referring { digest: &digest, artifact_type: "application/sarif+json" };
    for day in 0..12 {
        let bytes = format!("{{\"day\":{day}}}").into_bytes();
        let report = Layer { media_type: "application/sarif+json".to_owned(), bytes, annotations: [].into() };
        world.registry.attach(IMAGE, &referring, &[report]);
    }
    let signed = statement("https://sigstore.dev/cosign/sign/v1", &digest, &json!({}));
    attach(&world, &digest, true, &[bundle(&key, &signed)]);
    world.start_agent().await.unwrap();
    prod(&world, "it to be promoted", |one| one.state == FollowState::Current).await;
    assert!(manifest(&world).contains(&format!(":6.1.0@{digest}")), "{}", manifest(&world));
    assert!(world.registry.count(Step::Referrers) >= 13, "each page was asked for");
}

#[tokio::test]
async fn a_registry_that_is_away_is_waited_for() {
    let (world, _, _) = signing(2, &format!("{REQUIRED}{SIGNS}")).await;
    for (number, kind) in [(1, StageKind::Sign), (2, StageKind::Promote)] {
        let tag = format!("push-{number}");
        let mended = async {
            let waits = |run: &RunStatus| {
                let is_it = |stage: &Stage| stage.kind == kind && stage.message.starts_with("trying again in");
                run.reference == tag && run.stages.iter().any(is_it)
            };
            world.wait_run(&format!("{kind} to wait"), waits).await.unwrap();
            world.registry.heal();
        };
        let commit = code(&world).commit("main", &[("app.txt", &tag)], "More");
        match kind {
            StageKind::Sign => world.registry.fail(Step::Referrers, Fault::Status(503), u32::MAX),
            _ => {
                // The stage before asks twice: whether it is signed, and whether what was written is there.
                world.registry.fail(Step::Referrers, Fault::Slow(std::time::Duration::ZERO), 2);
                world.registry.fail(Step::Referrers, Fault::Status(503), u32::MAX);
            }
        }
        code(&world).tag(&tag, &commit);
        mended.await;
        let run = ended(&world, &tag).await;
        assert_eq!(run.phase, Phase::Succeeded, "{run:#?}");
        assert!(stage(&run, StageKind::Promote).message.contains("; signed by cosign.pub"), "{run:#?}");
    }
}

#[tokio::test]
async fn what_keeps_an_image_from_being_signed_is_told_in_plain_words() {
    let (world, programs, key) = signing(3, &format!("{SIGNS}sbom = 'cyclonedx'\n")).await;
    let (name, digest) = {
        code(&world).tag("push-0", "main");
        let run = ended(&world, "push-0").await;
        assert_eq!(run.phase, Phase::Succeeded, "{run:#?}");
        pinned(&run)
    };
    let script = programs.script("cosign").unwrap();
    let silent = |what: &str| {
        let skips = format!("[ \"$1\" = {what} ] && [ \"$2\" != --help ] && exit 0");
        script.replace("exec", &format!("{skips}\nexec"))
    };
    let file = |name: &str, text: &str| write(&world, name, text);
    let cosign = |script: &str| programs.replace("cosign", script).unwrap();
    let not_there = "cosign signed IMAGE, but its signature is not in the registry: no signature was found";
    let rows: [(&str, &str, &dyn Fn()); 7] = [
        (
            "the password of cosign.key is wrong",
            "check password in [application.sign]; `cosign public-key --key FILE` tries it",
            &|| file("cosign-password", "another"),
        ),
        (
            "cosign.key is not a private key of cosign",
            "write one with `cosign generate-key-pair`, and name it in [application.sign]",
            &|| file("cosign.key", "not a key"),
        ),
        ("cannot read the private key KEY: No such file or directory (os error 2)", "check key in", &|| {
            std::fs::remove_file(world.path("cosign.key")).unwrap();
        }),
        (not_there, "check whether the registry keeps", &|| cosign(&silent("sign"))),
        ("cosign is not in PATH of the agent", "install cosign 2 or 3", &|| programs.remove("cosign").unwrap()),
        ("syft is not in PATH of the agent", "install syft 1", &|| programs.remove("syft").unwrap()),
        ("the password of cosign.key has no value", "", &|| {
            std::fs::remove_file(world.path("cosign-password")).unwrap();
        }),
    ];
    for (number, (words, hint, breaks)) in rows.iter().enumerate() {
        breaks();
        let tag = format!("push-{}", number + 1);
        let commit = code(&world).commit("main", &[("app.txt", &tag)], "More");
        code(&world).tag(&tag, &commit);
        let run = ended(&world, &tag).await;
        let (_, own) = pinned(&run);
        let words = words.replace("IMAGE", &format!("{name}@{own}"));
        let words = words.replace("KEY", &world.path("cosign.key").display().to_string());
        assert_ne!(own, digest);
        assert!(run.phase == Phase::Failed && run.message.starts_with(&words), "wanted {words}: {run:#?}");
        assert!(run.hint.starts_with(hint), "{run:#?}");
        let log = log_lines(&world, &run).await;
        assert!(!log.iter().any(|line| line.starts_with("trying again")), "{log:#?}");
        write(&world, "cosign.key", &key.private(PASSWORD));
        write(&world, "cosign-password", PASSWORD);
        cosign(&script);
    }

    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let check = |name: &str| checks.iter().find(|check| check.name == name).cloned();
    let signing = check("signing shop").unwrap_or_else(|| panic!("{checks:#?}"));
    assert_eq!(signing.result, CheckResult::Bad);
    assert_eq!(
        told(&signing.message, &signing.hint),
        told("syft is not in PATH of the agent", "install syft 1, or leave out sbom in [application.sign]")
    );
}

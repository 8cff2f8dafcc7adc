//! Whatever is refused, fails or is away: the sentence that a person reads, that what runs and what git says stay as they
//! were, and that it goes on where it is mended. A fault a row, met by a shop that was built, pushed and promoted.

use std::time::Duration;

use harness::cluster::faults::Fault as ClusterFault;
use harness::engine::{Outcome, StreamFault};
use harness::git::Fault as GitFault;
use harness::registry::{Auth, Fault as RegistryFault, Step, User};
use quarterdeck_shared::event::SyncRecord;
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::{Health, Phase, StageKind};
use serde_json::json;

use super::*;

/// What has to stay as it is.
#[derive(Debug, PartialEq)]
struct Kept {
    /// The image of the Deployment, and those of its pods by name: another pod is another name.
    running: Vec<(String, String)>,
    greeting: String,
    /// What the manifests say.
    image: String,
}

fn kept(world: &World) -> Kept {
    let image = |spec: &serde_json::Value| spec["containers"][0]["image"].as_str().unwrap().to_owned();
    let deployment = world.cluster.get("deployments.apps", "shop", "shop").unwrap();
    let mut running = vec![("the deployment".to_owned(), image(&deployment["spec"]["template"]["spec"]))];
    running.extend(
        world
            .cluster
            .pods("shop")
            .iter()
            .map(|pod| (pod["metadata"]["name"].as_str().unwrap().to_owned(), image(&pod["spec"]))),
    );
    running.sort();
    let config = world.cluster.get("configmaps", "shop", "shop").unwrap();
    let manifest = deploy(world).file("main", "apps/shop/deployment.yaml");
    let line = manifest.lines().find(|line| line.contains("image: ")).unwrap();
    Kept { running, greeting: config["data"]["greeting"].as_str().unwrap().to_owned(), image: line.trim().to_owned() }
}

/// A shop that runs well, by the whole way from its code to its pods. `change` makes its configuration another.
async fn running(change: impl Fn(&World, String) -> String) -> World {
    let mut world = shop().await;
    let text = world.config_head("a test") + "timeout_seconds = 3\n" + &world.application("shop", "");
    world.configure(&change(&world, text)).unwrap();
    code(&world).tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    let run = world.wait_run("the push", |run| run.phase.is_final()).await.unwrap();
    assert_eq!(run.phase, Phase::Succeeded, "{}", run.message);
    is_well(&world, &deploy(&world).rev("main")).await;
    world
}

async fn is_well(world: &World, commit: &str) {
    is_well_but(world, commit, "").await;
}

/// The same, and this is told of it.
async fn is_well_but(world: &World, commit: &str, message: &str) {
    let well = |app: &EnvironmentStatus| {
        app.sync == SyncStatus::Synced && is_at(app, commit) && app.health == Health::Healthy && app.message == message
    };
    world.wait_for("the shop to be well", "shop", well).await.unwrap();
}

/// A commit of the manifests: another greeting.
fn greet(world: &World, greeting: &str) -> String {
    let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shop\ndata:\n  greeting: {greeting}\n");
    manifests(world, &[("config.yaml", &text)], "Another greeting")
}

/// What was read where it is not what should be read: told all at once, at the end.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn compare(&mut self, row: &str, read: &str, should: &str) {
        if read != should {
            self.0.push(format!("{row}:\n  read   {read}\n  should {should}"));
        }
    }

    fn end(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}

#[tokio::test]
async fn while_a_cluster_refuses_or_fails() {
    let world = running(|_, text| text).await;
    let at = |fault: ClusterFault| Some(fault.on("patch", "configmaps").named("shop").within("shop"));
    let right = "configmaps \"shop\" is forbidden: User \"qd\" cannot patch resource \"configmaps\" in API group \"\" in the namespace \"shop\"";
    let policy = "configmaps \"shop\" is forbidden: ValidatingAdmissionPolicy 'no-greetings' denied request: be brief";
    let check = "cluster demo: cannot check ConfigMap/shop in namespace shop:";
    let refuse = "cluster demo: shop/prod is not applied: ConfigMap/shop (apps/shop/config.yaml, document 1, line 1):";
    let see = "see that the API server runs, and that its address, and that of a proxy, is right in the kubeconfig and the environment";
    let rows: [(&str, Option<ClusterFault>, String); 8] = [
        ("away", None, format!("{check} Connection refused (os error 111)\nhint: {see}")),
        (
            "no right",
            at(ClusterFault::refused(right)),
            format!(
                "{refuse} {right}\nhint: give the agent's user this permission; agent/rbac.yaml is the role that it needs"
            ),
        ),
        (
            "a policy",
            at(ClusterFault::refused(policy)),
            format!("{refuse} {policy}\nhint: change the manifest so that the policy allows it, or change the policy"),
        ),
        (
            "409",
            at(ClusterFault::status(409)),
            format!(
                "{refuse} the object has been modified; please apply your changes to the latest version and try again\nhint: another \
                 client changed or deleted it at the same moment; retrying"
            ),
        ),
        (
            "429",
            at(ClusterFault::status(429)),
            format!(
                "{check} the server has received too many requests and has asked us to try again later\nhint: the API server is \
                 overloaded; retrying"
            ),
        ),
        (
            "500",
            at(ClusterFault::status(500)),
            format!("{refuse} an error on the server has prevented the request from succeeding"),
        ),
        (
            "503",
            at(ClusterFault::status(503)),
            format!("{check} the server is currently unable to handle the request\nhint: {see}"),
        ),
        // As a webhook that hangs.
        (
            "no answer",
            at(ClusterFault::hang()),
            format!(
                "{check} no answer within 3 s\nhint: the API server, or an admission webhook that it asks, is slow; retrying"
            ),
        ),
    ];
    let mut wrong = Wrong::default();
    for (number, (row, fault, should)) in rows.into_iter().enumerate() {
        let before = kept(&world);
        let old = deploy(&world).rev("main");
        match fault {
            Some(fault) => world.cluster.fault(fault),
            None => world.cluster.away().await,
        }
        let commit = greet(&world, &format!("hello{number}"));
        let refused = |app: &EnvironmentStatus| {
            app.sync != SyncStatus::Synced && app.target.as_ref().is_some_and(|target| target.commit.as_str() == commit)
        };
        let status = world.wait_for(row, "shop", refused).await.unwrap();
        wrong.compare(row, &told(&status.message, &status.hint), &should);
        assert!(is_at(&status, &old), "{row}: {status:?}");
        assert_eq!(kept(&world), before, "{row}");
        match row {
            "away" => world.cluster.back().await,
            _ => world.cluster.mend(),
        }
        is_well(&world, &commit).await;
        assert_eq!(kept(&world), Kept { greeting: format!("hello{number}"), ..before }, "{row}");
    }
    wrong.end();
}

/// Slow is not wrong: nothing is told, nothing is done twice.
#[tokio::test]
async fn a_cluster_that_is_slow_is_waited_for() {
    let world = running(|_, text| text).await;
    world.cluster.fault(ClusterFault::slow(Duration::from_secs(1)).on("patch", "configmaps"));
    let commit = greet(&world, "slowly");
    is_well(&world, &commit).await;
    assert_eq!(kept(&world).greeting, "slowly");
    let all: Vec<SyncRecord> = world.client().get("/v1/environments/shop/history?limit=50").await.unwrap();
    let of_it = all.iter().filter(|sync| sync.revision.commit.as_str() == commit);
    assert_eq!(of_it.map(|sync| sync.phase).collect::<Vec<_>>(), [Phase::Succeeded], "{all:#?}");
}

/// Switches a fault on.
type Fails<'a> = &'a dyn Fn();

/// What a person reads then, of the run of a tag.
type Sentence<'a> = &'a dyn Fn(&str) -> String;

/// A commit of the code with a tag that asks for its image. Gives the tag.
fn release(world: &World, version: &str, dockerfile: Option<&str>) -> String {
    let code = code(world);
    let change = code.change("main").write("app.txt", format!("shop {version}\n"));
    let good = &harness::world::code("shop", version)[0].1;
    let change = match dockerfile {
        None => change.write("Dockerfile", good),
        Some("") => change.remove("Dockerfile"),
        Some(text) => change.write("Dockerfile", text),
    };
    let commit = change.commit(version);
    let tag = format!("push-{version}");
    code.tag(&tag, &commit);
    tag
}

/// The newest run of a tag, when it ended.
async fn ended(world: &World, tag: &str) -> RunStatus {
    let newest = |state: &State| {
        harness::world::runs(state).filter(|run| run.reference == tag).max_by_key(|run| run.id).cloned()
    };
    world.wait(tag, |state| newest(state).filter(|run| run.phase.is_final())).await.unwrap()
}

/// The same tag is asked for again, and all is well.
async fn again(world: &World, tag: &str) {
    ask(world, "push", json!({ "reference": tag })).await;
    succeeds(world, tag).await;
}

async fn succeeds(world: &World, tag: &str) {
    let run = ended(world, tag).await;
    assert_eq!(run.phase, Phase::Succeeded, "{tag}: {}", run.message);
    let version = tag.strip_prefix("push-").unwrap();
    assert_eq!(deploy(world).subjects("main")[0], format!("shop: {version}"), "{tag}");
    is_well(world, &deploy(world).rev("main")).await;
    let now = kept(world);
    assert!(now.running.iter().all(|(_, image)| image.contains(&format!("ops/shop:{version}@sha256:"))), "{now:#?}");
}

#[tokio::test]
async fn while_a_registry_refuses() {
    let world = running(|_, text| text).await;
    let mut wrong = Wrong::default();
    let pushing = |tag: &str| format!("pushing {} failed:", world.image("ops/shop") + ":" + &tag["push-".len()..]);
    let rows: [(&str, Fails<'_>, Sentence<'_>); 5] = [
        ("401", &|| world.registry.set_auth(Auth::Token(vec![User::new("robot", "changed")])), &|tag| {
            format!(
                "{} unauthorized: incorrect username or password\nhint: check the login: `username` and `password_env` of this host under [[registry]], or `docker login`",
                pushing(tag)
            )
        }),
        ("403", &|| world.registry.fail(Step::UploadStart, RegistryFault::Status(403), u32::MAX), &|tag| {
            format!(
                "{} denied: requested access to the resource is denied\nhint: this login may not do that there: give it push rights, or check the image's name",
                pushing(tag)
            )
        }),
        ("404", &|| world.registry.fail(Step::UploadStart, RegistryFault::Status(404), u32::MAX), &|tag| {
            format!(
                "{} name unknown: repository name not known to registry\nhint: the repository or project does not exist: create it in the registry, or check the image's name",
                pushing(tag)
            )
        }),
        ("413", &|| world.registry.fail(Step::UploadPatch, RegistryFault::Status(413), u32::MAX), &|tag| {
            format!(
                "{} size invalid: the manifest or blob is larger than this registry takes\nhint: the registry, or a proxy before it, takes no upload of that size: raise its limit",
                pushing(tag)
            )
        }),
        ("another digest", &|| world.registry.fail(Step::ManifestHead, RegistryFault::OtherDigest, u32::MAX), &|tag| {
            let pushed = world.engine.pushes().last().map(|push| push.outcome.clone());
            let Some(Outcome::Done(pushed)) = pushed else { panic!("{pushed:?}") };
            format!(
                "the engine pushed {pushed} as {}, but the registry answers sha256:{}: another client pushed that tag, or a proxy \
                 changes images\nhint: nothing was recorded; push again",
                world.image("ops/shop") + ":" + &tag["push-".len()..],
                "bad0".repeat(16)
            )
        }),
    ];
    for (number, (row, fault, should)) in rows.into_iter().enumerate() {
        let (before, old) = (kept(&world), deploy(&world).rev("main"));
        fault();
        let tag = release(&world, &format!("1.5.{number}"), None);
        let run = ended(&world, &tag).await;
        assert_eq!(run.phase, Phase::Failed, "{row}: {}", run.message);
        wrong.compare(row, &told(&run.message, &run.hint), &should(&tag));
        assert_eq!((kept(&world), deploy(&world).rev("main")), (before, old), "{row}");
        world.registry.heal();
        world.registry.set_auth(Auth::Token(vec![User::new("robot", "robot-secret-4711")]));
        again(&world, &tag).await;
    }
    wrong.end();
}

/// What passes is waited for: the same run goes on.
#[tokio::test]
async fn while_a_registry_or_an_engine_is_in_trouble() {
    let world = running(|_, text| text).await;
    let mut wrong = Wrong::default();
    let image = |tag: &str| world.image("ops/shop") + ":" + &tag["push-".len()..];
    let fail = |step, fault| world.registry.fail(step, fault, u32::MAX);
    let rows: [(&str, StageKind, Fails<'_>, Sentence<'_>); 4] = [
        ("429", StageKind::Push, &|| fail(Step::ManifestPut, RegistryFault::Status(429)), &|tag| {
            format!("pushing {} failed: toomanyrequests", image(tag))
        }),
        ("500", StageKind::Push, &|| fail(Step::UploadPatch, RegistryFault::Status(500)), &|tag| {
            format!("pushing {} failed: received unexpected HTTP status: 500 Internal Server Error", image(tag))
        }),
        ("an upload that is cut", StageKind::Push, &|| fail(Step::UploadPatch, RegistryFault::CutAfter(1)), &|tag| {
            format!(
                "pushing {} failed: Patch \"http://{}/v2/ops/shop/blobs/uploads/upload-N?state=here\": EOF",
                image(tag),
                world.registry.address()
            )
        }),
        (
            "a build that is cut",
            StageKind::Build,
            // Two tries of it, that one is seen; what was said before the cut comes through, for it is on its way before it.
            &|| (0..2).for_each(|_| world.engine.fail_build(StreamFault::CutAfter(2))),
            &|tag| format!("building {}: the engine's answer was cut off before the end", image(tag)),
        ),
    ];
    for (number, (row, kind, fault, should)) in rows.into_iter().enumerate() {
        let (before, old) = (kept(&world), deploy(&world).rev("main"));
        fault();
        let tag = release(&world, &format!("1.5.{number}"), None);
        let waits = |state: &State| {
            let run = harness::world::runs(state).find(|run| run.reference == tag)?;
            assert!(!run.phase.is_final(), "{row}: {}", run.message);
            let stage = run.stages.iter().find(|stage| stage.kind == kind && stage.phase == Phase::Running)?;
            Some(stage.message.strip_prefix("trying again in ")?.split_once(" s: ")?.1.to_owned())
        };
        let read = unnumbered(&world.wait(row, waits).await.unwrap());
        // A row of the console ends before long words do; the log has them whole.
        let should: String = should(&tag).chars().take(read.chars().count().max(170)).collect();
        wrong.compare(row, &read, &should);
        assert_eq!((kept(&world), deploy(&world).rev("main")), (before, old), "{row}");
        world.registry.heal();
        succeeds(&world, &tag).await;
    }
    wrong.end();
}

/// Uploads are numbered by the registry.
fn unnumbered(words: &str) -> String {
    match words.split_once("/upload-") {
        Some((before, after)) => {
            format!("{before}/upload-N{}", after.trim_start_matches(|letter: char| letter.is_ascii_digit()))
        }
        None => words.to_owned(),
    }
}

/// Until the patience of the configuration is at its end.
#[tokio::test]
async fn a_registry_that_stays_in_trouble_fails_the_run() {
    let world = running(|_, text| text.replace("retry_timeout = \"60s\"", "retry_timeout = \"1s\"")).await;
    let (before, old) = (kept(&world), deploy(&world).rev("main"));
    world.registry.fail(Step::UploadPatch, RegistryFault::Status(500), u32::MAX);
    let tag = release(&world, "1.5.0", None);
    let run = ended(&world, &tag).await;
    let image = world.image("ops/shop") + ":1.5.0";
    let should =
        format!("gave up after 1s: pushing {image} failed: received unexpected HTTP status: 500 Internal Server Error");
    assert_eq!((run.phase, run.message), (Phase::Failed, should));
    assert_eq!(run.hint, "ask for it again when that is back: `qd push` or `qd build` with this tag");
    assert_eq!((kept(&world), deploy(&world).rev("main")), (before, old));
    world.registry.heal();
    again(&world, &tag).await;
}

#[tokio::test]
async fn while_a_build_fails() {
    let world = running(|_, text| text).await;
    let mut wrong = Wrong::default();
    for (number, (row, dockerfile, should)) in [
        ("a command that fails", "FROM busybox:1\nRUN false\n", "building {image} failed: The command '/bin/sh -c false' returned a non-zero code: 1"),
        ("no Dockerfile", "", "the commit has no Dockerfile in the build context\nhint: set `dockerfile` or `context` in [[application.image]]"),
        ("out of the context", "FROM busybox:1\nCOPY ../secret /\n", "building {image} failed: COPY failed: forbidden path outside the build context: ../secret ()"),
        ("nothing there", "FROM busybox:1\nCOPY nope /\n", "building {image} failed: COPY failed: file not found in build context or excluded by .dockerignore: stat nope: file does not exist"),
    ]
    .into_iter()
    .enumerate()
    {
        let (before, old) = (kept(&world), deploy(&world).rev("main"));
        let version = format!("1.5.{number}");
        let tag = release(&world, &version, Some(dockerfile));
        let run = ended(&world, &tag).await;
        assert_eq!(run.phase, Phase::Failed, "{row}: {}", run.message);
        let image = world.image("ops/shop") + ":" + &version;
        wrong.compare(row, &told(&run.message, &run.hint), &should.replace("{image}", &image));
        assert_eq!((kept(&world), deploy(&world).rev("main")), (before, old), "{row}");
        assert_eq!(world.registry.digest("ops/shop", &version), None, "{row}");
        let tag = release(&world, &format!("1.6.{number}"), None);
        succeeds(&world, &tag).await;
    }
    wrong.end();
}

#[tokio::test]
async fn while_a_forge_refuses_or_fails() {
    let by_http = |world: &World, text: String| {
        text.replace(&world.forge.path("ops/deploy").display().to_string(), &world.forge.http("ops/deploy"))
    };
    let world = running(by_http).await;
    let mut wrong = Wrong::default();
    let address = world.forge.http("ops/deploy");
    let status = |status, words: &str| Some(GitFault::Status(status, words.to_owned()));
    for (number, (row, fault, should)) in [
        ("away", None, "{address} cannot be reached: Connection refused (os error 111)"),
        ("403", status(403, "no"), "access to {address} is refused: the server answers 403 Forbidden: no\nhint: check the credentials that the configuration names for it"),
        (
            "404",
            status(404, "no such project"),
            "there is no repository at {address}, or these credentials may not see it: the server answers 404 Not Found: no such project",
        ),
        (
            "429",
            status(429, "Retry later"),
            "{address} cannot be reached: the server answers 429 Too Many Requests: Retry later",
        ),
        ("500", status(500, "oops"), "{address} cannot be reached: the server answers 500 Internal Server Error: oops"),
        ("no git", status(200, "<html>"), "{address} did not answer as a git server: it answers, and not with a list of refs; check that the address is a repository's"),
    ]
    .into_iter()
    .enumerate()
    {
        let (before, old) = (kept(&world), deploy(&world).rev("main"));
        match fault {
            Some(fault) => world.forge.http_fault(fault),
            None => world.forge.http_away().await,
        }
        let commit = greet(&world, &format!("hello{number}"));
        let failed = |state: &State| repository(state, &address).filter(|one| one.error.is_some()).cloned();
        let RepositoryStatus { error, hint, .. } = world.wait(row, failed).await.unwrap();
        let read = error.unwrap();
        wrong.compare(row, &told(&read, &hint), &should.replace("{address}", &address));
        is_well_but(&world, &old, &format!("repository {address} cannot be read: {read}")).await;
        assert_eq!(kept(&world), before, "{row}");
        match row {
            "away" => world.forge.http_back().await.unwrap(),
            _ => world.forge.http_fault(GitFault::None),
        }
        // Who mended it need not wait for the next poll.
        ask(&world, "refresh", json!({})).await;
        is_well(&world, &commit).await;
        assert_eq!(kept(&world), Kept { greeting: format!("hello{number}"), ..before }, "{row}");
    }
    wrong.end();
}

/// A login that was good ends, as tokens do. Some forges ban an address that comes with a dead one again and again.
#[tokio::test]
async fn while_a_login_that_was_good_is_refused() {
    let with_login = |world: &World, text: String| {
        world.forge.require_login("robot", "the-right-one");
        let address = world.forge.http("ops/deploy").replace("http://", "http://robot:the-right-one@");
        text.replace("500ms", "100ms").replace(&world.forge.path("ops/deploy").display().to_string(), &address)
    };
    let world = running(with_login).await;
    let address = world.forge.http("ops/deploy");
    let (before, old) = (kept(&world), deploy(&world).rev("main"));
    let refusals = world.forge.http_count(harness::git::Counted::Unauthorized);
    world.forge.require_login("robot", "another");
    let commit = greet(&world, "again");
    let refused = |state: &State| {
        let of_it = repository(state, &address).filter(|repository| repository.failures > 3)?;
        Some((of_it.error.clone()?, of_it.next_poll?))
    };
    let (error, next) = world.wait("the refusals", refused).await.unwrap();
    let asked = world.forge.http_count(harness::git::Counted::Unauthorized) - refusals;
    is_told_and_left_alone(&address, &error, next, asked);
    is_well_but(&world, &old, &format!("repository {address} cannot be read: {error}")).await;
    assert_eq!(kept(&world), before);
    world.forge.require_login("robot", "the-right-one");
    ask(&world, "refresh", json!({})).await;
    is_well(&world, &commit).await;
    assert_eq!(kept(&world), Kept { greeting: "again".to_owned(), ..before });
    let mended = |state: &State| {
        repository(state, &address).filter(|of_it| of_it.error.is_none() && of_it.failures == 0).map(drop)
    };
    world.wait("the error to be gone", mended).await.unwrap();
}

fn repository<'a>(state: &'a State, address: &str) -> Option<&'a RepositoryStatus> {
    repositories(state).into_iter().find(|repository| repository.address == address)
}

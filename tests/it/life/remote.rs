//! What kustomizations take from elsewhere: folders of repositories, files and charts, each allowed by name, pinned, fetched once and
//! kept; and what a kustomization changes in the objects of a chart.

use harness::charts::{ChartRepository, package};
use harness::git::Counted;
use harness::kustomize;
use quarterdeck_shared::protocol::{Check, CheckResult, GcAnswer, GcKind};
use sha2::{Digest as _, Sha256};

use super::*;

/// A repository that others build upon: a base that names another folder of it.
fn base(world: &World) -> Repo {
    world.forge.repo("ops/base")
}

fn publish(world: &World, value: &str, tag: &str) -> String {
    let (own, common) = (config_map("a", value), config_map("common", value));
    let files = [
        ("base/kustomization.yaml", "resources:\n- a.yaml\n- ../common\n"),
        ("base/a.yaml", own.as_str()),
        ("common/kustomization.yaml", "resources:\n- c.yaml\n"),
        ("common/c.yaml", common.as_str()),
    ];
    let commit = base(world).commit("main", &files, "A base");
    base(world).tag(tag, &commit);
    commit
}

/// A world whose shop is this kustomization; the agent does not run.
async fn kustomized(kustomization: &str, more: &str) -> World {
    let mut world = world().await;
    manifests(&world, &[("kustomization.yaml", kustomization)], "A kustomization");
    configure(&world, more);
    let path = kustomize::install_following(&world.path("")).unwrap();
    world.set("PATH", path);
    world
}

fn configure(world: &World, more: &str) {
    let address = world.forge.path("ops/deploy").display().to_string();
    world.configure(&(world.config_head("a test") + &application("shop", &address, more))).unwrap();
}

fn allows(address: &str) -> String {
    format!("[application.environment.kustomize]\nremote = [\"{address}\"]\n")
}

fn resource(address: &str) -> String {
    format!("resources:\n- {address}\n")
}

/// Waits until this is deployed.
async fn runs(world: &World, name: &str, wanted: &str) -> EnvironmentStatus {
    let is_it = |app: &EnvironmentStatus| {
        let is_whole = app.sync == SyncStatus::Synced && app.progress.is_none();
        is_whole && value(world, name).as_deref() == Some(wanted)
    };
    world.wait_for(&format!("{name} to be {wanted}"), "shop", is_it).await.unwrap()
}

/// Waits until the environment says this, and returns what to do about it.
async fn told(world: &World, words: &str) -> String {
    let is_it = |app: &EnvironmentStatus| app.message.contains(words);
    let status = world.wait_for(&format!("{words:?} to be told"), "shop", is_it).await.unwrap();
    status.message
}

fn starts(world: &World) -> usize {
    kustomize::starts(&world.path(""))
}

async fn remote(world: &World) -> Check {
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    checks.into_iter().find(|check| check.name.starts_with("remote ")).expect("a line of the remote")
}

#[tokio::test]
async fn a_base_of_another_repository_is_fetched_once_and_kept() {
    let mut world = kustomized("resources: []\n", "").await;
    let address = world.forge.http("ops/base");
    publish(&world, "1", "v1");
    configure(&world, &allows(&address));
    manifests(&world, &[("kustomization.yaml", &resource(&format!("{address}//base?ref=v1")))], "A base at a tag");
    world.start_agent().await.unwrap();
    runs(&world, "a", "1").await;
    runs(&world, "common", "1").await;
    assert_eq!(remote(&world).await.result, CheckResult::Good);

    // Nobody asks the forge any more, and no program is started by a restart or a commit elsewhere.
    let (asked, started) = (world.forge.http_count(Counted::All), starts(&world));
    world.kill_agent();
    world.forge.http_away().await;
    let elsewhere = deploy(&world).commit("main", &[("README.md", "other")], "Not ours");
    world.start_agent().await.unwrap();
    synced_to(&world, &elsewhere).await;
    assert_eq!(starts(&world), started);
    let own = config_map("own", "2");
    let text = format!("resources:\n- own.yaml\n- {address}//base?ref=v1\n");
    manifests(&world, &[("kustomization.yaml", &text), ("own.yaml", &own)], "One more beside the base");
    runs(&world, "own", "2").await;
    assert_eq!((starts(&world), world.forge.http_count(Counted::All)), (started + 1, asked));
    assert_eq!(value(&world, "a").as_deref(), Some("1"));

    // A tag that is moved is told, and not followed; the commit that it is at now is another base.
    world.forge.http_back().await.unwrap();
    let moved = publish(&world, "3", "v1");
    let check = remote(&world).await;
    assert_eq!((check.result, check.name), (CheckResult::Bad, format!("remote {address}")));
    let [before, now] = [&base(&world).rev("main~1")[..7], &moved[..7]];
    assert_eq!(
        check.message,
        format!("tag v1 was moved from {before} to {now}: {before} is rendered, as when it was first used")
    );
    let more = config_map("own", "4");
    manifests(&world, &[("own.yaml", &more)], "Another value");
    runs(&world, "own", "4").await;
    assert_eq!(value(&world, "a").as_deref(), Some("1"));
    manifests(&world, &[("kustomization.yaml", &resource(&format!("{address}//base?ref={moved}")))], "The commit");
    runs(&world, "a", "3").await;
}

#[tokio::test]
async fn the_mirror_of_a_base_goes_when_no_environment_may_name_it_and_comes_again() {
    let mut world = kustomized("resources: []\n", "").await;
    let address = world.forge.http("ops/base");
    publish(&world, "1", "v1");
    let gc = "\n[gc]\nautomatic = false\ndays = 0\n";
    let head = world.config_head("a test") + gc;
    let deploy = world.forge.path("ops/deploy").display().to_string();
    let configured = |world: &World, more: &str| world.configure(&(head.clone() + &application("shop", &deploy, more)));
    configured(&world, &allows(&address)).unwrap();
    let takes_it = resource(&format!("{address}//base?ref=v1"));
    manifests(&world, &[("kustomization.yaml", &takes_it)], "A base at a tag");
    world.start_agent().await.unwrap();
    runs(&world, "a", "1").await;
    let of_base = async || {
        let answer: GcAnswer = world.client().get("/v1/gc").await.unwrap();
        let items = answer.items.into_iter().filter(|item| item.kind == GcKind::Mirror && item.name == address);
        items.map(|item| item.kept).collect::<Vec<_>>()
    };
    assert_eq!(of_base().await, [Some("its repository is in the configuration".to_owned())]);

    configured(&world, "").unwrap();
    world.reload_agent();
    while of_base().await != [None] {
        tokio::task::yield_now().await;
    }
    let _: Accepted = world.client().post("/v1/gc/delete", &serde_json::json!({})).await.unwrap();
    while !of_base().await.is_empty() {
        tokio::task::yield_now().await;
    }

    // Another resource, so that nothing kept is used in its place.
    configured(&world, &allows(&address)).unwrap();
    world.reload_agent();
    let (own, text) = (config_map("own", "2"), format!("{takes_it}- own.yaml\n"));
    manifests(&world, &[("kustomization.yaml", &text), ("own.yaml", &own)], "The base again");
    runs(&world, "own", "2").await;
    assert_eq!(of_base().await, [Some("its repository is in the configuration".to_owned())]);
}

#[tokio::test]
async fn what_is_not_allowed_or_not_pinned_is_told_with_what_to_write() {
    let mut world = kustomized("resources: []\n", "").await;
    let address = world.forge.http("ops/base");
    let commit = publish(&world, "1", "v1");
    let rest = |reference: &str| format!("{address}//base{reference}");
    manifests(&world, &[("kustomization.yaml", &resource(&rest("?ref=v1")))], "Not allowed");
    world.start_agent().await.unwrap();
    let message = told(&world, "the configuration does not allow").await;
    assert!(message.contains(&address), "{message}");
    configure(&world, &allows(&address));
    world.reload_agent();
    runs(&world, "a", "1").await;
    for (reference, words) in [
        ("", "without a ref, so it may change".to_owned()),
        ("?ref=main", format!("main is a branch of {address}")),
        ("?ref=v9", "has no tag v9".to_owned()),
    ] {
        manifests(&world, &[("kustomization.yaml", &resource(&rest(reference)))], "Not pinned");
        told(&world, &words).await;
    }
    // A word of kustomize about a file of the base names the base.
    let broken = [("base/kustomization.yaml", "resources:\n- broken.yaml\n"), ("base/broken.yaml", "a: [")];
    let commit_of_it = base(&world).commit("main", &broken, "Broken");
    assert_ne!(commit, commit_of_it);
    manifests(&world, &[("kustomization.yaml", &resource(&rest(&format!("?ref={commit_of_it}"))))], "A broken base");
    let message = told(&world, "it is broken").await;
    assert!(message.contains(&format!("{address}@{commit_of_it}/base/broken.yaml")), "{message}");
}

#[tokio::test]
async fn a_file_of_a_web_server_is_what_its_digest_says() {
    let web = ChartRepository::start().await.unwrap();
    let content = config_map("a", "1");
    let digest: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    let url = web.put("install.yaml", &content);
    let mut world = kustomized(&resource(&url), "").await;
    let file = |digest: &str| {
        format!("[[application.environment.kustomize.remote_file]]\nurl = \"{url}\"\nsha256 = \"{digest}\"\n")
    };
    world.start_agent().await.unwrap();
    told(&world, "the configuration does not allow it").await;
    assert_eq!(web.asked("install.yaml"), 0);
    configure(&world, &file(&"0".repeat(64)));
    world.reload_agent();
    let message = told(&world, "is expected").await;
    assert!(message.contains(&format!("has the SHA-256 {digest}")), "{message}");
    configure(&world, &file(&digest));
    world.reload_agent();
    runs(&world, "a", "1").await;

    // It is kept: neither another content there nor a server that is away is seen.
    let asked = web.asked("install.yaml");
    web.put("install.yaml", "another");
    world.kill_agent();
    web.away().await;
    world.start_agent().await.unwrap();
    let own = config_map("own", "2");
    let text = format!("resources:\n- own.yaml\n- {url}\n");
    manifests(&world, &[("kustomization.yaml", &text), ("own.yaml", &own)], "One more beside it");
    runs(&world, "own", "2").await;
    assert_eq!((value(&world, "a").as_deref(), web.asked("install.yaml")), (Some("1"), asked));
}

#[tokio::test]
async fn charts_of_a_kustomization_are_fetched_by_the_agent_or_lie_beside_it() {
    let charts = ChartRepository::start().await.unwrap();
    let address = charts.address();
    let template = config_map("a", "1");
    charts.publish("web", "1.0.0", package("web", "1.0.0", &[("templates/a.yaml", &template), ("values.yaml", "")]));
    let chart = |version: &str| {
        format!("helmCharts:\n- name: web\n  releaseName: shop\n  repo: {address}\n  version: {version}\n")
    };
    let mut world = kustomized(&chart("1.0.0"), "").await;
    world.start_agent().await.unwrap();
    let message = told(&world, "names chart web").await;
    assert!(message.contains(&address), "{message}");
    configure(&world, &allows(&address));
    world.reload_agent();
    runs(&world, "a", "1").await;
    manifests(&world, &[("kustomization.yaml", &chart("1.x"))], "A range");
    told(&world, "which is not a single version").await;

    let (asked, started) = (charts.asked(".tgz"), starts(&world));
    world.kill_agent();
    charts.away().await;
    let own = config_map("own", "2");
    let text = format!("resources:\n- own.yaml\n{}", chart("1.0.0"));
    manifests(&world, &[("kustomization.yaml", &text), ("own.yaml", &own)], "One more beside it");
    world.start_agent().await.unwrap();
    runs(&world, "own", "2").await;
    assert_eq!((starts(&world), charts.asked(".tgz")), (started + 1, asked));

    // One of the repository needs nobody's leave.
    configure(&world, "");
    world.reload_agent();
    let template = config_map("a", "3");
    let files = [
        ("kustomization.yaml", "helmCharts:\n- name: vendored\n  releaseName: shop\n"),
        ("charts/vendored/Chart.yaml", "apiVersion: v2\nname: vendored\nversion: 1.0.0\n"),
        ("charts/vendored/values.yaml", ""),
        ("charts/vendored/templates/a.yaml", template.as_str()),
    ];
    manifests(&world, &files, "A chart beside it");
    runs(&world, "a", "3").await;
}

#[tokio::test]
async fn a_kustomization_of_the_repository_changes_the_objects_of_a_chart() {
    let template = config_map("a", "1");
    let mut world =
        kustomized("", "render = \"helm\"\n[application.environment.helm.post_render]\npath = \"after\"\n").await;
    let own = config_map("own", "2");
    let files = [
        ("apps/shop/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n"),
        ("apps/shop/templates/a.yaml", template.as_str()),
        ("after/kustomization.yaml", "resources:\n- own.yaml\n"),
        ("after/own.yaml", own.as_str()),
    ];
    deploy(&world).commit("main", &files, "A chart, and what is changed in it");
    world.start_agent().await.unwrap();
    runs(&world, "a", "1").await;
    runs(&world, "own", "2").await;
    let started = starts(&world);
    let more = config_map("own", "3");
    deploy(&world).commit("main", &[("after/own.yaml", more.as_str())], "Another value");
    runs(&world, "own", "3").await;
    assert_eq!((starts(&world), value(&world, "a").as_deref()), (started + 1, Some("1")));
    deploy(&world).commit("main", &[("after/kustomization.yaml", "resources:\n- gone.yaml\n")], "What is not there");
    told(&world, "its post_render failed: after/kustomization.yaml names \"gone.yaml\" in resources").await;
}

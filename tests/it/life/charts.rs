//! Charts of a registry and of a chart repository: which version is deployed, what becomes of it while its source is unreachable,
//! and what is refused.

use harness::charts::{ChartRepository, Fault, archive, package};
use harness::registry::Step;
use quarterdeck_shared::protocol::{Check, CheckResult, DiffAnswer, GcAnswer, GcKind, ManifestsAnswer};
use quarterdeck_shared::queries::AtRevision;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::routes;
use quarterdeck_shared::snapshot::Cover;
use serde_json::json;

use super::*;

/// A version of podinfo, which says which one it is.
fn podinfo(version: &str) -> Vec<u8> {
    let template = config_map("a", version);
    package("podinfo", version, &[("templates/a.yaml", &template), ("values.yaml", "replicas: 1\n")])
}

/// A world whose shop is a chart of elsewhere, with values of its own; the agent does not run.
async fn charted(repository: &str, version: &str, more: &str) -> World {
    let mut world = world().await;
    deploy(&world).commit("main", &[("envs/prod.yaml", "replicas: 2\n")], "Values");
    configure(&world, repository, version, more);
    let path = harness::helm::install(&world.path("")).unwrap();
    world.set("PATH", path);
    world
}

fn configure(world: &World, repository: &str, version: &str, more: &str) {
    let address = world.forge.path("ops/deploy").display().to_string();
    let chart = format!(
        "[application.environment.helm]\nvalues_files = [\"envs/prod.yaml\"]\n[application.environment.helm.chart]\n\
         repository = \"{repository}\"\nname = \"podinfo\"\nversion = \"{version}\"\n{more}"
    );
    let application = application("shop", &address, &chart).replace("path = \"apps/shop\"\n", "");
    world.configure(&(world.config_head("a test") + &application)).unwrap();
}

fn chart(revision: Option<&Revision>) -> String {
    revision.and_then(|revision| revision.chart.as_ref()).map(|chart| chart.short()).unwrap_or_default()
}

/// Waits until this version is deployed, and says so.
async fn runs(world: &World, version: &str) -> EnvironmentStatus {
    let named = format!("podinfo {version}");
    let is_it = |app: &EnvironmentStatus| {
        let is_whole = app.sync == SyncStatus::Synced && app.progress.is_none();
        is_whole && chart(app.revision.as_ref()) == named && value(world, "a").as_deref() == Some(version)
    };
    world.wait_for(&format!("{named} to run"), "shop", is_it).await.unwrap()
}

/// Waits until the versions were looked up this often more: what was looked up before the last of them is in force.
async fn looked(repository: &ChartRepository, times: usize) {
    let asked = repository.asked("index.yaml");
    while repository.asked("index.yaml") < asked + times {
        tokio::task::yield_now().await;
    }
}

/// Waits until the environment says why it has no chart, and what to do.
async fn refused(world: &World, words: &str) -> EnvironmentStatus {
    let is_it = |app: &EnvironmentStatus| app.message.starts_with("cannot fetch chart") && app.message.contains(words);
    world.wait_for(&format!("{words:?} to be told"), "shop", is_it).await.unwrap()
}

/// Waits until the environment says why no newer chart is known.
async fn told(world: &World, words: &str) -> EnvironmentStatus {
    let is_it = |app: &EnvironmentStatus| app.message.contains(words);
    world.wait_for(&format!("{words:?} to be told"), "shop", is_it).await.unwrap()
}

async fn doctor(world: &World) -> Check {
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    checks.into_iter().find(|check| check.name.starts_with("charts ")).expect("a line of the chart repository")
}

#[tokio::test]
async fn a_version_of_a_registry_is_fetched_once_and_rendered_with_values_of_git() {
    let mut world = charted("", "6.7.1", "").await;
    let charts = format!("oci://{}", world.image("charts"));
    configure(&world, &charts, "6.7.1", "");
    let digest = world.registry.publish_chart("charts/podinfo", "6.7.1", &podinfo("6.7.1"));
    world.registry.publish_chart("charts/podinfo", "6.8.0", &podinfo("6.8.0"));
    world.start_agent().await.unwrap();
    let status = runs(&world, "6.7.1").await;
    assert_eq!(status.revision.as_ref().unwrap().chart.as_ref().unwrap().digest, digest);
    assert_eq!(chart(status.last_sync.as_ref().map(|sync| &sync.revision)), "podinfo 6.7.1", "the history says it");
    assert_eq!(status.spec.chart, format!("podinfo 6.7.1 of {charts}"));
    let manifests: ManifestsAnswer = world.client().get("/v1/environments/shop/manifests").await.unwrap();
    assert!(manifests.yaml.contains("6.7.1") && chart(manifests.revision.as_ref()) == "podinfo 6.7.1", "{manifests:?}");

    // A commit that changes no values starts no program, one that does starts one.
    let renders = harness::helm::renders(&world.path(""));
    let elsewhere = deploy(&world).commit("main", &[("README.md", "other")], "Not ours");
    synced_to(&world, &elsewhere).await;
    assert_eq!(harness::helm::renders(&world.path("")), renders);
    let ours = deploy(&world).commit("main", &[("envs/prod.yaml", "replicas: 3\n")], "More");
    synced_to(&world, &ours).await;
    assert!(harness::helm::renders(&world.path("")) > renders);

    // The registry is not asked again, neither by a person nor after a restart.
    let fetched = |world: &World| [Step::ManifestGet, Step::BlobGet].map(|step| world.registry.count(step));
    assert_eq!(fetched(&world), [1, 1]);
    ask(&world, "refresh", json!({})).await;
    world.kill_agent();
    world.registry.away().await;
    world.start_agent().await.unwrap();
    let again = deploy(&world).commit("main", &[("envs/prod.yaml", "replicas: 4\n")], "Still more");
    let status = synced_to(&world, &again).await;
    assert_eq!((chart(status.revision.as_ref()).as_str(), status.unseen.len()), ("podinfo 6.7.1", 0));
    world.registry.back().await.unwrap();
    assert_eq!(fetched(&world), [1, 1]);
}

#[tokio::test]
async fn a_range_takes_up_a_new_version_and_a_rollback_goes_back_to_the_one_before() {
    let repository = ChartRepository::start().await.unwrap();
    for version in ["5.9.0", "6.7.1", "6.9.0-rc.1", "7.0.0"] {
        repository.publish("podinfo", version, podinfo(version));
    }
    let mut world = charted(&repository.address(), "6.x", "").await;
    world.start_agent().await.unwrap();
    let first = runs(&world, "6.7.1").await.revision.unwrap();
    let check = doctor(&world).await;
    let name = format!("charts {}", repository.address());
    assert_eq!((check.name, check.result), (name, CheckResult::Good), "{}", check.message);
    assert_eq!(check.message, "answers, and has 4 versions of podinfo");

    repository.publish("podinfo", "6.8.0", podinfo("6.8.0"));
    let status = runs(&world, "6.8.0").await;
    let second = status.revision.unwrap();
    assert_eq!(second.commit, first.commit, "no commit was needed");
    let gc: GcAnswer = world.client().get("/v1/gc").await.unwrap();
    let mut charts: Vec<_> = gc.items.into_iter().filter(|item| item.kind == GcKind::Chart).collect();
    charts.sort_by(|a, b| a.name.cmp(&b.name));
    let kept: Vec<_> =
        charts.iter().map(|item| (item.name.as_str(), item.kept.as_deref().unwrap_or_default())).collect();
    assert_eq!(kept, [("podinfo 6.7.1", "it was used lately"), ("podinfo 6.8.0", "an environment deploys it")]);

    // What another version would change is seen before.
    let at = AtRevision { revision: Some(first.content()) };
    let before: DiffAnswer = world.client().get(&routes::DIFF.of_with(&status.environment.into(), &at)).await.unwrap();
    assert_eq!((chart(Some(&before.plan.revision)).as_str(), before.objects.len()), ("podinfo 6.7.1", 1));

    let back = ask(&world, "rollback", json!({ "reason": "bad release" })).await.revision.unwrap();
    assert_eq!((chart(Some(&back)).as_str(), back.commit == first.commit), ("podinfo 6.7.1", true));
    let status = runs(&world, "6.7.1").await;
    assert!(status.held().contains(&format!("pinned to {} podinfo 6.7.1", first.commit.short())), "{}", status.held());
    // It is held, whatever comes.
    repository.publish("podinfo", "6.10.0", podinfo("6.10.0"));
    looked(&repository, 3).await;
    runs(&world, "6.7.1").await;
    ask(&world, "unpin", json!({})).await;
    runs(&world, "6.10.0").await;
    assert_eq!(repository.asked("podinfo-6.7.1.tgz"), 1, "each archive is fetched once");
}

#[tokio::test]
async fn while_the_source_is_unreachable_the_last_version_is_deployed_and_that_is_shown() {
    let repository = ChartRepository::start().await.unwrap();
    repository.publish("podinfo", "6.7.1", podinfo("6.7.1"));
    let mut world = charted(&repository.address(), "6.x", "").await;
    world.start_agent().await.unwrap();
    runs(&world, "6.7.1").await;
    world.kill_agent();
    repository.away().await;
    world.cluster.delete("configmaps", "shop", "a").unwrap();
    world.start_agent().await.unwrap();
    let shown = format!("chart podinfo of {} cannot be read: {0} is unreachable: ", repository.address());
    let status = told(&world, &shown).await;
    assert!(status.unseen.iter().any(|unseen| unseen.of == Cover::Chart), "{:?}", status.unseen);
    runs(&world, "6.7.1").await;
    let check = doctor(&world).await;
    assert!(check.result == CheckResult::Bad && check.message.contains("is unreachable"), "{}", check.message);

    // A commit to the values is synced meanwhile; what comes when it is back is taken up.
    let commit = deploy(&world).commit("main", &[("envs/prod.yaml", "replicas: 3\n")], "More");
    synced_to(&world, &commit).await;
    repository.publish("podinfo", "6.8.0", podinfo("6.8.0"));
    repository.back().await.unwrap();
    ask(&world, "refresh", json!({})).await;
    let status = runs(&world, "6.8.0").await;
    let is_seen = |app: &EnvironmentStatus| app.unseen.is_empty() && app.message.is_empty();
    assert!(status.unseen.is_empty() || world.wait_for("it to be seen", "shop", is_seen).await.is_ok());
}

#[tokio::test]
async fn what_is_no_chart_or_another_one_is_refused_and_the_last_good_one_runs() {
    let repository = ChartRepository::start().await.unwrap();
    let mut world = charted(&repository.address(), "6.7.1", "").await;
    world.start_agent().await.unwrap();
    let none = format!("cannot fetch chart podinfo 6.7.1 of {0}: {0} has no chart podinfo", repository.address());
    let status = refused(&world, &none).await;
    assert_eq!(status.message, none);
    assert_eq!(status.hint, "check `name` and `repository` under [application.environment.helm.chart]");

    let refresh = async |words: &str| {
        ask(&world, "refresh", json!({})).await;
        refused(&world, words).await
    };
    repository.publish("podinfo", "6.6.0", podinfo("6.6.0"));
    let status = refresh("has no version 6.7.1: the newest is 6.6.0").await;
    assert_eq!(status.hint, "write a version that exists, as version = \"6.6.0\"");
    repository.publish("podinfo", "6.7.1", podinfo("6.7.1"));
    repository.fail(Some(Fault::OtherBytes));
    let status = refresh("the archive of podinfo 6.7.1 has the digest ").await;
    assert!(status.hint.starts_with("nothing was deployed of it"), "{}", status.hint);
    repository.fail(Some(Fault::Status(503)));
    refresh("is unreachable: it answers 503 Service Unavailable").await;
    repository.fail(None);
    let about = "apiVersion: v2\nname: podinfo\nversion: 6.7.1\n";
    repository.publish("podinfo", "6.7.1", archive(&[("podinfo/Chart.yaml", about), ("podinfo/../../out.txt", "out")]));
    refresh("rejected: it names a file outside of the folder of the chart: \"podinfo/../../out.txt\"").await;
    repository.publish("podinfo", "6.7.1", b"<html>".to_vec());
    refresh("rejected: it is not a whole gzipped tar archive").await;
    repository.publish("podinfo", "6.7.1", podinfo("6.7.0"));
    refresh("the archive of podinfo 6.7.1 holds the chart podinfo 6.7.0").await;
    assert_eq!(value(&world, "a"), None, "nothing was deployed of all that");
    repository.publish("podinfo", "6.7.1", podinfo("6.7.1"));
    ask(&world, "refresh", json!({})).await;
    runs(&world, "6.7.1").await;

    // Of a range that runs a bad newer version is told, and changes nothing.
    configure(&world, &repository.address(), "6.x", "");
    world.reload_agent();
    looked(&repository, 2).await;
    let status = runs(&world, "6.7.1").await;
    repository.publish("podinfo", "6.8.0", b"<html>".to_vec());
    let shown = told(&world, "the archive of podinfo 6.8.0 is rejected").await;
    assert_eq!((shown.sync, shown.revision), (SyncStatus::Synced, status.revision));
}

#[tokio::test]
async fn a_login_is_shown_to_the_repository_alone() {
    let (repository, elsewhere) = (ChartRepository::start().await.unwrap(), ChartRepository::start().await.unwrap());
    repository.require("robot", "charts-secret-4711");
    repository.publish_at("podinfo", "6.7.1", podinfo("6.7.1"), &elsewhere.address());
    repository.publish("podinfo", "6.8.0", podinfo("6.8.0"));
    for version in ["6.7.1", "6.8.0"] {
        elsewhere.publish("podinfo", version, podinfo(version));
    }
    let mut world = charted(&repository.address(), "6.7.1", "").await;
    world.start_agent().await.unwrap();
    let status = refused(&world, "requires a login: it answers 401").await;
    assert_eq!(status.hint, "set `username` and `password_file` under [application.environment.helm.chart]");

    std::fs::write(world.path("charts-password"), "wrong\n").unwrap();
    let login = "username = \"robot\"\npassword_file = \"charts-password\"\n";
    configure(&world, &repository.address(), "6.7.1", login);
    world.reload_agent();
    refused(&world, "does not accept the login of robot, or does not let it read: it answers 401").await;
    std::fs::write(world.path("charts-password"), "charts-secret-4711\n").unwrap();
    ask(&world, "refresh", json!({})).await;
    runs(&world, "6.7.1").await;

    // Neither an address of the index nor a redirect leads it elsewhere.
    repository.fail(Some(Fault::Redirect(elsewhere.address())));
    configure(&world, &repository.address(), "6.8.0", login);
    world.reload_agent();
    runs(&world, "6.8.0").await;
    assert_eq!((elsewhere.asked(".tgz"), elsewhere.logins()), (2, 0));
    assert!(repository.logins() > 0);
    let log = world.log();
    assert!(!log.contains("charts-secret-4711"), "{log}");
}

#[tokio::test]
async fn a_registry_that_has_something_else_under_the_tag_is_told() {
    let mut world = charted("", "6.7.1", "").await;
    configure(&world, &format!("oci://{}", world.image("charts")), "6.7.1", "");
    world.registry.publish("charts/podinfo", "6.7.1", "an image");
    world.start_agent().await.unwrap();
    refused(&world, "charts/podinfo:6.7.1 is something without a configuration, not a chart").await;
    let refresh = async |words: &str| {
        ask(&world, "refresh", json!({})).await;
        refused(&world, words).await
    };
    world.registry.withdraw("charts/podinfo", "6.7.1");
    world.registry.publish_chart("charts/podinfo", "6.6.0", &podinfo("6.6.0"));
    refresh("has no version 6.7.1: the newest is 6.6.0").await;
    world.registry.publish_chart("charts/podinfo", "6.7.1", &podinfo("6.7.1"));
    world.registry.fail(Step::BlobGet, harness::registry::Fault::OtherDigest, 1);
    refresh("does not match its digest").await;
    world.registry.fail(Step::ManifestGet, harness::registry::Fault::Status(403), 2);
    refresh("may not read").await;
    world.registry.heal();
    ask(&world, "refresh", json!({})).await;
    runs(&world, "6.7.1").await;
}

//! What a chart of git depends on: fetched by its lock file from repositories that the configuration names, once, and kept.

use std::path::{Path, PathBuf};

use harness::charts::{ChartRepository, Fault, package};
use harness::helm;
use harness::registry::Step;
use quarterdeck_shared::protocol::{Check, CheckResult, DiffAnswer, ManifestsAnswer};
use quarterdeck_shared::queries::AtRevision;
use quarterdeck_shared::routes;
use quarterdeck_shared::snapshot::RenderedFrom;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::*;

/// A chart that makes one object of its name, which says which version it is.
fn packed(name: &str, version: &str) -> Vec<u8> {
    package(name, version, &[("templates/a.yaml", &config_map(name, version)), ("values.yaml", "")])
}

/// What a chart depends on: a name, a range, the version that is locked, and a repository.
type On<'a> = (&'a str, &'a str, &'a str, &'a str);

fn one(name: &str, version: &str, repository: &str) -> String {
    format!("{{\"name\":\"{name}\",\"version\":\"{version}\",\"repository\":\"{repository}\"}}")
}

fn list(all: &[On<'_>], version: impl Fn(&On<'_>) -> String) -> String {
    let all: Vec<String> = all.iter().map(|on| one(on.0, &version(on), on.3)).collect();
    format!("[{}]", all.join(","))
}

/// The lock file that helm writes for these.
fn lock(all: &[On<'_>]) -> String {
    let (asked, locked) = (list(all, |on| on.1.to_owned()), list(all, |on| on.2.to_owned()));
    let digest: String =
        Sha256::digest(format!("[{asked},{locked}]")).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("dependencies: {locked}\ndigest: sha256:{digest}\ngenerated: \"2026-11-30T12:00:00Z\"\n")
}

/// A chart in a folder that depends on these.
fn files(folder: &str, all: &[On<'_>]) -> Vec<(String, String)> {
    let about =
        format!("apiVersion: v2\nname: shop\nversion: 1.0.0\ndependencies: {}\n", list(all, |on| on.1.to_owned()));
    [("Chart.yaml", about), ("Chart.lock", lock(all)), ("templates/a.yaml", config_map("own", "@VALUE@"))]
        .map(|(name, text)| (format!("{folder}/{name}"), text))
        .into()
}

fn commit(world: &World, all: &[On<'_>]) -> String {
    deploy(world).commit("main", &borrowed(&files("apps/shop", all)), "A chart")
}

fn values(world: &World, value: &str) -> String {
    deploy(world).commit("main", &[("envs/prod.yaml", &format!("value: {value}\n"))], "Values")
}

fn configure(world: &World, dependencies: &str) {
    let address = world.forge.path("ops/deploy").display().to_string();
    let helm = format!("[application.environment.helm]\nvalues_files = [\"envs/prod.yaml\"]\n{dependencies}\n");
    world.configure(&(world.config_head("a test") + &application("shop", &address, &helm))).unwrap();
}

fn allows(addresses: &[&str]) -> String {
    format!("dependencies = {addresses:?}")
}

/// A world whose shop is such a chart, from nowhere yet; the agent does not run.
async fn depending(all: &[On<'_>]) -> World {
    let mut world = world().await;
    values(&world, "1");
    commit(&world, all);
    configure(&world, "");
    let path = helm::install(&world.path("")).unwrap();
    world.set("PATH", path);
    world
}

/// Waits until this is deployed.
async fn runs(world: &World, objects: &[(&str, &str)]) -> EnvironmentStatus {
    let is_it = |app: &EnvironmentStatus| {
        let is_whole = app.sync == SyncStatus::Synced && app.progress.is_none();
        is_whole && objects.iter().all(|(name, wanted)| value(world, name).as_deref() == Some(*wanted))
    };
    world.wait_for(&format!("{objects:?} to run"), "shop", is_it).await.unwrap()
}

/// Waits until the environment says this; all that it says, and what to do about it.
async fn told(world: &World, words: &str) -> (String, String) {
    let is_it = |app: &EnvironmentStatus| app.message.contains(words);
    let status = world.wait_for(&format!("{words:?} to be told"), "shop", is_it).await.unwrap();
    (status.message, status.hint)
}

async fn doctor(world: &World, name: &str) -> Check {
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("{name}: {checks:#?}")).clone()
}

/// The archives of a chart that are kept.
fn kept(world: &World, name: &str) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(world.path("data/remotes/charts")).into_iter().flatten().flatten();
    let of = folders.map(|folder| folder.path()).filter(|path| path.to_string_lossy().ends_with(&format!("-{name}")));
    let files = of.flat_map(|path| std::fs::read_dir(path).into_iter().flatten().flatten()).map(|file| file.path());
    files.filter(|path| path.extension().is_some_and(|ending| ending == "tgz")).collect()
}

#[tokio::test]
async fn what_a_chart_depends_on_is_fetched_once_and_outlives_where_it_was() {
    let repository = ChartRepository::start().await.unwrap();
    let web = repository.address();
    repository.publish("redis", "17.3.0", packed("redis", "17.3.0"));
    repository.publish("redis", "17.9.0", packed("redis", "17.9.0"));
    let mut world = depending(&[]).await;
    let charts = format!("oci://{}", world.image("team/charts"));
    world.registry.publish_chart("team/charts/common", "2.0.1", &packed("common", "2.0.1"));
    let on = [("redis", "17.x.x", "17.3.0", web.as_str()), ("common", "^2", "2.0.1", charts.as_str())];
    commit(&world, &on);
    world.start_agent().await.unwrap();
    let (message, hint) = told(&world, "the configuration does not allow that repository").await;
    let path = "apps/shop/Chart.yaml";
    let words = format!(
        "cannot render the chart of apps/shop: {path} depends on the chart redis of {web}, which is not in charts/, and the configuration \
         does not allow that repository"
    );
    assert!(message.ends_with(&words), "{message}");
    assert_eq!(
        hint,
        format!(
            "add dependencies = [{web:?}, {charts:?}] to [application.environment.helm], or run `helm dependency build` and commit what it \
             puts into charts/"
        )
    );
    assert_eq!(repository.asked(""), 0);

    // The registry by what it begins with.
    let host = format!("oci://{}", world.registry.address());
    configure(&world, &allows(&[&web, &host]));
    world.reload_agent();
    let status = runs(&world, &[("own", "1"), ("redis", "17.3.0"), ("common", "2.0.1")]).await;
    let first = status.revision.clone().unwrap();
    let manifests: ManifestsAnswer = world.client().get("/v1/environments/shop/manifests").await.unwrap();
    assert!(manifests.yaml.contains("17.3.0") && manifests.yaml.contains("2.0.1"), "{}", manifests.yaml);
    for (name, chart) in [(&web, "redis"), (&host, "common")] {
        let check = doctor(&world, &format!("dependencies {name}")).await;
        let count = if chart == "redis" { 2 } else { 1 };
        assert_eq!(
            (check.result, check.message),
            (CheckResult::Good, format!("answers, and has {count} versions of {chart}"))
        );
    }

    // Nobody is asked any more, and no program is started by a restart or a commit elsewhere.
    let fetched = |world: &World| (repository.asked(".tgz"), world.registry.count(Step::BlobGet));
    let (asked, renders) = (fetched(&world), helm::renders(&world.path("")));
    assert_eq!(asked, (1, 1));
    world.kill_agent();
    repository.away().await;
    world.registry.away().await;
    let elsewhere = deploy(&world).commit("main", &[("README.md", "other")], "Not ours");
    world.start_agent().await.unwrap();
    let is_it = |app: &EnvironmentStatus| {
        is_at(app, &elsewhere) && app.sync == SyncStatus::Synced && app.rendered == Some(RenderedFrom::Cache)
    };
    world.wait_for("the shop from the cache", "shop", is_it).await.unwrap();
    assert_eq!(helm::renders(&world.path("")), renders);
    values(&world, "2");
    runs(&world, &[("own", "2"), ("redis", "17.3.0"), ("common", "2.0.1")]).await;
    assert_eq!(fetched(&world), asked);
    let check = doctor(&world, &format!("dependencies {web}")).await;
    assert!(check.result == CheckResult::Bad && check.message.contains("is unreachable"), "{}", check.message);
    assert_eq!(check.hint, "what was fetched of it is rendered meanwhile");

    // Another version is another lock file; while nobody has it what runs stays.
    let newer = [("redis", "17.x.x", "17.9.0", web.as_str()), on[1]];
    commit(&world, &newer);
    let (message, _) = told(&world, "cannot fetch the chart redis 17.9.0").await;
    let words = format!("of {web}, which {path} depends on: {web} is unreachable: ");
    assert!(message.contains(&words), "{message}");
    assert_eq!(value(&world, "redis").as_deref(), Some("17.3.0"));
    repository.back().await.unwrap();
    world.registry.back().await.unwrap();
    ask(&world, "refresh", json!({})).await;
    let status = runs(&world, &[("own", "2"), ("redis", "17.9.0"), ("common", "2.0.1")]).await;
    let at = AtRevision { revision: Some(first.content()) };
    let before: DiffAnswer = world.client().get(&routes::DIFF.of_with(&status.environment.into(), &at)).await.unwrap();
    assert_eq!(before.objects.len(), 2, "what would go back: {:?}", before.plan);
    ask(&world, "rollback", json!({ "reason": "bad release" })).await;
    runs(&world, &[("own", "2"), ("redis", "17.3.0")]).await;
    assert_eq!(repository.asked("redis-17.3.0.tgz"), 1, "each archive is fetched once");
}

#[tokio::test]
async fn what_is_beside_a_chart_or_in_it_is_used_and_only_the_rest_is_fetched() {
    let repository = ChartRepository::start().await.unwrap();
    let web = repository.address();
    for (name, version) in [("redis", "17.3.0"), ("base", "1.2.0")] {
        repository.publish(name, version, packed(name, version));
    }
    let on = [
        ("redis", "17.x", "17.3.0", web.as_str()),
        ("beside", "*", "0.1.0", "file://../beside"),
        ("vendored", "2.x", "2.4.0", "https://nobody.example"),
    ];
    let mut world = depending(&on).await;
    let beside = files("apps/beside", &[("base", "1.x", "1.2.0", web.as_str())]);
    let beside: Vec<(String, String)> = beside
        .into_iter()
        .map(|(path, text)| {
            (path, text.replace("name: shop", "name: beside").replace("@VALUE@", "3").replace("own", "beside"))
        })
        .collect();
    let vendored = [
        ("apps/shop/charts/vendored/Chart.yaml", "apiVersion: v2\nname: vendored\nversion: 2.1.0\n".to_owned()),
        ("apps/shop/charts/vendored/templates/a.yaml", config_map("vendored", "4")),
    ];
    let all: Vec<(String, String)> =
        beside.into_iter().chain(vendored.map(|(path, text)| (path.to_owned(), text))).collect();
    deploy(&world).commit("main", &borrowed(&all), "Charts beside and within");
    configure(&world, &allows(&[&web]));
    world.start_agent().await.unwrap();
    runs(&world, &[("own", "1"), ("redis", "17.3.0"), ("beside", "3"), ("vendored", "4")]).await;
    assert_eq!((repository.asked("redis-17.3.0.tgz"), repository.asked("base-1.2.0.tgz")), (1, 1));

    // A folder beside it has a say.
    deploy(&world).commit("main", &[("apps/beside/templates/a.yaml", &config_map("beside", "5"))], "The chart beside");
    runs(&world, &[("beside", "5"), ("redis", "17.3.0")]).await;
    let older = "apiVersion: v2\nname: vendored\nversion: 1.9.0\n";
    deploy(&world).commit("main", &[("apps/shop/charts/vendored/Chart.yaml", older)], "An older one");
    let (message, hint) = told(&world, "asks for 2.x").await;
    assert!(
        message.ends_with("apps/shop/charts/vendored is version 1.9.0, and apps/shop/Chart.yaml asks for 2.x"),
        "{message}"
    );
    assert_eq!(hint, "remove it from git, or run `helm dependency update` and commit what is in charts/ then");
}

#[tokio::test]
async fn a_lock_file_that_is_missing_or_out_of_sync_is_told_and_nothing_is_fetched() {
    let repository = ChartRepository::start().await.unwrap();
    let web = repository.address();
    repository.publish("redis", "17.3.0", packed("redis", "17.3.0"));
    let on = [("redis", "17.x", "17.3.0", web.as_str())];
    let mut world = depending(&on).await;
    configure(&world, &allows(&[&web]));
    deploy(&world).change("main").remove("apps/shop/Chart.lock").commit("No lock file");
    world.start_agent().await.unwrap();
    let update = "run `helm dependency update` in the folder of the chart, and commit its lock file";
    let (message, hint) = told(&world, "there is no").await;
    assert!(message.ends_with("there is no apps/shop/Chart.lock with their versions"), "{message}");
    assert_eq!(hint, update);
    let other = lock(&[("redis", "16.x", "16.1.0", web.as_str())]);
    deploy(&world).commit("main", &[("apps/shop/Chart.lock", &other)], "Of an earlier chart");
    let (message, hint) = told(&world, "out of sync").await;
    assert!(
        message.ends_with(
            "apps/shop/Chart.lock is out of sync with apps/shop/Chart.yaml: its digest is of other dependencies"
        ),
        "{message}"
    );
    assert_eq!((hint.as_str(), repository.asked("")), (update, 0));
    deploy(&world).commit("main", &[("apps/shop/Chart.lock", &lock(&on))], "As helm writes it");
    runs(&world, &[("own", "1"), ("redis", "17.3.0")]).await;
}

#[tokio::test]
async fn what_cannot_be_fetched_is_told_and_comes_when_it_can() {
    let repository = ChartRepository::start().await.unwrap();
    let web = repository.address();
    let mut world = depending(&[("redis", "17.x", "17.3.0", web.as_str())]).await;
    configure(&world, &allows(&[&web]));
    world.start_agent().await.unwrap();
    let correct = "correct it in Chart.yaml, run `helm dependency update`, and commit Chart.lock";
    let (_, hint) = told(&world, "has no chart redis").await;
    assert_eq!(hint, correct);
    let again = async |words: &str| {
        ask(&world, "refresh", json!({})).await;
        told(&world, words).await
    };
    repository.publish("redis", "17.2.0", packed("redis", "17.2.0"));
    let (_, hint) = again("has no version 17.3.0: the newest is 17.2.0").await;
    assert_eq!(hint, correct);
    repository.publish("redis", "17.3.0", packed("redis", "17.3.0"));
    repository.fail(Some(Fault::OtherBytes));
    let (_, hint) = again("the archive of redis 17.3.0 has the digest ").await;
    assert!(hint.starts_with("nothing was deployed of it"), "{hint}");
    repository.fail(Some(Fault::Status(503)));
    again("is unreachable: it answers 503 Service Unavailable").await;
    repository.fail(None);
    repository.publish("redis", "17.3.0", packed("redis", "16.0.0"));
    again("the archive of redis 17.3.0 holds the chart redis 16.0.0").await;
    repository.publish("redis", "17.3.0", packed("redis", "17.3.0"));
    repository.require("robot", "charts-secret-4711");
    let (_, hint) = again("requires a login: it answers 401").await;
    assert_eq!(
        hint,
        "set `username` and `password_file` of that repository in `dependencies` of [application.environment.helm]"
    );
    std::fs::write(world.path("charts-password"), "charts-secret-4711\n").unwrap();
    let login = format!(
        "dependencies = [{{ repository = {web:?}, username = \"robot\", password_file = \"charts-password\" }}]"
    );
    configure(&world, &login);
    world.reload_agent();
    runs(&world, &[("own", "1"), ("redis", "17.3.0")]).await;
    let log = world.log();
    assert!(!log.contains("charts-secret-4711"), "{log}");
}

#[tokio::test]
async fn a_version_that_has_another_content_is_not_what_was_deployed() {
    let repository = ChartRepository::start().await.unwrap();
    let web = repository.address();
    repository.publish("redis", "17.3.0", packed("redis", "17.3.0"));
    let mut world = depending(&[("redis", "17.x", "17.3.0", web.as_str())]).await;
    configure(&world, &allows(&[&web]));
    world.start_agent().await.unwrap();
    runs(&world, &[("own", "1"), ("redis", "17.3.0")]).await;
    let archives = kept(&world, "redis");
    assert_eq!(archives.len(), 1, "{archives:?}");
    std::fs::remove_file(&archives[0]).unwrap();
    let other = package("redis", "17.3.0", &[("templates/a.yaml", &config_map("redis", "another"))]);
    repository.publish("redis", "17.3.0", other);
    values(&world, "2");
    let (message, hint) = told(&world, "the archive of redis 17.3.0 has the digest ").await;
    let file = archives[0].file_name().unwrap().to_string_lossy().into_owned();
    let digest = file.trim_start_matches("17.3.0@").trim_end_matches(".tgz");
    assert!(message.ends_with(&format!("and sha256:{digest} is expected")), "{message}");
    assert!(hint.contains("publish it as a new version"), "{hint}");
    assert_eq!(value(&world, "redis").as_deref(), Some("17.3.0"));
    repository.publish("redis", "17.3.0", packed("redis", "17.3.0"));
    ask(&world, "refresh", json!({})).await;
    runs(&world, &[("own", "2"), ("redis", "17.3.0")]).await;
}

#[tokio::test]
async fn a_chart_of_another_source_has_its_own_and_reads_no_other_repository() {
    let repository = ChartRepository::start().await.unwrap();
    let web = repository.address();
    repository.publish("redis", "17.3.0", packed("redis", "17.3.0"));
    let mut world = depending(&[]).await;
    let charts = world.forge.repo("ops/charts");
    charts.commit("main", &borrowed(&files("charts/shop", &[("redis", "17.x", "17.3.0", web.as_str())])), "A chart");
    let deploys = world.forge.path("ops/deploy").display().to_string();
    let source = world.forge.path("ops/charts").display().to_string();
    let more = format!(
        "[[application.environment.source]]\nname = \"charts\"\nrepository = \"{source}\"\nbranch = \"main\"\n\
         [application.environment.helm]\nvalues_files = [\"envs/prod.yaml\"]\n{}\n",
        allows(&[&web])
    );
    let application =
        application("shop", &deploys, &more).replace("path = \"apps/shop\"", "path = \"$charts/charts/shop\"");
    world.configure(&(world.config_head("a test") + &application)).unwrap();
    world.start_agent().await.unwrap();
    runs(&world, &[("own", "1"), ("redis", "17.3.0")]).await;

    let out = files("charts/shop", &[("beside", "*", "1.0.0", "file://../../../apps/shop")]);
    charts.commit("main", &borrowed(&out), "A folder of the other repository");
    let (message, _) = told(&world, "depends on the chart beside").await;
    assert!(
        message.contains("$charts/charts/shop/Chart.yaml depends on the chart beside of file://../../../apps/shop"),
        "{message}"
    );
    assert_eq!(value(&world, "redis").as_deref(), Some("17.3.0"));
}

/// The files of the layers of a bundle that are archives, by their paths.
fn packed_in(bundle: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut outer = tar::Archive::new(std::fs::File::open(bundle).unwrap());
    for entry in outer.entries().unwrap() {
        let mut blob = Vec::new();
        std::io::Read::read_to_end(&mut entry.unwrap(), &mut blob).unwrap();
        let mut inner = tar::Archive::new(flate2::read::GzDecoder::new(&blob[..]));
        for file in inner.entries().into_iter().flatten().map_while(Result::ok) {
            let (mut file, mut content) = (file, Vec::new());
            let path = String::from_utf8_lossy(&file.path_bytes()).into_owned();
            std::io::Read::read_to_end(&mut file, &mut content).unwrap();
            found.push((path, content));
        }
    }
    found
}

#[tokio::test]
async fn a_bundle_has_what_its_chart_depends_on() {
    let repository = ChartRepository::start().await.unwrap();
    let (web, archive) = (repository.address(), packed("redis", "17.3.0"));
    repository.publish("redis", "17.3.0", archive.clone());
    let mut world = depending(&[("redis", "17.x", "17.3.0", web.as_str())]).await;
    configure(&world, &allows(&[&web]));
    world.start_agent().await.unwrap();
    let status = runs(&world, &[("own", "1"), ("redis", "17.3.0")]).await;
    let is_recorded = |app: &EnvironmentStatus| app.last_sync.is_some();
    assert!(status.last_sync.is_some() || world.wait_for("the sync", "shop", is_recorded).await.is_ok());
    repository.away().await;
    let file = world.path("shop.tar");
    let create = async || {
        let mut command = world.agent_command();
        command.args(["bundle", "create", "shop/prod", "-o"]).arg(&file);
        tokio::process::Command::from(command).output().await.unwrap()
    };
    let output = create().await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files = packed_in(&file);
    let found = files.iter().find(|(path, _)| path.ends_with("apps/shop/charts/redis-17.3.0.tgz"));
    let paths: Vec<&String> = files.iter().map(|(path, _)| path).collect();
    assert!(found.is_some_and(|(_, content)| *content == archive), "{paths:?}");

    std::fs::remove_file(&file).unwrap();
    kept(&world, "redis").iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let output = create().await;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("the archive of chart redis 17.3.0 is not kept by the agent"), "{words}");
    assert!(!output.status.success() && !file.exists());
}

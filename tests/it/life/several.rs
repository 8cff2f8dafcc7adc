//! Several sources feed one environment: a chart there, values here. What is deployed is told of all of them.

use harness::forge_api::{ForgeApi, Open, TOKEN};
use harness::helm;
use quarterdeck_shared::protocol::{DiffAnswer, ManifestsAnswer};
use quarterdeck_shared::queries::AtRevision;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::routes;
use quarterdeck_shared::snapshot::{Cover, RenderedFrom};
use serde_json::json;

use super::*;

/// The files of a chart that says which version it is, and the value that it is given.
pub(super) fn chart(version: &str) -> Vec<(String, String)> {
    let template = config_map("a", &format!("@VALUE@ {version}"));
    let about = format!("apiVersion: v2\nname: shop\nversion: 1.0.{version}\n");
    vec![("charts/shop/Chart.yaml".to_owned(), about), ("charts/shop/templates/a.yaml".to_owned(), template)]
}

pub(super) fn charts(world: &World) -> Repo {
    world.forge.repo("ops/charts")
}

fn values(world: &World, value: &str) -> String {
    deploy(world).commit("main", &[("envs/prod.yaml", &format!("value: {value}\n"))], "Values")
}

/// A source of the shop: a repository of the forge.
fn source(world: &World, name: &str, more: &str) -> String {
    let address = world.forge.path(&format!("ops/{name}")).display().to_string();
    format!("[[application.environment.source]]\nname = \"{name}\"\nrepository = \"{address}\"\n{more}\n")
}

fn configure(world: &World, path: &str, more: &str) {
    let address = world.forge.path("ops/deploy").display().to_string();
    let application = application("shop", &address, more).replace("path = \"apps/shop\"", path);
    world.configure(&(world.config_head("a test") + &application)).unwrap();
}

/// A world whose shop is a chart of one repository with values of another; the agent does not run. The commits of both.
pub(super) async fn several() -> (World, String, String) {
    let mut world = world().await;
    let own = values(&world, "one");
    let of_chart = charts(&world).commit("main", &borrowed(&chart("1")), "A chart");
    let more = source(&world, "charts", "path = \"charts\"\nbranch = \"main\"")
        + "[application.environment.helm]\nvalues_files = [\"envs/prod.yaml\"]\n";
    configure(&world, "path = \"$charts/shop\"", &more);
    let path = helm::install(&world.path("")).unwrap();
    world.set("PATH", path);
    (world, own, of_chart)
}

/// Waits until both commits run under these names, and the cluster says so.
pub(super) async fn runs(world: &World, revision: &str, wanted: &str) -> EnvironmentStatus {
    let is_it = |app: &EnvironmentStatus| {
        let is_named = app.revision.as_ref().is_some_and(|now| now.short() == revision);
        is_named
            && app.sync == SyncStatus::Synced
            && app.progress.is_none()
            && value(world, "a").as_deref() == Some(wanted)
    };
    world.wait_for(&format!("{revision} to run, which says {wanted}"), "shop", is_it).await.unwrap()
}

/// `main@1f3c2a9 charts:main@def5678`
pub(super) fn both(own: &str, of_chart: &str) -> String {
    format!("main@{} charts:main@{}", &own[..7], &of_chart[..7])
}

async fn told(world: &World, words: &str) -> EnvironmentStatus {
    let is_it = |app: &EnvironmentStatus| app.message.contains(words);
    world.wait_for(&format!("{words:?} to be told"), "shop", is_it).await.unwrap()
}

#[tokio::test]
async fn a_chart_there_and_values_here_are_deployed_as_either_changes() {
    let (mut world, first, of_chart) = several().await;
    world.start_agent().await.unwrap();
    let status = runs(&world, &both(&first, &of_chart), "one 1").await;
    let revision = status.revision.clone().unwrap();
    assert_eq!(revision.to_string(), format!("main@sha1:{first} charts:main@sha1:{of_chart}"));
    assert_eq!(status.last_sync.unwrap().revision, revision, "the history says it");
    let address = world.forge.path("ops/charts").display().to_string();
    let shown: Vec<String> = status.spec.sources.iter().map(|source| source.describe()).collect();
    assert_eq!(shown, [format!("charts: {address} main, charts")]);
    let answer: ManifestsAnswer = world.client().get("/v1/environments/shop/manifests").await.unwrap();
    assert!(answer.yaml.contains("one 1") && answer.revision == Some(revision), "{answer:?}");

    let newer = charts(&world).commit("main", &borrowed(&chart("2")), "Another chart");
    runs(&world, &both(&first, &newer), "one 2").await;
    let second = values(&world, "two");
    runs(&world, &both(&second, &newer), "two 2").await;

    // What the render did not read renders nothing, in whichever repository it is.
    let renders = helm::renders(&world.path(""));
    let elsewhere = charts(&world).commit("main", &[("README.md", "other"), ("charts/cart/a", "")], "Not ours");
    runs(&world, &both(&second, &elsewhere), "two 2").await;
    let own = deploy(&world).commit("main", &[("README.md", "other")], "Not ours either");
    runs(&world, &both(&own, &elsewhere), "two 2").await;
    assert_eq!(helm::renders(&world.path("")), renders);

    world.kill_agent();
    world.start_agent().await.unwrap();
    let is_it = |app: &EnvironmentStatus| app.rendered == Some(RenderedFrom::Cache) && app.sync == SyncStatus::Synced;
    world.wait_for("the shop from the cache", "shop", is_it).await.unwrap();
    assert_eq!(helm::renders(&world.path("")), renders, "after a restart neither");
}

#[tokio::test]
async fn a_rollback_and_a_diff_are_of_all_sources() {
    let (mut world, own, first) = several().await;
    world.start_agent().await.unwrap();
    runs(&world, &both(&own, &first), "one 1").await;
    let second = charts(&world).commit("main", &borrowed(&chart("2")), "Another chart");
    let status = runs(&world, &both(&own, &second), "one 2").await;

    let environment = status.environment.into();
    let diff = async |at: &str| {
        let at = AtRevision { revision: Some(at.to_owned()) };
        world.client().get::<DiffAnswer>(&routes::DIFF.of_with(&environment, &at)).await
    };
    let answer = diff(&format!("main charts:{first}")).await.unwrap();
    let shown = format!("main@{} charts:pin@{}", &own[..7], &first[..7]);
    assert_eq!((answer.objects.len(), answer.plan.revision.short()), (1, shown));
    assert_eq!(diff("main").await.unwrap().objects.len(), 0);
    for (at, words) in [
        ("main values:main", "shop/prod has no source values; it has: charts"),
        ("main charts:gone", "source charts has no branch, tag or commit gone"),
        ("main charts", "\"main charts\" is not a revision: expected reference@sha1:commit"),
    ] {
        let refused = diff(at).await.unwrap_err().to_string();
        assert!(refused.contains(words), "{at}: {refused}");
    }

    // Back to the release before, which another commit of the chart made; what comes waits.
    ask(&world, "rollback", json!({ "reason": "bad chart" })).await;
    let pinned = format!("pin@{} charts:pin@{}", &own[..7], &first[..7]);
    let status = runs(&world, &pinned, "one 1").await;
    assert!(status.held().contains(&format!("pinned to {} charts:{}", &own[..7], &first[..7])), "{}", status.held());
    let third = charts(&world).commit("main", &borrowed(&chart("3")), "A third chart");
    let waits = |app: &EnvironmentStatus| {
        app.pending.as_ref().is_some_and(|pending| pending.newest.short() == both(&own, &third))
    };
    let status = world.wait_for("the newest to wait", "shop", waits).await.unwrap();
    assert_eq!(status.pending.unwrap().commits, 2);
    ask(&world, "unpin", json!({})).await;
    runs(&world, &both(&own, &third), "one 3").await;

    // A commit of one source is named, and the other stays as it is.
    ask(&world, "rollback", json!({ "to": format!("{own} charts:{second}"), "reason": "a test" })).await;
    runs(&world, &format!("pin@{} charts:pin@{}", &own[..7], &second[..7]), "one 2").await;
}

#[tokio::test]
async fn a_source_that_cannot_be_read_is_told_by_its_name_and_what_runs_goes_on() {
    let (mut world, own, of_chart) = several().await;
    let (there, away) = (world.forge.path("ops/charts"), world.path("charts.away"));
    std::fs::rename(&there, &away).unwrap();
    world.start_agent().await.unwrap();
    let words = format!("source charts (repository {}) cannot be read: ", there.display());
    let is_told = |app: &EnvironmentStatus| {
        app.unseen.iter().any(|one| one.of == Cover::Source && one.describe().starts_with(&words))
    };
    let status = world.wait_for("the source to be told", "shop", is_told).await.unwrap();
    assert_eq!((status.revision, status.unseen.len()), (None, 1), "the own repository is read");
    std::fs::rename(&away, &there).unwrap();
    ask(&world, "refresh", json!({})).await;
    runs(&world, &both(&own, &of_chart), "one 1").await;

    std::fs::rename(&there, &away).unwrap();
    world.wait_for("the source to be told again", "shop", is_told).await.unwrap();
    let second = values(&world, "two");
    let status = runs(&world, &both(&second, &of_chart), "two 1").await;
    assert!(status.unseen.iter().any(|one| one.of == Cover::Source), "{:?}", status.unseen);
    std::fs::rename(&away, &there).unwrap();
    ask(&world, "refresh", json!({})).await;
    world.wait_for("the source to be seen", "shop", |app| app.unseen.is_empty()).await.unwrap();
}

#[tokio::test]
async fn a_folder_of_a_sources_name_and_a_branch_that_is_missing_are_told() {
    let (mut world, _, of_chart) = several().await;
    let hidden = deploy(&world).commit("main", &[("$charts/shop/a.yaml", "")], "A folder of this name");
    world.start_agent().await.unwrap();
    let address = world.forge.path("ops/deploy").display().to_string();
    let words = format!("{address} has $charts at its root, where the files of a source of this name would be");
    let status = told(&world, &words).await;
    assert_eq!((status.message, status.hint.as_str()), (words, "give the source another name, or the folder"));
    assert_eq!(value(&world, "a"), None, "nothing is deployed of either");
    assert!(status.target.is_some_and(|target| target.short() == both(&hidden, &of_chart)));
    let own = deploy(&world).change("main").remove("$charts/shop/a.yaml").commit("Without it");
    runs(&world, &both(&own, &of_chart), "one 1").await;

    let more = source(&world, "charts", "path = \"charts\"\nbranch = \"gone\"")
        + "[application.environment.helm]\nvalues_files = [\"envs/prod.yaml\"]\n";
    configure(&world, "path = \"$charts/shop\"", &more);
    world.reload_agent();
    let status = told(&world, "source charts: cannot resolve branch gone").await;
    assert_eq!(value(&world, "a").as_deref(), Some("one 1"), "{status:?}");
}

#[tokio::test]
async fn plain_manifests_of_a_source_and_an_artifact_are_deployed() {
    let mut world = world().await;
    let own = deploy(&world).commit("main", &[("README.md", "the shop")], "Nothing but words");
    let base = world.forge.repo("ops/base").commit("main", &[("team/a.yaml", &config_map("a", "base"))], "A base");
    configure(&world, "path = \"$base/team\"", &source(&world, "base", ""));
    world.start_agent().await.unwrap();
    runs(&world, &format!("main@{} base:main@{}", &own[..7], &base[..7]), "base").await;

    // Now from a registry: what is pushed under the tag is deployed.
    let push = |value: &str| {
        let folder = harness::charts::archive(&[("team/a.yaml", &config_map("a", value))]);
        world.registry.publish_folder("ops/base", "latest", &folder)
    };
    let artifact = format!("artifact = {{ repository = \"oci://{}\" }}", world.image("ops/base"));
    let more = format!("[[application.environment.source]]\nname = \"base\"\n{artifact}\n");
    let first = push("packed");
    configure(&world, "path = \"$base/team\"", &more);
    world.reload_agent();
    runs(&world, &format!("main@{} base:latest@{}", &own[..7], &first[..14]), "packed").await;
    let second = push("packed again");
    let status = runs(&world, &format!("main@{} base:latest@{}", &own[..7], &second[..14]), "packed again").await;
    let text = status.revision.unwrap().to_string();
    assert!(text.parse::<Revision>().is_ok() && text.contains(&format!(" base:latest@{second}@sha1:")), "{text}");
}

#[tokio::test]
async fn an_image_is_written_by_the_keys_that_the_configuration_names() {
    let (mut world, ..) = several().await;
    let image = world.image("vendor/podinfo");
    let template =
        "apiVersion: v1\nkind: Pod\nmetadata: { name: a }\nspec: { containers: [{ name: a, image: \"@VALUE@\" }] }\n";
    charts(&world).commit("main", &[("charts/shop/templates/a.yaml", template)], "A pod");
    deploy(&world).commit("main", &[("envs/prod.yaml", &format!("value: {image}:6.7.0\n"))], "Values");
    let path = world.path("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let keys = format!("[[application.environment.promote.values]]\nimage = \"{image}\"\nwhole = \"value\"\n");
    let follow = format!("[[application.follow_image]]\nimage = \"{image}\"\nsemver = \"6.x\"\n");
    world.configure(&(text + &keys + &follow)).unwrap();
    let digest = world.registry.publish("vendor/podinfo", "6.8.0", "a");
    world.start_agent().await.unwrap();
    let wanted = format!("{image}:6.8.0@{digest}");
    let is_it = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && app.images == [wanted.clone()];
    world.wait_for("the newest image to run", "shop", is_it).await.unwrap();
    assert_eq!(deploy(&world).file("main", "envs/prod.yaml"), format!("value: {wanted}\n"));
}

#[tokio::test]
async fn an_image_is_written_into_the_own_values_of_a_chart_of_a_source() {
    let (mut world, ..) = several().await;
    let image = world.image("vendor/podinfo");
    let template =
        "apiVersion: v1\nkind: Pod\nmetadata: { name: a }\nspec: { containers: [{ name: a, image: \"@VALUE@\" }] }\n";
    charts(&world).commit("main", &[("charts/shop/templates/a.yaml", template)], "A pod");
    deploy(&world).commit("main", &[("envs/prod.yaml", &format!("image: {image}:6.7.0\n"))], "Values");
    let path = world.path("config.toml");
    let follow = format!("[[application.follow_image]]\nimage = \"{image}\"\nsemver = \"6.x\"\n");
    let text = std::fs::read_to_string(&path).unwrap();
    world.configure(&(text + &follow)).unwrap();
    let digest = world.registry.publish("vendor/podinfo", "6.8.0", "a");
    world.start_agent().await.unwrap();
    let wanted = format!("{image}:6.8.0@{digest}");
    let is_it = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && app.images == [wanted.clone()];
    world.wait_for("the newest image to run", "shop", is_it).await.unwrap();
    assert_eq!(deploy(&world).file("main", "envs/prod.yaml"), format!("image: {wanted}\n"));
    assert_eq!(charts(&world).subjects("main").len(), 2, "the source is left alone");
}

#[tokio::test]
async fn a_merge_request_of_a_source_shows_what_merging_it_changes() {
    const PROJECT: &str = "ops/base";
    let mut world = world().await;
    deploy(&world).commit("main", &[("README.md", "the shop")], "Nothing but words");
    let base = world.forge.repo(PROJECT);
    base.commit("main", &[("apps/shop/a.yaml", &config_map("a", "1"))], "A base");
    let api = ForgeApi::start().await.unwrap();
    std::fs::write(world.path("forge-token"), TOKEN).unwrap();
    let (own, of_base) = (world.forge.http("ops/deploy"), world.forge.http(PROJECT));
    let web = own.strip_suffix("/ops/deploy.git").unwrap();
    let forge = format!(
        "\n[[forge]]\nkind = \"gitea\"\nurl = \"{web}\"\napi = \"{}/api/v1\"\ntoken_file = \"forge-token\"\nplan = true\n",
        api.url()
    );
    let more = format!("[[application.environment.source]]\nname = \"base\"\nrepository = \"{of_base}\"\n");
    let application = application("shop", &own, &more).replace("\"apps/shop\"", "\"$base/apps/shop\"");
    world.configure(&(world.config_head("a test") + &forge + &application)).unwrap();
    world.start_agent().await.unwrap();
    world.wait_for("the shop to run", "shop", |app| app.sync == SyncStatus::Synced).await.unwrap();

    base.branch("fix", "main");
    let head = base.commit("fix", &[("apps/shop/a.yaml", &config_map("a", "2"))], "Two");
    let of = Open {
        project: PROJECT.to_owned(),
        number: 7,
        head: head.clone(),
        target: "main".to_owned(),
        is_of_fork: false,
    };
    api.open_merge_request(of);
    base.git(&["update-ref", "refs/pull/7/head", &head]);
    let lines = "- **shop/prod**: 1 to configure\n  - configure `ConfigMap/a in namespace shop`\n    - `data.value`: `1` → `2`\n";
    let commented = async {
        while !api.comments(PROJECT, 7).iter().any(|one| one.body.contains(lines)) {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(120), commented).await;
    waited.unwrap_or_else(|_| panic!("{:#?}", api.comments(PROJECT, 7)));
}

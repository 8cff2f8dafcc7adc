//! Labels and tags in a Harbor: what environments run has theirs, and no delivery waits for one.

use harness::registry::{Fault, Step};
use quarterdeck_shared::status::Phase;

use super::tested::ended;
use super::*;

const REPOSITORY: &str = "ops/shop";

fn configured(world: &World, applications: &str) -> String {
    world.config_head("a test").replace("[[registry]]\n", "[[registry]]\nkind = \"harbor\"\nlabels = true\n")
        + applications
}

/// A shop whose registry is a Harbor with labels; its agent runs, and nothing is tagged yet.
async fn shop_with_labels() -> World {
    let mut world = shop().await;
    world.registry.be_harbor(&[]);
    world.configure(&configured(&world, &world.application("shop", ""))).unwrap();
    world.start_agent().await.unwrap();
    world
}

async fn pushed(world: &World, tag: &str) -> String {
    code(world).commit("main", &[("app.txt", &*format!("{tag}\n"))], tag);
    code(world).tag(&format!("push-{tag}"), "main");
    let run = ended(world, &format!("push-{tag}")).await;
    assert_eq!(run.phase, Phase::Succeeded, "{run:#?}");
    world.registry.digest(REPOSITORY, tag).unwrap()
}

/// Waits until an artifact has these labels and no others.
async fn has(world: &World, digest: &str, labels: &[&str]) {
    while world.registry.labels(REPOSITORY, digest) != labels {
        tokio::task::yield_now().await;
    }
}

async fn logs(world: &World, text: &str) {
    while !world.log().contains(text) {
        tokio::task::yield_now().await;
    }
}

/// The tag of a digest in the environments called `prod`.
fn tag_of(digest: &str) -> String {
    format!("deployed-prod-{}", &digest[7..19])
}

/// Waits until the tags of the repository that mark what runs are these.
async fn is_tagged(world: &World, digests: &[&str]) {
    let mut wanted: Vec<String> = digests.iter().map(|digest| tag_of(digest)).collect();
    wanted.sort();
    let marks = || world.registry.tags(REPOSITORY).into_iter().filter(|tag| tag.starts_with("deployed-"));
    while !marks().eq(wanted.iter().cloned()) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_an_environment_runs_has_a_tag_by_which_a_retention_rule_keeps_it() {
    let mut world = shop().await;
    world.registry.be_harbor(&[]);
    let config = configured(&world, &world.application("shop", "")).replace("labels = true", "deployed_tags = true");
    world.configure(&config).unwrap();
    world.start_agent().await.unwrap();
    let first = pushed(&world, "1.4.0").await;
    is_tagged(&world, &[&first]).await;
    assert_eq!(world.registry.digest(REPOSITORY, &tag_of(&first)), Some(first.clone()));
    assert_eq!(world.registry.labels(REPOSITORY, &first), Vec::<String>::new());
    let second = pushed(&world, "1.5.0").await;
    is_tagged(&world, &[&second]).await;
    // The artifact stays, with its other tag.
    assert_eq!(world.registry.digest(REPOSITORY, "1.4.0"), Some(first));

    // A tag that may not go stays, and what runs gets its own all the same.
    let registry = world.registry.address().to_owned();
    world.registry.make_immutable("ops", "**", "deployed-**");
    let third = pushed(&world, "1.6.0").await;
    is_tagged(&world, &[&second, &third]).await;
    logs(&world, &format!("the Harbor registry {registry} refuses to take a tag off: 412 Precondition Failed")).await;
    logs(&world, "exclude deployed-** from the immutable tag rules of the project").await;
    world.registry.make_mutable();
    world.reload_agent();
    is_tagged(&world, &[&third]).await;
    // Another set of permissions is told by its name.
    world.registry.deny(Some("tag:create"));
    pushed(&world, "1.7.0").await;
    logs(&world, "give the robot account the permission tag:create in this project").await;
}

#[tokio::test]
async fn what_an_environment_runs_has_its_label_and_a_restart_changes_nothing() {
    let mut world = shop_with_labels().await;
    let first = pushed(&world, "1.4.0").await;
    has(&world, &first, &["deployed-prod"]).await;
    let second = pushed(&world, "1.5.0").await;
    has(&world, &second, &["deployed-prod"]).await;
    has(&world, &first, &[]).await;

    let writes = |world: &World| (world.registry.count(Step::ApiLabelSet), world.registry.count(Step::ApiLabelTaken));
    let (before, lists) = (writes(&world), world.registry.count(Step::ApiArtifacts));
    assert_eq!(before, (2, 1));
    world.kill_agent();
    world.start_agent().await.unwrap();
    while world.registry.count(Step::ApiArtifacts) == lists {
        tokio::task::yield_now().await;
    }
    // What was labelled after it was looked at shows that the look changed nothing.
    let third = pushed(&world, "1.6.0").await;
    has(&world, &third, &["deployed-prod"]).await;
    has(&world, &second, &[]).await;
    assert_eq!(writes(&world), (before.0 + 1, before.1 + 1));
}

#[tokio::test]
async fn applications_that_share_a_repository_keep_the_label_of_each_others_images() {
    let mut world = shop().await;
    world.registry.be_harbor(&[]);
    let old = world.registry.publish(REPOSITORY, "0.9", "what the other one runs");
    let other = format!("{}:0.9@{old}", world.image(REPOSITORY));
    deploy(&world).commit("main", &borrowed(&world::manifests("stall", &other)), "Manifests of the stall");
    let stall = world.application("stall", "");
    // Without code: it only runs what the shop built.
    let (head, rest) = stall.split_once("[application.code]").unwrap();
    let stall =
        format!("{head}[[application.environment]]{}", rest.split_once("[[application.environment]]").unwrap().1);
    world.configure(&configured(&world, &(world.application("shop", "") + &stall))).unwrap();
    world.start_agent().await.unwrap();
    has(&world, &old, &["deployed-prod"]).await;
    let new = pushed(&world, "1.4.0").await;
    has(&world, &new, &["deployed-prod"]).await;
    let newer = pushed(&world, "1.5.0").await;
    has(&world, &newer, &["deployed-prod"]).await;
    has(&world, &new, &[]).await;
    assert_eq!(world.registry.labels(REPOSITORY, &old), ["deployed-prod"]);

    let other = format!("{}:1.5.0@{newer}", world.image(REPOSITORY));
    deploy(&world).commit("main", &borrowed(&world::manifests("stall", &other)), "The stall follows");
    has(&world, &old, &[]).await;
    assert_eq!(world.registry.labels(REPOSITORY, &newer), ["deployed-prod"]);
}

#[tokio::test]
async fn a_label_that_cannot_be_set_stops_no_delivery_and_is_set_later() {
    let world = shop_with_labels().await;
    let registry = world.registry.address().to_owned();
    world.registry.deny(Some("artifact-label:create"));
    let first = pushed(&world, "1.4.0").await;
    logs(&world, &format!("robot may not set a label in the Harbor registry {registry}: 403 Forbidden forbidden"))
        .await;
    logs(&world, "give the robot account the permission artifact-label:create in this project").await;
    assert_eq!(world.registry.labels(REPOSITORY, &first), Vec::<String>::new());
    // A reload looks again at once, and so does what is deployed next.
    world.registry.deny(None);
    world.reload_agent();
    has(&world, &first, &["deployed-prod"]).await;

    world.registry.fail(Step::ApiArtifacts, Fault::Status(503), 1);
    world.registry.fail(Step::ApiLabels, Fault::Words(200, "[{}]".to_owned()), 1);
    let second = pushed(&world, "1.5.0").await;
    logs(&world, &format!("an answer of the Harbor registry {registry} cannot be read")).await;
    logs(&world, &format!("the Harbor registry {registry} is unreachable: 503 Service Unavailable")).await;
    has(&world, &second, &["deployed-prod"]).await;
    has(&world, &first, &[]).await;
}

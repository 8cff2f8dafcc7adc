//! Projects of a Harbor: what cannot be pushed is told before it is built, and what Harbor does not tell keeps nothing from being pushed.

use harness::registry::{Fault, Step};
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::{Phase, StageKind};
use serde_json::json;

use super::tested::{configure, ended};
use super::*;

const GIB: i64 = 1 << 30;

/// A shop whose registry the configuration calls a Harbor; its agent runs, and nothing is tagged yet.
async fn in_harbor() -> World {
    let mut world = shop().await;
    world.registry.be_harbor(&[]);
    let head = world.config_head("a test").replace("[[registry]]\n", "[[registry]]\nkind = \"harbor\"\n");
    world.configure(&(head + &world.application("shop", ""))).unwrap();
    world.start_agent().await.unwrap();
    world
}

async fn retried(world: &World, run: &RunStatus) -> RunStatus {
    let accepted: Accepted = world.client().post(&format!("/v1/runs/{}/retry", run.id), &json!({})).await.unwrap();
    let is_it = |one: &RunStatus| Some(one.id) == accepted.run && one.phase.is_final();
    world.wait_run("the retry", is_it).await.unwrap()
}

fn phase(run: &RunStatus, kind: StageKind) -> Phase {
    run.stages.iter().find(|stage| stage.kind == kind).unwrap_or_else(|| panic!("a stage of {run:#?}")).phase
}

#[tokio::test]
async fn a_project_that_does_not_exist_is_told_before_the_build() {
    let world = in_harbor().await;
    world.registry.lack_project(Some("ops"));
    code(&world).tag("push-1.4.0", "main");
    let run = ended(&world, "push-1.4.0").await;
    let told = format!("the Harbor registry {} has no project ops", world.registry.address());
    assert_eq!((run.phase, phase(&run, StageKind::Build), &*run.message), (Phase::Failed, Phase::Failed, &*told));
    assert_eq!(run.hint, "create the project ops in Harbor, or correct the name of the image");
    assert_eq!(world.engine.builds().len(), 0, "nothing was built");

    // What is only built needs no project.
    code(&world).tag("build-1.4.0", "main");
    assert_eq!(ended(&world, "build-1.4.0").await.phase, Phase::Succeeded);
    // What was built before cannot be pushed either.
    let run = retried(&world, &run).await;
    assert_eq!((run.phase, &*run.message), (Phase::Failed, &*told));
    world.registry.lack_project(None);
    let run = retried(&world, &run).await;
    assert_eq!((run.phase, world.registry.tags("ops/shop")), (Phase::Succeeded, vec!["1.4.0".to_owned()]), "{run:#?}");
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_told_before_the_build_and_keeps_nothing_that_is_there() {
    let mut world = shop().await;
    world.registry.be_harbor(&[]);
    world.registry.set_quota(10 * GIB, 10 * GIB);
    configure(&world, "[application.scan]\nby = \"harbor\"\n");
    world.start_agent().await.unwrap();
    code(&world).tag("push-1.4.0", "main");
    let run = ended(&world, "push-1.4.0").await;
    let registry = world.registry.address();
    let told = format!("the quota of the project ops of the registry {registry} is used up: 10.0 GiB of 10.0 GiB");
    assert_eq!((run.phase, &*run.message), (Phase::Failed, &*told), "{run:#?}");
    assert!(run.hint.starts_with("raise the quota of the project, or delete old images"), "{}", run.hint);
    assert_eq!(world.engine.builds().len(), 0, "nothing was built");

    world.registry.set_quota(10 * GIB - 1, 10 * GIB);
    let run = retried(&world, &run).await;
    assert_eq!((run.phase, world.engine.builds().len()), (Phase::Succeeded, 1), "{run:#?}");
    world.registry.set_quota(10 * GIB, 10 * GIB);
    let run = retried(&world, &run).await;
    assert_eq!((run.phase, phase(&run, StageKind::Push)), (Phase::Succeeded, Phase::Skipped), "{run:#?}");
}

#[tokio::test]
async fn what_harbor_does_not_tell_keeps_nothing_from_being_pushed() {
    let world = in_harbor().await;
    let registry = world.registry.address().to_owned();
    let mut number = 0;
    // Another commit, pushed, has this line in its log.
    let mut told = async |why: &str| {
        number += 1;
        code(&world).commit("main", &[("app.txt", &*format!("{number}\n"))], "Another");
        let tag = format!("push-1.0.{number}");
        code(&world).tag(&tag, "main");
        let run = ended(&world, &tag).await;
        assert_eq!((run.phase, phase(&run, StageKind::Push)), (Phase::Succeeded, Phase::Succeeded), "{run:#?}");
        let (log, line) = (log_lines(&world, &run).await, "the project ops is not checked before the build: ");
        assert!(log.iter().any(|text| text.strip_prefix(line).is_some_and(|text| text.starts_with(why))), "{log:#?}");
    };
    world.registry.deny(Some("project:read"));
    let may_not = format!("robot may not read the project in the Harbor registry {registry}: 403 Forbidden forbidden");
    told(&format!("{may_not}; give the robot account the permission project:read in this project")).await;
    world.registry.deny(Some("quota:read"));
    let no_quota =
        format!("the Harbor registry {registry} shows no quota of it; if it has one, give the robot account");
    told(&format!("{no_quota} the permission quota:read in this project")).await;
    world.registry.deny(None);
    world.registry.fail(Step::ApiProject, Fault::Status(401), 1);
    told(&format!("the Harbor registry {registry} does not accept the login of robot: 401 Unauthorized")).await;
    world.registry.fail(Step::ApiProject, Fault::Status(503), 1);
    told(&format!("the Harbor registry {registry} is unreachable: 503 Service Unavailable")).await;
    world.registry.fail(Step::ApiSummary, Fault::CutAfter(0), 1);
    told(&format!("the Harbor registry {registry} is unreachable: ")).await;
    world.registry.fail(Step::ApiSummary, Fault::Words(200, "[]".to_owned()), 1);
    told("the summary of it cannot be read: ").await;
    world.registry.be_no_harbor();
    told(&format!("the registry {registry} is not a Harbor; leave out kind = \"harbor\" of [[registry]]")).await;
}

#[tokio::test]
async fn an_immutable_tag_that_exists_is_told_before_the_build_and_no_other_is() {
    let world = in_harbor().await;
    let image = world.registry.image("ops/shop");
    world.registry.publish("ops/shop", "1.4.0", "by another hand");
    world.registry.publish("ops/shop", "2.0.0", "by another hand");
    world.registry.make_immutable("ops", "**", "1.*");
    world.registry.make_immutable("other", "**", "**");
    code(&world).tag("push-1.4.0", "main");
    let run = ended(&world, "push-1.4.0").await;
    let told = format!("the tag 1.4.0 of {image} exists and is immutable, so the push would be refused");
    assert_eq!((run.phase, phase(&run, StageKind::Build), &*run.message), (Phase::Failed, Phase::Failed, &*told));
    let rule = "under Policy, Tag Immutability: tags matching \"1.*\" of repositories matching \"**\"";
    assert_eq!(run.hint, format!("push another version, or change the rule in the project ops in Harbor {rule}"));
    assert_eq!(world.engine.builds().len(), 0, "nothing was built");

    // A tag that is not there; it once more, which pushes nothing; and one that may be overwritten.
    code(&world).tag("push-1.5.0", "main");
    let new = ended(&world, "push-1.5.0").await;
    assert_eq!(new.phase, Phase::Succeeded, "{new:#?}");
    let again = retried(&world, &new).await;
    assert_eq!((again.phase, phase(&again, StageKind::Push)), (Phase::Succeeded, Phase::Skipped), "{again:#?}");
    code(&world).tag("push-2.0.0", "main");
    assert_eq!(ended(&world, "push-2.0.0").await.phase, Phase::Succeeded);
    world.registry.make_mutable();
    assert_eq!(retried(&world, &run).await.phase, Phase::Succeeded);
}

#[tokio::test]
async fn rules_that_cannot_be_read_are_skipped_in_the_log_and_the_push_tells_what_they_hold() {
    let world = in_harbor().await;
    let registry = world.registry.address().to_owned();
    world.registry.publish("ops/shop", "1.4.0", "by another hand");
    world.registry.make_immutable("ops", "shop", "**");
    world.registry.deny(Some("immutable-tag:list"));
    code(&world).tag("push-1.4.0", "main");
    let run = ended(&world, "push-1.4.0").await;
    assert_eq!((run.phase, phase(&run, StageKind::Push)), (Phase::Failed, Phase::Failed), "{run:#?}");
    assert!(run.message.ends_with("'shop:1.4.0' configured as immutable."), "{}", run.message);
    let hint = "the tag exists and is immutable: push another version, or change the rule of the registry";
    assert_eq!(run.hint, hint);
    let log = log_lines(&world, &run).await;
    let told = format!(
        "the immutable tag rules of the project ops are not checked before the build: robot may not list the immutable tag rules in the \
         Harbor registry {registry}: 403 Forbidden forbidden; give the robot account the permission immutable-tag:list in this project"
    );
    assert!(log.contains(&told), "{log:#?}");

    for (fault, why) in [
        (Fault::Status(503), format!("the Harbor registry {registry} is unreachable: 503 Service Unavailable")),
        (Fault::Words(200, "{}".to_owned()), "they cannot be read: ".to_owned()),
    ] {
        world.registry.deny(None);
        world.registry.fail(Step::ApiRules, fault, 1);
        let again = retried(&world, &run).await;
        assert_eq!((again.phase, phase(&again, StageKind::Push)), (Phase::Failed, Phase::Failed), "{again:#?}");
        let (log, line) = (
            log_lines(&world, &again).await,
            "the immutable tag rules of the project ops are not checked before the build: ",
        );
        assert!(log.iter().any(|text| text.strip_prefix(line).is_some_and(|text| text.starts_with(&why))), "{log:#?}");
    }

    // A registry whose API nobody asks tells it at the push, in whatever words.
    let mut head = world.config_head("a test");
    head.push_str(&world.application("shop", ""));
    world.configure(&head).unwrap();
    super::tested::reconfigure(&world, "").await;
    world.registry.be_no_harbor();
    let again = retried(&world, &run).await;
    assert_eq!((again.phase, &*again.hint), (Phase::Failed, hint), "{again:#?}");
    let log = log_lines(&world, &again).await;
    assert!(!log.iter().any(|line| line.contains("immutable tag rules")), "{log:#?}");
}

#[tokio::test]
async fn what_a_run_pushed_before_it_failed_is_not_in_the_way_of_its_retry() {
    let mut world = shop().await;
    world.registry.be_harbor(&[]);
    world.registry.make_immutable("ops", "**", "**");
    let head = world.config_head("a test").replace("[[registry]]\n", "[[registry]]\nkind = \"harbor\"\n");
    let second = format!("[[application.image]]\nname = \"{}\"\n", world.registry.image("ops/shop-worker"));
    world.configure(&(head + &world.application("shop", &second))).unwrap();
    world.start_agent().await.unwrap();
    // The second image is refused once its first is there.
    let pushed = |world: &World| world.registry.tags("ops/shop") == ["1.4.0"];
    world.registry.fail(Step::ManifestPut, Fault::Slow(std::time::Duration::ZERO), 1);
    world.registry.fail(Step::ManifestPut, Fault::Status(403), 1);
    code(&world).tag("push-1.4.0", "main");
    let run = ended(&world, "push-1.4.0").await;
    assert_eq!((run.phase, pushed(&world)), (Phase::Failed, true), "{run:#?}");
    let run = retried(&world, &run).await;
    assert_eq!(run.phase, Phase::Succeeded, "{run:#?}");
    assert_eq!((world.registry.tags("ops/shop-worker"), world.engine.builds().len()), (vec!["1.4.0".to_owned()], 2));
}

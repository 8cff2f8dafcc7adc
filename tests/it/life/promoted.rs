//! Images are written into a source of an environment: a chart of one repository, and values of another that promotions change.

use harness::helm;
use harness::world::runs;
use quarterdeck_shared::event::{Event, EventRecord};
use quarterdeck_shared::protocol::Accepted;
use quarterdeck_shared::routes;
use quarterdeck_shared::snapshot::{FollowState, FollowedImage};
use quarterdeck_shared::status::Phase;
use serde_json::json;

use super::*;

/// The environments, each with its values in `teams/NAME.yaml` of the source.
const BOTH: [&str; 2] = ["qa", "prod"];

fn values(world: &World) -> Repo {
    world.forge.repo("ops/values")
}

/// A world whose shop is one chart with two environments, whose values are in a source and name this image; the agent does not run.
async fn shared_chart(image: &str, application: impl Fn(&World) -> String) -> World {
    let mut world = world().await;
    let pod =
        "apiVersion: v1\nkind: Pod\nmetadata: { name: a }\nspec: { containers: [{ name: a, image: \"@VALUE@\" }] }\n";
    let about = "apiVersion: v2\nname: shop\nversion: 1.0.0\n";
    let chart = [("charts/shop/Chart.yaml", about), ("charts/shop/templates/a.yaml", pod)];
    deploy(&world).commit("main", &chart, "A chart");
    let text = format!("image: {}:0.0.0\n", world.image(image));
    let files = BOTH.map(|name| (format!("teams/{name}.yaml"), text.clone()));
    values(&world).commit("main", &borrowed(&files), "Values");
    let repository = |name: &str| world.forge.path(name).display().to_string();
    let environment = |name: &&str| {
        format!(
            "[[application.environment]]\nname = \"{name}\"\nrepository = \"{deploy}\"\nbranch = \"main\"\npath = \"charts/shop\"\n\
             cluster = \"demo\"\nnamespace = \"{name}\"\ncreate_namespace = true\n\
             [[application.environment.source]]\nname = \"values\"\nrepository = \"{values}\"\npath = \"teams\"\n\
             [application.environment.helm]\nvalues_files = [\"$values/{name}.yaml\"]\n",
            deploy = repository("ops/deploy"),
            values = repository("ops/values"),
        )
    };
    let environments: String = BOTH.iter().map(environment).collect();
    let application = application(&world);
    let text =
        format!("{}\n[[application]]\nname = \"shop\"\n{application}{environments}", world.config_head("a test"));
    world.configure(&text).unwrap();
    let path = helm::install(&world.path("")).unwrap();
    world.set("PATH", path);
    world
}

/// Waits until an environment runs this image and no other, and nothing is under way.
async fn shows(world: &World, environment: &str, image: &str) -> EnvironmentStatus {
    let is_it = |state: &State| {
        state.objects.values().find_map(|object| match object {
            Object::Environment(one)
                if one.environment.environment.as_str() == environment
                    && one.sync == SyncStatus::Synced
                    && one.progress.is_none()
                    && one.images == [image.to_owned()] =>
            {
                Some((**one).clone())
            }
            _ => None,
        })
    };
    world.wait(&format!("{environment} to run {image}"), is_it).await.unwrap()
}

async fn act(world: &World, what: &str, body: serde_json::Value) {
    world.client().post::<Accepted>(&format!("/v1/environments/shop/prod/{what}"), &body).await.unwrap();
}

fn names(world: &World, environment: &str) -> String {
    values(world).file("main", &format!("teams/{environment}.yaml"))
}

#[tokio::test]
async fn a_build_is_promoted_into_the_values_of_each_environment_once() {
    let mut world = shared_chart("ops/shop", |world| {
        let (image, code) = (world.image("ops/shop"), world.forge.path("ops/shop").display().to_string());
        format!("[application.code]\nrepository = \"{code}\"\n[[application.image]]\nname = \"{image}\"\n")
    })
    .await;
    code(&world).commit("main", &borrowed(&world::code("shop", "1.4.0")), "A shop");
    world.start_agent().await.unwrap();
    polled_twice(&world).await;

    // Someone else pushes while the first promotion is on its way: it is decided anew, on top of that.
    let gate = world.path("gate");
    std::fs::write(&gate, "").unwrap();
    let wait = format!("touch '{0}.met'; while [ -e '{0}' ]; do sleep 0.05; done", gate.display());
    values(&world).hook("pre-receive", &wait);
    let own = deploy(&world).rev("main");
    code(&world).tag("push-1.4.0", "main");
    while !gate.with_extension("met").exists() {
        tokio::task::yield_now().await;
    }
    values(&world).commit("main", &[("README.md", "of a colleague")], "A colleague");
    std::fs::remove_file(&gate).unwrap();
    let ended = |tag: &'static str| move |run: &RunStatus| run.reference == tag && run.phase.is_final();
    let run = world.wait_run("the first run to end", ended("push-1.4.0")).await.unwrap();
    values(&world).remove_hook("pre-receive");
    assert_eq!(run.phase, Phase::Succeeded, "{}", run.message);
    assert_eq!(values(&world).subjects("main"), ["shop: 1.4.0", "shop: 1.4.0", "A colleague", "Values"]);
    assert_eq!(deploy(&world).rev("main"), own, "the environment's own repository is read alone");
    let first = format!("{}:1.4.0@{}", world.image("ops/shop"), harness::agent::digest(&run).unwrap());
    let mut told = format!("pushed {}:1.4.0", world.image("ops/shop"));
    for name in BOTH {
        assert_eq!(names(&world, name), format!("image: {first}\n"));
        let status = shows(&world, name, &first).await;
        let shown: Vec<String> = status.spec.sources.iter().map(|source| source.describe()).collect();
        assert_eq!(shown, [format!("values: {}, teams (promotions)", world.forge.path("ops/values").display())]);
        let commit = run.promoted.iter().find(|(one, _)| one.as_str() == name).unwrap().1;
        told += &format!("; {name}, promoted by {} of source values", commit.short());
        let log = values(&world).git(&["log", "-1", "--format=%B", commit.as_str()]);
        assert!(log.contains(&format!("Quarterdeck-Path: teams/{name}.yaml\n")), "{log}");
        let stage = run.stages.iter().find(|stage| stage.environment.as_ref().is_some_and(|one| one.as_str() == name));
        let words = format!("{} of source values names {first}", commit.short());
        assert!(stage.unwrap().message.starts_with(&words), "{stage:?}");
    }
    assert_eq!(run.message, told);
    let events: Vec<EventRecord> = world.client().get("/v1/events?limit=1000").await.unwrap();
    let is_named = |record: &&EventRecord| matches!(&record.event, Event::ImagePromoted { source: Some(source), .. } if source.as_str() == "values");
    assert_eq!(events.iter().filter(is_named).count(), 2);

    // The next version, and back from it: the pin is of both repositories.
    let commit = code(&world).commit("main", &[("app.txt", "1.5.0")], "More");
    code(&world).tag("push-1.5.0", &commit);
    let run = world.wait_run("the second run to end", ended("push-1.5.0")).await.unwrap();
    let second = format!("{}:1.5.0@{}", world.image("ops/shop"), harness::agent::digest(&run).unwrap());
    for name in BOTH {
        shows(&world, name, &second).await;
    }
    act(&world, "rollback", json!({ "reason": "a test" })).await;
    let status = shows(&world, "prod", &first).await;
    let short = status.revision.unwrap().short();
    assert!(short.starts_with(&format!("pin@{} values:pin@", &own[..7])), "{short}");
    shows(&world, "qa", &second).await;
    act(&world, "unpin", json!({})).await;
    shows(&world, "prod", &second).await;

    // A person takes it back in git: no machine writes it again, also after a restart.
    let before = names(&world, "qa").replace(&second, &first);
    values(&world).commit("main", &[("teams/qa.yaml", &before)], "Revert");
    shows(&world, "qa", &first).await;
    world.kill_agent();
    world.start_agent().await.unwrap();
    polled_twice(&world).await;
    shows(&world, "qa", &first).await;
    assert_eq!(values(&world).subjects("main").len(), 7, "{:?}", values(&world).subjects("main"));

    // What a person asks for is written again.
    world
        .client()
        .post::<Accepted>(&routes::PUSH.of(&"shop".parse().unwrap()), &json!({ "reference": "push-1.5.0" }))
        .await
        .unwrap();
    shows(&world, "qa", &second).await;
    assert_eq!(world.wait("the runs", |state| Some(runs(state).count())).await.unwrap(), 3);
}

fn followed(state: &State) -> Option<&FollowedImage> {
    state.objects.values().find_map(|object| if let Object::FollowedImage(one) = object { Some(&**one) } else { None })
}

#[tokio::test]
async fn an_image_that_is_followed_is_written_into_the_values_of_each_environment_and_a_revert_stays() {
    let mut world = shared_chart("vendor/podinfo", |world| {
        format!("[[application.follow_image]]\nimage = \"{}\"\nsemver = \"6.x\"\n", world.image("vendor/podinfo"))
    })
    .await;
    let image = world.image("vendor/podinfo");
    let first = format!("{image}:6.1.0@{}", world.registry.publish("vendor/podinfo", "6.1.0", "a"));
    world.start_agent().await.unwrap();
    for name in BOTH {
        shows(&world, name, &first).await;
    }
    let second = format!("{image}:6.2.0@{}", world.registry.publish("vendor/podinfo", "6.2.0", "b"));
    for name in BOTH {
        shows(&world, name, &second).await;
        assert_eq!(names(&world, name), format!("image: {second}\n"));
    }
    let bad = values(&world).git(&["log", "-1", "--format=%h", "--abbrev=7", "main", "--", "teams/prod.yaml"]);
    values(&world).commit("main", &[("teams/prod.yaml", &format!("image: {first}\n"))], "Revert");
    let held = format!("6.2.0 was promoted by {} and reverted", bad.trim());
    let is_held = |state: &State| {
        let one = followed(state)?.environments.iter().find(|(name, _)| name.as_str() == "prod")?.1;
        (one.state == FollowState::Held && one.message == held).then_some(())
    };
    world.wait("the revert to be seen", is_held).await.unwrap();
    shows(&world, "prod", &first).await;
    shows(&world, "qa", &second).await;
    let count = values(&world).subjects("main").len();
    assert_eq!((count, deploy(&world).subjects("main").len()), (6, 1));

    // A branch that takes no commit of the agent: what the forge says, of which repository.
    values(&world).hook("pre-receive", "echo 'values are frozen' >&2; exit 1");
    world.registry.publish("vendor/podinfo", "6.3.0", "c");
    let is_refused = |state: &State| {
        let one = followed(state)?.environments.iter().find(|(name, _)| name.as_str() == "qa")?.1;
        (one.state == FollowState::Failed).then(|| one.message.clone())
    };
    let message = world.wait("the refusal", is_refused).await.unwrap();
    assert!(message.contains("values are frozen") && message.contains("ops/values"), "{message}");
    assert_eq!(values(&world).subjects("main").len(), count);
}

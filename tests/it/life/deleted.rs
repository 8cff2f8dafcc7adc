//! Images that a registry deleted: they are marked where one chooses what to roll back to, and a registry that does not say is not
//! believed to have deleted any.

use std::collections::BTreeMap;

use harness::registry::{Fault, Step};
use quarterdeck_shared::protocol::{ImageAnswer, ImageState};
use quarterdeck_shared::status::Phase;
use serde_json::json;

use super::tested::ended;
use super::*;

/// A shop that was released twice; the commits of its releases.
async fn released() -> (World, [String; 2]) {
    let mut world = shop().await;
    world.start_agent().await.unwrap();
    let mut commits = Vec::new();
    for tag in ["1.4.0", "1.5.0"] {
        code(&world).commit("main", &[("app.txt", &*format!("{tag}\n"))], tag);
        code(&world).tag(&format!("push-{tag}"), "main");
        let run = ended(&world, &format!("push-{tag}")).await;
        assert_eq!(run.phase, Phase::Succeeded, "{run:#?}");
        let commit = deploy(&world).rev("main");
        synced_to(&world, &commit).await;
        commits.push(commit);
    }
    (world, commits.try_into().unwrap())
}

/// What registries say of the images of the releases, by their tags.
async fn images(world: &World) -> BTreeMap<String, ImageAnswer> {
    let answers: Vec<ImageAnswer> = world.client().get("/v1/environments/shop/images").await.unwrap();
    let tag = |answer: &ImageAnswer| answer.image.split('@').next().unwrap().rsplit(':').next().unwrap().to_owned();
    answers.into_iter().map(|answer| (tag(&answer), answer)).collect()
}

fn states(images: &BTreeMap<String, ImageAnswer>) -> [ImageState; 2] {
    ["1.4.0", "1.5.0"].map(|tag| images[tag].state)
}

#[tokio::test]
async fn a_deleted_image_is_marked_and_a_rollback_to_it_warns() {
    let (world, [first, _]) = released().await;
    assert_eq!(states(&images(&world).await), [ImageState::Present; 2]);
    let digest = world.registry.digest("ops/shop", "1.4.0").unwrap();
    let whole = ask(&world, "rollback", json!({ "to": first })).await;
    assert!(!whole.message.contains("warning"), "{}", whole.message);
    synced_to(&world, &first).await;
    let _: Accepted = world.client().post("/v1/environments/shop/unpin", &json!({})).await.unwrap();

    world.registry.withdraw("ops/shop", &digest);
    let images = images(&world).await;
    assert_eq!(states(&images), [ImageState::Missing, ImageState::Present], "{images:#?}");
    assert_eq!(images["1.4.0"].reason, "");
    let warned = ask(&world, "rollback", json!({ "to": first })).await;
    let image = &images["1.4.0"].image;
    let warning =
        format!("; warning: the registry does not have {image}; pods cannot start where a node has yet to pull it");
    assert!(warned.message.ends_with(&warning), "{}", warned.message);
    synced_to(&world, &first).await;
}

#[tokio::test]
async fn a_registry_that_does_not_say_deleted_nothing() {
    let (world, [first, second]) = released().await;
    let registry = world.registry.address().to_owned();
    let unknown = async |why: &str| {
        let images = images(&world).await;
        assert_eq!(states(&images), [ImageState::Unknown; 2], "{images:#?}");
        let reason = &images["1.4.0"].reason;
        assert!(reason.contains(why), "{reason}");
    };
    // Something that answers 404 to whatever it is asked, as a proxy with nothing behind it.
    let page = || Fault::Words(404, "<html>404 page not found</html>".to_owned());
    for step in [Step::ManifestHead, Step::ManifestGet, Step::Version] {
        world.registry.fail(step, page(), 1_000);
    }
    unknown(&format!("{registry} does not answer as a registry")).await;
    world.registry.heal();
    world.registry.fail(Step::ManifestHead, Fault::Status(403), 1_000);
    world.registry.fail(Step::ManifestGet, Fault::Status(403), 1_000);
    unknown("may not read").await;
    world.registry.heal();

    world.registry.away().await;
    unknown(&registry).await;
    let taken = ask(&world, "rollback", json!({ "to": first })).await;
    assert!(!taken.message.contains("warning"), "{}", taken.message);
    synced_to(&world, &first).await;
    world.registry.back().await.unwrap();
    assert_eq!(states(&images(&world).await), [ImageState::Present; 2]);
    let _: Accepted = world.client().post("/v1/environments/shop/unpin", &json!({})).await.unwrap();
    synced_to(&world, &second).await;
}

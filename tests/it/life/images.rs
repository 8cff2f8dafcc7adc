//! Images of others that an application follows: the newest that its policy wants runs, by a commit in git.

use harness::registry::{Fault, Step};
use quarterdeck_shared::event::{Cause, Event, EventRecord};
use quarterdeck_shared::snapshot::{FollowState, FollowedImage};

use super::*;

/// Where it is in the registry.
const IMAGE: &str = "vendor/podinfo";

/// A shop that follows an image of its registry so, in these environments; the agent does not run.
async fn following(policy: &str, environments: &[&str]) -> World {
    let world = world().await;
    for name in environments {
        let image = format!("{}:0.0.0", world.image(IMAGE));
        let files = world::manifests(name, &image);
        deploy(&world).commit("main", &borrowed(&files), "Manifests");
    }
    configure(&world, policy, environments);
    world
}

fn configure(world: &World, policy: &str, environments: &[&str]) {
    let repository = world.forge.path("ops/deploy").display().to_string();
    let environment = |name: &&str| {
        format!(
            "[[application.environment]]\nname = \"{name}\"\nrepository = \"{repository}\"\nbranch = \"main\"\npath = \"apps/{name}\"\n\
             cluster = \"demo\"\nnamespace = \"{name}\"\ncreate_namespace = true\n"
        )
    };
    let environments: String = environments.iter().map(environment).collect();
    let follow = format!("[[application.follow_image]]\nimage = \"{}\"\n{policy}\n", world.image(IMAGE));
    let application = format!("\n[[application]]\nname = \"shop\"\n{environments}{follow}");
    world.configure(&(world.config_head("a test") + &application)).unwrap();
}

fn followed(state: &State) -> Option<&FollowedImage> {
    state.objects.values().find_map(|object| if let Object::FollowedImage(one) = object { Some(&**one) } else { None })
}

async fn wait(world: &World, what: &str, is_it: impl Fn(&FollowedImage) -> bool) -> FollowedImage {
    world.wait(what, |state| followed(state).filter(|one| is_it(one)).cloned()).await.unwrap()
}

/// Waits until an environment runs this image and no other.
async fn runs(world: &World, environment: &str, tag: &str, digest: &str) {
    let image = format!("{}:{tag}@{digest}", world.image(IMAGE));
    let is_it = |state: &State| {
        let is_it = |object: &Object| {
            matches!(object, Object::Environment(one) if one.environment.environment.as_str() == environment
                && one.sync == SyncStatus::Synced && one.images == [image.clone()])
        };
        state.objects.values().any(is_it).then_some(())
    };
    world.wait(&format!("{environment} to run {image}"), is_it).await.unwrap();
}

fn commits(world: &World) -> usize {
    deploy(world).git(&["rev-list", "--count", "main"]).trim().parse().unwrap()
}

#[tokio::test]
async fn the_newest_of_the_range_runs_and_a_revert_stays() {
    let mut world = following("semver = \">=6 <7\"", &["prod"]).await;
    for (tag, text) in [("6.1.0", "a"), ("6.2.0", "b"), ("7.0.0", "c"), ("latest", "d"), ("6.3.0-rc.1", "e")] {
        world.registry.publish(IMAGE, tag, text);
    }
    world.start_agent().await.unwrap();
    let digest = world.registry.digest(IMAGE, "6.2.0").unwrap();
    runs(&world, "prod", "6.2.0", &digest).await;
    let log = deploy(&world).git(&["log", "-1", "--format=%B", "main"]);
    let trailer = format!("Quarterdeck-Image: {}:6.2.0@{digest}", world.image(IMAGE));
    assert!(log.contains(&trailer) && log.contains("Quarterdeck-Follows: semver >=6 <7"), "{log}");
    assert!(!log.contains("Source"), "no code was built: {log}");
    let events: Vec<EventRecord> = world.client().get("/v1/events?limit=100").await.unwrap();
    let promoted = events.iter().find(|record| matches!(record.event, Event::ImagePromoted { .. })).unwrap();
    assert_eq!(promoted.cause, Cause::ImageTag { image: world.image(IMAGE), tag: "6.2.0".to_owned() });

    let digest = world.registry.publish(IMAGE, "6.10.0", "f");
    runs(&world, "prod", "6.10.0", &digest).await;

    // A person takes it back: it stays so, also for the next life of the agent.
    let bad = deploy(&world).rev("main");
    let before = world.registry.digest(IMAGE, "6.2.0").unwrap();
    let file = "apps/prod/deployment.yaml";
    let old = deploy(&world).file("main~1", file);
    deploy(&world).commit("main", &[(file, &old)], "Revert");
    runs(&world, "prod", "6.2.0", &before).await;
    let held = format!("6.10.0 was promoted by {} and reverted", &bad[..7]);
    let is_held = |one: &FollowedImage| one.environments.values().any(|one| one.message == held);
    let one = wait(&world, "the revert to be seen", is_held).await;
    assert_eq!(one.environments.values().next().unwrap().state, FollowState::Held);
    let count = commits(&world);
    world.kill_agent();
    world.start_agent().await.unwrap();
    wait(&world, "the revert to be seen again", is_held).await;
    assert_eq!(commits(&world), count);

    let digest = world.registry.publish(IMAGE, "6.10.1", "g");
    runs(&world, "prod", "6.10.1", &digest).await;

    // What the registry does not list any more goes back by no machine.
    world.registry.withdraw(IMAGE, "6.10.1");
    let older = |one: &FollowedImage| {
        one.environments.values().any(|one| one.message.starts_with("6.10.0 is older than 6.10.1, promoted by"))
    };
    wait(&world, "the older one to be held", older).await;
    runs(&world, "prod", "6.10.1", &digest).await;
}

#[tokio::test]
async fn a_tag_that_moves_is_followed_by_its_digest_and_back() {
    let mut world = following("tag = \"stable\"", &["prod"]).await;
    let first = world.registry.publish(IMAGE, "stable", "a");
    world.start_agent().await.unwrap();
    runs(&world, "prod", "stable", &first).await;
    let second = world.registry.publish(IMAGE, "stable", "b");
    runs(&world, "prod", "stable", &second).await;
    assert_eq!(world.registry.publish(IMAGE, "stable", "a"), first);
    runs(&world, "prod", "stable", &first).await;
}

#[tokio::test]
async fn only_the_environments_that_are_named_have_it_and_a_reload_changes_the_policy() {
    let mut world = following("newest = \"main-*\"\nenvironments = [\"qa\"]", &["qa", "prod"]).await;
    for tag in ["main-9", "main-10", "dev-11"] {
        world.registry.publish(IMAGE, tag, tag);
    }
    world.start_agent().await.unwrap();
    let digest = world.registry.digest(IMAGE, "main-10").unwrap();
    runs(&world, "qa", "main-10", &digest).await;
    let one = wait(&world, "its state", |one| one.environments.len() == 1).await;
    assert_eq!(one.policy, "newest main-*");
    let prod = deploy(&world).file("main", "apps/prod/deployment.yaml");
    assert!(prod.contains(":0.0.0"), "{prod}");

    configure(&world, "newest = \"dev-*\"\nenvironments = [\"qa\", \"prod\"]", &["qa", "prod"]);
    world.reload_agent();
    let digest = world.registry.digest(IMAGE, "dev-11").unwrap();
    runs(&world, "prod", "dev-11", &digest).await;
    runs(&world, "qa", "dev-11", &digest).await;

    // What is followed no more is not shown.
    let files =
        world.config_head("a test") + &application("shop", &world.forge.path("ops/deploy").display().to_string(), "");
    world.configure(&files).unwrap();
    world.reload_agent();
    world.wait("the image to go", |state| followed(state).is_none().then_some(())).await.unwrap();
}

#[tokio::test]
async fn a_registry_in_trouble_is_named_and_what_runs_stays() {
    let mut world = following("semver = \"6.x\"", &["prod"]).await;
    let first = world.registry.publish(IMAGE, "6.1.0", "a");
    world.start_agent().await.unwrap();
    runs(&world, "prod", "6.1.0", &first).await;
    // At rest an interval is one request: the tags.
    let rest =
        wait(&world, "a moment of rest", |one| one.environments.values().any(|one| one.message == "6.1.0")).await;
    let (tags, heads) = (world.registry.count(Step::Tags), world.registry.count(Step::ManifestHead));
    let later = wait(&world, "the next interval", |one| one.checked > rest.checked).await;
    wait(&world, "one more", |one| one.checked > later.checked).await;
    assert!(world.registry.count(Step::Tags) > tags + 1);
    assert_eq!(world.registry.count(Step::ManifestHead), heads);

    let count = commits(&world);
    world.registry.away().await;
    let is_away = |one: &FollowedImage| one.error.as_deref().is_some_and(|error| error.contains("is unreachable"));
    let one = wait(&world, "the registry to be missed", is_away).await;
    assert_eq!((one.tag.as_deref(), commits(&world)), (Some("6.1.0"), count));
    world.registry.back().await.unwrap();
    wait(&world, "it to be good again", |one| one.error.is_none()).await;

    world.registry.fail(Step::Tags, Fault::Status(429), u32::MAX);
    wait(&world, "the limit", |one| one.error.as_deref().is_some_and(|error| error.contains("limits requests"))).await;
    world.registry.heal();
    let second = world.registry.publish(IMAGE, "6.2.0", "b");
    runs(&world, "prod", "6.2.0", &second).await;

    // One that asks for a pause gets it: by the clock of its polls many intervals go by without a question.
    world.registry.fail(Step::Tags, Fault::Busy(7_200), u32::MAX);
    let one = wait(&world, "the pause", |one| one.hint.contains("wait 900 s")).await;
    assert!(one.error.is_some_and(|error| error.contains("limits requests")));
    let asked = world.registry.count(Step::Tags);
    polled_twice(&world).await;
    polled_twice(&world).await;
    assert_eq!(world.registry.count(Step::Tags), asked);
    world.registry.heal();
    world.kill_agent();
    world.start_agent().await.unwrap();
    wait(&world, "the next life to ask", |one| one.checked.is_some() && one.error.is_none()).await;

    // The manifests do not name it: which, and nothing is written.
    let other = deploy(&world).file("main", "apps/prod/deployment.yaml").replace(IMAGE, "vendor/other");
    deploy(&world).commit("main", &[("apps/prod/deployment.yaml", &other)], "Another image");
    let nowhere = |one: &FollowedImage| one.problem().is_some_and(|(why, _)| why.contains("names the image"));
    wait(&world, "that it is named nowhere", nowhere).await;
}

/// Waits for two more answers of the registry.
async fn two_intervals(world: &World) {
    let before = wait(world, "an answer", |one| one.checked.is_some()).await;
    let later = wait(world, "the next interval", |one| one.checked > before.checked).await;
    wait(world, "one more", |one| one.checked > later.checked).await;
}

/// Nothing is synced by itself: no pod asks the registry beside the agent.
const CREATED: &str = "newest_created = \"main-*\"\n[application.environment.sync]\nautomatic = false";

/// Waits until the manifests of the shop name this image, and the agent saw that.
async fn names(world: &World, tag: &str, digest: &str) {
    let is_it = |one: &FollowedImage| one.environments.values().any(|one| one.message == tag);
    wait(world, &format!("{tag} to be named"), is_it).await;
    let text = deploy(world).file("main", "apps/prod/deployment.yaml");
    assert!(text.contains(&format!("{IMAGE}:{tag}@{digest}")), "{text}");
}

#[tokio::test]
async fn the_image_that_was_created_last_runs_whatever_it_is_called() {
    let mut world = following(CREATED, &["prod"]).await;
    for (tag, hour) in [("main-c3", "09"), ("main-0f", "11"), ("main-b7", "10"), ("dev-1", "12")] {
        world.registry.publish_created(IMAGE, tag, &format!("2026-10-05T{hour}:00:00Z"));
    }
    // One that says no time is not wanted.
    world.registry.publish(IMAGE, "main-none", "a");
    world.start_agent().await.unwrap();
    let digest = world.registry.digest(IMAGE, "main-0f").unwrap();
    names(&world, "main-0f", &digest).await;
    let log = deploy(&world).git(&["log", "-1", "--format=%B", "main"]);
    assert!(log.contains("Quarterdeck-Follows: newest created main-*"), "{log}");

    // An interval without news is the list alone; with a new tag, what that one is.
    let read = |world: &World| [Step::ManifestGet, Step::BlobGet].map(|step| world.registry.count(step));
    let before = read(&world);
    let lists = world.registry.count(Step::Tags);
    two_intervals(&world).await;
    assert!(world.registry.count(Step::Tags) > lists + 1);
    assert_eq!(read(&world), before);
    let digest = world.registry.publish_created(IMAGE, "main-aa", "2026-10-05T11:30:00Z");
    names(&world, "main-aa", &digest).await;
    assert_eq!(read(&world), [before[0] + 2, before[1] + 1], "an index, an image of it and its configuration");

    // An older one that is built late is not newer; and nothing goes back where the registry lists the newest no more.
    world.registry.publish_created(IMAGE, "main-zz", "2026-10-05T08:00:00Z");
    two_intervals(&world).await;
    assert_eq!(read(&world), [before[0] + 4, before[1] + 2]);
    names(&world, "main-aa", &digest).await;
    let count = commits(&world);
    world.registry.withdraw(IMAGE, "main-aa");
    let older = |one: &FollowedImage| {
        one.environments.values().any(|one| one.message.starts_with("main-0f is older than main-aa, promoted by"))
    };
    wait(&world, "the older one to be held", older).await;
    assert_eq!(commits(&world), count);

    // More than are read: which bound, and what to do; what runs stays.
    for number in 0..200 {
        world.registry.publish(IMAGE, &format!("main-{number:04}"), "many");
    }
    let many =
        |one: &FollowedImage| one.error.as_deref() == Some("205 tags match, and the creation of at most 200 is read");
    let one = wait(&world, "too many tags", many).await;
    assert_eq!(one.hint, "narrow the pattern of newest_created, or delete old tags in the registry");
    assert_eq!(commits(&world), count);
}

#[tokio::test]
async fn a_registry_that_knows_its_list_again_does_not_send_it_again() {
    let mut world = following("semver = \"6.x\"", &["prod"]).await;
    world.registry.publish(IMAGE, "6.1.0", "a");
    let digest = world.registry.publish(IMAGE, "6.2.0", "b");
    world.start_agent().await.unwrap();
    runs(&world, "prod", "6.2.0", &digest).await;
    two_intervals(&world).await;
    assert_eq!(world.registry.unchanged(), 0, "this one sends no ETag");

    world.registry.know_lists_again();
    wait(&world, "the list to be known again", |_| world.registry.unchanged() > 1).await;
    let heads = world.registry.count(Step::ManifestHead);
    two_intervals(&world).await;
    assert_eq!(world.registry.count(Step::ManifestHead), heads);
    let digest = world.registry.publish(IMAGE, "6.3.0", "c");
    runs(&world, "prod", "6.3.0", &digest).await;

    // A new tag behind a page that is full and stays as it is.
    world.registry.page_tags_by(3);
    let before = world.registry.unchanged();
    wait(&world, "the full page to be known again", |_| world.registry.unchanged() > before).await;
    let digest = world.registry.publish(IMAGE, "6.4.0", "d");
    runs(&world, "prod", "6.4.0", &digest).await;
}

//! What nobody needs any more goes from the machine's disk, and nothing else does.

use std::collections::BTreeMap;

use quarterdeck_shared::event::{Cause, Event, EventRecord};
use quarterdeck_shared::protocol::{Check, GcAnswer, GcItem, GcKind};
use quarterdeck_shared::status::Phase;

use super::*;

/// A shop of which every branch is built, and nothing is kept that nobody needs but the newest commit.
fn configure(world: &World, more: &str) {
    let application = world.application("shop", more);
    let application = application.replacen("[[application.image]]", "branches = ['*']\n[[application.image]]", 1);
    let head = world.config_head("a test") + "\n[gc]\nautomatic = false\nimages = 1\ndays = 0\n";
    world.configure(&(head + &application)).unwrap();
}

async fn ended(world: &World, reference: &str, commit: &str) -> RunStatus {
    let is_it = |run: &RunStatus| run.reference == reference && run.commit.as_str() == commit && run.phase.is_final();
    world.wait_run(&format!("the end of {reference}"), is_it).await.unwrap()
}

async fn looked(world: &World) -> GcAnswer {
    world.client().get("/v1/gc").await.unwrap()
}

/// By commit why its image stays, in order of the commits given; `-` where nobody needs it, nothing where it is gone.
async fn kept(world: &World, commits: &[&String]) -> Vec<Option<String>> {
    let items = looked(world).await.items.into_iter().filter(|item| item.kind == GcKind::Image);
    let items: BTreeMap<String, GcItem> = items.map(|item| (item.commit.as_ref().unwrap().to_string(), item)).collect();
    let why = |item: &GcItem| item.kept.clone().unwrap_or_else(|| "-".to_owned());
    commits.iter().map(|commit| items.get(*commit).map(why)).collect()
}

async fn cleaned(world: &World) -> (u64, u64) {
    let cleaned = |record: &EventRecord| match record.event {
        Event::Cleaned { images, mirrors, .. } if matches!(record.cause, Cause::Person { .. }) => {
            Some((images, mirrors))
        }
        _ => None,
    };
    let events = async || world.client().get::<Vec<EventRecord>>("/v1/events?limit=1000").await.unwrap();
    let before = events().await.iter().filter_map(cleaned).count();
    let _: Accepted = world.client().post("/v1/gc/delete", &serde_json::json!({})).await.unwrap();
    loop {
        let found: Vec<_> = events().await.iter().filter_map(cleaned).collect();
        if found.len() > before {
            return found[0];
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn images_that_nobody_needs_go_and_what_runs_or_ran_before_stays() {
    let mut world = shop().await;
    configure(&world, "");
    world.start_agent().await.unwrap();
    let mut commits = Vec::new();
    for version in ["1", "2", "3"] {
        let commit = code(&world).commit("main", &[("app.txt", version)], version);
        code(&world).tag(&format!("push-{version}"), "main");
        assert_eq!(ended(&world, &format!("push-{version}"), &commit).await.phase, Phase::Succeeded);
        let is_there = |app: &EnvironmentStatus| {
            app.sync == SyncStatus::Synced && app.images.iter().any(|image| image.contains(&format!(":{version}@")))
        };
        world.wait_for("the version to be deployed", "shop", is_there).await.unwrap();
        commits.push(commit);
    }
    for text in ["a", "b", "c"] {
        let commit = code(&world).commit("main", &[("app.txt", text)], text);
        ended(&world, "main", &commit).await;
        commits.push(commit);
    }
    let commits: Vec<&String> = commits.iter().collect();
    let of_b = world.engine.builds_labelled("org.opencontainers.image.revision", commits[4]);
    world.engine.name(&of_b[0].tags[0], "mine:1");

    let deployed = Some("an environment runs it, or ran it before".to_owned());
    let newest = Some("it is one of the newest".to_owned());
    let named = Some("it is also named mine:1".to_owned());
    let (unneeded, gone) = (Some("-".to_owned()), None);
    let others = [deployed.clone(), deployed, unneeded.clone(), named, newest];
    assert_eq!(kept(&world, &commits).await, [&[unneeded], &others[..]].concat());
    assert_eq!(cleaned(&world).await, (2, 0));
    let [first, second, _, mine, last] = others;
    assert_eq!(kept(&world, &commits).await, [gone.clone(), first, second, gone, mine, last]);

    // It is pushed already, and a commit that is not is built again.
    for commit in [commits[0], commits[3]] {
        let tag = format!("push-again-{}", &commit[..7]);
        code(&world).tag(&tag, commit);
        assert_eq!(ended(&world, &tag, commit).await.phase, Phase::Succeeded);
    }
}

#[tokio::test]
async fn a_mirror_goes_with_its_repository_and_an_engine_that_is_away_is_told() {
    let mut world = shop().await;
    let other = world.application("other", "").replace("ops/shop", "ops/other");
    let repo = world.forge.repo("ops/other");
    repo.commit("main", &borrowed(&world::code("other", "1")), "Another");
    configure(&world, &other);
    world.start_agent().await.unwrap();
    let polled = |state: &State| repositories(state).iter().filter(|one| one.polled.is_some()).count() == 3;
    world.wait("the first polls", |state| polled(state).then_some(())).await.unwrap();
    let mirrors =
        async || looked(&world).await.items.into_iter().filter(|item| item.kind == GcKind::Mirror).collect::<Vec<_>>();
    assert_eq!(mirrors().await.iter().filter(|mirror| mirror.kept.is_some()).count(), 3);

    configure(&world, "");
    world.reload_agent();
    while mirrors().await.iter().filter(|mirror| mirror.kept.is_some()).count() != 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(cleaned(&world).await, (0, 1));
    assert_eq!(mirrors().await.len(), 2);

    world.engine.away().await;
    let problems: Vec<Check> = looked(&world).await.problems;
    assert_eq!(problems.iter().map(|problem| &*problem.name).collect::<Vec<_>>(), ["engine"]);
    assert_eq!(mirrors().await.len(), 2);
}

//! What nobody needs goes from the disk of a real engine, and the engine itself keeps what a container uses.

use quarterdeck_shared::event::{Event, EventRecord};
use quarterdeck_shared::protocol::{Accepted, GcAnswer, GcItem, GcKind};

use super::*;

#[tokio::test]
async fn an_engine_keeps_what_a_container_uses_and_loses_what_nobody_needs() -> anyhow::Result<()> {
    story(async |town| {
        let config = town.config() + "\n[gc]\nautomatic = false\nimages = 1\ndays = 0\n";
        town.agent.configure(&config)?;
        let container = format!("user-of-{}", town.name);
        let told = cleaned(town, &container).await;
        let removed = town.parts.docker(&["rm", "--force", &container]).map(drop);
        told.and(removed)
    })
    .await
}

async fn cleaned(town: &mut Town, container: &str) -> anyhow::Result<()> {
    town.agent.start_agent().await?;
    let mut built = Vec::new();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        town.shop.commit(&borrowed(&code(version, 0)), version)?;
        town.shop.tag(&format!("build-{version}"))?;
        let run = town.run(&format!("build-{version}")).await?;
        built.push((run.commit.to_string(), format!("{}:{version}", town.image)));
    }
    town.parts.docker(&["create", "--name", container, &built[0].1])?;
    let ours = async |town: &Town| -> anyhow::Result<Vec<GcItem>> {
        let answer: GcAnswer = town.agent.client().get("/v1/gc").await?;
        ensure!(answer.problems.is_empty(), "{:?}", answer.problems);
        let is_ours = |item: &GcItem| item.kind == GcKind::Image && item.name.starts_with(&town.image);
        Ok(answer.items.into_iter().filter(is_ours).collect())
    };
    let before = ours(town).await?;
    let unneeded: Vec<_> = before.iter().filter(|item| item.kept.is_none()).map(|item| item.name.clone()).collect();
    ensure!(unneeded == [built[0].1.clone(), built[1].1.clone()], "the newest stays: {before:#?}");

    let _: Accepted = town.agent.client().post("/v1/gc/delete", &serde_json::json!({})).await?;
    let deleted = loop {
        let events: Vec<EventRecord> = town.agent.client().get("/v1/events?limit=100").await?;
        let cleaned = |record: &EventRecord| match record.event {
            Event::Cleaned { images, .. } => Some(images),
            _ => None,
        };
        if let Some(images) = events.iter().find_map(cleaned) {
            break images;
        }
        tokio::task::yield_now().await;
    };
    // What lost its name in another story may have gone with it.
    ensure!(deleted >= 1, "{deleted} images were deleted");
    let names: Vec<_> = ours(town).await?.into_iter().map(|item| item.name).collect();
    ensure!(names == [built[0].1.clone(), built[2].1.clone()], "what is left: {names:?}");
    Ok(())
}

//! A rollback needs no forge: what was mirrored is enough.

use anyhow::ensure;
use harness::real::{said, world};
use quarterdeck_shared::protocol::{Accepted, RollbackRequest};

use super::*;
use crate::story_alone;

#[tokio::test]
async fn a_rollback_works_while_the_forge_is_away() -> anyhow::Result<()> {
    story_alone(async |town| {
        let files =
            |value: &str| [file("deployment", deployment(&town.parts, "")), file("config", config("shop", value))];
        let (one, two, three) = (files("one"), files("two"), files("three"));
        let first = begin(town, &one).await?;
        let second = commit(town, &two, "Two")?;
        town.healthy("the second state", &second).await?;

        said(world("stop").arg("forge"))?;
        let manifests = town.deploy_name();
        let missed = |state: &State| crate::git::repository(state, &manifests)?.error.clone();
        let error = town.agent.wait("the forge to be missed", missed).await?;
        ensure!(error.contains("refused"), "the forge's absence is told as {error:?}");
        let request = RollbackRequest { to: Some(first.clone()), reason: "two was bad".to_owned() };
        let taken: Accepted = town.agent.client().post("/v1/environments/shop/rollback", &request).await?;
        ensure!(taken.revision.is_some_and(|revision| revision.commit.as_str() == first), "it goes elsewhere");
        let app = town.healthy("the rollback", &first).await?;
        ensure!(app.pin.is_some(), "a rollback pins");
        ensure!(field(town, "configmap/shop", ".data.value")? == "one", "the first state is not there");
        ensure!(town.agent.wait("the forge", missed).await.is_ok(), "the forge was there meanwhile");

        said(world("start").arg("forge"))?;
        town.agent.wait("the forge to be found again", |state| missed(state).is_none().then_some(())).await?;
        let third = commit(town, &three, "Three, for later")?;
        let polled = |state: &State| crate::git::repository(state, &manifests)?.polled;
        let pushed = jiff::Timestamp::now();
        town.agent.wait("a poll after it", |state| polled(state).filter(|at| *at > pushed)).await?;
        ensure!(field(town, "configmap/shop", ".data.value")? == "one", "the pin does not hold");
        let _: Accepted = town.agent.client().post_empty("/v1/environments/shop/unpin").await?;
        town.healthy("the newest state", &third).await?;
        ensure!(field(town, "configmap/shop", ".data.value")? == "three", "the third state is not there");
        Ok(())
    })
    .await
}

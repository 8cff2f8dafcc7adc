//! A rollback needs no forge: what was mirrored is enough.

use std::sync::Arc;

use anyhow::ensure;
use harness::real::Way;
use quarterdeck_shared::protocol::{Accepted, RollbackRequest};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;

#[tokio::test]
async fn a_rollback_works_while_the_forge_is_away() -> anyhow::Result<()> {
    story(async |town| {
        let there = town.parts.get("FORGE_URL").trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let here = listener.local_addr()?;
        let line = forward(listener, there.clone());
        // The person's clone goes to the forge itself; the agent goes by our line.
        town.deploy = town.parts.checkout(Way::Http, &town.deploy_name(), town.agent.path("deploy-http"))?;
        town.deploy.url = town.deploy.url.replace(&there, &here.to_string());
        town.agent.configure(
            &town.config().replace(&format!("url = \"http://{there}\""), &format!("url = \"http://{here}\"")),
        )?;
        let files =
            |value: &str| [file("deployment", deployment(&town.parts, "")), file("config", config("shop", value))];
        let (one, two, three) = (files("one"), files("two"), files("three"));
        let first = begin(town, &one).await?;
        let second = commit(town, &two, "Two")?;
        town.healthy("the second state", &second).await?;

        line.abort();
        ensure!(line.await.is_err_and(|ended| ended.is_cancelled()), "the line ended by itself");
        let missed = |state: &State| {
            state.objects.values().find_map(|object| match object {
                Object::Repository(one) if one.address.contains(&here.to_string()) => one.error.clone(),
                _ => None,
            })
        };
        let error = town.agent.wait("the forge to be missed", missed).await?;
        ensure!(error.contains("refused"), "the forge's absence is told as {error:?}");
        let third = commit(town, &three, "Three, which cannot be seen")?;
        let request = RollbackRequest { to: Some(first.clone()), reason: "two was bad".to_owned() };
        let taken: Accepted = town.agent.client().post("/v1/applications/shop/rollback", &request).await?;
        ensure!(taken.revision.is_some_and(|revision| revision.commit.as_str() == first), "it goes elsewhere");
        let app = town.healthy("the rollback", &first).await?;
        ensure!(app.pin.is_some(), "a rollback pins");
        ensure!(field(town, "configmap/shop", ".data.value")? == "one", "the first state is not there");

        let line = forward(TcpListener::bind(here).await?, there);
        town.agent.wait("the forge to be found again", |state| missed(state).is_none().then_some(())).await?;
        ensure!(field(town, "configmap/shop", ".data.value")? == "one", "the pin does not hold");
        let _: Accepted = town.agent.client().poke("/v1/applications/shop/unpin").await?;
        town.healthy("the newest state", &third).await?;
        ensure!(field(town, "configmap/shop", ".data.value")? == "three", "the third state is not there");
        line.abort();
        Ok(())
    })
    .await
}

/// A line to somewhere, connection by connection, until it is cut: all of them end with it.
fn forward(listener: TcpListener, there: String) -> JoinHandle<()> {
    let there: Arc<str> = there.into();
    tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((mut near, _)) = listener.accept().await {
            let there = there.clone();
            connections.spawn(async move {
                if let Ok(mut far) = TcpStream::connect(&*there).await {
                    // Either side may end it.
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    })
}

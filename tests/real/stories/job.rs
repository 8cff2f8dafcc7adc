//! The main job: from a tag pushed with plain git to pods that answer.

use harness::real::code;
use harness::world::borrowed;

use super::*;

#[tokio::test]
async fn a_push_becomes_pods() -> anyhow::Result<()> {
    story(async |town| {
        town.shop.commit(&borrowed(&code("1.4.0", 0)), "A shop")?;
        town.start().await?;
        town.shop.tag("push-1.4.0")?;
        let version = town.promoted(&town.run("push-1.4.0").await?)?;
        town.healthy("the first version", &version.commit).await?;
        town.runs_digest(&version)?;
        town.answers("1.4.0").await
    })
    .await
}

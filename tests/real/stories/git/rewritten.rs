//! History that somebody rewrites: a force-pushed deploy branch is followed, a moved tag is done again, and both are told.

use harness::real::code;
use harness::world::borrowed;
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::Phase;

use super::*;

#[tokio::test]
async fn a_rewritten_branch_is_followed_and_a_moved_tag_is_done_again() -> anyhow::Result<()> {
    story(async |town| {
        let first = town.deploy.git(&["rev-parse", "HEAD"])?;
        town.start().await?;
        let config = town.deploy.git(&["show", "HEAD:shop/config.yaml"])?.replace("hello", "good day") + "\n";
        let second = town.deploy.commit(&[("shop/config.yaml", &config)], "Another greeting")?;
        town.synced("the second commit", &second).await?;

        town.deploy.git(&["reset", "--quiet", "--hard", &first])?;
        town.deploy.git(&["commit", "--quiet", "--amend", "--message", "The shop, told anew"])?;
        town.deploy.git(&["push", "--quiet", "--force", "origin", "HEAD:main"])?;
        let rewritten = town.deploy.git(&["rev-parse", "HEAD"])?;
        town.synced("the rewritten history", &rewritten).await?;
        let greeting = town.kubectl(&["get", "configmap", "shop", "-o", "jsonpath={.data.greeting}"])?;
        ensure!(greeting == "hello", "the cluster still has {greeting}");
        let told = |event: &Event| matches!(event, Event::RevisionChanged { revision, rewritten: true } if revision.commit.as_str() == rewritten);
        ensure!(happened(town, told).await?, "nobody was told that history was rewritten");
        let plain = |event: &Event| matches!(event, Event::RevisionChanged { revision, rewritten: true } if revision.commit.as_str() == second);
        ensure!(!happened(town, plain).await?, "an ordinary commit was told as rewritten history");

        town.shop.commit(&borrowed(&code("1.4.0", 0)), "A shop")?;
        town.shop.tag("push-1.4.0")?;
        let run = town.run("push-1.4.0").await?;
        let old = town.promoted(&run)?;
        let commit = town.shop.commit(&borrowed(&code("1.4.0-mended", 0)), "Mended under the same name")?;
        town.shop.git(&["tag", "--force", "push-1.4.0"])?;
        town.shop.git(&["push", "--quiet", "--force", "origin", "push-1.4.0"])?;
        let again = |run: &RunStatus| run.commit.as_str() == commit && run.phase == Phase::Succeeded;
        let run = town.agent.wait_run("the moved tag", again).await?;
        let new = town.promoted(&run)?;
        ensure!(new.digest != old.digest, "the moved tag gave the same image");
        let moved = |event: &Event| matches!(event, Event::TagsChanged { moved, .. } if moved == &["push-1.4.0"]);
        ensure!(happened(town, moved).await?, "nobody was told that the tag moved");
        // Told, for it may be gone: this forge's registry deletes an image that has no tag any more.
        let went = format!("until now 1.4.0 was {}", old.digest);
        ensure!(run.stages.iter().any(|stage| stage.message.contains(&went)), "nothing tells {went}: {:?}", run.stages);
        town.synced("the moved tag's promotion", &new.commit).await?;
        Ok(())
    })
    .await
}

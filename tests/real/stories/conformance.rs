//! The table of what an API server answers, asked of the real one: the same rows that the stand-in is held by. The list of
//! what the stand-in cannot do is held here as well: the real server does all of it, and the stand-in none.

use anyhow::ensure;
use harness::cluster::Cluster;
use harness::conformance::{self, Row, Target, rows};

use super::story_of_parts;

async fn answered(rows: Vec<Row>) -> anyhow::Result<()> {
    story_of_parts(async |parts| {
        let real = Target::of(&std::fs::read_to_string(parts.get("KUBECONFIG"))?).await?;
        let misses = conformance::misses(&real, &rows).await;
        ensure!(misses.is_empty(), "{} of {} rows are missed:\n{}", misses.len(), rows.len(), misses.join("\n"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_real_server_answers_as_the_table_says() -> anyhow::Result<()> {
    answered(rows::all()).await
}

#[tokio::test]
async fn the_real_server_does_what_the_stand_in_cannot() -> anyhow::Result<()> {
    answered(rows::beyond::all().into_iter().map(|(row, _)| row).collect()).await?;
    let stand_in = Cluster::start().await?;
    let reached = conformance::within_reach(&Target::of(&stand_in.kubeconfig_text()).await?).await?;
    ensure!(reached.is_empty(), "the stand-in can do these, so that they belong to the rows of all: {reached:#?}");
    Ok(())
}

//! The stand-in answers as the table says, which a real API server is asked in the real tier as well.

use super::super::Cluster;
use crate::conformance::{self, Target, rows};

async fn target(cluster: &Cluster) -> Target {
    Target::of(&cluster.kubeconfig_text()).await.expect("a kubeconfig")
}

#[tokio::test]
async fn the_stand_in_answers_as_the_table_says() {
    let cluster = Cluster::start().await.expect("a free port");
    let misses = conformance::misses(&target(&cluster).await, &rows::all()).await;
    assert!(misses.is_empty(), "{} rows are missed:\n{}", misses.len(), misses.join("\n"));
}

#[tokio::test]
async fn what_is_listed_as_beyond_the_stand_in_is_beyond_it() {
    let cluster = Cluster::start().await.expect("a free port");
    let reached = conformance::within_reach(&target(&cluster).await).await.expect("all is cleared away");
    assert!(reached.is_empty(), "the stand-in can do these, so that they belong to the rows of all: {reached:#?}");
}

//! What was found: lives of few steps that went wrong once, each under the name of what was wrong.

use crate::acts::{Step, Step::Rest};
use crate::walk::walk;

/// Lives through it.
async fn lives(steps: &[Step]) {
    if let Err(find) = walk(steps).await {
        panic!("{:#?}\n{}", find.findings, find.log);
    }
}

#[tokio::test]
async fn nothing_happens() {
    lives(&[Rest]).await;
}

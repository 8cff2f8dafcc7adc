//! Manifests that the real SOPS encrypted: the cluster has them in clear, and nothing that is kept has.

use std::process::Command;

use anyhow::ensure;
use quarterdeck_shared::protocol::DiffAnswer;

use super::*;

/// Made by sops 3.13.3 for the key in `age.txt`; what is in them is in `life::encrypted` of the hermetic tier.
const FIRST: &str = include_str!("../../../it/life/encrypted/first.yaml");
const SECOND: &str = include_str!("../../../it/life/encrypted/second.yaml");
const KEY: &str = include_str!("../../../it/life/encrypted/age.txt");

/// The password of the Secret, as the cluster has it.
fn password(town: &Town) -> anyhow::Result<String> {
    town.kubectl(&["get", "secret/db", "-o", "go-template={{.data.password | base64decode}}"])
}

#[tokio::test]
async fn what_sops_encrypted_is_in_the_cluster_in_clear_and_is_kept_nowhere() -> anyhow::Result<()> {
    story(async |town| {
        town.write_secret("age.txt", KEY)?;
        let config =
            town.config().replacen("[[application]]", "[sops]\nage_keys = [\"age.txt\"]\n\n[[application]]", 1);
        town.agent.configure(&config)?;
        begin(town, &[file("db", FIRST)]).await?;
        ensure!(password(town)? == "first+password/4730=", "the cluster has {}", password(town)?);
        let second = commit(town, &[file("db", SECOND)], "Another password")?;
        town.synced("the second", &second).await?;
        ensure!(password(town)? == "second+password/4732=", "the cluster has {}", password(town)?);

        town.kubectl(&["patch", "secret/db", "-p", r#"{"stringData":{"password":"by-hand"}}"#])?;
        let diff: DiffAnswer = town.agent.client().get("/v1/environments/shop/diff").await?;
        let kept = Command::new("grep").args(["-r", "-l", "password/47"]).arg(town.agent.path("data")).output()?;
        let told = format!("{diff:?}{}{}", String::from_utf8_lossy(&kept.stdout), town.agent.log());
        ensure!(!told.contains("password/47") && kept.stdout.is_empty(), "it is shown or kept: {told}");
        Ok(())
    })
    .await
}

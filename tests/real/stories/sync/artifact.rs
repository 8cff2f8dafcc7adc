//! Manifests that the real tar packed, the real cosign pushed to a registry and signed there.

use std::process::Command;

use anyhow::ensure;
use quarterdeck_shared::protocol::Accepted;
use quarterdeck_shared::snapshot::{Cover, EnvironmentStatus};
use quarterdeck_shared::status::SyncStatus;
use serde_json::json;

use super::*;
use crate::engines::signed::cosign;

/// Packs a folder with a value and pushes it under a tag of the town's package, which goes with the town. Tells its digest.
fn push(town: &Town, tag: &str, value: &str) -> anyhow::Result<String> {
    let folder = town.agent.path("packed").join("shop");
    std::fs::create_dir_all(&folder)?;
    let says = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: says }}\ndata: {{ value: \"{value}\" }}\n");
    std::fs::write(folder.join("says.yaml"), says)?;
    let archive = town.agent.path("packed.tar.gz");
    let (archive, packed) = (archive.display().to_string(), town.agent.path("packed").display().to_string());
    let status = Command::new("tar").args(["-czf", &archive, "-C", &packed, "."]).status()?;
    ensure!(status.success(), "tar: {status}");
    let kind = "application/vnd.cncf.flux.content.v1.tar+gzip";
    let said = cosign(town, &["upload", "blob", "-f", &archive, "--ct", kind, &format!("{}:{tag}", package(town))])?;
    let digest = said.trim().rsplit_once('@').map(|(_, digest)| digest.to_owned());
    digest.ok_or_else(|| anyhow::anyhow!("cosign tells no digest: {said}"))
}

/// Where the town's manifests are.
fn package(town: &Town) -> String {
    format!("{}/{}/{}", town.parts.get("FORGE_REGISTRY"), town.parts.get("FORGE_USER"), town.name)
}

fn sign(town: &Town, digest: &str) -> anyhow::Result<()> {
    let pinned = format!("{}@{digest}", package(town));
    cosign(town, &["sign", "--key", "own.key", "--tlog-upload=false", "--use-signing-config=false", "--yes", &pinned])
        .map(drop)
}

async fn refresh(town: &Town) -> anyhow::Result<()> {
    let _: Accepted = town.agent.client().post("/v1/applications/shop/refresh", &json!({})).await?;
    Ok(())
}

#[tokio::test]
async fn a_folder_that_was_pushed_and_signed_is_deployed_and_an_unsigned_one_is_not() -> anyhow::Result<()> {
    story(async |town| {
        cosign(town, &["generate-key-pair", "--output-key-prefix", "own"])?;
        let first = push(town, "1.0.0", "one")?;
        sign(town, &first)?;
        let config = town.config();
        let (head, _) = config.split_once("[[application]]").unwrap_or((&config, ""));
        let namespace = &town.namespace;
        let shop = format!(
            "[[application]]\nname = \"shop\"\n[[application.environment]]\nname = \"prod\"\npath = \"shop\"\ncluster = \"world\"\n\
             namespace = \"{namespace}\"\ncreate_namespace = true\n[application.environment.artifact]\n\
             repository = \"oci://{}\"\nsemver = \"1.x\"\nverify = [\"own.pub\"]\nmedia_type = \"application/vnd.cncf.flux.content.v1.tar+gzip\"\n",
            package(town)
        );
        town.agent.configure(&format!("{head}{shop}"))?;
        town.agent.start_agent().await?;
        let runs = |tag: &str, digest: &str| {
            let named = format!("{tag}@{}", &digest[..14]);
            move |app: &EnvironmentStatus| {
                let revision = app.revision.as_ref().map(|revision| revision.short());
                app.sync == SyncStatus::Synced && revision.as_ref() == Some(&named)
            }
        };
        town.agent.wait_for("the first artifact", "shop", runs("1.0.0", &first)).await?;
        let says = || field(town, "configmap/says", ".data.value");
        ensure!(says()? == "one");

        let second = push(town, "1.1.0", "two")?;
        refresh(town).await?;
        let refused = |app: &EnvironmentStatus| {
            let is_it = |unseen: &quarterdeck_shared::snapshot::Unseen| {
                unseen.of == Cover::Artifact && unseen.reason.contains("is not signed by own.pub")
            };
            app.unseen.iter().any(is_it)
        };
        town.agent.wait_for("the refusal", "shop", refused).await?;
        ensure!(says()? == "one", "what was deployed stays");
        sign(town, &second)?;
        refresh(town).await?;
        town.agent.wait_for("the second artifact", "shop", runs("1.1.0", &second)).await?;
        ensure!(says()? == "two");
        Ok(())
    })
    .await
}

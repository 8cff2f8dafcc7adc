//! What git holds only a pointer to, submodules and Git LFS: a build goes on without and says so, manifests are refused.

use harness::real::code;
use harness::world::borrowed;
use quarterdeck_shared::snapshot::EnvironmentStatus;

use super::*;

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\n\
                       oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

#[tokio::test]
async fn what_is_not_in_git_itself_is_told() -> anyhow::Result<()> {
    story(async |town| {
        town.start().await?;
        // The submodule is the very same repository, by its path: any would do, and git asks no login for it.
        let by_path = |name: &str| town.agent.path(name).display().to_string();
        let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add"];
        town.shop.commit(&borrowed(&code("1.4.0", 0)), "A shop")?;
        town.shop.git(&[&add[..], &[&by_path("shop"), "vendor/lib"]].concat())?;
        town.shop.commit(&[("model.bin", POINTER)], "A library and a model")?;
        town.shop.tag("build-1.4.0")?;
        let run = town.run("build-1.4.0").await?;
        let lines = town.log(run.id).await?;
        for words in [
            "vendor/lib is a git submodule: its files are in another repository and not in the context",
            "model.bin is a Git LFS pointer: the image gets the pointer, not the file behind it",
        ] {
            ensure!(
                lines.iter().any(|line| line.contains(words)),
                "the log does not say {words}:\n{}",
                lines.join("\n")
            );
        }

        let good = town.deploy.git(&["rev-parse", "HEAD"])?;
        let refused = async |words: &str| {
            let told = |app: &EnvironmentStatus| app.message.contains(words);
            let status = town.agent.wait_for(words, "shop", told).await?;
            ensure!(harness::agent::is_at(&status, &good), "the last good state was left");
            anyhow::Ok(())
        };
        town.deploy.commit(&[("shop/big.yaml", POINTER)], "A manifest in LFS")?;
        refused("shop/big.yaml is a Git LFS pointer, and its content is not fetched").await?;
        town.deploy.git(&["rm", "--quiet", "shop/big.yaml"])?;
        town.deploy.git(&["commit", "--quiet", "--message", "No LFS"])?;
        town.deploy.git(&[&add[..], &[&by_path("deploy"), "shop/lib"]].concat())?;
        town.deploy.git(&["commit", "--quiet", "--message", "A library"])?;
        town.deploy.git(&["push", "--quiet", "origin", "HEAD:main"])?;
        refused("shop/lib is a submodule, and submodules are not fetched").await
    })
    .await
}

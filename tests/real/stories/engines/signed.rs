//! The real `cosign` and `syft`: what they write is found and verified, and the real cosign verifies what we call signed.

use std::path::Path;

use quarterdeck_shared::protocol::PackagesAnswer;
use quarterdeck_shared::routes;
use quarterdeck_shared::status::StageKind;

use super::*;

pub(crate) const PASSWORD: &str = "s3cret-of-the-key";

/// cosign in the agent's folder, with the world's logins.
pub(crate) fn cosign(town: &Town, words: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new(Path::new(town.parts.get("WORLD_BIN")).join("cosign"));
    command.args(words).current_dir(town.agent.path("")).env("COSIGN_PASSWORD", PASSWORD);
    command.env("DOCKER_CONFIG", town.parts.get("DOCKER_CONFIG")).env("HOME", town.agent.path(""));
    Ok(String::from_utf8(said(&mut command)?.stdout)?)
}

/// The registry without login has no referrers, the forge's has them and wants a token.
#[tokio::test]
async fn what_is_pushed_is_signed_and_what_no_key_signed_is_refused() -> anyhow::Result<()> {
    for of_forge in [true, false] {
        story(async |town| {
            if !of_forge {
                town.image = format!("{}/{}", Place::open(town).host, town.name);
                let manifests = manifests(&format!("{}:none", town.image));
                town.deploy.commit(&borrowed(&manifests), "From the other registry")?;
            }
            signs_and_refuses(town).await
        })
        .await?;
    }
    Ok(())
}

async fn signs_and_refuses(town: &mut Town) -> anyhow::Result<()> {
    cosign(town, &["generate-key-pair", "--output-key-prefix", "own"])?;
    town.write_secret("key-password", PASSWORD)?;
    let path = town.parts.path_with_programs()?;
    town.agent.set("PATH", path);
    let required = "[application.environment.promote]\nrequire_signature = [\"own.pub\"]\n";
    let config = format!("{}{required}", town.config());
    let signs = "[application.sign]\nkey = \"own.key\"\npassword = { file = \"key-password\" }\nsbom = \"cyclonedx\"\nprovenance = true\n";
    town.agent.configure(&format!("{config}{signs}"))?;
    town.shop.commit(&borrowed(&code("1.4.0", 0)), "A shop")?;
    town.agent.start_agent().await?;
    town.shop.tag("push-1.4.0")?;
    let run = town.run("push-1.4.0").await?;
    let message =
        |kind: StageKind| run.stages.iter().find(|stage| stage.kind == kind).map_or("", |stage| stage.message.as_str());
    let pinned = format!("{}@{}", town.image, digest(&run).context("it was pushed")?);
    let signed = format!("{pinned} signed by own.key, with an SBOM (cyclonedx) and its provenance");
    ensure!(message(StageKind::Sign) == signed, "{run:#?}");
    ensure!(message(StageKind::Promote).ends_with("; signed by own.pub"), "{run:#?}");
    let offline = ["--key", "own.pub", "--insecure-ignore-tlog", &pinned];
    cosign(town, &[&["verify"], &offline[..]].concat())?;
    for kind in ["cyclonedx", "slsaprovenance1"] {
        cosign(town, &[&["verify-attestation", "--type", kind], &offline[..]].concat())?;
    }

    let listed: Vec<PackagesAnswer> = town.agent.client().get(&routes::PACKAGES.of(&run.id.into())).await?;
    ensure!(
        listed.len() == 1 && listed[0].image == pinned && listed[0].signer.as_deref() == Some("own.pub"),
        "{listed:?}"
    );
    ensure!(listed[0].packages.iter().any(|package| package.name == "busybox"), "{listed:?}");

    town.agent.kill_agent();
    town.agent.configure(&config)?;
    town.agent.start_agent().await?;
    town.shop.commit(&borrowed(&code("1.5.0", 0)), "Nobody signs it")?;
    town.shop.tag("push-1.5.0")?;
    let ended = |run: &RunStatus| run.reference == "push-1.5.0" && run.phase.is_final();
    let run = town.agent.wait_run("the refusal", ended).await?;
    let why = format!(
        "{}@{} is not signed by own.pub: no signature was found",
        town.image,
        digest(&run).context("it was pushed")?
    );
    ensure!(run.phase == Phase::Failed && run.message == why, "{run:#?}");
    Ok(())
}

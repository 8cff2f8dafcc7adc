//! Tags that a real forge protects, and others.

use quarterdeck_shared::protocol::Accepted;
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::Phase;
use serde_json::json;

use harness::real::code;
use harness::world::borrowed;

use super::*;

#[tokio::test]
async fn only_a_tag_that_the_forge_protects_is_built() -> anyhow::Result<()> {
    story(async |town| {
        let repository = format!("repository = \"{}\"\n", town.shop.url);
        let config = town.config().replacen(&repository, &format!("{repository}require_protected_tags = true\n"), 1);
        let url = town.parts.get("FORGE_URL");
        let forge = format!("[[forge]]\nkind = \"gitea\"\nurl = \"{url}\"\ntoken_file = \"forge-token\"\n\n");
        town.agent.configure(&config.replacen("[[application]]", &format!("{forge}[[application]]"), 1))?;
        town.shop.commit(&borrowed(&code("1.0.0", 0)), "A shop")?;
        town.shop.tag("build-1")?;
        town.agent.start_agent().await?;
        let ended = |run: &RunStatus| run.reference == "build-1" && run.phase.is_final();
        let refused = town.agent.wait_run("the refusal", ended).await?;
        ensure!(
            refused.phase == Phase::Failed && refused.message.contains("is not protected by forge"),
            "{refused:#?}"
        );

        let protections = format!("/repos/{}/{}/tag_protections", town.parts.get("FORGE_USER"), town.name);
        for pattern in ["v*", "/^(build|push)-[0-9.]+$/"] {
            let user = town.parts.get("FORGE_USER");
            let protection = json!({ "name_pattern": pattern, "whitelist_usernames": [user] });
            town.parts.forge("POST", &protections, &protection.to_string()).await?;
        }
        let path = format!("/v1/runs/{}/retry", refused.id);
        let again: Accepted = town.agent.client().post(&path, &json!({})).await?;
        let ended = |run: &RunStatus| Some(run.id) == again.run && run.phase.is_final();
        let again = town.agent.wait_run("the retry", ended).await?;
        let admitted =
            again.stages.first().is_some_and(|stage| stage.message.ends_with(&format!("; protected by {url}")));
        ensure!(again.phase == Phase::Succeeded && admitted, "{again:#?}");
        Ok(())
    })
    .await
}

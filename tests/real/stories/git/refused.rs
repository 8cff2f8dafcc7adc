//! What the forge refuses: a person's protected tag starts nothing, and a promotion to a protected branch is told in the
//! forge's words and done when it is asked for again.

use harness::real::{Forward, code};
use harness::world::borrowed;
use quarterdeck_shared::protocol::Accepted;
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::{Phase, StageKind};
use serde_json::json;

use super::*;

#[tokio::test]
async fn protected_tags_and_branches_are_the_forges_to_refuse() -> anyhow::Result<()> {
    story(async |town| {
        // The manifests over http, by a credential helper: it is git that asks it for a push.
        let door = Forward::to(town.parts.get("FORGE_URL").trim_start_matches("http://")).await?;
        ways::write_helper(town, &door.port().to_string())?;
        let user = town.parts.get("FORGE_USER").to_owned();
        let address = format!("http://127.0.0.1:{}/{user}/{}.git", door.port(), town.deploy_name());
        town.agent.configure(&town.config().replace(&town.deploy.url, &address))?;
        town.agent.set("GIT_CONFIG_GLOBAL", town.agent.path("gitconfig"));
        town.shop.commit(&borrowed(&code("1.4.0", 0)), "A shop")?;
        town.start().await?;

        // Tags are protected for somebody: for another than us.
        let keeper = town.name.replacen("shop", "keeper", 1);
        let login =
            json!({ "username": keeper, "email": format!("{keeper}@example.test"), "password": "Not-Asked-4-Now" });
        town.parts.forge("POST", "/admin/users", &login.to_string()).await?;
        let tags = format!("/repos/{user}/{}/tag_protections", town.name);
        let rule = json!({ "name_pattern": "push-*", "whitelist_usernames": [keeper] });
        let made = town.parts.forge("POST", &tags, &rule.to_string()).await?;
        let refusal = town.shop.tag("push-1.4.0").err().context("the forge took a protected tag")?;
        ensure!(format!("{refusal:#}").contains("protected"), "{refusal:#}");
        town.shop.git(&["tag", "--delete", "push-1.4.0"])?;

        let branches = format!("/repos/{user}/{}/branch_protections", town.deploy_name());
        let rule = json!({ "rule_name": "main", "enable_push": false });
        town.parts.forge("POST", &branches, &rule.to_string()).await?;
        let id: serde_json::Value = serde_json::from_str(&made)?;
        town.parts.forge("DELETE", &format!("{tags}/{}", id["id"]), "").await?;
        town.parts.forge("DELETE", &format!("/admin/users/{keeper}"), "").await?;
        let before = town.deploy.git(&["ls-remote", "origin", "refs/heads/main"])?;
        town.shop.tag("push-1.4.0")?;
        let ended = |run: &RunStatus| run.phase.is_final();
        let run = town.agent.wait_run("the promotion to be refused", ended).await?;
        ensure!(run.reference == "push-1.4.0" && run.phase == Phase::Failed, "{} {}", run.reference, run.message);
        for words in ["refused the push to main", "Not allowed to push to protected branch main"] {
            ensure!(run.message.contains(words), "{}", run.message);
        }
        let pushed = run.stages.iter().any(|stage| stage.kind == StageKind::Push && stage.phase == Phase::Succeeded);
        ensure!(pushed, "the image was not pushed: {}", run.message);
        ensure!(town.deploy.git(&["ls-remote", "origin", "refs/heads/main"])? == before, "the branch moved");

        // Lifted, and asked for again: only what is missing is done.
        town.parts.forge("DELETE", &format!("{branches}/main"), "").await?;
        let request = json!({ "reference": "push-1.4.0" });
        let _: Accepted = town.agent.client().post("/v1/applications/shop/push", &request).await?;
        let done = |run: &RunStatus| run.phase == Phase::Succeeded;
        let run = town.agent.wait_run("the promotion", done).await?;
        let version = town.promoted(&run)?;
        town.synced("the promotion", &version.commit).await?;
        let built = run.stages.iter().find(|stage| stage.kind == StageKind::Build).context("a build stage")?;
        ensure!(built.phase == Phase::Skipped, "it was built again: {}", built.message);
        let state = town.agent.state().await?;
        ensure!(harness::agent::runs(&state).count() == 2, "the refused tag became a run");
        Ok(())
    })
    .await
}

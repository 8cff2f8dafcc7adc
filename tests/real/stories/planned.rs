//! A merge request of a real forge for manifests: its comment shows what merging would change in a real cluster.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::forge::is_shown;
use super::*;

#[tokio::test]
async fn a_merge_request_of_manifests_shows_what_merging_changes() -> anyhow::Result<()> {
    story(async |town| {
        let forge = format!(
            "[[forge]]\nkind = \"gitea\"\nurl = \"{}\"\ntoken_file = \"forge-token\"\nplan = true\n\n",
            town.parts.get("FORGE_URL")
        );
        town.agent.configure(&town.config().replacen("[[application]]", &format!("{forge}[[application]]"), 1))?;
        town.agent.start_agent().await?;
        let first = town.deploy.git(&["rev-parse", "HEAD"])?;
        town.synced("the first", &first).await?;

        let repository = format!("/repos/{}/{}", town.parts.get("FORGE_USER"), town.deploy_name());
        let flags = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: flags }\ndata: { a: \"1\" }\n";
        let file =
            json!({ "content": BASE64.encode(flags), "message": "Flags", "branch": "main", "new_branch": "more" });
        let made =
            town.parts.forge("POST", &format!("{repository}/contents/shop/flags.yaml"), &file.to_string()).await?;
        let head = serde_json::from_str::<Value>(&made)?["commit"]["sha"].as_str().unwrap_or_default().to_owned();
        let asked = json!({ "head": "more", "base": "main", "title": "Flags" });
        town.parts.forge("POST", &format!("{repository}/pulls"), &asked.to_string()).await?;
        let shown = is_shown(town, &format!("{repository}/issues/1/comments"), &head.parse()?, "**Merging").await?;
        let namespace = &town.namespace;
        let plan = format!("- **shop/prod**: 1 to create\n  - create `ConfigMap/flags in namespace {namespace}`\n\n");
        ensure!(shown.contains(&plan), "{shown}");
        Ok(())
    })
    .await
}

//! Merge requests of a real forge, the repository's own and a fork's: its hooks say when there is one, its statuses what became
//! of it, and what is merged and tagged is released.

use std::time::Duration;

use quarterdeck_shared::protocol::Accepted;
use quarterdeck_shared::revision::CommitId;
use quarterdeck_shared::snapshot::{Permission, RunStatus};
use quarterdeck_shared::status::{Phase, StageKind};
use serde_json::{Value, json};

use harness::real::code;
use harness::world::borrowed;

use super::*;

const TEST: &str = "[[application.test]]\nname = \"unit\"\ncommand = [\"sh\", \"-c\", \"env; sleep 8; echo tested\"]\n\
                    env = { TOKEN = { file = \"forge-token\" } }\n";

#[tokio::test]
async fn a_merge_request_is_tested_merged_and_released_and_a_forks_waits() -> anyhow::Result<()> {
    story(async |town| {
        let guests = town.name.replacen("shop", "guests", 1);
        let told = tell(town, &guests).await;
        let fork = format!("/repos/{guests}/{}", town.name);
        let cleared = [
            town.parts.forge("DELETE", &fork, "").await,
            town.parts.forge("DELETE", &format!("/orgs/{guests}"), "").await,
        ];
        told?;
        cleared.into_iter().collect::<anyhow::Result<Vec<_>>>().map(drop)
    })
    .await
}

async fn tell(town: &mut Town, guests: &str) -> anyhow::Result<()> {
    let harbor = released::harbor(town).await?;
    let repository = format!("repository = \"{}\"\n", town.shop.url);
    let config =
        released::config(town, &harbor).replacen(&repository, &format!("{repository}merge_requests = true\n"), 1);
    let forge = format!(
        "[[forge]]\nkind = \"gitea\"\nurl = \"{}\"\ntoken_file = \"forge-token\"\ncomment = true\n\n",
        town.parts.get("FORGE_URL")
    );
    let config = config.replacen("[[application.environment]]", &format!("{TEST}[[application.environment]]"), 1);
    // Polls come seldom: what is noticed is noticed by the forge's own hooks.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    town.write_secret("webhook-secret", "hooks-4711")?;
    let webhook = format!("[webhook]\nlisten = \"127.0.0.1:{port}\"\nsecret_file = \"webhook-secret\"\n\n");
    let config = config.replacen("[[application]]", &format!("{webhook}{forge}[[application]]"), 1);
    town.agent.configure(&config.replacen("poll_interval = \"1s\"", "poll_interval = \"10m\"", 1))?;
    let events = ["push", "create", "pull_request", "pull_request_sync"];
    let to = json!({ "url": format!("http://127.0.0.1:{port}/"), "content_type": "json", "secret": "hooks-4711" });
    let hook = json!({ "type": "gitea", "active": true, "events": events, "config": to });
    let hooks = format!("/repos/{}/{}/hooks", town.parts.get("FORGE_USER"), town.name);
    town.parts.forge("POST", &hooks, &hook.to_string()).await?;
    town.shop.commit(&borrowed(&code("1.0.0", 0)), "A shop")?;
    town.shop.tag("build-0")?;
    town.agent.start_agent().await?;
    town.run("build-0").await?;

    // Of a branch of the repository; the second commit comes while the first is tested.
    push(town, "fix", "Fix")?;
    ask(town, "fix").await?;
    let is_tested = |run: &RunStatus| {
        let tests =
            |stage: &quarterdeck_shared::status::Stage| stage.kind == StageKind::Test && stage.phase == Phase::Running;
        run.reference == "merge-request-1" && run.stages.iter().any(tests)
    };
    let first = town.agent.wait_run("the merge request to be tested", is_tested).await?;
    let second = push(town, "fix", "Fix it better")?;
    let over = |run: &RunStatus| run.id == first.id && run.phase.is_final();
    let first = town.agent.wait_run("the end of the first", over).await?;
    let over = |run: &RunStatus| run.commit.as_str() == second && run.phase.is_final();
    let second = town.agent.wait_run("the end of the second", over).await?;
    let why = format!("superseded by run {} of a newer commit", second.id.number);
    ensure!((first.phase, &*first.message) == (Phase::Cancelled, &*why), "{first:#?}");
    ensure!((second.phase, second.permission) == (Phase::Succeeded, None), "{second:#?}");
    ensure!(town.log(second.id).await?.iter().any(|line| line == "TOKEN=***"), "{second:#?}");

    is_told(town, &first.commit, "error", &why).await?;
    is_told(town, &second.commit, "success", "passed").await?;
    is_shown(town, &comments(town, 1), &second.commit, "| test | Succeeded |").await?;

    // Of a fork.
    town.parts.forge("POST", "/orgs", &json!({ "username": guests }).to_string()).await?;
    let repository = format!("/repos/{}/{}", town.parts.get("FORGE_USER"), town.name);
    town.parts.forge("POST", &format!("{repository}/forks"), &json!({ "organization": guests }).to_string()).await?;
    let file = json!({ "content": "aGk=", "message": "From elsewhere", "branch": "main" });
    town.parts.forge("POST", &format!("/repos/{guests}/{}/contents/hi", town.name), &file.to_string()).await?;
    ask(town, &format!("{guests}:main")).await?;
    let waits = |run: &RunStatus| run.reference == "merge-request-2" && run.awaits_permission();
    let waits = town.agent.wait_run("the fork's to wait", waits).await?;
    is_told(town, &waits.commit, "pending", "waits for a person").await?;
    is_shown(town, &comments(town, 2), &waits.commit, "waits for a person").await?;
    let _: Accepted = town.agent.client().post(&format!("/v1/runs/{}/allow", waits.id), &json!({})).await?;
    let allowed = town.run("merge-request-2").await?;
    ensure!((allowed.permission, &*allowed.subject) == (Some(Permission::Given), "From elsewhere"), "{allowed:#?}");
    let log = town.log(allowed.id).await?;
    ensure!(log.iter().any(|line| line == "tested") && !log.iter().any(|line| line.starts_with("TOKEN=")), "{log:#?}");
    released::is_released(town, 1).await
}

/// Waits until the forge shows this state of the test of a commit, with these words.
async fn is_told(town: &Town, commit: &CommitId, state: &str, words: &str) -> anyhow::Result<()> {
    let path = format!("/repos/{}/{}/commits/{commit}/statuses?limit=50", town.parts.get("FORGE_USER"), town.name);
    let told = async {
        loop {
            let all: Vec<Value> = serde_json::from_str(&town.parts.forge("GET", &path, "").await?)?;
            let newest =
                all.iter().filter(|one| one["context"] == "quarterdeck/shop/test").max_by_key(|one| one["id"].as_u64());
            let is_it = |one: &&Value| {
                one["status"] == state && one["description"].as_str().is_some_and(|text| text.contains(words))
            };
            if newest.is_some_and(|one| is_it(&one)) {
                return Ok(());
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.with_context(|| format!("{commit} is not {state}"))?
}

/// Where the comments on a merge request are.
fn comments(town: &Town, number: u64) -> String {
    format!("/repos/{}/{}/issues/{number}/comments", town.parts.get("FORGE_USER"), town.name)
}

/// The one comment there, once it shows this commit, with these words.
pub(crate) async fn is_shown(town: &Town, path: &str, commit: &CommitId, words: &str) -> anyhow::Result<String> {
    let shown = async {
        loop {
            let all: Vec<Value> = serde_json::from_str(&town.parts.forge("GET", path, "").await?)?;
            ensure!(all.len() < 2, "{all:#?}");
            let text = all.first().and_then(|one| one["body"].as_str()).unwrap_or_default();
            if text.contains(commit.short()) && text.contains(words) {
                return Ok(text.to_owned());
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), shown).await.with_context(|| format!("{commit} is not shown"))?
}

/// An empty commit on a branch of the repository.
fn push(town: &Town, branch: &str, message: &str) -> anyhow::Result<String> {
    town.shop.git(&["commit", "--quiet", "--allow-empty", "--message", message])?;
    town.shop.git(&["push", "--quiet", "origin", &format!("HEAD:refs/heads/{branch}")])?;
    town.shop.git(&["rev-parse", "HEAD"])
}

/// Asks for a merge of this head into main.
async fn ask(town: &Town, head: &str) -> anyhow::Result<()> {
    let path = format!("/repos/{}/{}/pulls", town.parts.get("FORGE_USER"), town.name);
    let body = json!({ "head": head, "base": "main", "title": head });
    town.parts.forge("POST", &path, &body.to_string()).await.map(drop)
}

//! Clients that nobody here wrote drive the stand-ins of the forges: what they understand of an answer is what it means.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context as _, ensure};
use harness::forge_api::{ForgeApi, Open, TOKEN};
use harness::real::said;
use serde_json::{Value, json};

use super::story_beside;

/// Who installs the clients, while others wait.
static INSTALLING: Mutex<()> = Mutex::new(());

/// The clients, in an environment of their own below `target`.
fn python() -> anyhow::Result<std::path::PathBuf> {
    let _one_at_a_time = INSTALLING.lock();
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("real/clients");
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients-venv");
    said(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    said(Command::new(venv.join("bin/pip")).args(["install", "--quiet", "-r"]).arg(clients.join("requirements.txt")))?;
    Ok(venv.join("bin/python"))
}

/// What a client understood of the forge at an address.
async fn understood(script: &'static str, address: String) -> anyhow::Result<Value> {
    let told = tokio::task::spawn_blocking(move || {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("real/clients").join(script);
        said(Command::new(python()?).arg(script).arg(address).env("FORGE_TOKEN", TOKEN))
    });
    let told = told.await??.stdout;
    serde_json::from_slice(&told).with_context(|| format!("it printed {}", String::from_utf8_lossy(&told)))
}

async fn forge() -> anyhow::Result<ForgeApi> {
    let api = ForgeApi::start().await?;
    api.protect_tags(&["push-*"]);
    for (number, is_of_fork) in [(3, false), (9, true)] {
        let (project, head, target) = ("ops/shop".to_owned(), "ab".repeat(20), "main".to_owned());
        api.open_merge_request(Open { project, number, head, target, is_of_fork });
    }
    Ok(api)
}

fn same(told: &Value, wanted: &Value) -> anyhow::Result<()> {
    ensure!(told == wanted, "the client understood\n{told:#}\nand not\n{wanted:#}");
    Ok(())
}

#[tokio::test]
async fn python_gitlab_understands_the_stand_in() -> anyhow::Result<()> {
    story_beside(async || {
        let api = forge().await?;
        let head = "ab".repeat(20);
        let wanted = json!({
            "user": "quarterdeck",
            "status": ["running", "quarterdeck/shop/build", "push-1", "run 1"],
            "repeated": [400, "Cannot transition status via :run from :running"],
            "unknown": 400,
            "notes": [45, "another text", "quarterdeck"],
            "open": [[9, head, "main", false], [3, head, "main", true]],
            "protected": { "push-1": true, "build-1": false },
            "stranger": 401,
        });
        same(&understood("gitlab_forge.py", api.url()).await?, &wanted)
    })
    .await
}

#[tokio::test]
async fn pygithub_understands_the_stand_in() -> anyhow::Result<()> {
    story_beside(async || {
        let api = forge().await?;
        let head = "ab".repeat(20);
        let wanted = json!({
            "user": "quarterdeck",
            "status": ["pending", "quarterdeck/shop/build", "run 1"],
            "unknown": 422,
            "comments": [45, "another text", "comment 44", "quarterdeck"],
            "open": [[9, head, "main", false], [3, head, "main", true]],
            "stranger": 401,
        });
        same(&understood("github_forge.py", format!("{}/api/v3", api.url())).await?, &wanted)
    })
    .await
}

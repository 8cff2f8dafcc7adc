//! Clients that nobody here wrote drive the stand-ins of the forges and of Harbor: what they understand of an answer is what it means.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context as _, ensure};
use harness::forge_api::{ForgeApi, Open, TOKEN};
use harness::real::said;
use harness::registry::{Auth, Found, Registry, RegistryOptions, User};
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

#[tokio::test]
async fn harborapi_understands_the_stand_in() -> anyhow::Result<()> {
    story_beside(async || {
        let auth = Auth::Basic(vec![User::new("admin", TOKEN)]);
        let registry = Registry::start(RegistryOptions { auth, ..RegistryOptions::default() }).await?;
        registry.be_harbor(&[Found { id: "CVE-2026-1", severity: "High", package: "openssl", fixed_in: "3.0.2" }]);
        registry.lack_project(Some("nosuch"));
        registry.set_quota(3 << 30, 10 << 30);
        for number in 0..12 {
            registry.publish("ops/team/web", &format!("1.{number}"), &format!("release {number}"));
        }
        let digest = registry.digest("ops/team/web", "1.0").context("what was published")?;
        let tag = "deployed-prod-0123456789ab";
        let quota = json!([{ "storage": 3_u64 << 30 }, { "storage": 10_u64 << 30 }]);
        let wanted = json!({
            "health": "healthy",
            "project": ["ops", "admin", 1],
            "no_project": 404,
            "quota": [quota, quota],
            "artifacts": [12, ["1.0", "1.1"]],
            "no_artifact": 404,
            "made": "/api/v2.0/labels/1",
            "made_again": 409,
            "labels": [["deployed-prod", "p"], ["deployed-prod-eu", "p"]],
            "set_again": 409,
            "labelled": ["deployed-prod"],
            "found": [true],
            "taken_off_again": 404,
            "found_then": [],
            "tagged": format!("/api/v2.0/projects/ops/repositories/team%2Fweb/artifacts/{digest}/tags/{tag}"),
            "tagged_again": 409,
            "with_tag": [[true, ["1.0", tag]]],
            "untagged_again": 404,
            "without_tag": [],
            "never_scanned": true,
            "scanned_twice": 409,
            "scan": ["Pending", "Running", "Success"],
            "scanner": "Trivy",
            "vulnerabilities": [["CVE-2026-1", "High", "openssl", "3.0.2"]],
            "rule": "/api/v2.0/projects/ops/immutabletagrules/1",
            "rules": [[false, "1.*"]],
            "immutable": [["1.0", true]],
            "stranger": 401,
        });
        same(&understood("harbor.py", registry.address().to_owned()).await?, &wanted)
    })
    .await
}

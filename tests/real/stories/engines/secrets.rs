//! Secrets of a build on a real BuildKit: the step that mounts one reads it byte for byte, and nothing keeps it.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::*;

const NPMRC: &str = "//npm.example/:_authToken=npm+secret/4711=\nalways-auth=true\n";
const ROTATED: &str = "//npm.example/:_authToken=npm+secret/4712=\n";
const TOKEN: &str = "variable+secret/4713=";

/// What of them is looked for.
const PLANTED: [&str; 3] = ["secret/4711", "secret/4712", "secret/4713"];

/// As a hash of the file that a step sees, which is no secret.
fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The files of a folder and below that hold what was planted.
fn holders(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(holders(&path)?);
        } else if path.is_file() {
            let bytes = std::fs::read(&path)?;
            let holds = |planted: &&str| bytes.windows(planted.len()).any(|window| window == planted.as_bytes());
            found.extend(PLANTED.iter().filter(|planted| holds(planted)).map(|_| path.display().to_string()));
        }
    }
    Ok(found)
}

#[tokio::test]
async fn a_secret_is_read_by_its_step_and_kept_nowhere() -> anyhow::Result<()> {
    story(async |town| {
        town.image = format!("{}/{}", Place::open(town).host, town.name);
        let engine = format!("address = \"{}\"", town.parts.get("DOCKER_HOST"));
        let secrets = "secrets = { npmrc = { file = \"npmrc\" }, token = { env = \"QD_TEST_BUILD_SECRET\" } }\n";
        let environment = [("QD_TEST_BUILD_SECRET", TOKEN.into())];
        let mut files = code("1.4.0", 0);
        // With our name in it, so that no engine has it from a story that was told before.
        files[0].1 += &format!(
            "RUN --mount=type=secret,id=npmrc,required=true : {name}; cat /run/secrets/npmrc; sha256sum < /run/secrets/npmrc\n\
             RUN --mount=type=secret,id=token,target=/token : {name}; echo \"the token is $(cat /token)\"; sha256sum < /token\n\
             RUN --mount=type=secret,id=other : {name}; ls /run/secrets; test ! -e /run/secrets/other\n",
            name = town.name
        );
        std::fs::write(town.agent.path("npmrc"), NPMRC)?;
        town.agent.configure(&config(town, &engine, secrets))?;
        town.shop.commit(&borrowed(&files), "With secrets")?;
        town.agent.start_agent_with(&environment).await?;
        town.shop.tag("push-1.4.0")?;
        let run = town.run("push-1.4.0").await?;
        let log = town.log(run.id).await?.join("\n");
        for line in [&*hash(NPMRC), &*hash(TOKEN), "the token is ***"] {
            ensure!(log.contains(line), "{line}: {log}");
        }

        // Read anew at the next build, here of another commit.
        std::fs::write(town.agent.path("npmrc"), ROTATED)?;
        files[1].1 += "another\n";
        town.shop.commit(&borrowed(&files), "The same with another file")?;
        town.shop.tag("push-1.5.0")?;
        let ended = |run: &RunStatus| run.reference == "push-1.5.0" && run.phase.is_final();
        let again = town.agent.wait_run("the end of push-1.5.0", ended).await?;
        let rotated = town.log(again.id).await?.join("\n");
        ensure!(again.phase == Phase::Succeeded && rotated.contains(&hash(ROTATED)), "{}\n{rotated}", again.message);

        let state = serde_json::to_string(&town.agent.state().await?)?;
        let events: serde_json::Value = town.agent.client().get("/v1/events?limit=200").await?;
        let mut seen = vec![log, rotated, state, events.to_string()];
        for (tag, run) in [("1.4.0", &run), ("1.5.0", &again)] {
            let image = format!("{}:{tag}", town.image);
            let saved = town.agent.path(&format!("saved-{tag}"));
            std::fs::create_dir(&saved)?;
            let archive = saved.join("image.tar").display().to_string();
            town.parts.docker(&["save", "--output", &archive, &image])?;
            said(Command::new("tar").args(["--extract", "--file", &archive, "--directory"]).arg(&saved))?;
            seen.push(town.parts.docker(&["history", "--no-trunc", &image])?);
            seen.push(town.parts.docker(&["image", "inspect", &image])?);
            ensure!(seen[seen.len() - 2].contains("sha256sum < /token"), "the history names the steps: {seen:#?}");
            ensure!(holders(&saved)?.is_empty(), "in a layer: {:?}", holders(&saved)?);
            Place::open(town).forget(town, run).await?;
        }
        for planted in PLANTED {
            ensure!(!seen.iter().any(|text| text.contains(planted)), "{planted}: {seen:#?}");
        }
        let kept = town.agent.path("data");
        ensure!(holders(&kept)?.is_empty(), "kept by the agent: {:?}", holders(&kept)?);
        let written = std::fs::read_to_string(town.agent.path("agent.log"))?;
        ensure!(!PLANTED.iter().any(|planted| written.contains(planted)), "in the log of the agent: {written}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn who_has_no_buildkit_says_so_before_the_build() -> anyhow::Result<()> {
    let status = String::from_utf8(world("status").output()?.stdout)?;
    let ours = status.contains("podman is not asked for");
    said(world("start").arg("podman"))?;
    let told = story(async |town| {
        std::fs::write(town.agent.path("npmrc"), NPMRC)?;
        let host = town.parts.get("PODMAN_HOST").to_owned();
        town.agent.configure(&config(
            town,
            &format!("address = \"{host}\""),
            "secrets = { npmrc = { file = \"npmrc\" } }\n",
        ))?;
        town.shop.commit(&borrowed(&code("1.4.0", 0)), "A shop")?;
        town.agent.start_agent().await?;
        town.shop.tag("build-1.4.0")?;
        let run = town.agent.wait_run("the end of build-1.4.0", |run| run.phase.is_final()).await?;
        let words = format!("build secrets need BuildKit, and the engine at {host} builds without it");
        ensure!(run.phase == Phase::Failed && run.message == words, "{} {}", run.phase, run.message);
        Ok(())
    })
    .await;
    if ours {
        said(world("stop").arg("podman"))?;
    }
    told
}

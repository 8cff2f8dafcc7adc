//! Builds by a real BuildKit daemon over TLS: one platform and two, a cache in a registry, keys over ssh, and what it refuses.

use std::path::Path;

use quarterdeck_shared::protocol::{Check, CheckResult};
use serde_json::Value;

use super::*;

/// Who ends the daemon ends it for all: one story at a time has it.
static DAEMON: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The daemon runs while this does, and ends with it where it did not run before.
async fn with_daemon(told: impl AsyncFnOnce(&mut Town) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let _alone = DAEMON.lock().await;
    let status = String::from_utf8(world("status").output()?.stdout)?;
    let ours = status.contains("buildkitd is not asked for");
    said(world("start").arg("buildkitd"))?;
    let told = story(async |town| {
        town.image = format!("{}/{}", Place::open(town).host, town.name);
        told(town).await
    })
    .await;
    if ours {
        said(world("stop").arg("buildkitd"))?;
    }
    told
}

/// What builds, with these certificates; the engine runs tests.
fn daemon(town: &Town, certificates: &Path) -> String {
    let file = |name: &str| certificates.join(name).display().to_string();
    format!(
        "address = \"{}\"\n[engine.buildkit]\naddress = \"{}\"\nca_file = \"{}\"\ncert_file = \"{}\"\nkey_file = \"{}\"",
        town.parts.get("DOCKER_HOST"),
        town.parts.get("BUILDKIT_HOST"),
        file("ca.pem"),
        file("client.pem"),
        file("client.key"),
    )
}

/// Starts an agent whose image is built so, and whose PATH has the programs of the world.
async fn starts(town: &mut Town, certificates: &Path, more: &str) -> anyhow::Result<()> {
    town.agent.kill_agent();
    town.agent.configure(&config(town, &daemon(town, certificates), more))?;
    let path = town.parts.path_with_programs()?;
    town.agent.start_agent_with(&[("PATH", path.into())]).await
}

/// The end of a tag, however it ends.
async fn ended(town: &Town, tag: &str) -> anyhow::Result<RunStatus> {
    town.agent.wait_run(&format!("the end of {tag}"), |run| run.reference == tag && run.phase.is_final()).await
}

async fn manifest_of(town: &Town, reference: &str) -> anyhow::Result<Value> {
    let accept = "Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json\r\n";
    let path = format!("/v2/{}/manifests/{reference}", town.name);
    let (status, text) = http(&Place::open(town).host, "GET", &path, accept, "").await?;
    ensure!(status == 200, "the registry answered {status} for {reference}: {text}");
    Ok(serde_json::from_str(&text)?)
}

#[tokio::test]
async fn a_daemon_builds_one_platform_and_two_and_keeps_its_cache_in_a_registry() -> anyhow::Result<()> {
    with_daemon(async |town| {
        let certificates = Path::new(town.parts.get("BUILDKIT_CERTIFICATES")).to_owned();
        let base = format!("{}/busybox:1", Place::open(town).host);
        let dockerfile = format!(
            "FROM {base} AS made\nRUN echo made {name} > /made\nFROM {base}\nCOPY --from=made /made /made\nCOPY . /all\nCMD [\"sh\"]\n",
            name = town.name
        );
        let files = [("Dockerfile", &*dockerfile), (".dockerignore", "*.md\n"), ("README.md", "no"), ("app/run", "yes\n")];
        town.shop.commit(&[files[0], files[1], files[2], files[3]], "A shop")?;
        let cache = format!("{}:cache", town.image);
        let image = format!("cache_from = [\"{cache}\"]\ncache_to = \"{cache}\"\nsource_date_epoch = true\n");
        let test = "[[application.test]]\nname = \"unit\"\n\
                    command = [\"sh\", \"-c\", \"grep -q made /made && test ! -e /all/README.md && stat -c %Y /all/app /all/app/run\"]\n";
        starts(town, &certificates, &format!("{image}{test}")).await?;
        town.shop.tag("push-1.4.0")?;
        let run = town.run("push-1.4.0").await?;
        let built = &run.artifact.as_ref().context("an artifact")?.images[0];
        ensure!(built.digest.as_ref() == Some(&built.id), "{built:?}");
        let log = town.log(run.id).await?;
        ensure!(log.iter().any(|line| line.starts_with('#') && line.contains("RUN echo made")), "{log:#?}");
        ensure!(log.iter().any(|line| line.contains("exporting cache to registry")), "{log:#?}");
        let time = log.iter().filter(|line| line.len() == 10 && line.bytes().all(|b| b.is_ascii_digit()));
        let times: std::collections::BTreeSet<&String> = time.collect();
        ensure!(times.len() == 1, "a folder and a file have the time of the commit: {log:#?}");
        manifest_of(town, "cache").await?;
        let checks: Vec<Check> = town.agent.client().get("/v1/doctor").await?;
        let row = checks.iter().find(|check| check.name.starts_with("buildkit ")).context("a row of the daemon")?;
        ensure!(row.result == CheckResult::Good && row.message.contains("BuildKit v0."), "{row:?}");

        // No step runs a program, so that no emulation is needed.
        town.shop.commit(&[("Dockerfile", "FROM scratch\nCOPY app /app\n")], "For two")?;
        starts(town, &certificates, "platforms = [\"linux/amd64\", \"linux/arm64\"]\n").await?;
        town.shop.tag("push-1.5.0")?;
        let two = town.run("push-1.5.0").await?;
        let index = manifest_of(town, "1.5.0").await?;
        let parts = index["manifests"].as_array().context("an index")?;
        let platforms: Vec<_> = parts.iter().map(|part| part["platform"]["architecture"].as_str()).collect();
        ensure!(platforms == [Some("amd64"), Some("arm64")], "{index}");
        for part in parts {
            manifest_of(town, part["digest"].as_str().context("a digest")?).await?;
        }
        for run in [run, two] {
            Place::open(town).forget(town, &run).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_step_uses_a_key_file_and_a_daemon_of_another_authority_is_rejected() -> anyhow::Result<()> {
    with_daemon(async |town| {
        let certificates = Path::new(town.parts.get("BUILDKIT_CERTIFICATES")).to_owned();
        let base = format!("{}/busybox:1", Place::open(town).host);
        let key = town.agent.path("deploy-key").display().to_string();
        said(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &key]))?;
        let dockerfile = format!(
            "FROM {base}\nRUN --mount=type=ssh test -S \"$SSH_AUTH_SOCK\" && echo {name} has an agent\n",
            name = town.name
        );
        town.shop.commit(&[("Dockerfile", &dockerfile)], "With a key")?;
        starts(town, &certificates, "ssh = { key_file = \"deploy-key\" }\n").await?;
        town.shop.tag("build-1.4.0")?;
        let run = ended(town, "build-1.4.0").await?;
        let log = town.log(run.id).await?.join("\n");
        ensure!(run.phase == Phase::Succeeded, "{} {log}", run.message);
        ensure!(log.contains(&format!("{} has an agent", town.name)), "{log}");

        // An authority that did not sign the daemon's certificate.
        let strange = town.agent.path("strange");
        std::fs::create_dir_all(&strange)?;
        for file in ["client.pem", "client.key"] {
            std::fs::copy(certificates.join(file), strange.join(file))?;
        }
        let words =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-subj", "/CN=a"];
        let mut make = Command::new("openssl");
        make.args(words).arg("-out").arg(strange.join("ca.pem")).arg("-keyout").arg(strange.join("ca.key"));
        said(&mut make)?;
        town.shop.commit(&[("again", "1")], "Another")?;
        starts(town, &strange, "").await?;
        town.shop.tag("build-1.5.0")?;
        let run = ended(town, "build-1.5.0").await?;
        let told = format!(
            "the BuildKit daemon at {} and the agent reject each other's certificates",
            town.parts.get("BUILDKIT_HOST")
        );
        ensure!(run.phase == Phase::Failed && run.message.starts_with(&told), "{}", run.message);
        Ok(())
    })
    .await
}

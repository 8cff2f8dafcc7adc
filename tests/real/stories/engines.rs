//! Engines and registries: each engine builds and pushes the shop, to registries of each kind of login.

mod cleaned;
mod elsewhere;
mod keyless;
mod output;
mod registries;
mod secrets;
pub(crate) mod signed;
mod tested;

use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use harness::agent::{digest, runs};
use harness::real::{Town, code, http, manifests, said, world};
use harness::world::borrowed;
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::Phase;

use crate::story;

/// A registry as a story uses it.
struct Place {
    /// `127.0.0.1:15001`
    host: String,
    /// The user and the password, where it wants a login.
    login: Option<(String, String)>,
}

impl Place {
    /// The registry with basic login.
    fn with_login(town: &Town) -> Self {
        let at = |name: &str| town.parts.get(name).to_owned();
        Self { host: at("REGISTRY_LOGIN"), login: Some((at("REGISTRY_LOGIN_USER"), at("REGISTRY_LOGIN_PASSWORD"))) }
    }

    /// The registry without one.
    fn open(town: &Town) -> Self {
        Self { host: town.parts.get("REGISTRY").to_owned(), login: None }
    }

    fn head(&self) -> String {
        self.login.as_ref().map_or_else(String::new, |(user, password)| {
            let login = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
            format!("Authorization: Basic {login}\r\n")
        })
    }

    /// Takes an image away that a run pushed there.
    async fn forget(&self, town: &Town, run: &RunStatus) -> anyhow::Result<()> {
        let path = manifest(town, run)?;
        let (status, text) = http(&self.host, "DELETE", &path, &self.head(), "").await?;
        ensure!(status == 202, "the registry answered {status}: {text}");
        Ok(())
    }

    /// The image that a run pushed is there with all that its manifest names.
    async fn has_every_layer(&self, town: &Town, run: &RunStatus) -> anyhow::Result<()> {
        let head = self.head() + "Accept: application/vnd.docker.distribution.manifest.v2+json\r\n";
        let (status, text) = http(&self.host, "GET", &manifest(town, run)?, &head, "").await?;
        ensure!(status == 200, "the registry answered {status}: {text}");
        let manifest: serde_json::Value = serde_json::from_str(&text)?;
        let layers = manifest["layers"].as_array().context("a manifest has layers")?;
        for blob in layers.iter().chain([&manifest["config"]]) {
            let path = format!("/v2/{}/blobs/{}", town.name, blob["digest"].as_str().context("a digest")?);
            let (status, _) = http(&self.host, "HEAD", &path, &self.head(), "").await?;
            ensure!(status == 200, "the registry answered {status} for {blob}");
        }
        Ok(())
    }
}

/// Where the manifest is that a run pushed.
fn manifest(town: &Town, run: &RunStatus) -> anyhow::Result<String> {
    let digest = digest(run).context("it was pushed")?;
    Ok(format!("/v2/{}/manifests/{digest}", town.name))
}

/// The town's configuration for building only, into the registry at `host`: other lines for the engine, and those of a login.
fn config(town: &Town, engine: &str, login: &str) -> String {
    let text = town.config();
    let text = text.split_once("[[application.environment]]").map_or(&*text, |(before, _)| before);
    let (before, rest) = text.split_once("[engine]\n").unwrap_or((text, ""));
    let rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    format!("{before}[engine]\n{engine}\n{rest}\n{login}")
}

/// Builds and pushes the shop.
async fn delivers(town: &mut Town, config: &str) -> anyhow::Result<RunStatus> {
    town.agent.configure(config)?;
    town.shop.commit(&borrowed(&code("1.4.0", 0)), "A shop")?;
    town.agent.start_agent().await?;
    town.shop.tag("push-1.4.0")?;
    town.run("push-1.4.0").await
}

#[tokio::test]
async fn the_classic_builder_pushes_where_nobody_logs_in() -> anyhow::Result<()> {
    story(async |town| {
        let place = Place::open(town);
        town.image = format!("{}/{}", place.host, town.name);
        let engine = format!("address = \"{}\"\nbuilder = \"classic\"", town.parts.get("DOCKER_HOST"));
        let run = delivers(town, &config(town, &engine, "")).await?;
        ensure!(runs(&town.agent.state().await?).count() == 1, "one tag, one run");
        ensure!(town.images()?.lines().count() == 1, "one image: {}", town.images()?);
        place.forget(town, &run).await
    })
    .await
}

/// A mount of `RUN` is BuildKit's own. Who sets no builder gets it, as who names it; the classic one refuses the line.
#[tokio::test]
async fn buildkit_is_taken_by_itself_and_by_name() -> anyhow::Result<()> {
    story(async |town| {
        let place = Place::open(town);
        town.image = format!("{}/{}", place.host, town.name);
        let engine = format!("address = \"{}\"", town.parts.get("DOCKER_HOST"));
        for (version, builder) in [("1.4.0", ""), ("1.5.0", "\nbuilder = \"buildkit\"")] {
            let run = builds(town, version, &format!("{engine}{builder}")).await?;
            ensure!(run.phase == Phase::Succeeded, "{version} {}: {}", run.phase, run.message);
            let log = town.log(run.id).await?;
            ensure!(
                log.iter().any(|line| line.starts_with('#') && line.contains("RUN --mount=type=cache")),
                "{log:#?}"
            );
            place.forget(town, &run).await?;
        }
        let run = builds(town, "1.6.0", &format!("{engine}\nbuilder = \"classic\"")).await?;
        let refused = run.phase == Phase::Failed && run.message.contains("the --mount option requires BuildKit");
        ensure!(refused, "{} {}", run.phase, run.message);
        Ok(())
    })
    .await
}

/// A version with a mount, built and pushed by an agent with these lines of an engine.
async fn builds(town: &mut Town, version: &str, engine: &str) -> anyhow::Result<RunStatus> {
    let mut files = code(version, 0);
    files[0].1 += "RUN --mount=type=cache,target=/cache touch /cache/kept\n";
    town.shop.commit(&borrowed(&files), version)?;
    town.agent.kill_agent();
    town.agent.configure(&config(town, engine, ""))?;
    town.agent.start_agent().await?;
    let tag = format!("push-{version}");
    town.shop.tag(&tag)?;
    town.agent.wait_run("the run to end", |run| run.reference == tag && run.phase.is_final()).await
}

#[tokio::test]
async fn podman_pushes_with_a_token() -> anyhow::Result<()> {
    let status = String::from_utf8(world("status").output()?.stdout)?;
    let ours = status.contains("podman is not asked for");
    said(world("start").arg("podman"))?;
    let told = story(async |town| {
        let host = town.parts.get("PODMAN_HOST").to_owned();
        let podman = |words: &[&str]| {
            let mut docker = Command::new(format!("{}/docker", town.parts.get("WORLD_BIN")));
            said(docker.args(words).env("DOCKER_HOST", &host))
        };
        let image = town.image.clone();
        let list = ["images", "--quiet", "--no-trunc", &image];
        let config = config(town, &format!("address = \"{host}\""), "");
        town.agent.configure(&config)?;
        town.shop.commit(&borrowed(&code("1.4.0", 0)), "A shop")?;
        town.agent.start_agent().await?;
        town.shop.tag("push-1.4.0")?;
        let delivered = town.run("push-1.4.0").await;
        let images = String::from_utf8(podman(&list)?.stdout)?;
        for id in images.lines() {
            podman(&["rmi", "--force", id])?;
        }
        let digest = digest(&delivered?);
        ensure!(digest.is_some() && images.lines().count() == 1, "one image, pushed: {images}");
        Ok(())
    })
    .await;
    if ours {
        said(world("stop").arg("podman"))?;
    }
    told
}

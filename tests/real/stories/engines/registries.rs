//! What goes wrong between an engine, a registry and a node: a wrong password, a registry that goes away in the middle of
//! a push, a node that may not pull.

use harness::agent::runs;
use harness::real::Forward;
use quarterdeck_shared::snapshot::EnvironmentStatus;
use quarterdeck_shared::status::{Health, Stage, StageKind};
use tokio::sync::RwLock;

use super::*;

/// The registry with basic login. One story stops it, beside all others but those that use it too.
static WITH_LOGIN: RwLock<()> = RwLock::const_new(());

/// The engine of every town.
fn engine(town: &Town) -> String {
    format!("address = \"{}\"", town.parts.get("DOCKER_HOST"))
}

fn login(host: &str) -> String {
    format!("[[registry]]\nhost = \"{host}\"\nusername = \"ops\"\npassword_file = \"password\"\n")
}

#[tokio::test]
async fn a_wrong_password_is_told_and_the_right_one_pushes_what_was_built() -> anyhow::Result<()> {
    let _shared = WITH_LOGIN.read().await;
    story(async |town| {
        let place = Place::with_login(town);
        town.image = format!("{}/{}", place.host, town.name);
        let config = config(town, &engine(town), &login(&place.host));
        let run = wrong_then_right(town, &config, &place).await?;
        place.forget(town, &run).await
    })
    .await
}

/// The forge's registry takes the password for a token, so that another request is refused.
#[tokio::test]
async fn a_wrong_password_for_a_token_is_told_and_the_right_one_pushes_what_was_built() -> anyhow::Result<()> {
    story(async |town| {
        let at = |name: &str| town.parts.get(name).to_owned();
        let login = Some((at("FORGE_USER"), at("FORGE_TOKEN")));
        let place = Place { host: at("FORGE_REGISTRY"), login };
        // The repository's token stays right.
        let user = format!("username = \"{}\"\n", town.parts.get("FORGE_USER"));
        let file = format!("{user}password_file = \"forge-token\"");
        let config = config(town, &engine(town), "").replace(&file, &format!("{user}password_file = \"password\""));
        wrong_then_right(town, &config, &place).await.map(drop)
    })
    .await
}

/// The push is refused, in words that say what to do and not the password; then what was built is pushed.
async fn wrong_then_right(town: &mut Town, config: &str, place: &Place) -> anyhow::Result<RunStatus> {
    town.write_secret("password", "wrong-4711")?;
    town.agent.configure(config)?;
    town.shop.commit(&borrowed(&code("1.4.0", 0)), "A shop")?;
    town.agent.start_agent().await?;
    town.shop.tag("push-1.4.0")?;
    let ended = |run: &RunStatus| run.reference == "push-1.4.0" && run.phase.is_final();
    let run = town.agent.wait_run("the run to end", ended).await?;
    ensure!(run.phase == Phase::Failed, "{} {}", run.phase, run.message);
    ensure!(run.hint.contains("check the login"), "what to do: {}: {}", run.message, run.hint);
    let told = serde_json::to_string(&town.agent.state().await?)?
        + &std::fs::read_to_string(town.agent.path("agent.log"))?
        + &town.log(run.id).await?.concat();
    ensure!(!told.contains("wrong-4711"), "the password is told:\n{told}");

    town.write_secret("password", place.login.as_ref().map_or("", |(_, password)| password))?;
    town.shop.tag("push-1.4.1")?;
    let run = town.run("push-1.4.1").await?;
    let images: std::collections::BTreeSet<String> = town.images()?.lines().map(str::to_owned).collect();
    if images.len() != 1 {
        let log = std::fs::read_to_string(town.agent.path("agent.log"))?;
        bail!("built once: {images:?}: {}\n{log}", town.log(run.id).await?.concat());
    }
    Ok(run)
}

#[tokio::test]
async fn a_registry_that_restarts_in_a_push_gets_it_in_the_end() -> anyhow::Result<()> {
    let _alone = WITH_LOGIN.write().await;
    story(async |town| {
        let told = restarts_in_a_push(town).await;
        let started = said(world("start").arg("registry-login")).map(drop);
        told.and(started)
    })
    .await
}

async fn restarts_in_a_push(town: &mut Town) -> anyhow::Result<()> {
    let place = Place::with_login(town);
    let door = Forward::to(&place.host).await?;
    door.hold_up_after(2 << 20);
    let host = format!("127.0.0.1:{}", door.port());
    town.image = format!("{host}/{}", town.name);
    town.write_secret("password", place.login.as_ref().map_or("", |(_, password)| password))?;
    town.agent.configure(&config(town, &engine(town), &login(&host)))?;
    town.shop.commit(&borrowed(&code("1.4.0", 8)), "A shop with ballast")?;
    town.agent.start_agent().await?;
    town.shop.tag("push-1.4.0")?;
    door.held().await?;
    said(world("stop").arg("registry-login"))?;
    door.release();
    let waits = |run: &RunStatus| {
        let tries = |stage: &Stage| stage.kind == StageKind::Push && stage.message.starts_with("trying again in");
        run.stages.iter().any(tries)
    };
    town.agent.wait_run("the push to wait for the registry", waits).await?;
    said(world("start").arg("registry-login"))?;
    let run = town.run("push-1.4.0").await?;
    ensure!(runs(&town.agent.state().await?).count() == 1 && town.images()?.lines().count() == 1, "built once");
    place.has_every_layer(town, &run).await?;
    place.forget(town, &run).await
}

#[tokio::test]
async fn a_node_without_the_pull_secret_is_told_by_its_pods() -> anyhow::Result<()> {
    let _shared = WITH_LOGIN.read().await;
    story(async |town| {
        let place = Place::with_login(town);
        town.image = format!("{}/{}", place.host, town.name);
        town.write_secret("password", place.login.as_ref().map_or("", |(_, password)| password))?;
        town.agent.configure(&(town.config() + &login(&place.host)))?;
        town.deploy.commit(&borrowed(&manifests(&format!("{}:none", town.image))), "From the other registry")?;
        town.shop.commit(&borrowed(&code("1.4.0", 0)), "A shop")?;
        town.agent.start_agent().await?;
        town.shop.tag("push-1.4.0")?;
        let run = town.run("push-1.4.0").await?;
        let version = town.promoted(&run)?;
        let refused = |app: &EnvironmentStatus| {
            let says = |words: &str| app.message.to_lowercase().contains(words);
            app.health == Health::Degraded && says("pull") && says(&version.digest) && says("auth")
        };
        town.agent.wait_for("the pull to be refused", "shop", refused).await?;
        let secret = format!("--from-file=.dockerconfigjson={}/config.json", town.parts.get("DOCKER_CONFIG"));
        town.kubectl(&["create", "secret", "generic", "pull", "--type=kubernetes.io/dockerconfigjson", &secret])?;
        // The kubelet waits longer and longer before it pulls again; a new pod does not.
        town.kubectl(&["delete", "pods", "--selector", "app=shop", "--wait=false"])?;
        town.healthy("the version with its secret", &version.commit).await?;
        place.forget(town, &run).await
    })
    .await
}

//! Parts that go away for 20 seconds and come back: what is stale is told, nobody is hammered, everything is caught up.

use std::time::Duration;

use harness::real::{Forward, code, said, world};
use harness::world::borrowed;
use quarterdeck_shared::protocol::State;
use quarterdeck_shared::snapshot::{ConnectionKind, Object, RunStatus};
use quarterdeck_shared::status::{Phase, StageKind};
use tokio::time::{Instant, sleep_until};

use super::*;

/// How long each is away.
const AWAY: Duration = Duration::from_secs(20);

/// Tries in that time: waits that double from a second are 1, 2, 4, 8 and 16, and a part that starts answers in between.
const TRIES: usize = 8;

/// Tries of who doubles its waits in the second half of it: after 10 seconds the next wait is 8 or more.
const LATE_TRIES: usize = 2;

/// Watches of the cluster: one a kind of the shop and of what belongs to it. Each tries again on its own.
const WATCHES: usize = 20;

#[tokio::test]
async fn parts_go_away_and_come_back() -> anyhow::Result<()> {
    story_alone(async |town| {
        let outage = Outage::begin(town).await?;
        town.shop.commit(&borrowed(&code("1.4.0", 0)), "A shop")?;
        town.start().await?;
        town.shop.tag("push-1.4.0")?;
        let version = town.promoted(&town.run("push-1.4.0").await?)?;
        town.healthy("the version before", &version.commit).await?;

        outage.cluster_and_forge(town).await?;
        let commit = town.deploy.commit(&[("shop/extra.yaml", EXTRA)], "One more")?;
        town.healthy("the commit after the outage", &commit).await?;

        town.shop.commit(&borrowed(&code("1.5.0", 0)), "Another")?;
        outage.engine_and_registry(town).await?;
        let version = town.promoted(&town.run("push-1.5.0").await?)?;
        town.healthy("the version after the outage", &version.commit).await?;
        town.runs_digest(&version)?;
        town.answers("1.5.0").await
    })
    .await
}

const EXTRA: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: extra }\n";

/// Ways to the parts that count what is asked of them.
struct Outage {
    forge: Forward,
    cluster: Forward,
}

impl Outage {
    /// Puts the counted ways into the configuration. The image goes to the plain registry, which is no part of the forge.
    async fn begin(town: &mut Town) -> anyhow::Result<Self> {
        let at = |name: &str| town.parts.get(name).to_owned();
        let (url, server) = (at("FORGE_URL"), at("KUBE_SERVER"));
        let forge = Forward::to(url.trim_start_matches("http://")).await?;
        let cluster = Forward::to(server.trim_start_matches("https://")).await?;
        let kubeconfig = std::fs::read_to_string(at("KUBECONFIG"))?;
        let kubeconfig = kubeconfig.replace(&server, &format!("https://127.0.0.1:{}", cluster.port()));
        town.write_secret("kubeconfig", &kubeconfig)?;
        let image = format!("{}/{}", at("REGISTRY"), town.name);
        let manifests = harness::real::manifests(&format!("{image}:none"));
        town.deploy.commit(&borrowed(&manifests), "The plain registry's image")?;
        let near = format!("http://127.0.0.1:{}", forge.port());
        let config = town.config();
        let config = config.replace(&town.shop.url, &town.shop.url.replace(&url, &near));
        let config = config.replace(&format!("url = \"{url}\""), &format!("url = \"{near}\""));
        let config = config.replace(&at("KUBECONFIG"), "kubeconfig").replace(&town.image, &image);
        town.agent.configure(&config)?;
        town.image = image;
        Ok(Self { forge, cluster })
    }

    /// Both at once: their words do not mix, since one is a repository's and one the cluster's.
    async fn cluster_and_forge(&self, town: &Town) -> anyhow::Result<()> {
        let console = console(town, (240, 30))?;
        console.wait_text("live").await?;
        stop(&["apiserver", "forge"])?;
        let away = Instant::now();
        let tries = || [self.forge.traffic().connections, self.cluster.traffic().connections];
        let first = tries();
        let told = |state: &State| {
            let repository = crate::git::repository(state, &town.name)?;
            let cluster = state.objects.values().find_map(|object| match object {
                Object::Connection(connection) if connection.to == ConnectionKind::Cluster && !connection.reachable => {
                    connection.error.clone()
                }
                _ => None,
            })?;
            Some((repository.error.clone()?, repository.polled?, repository.next_poll?, cluster))
        };
        let (forge, polled, _, cluster) = town.agent.wait("both outages to be told", told).await?;
        ensure!(forge.contains("cannot be reached") && polled < jiff::Timestamp::now(), "{forge}");
        ensure!(!cluster.is_empty(), "the cluster's outage has no words");
        let lost = ["cluster world unreachable", &format!("/ops/{}.git not polled", town.name), "/ops/deploy-"];
        shows(&console, "what is away", &lost).await?;
        console.type_keys("5")?;
        shows(&console, "the system", &["✖ unreachable", "✖ failed", "cannot be reached"]).await?;

        sleep_until(away + AWAY / 2).await;
        let half = tries();
        sleep_until(away + AWAY).await;
        let all = tries();
        for (what, who, one, two) in [
            ("forge", 1, half[0] - first[0], all[0] - half[0]),
            ("API server", WATCHES, half[1] - first[1], all[1] - half[1]),
        ] {
            ensure!(one <= (who * TRIES) as u64, "the {what} was tried {one} times in the first half");
            ensure!(two < one && two <= (who * LATE_TRIES) as u64, "the {what} was tried {one} times, and then {two}");
        }
        start(&["apiserver", "forge"])?;
        let clear = |state: &State| told(state).is_none().then_some(());
        let answered = |state: &State| {
            let fine = crate::git::repository(state, &town.name).is_some_and(|repository| repository.error.is_none());
            let connected =
                |object: &Object| if let Object::Connection(found) = object { found.reachable } else { true };
            (fine && state.objects.values().all(connected)).then_some(())
        };
        town.agent.wait("an end of the outages", clear).await?;
        town.agent.wait("both to answer again", answered).await?;
        let fine = |screen: &vt100::Screen| {
            let text = screen.contents();
            let bad = ["unreachable", "not polled", "failed", "cannot be reached", "stale"];
            text.matches("● polled").count() == 2
                && text.contains("● reachable")
                && !bad.iter().any(|bad| text.contains(bad))
        };
        console.wait("all to be well in the system", fine).await?;
        console.type_keys("1")?;
        let well = |screen: &vt100::Screen| {
            let text = screen.contents();
            text.contains("Healthy") && !text.contains("cannot reach") && !text.contains("not polled")
        };
        console.wait("the shop to be known again", well).await?;
        console.type_keys("q")?;
        ensure!(console.ended().await?.code == 0, "the console did not end well");
        Ok(())
    }

    /// A tag is pushed while both are away. The engine comes back first, so that each is waited for in its stage.
    async fn engine_and_registry(&self, town: &Town) -> anyhow::Result<()> {
        stop(&["engine", "registry"])?;
        let back = Instant::now() + AWAY;
        town.shop.tag("push-1.5.0")?;
        waits(town, StageKind::Build).await?;
        sleep_until(back).await;
        start(&["engine"])?;
        waits(town, StageKind::Push).await?;
        start(&["registry"])?;
        let run = town.run("push-1.5.0").await?;
        let log = town.log(run.id).await?;
        let tries = log.iter().filter(|line| line.contains("trying again in")).count();
        ensure!((2..=2 * TRIES).contains(&tries), "{tries} tries:\n{}", log.join("\n"));
        Ok(())
    }
}

/// Waits until all of these texts are on the console.
async fn shows(console: &Terminal, what: &str, texts: &[&str]) -> anyhow::Result<()> {
    let all = |screen: &vt100::Screen| {
        let text = screen.contents();
        texts.iter().all(|wanted| text.contains(wanted))
    };
    console.wait(&format!("{what} with {texts:?}"), all).await.map(drop)
}

/// The stage says what it waits for.
async fn waits(town: &Town, kind: StageKind) -> anyhow::Result<()> {
    let waiting = |run: &RunStatus| {
        let says = |stage: &quarterdeck_shared::status::Stage| {
            stage.kind == kind && stage.phase == Phase::Running && stage.message.contains("trying again in")
        };
        run.reference == "push-1.5.0" && run.stages.iter().any(says)
    };
    town.agent.wait_run(&format!("the {kind} to wait"), waiting).await.map(drop)
}

fn stop(parts: &[&str]) -> anyhow::Result<()> {
    said(world("stop").args(parts)).map(drop)
}

fn start(parts: &[&str]) -> anyhow::Result<()> {
    said(world("start").args(parts)).map(drop)
}

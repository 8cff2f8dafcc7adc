//! What agents and clusters meet every week: kills, outages, drift, bad manifests, rollbacks.

use std::time::Duration;

use anyhow::Context as _;
use harness::agent::is_at;
use harness::real::{said, world};
use quarterdeck_shared::protocol::{Accepted, RollbackRequest};
use quarterdeck_shared::snapshot::EnvironmentStatus;

use super::Day;

/// Parts that fail; etcd takes the API server's answers with it.
const PARTS: [&str; 8] = ["forge", "engine", "apiserver", "etcd", "kubelet", "containerd", "controllers", "scheduler"];

impl Day<'_> {
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        let times = 1 + self.dice.below(3);
        self.say(&format!("kill -9 of the agent, {times} times"))?;
        for _ in 0..times {
            self.town.agent.kill_agent();
            tokio::time::sleep(Duration::from_millis(self.dice.below(2_000))).await;
            self.town.agent.start_agent().await?;
            tokio::time::sleep(Duration::from_millis(self.dice.below(3_000))).await;
        }
        Ok(())
    }

    /// A part is away for a while, and sometimes the agent dies meanwhile.
    pub(super) async fn outage(&mut self) -> anyhow::Result<()> {
        let part = *self.dice.one_of(&PARTS);
        let seconds = 2 + self.dice.below(18);
        let dies = self.dice.one_in(4);
        self.say(&format!("{part} is away for {seconds} s{}", if dies { ", and the agent is killed" } else { "" }))?;
        said(world("stop").arg(part))?;
        tokio::time::sleep(Duration::from_secs(seconds / 2)).await;
        if dies {
            self.town.agent.kill_agent();
            self.town.agent.start_agent().await?;
        }
        tokio::time::sleep(Duration::from_secs(seconds - seconds / 2)).await;
        // Others may have ended for want of it: all of them run again.
        said(world("start").arg(part)).map(drop)?;
        if !world("status").output()?.status.success() {
            self.say("other parts ended for want of it: the world is brought up again")?;
            said(&mut world("up"))?;
        }
        Ok(())
    }

    pub(super) fn drift(&mut self) -> anyhow::Result<()> {
        let deeds: [&[&str]; 4] = [
            &["scale", "deployment", "shop", "--replicas", "4"],
            &["label", "--overwrite", "deployment", "shop", "tier=other"],
            &["delete", "service", "shop"],
            &["delete", "configmap", "shop"],
        ];
        let words = *self.dice.one_of(&deeds);
        self.say(&format!("kubectl {}", words.join(" ")))?;
        // What has drifted already, or is being healed, can no more be deleted.
        if let Err(error) = self.town.kubectl(words) {
            self.say(&format!("kubectl: {error:#}"))?;
        }
        Ok(())
    }

    pub(super) async fn bad_manifest(&mut self) -> anyhow::Result<()> {
        self.say("a bad manifest, mended once it is told")?;
        let whole = self.town.deploy.git(&["show", "HEAD:shop/service.yaml"])? + "\n";
        let bad = if self.dice.one_in(2) {
            "apiVersion: v1\nkind: Service\nmetadata: { name: shop\n".to_owned()
        } else {
            whole.replace("targetPort: 8080", "targetPort: 88080")
        };
        self.commit(&bad, "Oops")?;
        let told = |app: &EnvironmentStatus| app.message.contains("service.yaml") || app.message.contains("88080");
        let told = self.town.agent.wait_for("the bad manifest to be told", "shop", told).await;
        self.commit(&whole, "A good manifest again")?;
        told.map_or_else(|error| self.find(&error), |_| Ok(()))
    }

    /// The agent promotes meanwhile: whoever is later begins again.
    pub(super) fn commit(&self, service: &str, message: &str) -> anyhow::Result<()> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.town.deploy.commit(&[("shop/service.yaml", service)], message) {
                Ok(_) => return Ok(()),
                Err(error) if tries == 5 => return Err(error).context("others were faster five times"),
                Err(_) => {}
            }
        }
    }

    pub(super) async fn roll_back(&mut self) -> anyhow::Result<()> {
        self.town.deploy.pull()?;
        let commits = self.town.deploy.git(&["log", "--format=%H", "--fixed-strings", "--grep", "shop: 1."])?;
        let commits: Vec<&str> = commits.lines().collect();
        let to = (*self.dice.one_of(&commits)).to_owned();
        self.say(&format!("a rollback to {}, and back", &to[..7]))?;
        let request = RollbackRequest { to: Some(to.clone()), reason: "the dice".to_owned() };
        let asked: Result<Accepted, _> =
            self.town.agent.client().post("/v1/environments/shop/rollback", &request).await;
        if let Err(error) = asked {
            return self.find(&error.into());
        }
        let there = |app: &EnvironmentStatus| is_at(app, &to) && app.pin.is_some();
        let there = self.town.agent.wait_for("the rollback", "shop", there).await;
        let _: Accepted = self.town.agent.client().post_empty("/v1/environments/shop/unpin").await?;
        there.map_or_else(|error| self.find(&error), |_| Ok(()))
    }
}

//! A day of it in small: versions are pushed, the cluster drifts, manifests are bad, somebody rolls back, and meanwhile the
//! agent is killed and parts of the world fail, as the dice fall. After each round what must hold is checked (`check`).
//!
//! The dice have a seed, which is printed. A seed tells the same rounds again, though not the same instants.

mod check;
mod dice;

use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use harness::agent::is_at;
use harness::real::{Town, code, said, world};
use harness::world::borrowed;
use quarterdeck_shared::protocol::{Accepted, RollbackRequest};
use quarterdeck_shared::snapshot::ApplicationStatus;

use self::check::Pushed;
use self::dice::Dice;

/// Parts that fail; etcd takes the API server's answers with it.
const PARTS: [&str; 8] = ["forge", "engine", "apiserver", "etcd", "kubelet", "containerd", "controllers", "scheduler"];

/// Lives the day. What did not hold is told at once, and the day goes on: the error at its end has the count.
pub(super) async fn live(town: &mut Town, seed: Option<u64>, minutes: u64) -> anyhow::Result<()> {
    let seed = match seed {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    let mut day = Day { dice: Dice::new(seed), town, pushed: Vec::new(), begun: Instant::now(), found: 0 };
    day.say(&format!("a day of {minutes} minutes by seed {seed}"))?;
    // All runs of a long day are looked at in the end.
    let config = day.town.config() + "\n[history]\nruns = 10000\n";
    day.town.agent.configure(&config)?;
    day.town.start().await?;
    day.push(Kind::Good).await?;
    day.check().await?;
    let mut counts = std::collections::BTreeMap::<&str, u32>::new();
    while day.begun.elapsed() < Duration::from_secs(minutes * 60) {
        let deed = day.round().await?;
        *counts.entry(deed).or_default() += 1;
        day.check().await?;
    }
    day.say(&format!("{} versions; {counts:?}; {} finds", day.pushed.len(), day.found))?;
    anyhow::ensure!(day.found == 0, "{} times something did not hold, by seed {seed}", day.found);
    Ok(())
}

struct Day<'a> {
    town: &'a mut Town,
    dice: Dice,
    pushed: Vec<Pushed>,
    begun: Instant,
    found: u32,
}

/// What a tag asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Good,
    /// With a layer that takes a while to push and to pull.
    Big,
    /// Its build fails.
    Bad,
    /// Built and not pushed.
    Built,
}

impl Day<'_> {
    /// Mostly a version is on its way, and something happens to it within its first seconds: a run takes about four.
    async fn round(&mut self) -> anyhow::Result<&'static str> {
        if self.dice.one_in(4) {
            self.say("no version")?;
        } else {
            let kind = *self.dice.one_of(&[Kind::Good, Kind::Good, Kind::Good, Kind::Big, Kind::Bad, Kind::Built]);
            self.push(kind).await?;
            let wait = Duration::from_millis(self.dice.below(4_000));
            tokio::time::sleep(wait).await;
        }
        let deed =
            *self.dice.one_of(&["kill", "kill", "outage", "outage", "outage", "drift", "bad manifest", "rollback"]);
        match deed {
            "kill" => self.kill().await?,
            "outage" => self.outage().await?,
            "drift" => self.drift()?,
            "bad manifest" => self.bad_manifest().await?,
            _ => self.roll_back().await?,
        }
        Ok(deed)
    }

    async fn push(&mut self, kind: Kind) -> anyhow::Result<()> {
        let number = self.pushed.len() + 1;
        let version = format!("1.{number}.0");
        let tag = format!("{}-{version}", if kind == Kind::Built { "build" } else { "push" });
        let mut files = code(&version, if kind == Kind::Big { 24 } else { 0 });
        if kind == Kind::Bad {
            files[0].1.push_str("RUN echo no such luck; exit 3\n");
        }
        self.town.shop.commit(&borrowed(&files), &format!("Shop {version}"))?;
        self.town.shop.tag(&tag)?;
        self.say(&format!("pushed {tag}{}", if kind == Kind::Bad { ", whose build fails" } else { "" }))?;
        self.pushed.push(Pushed {
            tag,
            version,
            good: kind != Kind::Bad,
            promotes: kind != Kind::Built && kind != Kind::Bad,
        });
        Ok(())
    }

    async fn kill(&mut self) -> anyhow::Result<()> {
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
    async fn outage(&mut self) -> anyhow::Result<()> {
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

    fn drift(&mut self) -> anyhow::Result<()> {
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

    async fn bad_manifest(&mut self) -> anyhow::Result<()> {
        self.say("a bad manifest, mended once it is told")?;
        let whole = self.town.deploy.git(&["show", "HEAD:shop/service.yaml"])? + "\n";
        let bad = if self.dice.one_in(2) {
            "apiVersion: v1\nkind: Service\nmetadata: { name: shop\n".to_owned()
        } else {
            whole.replace("targetPort: 8080", "targetPort: 88080")
        };
        self.commit(&bad, "Oops")?;
        let told = |app: &ApplicationStatus| app.message.contains("service.yaml") || app.message.contains("88080");
        let told = self.town.agent.wait_for("the bad manifest to be told", "shop", told).await;
        self.commit(&whole, "A good manifest again")?;
        told.map_or_else(|error| self.find(&error), |_| Ok(()))
    }

    /// The agent promotes meanwhile: whoever is later begins again.
    fn commit(&self, service: &str, message: &str) -> anyhow::Result<()> {
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

    async fn roll_back(&mut self) -> anyhow::Result<()> {
        self.town.deploy.pull()?;
        let commits = self.town.deploy.git(&["log", "--format=%H", "--fixed-strings", "--grep", "shop: 1."])?;
        let commits: Vec<&str> = commits.lines().collect();
        let to = (*self.dice.one_of(&commits)).to_owned();
        self.say(&format!("a rollback to {}, and back", &to[..7]))?;
        let request = RollbackRequest { to: Some(to.clone()), reason: "the dice".to_owned() };
        let asked: Result<Accepted, _> =
            self.town.agent.client().post("/v1/applications/shop/rollback", &request).await;
        if let Err(error) = asked {
            return self.find(&error.into());
        }
        let there = |app: &ApplicationStatus| is_at(app, &to) && app.pin.is_some();
        let there = self.town.agent.wait_for("the rollback", "shop", there).await;
        let _: Accepted = self.town.agent.client().poke("/v1/applications/shop/unpin").await?;
        there.map_or_else(|error| self.find(&error), |_| Ok(()))
    }

    /// What must hold, once everything had its time.
    async fn check(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        match check::everything(self.town, &self.pushed).await {
            Ok(seen) => self.say(&format!("holds after {:.1} s: {seen}", begun.elapsed().as_secs_f64())),
            Err(error) => self.find(&error),
        }
    }

    fn find(&mut self, error: &anyhow::Error) -> anyhow::Result<()> {
        self.found += 1;
        self.say(&format!("FOUND: {error:#}\nthe agent's log:\n{}", self.town.agent.log()))
    }

    fn say(&self, words: &str) -> anyhow::Result<()> {
        let seconds = self.begun.elapsed().as_secs();
        Ok(writeln!(std::io::stdout(), "{:02}:{:02}  {words}", seconds / 60, seconds % 60)?)
    }
}

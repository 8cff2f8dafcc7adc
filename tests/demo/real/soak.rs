//! A day of it in small: versions are pushed, the cluster drifts, manifests are bad, somebody rolls back, and meanwhile the
//! agent is killed and parts of the world fail, as the dice fall. After each round what must hold is checked (`check`).
//!
//! The dice have a seed, which is printed. A seed tells the same rounds again, though not the same instants.

mod accidents;
mod check;
mod deeds;
mod rng;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use harness::real::{Town, code};
use harness::world::borrowed;

use self::check::Pushed;
use self::rng::Dice;

/// Lives the day. What did not hold is told at once, and the day goes on: the error at its end has the count.
pub(super) async fn live(town: &mut Town, seed: Option<u64>, minutes: u64) -> anyhow::Result<()> {
    let seed = match seed {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    let mut day =
        Day { dice: Dice::new(seed), town, pushed: Vec::new(), begun: Instant::now(), finds: BTreeSet::new() };
    day.say(&format!("a day of {minutes} minutes by seed {seed}"))?;
    // All runs of a long day are looked at in the end.
    let config = day.town.config() + "\n[history]\nruns = 10000\n";
    day.town.agent.configure(&config)?;
    day.town.start().await?;
    day.push(Kind::Good).await?;
    day.check().await?;
    let mut counts = BTreeMap::<&str, u32>::new();
    while day.begun.elapsed() < Duration::from_secs(minutes * 60) {
        let deed = day.round().await?;
        *counts.entry(deed).or_default() += 1;
        day.check().await?;
    }
    let found = day.finds.len();
    day.say(&format!("{} versions; {counts:?}; {found} finds", day.pushed.len()))?;
    anyhow::ensure!(found == 0, "{found} things did not hold, by seed {seed}");
    Ok(())
}

/// What happens in a round; what is drawn more often stands here more often.
const DEEDS: [&str; 18] = [
    "kill",
    "kill",
    "outage",
    "outage",
    "outage",
    "drift",
    "bad manifest",
    "rollback",
    "namespace",
    "inventory",
    "set back",
    "tags at once",
    "tags return",
    "own files",
    "own files",
    "suspended",
    "frozen",
    "reloads",
];

struct Day<'a> {
    town: &'a mut Town,
    dice: Dice,
    pushed: Vec<Pushed>,
    begun: Instant,
    /// What did not hold, each once.
    finds: BTreeSet<String>,
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
        let deed = *self.dice.one_of(&DEEDS);
        match deed {
            "kill" => self.kill().await?,
            "outage" => self.outage().await?,
            "drift" => self.drift()?,
            "bad manifest" => self.bad_manifest().await?,
            "rollback" => self.roll_back().await?,
            "namespace" => self.namespace_deleted().await?,
            "inventory" => self.inventory_deleted()?,
            "set back" => self.set_back().await?,
            "tags at once" => self.tags_at_once()?,
            "tags return" => self.tags_return().await?,
            "own files" => self.own_files().await?,
            "suspended" => self.suspended().await?,
            "frozen" => self.frozen().await?,
            _ => self.reloads().await?,
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

    /// What must hold, once everything had its time.
    async fn check(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        match check::everything(self.town, &self.pushed).await {
            Ok(seen) => self.say(&format!("holds after {:.1} s: {seen}", begun.elapsed().as_secs_f64())),
            Err(error) => self.find(&error),
        }
    }

    fn find(&mut self, error: &anyhow::Error) -> anyhow::Result<()> {
        let words = format!("{error:#}");
        if !self.finds.insert(words.clone()) {
            return self.say(&format!("still: {words}"));
        }
        self.say(&format!("FOUND: {words}\nthe agent's log:\n{}", self.town.agent.log()))
    }

    fn say(&self, words: &str) -> anyhow::Result<()> {
        let seconds = self.begun.elapsed().as_secs();
        Ok(writeln!(std::io::stdout(), "{:02}:{:02}  {words}", seconds / 60, seconds % 60)?)
    }
}

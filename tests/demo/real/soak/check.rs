//! What must hold after each round, once everything had its time: see [`everything`].

use anyhow::{Context as _, ensure};
use harness::real::{Town, Version};
use quarterdeck_shared::event::{EventRecord, SyncRecord};
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::Phase;

/// A tag that was pushed.
pub(super) struct Pushed {
    pub(super) tag: String,
    pub(super) version: String,
    /// Whether its build can succeed.
    pub(super) good: bool,
    /// Whether it ends in the manifests.
    pub(super) promotes: bool,
}

/// Each tag is one run that succeeded, or one that failed and says why; each promoted version is one commit; the cluster
/// is as git says, runs the newest version's very digest and answers with it; the history has no gaps. A line of what
/// was seen, or what did not hold.
pub(super) async fn everything(town: &Town, pushed: &[Pushed]) -> anyhow::Result<String> {
    let runs = ended(town, pushed).await?;
    let mut newest = None;
    let mut failed = Vec::new();
    for tag in pushed {
        let run = the_run(&runs, tag)?;
        if is_promoted(tag, run) {
            newest = Some((tag, run));
        }
        if run.phase != Phase::Succeeded {
            ensure!(!run.message.is_empty(), "{} failed without a word", tag.tag);
            if tag.good {
                failed.push(format!("{}: {}", tag.tag, run.message));
            }
        }
    }
    commits(town, pushed, &runs)?;
    let (tag, run) = newest.context("no version was promoted")?;
    let commit = town.deploy.git(&["rev-parse", "HEAD"])?;
    town.healthy("the cluster to be as git says", &commit).await?;
    cluster(town, tag, run, &commit).await?;
    let events = events(town).await?;
    let numbers: Vec<u64> = runs.iter().map(|run| run.id.number).collect();
    gapless("run", &numbers)?;
    let syncs: Vec<SyncRecord> = town.agent.client().get("/v1/environments/shop/history?limit=1000").await?;
    for sync in &syncs {
        ensure!(sync.phase.is_final() && sync.finished.is_some(), "sync {} never ended", sync.id);
    }
    let whole = std::fs::read_to_string(town.agent.path("agent.log"))?;
    ensure!(!whole.contains("panicked"), "the agent panicked");
    let told =
        if failed.is_empty() { String::new() } else { format!("; told failures of good tags: {}", failed.join("; ")) };
    Ok(format!("shop {}, {} runs, {} syncs, {events} events{told}", tag.version, runs.len(), syncs.len()))
}

/// All runs, newest first, once each tag has an end.
async fn ended(town: &Town, pushed: &[Pushed]) -> anyhow::Result<Vec<RunStatus>> {
    let patience = std::time::Instant::now();
    loop {
        let runs: Result<Vec<RunStatus>, _> = town.agent.client().get("/v1/runs?application=shop&limit=1000").await;
        let runs = runs?;
        let over = |tag: &Pushed| {
            runs.iter().any(|run| run.reference == tag.tag && run.phase.is_final() && run.phase != Phase::Interrupted)
        };
        let open = pushed.iter().filter(|tag| !over(tag)).map(|tag| tag.tag.as_str());
        let open: Vec<&str> = open.collect();
        if open.is_empty() && runs.iter().all(|run| run.phase.is_final()) {
            return Ok(runs);
        }
        ensure!(patience.elapsed().as_secs() < 180, "these tags have no end: {open:?}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

/// The one run of a tag that was not cut off.
fn the_run<'a>(runs: &'a [RunStatus], tag: &Pushed) -> anyhow::Result<&'a RunStatus> {
    let of: Vec<_> = runs.iter().filter(|run| run.reference == tag.tag && run.phase != Phase::Interrupted).collect();
    let told = || of.iter().map(|run| format!("{} {}: {}", run.id, run.phase, run.message)).collect::<Vec<_>>();
    ensure!(of.len() == 1, "{} has {} runs: {}", tag.tag, of.len(), told().join("; "));
    ensure!(tag.good || of[0].phase == Phase::Failed, "{} {}: {}", tag.tag, of[0].phase, of[0].message);
    Ok(of[0])
}

/// Whether its image is to be in the manifests: not where a newer tag of the same push was shown first.
fn is_promoted(tag: &Pushed, run: &RunStatus) -> bool {
    tag.promotes && run.phase == Phase::Succeeded && !run.message.contains(", not promoted: ")
}

fn commits(town: &Town, pushed: &[Pushed], runs: &[RunStatus]) -> anyhow::Result<()> {
    town.deploy.pull()?;
    let log = town.deploy.git(&["log", "--format=%s"])?;
    for tag in pushed {
        let subject = format!("shop: {}", tag.version);
        let there = log.lines().filter(|line| **line == subject).count();
        let promoted = is_promoted(tag, the_run(runs, tag)?);
        let right = if promoted { there == 1 } else { there <= usize::from(tag.promotes) };
        ensure!(right, "{there} commits promote {}", tag.version);
    }
    Ok(())
}

/// What kubectl sees is what git says.
async fn cluster(town: &Town, tag: &Pushed, run: &RunStatus, commit: &str) -> anyhow::Result<()> {
    let digest = harness::agent::digest(run).context("a pushed run has a digest")?;
    let image = format!("{}:{}@{digest}", town.image, tag.version);
    let manifest = town.deploy.git(&["show", "HEAD:shop/deployment.yaml"])?;
    ensure!(manifest.contains(&image), "the manifests do not name {image}");
    let path = "jsonpath={.spec.replicas} {.metadata.labels.tier} {.spec.template.spec.containers[0].image}";
    let seen = town.kubectl(&["get", "deployment", "shop", "-o", path])?;
    ensure!(seen == format!("2 web {image}"), "the cluster has {seen}, and git says 2 web {image}");
    let greeting = town.kubectl(&["get", "configmap", "shop", "-o", "jsonpath={.data.greeting}"])?;
    ensure!(greeting == "hello", "the ConfigMap says {greeting:?}");
    town.answers(&tag.version).await?;
    town.runs_digest(&Version { digest, commit: commit.to_owned() })
}

/// How many events the history has; their numbers are all there.
async fn events(town: &Town) -> anyhow::Result<usize> {
    let mut numbers = Vec::new();
    loop {
        let before = numbers.last().map(|id| format!("&before={id}")).unwrap_or_default();
        let path = format!("/v1/events?limit=1000{before}");
        let page: Vec<EventRecord> = town.agent.client().get(&path).await?;
        if page.is_empty() {
            break;
        }
        numbers.extend(page.iter().map(|record| record.id.number));
    }
    gapless("event", &numbers)?;
    Ok(numbers.len())
}

/// Newest first, down to 1, each by one.
fn gapless(what: &str, numbers: &[u64]) -> anyhow::Result<()> {
    ensure!(numbers.last() == Some(&1), "the first {what} is gone: {:?}", numbers.last());
    for pair in numbers.windows(2) {
        ensure!(pair[0] == pair[1] + 1, "between {what} {} and {} is a gap", pair[1], pair[0]);
    }
    Ok(())
}

//! Much history: 20,000 commits and 2,000 tags are polled for what a listing costs, and do not become 2,000 runs.

use std::io::Write as _;
use std::process::{Command, Stdio};

use harness::real::{Forward, Traffic};
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::Phase;

use super::*;

const COMMITS: usize = 20_000;
const TAGS: usize = 2_000;

/// A listing has a line a tag: its length, 40 digits, `refs/tags/build-0.0.2000`, a space and a line end. 80 bytes are above
/// that, and the rest is heads.
const LISTING: u64 = 80 * TAGS as u64 + 4_000;

#[tokio::test]
async fn a_long_history_costs_its_listing_and_no_run_a_tag() -> anyhow::Result<()> {
    story(async |town| {
        let door = Forward::to(town.parts.get("FORGE_URL").trim_start_matches("http://")).await?;
        import(town)?;
        let user = town.parts.get("FORGE_USER");
        let address = format!("http://127.0.0.1:{}/{user}/{}.git", door.port(), town.name);
        let config = town.config().replace(&town.shop.url, &address);
        let (head, _) = config.split_once("[[application.environment]]").context("the configuration deploys")?;
        let base = format!("url = \"{}\"", town.parts.get("FORGE_URL"));
        town.agent.configure(&head.replace(&base, &format!("url = \"http://127.0.0.1:{}\"", door.port())))?;
        town.agent.start_agent().await?;

        let ended = |run: &RunStatus| run.phase.is_final();
        let run = town.agent.wait_run("the newest tag's run", ended).await?;
        ensure!(run.phase == Phase::Succeeded, "{}", run.message);
        ensure!(run.reference == format!("build-0.0.{TAGS}"), "{} was the newest", run.reference);
        ensure!(harness::agent::runs(&town.agent.state().await?).count() == 1, "old tags became runs");

        let (quiet, polls) = polls(town, &door, 4).await?;
        // The fetch before them may have ended the connection that they would have used.
        ensure!(quiet.connections <= 1 && quiet.requests == polls, "{polls} polls cost {quiet:?}");
        ensure!(quiet.down <= polls * LISTING && quiet.up <= polls * 2_000, "{polls} polls cost {quiet:?}");

        // One commit more is fetched for what it is, whatever history is behind it.
        let before = door.traffic();
        town.shop.git(&["fetch", "--quiet", "--depth", "1", "origin", "main"])?;
        town.shop.git(&["checkout", "--quiet", "-B", "main", "FETCH_HEAD"])?;
        std::fs::write(town.agent.path("shop/number"), "one more\n")?;
        town.shop.git(&["commit", "--quiet", "--all", "--message", "One more"])?;
        town.shop.git(&["push", "--quiet", "origin", "HEAD:main"])?;
        town.shop.tag("build-0.1.0")?;
        let next = |run: &RunStatus| run.reference == "build-0.1.0" && run.phase == Phase::Succeeded;
        town.agent.wait_run("the new tag's run", next).await?;
        let all = since(before, door.traffic());
        // Listings while it was pushed and built, and two fetches at most: each lists anew, and asks with what we have.
        let listings = all.requests;
        ensure!(all.down <= listings * LISTING, "a commit cost {all:?}");
        ensure!(harness::agent::runs(&town.agent.state().await?).count() == 2, "a new tag woke old ones");
        Ok(())
    })
    .await
}

/// What a number of polls cost, and how many there were.
async fn polls(town: &Town, door: &Forward, count: usize) -> anyhow::Result<(Traffic, u64)> {
    let polled = |state: &State| repository(state, &format!(":{}/", door.port())).and_then(|found| found.polled);
    // From the end of a poll on: what is asked until then is of the time before.
    let earlier = town.agent.wait("a poll", &polled).await?;
    let newer = |state: &State| polled(state).filter(|polled| *polled > earlier);
    let mut last = town.agent.wait("the end of a poll", newer).await?;
    let before = door.traffic();
    for _ in 0..count {
        let next = |state: &State| polled(state).filter(|polled| *polled > last);
        last = town.agent.wait("another poll", next).await?;
    }
    Ok((since(before, door.traffic()), count as u64))
}

fn since(before: Traffic, now: Traffic) -> Traffic {
    Traffic {
        connections: now.connections - before.connections,
        requests: now.requests - before.requests,
        up: now.up - before.up,
        down: now.down - before.down,
    }
}

/// Writes the history into the forge's repository where it lies: pushed, the forge would take a third of a second a tag.
fn import(town: &Town) -> anyhow::Result<()> {
    let user = town.parts.get("FORGE_USER");
    let place = format!("{}/forge/data/gitea-repositories/{user}/{}.git", town.parts.get("WORLD_STATE"), town.name);
    let mut git = Command::new("setpriv");
    git.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "git", "-C", &place])
        .args(["fast-import", "--quiet"])
        .env("HOME", &place)
        .stdin(Stdio::piped());
    let mut import = git.spawn().context("git fast-import")?;
    let mut input = std::io::BufWriter::new(import.stdin.take().context("its input")?);
    for number in 1..=COMMITS {
        let message = format!("Change {number}");
        let text = format!("{number}\n");
        write!(
            input,
            "commit refs/heads/main\nmark :{number}\ncommitter A <a@example.test> {} +0000\ndata {}\n{message}\n",
            1_600_000_000 + number,
            message.len()
        )?;
        if number == 1 {
            let dockerfile = "FROM world/busybox:1\nCOPY number /number\n";
            write!(input, "M 644 inline Dockerfile\ndata {}\n{dockerfile}\n", dockerfile.len())?;
        }
        write!(input, "M 644 inline number\ndata {}\n{text}\n", text.len())?;
        if number % (COMMITS / TAGS) == 0 {
            write!(input, "reset refs/tags/build-0.0.{}\nfrom :{number}\n\n", number / (COMMITS / TAGS))?;
        }
    }
    drop(input);
    ensure!(import.wait()?.success(), "git fast-import failed");
    Ok(())
}

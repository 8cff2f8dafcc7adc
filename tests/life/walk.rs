//! Walking through a life: step by step, with a look where it says so, and a rest in which all has to become right.

use std::time::{Duration, Instant};

use crate::acts::Step;
use crate::holds::{self, Finding, Seen};
use crate::reader;
use crate::town::{Town, pause};

/// How long after the last accident everything has to be right. The agent's own pauses before another try are shorter than
/// half of it; the rest is for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Polls that the agent has to have done in that time, so that a machine which is slow for all is slow for the test as well: at
/// one each 300 ms, half a minute's.
const POLLS: usize = 100;

/// So much longer than that nothing is waited for, whatever the machine: an agent that polls no more is a find.
const AT_MOST: u32 = 4;

/// How long a claim may stand after what it stood on is gone: what the agent promises, and a second for a busy machine.
const HONEST_WITHIN: Duration = Duration::from_secs(11);

/// Where a life went wrong.
#[derive(Debug, Clone)]
pub(crate) struct Find {
    /// Steps up to it, itself among them.
    pub(crate) steps: usize,
    /// What does not hold.
    pub(crate) findings: Vec<Finding>,
    /// The end of the agent's log.
    pub(crate) log: String,
}

impl Find {
    /// The rules that do not hold: what makes it the same find as another.
    pub(crate) fn rules(&self) -> std::collections::BTreeSet<&'static str> {
        self.findings.iter().map(|finding| finding.rule).collect()
    }
}

/// Lives through it, with so much patience at each rest. Whatever the test itself could not do is a find as well, so that it is shrunk like any other.
pub(crate) async fn walk(life: &[Step], patience: Duration) -> Result<(), Find> {
    let mut town = match Town::found().await {
        Ok(town) => town,
        Err(error) => return Err(Find { steps: 0, findings: vec![failed(&error)], log: String::new() }),
    };
    let mut steps = 0;
    let mut outcome = rest(&mut town, PATIENCE).await;
    for step in life {
        if outcome.is_err() {
            break;
        }
        steps += 1;
        outcome = match step {
            Step::Rest => rest(&mut town, patience).await,
            Step::Look => look(&town).await,
            step => step.perform(&mut town).await.map_err(|error| vec![failed(&error)]),
        };
    }
    outcome.map_err(|findings| Find { steps, findings, log: town.world.log() })
}

fn failed(error: &anyhow::Error) -> Finding {
    Finding::new("test", format!("{error:#}"))
}

/// Lifts every accident, and waits until all holds, and goes on to hold while the repositories are polled twice.
async fn rest(town: &mut Town, patience: Duration) -> Result<(), Vec<Finding>> {
    town.lift().await.map_err(|error| vec![failed(&error)])?;
    let begun = Instant::now();
    let (mut calm, mut polls, mut polled) = (0, 0, serde_json::Value::Null);
    loop {
        let seen = Seen::now(town).await;
        let last = seen.as_ref().and_then(|seen| reader::of_kind(&seen.state, "Repository").next());
        if let Some(last) = last.map(|repository| &repository["polled"]).filter(|last| **last != polled) {
            polled = last.clone();
            polls += 1;
        }
        let late = begun.elapsed() > patience && (polls > POLLS || begun.elapsed() > patience * AT_MOST);
        let broken = match &seen {
            Some(seen) => holds::broken(seen, town),
            None => vec![Finding::new("silent", format!("the agent does not answer: {}", why_silent(town).await))],
        };
        match seen {
            Some(seen) if broken.is_empty() && calm == 2 => {
                note(town, &seen);
                return Ok(());
            }
            Some(_) if broken.is_empty() => {
                calm += 1;
                town.breathe().await.map_err(|error| vec![failed(&error)])?;
            }
            _ if late => return Err(broken),
            _ => {
                calm = 0;
                pause().await;
            }
        }
    }
}

/// What the agent says, and what the system says of its threads.
async fn why_silent(town: &Town) -> String {
    let socket = town.world.socket();
    let answer = crate::reader::request(&socket, "GET", "/v1/state", &serde_json::Value::Null);
    let said = match tokio::time::timeout(Duration::from_secs(5), answer).await {
        Ok(Ok(_)) => "it does again".to_owned(),
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => "nothing within 5 s".to_owned(),
    };
    let Some(pid) = town.world.pid() else { return format!("{said}; no process") };
    let line = |thread: std::fs::DirEntry| {
        let read = |name| std::fs::read_to_string(thread.path().join(name)).unwrap_or_default();
        let state = read("status").lines().find(|line| line.starts_with("State:")).unwrap_or_default().to_owned();
        format!("{} {state} in {}", read("comm").trim(), read("wchan"))
    };
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    format!("{said}; {}", threads.map(line).collect::<Vec<_>>().join(", "))
}

/// Remembers how things were at a rest.
fn note(town: &mut Town, seen: &Seen) {
    town.ledger.uids = holds::uids(seen).into_iter().collect();
    for app in crate::things::App::ALL {
        let Some(row) = seen.row(app) else { continue };
        town.ledger.suspended.insert(app, row["suspended"] == true);
        town.ledger.pinned.insert(app, holds::pin(row));
    }
    for run in &seen.runs {
        let reference = run["reference"].as_str().unwrap_or_default().to_owned();
        town.ledger.runs.insert(crate::reader::number(&run["id"]).unwrap_or_default(), reference);
    }
    town.ledger.rested();
}

/// Waits until nothing is claimed that stands on nothing.
async fn look(town: &Town) -> Result<(), Vec<Finding>> {
    if town.accidents.frozen || town.world.pid().is_none() {
        return Ok(());
    }
    let begun = Instant::now();
    loop {
        let broken = match town.state().await {
            Some(state) => holds::unsaid(&state, town),
            None => return Ok(()), // who cannot be asked claims nothing; at the rest that is looked at
        };
        if broken.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > HONEST_WITHIN {
            return Err(broken);
        }
        pause().await;
    }
}

//! growth: the same figures of fleets of 10, 100, 300 and 1,000 applications of one repository, as one table. Nothing may
//! grow worse than linear, and a hundred applications cost the same in a repository with 20,000 files that are nobody's.
//!
//! Each size is one life: first sync, polls that find nothing, one commit that changes one application (a plan), an object
//! changed by hand (a watch), a restart. What grows with the size is given an application: at each size it is to be at most
//! what it is at 100, and a quarter more.

use std::io::Write as _;
use std::time::Instant;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use quarterdeck_shared::status::SyncStatus;

use crate::Options;
use crate::cluster::Namespace;
use crate::figure::{Figure, Goal, Unit};
use crate::fleet;
use crate::measure::since;
use crate::subject::{Subject, environment};
use crate::table::AT;

/// Applications, and files of the repository that no application has.
const SIZES: [(usize, usize); 5] = [(10, 0), (100, 0), (300, 0), (1_000, 0), (100, 20_000)];

/// What is compared with.
const YARDSTICK: usize = 100;

/// As the goal says: the same, but for what a machine differs from itself.
const SAME: f64 = 1.25;

/// Polls of one life: what one costs is less than the clock of processor time tells.
const POLLS: usize = 50;

/// What one size showed. Processor time in seconds, the rest in milliseconds and MiB.
struct Life {
    size: usize,
    foreign: usize,
    first: f64,
    cpu: f64,
    poll_cpu: f64,
    one: f64,
    one_cpu: f64,
    drift: f64,
    drift_cpu: f64,
    resident: f64,
    served: f64,
    again_cpu: f64,
}

impl Life {
    /// As the table's columns name it.
    fn label(&self) -> String {
        match self.foreign {
            0 => self.size.to_string(),
            foreign => format!("{} and {foreign} files", self.size),
        }
    }
}

pub(crate) fn family(options: &Options) -> BoxFuture<'_, anyhow::Result<Vec<Figure>>> {
    async {
        let space = Namespace::make(options.parts()?, "growth").await?;
        let mut lives = Vec::new();
        for (size, foreign) in SIZES {
            match live(options, &space, size, foreign).await {
                Ok(life) => lives.push(life),
                // The other sizes are worth telling.
                Err(error) => writeln!(std::io::stderr(), "growth: not measured at {size}: {error:#}")?,
            }
            space.clear().await?;
        }
        space.delete()?;
        anyhow::ensure!(!lives.is_empty(), "no size was measured");
        Ok(figures(&lives))
    }
    .boxed()
}

async fn live(options: &Options, space: &Namespace, size: usize, foreign: usize) -> anyhow::Result<Life> {
    let names = fleet::names(size);
    let mut subject = Subject::start(options, Some(&space.name), None).await?;
    if foreign > 0 {
        let change = (0..foreign).fold(subject.repo.change("main"), |change, number| {
            change.write(format!("nobody/{}/{number}.yaml", number % 200), format!("value: {number}\n"))
        });
        change.commit("Files that are nobody's");
    }
    fleet::commit(&subject.repo, &space.name, &names);
    let process = subject.process().await?;
    let before = process.cpu()?;
    let first = subject.operate(&names).await?;
    subject.settle().await?;
    let (cpu, before) = (process.cpu()? - before, process.cpu()?);
    for _ in 0..POLLS {
        subject.poll().await?;
    }
    subject.settle().await?;
    let (poll_cpu, before) = ((process.cpu()? - before) / POLLS as f64, process.cpu()?);
    fleet::change(&subject.repo, &space.name, &names[size / 2], 2);
    let one = subject.wake(&names[size / 2..=size / 2]).await?;
    subject.settle().await?;
    let (one_cpu, before) = (process.cpu()? - before, process.cpu()?);
    let drift = fleet::heal(&subject, space, &names[size / 2]).await?;
    subject.settle().await?;
    let drift_cpu = process.cpu()? - before;
    let resident = process.peak()?;
    subject.agent.stop_agent()?;
    let began = Instant::now();
    subject.agent.start_agent().await?;
    let served = since(began);
    let mut follow = subject.follow().await?;
    let mut left = size;
    let mut seen = std::collections::BTreeSet::new();
    follow
        .until("the state after a restart", |object| {
            if let Some(status) = environment(object)
                && status.sync == SyncStatus::Synced
                && seen.insert(status.environment.clone())
            {
                left -= 1;
            }
            left == 0
        })
        .await?;
    subject.settle().await?;
    let again_cpu = subject.process().await?.cpu()?;
    Ok(Life { size, foreign, first, cpu, poll_cpu, one, one_cpu, drift, drift_cpu, resident, served, again_cpu })
}

fn figures(lives: &[Life]) -> Vec<Figure> {
    let yardstick = lives.iter().find(|life| (life.size, life.foreign) == (YARDSTICK, 0));
    let mut figures = Vec::new();
    // What each application adds is to be the same at each size; so is what one thing costs, however many are beside it,
    // times what they grew: linear.
    type Of = fn(&Life) -> f64;
    let each: [(&str, Unit, Of); 3] = [
        ("an application's first sync", Unit::Milliseconds, |life| life.first / life.size as f64),
        ("an application's first sync, processor time", Unit::CpuMilliseconds, |life| {
            life.cpu * 1000.0 / life.size as f64
        }),
        ("an application's share of a restart, processor time", Unit::CpuMilliseconds, |life| {
            life.again_cpu * 1000.0 / life.size as f64
        }),
    ];
    let whole: [(&str, Unit, Of); 7] = [
        ("a poll that finds nothing, processor time", Unit::CpuMilliseconds, |life| life.poll_cpu * 1000.0),
        ("a commit to one, planned and applied, wake to recorded", Unit::Milliseconds, |life| life.one),
        ("a commit to one, processor time", Unit::CpuMilliseconds, |life| life.one_cpu * 1000.0),
        ("a change by hand, seen by a watch and healed", Unit::Milliseconds, |life| life.drift),
        ("a change by hand, processor time", Unit::CpuMilliseconds, |life| life.drift_cpu * 1000.0),
        ("memory at its highest", Unit::Mebibytes, |life| life.resident),
        ("start to state served", Unit::Milliseconds, |life| life.served),
    ];
    let mut tell = |what: &str, unit: Unit, of: Of, grows: bool| {
        for life in lives {
            let figure = Figure::new(format!("{what}{AT}{}", life.label()), unit, vec![of(life)]);
            let larger = life.size > YARDSTICK || life.foreign > 0;
            figures.push(match yardstick.filter(|_| larger) {
                Some(yardstick) => {
                    let growth = if grows { life.size as f64 / YARDSTICK as f64 } else { 1.0 };
                    figure.beside(&format!("at {YARDSTICK}"), vec![of(yardstick)]).goal(Goal::Times(SAME * growth))
                }
                None => figure,
            });
        }
    };
    each.into_iter().for_each(|(what, unit, of)| tell(what, unit, of, false));
    whole.into_iter().for_each(|(what, unit, of)| tell(what, unit, of, true));
    // Two of them have a goal of their own.
    let most = |what: &str, size: usize| (what.starts_with("memory") && size == 1_000).then_some(100.0);
    let soon = |what: &str, size: usize| (what.starts_with("start") && size == 300).then_some(300.0);
    for (figure, life) in figures.iter_mut().zip(lives.iter().cycle()) {
        if let Some(bound) = most(&figure.what, life.size).or(soon(&figure.what, life.size)) {
            figure.goal = Goal::AtMost(bound);
        }
    }
    figures
}

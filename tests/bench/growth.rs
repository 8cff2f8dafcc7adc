//! growth: the same figures of fleets of 10, 100, 300 and 1,000 applications. Nothing may grow worse than linear.
//!
//! Each size is one life: first sync, one commit that changes one application, a restart. What grows with the size is given
//! an application, so that it may be compared: at each size it is to be at most what it is at 100, and a quarter more.

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
use crate::subject::{Subject, application};

const SIZES: [usize; 4] = [10, 100, 300, 1_000];

/// What is compared with.
const YARDSTICK: usize = 100;

/// As the goal says: the same, but for what a machine differs from itself.
const SAME: f64 = 1.25;

/// What one size showed.
struct Life {
    size: f64,
    first: f64,
    cpu: f64,
    one: f64,
    one_cpu: f64,
    resident: f64,
    served: f64,
    again_cpu: f64,
}

pub(crate) fn family(options: &Options) -> BoxFuture<'_, anyhow::Result<Vec<Figure>>> {
    async {
        let space = Namespace::make(options.parts()?, "growth").await?;
        let mut lives = Vec::new();
        for size in SIZES {
            match live(options, &space, size).await {
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

async fn live(options: &Options, space: &Namespace, size: usize) -> anyhow::Result<Life> {
    let names = fleet::names(size);
    let mut subject = Subject::start(options, &space.name, None).await?;
    fleet::commit(&subject.repo, &space.name, &names);
    let process = subject.process().await?;
    let before = process.cpu()?;
    let first = subject.operate(&names).await?;
    subject.settle().await?;
    let (cpu, before) = (process.cpu()? - before, process.cpu()?);
    fleet::change(&subject.repo, &space.name, &names[size / 2], 2);
    let one = subject.wake(&names[size / 2..=size / 2]).await?;
    subject.settle().await?;
    let one_cpu = process.cpu()? - before;
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
            if let Some(status) = application(object)
                && status.sync == SyncStatus::Synced
                && seen.insert(status.name.clone())
            {
                left -= 1;
            }
            left == 0
        })
        .await?;
    subject.settle().await?;
    let again_cpu = subject.process().await?.cpu()?;
    Ok(Life { size: size as f64, first, cpu, one, one_cpu, resident, served, again_cpu })
}

fn figures(lives: &[Life]) -> Vec<Figure> {
    let yardstick = lives.iter().find(|life| life.size == YARDSTICK as f64);
    let mut figures = Vec::new();
    for life in lives {
        let size = life.size;
        let mut each = |what: &str, unit, of: fn(&Life) -> f64| {
            let figure = Figure::new(format!("{what}, at {size}"), unit, vec![of(life) / size]);
            figures.push(match yardstick.filter(|yardstick| yardstick.size < size) {
                Some(yardstick) => figure
                    .beside(&format!("at {YARDSTICK}"), vec![of(yardstick) / yardstick.size])
                    .goal(Goal::Times(SAME)),
                None => figure,
            });
        };
        each("an application's first sync", Unit::Milliseconds, |life| life.first);
        each("processor time of it", Unit::CpuMilliseconds, |life| life.cpu * 1000.0);
        each("an application's share of a restart, processor time", Unit::CpuMilliseconds, |life| {
            life.again_cpu * 1000.0
        });
        each("an application's share of a commit to one", Unit::CpuMilliseconds, |life| life.one_cpu * 1000.0);
    }
    for life in lives {
        let size = life.size;
        let most = |goal: f64, at: usize| if size == at as f64 { Goal::AtMost(goal) } else { Goal::None };
        figures.extend([
            Figure::new(
                format!("a commit that changes one, wake to applied, at {size}"),
                Unit::Milliseconds,
                vec![life.one],
            ),
            Figure::new(format!("memory at its highest, at {size}"), Unit::Mebibytes, vec![life.resident])
                .goal(most(100.0, 1_000)),
            Figure::new(format!("start to state served, at {size}"), Unit::Milliseconds, vec![life.served])
                .goal(most(300.0, 300)),
        ]);
    }
    figures
}

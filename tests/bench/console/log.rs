//! A log that writes 5,000 lines a second, followed: how far behind, at what cost, and whether every line is there.
//!
//! Each line carries its number, and when each was written is known: the stand-in writes one in each fifth of a
//! millisecond. The status line tells how many lines the console has; as long as that and the number of the newest line
//! stay as far from each other as they were at first, none is missing, and none is shown twice.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use vt100::Screen;

use super::fleet::{Fleet, Shape};
use super::pty::{Pty, lines};
use crate::Options;
use crate::figure::{Figure, Goal, Unit};

/// Between two lines, in milliseconds and as nanoseconds.
const BETWEEN: (&str, i128) = ("0.2", 200_000);

/// What each line says before its number.
const LINE: &str = "10.42.0.17 GET /api/v1/orders/search HTTP/1.1 200 512";

const SHAPE: Shape<'static> = Shape {
    applications: 1,
    pods: 1,
    annotations: &[("standin.quarterdeck.dev/log-every-ms", BETWEEN.0), ("standin.quarterdeck.dev/line", LINE)],
};

/// What one frame tells.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// When it came, in nanoseconds.
    at: i128,
    /// When its newest line was written.
    written: i128,
    /// The number of its newest line.
    newest: i64,
    /// Lines that the console has, as it says.
    has: i64,
}

pub(crate) fn family(options: &Options) -> BoxFuture<'_, anyhow::Result<Vec<Figure>>> {
    async move {
        let fleet = Fleet::start(options, &SHAPE).await?;
        let first = first_line(&fleet).await?;
        let mut all = Told::default();
        for _ in 0..options.runs {
            let mut console = Pty::start(&options.console, &fleet.agent.socket(), (80, 24))?;
            console.wait("the application", |screen| screen.contents().contains("of 1 "))?;
            console.press("l")?;
            console.wait("lines", |screen| read(screen).is_some())?;
            // What was written before comes at once, and is no measure of what follows.
            console.watch(Instant::now() + Duration::from_secs(1), |_, _| {})?;
            follow(options, &fleet, &mut console, first, &mut all)?;
        }
        Ok(all.figures())
    }
    .boxed()
}

/// What the runs told, one number a run; of `behind` and `longest` one a frame.
#[derive(Default)]
struct Told {
    behind: Vec<f64>,
    longest: Vec<f64>,
    missing: Vec<f64>,
    followed: Vec<f64>,
    bytes: Vec<f64>,
    added: Vec<f64>,
    memory: Vec<f64>,
    ours: Vec<f64>,
    agents: Vec<f64>,
}

fn follow(options: &Options, fleet: &Fleet, console: &mut Pty, first: Timestamp, all: &mut Told) -> anyhow::Result<()> {
    let (process, agent, took) = (console.process()?, fleet.process, options.log);
    let (bytes, ours, agents) = (console.bytes, process.cpu()?, agent.cpu()?);
    let clocks = (Instant::now(), Timestamp::now());
    let (mut seen, mut memory) = (Vec::new(), Vec::new());
    // The first half fills what is kept of a log; from then on memory has no reason to grow.
    for half in [1, 2] {
        console.watch(clocks.0 + took * half / 2, |at, screen| {
            let Some((has, newest)) = read(screen) else { return };
            // The status line is painted last: where it is another, the whole frame is there.
            if seen.last().is_some_and(|last: &Seen| last.has == has) {
                return;
            }
            let written = first.as_nanosecond() + BETWEEN.1 * i128::from(newest - 1);
            let at = clocks.1.as_nanosecond() + at.saturating_duration_since(clocks.0).as_nanos() as i128;
            seen.push(Seen { at, written, newest, has });
        })?;
        memory.push(process.peak()?);
    }
    let (Some(begin), Some(end)) = (seen.first().copied(), seen.last().copied()) else {
        anyhow::bail!("no line was seen:\n{}", console.screen().contents())
    };
    let seconds = took.as_secs_f64();
    let written = end.newest - begin.newest;
    anyhow::ensure!(written as f64 > 4_000.0 * seconds, "only {written} lines in {seconds} s: the machine is too busy");
    let missing = (end.newest - end.has) - (begin.newest - begin.has);
    let milliseconds = |written: i128, at: i128| (at - written) as f64 / 1e6;
    let minute = |cpu: f64| cpu * 60.0 / seconds;
    all.behind.extend(seen.iter().map(|seen| milliseconds(seen.written, seen.at)));
    all.longest.extend(seen.windows(2).map(|two| milliseconds(two[0].written, two[1].at)));
    all.missing.push(missing.abs() as f64);
    all.followed.push(written as f64);
    all.bytes.push((console.bytes - bytes) as f64 / seconds);
    all.added.push(memory[1] - memory[0]);
    all.memory.push(memory[1]);
    all.ours.push(minute(process.cpu()? - ours));
    all.agents.push(minute(agent.cpu()? - agents));
    Ok(())
}

impl Told {
    fn figures(self) -> Vec<Figure> {
        let figure = |what: &str, unit, runs| Figure::new(format!("log of 5,000 lines/s: {what}"), unit, runs);
        vec![
            figure("behind when painted", Unit::Milliseconds, self.behind)
                .quoted("k9s, after 20 s", 11_000.0)
                .goal(Goal::AtMost(250.0)),
            figure("behind before the next paint", Unit::Milliseconds, self.longest).goal(Goal::AtMost(250.0)),
            figure("lines missing", Unit::Count, self.missing).goal(Goal::AtMost(0.0)),
            figure("lines followed", Unit::Count, self.followed),
            figure("bytes a second to the terminal", Unit::Bytes, self.bytes).goal(Goal::AtMost(80_000.0)),
            figure("memory that the second half added", Unit::Mebibytes, self.added).goal(Goal::AtMost(1.0)),
            figure("memory of the console", Unit::Mebibytes, self.memory),
            figure("the console", Unit::CpuPerMinute, self.ours),
            figure("the agent", Unit::CpuPerMinute, self.agents),
        ]
    }
}

/// When the first line was written, as the cluster says of any: those before it were written as far apart.
async fn first_line(fleet: &Fleet) -> anyhow::Result<Timestamp> {
    let pods = fleet.cluster.pods("");
    let pod = pods.first().context("there is a pod")?;
    let text = |pointer| harness::cluster::store::text(pod, pointer);
    let path = format!(
        "http://{}/api/v1/namespaces/{}/pods/{}/log?timestamps=true&tailLines=1",
        fleet.cluster.address(),
        text("/metadata/namespace"),
        text("/metadata/name"),
    );
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let request = http::Request::get(path)
        .header("authorization", "Bearer standin-token")
        .body(http_body_util::Empty::<bytes::Bytes>::new())?;
    let answer = client.request(request).await?.into_body();
    let answer = http_body_util::BodyExt::collect(answer).await?.to_bytes();
    // What was written while the last line was sent may come with it.
    let lines = String::from_utf8_lossy(&answer);
    let line = lines.lines().last().unwrap_or_default();
    let (at, text) = line.split_once(' ').with_context(|| format!("no time in {line:?}"))?;
    let number = number(text).with_context(|| format!("no number in {line:?}"))?;
    let at: Timestamp = at.parse()?;
    Ok(Timestamp::from_nanosecond(at.as_nanosecond() - BETWEEN.1 * i128::from(number - 1))?)
}

/// How many lines the console says that it has, and the number of the newest on screen.
fn read(screen: &Screen) -> Option<(i64, i64)> {
    let lines: Vec<String> = lines(screen).collect();
    let status = lines.iter().find(|line| line.contains("following"))?;
    let has = status.split(" lines").next()?.rsplit(' ').next()?.replace(',', "").parse().ok()?;
    let newest = lines.iter().rev().find_map(|line| number(line))?;
    Some((has, newest))
}

/// The number at the end of a line of the log.
fn number(line: &str) -> Option<i64> {
    line.split_once(LINE)?.1.trim().parse().ok()
}

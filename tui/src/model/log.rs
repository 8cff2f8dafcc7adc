//! A log on screen: the lines that are kept, and where the reader is in them.
//!
//! Lines come faster than anybody reads. They are kept in a ring of a fixed number of bytes; a reader who scrolls up
//! stays at the line that is read, by its number, while new ones come in below. What is let go, or was dropped on its
//! way, is told in the place where it is missing.

pub mod ring;
pub mod scroll;
pub mod steps;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use quarterdeck_shared::application::{ApplicationName, EnvironmentId};
use quarterdeck_shared::protocol::LogRecord;
use quarterdeck_shared::snapshot::RunId;
use serde::{Deserialize, Serialize};

use crate::model::link::Problem;
use crate::model::log::ring::{Line, LineKind, Ring};
use crate::model::log::scroll::Position;
use crate::model::log::steps::Steps;
use crate::model::subject::Subject;

/// Where a log comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// Pods of an environment; all, or one.
    Pods {
        /// Whose.
        of: EnvironmentId,
        /// One of them.
        pod: Option<Box<str>>,
        /// Of the containers before their last restart.
        previous: bool,
    },
    /// A run.
    Run {
        /// Whose.
        of: ApplicationName,
        /// Which.
        run: RunId,
    },
    /// The agent itself.
    Agent,
}

impl Source {
    /// What it is of.
    pub fn subject(&self) -> Option<Subject> {
        match self {
            Self::Pods { of, .. } => Some(Subject::Environment(of.clone())),
            Self::Run { of, .. } => Some(Subject::Application(of.clone())),
            Self::Agent => None,
        }
    }

    /// What it is called: `logs of shop`.
    pub fn title(&self) -> String {
        match self {
            Self::Pods { pod: Some(pod), previous: true, .. } => format!("log of {pod} before its restart"),
            Self::Pods { pod: Some(pod), .. } => format!("log of {pod}"),
            Self::Pods { previous: true, .. } => "logs before the last restart".to_owned(),
            Self::Pods { .. } => "logs".to_owned(),
            Self::Run { run, .. } => format!("output of run {}", run.number),
            Self::Agent => "agent log".to_owned(),
        }
    }
}

/// From where a stream is taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resume {
    /// The newest lines, then what comes.
    Fresh,
    /// What was written since, as the stream broke off; lines that are here already are left out.
    Since(Timestamp),
    /// All but the first so many lines, for a log that is sent from its beginning.
    After(u64),
}

/// How the stream is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// It was asked for.
    Opening,
    /// Lines come.
    Open,
    /// There will be no more.
    Ended,
    /// It broke off; it is taken up when the agent is there again.
    Broken(Problem),
}

/// One who writes: a container, a stage, a part of the agent. Each has its colour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// `pod/container`.
    pub from: Box<str>,
    /// As short as tells it from the others.
    pub label: String,
    /// When its last line was written.
    pub last: Option<Timestamp>,
    /// Lines up to here were here when the stream was taken up again, and are not taken twice.
    pub floor: Option<Timestamp>,
}

/// A log on screen.
#[derive(Debug, Serialize, Deserialize)]
pub struct LogScreen {
    /// Where it comes from.
    pub source: Source,
    /// The stream that fills it, by its number; zero before the first.
    pub number: u64,
    /// How that stream is.
    pub stream: Stream,
    /// Its lines.
    pub ring: Ring,
    /// Who writes.
    pub lanes: Vec<Lane>,
    lane_of: BTreeMap<Box<str>, u16>,
    /// The steps of the builds, of a run; their lines may be hidden.
    pub steps: Steps,
    /// Lines that the agent sent, gaps and notices not counted: where a run's log is taken up.
    pub received: u64,
    /// Where the reader is.
    pub position: Position,
    /// Whether long lines are broken.
    pub wrap: bool,
    /// Whether it is shown when a line was written.
    pub times: bool,
    /// Columns that are scrolled out to the left.
    pub left: u16,
    /// What is searched.
    pub search: String,
    /// The line of the match where the reader is.
    pub found: Option<u64>,
}

impl LogScreen {
    /// A log that nobody asked for yet.
    pub fn new(source: Source) -> Self {
        Self {
            times: !matches!(source, Source::Run { .. }),
            wrap: false,
            source,
            number: 0,
            stream: Stream::Opening,
            ring: Ring::default(),
            lanes: Vec::new(),
            lane_of: BTreeMap::new(),
            steps: Steps::default(),
            received: 0,
            position: Position::Follow,
            left: 0,
            search: String::new(),
            found: None,
        }
    }

    /// Takes lines as they came. Lines of one batch are put in order of time, since pods write at once; a batch is what
    /// came within a few milliseconds, so order is never bought with waiting.
    pub fn take(&mut self, mut records: Vec<LogRecord>) {
        self.stream = Stream::Open;
        let at = |record: &LogRecord| match record {
            LogRecord::Line { at, .. } => *at,
            LogRecord::Gap { .. } | LogRecord::Notice { .. } => None,
        };
        for part in records.split_mut(|record| at(record).is_none()) {
            part.sort_by_key(at);
        }
        for record in records {
            match record {
                LogRecord::Line { at, from, text } => {
                    self.received += 1;
                    let lane = self.lane(&from);
                    if let (Some(at), Some(lane)) = (at, self.lanes.get_mut(usize::from(lane))) {
                        if lane.floor.is_some_and(|floor| at <= floor) {
                            continue;
                        }
                        lane.last = lane.last.max(Some(at));
                    }
                    let step = self.step(&from, &text, at);
                    self.ring.push(Line { step, ..Line::new(LineKind::Text, at, lane, &text) });
                }
                LogRecord::Gap { lines, reason } => {
                    let missing = lines.map_or_else(|| "lines".to_owned(), |lines| format!("{lines} lines"));
                    self.say(LineKind::Gap, &format!("{missing} missing here: {reason}"));
                }
                LogRecord::Notice { text } => self.say(LineKind::Notice, &text),
            }
        }
    }

    /// The step that the line which comes now is of. One that ends well hides its lines, but under nobody's eyes: who reads
    /// above the end reads on.
    fn step(&mut self, from: &str, text: &str, at: Option<Timestamp>) -> u16 {
        match self.source {
            Source::Run { .. } => self.steps.take(self.ring.end(), from, text, at, self.position == Position::Follow),
            Source::Pods { .. } | Source::Agent => 0,
        }
    }

    /// Says something about the log, in the log.
    pub fn say(&mut self, kind: LineKind, text: &str) {
        self.ring.push(Line::new(kind, None, 0, text));
    }

    /// Opens the stream anew under another number; from where it is to be taken up comes back.
    pub fn reopen(&mut self, number: u64) -> Resume {
        (self.number, self.stream) = (number, Stream::Opening);
        for lane in &mut self.lanes {
            lane.floor = lane.last;
        }
        match self.source {
            Source::Run { .. } if self.received > 0 => Resume::After(self.received),
            Source::Run { .. } => Resume::Fresh,
            Source::Pods { .. } | Source::Agent => match self.lanes.iter().filter_map(|lane| lane.last).max() {
                Some(last) => Resume::Since(last),
                None => Resume::Fresh,
            },
        }
    }

    /// Whether the stream is to be opened anew when the agent is there again: it broke off, or it ended although what it
    /// is of goes on writing.
    pub fn wants_reopening(&self) -> bool {
        let goes_on = matches!(self.source, Source::Agent | Source::Pods { previous: false, .. });
        matches!(self.stream, Stream::Broken(_)) || (goes_on && self.stream == Stream::Ended)
    }

    /// How many pods wrote.
    pub fn pods(&self) -> usize {
        let pod = |lane: &Lane| lane.from.split_once('/').map_or(&*lane.from, |(pod, _)| pod).to_owned();
        self.lanes.iter().map(pod).collect::<BTreeSet<_>>().len()
    }

    /// Columns of the names of those who write; zero where it is one pod alone. The stages of a run come one after the
    /// other, and their lines must not move when the second one comes.
    pub fn label_columns(&self) -> u16 {
        const LABEL_MAX: usize = 20;
        if self.lanes.len() < 2 && matches!(self.source, Source::Pods { .. }) {
            return 0;
        }
        let widest = self.lanes.iter().map(|lane| crate::text::columns(&lane.label)).max().unwrap_or(0);
        u16::try_from(widest.min(LABEL_MAX)).unwrap_or(0)
    }

    fn lane(&mut self, from: &str) -> u16 {
        /// Pods come and go; those beyond share the last lane's colour and name, and keep their lines.
        const LANES_MAX: usize = 4_096;
        if let Some(lane) = self.lane_of.get(from) {
            return *lane;
        }
        let lane = u16::try_from(self.lanes.len().min(LANES_MAX - 1)).expect("there are fewer lanes than 65,536");
        if self.lanes.len() < LANES_MAX {
            self.lane_of.insert(from.into(), lane);
            self.lanes.push(Lane { from: from.into(), label: String::new(), last: None, floor: None });
            self.name_lanes();
        }
        lane
    }

    /// Gives each lane the shortest name that tells it from the others: `x9k` of `shop-7b46-x9k/app`.
    fn name_lanes(&mut self) {
        let pods = matches!(self.source, Source::Pods { .. });
        let parts = |from: &str| {
            let (pod, container) = from.split_once('/').unwrap_or((from, ""));
            (pod.to_owned(), container.to_owned())
        };
        let tail = |pod: &str| pod.rsplit('-').next().unwrap_or(pod).to_owned();
        let all: Vec<(String, String)> = self.lanes.iter().map(|lane| parts(&lane.from)).collect();
        let one_container = all.iter().all(|(_, container)| *container == all[0].1);
        let mut tails: BTreeMap<String, &str> = BTreeMap::new();
        let clash = all.iter().any(|(pod, _)| *tails.entry(tail(pod)).or_insert(pod) != pod.as_str());
        for (lane, (pod, container)) in self.lanes.iter_mut().zip(&all) {
            lane.label = if !pods {
                lane.from.rsplit("::").next().unwrap_or_default().to_owned()
            } else {
                let name = if clash { pod.clone() } else { tail(pod) };
                if one_container { name } else { format!("{name}/{container}") }
            };
            lane.label = crate::text::clean(&lane.label).into_owned();
        }
    }
}

#[cfg(test)]
mod tests;

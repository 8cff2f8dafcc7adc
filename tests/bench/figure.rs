//! A figure: what was measured, of us and of what a user would pick instead, and the goal it is held against.

use serde::Serialize;

/// What a number counts. Times are in milliseconds, sizes in bytes, memory in MiB (resident, at its highest).
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unit {
    Milliseconds,
    Bytes,
    Mebibytes,
    /// Seconds of processor time in a minute.
    CpuPerMinute,
    /// Seconds of processor time.
    CpuSeconds,
    /// Milliseconds of processor time.
    CpuMilliseconds,
    /// Requests, writes, lines: things that are counted.
    Count,
    Percent,
}

/// Several measurements of one thing, in the order they were made.
#[derive(Clone, Serialize)]
pub(crate) struct Runs(pub(crate) Vec<f64>);

/// What a user would pick instead.
#[derive(Clone, Serialize)]
pub(crate) struct Beside {
    /// `git ls-remote`
    pub(crate) name: String,
    pub(crate) runs: Runs,
    /// Measured elsewhere, on a 2-core machine of this kind, and only quoted here.
    pub(crate) quoted: bool,
}

/// What a figure has to be.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    /// Our median is at most this.
    AtMost(f64),
    /// Our median is at most so many times the median of the first thing beside it.
    Times(f64),
    /// Told without a goal.
    None,
}

#[derive(Clone, Serialize)]
pub(crate) struct Figure {
    /// `poll an unchanged repository, http`
    pub(crate) what: String,
    pub(crate) unit: Unit,
    pub(crate) ours: Runs,
    pub(crate) beside: Vec<Beside>,
    pub(crate) goal: Goal,
}

impl Runs {
    /// The smallest, the middle and the largest; of an even number the upper of the two in the middle.
    pub(crate) fn spread(&self) -> Option<(f64, f64, f64)> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        Some((*sorted.first()?, *sorted.get(sorted.len() / 2)?, *sorted.last()?))
    }

    fn median(&self) -> Option<f64> {
        self.spread().map(|(_, median, _)| median)
    }
}

impl Figure {
    pub(crate) fn new(what: impl Into<String>, unit: Unit, ours: Vec<f64>) -> Self {
        Self { what: what.into(), unit, ours: Runs(ours), beside: Vec::new(), goal: Goal::None }
    }

    /// Puts a measurement of the same run beside it.
    pub(crate) fn beside(mut self, name: &str, runs: Vec<f64>) -> Self {
        self.beside.push(Beside { name: name.to_owned(), runs: Runs(runs), quoted: false });
        self
    }

    /// Puts a number beside it that was measured elsewhere.
    pub(crate) fn quoted(mut self, name: &str, number: f64) -> Self {
        self.beside.push(Beside { name: name.to_owned(), runs: Runs(vec![number]), quoted: true });
        self
    }

    pub(crate) fn goal(mut self, goal: Goal) -> Self {
        self.goal = goal;
        self
    }

    /// Our median in terms of the first thing's beside it.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let theirs = self.beside.first()?.runs.median()?;
        (theirs > 0.0).then(|| self.ours.median().map(|ours| ours / theirs))?
    }

    /// Whether the goal is met; nothing without a goal.
    pub(crate) fn met(&self) -> Option<bool> {
        match self.goal {
            Goal::AtMost(most) => Some(self.ours.median()? <= most),
            Goal::Times(most) => Some(self.ratio()? <= most),
            Goal::None => None,
        }
    }
}

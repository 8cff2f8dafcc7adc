//! The steps of the builds in the log of a run: which line is of which, and how long each took. Pure.
//!
//! | builder | begins with | its lines | ends with |
//! | --- | --- | --- | --- |
//! | BuildKit | `#5 [2/4] RUN make` | `#5 …`, among those of other steps | `#5 DONE 2.0s`, `#5 CACHED`, `#5 ERROR: …` |
//! | classic, Podman | `Step 2/4 : RUN make`, `STEP 2/4: RUN make` | what follows | the next step, `Successfully built …`, or its stage |
//!
//! Where a run builds several images each line begins with the name of its image, and numbers are counted for each.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Steps that are told apart: builds of ten images have some hundred. Lines of those beyond are of none.
const STEPS_MAX: usize = 4_096;

/// Characters of what a step does that are kept: a command of a Dockerfile may have hundreds of lines in one.
const NAME_MAX: usize = 500;

/// The stages of a run that build.
const BUILDING: [&str; 2] = ["build", "test"];

/// How a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// It goes on, or nothing said that it ended.
    Running,
    /// It is done.
    Done,
    /// Its result was known.
    Cached,
    /// It failed.
    Failed,
    /// It was ended with its stage.
    Stopped,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The number of the line that it begins with.
    pub line: u64,
    /// What it does, as its builder names it.
    pub name: Box<str>,
    /// The image it is of, where a run builds several.
    pub image: Box<str>,
    /// How it is.
    pub state: StepState,
    /// Its lines, but for the one that it begins with and the one that tells its end.
    pub lines: u64,
    /// How long it took.
    pub took: Option<Duration>,
    /// Whether its lines are hidden.
    pub is_closed: bool,
    began: Option<Timestamp>,
}

/// The steps of a log.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Steps {
    all: Vec<Step>,
    /// The newest step of each number of an image; of a builder that gives none, under zero.
    newest: BTreeMap<String, u16>,
    /// The stage that the last line was of.
    stage: Box<str>,
}

/// What a line is to its step.
enum Said<'t> {
    /// It begins it, with what it does.
    Begins(&'t str),
    /// It is one of its lines.
    Is,
    /// It ends it.
    Ends(StepState, Option<Duration>),
}

impl Steps {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All of them, in the order in which they began.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Step> {
        self.all.iter()
    }

    /// A step by its number, which begins at one: zero is none.
    pub fn get(&self, number: u16) -> Option<&Step> {
        self.all.get(usize::from(number).checked_sub(1)?)
    }

    /// The same, to be opened or closed.
    pub fn get_mut(&mut self, number: u16) -> Option<&mut Step> {
        self.all.get_mut(usize::from(number).checked_sub(1)?)
    }

    /// Opens or closes all of them.
    pub fn close_all(&mut self, close: bool) {
        self.all.iter_mut().for_each(|step| step.is_closed = close);
    }

    /// Takes a line of a run's log by its number there: the number of its step, or zero. A step that ends well is closed
    /// where that is wanted.
    pub fn take(&mut self, line: u64, from: &str, text: &str, at: Option<Timestamp>, closes: bool) -> u16 {
        if *self.stage != *from {
            self.end_stage(at);
            self.stage = from.into();
        }
        if !BUILDING.contains(&from) {
            return 0;
        }
        let Some((key, image, said)) = self.read(text) else { return 0 };
        match said {
            Said::Begins(name) => self.begin(key, image, name, line, at, closes),
            Said::Is => {
                let number = self.newest.get(&key).copied().unwrap_or_default();
                self.get_mut(number).into_iter().for_each(|step| step.lines += 1);
                number
            }
            Said::Ends(state, took) => {
                let number = self.newest.get(&key).copied().unwrap_or_default();
                self.get_mut(number).into_iter().for_each(|step| step.end(state, took, at, closes));
                number
            }
        }
    }

    /// What a line says, of which step of which image.
    fn read<'t>(&self, text: &'t str) -> Option<(String, &'t str, Said<'t>)> {
        let (image, rest) = match text.split_once(": ") {
            Some((image, rest))
                if is_name(image) && (is_of_builder(rest) || self.newest.contains_key(&key(image, 0))) =>
            {
                (image, rest)
            }
            _ => ("", text),
        };
        if let Some((number, rest)) = numbered(rest) {
            let key = key(image, number);
            let known = self.newest.get(&key).and_then(|number| self.get(*number));
            // A second build of the same stage counts from one again.
            let is_again = known.is_some_and(|step| step.state != StepState::Running && rest.starts_with('['));
            let said = match (known, ending(rest)) {
                (Some(_), Some((state, took))) => Said::Ends(state, took),
                (None, _) if *self.stage != *BUILDING[0] && !rest.starts_with('[') => return None,
                (None, _) => Said::Begins(rest),
                _ if is_again => Said::Begins(rest),
                _ => Said::Is,
            };
            return Some((key, image, said));
        }
        let key = key(image, 0);
        if let Some(name) = counted(rest) {
            return Some((key, image, Said::Begins(name)));
        }
        let step = self.newest.get(&key).and_then(|number| self.get(*number))?;
        let is_over = ["Successfully built", "Successfully tagged", "COMMIT "].iter().any(|end| rest.starts_with(end));
        let state = if step.state == StepState::Cached { StepState::Cached } else { StepState::Done };
        match step.state {
            StepState::Done | StepState::Failed | StepState::Stopped => None,
            _ if is_over => Some((key, image, Said::Ends(state, None))),
            _ if rest.starts_with("error: ") => Some((key, image, Said::Ends(StepState::Failed, None))),
            _ => Some((key, image, Said::Is)),
        }
    }

    fn begin(
        &mut self,
        key: String,
        image: &str,
        name: &str,
        line: u64,
        began: Option<Timestamp>,
        closes: bool,
    ) -> u16 {
        // The classic builder does one step after the other.
        let before = self.newest.get(&key).copied().unwrap_or_default();
        if let Some(step) = self.get_mut(before).filter(|step| step.state == StepState::Running) {
            step.end(StepState::Done, None, began, closes);
        }
        if self.all.len() >= STEPS_MAX {
            self.newest.remove(&key);
            return 0;
        }
        self.all.push(Step {
            line,
            name: name.chars().take(NAME_MAX).collect::<String>().into(),
            image: image.into(),
            state: StepState::Running,
            lines: 0,
            took: None,
            is_closed: false,
            began,
        });
        let number = u16::try_from(self.all.len()).unwrap_or_default();
        self.newest.insert(key, number);
        number
    }

    /// Ends what a stage left running, and counts anew.
    fn end_stage(&mut self, at: Option<Timestamp>) {
        for number in std::mem::take(&mut self.newest).into_values() {
            if let Some(step) = self.get_mut(number).filter(|step| step.state == StepState::Running) {
                step.end(StepState::Stopped, None, at, false);
            }
        }
    }
}

impl Step {
    fn end(&mut self, state: StepState, took: Option<Duration>, at: Option<Timestamp>, closes: bool) {
        let since = || Duration::try_from(at?.duration_since(self.began?)).ok();
        self.took = if state == StepState::Cached { None } else { took.or_else(since) };
        self.state = state;
        self.is_closed = closes && matches!(state, StepState::Done | StepState::Cached);
    }

    /// How it ended, in a word or two: `12s`, `cached`, `failed 3.0s`; nothing while it runs.
    pub fn told(&self) -> String {
        let took = self.took.map(crate::text::took).unwrap_or_default();
        let word = match self.state {
            StepState::Running => return String::new(),
            StepState::Done => "",
            StepState::Cached => "cached",
            StepState::Failed => "failed",
            StepState::Stopped => "stopped",
        };
        format!("{word} {took}").trim().to_owned()
    }
}

/// By what a step is known in its stage.
fn key(image: &str, number: u32) -> String {
    format!("{number} {image}")
}

/// Whether a text may be the name of an image without its registry.
fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    !text.is_empty() && text.chars().all(fits)
}

fn is_of_builder(text: &str) -> bool {
    numbered(text).is_some() || counted(text).is_some()
}

/// `#5 [2/4] RUN make`: the number, and the rest.
fn numbered(text: &str) -> Option<(u32, &str)> {
    let (number, rest) = text.strip_prefix('#')?.split_once(' ')?;
    let number = number.parse().ok().filter(|number| *number > 0)?;
    Some((number, rest))
}

/// `Step 2/4 : RUN make`: what it does, with its number.
fn counted(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("Step ").or_else(|| text.strip_prefix("STEP "))?;
    let (count, rest) = rest.split_once(':')?;
    let (step, steps) = count.trim().split_once('/')?;
    (step.parse::<u32>().is_ok() && steps.parse::<u32>().is_ok() && !rest.is_empty()).then_some(text)
}

/// How a line of BuildKit ends its step.
fn ending(rest: &str) -> Option<(StepState, Option<Duration>)> {
    let seconds = |text: &str| text.strip_suffix('s')?.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
    match rest {
        "CACHED" => Some((StepState::Cached, None)),
        "DONE" => Some((StepState::Done, None)),
        _ if rest.starts_with("ERROR: ") => Some((StepState::Failed, None)),
        _ => seconds(rest.strip_prefix("DONE ")?).map(|took| (StepState::Done, Some(took))),
    }
}

#[cfg(test)]
mod tests;

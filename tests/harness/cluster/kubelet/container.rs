//! The life of one container, step by step. Pure: time and what became of the image are passed in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::behaviour::Behaviour;
use crate::cluster::Pace;

/// A container of a pod on our one node.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its name in the pod.
    pub name: String,
    /// The image that it asks for.
    pub image: String,
    /// Where it is in its life.
    pub state: State,
    /// How often it was started again.
    pub restarts: u32,
    /// How it ended last.
    pub last: Option<Ended>,
    /// `registry/name@sha256:…`, once the image is there.
    pub image_id: String,
    /// What it does, once the image is there.
    pub behaviour: Behaviour,
    /// How often pulling its image failed in a row.
    pub pulls_failed: u32,
    /// How many pulls of its image had ended when it asked for one; `None` when it does not wait for one.
    pub asked: Option<u64>,
}

/// Where a container is in its life.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Not running, for this reason; looked at again at that time.
    Waiting {
        /// `ContainerCreating`
        reason: &'static str,
        /// What a person reads.
        message: String,
        /// When it goes on; `None` if something else has to happen first.
        until: Option<Instant>,
    },
    /// Running.
    Running {
        /// Since when.
        since: Instant,
        /// The same for people.
        started: Timestamp,
    },
    /// Ended, and looked at again at that time, if it is to be started again.
    Ended(Ended, Option<Instant>),
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
}

/// Something worth an Event: its type, reason and message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note(pub &'static str, pub &'static str, pub String);

/// What is known of an image.
#[derive(Debug, Clone, PartialEq)]
pub enum Image {
    /// Being pulled.
    Pulling,
    /// There: its id and labels.
    There(String, BTreeMap<String, String>),
    /// Not to be had, and why.
    Refused(String),
}

/// What a step needs to know.
#[derive(Debug)]
pub struct Step<'a> {
    /// Now.
    pub now: Instant,
    /// Now, for people.
    pub clock: Timestamp,
    /// How fast things go.
    pub pace: &'a Pace,
    /// Started again after it ended with this code?
    pub restart: fn(i32) -> bool,
    /// `NAMESPACE_POD(UID)` and the like, for messages.
    pub pod: &'a str,
}

impl Container {
    /// A container that was not started yet.
    pub fn new(name: &str, image: &str, reason: &'static str) -> Container {
        Container {
            name: name.to_owned(),
            image: image.to_owned(),
            state: State::Waiting { reason, message: String::new(), until: None },
            restarts: 0,
            last: None,
            image_id: String::new(),
            behaviour: Behaviour::default(),
            pulls_failed: 0,
            asked: None,
        }
    }

    /// Whether it runs and would answer its readiness probe.
    pub fn ready(&self, now: Instant, pace: &Pace) -> bool {
        matches!(self.state, State::Running { since, .. } if !self.behaviour.unready && now >= since + pace.ready)
    }

    /// When something happens next by itself.
    pub fn next(&self, now: Instant, pace: &Pace) -> Option<Instant> {
        match &self.state {
            State::Waiting { until, .. } | State::Ended(_, until) => *until,
            State::Running { since, .. } => {
                let end = self.behaviour.exit.map(|_| *since + self.behaviour.exit_after.max(pace.tick));
                let ready = Some(*since + pace.ready).filter(|at| *at > now);
                end.into_iter().chain(ready).min()
            }
        }
    }

    /// Goes on if it is time to. Returns what is worth telling.
    pub fn advance(&mut self, image: &Image, step: &Step) -> Vec<Note> {
        match self.state.clone() {
            State::Waiting { until: Some(until), .. } | State::Ended(_, Some(until)) if step.now < until => Vec::new(),
            State::Waiting { reason: "ErrImagePull", message, .. } => self.back_off(&message, step),
            State::Waiting { .. } => self.start(image, step),
            State::Running { since, started } => match self.behaviour.exit {
                Some(code) if step.now >= since + self.behaviour.exit_after.max(step.pace.tick) => {
                    self.end(code, started, step);
                    Vec::new()
                }
                _ => Vec::new(),
            },
            State::Ended(ended, Some(_)) => self.again(ended, step),
            State::Ended(_, None) => Vec::new(),
        }
    }

    fn start(&mut self, image: &Image, step: &Step) -> Vec<Note> {
        let reference = &self.image;
        match image {
            Image::Pulling => {
                if let State::Waiting { until, .. } = &mut self.state {
                    *until = None; // the end of the pull wakes us
                }
                Vec::new()
            }
            Image::Refused(why) => {
                let told = vec![
                    Note("Normal", "Pulling", format!("Pulling image {reference:?}")),
                    Note("Warning", "Failed", format!("Failed to pull image {reference:?}: {why}")),
                    Note("Warning", "Failed", "Error: ErrImagePull".to_owned()),
                ];
                self.pulls_failed += 1;
                self.wait("ErrImagePull", why.clone(), step.now + step.pace.tick);
                told
            }
            Image::There(id, _) => {
                let mut told = Vec::new();
                if self.image_id.is_empty() {
                    told.push(Note("Normal", "Pulling", format!("Pulling image {reference:?}")));
                    told.push(Note("Normal", "Pulled", format!("Successfully pulled image {reference:?}")));
                } else {
                    let message = format!(
                        "Container image {reference:?} already present on machine and can be accessed by the pod"
                    );
                    told.push(Note("Normal", "Pulled", message));
                }
                told.push(Note("Normal", "Created", "Container created".to_owned()));
                told.push(Note("Normal", "Started", "Container started".to_owned()));
                self.image_id.clone_from(id);
                self.pulls_failed = 0;
                self.restarts += u32::from(self.last.is_some());
                self.state = State::Running { since: step.now, started: step.clock };
                told
            }
        }
    }

    fn back_off(&mut self, why: &str, step: &Step) -> Vec<Note> {
        let image = &self.image;
        let message = format!("Back-off pulling image {image:?}: ErrImagePull: {why}");
        let told = vec![
            Note("Normal", "BackOff", format!("Back-off pulling image {image:?}")),
            Note("Warning", "Failed", "Error: ImagePullBackOff".to_owned()),
        ];
        self.wait("ImagePullBackOff", message, step.now + backoff(step.pace, self.pulls_failed));
        told
    }

    fn end(&mut self, code: i32, started: Timestamp, step: &Step) {
        let ended = Ended { code, started, finished: step.clock };
        let again = (step.restart)(code).then(|| step.now + step.pace.tick);
        self.state = State::Ended(ended, again);
    }

    /// The first restart comes at once, later ones after a growing delay.
    fn again(&mut self, ended: Ended, step: &Step) -> Vec<Note> {
        self.last = Some(ended);
        if self.restarts == 0 {
            let (image_id, labels) = (self.image_id.clone(), BTreeMap::new());
            return self.start(&Image::There(image_id, labels), step);
        }
        let delay = backoff(step.pace, self.restarts);
        let (name, pod) = (&self.name, step.pod);
        let message = format!("back-off {} restarting failed container={name} pod={pod}", shown(delay));
        let told = Note("Warning", "BackOff", format!("Back-off restarting failed container {name} in pod {pod}"));
        self.wait("CrashLoopBackOff", message, step.now + delay);
        vec![told]
    }

    fn wait(&mut self, reason: &'static str, message: String, until: Instant) {
        self.state = State::Waiting { reason, message, until: Some(until) };
    }
}

/// The delay before try number `n`, from 1: it doubles up to a limit.
fn backoff(pace: &Pace, n: u32) -> Duration {
    pace.backoff.saturating_mul(1 << n.saturating_sub(1).min(16)).min(pace.backoff_max)
}

fn shown(delay: Duration) -> String {
    if delay.subsec_nanos() == 0 { format!("{}s", delay.as_secs()) } else { format!("{}ms", delay.as_millis()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps through a life and returns the reasons of the states on the way.
    fn live(behaviour: Behaviour, image: &Image, restart: fn(i32) -> bool, steps: usize) -> (Vec<String>, Container) {
        let pace = Pace::default();
        let mut now = Instant::now();
        let mut container = Container::new("web", "r/web:1", "ContainerCreating");
        container.behaviour = behaviour;
        let mut seen = Vec::new();
        for _ in 0..steps {
            let step = Step { now, clock: Timestamp::UNIX_EPOCH, pace: &pace, restart, pod: "web_shop(uid)" };
            container.advance(image, &step);
            seen.push(match &container.state {
                State::Waiting { reason, .. } => (*reason).to_owned(),
                State::Running { .. } => "Running".to_owned(),
                State::Ended(ended, _) => format!("Ended {}", ended.code),
            });
            now = container.next(now, &pace).unwrap_or(now);
        }
        (seen, container)
    }

    #[test]
    fn a_crash_is_restarted_once_at_once_and_then_ever_later() {
        let there = Image::There("r/web@sha256:00".into(), BTreeMap::new());
        let crashing = Behaviour { exit: Some(2), ..Behaviour::default() };
        let (seen, container) = live(crashing, &there, |_| true, 9);
        let wanted = [
            "Running",
            "Ended 2",
            "Running",
            "Ended 2",
            "CrashLoopBackOff",
            "Running",
            "Ended 2",
            "CrashLoopBackOff",
            "Running",
        ];
        assert_eq!(seen, wanted);
        assert_eq!((container.restarts, container.last.map(|last| last.code)), (3, Some(2)));
    }

    #[test]
    fn what_may_end_ends() {
        let there = Image::There("r/web@sha256:00".into(), BTreeMap::new());
        let done = Behaviour { exit: Some(0), ..Behaviour::default() };
        assert_eq!(live(done, &there, |code| code != 0, 3).0, ["Running", "Ended 0", "Ended 0"]);
    }

    #[test]
    fn an_image_that_is_not_there_is_tried_again() {
        let refused = Image::Refused("not found".into());
        let (seen, container) = live(Behaviour::default(), &refused, |_| true, 4);
        assert_eq!(seen, ["ErrImagePull", "ImagePullBackOff", "ErrImagePull", "ImagePullBackOff"]);
        assert!(matches!(container.state, State::Waiting { message, .. }
            if message == "Back-off pulling image \"r/web:1\": ErrImagePull: not found"));
    }
}

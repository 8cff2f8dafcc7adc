//! Hooks that are run on their own, when a person asks: no object of the environment is written, and its inventory stays as it is.
//! One after another, up to the first that fails, as helm runs them.

use std::time::{Duration, Instant};

use quarterdeck_core::hooks::Run;
use quarterdeck_core::output::Lines;
use quarterdeck_core::steps;
use quarterdeck_shared::resource::ResourceRef;
use serde_json::Value;

use super::progress::Done;
use super::{Executor, Far};
use crate::logs::log_path;
use crate::requests::get;

/// The last lines of each container that are kept: what a person reads at a glance.
const LOG_LINES_MAX: usize = 50;

/// Bytes of them: fifty lines of a stack trace have some 10 KB.
const LOG_BYTES_MAX: usize = 32 << 10;

/// Containers of one hook whose logs are read: tests have one or two.
const CONTAINERS_MAX: usize = 8;

/// A hook that was run on its own.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Its object.
    pub resource: ResourceRef,
    /// Of the hooks the lowest ran first.
    pub weight: i64,
    /// How it ended.
    pub ended: Ended,
    /// What is said of that: why it failed, or that its object could not be deleted. Empty where there is nothing to say.
    pub message: String,
    /// What to do about it; empty where nothing is known that helps.
    pub hint: String,
    /// How long it took.
    pub took: Duration,
    /// The last lines that its containers wrote, as far as they could be read.
    pub log: Vec<String>,
}

/// How a hook ended that was run on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Well.
    Succeeded,
    /// It did not succeed, or not in time.
    Failed,
    /// It was stopped: whether it would have succeeded is not known.
    Stopped,
}

impl Executor<'_> {
    /// Runs these, and deletes those of them whose policies say so; what came of each, up to the first that did not succeed.
    pub(crate) async fn alone(&self, runs: &[Run]) -> Vec<Ran> {
        let done = Done::begin(runs.len(), &[]);
        (self.progress)(Far { done: 0, total: runs.len(), waiting: Vec::new(), hook: None });
        let mut ran: Vec<Ran> = Vec::new();
        for run in runs {
            let begun = Instant::now();
            let ended = self.run(run, &done).await;
            self.waits(&done, |waiting| waiting.hook = None);
            let (ended, message, hint) = match ended {
                Ok(true) => (Ended::Succeeded, String::new(), String::new()),
                Ok(false) => (Ended::Stopped, String::new(), String::new()),
                Err(failed) => (Ended::Failed, failed.message, failed.hint),
            };
            let log = if ended == Ended::Stopped { Vec::new() } else { self.log_of(run).await };
            let (resource, weight, took) = (run.resource().clone(), run.moment.weight, begun.elapsed());
            ran.push(Ran { resource, weight, ended, message, hint, took, log });
            match ended {
                Ended::Succeeded => self.report(&done),
                Ended::Stopped => return ran,
                Ended::Failed => {
                    let mut going = Vec::from_iter(run.goes_when_failed().then(|| run.clone()));
                    going.extend(succeeded(&runs[..ran.len() - 1]));
                    self.clear_alone(&going, &mut ran).await;
                    return ran;
                }
            }
        }
        self.clear_alone(&succeeded(runs), &mut ran).await;
        ran
    }

    /// Deletes these; what cannot be deleted is said of its hook, which stays as it ended.
    async fn clear_alone(&self, runs: &[Run], ran: &mut [Ran]) {
        for run in runs {
            if let Err(problem) = self.delete_hook(run, steps::CLEARED_TIMEOUT).await
                && let Some(ran) = ran.iter_mut().find(|ran| ran.resource == *run.resource())
            {
                let begin = if ran.message.is_empty() { String::new() } else { format!("{}; ", ran.message) };
                ran.message = format!("{begin}its object cannot be deleted: {}", problem.message);
                if ran.hint.is_empty() {
                    ran.hint = problem.hint.into_owned();
                }
            }
        }
    }

    /// The last lines of the containers of a hook. What cannot be read is not there: it changes nothing of how the hook ended.
    async fn log_of(&self, run: &Run) -> Vec<String> {
        let resource = run.resource();
        let live = self.observer.objects.get(resource, Some(&run.manifest.version)).await;
        let Some(live) = live.ok().flatten().filter(|live| run.is_mine(live)) else { return Vec::new() };
        let pods = match (resource.group.as_str(), resource.kind.as_str()) {
            ("", "Pod") => vec![live],
            ("batch", "Job") => self.pods_of_job(resource, &live).await.unwrap_or_default(),
            _ => Vec::new(),
        };
        let containers = pods.iter().flat_map(containers).take(CONTAINERS_MAX);
        let containers: Vec<(String, String)> = containers.collect();
        let is_alone = containers.len() == 1;
        let namespace = resource.namespace.as_deref().unwrap_or_default();
        let mut lines = Vec::new();
        for (pod, container) in &containers {
            let path = log_path(namespace, pod, container);
            let path = format!("{path}&tailLines={LOG_LINES_MAX}&limitBytes={LOG_BYTES_MAX}");
            let doing = format!("read the log of {pod}/{container}");
            let Ok(bytes) = self.observer.objects.requests.bytes(&doing, get(&path)).await else { continue };
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LOG_BYTES_MAX)]);
            let mut clean = Lines::default();
            let whole = clean.push(&text);
            let whole = whole.into_iter().chain(clean.finish()).take(LOG_LINES_MAX);
            lines.extend(whole.map(|line| if is_alone { line } else { format!("{pod}/{container}: {line}") }));
        }
        lines
    }
}

/// Those of hooks that succeeded whose policy says that they go then, the last first.
fn succeeded(runs: &[Run]) -> Vec<Run> {
    runs.iter().rev().filter(|run| run.goes_when_succeeded()).cloned().collect()
}

/// The containers of a pod, each with the name of the pod.
fn containers(pod: &Value) -> Vec<(String, String)> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    containers.filter_map(|one| Some((name.to_owned(), one["name"].as_str()?.to_owned()))).collect()
}

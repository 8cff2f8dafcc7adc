//! From the commit to the rollout: the steps of the newest delivery to an environment, and where each stands.
//!
//! It joins what the wire keeps apart: the newest run (commit, build, test, push, scan, sign, promote), the newest sync, and how the
//! environment is since. Each step says what it waits for.

use jiff::Timestamp;
use quarterdeck_shared::application::{EnvironmentId, EnvironmentName};
use quarterdeck_shared::artifact::Image;
use quarterdeck_shared::snapshot::{EnvironmentStatus, Object, Progress, ResourceStatus, RunStatus};
use quarterdeck_shared::status::{Health, Phase, Stage, StageKind, SyncStatus};

use crate::model::store::Store;
use crate::text;

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is no part of this delivery.
    Absent,
    /// It waits for what is before it.
    Waiting,
    /// It is being done.
    Running,
    /// It is done.
    Done,
    /// It failed.
    Failed,
    /// It was stopped, or is stopped on purpose.
    Stopped,
    /// It was not judged.
    Unknown,
}

/// A step of the delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is done: `build`.
    pub title: &'static str,
    /// Where it stands.
    pub state: State,
    /// A word or two: `43%`, `2 of 3 updated`.
    pub text: String,
    /// Since when it is being done; its age is part of the picture.
    pub since: Option<Timestamp>,
    /// How long it took, in seconds.
    pub seconds: Option<i64>,
}

impl Step {
    fn new(title: &'static str, state: State, text: impl Into<String>) -> Self {
        Self { title, state, text: text.into(), since: None, seconds: None }
    }
}

/// The steps of an environment, in their order.
pub fn steps(fleet: &Store, environment: &EnvironmentStatus) -> Vec<Step> {
    let id = &environment.environment;
    let run = fleet.newest_run(&id.application);
    let mut steps = Vec::with_capacity(8);
    match run {
        Some(run) => {
            steps.push(commit(run));
            steps.push(stage("build", find(run, StageKind::Build)));
            // Most have none; a step that is never there tells nothing.
            steps.extend(find(run, StageKind::Test).map(|test| stage("test", Some(test))));
            steps.push(stage("push", find(run, StageKind::Push)));
            steps.extend(find(run, StageKind::Scan).map(|scan| stage("scan", Some(scan))));
            steps.extend(find(run, StageKind::Sign).map(|sign| stage("sign", Some(sign))));
            steps.push(promote(run, &id.environment));
        }
        None => {
            let target = environment.target.as_ref().or(environment.revision.as_ref());
            steps.push(match target {
                Some(revision) => Step::new("commit", State::Done, revision.short_id()),
                None => Step::new("commit", State::Waiting, "none seen yet"),
            });
        }
    }
    // What is synced and rolled out is another artifact then.
    if run.and_then(|run| rolled_back(run, environment)).is_some() {
        steps.push(Step::new("sync", State::Failed, "rolled back"));
        steps.push(Step::new("rollout", State::Absent, ""));
    } else {
        steps.push(sync(environment));
        steps.push(rollout(fleet, environment));
    }
    steps
}

/// `rolled back to 1.0.0 by root: bad release`, where a release is in git and the environment is pinned to another one.
fn rolled_back(run: &RunStatus, environment: &EnvironmentStatus) -> Option<String> {
    let pin = environment.pin.as_ref()?;
    let artifact = run.artifact.as_ref().filter(|_| run.promoted.contains_key(&environment.environment.environment))?;
    let built: Vec<String> = artifact.images.iter().map(|image| image.name.clone()).collect();
    let runs = text::own_image(&environment.images, &built)?;
    let is_of_it = |image: &Image| {
        let by_digest = image.digest.as_ref().is_some_and(|digest| runs.ends_with(&format!("@{digest}")));
        by_digest || runs == image.tagged(&artifact.tag)
    };
    if artifact.images.iter().any(is_of_it) {
        return None;
    }
    Some(pin.hold.describe(&format!("rolled back to {}", text::image_version(runs))))
}

/// How long a stage took, in whole seconds.
pub fn stage_seconds(stage: &Stage) -> Option<i64> {
    seconds(stage.started?, stage.finished?)
}

/// None where the agent's clock was set back meanwhile: nobody knows then.
fn seconds(started: Timestamp, finished: Timestamp) -> Option<i64> {
    let millis = finished.as_millisecond() - started.as_millisecond();
    (millis >= 0).then_some((millis + 500) / 1000)
}

/// Where a phase leaves a step.
pub fn state_of(phase: Phase) -> State {
    match phase {
        Phase::Queued => State::Waiting,
        Phase::Running => State::Running,
        Phase::Succeeded => State::Done,
        Phase::Skipped => State::Absent,
        Phase::Failed | Phase::Interrupted => State::Failed,
        Phase::Cancelled => State::Stopped,
    }
}

fn commit(run: &RunStatus) -> Step {
    let checkout = find(run, StageKind::Checkout);
    let state = match checkout.map(|stage| stage.phase) {
        // The commit is known before anything is done with it.
        None | Some(Phase::Queued | Phase::Skipped | Phase::Succeeded) => State::Done,
        Some(phase) => state_of(phase),
    };
    Step::new("commit", state, run.commit.short())
}

fn find(run: &RunStatus, kind: StageKind) -> Option<&Stage> {
    run.stages.iter().find(|stage| stage.kind == kind)
}

fn stage(title: &'static str, stage: Option<&Stage>) -> Step {
    let Some(stage) = stage else {
        return Step::new(title, State::Absent, "");
    };
    let mut step = Step::new(title, state_of(stage.phase), "");
    match stage.phase {
        Phase::Running => {
            step.text = stage.percent.map(|percent| format!("{percent}%")).unwrap_or_default();
            step.since = stage.started;
        }
        Phase::Skipped => step.text = "not needed".to_owned(),
        Phase::Failed => step.text = "failed".to_owned(),
        Phase::Interrupted => step.text = "interrupted".to_owned(),
        Phase::Cancelled => step.text = "cancelled".to_owned(),
        Phase::Succeeded => step.seconds = stage_seconds(stage),
        Phase::Queued => {}
    }
    step
}

/// The promotion to this environment among those of a run.
fn promote(run: &RunStatus, environment: &EnvironmentName) -> Step {
    let is_to = |stage: &&Stage| stage.kind == StageKind::Promote && stage.environment.as_ref() == Some(environment);
    let mut step = stage("promote", run.stages.iter().find(is_to));
    if let Some(commit) = run.promoted.get(environment) {
        step.text = commit.short().to_owned();
        step.seconds = None;
    }
    step
}

fn sync(environment: &EnvironmentStatus) -> Step {
    if let Some(progress) = &environment.progress {
        let name = match progress {
            Progress::Testing { .. } => "test",
            Progress::Deleting { .. } => "delete",
            _ => "sync",
        };
        let mut step = Step::new(name, State::Running, progress.describe());
        step.since = environment.last_sync.as_ref().filter(|sync| !sync.phase.is_final()).map(|sync| sync.started);
        return step;
    }
    if environment.suspended {
        return Step::new("sync", State::Stopped, "suspended");
    }
    let last = environment.last_sync.as_ref();
    match (environment.sync, last) {
        (SyncStatus::Synced, Some(sync)) => {
            let mut step = Step::new("sync", State::Done, "");
            step.seconds = sync.finished.and_then(|finished| seconds(sync.started, finished));
            step
        }
        (SyncStatus::Synced, None) => Step::new("sync", State::Done, ""),
        (SyncStatus::OutOfSync, Some(sync)) if sync.phase == Phase::Failed => {
            Step::new("sync", State::Failed, "failed")
        }
        (SyncStatus::OutOfSync, _) if !environment.spec.automatic => {
            Step::new("sync", State::Waiting, "waits for you: S")
        }
        (SyncStatus::OutOfSync, _) => Step::new("sync", State::Waiting, "out of sync"),
        (SyncStatus::Unknown, _) => Step::new("sync", State::Unknown, "unknown"),
    }
}

fn rollout(fleet: &Store, environment: &EnvironmentStatus) -> Step {
    let mut step = match environment.health {
        Health::Healthy => Step::new("rollout", State::Done, "healthy"),
        Health::Suspended => Step::new("rollout", State::Stopped, "suspended"),
        Health::Progressing => Step::new("rollout", State::Running, on_its_way(fleet, environment)),
        Health::Missing => Step::new("rollout", State::Waiting, "missing"),
        Health::Degraded => Step::new("rollout", State::Failed, "degraded"),
        Health::Unknown => Step::new("rollout", State::Unknown, "unknown"),
    };
    step.since = Some(environment.since);
    step
}

/// What the first workload that is on its way says of itself: `2 of 3 updated`.
fn on_its_way(fleet: &Store, environment: &EnvironmentStatus) -> String {
    let moving = |r: &&ResourceStatus| r.health == Health::Progressing && r.owner.is_none() && !r.summary.is_empty();
    let first = fleet.resources(&environment.environment).map(|(_, resource)| resource).filter(moving);
    first.min_by(|a, b| a.resource.cmp(&b.resource)).map(|r| r.summary.clone()).unwrap_or_default()
}

/// One line below the steps: what is delivered, or what stopped it.
pub fn caption(fleet: &Store, environment: &EnvironmentStatus) -> (State, String) {
    let Some(run) = fleet.newest_run(&environment.environment.application) else {
        return match (&environment.last_sync, environment.message.is_empty()) {
            (_, false) => (State::Absent, environment.message.clone()),
            (Some(sync), true) => (State::Absent, format!("sync {}: {}", sync.id.number, sync.message)),
            (None, true) => (State::Absent, String::new()),
        };
    };
    if matches!(run.phase, Phase::Failed | Phase::Interrupted | Phase::Cancelled) && !run.message.is_empty() {
        return (state_of(run.phase), format!("run {}: {}", run.id.number, run.message));
    }
    if let Some(why) = rolled_back(run, environment) {
        return (State::Failed, why);
    }
    // What is not seen is of more use than what was delivered: it may not be so any more.
    if let Some(unseen) = environment.unseen.first() {
        let more = environment.unseen.len() - 1;
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        return (State::Unknown, format!("{}{more}", unseen.describe()));
    }
    let mut parts = Vec::new();
    if !run.subject.is_empty() {
        parts.push(format!("\"{}\"", run.subject));
    }
    parts.push(run.cause.describe());
    if let Some(artifact) = &run.artifact {
        parts.push(match &*artifact.images {
            [Image { digest: Some(digest), .. }] => short_digest(digest),
            _ => artifact.tagged(),
        });
    }
    let running = run.stages.iter().find(|stage| stage.phase == Phase::Running && !stage.message.is_empty());
    match running {
        Some(stage) => (State::Running, stage.message.clone()),
        None => (State::Absent, parts.join(", ")),
    }
}

/// `sha256:5f91f762…`: as much of a digest as people compare.
pub fn short_digest(digest: &str) -> String {
    match digest.char_indices().nth(15) {
        Some((end, _)) => format!("{}…", &digest[..end]),
        None => digest.to_owned(),
    }
}

/// Whether an object of the fleet can change what the screen of an environment shows.
pub fn concerns(object: &Object, id: &EnvironmentId) -> bool {
    match object {
        Object::Application(a) => a.name == id.application,
        Object::Run(r) => r.application == id.application,
        Object::Environment(e) => e.environment == *id,
        Object::Resource(r) => r.environment == *id,
        Object::Pod(p) => p.environment == *id,
        Object::Agent(_)
        | Object::Repository(_)
        | Object::Connection(_)
        | Object::ApplicationSource(_)
        | Object::FollowedImage(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use quarterdeck_shared::snapshot::{Hold, Pin};

    use super::*;

    #[test]
    fn how_long_a_stage_took_is_not_said_where_the_clock_was_set_back() {
        let at = |millis| Timestamp::from_millisecond(millis).expect("a time");
        for (started, finished, told) in [(1_000, 3_400, Some(2)), (1_000, 1_000, Some(0)), (3_601_000, 4_000, None)] {
            let mut stage = Stage::queued(StageKind::Build);
            (stage.started, stage.finished) = (Some(at(started)), Some(at(finished)));
            assert_eq!(stage_seconds(&stage), told);
        }
    }

    #[test]
    fn a_scan_is_a_step_where_there_is_one() {
        use crate::model::fixture;
        let titles = |has_scan: bool| {
            let with_scan = |mut object: Object| {
                if let Object::Run(run) = &mut object
                    && let Some(at) = run.stages.iter().position(|stage| stage.kind == StageKind::Promote)
                {
                    run.stages.splice(at..at, has_scan.then(|| Stage::queued(StageKind::Scan)));
                }
                (object.key(), object)
            };
            let fleet = Store::load(fixture::objects().into_iter().map(with_scan));
            let steps = steps(&fleet, &fixture::environment("shop/prod", Health::Healthy));
            steps.iter().map(|step| step.title).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(titles(false), "commit build push promote sync rollout");
        assert_eq!(titles(true), "commit build push scan promote sync rollout");
    }

    #[test]
    fn the_timeline_of_a_release_that_was_rolled_back_ends_there() {
        use crate::model::fixture;
        let run = |fleet: &Store| fleet.newest_run(&fixture::name("shop")).expect("a run").clone();
        let fleet = Store::load(fixture::objects().into_iter().map(|object| (object.key(), object)));
        let (mut bad, mut shop) = (run(&fleet), fixture::environment("shop/prod", Health::Healthy));
        let prod = shop.environment.environment.clone();
        let hold = Hold { reason: "bad release".to_owned(), cause: fixture::person(), at: fixture::now() };
        let pin = Pin { revision: fixture::revision("pin", '1'), hold };
        let by = fixture::person().describe();
        let older = "registry.example/ops/shop:1.0.0@sha256:00";
        let same = shop.images[0].clone();
        for (promoted, pinned, runs, told) in [
            (true, true, older, Some(format!("rolled back to 1.0.0 by {by}: bad release"))),
            (true, true, &*same, None),
            (true, false, older, None),
            (false, true, older, None),
        ] {
            bad.promoted = promoted.then(|| (prod.clone(), fixture::commit('2'))).into_iter().collect();
            shop.pin = pinned.then(|| pin.clone());
            shop.images = vec![runs.to_owned()];
            assert_eq!(rolled_back(&bad, &shop), told, "{promoted} {pinned} {runs}");
        }
    }
}

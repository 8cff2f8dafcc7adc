//! `--wait`: following the state until what was asked for has come about, or cannot any more.
//!
//! Judging is pure and looks at the whole state each time, so it does not matter which change woke us or whether the
//! agent was started again in between: while the deadline lasts, an agent that is away is waited for, too.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_shared::application::{Address, EnvironmentId};
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::id::SyncId;
use quarterdeck_shared::protocol::{Accepted, WatchRecord};
use quarterdeck_shared::revision::CommitId;
use quarterdeck_shared::snapshot::{EnvironmentStatus, Key, Object, Progress, RenderedFrom, RunId, RunStatus, Unseen};
use quarterdeck_shared::status::{Health, Phase};
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};

use crate::client::Client;
use crate::client::error::ClientError;
use crate::client::records::Records;
use crate::command::{CommandError, Context, Format, act};
use crate::exit::Exit;

/// Every object of the state.
pub(super) type Objects = BTreeMap<Key, Object>;

/// How what is waited for stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Not there yet, and why.
    Waiting(String),
    /// It has come about.
    Good(String),
    /// It will not come about.
    Bad(Failure),
}

/// What is waited for.
#[derive(Debug, Clone)]
pub(super) enum Goal {
    /// A sync that began after the request, and health at its revision.
    Healthy {
        /// Of which environment.
        of: Address,
        /// The newest sync when the request was taken.
        after_sync: Option<SyncId>,
        /// The commit, where the request named one.
        commit: Option<CommitId>,
    },
    /// The end of a run.
    Run(RunId),
    /// The end of the tests of a chart.
    Tested {
        /// Of which environment.
        of: Address,
        /// When they were asked for, as the agent's answer says.
        at: Option<Timestamp>,
    },
    /// The end of a deletion.
    Deleted {
        /// Of which environment.
        of: Address,
        /// When it was asked for, as the agent's answer says.
        at: Option<Timestamp>,
    },
}

impl Goal {
    /// What it is about, in the state. An address without an environment means the only one.
    fn object<'a>(&self, objects: &'a Objects) -> Option<&'a Object> {
        match self {
            Self::Healthy { of: Address { application, environment: Some(name) }, .. }
            | Self::Tested { of: Address { application, environment: Some(name) }, .. }
            | Self::Deleted { of: Address { application, environment: Some(name) }, .. } => {
                objects.get(&Key::environment(&EnvironmentId::new(application, name)))
            }
            Self::Healthy { of: Address { application, environment: None }, .. }
            | Self::Tested { of: Address { application, environment: None }, .. }
            | Self::Deleted { of: Address { application, environment: None }, .. } => objects.values().find(
                |object| matches!(object, Object::Environment(one) if one.environment.application == *application),
            ),
            Self::Run(id) => objects.get(&Key::run(*id)),
        }
    }

    /// How it stands.
    pub(super) fn judge(&self, objects: &Objects) -> Judgement {
        match (self, self.object(objects)) {
            (Self::Healthy { after_sync, commit, .. }, Some(Object::Environment(environment))) => {
                with_unseen(judge_health(environment, *after_sync, commit.as_ref()), environment)
            }
            (Self::Tested { at, .. }, Some(Object::Environment(environment))) => judge_tests(environment, *at),
            (Self::Deleted { at, .. }, Some(Object::Environment(environment))) => judge_deletion(environment, *at),
            (Self::Healthy { of, .. } | Self::Tested { of, .. } | Self::Deleted { of, .. }, _) => {
                Judgement::Bad(format!("{of} is gone").into())
            }
            (Self::Run(_), Some(Object::Run(run))) => judge_run(run),
            (Self::Run(id), _) => Judgement::Waiting(format!("run {} not found yet", id.number)),
        }
    }
}

/// Healthy (or suspended on purpose) at the revision of a sync that began after the request.
///
/// Degraded is no reason to give up: right after a sync the pods of the version before still fail, which is often why
/// there was a sync. An interrupted sync is done again by the agent's next life.
fn judge_health(environment: &EnvironmentStatus, after_sync: Option<SyncId>, commit: Option<&CommitId>) -> Judgement {
    let waiting = |text: &str| Judgement::Waiting(text.to_owned());
    let Some(sync) = environment.last_sync.as_ref().filter(|sync| Some(sync.id) > after_sync) else {
        return match (&environment.progress, environment.suspended) {
            (Some(progress), _) => Judgement::Waiting(progress.describe()),
            (None, true) => waiting("suspended, so it does not sync"),
            (None, false) => waiting("the sync has not begun"),
        };
    };
    if commit.is_some_and(|commit| sync.revision.commit != *commit) {
        return waiting("a sync to another revision came first");
    }
    match sync.phase {
        Phase::Failed | Phase::Cancelled => {
            let message = format!("sync {}: {}", sync.id.number, sync.message);
            return Judgement::Bad(Failure { message, hint: sync.hint.clone() });
        }
        Phase::Queued | Phase::Running => {
            let progress = environment.progress.as_ref().map(Progress::describe);
            return waiting(progress.as_deref().unwrap_or("syncing"));
        }
        Phase::Interrupted => return waiting("the sync was interrupted and will resume"),
        Phase::Succeeded | Phase::Skipped => {}
    }
    let now = environment.revision.as_ref().map(|revision| &revision.commit);
    // A sync of a part leaves the revision as it was.
    if sync.part.is_none() && now != Some(&sync.revision.commit) {
        return waiting("the revision of the sync is not applied yet");
    }
    let done = match &sync.part {
        Some(part) => format!("{} and {}", part.applied(&sync.revision), environment.health),
        None => format!("{} at {}", environment.health, sync.revision.short()),
    };
    let done = match environment.rendered {
        Some(RenderedFrom::Kept) => format!("{done}, from the manifests kept of an earlier render"),
        _ => done,
    };
    match environment.health {
        Health::Healthy | Health::Suspended => Judgement::Good(done),
        health if environment.message.is_empty() => Judgement::Waiting(health.to_string()),
        health => Judgement::Waiting(format!("{health}: {}", environment.message)),
    }
}

/// What is waited for, with what of it cannot be seen: that is neither success nor failure, and whoever waits in vain is to
/// know why.
fn with_unseen(judgement: Judgement, environment: &EnvironmentStatus) -> Judgement {
    let Judgement::Waiting(mut why) = judgement else { return judgement };
    for unseen in environment.unseen.iter().map(Unseen::describe) {
        if !why.contains(&unseen) {
            why.push_str(&format!("; {unseen}"));
        }
    }
    Judgement::Waiting(why)
}

/// The end of the tests that were asked for then. An agent that is restarted in the middle goes on with them.
fn judge_tests(environment: &EnvironmentStatus, at: Option<Timestamp>) -> Judgement {
    let progress = || environment.progress.as_ref().map_or_else(|| "waiting to begin".to_owned(), Progress::describe);
    let Some(tests) = environment.tests.as_ref().filter(|tests| Some(tests.at) >= at) else {
        return Judgement::Waiting(progress());
    };
    if Some(tests.at) != at {
        let message = "the tests ended and others were asked for since".to_owned();
        return Judgement::Bad(Failure {
            message,
            hint: format!("see how they ended: qd events {}", environment.environment),
        });
    }
    match tests.phase {
        Phase::Succeeded => Judgement::Good(tests.message.clone()),
        phase if phase.is_final() => {
            Judgement::Bad(Failure { message: tests.message.clone(), hint: tests.hint.clone() })
        }
        _ => Judgement::Waiting(progress()),
    }
}

/// The end of the deletion that was asked for then.
fn judge_deletion(environment: &EnvironmentStatus, at: Option<Timestamp>) -> Judgement {
    let progress = || environment.progress.as_ref().map_or_else(|| "waiting to begin".to_owned(), Progress::describe);
    match environment.deletion.as_ref().filter(|deletion| Some(deletion.at) >= at) {
        Some(deletion) if deletion.phase == Phase::Succeeded => Judgement::Good(deletion.message.clone()),
        Some(deletion) if deletion.phase.is_final() => {
            Judgement::Bad(Failure { message: deletion.message.clone(), hint: deletion.hint.clone() })
        }
        _ => Judgement::Waiting(progress()),
    }
}

/// The end of a run. What was skipped had nothing to do, which is as good as done.
fn judge_run(run: &RunStatus) -> Judgement {
    match run.phase {
        Phase::Succeeded | Phase::Skipped => Judgement::Good(or(&run.message, run.phase.word())),
        Phase::Failed | Phase::Cancelled | Phase::Interrupted => {
            Judgement::Bad(Failure { message: or(&run.message, run.phase.word()), hint: run.hint.clone() })
        }
        Phase::Queued => Judgement::Waiting("queued".to_owned()),
        Phase::Running => {
            let stage = run.stages.iter().find(|stage| stage.phase == Phase::Running);
            Judgement::Waiting(stage.map_or("running".to_owned(), |stage| match &*stage.message {
                "" => stage.kind.to_string(),
                message => format!("{}: {message}", stage.kind),
            }))
        }
    }
}

fn or(message: &str, word: &str) -> String {
    if message.is_empty() { word.to_owned() } else { message.to_owned() }
}

/// How the waiting ended, as JSON: [`Accepted`], and `outcome` (`good`, `bad`, `timeout`), `reason`, and `object`, the
/// environment or the run as it was then.
#[derive(Debug, Serialize)]
struct Waited<'a> {
    #[serde(flatten)]
    accepted: &'a Accepted,
    outcome: &'static str,
    reason: &'a str,
    object: Option<&'a Object>,
}

/// Waits for a goal, prints how it ended, and makes the exit of it. Progress goes to standard error, for people only.
pub(super) async fn wait_and_print(
    goal: &Goal,
    accepted: &Accepted,
    patience: Duration,
    format: Option<Format>,
    context: &mut Context,
) -> Result<Exit, CommandError> {
    if format.is_none() {
        act::print_accepted(accepted, None, context)?;
    }
    let (judgement, objects) = until(goal, patience, format.is_none(), context).await?;
    let (outcome, reason) = match &judgement {
        Judgement::Good(reason) => ("good", reason),
        Judgement::Bad(reason) => ("bad", &reason.message),
        Judgement::Waiting(reason) => ("timeout", reason),
    };
    match format {
        Some(Format::Json) => {
            context.output.json(&Waited { accepted, outcome, reason, object: goal.object(&objects) })?;
        }
        None if outcome == "good" => context.output.line(&**reason)?,
        None => {}
    }
    match judgement {
        Judgement::Good(_) => Ok(Exit::Done),
        Judgement::Bad(reason) => Err(CommandError::WaitFailed(reason)),
        Judgement::Waiting(state) => {
            Err(CommandError::WaitTimeout { waited: humantime::format_duration(patience).to_string(), state })
        }
    }
}

/// Follows the state until the goal is judged, or patience ends; the last judgement, and the state it was about.
pub(super) async fn until(
    goal: &Goal,
    patience: Duration,
    progress: bool,
    context: &mut Context,
) -> Result<(Judgement, Objects), CommandError> {
    let deadline = Instant::now() + patience;
    let client = context.client.clone();
    let mut following = Following { client, objects: Objects::new(), records: None, trouble: None };
    let mut told = Judgement::Waiting("the agent has not answered yet".to_owned());
    loop {
        match timeout_at(deadline, following.changed()).await {
            Err(_) => return Ok((following.since_then(told), following.objects)),
            Ok(changed) => changed?,
        }
        let judgement = goal.judge(&following.objects);
        match &judgement {
            Judgement::Waiting(why) if progress && judgement != told => context.output.note(why)?,
            Judgement::Waiting(_) => {}
            Judgement::Good(_) | Judgement::Bad(_) => return Ok((judgement, following.objects)),
        }
        told = judgement;
    }
}

/// Between two tries where the agent is away: it is heard of soon enough, and not hammered.
const PAUSE: Duration = Duration::from_millis(500);

/// The state as it is now, and what changes it.
struct Following {
    client: Client,
    objects: Objects,
    records: Option<Records<WatchRecord>>,
    /// Why the agent was not heard of since the state was last looked at.
    trouble: Option<String>,
}

impl Following {
    /// Waits until the state is another, or the same for longer than a bookmark takes.
    async fn changed(&mut self) -> Result<(), ClientError> {
        loop {
            match self.step().await {
                Ok(true) => {
                    self.trouble = None;
                    return Ok(());
                }
                Ok(false) => self.records = None,
                Err(error) if error.is_passing() => {
                    self.records = None;
                    self.trouble = Some(error.to_string());
                    sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What was last judged, and that nothing was heard since, where that is so.
    fn since_then(&self, told: Judgement) -> Judgement {
        match (told, &self.trouble) {
            (Judgement::Waiting(why), Some(trouble)) => Judgement::Waiting(format!("{why}; since then {trouble}")),
            (told, _) => told,
        }
    }

    /// Takes in what has come; false where the stream has ended.
    async fn step(&mut self) -> Result<bool, ClientError> {
        let Some(records) = &mut self.records else {
            let state = self.client.state().await?;
            self.records = Some(self.client.watch(&state.epoch, state.revision).await?);
            self.objects = state.objects;
            return Ok(true);
        };
        let mut next = records.next().await?;
        let any = next.is_some();
        while let Some(record) = next {
            match record {
                WatchRecord::Put { key, object, .. } => drop(self.objects.insert(key, *object)),
                WatchRecord::Del { key, .. } => drop(self.objects.remove(&key)),
                WatchRecord::Bookmark { .. } => {}
            }
            next = records.ready()?;
        }
        Ok(any)
    }
}

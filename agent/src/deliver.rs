//! THE FIRST STORY: a tag becomes a built, pushed and promoted image.
//!
//! ```text
//! tags of the code repository --trigger (pure)--> runs owed --> checkout -> build -> push -> promote (a commit in git)
//! ```
//!
//! Level-triggered: each stage first looks whether what it should bring about is already so (the history knows the
//! image, the engine has it, the registry answers its digest, the manifests name it) and does the difference. A run that
//! was cut off is queued again under a new number and does no more than what was missing.

mod course;
mod promotion;
mod run;
mod stages;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_shared::event::{Cause, Event};
use quarterdeck_shared::protocol::DeliverRequest;
use quarterdeck_shared::snapshot::{RunGoal, RunStatus};
use quarterdeck_shared::status::{Phase, StageKind};

use self::course::Course;
use self::run::{REBUILD, new_run, queued};
pub use self::run::{again, ended, interrupted};
use crate::build::BuildError;
use crate::context::{Application, Context};
use crate::history::sqlite::HistoryError;
use crate::images::LoginError;
use crate::journal::fact::Fact;
use crate::journal::{NotKept, chain};
use crate::promote::PromoteError;
use crate::registry::image_ref::ImageRefError;
use crate::registry::oci::RegistryError;
use crate::source::{CommitId, GitError, GitErrorKind, RefSnapshot, Target};
use crate::trigger::{self, GlobError, TagRules, TemplateError};
use crate::worker::{Next, Story};

/// A run that failed, and in which step.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// Git did not give what was needed.
    #[error("cannot {doing}")]
    Git {
        /// What.
        doing: &'static str,
        /// Why.
        source: GitError,
    },
    /// The engine failed.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The image cannot be named so.
    #[error("the image cannot be named")]
    Name(#[from] ImageRefError),
    /// A secret build argument is not there.
    #[error("build argument {name} comes from {place}, which cannot be read: {why}")]
    Argument {
        /// Which.
        name: String,
        /// The environment variable or file.
        place: String,
        /// Why.
        why: String,
    },
    /// A pattern of tags is none; the configuration was checked for it.
    #[error(transparent)]
    Glob(#[from] GlobError),
    /// A template of image tags is none; the configuration was checked for it.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// We cannot say who we are to the registry.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The manifests do not take the image.
    #[error(transparent)]
    Promote(#[from] PromoteError),
    /// Others were faster, each time.
    #[error(
        "the deploy branch {branch} moved {tries} times while the promotion was written; try again when it is quieter"
    )]
    Raced {
        /// Which branch.
        branch: String,
        /// How often.
        tries: u32,
    },
    /// What a person asked for is not there.
    #[error("{0}")]
    NoSuch(String),
    /// The history cannot be written.
    #[error(transparent)]
    NotKept(#[from] NotKept),
    /// The history cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// What was away stayed away.
    #[error("given up after {}", humantime::format_duration(*.patience))]
    GaveUp {
        /// For how long a stage is tried.
        patience: Duration,
        /// What it met the last time.
        source: Box<DeliverError>,
    },
    /// A person ended it, or the agent ends.
    #[error("cancelled")]
    Cancelled,
}

impl DeliverError {
    /// Whether something is merely away, so that trying again is of use.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Git { source, .. } => source.passes(),
            Self::Build(error) => error.is_transient(),
            Self::Registry(error) => error.is_transient(),
            Self::NotKept(_) | Self::History(_) => true,
            _ => false,
        }
    }

    /// What a person could do; empty where the words say it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Promote(_) => {
                "check application.deploy.path, or set promote.by = \"none\" where the manifests are somebody else's"
            }
            Self::NoSuch(_) => "name a tag, branch or commit of the code repository",
            Self::GaveUp { .. } => "ask for it again when that is back: `qd push` or `qd build` with this tag",
            _ => "",
        }
    }
}

/// The delivery of one application.
pub struct Delivery {
    context: Arc<Context>,
    application: Arc<Application>,
    /// The refs that need no thought any more.
    thought_of: Option<Arc<RefSnapshot>>,
}

impl Delivery {
    /// Nothing was thought of yet.
    pub fn new(context: &Arc<Context>, application: &Arc<Application>) -> Self {
        Self { context: context.clone(), application: application.clone(), thought_of: None }
    }
}

impl Story for Delivery {
    /// What the tags ask for is queued, then what is queued is done, in order.
    async fn pass(&mut self) -> Next {
        let (context, application) = (&self.context, &self.application);
        if let Err(error) = Box::pin(queue_what_is_owed(context, application, &mut self.thought_of)).await {
            tracing::warn!(application = %application.spec.name, error = %chain(&error), "cannot look at the tags");
            return Next::Retry;
        }
        let runs = context.journal.snapshot().runs(&application.spec.name);
        let Some(run) = runs.into_iter().find(|run| run.phase == Phase::Queued) else { return Next::Idle };
        let Ok(_place) = context.builds.clone().acquire_owned().await else { return Next::Idle };
        if application.stop.is_cancelled() {
            // While we waited for a place the application became another's: so did the run.
            return Next::Idle;
        }
        // On the heap while it runs: who waits for a tag keeps none of it.
        match Box::pin(deliver(context, application, run)).await {
            Ok(_) => Next::Now,
            Err(_) if application.stop.is_cancelled() => Next::Idle,
            Err(error) => {
                tracing::error!(application = %application.spec.name, error = %chain(&error), "cannot keep what became of a run");
                Next::Retry
            }
        }
    }
}

/// A tag becomes a run: what the refs ask for beyond what was thought of before is queued, in one transaction with the
/// note that it was thought of.
async fn queue_what_is_owed(
    context: &Context,
    application: &Application,
    thought_of: &mut Option<Arc<RefSnapshot>>,
) -> Result<(), DeliverError> {
    let (Some(source), Some(repository)) = (&application.spec.source, &application.source) else { return Ok(()) };
    let Some(refs) = repository.refs().borrow().clone() else { return Ok(()) };
    if thought_of.as_ref().is_some_and(|before| before.tags == refs.tags) {
        return Ok(());
    }
    let name = application.spec.name.clone();
    let address = repository.address().to_owned();
    let seen =
        context.journal.ask(move |history| history.tags_seen(&name)).await?.filter(|seen| seen.repository == address);
    let rules = TagRules::new(&source.build_tags, &source.push_tags, source.first_sight)?;
    let seen = seen.map(|seen| seen.tags);
    let asked = refs.clone();
    let decision = repository
        .work(move |mirror| {
            Ok(trigger::owed(&rules, &asked.tags, seen.as_ref(), |tag| mirror.time_of(&asked.tags.get(tag)?.object)))
        })
        .await;
    let decision = decision.map_err(|source| DeliverError::Git { doing: "look at the tags", source })?;
    for tag in &decision.without_commit {
        tracing::warn!(application = %application.spec.name, tag, "the tag points at no commit and triggers nothing");
    }
    let mut facts = Vec::new();
    for owed in decision.owed {
        let run = new_run(context, application, owed, Timestamp::now());
        facts.push(Fact::happened(&run.application, &run.cause, Event::RunQueued { run: run.id }));
        facts.push(Fact::Run(Box::new(run)));
    }
    facts.push(Fact::TagsSeen {
        application: application.spec.name.clone(),
        repository: repository.address().to_owned(),
        tags: decision.seen,
    });
    context.journal.record(facts).await?;
    *thought_of = Some(refs);
    Ok(())
}

/// The story of one run, straight down.
async fn deliver(
    context: &Arc<Context>,
    application: &Arc<Application>,
    run: RunStatus,
) -> Result<RunStatus, DeliverError> {
    let cancel = application.stop.child_token();
    application.running(Some((run.id, cancel.clone())));
    let mut course = Course::begin(&context.journal, run, cancel).await?;
    let result = steps(context, application, &mut course).await;
    application.running(None);
    if application.stop.is_cancelled() {
        // Where the agent ends the run stays as it is, and is taken up at the next start.
        if !context.stop.is_cancelled() {
            hand_over(context, &course.run).await?;
        }
        return Err(DeliverError::Cancelled);
    }
    course.end(result).await
}

/// The configuration made the application another in the middle of a run: its next worker takes the run up.
async fn hand_over(context: &Context, run: &RunStatus) -> Result<(), DeliverError> {
    let (name, now) = (&run.application, Timestamp::now());
    if !context.config().application.iter().any(|spec| spec.name == *name) {
        // Nobody's work any more: it ends here, and is not taken up where the application comes back one day.
        let why = "the application left the configuration in the middle; ask for it anew where it is back".to_owned();
        let over = ended(run.clone(), Phase::Interrupted, why, now);
        return Ok(context.journal.record(vec![Fact::Run(Box::new(over))]).await?);
    }
    let successor = RunStatus { id: context.journal.next_run(), ..again(run, now) };
    let cut_off = interrupted(run, successor.id, "the configuration changed", now);
    context.journal.record(vec![Fact::Run(Box::new(cut_off)), Fact::Run(Box::new(successor))]).await?;
    // A worker that looked before looks again; one that is yet to begin looks anyway.
    if let Some(application) = context.application(name) {
        application.wake_delivery();
    }
    Ok(())
}

async fn steps(
    context: &Arc<Context>,
    application: &Arc<Application>,
    course: &mut Course,
) -> Result<String, DeliverError> {
    let patience = context.config().agent.patience.0;
    let checkout = course.stage(StageKind::Checkout, patience, stages::Checkout { application }).await?;
    let built = course.stage(StageKind::Build, patience, stages::Build { context, application, checkout }).await?;
    if course.run.goal == RunGoal::Build {
        return Ok(format!("built {}", built.tagged()));
    }
    let pushed = course.stage(StageKind::Push, patience, stages::Push { context, application, built }).await?;
    let promoted =
        course.stage(StageKind::Promote, patience, promotion::Promote { application, pushed: pushed.clone() }).await?;
    Ok(match promoted {
        Some(commit) => format!("pushed {}, promoted by {}", pushed.tagged(), commit.short()),
        None => format!("pushed {}", pushed.tagged()),
    })
}

/// A run that a person asks for.
pub async fn ask(
    context: &Context,
    application: &Application,
    goal: RunGoal,
    request: &DeliverRequest,
    cause: Cause,
) -> Result<RunStatus, DeliverError> {
    let name = &application.spec.name;
    let Some(repository) = &application.source else {
        return Err(DeliverError::NoSuch(format!(
            "application {name} is only deployed: it has no [application.source] to build from"
        )));
    };
    let refs = repository.refs().borrow().clone();
    let reference = request.reference.clone();
    let no_such = || {
        DeliverError::NoSuch(format!(
            "the code repository of {name} has no tag, branch or commit {}",
            request.reference.as_deref().unwrap_or("HEAD")
        ))
    };
    let (reference, commit) = repository
        .work(move |mirror| {
            let default = refs.as_ref().and_then(|refs| refs.default_branch.clone());
            let Some(text) = reference else {
                return Ok((
                    default.clone().unwrap_or_else(|| "HEAD".to_owned()),
                    mirror.resolve(&Target::Default, default.as_deref())?,
                ));
            };
            let commit = match (
                refs.as_ref().map(|refs| (refs.tags.get(&text), refs.branches.get(&text))),
                text.parse::<CommitId>(),
            ) {
                (Some((Some(tag), _)), _) if tag.commit.is_some() => {
                    mirror.resolve(&Target::Tag(text.clone()), None)?
                }
                (Some((_, Some(_))), _) => mirror.resolve(&Target::Branch(text.clone()), None)?,
                (_, Ok(commit)) => mirror.resolve(&Target::Commit(commit), None)?,
                (_, Err(_)) => return Err(GitError::NotFound { url: mirror.remote().url.to_string(), what: text }),
            };
            Ok((text, commit))
        })
        .await
        .map_err(|error| {
            if error.kind() == GitErrorKind::NotFound {
                no_such()
            } else {
                DeliverError::Git { doing: "find what to build", source: error }
            }
        })?;
    let mut run = queued(context, application, goal, reference, commit, cause, Timestamp::now());
    if request.rebuild {
        run.message = REBUILD.to_owned();
    }
    Ok(run)
}

//! The last stages of a run: the manifests of each environment in git name the images, as one commit on its branch.
//!
//! Decided on the branch as it is now and pushed only if it still is there; where somebody was faster, decided anew. The
//! branch's own log says what was promoted before ([`log`]), so that neither a lost nor an older history rolls
//! production back, and so that a commit whose push outlived its run is found.
//!
//! A push that was begun is waited for, whoever cancels the run or changes the configuration meanwhile: what was done
//! is recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use quarterdeck_shared::application::{EnvironmentId, EnvironmentSpec, PromoteBy};
use quarterdeck_shared::artifact::{Artifact, Image};
use quarterdeck_shared::event::{Cause, Event};
use quarterdeck_shared::snapshot::RunStatus;

use super::DeliverError;
use super::deploy_branch::{self, DeployBranch, RACES, Ready, author, formerly};
use super::execution::{Execution, Outcome, Step};
use super::signature;
use super::stages::{self, git};
use crate::context::{Application, Codebase, Context, Destination};
use crate::journal::fact::Fact;
use quarterdeck_core::promote::Promoted;
use quarterdeck_core::promote::log::{self, Asked, Promotion, Trailers, Verdict};
use quarterdeck_core::queue;
use quarterdeck_core::trigger::{self, TagRules, TriggerKind};
use quarterdeck_git::mirror::Mirror;
use quarterdeck_git::{Author, CommitId, PushOutcome, RefSnapshot};

/// Runs of the history that are asked for what they promoted: as many as it keeps by default, four times over.
const RUNS_ASKED: usize = 200;

/// What the stage came to, for the end of the run's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Promotes {
    /// There was nothing to write.
    Nothing,
    /// This commit names the image.
    By(CommitId),
    /// It was promoted before, and is not again.
    Before(CommitId),
    /// A newer tag was promoted.
    Overtaken(String, CommitId),
}

impl fmt::Display for Promotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::By(commit) => write!(f, ", promoted by {}", commit.short()),
            Self::Before(commit) => write!(f, ", promoted before by {}", commit.short()),
            Self::Overtaken(tag, commit) => write!(f, ", not promoted: {tag} was, by {}", commit.short()),
        }
    }
}

/// The manifests of an environment name the images.
pub(super) struct Promote<'a> {
    pub(super) context: &'a Context,
    pub(super) application: &'a Application,
    pub(super) code: &'a Codebase,
    pub(super) to: &'a Destination,
    pub(super) pushed: &'a Artifact,
}

impl Step<Promotes> for Promote<'_> {
    const MINDS_CANCEL: bool = true;

    async fn attempt(&mut self, execution: &mut Execution<'_>) -> Result<Outcome<Promotes>, DeliverError> {
        let Destination { spec, repository } = self.to;
        if spec.promote.by == PromoteBy::None {
            return Ok(Outcome::Skipped(Promotes::Nothing, "promotion is off: promote.by is none".to_owned()));
        }
        let cancel = execution.cancel.clone();
        // Asked once there is something to write, and once: a digest's signature does not go.
        let mut signed: Option<String> = None;
        for _ in 0..RACES {
            let decided = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(DeliverError::Cancelled),
                decided = self.decide(&execution.run) => decided?,
            };
            let ready = match decided {
                Decided::Push(ready) => ready,
                Decided::Already(commit, is_own) => {
                    let message = format!("the manifests name {} already", self.written());
                    return self.found(execution, commit, is_own, message).await;
                }
                Decided::Found(commit) => {
                    let message = "the manifests name another image since this run promoted its own".to_owned();
                    return self.found(execution, Some(commit), true, message).await;
                }
                Decided::Skip(promotes) => return Ok(self.skipped(promotes, &execution.run.reference)),
            };
            if signed.is_none() {
                let required = self.signed();
                signed = tokio::select! {
                    biased;
                    () = cancel.cancelled() => return Err(DeliverError::Cancelled),
                    signed = required => signed?,
                };
            }
            let Ready { branch, base, commit, absent } = ready.clone();
            let pushed = repository.work(move |mirror| mirror.push(&branch, &base, &commit)).await;
            match pushed.map_err(git("push the commit"))? {
                PushOutcome::Pushed => {
                    repository.wake();
                    self.record(execution, &ready.commit).await?;
                    let not_there = if absent.is_empty() {
                        String::new()
                    } else {
                        format!("; the manifests do not name {}", absent.join(", "))
                    };
                    let by = signed.map_or_else(String::new, |by| format!("; {by}"));
                    let message = format!("{} names {}{by}{not_there}", self.to.commit(&ready.commit), self.written());
                    return Ok(Outcome::Done(Promotes::By(ready.commit), message));
                }
                PushOutcome::Raced { .. } => execution
                    .say(&format!("the branch of {} changed in the meantime; deciding again", self.to.describe())),
            }
        }
        Err(DeliverError::Raced { branch: self.to.branch().unwrap_or("(default)").to_owned(), tries: RACES })
    }
}

impl Promote<'_> {
    /// By which of the keys that the environment requires the images are signed, for people.
    async fn signed(&self) -> Result<Option<String>, DeliverError> {
        let mut named: Vec<(&str, &str)> = Vec::new();
        for image in &self.pushed.images {
            named.push((&image.name, image.digest.as_deref().unwrap_or_default()));
        }
        signature::require(self.context, &self.to.spec.promote.require_signature, &named).await
    }

    /// What to do on the branch as it is now; the commit is made already where one is needed.
    async fn decide(&self, run: &RunStatus) -> Result<Decided, DeliverError> {
        let EnvironmentSpec { name, promote, .. } = &self.to.spec;
        let id = EnvironmentId::new(&self.application.spec.name, name);
        let asked = self.asked(run).await?;
        let promoted = |image: &Image| Promoted {
            image: image.name.clone(),
            tag: self.pushed.tag.clone(),
            digest: image.digest.clone().unwrap_or_default(),
            by: promote.by,
        };
        let images = self.pushed.images.iter().map(promoted).collect();
        let wanted = Wanted {
            deploy: DeployBranch::new(self.context, id, self.to, images),
            author: author(&promote.author),
            message: asked.what.below(&self.message(&promote.message), run.id),
            asked,
        };
        let decided = self.to.repository.work(move |mirror| Ok(decide_once(mirror, &wanted)));
        decided.await.map_err(git("promote"))?
    }

    /// What is to be promoted, and what is known of other promotions.
    async fn asked(&self, run: &RunStatus) -> Result<Asked, DeliverError> {
        let (name, environment) = (self.application.spec.name.clone(), &self.to.spec.name);
        let runs = self.context.journal.ask(move |history| history.runs(Some(&name), None, RUNS_ASKED)).await?;
        // Of tags that came together the newest is to run, in whichever order they were seen.
        let in_turn = runs.iter().filter(|other| !queue::are_together(run, other, &runs));
        let known: BTreeSet<CommitId> = in_turn.filter_map(|run| run.promoted.get(environment).cloned()).collect();
        let Artifact { application, images, tag, .. } = self.pushed;
        let version = |image: &Image| format!("{tag}@{}", image.digest.as_deref().unwrap_or_default());
        let what = Trailers {
            application: application.clone(),
            environment: environment.clone(),
            images: images.iter().map(|image| (image.name.clone(), version(image))).collect(),
            path: self.to.spec.promoted_place(),
            reference: run.reference.clone(),
            source: run.commit.clone(),
        };
        let by_person = matches!(run.cause, Cause::Person { .. });
        let newer = if by_person { BTreeMap::new() } else { self.newer(&run.reference).await? };
        let formerly = formerly(&self.to.spec);
        Ok(Asked { what, formerly, first: run.place(), run: run.id, by_person, newer, known })
    }

    /// The push tags that are newer than this one, with their commits.
    async fn newer(&self, than: &str) -> Result<BTreeMap<String, CommitId>, DeliverError> {
        let repository = &self.code.repository;
        let rules = stages::rules(&self.code.spec.code)?;
        let Some(refs) = repository.refs().borrow().clone() else { return Ok(BTreeMap::new()) };
        let than = than.to_owned();
        let newer = repository.work(move |mirror| Ok(newer(mirror, &rules, &refs, &than))).await;
        newer.map_err(git("look at the tags"))
    }

    /// The promotion was made before: where a commit of this very run is found, it is recorded.
    async fn found(
        &self,
        execution: &mut Execution<'_>,
        commit: Option<CommitId>,
        is_own: bool,
        message: String,
    ) -> Result<Outcome<Promotes>, DeliverError> {
        let Some(commit) = commit else { return Ok(Outcome::Skipped(Promotes::Nothing, message)) };
        let message = format!("{message}, by {}", self.to.commit(&commit));
        if is_own && !execution.run.promoted.contains_key(&self.to.spec.name) {
            self.record(execution, &commit).await?;
        } else {
            execution.run.promoted.insert(self.to.spec.name.clone(), commit.clone());
        }
        Ok(Outcome::Skipped(Promotes::By(commit), message))
    }

    fn skipped(&self, promotes: Promotes, reference: &str) -> Outcome<Promotes> {
        let why = match &promotes {
            Promotes::Before(commit) => {
                format!("{} was promoted before by {}", self.pushed.tagged(), self.to.commit(commit))
            }
            Promotes::Overtaken(tag, commit) => {
                format!("{tag} is newer and was promoted by {}", self.to.commit(commit))
            }
            Promotes::Nothing | Promotes::By(_) => String::new(),
        };
        let name = &self.application.spec.name;
        let message = format!("{why}; to promote it again: qd push {name} {reference}");
        Outcome::Skipped(promotes, message)
    }

    /// Keeps that the images were promoted, with the run.
    async fn record(&self, execution: &mut Execution<'_>, commit: &CommitId) -> Result<(), DeliverError> {
        let id = EnvironmentId::new(&self.application.spec.name, &self.to.spec.name);
        execution.run.promoted.insert(id.environment.clone(), commit.clone());
        let source = self.to.spec.promoted_source().map(|source| source.name.clone());
        let event = Event::ImagePromoted { images: self.images(), commit: commit.clone(), source };
        execution.record(vec![Fact::happened(&id, &execution.run.cause, event)]).await
    }

    /// What the manifests name.
    fn images(&self) -> Vec<String> {
        let Artifact { images, tag, .. } = self.pushed;
        let name = |image: &Image| match self.to.spec.promote.by {
            PromoteBy::Tag => image.tagged(tag),
            PromoteBy::Digest => format!("{}@{}", image.name, image.digest.as_deref().unwrap_or_default()),
            PromoteBy::TagAndDigest | PromoteBy::None => image.pinned(tag),
        };
        images.iter().map(name).collect()
    }

    fn written(&self) -> String {
        self.images().join(", ")
    }

    fn message(&self, template: &str) -> String {
        let Artifact { application, commit, tag, .. } = self.pushed;
        let fill = [
            ("{application}", application.as_str()),
            ("{environment}", self.to.spec.name.as_str()),
            ("{images}", &self.pushed.pinned().join("\n")),
            ("{tag}", tag),
            ("{commit}", commit.as_str()),
        ];
        deploy_branch::message(template, &fill)
    }
}

/// The push tags of these refs that are newer than one; all of them where that one is gone.
fn newer(mirror: &Mirror, rules: &TagRules, refs: &RefSnapshot, than: &str) -> BTreeMap<String, CommitId> {
    let place = |tag: &str| {
        let time = refs.tags.get(tag).and_then(|at| mirror.time_of(&at.object));
        trigger::order(time, TriggerKind::Push, tag)
    };
    let own = refs.tags.contains_key(than).then(|| place(than));
    let is_newer = |tag: &str| {
        let is_push = tag != than && rules.kind_of(tag) == Some(TriggerKind::Push);
        is_push && own.as_ref().is_none_or(|own| place(tag) > *own)
    };
    let newer = refs.tags.iter().filter(|(tag, _)| is_newer(tag));
    newer.filter_map(|(tag, at)| Some((tag.clone(), at.commit.clone()?))).collect()
}

/// What one look at the branch came to.
enum Decided {
    /// The manifests name the images already; by which commit, and whether that is one of this run.
    Already(Option<CommitId>, bool),
    /// This run promoted it before it was cut off, and the manifests name another image since.
    Found(CommitId),
    /// It is not to be promoted.
    Skip(Promotes),
    /// This commit is to be pushed.
    Push(Ready),
}

/// What is to be decided.
struct Wanted {
    deploy: DeployBranch,
    author: Author,
    message: String,
    asked: Asked,
}

/// One look at the branch as it is now: reads, asks the log, edits and commits, all but the push.
fn decide_once(mirror: &Mirror, wanted: &Wanted) -> Result<Decided, DeliverError> {
    let Wanted { deploy, author, message, asked } = wanted;
    let tip = deploy.at_tip(mirror)?;
    let promotions = tip.log(mirror, Promotion::read)?;
    if tip.is_so_already() {
        let (commit, is_own) = log::written_by(asked, &promotions).unzip();
        return Ok(Decided::Already(commit, is_own.unwrap_or(false)));
    }
    match log::judge(asked, &promotions) {
        Verdict::New => {}
        Verdict::Own(commit) => return Ok(Decided::Found(commit)),
        Verdict::Before(commit) => return Ok(Decided::Skip(Promotes::Before(commit))),
        Verdict::Overtaken { by, commit } => return Ok(Decided::Skip(Promotes::Overtaken(by, commit))),
    }
    tip.commit(mirror, author, message).map(Decided::Push)
}

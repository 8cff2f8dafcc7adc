//! The last stage of a run: the manifests in git name the image, as one commit on the deploy branch.
//!
//! Decided on the branch as it is now and pushed only if it still is there; where somebody was faster, decided anew. The
//! branch's own log says what was promoted before ([`log`]), so that neither a lost nor an older history rolls
//! production back, and so that a commit whose push outlived its run is found.
//!
//! A push that was begun is waited for, whoever cancels the run or changes the configuration meanwhile: what was done
//! is recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use quarterdeck_shared::application::{Destination, PromoteBy, RenderKind};
use quarterdeck_shared::artifact::Artifact;
use quarterdeck_shared::event::{Cause, Event};
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::StageKind;

use super::DeliverError;
use super::course::{Course, Outcome, Step};
use super::stages::git;
use crate::context::{Application, Context, Deploy};
use crate::journal::fact::Fact;
use crate::source::git::Mirror;
use crate::source::{Author, CommitId, EntryMode, PushOutcome, RefSnapshot, Target, TreeEntry};
use quarterdeck_core::promote::log::{self, Asked, Promotion, Trailers, Verdict};
use quarterdeck_core::promote::{self, Promoted};
use quarterdeck_core::trigger::{self, TagRules, TriggerKind};

/// The largest manifest that a promotion looks into.
const MANIFEST_MAX: u64 = 10 << 20;

/// Promotions that lost a race are decided anew this often: a branch that moves faster is a robot's.
const RACES: u32 = 10;

/// Commits of the deploy branch that are searched for earlier promotions, newest first: half a year of a branch with a
/// hundred commits a day, read in well under a second. What lies further back counts as not promoted.
const COMMITS_SEARCHED: usize = 20_000;

/// Promotions that are compared at the most: the tags that anybody still remembers.
const PROMOTIONS_SEARCHED: usize = 500;

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

/// The manifests in git name the image.
pub(super) struct Promote<'a> {
    pub(super) context: &'a Context,
    pub(super) application: &'a Application,
    pub(super) pushed: Artifact,
}

impl Step<Promotes> for Promote<'_> {
    const MINDS_CANCEL: bool = true;

    async fn attempt(&mut self, course: &mut Course<'_>) -> Result<Outcome<Promotes>, DeliverError> {
        let nothing = |why: &str| Ok(Outcome::Skipped(Promotes::Nothing, why.to_owned()));
        let (Some(destination), Some(deploy)) = (&self.application.spec.deploy, &self.application.deploy) else {
            return nothing("nothing is deployed: there is no [application.deploy]");
        };
        if self.application.spec.promote.by == PromoteBy::None {
            return nothing("promotion is off: promote.by is none");
        }
        let cancel = course.cancel.clone();
        for _ in 0..RACES {
            let decided = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(DeliverError::Cancelled),
                decided = self.decide(destination, deploy, &course.run) => decided?,
            };
            let ready = match decided {
                Decided::Push(ready) => ready,
                Decided::Already(commit, is_own) => {
                    let message = format!("the manifests name {} already", self.written());
                    return self.found(course, commit, is_own, message).await;
                }
                Decided::Found(commit) => {
                    let message = "the manifests name another image since this run promoted its own".to_owned();
                    return self.found(course, Some(commit), true, message).await;
                }
                Decided::Skip(promotes) => return Ok(self.skipped(promotes, &course.run.reference)),
            };
            let Ready { branch, base, commit } = ready.clone();
            let pushed = deploy.repository.work(move |mirror| mirror.push(&branch, &base, &commit)).await;
            match pushed.map_err(git("push the commit"))? {
                PushOutcome::Pushed => {
                    deploy.repository.wake();
                    self.record(course, &ready.commit).await?;
                    let message = format!("{} names {}", ready.commit.short(), self.written());
                    return Ok(Outcome::Done(Promotes::By(ready.commit), message));
                }
                PushOutcome::Raced { .. } => {
                    course.say(StageKind::Promote, "somebody else pushed to the deploy branch meanwhile; deciding anew")
                }
            }
        }
        Err(DeliverError::Raced {
            branch: destination.branch.clone().unwrap_or_else(|| "(default)".to_owned()),
            tries: RACES,
        })
    }
}

impl Promote<'_> {
    /// What to do on the branch as it is now; the commit is made already where one is needed.
    async fn decide(
        &self,
        destination: &Destination,
        deploy: &Deploy,
        run: &RunStatus,
    ) -> Result<Decided, DeliverError> {
        let asked = self.asked(destination, run).await?;
        let policy = &self.application.spec.promote;
        let wanted = Wanted {
            path: destination.path.clone(),
            branch: destination.branch.clone(),
            plain: destination.render == RenderKind::Plain,
            image: Promoted {
                image: self.pushed.image.clone(),
                tag: self.pushed.tag.clone(),
                digest: self.pushed.digest.clone().unwrap_or_default(),
                by: policy.by,
            },
            author: author(&policy.author),
            message: asked.what.below(&self.message(&policy.message), run.id),
            asked,
        };
        deploy.repository.work(move |mirror| Ok(decide_once(mirror, &wanted))).await.map_err(git("promote"))?
    }

    /// What is to be promoted, and what is known of other promotions.
    async fn asked(&self, destination: &Destination, run: &RunStatus) -> Result<Asked, DeliverError> {
        let name = self.application.spec.name.clone();
        let runs = self.context.journal.ask(move |history| history.runs(Some(&name), RUNS_ASKED)).await?;
        let known: BTreeSet<CommitId> = runs.into_iter().filter_map(|run| run.promoted).collect();
        let Artifact { application, image, tag, digest, .. } = &self.pushed;
        let path = destination.path.trim_matches('/');
        let what = Trailers {
            application: application.clone(),
            image: image.clone(),
            version: format!("{tag}@{}", digest.as_deref().unwrap_or_default()),
            path: if path.is_empty() { ".".to_owned() } else { path.to_owned() },
            reference: run.reference.clone(),
            source: run.commit.clone(),
        };
        let by_person = matches!(run.cause, Cause::Person { .. });
        let newer = if by_person { BTreeMap::new() } else { self.newer(&run.reference).await? };
        Ok(Asked { what, runs: run.place()..=run.id, by_person, newer, known })
    }

    /// The push tags that are newer than this one, with their commits.
    async fn newer(&self, than: &str) -> Result<BTreeMap<String, CommitId>, DeliverError> {
        let (Some(code), Some(repository)) = (&self.application.spec.code, &self.application.code) else {
            return Ok(BTreeMap::new());
        };
        let rules = TagRules::new(&code.build_tags, &code.push_tags, code.existing_tags)?;
        let Some(refs) = repository.refs().borrow().clone() else { return Ok(BTreeMap::new()) };
        let than = than.to_owned();
        let newer = repository.work(move |mirror| Ok(newer(mirror, &rules, &refs, &than))).await;
        newer.map_err(git("look at the tags"))
    }

    /// The promotion was made before: where a commit of this very run is found, it is recorded.
    async fn found(
        &self,
        course: &mut Course<'_>,
        commit: Option<CommitId>,
        is_own: bool,
        message: String,
    ) -> Result<Outcome<Promotes>, DeliverError> {
        let Some(commit) = commit else { return Ok(Outcome::Skipped(Promotes::Nothing, message)) };
        let message = format!("{message}, by {}", commit.short());
        if is_own && course.run.promoted.is_none() {
            self.record(course, &commit).await?;
        } else {
            course.run.promoted = Some(commit.clone());
        }
        Ok(Outcome::Skipped(Promotes::By(commit), message))
    }

    fn skipped(&self, promotes: Promotes, reference: &str) -> Outcome<Promotes> {
        let why = match &promotes {
            Promotes::Before(commit) => format!("{} was promoted before by {}", self.pushed.tagged(), commit.short()),
            Promotes::Overtaken(tag, commit) => format!("{tag} is newer and was promoted by {}", commit.short()),
            Promotes::Nothing | Promotes::By(_) => String::new(),
        };
        let name = &self.application.spec.name;
        let message = format!("{why}; to promote it again: qd push {name} {reference}");
        Outcome::Skipped(promotes, message)
    }

    /// Keeps that the image was promoted, with the run.
    async fn record(&self, course: &mut Course<'_>, commit: &CommitId) -> Result<(), DeliverError> {
        course.run.promoted = Some(commit.clone());
        let event = Event::ImagePromoted { image: self.written(), commit: commit.clone() };
        course.record(vec![Fact::happened(&self.application.spec.name, &course.run.cause, event)]).await
    }

    /// What the manifests name.
    fn written(&self) -> String {
        match self.application.spec.promote.by {
            PromoteBy::Tag => self.pushed.tagged(),
            PromoteBy::Digest => {
                format!("{}@{}", self.pushed.image, self.pushed.digest.as_deref().unwrap_or_default())
            }
            PromoteBy::TagAndDigest | PromoteBy::None => self.pushed.pinned(),
        }
    }

    fn message(&self, template: &str) -> String {
        let Artifact { application, commit, image, tag, digest, .. } = &self.pushed;
        let fill = [
            ("{application}", application.to_string()),
            ("{image}", image.clone()),
            ("{tag}", tag.clone()),
            ("{digest}", digest.clone().unwrap_or_default()),
            ("{commit}", commit.to_string()),
        ];
        fill.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
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

/// `Name <mail>`; the configuration was checked for it.
fn author(text: &str) -> Author {
    let (name, email) = text.split_once('<').unwrap_or((text, ""));
    Author { name: name.trim().to_owned(), email: email.trim_end_matches('>').trim().to_owned() }
}

/// What one look at the branch came to.
enum Decided {
    /// The manifests name the image already; by which commit, and whether that is one of this run.
    Already(Option<CommitId>, bool),
    /// This run promoted it before it was cut off, and the manifests name another image since.
    Found(CommitId),
    /// It is not to be promoted.
    Skip(Promotes),
    /// This commit is to be pushed.
    Push(Ready),
}

/// A commit that is made and not pushed.
#[derive(Clone)]
struct Ready {
    branch: String,
    base: CommitId,
    commit: CommitId,
}

/// What a commit is made of.
struct Wanted {
    path: String,
    branch: Option<String>,
    plain: bool,
    image: Promoted,
    author: Author,
    message: String,
    asked: Asked,
}

/// Whether a promotion looks into a file. Rendered plainly, a kustomization means nothing.
fn is_manifest(path: &str, plain: bool) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_kustomization = matches!(name, "kustomization.yaml" | "kustomization.yml" | "Kustomization");
    if is_kustomization { !plain } else { [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending)) }
}

/// One look at the branch as it is now: reads, asks the log, edits and commits, all but the push.
fn decide_once(mirror: &Mirror, wanted: &Wanted) -> Result<Decided, DeliverError> {
    let Wanted { path, branch, plain, image, author, message, asked } = wanted;
    let refs = mirror.list_refs().map_err(git("ask where the deploy branch is"))?;
    mirror.fetch(&refs).map_err(git("fetch the deploy branch"))?;
    let branch = branch.clone().or_else(|| refs.default_branch.clone()).unwrap_or_else(|| "main".to_owned());
    let base = mirror.resolve(&Target::Branch(branch.clone()), None).map_err(git("find the deploy branch"))?;
    let listing = mirror.entries(&base, path).map_err(git("read the manifests"))?;
    let is_file = |entry: &&TreeEntry| matches!(entry.mode, EntryMode::File | EntryMode::Executable);
    let mut files = Vec::new();
    for entry in listing.entries.iter().filter(is_file).filter(|entry| is_manifest(&entry.path, *plain)) {
        files.push((entry.path.clone(), mirror.blob(&entry.id, MANIFEST_MAX).map_err(git("read a manifest"))?));
    }
    let mut edits = promote::promote(path, &files, image)?;
    if !path.is_empty() {
        edits.iter_mut().for_each(|edit| edit.path = format!("{}/{}", path.trim_end_matches('/'), edit.path));
    }
    let promotions = mirror
        .search(&base, COMMITS_SEARCHED, PROMOTIONS_SEARCHED, Promotion::read)
        .map_err(git("read the log of the deploy branch"))?;
    if edits.is_empty() {
        let (commit, is_own) = log::written_by(asked, &promotions).unzip();
        return Ok(Decided::Already(commit, is_own.unwrap_or(false)));
    }
    match log::judge(asked, &promotions) {
        Verdict::New => {}
        Verdict::Own(commit) => return Ok(Decided::Found(commit)),
        Verdict::Before(commit) => return Ok(Decided::Skip(Promotes::Before(commit))),
        Verdict::Overtaken { by, commit } => return Ok(Decided::Skip(Promotes::Overtaken(by, commit))),
    }
    let commit =
        mirror.commit_edits(&base, &edits, author, message, Timestamp::now()).map_err(git("write the commit"))?;
    Ok(Decided::Push(Ready { branch, base, commit }))
}

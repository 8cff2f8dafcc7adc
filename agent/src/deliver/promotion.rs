//! The last stage of a run: the manifests in git name the image, as one commit on the deploy branch.
//!
//! Decided on the branch as it is now and pushed only if it still is there; where somebody was faster, decided anew.

use jiff::Timestamp;
use quarterdeck_shared::application::{PromoteBy, RenderKind};
use quarterdeck_shared::artifact::Artifact;
use quarterdeck_shared::event::Event;
use quarterdeck_shared::status::StageKind;

use super::DeliverError;
use super::course::{Course, Outcome, Step};
use super::stages::git;
use crate::context::Application;
use crate::journal::fact::Fact;
use crate::promote::{self, Promoted};
use crate::source::git::Mirror;
use crate::source::{Author, CommitId, EntryMode, PushOutcome};

/// The largest manifest that a promotion looks into.
const MANIFEST_MAX: u64 = 10 << 20;

/// Promotions that lost a race are decided anew this often: a branch that moves faster is a robot's.
const RACES: u32 = 10;

/// The manifests in git name the image.
pub(super) struct Promote<'a> {
    pub(super) application: &'a Application,
    pub(super) pushed: Artifact,
}

impl Step<Option<CommitId>> for Promote<'_> {
    async fn attempt(&mut self, course: &mut Course) -> Result<Outcome<Option<CommitId>>, DeliverError> {
        let (Some(destination), Some(deploy)) = (&self.application.spec.deploy, &self.application.deploy) else {
            return Ok(Outcome::Skipped(None, "nothing is deployed: there is no [application.deploy]".to_owned()));
        };
        let policy = &self.application.spec.promote;
        if policy.by == PromoteBy::None {
            return Ok(Outcome::Skipped(None, "promotion is off: promote.by is none".to_owned()));
        }
        let image = Promoted {
            image: self.pushed.image.clone(),
            tag: self.pushed.tag.clone(),
            digest: self.pushed.digest.clone().unwrap_or_default(),
            by: policy.by,
        };
        let written = match policy.by {
            PromoteBy::Tag => self.pushed.tagged(),
            PromoteBy::Digest => format!("{}@{}", image.image, image.digest),
            PromoteBy::TagAndDigest | PromoteBy::None => self.pushed.pinned(),
        };
        let message = self.message(&policy.message);
        let author = author(&policy.author);
        let (path, branch, plain) =
            (destination.path.clone(), destination.branch.clone(), destination.render == RenderKind::Plain);
        for _ in 0..RACES {
            let (image, message, author, path, branch) =
                (image.clone(), message.clone(), author.clone(), path.clone(), branch.clone());
            let tried = deploy
                .repository
                .work(move |mirror| {
                    Ok(promote_once(mirror, &path, plain, branch.as_deref(), &image, &author, &message))
                })
                .await
                .map_err(git("promote"))??;
            match tried {
                Try::Already => return Ok(Outcome::Skipped(None, format!("the manifests name {written} already"))),
                Try::Pushed(commit) => {
                    deploy.repository.wake();
                    course.run.promoted = Some(commit.clone());
                    let event = Event::ImagePromoted { image: written.clone(), commit: commit.clone() };
                    course.record(vec![Fact::happened(&self.application.spec.name, &course.run.cause, event)]).await?;
                    let message = format!("{} names {written}", commit.short());
                    return Ok(Outcome::Done(Some(commit), message));
                }
                Try::Raced => {
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

/// `Name <mail>`; the configuration was checked for it.
fn author(text: &str) -> Author {
    let (name, email) = text.split_once('<').unwrap_or((text, ""));
    Author { name: name.trim().to_owned(), email: email.trim_end_matches('>').trim().to_owned() }
}

enum Try {
    Already,
    Pushed(CommitId),
    Raced,
}

/// Whether a promotion looks into a file. Rendered plainly, a kustomization means nothing.
fn is_manifest(path: &str, plain: bool) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_kustomization = matches!(name, "kustomization.yaml" | "kustomization.yml" | "Kustomization");
    if is_kustomization { !plain } else { [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending)) }
}

/// One try, on the branch as it is now: reads, edits, commits and pushes if nobody was faster.
fn promote_once(
    mirror: &Mirror,
    path: &str,
    plain: bool,
    branch: Option<&str>,
    image: &Promoted,
    author: &Author,
    message: &str,
) -> Result<Try, DeliverError> {
    let refs = mirror.list_refs().map_err(git("ask where the deploy branch is"))?;
    mirror.fetch(&refs).map_err(git("fetch the deploy branch"))?;
    let branch = branch.map(str::to_owned).or_else(|| refs.default_branch.clone()).unwrap_or_else(|| "main".to_owned());
    let base =
        mirror.resolve(&crate::source::Target::Branch(branch.clone()), None).map_err(git("find the deploy branch"))?;
    let listing = mirror.entries(&base, path).map_err(git("read the manifests"))?;
    let is_file = |entry: &&crate::source::TreeEntry| matches!(entry.mode, EntryMode::File | EntryMode::Executable);
    let mut files = Vec::new();
    for entry in listing.entries.iter().filter(is_file).filter(|entry| is_manifest(&entry.path, plain)) {
        files.push((entry.path.clone(), mirror.blob(&entry.id, MANIFEST_MAX).map_err(git("read a manifest"))?));
    }
    let mut edits = promote::promote(path, &files, image)?;
    if !path.is_empty() {
        edits.iter_mut().for_each(|edit| edit.path = format!("{}/{}", path.trim_end_matches('/'), edit.path));
    }
    if edits.is_empty() {
        return Ok(Try::Already);
    }
    let commit =
        mirror.commit_edits(&base, &edits, author, message, Timestamp::now()).map_err(git("write the commit"))?;
    match mirror.push(&branch, &base, &commit).map_err(git("push the commit"))? {
        PushOutcome::Pushed => Ok(Try::Pushed(commit)),
        PushOutcome::Raced { .. } => Ok(Try::Raced),
    }
}

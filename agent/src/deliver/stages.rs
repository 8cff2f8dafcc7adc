//! The stages of a run. Each first looks whether what it should bring about is already so.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use quarterdeck_shared::application::{BuildArg, BuildSpec};
use quarterdeck_shared::artifact::Artifact;
use quarterdeck_shared::event::Event;
use quarterdeck_shared::status::StageKind;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::DeliverError;
use super::course::{Course, Outcome, Step};
use crate::build::base::base_images;
use crate::build::context::{ContextEntry, EntryKind, ReadError, TreeReader};
use crate::build::{ArgValue, BuildError, BuildRequest, Builder, Progress, Sink};
use crate::context::{Application, Context};
use crate::poll::Repository;
use crate::source::git::Mirror;
use crate::source::{CommitId, CommitInfo, EntryMode, GitError, ObjectId};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::trigger::{self, TagRules, TagTemplate};

/// Progress that waits to be told; an engine whose output nobody reads has to wait.
const PROGRESS_QUEUE: usize = 256;

/// The longest Dockerfile whose base images get logins; those that people write have a hundredth of it.
const DOCKERFILE_MAX: u64 = 1 << 20;

/// The largest file that a build context may hold; larger ones belong into a registry or a volume.
const BLOB_MAX: u64 = 512 << 20;

pub(super) fn git(doing: &'static str) -> impl FnOnce(GitError) -> DeliverError {
    move |source| DeliverError::Git { doing, source }
}

/// The commit's tree is at hand.
pub(super) struct Checkout<'a> {
    pub(super) application: &'a Application,
}

impl Step<CommitInfo> for Checkout<'_> {
    async fn attempt(&mut self, course: &mut Course<'_>) -> Result<Outcome<CommitInfo>, DeliverError> {
        let commit = course.run.commit.clone();
        let info = repository(self.application)?
            .work(move |mirror| mirror.commit_info(&commit))
            .await
            .map_err(git("read the commit"))?;
        course.run.subject.clone_from(&info.subject);
        let message = format!("{} {}", info.id.short(), info.subject);
        Ok(Outcome::Done(info, message))
    }
}

fn repository(application: &Application) -> Result<&Arc<Repository>, DeliverError> {
    application
        .code
        .as_ref()
        .ok_or_else(|| DeliverError::NoSuch("the application has no code repository any more".to_owned()))
}

fn build_spec(application: &Application) -> Result<&BuildSpec, DeliverError> {
    application
        .spec
        .build
        .as_ref()
        .ok_or_else(|| DeliverError::NoSuch("the application has no [application.build] any more".to_owned()))
}

/// The image of the commit is on the engine, or already in the registry.
pub(super) struct Build<'a> {
    pub(super) context: &'a Context,
    pub(super) application: &'a Application,
    pub(super) checkout: CommitInfo,
}

impl Step<Artifact> for Build<'_> {
    async fn attempt(&mut self, course: &mut Course<'_>) -> Result<Outcome<Artifact>, DeliverError> {
        let spec = build_spec(self.application)?;
        let image = ImageRef::parse(&spec.image)?;
        let tag = self.image_tag(&course.run.reference, spec)?;
        let name = image.with_tag(&tag)?;
        let artifact = |image_id: String| Artifact {
            application: self.application.spec.name.clone(),
            commit: self.checkout.id.clone(),
            image: spec.image.clone(),
            tag: tag.clone(),
            image_id,
            digest: None,
            built: Timestamp::now(),
            pushed: None,
        };
        let labels = labels(self.application, &self.checkout.id, &digest_of(spec));
        let rebuild = course.run.rebuild;
        let images = self.context.images();
        let engine = &images.engine;
        if !rebuild {
            if let Some(pushed) = self.already_pushed(&name).await? {
                course.run.artifact = Some(pushed.clone());
                return Ok(Outcome::Skipped(pushed, format!("{name} of this commit is in the registry already")));
            }
            if let Some(found) = engine.find(&labels).await? {
                let artifact = artifact(found.id.clone());
                engine.tag(&found.id, &name).await?;
                course.keep(&artifact, Event::ImageBuilt { artifact: artifact.clone() }).await?;
                return Ok(Outcome::Skipped(
                    artifact,
                    format!("the image of this commit was built before: {}", short(&found.id)),
                ));
            }
        }
        let mut request = self.request(spec, name, labels, &tag, rebuild)?;
        let (logins, problems) = images.logins(&self.bases(spec, &request).await?).await;
        problems.iter().for_each(|problem| course.say(StageKind::Build, problem));
        request.logins = logins;
        let cancel = course.cancel.clone();
        let (sink, progress) = mpsc::channel(PROGRESS_QUEUE);
        let built = tell_while(course, StageKind::Build, progress, engine.build(request, sink, &cancel)).await?;
        let artifact = artifact(built.id.clone());
        course.keep(&artifact, Event::ImageBuilt { artifact: artifact.clone() }).await?;
        let message = format!("{} {}, {:.1} MB", artifact.tagged(), short(&built.id), built.size_bytes as f64 / 1e6);
        Ok(Outcome::Done(artifact, message))
    }
}

impl Build<'_> {
    /// The tag of the image. Where another trigger tag gives the same one for another commit, the commit tells them apart.
    fn image_tag(&self, reference: &str, spec: &BuildSpec) -> Result<String, DeliverError> {
        let Some(code) = &self.application.spec.code else {
            return Err(DeliverError::NoSuch("the application has no code any more".to_owned()));
        };
        let rules = TagRules::new(&code.build_tags, &code.push_tags, code.existing_tags)?;
        let template = TagTemplate::parse(&spec.tag)?;
        let refs = repository(self.application)?.refs().borrow().clone();
        let now = refs.map(|refs| refs.tags.clone()).unwrap_or_default();
        Ok(trigger::image_tag(&rules, &template, reference, &self.checkout.id, &now))
    }

    /// An artifact of this commit under this name that the registry still has.
    async fn already_pushed(&self, name: &ImageRef) -> Result<Option<Artifact>, DeliverError> {
        let (application, commit) = (self.application.spec.name.clone(), self.checkout.id.clone());
        let Some(artifact) = self.context.journal.ask(move |history| history.artifact(&application, &commit)).await?
        else {
            return Ok(None);
        };
        let same = artifact.digest.is_some()
            && is_image_of(&artifact, self.application)
            && name.tag() == Some(artifact.tag.as_str());
        if !same {
            return Ok(None);
        }
        let images = self.context.images();
        let found = images.registries.digest(name, images.login(name).await?.as_ref()).await?;
        Ok(if found == artifact.digest { Some(artifact) } else { None })
    }

    /// The images that the Dockerfile builds on. One that is missing or too long is told by the build itself.
    async fn bases(&self, spec: &BuildSpec, request: &BuildRequest) -> Result<Vec<ImageRef>, DeliverError> {
        let (commit, path) = (self.checkout.id.clone(), format!("{}/{}", spec.context, spec.dockerfile));
        let read = repository(self.application)?.work(move |mirror| mirror.file(&commit, &path, DOCKERFILE_MAX)).await;
        let text = read.ok().flatten().unwrap_or_default();
        Ok(base_images(&String::from_utf8_lossy(&text), &request.args))
    }

    fn request(
        &self,
        spec: &BuildSpec,
        name: ImageRef,
        mut labels: BTreeMap<String, String>,
        tag: &str,
        no_cache: bool,
    ) -> Result<BuildRequest, DeliverError> {
        let repository = repository(self.application)?;
        labels.insert("org.opencontainers.image.source".to_owned(), repository.address().to_owned());
        labels.insert("org.opencontainers.image.version".to_owned(), tag.to_owned());
        // The commit's time, as SOURCE_DATE_EPOCH means it: building a commit twice gives one image.
        labels.insert("org.opencontainers.image.created".to_owned(), self.checkout.time.to_string());
        Ok(BuildRequest {
            context: Arc::new(CommitTree {
                mirror: repository.mirror(),
                commit: self.checkout.id.clone(),
                folder: spec.context.clone(),
            }),
            modified: u64::try_from(self.checkout.time.as_second()).unwrap_or_default(),
            dockerfile: spec.dockerfile.clone(),
            target: spec.target.clone(),
            args: spec
                .args
                .iter()
                .map(|(name, arg)| Ok((name.clone(), argument(name, arg)?)))
                .collect::<Result<_, DeliverError>>()?,
            labels,
            tags: vec![name],
            no_cache,
            logins: BTreeMap::new(),
        })
    }
}

/// Of everything that makes the image another one, apart from the commit.
fn digest_of(spec: &BuildSpec) -> String {
    let BuildSpec { image: _, context, dockerfile, target, args, tag: _ } = spec;
    let text = serde_json::json!([context, dockerfile, target, args]).to_string();
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn argument(name: &str, arg: &BuildArg) -> Result<ArgValue, DeliverError> {
    let cannot = |place: String, why: String| DeliverError::Argument { name: name.to_owned(), place, why };
    match arg {
        BuildArg::Plain(value) => Ok(ArgValue::Plain(value.clone())),
        BuildArg::Environment { env } => {
            let value = std::env::var(env)
                .map_err(|error| cannot(format!("the environment variable {env}"), error.to_string()))?;
            Ok(ArgValue::Secret(SecretString::from(value)))
        }
        BuildArg::File { file } => {
            let value =
                std::fs::read_to_string(file).map_err(|error| cannot(format!("the file {file}"), error.to_string()))?;
            Ok(ArgValue::Secret(SecretString::from(value.trim_end_matches('\n').to_owned())))
        }
    }
}

fn short(id: &str) -> &str {
    id.get(..19).unwrap_or(id)
}

/// Waits for the engine, telling its progress meanwhile.
async fn tell_while<T>(
    course: &mut Course<'_>,
    kind: StageKind,
    mut progress: mpsc::Receiver<Progress>,
    work: impl Future<Output = Result<T, BuildError>>,
) -> Result<T, DeliverError> {
    let mut work = std::pin::pin!(work);
    let result = loop {
        tokio::select! {
            biased;
            Some(step) = progress.recv() => tell(course, kind, step),
            result = work.as_mut() => break result,
        }
    };
    while let Ok(step) = progress.try_recv() {
        tell(course, kind, step);
    }
    Ok(result?)
}

fn tell(course: &mut Course<'_>, kind: StageKind, step: Progress) {
    match step {
        Progress::Line(line) => {
            course.say(kind, &line);
            course.progress(kind, None, Some(&line));
        }
        Progress::Percent(percent) => course.progress(kind, Some(percent), None),
    }
}

/// A folder of a commit as a build context.
struct CommitTree {
    mirror: Arc<Mirror>,
    commit: CommitId,
    folder: String,
}

impl TreeReader for CommitTree {
    fn entries(&self) -> Result<Vec<ContextEntry>, ReadError> {
        let listing = self.mirror.entries(&self.commit, &self.folder)?;
        let entry = |entry: crate::source::TreeEntry| ContextEntry {
            path: entry.path,
            kind: match entry.mode {
                EntryMode::File => EntryKind::File,
                EntryMode::Executable => EntryKind::Executable,
                EntryMode::Symlink => EntryKind::Symlink,
                EntryMode::Submodule => EntryKind::Submodule,
            },
            id: entry.id.to_string(),
        };
        let unnameable = |path| ContextEntry { path, kind: EntryKind::Unnameable, id: String::new() };
        Ok(listing.entries.into_iter().map(entry).chain(listing.unnameable.into_iter().map(unnameable)).collect())
    }

    fn blob(&self, id: &str) -> Result<Vec<u8>, ReadError> {
        let id: ObjectId = id.parse()?;
        Ok(self.mirror.blob(&id, BLOB_MAX)?)
    }
}

/// The image is in the registry, and the registry said under which digest.
pub(super) struct Push<'a> {
    pub(super) context: &'a Context,
    pub(super) application: &'a Application,
    pub(super) built: Artifact,
}

impl Step<Artifact> for Push<'_> {
    async fn attempt(&mut self, course: &mut Course<'_>) -> Result<Outcome<Artifact>, DeliverError> {
        let name = ImageRef::parse(&build_spec(self.application)?.image)?.with_tag(&self.built.tag)?;
        if self.built.digest.is_some() {
            // The build stage asked the registry just now.
            return Ok(Outcome::Skipped(
                self.built.clone(),
                format!("{} is in the registry already", self.built.pinned()),
            ));
        }
        let images = self.context.images();
        let engine = &images.engine;
        engine.tag(&self.built.image_id, &name).await?;
        let login = images.login(&name).await?;
        // Who may push but not look is not told what went; the push is none the worse.
        let before = images.registries.digest(&name, login.as_ref()).await.ok().flatten();
        let cancel = course.cancel.clone();
        let (sink, progress): (Sink, _) = mpsc::channel(PROGRESS_QUEUE);
        let pushed =
            tell_while(course, StageKind::Push, progress, engine.push(&name, login.as_ref(), sink, &cancel)).await?;
        let digest = images.registries.confirm(&name, &pushed.0, login.as_ref()).await?;
        let artifact = Artifact { digest: Some(digest), pushed: Some(Timestamp::now()), ..self.built.clone() };
        course.keep(&artifact, Event::ImagePushed { artifact: artifact.clone() }).await?;
        let message = match before.filter(|before| artifact.digest.as_ref() != Some(before)) {
            None => artifact.pinned(),
            Some(before) => format!("{}; until now {} was {before}", artifact.pinned(), artifact.tag),
        };
        Ok(Outcome::Done(artifact, message))
    }
}

/// What an image is known by on the engine, so that one that was built before is found even where the history was lost.
fn labels(application: &Application, commit: &CommitId, spec_digest: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("dev.quarterdeck.application".to_owned(), application.spec.name.to_string()),
        ("dev.quarterdeck.build".to_owned(), spec_digest.to_owned()),
        ("org.opencontainers.image.revision".to_owned(), commit.to_string()),
    ])
}

/// Whether an artifact is the image that a run is to push.
fn is_image_of(artifact: &Artifact, application: &Application) -> bool {
    application.spec.build.as_ref().is_some_and(|build| build.image == artifact.image)
}

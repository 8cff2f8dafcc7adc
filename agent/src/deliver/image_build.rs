//! The second stage of a run: every image of the commit is on the engine, or already in the registry.
//!
//! The run has one place among the builds. Its images are built one after the other in that place, and beside each other
//! as far as more places are free: a run that waited for a second place while it holds the first could wait for ever.

mod before;
mod request;

pub use request::{APPLICATION_LABEL, REVISION_LABEL};

use std::collections::BTreeMap;

use futures::StreamExt as _;
use futures::stream;
use jiff::Timestamp;
use quarterdeck_shared::application::ImageSpec;
use quarterdeck_shared::artifact::{Artifact, Image};
use quarterdeck_shared::event::Event;
use quarterdeck_shared::snapshot::RunGoal;
use tokio::sync::mpsc;

use self::request::{labels, request};
use super::DeliverError;
use super::execution::{Execution, Outcome, Step};
use super::stages::{PROGRESS_QUEUE, rules, tell_while};
use super::values::{ssh_agent, withheld};
use crate::context::{Application, Codebase, Context};
use quarterdeck_container::engine::{BuildError, BuildRequest, Builder, BuiltImage, Progress};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::trigger::{self, TagTemplate};
use quarterdeck_git::CommitInfo;
use tokio_util::sync::CancellationToken;

/// A commit of an application: what its images are made of.
#[derive(Clone)]
pub(super) struct Commit<'a> {
    pub(super) context: &'a Context,
    pub(super) application: &'a Application,
    pub(super) code: &'a Codebase,
    pub(super) checkout: CommitInfo,
    /// Anyone may have written it: it gets no secrets, and shares nothing with what is built of the repository's own code.
    pub(super) is_of_fork: bool,
}

/// The images of the commit are on the engine, or already in the registry.
pub(super) struct Build<'a> {
    pub(super) commit: Commit<'a>,
}

/// An image of the commit on the engine.
struct Made {
    id: String,
    /// Bytes, where it was built now.
    size: Option<u64>,
}

impl Commit<'_> {
    /// What the engine is asked for, with the logins for what the image is built on.
    pub(super) async fn ready(
        &self,
        execution: &mut Execution<'_>,
        spec: &ImageSpec,
        name: &ImageRef,
        tag: &str,
    ) -> Result<BuildRequest, DeliverError> {
        let mut request = request(self, spec, name, tag)?;
        request.no_cache = execution.run.rebuild;
        if self.is_of_fork {
            execution.say(&withheld("secret build arguments are", spec.args.iter()));
            execution.say(&withheld("build secrets are", spec.secrets.iter()));
            execution.say(if !spec.ssh.is_off() { "the ssh agent is withheld from code of a fork" } else { "" });
            return Ok(request);
        }
        let mut pulled = request::bases(&self.code.repository, &self.checkout.id, spec, &request).await;
        pulled.extend(request.cache_from.iter().chain(&request.cache_to).cloned());
        let (logins, problems) = self.context.images().logins(&pulled).await;
        problems.iter().for_each(|problem| execution.say(problem));
        request.logins = logins;
        request.ssh = ssh_agent(&spec.ssh, self.context.scratch()).await?;
        Ok(request)
    }
}

impl Step<Artifact> for Build<'_> {
    async fn attempt(&mut self, execution: &mut Execution<'_>) -> Result<Outcome<Artifact>, DeliverError> {
        let specs = &self.commit.code.spec.images;
        let tag = match &execution.run {
            run if run.goal == RunGoal::Preview => trigger::preview_tag(&run.reference, &self.commit.checkout.id),
            run => self.image_tag(&run.reference)?,
        };
        let tag = if self.commit.is_of_fork { format!("fork-{tag}") } else { tag };
        let names: Vec<ImageRef> =
            specs.iter().map(|spec| ImageRef::parse(&spec.name)?.with_tag(&tag)).collect::<Result<_, _>>()?;
        if !execution.run.rebuild
            && let Some(pushed) = self.already_pushed(&names).await?
        {
            let message = format!("{} of this commit is in the registry already", pushed.tagged());
            execution.run.artifact = Some(pushed.clone());
            return Ok(Outcome::Skipped(pushed, message));
        }
        let mut made: BTreeMap<usize, Made> = BTreeMap::new();
        let mut requests = Vec::new();
        for (place, (spec, name)) in specs.iter().zip(&names).enumerate() {
            match self.found(execution, spec, name).await? {
                Some(id) => drop(made.insert(place, Made { id, size: None })),
                None => requests.push((place, self.commit.ready(execution, spec, name, &tag).await?)),
            }
        }
        let is_new = !requests.is_empty();
        let pushes = execution.run.goal != RunGoal::Build;
        let pushed = if pushes { self.pushed(&names, &made).await? } else { BTreeMap::new() };
        if pushes {
            let is_built = |place: usize| !made.contains_key(&place);
            let is_pushed = |place: usize| pushed.contains_key(&place);
            before::check_projects(&self.commit, &names, is_built, is_pushed, execution).await?;
        }
        for (place, built) in self.build(execution, requests).await? {
            made.insert(place, Made { id: built.id, size: Some(built.size_bytes) });
        }
        let images = specs.iter().zip(&made);
        let images = images.map(|(spec, (place, made))| Image {
            name: spec.name.clone(),
            id: made.id.clone(),
            digest: pushed.get(place).cloned(),
        });
        let artifact = Artifact {
            application: self.commit.application.spec.name.clone(),
            commit: self.commit.checkout.id.clone(),
            tag,
            images: images.collect(),
            built: Timestamp::now(),
            pushed: None,
            // Of an image that is another one now it says nothing: what was tested is known with the image's id.
            tested: self.known().await?.map(|known| known.tested).unwrap_or_default(),
        };
        execution.keep(&artifact, Some(Event::ImageBuilt { artifact: artifact.clone() })).await?;
        let message = summary(&artifact, &made);
        Ok(if is_new { Outcome::Done(artifact, message) } else { Outcome::Skipped(artifact, message) })
    }
}

impl Build<'_> {
    /// The tag of the images. Where another trigger tag gives the same one for another commit, the commit tells them apart.
    fn image_tag(&self, reference: &str) -> Result<String, DeliverError> {
        let code = &self.commit.code.spec.code;
        let template = TagTemplate::parse(&code.image_tag)?;
        let refs = self.commit.code.repository.refs().borrow().clone();
        let now = refs.map(|refs| refs.tags.clone()).unwrap_or_default();
        Ok(trigger::image_tag(&rules(code)?, &template, reference, &self.commit.checkout.id, &now))
    }

    /// The artifact of this commit that the history has.
    async fn known(&self) -> Result<Option<Artifact>, DeliverError> {
        if self.commit.is_of_fork {
            return Ok(None);
        }
        let (application, commit) = (self.commit.application.spec.name.clone(), self.commit.checkout.id.clone());
        Ok(self.commit.context.journal.ask(move |history| history.artifact(&application, &commit)).await?)
    }

    /// An artifact of this commit under these names that the registries still have, whole.
    async fn already_pushed(&self, names: &[ImageRef]) -> Result<Option<Artifact>, DeliverError> {
        let known = self.known().await?;
        let specs = &self.commit.code.spec.images;
        let is_these = |artifact: &Artifact| {
            artifact.pushed.is_some()
                && artifact.images.iter().map(|image| &image.name).eq(specs.iter().map(|spec| &spec.name))
                && names.iter().all(|name| name.tag() == Some(artifact.tag.as_str()))
        };
        let Some(artifact) = known.filter(is_these) else { return Ok(None) };
        let images = self.commit.context.images();
        for (name, image) in names.iter().zip(&artifact.images) {
            if images.registries.digest(name, images.login(name).await?.as_ref()).await? != image.digest {
                return Ok(None);
            }
        }
        Ok(Some(artifact))
    }

    /// The digests of those that were built before and that a run which did not end pushed, by their place: they are there, and
    /// where tags are immutable a second push would be refused.
    async fn pushed(
        &self,
        names: &[ImageRef],
        made: &BTreeMap<usize, Made>,
    ) -> Result<BTreeMap<usize, String>, DeliverError> {
        let mut pushed = BTreeMap::new();
        let Some(known) = self.known().await? else { return Ok(pushed) };
        let images = self.commit.context.images();
        for (place, made) in made {
            let name = &names[*place];
            let is_it = |image: &&Image| image.name == self.commit.code.spec.images[*place].name && image.id == made.id;
            let before = known.images.iter().find(is_it).and_then(|image| image.digest.clone());
            let Some(digest) = before.filter(|_| name.tag() == Some(known.tag.as_str())) else { continue };
            if images.registries.digest(name, images.login(name).await?.as_ref()).await? == Some(digest.clone()) {
                pushed.insert(*place, digest);
            }
        }
        Ok(pushed)
    }

    /// The image of the commit, where it was built before.
    async fn found(
        &self,
        execution: &Execution<'_>,
        spec: &ImageSpec,
        name: &ImageRef,
    ) -> Result<Option<String>, DeliverError> {
        if execution.run.rebuild {
            return Ok(None);
        }
        let images = self.commit.context.images();
        let Some(found) = images.engine.find(&labels(&self.commit, spec)).await? else {
            return Ok(None);
        };
        images.engine.tag(&found.id, name).await?;
        Ok(Some(found.id))
    }

    /// Builds what has to be built, by its place among the images.
    async fn build(
        &self,
        execution: &mut Execution<'_>,
        requests: Vec<(usize, BuildRequest)>,
    ) -> Result<Vec<(usize, BuiltImage)>, DeliverError> {
        let (images, cancel) = (self.commit.context.images(), execution.cancel.child_token());
        let more = self.commit.context.builds.more(requests.len().saturating_sub(1));
        let at_once = 1 + more.count();
        let (sink, progress) = mpsc::channel(PROGRESS_QUEUE);
        let names = requests.len() > 1;
        let engine = &*images.engine;
        let builds = requests.into_iter().map(|(place, request)| {
            let (sink, cancel) = (sink.clone(), cancel.clone());
            async move { (place, one(engine, request, names, sink, &cancel).await) }
        });
        // Made before it is waited for: what is not begun when one fails is never begun.
        let builds: Vec<_> = builds.collect();
        drop(sink);
        tell_while(execution, progress, all(builds, at_once, &cancel)).await
    }
}

/// Waits for all of them; the first that fails stops the others.
async fn all(
    builds: Vec<impl Future<Output = (usize, Result<BuiltImage, BuildError>)>>,
    at_once: usize,
    cancel: &CancellationToken,
) -> Result<Vec<(usize, BuiltImage)>, BuildError> {
    let (mut done, mut failed) = (Vec::new(), None);
    let mut builds = stream::iter(builds).buffer_unordered(at_once);
    while let Some((place, result)) = builds.next().await {
        match result {
            Ok(built) => done.push((place, built)),
            Err(error) => {
                cancel.cancel();
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(done), Err)
}

/// Builds one image; where there are several, each line of output begins with its name.
async fn one(
    engine: &dyn Builder,
    request: BuildRequest,
    names: bool,
    told: mpsc::Sender<Progress>,
    cancel: &CancellationToken,
) -> Result<BuiltImage, BuildError> {
    if !names {
        return engine.build(request, told, cancel).await;
    }
    let name = request.tags.first().map(|name| short_name(name.repository()).to_owned()).unwrap_or_default();
    let (sink, mut progress) = mpsc::channel(PROGRESS_QUEUE);
    let forward = async {
        while let Some(step) = progress.recv().await {
            // The share of one says nothing of all.
            if let Progress::Line(line) = step
                && told.send(Progress::Line(format!("{name}: {line}"))).await.is_err()
            {
                return;
            }
        }
    };
    futures::join!(engine.build(request, sink, cancel), forward).0
}

/// `shop` of `registry.example/ops/shop`.
fn short_name(repository: &str) -> &str {
    repository.rsplit('/').next().unwrap_or(repository)
}

/// What came out, in a line.
fn summary(artifact: &Artifact, made: &BTreeMap<usize, Made>) -> String {
    let one = |(image, made): (&Image, &Made)| {
        let id = made.id.get(..19).unwrap_or(&made.id);
        let size = made.size.map_or(", built before".to_owned(), |size| format!(", {:.1} MB", size as f64 / 1e6));
        format!("{} {id}{size}", image.tagged(&artifact.tag))
    };
    artifact.images.iter().zip(made.values()).map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str) -> BuiltImage {
        BuiltImage { id: name.to_owned(), size_bytes: 1, names: Vec::new() }
    }

    #[tokio::test]
    async fn the_first_that_fails_stops_the_others_and_is_the_one_that_is_told() {
        let cancel = CancellationToken::new();
        let build = |place: usize| {
            let cancel = cancel.clone();
            async move {
                if place == 1 {
                    return (place, Err(BuildError::NoEngine { tried: vec!["here".to_owned()] }));
                }
                cancel.cancelled().await;
                (place, Err(BuildError::Cancelled { doing: "building".to_owned() }))
            }
        };
        let result = all((0..3).map(build).collect(), 3, &cancel).await;
        assert!(matches!(result, Err(BuildError::NoEngine { .. })), "{result:?}");
    }

    #[tokio::test]
    async fn what_is_built_keeps_its_place_in_any_order() {
        let build = |place: usize| async move {
            for _ in 0..3 - place {
                tokio::task::yield_now().await;
            }
            (place, Ok(image(&place.to_string())))
        };
        for at_once in 1..=3 {
            let mut done = all((0..3).map(build).collect(), at_once, &CancellationToken::new()).await.unwrap();
            done.sort_by_key(|(place, _)| *place);
            assert_eq!(done, (0..3).map(|place| (place, image(&place.to_string()))).collect::<Vec<_>>());
        }
    }

    #[test]
    fn images_are_named_short() {
        assert_eq!(["registry.example/ops/shop", "shop"].map(short_name), ["shop", "shop"]);
    }
}

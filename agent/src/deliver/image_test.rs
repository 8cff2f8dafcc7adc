//! The third stage of a run, where there are tests: each image that was built passes its own, or nothing is pushed.
//!
//! What is tested is what is pushed: a command runs in a container of the image by its id. A test that this image passed is
//! kept with the artifact, by a digest of what was run on which image, and is not run again: by the push of what was
//! built, or by the run that takes up one that was cut off.

mod request;
mod verdict;

use quarterdeck_container::engine::docker::OWNER_LABEL;
use quarterdeck_container::engine::{BuildError, Sink};
use quarterdeck_shared::application::{ImageSpec, TestCommand, TestRun, TestSpec};
use quarterdeck_shared::artifact::{Artifact, Image};
use quarterdeck_shared::snapshot::TestResult;
use quarterdeck_shared::status::Phase;
use tokio::sync::mpsc;

use super::DeliverError;
use super::execution::{Execution, Outcome, Step};
use super::image_build::Commit;
use super::stages::{PROGRESS_QUEUE, tell_while};
use super::values::withheld;
use quarterdeck_container::engine::testing::TestError;
use quarterdeck_core::image_ref::ImageRef;

/// The images pass their tests.
pub(super) struct Test<'a> {
    pub(super) commit: Commit<'a>,
    pub(super) built: Artifact,
}

impl Step<Artifact> for Test<'_> {
    // What it made on the engine is taken away before it ends.
    const MINDS_CANCEL: bool = true;

    /// One test after the other; the first that fails ends the run, for what comes later costs more.
    async fn attempt(&mut self, execution: &mut Execution<'_>) -> Result<Outcome<Artifact>, DeliverError> {
        if self.built.pushed.is_some() {
            let message = "the images were pushed before, and are not tested again".to_owned();
            return Ok(Outcome::Skipped(self.built.clone(), message));
        }
        let mut is_new = false;
        for test in &self.commit.code.spec.tests {
            let (spec, image) = self.tested(test)?;
            let digest = request::digest(test, spec, &image.id);
            if self.built.tested.get(&test.name) == Some(&digest) {
                keep(execution, verdict::passed_before(&test.name));
                continue;
            }
            is_new = true;
            let result = match &test.run {
                TestRun::Target(target) => self.build_target(execution, test, spec, target).await?,
                TestRun::Command(command) => self.run_command(execution, test, command, image).await?,
            };
            keep(execution, result.clone());
            if result.phase == Phase::Failed {
                return Err(DeliverError::TestFailed { test: result.name, message: result.message });
            }
            self.built.tested.insert(test.name.clone(), digest);
            execution.keep(&self.built, None).await?;
        }
        let told = execution.run.tests.iter().map(|test| format!("{}: {}", test.name, test.message));
        let message = told.collect::<Vec<_>>().join("; ");
        let built = self.built.clone();
        Ok(if is_new { Outcome::Done(built, message) } else { Outcome::Skipped(built, message) })
    }
}

/// Keeps what a test came to. One that passed in an earlier try of this run keeps its words.
fn keep(execution: &mut Execution<'_>, result: TestResult) {
    let tests = &mut execution.run.tests;
    match tests.iter_mut().find(|test| test.name == result.name) {
        Some(before) if result.phase == Phase::Skipped && before.phase == Phase::Succeeded => {}
        Some(before) => *before = result,
        None => tests.push(result),
    }
}

impl Test<'_> {
    /// The image that a test is of: how it was built, and what came out.
    fn tested(&self, test: &TestSpec) -> Result<(&ImageSpec, &Image), DeliverError> {
        let specs = self.commit.code.spec.images.iter();
        let found = specs.zip(&self.built.images).find(|(spec, _)| spec.name == test.image);
        // The configuration was checked for it.
        found.ok_or_else(|| DeliverError::NoSuch(format!("test {} is of an image that was not built", test.name)))
    }

    /// Whose what the tests make is, on the engine: of this application, and of the agent that works in this folder of this
    /// host. That outlives the loss of all that is in the folder.
    fn owner(&self) -> String {
        let context = self.commit.context;
        let (host, folder) = (&context.identity.host, context.data_dir.display());
        format!("{host}:{folder}/{}", self.commit.application.spec.name)
    }

    /// A stage of the Dockerfile is the test: it is built like the image, and nothing of it is kept.
    async fn build_target(
        &self,
        execution: &mut Execution<'_>,
        test: &TestSpec,
        spec: &ImageSpec,
        target: &str,
    ) -> Result<TestResult, DeliverError> {
        execution.say(&format!("test {}: stage {target} of {}", test.name, spec.dockerfile));
        let (owner, name) = (self.owner(), ImageRef::parse(&spec.name)?);
        let mut request = self.commit.ready(execution, spec, &name, &self.built.tag).await?;
        request.target = Some(target.to_owned());
        request.labels = [(OWNER_LABEL.to_owned(), owner.clone())].into();
        request.tags = Vec::new();
        // That of the image has all stages.
        request.cache_to = None;
        let (images, cancel) = (self.commit.context.images(), execution.cancel.clone());
        let (sink, progress): (Sink, _) = mpsc::channel(PROGRESS_QUEUE);
        let building = tell_while(execution, progress, images.engine.build(request, sink, &cancel));
        let result = tokio::time::timeout(test.timeout, building).await;
        if let Err(error) = images.engine.clear_tests(&owner).await {
            tracing::debug!(%error, "the image of a test is not removed");
        }
        match result {
            Err(_) => {
                let (test, timeout, doing) =
                    (test.name.to_string(), test.timeout, format!("stage {target} was being built"));
                Err(TestError::TimedOut { test, timeout, doing }.into())
            }
            Ok(Err(DeliverError::Build(error @ BuildError::Build { .. }))) if !error.is_transient() => {
                Ok(verdict::of_target(&test.name, target, Some(&error)))
            }
            Ok(result) => result.map(|_| verdict::of_target(&test.name, target, None)),
        }
    }

    /// A command in a container of the image is the test.
    async fn run_command(
        &self,
        execution: &mut Execution<'_>,
        test: &TestSpec,
        command: &TestCommand,
        image: &Image,
    ) -> Result<TestResult, DeliverError> {
        execution.say(&format!("test {}: {}", test.name, command.command.join(" ")));
        let images = self.commit.context.images();
        let mut request = request::request(test, command, image, self.owner(), &execution.run)?;
        if self.commit.is_of_fork {
            let all = command.env.iter().chain(command.services.iter().flat_map(|service| &service.env));
            execution.say(&withheld("secret variables are", all));
        }
        let bases: Vec<ImageRef> = request.services.iter().map(|(_, service)| service.image.clone()).collect();
        let (logins, problems) = images.logins(&bases).await;
        problems.iter().for_each(|problem| execution.say(problem));
        request.logins = logins;
        let (sink, progress): (Sink, _) = mpsc::channel(PROGRESS_QUEUE);
        let cancel = execution.cancel.clone();
        let outcome = tell_while(execution, progress, images.engine.test(&request, sink, &cancel)).await?;
        let (result, lines) = verdict::of_command(&test.name, &outcome, command.limits);
        lines.iter().for_each(|line| execution.say(line));
        Ok(result)
    }
}

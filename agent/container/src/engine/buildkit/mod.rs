//! A BuildKit daemon elsewhere, through the program `buildctl`.
//!
//! ```text
//! BuildRequest --> folder.rs (the context) --> arguments.rs --> buildctl.rs (the program, its output through status.rs)
//!     '--> store.rs (what came out, kept here) --layout.rs--> push.rs (to a registry), archive.rs (to an engine, to be tested)
//! ```
//!
//! The daemon builds and keeps its cache; what came out is sent here as an OCI layout, so that it can be pushed under any name
//! and tested. A daemon runs no containers: a test that runs a command does so on the container engine, as everywhere.

mod arguments;
mod buildctl;
mod error;
mod folder;
mod status;

mod layout;
mod store;

mod archive;
mod push;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

pub use arguments::Daemon;
pub use buildctl::Workers;
pub use error::BuildkitError;

use self::store::Store;
use super::docker::{DockerEngine, Limits};
use super::testing::{TestError, TestOutcome, TestRequest};
use super::{BuildError, BuildRequest, Builder, BuiltImage, EngineInfo, LabelledImage, PushedDigest, Removal, Sink};
use crate::registry::credentials::Login;
use crate::registry::oci::Registries;
use quarterdeck_core::failpoint;
use quarterdeck_core::image_ref::ImageRef;

/// A daemon that builds, and what is beside it.
pub struct BuildkitEngine {
    /// The daemon.
    pub daemon: Daemon,
    /// Where `buildctl` is, as in `PATH`.
    pub search_path: OsString,
    /// Where the images are kept.
    pub images: PathBuf,
    /// Where builds work. On the same disk as the images: what was built is moved there.
    pub scratch: PathBuf,
    /// Runs tests.
    pub containers: DockerEngine,
    /// Where images are pushed.
    pub registries: Arc<Registries>,
    /// How long silence may last.
    pub limits: Limits,
}

impl BuildkitEngine {
    /// The daemon's workers.
    ///
    /// # Errors
    /// Where `buildctl` is not installed, or the daemon does not answer.
    pub async fn workers(&self) -> Result<Workers, BuildError> {
        Ok(buildctl::workers(&self.search_path, &self.daemon).await?)
    }

    fn store(&self) -> Store {
        Store::new(self.images.clone())
    }

    async fn described(&self) -> Result<EngineInfo, BuildError> {
        let workers = self.workers().await?;
        Ok(EngineInfo {
            name: "BuildKit".to_owned(),
            version: workers.version,
            // Its interface has no versions of its own.
            api: String::new(),
            builder: "BuildKit".to_owned(),
            platform: workers.platforms.join(", "),
            address: format!("{} (from [engine.buildkit])", self.daemon.address),
        })
    }

    /// What was built here, and what engines have beside it: what they built before there was a daemon, and what they were
    /// given to test. An engine that is not there has nothing that could be listed.
    async fn all_labelled(&self, label: &str) -> Result<Vec<LabelledImage>, BuildError> {
        let mut images = self.store().all().await?;
        images.retain(|image| image.labels.contains_key(label));
        match self.containers.labelled(label).await {
            Ok(more) => images.extend(more.into_iter().map(archive::without_our_name)),
            Err(error) => tracing::debug!(%error, "the images of the container engine are not listed"),
        }
        Ok(images)
    }
}

impl Builder for BuildkitEngine {
    fn info(&self) -> BoxFuture<'_, Result<EngineInfo, BuildError>> {
        self.described().boxed()
    }

    fn find<'a>(
        &'a self,
        labels: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<Option<BuiltImage>, BuildError>> {
        async move {
            let mut images = self.store().all().await?;
            images.retain(|image| !image.names.is_empty());
            images.retain(|image| labels.iter().all(|(key, value)| image.labels.get(key) == Some(value)));
            images.sort_by_key(|image| (std::cmp::Reverse(image.created), image.id.clone()));
            let newest = images.into_iter().next();
            Ok(newest.map(|LabelledImage { id, size_bytes, names, .. }| BuiltImage { id, size_bytes, names }))
        }
        .boxed()
    }

    fn build<'a>(
        &'a self,
        request: BuildRequest,
        sink: Sink,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<BuiltImage, BuildError>> {
        async move {
            failpoint::reached("engine: before a build");
            let built = buildctl::build(self, request, &sink, cancel).await?;
            failpoint::reached("engine: after a build");
            Ok(built)
        }
        .boxed()
    }

    fn test<'a>(
        &'a self,
        request: &'a TestRequest,
        sink: Sink,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<TestOutcome, TestError>> {
        async move {
            let image = archive::on_engine(self, &request.container.image, &sink, cancel).await?;
            let mut request = request.clone();
            request.container.image = image;
            self.containers.test(&request, sink, cancel).await
        }
        .boxed()
    }

    fn clear_tests<'a>(&'a self, owner: &'a str) -> BoxFuture<'a, Result<(), BuildError>> {
        self.containers.clear_tests(owner)
    }

    fn tag<'a>(&'a self, image_id: &'a str, name: &'a ImageRef) -> BoxFuture<'a, Result<(), BuildError>> {
        async move {
            failpoint::reached("engine: before an image is named");
            self.store().name(image_id, name).await?;
            failpoint::reached("engine: after an image is named");
            Ok(())
        }
        .boxed()
    }

    fn labelled<'a>(&'a self, label: &'a str) -> BoxFuture<'a, Result<Vec<LabelledImage>, BuildError>> {
        self.all_labelled(label).boxed()
    }

    fn remove<'a>(&'a self, id: &'a str, names: &'a [String]) -> BoxFuture<'a, Result<Removal, BuildError>> {
        async move {
            if self.store().remove(id).await? {
                return Ok(Removal::Done);
            }
            self.containers.remove(id, names).await
        }
        .boxed()
    }

    fn push<'a>(
        &'a self,
        name: &'a ImageRef,
        login: Option<&'a Login>,
        sink: Sink,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<PushedDigest, BuildError>> {
        async move {
            failpoint::reached("engine: before a push");
            let pushed = push::push(self, name, login, &sink, cancel).await?;
            failpoint::reached("engine: after a push");
            Ok(pushed)
        }
        .boxed()
    }
}

//! Docker and Podman, through their HTTP API.
//!
//! ```text
//! discover.rs (where is it?) --> connect.rs (who is it?) --> build.rs, testing.rs, push.rs (streams, read through watch.rs)
//!                      dial.rs (a connection of our own) <--'  '--> session.rs (what BuildKit asks us for)
//! ```
//!
//! No connection is kept: the engine is looked for at each piece of work, so that one which was restarted, or installed
//! after us, is found. Requests carry build arguments in their address, as the API wants it, and the client library logs
//! addresses at its debug level: whoever sets up logging must keep the target `bollard` at `info` or above.

mod discover;

mod dial;

mod connect;
mod watch;

mod session;

mod build;
mod load;
mod local;
mod pull;
mod push;
mod testing;

use std::collections::BTreeMap;

use bollard::query_parameters::TagImageOptions;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

pub use discover::Environment;
pub use testing::OWNER_LABEL;
pub use watch::Limits;

use super::testing::{TestError, TestOutcome, TestRequest};
use super::{
    BuildError, BuildRequest, Builder, BuiltImage, EngineInfo, LabelledImage, Progress, PushedDigest, Removal, Sink,
};
use crate::registry::credentials::Login;
use connect::Connection;
use quarterdeck_core::failpoint;
use quarterdeck_core::image_ref::{DOCKER_HUB, ImageRef};

/// Which builder of the engine is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BuilderChoice {
    /// BuildKit where the engine has it and does not say that it is turned off, else the classic one.
    #[default]
    Auto,
    /// BuildKit; an error where there is none.
    Buildkit,
    /// The classic builder, which newer engines still have.
    Classic,
}

/// A Docker or Podman engine.
#[derive(Debug, Clone)]
pub struct DockerEngine {
    address: Option<String>,
    choice: BuilderChoice,
    environment: Environment,
    limits: Limits,
}

impl DockerEngine {
    /// The engine at `address`, or the one that the environment points at. Nothing is connected yet.
    pub fn new(address: Option<String>, choice: BuilderChoice, environment: Environment) -> Self {
        Self { address, choice, environment, limits: Limits::default() }
    }

    /// With other limits than the usual ones.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Whether it has an image of this name.
    ///
    /// # Errors
    /// Where the engine is away.
    pub async fn has(&self, name: &str) -> Result<bool, BuildError> {
        load::has(&self.connect().await?, name).await
    }

    /// Puts an image on it from an archive, under the names that the archive has for it.
    ///
    /// # Errors
    /// Where the engine is away, or takes no such archive.
    pub async fn load(&self, archive: std::fs::File, cancel: &CancellationToken) -> Result<(), BuildError> {
        load::load(&self.connect().await?, &self.limits, archive, cancel).await
    }

    async fn connect(&self) -> Result<Connection, BuildError> {
        connect::connect(discover::candidates(self.address.as_deref(), &self.environment)?).await
    }

    /// Who insists on BuildKit gets it also where it is turned off; Podman would build in its own way without a word.
    async fn use_buildkit(&self, connection: &Connection) -> Result<bool, BuildError> {
        match self.choice {
            BuilderChoice::Auto => Ok(connection.offers_buildkit),
            BuilderChoice::Classic => Ok(false),
            BuilderChoice::Buildkit if connection.info(true).await?.name == "Docker" => Ok(true),
            BuilderChoice::Buildkit => Err(BuildError::NoBuildkit { address: connection.candidate.host.to_string() }),
        }
    }

    async fn newest(&self, labels: &BTreeMap<String, String>) -> Result<Option<BuiltImage>, BuildError> {
        let connection = self.connect().await?;
        let wanted = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut images = local::labelled(&connection, wanted, "looking for an image by its labels").await?;
        images.retain(|image| labels.iter().all(|(key, value)| image.labels.get(key) == Some(value)));
        images.retain(|image| !image.names.is_empty());
        images.sort_by_key(|image| (std::cmp::Reverse(image.created), image.id.clone()));
        let newest = images.into_iter().next();
        Ok(newest.map(|LabelledImage { id, size_bytes, names, .. }| BuiltImage { id, size_bytes, names }))
    }
}

impl Builder for DockerEngine {
    fn info(&self) -> BoxFuture<'_, Result<EngineInfo, BuildError>> {
        async move {
            let connection = self.connect().await?;
            let buildkit = self.use_buildkit(&connection).await?;
            connection.info(buildkit).await
        }
        .boxed()
    }

    fn find<'a>(
        &'a self,
        labels: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<Option<BuiltImage>, BuildError>> {
        self.newest(labels).boxed()
    }

    fn build<'a>(
        &'a self,
        request: BuildRequest,
        sink: Sink,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<BuiltImage, BuildError>> {
        async move {
            let connection = self.connect().await?;
            let buildkit = self.use_buildkit(&connection).await?;
            if let (false, Some(what)) = (buildkit, request.of_buildkit()) {
                return Err(BuildError::NeedsBuildkit { what, address: connection.candidate.host.to_string() });
            }
            failpoint::reached("engine: before a build");
            let built = build::build(&connection, buildkit, &self.limits, request, &sink, cancel).await?;
            failpoint::reached("engine: after a build");
            Ok(built)
        }
        .boxed()
    }

    fn tag<'a>(&'a self, image_id: &'a str, name: &'a ImageRef) -> BoxFuture<'a, Result<(), BuildError>> {
        async move { name_image(&self.connect().await?, image_id, name).await }.boxed()
    }

    fn labelled<'a>(&'a self, label: &'a str) -> BoxFuture<'a, Result<Vec<LabelledImage>, BuildError>> {
        async move {
            let mut images = local::labelled(&self.connect().await?, vec![label.to_owned()], "listing images").await?;
            images.retain(|image| image.labels.contains_key(label));
            Ok(images)
        }
        .boxed()
    }

    fn remove<'a>(&'a self, id: &'a str, names: &'a [String]) -> BoxFuture<'a, Result<Removal, BuildError>> {
        async move { local::remove(&self.connect().await?, id, names).await }.boxed()
    }

    fn test<'a>(
        &'a self,
        request: &'a TestRequest,
        sink: Sink,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<TestOutcome, TestError>> {
        async move { testing::test(&self.connect().await?, &self.limits, request, &sink, cancel).await }.boxed()
    }

    fn clear_tests<'a>(&'a self, owner: &'a str) -> BoxFuture<'a, Result<(), BuildError>> {
        async move { testing::clear(&self.connect().await?, owner).await }.boxed()
    }

    fn push<'a>(
        &'a self,
        name: &'a ImageRef,
        login: Option<&'a Login>,
        sink: Sink,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<PushedDigest, BuildError>> {
        async move {
            let connection = self.connect().await?;
            failpoint::reached("engine: before a push");
            let pushed = push::push(&connection, &self.limits, name, login, &sink, cancel).await?;
            failpoint::reached("engine: after a push");
            Ok(pushed)
        }
        .boxed()
    }
}

/// Tells who listens. Nobody listening is no reason to stop.
pub(super) async fn send(sink: &Sink, progress: Progress) {
    let _ = sink.send(progress).await;
}

async fn name_image(connection: &Connection, image_id: &str, name: &ImageRef) -> Result<(), BuildError> {
    let tag = Some(name.tag().unwrap_or("latest").to_owned());
    let options = TagImageOptions { repo: Some(name.name()), tag };
    failpoint::reached("engine: before an image is named");
    let tagged = connection.docker.tag_image(image_id, Some(options)).await;
    tagged.map_err(|error| connection.failed(&format!("naming image {image_id} {name}"), error))?;
    failpoint::reached("engine: after an image is named");
    Ok(())
}

async fn inspect(connection: &Connection, image: &str) -> Result<BuiltImage, BuildError> {
    let inspected = connection.docker.inspect_image(image).await;
    let inspected = inspected.map_err(|error| connection.failed(&format!("looking at image {image}"), error))?;
    Ok(BuiltImage {
        id: inspected.id.unwrap_or_else(|| image.to_owned()),
        size_bytes: inspected.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
        names: inspected.repo_tags.unwrap_or_default(),
    })
}

/// A login as the engine's API takes it.
fn docker_login(registry: &str, login: &Login) -> bollard::auth::DockerCredentials {
    use secrecy::ExposeSecret as _;
    let mut credentials = bollard::auth::DockerCredentials {
        serveraddress: Some(server_address(registry).to_owned()),
        ..Default::default()
    };
    match login {
        Login::Password { username, password } => {
            credentials.username = Some(username.clone());
            credentials.password = Some(password.expose_secret().to_owned());
        }
        Login::IdentityToken(token) => credentials.identitytoken = Some(token.expose_secret().to_owned()),
        Login::RegistryToken(token) => credentials.registrytoken = Some(token.expose_secret().to_owned()),
    }
    credentials
}

/// What engines call a registry.
fn server_address(registry: &str) -> &str {
    if registry == DOCKER_HUB { "https://index.docker.io/v1/" } else { registry }
}

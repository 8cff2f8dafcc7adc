//! Where images are built and kept, as the configuration says: the engine, the registries, and who we are to each.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use secrecy::SecretString;

use crate::config::{BuilderKind, BuildkitConfig, Config, RegistryConfig, RegistryKind, mirrors};
use quarterdeck_container::engine::Builder;
use quarterdeck_container::engine::buildkit::{BuildkitEngine, Daemon};
use quarterdeck_container::engine::docker::{BuilderChoice, DockerEngine, Environment, Limits};
use quarterdeck_container::registry::credentials::{CredentialError, Login, Search, Sources};
use quarterdeck_container::registry::oci::{Mirrors, Registries};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_shared::error::{Hint, chain};
use quarterdeck_system::secret::{self, Place, SecretError};

/// The engine and the registries.
pub struct Images {
    /// Builds, tests and pushes.
    pub engine: Box<dyn Builder>,
    /// The container engine, which tests where a BuildKit daemon builds.
    pub containers: DockerEngine,
    /// Answer what they have.
    pub registries: Arc<Registries>,
    configured: Vec<RegistryConfig>,
}

/// A login cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The configuration names a place where no password is.
    #[error("registry {host} has no password")]
    Password {
        /// Which registry.
        host: String,
        /// Where it should be, and why not.
        source: SecretError,
    },
    /// The user's own logins cannot be read.
    #[error(transparent)]
    Found(#[from] CredentialError),
}

impl Hint for LoginError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Password { .. } => "set username and password_env or password_file in [[registry]]".into(),
            Self::Found(error) => error.hint(),
        }
    }
}

impl Images {
    /// As the configuration says; what a BuildKit daemon builds is kept in this data directory. Nothing is connected yet.
    pub fn new(config: &Config, data_dir: &Path) -> Self {
        let choice = match config.engine.builder {
            BuilderKind::Auto => BuilderChoice::Auto,
            BuilderKind::Buildkit => BuilderChoice::Buildkit,
            BuilderKind::Classic => BuilderChoice::Classic,
        };
        let limits = Limits { build_silent: config.agent.build_idle_timeout.0, ..Limits::default() };
        let containers = DockerEngine::new(config.engine.address.clone(), choice, Environment::of_this_process())
            .with_limits(limits.clone());
        let insecure =
            config.registry.iter().filter(|registry| registry.insecure).map(|registry| registry.host.clone());
        let authorities = config.registry.iter().filter_map(|one| Some((one.host.clone(), one.ca_file.clone()?)));
        let logins =
            config.registry.iter().filter_map(|one| Some((one.host.clone(), (one.username.clone()?, place(one)?))));
        let mirrors = Mirrors::new(mirrors(&config.registry), logins.collect());
        let registries = Registries::new(insecure).trusting(authorities.collect()).with_mirrors(mirrors);
        let registries = Arc::new(registries);
        let engine: Box<dyn Builder> = match &config.engine.buildkit {
            None => Box::new(containers.clone()),
            Some(daemon) => Box::new(BuildkitEngine {
                daemon: named(daemon),
                search_path: std::env::var_os("PATH").unwrap_or_default(),
                images: data_dir.join("images"),
                scratch: data_dir.join("scratch"),
                containers: containers.clone(),
                registries: registries.clone(),
                limits,
            }),
        };
        Self { engine, containers, registries, configured: config.registry.clone() }
    }

    /// Who we are to the registry of an image; nobody where no login is known. Passwords are read each time, so that a
    /// rotated one is taken up.
    pub async fn login(&self, image: &ImageRef) -> Result<Option<Login>, LoginError> {
        Ok(self.search(image).await?.0)
    }

    /// The same, with the notes of the search for people: helpers that are not installed.
    pub async fn search(&self, image: &ImageRef) -> Result<(Option<Login>, Vec<String>), LoginError> {
        let mut configured = BTreeMap::new();
        for registry in self.configured.iter().filter(|registry| registry.host == image.registry()) {
            if let (Some(username), Some(password)) = (&registry.username, password(registry)?) {
                configured.insert(registry.host.clone(), Login::Password { username: username.clone(), password });
            }
        }
        let Search { found, notes } = Sources::of_this_user(configured).find(image).await?;
        Ok((found.map(|found| found.login), notes.iter().map(|note| chain(note)).collect()))
    }

    /// Whether the configuration says that a registry is a Harbor.
    pub fn is_harbor(&self, registry: &str) -> bool {
        self.configured.iter().any(|one| one.host == registry && one.kind == Some(RegistryKind::Harbor))
    }

    /// The logins for the registries of base images, by host; and why one cannot be had, which is told and no failure: the
    /// image may be open to everybody.
    pub async fn logins(&self, bases: &[ImageRef]) -> (BTreeMap<String, Login>, Vec<String>) {
        let (mut configured, mut problems) = (BTreeMap::new(), Vec::new());
        for registry in self.configured.iter().filter(|of| bases.iter().any(|base| base.registry() == of.host)) {
            match (password(registry), &registry.username) {
                (Ok(Some(password)), Some(username)) => {
                    configured.insert(registry.host.clone(), Login::Password { username: username.clone(), password });
                }
                (Ok(_), _) => {}
                (Err(error), _) => problems.push(chain(&error)),
            }
        }
        let (logins, not_found) = Sources::of_this_user(configured).find_all(bases).await;
        problems.extend(not_found.iter().map(|error| chain(error)));
        (logins, problems)
    }
}

/// One image of each registry that something is pushed to, or whose images are followed.
pub fn one_of_each_registry(config: &Config) -> Vec<ImageRef> {
    let mut images: Vec<ImageRef> = Vec::new();
    let deliveries = config.applications.iter().filter_map(|application| application.delivery.as_ref());
    let pushed = deliveries.flat_map(|delivery| &delivery.images).map(|image| &image.name);
    let followed = config.applications.iter().flat_map(|application| &application.followed).map(|one| &one.image);
    for image in pushed.chain(followed) {
        if let Ok(image) = ImageRef::parse(image)
            && !images.iter().any(|other| other.registry() == image.registry())
        {
            images.push(image);
        }
    }
    images
}

fn named(daemon: &BuildkitConfig) -> Daemon {
    let BuildkitConfig { address, ca_file, cert_file, key_file } = daemon.clone();
    Daemon { address, ca_file, cert_file, key_file }
}

/// Where the configuration says that the password is.
fn place(registry: &RegistryConfig) -> Option<Place> {
    Place::named(registry.password_env.as_deref(), registry.password_file.as_deref())
}

fn password(registry: &RegistryConfig) -> Result<Option<SecretString>, LoginError> {
    let Some(place) = place(registry) else { return Ok(None) };
    let password = secret::read(&place);
    password.map(Some).map_err(|source| LoginError::Password { host: registry.host.clone(), source })
}

//! The logins that a cluster gets to pull images with: where they come from, and what of them is fit for a cluster.
//!
//! Like every secret they are read at each use, so that a rotated one is used at the next.

use std::collections::BTreeMap;
use std::path::Path;

use quarterdeck_shared::application::{PullLogin, PullSecretSpec, ValueFrom};
use quarterdeck_shared::error::chain;
use secrecy::SecretString;

use crate::images::{Images, LoginError};
use quarterdeck_container::registry::credentials::Login;
use quarterdeck_container::registry::docker_config::{TokenLogin, for_cluster};
use quarterdeck_core::image_ref::{ImageRef, ImageRefError};
use quarterdeck_kubernetes::{PullSecret, PullSecrets};
use quarterdeck_system::secret::{self, Place};

/// A pull secret whose content is not known.
#[derive(Debug, thiserror::Error)]
enum NoContent {
    #[error(transparent)]
    Login(#[from] LoginError),
    #[error("no login of registry {0} is known")]
    Unknown(String),
    #[error(transparent)]
    Token(#[from] TokenLogin),
    #[error(transparent)]
    Registry(#[from] ImageRefError),
}

/// The pull secrets of an environment with their content, and why one has none: by its name.
pub async fn read(images: &Images, specs: &[PullSecretSpec]) -> (PullSecrets, Vec<(String, String)>) {
    let (mut secrets, mut problems) = (PullSecrets::default(), Vec::new());
    for PullSecretSpec { name, registries, service_accounts } in specs {
        match content(images, registries).await {
            Ok(docker_config) => {
                let service_accounts = service_accounts.clone();
                secrets.known.push(PullSecret { name: name.clone(), docker_config, service_accounts });
            }
            Err(error) => {
                secrets.unknown.push(name.clone());
                problems.push((name.clone(), chain(&error)));
            }
        }
    }
    (secrets, problems)
}

/// All its logins, or none: a Secret without one of them would end pulls that go well.
async fn content(images: &Images, registries: &[PullLogin]) -> Result<SecretString, NoContent> {
    let mut logins = BTreeMap::new();
    for PullLogin { registry, own } in registries {
        let login = match own {
            Some((username, from)) => own_login(registry, username, from)?,
            // The login of a registry is looked for by an image of it.
            None => {
                let image = ImageRef::parse(&format!("{registry}/image"))?;
                images.login(&image).await?.ok_or_else(|| NoContent::Unknown(registry.clone()))?
            }
        };
        logins.insert(registry.clone(), login);
    }
    Ok(for_cluster(&logins)?)
}

fn own_login(registry: &str, username: &str, from: &ValueFrom) -> Result<Login, LoginError> {
    let password = match from {
        ValueFrom::Plain(password) => Ok(password.as_str().into()),
        ValueFrom::Environment { env } => secret::read(&Place::variable(env)),
        ValueFrom::File { file } => secret::read(&Place::file(Path::new(file))),
    };
    let password = password.map_err(|source| LoginError::Password { host: registry.to_owned(), source })?;
    Ok(Login::Password { username: username.to_owned(), password })
}

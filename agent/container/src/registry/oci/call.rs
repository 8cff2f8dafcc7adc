//! One question to one registry: logging in, the time limit, and what an answer that is none means.

use std::time::Duration;

use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};

use super::RegistryError;
use crate::registry::messages::fit;
use quarterdeck_core::output::Mask;
use quarterdeck_shared::error::chain;
use quarterdeck_system::certificate::distrust;

/// A registry that needs longer than this for a few headers is as good as away.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(60);

/// One question to one registry.
pub(super) struct Call {
    pub(super) client: Client,
    pub(super) reference: Reference,
    pub(super) auth: RegistryAuth,
    pub(super) registry: String,
    pub(super) image: String,
    pub(super) user: Option<String>,
    pub(super) mask: Mask,
    /// The registry gave a token for this login, so the login is good.
    pub(super) has_token: bool,
}

impl Call {
    /// Logs in explicitly: without it the library comes as anybody when the login is wrong, and the reason is lost.
    pub(super) async fn log_in(mut self) -> Result<Self, RegistryError> {
        match self.within(self.client.auth(&self.reference, &self.auth, RegistryOperation::Pull)).await {
            Ok(token) => {
                self.has_token = token.is_some();
                Ok(self)
            }
            Err(OciDistributionError::AuthenticationFailure(message)) if tells_of_login(&message) => {
                Err(self.wrong_login(&message))
            }
            Err(OciDistributionError::AuthenticationFailure(message)) => {
                let message = fit(&self.mask, &format!("its token server gave no token: {message}"));
                Err(RegistryError::Away { registry: self.registry, message })
            }
            Err(error) => Err(self.error(error)),
        }
    }

    pub(super) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, OciDistributionError>>,
    ) -> Result<T, OciDistributionError> {
        let late = || {
            std::io::Error::new(std::io::ErrorKind::TimedOut, format!("no answer within {} s", TIME_LIMIT.as_secs()))
        };
        tokio::time::timeout(TIME_LIMIT, work).await.unwrap_or_else(|_| Err(late().into()))
    }

    pub(super) fn wrong_login(&self, message: &str) -> RegistryError {
        match &self.user {
            Some(user) => RegistryError::WrongLogin {
                registry: self.registry.clone(),
                user: user.clone(),
                message: fit(&self.mask, message),
            },
            None => RegistryError::NoPermission { image: self.image.clone(), user: None },
        }
    }

    pub(super) fn answer(&self, message: &str) -> RegistryError {
        RegistryError::Answer { image: self.image.clone(), message: fit(&self.mask, message) }
    }

    pub(super) fn error(&self, error: OciDistributionError) -> RegistryError {
        let registry = self.registry.clone();
        let away =
            |message: String| RegistryError::Away { registry: registry.clone(), message: fit(&self.mask, &message) };
        let busy =
            |message: &str| RegistryError::Busy { registry: registry.clone(), message: fit(&self.mask, message) };
        let no_permission = || RegistryError::NoPermission { image: self.image.clone(), user: self.user.clone() };
        match error {
            OciDistributionError::UnauthorizedError { .. } => match &self.auth {
                // With Basic there is no telling whether the password or the permission is wrong; the password is likelier.
                RegistryAuth::Basic(..) if !self.has_token => self.wrong_login("401 Unauthorized"),
                RegistryAuth::Bearer(_) => self.wrong_login("401 Unauthorized"),
                _ => no_permission(),
            },
            OciDistributionError::ServerError { code: 401 | 403, .. } => no_permission(),
            OciDistributionError::ServerError { code: 429, message, .. } => busy(&message),
            OciDistributionError::ServerError { code, message, .. } if code >= 500 => away(format!("{code} {message}")),
            OciDistributionError::ServerError { code, message, .. } => self.answer(&format!("{code} {message}")),
            OciDistributionError::RegistryError { envelope, .. } => {
                let codes: Vec<&OciErrorCode> = envelope.errors.iter().map(|error| &error.code).collect();
                let message: Vec<String> =
                    envelope.errors.iter().map(|error| format!("{:?}: {}", error.code, error.message)).collect();
                if codes.contains(&&OciErrorCode::Toomanyrequests) {
                    busy(&message.join("; "))
                } else if codes.contains(&&OciErrorCode::Denied) || codes.contains(&&OciErrorCode::Unauthorized) {
                    no_permission()
                } else {
                    self.answer(&message.join("; "))
                }
            }
            OciDistributionError::RequestError(error) => match distrust(&error) {
                Some(why) => RegistryError::Certificate { registry, why },
                None => away(chain(&error.without_url())),
            },
            OciDistributionError::IoError(error) => away(chain(&error)),
            error => self.answer(&chain(&error)),
        }
    }
}

/// The library does not tell the status of a token server's refusal. One that speaks of the login refuses it; anything else is
/// a server in trouble.
fn tells_of_login(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["unauthorized", "auth", "incorrect", "invalid", "denied", "forbidden", "password", "credential"]
        .iter()
        .any(|word| message.contains(word))
}

/// 401, in the forms that registries give it.
pub(super) fn is_refused(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::UnauthorizedError { .. } => true,
        OciDistributionError::ServerError { code, .. } => *code == 401,
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().any(|error| error.code == OciErrorCode::Unauthorized)
        }
        _ => false,
    }
}

/// 404, in the forms that registries give it.
pub(super) fn is_missing(error: &OciDistributionError) -> bool {
    use OciErrorCode::{ManifestUnknown, NameUnknown, NotFound};
    match error {
        OciDistributionError::ImageManifestNotFoundError(_) => true,
        OciDistributionError::ServerError { code, .. } => *code == 404,
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().any(|error| matches!(error.code, ManifestUnknown | NameUnknown | NotFound))
        }
        _ => false,
    }
}

//! One question to one registry: logging in, the time limit, and what an answer that is none means.

use std::time::Duration;

use jiff::Timestamp;
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use reqwest::header::RETRY_AFTER;
use reqwest::{Method, RequestBuilder, StatusCode};

use super::RegistryError;
use crate::registry::messages::{fit, pause};
use quarterdeck_core::output::Mask;
use quarterdeck_shared::error::chain;
use quarterdeck_system::certificate::distrust;

/// A registry that needs longer than this for a few headers is as good as away.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(60);

/// What a registry asks for is kept up to here: half of the time for which a stage tries again. Some name the hours until a quota
/// begins anew, and some a moment by the clock, which as a pause would be decades.
const PAUSE_MAX: Duration = Duration::from_secs(900);

/// One question to one registry.
pub(super) struct Call {
    pub(super) client: Client,
    /// For what the library does not ask, or does not tell.
    pub(super) bare: reqwest::Client,
    pub(super) scheme: &'static str,
    pub(super) reference: Reference,
    pub(super) auth: RegistryAuth,
    /// What the registry changed the login for.
    pub(super) token: Option<String>,
    pub(super) registry: String,
    pub(super) image: String,
    pub(super) user: Option<String>,
    pub(super) mask: Mask,
    /// The registry gave a token for this login, so the login is good.
    pub(super) has_token: bool,
}

impl Call {
    /// Logs in explicitly: without it the library comes as anybody when the login is wrong, and the reason is lost.
    pub(super) async fn log_in(self) -> Result<Self, RegistryError> {
        self.log_in_to(RegistryOperation::Pull).await
    }

    /// The same, to do this.
    pub(super) async fn log_in_to(mut self, operation: RegistryOperation) -> Result<Self, RegistryError> {
        match self.within(self.client.auth(&self.reference, &self.auth, operation)).await {
            Ok(token) => {
                self.has_token = token.is_some();
                self.token = token;
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

    /// An answer that is none to a question at this path; of a registry that limits requests, for how long.
    pub(super) async fn refused(&self, error: OciDistributionError, method: Method, path: &str) -> RegistryError {
        match self.error(error) {
            RegistryError::Busy { registry, message, retry_after: _ } => {
                RegistryError::Busy { registry, message, retry_after: self.retry_after(method, path).await }
            }
            other => other,
        }
    }

    /// How long a registry that limits requests asks to be left alone. The library lets go of the headers of a refusal, so the same
    /// is asked once more for this one; a registry that answers by now asks for nothing.
    async fn retry_after(&self, method: Method, path: &str) -> Option<Duration> {
        let asked = self.authorized(self.bare.request(method, self.url(path)));
        let answer = asked.send().await.ok().filter(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS)?;
        pause(answer.headers().get(RETRY_AFTER)?.to_str().ok()?, Timestamp::now(), PAUSE_MAX)
    }

    /// A request that says who asks.
    pub(super) fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match (&self.token, &self.auth) {
            (Some(token), _) | (None, RegistryAuth::Bearer(token)) => request.bearer_auth(token),
            (None, RegistryAuth::Basic(user, password)) => request.basic_auth(user, Some(password)),
            (None, RegistryAuth::Anonymous) => request,
        }
    }

    /// The address of this path in the API of the repository.
    pub(super) fn url(&self, path: &str) -> String {
        let Self { scheme, reference, .. } = self;
        format!("{scheme}://{}/v2/{}/{path}", reference.resolve_registry(), reference.repository())
    }

    pub(super) fn error(&self, error: OciDistributionError) -> RegistryError {
        let registry = self.registry.clone();
        let away =
            |message: String| RegistryError::Away { registry: registry.clone(), message: fit(&self.mask, &message) };
        let busy = |message: &str| RegistryError::Busy {
            registry: registry.clone(),
            message: fit(&self.mask, message),
            retry_after: None,
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_read_in_seconds_or_as_a_time_and_bounded() {
        let now: Timestamp = "2026-10-21T07:27:00Z".parse().unwrap();
        for (text, seconds) in [
            ("42", Some(42)),
            (" 7 ", Some(7)),
            ("0", Some(0)),
            ("900", Some(900)),
            ("7200", Some(900)),
            ("1796000000", Some(900)),
            ("Wed, 21 Oct 2026 07:28:00 GMT", Some(60)),
            ("Wed, 21 Oct 2026 07:26:00 GMT", Some(0)),
            ("Thu, 22 Oct 2026 07:28:00 GMT", Some(900)),
            ("tomorrow", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(pause(text, now, PAUSE_MAX), seconds.map(Duration::from_secs), "{text}");
        }
    }
}

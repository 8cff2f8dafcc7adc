//! One GET to a chart repository: bounded, with a login for the repository alone.

use std::time::Duration;

use quarterdeck_core::secrets::SecretScrubber;
use quarterdeck_shared::error::chain;
use quarterdeck_system::certificate::distrust;
use reqwest::{Client, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};

use super::error::FetchError;

/// Connecting is the part that hangs when a host is down.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// An index of 20 MB comes within this time over a slow line.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// A login to a chart repository.
#[derive(Debug, Clone)]
pub struct Password {
    /// The user.
    pub username: String,
    /// The password or token.
    pub password: SecretString,
}

/// Asks chart repositories. The library follows ten redirects, and shows a login to no other host.
pub(super) fn client() -> Result<Client, String> {
    Client::builder()
        .connect_timeout(CONNECT_LIMIT)
        .timeout(TIME_LIMIT)
        .user_agent(concat!("quarterdeck/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| chain(&error))
}

/// What is at an address; nothing where nothing is.
pub(super) async fn get(
    client: &Client,
    repository: &str,
    at: Url,
    login: Option<&Password>,
    bytes_max: u64,
) -> Result<Option<Vec<u8>>, FetchError> {
    let repository = || repository.to_owned();
    let unreachable = |error: reqwest::Error| match distrust(&error) {
        Some(why) => FetchError::Certificate { repository: repository(), why },
        None => {
            let why = chain(&error.without_url());
            FetchError::Unreachable { repository: repository(), why: SecretScrubber::global().scrub(&why).into_owned() }
        }
    };
    let is_its_own = Url::parse(&repository()).is_ok_and(|own| own.origin() == at.origin());
    let mut request = client.get(at.clone());
    if let Some(Password { username, password }) = login.filter(|_| is_its_own) {
        request = request.basic_auth(username, Some(password.expose_secret()));
    }
    let mut answer = request.send().await.map_err(unreachable)?;
    let status = answer.status();
    match status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let user = login.filter(|_| is_its_own).map(|login| login.username.clone());
            return Err(FetchError::Refused { repository: repository(), user, status: status.as_u16() });
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            return Err(FetchError::Unreachable { repository: repository(), why: format!("it answers {status}") });
        }
        status => {
            let why = format!("it answers {status}");
            return Err(FetchError::Answer { repository: repository(), why });
        }
    }
    let mut bytes = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(unreachable)? {
        if (bytes.len() + part.len()) as u64 > bytes_max {
            let what = at.path().rsplit('/').next().unwrap_or_default().to_owned();
            return Err(FetchError::TooLarge { what, bytes_max });
        }
        bytes.extend_from_slice(&part);
    }
    Ok(Some(bytes))
}

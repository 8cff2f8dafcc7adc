//! Connects to the engine that was found, and asks what it is.

use std::io;
use std::path::Path;
use std::time::Duration;

use bollard::models::SystemVersion;
use bollard::{API_DEFAULT_VERSION, Docker};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::Empty;

use super::dial::dial;
use super::discover::{Candidate, Host};
use crate::engine::{BuildError, EngineInfo};

/// Short questions are answered within this time, or the engine is away.
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// What is asked for may take hours to begin: the output of a test, the end of a container. Silence has its own limits (see
/// `watch.rs`).
const STREAM_LIMIT_SECONDS: u64 = 4 * 60 * 60;

/// From this version of its interface on (Docker 18.09) an engine has BuildKit, unless it runs on Windows.
const API_WITH_BUILDKIT: (u32, u32) = (1, 39);

/// An engine that answered.
pub(super) struct Connection {
    pub(super) docker: Docker,
    pub(super) candidate: Candidate,
    /// The engine has BuildKit, and it is not turned off.
    pub(super) offers_buildkit: bool,
}

/// The first of these that answers.
pub(super) async fn connect(candidates: Vec<Candidate>) -> Result<Connection, BuildError> {
    let named = candidates.len() == 1;
    let mut tried = Vec::new();
    for candidate in candidates {
        match ping(&candidate.host).await {
            Ok(offers_buildkit) => {
                let docker = client(&candidate)?;
                return Ok(Connection { docker, candidate, offers_buildkit });
            }
            Err(error) if named => {
                let address = format!("{} (from {})", candidate.host, candidate.from);
                let source = Some(Box::new(bollard::errors::Error::from(error)));
                return Err(BuildError::Away { address, doing: "connecting".to_owned(), source });
            }
            Err(error) => tried.push(format!("{}: {error}", candidate.host)),
        }
    }
    Err(BuildError::NoEngine { tried })
}

/// Knocks; true if the engine offers BuildKit. The client library does not show the header that tells it.
pub(super) async fn ping(host: &Host) -> io::Result<bool> {
    let knock = async {
        let request = Request::get("/_ping").header("host", "engine").body(Empty::<Bytes>::new());
        let mut line = dial(host).await?;
        let answer = line.sender.send_request(request.map_err(io::Error::other)?).await.map_err(io::Error::other)?;
        if !answer.status().is_success() {
            return Err(io::Error::other(format!("it answers {} to a ping", answer.status())));
        }
        Ok(offers_buildkit(answer.headers()))
    };
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", REQUEST_LIMIT.as_secs()));
    tokio::time::timeout(REQUEST_LIMIT, knock).await.map_err(late)?
}

/// Docker from 23 on names its builder. From 18.09 to 22 it does so only where its configuration turns BuildKit on or off, and
/// has it for whoever asks; that is worth asking: the classic builder makes a container for each label that is new. Podman
/// has none, and would build in its own way without a word.
fn offers_buildkit(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match text("builder-version") {
        "" => text("server").starts_with("Docker/") && has_buildkit(text("api-version"), text("ostype")),
        version => version == "2",
    }
}

fn has_buildkit(api: &str, os: &str) -> bool {
    let number = |text: &str| text.parse::<u32>().ok();
    let api = api.split_once('.').and_then(|(major, minor)| Some((number(major)?, number(minor)?)));
    os == "linux" && api.is_some_and(|api| api >= API_WITH_BUILDKIT)
}

fn is_podman(version: &SystemVersion) -> bool {
    version.components.iter().flatten().any(|component| component.name.contains("Podman"))
}

fn secure(address: &str, certificates: &Path) -> Result<Docker, bollard::errors::Error> {
    let file = |name: &str| certificates.join(name);
    let (key, cert, ca) = (file("key.pem"), file("cert.pem"), file("ca.pem"));
    Docker::connect_with_ssl(
        &format!("tcp://{address}"),
        &key,
        &cert,
        &ca,
        REQUEST_LIMIT.as_secs(),
        API_DEFAULT_VERSION,
    )
}

fn client(candidate: &Candidate) -> Result<Docker, BuildError> {
    let limit = REQUEST_LIMIT.as_secs();
    let docker = match &candidate.host {
        Host::Unix(path) => Docker::connect_with_unix(&path.display().to_string(), limit, API_DEFAULT_VERSION),
        Host::Tcp(address) => Docker::connect_with_http(&format!("tcp://{address}"), limit, API_DEFAULT_VERSION),
        Host::Tls { address, certificates } => secure(address, certificates),
    };
    docker.map_err(|source| BuildError::Away {
        address: candidate.host.to_string(),
        doing: "connecting".to_owned(),
        source: Some(Box::new(source)),
    })
}

impl Connection {
    /// A client for requests whose answer is a long stream.
    pub(super) fn streaming(&self) -> Docker {
        self.docker.clone().with_timeout(Duration::from_secs(STREAM_LIMIT_SECONDS))
    }

    pub(super) async fn info(&self, buildkit: bool) -> Result<EngineInfo, BuildError> {
        let version = self.docker.version().await.map_err(|error| self.away("asking for its version", error))?;
        let podman = is_podman(&version);
        let unknown = || "unknown".to_owned();
        Ok(EngineInfo {
            name: if podman { "Podman" } else { "Docker" }.to_owned(),
            version: version.version.unwrap_or_else(unknown),
            api: version.api_version.unwrap_or_else(unknown),
            builder: if buildkit { "BuildKit" } else { "classic" }.to_owned(),
            platform: format!("{}/{}", version.os.unwrap_or_else(unknown), version.arch.unwrap_or_else(unknown)),
            address: format!("{} (from {})", self.candidate.host, self.candidate.from),
        })
    }

    /// An error of a short request, in our words.
    pub(super) fn failed(&self, doing: &str, error: bollard::errors::Error) -> BuildError {
        match error {
            bollard::errors::Error::DockerResponseServerError { status_code, message } => {
                BuildError::Refused { doing: doing.to_owned(), status: status_code, message }
            }
            error => self.away(doing, error),
        }
    }

    pub(super) fn away(&self, doing: &str, error: bollard::errors::Error) -> BuildError {
        let address = self.candidate.host.to_string();
        BuildError::Away { address, doing: doing.to_owned(), source: Some(Box::new(error)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buildkit_is_taken_where_it_is_and_is_not_turned_off() {
        let docker = |api, server, os| vec![("api-version", api), ("server", server), ("ostype", os)];
        let says = |version, mut headers: Vec<_>| {
            headers.push(("builder-version", version));
            headers
        };
        let now = || docker("1.41", "Docker/20.10.24+dfsg1 (linux)", "linux");
        for (headers, offers) in [
            (now(), true),
            (says("2", now()), true),
            (says("1", now()), false),
            (docker("1.38", "Docker/18.06.3-ce (linux)", "linux"), false),
            (docker("1.41", "Docker/20.10.9 (windows)", "windows"), false),
            (says("", docker("1.41", "Libpod/4.3.1 (linux)", "")), false),
            (docker("", "Docker/20.10.24 (linux)", "linux"), false),
        ] {
            let map = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            assert_eq!(offers_buildkit(&map), offers, "{headers:?}");
        }
    }
}

//! How the stand-in engine speaks to a registry: plain HTTP to loopback, with Basic or token login, errors in the daemon's words.
//!
//! It does NOT speak TLS, follow redirects, try again by itself, or change an identity token for an access token.

use axum::body::Body;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

use super::output::Stop;

/// Who the client of the engine says it is, from `X-Registry-Auth`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Login {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) registrytoken: Option<String>,
}

impl Login {
    /// Reads the header; both alphabets of base64 are in use, with and without padding.
    pub(super) fn from_header(header: Option<&str>) -> Option<Self> {
        let header = header?;
        let padded = format!(
            "{:=<width$}",
            header.trim_end_matches('='),
            width = header.trim_end_matches('=').len().div_ceil(4) * 4
        );
        let json = BASE64_STANDARD.decode(&padded).or_else(|_| BASE64_URL_SAFE.decode(&padded)).ok()?;
        serde_json::from_slice(&json).ok()
    }

    fn basic(&self) -> Option<String> {
        let name = self.username.as_deref().filter(|name| !name.is_empty())?;
        Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{}", self.password.as_deref().unwrap_or("")))))
    }
}

/// One repository of one registry.
pub(super) struct Remote {
    client: Client<HttpConnector, Body>,
    host: String,
    pub(super) repository: String,
    actions: &'static str,
    login: Option<Login>,
    authorization: Option<String>,
}

impl Remote {
    /// Knocks at the registry of an image `name` (without tag) and logs in for `actions` (`pull` or `pull,push`).
    pub(super) async fn connect(name: &str, login: Option<Login>, actions: &'static str) -> Result<Self, Stop> {
        let (host, repository) = match name.split_once('/') {
            Some((host, repository)) if host.contains([':', '.']) || host == "localhost" => (host, repository),
            _ => {
                let denied = "repository does not exist or may require 'docker login': denied: requested access to the resource is denied";
                return Err(Stop::failed(format!("pull access denied for {name}, {denied}")));
            }
        };
        let client = Client::builder(TokioExecutor::new()).build_http();
        let (host, repository) = (host.to_owned(), repository.to_owned());
        let mut remote = Self { client, host, repository, actions, login, authorization: None };
        remote.log_in().await?;
        Ok(remote)
    }

    async fn log_in(&mut self) -> Result<(), Stop> {
        let url = format!("http://{}/v2/", self.host);
        let answer = self.once(Method::GET, &url, "", Body::empty(), None).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return if answer.status().is_success() { Ok(()) } else { Err(refused(&answer)) };
        }
        let challenge = answer.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let Some(bearer) = challenge.strip_prefix("Bearer ") else {
            let login = self.login.as_ref().and_then(Login::basic);
            self.authorization = Some(login.ok_or_else(|| Stop::failed("no basic auth credentials"))?);
            return Ok(());
        };
        if let Some(token) = self.login.as_ref().and_then(|login| login.registrytoken.clone()) {
            self.authorization = Some(format!("Bearer {token}"));
            return Ok(());
        }
        let (realm, service) = (parameter(bearer, "realm"), parameter(bearer, "service"));
        let scope = format!("repository:{}:{}", self.repository, self.actions);
        let url = format!("{realm}?service={service}&scope={scope}");
        let login = self.login.as_ref().and_then(Login::basic);
        let answer = self.once(Method::GET, &url, "", Body::empty(), login.as_deref()).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            return Err(Stop::failed("unauthorized: incorrect username or password"));
        }
        if !answer.status().is_success() {
            return Err(refused(&answer));
        }
        let token: serde_json::Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        let token = token["token"].as_str().or(token["access_token"].as_str());
        let token =
            token.ok_or_else(|| Stop::failed("authorization server did not include a token in the response"))?;
        self.authorization = Some(format!("Bearer {token}"));
        Ok(())
    }

    /// A request below `/v2/NAME/`, or to a location that the registry named. Logs in once more if a token was too old.
    pub(super) async fn send(
        &mut self,
        method: Method,
        to: &str,
        media_type: &str,
        body: Bytes,
    ) -> Result<Response<Bytes>, Stop> {
        let url = self.url(to);
        for last in [false, true] {
            let authorization = self.authorization.clone();
            let answer =
                self.once(method.clone(), &url, media_type, body.clone().into(), authorization.as_deref()).await?;
            let known = self.authorization.as_deref().is_some_and(|value| value.starts_with("Bearer "));
            if answer.status() != StatusCode::UNAUTHORIZED || !known {
                return Ok(answer);
            }
            if !last {
                self.log_in().await?;
            }
        }
        // Refused with a token that was just given: whoever it is may not do this.
        Err(Stop::failed("denied: requested access to the resource is denied"))
    }

    /// A request whose body is streamed and so cannot be sent twice.
    pub(super) async fn send_stream(&self, method: Method, to: &str, body: Body) -> Result<Response<Bytes>, Stop> {
        self.once(method, &self.url(to), "application/octet-stream", body, self.authorization.as_deref()).await
    }

    fn url(&self, to: &str) -> String {
        if to.starts_with("http://") {
            to.to_owned()
        } else if to.starts_with('/') {
            format!("http://{}{to}", self.host)
        } else {
            format!("http://{}/v2/{}/{to}", self.host, self.repository)
        }
    }

    async fn once(
        &self,
        method: Method,
        url: &str,
        media_type: &str,
        body: Body,
        authorization: Option<&str>,
    ) -> Result<Response<Bytes>, Stop> {
        let verb = format!("{}{}", &method.as_str()[..1], method.as_str()[1..].to_lowercase());
        let lost = |why: String| Stop::failed(format!("{verb} \"{url}\": {why}"));
        let mut request = Request::builder().method(method).uri(url).header("accept", ACCEPTED.join(", "));
        if !media_type.is_empty() {
            request = request.header(CONTENT_TYPE, media_type);
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(body).map_err(|error| lost(error.to_string()))?;
        let answer = self.client.request(request).await.map_err(|error| {
            let refused = format!("dial tcp {}: connect: connection refused", self.host);
            lost(if error.is_connect() { refused } else { "EOF".to_owned() })
        })?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(|_| lost("unexpected EOF".to_owned()))?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }
}

/// The kinds of manifest that the engine understands.
const ACCEPTED: [&str; 4] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
];

/// What the daemon says about an answer that is no success.
pub(super) fn refused(answer: &Response<Bytes>) -> Stop {
    let status = answer.status();
    if status.is_server_error() {
        return Stop::failed(format!("received unexpected HTTP status: {status}"));
    }
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    match (body["errors"][0]["code"].as_str(), body["errors"][0]["message"].as_str()) {
        // The daemon says a code alone where the message says no more than it.
        (Some("TOOMANYREQUESTS"), Some("too many requests")) => Stop::failed("toomanyrequests"),
        (Some(code), Some(message)) => Stop::failed(format!("{}: {message}", code.to_lowercase().replace('_', " "))),
        _ => {
            let words = String::from_utf8_lossy(answer.body());
            Stop::failed(format!("error parsing HTTP {} response body: {words:?}", status.as_u16()))
        }
    }
}

/// The location to go on with, and the digest appended where it is the last part.
pub(super) fn location(answer: &Response<Bytes>, digest: Option<&str>) -> String {
    let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("");
    match digest {
        None => location.to_owned(),
        Some(digest) => format!("{location}{}digest={digest}", if location.contains('?') { '&' } else { '?' }),
    }
}

fn parameter(challenge: &str, name: &str) -> String {
    let start = challenge.find(&format!("{name}=\"")).map(|at| at + name.len() + 2);
    start.and_then(|at| challenge[at..].split('"').next()).unwrap_or("").to_owned()
}

//! Smart http for gix: our own, because polling has to be cheap and its bounds have to hold.
//!
//! gix's reqwest transport makes a client for each conversation (a thread, the system's certificates, a TLS handshake),
//! refuses to be limited in bytes, and cannot take a CA file or a longer timeout. This one keeps connections open
//! between polls and remembers the server's capability advertisement, so an unchanged repository costs one POST on a
//! warm connection. The advertisement of protocol 2 holds no refs, so it stays true until the server is upgraded; a
//! conversation that fails with a remembered one is had again with a fresh one ([`Session::forget`]).

mod exchange;

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::blocking::{Client, ClientBuilder, Response};
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode, header};
use secrecy::ExposeSecret;

pub(crate) use exchange::Conversation;

use self::exchange::Request;
use quarterdeck_system::program::Bounds as _;

use super::auth::{self, Credential};
use super::operation::Operation;
use crate::error::{chain, clean};
use crate::url::Location;
use crate::{GitError, Remote};
use quarterdeck_core::secrets::SecretScrubber;
use quarterdeck_system::certificate::distrust;
use quarterdeck_system::open_files;

/// The longest that a server may be silent where the conversation as a whole has longer.
const SILENCE: Duration = Duration::from_secs(120);
/// What of an error page is read: a sentence from a forge, not a web page.
const ERROR_BODY: u64 = 512;

/// What is kept between conversations with one remote.
pub(crate) struct Session {
    remote: Remote,
    /// The mirror, where git reads the configuration of its credential helpers.
    dir: PathBuf,
    /// The address to speak to, as configured.
    base: String,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The headers and the body of the capability advertisement.
    advertisement: Option<(Vec<u8>, Vec<u8>)>,
    /// Where the server redirected us.
    moved_to: Option<String>,
    /// What a credential helper gave, once the server has taken it.
    credential: Option<Credential>,
}

impl Session {
    pub(crate) fn new(remote: &Remote, base: &str, dir: &Path) -> Self {
        Self { remote: remote.clone(), dir: dir.into(), base: base.into(), known: Mutex::default() }
    }

    /// Whether the next conversation begins with what an earlier one learnt.
    pub(crate) fn remembers(&self) -> bool {
        let known = self.known();
        known.advertisement.is_some() || known.moved_to.is_some()
    }

    /// Forgets what was learnt of the server, but not its credentials.
    pub(crate) fn forget(&self) {
        let mut known = self.known();
        known.advertisement = None;
        known.moved_to = None;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request with its answer's head, authenticated if that is needed.
    fn send(&self, request: &Request, talk: &Arc<Operation>) -> io::Result<Response> {
        let mut fresh: Option<Credential> = None;
        loop {
            let configured = auth::configured(&self.remote).map_err(|error| talk.fail(error))?;
            let remembered = self.known().credential.clone();
            let asked = fresh.is_some();
            let credential = configured.or(fresh.clone()).or(remembered);
            let response = self.send_once(request, credential.as_ref(), talk)?;
            let from_helper = credential.as_ref().is_none_or(|credential| credential.from_helper);
            if response.status() == StatusCode::UNAUTHORIZED && from_helper {
                // What a helper gave before may have expired: it is told, and asked once again.
                self.known().credential = None;
                if let Some(credential) = &credential {
                    auth::tell_helpers(&self.remote, &self.dir, talk, credential, false);
                }
                if !asked {
                    fresh = auth::from_helpers(&self.remote, &self.dir, talk).map_err(|error| talk.fail(error))?;
                    if fresh.is_some() {
                        continue;
                    }
                }
            }
            if !response.status().is_success() {
                return Err(talk.fail(refusal(talk.url(), response, credential.as_ref())));
            }
            if let Some(credential) = fresh {
                auth::tell_helpers(&self.remote, &self.dir, talk, &credential, true);
                self.known().credential = Some(credential);
            }
            return Ok(response);
        }
    }

    fn send_once(
        &self,
        request: &Request,
        credential: Option<&Credential>,
        talk: &Arc<Operation>,
    ) -> io::Result<Response> {
        let base = self.known().moved_to.clone().unwrap_or_else(|| self.base.clone());
        let mut headers = request.headers.clone();
        // A redirect to another host does not get what was meant for this one.
        if let Some(credential) = credential.filter(|_| same_host(&base, &self.base)) {
            if !auth::may_travel(&self.remote) {
                return Err(talk.fail(GitError::PlainHttp { url: talk.url().to_owned() }));
            }
            let mut value = header::HeaderValue::from_str(credential.header().expose_secret())
                .map_err(|_| io::Error::other("base64 is a header value"))?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let left = talk.patience()?;
        let client = client(&self.remote).map_err(|error| talk.fail(error))?;
        let mut builder = client.request(request.method.clone(), format!("{base}{}", request.tail)).headers(headers);
        if left < SILENCE {
            builder = builder.timeout(left);
        }
        if request.method == Method::POST {
            builder = builder.body(request.body.clone());
        }
        let response = builder.send().map_err(|error| failed(talk, error))?;
        if let Some(moved) = response.url().as_str().strip_suffix(&request.tail).filter(|moved| *moved != base) {
            self.known().moved_to = Some(moved.to_owned());
        }
        Ok(response)
    }
}

/// A client owns a thread, its connections and a parsed set of certificates.
struct Made {
    /// What was in the CA file: a renewed authority is taken up without a restart, as a token is.
    authorities: Vec<u8>,
    client: Client,
}

/// Clients by whether they need TLS and by their CA file, for all remotes.
type Clients = HashMap<(bool, Option<PathBuf>), Made>;

static CLIENTS: LazyLock<Mutex<Clients>> = LazyLock::new(Mutex::default);

fn client(remote: &Remote) -> Result<Client, GitError> {
    let ca_file = &remote.access.ca_file;
    let tls = matches!(remote.url.location(), Location::Http { tls: true, .. });
    let told = |detail: String| GitError::Secret { url: remote.url.to_string(), detail };
    let bad_file =
        |why: String| told(format!("ca_file {}: {why}", ca_file.as_deref().unwrap_or(Path::new("")).display()));
    let pem = ca_file.as_ref().map(std::fs::read).transpose().map_err(|error| bad_file(error.to_string()))?;
    let pem = pem.unwrap_or_default();
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (tls, ca_file.clone());
    if let Some(made) = clients.get(&key).filter(|made| made.authorities == pem) {
        return Ok(made.client.clone());
    }
    let own = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| bad_file(chain(&error)))?;
    if ca_file.is_some() && own.is_empty() {
        return Err(bad_file("it holds no certificate in PEM".to_owned()));
    }
    let client = own.into_iter().fold(builder(), ClientBuilder::add_root_certificate).build();
    let client = match client {
        Ok(client) => client,
        // Where the system knows no authorities none is made, not even one that asks for none.
        Err(_) if !tls => builder().tls_certs_only([]).build().map_err(|error| told(not_made(&error)))?,
        Err(error) => return Err(told(not_made(&error))),
    };
    clients.insert(key, Made { authorities: pem, client: client.clone() });
    Ok(client)
}

fn not_made(error: &reqwest::Error) -> String {
    let detail = chain(error);
    let hint =
        if detail.contains("No CA certificates") { " (install ca-certificates, or name a `ca_file`)" } else { "" };
    format!("the http client does not start: {detail}{hint}")
}

fn builder() -> ClientBuilder {
    Client::builder()
        .connect_timeout(Duration::from_secs(15))
        .timeout(SILENCE)
        .tcp_nodelay(true)
        // Longer than the common poll interval of 30 s and its jitter, so that a poll finds its connection open.
        .pool_idle_timeout(Duration::from_secs(90))
        .pool_max_idle_per_host(4)
        .redirect(Policy::custom(|attempt| {
            let from = attempt.previous().last();
            if attempt.previous().len() > 5 {
                attempt.error("more than 5 redirects")
            } else if from.is_some_and(|from| from.scheme() == "https") && attempt.url().scheme() != "https" {
                attempt.error("a redirect from https to an unencrypted address")
            } else {
                attempt.follow()
            }
        }))
}

fn failed(talk: &Operation, error: reqwest::Error) -> io::Error {
    if error.is_timeout() && !error.is_connect() {
        return talk.timed_out();
    }
    let (url, error) = (talk.url().to_owned(), error.without_url());
    talk.fail(match distrust(&error) {
        None if open_files::is_reached_in(&chain(&error)) => {
            GitError::OpenFiles { url, limit: open_files::limit_reached() }
        }
        Some(why) => GitError::Certificate { url, why },
        None => GitError::Unreachable { url, detail: innermost(&error) },
    })
}

/// An error with its causes, without the layers of the libraries that say no more than that there is one.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    const SAY_NOTHING: [&str; 4] =
        ["error sending request", "client error (Connect)", "tcp connect error", "dns error"];
    let mut innermost = error;
    while let Some(source) = innermost.source().filter(|_| SAY_NOTHING.contains(&innermost.to_string().as_str())) {
        innermost = source;
    }
    chain(innermost)
}

/// What a status other than success means.
fn refusal(url: &str, response: Response, credential: Option<&Credential>) -> GitError {
    let (url, status) = (url.to_owned(), response.status());
    let retry = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()).map(clean);
    let is_text =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let mut said = Vec::new();
    if is_text {
        let _ = response.take(ERROR_BODY).read_to_end(&mut said);
    }
    let said = clean(&String::from_utf8_lossy(&said)).replace('\n', "; ");
    let said = match credential {
        Some(credential) => credential.scrub(&said),
        None => SecretScrubber::global().scrub(&said).into_owned(),
    };
    let mut detail = format!("the server answers {status}");
    if !said.is_empty() {
        // More follows it.
        detail = format!("{detail}: {}", said.trim_end_matches('.'));
    }
    match status {
        StatusCode::UNAUTHORIZED if credential.is_none() => {
            GitError::AccessDenied { url, detail: format!("{detail}, and no credentials are configured") }
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            GitError::AccessDenied { url, detail }
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => GitError::NoRepository { url, detail },
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            let detail = retry.map_or(detail.clone(), |retry| format!("{detail} (retry after {retry})"));
            GitError::Unreachable { url, detail }
        }
        _ => GitError::Protocol { url, detail },
    }
}

fn same_host(one: &str, other: &str) -> bool {
    let host = |url: &str| {
        reqwest::Url::parse(url).ok().and_then(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default())))
    };
    let upgraded = |one: &str, other: &str| {
        let (Ok(one), Ok(other)) = (reqwest::Url::parse(one), reqwest::Url::parse(other)) else { return false };
        one.scheme() == "https" && other.scheme() == "http" && one.host_str() == other.host_str()
    };
    host(one) == host(other) || upgraded(one, other)
}

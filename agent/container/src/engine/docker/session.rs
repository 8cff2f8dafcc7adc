//! The session of a build with BuildKit: a connection that the engine turns round, to ask us for what the build needs and
//! nobody else may see.
//!
//! ```text
//! us --POST /session, upgraded to HTTP/2--> engine
//! us <--gRPC: is it alive? a login? a secret? a signature?-- BuildKit, at work on the /build with the same session
//! ```
//!
//! A secret goes this way alone: not with the request, whose address others log, and not into the context. BuildKit mounts
//! it into the one `RUN` that names it, in memory, and keeps it in no layer and no history.

mod asked;
mod ssh;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bollard::errors::Error as EngineError;
use bollard::health::health_server::HealthServer;
use bollard::moby::buildkit::secrets::v1::secrets_server::SecretsServer;
use bollard::moby::filesync::v1::auth_server::AuthServer;
use bollard::moby::sshforward::v1::ssh_server::SshServer;
use bytes::Bytes;
use http::{HeaderName, Request, StatusCode};
use http_body_util::Empty;
use hyper::server::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::service::TowerToHyperService;
use secrecy::SecretString;
use tokio_util::task::AbortOnDropHandle;
use tonic::service::Routes;
use tracing::Instrument as _;

use self::asked::{Alive, Logins, Secrets};
use self::ssh::Agent;
use super::dial::{dial, refusal};
use super::discover::Host;
use crate::engine::ssh_agent::SshAgent;
use crate::registry::credentials::Login;

const ID: HeaderName = HeaderName::from_static("x-docker-expose-session-uuid");
const METHOD: HeaderName = HeaderName::from_static("x-docker-expose-session-grpc-method");

/// What we can be asked in a session, each method with its service; the engine looks for those of ssh alone.
const METHODS: [&str; 2] = ["/moby.filesync.v1.Auth/Credentials", "/moby.buildkit.secrets.v1.Secrets/GetSecret"];
const METHODS_OF_SSH: [&str; 2] = ["/moby.sshforward.v1.SSH/CheckAgent", "/moby.sshforward.v1.SSH/ForwardAgent"];

/// What a build may ask for.
pub(super) struct Given {
    /// Logins, by the host that BuildKit asks for.
    pub(super) logins: BTreeMap<String, Login>,
    /// Secrets, by their ids.
    pub(super) secrets: BTreeMap<String, SecretString>,
    /// An ssh agent.
    pub(super) ssh: Option<SshAgent>,
}

/// A session; it ends when this is dropped.
pub(super) struct Session {
    /// By which a build names it.
    pub(super) id: String,
    _task: AbortOnDropHandle<()>,
}

impl Session {
    /// Opens one that answers with what is given. The engine has it when this returns, so that no build waits for it.
    pub(super) async fn open(host: &Host, given: Given) -> Result<Self, EngineError> {
        let id = new_id();
        let mut request = Request::post("/session")
            .header("host", "engine")
            .header("connection", "Upgrade")
            .header("upgrade", "h2c")
            .header(ID, &id);
        for method in METHODS.into_iter().chain(given.ssh.iter().flat_map(|_| METHODS_OF_SSH)) {
            request = request.header(METHOD, method);
        }
        let request = request.body(Empty::<Bytes>::new())?;
        let mut line = dial(host).await?;
        let answer = line.sender.send_request(request).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(refusal(answer).await);
        }
        let connection = hyper::upgrade::on(answer).await?;
        let routes = Routes::new(HealthServer::new(Alive))
            .add_service(AuthServer::new(Logins(given.logins)))
            .add_service(SecretsServer::new(Secrets(given.secrets)));
        let routes = match given.ssh {
            Some(agent) => routes.add_service(SshServer::new(Agent(agent))),
            None => routes,
        };
        let serve = http2::Builder::new(TokioExecutor::new())
            .serve_connection(connection, TowerToHyperService::new(routes.prepare()));
        // It ends with the build, or with the engine, which the build notices as well.
        let serve = async move { drop(serve.await) };
        Ok(Self { id, _task: AbortOnDropHandle::new(tokio::spawn(serve.in_current_span())) })
    }
}

/// A name that no other session of the engine has.
fn new_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("quarterdeck-{}-{nanos}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

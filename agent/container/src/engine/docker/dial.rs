//! A connection to the engine of our own, beside those of the client library: for what the library cannot do. It shows no
//! headers (`connect.rs`), and takes no services into the session of a build (`build.rs`).

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error as EngineError;
use http::Response;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::discover::Host;

/// An engine that does not take a connection within this time is away.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// The longest answer that is an error: some sentences.
const ERROR_BYTES_MAX: usize = 64 << 10;

/// A connection that speaks HTTP/1.1; it ends when this is dropped.
pub(super) struct Line<B> {
    pub(super) sender: SendRequest<B>,
    _task: AbortOnDropHandle<()>,
}

/// Connects to an engine.
pub(super) async fn dial<B>(host: &Host) -> io::Result<Line<B>>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let connect = async {
        match host {
            Host::Unix(path) => speak(UnixStream::connect(path).await?).await,
            Host::Tcp(address) => speak(TcpStream::connect(address).await?).await,
            Host::Tls { address, certificates } => {
                let tls = TlsConnector::from(Arc::new(identity(certificates)?));
                let name = ServerName::try_from(name(address).to_owned()).map_err(io::Error::other)?;
                speak(tls.connect(name, TcpStream::connect(address).await?).await?).await
            }
        }
    };
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", CONNECT_LIMIT.as_secs()));
    tokio::time::timeout(CONNECT_LIMIT, connect).await.map_err(late)?
}

async fn speak<B>(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> io::Result<Line<B>>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // How it ends is known by whoever waits for an answer.
    let connection = async move { drop(connection.with_upgrades().await) };
    let task = AbortOnDropHandle::new(tokio::spawn(connection.in_current_span()));
    Ok(Line { sender, _task: task })
}

/// An answer that is an error: `{"message": "…"}`, or some text.
pub(super) async fn refusal(answer: Response<Incoming>) -> EngineError {
    #[derive(Deserialize)]
    struct Words {
        message: String,
    }
    let status_code = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), ERROR_BYTES_MAX).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let message = match serde_json::from_slice::<Words>(&body) {
        Ok(words) => words.message,
        Err(_) => String::from_utf8_lossy(&body).into_owned(),
    };
    EngineError::DockerResponseServerError { status_code, message }
}

/// `ca.pem`, `cert.pem` and `key.pem` of a folder, as Docker's own clients read them.
fn identity(folder: &Path) -> io::Result<ClientConfig> {
    let pem = |file: &str, error: rustls::pki_types::pem::Error| {
        io::Error::other(format!("reading {}: {error}", folder.join(file).display()))
    };
    let certificates = |file: &str| -> io::Result<Vec<CertificateDer<'static>>> {
        let all = CertificateDer::pem_file_iter(folder.join(file)).map_err(|error| pem(file, error))?;
        all.collect::<Result<_, _>>().map_err(|error| pem(file, error))
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates("ca.pem")?);
    let chain = certificates("cert.pem")?;
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).map_err(|error| pem("key.pem", error))?;
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_root_certificates(roots).with_client_auth_cert(chain, key))
        .map_err(io::Error::other)
}

/// The name of `name:port`, without the brackets of an IPv6 address.
fn name(address: &str) -> &str {
    let name = address.rsplit_once(':').map_or(address, |(name, _)| name);
    name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_name_without_the_port() {
        for (address, is) in [("build:2376", "build"), ("[::1]:2376", "::1"), ("10.0.0.1:2376", "10.0.0.1")] {
            assert_eq!(name(address), is);
        }
    }
}

//! The one HTTP server under the stand-ins: on loopback TCP or on a Unix socket.
//!
//! It can do two things that a polite server cannot, and that clients meet all the time: cut a connection without a word
//! ([`Cut`]), and be away (nothing listens) and come back at the same place. On TCP it speaks TLS to who begins so, once it has
//! a certificate ([`Server::secure`]), and plain HTTP to all others still, as the stand-in engine does. It routes nothing; that is the stand-ins' part.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use futures::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::tls::Certificate;

/// A handler answers this to have the connection closed with no further word, as a crash or a torn cable does.
#[derive(Debug, thiserror::Error)]
#[error("the stand-in cuts this connection on purpose")]
pub struct Cut;

/// What a handler gives back: a response, or the wish to cut the connection.
pub type Answer = Result<Response<Body>, Cut>;

/// Handles one request.
pub type Handler = Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Answer> + Send + Sync>;

/// Where a server listens.
#[derive(Debug, Clone)]
pub enum Place {
    /// A loopback port.
    Tcp(SocketAddr),
    /// A socket file, replaced if it is there.
    Unix(PathBuf),
}

impl Place {
    /// A loopback port that the system picks, or `port` if it is not 0.
    pub fn loopback(port: u16) -> Self {
        Place::Tcp((Ipv4Addr::LOCALHOST, port).into())
    }
}

/// A running server; dropping it closes the listener and every connection.
pub struct Server {
    place: Place,
    handler: Handler,
    /// How it shows who it is to who speaks TLS.
    tls: Mutex<Option<TlsAcceptor>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Server {
    /// Listens at `place`. For a TCP port 0 the port that the system picked is kept, also over [`Server::away`].
    pub async fn start(place: Place, handler: Handler) -> std::io::Result<Self> {
        let (place, task) = listen(place, handler.clone(), None).await?;
        Ok(Self { place, handler, tls: Mutex::new(None), task: Mutex::new(Some(task)) })
    }

    /// Where it listens.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// `127.0.0.1:PORT`, or the path of the socket.
    pub fn address(&self) -> String {
        match &self.place {
            Place::Tcp(address) => address.to_string(),
            Place::Unix(path) => path.display().to_string(),
        }
    }

    /// Stops listening and cuts every connection. Connecting is refused from now on.
    pub async fn away(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            // Awaiting the aborted task makes sure that the listener is closed when this returns.
            let _ = task.await;
        }
    }

    /// Shows this certificate to who speaks TLS from now on. Every connection is cut, so that nobody goes on with another.
    pub async fn secure(&self, certificate: &Certificate) -> std::io::Result<()> {
        *self.tls.lock().unwrap_or_else(PoisonError::into_inner) = Some(certificate.acceptor());
        self.back().await
    }

    /// Listens again at the same place.
    pub async fn back(&self) -> std::io::Result<()> {
        self.away().await;
        let tls = self.tls.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (_, task) = listen(self.place.clone(), self.handler.clone(), tls).await?;
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

async fn listen(place: Place, handler: Handler, tls: Option<TlsAcceptor>) -> std::io::Result<(Place, JoinHandle<()>)> {
    match place {
        Place::Tcp(address) => {
            let listener = bind(address).await?;
            let place = Place::Tcp(listener.local_addr()?);
            let accept = async move {
                let mut connections = JoinSet::new();
                loop {
                    tokio::select! {
                        accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                            // Progress lines are small; they are to be seen when they are written.
                            let _ = stream.set_nodelay(true);
                            connections.spawn(meet(stream, handler.clone(), tls.clone()));
                        },
                        Some(_) = connections.join_next() => {}
                    }
                }
            };
            Ok((place, tokio::spawn(accept)))
        }
        Place::Unix(path) => {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&path)?;
            let accept = async move {
                let mut connections = JoinSet::new();
                loop {
                    tokio::select! {
                        accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                            connections.spawn(serve(stream, handler.clone()));
                        },
                        Some(_) = connections.join_next() => {}
                    }
                }
            };
            Ok((Place::Unix(path), tokio::spawn(accept)))
        }
    }
}

/// Binds a port that may be another's for a moment: a program that is being started holds all that we had open until it runs.
/// It is tried again until it is free, since the system tells nobody when that is.
async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let begun = tokio::time::Instant::now();
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && begun.elapsed() < BIND_WITHIN => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            bound => return bound,
        }
    }
}

/// Far longer than a program takes to start.
const BIND_WITHIN: Duration = Duration::from_secs(10);

/// A connection of either kind: one that begins with a handshake of TLS, where there is a certificate, or a plain one.
async fn meet(stream: TcpStream, handler: Handler, tls: Option<TlsAcceptor>) {
    /// The first byte of a handshake's record; no method of HTTP begins with it.
    const HANDSHAKE: u8 = 22;
    let Some(tls) = tls else { return serve(stream, handler).await };
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1) if first[0] == HANDSHAKE => {
            match tls.accept(stream).into_fallible().await {
                Ok(stream) => serve(stream, handler).await,
                // Whose certificate is not taken gets to read why, before the connection ends; who does not take ours goes.
                Err((_, mut stream)) => {
                    let _ = stream.shutdown().await;
                    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                }
            }
        }
        _ => serve(stream, handler).await,
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, handler: Handler) {
    let service = service_fn(move |request| handler(request));
    // An error here is a client that went away or a cut that we asked for: both are part of the play.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

/// The pairs of a query string, decoded.
pub fn query_pairs(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((&first, tail)) = rest.split_first() {
            let escaped = (first == b'%').then(|| tail.get(..2)).flatten();
            let byte = escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
            match byte {
                Some(byte) => {
                    bytes.push(byte);
                    rest = &tail[2..];
                }
                None => {
                    bytes.push(if first == b'+' { b' ' } else { first });
                    rest = tail;
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (decode(k), decode(v))).collect()
}

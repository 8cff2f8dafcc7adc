//! The listener and its connections: HTTP/1.1 on a loopback port, which a test can take away and bring back.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::Shared;
use super::answer;

/// A running server.
pub(super) struct Server {
    address: SocketAddr,
    open: watch::Sender<bool>,
    is_open: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens on this port of 127.0.0.1.
    pub(super) async fn start(shared: Arc<Shared>, port: u16) -> std::io::Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let (open, wish) = watch::channel(true);
        let (told, is_open) = watch::channel(true);
        let task = tokio::spawn(run(shared, listener, address, wish, told));
        Ok(Server { address, open, is_open, task })
    }

    /// Where.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens or closes it, and returns when that is done: closed, every connection breaks and new ones are refused.
    pub(super) async fn set_open(&self, open: bool) {
        self.open.send_replace(open);
        let mut is_open = self.is_open.clone();
        let _ = is_open.wait_for(|now| *now == open).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    shared: Arc<Shared>,
    listener: TcpListener,
    address: SocketAddr,
    mut wish: watch::Receiver<bool>,
    told: watch::Sender<bool>,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            stream = accept(listener.as_ref()) => {
                connections.spawn(serve(shared.clone(), stream));
            }
            changed = wish.changed() => {
                if changed.is_err() {
                    return;
                }
                let open = *wish.borrow_and_update();
                if !open {
                    listener = None;
                    connections.shutdown().await;
                } else if listener.is_none() {
                    listener = Some(bind_again(address).await);
                }
                told.send_replace(open);
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // Out of descriptors, as a rule: it gets better when connections close.
            Err(error) => {
                tracing::warn!(%error, "the stand-in cluster could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// The same port again. Somebody else may hold it for a moment.
async fn bind_again(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => {
                tracing::warn!(%error, %address, "the stand-in cluster waits for its port");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(shared: Arc<Shared>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let shared = shared.clone();
        async move { answer::respond(shared, request.map(Body::new)).await }
    });
    // A connection that breaks is the client's affair, or a fault that a test asked for.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The API for another server. A connection that a fault cuts is answered with 502 here.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(move |request: Request| {
        let shared = shared.clone();
        async move {
            let answer = answer::respond(shared, request).await;
            Ok::<Response, Infallible>(answer.unwrap_or_else(|_| http::StatusCode::BAD_GATEWAY.into_response()))
        }
    })
}

//! A gate before the cluster's API server that counts who asks what. It costs time, so what is counted is not timed.
//!
//! Plain http on loopback to the inside, the world's kubeconfig to the outside.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::body::Body;
use futures::FutureExt as _;
use harness::real::Parts;
use harness::serve::{Cut, Handler, Place, Server};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// A running gate.
pub(crate) struct Gate {
    server: Server,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request that came.
pub(crate) struct Seen {
    /// Path and query.
    path: String,
}

impl Seen {
    /// Whether it is a watch, which is one request however long it lasts.
    pub(crate) fn is_watch(&self) -> bool {
        self.path.contains("watch=true") || self.path.contains("watch=1")
    }
}

impl Gate {
    pub(crate) async fn start(parts: &Parts) -> anyhow::Result<Self> {
        let client = super::cluster::client(parts).await?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = seen.clone();
        let handler: Handler = Arc::new(move |request: Request<Incoming>| {
            let (client, noted) = (client.clone(), noted.clone());
            async move {
                let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
                noted.lock().unwrap_or_else(PoisonError::into_inner).push(Seen { path });
                pass(&client, request).await.map_err(|_| Cut)
            }
            .boxed()
        });
        Ok(Self { server: Server::start(Place::loopback(0), handler).await?, seen })
    }

    /// Writes a kubeconfig that leads here.
    pub(crate) fn kubeconfig(&self, path: &Path, context: &str) -> anyhow::Result<()> {
        let config = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": context,
            "clusters": [{"name": "bench", "cluster": {"server": format!("http://{}", self.server.address())}}],
            "users": [{"name": "bench", "user": {}}],
            "contexts": [{"name": context, "context": {"cluster": "bench", "user": "bench"}}],
        });
        std::fs::write(path, config.to_string()).context("cannot write a kubeconfig")
    }

    /// What came since it was last asked.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn pass(client: &kube::Client, request: Request<Incoming>) -> anyhow::Result<Response<Body>> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    // The client names the server and asks for compression by itself.
    for own in [http::header::HOST, http::header::ACCEPT_ENCODING, http::header::CONNECTION] {
        head.headers.remove(own);
    }
    let path = head.uri.path_and_query().cloned();
    head.uri = path.map_or_else(|| http::Uri::from_static("/"), http::Uri::from);
    let request = Request::from_parts(head, kube::client::Body::from(body));
    let (head, body) = client.send(request).await?.into_parts();
    Ok(Response::from_parts(head, Body::new(body)))
}

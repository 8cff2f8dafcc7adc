//! An independent reader: plain requests to the agent's socket, plain git, and what the stand-ins hold. Nothing of the
//! product's own clients and types is in it, so that it shares none of their mistakes.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use axum::body::Body;
use harness::cluster::Cluster;
use harness::git::Repo;
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use serde_json::Value;

use crate::things::{App, Place, RESOURCES, resource};

/// One request over the socket. An error where nobody answers, and where the answer is no yes.
pub(crate) async fn request(socket: &Path, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
    let stream = tokio::net::UnixStream::connect(socket).await.context("nobody listens")?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let request = http::Request::builder().method(method).uri(path).header(http::header::HOST, "qd");
    let request = request.header(http::header::CONTENT_TYPE, "application/json").body(body)?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let bytes = answer.into_body().collect().await?.to_bytes();
    driver.abort();
    anyhow::ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&bytes));
    Ok(serde_json::from_slice(&bytes)?)
}

/// The objects of a state of one kind.
pub(crate) fn of_kind<'a>(state: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let objects = state["objects"].as_object().into_iter().flatten();
    objects.map(|(_, object)| object).filter(move |object| object["kind"] == kind)
}

/// The number of an id: `12` of `k7x2m-12`.
pub(crate) fn number(id: &Value) -> Option<u64> {
    id.as_str()?.rsplit_once('-')?.1.parse().ok()
}

/// The commit of a revision as it is written on the wire.
pub(crate) fn commit_of(revision: &Value) -> Option<String> {
    revision.as_str()?.rsplit(':').next().map(str::to_owned)
}

/// Objects by where they are.
pub(crate) type Objects = BTreeMap<Place, Value>;

/// What a commit wants of each application.
pub(crate) type Wanted = BTreeMap<App, Objects>;

/// What a commit wants. What is no manifest is left out.
pub(crate) fn wanted(deploy: &Repo, commit: &str) -> Wanted {
    let mut all: Wanted = App::ALL.into_iter().map(|app| (app, Objects::new())).collect();
    for path in deploy.git(&["ls-tree", "-r", "--name-only", commit, "--", "apps"]).lines() {
        let app = App::ALL.into_iter().find(|app| path.starts_with(&format!("apps/{}/", app.name())));
        let object = serde_json::from_str::<Value>(&deploy.file(commit, path));
        if let (Some(app), Ok(object)) = (app, object) {
            let resource = resource(object["kind"].as_str().unwrap_or_default());
            let above = object["kind"] == "CustomResourceDefinition";
            let namespace = if above { String::new() } else { app.namespace().to_owned() };
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            all.entry(app).or_default().insert(Place { resource, namespace, name }, object);
        }
    }
    all
}

/// What is in the cluster, of all that the fleet has.
pub(crate) fn live(cluster: &Cluster) -> Objects {
    let mut all = Objects::new();
    for resource in RESOURCES {
        for object in cluster.list(resource, "") {
            let part = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
            let place = Place { resource, namespace: part("namespace"), name: part("name") };
            all.insert(place, (*object).clone());
        }
    }
    all
}

/// Whether all that a manifest says is so in the cluster.
pub(crate) fn is_so(manifest: &Value, live: &Value) -> bool {
    match (manifest, live) {
        (Value::Object(manifest), Value::Object(live)) => {
            manifest.iter().all(|(name, value)| live.get(name).is_some_and(|live| is_so(value, live)))
        }
        (Value::Array(manifest), Value::Array(live)) => {
            manifest.len() == live.len() && manifest.iter().zip(live).all(|(value, live)| is_so(value, live))
        }
        _ => manifest == live,
    }
}

/// Whether an object is being deleted.
pub(crate) fn goes(object: &Value) -> bool {
    object["metadata"].get("deletionTimestamp").is_some()
}

/// The application that an object says it is of.
pub(crate) fn label(object: &Value) -> Option<&str> {
    object["metadata"]["labels"]["quarterdeck.dev/application"].as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_manifest_says_is_so_whatever_is_beside_it() {
        let manifest = json!({"data": {"a": "1"}, "list": [{"name": "x"}]});
        for (live, so) in [
            (json!({"data": {"a": "1", "b": "2"}, "list": [{"name": "x", "more": 1}], "status": {}}), true),
            (json!({"data": {"a": "2"}, "list": [{"name": "x"}]}), false),
            (json!({"data": {"a": "1"}, "list": [{"name": "x"}, {"name": "y"}]}), false),
            (json!({"list": [{"name": "x"}]}), false),
        ] {
            assert_eq!(is_so(&manifest, &live), so, "{live}");
        }
    }
}

//! The routes of containers and networks.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use bytes::{BufMut as _, Bytes, BytesMut};
use http::Response;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::answer::{Query, answered, failed};
use super::containers::{Asked, Progress};
use super::files::Node;
use super::{State, locked};

/// Answers what is about containers or networks; none where it is about something else.
pub(super) async fn answer(
    state: &Arc<State>,
    method: &str,
    path: &str,
    query: &Query,
    body: &[u8],
) -> Option<Response<Body>> {
    let container = |suffix: &str| path.strip_prefix("/containers/").and_then(|rest| rest.strip_suffix(suffix));
    Some(match (method, path) {
        ("POST", "/containers/create") => create(state, query, body),
        ("GET", "/containers/json") => answered(200, list(state, query)),
        ("POST", "/networks/create") => create_network(state, body),
        ("GET", "/networks") => answered(200, networks(state, query)),
        ("DELETE", _) if path.starts_with("/networks/") => remove_network(state, &path["/networks/".len()..]),
        ("POST", _) if container("/start").is_some() => start(state, container("/start")?),
        ("POST", _) if container("/wait").is_some() => wait(state, container("/wait")?).await,
        ("GET", _) if container("/logs").is_some() => logs(state, container("/logs")?, query),
        ("GET", _) if container("/archive").is_some() => archive(state, container("/archive")?, query),
        ("GET", _) if container("/json").is_some() => inspect(state, container("/json")?),
        ("DELETE", _) if container("").is_some() => remove(state, container("")?),
        _ => return None,
    })
}

fn nothing(status: u16) -> Response<Body> {
    Response::builder().status(status).body(Body::empty()).expect("a plain answer")
}

fn unknown(name: &str) -> Response<Body> {
    failed(404, &format!("No such container: {name}"))
}

fn create(state: &State, query: &Query, body: &[u8]) -> Response<Body> {
    let asked: Asked = match serde_json::from_slice(body) {
        Ok(asked) => asked,
        Err(error) => return failed(400, &error.to_string()),
    };
    let found = state.images().find(&asked.image).map(|(id, _)| id.to_owned());
    let Some(image) = found else { return failed(404, &format!("No such image: {}", asked.image)) };
    let mut containers = locked(&state.containers);
    match containers.create(query.first("name").unwrap_or("unnamed"), image, asked) {
        Err((status, message)) => failed(status, &message),
        Ok(id) => {
            let record = containers.all[&id].record();
            locked(&state.ran).push(record);
            answered(201, json!({ "Id": id, "Warnings": [] }))
        }
    }
}

fn start(state: &Arc<State>, name: &str) -> Response<Body> {
    match locked(&state.containers).find(name) {
        None => unknown(name),
        Some((_, container)) => match container.start(state.clone()) {
            Ok(()) => nothing(204),
            Err(message) => failed(400, &message),
        },
    }
}

fn inspect(state: &State, name: &str) -> Response<Body> {
    match locked(&state.containers).find(name) {
        None => unknown(name),
        Some((id, container)) => answered(200, container.inspect(id)),
    }
}

fn list(state: &State, query: &Query) -> Value {
    let (labels, containers) = (query.filter("label"), locked(&state.containers));
    let found = containers.all.iter().filter(|(_, one)| labels.iter().all(|label| one.has_label(label)));
    found.map(|(id, one)| json!({ "Id": id, "Names": [format!("/{}", one.name)], "ImageID": one.image })).collect()
}

fn remove(state: &State, name: &str) -> Response<Body> {
    let mut containers = locked(&state.containers);
    match containers.find(name).map(|(id, _)| id.clone()) {
        None => unknown(name),
        Some(id) => {
            containers.all.remove(&id);
            nothing(204)
        }
    }
}

fn create_network(state: &State, body: &[u8]) -> Response<Body> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Asked {
        name: String,
        #[serde(default)]
        labels: BTreeMap<String, String>,
    }
    match serde_json::from_slice::<Asked>(body) {
        Ok(asked) => {
            let id = locked(&state.containers).create_network(&asked.name, asked.labels);
            answered(201, json!({ "Id": id, "Warning": "" }))
        }
        Err(error) => failed(400, &error.to_string()),
    }
}

fn networks(state: &State, query: &Query) -> Value {
    let (labels, containers) = (query.filter("label"), locked(&state.containers));
    let found = containers.networks.iter().filter(|(_, one)| labels.iter().all(|label| one.has_label(label)));
    found.map(|(id, one)| json!({ "Id": id, "Name": one.name })).collect()
}

/// A network with containers on it stays, as the daemon has it.
fn remove_network(state: &State, id: &str) -> Response<Body> {
    let mut containers = locked(&state.containers);
    let Some(network) = containers.networks.get(id) else { return failed(404, &format!("network {id} not found")) };
    let name = network.name.clone();
    if containers.all.values().any(|one| one.record().network == name) {
        return failed(403, &format!("error while removing network: network {name} has active endpoints"));
    }
    containers.networks.remove(id);
    nothing(204)
}

async fn wait(state: &State, name: &str) -> Response<Body> {
    let progress = locked(&state.containers).find(name).map(|(_, container)| container.progress.subscribe());
    let Some(mut progress) = progress else { return unknown(name) };
    let code = progress.wait_for(|progress| progress.has_ended).await.map_or(137, |progress| progress.exit_code);
    answered(200, json!({ "StatusCode": code }))
}

/// What it writes, in the daemon's frames: 1 (standard output), three zeroes, the length.
fn logs(state: &State, name: &str, query: &Query) -> Response<Body> {
    let progress = locked(&state.containers).find(name).map(|(_, container)| container.progress.subscribe());
    let Some(mut progress) = progress else { return unknown(name) };
    let follow = query.on("follow");
    let (sender, receiver) = mpsc::channel::<std::io::Result<Bytes>>(8);
    tokio::spawn(async move {
        let mut told = 0;
        loop {
            let Progress { log, has_ended, .. } = progress.borrow_and_update().clone();
            for text in &log[told..] {
                let mut frame = BytesMut::with_capacity(text.len() + 8);
                frame.put_u32(1 << 24);
                frame.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
                frame.extend_from_slice(text);
                if sender.send(Ok(frame.freeze())).await.is_err() {
                    return;
                }
            }
            told = log.len();
            if has_ended || !follow || progress.changed().await.is_err() {
                return;
            }
        }
    });
    let body = Body::from_stream(ReceiverStream::new(receiver));
    Response::builder().header(CONTENT_TYPE, "application/vnd.docker.raw-stream").body(body).expect("a plain answer")
}

/// Files of the image: the container itself writes none.
fn archive(state: &State, name: &str, query: &Query) -> Response<Body> {
    let image = locked(&state.containers).find(name).map(|(_, container)| container.image.clone());
    let Some(image) = image else { return unknown(name) };
    let path = query.first("path").unwrap_or("/").trim_matches('/').to_owned();
    let images = state.images();
    let root = images.find(&image).map(|(_, image)| images.root(&image.layers)).unwrap_or_default();
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let mut archive = tar::Builder::new(Vec::new());
    let mut found = false;
    for (file, node) in root.iter().filter(|(file, _)| **file == path || file.starts_with(&format!("{path}/"))) {
        found = true;
        let Node::File { bytes, .. } = node else { continue };
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        let inside = file.strip_prefix(parent).unwrap_or(file).trim_start_matches('/');
        archive.append_data(&mut header, inside, &bytes[..]).expect("a tar in memory");
    }
    if !found {
        return failed(404, &format!("Could not find the file /{path} in container {name}"));
    }
    let packed = archive.into_inner().expect("a tar in memory");
    Response::builder().header(CONTENT_TYPE, "application/x-tar").body(packed.into()).expect("a plain answer")
}

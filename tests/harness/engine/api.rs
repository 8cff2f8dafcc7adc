//! The routes of the stand-in engine, with and without the `/v1.xx` in front.

use std::sync::Arc;

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::answer::{API_VERSION, Query, answered, failed};
use super::build::{BuildAsked, build};
use super::dockerfile::Dockerfile;
use super::files::{Node, read_tar, resolve};
use super::images::{Image, with_tag};
use super::output::{Output, Stop};
use super::remote::{Login, Remote};
use super::{BuildRecord, Outcome, PushRecord, State, container_api, load, locked, pull, push, session};
use crate::serve::{Answer, Cut};

pub(super) async fn answer(state: Arc<State>, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let query = Query::of(parts.uri.query().unwrap_or(""));
    let path = unversioned(parts.uri.path()).to_owned();
    if let Some(answer) = container_api::answer(&state, parts.method.as_str(), &path, &query, &body).await {
        return Ok(answer);
    }
    let image = |suffix: &str| path.strip_prefix("/images/").and_then(|rest| rest.strip_suffix(suffix));
    Ok(match (parts.method.as_str(), path.as_str()) {
        ("GET" | "HEAD", "/_ping") => ping(&state),
        ("GET", "/version") => answered(200, version()),
        ("GET", "/info") => answered(200, info(&state)),
        ("POST", "/session") if state.plan().buildkit => session::open(&state, parts),
        ("POST", "/auth") => check_login(&body).await,
        ("POST", "/build") => start_build(&state, &query, &body),
        ("GET", "/images/json") => answered(200, list(&state, &query)),
        ("POST", "/images/load") => load::load(&state, &body),
        ("POST", "/images/create") => start_pull(state, &parts, &query),
        ("GET", _) if image("/json").is_some() => inspect(&state, image("/json").unwrap_or("")),
        ("POST", _) if image("/tag").is_some() => tag(&state, image("/tag").unwrap_or(""), &query),
        ("POST", _) if image("/push").is_some() => start_push(state, &parts, image("/push").unwrap_or(""), &query),
        ("DELETE", _) if image("").is_some() => remove(&state, image("").unwrap_or("")),
        _ => failed(404, "page not found"),
    })
}

fn ping(state: &State) -> Response<Body> {
    let builder = state.plan().builder_version.clone().unwrap_or_else(|| "1".to_owned());
    let answer = Response::builder().header("api-version", API_VERSION).header("builder-version", builder);
    let answer = answer
        .header("ostype", "linux")
        .header("docker-experimental", "false")
        .header("server", "Docker/20.10.24 (linux)");
    answer.header(CONTENT_TYPE, "text/plain; charset=utf-8").body("OK".into()).expect("a plain answer")
}

fn version() -> Value {
    json!({
        "Platform": { "Name": "stand-in engine" }, "Version": "20.10.24", "ApiVersion": API_VERSION, "MinAPIVersion": "1.12",
        "GitCommit": "stand-in", "GoVersion": "none", "Os": "linux", "Arch": "amd64", "KernelVersion": "none",
        "Components": [{ "Name": "Engine", "Version": "20.10.24", "Details": { "ApiVersion": API_VERSION } }],
    })
}

fn info(state: &State) -> Value {
    json!({
        "ID": "STAND-IN", "Name": "stand-in", "ServerVersion": "20.10.24", "OperatingSystem": "stand-in engine", "OSType": "linux",
        "Architecture": "x86_64", "Images": state.images().tagged().len(), "Containers": 0, "Driver": "memory", "NCPU": 1,
    })
}

async fn check_login(body: &[u8]) -> Response<Body> {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let address = asked["serveraddress"].as_str().unwrap_or("").trim_start_matches("http://").to_owned();
    let login = serde_json::from_value::<Login>(asked).ok();
    match Remote::connect(&format!("{address}/-"), login, "pull").await {
        Ok(_) => answered(200, json!({ "Status": "Login Succeeded", "IdentityToken": "" })),
        Err(Stop::Failed { message, .. }) => failed(401, &message),
        Err(_) => failed(500, "cut"),
    }
}

fn start_build(state: &Arc<State>, query: &Query, context: &[u8]) -> Response<Body> {
    let traced = query.first("version") == Some("2");
    if traced && !state.plan().buildkit {
        return failed(400, "Builder V2 unavailable");
    }
    if query.first("remote").is_some() {
        return failed(400, "the stand-in engine takes its context from the request only");
    }
    let tree = match read_tar(context) {
        Ok(tree) => tree,
        Err(error) => return failed(500, &format!("Error processing tar file(exit status 1): {error}")),
    };
    let path = query.first("dockerfile").unwrap_or("Dockerfile");
    let Some(Node::File { bytes, .. }) = tree.get(&resolve(path, "")) else {
        return failed(500, &format!("Cannot locate specified Dockerfile: {path}"));
    };
    let parsed = Dockerfile::parse(&String::from_utf8_lossy(bytes), path);
    let file = match parsed.and_then(|file| file.up_to(query.first("target").unwrap_or(""))) {
        Ok(file) => file,
        Err(words) => return failed(400, &words),
    };
    let asked = BuildAsked {
        context: tree,
        args: query.map("buildargs"),
        labels: query.map("labels"),
        tags: query.all("t"),
        no_cache: query.on("nocache"),
        session: query.first("session").filter(|_| traced).map(str::to_owned),
    };
    let record = BuildRecord {
        tags: asked.tags.clone(),
        labels: asked.labels.clone(),
        args: asked.args.keys().cloned().collect(),
        platform: query.first("platform").map(str::to_owned),
        cache_from: query.first("cachefrom").and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default(),
        context_bytes: context.len() as u64,
        outcome: Outcome::Running,
    };
    let quiet = query.on("q");
    let (out, body) = Output::new(quiet, state.plan().build_faults.pop_front());
    let out = if traced { out.traced() } else { out };
    let index = begin(&mut locked(&state.builds), record);
    let state = state.clone();
    tokio::spawn(async move {
        let result = match out.vertex("[internal] load remote build context").await {
            Ok(()) => build(&state, file, &asked, &out).await,
            Err(stop) => Err(stop),
        };
        let outcome = match &result {
            Ok(built) if built.cached => Outcome::Cached(built.id.clone()),
            Ok(built) => Outcome::Done(built.id.clone()),
            Err(stop) => outcome_of(stop),
        };
        locked(&state.builds)[index].outcome = outcome;
        match result {
            Ok(built) if quiet => drop(out.line(json!({ "stream": format!("{}\n", built.id) })).await),
            Ok(built) => drop(out.built(&built.id).await),
            Err(stop) => out.end(&stop).await,
        }
    });
    streamed(body)
}

fn start_push(state: Arc<State>, parts: &Parts, name: &str, query: &Query) -> Response<Body> {
    let name = name.to_owned();
    let tags = query.first("tag").map_or_else(|| state.images().tags_of_name(&name), |tag| vec![tag.to_owned()]);
    let login = Login::from_header(header(parts, "x-registry-auth"));
    let (out, body) = Output::new(false, state.plan().push_faults.pop_front());
    tokio::spawn(async move {
        if tags.is_empty() {
            out.end(&Stop::failed(format!("An image does not exist locally with the tag: {name}"))).await;
        }
        for tag in tags {
            let record = PushRecord { reference: format!("{name}:{tag}"), outcome: Outcome::Running };
            let index = begin(&mut locked(&state.pushes), record);
            let result = push::push(&state, &name, &tag, login.clone(), &out).await;
            locked(&state.pushes)[index].outcome = match &result {
                Ok(digest) => Outcome::Done(digest.clone()),
                Err(stop) => outcome_of(stop),
            };
            if let Err(stop) = result {
                return out.end(&stop).await;
            }
        }
    });
    streamed(body)
}

fn start_pull(state: Arc<State>, parts: &Parts, query: &Query) -> Response<Body> {
    let Some(name) = query.first("fromImage") else { return failed(400, "the stand-in engine imports nothing") };
    let reference = match query.first("tag") {
        Some(digest) if digest.contains(':') => format!("{name}@{digest}"),
        Some(tag) => format!("{name}:{tag}"),
        None => with_tag(name),
    };
    let login = Login::from_header(header(parts, "x-registry-auth"));
    let (out, body) = Output::new(false, None);
    tokio::spawn(async move {
        if let Err(stop) = pull::pull(&state, &reference, login, &out).await {
            out.end(&stop).await;
        }
    });
    streamed(body)
}

fn list(state: &State, query: &Query) -> Value {
    let (labels, references) = (query.filter("label"), query.filter("reference"));
    let images = state.images();
    let mut found: Vec<(String, Image)> = images.tagged();
    found.retain(|(id, image)| {
        let has = |label: &String| match label.split_once('=') {
            Some((key, value)) => image.config.config.labels.get(key).is_some_and(|of| of == value),
            None => image.config.config.labels.contains_key(label),
        };
        let named = |reference: &String| {
            images.tags_of(id).iter().any(|tag| tag == reference || tag.starts_with(&format!("{reference}:")))
        };
        labels.iter().all(has) && (references.is_empty() || references.iter().any(named))
    });
    found.sort_by_key(|(id, image)| (std::cmp::Reverse(image.since), id.clone()));
    let summary = |(id, image): &(String, Image)| {
        json!({
            "Id": id, "ParentId": "", "RepoTags": images.tags_of(id), "RepoDigests": images.digests_of(id), "Created": image.since,
            "Size": size(image), "SharedSize": -1, "Labels": image.config.config.labels, "Containers": -1,
        })
    };
    found.iter().map(summary).collect()
}

fn inspect(state: &State, name: &str) -> Response<Body> {
    let images = state.images();
    let Some((id, image)) = images.find(name) else {
        return failed(404, &format!("No such image: {}", with_tag(name)));
    };
    answered(
        200,
        json!({
            "Id": id, "RepoTags": images.tags_of(id), "RepoDigests": images.digests_of(id), "Parent": "", "Comment": "",
            "Created": image.config.created, "Author": "", "Config": image.config.config, "Architecture": image.config.architecture,
            "Os": image.config.os, "Size": size(image), "RootFS": { "Type": "layers", "Layers": image.config.rootfs.diff_ids },
        }),
    )
}

fn tag(state: &State, name: &str, query: &Query) -> Response<Body> {
    let id = state.images().find(name).map(|(id, _)| id.to_owned());
    let Some(id) = id else { return failed(404, &format!("No such image: {}", with_tag(name))) };
    let repository = query.first("repo").unwrap_or("");
    if repository.is_empty() || repository.contains(char::is_uppercase) {
        return failed(400, "invalid reference format");
    }
    state.images().tag(&id, &format!("{repository}:{}", query.first("tag").unwrap_or("latest")));
    Response::builder().status(201).body(Body::empty()).expect("a plain answer")
}

/// An image with a container stays, as the daemon has it.
fn remove(state: &State, name: &str) -> Response<Body> {
    let id = |name: &str| state.images().find(name).map(|(id, _)| id.to_owned());
    let of_image = id(name);
    let used =
        locked(&state.containers).all.values().any(|container| of_image.is_some() && id(&container.image) == of_image);
    if used {
        return failed(409, &format!("conflict: unable to remove repository reference \"{name}\" (must force)"));
    }
    match state.images().remove(name) {
        None => failed(404, &format!("No such image: {}", with_tag(name))),
        Some((untagged, deleted)) => {
            let untagged = untagged.into_iter().map(|tag| json!({ "Untagged": tag }));
            answered(200, untagged.chain(deleted.map(|id| json!({ "Deleted": id }))).collect())
        }
    }
}

fn begin<T>(records: &mut Vec<T>, record: T) -> usize {
    records.push(record);
    records.len() - 1
}

fn outcome_of(stop: &Stop) -> Outcome {
    match stop {
        Stop::Failed { message, .. } => Outcome::Failed(message.clone()),
        Stop::Gone | Stop::Cut => Outcome::Cut,
    }
}

fn size(image: &Image) -> u64 {
    image.layers.iter().map(|layer| layer.size).sum()
}

fn header<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name).and_then(|value| value.to_str().ok())
}

fn unversioned(path: &str) -> &str {
    let rest = path.strip_prefix("/v1.").map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    rest.filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

fn streamed(body: Body) -> Response<Body> {
    Response::builder().header(CONTENT_TYPE, "application/json").body(body).expect("a plain answer")
}

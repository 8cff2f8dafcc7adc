//! One request to the stand-in registry, from fault and login to the answer.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, RANGE, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::json;

use super::State;
use super::auth::Refusal;
use super::fault::{Fault, Step, code_of};
use super::harbor;
use super::reply::{failure, ok, respond};
use super::route::{Route, action};
use super::store::{Manifest, Refused, digest_of};
use crate::serve::{Answer, Cut, query_pairs};

/// What a client that is told another digest gets to see.
const OTHER_DIGEST: &str = "sha256:bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0";

pub(super) async fn answer(state: Arc<State>, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    if let Some(path) = parts.uri.path().strip_prefix("/api/v2.0/") {
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        return harbor::answer(&state, path, &parts, &body);
    }
    let Some(route) = Route::parse(parts.uri.path()) else {
        state.faults().take(Step::Other);
        return Ok(failure(404, "NAME_INVALID", "invalid repository name"));
    };
    let step = route.step(&parts.method);

    let fault = state.faults().take(step);
    let mut other_digest = false;
    match fault {
        Some(Fault::Status(status)) => {
            let (code, message) = code_of(status);
            return Ok(failure(status, code, message));
        }
        Some(Fault::Busy(seconds)) => {
            let (code, message) = code_of(429);
            let mut answer = failure(429, code, message);
            answer.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
            return Ok(answer);
        }
        Some(Fault::Words(status, words)) => return Ok(respond(status).body(words.into()).expect("a plain answer")),
        Some(Fault::CutAfter(bytes)) => return Err(read_then_cut(body, bytes).await),
        Some(Fault::Slow(delay)) => tokio::time::sleep(delay).await,
        Some(Fault::OtherDigest) => other_digest = true,
        None => {}
    }

    let query: Vec<(String, String)> = query_pairs(parts.uri.query().unwrap_or(""));
    let authorization = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if route == Route::Token {
        return Ok(token(&state, authorization, &query));
    }
    let allowed = state.gate().check(state.address(), authorization, route.repository(), action(&parts.method));
    if let Err(refusal) = allowed {
        return Ok(refuse(refusal));
    }

    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let mut response = perform(&state, &parts.method, &parts.headers, route, &query, body);
    if other_digest && response.status().is_success() {
        response.headers_mut().insert("docker-content-digest", OTHER_DIGEST.parse().expect("a header value"));
    }
    Ok(response)
}

fn perform(
    state: &State,
    method: &Method,
    headers: &HeaderMap,
    route: Route,
    query: &[(String, String)],
    body: Bytes,
) -> Response<Body> {
    let asked = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    match (method.as_str(), route) {
        ("GET" | "HEAD", Route::Version) => ok(200).body("{}".into()).expect("a plain answer"),
        ("GET" | "HEAD", Route::Blob { repository, digest }) => match state.store().blob(&repository, &digest) {
            Some(bytes) => content(method, "application/octet-stream", &digest, bytes),
            None => failure(404, "BLOB_UNKNOWN", "blob unknown to registry"),
        },
        ("POST", Route::Uploads { repository }) => {
            begin_upload(state, &repository, asked("mount"), asked("from"), asked("digest"), body)
        }
        ("PATCH", Route::Upload { repository, id }) => append(state, headers, &repository, &id, &body),
        ("PUT", Route::Upload { repository, id }) => finish(state, &repository, &id, asked("digest"), &body),
        ("GET", Route::Upload { repository, id }) => {
            let length = state.store().upload(&id).map(|bytes| bytes.len());
            match length {
                Some(length) => continued(204, &repository, &id, length),
                None => failure(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"),
            }
        }
        ("DELETE", Route::Upload { id, .. }) => match state.store().forget_upload(&id) {
            true => ok(204).body(Body::empty()).expect("a plain answer"),
            false => failure(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"),
        },
        ("GET" | "HEAD", Route::Manifest { repository, reference }) => {
            match state.store().manifest(&repository, &reference) {
                Some((digest, manifest)) => content(method, &manifest.media_type, &digest, manifest.bytes),
                None => failure(404, "MANIFEST_UNKNOWN", "manifest unknown"),
            }
        }
        ("PUT", Route::Manifest { repository, reference }) => {
            put_manifest(state, headers, &repository, &reference, body)
        }
        ("DELETE", Route::Manifest { repository, reference }) => {
            match state.store().delete_manifest(&repository, &reference) {
                true => ok(202).body(Body::empty()).expect("a plain answer"),
                false => failure(404, "MANIFEST_UNKNOWN", "manifest unknown"),
            }
        }
        ("GET", Route::Tags { repository }) => {
            let Some((answer, body)) = tags(state, &repository, asked("n"), asked("last")) else {
                return failure(404, "NAME_UNKNOWN", "repository name not known to registry");
            };
            let is_known_again = state.store().knows_lists_again;
            if is_known_again { known_again(state, headers, (answer, body)) } else { answer }
        }
        ("GET", Route::Referrers { repository, digest }) => referrers(state, &repository, &digest, asked("after")),
        _ => failure(405, "UNSUPPORTED", "the operation is unsupported"),
    }
}

fn token(state: &State, authorization: Option<&str>, query: &[(String, String)]) -> Response<Body> {
    let scopes: Vec<String> = query.iter().filter(|(key, _)| key == "scope").map(|(_, value)| value.clone()).collect();
    match state.gate().token(authorization, &scopes) {
        Some(token) => {
            let answer = json!({ "token": token, "access_token": token, "expires_in": 300 });
            respond(200).body(answer.to_string().into()).expect("a plain answer")
        }
        None => {
            let answer = json!({ "details": "incorrect username or password" });
            respond(401).body(answer.to_string().into()).expect("a plain answer")
        }
    }
}

fn refuse(refusal: Refusal) -> Response<Body> {
    match refusal {
        Refusal::Denied => failure(403, "DENIED", "requested access to the resource is denied"),
        Refusal::Challenge(challenge) => {
            let mut response = failure(401, "UNAUTHORIZED", "authentication required");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge.parse().expect("a header value"));
            response
        }
    }
}

fn begin_upload(
    state: &State,
    repository: &str,
    mount: Option<&str>,
    from: Option<&str>,
    digest: Option<&str>,
    body: Bytes,
) -> Response<Body> {
    if let (Some(digest), Some(from)) = (mount, from)
        && state.store().mount(repository, digest, from)
    {
        return created(format!("/v2/{repository}/blobs/{digest}"), digest);
    }
    let id = state.store().begin_upload();
    if let Some(digest) = digest {
        return finish(state, repository, &id, Some(digest), &body);
    }
    continued(202, repository, &id, 0)
}

fn append(state: &State, headers: &HeaderMap, repository: &str, id: &str, body: &[u8]) -> Response<Body> {
    let mut store = state.store();
    let Some(upload) = store.upload(id) else {
        return failure(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
    };
    // `Content-Range: 0-99` has no unit here. A piece out of order is refused, with where to go on.
    let start = headers.get("content-range").and_then(|range| range.to_str().ok()?.split('-').next()?.parse().ok());
    if start.is_some_and(|start: usize| start != upload.len()) {
        return continued(416, repository, id, upload.len());
    }
    upload.extend_from_slice(body);
    continued(202, repository, id, upload.len())
}

fn finish(state: &State, repository: &str, id: &str, digest: Option<&str>, body: &[u8]) -> Response<Body> {
    let Some(digest) = digest else { return failure(400, "DIGEST_INVALID", "digest parameter missing") };
    let mut store = state.store();
    let Some(upload) = store.upload(id) else {
        return failure(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
    };
    upload.extend_from_slice(body);
    if store.finish_upload(repository, id, digest) {
        created(format!("/v2/{repository}/blobs/{digest}"), digest)
    } else {
        failure(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
    }
}

fn put_manifest(state: &State, headers: &HeaderMap, repository: &str, reference: &str, bytes: Bytes) -> Response<Body> {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("application/json");
    if state.harbor().rules.hold(repository, reference) && state.store().digest(repository, reference).is_some() {
        let name = repository.split_once('/').map_or(repository, |(_, name)| name);
        let message = format!("Failed to process request due to '{name}:{reference}' configured as immutable.");
        return failure(412, "PRECONDITION", &message);
    }
    let subject = subject_of(&bytes);
    let manifest = Manifest { media_type: media_type.to_owned(), bytes };
    match state.store().put_manifest(repository, reference, manifest) {
        Ok(digest) => {
            let mut answer = created(format!("/v2/{repository}/manifests/{digest}"), &digest);
            // By which a client knows that it need not keep a list of referrers itself.
            if let Some(subject) = subject.and_then(|subject| subject.parse().ok()) {
                answer.headers_mut().insert("oci-subject", subject);
            }
            answer
        }
        Err(Refused::Digest) => failure(400, "DIGEST_INVALID", "provided digest did not match uploaded content"),
        Err(Refused::NotJson) => failure(400, "MANIFEST_INVALID", "manifest invalid"),
        Err(Refused::MissingBlob(digest)) => {
            failure(404, "MANIFEST_BLOB_UNKNOWN", &format!("blob unknown to registry: {digest}"))
        }
    }
}

/// The digest of what a manifest refers to.
fn subject_of(manifest: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(manifest).ok()?;
    json["subject"]["digest"].as_str().map(str::to_owned)
}

/// A page, and its text; none of a repository that nobody pushed to.
fn tags(state: &State, repository: &str, n: Option<&str>, last: Option<&str>) -> Option<(Response<Body>, String)> {
    let store = state.store();
    if !store.knows(repository) {
        return None;
    }
    let mut left: Vec<String> = store.tags(repository);
    left.retain(|tag| last.is_none_or(|last| tag.as_str() > last));
    let page_size = n.and_then(|n| n.parse().ok()).unwrap_or(usize::MAX).min(store.page_max.unwrap_or(usize::MAX));
    let more = left.len() > page_size && page_size > 0;
    left.truncate(page_size);
    let mut answer = respond(200);
    if let (true, Some(last)) = (more, left.last()) {
        answer = answer.header("link", format!("</v2/{repository}/tags/list?n={page_size}&last={last}>; rel=\"next\""));
    }
    let body = json!({ "name": repository, "tags": left }).to_string();
    Some((answer.body(body.clone().into()).expect("a plain answer"), body))
}

/// The list with an `ETag`, or `304` where the client has it.
fn known_again(state: &State, headers: &HeaderMap, (mut answer, body): (Response<Body>, String)) -> Response<Body> {
    let etag = format!("\"{}\"", digest_of(body.as_bytes()));
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        state.store().unchanged += 1;
        return ok(304).header(ETAG, etag).body(Body::empty()).expect("a plain answer");
    }
    answer.headers_mut().insert(ETAG, etag.parse().expect("a header value"));
    answer
}

/// A page of what refers to a digest, and where the next one is.
fn referrers(state: &State, repository: &str, subject: &str, after: Option<&str>) -> Response<Body> {
    let (mut found, page_size) = {
        let store = state.store();
        (store.referrers(repository, subject), store.referrers_page_max.unwrap_or(usize::MAX))
    };
    found.retain(|(digest, ..)| after.is_none_or(|after| digest.as_str() > after));
    let more = found.len() > page_size;
    found.truncate(page_size);
    let last = found.last().map(|(digest, ..)| digest.clone()).filter(|_| more);
    let manifests: Vec<_> = found
        .into_iter()
        .map(|(digest, manifest, json)| {
            json!({
                "mediaType": manifest.media_type,
                "digest": digest,
                "size": manifest.bytes.len(),
                "artifactType": json["artifactType"].as_str().or(json["config"]["mediaType"].as_str()),
                "annotations": json["annotations"],
            })
        })
        .collect();
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": manifests });
    let mut answer = ok(200).header(CONTENT_TYPE, media_type);
    if let Some(last) = last {
        answer = answer.header("link", format!("</v2/{repository}/referrers/{subject}?after={last}>; rel=\"next\""));
    }
    answer.body(index.to_string().into()).expect("a plain answer")
}

async fn read_then_cut(mut body: Incoming, bytes: usize) -> Cut {
    let mut read = 0;
    while read < bytes {
        match body.frame().await {
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, Bytes::len),
            _ => break,
        }
    }
    Cut
}

fn content(method: &Method, media_type: &str, digest: &str, bytes: Bytes) -> Response<Body> {
    debug_assert_eq!(digest, digest_of(&bytes));
    let answer = ok(200)
        .header(CONTENT_TYPE, media_type)
        .header(CONTENT_LENGTH, bytes.len())
        .header("docker-content-digest", digest);
    let body = if method == Method::HEAD { Body::empty() } else { bytes.into() };
    answer.body(body).expect("a plain answer")
}

fn created(location: String, digest: &str) -> Response<Body> {
    let answer = ok(201).header(LOCATION, location).header("docker-content-digest", digest);
    answer.body(Body::empty()).expect("a plain answer")
}

/// Where an upload goes on. The location already holds a query, to which clients have to append.
fn continued(status: u16, repository: &str, id: &str, length: usize) -> Response<Body> {
    ok(status)
        .header(LOCATION, format!("/v2/{repository}/blobs/uploads/{id}?state=here"))
        .header(RANGE, format!("0-{}", length.saturating_sub(1)))
        .header("docker-upload-uuid", id)
        .body(Body::empty())
        .expect("a plain answer")
}

//! Create, update, patch, delete; and the reviews of access, which are created and not kept.

use std::sync::Arc;

use axum::response::Response;
use serde_json::{Value, json};

use super::reads::scale_of;
use super::{About, Ask, json_response};
use crate::cluster::Shared;
use crate::cluster::clock::Clock;
use crate::cluster::delete::{self, Terms};
use crate::cluster::failure::{Failure, Problem};
use crate::cluster::faults::Hit;
use crate::cluster::route::Target;
use crate::cluster::store::{Key, number, text};
use crate::cluster::write::{self, Part, Patch, Strictness, Write, Written};

fn terms(about: &About, ask: &Ask) -> Result<Write, Failure> {
    let part = match about.target.subresource.as_str() {
        "status" => Part::Status,
        "scale" => Part::Scale,
        _ => Part::Main,
    };
    let strictness = match ask.query.get("fieldValidation") {
        "Strict" => Strictness::Strict,
        "Ignore" => Strictness::Ignore,
        _ => Strictness::Warn,
    };
    let dry_run = match ask.query.get("dryRun") {
        "" => false,
        "All" => true,
        other => {
            let problem = Problem::unsupported("dryRun", &json!([other]), &["All"]);
            return Err(Failure::invalid_as("meta.k8s.io", "PatchOptions", "", &[problem]));
        }
    };
    Ok(Write {
        kind: about.kind.clone(),
        key: about.key(),
        part,
        manager: ask.manager(),
        dry_run,
        strictness,
        force: ask.query.flag("force"),
        now: Clock::read().stamp(),
    })
}

fn answer(about: &About, ask: &Ask, written: &Written) -> Response {
    let mut response =
        json_response(if written.created { 201 } else { 200 }, &ask.view().show(&about.kind, &written.object));
    written.warnings.iter().for_each(|warning| warn(&mut response, warning));
    response
}

fn warn(response: &mut Response, warning: &str) {
    if let Ok(value) = http::HeaderValue::from_str(&format!("299 - {warning:?}")) {
        response.headers_mut().append(http::header::WARNING, value);
    }
}

pub(super) fn create(shared: &Shared, about: &About, ask: &Ask) -> Result<Response, Failure> {
    let body = ask.object()?;
    let mut write = terms(about, ask)?;
    let written = shared.with(|world| write::create(&mut world.state, &mut write, body))?;
    Ok(answer(about, ask, &written))
}

pub(super) fn change(shared: &Shared, about: &About, ask: &Ask, verb: &str) -> Result<Response, Failure> {
    let body = ask.object()?;
    let write = terms(about, ask)?;
    let written = if verb == "update" {
        shared.with(|world| write::replace(&mut world.state, &write, body))?
    } else {
        let patch = patch(ask, body)?;
        if about.kind.custom && matches!(patch, Patch::Strategic(_)) {
            let message = "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
            return Err(Failure::unsupported_media(message));
        }
        shared.with(|world| write::patch(&mut world.state, &write, patch))?
    };
    Ok(answer(about, ask, &written))
}

fn patch(ask: &Ask, body: Value) -> Result<Patch, Failure> {
    match ask.content_type.split(';').next().unwrap_or_default() {
        "application/apply-patch+yaml" => {
            if ask.query.get("fieldManager").is_empty() {
                let problem = Problem::required("fieldManager", "is required for apply patch");
                return Err(Failure::invalid_as("meta.k8s.io", "PatchOptions", "", &[problem]));
            }
            Ok(Patch::Apply(body))
        }
        _ if ask.query.flag("force") => {
            let problem = Problem::forbidden("force", "may not be specified for non-apply patch");
            Err(Failure::invalid_as("meta.k8s.io", "PatchOptions", "", &[problem]))
        }
        "application/merge-patch+json" => Ok(Patch::Merge(body)),
        "application/json-patch+json" => Ok(Patch::Json(body)),
        "application/strategic-merge-patch+json" => Ok(Patch::Strategic(body)),
        _ => Err(Failure::unsupported_media("415: Unsupported Media Type")),
    }
}

/// A `Scale` that is replaced or patched sets the replicas of its workload.
pub(super) fn scale(shared: &Shared, about: &About, ask: &Ask) -> Result<Response, Failure> {
    let body = ask.object()?;
    let write = terms(about, ask)?;
    let written = shared.with(|world| {
        let live = world.state.get(&write.key).cloned();
        let live = live.ok_or_else(|| Failure::not_found(&about.kind, &about.target.name))?;
        let mut scale = scale_of(&live);
        match ask.method.as_str() {
            "PUT" => scale = body,
            _ => match patch(ask, body)? {
                Patch::Json(operations) => {
                    scale = crate::cluster::patch::json::apply(&scale, &operations)
                        .map_err(|error| Failure::bad_request(error.to_string()))?;
                }
                Patch::Merge(changes) | Patch::Strategic(changes) | Patch::Apply(changes) => {
                    crate::cluster::patch::merge(&mut scale, &changes);
                }
            },
        }
        let mut change = json!({"spec": {"replicas": number(&scale, "/spec/replicas").unwrap_or(0)}});
        if let Some(revision) = Some(text(&scale, "/metadata/resourceVersion")).filter(|revision| !revision.is_empty())
        {
            change["metadata"] = json!({ "resourceVersion": revision });
        }
        write::patch(&mut world.state, &write, Patch::Merge(change))
    })?;
    Ok(json_response(200, &scale_of(&written.object)))
}

fn delete_terms(ask: &Ask) -> Result<Terms, Failure> {
    let body = if ask.body.is_empty() { Value::Null } else { ask.object()? };
    Ok(Terms::read(&body, &|name| ask.query.get(name).to_owned()))
}

pub(super) fn delete(shared: &Shared, about: &About, ask: &Ask) -> Result<Response, Failure> {
    let terms = delete_terms(ask)?;
    let now = Clock::read().stamp();
    let deleted = shared.with(|world| delete::delete(&mut world.state, &about.kind, &about.key(), &terms, &now))?;
    let mut response = json_response(200, &deleted.body);
    deleted.warning.into_iter().for_each(|warning| warn(&mut response, warning));
    Ok(response)
}

pub(super) fn delete_all(shared: &Shared, about: &About, ask: &Ask) -> Result<Response, Failure> {
    let terms = delete_terms(ask)?;
    let selector = about.selector(ask)?;
    let (view, now) = (ask.view(), Clock::read().stamp());
    let resource = about.kind.qualified();
    let list = shared.with(|world| {
        let state = &mut world.state;
        let table = state.table(&resource).ok_or_else(Failure::no_such_path)?;
        let all: Vec<Arc<Value>> =
            table.within(&about.target.namespace).filter(|object| selector.matches(object)).cloned().collect();
        for object in &all {
            // Gone meanwhile is as good as deleted.
            let _ = delete::delete(state, &about.kind, &Key::of(&resource, object), &terms, &now);
        }
        let metadata = json!({"resourceVersion": state.revision().to_string()});
        let items = all.iter().map(|object| view.show_item(&about.kind, object)).collect();
        Ok::<Value, Failure>(view.list(&about.kind, items, metadata))
    })?;
    Ok(json_response(200, &list))
}

/// Who am I, and may I: everyone with the token may do everything that no fault forbids.
pub(super) fn review(shared: &Shared, target: &Target, ask: &Ask) -> Result<Response, Failure> {
    let mut review = ask.object()?;
    if review.get("metadata").is_none() {
        review["metadata"] = json!({});
    }
    match (ask.method.as_str(), target.plural.as_str()) {
        ("POST", "selfsubjectaccessreviews") => {
            let wanted = &review["spec"]["resourceAttributes"];
            let (plural, group) = (text(wanted, "/resource"), text(wanted, "/group"));
            let resource = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
            let hit = Hit {
                verb: text(wanted, "/verb"),
                resource: &resource,
                namespace: text(wanted, "/namespace"),
                name: text(wanted, "/name"),
                dry_run: false,
            };
            let allowed = !shared.faults().forbids(&hit);
            review["status"] = json!({ "allowed": allowed });
        }
        ("POST", "selfsubjectreviews") => {
            let groups = ["system:masters", "system:authenticated"];
            review["status"] = json!({"userInfo": {"username": "standin-admin", "groups": groups}});
        }
        _ => return Err(Failure::not_allowed()),
    }
    Ok(json_response(201, &review))
}

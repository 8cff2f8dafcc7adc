//! Requests about objects, one by one: read, dry-run, apply, delete; and the paths that they go to.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::Method;
use kube::discovery::ApiResource;
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::resource::ResourceRef;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::config::ClusterConfig;
use crate::discovery::{Cache, Kinds};
use crate::link::Link;
use crate::problem::{ApiProblem, Class, SERVES};
use crate::requests::{Requests, get, request};
use crate::waiting::Waiting;
use quarterdeck_core::failpoint;
use quarterdeck_core::render::scope::Scope;
use quarterdeck_core::sync::content::Content;
use quarterdeck_core::sync::manifest::Manifest;
use quarterdeck_core::sync::path::Step;
use quarterdeck_core::sync::{APPLICATION_LABEL, ENVIRONMENT_LABEL, concede, ignore, managed_fields, takeover};

/// With force, a conflict is a race that the next attempt nearly always wins.
const CONFLICT_ATTEMPTS: u32 = 3;

/// What becomes of the objects of an apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing; the answer says what would.
    DryRun,
    /// They are written.
    Write,
}

/// `/apis/apps/v1/namespaces/shop/deployments`.
pub(super) fn collection_path(resource: &ApiResource, namespace: Option<&str>) -> String {
    let group = match resource.group.as_str() {
        "" => format!("/api/{}", segment(&resource.version)),
        group => format!("/apis/{}/{}", segment(group), segment(&resource.version)),
    };
    match namespace {
        Some(namespace) => format!("{group}/namespaces/{}/{}", segment(namespace), segment(&resource.plural)),
        None => format!("{group}/{}", segment(&resource.plural)),
    }
}

/// `/apis/apps/v1/namespaces/shop/deployments/shop`.
pub(super) fn object_path(resource: &ApiResource, namespace: Option<&str>, name: &str) -> String {
    format!("{}/{}", collection_path(resource, namespace), segment(name))
}

/// A label selector for the objects of an environment, as part of a query.
pub(super) fn of_environment(EnvironmentId { application, environment }: &EnvironmentId) -> String {
    format!("{APPLICATION_LABEL}%3D{application},{ENVIRONMENT_LABEL}%3D{environment}")
}

/// A name as part of a path. Names of RBAC objects hold colons, and a hostile manifest may hold anything.
pub(super) fn segment(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b':' if name != "." && name != ".." => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// Requests about objects of kinds that the cluster knows.
#[derive(Clone)]
pub(super) struct Objects {
    pub(super) requests: Requests,
    /// The newest version of all that was seen.
    pub(super) clock: Arc<Clock>,
    kinds: Arc<Cache>,
}

impl Objects {
    pub(super) fn new(config: &ClusterConfig, link: Arc<Link>, kinds: Arc<Cache>) -> Self {
        Self { requests: Requests::new(config, link), clock: Arc::default(), kinds }
    }

    /// The kinds that the cluster knows.
    pub(super) async fn kinds(&self) -> Result<Arc<Kinds>, ApiProblem> {
        self.kinds.kinds(&self.requests).await
    }

    /// The kinds as they are now, unless they were asked for a moment ago.
    pub(super) async fn kinds_newer(&self) -> Result<Arc<Kinds>, ApiProblem> {
        self.kinds.newer(&self.requests).await
    }

    /// The kinds that were asked for last, if ever.
    pub(super) fn known_kinds(&self) -> Option<Arc<Kinds>> {
        self.kinds.known_kinds()
    }

    /// The kinds as they are now.
    pub(super) async fn kinds_now(&self) -> Result<Arc<Kinds>, ApiProblem> {
        self.kinds.now(&self.requests).await
    }

    /// A definition was written, changed or deleted: versions, scope and the kind itself may be others.
    pub(super) fn kinds_changed(&self) {
        self.kinds.stale();
        self.kinds.waiting.wake_all();
    }

    /// The cluster is another one.
    pub(super) fn forget_kinds(&self) {
        self.kinds.forget();
        self.kinds.waiting.wake_all();
    }

    /// Who waits for a kind.
    pub(super) fn waiting(&self) -> &Waiting {
        &self.kinds.waiting
    }

    /// One request about an object of this kind and version. A server that does not know the path of a kind that it was
    /// known to have is asked for its kinds anew, and once more where they are others: a definition may have been made
    /// anew, in another scope or without this version.
    ///
    /// # Errors
    /// What `act` says; [`Class::KindMissing`] in words of what the cluster serves.
    pub(super) async fn about<T, F>(
        &self,
        object: &ResourceRef,
        version: Option<&str>,
        act: impl Fn(Route) -> F,
    ) -> Result<T, ApiProblem>
    where
        F: Future<Output = Result<T, ApiProblem>>,
    {
        let began = Instant::now();
        let route = self.resource(object, version).await?;
        let mut done = act(route.clone()).await;
        if done.as_ref().is_err_and(|problem| problem.class == Class::KindMissing) {
            let now = self.resource_since(began, object, version).await?;
            if now != route {
                done = act(now).await;
            }
        }
        if done.is_ok() {
            self.kinds.waiting.wake(&object.group, &object.kind);
        }
        done
    }

    /// How the objects of this kind and version are reached, after the server did not know the path that they had at this
    /// time.
    pub(super) async fn resource_since(
        &self,
        since: Instant,
        object: &ResourceRef,
        version: Option<&str>,
    ) -> Result<Route, ApiProblem> {
        route(&*self.kinds.since(&self.requests, since).await?, object, version)
    }

    /// How the objects of this kind and version are reached.
    ///
    /// # Errors
    /// [`Class::KindMissing`] where the cluster does not know the kind, or not in this version.
    pub(super) async fn resource(&self, object: &ResourceRef, version: Option<&str>) -> Result<Route, ApiProblem> {
        let find = |kinds: &Kinds| route(kinds, object, version);
        if let Ok(found) = find(&*self.kinds().await?) {
            return Ok(found);
        }
        find(&*self.kinds.newer(&self.requests).await?)
    }

    /// An object; none where it is not there.
    pub(super) async fn get(&self, object: &ResourceRef, version: Option<&str>) -> Result<Option<Value>, ApiProblem> {
        let doing = &*format!("read {}", object.with_namespace());
        let read = |route: Route| async move {
            // It was of a time when its kind lived elsewhere: what is at the path of that name now is another object.
            let Ok(path) = route.path(object) else { return Ok(None) };
            match self.requests.json(doing, get(&path)).await {
                Ok(value) => Ok(Some(value)),
                Err(problem) if matches!(problem.class, Class::NotFound | Class::NamespaceMissing) => Ok(None),
                Err(problem) => Err(problem),
            }
        };
        self.about(object, version, read).await
    }

    /// Server-side apply of the manifest as our field manager. Fields that others took over are taken back, but for those
    /// that the manifest leaves to them; what the schema does not know is an error. A conflict (the object was made or
    /// deleted in this very moment) is tried again.
    pub(super) async fn apply(&self, manifest: &Manifest, mode: Mode) -> Result<Value, ApiProblem> {
        let doing = match mode {
            Mode::DryRun => format!("check {}", manifest.resource.with_namespace()),
            Mode::Write => format!("apply {}", manifest.resource.with_namespace()),
        };
        let object = self.to_apply(manifest).await?;
        let body = &Bytes::from(object.json().into_owned());
        let (resource, doing) = (&manifest.resource, &*doing);
        if mode == Mode::Write {
            failpoint::reached("cluster: before an object is applied");
        }
        let epoch = self.clock.epoch();
        let apply = |route: Route| async move {
            let path = format!("{}?{}&force=true", route.path(resource)?, query(mode));
            let request = request(Method::PATCH, &path, Some(APPLY), body.clone());
            let mut attempt = 1;
            loop {
                match self.requests.json(doing, request.clone()).await {
                    Err(problem) if problem.class == Class::Conflict && attempt < CONFLICT_ATTEMPTS => attempt += 1,
                    done => return done,
                }
            }
        };
        let done = self.about(resource, Some(&manifest.version), apply).await;
        let scrub = |problem: ApiProblem| ApiProblem { message: manifest.scrub(&problem.message), ..problem };
        let done = done.map_err(scrub)?;
        if mode == Mode::Write {
            failpoint::reached("cluster: after an object is applied");
            let version = done["metadata"]["resourceVersion"].as_str().and_then(|version| version.parse().ok());
            self.clock.saw(epoch, &resource.group, version.unwrap_or(0));
        }
        Ok(done)
    }

    /// The manifest's object, without what it leaves to others where it is there already.
    async fn to_apply(&self, manifest: &Manifest) -> Result<Content, ApiProblem> {
        if ignored(manifest)?.is_empty() {
            return Ok(manifest.object.clone());
        }
        let live = self.get(&manifest.resource, Some(&manifest.version)).await?;
        Self::sent(manifest, live.as_ref())
    }

    /// What is sent of the manifest where this is live.
    pub(super) fn sent(manifest: &Manifest, live: Option<&Value>) -> Result<Content, ApiProblem> {
        let ignored = ignored(manifest)?;
        match live {
            Some(live) if !ignored.is_empty() => {
                Ok(concede::yielding(&manifest.object.value(), &takeover::taken_over(live), &ignored).into())
            }
            _ => Ok(manifest.object.clone()),
        }
    }

    /// Whether the server serves a kind by now. The answer is small, where a definition with its status may have 1 MB.
    pub(super) async fn serves(&self, group: &str, version: &str, kind: &str) -> Result<bool, ApiProblem> {
        let doing = format!("ask for the kinds of {group}/{version}");
        let path = format!("/apis/{}/{}", segment(group), segment(version));
        match self.requests.json(&doing, get(&path)).await {
            Ok(list) => Ok(list["resources"].as_array().into_iter().flatten().any(|one| one["kind"] == kind)),
            Err(problem) if matches!(problem.class, Class::NotFound | Class::KindMissing) => Ok(false),
            Err(problem) => Err(problem),
        }
    }

    /// Server-side apply of an object of our own (an inventory, a namespace).
    pub(super) async fn apply_own(&self, object: &ResourceRef, body: &Value) -> Result<Value, ApiProblem> {
        self.apply_as(managed_fields::MANAGER, object, body).await
    }

    /// The same as another field manager.
    pub(super) async fn apply_as(
        &self,
        manager: &str,
        object: &ResourceRef,
        body: &Value,
    ) -> Result<Value, ApiProblem> {
        let doing = format!("write {}", object.with_namespace());
        let route = self.resource(object, None).await?;
        let path = format!("{}?fieldManager={manager}&fieldValidation=Strict&force=true", route.path(object)?);
        let body = serde_json::to_vec(body).map_err(|e| ApiProblem::new(Class::Invalid, &*doing, e.to_string()))?;
        failpoint::reached("cluster: before an object of ours is written");
        let written = self.requests.json(&doing, request(Method::PATCH, &path, Some(APPLY), body.into())).await?;
        failpoint::reached("cluster: after an object of ours is written");
        Ok(written)
    }

    /// Makes a namespace of this name, or leaves the one that is there.
    pub(super) async fn make_namespace(&self, name: &str) -> Result<(), ApiProblem> {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.apply_own(&ResourceRef::new("", "Namespace", None, name), &object).await?;
        Ok(())
    }

    /// Deletes the object if it is still the one with this uid. What it owns goes after it, in the background. The answer is
    /// the object where it is not gone yet: something has to be done before its end, or it was given a while.
    pub(super) async fn delete(
        &self,
        object: &ResourceRef,
        version: &str,
        uid: &str,
    ) -> Result<Option<Value>, ApiProblem> {
        let doing = format!("delete {}", object.with_namespace());
        let route = match self.resource(object, Some(version)).await {
            // Served in another version now, or not at all any more.
            Err(problem) if problem.class == Class::KindMissing => self.resource(object, None).await?,
            other => other?,
        };
        let options = json!({
            "apiVersion": "v1", "kind": "DeleteOptions",
            "propagationPolicy": "Background", "preconditions": {"uid": uid},
        });
        let body = Bytes::from(options.to_string());
        // As in a read: what is at that path now is another object.
        let Ok(path) = route.path(object) else { return Ok(None) };
        failpoint::reached("cluster: before an object is deleted");
        match self.requests.json(&doing, request(Method::DELETE, &path, Some("application/json"), body)).await {
            Err(problem) if problem.class != Class::NotFound => Err(problem),
            answer => {
                failpoint::reached("cluster: after an object is deleted");
                Ok(answer.ok().filter(is_held))
            }
        }
    }
}

/// The fields that the manifest leaves to others.
fn ignored(manifest: &Manifest) -> Result<Vec<Vec<Step>>, ApiProblem> {
    ignore::fields(manifest.object.head()).map_err(|why| {
        let doing = format!("read {} of {}", ignore::IGNORE_ANNOTATION, manifest.resource.with_namespace());
        ApiProblem::new(Class::Invalid, doing, format!("{}: {why}", ignore::IGNORE_ANNOTATION))
    })
}

/// Whether the answer to a deletion is an object that is still there.
fn is_held(answer: &Value) -> bool {
    let metadata = &answer["metadata"];
    let has_finalizers = metadata["finalizers"].as_array().is_some_and(|all| !all.is_empty());
    let has_grace = metadata["deletionGracePeriodSeconds"].as_i64().is_some_and(|seconds| seconds > 0);
    metadata["deletionTimestamp"].is_string() && (has_finalizers || has_grace || answer["kind"] == "Namespace")
}

const APPLY: &str = "application/apply-patch+yaml";

/// Of each patch: who we are, and that what the schema does not know is an error.
pub(super) fn query(mode: Mode) -> String {
    let dry = if mode == Mode::DryRun { "&dryRun=All" } else { "" };
    format!("fieldManager={}&fieldValidation=Strict{dry}", managed_fields::MANAGER)
}

/// How the objects of a kind are reached.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Route {
    pub(super) resource: ApiResource,
    pub(super) scope: Scope,
}

impl Route {
    /// The path of an object.
    ///
    /// # Errors
    /// [`Class::KindMissing`] where objects of the kind live elsewhere now: it is of a time before its definition was made
    /// anew, and so is no object of this cluster any more.
    pub(super) fn path(&self, object: &ResourceRef) -> Result<String, ApiProblem> {
        let elsewhere = match (self.scope, &object.namespace) {
            (Scope::Cluster, Some(namespace)) => format!("for the whole cluster now, and not in namespace {namespace}"),
            (Scope::Namespaced, None) => "in namespaces now, and not for the whole cluster".to_owned(),
            _ => return Ok(object_path(&self.resource, object.namespace.as_deref(), &object.name)),
        };
        let doing = format!("find {}", object.short());
        let message = format!("{SERVES} {} {elsewhere}", object.kind);
        Err(ApiProblem::new(Class::KindMissing, doing, message))
    }
}

fn route(kinds: &Kinds, object: &ResourceRef, version: Option<&str>) -> Result<Route, ApiProblem> {
    let doing = format!("find the kind of {}", object.short());
    let missing = |message: String| ApiProblem::new(Class::KindMissing, doing.clone(), message);
    let group = if object.group.is_empty() { "the core group" } else { &object.group };
    let kind = kinds
        .get(&object.group, &object.kind)
        .ok_or_else(|| missing(format!("the cluster knows no kind {} in {group}", object.kind)))?;
    let resource = match version {
        Some(version) => kind.version(version),
        None => kind.versions.first(),
    };
    let resource = resource.ok_or_else(|| {
        let served: Vec<&str> = kind.versions.iter().map(|resource| resource.version.as_str()).collect();
        let version = version.unwrap_or_default();
        missing(format!("{SERVES} {} of {group} as {}, not as {version}", object.kind, served.join(", ")))
    })?;
    Ok(Route { resource: resource.clone(), scope: kind.scope })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_leaves_its_place_in_a_path() {
        for (name, path) in [
            ("shop", "shop"),
            ("system:node", "system:node"),
            ("a.b-c", "a.b-c"),
            ("..", "%2E%2E"),
            ("a/../b?x=1#y", "a%2F..%2Fb%3Fx%3D1%23y"),
            ("é", "%C3%A9"),
        ] {
            assert_eq!(segment(name), path);
        }
    }

    #[test]
    fn paths_are_those_of_kubernetes() {
        let resource = |group: &str, plural: &str| ApiResource {
            group: group.into(),
            version: "v1".into(),
            api_version: String::new(),
            kind: String::new(),
            plural: plural.into(),
        };
        let path = object_path(&resource("apps", "deployments"), Some("shop"), "web");
        assert_eq!(path, "/apis/apps/v1/namespaces/shop/deployments/web");
        assert_eq!(object_path(&resource("", "namespaces"), None, "shop"), "/api/v1/namespaces/shop");
    }
}

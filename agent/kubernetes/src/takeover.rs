//! Taking objects over from client-side kubectl, request by request; what is taken and what becomes of the object is decided by
//! [`quarterdeck_core::sync::takeover`].

use bytes::Bytes;
use http::Method;
use quarterdeck_shared::resource::ResourceRef;
use serde_json::{Value, json};

use crate::objects::{Mode, Objects, Route, query};
use crate::problem::{ApiProblem, Class};
use crate::requests::request;
use quarterdeck_core::sync::manifest::Manifest;
use quarterdeck_core::sync::{mask, takeover};

/// Who writes to the object at the same moment is done after one write; two are a coincidence.
const ATTEMPTS: u32 = 3;

impl Objects {
    /// What an apply would make of the object once it is taken over. Writes nothing.
    pub(super) async fn dry_take_over(&self, manifest: &Manifest, live: &Value) -> Result<Value, ApiProblem> {
        let object = Self::sent(manifest, Some(live))?.value();
        self.dry_patch(manifest, live, &takeover::predicted(live, &object)).await
    }

    /// What the server would make of a live object that becomes another one. Writes nothing.
    pub(super) async fn dry_patch(&self, manifest: &Manifest, live: &Value, to: &Value) -> Result<Value, ApiProblem> {
        let patch = takeover::merge_patch(live, to);
        let doing = &*format!("check {}", manifest.resource.with_namespace());
        let done = self.patch(manifest, Mode::DryRun, "application/merge-patch+json", &patch, doing).await;
        done.map_err(|problem| {
            let message = mask::scrub(&manifest.scrub(&problem.message), live);
            ApiProblem { message, ..problem }
        })
    }

    /// Makes the fields of client-side kubectl ours; the apply that follows does the rest, also one of a later pass where this
    /// agent dies in between: what is ours and git leaves out goes.
    pub(super) async fn take_over(&self, manifest: &Manifest) -> Result<(), ApiProblem> {
        let doing = &*format!("take over the fields of {}", manifest.resource.with_namespace());
        let mut attempt = 1;
        loop {
            let Some(live) = self.get(&manifest.resource, Some(&manifest.version)).await? else { return Ok(()) };
            let Some(fields) = takeover::upgraded(&live) else { return Ok(()) };
            match self.patch_fields(manifest, &live, &fields, doing).await {
                Err(problem) if problem.class == Class::Conflict && attempt < ATTEMPTS => attempt += 1,
                Err(problem) if problem.class == Class::NotFound => return Ok(()),
                done => return done,
            }
        }
    }

    /// Writes the `managedFields` of the object at the version that was seen: a conflict where it was written meanwhile.
    pub(super) async fn patch_fields(
        &self,
        manifest: &Manifest,
        live: &Value,
        fields: &Value,
        doing: &str,
    ) -> Result<(), ApiProblem> {
        let patch = json!([
            {"op": "replace", "path": "/metadata/managedFields", "value": fields},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
        ]);
        self.patch(manifest, Mode::Write, "application/json-patch+json", &patch, doing).await.map(|_| ())
    }

    /// A patch that is no apply, as our field manager.
    pub(super) async fn patch(
        &self,
        manifest: &Manifest,
        mode: Mode,
        kind: &'static str,
        patch: &Value,
        doing: &str,
    ) -> Result<Value, ApiProblem> {
        let body = &Bytes::from(patch.to_string());
        let resource: &ResourceRef = &manifest.resource;
        let patch = |route: Route| async move {
            let path = format!("{}?{}", route.path(resource)?, query(mode));
            self.requests.json(doing, request(Method::PATCH, &path, Some(kind), body.clone())).await
        };
        self.about(resource, Some(&manifest.version), patch).await
    }
}

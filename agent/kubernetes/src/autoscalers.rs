//! The autoscalers that a namespace has beside those that git brings; which objects they scale is decided by
//! [`quarterdeck_core::sync::autoscaled`].

use std::sync::Arc;

use quarterdeck_shared::resource::ResourceRef;
use serde_json::{Value, json};

use crate::objects::{Objects, collection_path};
use crate::problem::{ApiProblem, Class};
use crate::requests::get;

impl Objects {
    /// The autoscalers of a namespace, as objects; none where they cannot be read: then those count that git brings.
    pub(super) async fn autoscalers(&self, namespace: &str) -> Result<Vec<Arc<Value>>, ApiProblem> {
        let kind = ResourceRef::new("autoscaling", "HorizontalPodAutoscaler", Some(namespace), "");
        let doing = format!("list the autoscalers of namespace {namespace}");
        let route = match self.resource(&kind, None).await {
            Err(problem) if problem.class == Class::KindMissing => return Ok(Vec::new()),
            other => other?,
        };
        let path = collection_path(&route.resource, Some(namespace));
        match self.requests.json(&doing, get(&path)).await {
            Ok(mut list) => {
                let items = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
                let named = |mut object: Value| {
                    // Items of a list do not say what they are.
                    object["kind"] = json!("HorizontalPodAutoscaler");
                    Arc::new(object)
                };
                Ok(items.into_iter().map(named).collect())
            }
            Err(problem) if problem.class.is_transient() => Err(problem),
            Err(problem) => {
                tracing::debug!(%problem, "autoscalers are not known");
                Ok(Vec::new())
            }
        }
    }
}

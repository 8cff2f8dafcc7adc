//! All objects of a kind, for who imports them: nothing of it is kept.

use quarterdeck_shared::resource::ResourceRef;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::objects::{collection_path, segment};
use crate::problem::{ApiProblem, Class};
use crate::requests::get;
use quarterdeck_core::render::scope::Scope;

/// Pages of 250: the largest fleets that people tell of have 50,000 Applications in one cluster.
const PAGES: usize = 200;

impl Cluster {
    /// All objects of a kind, in one namespace or in all, with these labels where some are wanted; none where the cluster does
    /// not know the kind.
    ///
    /// # Errors
    /// Where the cluster could not be asked, or has more objects than are read.
    pub async fn list(
        &self,
        (group, kind): (&str, &str),
        namespace: Option<&str>,
        labels: Option<&str>,
    ) -> Result<Vec<Value>, ApiProblem> {
        let objects = &self.0.objects;
        let route = match objects.resource(&ResourceRef::new(group, kind, None, ""), None).await {
            Err(problem) if problem.class == Class::KindMissing => return Ok(Vec::new()),
            route => route?,
        };
        let doing = format!("list {}", route.resource.plural);
        let namespace = namespace.filter(|_| route.scope == Scope::Namespaced);
        let selector = labels.map(|labels| format!("&labelSelector={}", segment(labels))).unwrap_or_default();
        let path = format!("{}?limit=250{selector}", collection_path(&route.resource, namespace));
        let (mut found, mut next) = (Vec::new(), String::new());
        for _ in 0..PAGES {
            let mut page = objects.requests.json(&doing, get(&format!("{path}{next}"))).await?;
            for mut object in page["items"].as_array_mut().map(std::mem::take).unwrap_or_default() {
                // Items of a list do not say what they are.
                object["apiVersion"] = route.resource.api_version.clone().into();
                object["kind"] = kind.into();
                found.push(object);
            }
            match page["metadata"]["continue"].as_str().filter(|token| !token.is_empty()) {
                Some(token) => next = format!("&continue={}", segment(token)),
                None => return Ok(found),
            }
        }
        Err(ApiProblem::new(Class::Invalid, doing, format!("there are more than {}", found.len())))
    }
}

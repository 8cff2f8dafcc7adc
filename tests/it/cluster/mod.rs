//! The cluster room against the stand-in Kubernetes API: plans and their execution, watches, logs, and what each costs
//! in requests.

mod access;
mod covered;
mod leaving;
mod logs;
mod planned;
mod refused;
mod replaced;
mod taken_over;
mod watched;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use harness::cluster::{Cluster as StandIn, Options as StandInOptions};
use quarterdeck_core::sync::manifest::Manifest;
use quarterdeck_core::sync::plan::Memory;
use quarterdeck_core::sync::{APPLICATION_LABEL, ENVIRONMENT_LABEL, order};
use quarterdeck_core::yaml;
use quarterdeck_kubernetes::{Cluster, ClusterChange, ClusterConfig, ClusterError, Executed, Options, PlannedSync};
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::resource::ResourceRef;
use serde_json::{Value, json};

/// Deployment, ServiceAccount, Service, ConfigMap: the application of the benchmarks.
const SHOP: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: shop}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: shop}
data: {greeting: hello}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  selector: {app: shop}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
      - {name: shop, image: "registry.example/shop:1", ports: [{containerPort: 8080}]}
"#;

/// An application `shop` in namespace `prod`, as the story of a sync would use the cluster.
struct Scene {
    api: StandIn,
    cluster: Cluster,
    folder: tempfile::TempDir,
    memory: Memory,
    options: Options,
}

impl Scene {
    async fn new() -> Self {
        Self::with(StandInOptions::default()).await
    }

    async fn with(options: StandInOptions) -> Self {
        let api = StandIn::start_with(options).await.unwrap();
        api.namespace("prod").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let cluster = connect(&api, &folder);
        let options = Options { namespace: "prod".to_owned(), prune: true, ..Options::default() };
        Self { api, cluster, folder, memory: Memory::new(), options }
    }

    /// Another life of the agent: it knows what the history kept, and nothing else.
    async fn restart(&mut self) {
        self.cluster = connect(&self.api, &self.folder);
        let inventory = self.cluster.inventory(&shop(), "prod", &self.memory).await.unwrap();
        self.cluster.watch(&shop(), &inventory, &self.memory);
        self.synced().await;
    }

    async fn plan(&self, yaml: &str) -> Result<PlannedSync, ClusterError> {
        self.cluster.plan(&shop(), &manifests(yaml), &self.memory, &self.options).await
    }

    async fn sync(&mut self, yaml: &str) -> Result<Executed, ClusterError> {
        let planned = self.plan(yaml).await?;
        let executed = self.cluster.execute(planned, &|_| {}).await?;
        self.memory.extend(executed.memory.iter().cloned());
        self.memory.retain(|resource, _| !executed.forgotten.contains(resource));
        Ok(executed)
    }

    /// Waits until the watches know every object.
    async fn synced(&self) {
        // What they tell meanwhile is no news to who waits for something after it.
        let known = async {
            let shop = shop();
            let mut synced = pin!(self.cluster.synced(&shop));
            loop {
                tokio::select! {
                    biased;
                    () = &mut synced => return,
                    _ = self.cluster.changes() => {}
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), known).await.expect("the watches did not get in sync");
    }

    /// Waits for a change that `wanted` accepts.
    async fn wait_for<T>(&self, what: &str, wanted: impl FnMut(&ClusterChange) -> Option<T>) -> T {
        let mut wanted = wanted;
        let found = async {
            loop {
                let changes = self.cluster.changes().await;
                if let Some(found) = changes.iter().find_map(&mut wanted) {
                    return found;
                }
            }
        };
        match tokio::time::timeout(Duration::from_secs(20), found).await {
            Ok(found) => found,
            Err(_) => panic!("{what}: not told in 20 s\n{}", self.api.describe()),
        }
    }

    fn live(&self, resource: &str, name: &str) -> Option<Arc<Value>> {
        self.api.get(resource, "prod", name)
    }
}

fn connect(api: &StandIn, folder: &tempfile::TempDir) -> Cluster {
    let kubeconfig = folder.path().join("kubeconfig");
    api.kubeconfig(&kubeconfig).unwrap();
    let mut config = ClusterConfig::named(Some("standin"));
    config.kubeconfig = Some(kubeconfig);
    config.timeout_seconds = 5;
    Cluster::new(config)
}

fn shop() -> EnvironmentId {
    "shop/prod".parse().unwrap()
}

/// What a render would give of it: in order, labelled, in namespace `prod` where it lives in one.
fn manifests(yaml: &str) -> Vec<Manifest> {
    let documents = yaml::parse(yaml.as_bytes()).unwrap();
    let mut manifests: Vec<Manifest> = documents
        .into_iter()
        .map(|document| manifest(document.value, &format!("document {}", document.number)))
        .collect();
    order::sort(&mut manifests);
    manifests
}

fn manifest(mut object: Value, origin: &str) -> Manifest {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let is_clusters = matches!(kind.as_str(), "Namespace" | "CustomResourceDefinition" | "ClusterRole");
    if !is_clusters && object["metadata"]["namespace"].is_null() {
        object["metadata"]["namespace"] = json!("prod");
    }
    object["metadata"]["labels"][APPLICATION_LABEL] = json!("shop");
    object["metadata"]["labels"][ENVIRONMENT_LABEL] = json!("prod");
    let (namespace, name) = (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
    let resource = ResourceRef::new(group, &kind, Some(&namespace), &name);
    Manifest::new(resource, version.to_owned(), object, origin.into())
}

fn config_maps(count: usize, value: &str) -> String {
    let one = |n| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{n}}}\ndata: {{value: {value}}}\n");
    (0..count).map(one).collect::<Vec<_>>().join("---\n")
}

/// `+ ConfigMap/shop, ~ Deployment/shop`.
fn lines(changes: &[quarterdeck_shared::change::Change]) -> Vec<String> {
    changes.iter().map(|change| format!("{} {}", change.action.sign(), change.resource.short())).collect()
}

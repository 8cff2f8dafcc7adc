//! What controllers and the node make of objects, and how things go.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, DeleteParams, ListParams, LogParams, PropagationPolicy};
use serde_json::{Value, json};

use super::super::kubelet::images::{self, ImageInfo};
use super::super::{Cluster, Options, store};
use super::{available, shop, web};

fn pod_reason(cluster: &Cluster, wanted: &str) -> Option<Arc<Value>> {
    let waiting = |pod: &Arc<Value>| store::text(pod, "/status/containerStatuses/0/state/waiting/reason") == wanted;
    cluster.pods("shop").into_iter().find(waiting)
}

#[tokio::test]
async fn an_image_comes_from_the_registry_or_does_not() {
    let users = vec![crate::registry::User::new("node", "secret")];
    let auth = crate::registry::Auth::Token(users);
    let options = crate::registry::RegistryOptions { auth, ..Default::default() };
    let registry = crate::registry::Registry::start(options).await.expect("a registry");
    let image = format!("{}:1", registry.image("shop/web"));
    push(&image, ("node", "secret")).await;
    let login = ("node".to_owned(), "secret".to_owned());
    let pull = images::from_registry(Some(login));
    let cluster = Cluster::start_with(Options { pull, ..Options::default() }).await.expect("a port");
    cluster.namespace("shop").expect("a namespace");
    cluster.put(web(&image, 1)).expect("put");
    cluster.wait_for("a pod of the pushed image", |cluster| available(cluster, "web", 1, &image)).await;
    let digest = registry.digest("shop/web", "1").expect("pushed");
    let id = store::text(&cluster.pods("shop")[0], "/status/containerStatuses/0/imageID").to_owned();
    assert_eq!(id, format!("{}@{digest}", registry.image("shop/web")));

    let missing = format!("{}:2", registry.image("shop/web"));
    cluster.put(web(&missing, 1)).expect("put");
    let pod = cluster.wait_for("a failing pull", |cluster| pod_reason(cluster, "ImagePullBackOff")).await;
    let message = store::text(&pod, "/status/containerStatuses/0/state/waiting/message");
    assert!(message.starts_with(&format!("Back-off pulling image {missing:?}: ErrImagePull: ")), "{message}");
    assert!(message.ends_with(&format!("{missing}: not found")), "{message}");
    // The old version serves on.
    let live = cluster.get("deployments.apps", "shop", "web").expect("there");
    assert_eq!(store::number(&live, "/status/availableReplicas"), Some(1));
}

/// Pushes an image without layers.
async fn push(image: &str, (user, password): (&str, &str)) {
    use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
    let client = oci_client::Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() });
    let reference: oci_client::Reference = image.parse().expect("a reference");
    let auth = oci_client::secrets::RegistryAuth::Basic(user.to_owned(), password.to_owned());
    let layers = [ImageLayer::oci_v1(b"nothing".to_vec(), None)];
    let config = Config::oci_v1(
        br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#.to_vec(),
        None,
    );
    client.push(&reference, &layers, config, &auth, None).await.expect("pushed");
}

#[tokio::test]
async fn labels_of_an_image_say_how_it_behaves() {
    let labels = BTreeMap::from([("standin.quarterdeck.dev/exit".to_owned(), "7".to_owned())]);
    let info = ImageInfo { digest: "sha256:00".into(), labels };
    let pull: images::Pull = Arc::new(move |_| {
        let info = info.clone();
        Box::pin(async move { Ok(info) })
    });
    let cluster = Cluster::start_with(Options { pull, ..Options::default() }).await.expect("a port");
    cluster.namespace("shop").expect("a namespace");
    cluster.put(web("r/web:1", 1)).expect("put");
    let pod = cluster.wait_for("a crash loop", |cluster| pod_reason(cluster, "CrashLoopBackOff")).await;
    assert_eq!(pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"], 7);
}

#[tokio::test]
async fn what_is_missing_is_told_and_found_when_it_comes() {
    let (cluster, client) = shop().await;
    let mut wanting = web("r/web:1", 1);
    wanting["spec"]["template"]["spec"]["containers"][0]["envFrom"] = json!([{"configMapRef": {"name": "late"}}]);
    cluster.put(wanting).expect("put");
    let pod = cluster.wait_for("a missing map", |cluster| pod_reason(cluster, "CreateContainerConfigError")).await;
    let message = &pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"];
    assert_eq!(message, "configmap \"late\" not found");
    let api: Api<Pod> = Api::namespaced(client, "shop");
    let name = store::text(&pod, "/metadata/name");
    let refused = api.logs(name, &LogParams::default()).await.expect_err("not started");
    let said = format!("container \"web\" in pod {name:?} is waiting to start: CreateContainerConfigError");
    assert!(refused.to_string().contains(&said), "{refused}");
    cluster
        .put(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late", "namespace": "shop"}}))
        .expect("put");
    cluster.wait_for("a pod", |cluster| available(cluster, "web", 1, "r/web:1")).await;
}

#[tokio::test]
async fn a_stateful_set_comes_one_by_one_with_its_claims() {
    let (cluster, _client) = shop().await;
    let mut set = web("r/db:1", 2);
    set["kind"] = json!("StatefulSet");
    set["spec"]["serviceName"] = json!("web");
    let claim = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    set["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": claim}]);
    cluster.put(set.clone()).expect("put");
    let settled = |cluster: &Cluster| {
        let set = cluster.get("statefulsets.apps", "shop", "web")?;
        let done = store::number(&set, "/status/readyReplicas") == Some(2)
            && set["status"]["currentRevision"] == set["status"]["updateRevision"]
            && set["status"]["observedGeneration"] == set["metadata"]["generation"];
        done.then(|| store::text(&set, "/status/currentRevision").to_owned())
    };
    let first = cluster.wait_for("two pods", settled).await;
    let names: Vec<String> =
        cluster.pods("shop").iter().map(|pod| store::text(pod, "/metadata/name").to_owned()).collect();
    assert_eq!(names, ["web-0", "web-1"]);
    let claim = cluster.get("persistentvolumeclaims", "shop", "data-web-1").expect("a claim");
    assert_eq!(claim["status"]["phase"], "Bound");
    set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("r/db:2");
    cluster.put(set).expect("put");
    cluster.wait_for("the second version", |cluster| settled(cluster).filter(|revision| *revision != first)).await;
    assert!(cluster.pods("shop").iter().all(|pod| store::text(pod, "/spec/containers/0/image") == "r/db:2"));
}

#[tokio::test]
async fn a_daemon_runs_on_the_node() {
    let (cluster, _client) = shop().await;
    let mut set = web("r/log:1", 1);
    set["kind"] = json!("DaemonSet");
    set["spec"].as_object_mut().expect("a map").remove("replicas");
    cluster.put(set).expect("put");
    cluster
        .wait_for("one pod", |cluster| {
            let set = cluster.get("daemonsets.apps", "shop", "web")?;
            (set["status"]["numberAvailable"] == 1 && set["status"]["updatedNumberScheduled"] == 1).then_some(())
        })
        .await;
}

fn job(name: &str, command: Value) -> Value {
    let pod = json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox", "command": command}]});
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"backoffLimit": 1, "template": {"spec": pod}},
    })
}

#[tokio::test]
async fn jobs_end_well_or_badly() {
    let (cluster, client) = shop().await;
    cluster.put(job("good", json!(["sh", "-c", "echo done"]))).expect("put");
    cluster.put(job("bad", json!(["false"]))).expect("put");
    let over = |cluster: &Cluster, name: &str, kind: &str| {
        let job = cluster.get("jobs.batch", "shop", name)?;
        let mut conditions = store::items(&job, "/status/conditions").cloned();
        conditions.find(|one| one["type"] == kind && one["status"] == "True")
    };
    cluster.wait_for("the good end", |cluster| over(cluster, "good", "Complete")).await;
    let failed = cluster.wait_for("the bad end", |cluster| over(cluster, "bad", "Failed")).await;
    assert_eq!(failed["reason"], "BackoffLimitExceeded");
    let api: Api<Pod> = Api::namespaced(client, "shop");
    let pods = api.list(&ListParams::default().labels("job-name=good")).await.expect("a list");
    let name = pods.items[0].metadata.name.clone().expect("a name");
    assert_eq!(api.logs(&name, &LogParams::default()).await.expect("a log"), "done\n");
}

#[tokio::test]
async fn deletion_follows_its_propagation() {
    let (cluster, client) = shop().await;
    let api: Api<k8s_openapi::api::apps::v1::Deployment> = Api::namespaced(client, "shop");
    let gone =
        |resource: &'static str| move |cluster: &Cluster| cluster.list(resource, "shop").is_empty().then_some(());
    let with = |policy: PropagationPolicy| DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
    cluster.put(web("r/web:1", 1)).expect("put");
    cluster.wait_for("a pod", |cluster| available(cluster, "web", 1, "r/web:1")).await;
    api.delete("web", &with(PropagationPolicy::Orphan)).await.expect("deleted");
    cluster.wait_for("the deployment to go", gone("deployments.apps")).await;
    let set = cluster.list("replicasets.apps", "shop").pop().expect("its set stays");
    assert_eq!(set["metadata"].get("ownerReferences"), None);
    cluster.delete("replicasets.apps", "shop", store::text(&set, "/metadata/name")).expect("deleted");
    cluster.wait_for("the pods to go", gone("pods")).await;

    cluster.put(web("r/web:1", 1)).expect("put");
    cluster.wait_for("a pod", |cluster| available(cluster, "web", 1, "r/web:1")).await;
    api.delete("web", &with(PropagationPolicy::Foreground)).await.expect("deleted");
    cluster.wait_for("the deployment to go", gone("deployments.apps")).await;
    assert!(cluster.list("replicasets.apps", "shop").is_empty(), "its sets went before it");
}

#[tokio::test]
async fn a_namespace_goes_with_all_that_is_in_it() {
    let (cluster, client) = shop().await;
    cluster.put(web("r/web:1", 2)).expect("put");
    let held = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "namespace": "shop", "finalizers": ["a.example/b"]}});
    cluster.put(held).expect("put");
    cluster.wait_for("pods", |cluster| available(cluster, "web", 2, "r/web:1")).await;
    cluster.delete("namespaces", "", "shop").expect("deleted");
    cluster.wait_for("all but what is held", |cluster| cluster.pods("shop").is_empty().then_some(())).await;
    let api: Api<ConfigMap> = Api::namespaced(client, "shop");
    let late = ConfigMap {
        metadata: kube::core::ObjectMeta { name: Some("late".into()), ..Default::default() },
        ..Default::default()
    };
    let refused = api.create(&Default::default(), &late).await.expect_err("terminating").to_string();
    assert!(refused.contains("because it is being terminated"), "{refused}");
    cluster
        .edit("configmaps", "shop", "held", "controller", |object| object["metadata"]["finalizers"] = Value::Null)
        .expect("let go");
    cluster.wait_for("the end", |cluster| cluster.get("namespaces", "", "shop").is_none().then_some(())).await;
}

#[tokio::test]
async fn a_rollout_that_cannot_end_is_told() {
    let (cluster, _client) = shop().await;
    let mut stuck = web("r/web:1", 1);
    stuck["spec"]["progressDeadlineSeconds"] = json!(1);
    stuck["spec"]["template"]["metadata"]["annotations"] = json!({"standin.quarterdeck.dev/unready": "true"});
    cluster.put(stuck).expect("put");
    let condition = cluster
        .wait_for("the deadline", |cluster| {
            let live = cluster.get("deployments.apps", "shop", "web")?;
            let mut conditions = store::items(&live, "/status/conditions").cloned();
            conditions.find(|one| one["reason"] == "ProgressDeadlineExceeded")
        })
        .await;
    assert_eq!((&condition["type"], &condition["status"]), (&json!("Progressing"), &json!("False")));
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    });
    cluster.put(service).expect("put");
    let endpoints = cluster.wait_for("its endpoints", |cluster| cluster.get("endpoints", "shop", "web")).await;
    assert!(endpoints["subsets"][0].get("addresses").is_none(), "{endpoints}");
}

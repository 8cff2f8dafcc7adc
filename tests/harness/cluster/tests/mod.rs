//! The stand-in as the real client of the agent sees it.

mod accidents;

mod applies;

mod lives;

use std::collections::BTreeMap;

use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, LogParams, Patch, PatchParams, PostParams, PropagationPolicy,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Config, Discovery};
use serde_json::{Value, json};

use super::faults::Fault;
use super::{Cluster, store};

async fn client(cluster: &Cluster) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(&cluster.kubeconfig_text()).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a config");
    Client::try_from(config).expect("a client")
}

async fn shop() -> (Cluster, Client) {
    let cluster = Cluster::start().await.expect("a free port");
    cluster.namespace("shop").expect("a namespace");
    let client = client(&cluster).await;
    (cluster, client)
}

fn web(image: &str, replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": image, "ports": [{"containerPort": 80}]}]},
            },
        },
    })
}

fn agent() -> PatchParams {
    PatchParams::apply("quarterdeck").force().validation_strict()
}

fn available(cluster: &Cluster, name: &str, replicas: i64, image: &str) -> Option<()> {
    let object = cluster.get("deployments.apps", "shop", name)?;
    let of = |pointer: &str| store::number(&object, pointer);
    let all = ["/status/replicas", "/status/updatedReplicas", "/status/availableReplicas"];
    let there = cluster.pods("shop").iter().filter(|pod| store::text(pod, "/spec/containers/0/image") == image).count();
    (all.iter().all(|pointer| of(pointer) == Some(replicas))
        && of("/status/observedGeneration") == of("/metadata/generation")
        && there as i64 == replicas)
        .then_some(())
}

#[tokio::test]
async fn discovery_both_ways() {
    let (_cluster, client) = shop().await;
    for discovery in [Discovery::new(client.clone()).run_aggregated().await, Discovery::new(client.clone()).run().await]
    {
        let discovery = discovery.expect("discovery");
        let gvk = kube::core::GroupVersionKind::gvk("apps", "v1", "Deployment");
        let (resource, capabilities) = discovery.resolve_gvk(&gvk).expect("deployments are served");
        assert_eq!(resource.plural, "deployments");
        assert!(capabilities.supports_operation("patch"));
        assert!(discovery.resolve_gvk(&kube::core::GroupVersionKind::gvk("", "v1", "Secret")).is_some());
    }
    assert_eq!(client.apiserver_version().await.expect("a version").git_version, "v1.35.4");
}

#[tokio::test]
async fn a_deployment_becomes_pods_and_rolls() {
    let (cluster, client) = shop().await;
    let api: Api<Deployment> = Api::namespaced(client.clone(), "shop");
    let first = api.patch("web", &agent(), &Patch::Apply(web("r/web:1", 3))).await.expect("applied");
    assert_eq!(first.metadata.generation, Some(1));
    assert_eq!(first.spec.expect("a spec").progress_deadline_seconds, Some(600));
    cluster.wait_for("three pods of the first version", |cluster| available(cluster, "web", 3, "r/web:1")).await;
    api.patch("web", &agent(), &Patch::Apply(web("r/web:2", 2))).await.expect("applied");
    cluster.wait_for("two pods of the second version", |cluster| available(cluster, "web", 2, "r/web:2")).await;
    let sets = cluster.list("replicasets.apps", "shop");
    assert_eq!(sets.len(), 2);
    let live = cluster.get("deployments.apps", "shop", "web").expect("it is there");
    assert_eq!(live["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
    let progressing = store::items(&live, "/status/conditions").find(|one| one["type"] == "Progressing");
    assert_eq!(progressing.expect("a condition")["reason"], "NewReplicaSetAvailable");
    api.delete(
        "web",
        &DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() },
    )
    .await
    .expect("deleted");
    cluster
        .wait_for("all gone", |cluster| {
            (cluster.pods("shop").is_empty() && cluster.get("deployments.apps", "shop", "web").is_none()).then_some(())
        })
        .await;
}

#[tokio::test]
async fn apply_again_writes_nothing_and_a_dry_run_never_does() {
    let (cluster, client) = shop().await;
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "shop");
    let map =
        |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": value}});
    let dry = api.patch("c", &agent().dry_run(), &Patch::Apply(map("1"))).await.expect("a dry run");
    assert_eq!(dry.metadata.resource_version, None);
    assert!(dry.metadata.uid.is_some() && cluster.get("configmaps", "shop", "c").is_none());
    let first = api.patch("c", &agent(), &Patch::Apply(map("1"))).await.expect("applied");
    let again = api.patch("c", &agent(), &Patch::Apply(map("1"))).await.expect("applied");
    assert_eq!(first, again);
    let dry = api.patch("c", &agent().dry_run(), &Patch::Apply(map("2"))).await.expect("a dry run");
    assert_eq!(dry.metadata.resource_version, first.metadata.resource_version);
    assert_eq!(dry.data, Some(BTreeMap::from([("k".into(), "2".into())])));
    assert_eq!(cluster.get("configmaps", "shop", "c").expect("there")["data"]["k"], "1");
    assert_eq!((cluster.counts().writes(), cluster.counts().dry_runs()), (2, 2));
}

#[tokio::test]
async fn a_conflict_is_told_in_the_servers_words() {
    let (cluster, client) = shop().await;
    let api: Api<Deployment> = Api::namespaced(client.clone(), "shop");
    api.patch("web", &agent(), &Patch::Apply(web("r/web:1", 1))).await.expect("applied");
    cluster
        .edit("deployments.apps", "shop", "web", "kubectl-edit", |object| object["spec"]["replicas"] = json!(5))
        .expect("edited");
    let mine = PatchParams::apply("quarterdeck");
    let refused = api.patch("web", &mine, &Patch::Apply(web("r/web:1", 1))).await.expect_err("a conflict");
    let kube::Error::Api(status) = refused else { panic!("{refused}") };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    let message = "Apply failed with 1 conflict: conflict with \"kubectl-edit\" using apps/v1: .spec.replicas";
    assert_eq!(status.message, message);
    let cause = &status.details.expect("details").causes[0];
    assert_eq!((cause.reason.as_str(), cause.field.as_str()), ("FieldManagerConflict", ".spec.replicas"));
    let healed = api.patch("web", &agent(), &Patch::Apply(web("r/web:1", 1))).await.expect("forced");
    assert_eq!(healed.spec.expect("a spec").replicas, Some(1));
}

#[tokio::test]
async fn what_an_applier_names_no_longer_goes() {
    let (cluster, client) = shop().await;
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), "shop", &kube::core::ApiResource::erase::<Deployment>(&()));
    let mut wanted = web("r/web:1", 2);
    wanted["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]);
    wanted["metadata"]["annotations"] = json!({"team": "ops"});
    api.patch("web", &agent(), &Patch::Apply(&wanted)).await.expect("applied");
    cluster
        .edit("deployments.apps", "shop", "web", "somebody", |object| {
            object["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"] = json!("2");
            object["metadata"]["annotations"]["other"] = json!("kept");
        })
        .expect("edited");
    let mut fewer = web("r/web:1", 2);
    fewer["spec"].as_object_mut().expect("a map").remove("replicas");
    let live = api.patch("web", &agent(), &Patch::Apply(&fewer)).await.expect("applied").data;
    assert_eq!(live["spec"]["replicas"], 1, "back at its default");
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0].get("env"), None);
    let annotations = cluster.get("deployments.apps", "shop", "web").expect("there")["metadata"]["annotations"].clone();
    assert_eq!((annotations.get("team"), &annotations["other"]), (None, &json!("kept")));
}

#[tokio::test]
async fn watches_list_follow_and_end() {
    let (cluster, client) = shop().await;
    for streaming in [false, true] {
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), "shop");
        let config = if streaming { watcher::Config::default().streaming_lists() } else { watcher::Config::default() };
        let mut events = Box::pin(watcher(api, config));
        let mut names = Vec::new();
        loop {
            match events.next().await.expect("an event").expect("no error") {
                Event::InitApply(object) => names.push(object.metadata.name.expect("a name")),
                Event::InitDone => break,
                _ => {}
            }
        }
        assert!(names.contains(&"kube-root-ca.crt".to_owned()), "{names:?}");
        let name = format!("c-{streaming}");
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}});
        cluster.put(map).expect("put");
        let Event::Apply(seen) = events.next().await.expect("an event").expect("no error") else {
            panic!("not applied")
        };
        assert_eq!(seen.metadata.name.as_deref(), Some(name.as_str()));
        // The connection breaks: what happened meanwhile is told afterwards.
        cluster.cut_watches();
        cluster.delete("configmaps", "shop", &name).expect("deleted");
        loop {
            if let Ok(Event::Delete(gone)) = events.next().await.expect("an event") {
                assert_eq!(gone.metadata.name.as_deref(), Some(name.as_str()));
                break;
            }
        }
    }
}

#[tokio::test]
async fn logs_of_a_crash() {
    let (cluster, client) = shop().await;
    let mut broken = web("r/web:1", 1);
    let annotations =
        json!({"standin.quarterdeck.dev/exit": "3", "standin.quarterdeck.dev/log": "missing DATABASE_URL"});
    broken["spec"]["template"]["metadata"]["annotations"] = annotations;
    cluster.put(broken).expect("put");
    let pod = cluster
        .wait_for("a crash loop", |cluster| {
            let pod = cluster.pods("shop").into_iter().next()?;
            let status = &pod["status"]["containerStatuses"][0];
            (status["state"]["waiting"]["reason"] == "CrashLoopBackOff").then_some(pod)
        })
        .await;
    assert_eq!(pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"], 3);
    let api: Api<Pod> = Api::namespaced(client, "shop");
    let name = store::text(&pod, "/metadata/name");
    let log = api.logs(name, &LogParams::default()).await.expect("a log");
    assert_eq!(log, "missing DATABASE_URL\n");
    let deployment = cluster.get("deployments.apps", "shop", "web").expect("there");
    assert_eq!(deployment["status"]["unavailableReplicas"], 1);
}

#[tokio::test]
async fn a_log_is_followed() {
    let (cluster, client) = shop().await;
    let mut talking = web("r/web:1", 1);
    talking["spec"]["template"]["metadata"]["annotations"] = json!({"standin.quarterdeck.dev/log-every-ms": "5"});
    cluster.put(talking).expect("put");
    cluster.wait_for("a pod", |cluster| available(cluster, "web", 1, "r/web:1")).await;
    let name = store::text(&cluster.pods("shop")[0], "/metadata/name").to_owned();
    let api: Api<Pod> = Api::namespaced(client, "shop");
    let follow = LogParams { follow: true, ..LogParams::default() };
    let mut lines = api.log_stream(&name, &follow).await.expect("a log").lines();
    assert_eq!(lines.try_next().await.expect("a line").as_deref(), Some("web: started r/web:1"));
    for tick in 1..=20 {
        assert_eq!(lines.try_next().await.expect("a line"), Some(format!("tick {tick}")));
    }
    cluster.delete("deployments.apps", "shop", "web").expect("deleted");
    while lines.try_next().await.expect("no error").is_some() {}
}

#[tokio::test]
async fn faults_and_counts() {
    let (cluster, client) = shop().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "shop");
    cluster.fault(Fault::refused("policy says no").on("create", "configmaps").times(1));
    let map = ConfigMap {
        metadata: kube::core::ObjectMeta { name: Some("c".into()), ..Default::default() },
        ..ConfigMap::default()
    };
    let refused = api.create(&PostParams::default(), &map).await.expect_err("refused");
    assert!(refused.to_string().contains("policy says no"), "{refused}");
    api.create(&PostParams::default(), &map).await.expect("created");
    cluster.reset_counts();
    api.list(&ListParams::default()).await.expect("a list");
    assert_eq!((cluster.counts().all(), cluster.counts().of("list", "configmaps")), (1, 1));
    cluster.away().await;
    assert!(api.list(&ListParams::default()).await.is_err());
    cluster.back().await;
    api.list(&ListParams::default()).await.expect("it is back");
}

#[tokio::test]
async fn a_definition_is_served() {
    let (cluster, client) = shop().await;
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["size"], "properties": {
        "size": {"type": "integer"}, "colour": {"type": "string", "default": "blue", "enum": ["blue", "red"]},
    }}}});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "boats.sea.example"},
        "spec": {
            "group": "sea.example", "scope": "Namespaced", "names": {"plural": "boats", "kind": "Boat"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    });
    cluster.put(definition).expect("put");
    let crds = "customresourcedefinitions.apiextensions.k8s.io";
    cluster
        .wait_for("an established definition", |cluster| {
            let definition = cluster.get(crds, "", "boats.sea.example")?;
            let conditions = definition["status"]["conditions"].as_array()?.clone();
            conditions.iter().any(|one| one["type"] == "Established" && one["status"] == "True").then_some(())
        })
        .await;
    let gvk = kube::core::GroupVersionKind::gvk("sea.example", "v1", "Boat");
    let api: Api<DynamicObject> =
        Api::namespaced_with(client, "shop", &kube::core::ApiResource::from_gvk_with_plural(&gvk, "boats"));
    let boat =
        |spec: Value| json!({"apiVersion": "sea.example/v1", "kind": "Boat", "metadata": {"name": "b"}, "spec": spec});
    let made = api.patch("b", &agent(), &Patch::Apply(boat(json!({"size": 3})))).await.expect("applied");
    assert_eq!(made.data["spec"], json!({"size": 3, "colour": "blue"}));
    let refused = api.patch("b", &agent(), &Patch::Apply(boat(json!({"size": 3, "colour": "pink"})))).await;
    let refused = refused.expect_err("not a colour").to_string();
    assert!(refused.contains("Unsupported value: \"pink\": supported values: \"blue\", \"red\""), "{refused}");
    let unknown = api.patch("b", &agent(), &Patch::Apply(boat(json!({"size": 3, "sails": 2})))).await;
    assert!(unknown.expect_err("no such field").to_string().contains(".spec.sails: field not declared in schema"));
    cluster.delete(crds, "", "boats.sea.example").expect("deleted");
    cluster
        .wait_for("the definition to go", |cluster| cluster.get(crds, "", "boats.sea.example").is_none().then_some(()))
        .await;
}

#[tokio::test]
async fn a_watch_that_is_too_old_lists_again() {
    let (cluster, client) = shop().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "shop");
    let mut events = Box::pin(watcher(api, watcher::Config::default()));
    while !matches!(events.next().await.expect("an event").expect("no error"), Event::InitDone) {}
    cluster.away().await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}});
    cluster.put(map).expect("put");
    cluster.compact();
    cluster.back().await;
    let mut expired = false;
    loop {
        match events.next().await.expect("an event") {
            Err(watcher::Error::WatchError(status)) => expired |= status.code == 410,
            Ok(Event::InitApply(object)) if object.metadata.name.as_deref() == Some("c") => break,
            _ => {}
        }
    }
    assert!(expired, "it was told 410");
}

#[tokio::test]
async fn lists_come_in_pages_and_as_metadata() {
    let (cluster, client) = shop().await;
    for name in ["a", "b", "c", "d"] {
        let labels = json!({"page": "yes"});
        cluster
            .put(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop", "labels": labels}}))
            .expect("put");
    }
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "shop");
    let mut params = ListParams::default().labels("page=yes").limit(3);
    let first = api.list(&params).await.expect("a page");
    assert_eq!((first.items.len(), first.metadata.remaining_item_count), (3, Some(1)));
    params.continue_token = first.metadata.continue_;
    let rest = api.list(&params).await.expect("a page");
    assert_eq!(rest.items.iter().map(|one| one.metadata.name.as_deref()).collect::<Vec<_>>(), [Some("d")]);
    let partial = api.list_metadata(&ListParams::default().labels("page=yes")).await.expect("metadata");
    assert_eq!(partial.items.len(), 4);
    assert_eq!(partial.items[0].types.as_ref().map(|types| types.kind.as_str()), Some("PartialObjectMetadata"));
}

#[tokio::test]
async fn who_brings_no_token_or_a_wrong_one_is_not_let_in() {
    let (cluster, _client) = shop().await;
    let text = cluster.kubeconfig_text().replace("standin-token", "expired");
    let kubeconfig = Kubeconfig::from_yaml(&text).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a config");
    let client = Client::try_from(config).expect("a client");
    let refused = Api::<Pod>::all(client).list(&ListParams::default()).await.expect_err("not let in");
    let kube::Error::Api(status) = refused else { panic!("{refused}") };
    assert_eq!((status.code, status.reason.as_str()), (401, "Unauthorized"));
}

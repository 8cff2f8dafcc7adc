//! What left git: seen to be gone before it is forgotten, and wanted by nobody before it is pruned.

use harness::cluster::faults::Fault;
use quarterdeck_core::sync::neighbours::{Neighbours, Wants};
use quarterdeck_system::identity::Identity;

use super::*;

/// A kind of its own, and one object of it.
const GADGET: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.com}
spec:
  group: example.com
  names: {kind: Gadget, plural: gadgets, singular: gadget, listKind: GadgetList}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
---
apiVersion: example.com/v1
kind: Gadget
metadata: {name: one}
"#;

impl Scene {
    /// Whether the inventory in the cluster names an object of this name.
    fn is_recorded(&self, name: &str) -> bool {
        let object = self.live("configmaps", "quarterdeck-shop.prod").expect("an inventory");
        object["data"]["inventory.json"].as_str().unwrap().contains(&format!("\"{name}\""))
    }

    /// A sync; what it left undone, in a line. What writes nothing keeps the inventory.
    async fn undone(&mut self, yaml: &str) -> String {
        let planned = self.plan(yaml).await.unwrap();
        if planned.is_nothing() {
            self.cluster.keep(&planned).await.unwrap();
            return planned.undone.message();
        }
        self.sync(yaml).await.unwrap().undone.message()
    }

    fn finalizers(&self, name: &str, finalizers: &[&str]) {
        self.api
            .edit("configmaps", "prod", name, "kubectl", |o| o["metadata"]["finalizers"] = json!(finalizers))
            .unwrap();
    }
}

#[tokio::test]
async fn what_a_finalizer_holds_stays_known_until_it_is_gone() {
    let mut scene = Scene::new().await;
    scene.sync(&config_maps(2, "a")).await.unwrap();
    scene.finalizers("c1", &["example.com/hold"]);
    scene.synced().await;
    let words = "ConfigMap/c1 left git and is being deleted: waiting for finalizer example.com/hold";
    let executed = scene.sync(&config_maps(1, "a")).await.unwrap();
    assert_eq!((executed.undone.message().as_str(), executed.forgotten), (words, vec![]));
    assert!(scene.is_recorded("c1"));

    scene.api.reset_counts();
    assert_eq!(scene.undone(&config_maps(1, "a")).await, words);
    assert_eq!(scene.api.counts().writes(), 0, "it is not deleted again: {:?}", scene.api.counts());

    scene.finalizers("c1", &[]);
    let gone = |change: &ClusterChange| match change {
        ClusterChange::ContentChanged { resource, .. } if resource.name == "c1" => Some(()),
        _ => None,
    };
    scene.wait_for("its end", gone).await;
    assert_eq!(scene.undone(&config_maps(1, "a")).await, "");
    assert!(!scene.is_recorded("c1"));
}

#[tokio::test]
async fn a_namespace_goes_after_what_a_finalizer_holds_in_it() {
    let mut scene = Scene::new().await;
    let more = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: extra}\n---\n\
                apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, namespace: extra}\n";
    scene.sync(&(config_maps(1, "a") + more)).await.unwrap();
    let hold = |finalizers: &[&str]| {
        scene.api.edit("configmaps", "extra", "held", "kubectl", |o| o["metadata"]["finalizers"] = json!(finalizers))
    };
    hold(&["example.com/hold"]).unwrap();
    let undone = {
        let planned = scene.plan(&config_maps(1, "a")).await.unwrap();
        scene.cluster.execute(planned, &|_| {}).await.unwrap().undone
    };
    assert_eq!(undone.open.len(), 2, "{undone:?}");
    assert!(scene.api.get("namespaces", "", "extra").unwrap()["metadata"]["deletionTimestamp"].is_null());
    hold(&[]).unwrap();
    assert_eq!(scene.undone(&config_maps(1, "a")).await, "");
    assert!(scene.api.get("namespaces", "", "extra").is_none() && !scene.is_recorded("extra"));
}

#[tokio::test]
async fn what_cannot_be_read_is_kept_and_pruned_when_it_can() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    let without = SHOP.split("---\n").filter(|document| !document.contains("kind: Service\n")).collect::<Vec<_>>();
    let without = without.join("---\n");
    for fault in [
        Fault::forbidden().on("get", "services"),
        // A proxy on the way that knows nothing of the path says nothing about the object.
        Fault::words(404, "default backend").on("get", "services"),
    ] {
        scene.api.fault(fault);
        let undone = scene.undone(&without).await;
        assert!(undone.starts_with("Service/shop left git and cannot be read: "), "{undone}");
        assert!(scene.is_recorded("Service"));
        scene.api.mend();
    }
    assert_eq!(scene.undone(&without).await, "");
    assert!(scene.live("services", "shop").is_none() && !scene.is_recorded("Service"));
}

#[tokio::test]
async fn what_is_not_served_is_kept_until_its_kind_is_removed() {
    let mut scene = Scene::new().await;
    let (definition, object) = GADGET.split_once("---\n").unwrap();
    let serve = |scene: &Scene, served: bool| {
        scene
            .api
            .edit("customresourcedefinitions.apiextensions.k8s.io", "", "gadgets.example.com", "kubectl", |o| {
                o["spec"]["versions"][0]["served"] = json!(served)
            })
            .unwrap();
    };
    scene.api.put(yaml::parse(definition.as_bytes()).unwrap().remove(0).value).unwrap();
    scene.sync(&format!("{}---\n{object}", config_maps(1, "a"))).await.unwrap();

    serve(&scene, false);
    let undone = scene.undone(&config_maps(1, "a")).await;
    let why = "kind Gadget of example.com is not served, and its definition gadgets.example.com exists";
    assert_eq!(undone, format!("Gadget/one left git and cannot be read: {why}"));
    assert!(scene.is_recorded("one"));
    serve(&scene, true);
    scene.cluster = connect(&scene.api, &scene.folder);
    assert_eq!(scene.undone(&config_maps(1, "a")).await, "");
    assert!(scene.api.get("gadgets.example.com", "prod", "one").is_none() && !scene.is_recorded("one"));
}

#[tokio::test]
async fn what_is_of_a_removed_kind_is_forgotten_unless_another_server_may_have_it() {
    for is_stale in [true, false] {
        let mut scene = Scene::new().await;
        let (definition, object) = GADGET.split_once("---\n").unwrap();
        scene.api.put(yaml::parse(definition.as_bytes()).unwrap().remove(0).value).unwrap();
        scene.sync(&format!("{}---\n{object}", config_maps(1, "a"))).await.unwrap();
        scene.api.delete("customresourcedefinitions.apiextensions.k8s.io", "", "gadgets.example.com").unwrap();
        scene.api.wait_for("the end of the kind", |api| (!api.serves("gadgets.example.com")).then_some(())).await;
        if is_stale {
            scene.api.register_stale("example.com", "v1");
        }
        scene.cluster = connect(&scene.api, &scene.folder);
        let undone = scene.undone(&config_maps(1, "a")).await;
        let why = "group example.com is served by another API server, which does not answer";
        let words = if is_stale { format!("Gadget/one left git and cannot be read: {why}") } else { String::new() };
        assert_eq!((undone, scene.is_recorded("one")), (words, is_stale));
    }
}

#[tokio::test]
async fn a_namespace_is_deleted_only_when_nothing_is_in_it() {
    let mut scene = Scene::new().await;
    let ours = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: s1, namespace: extra}\n";
    let namespace = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: extra}\n";
    let rest = config_maps(1, "a");
    scene.sync(&format!("{rest}{namespace}{ours}")).await.unwrap();
    let is_there = |scene: &Scene| {
        let namespace = scene.api.get("namespaces", "", "extra");
        namespace.is_some_and(|object| object["metadata"]["deletionTimestamp"].is_null())
    };
    let neighbour = |namespace: &str| {
        let resource = ResourceRef::new("", "ConfigMap", Some(namespace), "theirs");
        let wants = Wants { objects: Arc::new([resource].into()), ..Wants::default() };
        Some(Arc::new(Neighbours([("neigh/prod".parse().unwrap(), wants)].into())))
    };

    scene.options.neighbours = neighbour("extra");
    let words = "Namespace/extra is not deleted: 1 object of this environment and 1 of neigh/prod are in it";
    assert_eq!(scene.undone(&format!("{rest}{ours}")).await, words);
    scene.options.neighbours = neighbour("elsewhere");

    // What a person put there counts as well, and is named; what Kubernetes puts there does not.
    for name in ["theirs", "kube-root-ca.crt"] {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "extra"}});
        scene.api.put(object).unwrap();
    }
    let words = "Namespace/extra is not deleted: 1 object of no environment (ConfigMap/theirs) is in it";
    assert_eq!(scene.undone(&rest).await, words);
    assert!(is_there(&scene) && scene.api.get("configmaps", "extra", "s1").is_none());

    scene.api.fault(Fault::forbidden().on("list", "secrets"));
    scene.api.delete("configmaps", "extra", "theirs").unwrap();
    let undone = scene.undone(&rest).await;
    assert!(
        undone.starts_with("Namespace/extra is not deleted: what is in it cannot be seen: cannot list secrets"),
        "{undone}"
    );
    assert!(is_there(&scene));
    scene.api.mend();
    assert_eq!(scene.undone(&rest).await, "");
    assert!(!is_there(&scene));
}

#[tokio::test]
async fn a_person_may_name_what_is_deleted_with_all_in_it() {
    let mut scene = Scene::new().await;
    scene.sync(&format!("{}---{GADGET}", config_maps(1, "a"))).await.unwrap();
    let foreign = json!({"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "theirs", "namespace": "default"}});
    scene.api.put(foreign).unwrap();
    let words = "CustomResourceDefinition/gadgets.example.com is not deleted: 1 object of no environment (Gadget/theirs) is in it";
    assert_eq!(scene.undone(&config_maps(1, "a")).await, words);
    assert!(scene.api.get("gadgets.example.com", "prod", "one").is_none(), "its own object goes");
    assert!(scene.api.get("gadgets.example.com", "default", "theirs").is_some());
    let name = ResourceRef::new("apiextensions.k8s.io", "CustomResourceDefinition", None, "gadgets.example.com");
    scene.options.prune_anyway = vec![name];
    scene.undone(&config_maps(1, "a")).await;
    scene.api.wait_for("its end", |api| (!api.serves("gadgets.example.com")).then_some(())).await;
}

#[tokio::test]
async fn a_lost_inventory_loses_no_object() {
    for restarts in [false, true] {
        let mut scene = Scene::new().await;
        scene.sync(&config_maps(3, "a")).await.unwrap();
        scene.synced().await;
        scene.api.delete("configmaps", "prod", "quarterdeck-shop.prod").unwrap();
        // A sync that changes a value only: it is there again.
        let changed = config_maps(3, "a").replacen("value: a", "value: b", 1);
        scene.undone(&changed).await;
        assert!(scene.is_recorded("c2"));

        scene.api.delete("configmaps", "prod", "quarterdeck-shop.prod").unwrap();
        if restarts {
            scene.restart().await;
        }
        scene.undone(&config_maps(2, "b")).await;
        assert!(scene.live("configmaps", "c2").is_none(), "restarts: {restarts}");
        assert!(scene.is_recorded("c1") && !scene.is_recorded("c2"));
    }
}

#[tokio::test]
async fn a_lost_inventory_and_a_lost_history_leave_the_label() {
    // Another environment's watch may know the objects already: then a dry run tells that they are the same, and no more.
    for watched in [false, true] {
        let mut scene = Scene::new().await;
        scene.sync(&config_maps(2, "a")).await.unwrap();
        let inventory = scene.cluster.inventory(&shop(), "prod", &scene.memory).await.unwrap();
        scene.api.delete("configmaps", "prod", "quarterdeck-shop.prod").unwrap();
        scene.memory.clear();
        scene.cluster = connect(&scene.api, &scene.folder);
        if watched {
            scene.cluster.watch(&shop(), &inventory, &scene.memory);
            scene.synced().await;
        }
        scene.undone(&config_maps(1, "a")).await;
        assert!(scene.live("configmaps", "c1").is_none() && scene.live("configmaps", "c0").is_some(), "{watched}");
    }
}

/// A person may hold the application back: then nothing writes the inventory for long.
#[tokio::test]
async fn what_a_lost_inventory_named_is_watched_before_it_is_written_anew() {
    for history_too in [false, true] {
        let mut scene = Scene::new().await;
        scene.sync(SHOP).await.unwrap();
        scene.api.delete("configmaps", "prod", "quarterdeck-shop.prod").unwrap();
        scene.cluster = connect(&scene.api, &scene.folder);
        if history_too {
            scene.memory.clear();
            scene.plan(SHOP).await.unwrap();
        } else {
            scene.cluster.inventory(&shop(), "prod", &scene.memory).await.unwrap();
        }
        let pod = |change: &ClusterChange| matches!(change, ClusterChange::PodChanged(_)).then_some(());
        scene.wait_for("a pod", pod).await;
        assert!(scene.live("configmaps", "quarterdeck-shop.prod").is_none(), "nobody wrote it");
    }
}

#[tokio::test]
async fn an_inventory_in_another_namespace_was_not_lost() {
    let mut scene = Scene::new().await;
    scene.sync(&config_maps(2, "a")).await.unwrap();
    scene.api.namespace("test").unwrap();
    scene.options.namespace = "test".to_owned();
    let moved = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c0, namespace: test}\n";
    scene.undone(moved).await;
    assert!(scene.live("configmaps", "c1").is_some(), "what was applied there stays there");
}

#[tokio::test]
async fn an_inventory_that_others_wrote_nonsense_into_is_written_anew() {
    let mut scene = Scene::new().await;
    scene.sync(&config_maps(3, "a")).await.unwrap();
    scene.synced().await;
    let scribble = |o: &mut Value| o["data"]["inventory.json"] = json!("{");
    scene.api.edit("configmaps", "prod", "quarterdeck-shop.prod", "kubectl", scribble).unwrap();
    scene.undone(&config_maps(2, "b")).await;
    assert!(scene.live("configmaps", "c2").is_none() && scene.is_recorded("c1"));
}

#[tokio::test]
async fn a_namespace_that_is_to_be_made_is_made_again() {
    let mut scene = Scene::new().await;
    scene.options.create_namespace = true;
    scene.options.namespace = "fresh".to_owned();
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: fresh}\n";
    scene.sync(yaml).await.unwrap();
    scene.api.delete("namespaces", "", "fresh").unwrap();
    scene.api.wait_for("its end", |api| api.get("namespaces", "", "fresh").is_none().then_some(())).await;
    // Told by the watches before: what is known to be as it was is not asked for.
    scene.options.full = true;
    let executed = scene.sync(yaml).await.unwrap();
    assert_eq!(lines(&executed.changes), ["+ ConfigMap/a"]);
    assert!(scene.api.get("configmaps", "fresh", "quarterdeck-shop.prod").is_some());
}

#[tokio::test]
async fn two_agents_on_one_application_notice_one_another() {
    let scene = Scene::new().await;
    let agent = |id: &str| {
        let kubeconfig = scene.folder.path().join("kubeconfig");
        let config = ClusterConfig { kubeconfig: Some(kubeconfig), ..ClusterConfig::named(Some("standin")) };
        Cluster::with_identity(config, Identity { id: id.repeat(32), host: format!("host-{id}") })
    };
    let options = Options { fresh: true, ..scene.options.clone() };
    let sync = async |cluster: &Cluster, value: &str| {
        let desired = manifests(&config_maps(1, value));
        let planned = cluster.plan(&shop(), &desired, &Memory::new(), &options).await.unwrap();
        let message = planned.undone.message();
        if planned.is_nothing() {
            cluster.keep(&planned).await.unwrap();
        } else {
            cluster.execute(planned, &|_| {}).await.unwrap();
        }
        let news = cluster.other_agent(&shop(), "prod").map(|other| (other.host, other.taken_over));
        (news, message)
    };
    let (first, second) = (agent("a"), agent("b"));
    assert_eq!(sync(&first, "1").await, (None, String::new()));
    assert_eq!(
        sync(&second, "1").await,
        (Some(("host-a".to_owned(), true)), String::new()),
        "the newer one takes over"
    );
    let words = "environment shop/prod is also operated by the agent on host host-b";
    assert_eq!(sync(&first, "2").await, (Some(("host-b".to_owned(), false)), words.to_owned()));
    assert_eq!(sync(&first, "3").await, (None, words.to_owned()), "told once, and said for a while");
    // Nothing was written since, so nobody fights over the mark: it is the second's still.
    assert_eq!(sync(&agent("b"), "3").await, (None, String::new()), "started again, with its id");
}

/// Another environment takes an object over, and takes it out of our inventory, too.
#[tokio::test]
async fn what_others_took_out_of_the_inventory_is_missed_no_more() {
    let mut scene = Scene::new().await;
    scene.sync(&config_maps(1, "a")).await.unwrap();
    let inventory = scene.live("configmaps", "quarterdeck-shop.prod").unwrap()["data"].clone();
    scene.sync(&config_maps(2, "a")).await.unwrap();
    scene.synced().await;
    let takes = |o: &mut Value| o["metadata"]["labels"]["quarterdeck.dev/application"] = json!("neigh");
    scene.api.edit("configmaps", "prod", "c1", "quarterdeck", takes).unwrap();
    let writes = |o: &mut Value| o["data"] = inventory.clone();
    scene.api.edit("configmaps", "prod", "quarterdeck-shop.prod", "quarterdeck", writes).unwrap();
    scene.undone(&config_maps(1, "a")).await;
    let gone = |change: &ClusterChange| match change {
        ClusterChange::ResourceGone { resource, .. } => (resource.name == "c1").then_some(()),
        _ => None,
    };
    scene.wait_for("it is ours no more", gone).await;
    assert!(scene.live("configmaps", "c1").is_some());
}

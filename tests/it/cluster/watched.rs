//! What the watches tell.

use harness::cluster::faults::Fault;
use harness::cluster::kubelet::images;
use harness::registry::{Auth, Registry, RegistryOptions, User};
use quarterdeck_shared::status::{Health, SyncStatus};

use super::*;

fn resource(change: &ClusterChange, kind: &str) -> Option<quarterdeck_shared::snapshot::ResourceStatus> {
    match change {
        ClusterChange::ResourceChanged(status) if status.resource.kind == kind => Some((**status).clone()),
        _ => None,
    }
}

fn content(change: &ClusterChange, kind: &str) -> Option<Option<String>> {
    match change {
        ClusterChange::ContentChanged { resource, manager, .. } if resource.kind == kind => Some(manager.clone()),
        _ => None,
    }
}

/// A storage class whose volumes are made for the first pod that uses them.
fn class(name: &str) -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
        "provisioner": "rancher.io/local-path", "volumeBindingMode": "WaitForFirstConsumer",
    })
}

fn claim(name: &str, class: &str) -> String {
    format!(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: {name}}}\nspec: {{accessModes: [ReadWriteOnce], \
         storageClassName: {class}, resources: {{requests: {{storage: 1Gi}}}}}}\n"
    )
}

#[tokio::test]
async fn a_claim_of_a_class_that_waits_for_its_first_consumer_is_as_it_should_be() {
    let mut scene = Scene::new().await;
    scene.api.put(class("later")).unwrap();
    scene.sync(&claim("cache", "later")).await.unwrap();
    let told = |change: &ClusterChange| match change {
        ClusterChange::ResourceChanged(status) if status.resource.name == "cache" => {
            (status.health == quarterdeck_shared::status::Health::Healthy).then(|| status.message.to_string())
        }
        _ => None,
    };
    let reason = scene.wait_for("the claim to be judged by its class", told).await;
    assert_eq!(reason, "its volume is made for the first pod that uses it");
}

/// Nothing happens to a claim when its class can be read after all.
#[tokio::test]
async fn a_claim_is_judged_anew_once_its_class_can_be_read() {
    let mut scene = Scene::new().await;
    for (name, fault) in [("away", Fault::status(503)), ("forbidden", Fault::forbidden())] {
        scene.api.put(class(name)).unwrap();
        scene.api.fault(fault.on("get", "storageclasses.storage.k8s.io").times(3));
        scene.sync(&claim(name, name)).await.unwrap();
        // Not before the class could be read.
        for health in [Health::Progressing, Health::Healthy] {
            let told = |change: &ClusterChange| {
                let claim = resource(change, "PersistentVolumeClaim");
                claim.filter(|claim| claim.resource.name == name && claim.health == health)
            };
            scene.wait_for("the claim to be judged", told).await;
        }
    }
}

/// Its class comes back, and it does not.
#[tokio::test]
async fn a_claim_that_went_while_nobody_watched_is_not_judged_once_its_class_can_be_read() {
    let mut scene = Scene::new().await;
    scene.api.put(class("later")).unwrap();
    let unreadable = Fault::forbidden().on("get", "storageclasses.storage.k8s.io");
    scene.api.fault(unreadable.clone());
    scene.sync(&format!("{}---\n{}", claim("gone", "later"), claim("kept", "later"))).await.unwrap();
    scene.synced().await;
    let is = |change: &ClusterChange, name: &str, health: Health| {
        resource(change, "PersistentVolumeClaim").is_some_and(|one| one.resource.name == name && one.health == health)
    };
    let unwatched = Fault::forbidden().on("watch", "persistentvolumeclaims");
    scene.api.fault(unwatched.clone());
    scene.api.cut_watches();
    scene.sees("the watch is missing", |unseen| !unseen.is_empty()).await;
    scene.api.delete("persistentvolumeclaims", "prod", "gone").unwrap();
    while scene.live("persistentvolumeclaims", "gone").is_some() {
        tokio::task::yield_now().await;
    }
    scene.api.compact();
    scene.api.lift(&unwatched);
    scene.wait_for("it to be missed", |change| is(change, "gone", Health::Missing).then_some(())).await;

    scene.api.lift(&unreadable);
    let mut is_back = false;
    let mut told = |change: &ClusterChange, name: &str, health: Health| {
        is_back |= is(change, "gone", Health::Healthy);
        is(change, name, health).then_some(())
    };
    scene.wait_for("the other to be judged", |change| told(change, "kept", Health::Healthy)).await;
    // What is told after that of the same kind was told after all that waited for the class.
    scene.api.delete("persistentvolumeclaims", "prod", "kept").unwrap();
    scene.wait_for("the other to be missed", |change| told(change, "kept", Health::Missing)).await;
    assert!(!is_back, "it is gone");
}

#[tokio::test]
async fn a_rollout_is_told_until_it_is_healthy() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    let (mut pod, mut deployment) = (None, None);
    let both = |change: &ClusterChange| {
        if let ClusterChange::PodChanged(one) = change {
            pod = pod.take().or_else(|| (one.ready() == (1, 1)).then(|| one.clone()));
        }
        deployment = resource(change, "Deployment").or(deployment.take());
        let healthy = deployment.as_ref().is_some_and(|d| d.health == Health::Healthy && d.sync == SyncStatus::Synced);
        pod.clone().filter(|_| healthy)
    };
    let pod = scene.wait_for("a pod is ready and the Deployment healthy", both).await;
    assert_eq!((pod.environment.clone(), &*pod.cluster, &*pod.namespace), (shop(), "standin", "prod"));
    assert_eq!(pod.owner.as_ref().map(|owner| owner.kind.as_str()), Some("ReplicaSet"));
    assert_eq!(&*pod.containers[0].image, "registry.example/shop:1");

    // The old pods go, the old ReplicaSet is shown no more.
    scene.sync(&SHOP.replace("shop:1", "shop:2")).await.unwrap();
    let mut gone = 0;
    let both = |change: &ClusterChange| {
        gone += usize::from(matches!(change, ClusterChange::PodGone { .. }));
        (gone == 2).then_some(())
    };
    scene.wait_for("both old pods are gone", both).await;
}

#[tokio::test]
async fn drift_is_told_with_its_cause_and_healed() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    scene.synced().await;
    scene.api.edit("configmaps", "prod", "shop", "kubectl-edit", |o| o["data"]["greeting"] = json!("bye")).unwrap();
    let manager = scene.wait_for("drift", |change| content(change, "ConfigMap")).await;
    assert_eq!(manager.as_deref(), Some("kubectl-edit"));

    let planned = scene.plan(SHOP).await.unwrap();
    let change = planned.changes.iter().find(|change| change.resource.kind == "ConfigMap").unwrap();
    assert_eq!((change.action.sign(), change.fields[0].manager.as_deref()), ('~', Some("kubectl-edit")));
    scene.sync(SHOP).await.unwrap();
    assert_eq!(scene.live("configmaps", "shop").unwrap()["data"]["greeting"], "hello");
    let back = |change: &ClusterChange| resource(change, "ConfigMap").filter(|s| s.sync == SyncStatus::Synced);
    scene.wait_for("it is in sync again", back).await;
}

#[tokio::test]
async fn who_looks_at_another_revision_changes_nothing_that_is_wanted() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    scene.synced().await;
    let before = manifests(&SHOP.replace("hello", "good morning"));
    let (planned, _) = scene.cluster.diff(&shop(), &before, &scene.memory, &scene.options).await.unwrap();
    assert!(!planned.is_nothing());
    scene.api.edit("configmaps", "prod", "shop", "kubectl-edit", |o| o["data"]["greeting"] = json!("bye")).unwrap();
    scene.wait_for("drift from what was synced", |change| content(change, "ConfigMap")).await;
}

#[tokio::test]
async fn a_deleted_object_is_missing_and_comes_back() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    scene.synced().await;
    scene.api.delete("services", "prod", "shop").unwrap();
    let missing = |change: &ClusterChange| resource(change, "Service").filter(|s| s.health == Health::Missing);
    let status = scene.wait_for("the Service is missing", missing).await;
    assert_eq!(status.sync, SyncStatus::OutOfSync);
    let executed = scene.sync(SHOP).await.unwrap();
    assert_eq!(lines(&executed.changes), ["+ Service/shop"]);
    let back = |change: &ClusterChange| resource(change, "Service").filter(|s| s.health == Health::Healthy);
    scene.wait_for("it is back", back).await;
}

#[tokio::test]
async fn what_others_own_is_no_drift() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    scene.synced().await;
    scene
        .api
        .edit("configmaps", "prod", "shop", "someone", |o| {
            o["metadata"]["annotations"]["team"] = json!("a");
            o["data"]["another"] = json!("key");
        })
        .unwrap();
    // The next change that is drift comes after it; nothing was told in between.
    scene.api.edit("services", "prod", "shop", "someone", |o| o["spec"]["ports"][0]["targetPort"] = json!(1)).unwrap();
    let first = |change: &ClusterChange| match change {
        ClusterChange::ContentChanged { resource, .. } => Some(resource.kind.clone()),
        _ => None,
    };
    assert_eq!(scene.wait_for("drift", first).await, "Service");
}

#[tokio::test]
async fn a_crash_is_told_with_its_last_words() {
    let mut scene = Scene::new().await;
    let crashing = SHOP.replace(
        "image: \"registry.example/shop:1\"",
        "image: \"registry.example/shop:1\", command: [\"sh\", \"-c\", \"echo no database; exit 3\"]",
    );
    scene.sync(&crashing).await.unwrap();
    let said = |change: &ClusterChange| match change {
        ClusterChange::PodChanged(pod) if pod.message.contains("no database") => Some(pod.clone()),
        _ => None,
    };
    let pod = scene.wait_for("the last words", said).await;
    assert_eq!(pod.health, Health::Degraded);
    assert!(pod.message.contains("exit 3"), "{}", pod.message);
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_told_in_the_registrys_words() {
    let open = Registry::start(RegistryOptions::default()).await.unwrap();
    let auth = Auth::Token(vec![User::new("robot", "secret")]);
    let closed = Registry::start(RegistryOptions { auth, ..RegistryOptions::default() }).await.unwrap();
    let pull = images::from_registry(None);
    let mut scene = Scene::with(StandInOptions { pull, ..StandInOptions::default() }).await;
    let no_right = "pull access denied, repository does not exist or may require authorization: authorization failed";
    for (registry, why) in [(&open, "not found"), (&closed, no_right)] {
        let image = registry.image("ops/shop");
        scene.sync(&SHOP.replace("registry.example/shop", &image)).await.unwrap();
        let words = format!("ImagePullBackOff in container shop: {image}:1: {why}");
        let told = |change: &ClusterChange| match change {
            ClusterChange::PodChanged(pod) if *pod.message == words => Some(pod.clone()),
            _ => None,
        };
        let pod = scene.wait_for(&words, told).await;
        assert_eq!((pod.health, &*pod.status), (Health::Degraded, "ImagePullBackOff"));
    }
}

#[tokio::test]
async fn watches_survive_their_end_a_lost_past_and_a_cluster_that_goes_away() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    scene.synced().await;
    for (n, harm) in ["cut", "forget", "away"].into_iter().enumerate() {
        match harm {
            "cut" => scene.api.cut_watches(),
            "forget" => {
                scene.api.compact();
                scene.api.cut_watches();
            }
            _ => {
                scene.api.away().await;
                let away = |change: &ClusterChange| matches!(change, ClusterChange::Away { .. }).then_some(());
                scene.wait_for("away", away).await;
                scene.api.back().await;
                scene.wait_for("back", |change| (*change == ClusterChange::Back).then_some(())).await;
            }
        }
        let manager = format!("hand-{n}");
        scene.api.edit("configmaps", "prod", "shop", &manager, |o| o["data"]["greeting"] = json!(harm)).unwrap();
        let told = |change: &ClusterChange| content(change, "ConfigMap").flatten().filter(|by| *by == manager);
        scene.wait_for(harm, told).await;
        scene.sync(SHOP).await.unwrap();
        assert_eq!(scene.live("configmaps", "shop").unwrap()["data"]["greeting"], "hello", "{harm}");
    }
}

#[tokio::test]
async fn where_all_namespaces_are_forbidden_each_is_watched() {
    let mut scene = Scene::new().await;
    let words = "User \"qd\" cannot list resource \"configmaps\" at the cluster scope";
    scene.api.fault(Fault::refused(words).on("list", "configmaps").within(""));
    scene.sync(SHOP).await.unwrap();
    scene.api.edit("configmaps", "prod", "shop", "x", |o| o["data"]["greeting"] = json!("bye")).unwrap();
    scene.wait_for("drift", |change| content(change, "ConfigMap")).await;
    scene.synced().await;
}

#[tokio::test]
async fn an_idle_cluster_is_asked_nothing() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    let healthy = |change: &ClusterChange| resource(change, "Deployment").filter(|s| s.health == Health::Healthy);
    scene.wait_for("healthy", healthy).await;
    scene.synced().await;
    scene.api.reset_counts();
    let quiet = tokio::time::timeout(Duration::from_secs(1), scene.cluster.changes()).await;
    assert_eq!(scene.api.counts().all(), 0, "{:?}, {quiet:?}", scene.api.counts());
}

#[tokio::test]
async fn a_forgotten_application_is_watched_no_more() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    scene.wait_for("a pod", |change| matches!(change, ClusterChange::PodChanged(_)).then_some(())).await;
    scene.cluster.forget(&shop());
    let mut gone = (false, false);
    let all = |change: &ClusterChange| {
        gone.0 |= matches!(change, ClusterChange::ResourceGone { resource, .. } if resource.kind == "Deployment");
        gone.1 |= matches!(change, ClusterChange::PodGone { .. });
        (gone == (true, true)).then_some(())
    };
    scene.wait_for("it is gone", all).await;
}

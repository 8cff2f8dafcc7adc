//! Clusters that are set back to an older state, that are made anew, and kubeconfigs that begin to point elsewhere.

use harness::cluster::faults::Fault;

use super::*;

impl Scene {
    /// Waits until the cluster is known to be another, and what is told of it.
    async fn is_replaced(&self) -> String {
        let replaced = |change: &ClusterChange| match change {
            ClusterChange::Replaced { how } => Some(how.clone()),
            _ => None,
        };
        self.wait_for("the cluster is another", replaced).await
    }
}

/// A second ConfigMap, another greeting, and a third pod.
fn later() -> String {
    SHOP.replace("hello", "good morning").replace("replicas: 2", "replicas: 3") + "---\n" + &config_maps(1, "later")
}

async fn is_set_back(forbidden: Option<Fault>) {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    scene.synced().await;
    if let Some(fault) = forbidden {
        scene.api.fault(fault);
        // The look that was allowed is forgotten.
        scene.restart().await;
    }
    let backup = scene.api.snapshot();
    scene.sync(&later()).await.unwrap();
    scene.synced().await;
    assert!(scene.plan(&later()).await.unwrap().is_nothing());
    scene.api.restore(&backup);
    assert_eq!(scene.is_replaced().await, "was set back to an older state");
    assert_eq!(scene.cluster.epoch(), 1);

    // Whoever sees the epoch asks for the inventory, and has what it names watched.
    let inventory = scene.cluster.inventory(&shop(), "prod", &Memory::new()).await.unwrap();
    assert_eq!(inventory.items.len(), 4, "as it was then");
    scene.memory.clear();
    scene.cluster.watch(&shop(), &inventory, &scene.memory);
    scene.synced().await;
    let planned = scene.plan(&later()).await.unwrap();
    let signs: Vec<char> =
        planned.changes.iter().map(|change| change.action.sign()).filter(|sign| *sign != '=').collect();
    assert_eq!(signs.iter().filter(|sign| **sign == '+').count(), 1, "{:?}", lines(&planned.changes));
    assert_eq!(signs.iter().filter(|sign| **sign == '~').count(), 2, "{:?}", lines(&planned.changes));
    scene.sync(&later()).await.unwrap();
    assert_eq!(scene.live("configmaps", "shop").unwrap()["data"]["greeting"], "good morning");
    // Its versions are below those that were known before, and are followed all the same.
    scene.synced().await;
    scene.api.edit("configmaps", "prod", "shop", "hand", |o| o["data"]["greeting"] = json!("bye")).unwrap();
    let drift = |change: &ClusterChange| match change {
        ClusterChange::ContentChanged { manager, .. } => (manager.as_deref() == Some("hand")).then_some(()),
        _ => None,
    };
    scene.wait_for("drift", drift).await;
}

/// A watch that begins at a version of the cluster before it is silent, and nothing breaks that would say so.
#[tokio::test]
async fn a_cluster_that_is_made_anew_between_a_list_and_its_watch_is_noticed() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    scene.synced().await;
    let watches =
        |api: &StandIn| api.counts().requests.iter().filter(|((verb, _), _)| verb == "watch").map(|(_, n)| n).sum();
    scene.api.reset_counts();
    scene.restart().await;
    let all: u64 = watches(&scene.api);
    assert!(all > 2, "{all}");
    scene.api.fault(Fault::slow(Duration::from_secs(2)).on("watch", "*"));
    scene.api.reset_counts();
    scene.cluster = connect(&scene.api, &scene.folder);
    let inventory = scene.cluster.inventory(&shop(), "prod", &scene.memory).await.unwrap();
    scene.cluster.watch(&shop(), &inventory, &scene.memory);
    // All is listed, and no watch is answered.
    let asked = async {
        while watches(&scene.api) < all {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asked).await.unwrap();
    scene.api.recreate();
    assert_eq!(scene.is_replaced().await, "is another cluster now");
}

#[tokio::test]
async fn a_cluster_that_was_set_back_is_looked_at_anew() {
    is_set_back(None).await;
}

#[tokio::test]
async fn where_no_namespace_may_be_looked_at_the_versions_tell() {
    is_set_back(Some(Fault::forbidden().on("*", "namespaces"))).await;
}

/// A sync that is under way when the cluster goes back writes the inventory of the time after.
#[tokio::test]
async fn what_comes_back_and_no_inventory_names_is_pruned() {
    let mut scene = Scene::new().await;
    scene.sync(&later()).await.unwrap();
    scene.synced().await;
    let backup = scene.api.snapshot();
    scene.sync(SHOP).await.unwrap();
    scene.synced().await;
    assert_eq!(scene.live("configmaps", "c0"), None, "it left git");
    let after = scene.live("configmaps", "quarterdeck-shop.prod").unwrap()["data"].clone();
    scene.api.restore(&backup);
    scene.api.edit("configmaps", "prod", "quarterdeck-shop.prod", "quarterdeck", |o| o["data"] = after).unwrap();
    assert_eq!(scene.is_replaced().await, "was set back to an older state");
    // A copy that somebody made of an object of ours is theirs.
    let labels = scene.live("configmaps", "c0").unwrap()["metadata"]["labels"].clone();
    let metadata = json!({ "name": "copy", "namespace": "prod", "labels": labels });
    scene.api.put(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata })).unwrap();

    scene.memory.clear();
    scene.sync(SHOP).await.unwrap();
    assert_eq!(scene.live("configmaps", "c0"), None, "it came back, and went again");
    assert!(scene.live("configmaps", "copy").is_some());
}

/// The cluster goes back between a plan and its first write, and the agent ends before it notices.
#[tokio::test]
async fn an_inventory_that_came_back_with_the_cluster_is_not_overwritten() {
    for is_deleted in [false, true] {
        let mut scene = Scene::new().await;
        scene.sync(&config_maps(2, "a")).await.unwrap();
        let backup = scene.api.snapshot();
        scene.sync(&config_maps(1, "a")).await.unwrap();
        let more = config_maps(1, "a") + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n";
        if is_deleted {
            scene.api.delete("configmaps", "prod", "quarterdeck-shop.prod").unwrap();
        }
        let planned = scene.plan(&more).await.unwrap();
        scene.api.restore(&backup);
        let error = scene.cluster.execute(planned, &|_| {}).await.unwrap_err();
        let message = "cannot write ConfigMap/quarterdeck-shop.prod in namespace prod: ";
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(scene.live("configmaps", "more"), None, "nothing is done by a plan of another time");

        scene.restart().await;
        scene.sync(&more).await.unwrap();
        assert_eq!(scene.live("configmaps", "c1"), None, "it came back, and went again");
        assert!(scene.live("configmaps", "more").is_some());
    }
}

#[tokio::test]
async fn another_cluster_behind_the_same_address_is_noticed() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    let mut pods = std::collections::BTreeSet::new();
    let both = |change: &ClusterChange| {
        if let ClusterChange::PodChanged(pod) = change {
            pods.insert(pod.name.clone());
        }
        (pods.len() == 2).then_some(())
    };
    scene.wait_for("both pods", both).await;
    scene.api.recreate();
    scene.api.namespace("prod").unwrap();
    let (mut gone, mut told) = (0, None);
    // What it is is told before what became of its pods.
    let both = |change: &ClusterChange| {
        match change {
            ClusterChange::Replaced { how } => told = Some(how.clone()),
            ClusterChange::PodGone { .. } => gone += 1,
            _ => {}
        }
        told.clone().filter(|_| gone == 2)
    };
    assert_eq!(scene.wait_for("the pods of the old one are gone", both).await, "is another cluster now");

    let inventory = scene.cluster.inventory(&shop(), "prod", &Memory::new()).await.unwrap();
    assert!(inventory.items.is_empty(), "nothing of it is here");
    scene.memory.clear();
    scene.cluster.watch(&shop(), &inventory, &scene.memory);
    let executed = scene.sync(SHOP).await.unwrap();
    assert_eq!(executed.changes.len(), 4, "{:?}", lines(&executed.changes));
    scene.synced().await;
}

#[tokio::test]
async fn a_kubeconfig_that_begins_to_point_elsewhere_is_followed_there() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    scene.synced().await;
    let other = StandIn::start_with(StandInOptions::default()).await.unwrap();
    other.namespace("prod").unwrap();
    other.kubeconfig(&scene.folder.path().join("kubeconfig")).unwrap();
    assert_eq!(scene.is_replaced().await, "is another cluster now");
    assert!(scene.cluster.inventory(&shop(), "prod", &Memory::new()).await.unwrap().items.is_empty());
}

/// An ordinary end of every watch is no reason to look at anything anew.
#[tokio::test]
async fn the_same_cluster_stays_the_same() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    scene.synced().await;
    for _ in 0..3 {
        scene.api.compact();
        scene.api.cut_watches();
        scene.api.edit("configmaps", "prod", "shop", "hand", |o| o["data"]["greeting"] = json!("bye")).unwrap();
        let told = |change: &ClusterChange| matches!(change, ClusterChange::ContentChanged { .. }).then_some(());
        scene.wait_for("drift", told).await;
        scene.sync(SHOP).await.unwrap();
    }
    assert_eq!(scene.cluster.epoch(), 0);
    // At most one for each end, and one after the lists that followed.
    let looks = scene.api.counts().looks;
    assert!((1..=9).contains(&looks), "{looks}");
}

/// Its versions tell nothing when the list comes: they are beyond the newest that was seen before.
#[tokio::test]
async fn a_cluster_that_was_set_back_and_runs_past_where_it_was_is_noticed_by_what_came_back() {
    let mut scene = Scene::new().await;
    scene.sync(&config_maps(2, "a")).await.unwrap();
    scene.synced().await;
    let backup = scene.api.snapshot();
    scene.sync(&config_maps(1, "a")).await.unwrap();
    let gone = |change: &ClusterChange| match change {
        ClusterChange::ResourceGone { resource, .. } => (resource.name == "c1").then_some(()),
        _ => None,
    };
    scene.wait_for("what left git is gone", gone).await;
    scene.api.restore(&backup);
    for number in 0..100 {
        let name = format!("foreign-{number}");
        let foreign =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}});
        scene.api.put(foreign).unwrap();
    }
    assert_eq!(scene.is_replaced().await, "was set back to an older state");
}

//! What happens where something may not be watched, or is not served, for a moment or for long.

use harness::cluster::faults::Fault;
use quarterdeck_shared::snapshot::{Cover, Unseen};
use quarterdeck_shared::status::Health;

use super::*;

const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// A definition of boats in this scope and version.
fn boats(scope: &str, version: &str) -> Value {
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "boats.sea.example"},
        "spec": {
            "group": "sea.example", "scope": scope, "names": {"plural": "boats", "kind": "Boat"},
            "versions": [{"name": version, "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

const BOAT: &str = "apiVersion: sea.example/v1\nkind: Boat\nmetadata: {name: one}\nspec: {size: 3}\n";

impl Scene {
    /// Puts a definition, and waits until it is served.
    async fn define(&self, definition: Value) {
        self.api.put(definition).unwrap();
        self.api.wait_for("boats", |api| api.serves("boats.sea.example").then_some(())).await;
    }

    async fn undefine(&self) {
        self.api.delete(DEFINITIONS, "", "boats.sea.example").unwrap();
        let gone = |api: &StandIn| api.get(DEFINITIONS, "", "boats.sea.example").is_none().then_some(());
        self.api.wait_for("the definition to go", gone).await;
    }

    /// Waits until what cannot be seen of the shop is as `wanted`, as the agent looks.
    pub(super) async fn sees(&self, what: &str, wanted: impl Fn(&[Unseen]) -> bool) -> Vec<Unseen> {
        let mut unseen = Vec::new();
        let found = async {
            loop {
                unseen = self.cluster.unseen(&shop(), &unseen);
                if wanted(&unseen) {
                    return;
                }
                match self.cluster.next_check() {
                    Some(at) => tokio::select! {
                        _ = self.cluster.changes() => {}
                        () = tokio::time::sleep_until(at) => {}
                    },
                    None => drop(self.cluster.changes().await),
                }
            }
        };
        if tokio::time::timeout(Duration::from_secs(20), found).await.is_err() {
            panic!("{what}: {unseen:?}");
        }
        unseen
    }

    async fn sees_all(&self) {
        self.sees("all is seen", <[Unseen]>::is_empty).await;
    }

    /// Edits the ConfigMap, and waits until that is told.
    async fn drifts(&mut self, by: &str) {
        self.api.edit("configmaps", "prod", "shop", by, |o| o["data"]["greeting"] = json!(by)).unwrap();
        let drift = |change: &ClusterChange| match change {
            ClusterChange::ContentChanged { manager, .. } => (manager.as_deref() == Some(by)).then_some(()),
            _ => None,
        };
        self.wait_for(by, drift).await;
    }
}

#[tokio::test]
async fn an_api_server_that_has_not_read_its_roles_yet_blinds_nobody() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    scene.synced().await;
    for verb in ["watch", "*"] {
        // Over all namespaces, in the namespace, and once more.
        let forbidden = Fault::forbidden().on(verb, "configmaps").times(3);
        scene.api.fault(forbidden.clone());
        scene.api.compact();
        scene.api.cut_watches();
        scene.drifts(&format!("while-{verb}-is-refused")).await;
        // What the watch did not need of it is not meant for the sync.
        scene.api.lift(&forbidden);
        scene.sync(SHOP).await.unwrap();
    }
}

#[tokio::test]
async fn what_may_not_be_watched_is_told_and_goes_on_when_it_is_allowed() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    scene.synced().await;
    scene.sees_all().await;
    assert!(!scene.cluster.unwatched(&shop()));
    let forbidden = Fault::forbidden().on("watch", "configmaps");
    scene.api.fault(forbidden.clone());
    scene.api.cut_watches();
    let unseen = scene.sees("a watch is missing", |unseen| !unseen.is_empty()).await;
    assert_eq!(unseen[0].describe(), "ConfigMaps in namespace prod not watched: forbidden to watch");
    assert!(unseen.len() == 1 && unseen[0].of == Cover::Watch && unseen[0].last_seen.is_some(), "{unseen:?}");
    assert!(scene.cluster.unwatched(&shop()));
    assert!(!scene.cluster.unwatched(&"another/prod".parse().unwrap()), "who has no ConfigMaps misses nothing");

    scene.api.lift(&forbidden);
    // An object of the kind that is written says that it may be well again.
    scene.sync(&SHOP.replace("hello", "good morning")).await.unwrap();
    scene.sees_all().await;
    assert!(!scene.cluster.unwatched(&shop()));
    scene.drifts("kubectl-edit").await;
}

#[tokio::test]
async fn what_was_narrowed_to_namespaces_is_widened_again() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    scene.synced().await;
    scene.api.fault(Fault::forbidden().on("watch", "configmaps").within("").times(1));
    scene.api.cut_watches();
    // From now on only all of them together can be watched.
    scene.api.fault(Fault::forbidden().on("*", "configmaps").within("prod"));
    scene.sees("the namespace cannot be watched", |unseen| !unseen.is_empty()).await;
    scene.sees_all().await;
}

/// As after a start: the cluster goes before the first watch was begun.
#[tokio::test]
async fn where_nothing_is_watched_any_request_says_that_a_cluster_is_away() {
    let scene = Scene::new().await;
    scene.cluster.version().await.unwrap();
    scene.api.away().await;
    scene.cluster.inventory(&shop(), "prod", &Memory::new()).await.unwrap_err();
    scene.sees("that the cluster is away", |unseen| unseen.iter().any(|one| one.of == Cover::Cluster)).await;
}

#[tokio::test]
async fn any_answer_says_that_a_cluster_is_back() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    scene.synced().await;
    scene.api.away().await;
    let away = |change: &ClusterChange| matches!(change, ClusterChange::Away { .. }).then_some(());
    scene.wait_for("away", away).await;
    let unseen = scene.sees("it is missed", |unseen| !unseen.is_empty()).await;
    let words = unseen[0].describe();
    assert!(words.starts_with("cluster standin cannot be observed: "), "{words}");
    assert!(!scene.cluster.unwatched(&shop()), "there is nothing to compare with");

    scene.api.fault(Fault::forbidden().on("list", "*"));
    scene.api.fault(Fault::forbidden().on("watch", "*"));
    scene.api.back().await;
    scene.cluster.version().await.unwrap();
    let watches = |unseen: &[Unseen]| unseen.iter().all(|unseen| unseen.of == Cover::Watch) && unseen.len() >= 4;
    scene.sees("it answers, and its watches are missed", watches).await;
    scene.api.mend();
    scene.cluster.try_again();
    scene.sees_all().await;
}

#[tokio::test]
async fn a_kind_that_was_away_is_watched_again_when_it_is_back() {
    let mut scene = Scene::new().await;
    scene.define(boats("Namespaced", "v1")).await;
    scene.sync(BOAT).await.unwrap();
    scene.synced().await;
    scene.undefine().await;
    let unseen = scene.sees("boats are missed", |unseen| !unseen.is_empty()).await;
    assert_eq!(unseen[0].describe(), "Boats not watched: the cluster knows no kind Boat in sea.example");

    scene.define(boats("Namespaced", "v1")).await;
    // Kinds that are not known are asked for again after a moment; whoever syncs tries again.
    let again = async { while scene.sync(BOAT).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(20), again).await.expect("it is synced again");
    scene.sees_all().await;
    scene.api.delete("boats.sea.example", "prod", "one").unwrap();
    let missing = |change: &ClusterChange| match change {
        ClusterChange::ResourceChanged(status) => (status.health == Health::Missing).then_some(()),
        _ => None,
    };
    scene.wait_for("the boat is missing", missing).await;
}

#[tokio::test]
async fn a_definition_that_is_made_anew_is_found_in_its_new_scope_and_version() {
    let mut scene = Scene::new().await;
    scene.define(boats("Namespaced", "v1")).await;
    scene.sync(BOAT).await.unwrap();
    scene.synced().await;
    scene.undefine().await;

    scene.define(boats("Namespaced", "v1alpha1")).await;
    let planned = scene.plan(BOAT).await.unwrap();
    let refusal = &planned.refusals[0];
    assert_eq!(refusal.message, "the cluster serves Boat of sea.example as v1alpha1, not as v1");
    assert!(refusal.hint.starts_with("write the manifest for what the cluster serves"), "{}", refusal.hint);
    scene.undefine().await;

    // The cluster was asked for its kinds a moment ago; a definition that is written by hand tells nobody of itself.
    scene.define(boats("Cluster", "v1")).await;
    let within = async {
        loop {
            let planned = scene.plan(BOAT).await.unwrap();
            if planned.refusals.iter().any(|refusal| refusal.message.contains("for the whole cluster now")) {
                return planned;
            }
        }
    };
    let planned = tokio::time::timeout(Duration::from_secs(20), within).await.expect("its scope is told");
    let message = &planned.refusals[0].message;
    assert_eq!(message, "the cluster serves Boat for the whole cluster now, and not in namespace prod");
    // As the renderer does it for a kind of this scope.
    let mut boat = manifests(BOAT);
    boat[0].resource.namespace = None;
    let mut object = boat[0].object.clone().into_value();
    object["metadata"].as_object_mut().unwrap().remove("namespace");
    boat[0].object = object.into();
    let planned = scene.cluster.plan(&shop(), &boat, &scene.memory, &scene.options).await.unwrap();
    assert_eq!(planned.refusals, []);
    let executed = scene.cluster.execute(planned, &|_| {}).await.unwrap();
    assert_eq!(executed.failed, []);
    assert!(scene.api.get("boats.sea.example", "", "one").is_some());
}

#[tokio::test]
async fn what_is_pruned_is_not_missed() {
    let mut scene = Scene::new().await;
    scene.sync(&config_maps(2, "a")).await.unwrap();
    scene.synced().await;
    let planned = scene.plan(&config_maps(1, "a")).await.unwrap();
    assert_eq!(lines(&planned.changes).last().map(String::as_str), Some("- ConfigMap/c1"));
    scene.api.delete("configmaps", "prod", "c1").unwrap();
    let told = |change: &ClusterChange| match change {
        ClusterChange::ResourceChanged(status) if status.resource.name == "c1" && status.created.is_none() => {
            Some(status.health.to_string())
        }
        ClusterChange::ResourceGone { resource, .. } if resource.name == "c1" => Some("gone".to_owned()),
        _ => None,
    };
    assert_eq!(scene.wait_for("what became of it", told).await, "gone");
}

/// Whether a kind of nobody we know tells how it is stands in what the server says of its kinds.
#[tokio::test]
async fn an_object_without_a_status_is_waited_for_where_its_kind_has_one() {
    for (tells, health, message) in [
        (false, Health::Healthy, "it has no status"),
        (true, Health::Progressing, "its controller has reported no status yet"),
    ] {
        let mut scene = Scene::new().await;
        let mut definition = boats("Namespaced", "v1");
        if tells {
            definition["spec"]["versions"][0]["subresources"] = json!({ "status": {} });
        }
        scene.define(definition).await;
        scene.sync(BOAT).await.unwrap();
        let told = |change: &ClusterChange| match change {
            ClusterChange::ResourceChanged(status) if status.resource.kind == "Boat" => Some(status.clone()),
            _ => None,
        };
        let status = scene.wait_for("the boat", told).await;
        assert_eq!((status.health, status.message.as_str()), (health, message));
    }
}

/// Somebody takes a definition back while a sync waits for its kind: what cannot come is not waited for to the end.
#[tokio::test]
async fn a_definition_that_is_changed_or_deleted_is_not_waited_for() {
    for (established, deleted, words) in [
        (false, false, "CustomResourceDefinition/boats.sea.example (document 1): it was changed in the meantime"),
        (false, true, "CustomResourceDefinition/boats.sea.example (document 1): it was deleted in the meantime"),
        (true, false, "cannot wait for the kind of Boat/one: CustomResourceDefinition/boats.sea.example was changed"),
        (true, true, "cannot wait for the kind of Boat/one: CustomResourceDefinition/boats.sea.example was deleted"),
    ] {
        let scene = Scene::new().await;
        let unserve = |scene: &Scene| {
            let unserve = |o: &mut Value| o["spec"]["versions"][0]["served"] = json!(false);
            scene.api.edit(DEFINITIONS, "", "boats.sea.example", "kubectl-edit", unserve).unwrap();
        };
        if established {
            scene.define(boats("Namespaced", "v1")).await;
            unserve(&scene);
        }
        let planned = scene.plan(&format!("{}---\n{BOAT}", yaml::write(&boats("Namespaced", "v1")))).await.unwrap();
        // The cluster tells what it serves only when the definition is another.
        scene.api.fault(Fault::slow(Duration::from_millis(500)).on("get", "/apis"));
        let take_back = async {
            let is_served = |api: &StandIn| {
                let definition = api.get(DEFINITIONS, "", "boats.sea.example")?;
                (definition["spec"]["versions"][0]["served"] == true).then_some(())
            };
            scene.api.wait_for("the definition", is_served).await;
            if deleted {
                scene.api.delete(DEFINITIONS, "", "boats.sea.example").unwrap();
            } else {
                unserve(&scene);
            }
        };
        let sync = tokio::time::timeout(Duration::from_secs(20), scene.cluster.execute(planned, &|_| {}));
        let (executed, ()) = tokio::join!(sync, take_back);
        let told = match executed.expect("it waited for what cannot come") {
            Ok(executed) => executed.failed.iter().map(ToString::to_string).collect(),
            Err(error) => error.to_string(),
        };
        assert!(told.contains(words), "{told}");
    }
}

//! Plans that are carried out.

use quarterdeck_shared::change::Action;
use quarterdeck_shared::error::Hint as _;

use super::*;

#[tokio::test]
async fn from_empty_to_applied_and_then_nothing_is_asked() {
    let mut scene = Scene::new().await;
    let planned = scene.plan(SHOP).await.unwrap();
    assert_eq!(
        lines(&planned.changes),
        ["+ ServiceAccount/shop", "+ ConfigMap/shop", "+ Service/shop", "+ Deployment/shop"]
    );
    assert_eq!(scene.api.counts().writes(), 0, "a plan writes nothing");

    scene.api.reset_counts();
    let executed = scene.sync(SHOP).await.unwrap();
    assert_eq!(executed.changes.len(), 4);
    let counts = scene.api.counts();
    let asked = counts.all() - counts.watches();
    assert!(asked <= 10, "{asked} requests: {counts:?}");
    let inventory = scene.live("configmaps", "quarterdeck-shop.prod").unwrap();
    assert_eq!(inventory["metadata"]["labels"]["app.kubernetes.io/managed-by"], "quarterdeck");
    assert!(inventory["metadata"]["labels"][APPLICATION_LABEL].is_null(), "it is no object of the application");

    scene.synced().await;
    scene.api.wait_for("two pods run", |api| (api.pods("prod").len() == 2).then_some(())).await;
    for forced in [false, true] {
        scene.options.full = forced;
        scene.api.reset_counts();
        let executed = scene.sync(SHOP).await.unwrap();
        assert_eq!(lines(&executed.changes), [""; 0]);
        assert_eq!(scene.api.counts().all(), if forced { 4 } else { 0 }, "{:?}", scene.api.counts());
    }
}

#[tokio::test]
async fn a_restart_asks_for_nothing_that_its_watches_tell() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    scene.restart().await;
    scene.api.reset_counts();
    let planned = scene.plan(SHOP).await.unwrap();
    assert_eq!(planned.changes.iter().filter(|change| change.action == Action::Unchanged).count(), 4);
    assert!(planned.is_nothing());
    assert_eq!(scene.api.counts().all(), 0, "{:?}", scene.api.counts());
}

#[tokio::test]
async fn a_thousand_objects_cost_what_changed() {
    let mut scene = Scene::new().await;
    let before = config_maps(1_000, "a");
    scene.sync(&before).await.unwrap();
    let counts = scene.api.counts();
    assert!(counts.all() - counts.watches() <= 2_010, "{counts:?}");
    scene.synced().await;

    scene.api.reset_counts();
    scene.sync(&before).await.unwrap();
    assert_eq!(scene.api.counts().all(), 0, "{:?}", scene.api.counts());

    let after = before.replacen("value: a", "value: b", 1);
    let executed = scene.sync(&after).await.unwrap();
    assert_eq!(lines(&executed.changes), ["~ ConfigMap/c0"]);
    let counts = scene.api.counts();
    assert!(counts.writes() == 1 && counts.all() <= 6, "{counts:?}");

    scene.api.reset_counts();
    scene.options.full = true;
    scene.sync(&after).await.unwrap();
    let counts = scene.api.counts();
    assert!(counts.all() <= 1_500 && counts.writes() == 0, "{counts:?}");

    // Without watches, the live objects are read page by page.
    let cluster = connect(&scene.api, &scene.folder);
    scene.api.reset_counts();
    let planned = cluster.plan(&shop(), &manifests(&after), &Memory::new(), &scene.options).await.unwrap();
    let counts = scene.api.counts();
    assert!(planned.is_nothing() && counts.all() <= 1_500, "{counts:?}");
}

#[tokio::test]
async fn only_what_differs_is_written_and_it_is_told_field_by_field() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    let executed = scene.sync(&SHOP.replace("shop:1", "shop:2").replace("replicas: 2", "replicas: 3")).await.unwrap();
    assert_eq!(lines(&executed.changes), ["~ Deployment/shop"]);
    let fields: Vec<_> = executed.changes[0].fields.iter().map(|f| (f.path.as_str(), f.manager.as_deref())).collect();
    assert_eq!(
        fields,
        [
            ("spec.replicas", Some("quarterdeck")),
            ("spec.template.spec.containers[name=shop].image", Some("quarterdeck"))
        ]
    );
}

#[tokio::test]
async fn what_left_git_is_pruned_unless_it_should_stay() {
    let mut scene = Scene::new().await;
    let three = config_maps(3, "a");
    scene.sync(&three).await.unwrap();
    let inventory = |scene: &Scene| {
        let object = scene.live("configmaps", "quarterdeck-shop.prod").unwrap();
        ["c0", "c1", "c2"]
            .map(|name| object["data"]["inventory.json"].as_str().unwrap().contains(&format!("\"{name}\"")))
    };

    scene.options.prune = false;
    let executed = scene.sync(&config_maps(2, "a")).await.unwrap();
    assert_eq!(lines(&executed.changes), ["· ConfigMap/c2"]);
    assert_eq!(inventory(&scene), [true, true, true], "it stays known");

    scene.options.prune = true;
    scene
        .api
        .edit("configmaps", "prod", "c2", "kubectl", |o| {
            o["metadata"]["annotations"]["quarterdeck.dev/prune"] = json!("disabled")
        })
        .unwrap();
    scene.api.edit("configmaps", "prod", "c1", "kubectl", |o| o["metadata"]["labels"] = json!({})).unwrap();
    let executed = scene.sync(&config_maps(1, "a")).await.unwrap();
    let reasons: Vec<_> =
        executed.changes.iter().map(|c| (c.resource.name.as_str(), c.reason.as_deref().unwrap())).collect();
    assert_eq!(reasons, [("c2", "quarterdeck.dev/prune: disabled"), ("c1", "no longer in git, and nobody's now")]);
    assert_eq!(inventory(&scene), [true, false, true], "what is not ours any more is forgotten");

    scene.api.edit("configmaps", "prod", "c2", "kubectl", |o| o["metadata"]["annotations"] = json!({})).unwrap();
    let executed = scene.sync(&config_maps(1, "a")).await.unwrap();
    assert_eq!(lines(&executed.changes), ["- ConfigMap/c2"]);
    assert!(scene.live("configmaps", "c2").is_none() && scene.live("configmaps", "c1").is_some());
    assert_eq!(inventory(&scene), [true, false, false]);
}

#[tokio::test]
async fn a_crash_between_the_writes_orphans_nothing() {
    let mut scene = Scene::new().await;
    scene.sync(&config_maps(2, "a")).await.unwrap();
    // The agent dies after the inventory and the first writes: what git named then is known to who comes after.
    scene.api.fault(harness::cluster::faults::Fault::hang().on("patch", "configmaps").named("c3"));
    let planned = scene.plan(&config_maps(4, "b")).await;
    assert!(planned.is_err(), "the dry run hangs as well");
    scene.api.mend();
    let planned = scene.plan(&config_maps(4, "b")).await.unwrap();
    scene.api.fault(harness::cluster::faults::Fault::hang().on("patch", "configmaps").named("c3"));
    let cluster = scene.cluster.clone();
    let dying = tokio::spawn(async move { cluster.execute(planned, &|_| {}).await });
    scene.api.wait_for("c2 is written", |api| api.get("configmaps", "prod", "c2")).await;
    dying.abort();
    scene.api.mend();

    scene.restart().await;
    let executed = scene.sync(&config_maps(1, "b")).await.unwrap();
    let mut pruned = lines(&executed.changes);
    pruned.retain(|line| line.starts_with('-'));
    assert_eq!(pruned, ["- ConfigMap/c2", "- ConfigMap/c1"]);
}

#[tokio::test]
async fn a_custom_resource_comes_beside_its_definition_and_its_namespace() {
    let mut scene = Scene::new().await;
    let yaml = r#"
apiVersion: example.com/v1
kind: Gadget
metadata: {name: one, namespace: gadgets}
spec: {size: 3}
---
apiVersion: v1
kind: Namespace
metadata: {name: gadgets}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.com}
spec:
  group: example.com
  names: {kind: Gadget, plural: gadgets, singular: gadget, listKind: GadgetList}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {size: {type: integer}}}}
"#;
    let planned = scene.plan(yaml).await.unwrap();
    assert_eq!(planned.changes[2].reason.as_deref(), Some("its kind comes with this sync"));
    let executed = scene.sync(yaml).await.unwrap();
    assert_eq!(executed.failed, []);
    assert_eq!(
        lines(&executed.changes),
        ["+ Namespace/gadgets", "+ CustomResourceDefinition/gadgets.example.com", "+ Gadget/one"]
    );
    assert_eq!(scene.api.get("gadgets.example.com", "gadgets", "one").unwrap()["spec"]["size"], 3);

    scene.synced().await;
    scene.api.reset_counts();
    assert!(scene.plan(yaml).await.unwrap().is_nothing());
    assert_eq!(scene.api.counts().all(), 0, "{:?}", scene.api.counts());
}

#[tokio::test]
async fn the_namespace_is_made_where_that_is_wanted() {
    let mut scene = Scene::new().await;
    scene.options.namespace = "fresh".to_owned();
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: fresh}\n";
    let refused = scene.sync(yaml).await.unwrap_err();
    assert!(refused.to_string().contains("namespaces \"fresh\" not found"), "{refused}");
    assert!(refused.hint().contains("create_namespace"), "{}", refused.hint());

    scene.options.create_namespace = true;
    let executed = scene.sync(yaml).await.unwrap();
    assert_eq!(lines(&executed.changes), ["+ ConfigMap/a"]);
    assert!(scene.api.get("configmaps", "fresh", "a").is_some());
    assert!(scene.api.get("configmaps", "fresh", "quarterdeck-shop.prod").is_some());
}

/// As the documentation of autoscalers asks: the number goes from the manifest, and the server's default comes in its place.
#[tokio::test]
async fn replicas_that_leave_the_manifest_are_told_with_what_becomes_of_them() {
    let mut scene = Scene::new().await;
    scene.sync(&SHOP.replace("replicas: 2", "replicas: 6")).await.unwrap();
    let planned = scene.plan(&SHOP.replace("  replicas: 2\n", "")).await.unwrap();
    let fields = &planned.changes.iter().find(|change| change.resource.kind == "Deployment").unwrap().fields;
    let told: Vec<_> = fields.iter().map(|f| (f.path.as_str(), f.live.clone(), f.desired.clone())).collect();
    assert_eq!(told, [("spec.replicas", Some(json!(6)), Some(json!(1)))]);
}

#[tokio::test]
async fn replicas_that_the_manifest_does_not_name_belong_to_others() {
    let mut scene = Scene::new().await;
    let yaml = SHOP.replace("  replicas: 2\n", "");
    scene.sync(&yaml).await.unwrap();
    scene.api.edit("deployments.apps", "prod", "shop", "autoscaler", |o| o["spec"]["replicas"] = json!(5)).unwrap();
    scene.options.full = true;
    let executed = scene.sync(&yaml).await.unwrap();
    assert_eq!(lines(&executed.changes), [""; 0]);
    assert_eq!(scene.live("deployments.apps", "shop").unwrap()["spec"]["replicas"], 5);
}

#[tokio::test]
async fn a_field_that_an_object_leaves_to_others_has_gits_value_once() {
    let mut scene = Scene::new().await;
    let yielding = SHOP.replace(
        "metadata: {name: shop}\nspec:\n  replicas",
        "metadata:\n  name: shop\n  annotations: {quarterdeck.dev/ignore: spec.replicas}\nspec:\n  replicas",
    );
    let says = |scene: &Scene| {
        let live = scene.live("deployments.apps", "shop").unwrap();
        let image = live["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned();
        (live["spec"]["replicas"].as_u64().unwrap(), image.rsplit(':').next().unwrap().to_owned())
    };
    let is = |replicas: u64, image: &str| (replicas, image.to_owned());
    scene.sync(&yielding).await.unwrap();
    assert_eq!(says(&scene), is(2, "1"), "made as git says");

    // While nobody else wrote it it is ours still, and stays as it is.
    let executed = scene.sync(&yielding.replace("replicas: 2", "replicas: 3")).await.unwrap();
    assert_eq!((lines(&executed.changes), says(&scene)), (vec![], is(2, "1")));
    scene.sync(&yielding.replace("shop:1", "shop:2")).await.unwrap();
    assert_eq!(says(&scene), is(2, "2"), "another field is written");

    scene.api.edit("deployments.apps", "prod", "shop", "autoscaler", |o| o["spec"]["replicas"] = json!(5)).unwrap();
    for forced in [false, true] {
        scene.options.full = forced;
        let executed = scene.sync(&yielding.replace("shop:1", "shop:2")).await.unwrap();
        assert_eq!((lines(&executed.changes), says(&scene)), (vec![], is(5, "2")), "forced: {forced}");
    }
    scene.sync(&yielding.replace("shop:1", "shop:3")).await.unwrap();
    assert_eq!(says(&scene), is(5, "3"));
    scene.api.edit("deployments.apps", "prod", "shop", "autoscaler", |o| o["spec"]["replicas"] = json!(1)).unwrap();
    assert_eq!(scene.live("deployments.apps", "shop").unwrap()["spec"]["replicas"], 1, "no manager stands in its way");

    let executed = scene.sync(SHOP).await.unwrap();
    assert_eq!(
        (lines(&executed.changes), says(&scene)),
        (vec!["~ Deployment/shop".to_owned()], is(2, "1")),
        "it is git's again"
    );
}

#[tokio::test]
async fn a_diff_shows_both_sides_and_no_secret() {
    let mut scene = Scene::new().await;
    let secret = |value: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ndata: {{password: {value}}}\n---\n{}",
            config_maps(1, "a")
        )
    };
    scene.sync(&secret("aHVudGVyMg==")).await.unwrap();
    let desired = manifests(&secret("bmV3LXNlY3JldA=="));
    let (planned, sides) = scene.cluster.diff(&shop(), &desired, &scene.memory, &scene.options).await.unwrap();
    assert_eq!(sides.len(), 1, "only what differs");
    let (live, new) = (sides[0].live.clone().unwrap(), sides[0].desired.clone().unwrap());
    assert_ne!(live, new);
    let live_now = scene.cluster.live_yaml(&sides[0].resource, None).await.unwrap().unwrap();
    for shown in [&live, &new, &live_now, &format!("{planned:?}")] {
        let shown = shown.split("writes:").next().unwrap();
        for value in ["hunter2", "aHVudGVyMg", "new-secret", "bmV3LXNlY3JldA"] {
            assert!(!shown.contains(value), "{shown}");
        }
    }
    assert!(live.contains("(hidden ") && live_now.contains("(hidden "), "{live_now}");
}

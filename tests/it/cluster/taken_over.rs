//! Objects that others wrote before, and fields that others write.

use quarterdeck_core::sync::normalize::LAST_APPLIED;
use quarterdeck_shared::change::Change;

use super::*;

const CSA: &str = "kubectl-client-side-apply";

const BEFORE: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: shop}
data: {mode: fast, legacy: "remove me"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
      - name: shop
        image: registry.example/shop:1
        env: [{name: OLD_FLAG, value: "1"}, {name: MODE, value: fast}, {name: TOKEN, value: plain}]
        volumeMounts: [{name: conf, mountPath: /conf}]
      volumes: [{name: conf, emptyDir: {}}]
"#;

const IN_GIT: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: shop}
data: {mode: fast}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
      - name: shop
        image: registry.example/shop:1
        env: [{name: MODE, value: fast}, {name: TOKEN, valueFrom: {secretKeyRef: {name: shop, key: token}}}]
        volumeMounts: [{name: conf, mountPath: /conf}]
      volumes: [{name: conf, configMap: {name: shop}}]
"#;

/// As `kubectl apply` (or `create`) makes them for the first time.
fn by_kubectl(scene: &Scene, manager: &str, yaml: &str) {
    for document in yaml::parse(yaml.as_bytes()).unwrap() {
        let mut object = document.value;
        object["metadata"]["namespace"] = json!("prod");
        object["metadata"]["annotations"] = json!({LAST_APPLIED: object.to_string()});
        scene.api.create(manager, object).unwrap();
    }
}

fn managers(object: &Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().unwrap().iter();
    entries.filter_map(|entry| entry["manager"].as_str().map(str::to_owned)).collect()
}

fn env(object: &Value) -> &Value {
    &object["spec"]["template"]["spec"]["containers"][0]["env"]
}

fn change<'a>(changes: &'a [Change], kind: &str) -> &'a Change {
    changes.iter().find(|change| change.resource.kind == kind).unwrap()
}

#[tokio::test]
async fn what_kubectl_applied_and_git_leaves_out_goes_and_the_plan_says_so() {
    for manager in [CSA, "kubectl-create"] {
        let mut scene = Scene::new().await;
        by_kubectl(&scene, manager, BEFORE);
        let label = |object: &mut Value| object["metadata"]["labels"]["team"] = json!("blue");
        scene.api.edit("configmaps", "prod", "shop", "team-controller", label).unwrap();

        let (planned, sides) =
            scene.cluster.diff(&shop(), &manifests(IN_GIT), &scene.memory, &scene.options).await.unwrap();
        let config = change(&planned.changes, "ConfigMap");
        assert_eq!(config.reason.as_deref(), Some(&*format!("takes over the fields of {manager}")));
        let told: Vec<_> = config.fields.iter().map(|field| (field.path.as_str(), field.desired.is_some())).collect();
        let labels = "metadata.labels[\"quarterdeck.dev/application\"]";
        assert!(told.contains(&("data.legacy", false)) && told.contains(&(labels, true)), "{told:?}");
        assert_eq!(managers(&scene.live("configmaps", "shop").unwrap())[0], manager, "a plan writes nothing");

        scene.sync(IN_GIT).await.unwrap();
        let (config, web) =
            (scene.live("configmaps", "shop").unwrap(), scene.live("deployments.apps", "shop").unwrap());
        assert_eq!(config["data"], json!({"mode": "fast"}));
        assert_eq!(config["metadata"]["labels"]["team"], "blue", "another's stays");
        assert_eq!(config["metadata"].get("annotations"), None);
        let token = json!({"secretKeyRef": {"name": "shop", "key": "token"}});
        assert_eq!(*env(&web), json!([{"name": "MODE", "value": "fast"}, {"name": "TOKEN", "valueFrom": token}]));
        let volumes = &web["spec"]["template"]["spec"]["volumes"];
        assert_eq!((volumes[0]["configMap"]["name"].as_str(), volumes[0].get("emptyDir")), (Some("shop"), None));
        for object in [&config, &web] {
            assert!(!managers(object).iter().any(|name| name == manager), "{:?}", managers(object));
            // What the plan showed is what came.
            let side = sides.iter().find(|side| side.resource.kind == object["kind"].as_str().unwrap()).unwrap();
            let shown = yaml::parse(side.desired.as_ref().unwrap().as_bytes()).unwrap().remove(0).value;
            let same = |part: &str| assert_eq!(shown.get(part), object.get(part), "{part}");
            ["spec", "data"].into_iter().for_each(same);
        }

        // Once is enough.
        scene.options.full = true;
        assert!(scene.plan(IN_GIT).await.unwrap().is_nothing());
    }
}

#[tokio::test]
async fn what_kubectl_still_owns_of_an_object_that_is_ours_goes_with_the_next_change() {
    let mut scene = Scene::new().await;
    by_kubectl(&scene, CSA, BEFORE);
    // As an agent took it over that left kubectl its fields.
    for manifest in manifests(IN_GIT).iter().filter(|manifest| manifest.resource.kind == "ConfigMap") {
        scene.api.put_as("quarterdeck", manifest.object.clone().into_value()).unwrap();
    }
    assert_eq!(scene.live("configmaps", "shop").unwrap()["data"]["legacy"], "remove me");
    let executed = scene.sync(IN_GIT).await.unwrap();
    let config = change(&executed.changes, "ConfigMap");
    assert_eq!(config.fields.iter().map(|field| field.path.as_str()).collect::<Vec<_>>(), ["data.legacy"]);
    assert_eq!(scene.live("configmaps", "shop").unwrap()["data"], json!({"mode": "fast"}));
}

#[tokio::test]
async fn an_agent_that_died_between_takeover_and_apply_goes_on_where_it_was() {
    let mut scene = Scene::new().await;
    by_kubectl(&scene, CSA, BEFORE);
    let ours = |object: &mut Value| {
        let entry = &mut object["metadata"]["managedFields"][0];
        (entry["manager"], entry["operation"]) = (json!("quarterdeck"), json!("Apply"));
    };
    scene.api.edit("configmaps", "prod", "shop", "quarterdeck", ours).unwrap();
    let executed = scene.sync(IN_GIT).await.unwrap();
    let gone = change(&executed.changes, "ConfigMap").fields.iter().find(|field| field.path == "data.legacy");
    assert_eq!(gone.map(|field| field.manager.as_deref()), Some(Some("quarterdeck")));
    assert_eq!(scene.live("configmaps", "shop").unwrap()["data"], json!({"mode": "fast"}));
}

#[tokio::test]
async fn fields_that_are_left_to_others_stay_when_an_object_is_taken_over() {
    let mut scene = Scene::new().await;
    by_kubectl(&scene, CSA, BEFORE);
    let left = IN_GIT.replacen("{name: shop}", "{name: shop, annotations: {quarterdeck.dev/ignore: data.legacy}}", 1);
    let left = left.replacen("mode: fast}", "mode: fast, legacy: git}", 1);
    scene.sync(&left).await.unwrap();
    assert_eq!(scene.live("configmaps", "shop").unwrap()["data"], json!({"mode": "fast", "legacy": "remove me"}));
}

#[tokio::test]
async fn an_object_that_was_written_between_plan_and_takeover_is_taken_over_all_the_same() {
    let mut scene = Scene::new().await;
    by_kubectl(&scene, CSA, BEFORE);
    let planned = scene.plan(IN_GIT).await.unwrap();
    let again = |object: &mut Value| object["data"]["more"] = json!("by kubectl");
    scene.api.edit("configmaps", "prod", "shop", CSA, again).unwrap();
    let executed = scene.cluster.execute(planned, &|_| {}).await.unwrap();
    assert!(executed.failed.is_empty(), "{:?}", executed.failed);
    scene.memory.extend(executed.memory.iter().cloned());
    assert_eq!(scene.live("configmaps", "shop").unwrap()["data"], json!({"mode": "fast"}));
}

const SCALED: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 6
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop, image: "registry.example/shop:1"}]}
"#;

const AUTOSCALER: &str = r#"
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: shop}
spec:
  minReplicas: 4
  maxReplicas: 10
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
"#;

fn replicas(scene: &Scene) -> i64 {
    scene.live("deployments.apps", "shop").unwrap()["spec"]["replicas"].as_i64().unwrap()
}

fn scale(scene: &Scene, replicas: u32) {
    let change = |object: &mut Value| object["spec"]["replicas"] = json!(replicas);
    scene.api.edit("deployments.apps", "prod", "shop", "kube-controller-manager", change).unwrap();
}

#[tokio::test]
async fn replicas_that_git_stops_naming_stay_where_an_autoscaler_comes_and_else_fall_and_it_is_said() {
    let mut scene = Scene::new().await;
    scene.sync(SCALED).await.unwrap();
    let unnamed = SCALED.replace("  replicas: 6\n", "");
    let planned = scene.plan(&unnamed).await.unwrap();
    let field = &change(&planned.changes, "Deployment").fields[0];
    let told = (field.path.as_str(), field.live.clone(), field.desired.clone(), field.default);
    assert_eq!(told, ("spec.replicas", Some(json!(6)), Some(json!(1)), true));

    let handed = format!("{unnamed}{AUTOSCALER}");
    let executed = scene.sync(&handed).await.unwrap();
    assert_eq!((lines(&executed.changes), replicas(&scene)), (vec!["+ HorizontalPodAutoscaler/shop".to_owned()], 6));
    // From now on it is the autoscaler's, through every change.
    for (round, wanted) in [(1, 8), (2, 4), (3, 1)] {
        scale(&scene, wanted);
        scene.sync(&handed.replace("shop:1", &format!("shop:{round}"))).await.unwrap();
        assert_eq!(replicas(&scene), i64::from(wanted));
        scene.options.full = true;
        assert!(scene.plan(&handed.replace("shop:1", &format!("shop:{round}"))).await.unwrap().is_nothing());
        scene.options.full = false;
    }
}

#[tokio::test]
async fn replicas_that_git_names_are_left_to_whatever_autoscaler_there_is() {
    let mut scene = Scene::new().await;
    // Somebody else's, as KEDA's.
    let mut hpa = yaml::parse(AUTOSCALER.as_bytes()).unwrap().remove(0).value;
    hpa["metadata"]["namespace"] = json!("prod");
    scene.sync(SCALED).await.unwrap();
    scale(&scene, 8);
    assert_eq!(lines(&scene.plan(SCALED).await.unwrap().changes), ["~ Deployment/shop"], "nobody scales it");

    scene.api.put(hpa).unwrap();
    let planned = scene.plan(SCALED).await.unwrap();
    let left = change(&planned.changes, "Deployment");
    assert!(planned.is_nothing());
    assert_eq!(left.reason.as_deref(), Some("spec.replicas is left to HorizontalPodAutoscaler/shop"));
    scene.sync(&SCALED.replace("shop:1", "shop:2")).await.unwrap();
    assert_eq!(replicas(&scene), 8);

    // What git stops on purpose is stopped: an autoscaler does not touch it then.
    scene.sync(&SCALED.replace("replicas: 6", "replicas: 0")).await.unwrap();
    assert_eq!(replicas(&scene), 0);
    scene.sync(SCALED).await.unwrap();
    assert_eq!(replicas(&scene), 6);
}

#[tokio::test]
async fn an_autoscaler_that_leaves_git_takes_its_word_with_it() {
    let mut scene = Scene::new().await;
    scene.sync(&format!("{SCALED}{AUTOSCALER}")).await.unwrap();
    scale(&scene, 8);
    assert!(scene.plan(&format!("{SCALED}{AUTOSCALER}")).await.unwrap().is_nothing());
    scene.sync(SCALED).await.unwrap();
    assert_eq!(replicas(&scene), 6);
}

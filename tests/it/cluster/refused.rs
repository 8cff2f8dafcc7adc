//! What the cluster refuses: told in its words, and nothing half done.

use harness::cluster::faults::Fault;
use quarterdeck_kubernetes::Class;
use quarterdeck_shared::error::Hint as _;

use super::*;

/// Syncs a good state, then something that is refused; the good state has to be untouched.
async fn check_refused(scene: &mut Scene, bad: &str, words: &[&str]) -> ClusterError {
    scene.sync(SHOP).await.unwrap();
    scene.api.reset_counts();
    let refused = scene.sync(bad).await.unwrap_err();
    for word in words {
        assert!(refused.to_string().contains(word), "{refused}");
    }
    assert_eq!(scene.api.counts().writes(), 0, "nothing is half done");
    refused
}

#[tokio::test]
async fn a_bad_manifest_is_told_with_its_place_and_nothing_is_applied() {
    let mut scene = Scene::new().await;
    let bad = SHOP.replace("greeting: hello", "greeting: changed").replace("replicas: 2", "replica: 2");
    check_refused(&mut scene, &bad, &["Deployment/shop (document 4)", ".spec.replica: field not declared in schema"])
        .await;
    assert_eq!(scene.live("configmaps", "shop").unwrap()["data"]["greeting"], "hello");
}

#[tokio::test]
async fn a_field_that_nobody_can_leave_to_others_is_told() {
    let mut scene = Scene::new().await;
    for (written, told) in [
        ("spec..replicas", "quarterdeck.dev/ignore: spec..replicas: \"\" is not a field name"),
        ("metadata.labels", "quarterdeck.dev/ignore: metadata.labels: an object cannot do without its"),
    ] {
        let annotated = format!("metadata:\n  name: shop\n  annotations: {{quarterdeck.dev/ignore: {written}}}\ndata");
        let bad = SHOP.replace("metadata: {name: shop}\ndata", &annotated);
        check_refused(&mut scene, &bad, &["ConfigMap/shop (document 2)", told]).await;
    }
}

#[tokio::test]
async fn an_immutable_field_is_told_with_what_to_do() {
    let mut scene = Scene::new().await;
    let bad = SHOP
        .replace("matchLabels: {app: shop}", "matchLabels: {app: x}")
        .replace("labels: {app: shop}", "labels: {app: x}");
    let refused = check_refused(&mut scene, &bad, &["Deployment/shop", "immutable"]).await;
    assert!(refused.hint().contains("delete the live object yourself"), "{}", refused.hint());
}

#[tokio::test]
async fn an_admission_refusal_is_told_in_its_words() {
    let mut scene = Scene::new().await;
    let words = "deployments.apps \"big\" is forbidden: exceeded quota: small";
    scene.api.fault(Fault::refused(words).on("patch", "deployments.apps").named("big"));
    let bad = SHOP.replace("metadata: {name: shop}\nspec:\n  replicas", "metadata: {name: big}\nspec:\n  replicas");
    let refused = check_refused(&mut scene, &bad.replace("hello", "changed"), &[words]).await;
    assert!(refused.hint().contains("quota"), "{}", refused.hint());
    assert_eq!(scene.live("configmaps", "shop").unwrap()["data"]["greeting"], "hello");
}

/// What is no fault of the manifest is not blamed on it, and what is quoted of it is short.
#[tokio::test]
async fn who_refuses_is_told_from_what_is_refused() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    let down = "Internal error occurred: failed calling webhook \"v.lc.example\": failed to call webhook: Post \
                \"https://lc.lc-hook.svc:443/?timeout=10s\": dial tcp 10.96.12.3:443: connect: connection refused";
    let ending = "configmaps \"shop\" is forbidden: unable to create new content in namespace prod because it is being terminated";
    let template =
        format!("core.PodTemplateSpec{{Env:[]core.EnvVar{{core.EnvVar{{Value:{:?}}}}}}}", "hunter2 ".repeat(300));
    let immutable =
        format!("Job.batch \"shop\" is invalid: spec.template: Invalid value: {template}: field is immutable");
    for (fault, told, hint) in [
        (
            Fault::words(500, down),
            "failed calling webhook",
            "see that webhook v.lc.example (service lc in namespace lc-hook)",
        ),
        (Fault::refused(ending), "it is being terminated", "wait until namespace prod is gone"),
        (
            Fault::words(422, &immutable),
            ": spec.template: Invalid value: core.PodTemplateSpec{…}: field is immutable",
            "put it back, give the object another name",
        ),
    ] {
        scene.api.fault(fault.on("patch", "configmaps").named("shop"));
        let refused = scene.sync(&SHOP.replace("hello", "changed")).await.unwrap_err();
        assert!(refused.to_string().contains(told), "{refused}");
        assert!(refused.hint().contains(hint) && !refused.to_string().contains("hunter2"), "{}", refused.hint());
        scene.api.mend();
    }
}

#[tokio::test]
async fn a_kind_that_nobody_knows_is_told_once_and_cheaply() {
    let mut scene = Scene::new().await;
    let bad = format!("{SHOP}---\napiVersion: example.com/v1\nkind: Unknown\nmetadata: {{name: x}}\n");
    let refused = check_refused(&mut scene, &bad, &["the cluster knows no kind Unknown in example.com"]).await;
    assert!(refused.hint().contains("CustomResourceDefinition"), "{}", refused.hint());
}

#[tokio::test]
async fn an_object_of_another_application_is_left_to_it() {
    let mut scene = Scene::new().await;
    let other = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "taken", "namespace": "prod", "labels": {APPLICATION_LABEL: "other"}},
    });
    scene.api.put(other).unwrap();
    let bad = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: taken}\ndata: {a: b}\n";
    check_refused(&mut scene, bad, &["it belongs to environment other, and shop/prod wants it too"]).await;
}

#[tokio::test]
async fn a_forbidden_request_says_which_and_a_busy_server_is_asked_again() {
    let mut scene = Scene::new().await;
    let words = "User \"qd\" cannot patch resource \"secrets\" in API group \"\" in the namespace \"prod\"";
    scene.api.fault(Fault::refused(words).on("patch", "secrets"));
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n";
    let refused = scene.sync(secret).await.unwrap_err();
    assert!(refused.to_string().contains(words) && refused.hint().contains("permission"), "{refused}");

    scene.api.mend();
    scene.api.fault(Fault::status(429).on("patch", "secrets").times(1));
    scene.api.fault(Fault::status(503).on("patch", "secrets").times(1));
    scene.sync(secret).await.unwrap();

    scene.api.fault(Fault::status(429).on("patch", "secrets"));
    scene.options.full = true;
    let ClusterError::Api(problem) = scene.sync(secret).await.unwrap_err() else { panic!("no refusal") };
    assert_eq!(problem.class, Class::TooMany, "{problem}");
}

/// Two writers met: the next try wins, and one that never does is told.
#[tokio::test]
async fn a_conflict_is_tried_again_and_an_endless_one_is_told() {
    let mut scene = Scene::new().await;
    scene.api.fault(Fault::status(409).on("patch", "services").times(2));
    scene.sync(SHOP).await.unwrap();
    scene.options.full = true;
    scene.api.fault(Fault::status(409).on("patch", "services"));
    let refused = scene.sync(SHOP).await.unwrap_err();
    assert!(refused.to_string().contains("Service/shop"), "{refused}");
    scene.api.mend();
    scene.sync(SHOP).await.unwrap();
}

#[tokio::test]
async fn a_cluster_that_is_away_or_slow_is_told_as_such() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    scene.api.away().await;
    scene.options.full = true;
    let away = scene.sync(SHOP).await.unwrap_err();
    assert!(away.is_transient(), "{away}");
    assert!(away.to_string().contains("refused"), "{away}");
    scene.api.back().await;
    scene.sync(SHOP).await.unwrap();

    scene.api.fault(Fault::hang().on("patch", "services"));
    let ClusterError::Api(problem) = scene.sync(SHOP).await.unwrap_err() else { panic!("no refusal") };
    assert_eq!(problem.class, Class::Timeout, "{problem}");
}

#[tokio::test]
async fn what_fails_only_when_it_is_written_ends_the_sync_there() {
    let mut scene = Scene::new().await;
    scene.sync(&format!("{SHOP}---\n{}", config_maps(1, "a"))).await.unwrap();
    let planned = scene.plan(&SHOP.replace("hello", "changed").replace("shop:1", "shop:2")).await.unwrap();
    scene
        .api
        .fault(Fault::refused("configmaps \"shop\" is forbidden: no more").on("patch", "configmaps").named("shop"));
    let executed = scene.cluster.execute(planned, &|_| {}).await.unwrap();
    assert_eq!(executed.failed.len(), 1);
    assert_eq!(executed.failed[0].message, "configmaps \"shop\" is forbidden: no more");
    assert_eq!(lines(&executed.changes), [""; 0], "the next stage is not begun, and nothing is pruned");
    assert!(scene.live("configmaps", "c0").is_some());
}

#[tokio::test]
async fn a_new_kubeconfig_counts_at_once() {
    let mut scene = Scene::new().await;
    let kubeconfig = scene.folder.path().join("kubeconfig");
    let good = scene.api.kubeconfig_text();
    std::fs::write(&kubeconfig, good.replace("token: ", "token: wrong-")).unwrap();
    let ClusterError::Api(problem) = scene.sync(SHOP).await.unwrap_err() else { panic!("no refusal") };
    assert_eq!(problem.class, Class::Unauthorized, "{problem}");
    std::fs::write(&kubeconfig, good).unwrap();
    let renewed = async { while scene.sync(SHOP).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(20), renewed).await.expect("the new file does not count");
}

#[tokio::test]
async fn a_wrong_context_or_file_is_told_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ClusterConfig::named(Some("prod"));
    config.kubeconfig = Some(folder.path().join("nothing"));
    let problem = Cluster::new(config.clone()).version().await.unwrap_err();
    assert!(problem.message.contains("no kubeconfig at"), "{problem}");

    let api = StandIn::start().await.unwrap();
    api.kubeconfig(&folder.path().join("nothing")).unwrap();
    // A kubeconfig that is named for the cluster counts with its current context, as for kubectl.
    assert!(Cluster::new(config.clone()).version().await.unwrap().starts_with("Kubernetes v1."));
    config.context = Some("prod".to_owned());
    let problem = Cluster::new(config).version().await.unwrap_err();
    assert!(problem.message.contains("no context \"prod\"; set context in [[cluster]] to one of standin"), "{problem}");
    assert_eq!(problem.class, Class::Configuration);
}

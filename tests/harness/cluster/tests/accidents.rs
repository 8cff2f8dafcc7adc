//! What happens to clusters in the course of months, as a client sees it: set back, made anew, forbidden, served in other versions.
//! The rows ask as any client would, so that they can be held against a real API server.

use axum::body::Body;
use futures::{StreamExt as _, TryStreamExt as _};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Client;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use serde_json::{Value, json};

use super::super::{Cluster, store};
use super::{Fault, available, client, shop, web};

/// What a path is answered with, at the first try: the status, and the message of a `Status`, or all of the text.
async fn answer(cluster: &Cluster, path: &str) -> (u16, String) {
    let plain = legacy::Client::builder(TokioExecutor::new()).build_http::<Body>();
    let request = http::Request::get(format!("http://{}{path}", cluster.address()));
    let request = request.header(http::header::AUTHORIZATION, "Bearer standin-token").body(Body::empty());
    let answer = plain.request(request.expect("a request")).await.expect("an answer");
    let code = answer.status().as_u16();
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    let text = String::from_utf8_lossy(&body).trim().to_owned();
    let status = serde_json::from_str(&text).ok().filter(|value: &Value| value["kind"] == "Status");
    (code, status.map_or(text, |status| store::text(&status, "/message").to_owned()))
}

fn map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}, "data": {"value": value}})
}

async fn identity(client: &Client) -> String {
    let system = Api::<Namespace>::all(client.clone()).get("kube-system").await.expect("each cluster has it");
    system.metadata.uid.expect("a uid")
}

async fn version(api: &Api<ConfigMap>) -> u64 {
    let list = api.list(&ListParams::default()).await.expect("a list");
    list.metadata.resource_version.and_then(|text| text.parse().ok()).expect("a number")
}

#[tokio::test]
async fn a_cluster_that_is_set_back_knows_nothing_of_what_came_after() {
    let (cluster, client) = shop().await;
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "shop");
    cluster.put(map("kept", "1")).expect("put");
    let (before, backup, who) = (version(&api).await, cluster.snapshot(), identity(&client).await);
    cluster.put(map("kept", "2")).expect("put");
    let lost = cluster.put(map("lost", "1")).expect("put");
    let future = version(&api).await;
    cluster.restore(&backup);

    assert_eq!((version(&api).await, identity(&client).await), (before, who));
    assert_eq!(api.get("kept").await.expect("kept").data.expect("data")["value"], "1");
    assert_eq!(api.get_opt("lost").await.expect("an answer"), None);
    let path = format!("/api/v1/namespaces/shop/configmaps?resourceVersion={future}");
    let told = format!("Timeout: Too large resource version: {future}, current: {before}");
    assert_eq!(answer(&cluster, &path).await, (504, told));
    let again = cluster.put(map("lost", "1")).expect("put");
    assert_ne!(again["metadata"]["uid"], lost["metadata"]["uid"], "what is made anew is another");
}

#[tokio::test]
async fn a_watch_from_the_future_is_silent_until_it_comes() {
    let (cluster, client) = shop().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "shop");
    let backup = cluster.snapshot();
    let steps = ["a", "b", "c"];
    steps.iter().for_each(|name| drop(cluster.put(map(name, "1")).expect("put")));
    let future = version(&api).await;
    cluster.restore(&backup);
    let events = api.watch(&WatchParams::default(), &future.to_string()).await.expect("a watch");
    let mut events = events.boxed();
    while version(&api).await < future {
        cluster.put(map("unheard", &format!("{:?}", std::time::Instant::now()))).expect("put");
    }
    cluster.put(map("heard", "1")).expect("put");
    let first = events.try_next().await.expect("no error").expect("an event");
    let WatchEvent::Added(first) = first else { panic!("{first:?}") };
    assert_eq!(first.metadata.name.as_deref(), Some("heard"));
}

#[tokio::test]
async fn the_pods_of_a_cluster_that_is_set_back_run_again() {
    let (cluster, _client) = shop().await;
    cluster.put(web("r/web:1", 2)).expect("put");
    cluster.wait_for("two pods", |cluster| available(cluster, "web", 2, "r/web:1")).await;
    let backup = cluster.snapshot();
    cluster.put(web("r/web:2", 3)).expect("put");
    cluster.wait_for("three pods", |cluster| available(cluster, "web", 3, "r/web:2")).await;
    cluster.restore(&backup);
    cluster.wait_for("two pods of before", |cluster| available(cluster, "web", 2, "r/web:1")).await;
    cluster.put(web("r/web:1", 3)).expect("put");
    cluster.wait_for("controllers that go on", |cluster| available(cluster, "web", 3, "r/web:1")).await;
}

#[tokio::test]
async fn another_cluster_at_the_address_is_another() {
    let (cluster, first) = shop().await;
    let api: Api<ConfigMap> = Api::namespaced(first.clone(), "shop");
    cluster.put(map("ours", "1")).expect("put");
    let (before, who) = (version(&api).await, identity(&first).await);
    assert_eq!(identity(&first).await, who, "it stays while the cluster does");
    cluster.recreate();
    assert_ne!(identity(&first).await, who);
    assert!(version(&api).await < before && cluster.get("namespaces", "", "shop").is_none());

    let beside = Cluster::start().await.expect("a free port");
    let second = client(&beside).await;
    assert_ne!(identity(&second).await, identity(&first).await);
}

#[tokio::test]
async fn what_is_forbidden_is_told_by_verb_and_kind() {
    let (cluster, _client) = shop().await;
    let path = "/api/v1/namespaces/shop/configmaps";
    let user = "User \"system:serviceaccount:quarterdeck:agent\"";
    let denied = |verb: &str| {
        let words = format!(
            "configmaps is forbidden: {user} cannot {verb} resource \"configmaps\" in API group \"\" in the namespace \"shop\""
        );
        (403, words)
    };
    for (verb, path, other) in
        [("list", path.to_owned(), format!("{path}/none")), ("watch", format!("{path}?watch=1"), path.to_owned())]
    {
        let fault = Fault::forbidden().on(verb, "configmaps");
        cluster.fault(fault.clone());
        assert_eq!(answer(&cluster, &path).await, denied(verb));
        assert_ne!(answer(&cluster, &other).await.0, 403, "{verb} alone");
        cluster.lift(&fault);
    }
    cluster.fault(Fault::forbidden().times(2));
    let codes = [answer(&cluster, "/apis").await.0, answer(&cluster, path).await.0, answer(&cluster, path).await.0];
    assert_eq!(codes, [403, 403, 200], "rules that are read a moment after the start");
}

/// A definition of boats, and the versions it serves or does not serve.
fn boats(scope: &str, versions: &[(&str, bool)]) -> Value {
    let one = |(at, (name, served)): (usize, &(&str, bool))| {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}});
        json!({"name": name, "served": served, "storage": at == 0, "schema": {"openAPIV3Schema": schema}})
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "boats.sea.example"},
        "spec": {
            "group": "sea.example", "scope": scope, "names": {"plural": "boats", "kind": "Boat"},
            "versions": versions.iter().enumerate().map(one).collect::<Vec<_>>(),
        },
    })
}

/// The versions of a group in the order of discovery; none where the group is not there.
async fn versions(cluster: &Cluster, group: &str) -> Vec<String> {
    let (_, text) = answer(cluster, "/apis").await;
    let all: Value = serde_json::from_str(&text).expect("groups");
    let found = store::items(&all, "/groups").find(|one| one["name"] == group);
    found
        .into_iter()
        .flat_map(|one| store::items(one, "/versions"))
        .map(|one| store::text(one, "/version").to_owned())
        .collect()
}

const CRDS: &str = "customresourcedefinitions.apiextensions.k8s.io";

#[tokio::test]
async fn a_definition_serves_what_it_says_and_keeps_what_it_does_not_serve() {
    let (cluster, client) = shop().await;
    let path = |version: &str, name: &str| format!("/apis/sea.example/{version}/namespaces/shop/boats/{name}");
    cluster.put(boats("Namespaced", &[("v1", true)])).expect("put");
    cluster.wait_for("boats", |cluster| cluster.serves("boats.sea.example").then_some(())).await;
    cluster.put(json!({"apiVersion": "sea.example/v1", "kind": "Boat", "metadata": {"name": "b", "namespace": "shop"}, "spec": {"size": 1}})).expect("put");
    let page = (404, "404 page not found".to_owned());
    let gone = (404, "boats.sea.example \"c\" not found".to_owned());
    type Row = (&'static [(&'static str, bool)], &'static [&'static str], [bool; 2]);
    let rows: [Row; 4] = [
        (&[("v1", true), ("v1beta1", true), ("v2", true)], &["v2", "v1", "v1beta1"], [true, true]),
        (&[("v1", false), ("v1beta1", true)], &["v1beta1"], [false, true]),
        (&[("v1", false)], &[], [false, false]),
        (&[("v1", true), ("v1beta1", false)], &["v1"], [true, false]),
    ];
    for (defined, discovered, served) in rows {
        let mut watch = client
            .request_events::<ConfigMap>(
                http::Request::get("/apis/sea.example/v1/boats?watch=1").body(Vec::new()).expect("a request"),
            )
            .await
            .ok()
            .map(|events| events.boxed());
        cluster.put(boats("Namespaced", defined)).expect("put");
        if let Some(events) = &mut watch {
            while events.next().await.is_some() {}
        }
        for (version, served) in ["v1", "v1beta1"].into_iter().zip(served) {
            let expected = if served { &gone } else { &page };
            assert_eq!(&answer(&cluster, &path(version, "c")).await, expected, "{version} of {defined:?}");
            let (code, _) = answer(&cluster, &path(version, "b")).await;
            assert_eq!(code, if served { 200 } else { 404 }, "{version} of {defined:?}");
        }
        assert_eq!(versions(&cluster, "sea.example").await, discovered);
    }
    cluster.put(boats("Namespaced", &[("v1", false)])).expect("put");
    cluster.delete(CRDS, "", "boats.sea.example").expect("deleted");
    cluster.wait_for("its end", |cluster| cluster.get(CRDS, "", "boats.sea.example").is_none().then_some(())).await;
}

#[tokio::test]
async fn a_definition_that_is_made_anew_in_another_scope_has_other_paths() {
    let (cluster, _client) = shop().await;
    let within = "/apis/sea.example/v1/namespaces/shop/boats/b";
    let above = "/apis/sea.example/v1/boats/b";
    let missing = (404, "boats.sea.example \"b\" not found".to_owned());
    let page = (404, "404 page not found".to_owned());
    for (scope, there, not_there) in [("Namespaced", within, above), ("Cluster", above, within)] {
        cluster.put(boats(scope, &[("v1", true)])).expect("put");
        cluster.wait_for("boats", |cluster| cluster.serves("boats.sea.example").then_some(())).await;
        assert_eq!(answer(&cluster, there).await, missing, "{scope}");
        assert_eq!(answer(&cluster, not_there).await, page, "{scope}");
        cluster.delete(CRDS, "", "boats.sea.example").expect("deleted");
        cluster.wait_for("its end", |cluster| cluster.get(CRDS, "", "boats.sea.example").is_none().then_some(())).await;
        assert_eq!(answer(&cluster, there).await, page, "{scope}");
    }
}

#[tokio::test]
async fn an_api_whose_server_is_down_is_listed_and_answers_nothing() {
    let (cluster, client) = shop().await;
    cluster.register_stale("metrics.example", "v1beta1");
    assert_eq!(versions(&cluster, "metrics.example").await, ["v1beta1"]);
    let down = (503, "service unavailable".to_owned());
    for path in ["/apis/metrics.example/v1beta1", "/apis/metrics.example/v1beta1/namespaces/shop/pods"] {
        assert_eq!(answer(&cluster, path).await, down, "{path}");
    }
    let found = kube::Discovery::new(client).run_aggregated().await.expect("the other groups are there");
    assert!(found.groups().any(|group| group.name() == "apps"));
}

//! Objects that Argo CD, Flux or Helm holds become an environment's own: nothing of them changes by it, nothing of them is
//! deleted after it, and what only the other had set goes with the next sync.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use harness::cluster::faults::Fault;
use quarterdeck_shared::event::{Event, EventRecord};
use quarterdeck_shared::protocol::{AdoptionAnswer, HolderAnswer};
use serde_json::{Value, json};

use super::*;

const MANUAL: &str = "[application.environment.sync]\nautomatic = false\n";
const TRACKING: &str = "argocd.argoproj.io/tracking-id";

const WEB: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\nspec:\n  replicas: 1\n  selector: { matchLabels: { app: web } }\n  \
                   template:\n    metadata: { labels: { app: web } }\n    spec: { containers: [{ name: web, image: 'registry.example/web:1' }] }\n";

/// A kind of Argo CD or Flux, as far as anybody here reads it.
pub(super) async fn define(world: &World, group: &str, version: &str, kind: &str) {
    let plural = format!("{}s", kind.to_lowercase());
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": {
            "group": group, "scope": "Namespaced", "names": { "plural": plural, "kind": kind },
            "versions": [{ "name": version, "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } }],
        },
    });
    world.cluster.put(definition).unwrap();
    let served = |cluster: &harness::cluster::Cluster| cluster.serves(&format!("{plural}.{group}")).then_some(());
    world.cluster.wait_for(&format!("{kind} to be served"), served).await;
}

/// An object of the shop's namespace, as a manager applied it.
fn put(world: &World, manager: &str, yaml: &str, labels: &Value, annotations: &Value) {
    let mut object = quarterdeck_core::yaml::parse(yaml.as_bytes()).unwrap().remove(0).value;
    object["metadata"]["namespace"] = json!("shop");
    (object["metadata"]["labels"], object["metadata"]["annotations"]) = (labels.clone(), annotations.clone());
    world.cluster.put_as(manager, object).unwrap();
}

fn live(world: &World, resource: &str, name: &str) -> Value {
    (*world.cluster.get(resource, "shop", name).unwrap_or_else(|| panic!("no {resource} {name}"))).clone()
}

/// A world with these manifests in git, and what a test puts into the cluster; the agent runs and waits for a person.
async fn beside(files: &[(&str, &str)], more: &str, furnish: impl AsyncFn(&World)) -> World {
    let mut world = world().await;
    manifests(&world, files, "Manifests of the shop");
    for namespace in ["shop", "argocd", "flux-system"] {
        world.cluster.namespace(namespace).unwrap();
    }
    furnish(&world).await;
    let address = world.forge.path("ops/deploy").display().to_string();
    let config = world.config_head("a test") + &application("shop", &address, MANUAL) + more;
    world.configure(&config).unwrap();
    world.start_agent().await.unwrap();
    world.wait_for("the shop to be compared", "shop", |app| app.sync == SyncStatus::OutOfSync).await.unwrap();
    world
}

async fn adoption(world: &World) -> AdoptionAnswer {
    world.client().get("/v1/environments/shop/adoption").await.unwrap()
}

/// Adopts, and waits for what became of it.
async fn adopt(world: &World) -> Event {
    let last = |app: &EnvironmentStatus| app.last.clone().filter(|last| last.what == "adopt");
    let before = last(&world.wait_for("the shop", "shop", |_| true).await.unwrap());
    ask(world, "adopt", json!({})).await;
    let ended = |app: &EnvironmentStatus| last(app).is_some() && last(app) != before;
    world.wait_for("the adoption to end", "shop", ended).await.unwrap();
    // It is recorded together with that.
    let events: Vec<EventRecord> = world.client().get("/v1/events?application=shop&limit=500").await.unwrap();
    let is_end = |event: &Event| matches!(event, Event::Adopted { .. } | Event::AdoptionFailed { .. });
    events.into_iter().map(|record| record.event).find(is_end).expect("an end in the events")
}

/// What is written of each object, a line each.
fn lines(answer: &AdoptionAnswer) -> Vec<String> {
    let line = |one: &quarterdeck_shared::protocol::AdoptedObject| {
        let held: Vec<&str> = one.held_by.iter().map(|held| held.holder.as_str()).collect();
        let own = [(one.labels, "labels"), (one.inventory, "inventory")];
        let own: Vec<&str> = own.iter().filter(|(is_new, _)| *is_new).map(|(_, what)| *what).collect();
        let differs = one.differs.map_or_else(|| one.problem.clone(), |fields| fields.to_string());
        format!(
            "{} of {}: {} {} -{} ≠{differs}",
            one.resource.short(),
            held.join(","),
            one.managers.join(","),
            own.join(","),
            one.removes.len()
        )
    };
    answer.objects.iter().map(line).collect()
}

fn left(holder: &HolderAnswer) -> Vec<String> {
    holder.not_in_git.iter().map(|resource| resource.short()).collect()
}

/// As Argo CD applied the shop, with a field that git has not any more and an object that git never had.
async fn by_argo_cd(world: &World) {
    define(world, "argoproj.io", "v1alpha1", "Application").await;
    let id = |of: &str, name: &str| json!({ TRACKING: format!("store:{of}:shop/{name}") });
    let a = config_map("a", "one").replace("\"one\" }", "one, legacy: argo }");
    put(world, "argocd-controller", &a, &json!({}), &id("/ConfigMap", "a"));
    put(world, "argocd-controller", &config_map("old", "one"), &json!({}), &id("/ConfigMap", "old"));
    put(world, "argocd-controller", WEB, &json!({}), &id("apps/Deployment", "web"));
    put(world, "kubectl", &config_map("free", "one"), &json!({}), &json!({}));
    let resource = |group: &str, kind: &str, name: &str| json!({ "group": group, "version": "v1", "kind": kind, "namespace": "shop", "name": name, "status": "Synced" });
    let application = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "name": "store", "namespace": "argocd", "finalizers": ["resources-finalizer.argocd.argoproj.io"] },
        "spec": {
            "project": "default", "destination": { "server": "https://kubernetes.default.svc", "namespace": "shop" },
            "source": { "repoURL": "https://forge.example/ops/deploy.git", "path": "apps/shop" },
            "syncPolicy": { "automated": { "prune": true, "selfHeal": true } },
        },
        "status": { "resources": [resource("", "ConfigMap", "a"), resource("", "ConfigMap", "old"), resource("apps", "Deployment", "web")] },
    });
    world.cluster.put(application).unwrap();
}

#[tokio::test]
async fn what_argo_cd_holds_is_adopted_without_a_restart_and_its_fields_go_with_the_next_sync() {
    let (a, free, new) = (config_map("a", "one"), config_map("free", "one"), config_map("new", "one"));
    let files = [("a.yaml", &*a), ("free.yaml", &*free), ("new.yaml", &*new), ("web.yaml", WEB)];
    let world = beside(&files, "", by_argo_cd).await;
    world.cluster.wait_for("a pod", |cluster| (!cluster.pods("shop").is_empty()).then_some(())).await;
    let before = (live(&world, "configmaps", "a"), live(&world, "deployments.apps", "web"));
    let pods = world.cluster.pods("shop").iter().map(|pod| pod["metadata"]["uid"].clone()).collect::<Vec<_>>();

    let plan = adoption(&world).await;
    let store = "Argo CD Application argocd/store";
    let wanted = [
        format!("ConfigMap/a of {store}: argocd-controller labels,inventory -1 ≠1"),
        format!("Deployment/web of {store}: argocd-controller labels,inventory -1 ≠0"),
    ];
    assert_eq!((lines(&plan), plan.free, plan.missing), (wanted.to_vec(), 1, 1));
    let [holder] = &plan.holders[..] else { panic!("{:#?}", plan.holders) };
    assert_eq!((left(holder), holder.turn_off.len()), (vec!["ConfigMap/old".to_owned()], 3), "{holder:#?}");
    assert_eq!(live(&world, "configmaps", "a"), before.0, "a plan writes nothing");

    assert_eq!(adopt(&world).await, Event::Adopted { objects: 2, from: vec![store.to_owned()] });
    let (a, web) = (live(&world, "configmaps", "a"), live(&world, "deployments.apps", "web"));
    assert_eq!(a["data"], json!({ "value": "one", "legacy": "argo" }), "no field changes by it");
    for (object, before) in [(&a, &before.0), (&web, &before.1)] {
        assert_eq!(object["metadata"]["labels"]["quarterdeck.dev/environment"], "prod");
        assert_eq!(object["metadata"]["annotations"][TRACKING], Value::Null);
        assert_eq!((&object["spec"], &object["metadata"]["uid"]), (&before["spec"], &before["metadata"]["uid"]));
        let managers = object["metadata"]["managedFields"].as_array().unwrap().iter();
        let ours: Vec<_> = managers
            .filter(|entry| entry["subresource"].is_null())
            .map(|entry| (entry["manager"].clone(), entry["operation"].clone()))
            .collect();
        assert!(ours.contains(&(json!("quarterdeck"), json!("Apply"))), "{ours:?}");
        assert!(!ours.contains(&(json!("quarterdeck"), json!("Update"))), "{ours:?}");
        assert!(!ours.iter().any(|(manager, _)| manager == "argocd-controller"), "{ours:?}");
    }
    assert_eq!(live(&world, "configmaps", "old")["metadata"]["annotations"][TRACKING], "store:/ConfigMap:shop/old");
    assert_eq!(
        live(&world, "configmaps", "free")["metadata"].get("labels"),
        None,
        "what nobody holds is left to the sync"
    );
    let recorded = live(&world, "configmaps", "quarterdeck-shop.prod")["data"]["inventory.json"].to_string();
    assert!(recorded.contains("web") && !recorded.contains("old"), "{recorded}");

    // Once is enough.
    assert_eq!(
        (adoption(&world).await.pending(), adopt(&world).await),
        (0, Event::Adopted { objects: 0, from: Vec::new() })
    );

    ask(&world, "sync", json!({})).await;
    world.wait_for("the sync", "shop", |app| app.sync == SyncStatus::Synced).await.unwrap();
    assert_eq!(live(&world, "configmaps", "a")["data"], json!({ "value": "one" }), "what only Argo CD had set is gone");
    let now = world.cluster.pods("shop").iter().map(|pod| pod["metadata"]["uid"].clone()).collect::<Vec<_>>();
    assert_eq!(now, pods, "no pod was restarted");
    assert_eq!(live(&world, "configmaps", "old")["data"]["value"], "one");
}

/// A release as Helm keeps it. Its text need not be packed.
fn release(manifest: &str) -> Value {
    let release = json!({ "name": "cache", "version": 3, "manifest": manifest }).to_string();
    let name = "sh.helm.release.v1.cache.v3";
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
        "metadata": { "name": name, "namespace": "shop", "labels": { "owner": "helm", "name": "cache", "status": "deployed", "version": "3" } },
        "data": { "release": BASE64.encode(BASE64.encode(release)) },
    })
}

#[tokio::test]
async fn what_flux_and_helm_hold_is_adopted_with_what_they_would_still_do() {
    let (a, b) = (config_map("a", "one"), config_map("b", "one"));
    let world = beside(&[("a.yaml", &a), ("b.yaml", &b)], "", async |world| {
        define(world, "kustomize.toolkit.fluxcd.io", "v1", "Kustomization").await;
        let flux = json!({ "kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "flux-system" });
        put(world, "kustomize-controller", &config_map("a", "one"), &flux, &json!({}));
        let (managed, of) = (
            json!({ "app.kubernetes.io/managed-by": "Helm" }),
            json!({ "meta.helm.sh/release-name": "cache", "meta.helm.sh/release-namespace": "shop" }),
        );
        put(world, "helm", &config_map("b", "two"), &managed, &of);
        world.cluster.put(release(&format!("{}---\n{}", config_map("b", "two"), config_map("left", "one")))).unwrap();
        let kustomization = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": { "name": "shop", "namespace": "flux-system" },
            "spec": { "interval": "10m", "prune": true, "path": "./apps/shop" },
            "status": { "inventory": { "entries": [{ "id": "shop_a__ConfigMap", "v": "v1" }, { "id": "shop_web_apps_Deployment", "v": "v1" }] } },
        });
        world.cluster.put(kustomization).unwrap();
    })
    .await;
    let plan = adoption(&world).await;
    let wanted = [
        "ConfigMap/a of Flux Kustomization flux-system/shop: kustomize-controller labels,inventory -2 ≠0",
        // The value, and what Helm says of itself, which git does not.
        "ConfigMap/b of Helm release shop/cache: helm labels,inventory -0 ≠3",
    ];
    assert_eq!(lines(&plan), wanted);
    let told: Vec<_> = plan.holders.iter().map(|holder| (holder.holder.as_str(), left(holder))).collect();
    let wanted = [
        ("Flux Kustomization flux-system/shop", vec!["Deployment/web".to_owned()]),
        ("Helm release shop/cache", vec!["ConfigMap/left".to_owned()]),
    ];
    assert_eq!(told, wanted);
    let from = vec!["Flux Kustomization flux-system/shop".to_owned(), "Helm release shop/cache".to_owned()];
    assert_eq!(adopt(&world).await, Event::Adopted { objects: 2, from });
    let a = live(&world, "configmaps", "a");
    assert_eq!(a["metadata"]["labels"].as_object().unwrap().len(), 2, "without these Flux does not delete it: {a}");
    assert_eq!(live(&world, "configmaps", "b")["data"]["value"], "two");
    // The sign of Helm stays until the sync, and nothing is left to be done.
    assert_eq!((adoption(&world).await.pending(), adoption(&world).await.objects.len()), (0, 1));
    ask(&world, "sync", json!({})).await;
    world.wait_for("the sync", "shop", |app| app.sync == SyncStatus::Synced).await.unwrap();
    let b = live(&world, "configmaps", "b");
    assert_eq!((&b["data"]["value"], b["metadata"].get("annotations")), (&json!("one"), None), "{b}");
}

#[tokio::test]
async fn what_cannot_be_written_is_told_and_the_next_adoption_goes_on() {
    let (a, free) = (config_map("a", "one"), config_map("free", "one"));
    let world = beside(&[("a.yaml", &a), ("free.yaml", &free), ("web.yaml", WEB)], "", by_argo_cd).await;
    let fault = Fault::forbidden().on("patch", "deployments.apps").named("web");
    world.cluster.fault(fault.clone());
    let Event::AdoptionFailed { message, .. } = adopt(&world).await else { panic!("it was adopted") };
    assert!(message.contains("adopt Deployment/web in namespace shop"), "{message}");
    assert_eq!(live(&world, "configmaps", "a")["metadata"]["labels"]["quarterdeck.dev/application"], "shop");
    world.cluster.lift(&fault);
    let store = vec!["Argo CD Application argocd/store".to_owned()];
    assert_eq!(adopt(&world).await, Event::Adopted { objects: 1, from: store });
    assert_eq!(adoption(&world).await.pending(), 0);
}

#[tokio::test]
async fn what_another_environment_has_is_not_adopted_and_nothing_else_is() {
    let a = config_map("a", "one");
    let world = beside(&[("a.yaml", &a), ("web.yaml", WEB)], "", async |world| {
        by_argo_cd(world).await;
        let label = |object: &mut Value| {
            object["metadata"]["labels"] =
                json!({ "quarterdeck.dev/application": "till", "quarterdeck.dev/environment": "prod" });
        };
        world.cluster.edit("configmaps", "shop", "a", "quarterdeck", label).unwrap();
    })
    .await;
    let refusal = "ConfigMap/a in namespace shop belongs to environment till/prod";
    assert_eq!(adoption(&world).await.refusals, [refusal]);
    let Event::AdoptionFailed { message, hint } = adopt(&world).await else { panic!("it was adopted") };
    assert_eq!(message, format!("nothing was adopted: {refusal}"));
    assert_eq!(hint, "remove the object from the manifests of one of the two environments");
    assert_eq!(live(&world, "deployments.apps", "web")["metadata"].get("labels"), None);
}

#[tokio::test]
async fn what_may_not_be_looked_at_is_told_and_a_suspended_environment_is_left_alone() {
    let world = beside(&[("a.yaml", &config_map("a", "one"))], "", by_argo_cd).await;
    world.cluster.fault(Fault::forbidden().on("list", "applications.argoproj.io"));
    let plan = adoption(&world).await;
    assert_eq!(plan.objects[0].held_by[0].holder, "Argo CD Application store");
    assert_eq!(plan.holders[0].does, ["was not found: nothing is known of what it does"]);
    assert!(plan.unseen[0].starts_with("Argo CD Application store: cannot list"), "{:?}", plan.unseen);

    ask(&world, "suspend", json!({ "reason": "a test" })).await;
    let told = world.client().post::<Accepted>("/v1/environments/shop/adopt", &json!({})).await.unwrap_err();
    assert!(told.to_string().contains("environment shop/prod is suspended"), "{told}");
}

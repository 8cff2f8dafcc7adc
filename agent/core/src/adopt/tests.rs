use serde_json::json;

use super::*;
use crate::render::scope::builtin;

const ARGO: &str = "argocd.argoproj.io/tracking-id";

fn environment() -> EnvironmentId {
    "shop/prod".parse().unwrap()
}

fn of(kind: &str, name: &str) -> ResourceRef {
    let group = if kind == "Deployment" { "apps" } else { "" };
    ResourceRef::new(group, kind, Some("shop"), name)
}

fn manifest(kind: &str, name: &str) -> Manifest {
    let object = json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name, "namespace": "shop" } });
    Manifest::new(of(kind, name), "v1".to_owned(), object, "a.yaml".into())
}

/// A live object with these labels and annotations, and fields of these managers.
fn live(kind: &str, name: &str, labels: Value, annotations: Value, managers: &[(&str, &str)]) -> Value {
    let entry = |(manager, operation): &(&str, &str)| {
        json!({
            "manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": { "f:data": { format!("f:{manager}"): {} } },
        })
    };
    json!({
        "apiVersion": "v1", "kind": kind,
        "metadata": {
            "name": name, "namespace": "shop", "resourceVersion": "7", "labels": labels, "annotations": annotations,
            "managedFields": managers.iter().map(entry).collect::<Vec<_>>(),
        },
        "data": { "a": "1" },
    })
}

fn flux(domain: &str) -> Value {
    json!({ format!("{domain}.toolkit.fluxcd.io/name"): "shop", format!("{domain}.toolkit.fluxcd.io/namespace"): "flux-system" })
}

fn helm() -> Value {
    json!({ "meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "shop" })
}

fn application() -> Value {
    json!({
        "kind": "Application",
        "metadata": {
            "name": "store", "namespace": "argocd", "finalizers": ["resources-finalizer.argocd.argoproj.io"],
            "ownerReferences": [{ "kind": "ApplicationSet", "name": "stores" }],
        },
        "spec": { "syncPolicy": { "automated": { "prune": true, "selfHeal": true } } },
        "status": { "resources": [
            { "version": "v1", "kind": "ConfigMap", "namespace": "shop", "name": "a" },
            { "version": "v1", "kind": "ConfigMap", "namespace": "shop", "name": "left" },
            { "group": "rbac.authorization.k8s.io", "version": "v1", "kind": "ClusterRole", "name": "reader" },
        ] },
    })
}

fn decided(live: &[Value], inventory: &Inventory, holders: &Holders) -> Plan {
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    let desired: Vec<Manifest> =
        live.iter().map(|object| manifest(object["kind"].as_str().unwrap(), &name(object))).collect();
    let live: Vec<Option<Arc<Value>>> = live.iter().map(|object| Some(Arc::new(object.clone()))).collect();
    let environment = environment();
    let (desired, live, instance_label) = (&*desired, &*live, INSTANCE_LABEL);
    plan(&Inputs { environment: &environment, desired, live, inventory, instance_label, holders })
}

/// Who holds an object, by which sign, whose fields are taken over, and what is removed.
fn holds(object: Value, holders: &Holders) -> String {
    let plan = decided(&[object], &Inventory::default(), holders);
    let line = |one: &AdoptedObject| {
        let held: Vec<String> = one.held_by.iter().map(|by| format!("{} by {}", by.holder, by.sign)).collect();
        format!("{}; takes {}; removes {}", held.join(" and "), one.managers.join(","), one.removes.join(","))
    };
    plan.shown.first().map_or_else(|| "nobody".to_owned(), line)
}

#[test]
fn who_holds_an_object_is_seen_by_its_signs() {
    let none = Holders::default();
    let known = Holders { objects: vec![application()], releases: Vec::new() };
    let id = |id: &str| json!({ ARGO: id });
    let managed = json!({ "app.kubernetes.io/managed-by": "Helm" });
    let mut flux_release = managed.clone();
    flux_release.as_object_mut().unwrap().extend(flux("helm").as_object().unwrap().clone());
    let instance = json!({ INSTANCE_LABEL: "store" });
    let no = json!({});
    for (what, labels, annotations, managers, holders, wanted) in [
        ("nothing", no.clone(), no.clone(), &[("kubectl", "Apply")][..], &none, "nobody"),
        (
            "a tracking id",
            no.clone(),
            id("store:/ConfigMap:shop/a"),
            &[("argocd-controller", "Update")][..],
            &known,
            "Argo CD Application argocd/store by annotation argocd.argoproj.io/tracking-id; takes argocd-controller; removes annotation argocd.argoproj.io/tracking-id",
        ),
        (
            "the id of an Application in another namespace",
            no.clone(),
            id("team_store:/ConfigMap:shop/a"),
            &[][..],
            &none,
            "Argo CD Application team/store by annotation argocd.argoproj.io/tracking-id; takes ; removes annotation argocd.argoproj.io/tracking-id",
        ),
        ("the id of another object", no.clone(), id("store:/ConfigMap:shop/b"), &[][..], &known, "nobody"),
        ("an id that is a command", no.clone(), id("$(reboot):/ConfigMap:shop/a"), &[][..], &known, "nobody"),
        ("a label of many charts", instance.clone(), no.clone(), &[][..], &none, "nobody"),
        (
            "a label of an Application that lists it",
            instance.clone(),
            no.clone(),
            &[][..],
            &known,
            "Argo CD Application argocd/store by label app.kubernetes.io/instance; takes ; removes label app.kubernetes.io/instance",
        ),
        (
            "a label and the manager",
            instance,
            no.clone(),
            &[("argocd-controller", "Apply")][..],
            &none,
            "Argo CD Application store by label app.kubernetes.io/instance; takes argocd-controller; removes label app.kubernetes.io/instance",
        ),
        (
            "a manager alone",
            no.clone(),
            no.clone(),
            &[("argocd-server", "Update")][..],
            &none,
            "Argo CD Application of unknown name by field manager argocd-server; takes argocd-server; removes ",
        ),
        (
            "a Kustomization",
            flux("kustomize"),
            no.clone(),
            &[("kustomize-controller", "Apply")][..],
            &none,
            "Flux Kustomization flux-system/shop by label kustomize.toolkit.fluxcd.io/name; takes kustomize-controller; removes label kustomize.toolkit.fluxcd.io/name,label kustomize.toolkit.fluxcd.io/namespace",
        ),
        (
            "a HelmRelease, which is no release of Helm's beside it",
            flux_release,
            helm(),
            &[("helm-controller", "Update")][..],
            &none,
            "Flux HelmRelease flux-system/shop by label helm.toolkit.fluxcd.io/name; takes helm-controller; removes ",
        ),
        (
            "a release",
            managed.clone(),
            helm(),
            &[("helm", "Update")][..],
            &none,
            "Helm release shop/shop by annotation meta.helm.sh/release-name; takes helm; removes ",
        ),
        ("a chart that somebody else rendered", managed, no, &[][..], &none, "nobody"),
    ] {
        assert_eq!(holds(live("ConfigMap", "a", labels, annotations, managers), holders), wanted, "{what}");
    }
}

#[test]
fn what_git_itself_says_of_tracking_stays() {
    let mut object =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a", "namespace": "shop" } });
    object["metadata"]["labels"] = json!({ INSTANCE_LABEL: "store" });
    let manifest = Manifest::new(of("ConfigMap", "a"), "v1".to_owned(), object, "a.yaml".into());
    let there =
        live("ConfigMap", "a", json!({ INSTANCE_LABEL: "store" }), json!({}), &[("argocd-controller", "Apply")]);
    let held = signs::held(&there, &manifest.resource, INSTANCE_LABEL, &|_| false);
    assert_eq!(Ownership::of(&there, &manifest, &environment(), &held).removes, []);
}

#[test]
fn ownership_is_all_that_is_written_and_once() {
    let annotations = json!({ ARGO: "store:/ConfigMap:shop/a", "note": "kept" });
    let managers = [("argocd-controller", "Update"), ("team", "Update"), ("quarterdeck", "Update")];
    let before = live("ConfigMap", "a", json!({ "team": "blue" }), annotations, &managers);
    let plan = decided(std::slice::from_ref(&before), &Inventory::default(), &Holders::default());
    let (_, ownership) = &plan.objects[0];
    let wanted = json!({ "metadata": {
        "resourceVersion": "7",
        "labels": { "quarterdeck.dev/application": "shop", "quarterdeck.dev/environment": "prod" },
        "annotations": { ARGO: null },
    } });
    assert_eq!(ownership.metadata(&before, &environment()), Some(wanted));
    let after = ownership.after(&before, &environment());
    let ours = json!({ "f:data": { "f:argocd-controller": {}, "f:quarterdeck": {} } });
    let entries = &after["metadata"]["managedFields"];
    assert_eq!((&entries[0]["manager"], &entries[0]["operation"]), (&json!("quarterdeck"), &json!("Apply")));
    assert_eq!((&entries[0]["fieldsV1"], &entries[1]["manager"]), (&ours, &json!("team")));
    assert_eq!((&after["data"], &after["metadata"]["annotations"]), (&before["data"], &json!({ "note": "kept" })));

    // Nobody holds it any more; of a release the sign stays, and nothing is to be done.
    assert_eq!(decided(&[after], &Inventory::default(), &Holders::default()).free, 1);
    let release =
        live("ConfigMap", "b", json!({ "app.kubernetes.io/managed-by": "Helm" }), helm(), &[("helm", "Apply")]);
    let plan = decided(std::slice::from_ref(&release), &Inventory::default(), &Holders::default());
    let done = plan.objects[0].1.after(&release, &environment());
    let item = quarterdeck_shared::resource::InventoryItem { resource: of("ConfigMap", "b"), version: "v1".to_owned() };
    let inventory = Inventory { items: [item].into() };
    let again = decided(std::slice::from_ref(&done), &inventory, &Holders::default());
    assert!(again.shown[0].is_done(), "{again:#?}");
    let nothing = &again.objects[0].1;
    assert_eq!((nothing.metadata(&done, &environment()), nothing.fields(&done)), (None, None));
}

#[test]
fn what_another_environment_has_is_refused() {
    let labels = json!({ "quarterdeck.dev/application": "till", "quarterdeck.dev/environment": "prod" });
    let object = live("ConfigMap", "a", labels, json!({ ARGO: "store:/ConfigMap:shop/a" }), &[]);
    let plan = decided(&[object], &Inventory::default(), &Holders::default());
    assert_eq!(plan.refusals, ["ConfigMap/a in namespace shop belongs to environment till/prod"]);
    assert!(plan.objects.is_empty());
}

/// What is shown of a holder.
fn told(holder: &HolderAnswer) -> String {
    let objects: Vec<String> = holder.not_in_git.iter().map(ToString::to_string).collect();
    let lines = |title: &str, lines: &[String]| format!("{title}\n  {}\n", lines.join("\n  "));
    lines(&holder.holder, &holder.does) + &lines("off", &holder.turn_off) + &lines("not in git", &objects)
}

#[test]
fn an_application_is_turned_off_before_it_deletes_anything() {
    let holders = Holders { objects: vec![application()], releases: Vec::new() };
    let object = live("ConfigMap", "a", json!({}), json!({ ARGO: "store:/ConfigMap:shop/a" }), &[]);
    let plan = decided(&[object], &Inventory::default(), &holders);
    let wanted = r#"Argo CD Application argocd/store
  is written by ApplicationSet stores, which undoes what is changed of it
  syncs automatically, reverts what differs from its source, deletes what leaves its source
  when it is deleted, deletes the objects that carry its tracking (finalizer resources-finalizer.argocd.argoproj.io)
off
  kubectl -n argocd delete applicationsets.argoproj.io stores --cascade=orphan
  kubectl -n argocd patch applications.argoproj.io store --type merge -p '{"spec":{"syncPolicy":{"automated":null}}}'
  kubectl -n argocd patch applications.argoproj.io store --type merge -p '{"metadata":{"finalizers":null}}'
  kubectl -n argocd delete applications.argoproj.io store
not in git
  /ConfigMap/shop/left
  rbac.authorization.k8s.io/ClusterRole//reader
"#;
    assert_eq!(told(&plan.holders[0]), wanted);
}

#[test]
fn flux_is_suspended_before_it_is_deleted() {
    let kustomization = json!({
        "kind": "Kustomization",
        "metadata": { "name": "shop", "namespace": "flux-system", "labels": {
            "kustomize.toolkit.fluxcd.io/name": "all", "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
        } },
        "spec": { "prune": true, "interval": "10m" },
        "status": { "inventory": { "entries": [
            { "id": "shop_a__ConfigMap", "v": "v1" },
            { "id": "shop_left__ConfigMap", "v": "v1" },
            { "id": "shop_web_apps_Deployment", "v": "v1" },
            { "id": "_system__reader_rbac.authorization.k8s.io_ClusterRole", "v": "v1" },
            { "id": "nonsense", "v": "v1" },
        ] } },
    });
    let release = json!({
        "kind": "HelmRelease", "metadata": { "name": "shop", "namespace": "flux-system" }, "spec": { "suspend": true },
    });
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: b }\n---\napiVersion: v1\nkind: Secret\nmetadata: \
                    { name: left }\n---\napiVersion: v1\nkind: Namespace\nmetadata: { name: other }\n";
    let objects = manifest_of(manifest, "shop", &builtin).unwrap();
    let releases = vec![Release { namespace: "shop".to_owned(), name: "shop".to_owned(), objects }];
    let holders = Holders { objects: vec![kustomization, release], releases };
    let mut of_release = flux("helm");
    of_release["app.kubernetes.io/managed-by"] = "Helm".into();
    let objects = [
        live("ConfigMap", "a", flux("kustomize"), json!({}), &[]),
        live("ConfigMap", "b", of_release, helm(), &[]),
        live("ConfigMap", "c", json!({ "app.kubernetes.io/managed-by": "Helm" }), helm(), &[]),
    ];
    let plan = decided(&objects, &Inventory::default(), &holders);
    let wanted = r#"Flux Kustomization flux-system/shop
  applies its source again every 10m
  is an object of Kustomization flux-system/all, which undoes what is changed of it: remove it there first
  deletes what leaves its source, and all of its inventory when it is deleted unsuspended
off
  flux suspend kustomization shop -n flux-system
  kubectl -n flux-system patch kustomizations.kustomize.toolkit.fluxcd.io shop --type merge -p '{"spec":{"prune":false}}'
  kubectl -n flux-system delete kustomizations.kustomize.toolkit.fluxcd.io shop
not in git
  /ConfigMap/shop/left
  apps/Deployment/shop/web
  rbac.authorization.k8s.io/ClusterRole//system:reader
Flux HelmRelease flux-system/shop
  is suspended
  uninstalls its release, with all objects of it, when it is deleted unsuspended
off
  kubectl -n flux-system delete helmreleases.helm.toolkit.fluxcd.io shop
not in git
  /Namespace//other
  /Secret/shop/left
Helm release shop/shop
  does nothing by itself
  `helm upgrade shop` would write the objects again, and `helm uninstall shop` would delete them
off
  kubectl -n shop delete secret -l owner=helm,name=shop
not in git
  /Namespace//other
  /Secret/shop/left
"#;
    assert_eq!(plan.holders.iter().map(told).collect::<String>(), wanted);
}

#[test]
fn a_holder_that_is_not_found_is_told() {
    let object = live("ConfigMap", "a", flux("kustomize"), json!({}), &[]);
    let plan = decided(&[object], &Inventory::default(), &Holders::default());
    assert_eq!(plan.holders[0].does, ["was not found: nothing is known of what it does"]);
    assert_eq!(plan.holders[0].turn_off, Vec::<String>::new());
}

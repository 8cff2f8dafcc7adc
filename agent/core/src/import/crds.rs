//! Every field that Argo CD 3.6 and Flux 2.9 know of what is imported, as their CustomResourceDefinitions list them in `crds`: each
//! changes what is imported, or is told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Around, Document, Place, Told, Tool, import};

/// A field with a value that its schema takes.
struct Field {
    kind: String,
    path: String,
    value: Value,
}

/// Fields that change nothing in the places where they are tried, and why that is right.
const SAME: &[(&str, &str, &str)] = &[
    ("Application", "spec.source.kustomize.commonAnnotationsEnvsubst", "it is for annotations, and reported there"),
    ("Application", "spec.source.kustomize.forceCommonAnnotations", "what an environment writes always goes first"),
    ("Application", "spec.source.kustomize.forceCommonLabels", "what an environment writes always goes first"),
    ("Application", "spec.source.kustomize.ignoreMissingComponents", "it is for components, and reported there"),
    ("Application", "spec.source.kustomize.labelIncludeTemplates", "it is for labels"),
    ("Application", "spec.source.kustomize.labelWithoutSelector", "it is for labels"),
    ("Application", "spec.source.kustomize.patches", "an entry without a patch says nothing"),
    ("Application", "spec.source.name", "a name for people"),
    ("Application", "spec.source.ref", "the name by which other sources mean it; here there are none"),
    ("ApplicationSet", "spec.goTemplateOptions", "a parameter that is missing is always told"),
    ("AppProject", "spec.destinations", "without a cluster or a namespace it limits nothing"),
    ("Kustomization", "spec.ignoreMissingComponents", "it is for components, and reported there"),
    ("Kustomization", "spec.sourceRef.apiVersion", "the kind says it"),
    ("HelmRelease", "spec.chart.spec.sourceRef.apiVersion", "the kind says it"),
    ("HelmRepository", "spec.type", "the address says it"),
    ("OCIRepository", "spec.ref.semverFilter", "it is for a range, and reported there"),
];

fn fields(text: &str) -> Vec<Field> {
    let field = |line: &str| {
        let [kind, _, path, value] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("four columns: {line}") };
        Field { kind: kind.to_owned(), path: path.to_owned(), value: serde_json::from_str(value).unwrap() }
    };
    text.lines().filter(|line| !line.starts_with('#')).map(field).collect()
}

/// One object of each kind, which need one another.
fn objects(tool: Tool) -> Vec<Value> {
    let (fleet, charts) =
        (json!({ "kind": "GitRepository", "name": "fleet" }), json!({ "kind": "HelmRepository", "name": "charts" }));
    let manifests = json!({ "kind": "OCIRepository", "name": "manifests" });
    let of_argo = |kind: &str, spec: Value| of("argoproj.io/v1alpha1", kind, "one", spec);
    let application = json!({
        "project": "default", "destination": { "server": "https://kubernetes.default.svc", "namespace": "shop" },
        "source": { "repoURL": "https://git.example.org/a.git", "path": "a" },
    });
    let template = json!({ "metadata": { "name": "{{name}}" }, "spec": application.clone() });
    match tool {
        Tool::ArgoCd => vec![
            of_argo("Application", application),
            of_argo(
                "ApplicationSet",
                json!({ "generators": [{ "list": { "elements": [{ "name": "a" }] } }], "template": template }),
            ),
            of_argo("AppProject", json!({})),
        ],
        Tool::Flux => vec![
            of(
                "source.toolkit.fluxcd.io/v1",
                "GitRepository",
                "fleet",
                json!({ "url": "https://git.example.org/a.git" }),
            ),
            of(
                "source.toolkit.fluxcd.io/v1",
                "HelmRepository",
                "charts",
                json!({ "url": "https://charts.example.org" }),
            ),
            of("source.toolkit.fluxcd.io/v1", "OCIRepository", "manifests", json!({ "url": "oci://ghcr.io/acme/a" })),
            of(
                "source.toolkit.fluxcd.io/v1",
                "Bucket",
                "bucket",
                json!({ "bucketName": "a", "endpoint": "s3.example.org" }),
            ),
            of("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "shop", json!({ "path": "a", "sourceRef": fleet })),
            of(
                "kustomize.toolkit.fluxcd.io/v1",
                "Kustomization",
                "other",
                json!({ "path": "a", "sourceRef": manifests }),
            ),
            of(
                "helm.toolkit.fluxcd.io/v2",
                "HelmRelease",
                "web",
                json!({ "chart": { "spec": { "chart": "web", "sourceRef": charts } } }),
            ),
        ],
    }
}

fn of(version: &str, kind: &str, name: &str, spec: Value) -> Value {
    json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name, "namespace": "ops" }, "spec": spec })
}

/// The applications, and what is told of the object.
fn outcome(tool: Tool, objects: &[Value], name: &str) -> (Value, Vec<Told>) {
    let place = Place { file: "a.yaml".to_owned(), line: 1 };
    let documents: Vec<Document> =
        objects.iter().map(|object| Document { place: place.clone(), object: object.clone() }).collect();
    let around = Around {
        repository: Some("https://git.example.org/ops.git".to_owned()),
        environment: "default".to_owned(),
        automatic: true,
        ..Around::default()
    };
    let mut imported = import(tool, &documents, &around);
    imported.told.retain(|told| told.object == name);
    (serde_json::to_value(imported.drafts).unwrap(), imported.told)
}

/// Puts a value at a path; an item of a list is there with what its schema requires.
fn put(into: &mut Value, path: &[&str], before: &str, value: &Value, samples: &BTreeMap<String, Value>) {
    let [key, rest @ ..] = path else {
        *into = value.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let (key, is_list) = key.strip_suffix("[]").map_or((*key, false), |key| (key, true));
    let at = if before.is_empty() { key.to_owned() } else { format!("{before}.{key}") };
    let below = &mut into[key];
    if is_list {
        *below = samples.get(&at).cloned().unwrap_or_else(|| json!([{}]));
        put(&mut below[0], rest, &format!("{at}[]"), value, samples);
    } else {
        put(below, rest, &at, value, samples);
    }
}

/// The fields that nothing is said of, and that change nothing.
fn silent(tool: Tool, text: &str) -> Vec<(String, String)> {
    let fields = fields(text);
    let mut silent: Vec<(String, String)> = Vec::new();
    let mut known = BTreeSet::new();
    for Field { kind, path, value } in &fields {
        let samples: BTreeMap<String, Value> = fields
            .iter()
            .filter(|field| field.kind == *kind)
            .map(|field| (field.path.clone(), field.value.clone()))
            .collect();
        let parts: Vec<&str> = path.split('.').collect();
        let values = match value {
            Value::Bool(_) => vec![json!(true), json!(false)],
            other => vec![other.clone()],
        };
        let is_known =
            objects(tool).iter().enumerate().filter(|(_, object)| object["kind"] == **kind).any(|(number, object)| {
                let name = format!("{kind} ops/{}", object["metadata"]["name"].as_str().unwrap_or_default());
                let with = |value: &Value| {
                    let mut all = objects(tool);
                    put(&mut all[number], &parts, "", value, &samples);
                    outcome(tool, &all, &name)
                };
                let without = with(&Value::Null);
                values.iter().any(|value| {
                    let (drafts, told) = with(value);
                    let is_told = told.iter().any(|told| covers(&told.field, path));
                    is_told || (drafts, told) != without
                })
            });
        let field = (kind.clone(), path.clone());
        if is_known {
            known.insert(field);
        } else if !silent.contains(&field) {
            silent.push(field);
        }
    }
    // Of several values, as of an enumeration, one is what is so anyway.
    silent.retain(|field| !known.contains(field));
    silent
}

/// Whether what is told of one field is about another: itself, all of what it is in, or what is in it.
fn covers(told: &str, path: &str) -> bool {
    let path = path.replace("[]", "");
    let is_within = |field: &str, of: &str| field == of || field.starts_with(&format!("{of}."));
    told.is_empty() || is_within(&path, told) || is_within(told, &path)
}

#[test]
fn each_field_of_their_definitions_is_imported_or_told() {
    let all = [(Tool::ArgoCd, include_str!("crds/argocd.tsv")), (Tool::Flux, include_str!("crds/flux.tsv"))];
    let found: Vec<(String, String)> = all.into_iter().flat_map(|(tool, text)| silent(tool, text)).collect();
    let known: Vec<(String, String)> =
        SAME.iter().map(|(kind, path, _)| ((*kind).to_owned(), (*path).to_owned())).collect();
    assert_eq!(found, known);
}

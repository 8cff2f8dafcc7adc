use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::render::built::{BuildFailure, Built};
use crate::render::jsonnet::{Evaluated, Imports};
use crate::tree::EntryMode;
use crate::tree::memory::Files;
use quarterdeck_shared::application::HelmSpec;
use quarterdeck_shared::error::Failure;

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: shop\nspec: {replicas: 2}\n";
const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: shop, namespace: other}\n";

/// Nobody runs programs here.
pub(super) struct Nobody;

impl Programs for Nobody {
    fn kustomize(&self, _: &dyn Tree, folder: &str, _: &kustomize::Needs) -> Result<Built, BuildFailure> {
        panic!("{folder} is no kustomization")
    }

    fn helm(&self, _: &dyn Tree, chart: &chart::Chart, _: &Release<'_>) -> Result<Built, BuildFailure> {
        panic!("{} is no chart", chart.folder)
    }

    fn jsonnet(&self, _: &dyn Tree, imports: &Imports, _: &JsonnetSpec) -> Result<Vec<Evaluated>, BuildFailure> {
        panic!("{:?} is no jsonnet", imports.begins)
    }
}

fn try_render_at(path: &str, kind: RenderKind, tree: &dyn Tree) -> Result<Rendered, RenderError> {
    try_render_by(&Nobody, path, kind, &HelmSpec::default(), tree)
}

/// The same by programs, and with what is configured of a chart.
pub(super) fn try_render_by(
    programs: &dyn Programs,
    path: &str,
    kind: RenderKind,
    spec: &HelmSpec,
    tree: &dyn Tree,
) -> Result<Rendered, RenderError> {
    let environment = "shop/prod".parse().unwrap();
    let (scope, has_status, namespace) = (&scope::builtin, &|_: &str, _: &str| None, "prod");
    let capabilities = &|| Ok(release::Capabilities::default());
    let release = &Release { name: "shop", namespace, spec, capabilities };
    render(&Request {
        tree,
        path,
        kind,
        environment: &environment,
        namespace,
        scope,
        has_status,
        variables: None,
        files: &FilesSpec::default(),
        overlay: &Overlay::default(),
        release,
        jsonnet: &JsonnetSpec::default(),
        programs,
    })
}

fn try_render(files: &[(&str, &str)]) -> Result<Rendered, RenderError> {
    try_render_at("apps/shop", RenderKind::Plain, &Files::new(files))
}

fn names(rendered: &Rendered) -> Vec<String> {
    rendered.manifests.iter().map(|m| m.resource.to_string()).collect()
}

/// The error as a person reads it: the whole chain.
fn refusal(files: &[(&str, &str)]) -> String {
    Failure::of(&try_render(files).expect_err("it was rendered")).to_string()
}

/// The only object of a folder with one file of this content.
fn object(content: &str) -> Value {
    let rendered = try_render(&[("apps/shop/a.yaml", content)]).unwrap_or_else(|e| panic!("{content}: {e}"));
    assert_eq!(rendered.manifests.len(), 1, "{content}");
    rendered.manifests[0].object.clone().into_value()
}

#[test]
fn a_folder_is_rendered_in_the_order_of_its_apply() {
    let rendered = try_render(&[
        ("README.md", "not below the folder"),
        ("apps/shop/README.md", "no manifest"),
        ("apps/shop/deployment.yaml", DEPLOYMENT),
        ("apps/shop/deep/er/service.yml", &format!("# head\n---\n{SERVICE}---\n")),
        ("apps/shop/config.json", "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\"}}"),
        ("apps/shop/ns.yaml", "{apiVersion: v1, kind: Namespace, metadata: {name: prod, namespace: prod}}"),
        ("apps/shop2/other.yaml", "not: ours"),
    ])
    .unwrap();
    assert_eq!(
        names(&rendered),
        ["/Namespace//prod", "/ConfigMap/prod/c", "/Service/other/shop", "apps/Deployment/prod/shop"]
    );
    assert_eq!(&*rendered.manifests[2].origin, "apps/shop/deep/er/service.yml, document 1, line 3");
    assert_eq!(rendered.manifests[3].api_version(), "apps/v1");
    assert_eq!(rendered.inputs, [".quarterdeckignore", ".sourceignore", "apps/shop"]);
    assert!(rendered.notes.is_empty(), "{:?}", rendered.notes);
}

#[test]
fn an_object_is_put_into_one_form() {
    let label = json!({"quarterdeck.dev/application": "shop", "quarterdeck.dev/environment": "prod"});
    for (content, expected) in [
        (
            DEPLOYMENT,
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 2}, "metadata": {"name": "shop", "namespace": "prod", "labels": label}}),
        ),
        (
            "{apiVersion: v1, kind: Namespace, metadata: {name: a, namespace: b, labels: }}",
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "labels": label}}),
        ),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: ''}\nstringData: {k: v}\ndata: {k: b2xk, o: bw==}\n",
            json!({"apiVersion": "v1", "kind": "Secret", "data": {"k": "dg==", "o": "bw=="}, "metadata": {"name": "a", "namespace": "prod", "labels": label}}),
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nstatus: {}\nmetadata:\n  name: a\n  creationTimestamp: null\n  resourceVersion: '7'\n  \
             uid: x\n  managedFields: []\n  annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}', keep: me}\n",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "prod", "labels": label, "annotations": {"keep": "me"}}}),
        ),
    ] {
        assert_eq!(object(content), expected, "{content}");
    }
}

#[test]
fn pod_templates_are_not_touched() {
    let object = object(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, labels: {app: a}}\nspec: {template: {metadata: {labels: {app: a}}}}\n",
    );
    assert_eq!(
        object["metadata"]["labels"],
        json!({"app": "a", "quarterdeck.dev/application": "shop", "quarterdeck.dev/environment": "prod"})
    );
    assert_eq!(object["spec"]["template"]["metadata"]["labels"], json!({"app": "a"}));
}

#[test]
fn the_rules_of_an_aggregated_role_are_left_to_its_controller() {
    let role = |more: &str| {
        object(&format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: a}}\n{more}rules: []\n"
        ))
    };
    let aggregated = role("aggregationRule: {clusterRoleSelectors: [{matchLabels: {a: b}}]}\n");
    assert_eq!(aggregated.get("rules"), None);
    assert!(aggregated["aggregationRule"].is_object());
    for plain in ["", "aggregationRule:\n"] {
        assert_eq!(role(plain)["rules"], json!([]), "{plain}");
    }
}

#[test]
fn lists_are_taken_apart() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMapList\n  items:\n  - metadata: {name: a}\n  - metadata: {name: b}\n\
                - {apiVersion: v1, kind: Secret, metadata: {name: c}}\n- {apiVersion: v1, kind: List, items: }\n";
    let rendered = try_render(&[("apps/shop/a.yaml", list)]).unwrap();
    assert_eq!(names(&rendered), ["/Secret/prod/c", "/ConfigMap/prod/a", "/ConfigMap/prod/b"]);
    assert_eq!(&*rendered.manifests[2].origin, "apps/shop/a.yaml, document 1, line 1, item 1, item 2");
}

#[test]
fn a_kind_may_be_defined_beside_its_objects() {
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: shops.example.com}\n\
                      spec: {group: example.com, scope: Cluster, names: {kind: Shop}}\n";
    let shop = "apiVersion: example.com/v1\nkind: Shop\nmetadata: {name: one}\n";
    let rendered = try_render(&[("apps/shop/a.yaml", shop), ("apps/shop/b.yaml", definition)]).unwrap();
    assert_eq!(
        names(&rendered),
        ["apiextensions.k8s.io/CustomResourceDefinition//shops.example.com", "example.com/Shop//one"]
    );
}

#[test]
fn a_status_that_is_an_ordinary_field_is_kept() {
    let render = |more: &str| {
        let definition = format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: tickets.example.com}}\nspec:\n  \
             group: example.com\n  names: {{kind: Ticket}}\n  versions: [{{name: v1{more}}}]\nstatus: {{acceptedNames: {{}}}}\n"
        );
        let ticket = "apiVersion: example.com/v1\nkind: Ticket\nmetadata: {name: one}\nstatus: open\n";
        let rendered = try_render(&[("apps/shop/a.yaml", &definition), ("apps/shop/b.yaml", ticket)]).unwrap();
        assert_eq!(rendered.manifests[0].object.value().get("status"), None, "the server's own kinds have one");
        rendered.manifests[1].object.value().get("status").cloned()
    };
    assert_eq!(render(""), Some(json!("open")));
    assert_eq!(render(", subresources: {status: {}}"), None);
}

#[test]
fn what_is_left_out_is_told() {
    let rendered = try_render(&[
        ("apps/shop/a.yaml", DEPLOYMENT),
        ("apps/shop/sub/kustomization.yaml", "resources: [a.yaml]"),
        ("apps/shop/.github/workflow.yaml", "on: push"),
        ("apps/shop/.lint.yml", "x: y"),
        ("apps/shop/.gitignore", ""),
        ("apps/shop/all@", ".."),
        ("apps/shop/docs@", "/usr/share/doc"),
    ])
    .unwrap();
    assert_eq!(names(&rendered), ["apps/Deployment/prod/shop"]);
    assert_eq!(
        rendered.notes,
        [
            "apps/shop/all is left out: it is a link to apps, which holds this folder itself",
            "apps/shop/docs is left out: it is a link to \"/usr/share/doc\", which is not a file of this repository",
            "apps/shop/sub/kustomization.yaml is left out: it is for kustomize, and this folder is rendered plain",
            "left out: 2 manifests whose names, or whose folders' names, begin with a dot",
        ]
    );
}

#[test]
fn what_is_selected_is_rendered_also_behind_links_and_ignore_files_are_inputs() {
    let tree = Files::new(&[
        ("apps/shop/a.yaml", DEPLOYMENT),
        ("apps/shop/a_test.yaml", "not: an object"),
        ("apps/shop/b.json", "not rendered"),
        ("apps/shop/docs/c.yaml", "{{ not rendered }}"),
        ("apps/shop/base@", "../base"),
        ("apps/shop/same.yaml@", "/etc/passwd"),
        ("apps/base/s.yaml", SERVICE),
        ("apps/base/t.yaml", "not: an object"),
        ("ignored", "same.yaml\nt.yaml\n"),
        (".quarterdeckignore@", "ignored"),
    ]);
    let texts = |patterns: &[&str]| patterns.iter().map(|&text| text.to_owned()).collect();
    let files = &FilesSpec { include: texts(&["*.yaml"]), exclude: texts(&["docs/", "*_test.yaml"]) };
    let render_as = |kind| {
        render(&Request {
            tree: &tree,
            path: "apps/shop",
            kind,
            environment: &"shop/prod".parse().unwrap(),
            namespace: "prod",
            scope: &scope::builtin,
            has_status: &|_, _| None,
            variables: None,
            files,
            overlay: &Overlay::default(),
            release: &Release {
                name: "shop",
                namespace: "prod",
                spec: &HelmSpec::default(),
                capabilities: &|| Ok(release::Capabilities::default()),
            },
            jsonnet: &JsonnetSpec::default(),
            programs: &Nobody,
        })
    };
    let rendered = render_as(RenderKind::Auto).unwrap();
    assert_eq!(names(&rendered), ["/Service/other/shop", "apps/Deployment/prod/shop"]);
    assert_eq!(rendered.notes, ["left out: 5 manifests, by include, exclude or an ignore file"]);
    assert_eq!(rendered.inputs, [".quarterdeckignore", ".sourceignore", "apps/base", "apps/shop", "ignored"]);
}

#[test]
fn a_link_to_a_file_of_the_repository_is_that_file() {
    let rendered = try_render(&[("apps/shop/a.yaml@", "../base/a.yaml"), ("apps/base/a.yaml", DEPLOYMENT)]).unwrap();
    assert_eq!(names(&rendered), ["apps/Deployment/prod/shop"]);
    assert_eq!(rendered.inputs, [".quarterdeckignore", ".sourceignore", "apps/base/a.yaml", "apps/shop"]);
}

#[test]
fn a_link_to_a_folder_elsewhere_is_what_that_holds() {
    let files = [
        ("apps/shop/a.yaml", DEPLOYMENT),
        ("apps/shop/base@", "../current/base"),
        ("apps/shop/again@", "../v2/base"),
        ("apps/shop/here@", "."),
        ("apps/shop/same.yaml@", "a.yaml"),
        ("apps/current@", "v2"),
        ("apps/v2/base/b.yaml", SERVICE),
        ("apps/v2/base/deep/c.yml@", "../../../c"),
        ("apps/v2/base/round@", "../../shop"),
        ("apps/c", "{apiVersion: v1, kind: Namespace, metadata: {name: c}}"),
    ];
    let rendered = try_render(&files).unwrap();
    assert_eq!(names(&rendered), ["/Namespace//c", "/Service/other/shop", "apps/Deployment/prod/shop"]);
    assert_eq!(&*rendered.manifests[1].origin, "apps/shop/base/b.yaml, document 1, line 1");
    assert_eq!(
        rendered.inputs,
        [".quarterdeckignore", ".sourceignore", "apps/c", "apps/current", "apps/shop", "apps/v2/base"]
    );
    let by_link =
        try_render_at("apps/live", RenderKind::Plain, &Files::new(&[&files[..], &[("apps/live@", "shop")]].concat()));
    assert_eq!(
        by_link.unwrap().inputs,
        [".quarterdeckignore", ".sourceignore", "apps/c", "apps/current", "apps/live", "apps/shop", "apps/v2/base"]
    );
}

#[test]
fn what_is_no_object_is_refused_with_its_place() {
    let at = "apps/shop/a.yaml, document 1, line 1";
    for (content, problem) in [
        ("just words", "it is a text and no Kubernetes object"),
        ("- a", "it is a list and no Kubernetes object"),
        (
            "apiVersion: v1\nmetadata: {name: a}",
            "it has no kind: a Kubernetes object has apiVersion, kind and metadata.name",
        ),
        ("kind: Pod", "it has no apiVersion: a Kubernetes object has apiVersion, kind and metadata.name"),
        ("apiVersion: v1\nKind: Pod", "it has no kind; it has Kind, which has to be written kind"),
        ("apiVersion: 1\nkind: Pod", "its apiVersion is a number, not text"),
        ("apiVersion: a/b/c\nkind: Pod", "its apiVersion \"a/b/c\" is neither VERSION nor GROUP/VERSION"),
        ("apiVersion: v1\nkind: ''", "its kind is empty"),
        ("apiVersion: v1\nkind: Pod", "it has no metadata.name"),
        ("apiVersion: v1\nkind: Pod\nmetadata: x", "its metadata is a text, not a mapping"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: 7}", "its metadata.name is a number: put it in quotes"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: ../x}", "its metadata.name cannot be \"../x\""),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: a/b}", "its metadata.namespace cannot be \"a/b\""),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {generateName: x-}",
            "it has a generateName and no name: every sync would make another one; give it a name",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {port: 80}}",
            "the value of \"port\" in its metadata.annotations is a number: put it in quotes",
        ),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: [a]}", "its metadata.labels is a list, not a mapping"),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {on: yes}",
            "the value of \"on\" in its stringData is a boolean: put it in quotes",
        ),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nsops: {mac: ENC}",
            "it holds values that SOPS encrypted, and is never applied like this\nhint: keep its SOPS metadata in the same file, with an \
             extension of yaml, yml or json",
        ),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: 'ENC[AES256_GCM,data:Wn0=,iv:AA==,tag:AA==,type:str]'}",
            "it holds values that SOPS encrypted, and is never applied like this\nhint: keep its SOPS metadata in the same file, with an \
             extension of yaml, yml or json",
        ),
        (
            "apiVersion: apps/v1\nkind: Deploymnet\nmetadata: {name: a}",
            "the cluster does not serve the kind Deploymnet of apps/v1, and no CustomResourceDefinition beside it does\nhint: correct it, or \
             install its definition first",
        ),
    ] {
        assert_eq!(refusal(&[("apps/shop/a.yaml", content)]), format!("{at}: {problem}"), "{content}");
    }
}

#[test]
fn what_cannot_be_read_is_refused() {
    for (files, message) in [
        (
            vec![("apps/shop/a.yaml", "a: 1\na: 2")],
            "apps/shop/a.yaml: document 1, line 2, column 1: the key \"a\" is defined twice",
        ),
        (
            vec![("apps/shop/templates/a.yaml", "name: {{ .Values.name }}")],
            "apps/shop/templates/a.yaml looks like a template, and no Chart.yaml beside it makes it one of a chart: document 1, line 1, column 8: \
             a key has to be text",
        ),
        (
            vec![("apps/shop/a.yaml", "template: '{{ x }}'\na: b: c")],
            "apps/shop/a.yaml: document 1, line 2, column 5: mapping values are not allowed in this context",
        ),
        (
            vec![("apps/shop/a.yaml", DEPLOYMENT), ("apps/shop/b.yaml", DEPLOYMENT)],
            "Deployment/shop in namespace prod is defined twice: in apps/shop/a.yaml, document 1, line 1, and in apps/shop/b.yaml, document 1, line 1\n\
             hint: remove one of the two",
        ),
        (
            vec![("apps/shop/a.yaml@", "../../../etc/passwd")],
            "apps/shop/a.yaml is a link to \"../../../etc/passwd\", which is not a file of this repository\nhint: put the file there instead of the link",
        ),
        (
            vec![("apps/shop/a.yaml", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")],
            "apps/shop/a.yaml is a Git LFS pointer, and its content is not fetched\nhint: keep manifests in git itself",
        ),
        (
            vec![("apps/other/a.yaml", DEPLOYMENT)],
            "apps/shop is not in this commit\nhint: name the folder of the manifests by `path` of the environment",
        ),
    ] {
        assert_eq!(refusal(&files), message);
    }
    let tree = Files::new(&[("apps/shop/a.yaml", DEPLOYMENT)]).with("apps/shop/lib", EntryMode::Submodule, "");
    let error = Failure::of(&try_render_at("apps/shop", RenderKind::Plain, &tree).unwrap_err()).to_string();
    assert_eq!(
        error,
        "apps/shop/lib is a submodule, and submodules are not fetched\nhint: move it out of the folder of the manifests"
    );
}

#[test]
fn nothing_is_an_error_of_its_own() {
    for (files, why) in [
        (vec![("apps/shop/README.md", "")], "there is no .yaml, .yml or .json file below it"),
        (
            vec![("apps/shop/a.yaml", "# all\n---\n# gone\n"), ("apps/shop/b.json", "")],
            "its 2 manifest files hold no object",
        ),
        (vec![("apps/shop/a.yaml", "apiVersion: v1\nkind: List\nitems: []")], "its only manifest file holds no object"),
    ] {
        match try_render(&files) {
            Err(RenderError::Empty { path, why: told }) => {
                assert_eq!((path.as_str(), told.as_str()), ("apps/shop", why))
            }
            other => panic!("{files:?}: {other:?}"),
        }
    }
}

#[test]
fn the_whole_repository_can_be_the_folder() {
    for path in ["", ".", "/", "./"] {
        let rendered =
            try_render_at(path, RenderKind::Plain, &Files::new(&[("a.yaml", DEPLOYMENT), (".ci.yml", "on: push")]))
                .unwrap();
        assert_eq!((names(&rendered).len(), &*rendered.inputs), (1, &["".to_owned()][..]), "{path:?}");
    }
    assert!(try_render_at("../etc", RenderKind::Plain, &Files::new(&[("a.yaml", DEPLOYMENT)])).is_err());
}

proptest! {
    /// What counts is what is written, not in which file, document or order.
    #[test]
    fn shuffled_files_give_the_same_plan(places in prop::collection::vec(0usize..4, 8), order in Just((0..8).collect::<Vec<usize>>()).prop_shuffle()) {
        let kinds = ["v1/ConfigMap", "v1/Service", "apps/v1/Deployment", "v1/Namespace", "batch/v1/CronJob", "v1/Secret", "v1/ConfigMap", "v1/Pod"];
        let document = |i: usize| {
            let (version, kind) = kinds[i].rsplit_once('/').unwrap();
            format!("---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: n{i}}}\n")
        };
        let one_file: String = (0..8).map(document).collect();
        let mut spread = vec![String::new(); 4];
        order.iter().for_each(|i| spread[places[*i]] += &document(*i));
        let files: Vec<(String, String)> = spread.into_iter().enumerate().map(|(i, text)| (format!("apps/shop/{i}.yaml"), text)).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();

        let together = try_render(&[("apps/shop/all.yaml", &one_file)]).unwrap();
        let apart = try_render(&files).unwrap();
        prop_assert_eq!(names(&together), names(&apart));
        prop_assert_eq!(together.digest(), apart.digest());
        prop_assert_eq!(try_render(&files).unwrap(), apart, "and again gives the same");
    }
}

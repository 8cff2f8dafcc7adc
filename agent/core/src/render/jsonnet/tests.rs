use std::cell::RefCell;

use quarterdeck_shared::application::{FilesSpec, HelmSpec, JsonnetSpec, Overlay, RenderKind};
use quarterdeck_shared::error::Failure;
use serde_json::json;

use super::*;
use crate::render::built::Built;
use crate::render::chart::Chart;
use crate::render::kustomize::Needs;
use crate::render::programs::Programs;
use crate::render::release::{Capabilities, Release};
use crate::render::{Rendered, render, scope};
use crate::tree::Tree;
use crate::tree::memory::Files;

/// Stands in for jsonnet: each file evaluates to what stands behind its first `==`.
#[derive(Default)]
struct Says {
    given: RefCell<Vec<String>>,
}

impl Programs for Says {
    fn kustomize(&self, _: &dyn Tree, folder: &str, _: &Needs) -> Result<Built, BuildFailure> {
        panic!("{folder} is no kustomization")
    }

    fn helm(&self, _: &dyn Tree, chart: &Chart, _: &Release<'_>) -> Result<Built, BuildFailure> {
        panic!("{} is no chart", chart.folder)
    }

    fn jsonnet(&self, tree: &dyn Tree, imports: &Imports, _: &JsonnetSpec) -> Result<Vec<Evaluated>, BuildFailure> {
        *self.given.borrow_mut() = imports.files.keys().cloned().collect();
        let evaluate = |path: &String| {
            let content = tree.blob(&imports.files[path]).unwrap();
            let at = content.windows(2).position(|two| two == b"==").map_or(0, |at| at + 2);
            Evaluated { path: path.clone(), output: content[at..].to_vec(), notes: vec![format!("TRACE: {path}")] }
        };
        Ok(imports.begins.iter().map(evaluate).collect())
    }
}

fn try_render(files: &[(&str, &str)], libs: &[&str]) -> (Result<Rendered, RenderError>, Vec<String>) {
    let programs = Says::default();
    let jsonnet = JsonnetSpec { libs: libs.iter().map(|&lib| lib.to_owned()).collect(), ..JsonnetSpec::default() };
    let capabilities = &|| Ok(Capabilities::default());
    let rendered = render(&Request {
        tree: &Files::new(files),
        path: "apps/shop",
        kind: RenderKind::Jsonnet,
        environment: &"shop/prod".parse().unwrap(),
        namespace: "prod",
        scope: &scope::builtin,
        has_status: &|_, _| None,
        variables: None,
        files: &FilesSpec::default(),
        overlay: &Overlay::default(),
        release: &Release { name: "shop", namespace: "prod", spec: &HelmSpec::default(), capabilities },
        jsonnet: &jsonnet,
        programs: &programs,
    });
    (rendered, programs.given.into_inner())
}

fn refusal(files: &[(&str, &str)]) -> String {
    Failure::of(&try_render(files, &["vendor"]).0.expect_err("it was rendered")).to_string()
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

#[test]
fn every_file_of_the_folder_is_an_object_or_a_list_of_them() {
    let list = json!([config_map("b"), {"apiVersion": "v1", "kind": "List", "items": [config_map("c")]}]);
    let files = [
        ("apps/shop/a.jsonnet", &*format!("== {}", config_map("a"))),
        ("apps/shop/main.jsonnet", &format!("=={list}")),
        ("apps/shop/nothing.jsonnet", "==null"),
        ("apps/shop/.hidden.jsonnet", "not evaluated"),
        ("apps/shop/lib.libsonnet", "not evaluated"),
        ("apps/shop/deep/other.jsonnet", "not evaluated"),
        ("apps/shop/a.yaml", "not: rendered"),
    ];
    let (rendered, given) = try_render(&files, &[]);
    let rendered = rendered.unwrap();
    let names: Vec<_> = rendered.manifests.iter().map(|one| (one.resource.name.as_str(), &*one.origin)).collect();
    assert_eq!(
        names,
        [
            ("a", "apps/shop/a.jsonnet"),
            ("b", "apps/shop/main.jsonnet, item 1"),
            ("c", "apps/shop/main.jsonnet, item 2, item 1")
        ]
    );
    assert_eq!(given, ["apps/shop/a.jsonnet", "apps/shop/main.jsonnet", "apps/shop/nothing.jsonnet"]);
    assert_eq!(rendered.notes.len(), 3, "{:?}", rendered.notes);
    assert_eq!(rendered.inputs, ["apps/shop"]);
}

#[test]
fn what_imports_reach_is_given_and_what_they_would_find_first_is_an_input() {
    let main = format!(
        "local k = import '../lib/k.libsonnet'; local v = import 'v/v.libsonnet'; importstr 'logo.txt' == {}",
        config_map("a")
    );
    let files = [
        ("apps/shop/main.jsonnet", &*main),
        ("apps/shop/logo.txt", "import 'not-code.libsonnet'"),
        ("apps/lib/k.libsonnet@", "k8s.libsonnet"),
        ("apps/lib/k8s.libsonnet", "import 'deep.json'"),
        ("apps/lib/deep.json", "{}"),
        ("vendor/v/v.libsonnet", "import 'w.libsonnet'"),
        ("vendor/v/w.libsonnet", "{}"),
        ("more/v/v.libsonnet", "not found"),
        ("apps/lib/unused.libsonnet", ""),
    ];
    let (rendered, given) = try_render(&files, &["vendor", "more"]);
    assert_eq!(
        given,
        [
            "apps/lib/deep.json",
            "apps/lib/k.libsonnet",
            "apps/shop/logo.txt",
            "apps/shop/main.jsonnet",
            "vendor/v/v.libsonnet",
            "vendor/v/w.libsonnet"
        ]
    );
    assert_eq!(
        rendered.unwrap().inputs,
        [
            "apps/lib/deep.json",
            "apps/lib/k.libsonnet",
            "apps/lib/k8s.libsonnet",
            "apps/shop",
            "vendor/v/v.libsonnet",
            "vendor/v/w.libsonnet"
        ]
    );
}

#[test]
fn what_is_no_file_of_the_repository_is_never_read() {
    for (content, words) in [
        (
            "\nimport '/etc/passwd'",
            "apps/shop/main.jsonnet, line 2: it imports \"/etc/passwd\", which is not in the repository",
        ),
        (
            "importstr '../../../x'",
            "apps/shop/main.jsonnet, line 1: it imports \"../../../x\", which is not in the repository",
        ),
        ("import '../../x'", "line 1: it imports \"../../x\""),
        ("import '\\x2fetc'", "apps/shop/main.jsonnet, line 1: the name of what it imports has a backslash"),
    ] {
        let told = refusal(&[("apps/shop/main.jsonnet", content)]);
        assert!(told.starts_with("cannot render the jsonnet of apps/shop: ") && told.contains(words), "{told}");
    }
    assert_eq!(
        refusal(&[("apps/shop/a.libsonnet", "{}")]),
        "cannot render the jsonnet of apps/shop: there is no .jsonnet file in the folder itself\nhint: name the folder of the .jsonnet files by `path`; libraries have the extension .libsonnet"
    );
}

#[test]
fn what_is_no_object_is_told_with_its_place() {
    let told = |output: &str| refusal(&[("apps/shop/main.jsonnet", &format!("=={output}"))]);
    assert!(told("[{}, 1]").starts_with("apps/shop/main.jsonnet, item 1: "), "{}", told("[{}, 1]"));
    assert!(told("7").starts_with("apps/shop/main.jsonnet: "), "{}", told("7"));
    assert!(
        told("{").starts_with(
            "cannot render the jsonnet of apps/shop: the output of apps/shop/main.jsonnet is not understood"
        )
    );
    assert!(told("[]").contains("its .jsonnet files make no object"), "{}", told("[]"));
    let many: Vec<_> = (0..=imports::BEGINS_MAX).map(|n| format!("apps/shop/{n}.jsonnet")).collect();
    let many: Vec<_> = many.iter().map(|path| (&**path, "{}")).collect();
    assert!(refusal(&many).contains("the folder has 101 .jsonnet files, more than 100"));
}

use quarterdeck_core::render::scope;
use quarterdeck_core::render::{RenderError, Rendered, Request, render};
use quarterdeck_core::tree::memory::Files;
use quarterdeck_shared::application::RenderKind;
use quarterdeck_shared::error::Failure;
use serde_json::json;

use super::*;

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: shop\nspec: {replicas: 2}\n";
const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: shop, namespace: other}\n";

fn try_render_with(
    renderers: &Renderers,
    path: &str,
    kind: RenderKind,
    tree: &dyn Tree,
) -> Result<Rendered, RenderError> {
    let application = "shop/prod".parse().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let kustomize = &ByProgram { renderers, scratch: scratch.path() };
    let (scope, has_status) = (&scope::builtin, &|_: &str, _: &str| None);
    let rendered = render(&Request {
        tree,
        path,
        kind,
        environment: &application,
        namespace: "prod",
        scope,
        has_status,
        kustomize,
    });
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing is left behind");
    rendered
}

fn names(rendered: &Rendered) -> Vec<String> {
    rendered.manifests.iter().map(|m| m.resource.to_string()).collect()
}

/// A stand-in for kustomize: a script, found as the program is found. It does not build anything, it shows what it got.
fn kustomize(script: &str) -> (tempfile::TempDir, Renderers) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kustomize");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let renderers = Renderers::find(Some(folder.path().as_os_str()));
    (folder, renderers)
}

const KUSTOMIZATION: &[(&str, &str)] = &[
    ("apps/shop/kustomization.yaml", "resources: [../base, deployment.yaml]"),
    ("apps/shop/deployment.yaml", DEPLOYMENT),
    ("apps/base/kustomization.yaml", "resources: [service.yaml]"),
    ("apps/base/service.yaml", SERVICE),
    ("apps/cart/kustomization.yaml", ""),
];

#[test]
fn a_kustomization_is_built_by_its_program() {
    let script =
        "[ \"$1\" = build ] && [ -z \"$CARGO_MANIFEST_DIR$XDG_RUNTIME_DIR\" ] && [ ! -e \"$2/../cart\" ] || exit 9
        echo \"# Warning: 'bases' is deprecated in $2\" >&2
        cat \"$2/../base/service.yaml\"; echo ---; cat \"$2/deployment.yaml\"";
    let (_folder, renderers) = kustomize(script);
    for kind in [RenderKind::Auto, RenderKind::Kustomize] {
        let rendered = try_render_with(&renderers, "apps/shop", kind, &Files::new(KUSTOMIZATION)).unwrap();
        assert_eq!(names(&rendered), ["/Service/other/shop", "apps/Deployment/prod/shop"]);
        assert_eq!(rendered.notes, ["Warning: 'bases' is deprecated in apps/shop"]);
        assert_eq!(rendered.inputs, ["apps/base", "apps/shop"]);
        assert_eq!(&*rendered.manifests[1].origin, "kustomization of apps/shop, document 2");
        assert_eq!(
            rendered.manifests[1].object.head()["metadata"]["labels"],
            json!({"quarterdeck.dev/application": "shop", "quarterdeck.dev/environment": "prod"})
        );
    }
    let plain = try_render_with(&renderers, "apps/shop", RenderKind::Plain, &Files::new(KUSTOMIZATION)).unwrap();
    assert_eq!(names(&plain), ["apps/Deployment/prod/shop"]);
}

#[test]
fn what_kustomize_says_no_to_is_told_in_its_words() {
    let (_folder, renderers) = kustomize("echo \"Error: no matches in $2/deployment.yaml\" >&2; exit 1");
    let error = try_render_with(&renderers, "apps/shop", RenderKind::Auto, &Files::new(KUSTOMIZATION)).unwrap_err();
    assert_eq!(
        Failure::of(&error).to_string(),
        "cannot render the kustomization of apps/shop: kustomize build failed: exit status: 1: Error: no matches in apps/shop/deployment.yaml"
    );
    let error =
        try_render_with(&Renderers::default(), "apps/shop", RenderKind::Auto, &Files::new(KUSTOMIZATION)).unwrap_err();
    assert_eq!(
        Failure::of(&error).to_string(),
        "cannot render the kustomization of apps/shop: neither kustomize nor kubectl is on the PATH\nhint: install one of them"
    );
    let (_folder, renderers) = kustomize("echo '# nothing'");
    let error = try_render_with(&renderers, "apps/shop", RenderKind::Auto, &Files::new(KUSTOMIZATION)).unwrap_err();
    assert!(matches!(error, RenderError::Empty { .. }), "{error}");
}

#[test]
fn no_file_is_written_out_of_the_scratch_folder() {
    let (_folder, renderers) = kustomize("[ -e \"$2/x\" ] || [ -e \"$2/../../../out\" ] && exit 9; cat \"$2/a.yaml\"");
    for path in ["apps/shop/../../../out", "apps/shop//x", "apps/shop/./x"] {
        let tree = Files::new(&[
            ("apps/shop/kustomization.yaml", "resources: [a.yaml]"),
            ("apps/shop/a.yaml", SERVICE),
            (path, "unnamed"),
        ]);
        try_render_with(&renderers, "apps/shop", RenderKind::Auto, &tree).unwrap();
    }
}

#[test]
fn a_large_file_that_nothing_names_is_not_missed_and_a_pointer_that_is_named_is_told() {
    let (_folder, renderers) =
        kustomize("[ -e \"$2/talk.mp4\" ] && exit 9; [ -e \"$2/notes\" ] || exit 8; cat \"$2/a.yaml\"");
    let talk = "x".repeat(2 << 20);
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    let kustomization = ("apps/shop/kustomization.yaml", "resources: [a.yaml]");
    let beside =
        [kustomization, ("apps/shop/a.yaml", SERVICE), ("apps/shop/talk.mp4", &talk), ("apps/shop/notes", pointer)];
    try_render_with(&renderers, "apps/shop", RenderKind::Auto, &Files::new(&beside)).unwrap();
    let named = [kustomization, ("apps/shop/a.yaml", pointer)];
    let error = try_render_with(&renderers, "apps/shop", RenderKind::Auto, &Files::new(&named)).unwrap_err();
    assert_eq!(
        Failure::of(&error).to_string(),
        "cannot render the kustomization of apps/shop: apps/shop/a.yaml is a Git LFS pointer, and its content is not fetched\nhint: keep it in git itself"
    );
}

#[test]
fn a_link_to_a_folder_is_a_link_for_the_program() {
    let (_folder, renderers) = kustomize("[ -L \"$2/live\" ] && cat \"$2/live/../common/s.yaml\"");
    let tree = Files::new(&[
        ("apps/shop/kustomization.yaml", "resources: [live]"),
        ("apps/shop/live@", "../../releases/v2"),
        ("releases/v2/kustomization.yaml", "resources: [../common/s.yaml]"),
        ("releases/common/s.yaml", SERVICE),
    ]);
    let rendered = try_render_with(&renderers, "apps/shop", RenderKind::Auto, &tree).unwrap();
    assert_eq!(rendered.inputs, ["apps/shop", "releases/common/s.yaml", "releases/v2"]);
}

use quarterdeck_core::render::release::{Capabilities, Release};
use quarterdeck_core::render::scope;
use quarterdeck_core::render::{RenderError, Rendered, Request, render};
use quarterdeck_core::sops::decrypting::Decrypting;
use quarterdeck_core::tree::memory::Files;
use quarterdeck_shared::application::{FileParameter, FilesSpec, HelmSpec, JsonnetSpec, Overlay, RenderKind};
use quarterdeck_shared::error::Failure;
use serde_json::json;

use super::in_clear::InClear;
use super::*;
use crate::sops::ConfiguredKeys;

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: shop\nspec: {replicas: 2}\n";
const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: shop, namespace: other}\n";

fn try_render_with(
    renderers: &Renderers,
    path: &str,
    kind: RenderKind,
    tree: &dyn Tree,
) -> Result<Rendered, RenderError> {
    try_render_of(renderers, path, kind, &HelmSpec::default(), tree)
}

fn try_render_of(
    renderers: &Renderers,
    path: &str,
    kind: RenderKind,
    spec: &HelmSpec,
    tree: &dyn Tree,
) -> Result<Rendered, RenderError> {
    try_render_hiding(renderers, (path, kind, spec), tree, &NoSecrets)
}

fn try_render_hiding(
    renderers: &Renderers,
    (path, kind, spec): (&str, RenderKind, &HelmSpec),
    tree: &dyn Tree,
    secrets: &dyn Secrets,
) -> Result<Rendered, RenderError> {
    let environment = &"shop/prod".parse().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let programs = &ByProgram { renderers, scratch: scratch.path(), secrets };
    let (scope, has_status, namespace) = (&scope::builtin, &|_: &str, _: &str| None, "prod");
    let capabilities = &|| {
        let api_versions = vec!["apps/v1".to_owned(), "apps/v1/Deployment".to_owned()];
        Ok(Capabilities { kube_version: Some("v1.35.4".to_owned()), api_versions })
    };
    let release = &Release { name: "shop", namespace, spec, capabilities };
    let rendered = render(&Request {
        tree,
        path,
        kind,
        environment,
        namespace,
        scope,
        has_status,
        variables: None,
        files: &FilesSpec::default(),
        overlay: &Overlay::default(),
        release,
        jsonnet: &JsonnetSpec::default(),
        programs,
    });
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing is left behind");
    rendered
}

fn names(rendered: &Rendered) -> Vec<String> {
    rendered.manifests.iter().map(|m| m.resource.to_string()).collect()
}

/// A stand-in for kustomize: a script, found as the program is found. It does not build anything, it shows what it got.
fn kustomize(script: &str) -> (tempfile::TempDir, Renderers) {
    stand_in("kustomize", script)
}

fn stand_in(name: &str, script: &str) -> (tempfile::TempDir, Renderers) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
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

const CHART: &[(&str, &str)] = &[
    ("charts/shop/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n"),
    ("charts/shop/templates/deployment.yaml", DEPLOYMENT),
    ("charts/other/Chart.yaml", ""),
    ("envs/prod.yaml", "replicas: 2\n"),
];

#[test]
fn a_chart_is_rendered_by_helm_with_its_values_and_none_of_them_as_an_argument() {
    let script = "[ -z \"$CARGO_MANIFEST_DIR$XDG_RUNTIME_DIR\" ] && [ ! -e \"$3/../other\" ] || exit 9
        echo \"---\"; echo \"# Source: shop/templates/deployment.yaml\"; cat \"$3/templates/deployment.yaml\"
        echo \"walk.go:75: found symbolic link in path: $3/a resolves to $3/b\" >&2
        words=; for word; do words=\"$words $word\"; done
        printf -- '---\\napiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: args}\\ndata: {words: \"%s\", values: %s}\\n' \"$words\" \"'$(cat)'\"";
    let (_folder, renderers) = stand_in("helm", script);
    let values = json!({"password": "s3cret"}).as_object().unwrap().clone();
    let spec = HelmSpec { values_files: vec!["envs/prod.yaml".to_owned()], values, ..HelmSpec::default() };
    let rendered = try_render_of(&renderers, "charts/shop", RenderKind::Auto, &spec, &Files::new(CHART)).unwrap();
    assert_eq!(names(&rendered), ["/ConfigMap/prod/args", "apps/Deployment/prod/shop"]);
    assert_eq!(&*rendered.manifests[1].origin, "charts/shop/templates/deployment.yaml");
    assert_eq!(rendered.notes, ["walk.go:75: found symbolic link in path: charts/shop/a resolves to charts/shop/b"]);
    assert_eq!(rendered.inputs, ["charts/shop", "envs/prod.yaml"]);
    let object = rendered.manifests[0].object.clone().into_value();
    assert_eq!(object["data"]["values"], "{\"password\":\"s3cret\"}");
    let words = object["data"]["words"].as_str().unwrap();
    let root = words.split_once(" template shop ").unwrap().1.split_once("/charts/shop ").unwrap().0;
    assert_eq!(
        words.replace(root, "ROOT"),
        " template shop ROOT/charts/shop --namespace prod --include-crds --kube-version v1.35.4 --api-versions apps/v1 \
         --api-versions apps/v1/Deployment --values ROOT/envs/prod.yaml --values -"
    );
}

#[test]
fn helm_is_given_the_files_of_parameters_and_leaves_definitions_out() {
    let script = "words=; for word; do words=\"$words $word\"; done
        cd \"${3%/charts/shop}\"; file=$(cat 'envs/a,b.ini')
        printf -- '---\\napiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: args}\\ndata: {words: %s, file: %s}\\n' \"'${words##* --}'\" \"$file\"
        case \"$words\" in *--include-crds*) exit 9 ;; esac";
    let (_folder, renderers) = stand_in("helm", script);
    let parameter = |path: &str| FileParameter { name: "config.text".to_owned(), path: path.to_owned() };
    let spec = |path| HelmSpec { file_parameters: vec![parameter(path)], skip_crds: true, ..HelmSpec::default() };
    let files = [CHART, &[("envs/a,b.ini", "text")]].concat();
    let render = |path| try_render_of(&renderers, "charts/shop", RenderKind::Auto, &spec(path), &Files::new(&files));
    let rendered = render("envs/a,b.ini").unwrap();
    assert_eq!(rendered.inputs, ["charts/shop", "envs/a,b.ini"]);
    let data = rendered.manifests[0].object.clone().into_value()["data"].clone();
    let words = data["words"].as_str().unwrap();
    assert!(words.starts_with("set-file config.text=") && words.ends_with(r"/envs/a\,b.ini"), "{words}");
    assert_eq!(data["file"], "text");
    assert_eq!(
        Failure::of(&render("envs/gone.ini").unwrap_err()).to_string(),
        "cannot render the chart of charts/shop: the file envs/gone.ini of the parameter config.text is not in this commit\n\
         hint: paths in `helm.file_parameters` begin at the root of the repository"
    );
}

#[test]
fn what_helm_says_no_to_is_told_in_its_words() {
    let (_folder, renderers) = stand_in(
        "helm",
        "echo \"walk.go:75: found symbolic link in path: $3/a\" >&2
        echo \"Error: execution error at (shop/templates/a.yaml:1:4): host is required\" >&2
        echo >&2; echo \"Use --debug flag to render out invalid YAML\" >&2; exit 1",
    );
    let tell = |renderers: &Renderers| {
        Failure::of(&try_render_with(renderers, "charts/shop", RenderKind::Auto, &Files::new(CHART)).unwrap_err())
            .to_string()
    };
    assert_eq!(
        tell(&renderers),
        "cannot render the chart of charts/shop: helm template failed: exit status: 1: Error: execution error at (charts/shop/templates/a.yaml:1:4): host is required"
    );
    assert_eq!(
        tell(&Renderers::default()),
        "cannot render the chart of charts/shop: helm is not on the PATH\nhint: install helm 3 or 4 where the agent runs, and start the agent again"
    );
}

#[test]
fn jsonnet_is_evaluated_with_its_arguments_in_files_and_nothing_that_no_import_reaches() {
    let script = "[ -z \"$CARGO_MANIFEST_DIR$XDG_RUNTIME_DIR\" ] && [ ! -e apps/shop/unused.libsonnet ] && [ -e vendor/k.libsonnet ] || exit 9
        echo 'TRACE: apps/shop/main.jsonnet:1 hello' >&2
        words=; contents=
        for word; do words=\"$words $word\"; case $word in *=*) contents=\"$contents $(cat \"${word#*=}\")\" ;; esac; done
        printf '[{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"},\"data\":{\"words\":\"%s\",\"contents\":\"%s\"}}]' \"$words\" \"$contents\"";
    let (_folder, renderers) = stand_in("jsonnet", script);
    let files = Files::new(&[
        ("apps/shop/main.jsonnet", "local k = import 'k.libsonnet'; []"),
        ("apps/shop/unused.libsonnet", ""),
        ("vendor/k.libsonnet", "{}"),
    ]);
    let jsonnet = JsonnetSpec {
        tla: json!({"name": "s3cret", "replicas": 3}).as_object().unwrap().clone(),
        ext: json!({"region": "eu-1"}).as_object().unwrap().clone(),
        libs: vec!["lib".to_owned(), "vendor".to_owned()],
    };
    let scratch = tempfile::tempdir().unwrap();
    let try_render = |renderers: &Renderers| {
        render(&Request {
            tree: &files,
            path: "apps/shop",
            kind: RenderKind::Jsonnet,
            environment: &"shop/prod".parse().unwrap(),
            namespace: "prod",
            scope: &scope::builtin,
            has_status: &|_, _| None,
            variables: None,
            files: &FilesSpec::default(),
            overlay: &Overlay::default(),
            release: &Release {
                name: "shop",
                namespace: "prod",
                spec: &HelmSpec::default(),
                capabilities: &|| Ok(Capabilities::default()),
            },
            jsonnet: &jsonnet,
            programs: &ByProgram { renderers, scratch: scratch.path(), secrets: &NoSecrets },
        })
    };
    let rendered = try_render(&renderers).unwrap();
    assert_eq!(rendered.notes, ["TRACE: apps/shop/main.jsonnet:1 hello"]);
    let data = rendered.manifests[0].object.clone().into_value()["data"].clone();
    let words = data["words"].as_str().unwrap();
    let root = words.split_once("-J ").unwrap().1.split_once("/vendor").unwrap().0;
    assert_eq!(
        words.replace(root, "ROOT"),
        " -J ROOT/vendor -J ROOT/lib --tla-str-file name=.quarterdeck-arguments/tla-0 --tla-code-file \
         replicas=.quarterdeck-arguments/tla-1 --ext-str-file region=.quarterdeck-arguments/ext-0 apps/shop/main.jsonnet"
    );
    assert_eq!(data["contents"], " s3cret 3 eu-1");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing is left behind");
    assert_eq!(
        Failure::of(&try_render(&Renderers::default()).unwrap_err()).to_string(),
        "cannot render the jsonnet of apps/shop: jsonnet is not on the PATH\nhint: install go-jsonnet or jsonnet where the agent runs, and start the agent again"
    );
}

#[test]
fn encrypted_files_are_given_in_clear_and_one_for_others_is_missed_where_it_is_named() {
    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/core/src/sops/fixtures");
    let read = |name: &str| std::fs::read_to_string(format!("{FOLDER}/{name}")).unwrap();
    let (ours, others) = (read("secret.yaml"), read("key-groups.yaml"));
    let files = |named: &str| {
        Files::new(&[
            ("apps/shop/kustomization.yaml", named),
            ("apps/shop/db.yaml", &ours),
            ("apps/shop/others.yaml", &others),
        ])
    };
    let age_keys = [format!("{FOLDER}/age.txt").into()];
    let keys = ConfiguredKeys { age_keys: &age_keys, program: None, age_keys_only: false };
    let (_folder, renderers) =
        kustomize("[ \"$(stat -c %a .)\" = 700 ] && [ ! -e \"$2/others.yaml\" ] || exit 9; cat \"$2/db.yaml\"");
    let memory = tempfile::tempdir().unwrap();
    let renderers = renderers.in_memory(Some(memory.path().to_owned()));
    let tree = files("resources: [db.yaml]");
    let tree = Decrypting::new(&tree, &keys, None);
    let rendered = try_render_with(&renderers, "apps/shop", RenderKind::Auto, &tree).unwrap();
    assert_eq!(names(&rendered), ["/Secret/prod/db"]);
    assert_eq!(rendered.manifests[0].object.value()["data"]["user"], "c2hvcA==");
    assert_eq!(tree.scrub("no corr3ct-horse \"battery\" ünï here"), "no *** here");
    // A promotion builds it from the text that git has.
    let (scratch, tree) = (tempfile::tempdir().unwrap(), files("resources: [db.yaml]"));
    let programs = &InClear {
        renderers: &renderers,
        scratch: scratch.path(),
        keys: &keys,
        elsewhere: &quarterdeck_core::render::elsewhere::Nowhere,
    };
    let release = &Release {
        name: "shop",
        namespace: "prod",
        spec: &HelmSpec::default(),
        capabilities: &|| Ok(Capabilities::default()),
    };
    let rendered = render(&Request {
        tree: &tree,
        path: "apps/shop",
        kind: RenderKind::Auto,
        environment: &"shop/prod".parse().unwrap(),
        namespace: "prod",
        scope: &scope::builtin,
        has_status: &|_, _| None,
        variables: None,
        files: &FilesSpec::default(),
        overlay: &Overlay::default(),
        release,
        jsonnet: &JsonnetSpec::default(),
        programs,
    });
    assert_eq!(rendered.unwrap().manifests[0].object.value()["data"]["user"], "c2hvcA==");
    let tree = files("resources: [db.yaml, others.yaml]");
    for kind in [RenderKind::Auto, RenderKind::Plain] {
        let error = try_render_with(&renderers, "apps/shop", kind, &Decrypting::new(&tree, &keys, None)).unwrap_err();
        assert_eq!(
            Failure::of(&error).to_string(),
            "cannot decrypt apps/shop/others.yaml: its data key is kept by several groups of keys: sops was not in PATH when the agent \
             began\nhint: install sops 3.9 or newer where the agent runs and start the agent again, or encrypt the file for an age key too"
        );
    }
}

#[test]
fn what_was_decrypted_is_given_to_a_program_in_memory_and_never_on_the_disk() {
    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/core/src/sops/fixtures");
    let secret = std::fs::read_to_string(format!("{FOLDER}/secret.yaml")).unwrap();
    let encrypted = [("apps/shop/kustomization.yaml", "resources: [db.yaml]"), ("apps/shop/db.yaml", &*secret)];
    let age_keys = [format!("{FOLDER}/age.txt").into()];
    let keys = ConfiguredKeys { age_keys: &age_keys, program: None, age_keys_only: false };
    let memory = tempfile::tempdir().unwrap();
    let seen = tempfile::tempdir().unwrap();
    let script = |more: &str| format!("pwd >>{}/folders; {more} cat \"$2\"/[ad]*.yaml", seen.path().display());
    let folders = || std::fs::read_to_string(seen.path().join("folders")).unwrap_or_default();
    let at = memory.path().canonicalize().unwrap();
    let told = |renderers: &Renderers, tree: &dyn Tree, secrets: &dyn Secrets| {
        let of = ("apps/shop", RenderKind::Auto, &HelmSpec::default());
        let rendered = try_render_hiding(renderers, of, tree, secrets).map(drop);
        rendered.map_err(|error| {
            assert!(!error.is_lasting(), "{error}");
            Failure::of(&error).to_string()
        })
    };
    let decrypting = |renderers: &Renderers| {
        let files = Files::new(&encrypted);
        let tree = Decrypting::new(&files, &keys, None);
        told(renderers, &tree, &tree)
    };
    let clear = |renderers: &Renderers| told(renderers, &Files::new(KUSTOMIZATION), &NoSecrets);

    let (_folder, renderers) = kustomize(&script(""));
    let in_memory = renderers.clone().in_memory(Some(at.clone()));
    decrypting(&in_memory).unwrap();
    assert!(folders().starts_with(&format!("{}/", at.display())), "{}", folders());
    assert_eq!(std::fs::read_dir(&at).unwrap().count(), 0, "nothing is left behind");
    assert_eq!(
        decrypting(&renderers).unwrap_err(),
        "cannot render the kustomization of apps/shop: its files were decrypted, and the agent has no folder in memory to give \
         them to a program\nhint: mount a tmpfs at /dev/shm, and start the agent again"
    );
    clear(&renderers).unwrap();

    // A program that finds no room in memory gets what is in clear on the disk, and nothing else.
    let full =
        format!("case $(pwd) in {}/*) echo 'write a: no space left on device' >&2; exit 1;; esac;", at.display());
    let (_folder, renderers) = kustomize(&script(&full));
    let renderers = renderers.in_memory(Some(at.clone()));
    let before = folders().lines().count();
    clear(&renderers).unwrap();
    assert_eq!(folders().lines().count(), before + 2);
    let words = decrypting(&renderers).unwrap_err();
    assert_eq!(
        words.replace(&*at.to_string_lossy(), "MEMORY"),
        "cannot render the kustomization of apps/shop: its files were decrypted, and MEMORY has no room for them\nhint: make it \
         larger: `mount -o remount,size=256m /dev/shm`, or in a pod an emptyDir there with medium: Memory"
    );
    assert_eq!(folders().lines().count(), before + 3, "it was started in memory alone");
}

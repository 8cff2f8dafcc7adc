//! Promotion into trees: which files are looked at, and that what is rendered names the artifact.

use super::*;
use crate::render::built::{BuildFailure, Built};
use crate::render::chart::Chart;
use crate::render::jsonnet::{Evaluated, Imports};
use crate::render::kustomize::Needs;
use crate::render::release::Capabilities;
use crate::tree::Node;
use crate::tree::layered::Layered;
use crate::tree::memory::Files;
use quarterdeck_shared::application::{ChartSpec, FilesSpec, HelmSpec, ImageValues, JsonnetSpec, Overlay};

/// Builds as kustomize does, as far as these tests go: the resources of a folder and of the folders that it names, and the
/// tags of `images:` for the containers of pods, by the exact name. Of a chart it makes a pod as [`chart_pod`] says.
struct Small;

impl Programs for Small {
    fn helm(&self, tree: &dyn Tree, chart: &Chart, _: &Release<'_>) -> Result<Built, BuildFailure> {
        let values = std::iter::once(format!("{}/values.yaml", chart.folder)).chain(chart.values.iter().cloned());
        let values =
            values.map(|path| crate::yaml::parse(&tree.blob(&chart.files[&path]).unwrap()).unwrap().remove(0).value);
        let pod = chart_pod(&values.fold(serde_json::json!({}), merged));
        Ok(Built { output: crate::yaml::write_all(&[pod]).into_bytes(), notes: Vec::new() })
    }

    fn kustomize(&self, tree: &dyn Tree, folder: &str, needs: &Needs) -> Result<Built, BuildFailure> {
        let objects = resources(tree, folder, needs);
        let output = crate::yaml::write_all(&objects).into_bytes();
        Ok(Built { output, notes: Vec::new() })
    }

    fn jsonnet(&self, _: &dyn Tree, imports: &Imports, _: &JsonnetSpec) -> Result<Vec<Evaluated>, BuildFailure> {
        panic!("{:?} is no jsonnet", imports.begins)
    }
}

/// A pod of the image that values name: `image: word`, or its repository, tag and digest, as most charts have it.
fn chart_pod(values: &serde_json::Value) -> serde_json::Value {
    let text = |key: &str| values["image"][key].as_str().unwrap_or_default().to_owned();
    let web = |key: &str| values["web"][key].as_str().unwrap_or_default().to_owned();
    let image = match values["image"].as_str() {
        _ if values["web"]["run"].is_string() => web("run"),
        _ if values["web"].is_object() && web("sha").is_empty() => format!("{}:{}", web("repo"), web("version")),
        _ if values["web"].is_object() => format!("{}@{}", web("repo"), web("sha")),
        Some(word) => word.to_owned(),
        None if text("digest").is_empty() => format!("{}:{}", text("repository"), text("tag")),
        None => format!("{}@{}", text("repository"), text("digest")),
    };
    serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shop"}, "spec": {"containers": [{"image": image}]}})
}

fn merged(mut below: serde_json::Value, above: serde_json::Value) -> serde_json::Value {
    match (below.as_object_mut(), above) {
        (Some(into), serde_json::Value::Object(fields)) => {
            for (key, value) in fields {
                let before = into.remove(&key).unwrap_or_default();
                into.insert(key, merged(before, value));
            }
            below
        }
        (_, above) => above,
    }
}

fn resources(tree: &dyn Tree, folder: &str, needs: &Needs) -> Vec<serde_json::Value> {
    let text = needs.rewritten.get(&format!("{folder}/kustomization.yaml")).cloned().unwrap_or_else(|| {
        let file = render::kustomization_file(tree, folder).unwrap().expect("a kustomization");
        tree.blob(&file).unwrap()
    });
    let kustomization = crate::yaml::parse(&text).unwrap().remove(0).value;
    let mut objects = Vec::new();
    for resource in kustomization["resources"].as_array().into_iter().flatten().filter_map(|text| text.as_str()) {
        let path = crate::tree::paths::join(folder, resource).unwrap();
        match tree.lookup(&path).unwrap().expect("what it names") {
            Node::Folder => objects.extend(resources(tree, &path, needs)),
            Node::File(entry) => {
                objects.extend(crate::yaml::parse(&tree.blob(&entry).unwrap()).unwrap().into_iter().map(|d| d.value));
            }
        }
    }
    for entry in kustomization["images"].as_array().into_iter().flatten() {
        for object in &mut objects {
            for container in
                object.pointer_mut("/spec/containers").and_then(|list| list.as_array_mut()).into_iter().flatten()
            {
                let image = container["image"].as_str().unwrap().to_owned();
                let (name, tag) = image.split_once(':').unwrap_or((&image, ""));
                if name == entry["name"].as_str().unwrap() {
                    let name = entry["newName"].as_str().unwrap_or(name);
                    container["image"] = format!("{name}:{}", entry["newTag"].as_str().unwrap_or(tag)).into();
                }
            }
        }
    }
    objects
}

fn promoted(files: &[(&str, &str)], render: RenderKind) -> Result<Vec<(String, String)>, String> {
    promoted_by(PromoteBy::Tag, &[], files, render)
}

fn promoted_by(
    by: PromoteBy,
    values_files: &[&str],
    files: &[(&str, &str)],
    render: RenderKind,
) -> Result<Vec<(String, String)>, String> {
    promoted_told(by, &[], values_files, files, render)
}

fn promoted_told(
    by: PromoteBy,
    values: &[ImageValues],
    values_files: &[&str],
    files: &[(&str, &str)],
    render: RenderKind,
) -> Result<Vec<(String, String)>, String> {
    let values_files = values_files.iter().map(|path| (*path).to_owned()).collect();
    let spec = &HelmSpec { values_files, ..HelmSpec::default() };
    let capabilities = &|| Ok(Capabilities::default());
    let release = &Release { name: "shop", namespace: "prod", spec, capabilities };
    let manifests = Manifests {
        tree: &Files::new(files),
        path: "apps/shop",
        sources: &[],
        into: None,
        render,
        files: &FilesSpec::default(),
        overlay: &Overlay::default(),
        release,
        values,
        programs: &Small,
    };
    let (edits, absent) = promote_all(&manifests, &[to(by)])
        .map_err(|error| quarterdeck_shared::error::Failure::of(&error).to_string())?;
    assert!(absent.is_empty());
    Ok(edits.into_iter().map(|edit| (edit.path, String::from_utf8(edit.content).unwrap())).collect())
}

const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: shop}\nspec: {containers: [{image: reg.example/ops/shop:1}]}\n";

fn paths(files: &[(&str, &str)], render: RenderKind) -> Vec<String> {
    promoted(files, render).unwrap().into_iter().map(|(path, _)| path).collect()
}

#[test]
fn only_what_is_rendered_is_changed() {
    let files = [
        ("apps/shop/pod.YAML", POD),
        ("apps/shop/.github/workflows/check.yaml", POD),
        ("apps/shop/.pod.yaml", POD),
        ("apps/shop/notes.txt", POD),
        ("apps/shop/sub/kustomization.yaml", POD),
        ("apps/cart/pod.yaml", POD),
        ("apps/shop/link.yml@", "../base/pod"),
        ("apps/base/pod", POD),
        ("apps/shop/common@", "../common"),
        (
            "apps/common/pod.json",
            "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"spec\": {\"containers\": [{\"image\": \"reg.example/ops/shop:1\"}]}}",
        ),
    ];
    assert_eq!(paths(&files, RenderKind::Plain), ["apps/base/pod", "apps/common/pod.json", "apps/shop/pod.YAML"]);
    let hidden = promoted(&files[1..5], RenderKind::Plain).unwrap_err();
    assert_eq!(
        hidden,
        "no manifest below `apps/shop` names the image reg.example/ops/shop (0 files were read)\nhint: write \
         `image: reg.example/ops/shop` where it belongs, or set `promote.by = \"none\"`"
    );
}

#[test]
fn large_files_and_files_in_lfs_are_told_or_left_alone() {
    let large = format!("{{\"rows\": \"{}\"}}", "shop ".repeat(4 << 20));
    let files = [("apps/shop/rows.json", large.as_str()), ("apps/shop/pod.yaml", POD)];
    assert_eq!(paths(&files, RenderKind::Plain), ["apps/shop/pod.yaml"]);
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    let error = promoted(&[("apps/shop/a.yaml", pointer), ("apps/shop/pod.yaml", POD)], RenderKind::Plain).unwrap_err();
    assert_eq!(
        error,
        "apps/shop/a.yaml is a Git LFS pointer, and its content is not fetched\nhint: keep manifests in git itself"
    );
}

#[test]
fn a_kustomization_names_the_image_as_its_resources_do() {
    let kustomization = ("apps/shop/kustomization.yaml@", "../live.yaml");
    let base = |image: &str| POD.replace("reg.example/ops/shop:1", image);
    for (image, before, after) in [
        (
            "reg.example/ops/shop:1",
            "resources: [../base]\n",
            "resources: [../base]\nimages:\n- name: reg.example/ops/shop\n  newTag: 1.4.0\n",
        ),
        // An entry that matches nothing stays, and one that does is added.
        (
            "docker.io/library/nginx:1",
            "resources: [../base]\nimages:\n- name: nginx\n  newTag: 1.0.0\n",
            "resources: [../base]\nimages:\n- name: nginx\n  newTag: 1.0.0\n- name: docker.io/library/nginx\n  newTag: 1.4.0\n",
        ),
        (
            "placeholder",
            "resources: [../base]\nimages:\n- name: placeholder\n  newName: reg.example/ops/shop\n  newTag: a\n",
            "resources: [../base]\nimages:\n- name: placeholder\n  newName: reg.example/ops/shop\n  newTag: 1.4.0\n",
        ),
    ] {
        let pod = base(image);
        let files = [
            kustomization,
            ("apps/live.yaml", before),
            ("apps/base/kustomization.yml", "resources: [pod.yaml]"),
            ("apps/base/pod.yaml", &pod),
        ];
        let (spec, capabilities) = (&HelmSpec::default(), &|| Ok(Capabilities::default()));
        let release = &Release { name: "shop", namespace: "prod", spec, capabilities };
        let (tree, path, render) = (&Files::new(&files), "apps/shop/", RenderKind::Auto);
        let manifests = Manifests {
            tree,
            path,
            sources: &[],
            into: None,
            render,
            files: &FilesSpec::default(),
            overlay: &Overlay::default(),
            release,
            values: &[],
            programs: &Small,
        };
        let image = if image.contains("nginx") { "nginx" } else { "reg.example/ops/shop" };
        let image = Promoted { image: image.into(), ..to(PromoteBy::Tag) };
        let (edits, _) = promote_all(&manifests, std::slice::from_ref(&image)).unwrap();
        assert_eq!(edits[0].path, "apps/live.yaml", "a link is followed to its file");
        assert_eq!(String::from_utf8_lossy(&edits[0].content), after);
        let again = Files::new(&[kustomization, ("apps/live.yaml", after), files[2], files[3]]);
        assert_eq!(promote_all(&Manifests { tree: &again, ..manifests }, &[image]).unwrap().0, [], "twice is once");
    }
}

#[test]
fn an_older_kustomize_that_leaves_the_tag_out_beside_a_digest_names_the_artifact() {
    let output = POD.replace("shop:1}", &format!("shop@{DIGEST}}}"));
    let found = manifests::spellings(&output, &to(PromoteBy::TagAndDigest));
    assert!(found.is_ok_and(|found| found.others.is_empty()));
    let found = manifests::spellings(&output, &to(PromoteBy::Tag));
    assert!(found.is_ok_and(|found| found.others.len() == 1));
}

#[test]
fn a_kustomization_that_would_not_run_the_artifact_is_told() {
    let custom =
        "apiVersion: example.com/v1\nkind: Release\nmetadata: {name: shop}\nspec: {image: reg.example/ops/shop:1}\n";
    for (resource, kustomization, words) in [
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{image: mirror.example/ops/shop}]}\n",
            "resources: [a.yaml]\n",
            "the kustomization of `apps/shop` makes nothing that names the image reg.example/ops/shop\nhint: write",
        ),
        (
            custom,
            "resources: [a.yaml]\n",
            "after the change of `images:` in apps/shop/kustomization.yaml the kustomization still names another version of \
             reg.example/ops/shop, in Release shop\nhint: an entry",
        ),
        (
            POD,
            "resources: [b.yaml]\n",
            "the manifests cannot be rendered: cannot render the kustomization of apps/shop: \
             apps/shop/kustomization.yaml names \"b.yaml\" in resources, which is not in the repository",
        ),
    ] {
        let files = [("apps/shop/a.yaml", resource), ("apps/shop/kustomization.yaml", kustomization)];
        let error = promoted(&files, RenderKind::Auto).unwrap_err();
        assert!(error.starts_with(words), "{error}");
    }
}

/// The edits of a promotion beside what the environment writes into its kustomization, each with its path.
fn promoted_with(overlay: &Overlay, files: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
    let (spec, capabilities) = (&HelmSpec::default(), &|| Ok(Capabilities::default()));
    let manifests = Manifests {
        tree: &Files::new(files),
        path: "apps/shop",
        sources: &[],
        into: None,
        render: RenderKind::Auto,
        files: &FilesSpec::default(),
        overlay,
        release: &Release { name: "shop", namespace: "prod", spec, capabilities },
        values: &[],
        programs: &Small,
    };
    let edits = promote_all(&manifests, &[to(PromoteBy::Tag)]);
    let (edits, _) = edits.map_err(|error| quarterdeck_shared::error::Failure::of(&error).to_string())?;
    Ok(edits.into_iter().map(|edit| (edit.path, String::from_utf8(edit.content).unwrap())).collect())
}

#[test]
fn what_an_environment_writes_into_its_kustomization_has_a_say() {
    let image =
        |fields: serde_json::Value| Overlay { images: vec![fields.as_object().unwrap().clone()], ..Overlay::default() };
    let resources = "resources: [a.yaml]\n";
    let files = [("apps/shop/a.yaml", POD), ("apps/shop/kustomization.yaml", resources)];
    let edit = "resources: [a.yaml]\nimages:\n- name: reg.example/ops/shop\n  newTag: 1.4.0\n";
    let other = image(serde_json::json!({"name": "web", "newTag": "7"}));
    assert_eq!(promoted_with(&other, &files), Ok(vec![("apps/shop/kustomization.yaml".to_owned(), edit.to_owned())]));
    let own = image(serde_json::json!({"name": "reg.example/ops/shop", "newTag": "1.0"}));
    assert_eq!(
        promoted_with(&own, &files).unwrap_err(),
        "images in kustomize of the environment says the version of reg.example/ops/shop, before any that git names\n\
         hint: leave newTag and digest of it out of images in [application.environment.kustomize], or set `promote.by = \"none\"`"
    );
    let made = Overlay { generate: true, ..Overlay::default() };
    let pod = POD.replace("shop:1}", "shop:1.4.0}");
    assert_eq!(promoted_with(&made, &files[..1]), Ok(vec![("apps/shop/a.yaml".to_owned(), pod)]));
    let own = Overlay { generate: true, ..own };
    assert!(promoted_with(&own, &files[..1]).unwrap_err().starts_with("images in kustomize of the environment"));
}

const CHART: (&str, &str) = ("apps/shop/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n");

#[test]
fn the_values_of_a_chart_name_the_image() {
    let apart = "image:\n  repository: reg.example/ops/shop # ours\n  tag: \"1.3\" # now\n";
    let set = "image:\n  repository: reg.example/ops/shop # ours\n  tag: \"1.4.0\" # now\n";
    let with_digest = "image: {repository: reg.example/ops/shop, tag: '1', digest: ''}\n";
    let digest = to(PromoteBy::Tag).digest;
    let set_with_digest = format!("image: {{repository: reg.example/ops/shop, tag: '1.4.0', digest: \"{digest}\"}}\n");
    let (tag, both) = (PromoteBy::Tag, PromoteBy::TagAndDigest);
    for (name, by, values_files, files, expected) in [
        ("its own values", tag, &[][..], &[("apps/shop/values.yaml", apart)][..], ("apps/shop/values.yaml", set)),
        (
            "a whole name",
            tag,
            &[],
            &[("apps/shop/values.yaml", "image: reg.example/ops/shop:1\n")],
            ("apps/shop/values.yaml", "image: reg.example/ops/shop:1.4.0\n"),
        ),
        ("a tag alone takes no digest", both, &[], &[("apps/shop/values.yaml", apart)], ("apps/shop/values.yaml", set)),
        (
            "a place for the digest",
            both,
            &[],
            &[("apps/shop/values.yaml", with_digest)],
            ("apps/shop/values.yaml", &set_with_digest),
        ),
        (
            "the last file of the environment",
            tag,
            &["envs/all.yaml", "envs/prod.yaml"],
            &[("apps/shop/values.yaml", apart), ("envs/all.yaml", apart), ("envs/prod.yaml", apart)],
            ("envs/prod.yaml", set),
        ),
        (
            "the repository in the chart, the tag in the environment",
            tag,
            &["envs/prod.yaml"],
            &[("apps/shop/values.yaml", apart), ("envs/prod.yaml", "replicas: 2\nimage:\n  tag: 1.2.0\n")],
            ("envs/prod.yaml", "replicas: 2\nimage:\n  tag: 1.4.0\n"),
        ),
        (
            "the repository in two files at the same keys, the tag in a third",
            tag,
            &["envs/all.yaml", "envs/prod.yaml"],
            &[
                ("apps/shop/values.yaml", apart),
                ("envs/all.yaml", "image: {repository: reg.example/ops/shop}\n"),
                ("envs/prod.yaml", "image: {tag: 1.2.0}\n"),
            ],
            ("envs/prod.yaml", "image: {tag: 1.4.0}\n"),
        ),
    ] {
        let files: Vec<_> = files.iter().copied().chain([CHART]).collect();
        let edits =
            promoted_by(by, values_files, &files, RenderKind::Auto).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(edits, [(expected.0.to_owned(), expected.1.to_owned())], "{name}");
        let again: Vec<_> =
            files.iter().map(|(path, text)| (*path, if *path == expected.0 { expected.1 } else { *text })).collect();
        assert_eq!(promoted_by(by, values_files, &again, RenderKind::Auto), Ok(Vec::new()), "{name}, once more");
    }
}

#[test]
fn a_chart_whose_values_do_not_say_the_version_is_told() {
    let apart = "image:\n  repository: reg.example/ops/shop\n  tag: '1.3'\n";
    for (by, values_files, files, message) in [
        (
            PromoteBy::Tag,
            &["envs/prod.yaml"][..],
            &[("apps/shop/values.yaml", apart), ("envs/prod.yaml", "replicas: 2\n")][..],
            "no values file says the version of reg.example/ops/shop\nhint: write `image.tag` into envs/prod.yaml once, or name other keys of the chart by `promote.values`; what other environments read as well is not changed",
        ),
        (
            PromoteBy::Digest,
            &[],
            &[("apps/shop/values.yaml", apart)],
            "apps/shop/values.yaml, line 2: the image has its tag in a key beside it and no digest; set promote.by = \"tag\"",
        ),
        (
            PromoteBy::Tag,
            &[],
            &[("apps/shop/values.yaml", "image: {repository: reg.example/ops/other, tag: '1'}\n")],
            "the chart of `apps/shop` makes nothing that names the image reg.example/ops/shop\nhint: let its values name reg.example/ops/shop, or set `promote.by = \"none\"`",
        ),
        (
            PromoteBy::Tag,
            &[],
            &[("apps/shop/values.yaml", "image: {repository: reg.example/ops/shop, tag: '1', digest: 'sha256:00'}\n")],
            "apps/shop/values.yaml, line 1: the image has a digest beside its tag; set promote.by = \"tag_and_digest\"",
        ),
    ] {
        let files: Vec<_> = files.iter().copied().chain([CHART]).collect();
        assert_eq!(promoted_by(by, values_files, &files, RenderKind::Auto).unwrap_err(), message);
    }
}

/// Into the values of a chart that is not in the repository.
fn promoted_beside(values_files: &[&str], files: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
    promoted_into(None, values_files, files)
}

/// The same into the files of a source.
fn promoted_into(
    into: Option<&str>,
    values_files: &[&str],
    files: &[(&str, &str)],
) -> Result<Vec<(String, String)>, String> {
    let chart = ChartSpec {
        repository: "oci://reg.example/charts".to_owned(),
        name: "shop".to_owned(),
        version: "1.x".to_owned(),
        username: None,
        password_env: None,
        password_file: None,
        verify_keyring: None,
        verify: Vec::new(),
    };
    let values_files = values_files.iter().map(|path| (*path).to_owned()).collect();
    let spec = &HelmSpec { values_files, chart: Some(chart), ..HelmSpec::default() };
    let release = &Release { name: "shop", namespace: "prod", spec, capabilities: &|| Ok(Capabilities::default()) };
    let packaged = Files::new(&[
        ("Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n"),
        ("values.yaml", "image: {repository: reg.example/ops/shop, tag: '1.3'}\n"),
    ]);
    let (commit, folder) = (Files::new(files), crate::charts::folder("shop", "1.0.0"));
    let sources = ["$common", "$values"].map(str::to_owned);
    let tree = &Layered { tree: &commit, folder: &folder, files: &packaged };
    let manifests = Manifests {
        tree,
        path: &folder,
        sources: &sources,
        into,
        render: RenderKind::Helm,
        files: &FilesSpec::default(),
        overlay: &Overlay::default(),
        release,
        values: &[],
        programs: &Small,
    };
    let (edits, _) = promote_all(&manifests, &[to(PromoteBy::Tag)])
        .map_err(|error| quarterdeck_shared::error::Failure::of(&error).to_string())?;
    Ok(edits.into_iter().map(|edit| (edit.path, String::from_utf8(edit.content).unwrap())).collect())
}

#[test]
fn the_values_of_a_source_are_written_where_promotions_go_there_and_no_others() {
    let into = |values_files: &[&str], files: &[(&str, &str)]| promoted_into(Some("$values"), values_files, files);
    let files = [
        ("envs/prod.yaml", "image: {tag: '1.2'}\n"),
        ("$common/all.yaml", "image: {tag: '1.2'}\n"),
        ("$values/prod.yaml", "image: {tag: '1.2'}\n"),
    ];
    let edit = Ok(vec![("$values/prod.yaml".to_owned(), "image: {tag: '1.4.0'}\n".to_owned())]);
    let all = ["$common/all.yaml", "envs/prod.yaml", "$values/prod.yaml"];
    assert_eq!(into(&all, &files), edit);
    // What overrules it is not changed for it: then the manifests would name another.
    let told = into(&["$values/prod.yaml", "envs/prod.yaml"], &files).unwrap_err();
    assert!(told.contains("still"), "{told}");
    let told = into(&["envs/prod.yaml"], &files).unwrap_err();
    assert!(told.contains("no values file says the version of reg.example/ops/shop"), "{told}");
    // A link that leads out of it.
    let linked = [("$values/prod.yaml@", "../$common/all.yaml"), files[1]];
    let told = into(&["$values/prod.yaml"], &linked).unwrap_err();
    assert!(told.contains("no values file says the version of reg.example/ops/shop"), "{told}");
}

#[test]
fn manifests_of_a_source_are_changed_there_and_an_image_of_elsewhere_is_told() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: shop}\nspec: {containers: [{name: a, image: reg.example/ops/shop:1.2}]}\n";
    let (spec, capabilities) = (&HelmSpec::default(), &|| Ok(Capabilities::default()));
    let release = &Release { name: "shop", namespace: "prod", spec, capabilities };
    let sources = ["$base", "$values"].map(str::to_owned);
    let promoted = |into| {
        let tree = &Files::new(&[("$base/shop/pod.yaml", pod), ("$values/a.yaml", "a: 1\n")]);
        let (path, render, files) = ("$base/shop", RenderKind::Auto, &FilesSpec::default());
        let overlay = &Overlay::default();
        let manifests = Manifests {
            tree,
            path,
            sources: &sources,
            into,
            render,
            files,
            overlay,
            release,
            values: &[],
            programs: &Small,
        };
        let promoted = promote_all(&manifests, &[to(PromoteBy::Tag)]);
        promoted.map(|(edits, _)| edits.into_iter().map(|edit| edit.path).collect::<Vec<_>>())
    };
    assert_eq!(promoted(Some("$base")).unwrap(), ["$base/shop/pod.yaml"]);
    let told = |into| quarterdeck_shared::error::Failure::of(&promoted(into).unwrap_err()).to_string();
    let hint = "hint: set promote.source to the source that has the file, or leave it out for the environment's own repository";
    for (into, where_to) in [(Some("$values"), "source values"), (None, "the environment's own repository")] {
        let words = format!("$base/shop/pod.yaml names the image, and promotions are written into {where_to}\n{hint}");
        assert_eq!(told(into), words);
    }
}

#[test]
fn the_values_of_a_chart_of_elsewhere_are_read_and_never_written() {
    let edit = |text: &str| Ok(vec![("envs/prod.yaml".to_owned(), text.to_owned())]);
    let prod = |text: &'static str| [("envs/prod.yaml", text)];
    let promoted = promoted_beside(&["envs/prod.yaml"], &prod("image: {tag: '1.2'}\n"));
    assert_eq!(promoted, edit("image: {tag: '1.4.0'}\n"), "its repository is in the values of the chart");
    let told = promoted_beside(&["envs/prod.yaml"], &prod("replicas: 2\n")).unwrap_err();
    assert!(told.contains("write `image.tag` into envs/prod.yaml once"), "{told}");
    let files = [("envs/prod.yaml", "image: {tag: '1.2'}\n"), ("$common/all.yaml", "image: {tag: '1.1'}\n")];
    let promoted = promoted_beside(&["$common/all.yaml", "envs/prod.yaml"], &files);
    assert_eq!(promoted, edit("image: {tag: '1.4.0'}\n"), "the values of another source are left alone");
    let told = promoted_beside(&["$common/all.yaml"], &files).unwrap_err();
    assert!(told.contains("the environment has none"), "{told}");
    let told = promoted_beside(&[], &[]).unwrap_err();
    assert!(
        told.contains("the environment has none, and the chart is not in the repository\nhint: write the tag"),
        "{told}"
    );
}

/// A chart whose templates take the image from keys of its own.
#[test]
fn keys_that_are_told_say_the_version_of_an_image() {
    let chart = |values: &'static str| {
        [("apps/shop/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n"), ("apps/shop/values.yaml", values)]
    };
    let told = |tag: &str, digest: &str, whole: &str| {
        let [tag, digest, whole] = [tag, digest, whole].map(|keys| (!keys.is_empty()).then(|| keys.to_owned()));
        vec![ImageValues { image: "reg.example/ops/shop".to_owned(), tag, digest, whole }]
    };
    let edit = |text: &str| Ok(vec![("apps/shop/values.yaml".to_owned(), text.to_owned())]);
    // Without it nobody knows that this is the version.
    let version = "web: {repo: reg.example/ops/shop, version: \"1.2\", sha: ''} # by hand\n";
    let nothing = promoted(&chart(version), RenderKind::Helm).unwrap_err();
    assert!(nothing.contains("by `promote.values`"), "{nothing}");
    let by = |by, values: &[ImageValues], text| promoted_told(by, values, &[], &chart(text), RenderKind::Helm);
    let expected = "web: {repo: reg.example/ops/shop, version: \"1.4.0\", sha: ''} # by hand\n";
    assert_eq!(by(PromoteBy::Tag, &told("web.version", "", ""), version), edit(expected));
    let digest = to(PromoteBy::TagAndDigest).digest;
    let both = format!("web: {{repo: reg.example/ops/shop, version: \"1.4.0\", sha: \"{digest}\"}} # by hand\n");
    assert_eq!(by(PromoteBy::TagAndDigest, &told("web.version", "web.sha", ""), version), edit(&both));
    let whole = "web: {run: 'reg.example/ops/shop:1.2'}\n";
    assert_eq!(by(PromoteBy::Tag, &told("", "", "web.run"), whole), edit("web: {run: 'reg.example/ops/shop:1.4.0'}\n"));
    // The key is in no file, or says another image: nothing is written.
    for (values, text) in
        [(told("web.tag", "", ""), version), (told("", "", "web.run"), "web: {run: 'other/shop:1'}\n")]
    {
        let missing = by(PromoteBy::Tag, &values, text);
        assert!(missing.is_err(), "{missing:?}");
    }
    let missing = by(PromoteBy::Tag, &told("web.tag", "", ""), version).unwrap_err();
    assert_eq!(
        missing,
        "no values file says the version of reg.example/ops/shop: apps/shop/values.yaml has no web.tag, which promote.values \
         names\nhint: write web.tag into apps/shop/values.yaml once; what other environments read as well is not changed"
    );
}

//! What kustomize is given of a chart's objects.

use quarterdeck_shared::application::PostRender;
use serde_json::json;

use super::*;

/// Stands in for both programs: kustomize writes one object, whose value is what it was given.
struct Changes(String);

impl Programs for Changes {
    fn kustomize(&self, tree: &dyn Tree, folder: &str, needs: &Needs) -> Result<Built, BuildFailure> {
        let text = |path: &String| {
            let content = needs.rewritten.get(path).cloned().unwrap_or_else(|| tree.blob(&needs.files[path]).unwrap());
            format!("{path}: {}", String::from_utf8(content).unwrap())
        };
        let given: Vec<String> = needs.files.keys().map(text).collect();
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "changed"},
            "data": {"begin": folder, "given": given.join("\n")}
        });
        Ok(Built { output: yaml::write_all([&object]).into_bytes(), notes: vec!["from kustomize".to_owned()] })
    }

    fn helm(&self, _: &dyn Tree, _: &Chart, _: &Release<'_>) -> Result<Built, BuildFailure> {
        Ok(Built { output: self.0.clone().into_bytes(), notes: vec!["from helm".to_owned()] })
    }

    fn jsonnet(&self, _: &dyn Tree, imports: &Imports, _: &JsonnetSpec) -> Result<Vec<Evaluated>, BuildFailure> {
        panic!("{:?} is no jsonnet", imports.begins)
    }
}

fn changed(post: PostRender) -> Result<Rendered, String> {
    let files = Files::new(&[
        ("apps/shop/Chart.yaml", "apiVersion: v2\nname: store\nversion: 1.0.0\n"),
        ("apps/shop/templates/a.yaml", ""),
        ("overlay/kustomization.yaml", "namePrefix: a-\nresources: [more.yaml]\n"),
        ("overlay/more.yaml", "more"),
        ("bare/kustomization.yaml", "namePrefix: b-\n"),
    ]);
    let programs = Changes(format!("{CONFIG}{}", hook("migrate", "pre-install")));
    let spec = HelmSpec { post_render: Some(post), ..HelmSpec::default() };
    let rendered = try_render_by(&programs, "apps/shop", RenderKind::Auto, &spec, &files);
    rendered.map_err(|error| Failure::of(&error).to_string())
}

fn data(rendered: &Rendered) -> (String, String) {
    let object = rendered.manifests[0].object.clone().into_value();
    let text = |key: &str| object["data"][key].as_str().unwrap().to_owned();
    (text("begin"), text("given"))
}

#[test]
fn patches_and_images_are_a_kustomization_of_the_objects() {
    let patch = json!({"patch": "- op: remove", "target": {"kind": "ConfigMap"}}).as_object().unwrap().clone();
    let image = json!({"name": "shop", "newTag": "2"}).as_object().unwrap().clone();
    let done = changed(PostRender { path: None, patches: vec![patch], images: vec![image] }).unwrap();
    let (begin, given) = data(&done);
    assert_eq!(begin, ".quarterdeck-post-render");
    for part in ["kind: ConfigMap", "op: remove", "newTag", "chart.yaml"] {
        assert!(given.contains(part), "{part}: {given}");
    }
    assert!(!given.contains("migrate"), "hooks are not changed: {given}");
    assert_eq!((done.manifests.len(), done.hooks.len()), (1, 1));
    assert_eq!(&*done.manifests[0].origin, "chart of apps/shop after its post_render, document 1");
    assert_eq!(
        (done.inputs, done.notes),
        (vec!["apps/shop".to_owned()], vec!["from helm".to_owned(), "from kustomize".to_owned()])
    );
}

#[test]
fn a_kustomization_of_the_repository_gets_the_objects_as_a_resource() {
    for (folder, own) in [("overlay", "more"), ("bare", "namePrefix")] {
        let post = PostRender { path: Some(folder.to_owned()), ..PostRender::default() };
        let done = changed(post).unwrap();
        let (begin, given) = data(&done);
        assert_eq!(begin, folder);
        assert!(given.contains(&format!("{folder}/.quarterdeck-chart/chart.yaml: ")), "{given}");
        assert!(given.contains("- .quarterdeck-chart/chart.yaml") && given.contains(own), "{given}");
        assert!(done.inputs.contains(&folder.to_owned()), "{:?}", done.inputs);
    }
    let image = json!({"name": "shop", "newTag": "2"}).as_object().unwrap().clone();
    let both = PostRender { path: Some("overlay".to_owned()), images: vec![image], ..PostRender::default() };
    let (begin, given) = data(&changed(both).unwrap());
    assert_eq!(begin, ".quarterdeck-post-render");
    assert!(given.contains("../overlay") && given.contains("overlay/.quarterdeck-chart/chart.yaml: "), "{given}");
    for (folder, told) in [
        ("gone", "gone is not in this commit\nhint: name the folder of the manifests by `path` of the environment"),
        (
            "apps",
            "cannot render the chart of apps/shop: its post_render failed: there is no kustomization.yaml in \"apps\"\n\
             hint: `render = \"plain\"` renders a folder without one, and `kustomize.generate = true` makes one of its manifests",
        ),
    ] {
        let post = PostRender { path: Some(folder.to_owned()), ..PostRender::default() };
        assert_eq!(changed(post).unwrap_err(), told);
    }
}

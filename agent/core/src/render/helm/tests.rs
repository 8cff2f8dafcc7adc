use std::sync::atomic::{AtomicUsize, Ordering};

use quarterdeck_shared::application::{HelmSpec, RenderKind};
use quarterdeck_shared::error::Failure;

use super::*;
use crate::render::Rendered;
use crate::render::kustomize::Needs;
use crate::render::tests::try_render_by;
use crate::tree::memory::Files;

/// Stands in for helm: what it writes the first time, and each time after that.
struct Writes<'a>(&'a str, &'a str, AtomicUsize);

impl Programs for Writes<'_> {
    fn kustomize(&self, _: &dyn Tree, folder: &str, _: &Needs) -> Result<Built, BuildFailure> {
        panic!("{folder} is no kustomization")
    }

    fn helm(&self, _: &dyn Tree, _: &Chart, release: &Release<'_>) -> Result<Built, BuildFailure> {
        assert_eq!((release.name, release.namespace), ("shop", "prod"));
        let output = if self.2.fetch_add(1, Ordering::Relaxed) == 0 { self.0 } else { self.1 };
        Ok(Built { output: output.as_bytes().to_vec(), notes: vec!["from helm".to_owned()] })
    }
}

const CONFIG: &str =
    "---\n# Source: store/templates/config.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop}\n";

fn hook(name: &str, events: &str) -> String {
    format!(
        "---\n# Source: store/templates/hooks.yaml\napiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {name}\n  annotations: {{\"helm.sh/hook\": \"{events}\"}}\n"
    )
}

fn rendered(outputs: [&str; 2], template: &str, spec: &HelmSpec) -> Result<Rendered, String> {
    let files = Files::new(&[
        ("apps/shop/Chart.yaml", "apiVersion: v2\nname: store\nversion: 1.0.0\n"),
        ("apps/shop/templates/a.yaml", template),
    ]);
    let programs = Writes(outputs[0], outputs[1], AtomicUsize::new(0));
    let rendered = try_render_by(&programs, "apps/shop", RenderKind::Auto, spec, &files);
    rendered.map_err(|error| Failure::of(&error).to_string())
}

#[test]
fn a_folder_with_a_chart_is_rendered_by_helm() {
    let output = format!(
        "{CONFIG}---\n# Source: store/charts/db/templates/service.yaml\napiVersion: v1\nkind: Service\nmetadata:\n  name: db\n"
    );
    let done = rendered([&output, "never"], "", &HelmSpec::default()).unwrap();
    let objects: Vec<_> = done.manifests.iter().map(|one| (one.resource.to_string(), &*one.origin)).collect();
    assert_eq!(
        objects,
        [
            ("/ConfigMap/prod/shop".to_owned(), "apps/shop/templates/config.yaml"),
            ("/Service/prod/db".to_owned(), "apps/shop/charts/db/templates/service.yaml"),
        ]
    );
    assert_eq!(
        (done.inputs, done.notes, done.asks_capabilities),
        (vec!["apps/shop".to_owned()], vec!["from helm".to_owned()], true)
    );
}

#[test]
fn hooks_are_told_and_are_left_out_where_that_is_configured() {
    let output =
        [CONFIG, &hook("migrate", "pre-install, pre-upgrade"), &hook("probe", "test"), &hook("clean", "post-delete")]
            .concat();
    assert_eq!(
        rendered([&output, ""], "", &HelmSpec::default()).unwrap_err(),
        "cannot render the chart of apps/shop: it has hooks, which are not run: Job/migrate (pre-install, pre-upgrade)\n\
         hint: turn them off by the values of the chart, or deploy it without them: `helm.skip_hooks = true`"
    );
    let spec = HelmSpec { skip_hooks: true, ..HelmSpec::default() };
    let done = rendered([&output, ""], "", &spec).unwrap();
    assert_eq!(done.manifests.len(), 1);
    assert_eq!(
        done.notes[1..],
        [
            "left out, since hooks are not run: Job/migrate (pre-install, pre-upgrade)",
            "left out: 2 hooks of tests, rollbacks or deletion"
        ]
    );
    let tests = [CONFIG, &hook("probe", "test")].concat();
    let done = rendered([&tests, ""], "", &HelmSpec::default()).unwrap();
    assert_eq!(done.notes[1..], ["left out: 1 hook of tests, rollbacks or deletion"], "helm would not run it either");
}

#[test]
fn values_that_a_chart_makes_up_are_refused() {
    let secret = |password: &str| {
        format!(
            "{CONFIG}---\n# {password}\napiVersion: v1\nkind: Secret\nmetadata: {{name: shop}}\nstringData: {{password: {password}}}\n"
        )
    };
    let (one, other) = (secret("a"), secret("b"));
    let template = "{{ randAlphaNum 8 }}";
    let refused = rendered([&one, &other], template, &HelmSpec::default()).unwrap_err();
    assert_eq!(
        refused,
        "cannot render the chart of apps/shop: each render makes other values of Secret/shop\n\
         hint: the chart makes up what it is not given, such as passwords: give it as a value, or name a Secret of yours"
    );
    assert!(!refused.contains("password: "), "no value is told");
    rendered([&one, &one], template, &HelmSpec::default()).unwrap();
    rendered([&one, &one.replace("# a", "# made at noon")], template, &HelmSpec::default())
        .expect("a comment is no object");
}

#[test]
fn what_helm_writes_may_be_no_manifests() {
    for (output, message) in [
        ("", "apps/shop holds no manifests: its chart makes no object"),
        (
            "# Source: store/templates/a.yaml\na: [",
            "cannot render the chart of apps/shop: its output is not understood: ",
        ),
        ("---\n# Source: store/templates/a.yaml\nkind: ConfigMap\n", "apps/shop/templates/a.yaml: "),
        ("kind: ConfigMap\n", "chart of apps/shop, document 1: "),
    ] {
        let error = rendered([output, ""], "", &HelmSpec::default()).unwrap_err();
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn a_lookup_is_told() {
    let done = rendered([CONFIG, ""], "{{ lookup \"v1\" \"Secret\" \"a\" \"b\" }}", &HelmSpec::default()).unwrap();
    assert_eq!(
        done.notes[1..],
        ["its templates call `lookup`, which finds nothing: the cluster is not asked while rendering"]
    );
}

mod post_render;

use std::sync::atomic::{AtomicUsize, Ordering};

use quarterdeck_shared::application::{HelmSpec, JsonnetSpec, RenderKind};
use quarterdeck_shared::error::Failure;

use super::*;
use crate::hooks::DeletePolicy;
use crate::render::Rendered;
use crate::render::jsonnet::{Evaluated, Imports};
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

    fn jsonnet(&self, _: &dyn Tree, imports: &Imports, _: &JsonnetSpec) -> Result<Vec<Evaluated>, BuildFailure> {
        panic!("{:?} is no jsonnet", imports.begins)
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

/// As podinfo's chart has them.
#[test]
fn a_test_with_another_name_in_each_render_is_not_missed() {
    let template = "{{ randAlphaNum 5 | lower }}";
    let outputs = |event: &str| ["qx7za", "mm0vb"].map(|name| [CONFIG, &hook(&format!("grpc-{name}"), event)].concat());
    let [one, other] = outputs("test-success");
    let done = rendered([&one, &other], template, &HelmSpec::default()).unwrap();
    assert_eq!((done.manifests.len(), done.hooks.len(), done.on_demand.len()), (1, 0, 1));
    let [one, other] = outputs("pre-upgrade");
    let error = rendered([&one, &other], template, &HelmSpec::default()).unwrap_err();
    assert!(error.contains("each render makes other values of Job/grpc-mm0vb, Job/grpc-qx7za"), "{error}");
    let spec = HelmSpec { skip_hooks: true, ..HelmSpec::default() };
    assert!(rendered([&one, &other], template, &spec).is_ok(), "what is skipped may differ");
}

#[test]
fn hooks_are_told_apart_from_objects() {
    let migrate = "---\n# Source: store/templates/hooks.yaml\napiVersion: batch/v1\nkind: Job\nmetadata:\n  name: migrate\n  annotations:\n    \
        helm.sh/hook: Pre-Install, pre-upgrade,post-delete\n    helm.sh/hook-weight: \"-5\"\n    helm.sh/hook-delete-policy: hook-succeeded, hook-fails\n";
    let output = [
        CONFIG,
        migrate,
        &hook("late", "post-rollback"),
        &hook("probe", "test"),
        &hook("clean", "post-delete"),
        &hook("odd", "test-failure"),
    ]
    .concat();
    let done = rendered([&output, ""], "", &HelmSpec::default()).unwrap();
    assert_eq!(done.manifests.len(), 1);
    assert_eq!(
        done.notes[1..],
        [
            "Job/migrate: \"hook-fails\" is not a hook delete policy, and is ignored",
            "left out, as hooks that helm does not know: Job/odd (test-failure)"
        ]
    );
    let on_demand: Vec<_> = done.on_demand.iter().map(|one| one.manifest.resource.short()).collect();
    assert_eq!(on_demand, ["Job/migrate", "Job/probe", "Job/clean"]);
    assert_eq!(done.on_demand[0].moments.iter().map(|moment| moment.name()).collect::<Vec<_>>(), ["post-delete"]);
    let [migrate, late] = &done.hooks[..] else { panic!("{:?}", done.hooks) };
    let moments: Vec<_> = migrate.moments.iter().map(|moment| moment.name()).collect();
    assert_eq!((moments, migrate.weight), (vec!["pre-install", "pre-upgrade"], -5));
    let policy = DeletePolicy { succeeded: true, ..DeletePolicy::default() };
    assert_eq!((migrate.deleted, migrate.timeout), (policy, HelmSpec::HOOK_TIMEOUT));
    assert_eq!(&*migrate.manifest.origin, "apps/shop/templates/hooks.yaml");
    let metadata = &migrate.manifest.object.head()["metadata"];
    assert_eq!((&metadata["namespace"], &metadata["labels"]), (&"prod".into(), &Value::Null), "of no inventory");
    assert_eq!((late.weight, late.deleted.before_creation), (0, true));

    let spec = HelmSpec { skip_hooks: true, ..HelmSpec::default() };
    let without = rendered([&output, ""], "", &spec).unwrap();
    assert_eq!((without.manifests.len(), without.hooks.len()), (1, 0));
    assert_eq!(
        without.notes[1..],
        [
            "left out by skip_hooks: Job/migrate (Pre-Install, pre-upgrade,post-delete), Job/late (post-rollback), Job/clean (post-delete)",
            "left out, as hooks that helm does not know: Job/odd (test-failure)"
        ]
    );
    assert_ne!(done.digest(), without.digest(), "hooks are part of the content");
}

#[test]
fn a_hook_is_not_an_object_of_the_chart_too_and_not_one_of_hundreds() {
    let both = format!(
        "{}---\nkind: Job\napiVersion: batch/v1\nmetadata: {{name: migrate}}\n",
        hook("migrate", "pre-install")
    );
    let error = rendered([&both, ""], "", &HelmSpec::default()).unwrap_err();
    assert!(error.starts_with("Job/migrate in namespace prod is defined twice: in "), "{error}");
    let many: String = (0..101).map(|n| hook(&format!("h{n}"), "pre-install")).collect();
    let error = rendered([&format!("{CONFIG}{many}"), ""], "", &HelmSpec::default()).unwrap_err();
    assert!(
        error.starts_with("cannot render the chart of apps/shop: it has 101 hooks, more than 100\nhint: "),
        "{error}"
    );
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

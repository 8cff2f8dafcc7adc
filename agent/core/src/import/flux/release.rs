//! A HelmRelease: a chart with its values.

use serde_json::Value;

use super::super::draft::{self, Chart, Draft, Environment, Helm, Sync, label};
use super::super::fields::Fields;
use super::super::{Around, Document, Imported, Outcome};
use super::{Objects, REASONS, kustomization, named, post_render, source, values};
use crate::tree::paths::join;

const OWN: &[(&str, Outcome, &str)] = &[
    ("spec.install.remediation", Outcome::Otherwise, "a failed sync is retried"),
    ("spec.install.strategy", Outcome::Otherwise, "a failed sync is retried"),
    ("spec.install.timeout", Outcome::Otherwise, WAITS),
    ("spec.install.disableWait", Outcome::Otherwise, WAITS),
    ("spec.install.disableWaitForJobs", Outcome::Otherwise, WAITS),
    ("spec.install.replace", Outcome::Otherwise, NO_RELEASE),
    ("spec.install.disableOpenAPIValidation", Outcome::Otherwise, "the API server checks what is applied"),
    ("spec.install.disableSchemaValidation", Outcome::Not, SCHEMA),
    ("spec.install.disableTakeOwnership", Outcome::Otherwise, "`qd adopt` says which objects are taken over"),
    ("spec.install.serverSideApply", Outcome::Otherwise, "objects are always applied by the server"),
    ("spec.upgrade.remediation", Outcome::Otherwise, "a failed sync is retried; `qd rollback` goes back"),
    ("spec.upgrade.strategy", Outcome::Otherwise, "a failed sync is retried; `qd rollback` goes back"),
    ("spec.upgrade.cleanupOnFail", Outcome::Otherwise, "what a failed sync applied stays, and is retried"),
    ("spec.upgrade.timeout", Outcome::Otherwise, WAITS),
    ("spec.upgrade.disableWait", Outcome::Otherwise, WAITS),
    ("spec.upgrade.disableWaitForJobs", Outcome::Otherwise, WAITS),
    ("spec.upgrade.disableOpenAPIValidation", Outcome::Otherwise, "the API server checks what is applied"),
    ("spec.upgrade.disableSchemaValidation", Outcome::Not, SCHEMA),
    ("spec.upgrade.disableTakeOwnership", Outcome::Otherwise, "`qd adopt` says which objects are taken over"),
    ("spec.upgrade.serverSideApply", Outcome::Otherwise, "objects are always applied by the server"),
    ("spec.upgrade.force", Outcome::Not, "an immutable field that changes is an error: delete the object manually"),
    ("spec.upgrade.preserveValues", Outcome::Not, "the values are those of the configuration, and no earlier ones"),
    ("spec.rollback", Outcome::Otherwise, "`qd rollback` goes back"),
    ("spec.uninstall", Outcome::Otherwise, "objects stay when an application is removed from the configuration"),
    ("spec.test", Outcome::Otherwise, "`qd test` runs the tests of the chart"),
    ("spec.maxHistory", Outcome::Otherwise, "[history] limits the syncs of each application"),
    ("spec.storageNamespace", Outcome::Otherwise, NO_RELEASE),
    ("spec.persistentClient", Outcome::Otherwise, NO_RELEASE),
    ("spec.waitStrategy", Outcome::Otherwise, WAITS),
    ("spec.commonMetadata", Outcome::Not, "the output of helm is deployed unchanged"),
    ("spec.chart.spec.interval", Outcome::Otherwise, "agent.image_interval"),
    ("spec.chart.spec.reconcileStrategy", Outcome::Otherwise, "every change of the chart or its values is deployed"),
    ("spec.chart.spec.verify", Outcome::Not, "write the public key to a file, and list it in helm.chart.verify"),
    ("spec.chart.metadata", Outcome::Otherwise, "there is no HelmChart object"),
    ("spec.driftDetection.ignore", Outcome::Not, "list the fields in the object's annotation quarterdeck.dev/ignore"),
];

const WAITS: &str = "health is watched without a limit; nothing waits for it";
const NO_RELEASE: &str = "no release is stored in the cluster";
const SCHEMA: &str = "the schema of a chart is always checked";

pub(super) fn read(
    document: &Document,
    documents: &[Document],
    objects: &Objects<'_>,
    around: &Around,
    imported: &mut Imported,
) {
    let fields = &mut Fields::new(&document.object, &document.place, imported);
    let written = document.object["metadata"]["name"].as_str().unwrap_or_default();
    let (name, own) = (label(written), document.object["metadata"]["namespace"].as_str());
    let target = fields.text("spec.targetNamespace");
    let release = fields
        .text("spec.releaseName")
        .unwrap_or_else(|| target.as_ref().map_or(written.to_owned(), |target| format!("{target}-{written}")));
    let mut environment = Environment {
        name: around.environment.clone(),
        cluster: around.cluster.clone(),
        namespace: target.or(own.map(str::to_owned)).unwrap_or_else(|| "default".to_owned()),
        create_namespace: fields.flag("spec.install.createNamespace").unwrap_or(false),
        ..Environment::default()
    };
    let is_whole = chart(fields, document, objects, around, &mut environment);
    let skip_crds = has_no_definitions(fields);
    let skip_hooks = has_no_hooks(fields);
    let mut values = values::read(fields, document, documents);
    let nulls = draft::remove_nulls(&mut values);
    if nulls > 0 {
        fields.not("spec.values", format!("{nulls} null: TOML has no null, write such a value into a values file"));
    }
    environment.helm = Helm {
        dependencies: Vec::new(),
        release_name: Some(release).filter(|release| *release != name),
        values_files: std::mem::take(&mut environment.helm.values_files),
        skip_crds,
        skip_hooks,
        file_parameters: Vec::new(),
        chart: environment.helm.chart.take(),
        values,
        post_render: post_render::read(fields),
    };
    environment.sync = Sync {
        automatic: !kustomization::is_suspended(fields),
        prune: true,
        self_heal: fields.text("spec.driftDetection.mode").as_deref() == Some("enabled"),
    };
    fields.tell_rest(&[OWN, REASONS].concat());
    if is_whole {
        let (object, place) = (fields.object.clone(), document.place.clone());
        imported.drafts.push(Draft { name, environment: vec![environment], object, place });
    }
}

/// Whether CRDs of the chart are left out. One setting is for all syncs; without a word an upgrade of Flux leaves them as they are.
fn has_no_definitions(fields: &mut Fields<'_>) -> bool {
    let mut skips = |when: &str| {
        let (policy, flag) = (fields.text(&format!("spec.{when}.crds")), fields.flag(&format!("spec.{when}.skipCRDs")));
        policy.map(|policy| policy == "Skip").or(flag.filter(|skips| *skips))
    };
    let (install, upgrade) = (skips("install"), skips("upgrade"));
    match (install, upgrade) {
        (Some(true), None | Some(true)) => return true,
        (Some(true), Some(false)) => {
            fields.not(
                "spec.install.crds",
                "CRDs of the chart are deployed, as by an upgrade: helm.skip_crds leaves them out",
            );
        }
        (_, Some(true)) => {
            fields
                .not("spec.upgrade.crds", "CRDs of the chart are updated in each sync: helm.skip_crds leaves them out");
        }
        _ => {}
    }
    false
}

/// Whether no hook is run. One setting is for all syncs.
fn has_no_hooks(fields: &mut Fields<'_>) -> bool {
    let of = ["install", "upgrade"].map(|when| fields.flag(&format!("spec.{when}.disableHooks")) == Some(true));
    for (when, _) in ["install", "upgrade"].into_iter().zip(of).filter(|(_, is_off)| *is_off && of != [true, true]) {
        fields
            .otherwise(&format!("spec.{when}.disableHooks"), "hooks are run: helm.skip_hooks skips them in each sync");
    }
    of == [true, true]
}

/// Where its chart is; whether that can be deployed.
fn chart(
    fields: &mut Fields<'_>,
    document: &Document,
    objects: &Objects<'_>,
    around: &Around,
    environment: &mut Environment,
) -> bool {
    if let Some(reference) = fields.take("spec.chartRef") {
        let named = named(objects, &reference, document);
        let asked = named.map_or(&Value::Null, |found| &found.object["spec"]["ref"]);
        let (range, filter, digest) = (&asked["semver"], &asked["semverFilter"], &asked["digest"]);
        if range.is_string() && filter.is_string() {
            fields.not("spec.chartRef", "tags are not filtered before the range: semverFilter of the OCIRepository");
        }
        let found = named.and_then(|found| source::of_oci(&found.object));
        if found.is_some() && digest.is_string() {
            let words = "the tag of the OCIRepository is deployed, and the digest is not compared";
            fields.otherwise("spec.chartRef", words);
        }
        if found.is_none() {
            fields.not(
                "spec.chartRef",
                "the source is missing, or not an OCIRepository with a tag or a range: import it as well",
            );
        }
        return found.is_some_and(|found| of_registry(fields, around, found, environment));
    }
    let reference = fields.take("spec.chart.spec.sourceRef").unwrap_or_default();
    let name = fields.text("spec.chart.spec.chart").unwrap_or_default();
    let version = fields.text("spec.chart.spec.version").unwrap_or_else(|| "*".to_owned());
    let files = fields.list("spec.chart.spec.valuesFiles");
    let Some(found) = named(objects, &reference, document) else {
        fields.not("spec.chart.spec.sourceRef", "the source is missing: import it as well");
        return false;
    };
    if reference["kind"] == "GitRepository" {
        environment.path = join("", name.trim_start_matches('/')).unwrap_or_default();
        let files = files.iter().filter_map(Value::as_str).filter_map(|file| join("", file));
        // The chart's own values are there without being named.
        environment.helm.values_files =
            files.filter(|file| *file != format!("{}/values.yaml", environment.path)).collect();
        return source::git(fields, &found.object, environment);
    }
    if !files.is_empty() {
        fields.not("spec.chart.spec.valuesFiles", "not supported for a chart of a repository or registry");
    }
    match source::of_repository(&found.object, name, version) {
        Some(chart) => of_registry(fields, around, chart, environment),
        None => {
            fields.not("spec.chart.spec.sourceRef", "no address");
            false
        }
    }
}

fn of_registry(fields: &mut Fields<'_>, around: &Around, chart: Chart, environment: &mut Environment) -> bool {
    environment.helm.chart = Some(chart);
    let Some(repository) = &around.repository else {
        fields.not("spec.chart", "the repository of the values is unknown: use --repository");
        return false;
    };
    environment.repository.clone_from(repository);
    true
}

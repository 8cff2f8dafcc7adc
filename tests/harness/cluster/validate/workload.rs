//! Workloads.

use serde_json::Value;

use super::{immutable, metadata, not_negative, pod};
use crate::cluster::failure::Problem;
use crate::cluster::kinds::Kind;
use crate::cluster::select::label_selector_matches;
use crate::cluster::store::text;

/// Deployment, ReplicaSet, StatefulSet, DaemonSet.
pub(super) fn check(kind: &Kind, object: &Value, live: Option<&Value>, found: &mut Vec<Problem>) {
    not_negative(object, "spec.replicas", found);
    not_negative(object, "spec.minReadySeconds", found);
    not_negative(object, "spec.revisionHistoryLimit", found);
    selector(kind, object, found);
    template(object, "spec.template", &["Always"], found);
    match kind.kind.as_str() {
        "StatefulSet" => {
            if live.is_some_and(|live| fixed(&live["spec"]) != fixed(&object["spec"])) {
                let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
                found.push(Problem::forbidden("spec", detail));
            }
        }
        _ => immutable("spec.selector", object, live, found),
    }
}

/// What of a StatefulSet's spec cannot change.
fn fixed(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for name in [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ] {
        spec[name] = Value::Null;
    }
    spec
}

fn selector(kind: &Kind, object: &Value, found: &mut Vec<Problem>) {
    let Some(selector) = object.pointer("/spec/selector") else {
        found.push(Problem::required("spec.selector", ""));
        return mismatch(object, found);
    };
    if selector.as_object().is_none_or(serde_json::Map::is_empty) {
        let detail = format!("empty selector is invalid for {}", kind.singular);
        return found.push(Problem::invalid("spec.selector", selector, &detail));
    }
    if !label_selector_matches(selector, object.pointer("/spec/template/metadata/labels")) {
        mismatch(object, found);
    }
}

fn mismatch(object: &Value, found: &mut Vec<Problem>) {
    let shown = object.pointer("/spec/template/metadata/labels").unwrap_or(&Value::Null);
    let detail = "`selector` does not match template `labels`";
    found.push(Problem::invalid("spec.template.metadata.labels", shown, detail));
}

fn template(object: &Value, path: &str, restart: &[&str], found: &mut Vec<Problem>) {
    let pointer = format!("/{}", path.replace('.', "/"));
    let Some(template) = object.pointer(&pointer) else { return };
    metadata::labels(object, &format!("{path}.metadata"), found);
    pod::spec(&template["spec"], &format!("{path}.spec"), found);
    let policy = text(template, "/spec/restartPolicy");
    let field = format!("{path}.spec.restartPolicy");
    if policy == "Always" && !restart.contains(&policy) {
        found.push(Problem::required(field, "valid values: \"OnFailure\", \"Never\""));
    } else if !restart.contains(&policy) {
        found.push(Problem::unsupported(field, &template["spec"]["restartPolicy"], restart));
    }
}

pub(super) fn job(object: &Value, live: Option<&Value>, found: &mut Vec<Problem>) {
    for field in ["spec.parallelism", "spec.completions", "spec.backoffLimit"] {
        not_negative(object, field, found);
    }
    template(object, "spec.template", &["OnFailure", "Never"], found);
    for field in ["spec.completions", "spec.selector", "spec.template", "spec.completionMode"] {
        immutable(field, object, live, found);
    }
}

pub(super) fn cron_job(object: &Value, found: &mut Vec<Problem>) {
    let schedule = text(object, "/spec/schedule");
    let fields = schedule.split_whitespace().count();
    if schedule.is_empty() {
        found.push(Problem::required("spec.schedule", ""));
    } else if fields != 5 && !schedule.starts_with('@') {
        let words: Vec<&str> = schedule.split_whitespace().collect();
        let detail = format!("expected exactly 5 fields, found {fields}: [{}]", words.join(" "));
        found.push(Problem::invalid("spec.schedule", &object["spec"]["schedule"], &detail));
    }
    template(object, "spec.jobTemplate.spec.template", &["OnFailure", "Never"], found);
}

//! Where Flux has things from.

use serde_json::Value;

use super::super::draft::{Chart, Environment};
use super::super::fields::Fields;
use super::super::{Document, Imported, Outcome};
use super::REASONS;

/// Says what of a source is done otherwise, or not.
pub(super) fn told(document: &Document, imported: &mut Imported) {
    let fields = &mut Fields::new(&document.object, &document.place, imported);
    // What whoever uses it reads.
    for read in ["spec.url", "spec.ref", "spec.type", "spec.provider", "spec.layerSelector"] {
        fields.take(read);
    }
    if fields.flag("spec.suspend") == Some(true) {
        fields.not("spec.suspend", "suspend the applications that use it instead");
    }
    let login: &[(&str, Outcome, &str)] = match document.object["kind"].as_str() {
        Some("OCIRepository") => &[("spec.secretRef", Outcome::Otherwise, "the login is that of [[registry]]")],
        Some("HelmRepository") => {
            &[("spec.secretRef", Outcome::Otherwise, "the login is in helm.chart, or of [[registry]] for a registry")]
        }
        _ => &[("spec.secretRef", Outcome::Otherwise, "the login is that of [[repository]]")],
    };
    let more = [
        (
            "spec.verify",
            Outcome::Not,
            "signatures of commits and charts are not verified; those of images are, by require_signature",
        ),
        (
            "spec.ignore",
            Outcome::Not,
            "write it into a .sourceignore in the root of the repository: plain manifests are selected by it",
        ),
        ("spec.insecure", Outcome::Otherwise, "insecure = true of a [[registry]]"),
        ("spec.certSecretRef", Outcome::Otherwise, "ca_file of the [[registry]] or [[repository]]"),
    ];
    let reasons: Vec<_> = login.iter().chain(&more).chain(REASONS).copied().collect();
    fields.tell_rest(&reasons);
}

/// Follows what a GitRepository follows; whether an environment can.
pub(super) fn git(fields: &mut Fields<'_>, source: &Value, environment: &mut Environment) -> bool {
    let text = |path: &str| source.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
    let Some(address) = text("/spec/url") else {
        fields.not("spec.sourceRef", "no address");
        return false;
    };
    address.clone_into(&mut environment.repository);
    if text("/spec/ref/commit").is_some() || text("/spec/ref/semver").is_some() || text("/spec/ref/name").is_some() {
        fields.not("spec.sourceRef", "commits, ranges and refs are not supported: name a branch or a tag");
        return false;
    }
    environment.tag = text("/spec/ref/tag").map(str::to_owned);
    if environment.tag.is_none() {
        environment.branch = text("/spec/ref/branch").map(str::to_owned);
    }
    true
}

/// The chart of a HelmRepository.
pub(super) fn of_repository(source: &Value, name: String, version: String) -> Option<Chart> {
    let repository = source["spec"]["url"].as_str()?.trim_end_matches('/').to_owned();
    Some(Chart { repository, name, version })
}

/// The chart that an OCIRepository is.
pub(super) fn of_oci(source: &Value) -> Option<Chart> {
    let (repository, name) = source["spec"]["url"].as_str()?.trim_end_matches('/').rsplit_once('/')?;
    let reference = &source["spec"]["ref"];
    let version = reference["tag"].as_str().or(reference["semver"].as_str())?;
    Some(Chart { repository: repository.to_owned(), name: name.to_owned(), version: version.to_owned() })
}

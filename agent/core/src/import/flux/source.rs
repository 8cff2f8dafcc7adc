//! Where Flux has things from.

use quarterdeck_shared::revision::CommitId;
use serde_json::Value;

use super::super::draft::{Artifact, Chart, Environment};
use super::super::fields::Fields;
use super::super::{Document, Imported, Outcome};
use super::REASONS;
use crate::follow::revision::WantedTag;

/// Says what of a source is done otherwise, or not.
pub(super) fn told(document: &Document, imported: &mut Imported) {
    let fields = &mut Fields::new(&document.object, &document.place, imported);
    // What whoever uses it reads.
    for read in ["spec.url", "spec.ref", "spec.type"] {
        fields.take(read);
    }
    // A chart is unpacked by whoever renders it, there as here.
    let is_chart = fields.text("spec.layerSelector.mediaType").is_some_and(|media| media.contains("helm.chart"));
    let of_registry = document.object["kind"] != "GitRepository";
    if let Some(provider) = fields.text("spec.provider").filter(|provider| provider != "generic") {
        let option = if of_registry { "[[registry]]" } else { "[[repository]]" };
        fields.otherwise("spec.provider", format!("the login of provider {provider} is that of {option}"));
    }
    if fields.text("spec.layerSelector.operation").as_deref() == Some("copy") && !is_chart {
        fields.not("spec.layerSelector.operation", "a layer is always unpacked");
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
    let verify = match document.object["kind"].as_str() {
        Some("OCIRepository") => {
            "write the public key to a file, and list it in verify of the artifact, or of helm.chart"
        }
        _ => "signatures of commits and charts are not verified; those of images are, by require_signature",
    };
    let more = [
        ("spec.verify", Outcome::Not, verify),
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
    // In the order in which Flux looks at them.
    if let Some(commit) = text("/spec/ref/commit") {
        environment.commit = Some(commit.to_owned());
        if let Err(error) = commit.parse::<CommitId>() {
            fields.not("spec.sourceRef", error.to_string());
            return false;
        }
    } else if let Some(name) = text("/spec/ref/name") {
        let named = (name.strip_prefix("refs/heads/"), name.strip_prefix("refs/tags/"));
        (environment.branch, environment.tag) = (named.0.map(str::to_owned), named.1.map(str::to_owned));
        if named == (None, None) {
            fields.not("spec.sourceRef", format!("{name} is neither a branch nor a tag"));
            return false;
        }
    } else if let Some(range) = text("/spec/ref/semver") {
        environment.semver = Some(range.to_owned());
        if let Err(error) = WantedTag::in_range(range) {
            fields.not("spec.sourceRef", error.to_string());
            return false;
        }
    } else if let Some(tag) = text("/spec/ref/tag") {
        environment.tag = Some(tag.to_owned());
    } else {
        environment.branch = text("/spec/ref/branch").map(str::to_owned);
    }
    true
}

/// Deploys the artifact that an OCIRepository is; whether an environment can.
pub(super) fn artifact(fields: &mut Fields<'_>, source: &Value, environment: &mut Environment) -> bool {
    let text = |path: &str| source.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
    let Some(address) = text("/spec/url").filter(|address| address.starts_with("oci://")) else {
        fields.not("spec.sourceRef", "no address");
        return false;
    };
    // In the order in which Flux looks at them.
    let follow = (text("/spec/ref/digest"), text("/spec/ref/semver"), text("/spec/ref/tag"));
    let (digest, semver, tag) = match follow {
        (Some(digest), ..) => (Some(digest), None, None),
        (None, Some(range), _) => (None, Some(range), None),
        (None, None, tag) => (None, None, tag),
    };
    if let Some(error) = semver.and_then(|range| WantedTag::in_range(range).err()) {
        fields.not("spec.sourceRef", error.to_string());
        return false;
    }
    if semver.is_some() && text("/spec/ref/semverFilter").is_some() {
        fields.not("spec.sourceRef", "tags are not filtered before the range: semverFilter of the OCIRepository");
    }
    environment.artifact = Some(Artifact {
        repository: address.trim_end_matches('/').to_owned(),
        tag: tag.map(str::to_owned),
        semver: semver.map(str::to_owned),
        digest: digest.map(str::to_owned),
        media_type: text("/spec/layerSelector/mediaType").map(str::to_owned),
    });
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
    // A range goes before a tag, as there.
    let version = reference["semver"].as_str().or(reference["tag"].as_str())?;
    Some(Chart { repository: repository.to_owned(), name: name.to_owned(), version: version.to_owned() })
}

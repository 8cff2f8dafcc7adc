//! Image automation: policies say which tag is wanted.

use super::super::fields::Fields;
use super::super::{Document, Imported};
use super::{Objects, named};

/// Says how a policy is written here.
pub(super) fn read(document: &Document, objects: &Objects<'_>, imported: &mut Imported) {
    let fields = &mut Fields::new(&document.object, &document.place, imported);
    match document.object["kind"].as_str() {
        Some("ImageUpdateAutomation") => {
            fields.otherwise("", "the agent commits followed images to the manifests");
        }
        Some("ImageRepository") => fields.otherwise("", "the image is part of [[application.follow_image]]"),
        _ => {
            let mut reference = fields.take("spec.imageRepositoryRef").unwrap_or_default();
            reference["kind"] = "ImageRepository".into();
            let image = named(objects, &reference, document).and_then(|found| found.object["spec"]["image"].as_str());
            let image = image.unwrap_or("…");
            let policy = match (fields.text("spec.policy.semver.range"), fields.has("spec.filterTags")) {
                (Some(range), false) => format!("semver = {range:?}"),
                _ => "newest = a pattern of tags, as \"main-*\"".to_owned(),
            };
            let words =
                format!("[[application.follow_image]] of the application that has it: image = {image:?}, {policy}");
            fields.otherwise("", words);
        }
    }
}

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
            let pattern = fields.text("spec.filterTags.pattern");
            let range = fields.text("spec.policy.semver.range");
            let order = ["alphabetical", "numerical"].map(|kind| fields.text(&format!("spec.policy.{kind}.order")));
            let is_backwards = order.iter().flatten().any(|order| order == "desc");
            let policy = match (range, pattern) {
                (Some(range), None) => format!("semver = {range:?}"),
                (Some(range), Some(_)) => format!("semver = {range:?}; tags are not filtered before the range"),
                (None, _) if is_backwards => {
                    return fields.not("spec.policy", "the newest tag is followed, and never the first in an order");
                }
                (None, pattern) => newest(pattern.as_deref().unwrap_or_default()),
            };
            let words =
                format!("[[application.follow_image]] of the application that has it: image = {image:?}, {policy}");
            fields.otherwise("", words);
        }
    }
}

/// The option for tags that a pattern of Flux matches. What comes before the first sign of a regular expression is a begin that all of
/// them have; where a number follows, their natural order is that of the number, and else of their names nothing can be told.
fn newest(pattern: &str) -> String {
    let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
    let end = pattern.find(|sign: char| !sign.is_ascii_alphanumeric() && !"-_".contains(sign)).unwrap_or(pattern.len());
    let (begin, rest) = pattern.split_at(end);
    let rest = rest.strip_suffix('$').unwrap_or(rest);
    let is_group = rest.matches('(').count() == 1 && rest.starts_with("(?P<");
    let is_number = match rest {
        "" | ".*" | "(.*)" | "[0-9]+" | "([0-9]+)" | r"\d+" | r"(\d+)" => true,
        rest => is_group && [">[0-9]+)", r">\d+)", ">.*)"].iter().any(|end| rest.ends_with(end)),
    };
    match is_number {
        true => format!("newest = \"{begin}*\""),
        false => format!(
            "newest_created = \"{begin}*\", whose order is that of the images, and not of what the pattern extracts"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_becomes_the_begin_that_its_tags_have() {
        for (pattern, begins) in [
            ("", "newest = \"*\""),
            (".*", "newest = \"*\""),
            ("^main-(?P<ts>[0-9]+)$", "newest = \"main-*\""),
            (r"^build-\d+", "newest = \"build-*\""),
            ("^main-[a-f0-9]+-(?P<ts>[0-9]+)", "newest_created = \"main-*\","),
            ("^(?P<a>[a-z]+)-(?P<n>[0-9]+)$", "newest_created = \"*\","),
        ] {
            assert!(newest(pattern).starts_with(begins), "{pattern}: {}", newest(pattern));
        }
    }
}

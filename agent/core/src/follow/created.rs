//! When an image was created: what its manifest and its configuration say. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::natural;
use crate::image_ref::check_digest;

/// When an image was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CreatedAt(pub Timestamp);

/// Where the time stands that a manifest has none of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// In this configuration.
    Config {
        /// `sha256:…`
        digest: String,
        /// In bytes.
        size: u64,
    },
    /// In that of this image: the manifest is an index of several platforms.
    Platform {
        /// `sha256:…`
        digest: String,
    },
}

/// Where a manifest leads to; nothing where it is no image's.
pub fn part(manifest: &[u8]) -> Option<Part> {
    let manifest: Value = serde_json::from_slice(manifest).ok()?;
    let digest = |of: &Value| of["digest"].as_str().filter(|digest| check_digest(digest).is_ok()).map(str::to_owned);
    if let Some(platforms) = manifest["manifests"].as_array() {
        // BuildKit lists what it attests as images of an unknown platform.
        let is_image = |one: &&Value| one["platform"]["os"].as_str() != Some("unknown");
        return Some(Part::Platform { digest: digest(platforms.iter().find(is_image)?)? });
    }
    let config = &manifest["config"];
    Some(Part::Config { digest: digest(config)?, size: config["size"].as_u64()? })
}

/// What a configuration says.
pub fn created_at(config: &[u8]) -> Option<CreatedAt> {
    let config: Value = serde_json::from_slice(config).ok()?;
    config["created"].as_str()?.parse().ok().map(CreatedAt)
}

/// Tags by the time at which their images were created, the oldest first; of one time in the natural order. Those that say none are not wanted.
pub fn oldest_first<'t>(times: impl IntoIterator<Item = (&'t str, Option<CreatedAt>)>) -> Vec<String> {
    let times: BTreeMap<&str, CreatedAt> = times.into_iter().filter_map(|(tag, at)| Some((tag, at?))).collect();
    let mut tags: Vec<(&str, CreatedAt)> = times.into_iter().collect();
    tags.sort_by(|(one, at), (other, later)| at.cmp(later).then_with(|| natural(one, other)));
    tags.into_iter().map(|(tag, _)| tag.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_manifest_leads_to_the_time() {
        let (one, two) = (format!("sha256:{}", "a".repeat(64)), format!("sha256:{}", "b".repeat(64)));
        let config = |digest: &str| json!({ "config": { "digest": digest, "size": 7 }, "layers": [] });
        let attested = json!({ "digest": one, "platform": { "os": "unknown" } });
        let amd64 = json!({ "digest": two, "platform": { "os": "linux", "architecture": "amd64" } });
        for (manifest, found) in [
            (config(&one), Some(Part::Config { digest: one.clone(), size: 7 })),
            (json!({ "manifests": [attested, amd64] }), Some(Part::Platform { digest: two.clone() })),
            (json!({ "manifests": [{ "digest": two }] }), Some(Part::Platform { digest: two })),
            (json!({ "manifests": [attested] }), None),
            (json!({ "manifests": [] }), None),
            (config("sha256:1"), None),
            (json!({ "schemaVersion": 1 }), None),
            (json!("x"), None),
        ] {
            assert_eq!(part(manifest.to_string().as_bytes()), found, "{manifest}");
        }
        assert_eq!(part(b"<html>"), None);
    }

    #[test]
    fn a_configuration_says_when_or_does_not() {
        let at = |text: &str| Some(CreatedAt(text.parse().unwrap()));
        for (config, created) in [
            (json!({ "created": "2026-10-05T12:00:00.5Z" }), at("2026-10-05T12:00:00.5Z")),
            (json!({ "created": "2026-10-05T14:00:00+02:00" }), at("2026-10-05T12:00:00Z")),
            (json!({ "created": "yesterday" }), None),
            (json!({ "created": null }), None),
            (json!({}), None),
        ] {
            assert_eq!(created_at(config.to_string().as_bytes()), created, "{config}");
        }
    }

    proptest! {
        /// Whatever order they are read in, and whatever they are called.
        #[test]
        fn the_newest_is_the_last(mut times in proptest::collection::vec(("[a-c][0-9]{1,2}", proptest::option::of(0i64..5)), 0..12)) {
            times.sort();
            times.dedup_by(|one, other| one.0 == other.0);
            let of = |times: &[(String, Option<i64>)]| {
                let at = |second: i64| CreatedAt(Timestamp::from_second(second).unwrap());
                oldest_first(times.iter().map(|(tag, second)| (&**tag, second.map(at))))
            };
            let order = of(&times);
            let newest = times.iter().filter_map(|(_, second)| *second).max();
            let of_last = order.last().and_then(|last| times.iter().find(|(tag, _)| tag == last));
            prop_assert_eq!(of_last.and_then(|(_, second)| *second), newest);
            prop_assert_eq!(order.len(), times.iter().filter(|(_, second)| second.is_some()).count());
            times.reverse();
            prop_assert_eq!(of(&times), order);
        }
    }
}

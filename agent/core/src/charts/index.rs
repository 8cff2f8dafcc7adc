//! `index.yaml` of a chart repository: which versions of a chart there are, and where the archive of each is.

use std::borrow::Cow;

use quarterdeck_shared::error::Hint;
use serde_json::Value;

use crate::yaml::{self, YamlError};

/// An index longer than this, in bytes, is not read: the largest public ones have some 20 MB.
pub const BYTES_MAX: usize = yaml::TEXT_BYTES_MAX;

/// Names of charts in a message.
const NAMED_MAX: usize = 5;

/// What an index says of a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// How many charts it lists.
    pub charts: usize,
    /// Some of their names, for people.
    pub names: Vec<String>,
    /// The versions of the chart; nothing where it is not listed.
    pub versions: Option<Vec<Entry>>,
}

/// A version of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As it is written.
    pub version: String,
    /// Where its archive is, absolute or relative to the address of the repository.
    pub url: String,
    /// The SHA-256 of the archive in lower-case hex, where the index says it.
    pub digest: Option<String>,
}

/// A text that is no index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It is no YAML.
    #[error("it is not YAML")]
    Yaml(#[source] YamlError),
    /// It is something else.
    #[error("it has no `entries`")]
    Other,
}

impl Hint for IndexError {
    fn hint(&self) -> Cow<'_, str> {
        "see that `repository` is the address below which `index.yaml` is".into()
    }
}

/// Reads what an index says of one chart.
///
/// # Errors
/// Where it is no index.
pub fn read(bytes: &[u8], name: &str) -> Result<Index, IndexError> {
    let mut document = yaml::parse(bytes).map_err(IndexError::Yaml)?.into_iter().next().ok_or(IndexError::Other)?;
    let Some(Value::Object(entries)) = document.value.get_mut("entries").map(Value::take) else {
        return Err(IndexError::Other);
    };
    let versions =
        entries.get(name).map(|versions| versions.as_array().into_iter().flatten().filter_map(entry).collect());
    Ok(Index {
        charts: entries.len(),
        names: entries.into_iter().map(|(name, _)| name).take(NAMED_MAX).collect(),
        versions,
    })
}

/// One that says its version and where it is; others cannot be deployed.
fn entry(value: &Value) -> Option<Entry> {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let digest = text(&value["digest"]).map(|digest| digest.trim_start_matches("sha256:").to_ascii_lowercase());
    Some(Entry { version: text(&value["version"])?, url: text(&value["urls"][0])?, digest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_what_names_no_archive_is_left_out() {
        let text = "apiVersion: v1\nentries:\n  podinfo:\n  - {version: 6.7.1, urls: [podinfo-6.7.1.tgz], digest: AB12}\n  \
                    - {version: '6.7.0', urls: ['https://elsewhere.example/a.tgz'], digest: 'sha256:cd34'}\n  - {version: 6.6.0}\n  \
                    - {urls: [a.tgz]}\n  shop: []\n";
        let entry = |version: &str, url: &str, digest: &str| Entry {
            version: version.to_owned(),
            url: url.to_owned(),
            digest: Some(digest.to_owned()),
        };
        let read_of = |name: &str| read(text.as_bytes(), name).unwrap();
        let versions = vec![
            entry("6.7.1", "podinfo-6.7.1.tgz", "ab12"),
            entry("6.7.0", "https://elsewhere.example/a.tgz", "cd34"),
        ];
        assert_eq!((read_of("podinfo").versions, read_of("podinfo").charts), (Some(versions), 2));
        assert_eq!(read_of("shop").versions, Some(vec![]));
        assert_eq!(read_of("other").versions, None);
        assert_eq!(read_of("other").names, ["podinfo", "shop"]);
        for other in ["", "a: b", "<html>", "entries: []"] {
            assert!(read(other.as_bytes(), "podinfo").is_err(), "{other}");
        }
    }
}

//! A source of applications as the configuration will have it: what its template is made for, and the template.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Place;
use super::draft::{Draft, label};

/// `[[application_source]]`
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SourceDraft {
    /// A DNS label.
    pub name: String,
    pub(super) repository: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) branch: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) prune: bool,
    pub(super) clusters: Vec<String>,
    pub(super) namespaces: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) repositories: Vec<String>,
    pub(super) generate: Vec<Generate>,
    pub(super) application: Vec<Draft>,
    /// The object that it was.
    #[serde(skip)]
    pub object: String,
    /// Where that is.
    #[serde(skip)]
    pub place: Place,
    /// The applications that it makes now, by their names.
    #[serde(skip)]
    pub made: Vec<String>,
    /// What stands for a placeholder in the texts of the template, and the placeholder.
    #[serde(skip)]
    pub(super) placeholders: Vec<(String, String)>,
}

/// `[[application_source.generate]]`
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Generate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) list: Option<Vec<BTreeMap<String, String>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) directories: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) files: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) clusters: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) merge_requests: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) repository: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) values: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prefix: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) merge: Vec<String>,
}

impl SourceDraft {
    /// A text of it with its placeholders. Before that a word stands for each, which every name and every value may be.
    pub fn with_placeholders(&self, text: &str) -> String {
        self.placeholders.iter().fold(text.to_owned(), |text, (word, placeholder)| text.replace(word, placeholder))
    }
}

/// Gives sources of one name others, with numbers.
pub(super) fn name_apart(sources: &mut [SourceDraft]) {
    let mut taken = BTreeSet::new();
    for source in sources {
        let was = source.name.clone();
        let names = std::iter::once(was.clone()).chain((2..).map(|number| label(&format!("{was}-{number}"))));
        source.name = names.into_iter().find(|name| !taken.contains(name)).unwrap_or(was);
        taken.insert(source.name.clone());
    }
}

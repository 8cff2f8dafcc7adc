//! An application as the configuration will have it.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Imported, Outcome, Place, Told};

/// `[[application]]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Draft {
    /// A DNS label.
    pub name: String,
    /// Its environments: one, as there one object is one.
    pub environment: Vec<Environment>,
    /// The object that it was.
    #[serde(skip)]
    pub object: String,
    /// Where that is.
    #[serde(skip)]
    pub place: Place,
}

/// `[[application.environment]]`
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Environment {
    /// A DNS label.
    pub name: String,
    /// Where the manifests are, or the values of a chart of elsewhere; empty where they are in an artifact.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub repository: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) semver: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) commit: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) render: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) include: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) exclude: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cluster: Option<String>,
    /// Of objects that name none.
    pub namespace: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) create_namespace: bool,
    pub(super) sync: Sync,
    #[serde(skip_serializing_if = "Kustomize::is_empty")]
    pub(super) kustomize: Kustomize,
    #[serde(skip_serializing_if = "Helm::is_empty")]
    pub(super) helm: Helm,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) jsonnet: Option<Jsonnet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) variables: Option<Variables>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) artifact: Option<Artifact>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) source: Vec<Source>,
}

/// `[[application.environment.source]]`
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) repository: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) semver: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) commit: Option<String>,
}

/// `[application.environment.artifact]`
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Artifact {
    pub(super) repository: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) semver: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
}

impl Environment {
    /// It waits until a person syncs it.
    pub(super) fn wait(&mut self) {
        self.sync.automatic = false;
    }
}

/// `[application.environment.variables]`
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Variables {
    pub(super) strict: bool,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) values: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) from: Vec<Value>,
}

/// `[application.environment.kustomize]`
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Kustomize {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) remote: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) generate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name_prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name_suffix: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) components: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) labels_in: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotations_in: Option<&'static str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) labels: Map<String, Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) annotations: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) patches: Vec<Map<String, Value>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) images: Vec<Map<String, Value>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) replicas: Vec<Map<String, Value>>,
}

impl Kustomize {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it says nothing of what is written into a kustomization.
    pub(super) fn writes_nothing(&self) -> bool {
        Self { remote: self.remote.clone(), ..Self::default() } == *self
    }
}

/// `[application.environment.jsonnet]`
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Jsonnet {
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) tla: Map<String, Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) ext: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) libs: Vec<String>,
}

/// `[application.environment.sync]`
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Sync {
    pub(super) automatic: bool,
    pub(super) prune: bool,
    pub(super) self_heal: bool,
}

/// `[application.environment.helm]`
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Helm {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) dependencies: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) release_name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) values_files: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) skip_crds: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) skip_hooks: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) file_parameters: Vec<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) chart: Option<Chart>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) values: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) post_render: Option<PostRender>,
}

/// `[application.environment.helm.post_render]`
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct PostRender {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) patches: Vec<Map<String, Value>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) images: Vec<Map<String, Value>>,
}

impl Helm {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `[application.environment.helm.chart]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Chart {
    pub(super) repository: String,
    pub(super) name: String,
    pub(super) version: String,
}

/// As long as a name may be: a label of DNS, less what is appended to it.
const NAME_MAX: usize = 53;

/// A name that may be given to an application: what was there, where it is a label of DNS.
pub(super) fn label(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let dashed: String = lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let cut: String = dashed.trim_matches('-').chars().take(NAME_MAX).collect();
    cut.trim_end_matches('-').to_owned()
}

/// An entry of a list without nulls, and a tag that is written as a number is a text.
pub(super) fn texts(mut entry: Map<String, Value>) -> Map<String, Value> {
    remove_nulls(&mut entry);
    for value in entry.values_mut().filter(|value| value.is_number()) {
        *value = Value::from(value.to_string());
    }
    entry
}

/// Removes nulls, which TOML cannot say; how many.
pub(super) fn remove_nulls(values: &mut Map<String, Value>) -> usize {
    let before = values.len();
    values.retain(|_, value| !value.is_null());
    before - values.len() + values.values_mut().map(remove_nulls_in).sum::<usize>()
}

fn remove_nulls_in(value: &mut Value) -> usize {
    match value {
        Value::Object(fields) => remove_nulls(fields),
        Value::Array(items) => {
            let before = items.len();
            items.retain(|item| !item.is_null());
            before - items.len() + items.iter_mut().map(remove_nulls_in).sum::<usize>()
        }
        _ => 0,
    }
}

/// Gives applications of one name others, by the namespaces of their objects, and says so.
pub(super) fn name_apart(imported: &mut Imported) {
    let Imported { drafts, sources, told } = imported;
    // What a template makes keeps its name: another would be another one for each of it.
    let mut taken: BTreeSet<String> = sources.iter().flat_map(|source| source.made.clone()).collect();
    // A release goes by its name, and the folder that it was in gives way.
    drafts.sort_by_key(|draft| draft.environment.iter().any(|environment| environment.helm.chart.is_none()));
    for draft in drafts {
        let was = draft.name.clone();
        let namespace = draft.environment.first().map_or("", |environment| &environment.namespace);
        let apart = [was.clone(), label(&format!("{namespace}-{was}"))].into_iter();
        let numbered = (2..).map(|number| label(&format!("{was}-{number}")));
        draft.name = apart.chain(numbered).find(|name| !taken.contains(name)).unwrap_or_default();
        taken.insert(draft.name.clone());
        if draft.name != was {
            told.push(Told {
                place: draft.place.clone(),
                object: draft.object.clone(),
                field: "metadata.name".to_owned(),
                outcome: Outcome::Otherwise,
                words: format!("{was} is used by another application: imported as {}", draft.name),
            });
        }
    }
}

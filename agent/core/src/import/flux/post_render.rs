//! What Flux changes in the objects of a chart: `postRenderers` of a HelmRelease.

use serde_json::{Map, Value};

use super::super::draft::{PostRender, remove_nulls};
use super::super::fields::Fields;

/// Reads them; none where there are none that kustomize applies.
pub(super) fn read(fields: &mut Fields<'_>) -> Option<PostRender> {
    const FIELD: &str = "spec.postRenderers";
    let mut post = PostRender::default();
    let renderers = fields.list(FIELD);
    if renderers.len() > 1 {
        fields.otherwise(FIELD, format!("all {} are one kustomization", renderers.len()));
    }
    for renderer in renderers {
        let Value::Object(mut kustomize) = renderer["kustomize"].clone() else {
            fields.not(FIELD, "only kustomize changes the output of helm");
            continue;
        };
        for (key, into) in [("patches", &mut post.patches), ("images", &mut post.images)] {
            let Some(Value::Array(entries)) = kustomize.remove(key) else { continue };
            into.extend(entries.into_iter().filter_map(|entry| match entry {
                Value::Object(entry) => Some(texts(entry)),
                _ => None,
            }));
        }
        for key in kustomize.keys() {
            fields.not(&format!("{FIELD}.kustomize.{key}"), "write it as patches");
        }
    }
    (!post.patches.is_empty() || !post.images.is_empty()).then_some(post)
}

/// Without nulls, and a tag that is written as a number is a text.
fn texts(mut entry: Map<String, Value>) -> Map<String, Value> {
    remove_nulls(&mut entry);
    for value in entry.values_mut().filter(|value| value.is_number()) {
        *value = Value::from(value.to_string());
    }
    entry
}

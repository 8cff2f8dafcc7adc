//! What Flux changes in the objects of a chart: `postRenderers` of a HelmRelease.

use serde_json::Value;

use super::super::draft::PostRender;
use super::super::fields::Fields;
use super::overlay;

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
            into.extend(overlay::entries(entries));
        }
        for key in kustomize.keys() {
            fields.not(&format!("{FIELD}.kustomize.{key}"), "write it as patches");
        }
    }
    (!post.patches.is_empty() || !post.images.is_empty()).then_some(post)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::{Imported, Place};
    use super::*;

    #[test]
    fn patches_and_images_are_carried_over_and_the_rest_is_told() {
        let object = json!({"kind": "HelmRelease", "metadata": {"name": "shop"}, "spec": {"postRenderers": [
            {"kustomize": {"patches": [{"patch": "- op: remove", "target": {"kind": "Job", "name": null}}], "images": [{"name": "shop", "newTag": 2}]}},
            {"kustomize": {"patchesStrategicMerge": [{"kind": "Job"}], "images": [{"name": "web", "digest": "sha256:1"}]}},
            {"exec": "sh"},
        ]}});
        let place = Place { file: "a.yaml".to_owned(), line: 1 };
        let mut imported = Imported::default();
        let post = read(&mut Fields::new(&object, &place, &mut imported)).unwrap();
        assert_eq!(
            json!(post),
            json!({
                "patches": [{"patch": "- op: remove", "target": {"kind": "Job"}}],
                "images": [{"name": "shop", "newTag": "2"}, {"name": "web", "digest": "sha256:1"}]
            })
        );
        let told: Vec<_> = imported.told.iter().map(|told| (told.field.as_str(), told.words.as_str())).collect();
        assert_eq!(
            told,
            [
                ("spec.postRenderers", "all 3 are one kustomization"),
                ("spec.postRenderers.kustomize.patchesStrategicMerge", "write it as patches"),
                ("spec.postRenderers", "only kustomize changes the output of helm"),
            ]
        );
        let none = json!({"kind": "HelmRelease", "metadata": {"name": "shop"}, "spec": {}});
        assert_eq!(read(&mut Fields::new(&none, &place, &mut imported)), None);
    }
}

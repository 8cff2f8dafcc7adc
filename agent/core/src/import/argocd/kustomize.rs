//! What Argo CD writes into the kustomization of a folder before it builds it (`kustomize edit`), as the environment writes it.

use serde_json::{Map, Value, json};

use super::super::draft::{Environment, texts};
use super::super::fields::Fields;
use super::super::{Around, taken};

/// Reads it.
pub(super) fn read(fields: &mut Fields<'_>, around: &Around, environment: &mut Environment) {
    let may_miss = fields.flag("spec.source.kustomize.ignoreMissingComponents") == Some(true);
    let written = fields.list("spec.source.kustomize.components");
    let written = written.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let components = taken::components(fields, "spec.source.kustomize.", written, may_miss, around, environment);
    let images = images(fields);
    let labels = labels(fields, "commonLabels", true);
    let is_substituted = fields.flag("spec.source.kustomize.commonAnnotationsEnvsubst") == Some(true);
    let annotations = self::labels(fields, "commonAnnotations", is_substituted);
    let flag = |fields: &mut Fields<'_>, key: &str| fields.flag(&format!("spec.source.kustomize.{key}")) == Some(true);
    // What is written goes before what the file says, also without these.
    flag(fields, "forceCommonLabels");
    flag(fields, "forceCommonAnnotations");
    let (is_bare, has_templates) = (flag(fields, "labelWithoutSelector"), flag(fields, "labelIncludeTemplates"));
    let replicas = fields.list("spec.source.kustomize.replicas").into_iter().filter_map(replica).collect();
    let kustomize = &mut environment.kustomize;
    kustomize.namespace = fields.text("spec.source.kustomize.namespace");
    kustomize.name_prefix = fields.text("spec.source.kustomize.namePrefix");
    kustomize.name_suffix = fields.text("spec.source.kustomize.nameSuffix");
    kustomize.labels_in = match (labels.is_empty(), is_bare, has_templates) {
        (true, ..) | (false, true, false) => None,
        (false, true, true) => Some("templates"),
        (false, false, _) => Some("selectors"),
    };
    kustomize.annotations_in = (!annotations.is_empty()).then_some("templates");
    let patches = fields.list("spec.source.kustomize.patches").into_iter().filter_map(|patch| match patch {
        Value::Object(patch) => Some(texts(patch)).filter(|patch| !patch.is_empty()),
        _ => None,
    });
    kustomize.patches = patches.collect();
    (kustomize.components, kustomize.images, kustomize.replicas) = (components, images, replicas);
    (kustomize.labels, kustomize.annotations) = (labels, annotations);
    taken::from_elsewhere(fields, "spec.source.path", around, environment);
}

/// `{name, count}`, whose count may be a text.
fn replica(one: Value) -> Option<Map<String, Value>> {
    let count = one["count"].as_u64().or_else(|| one["count"].as_str()?.parse().ok())?;
    let entry = json!({ "name": one["name"].as_str()?, "count": u32::try_from(count).ok()? });
    entry.as_object().cloned()
}

/// Labels or annotations; where variables of a build are put into them, one that has some is told and left out.
fn labels(fields: &mut Fields<'_>, key: &str, is_substituted: bool) -> Map<String, Value> {
    let field = format!("spec.source.kustomize.{key}");
    let mut map = fields.map(&field);
    map.retain(|name, value| {
        let is_variable = is_substituted && has_variable(value.as_str().unwrap_or_default());
        if is_variable {
            fields.not(&field, format!("{name} has variables of Argo CD: write its value"));
        }
        value.is_string() && !is_variable
    });
    map
}

fn images(fields: &mut Fields<'_>) -> Vec<Map<String, Value>> {
    let mut all = Vec::new();
    for image in fields.list("spec.source.kustomize.images") {
        let image = image.as_str().unwrap_or_default();
        match parsed(image).filter(|_| !has_variable(image)) {
            Some(entry) => all.push(entry),
            None => fields.not(
                "spec.source.kustomize.images",
                format!("{image} has variables or asterisks: write newTag or digest into kustomize.images"),
            ),
        }
    }
    all
}

fn has_variable(text: &str) -> bool {
    text.contains('$')
}

/// `NAME=NEW:TAG@DIGEST`, of which all but the name may be absent, as `kustomize edit set image` reads it. What stays of an entry of the
/// file is nothing, so that the name is written where no other one is.
fn parsed(image: &str) -> Option<Map<String, Value>> {
    if image.contains('*') {
        return None;
    }
    let (name, new) = image.split_once('=').map_or((None, image), |(name, new)| (Some(name), new));
    let (rest, digest) = new.split_once('@').map_or((new, None), |(rest, digest)| (rest, Some(digest)));
    // A colon before a slash is that of a port.
    let (new_name, tag) = match rest.rsplit_once(':') {
        Some((new_name, tag)) if !tag.contains('/') => (new_name, Some(tag)),
        _ => (rest, None),
    };
    let name = name.unwrap_or(new_name);
    if name.is_empty() || new_name.is_empty() {
        return None;
    }
    let entry = [("name", Some(name)), ("newName", Some(new_name)), ("newTag", tag), ("digest", digest)];
    Some(entry.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?.into()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_read_as_kustomize_reads_it() {
        for (image, wanted) in [
            ("nginx:1.27", json!({"name": "nginx", "newName": "nginx", "newTag": "1.27"})),
            ("shop=r:5000/ops/shop:2", json!({"name": "shop", "newName": "r:5000/ops/shop", "newTag": "2"})),
            ("r:5000/shop@sha256:1", json!({"name": "r:5000/shop", "newName": "r:5000/shop", "digest": "sha256:1"})),
            ("a=b", json!({"name": "a", "newName": "b"})),
            ("a=b:1@sha256:2", json!({"name": "a", "newName": "b", "newTag": "1", "digest": "sha256:2"})),
        ] {
            assert_eq!(parsed(image).map(Value::Object), Some(wanted), "{image}");
        }
        assert_eq!((parsed("a=*:1"), parsed("=b"), parsed("")), (None, None, None));
    }
}

//! What an environment writes into the kustomization of its folder, as Flux (`kustomize_generator.go` of fluxcd/pkg) and Argo CD
//! (`kustomize edit`) write it into the file: components before the patches of either, and what names a thing goes before what the file
//! says of the same.

use quarterdeck_shared::application::{MetadataIn, Overlay, Replicas};
use serde_json::{Map, Value, json};

use super::KustomizationError;

/// What names the fields that an environment adds, in messages.
const OF_ENVIRONMENT: &str = "kustomize of the environment";

/// Writes an overlay into a kustomization.
pub(super) fn write(overlay: &Overlay, path: &str, fields: &mut Map<String, Value>) -> Result<(), KustomizationError> {
    let Overlay {
        // Of files, and of what is written after the build.
        generate: _,
        namespace,
        name_prefix,
        name_suffix,
        components,
        patches,
        images,
        replicas,
        labels,
        labels_in,
        annotations,
        annotations_in,
    } = overlay;
    let page = &mut Page { path, fields };
    for (key, text) in [("namespace", namespace), ("namePrefix", name_prefix), ("nameSuffix", name_suffix)] {
        if let Some(text) = text {
            page.fields.insert(key.to_owned(), text.as_str().into());
        }
    }
    page.append("components", components.iter().map(|folder| folder.as_str().into()))?;
    page.append("patches", patches.iter().cloned().map(Value::Object))?;
    for image in images {
        image_entry(page.entry("images", image["name"].as_str().unwrap_or_default())?, image);
    }
    for Replicas { name, count } in replicas {
        page.entry("replicas", name)?.insert("count".to_owned(), (*count).into());
    }
    if *annotations_in >= MetadataIn::Templates && !annotations.is_empty() {
        let into = page.map("commonAnnotations")?;
        into.extend(annotations.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
    }
    if *labels_in >= MetadataIn::Templates && !labels.is_empty() {
        let has_common = page.fields.get("commonLabels").is_some_and(|labels| !labels.is_null());
        match *labels_in == MetadataIn::Selectors && has_common {
            // Kustomize writes these last of all.
            true => page
                .map("commonLabels")?
                .extend(labels.iter().map(|(name, value)| (name.clone(), value.as_str().into()))),
            false => {
                let has_selectors = *labels_in == MetadataIn::Selectors;
                let entry = json!({"pairs": labels, "includeSelectors": has_selectors, "includeTemplates": true});
                page.append("labels", [entry])?;
            }
        }
    }
    Ok(())
}

/// Sets what an image is told of an entry. A tag and a digest are one: either takes the place of both.
fn image_entry(entry: &mut Map<String, Value>, image: &Map<String, Value>) {
    if image.contains_key("newTag") || image.contains_key("digest") {
        entry.retain(|key, _| key != "newTag" && key != "digest");
    }
    entry.extend(image.iter().map(|(key, value)| (key.clone(), value.clone())));
}

/// Writes labels and annotations into the metadata of an object that was built.
pub(in crate::render) fn mark(overlay: &Overlay, object: &mut Value) {
    let labels = (overlay.labels_in == MetadataIn::Objects).then_some(&overlay.labels);
    let annotations = (overlay.annotations_in == MetadataIn::Objects).then_some(&overlay.annotations);
    for (key, pairs) in [("labels", labels), ("annotations", annotations)] {
        let Some(pairs) = pairs.filter(|pairs| !pairs.is_empty()) else { continue };
        let Some(Value::Object(metadata)) = object.get_mut("metadata") else { continue };
        let into = metadata.entry(key).or_insert(Value::Null);
        if into.is_null() {
            *into = json!({});
        }
        if let Value::Object(into) = into {
            into.extend(pairs.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
        }
    }
}

/// Who names a text of a kustomization: the file, or the environment that was written into it.
pub(super) fn named_by<'p>(overlay: Option<&Overlay>, field: &str, text: &str, path: &'p str) -> &'p str {
    let is_patch = |patch: &Map<String, Value>| patch.get("path").and_then(Value::as_str) == Some(text);
    let is_ours = overlay.is_some_and(|overlay| match field {
        "components" => overlay.components.iter().any(|folder| folder == text),
        "patches" => overlay.patches.iter().any(is_patch),
        _ => false,
    });
    if is_ours { OF_ENVIRONMENT } else { path }
}

/// A kustomization under change.
struct Page<'a> {
    path: &'a str,
    fields: &'a mut Map<String, Value>,
}

impl Page<'_> {
    /// A field with nothing in it is as if it were not there.
    fn field(&mut self, key: &str, empty: Value) -> &mut Value {
        let value = self.fields.entry(key).or_insert(Value::Null);
        if value.is_null() {
            *value = empty;
        }
        value
    }

    fn list(&mut self, key: &str) -> Result<&mut Vec<Value>, KustomizationError> {
        let wrong = KustomizationError::Form { path: self.path.to_owned(), field: key.to_owned(), form: "a list" };
        match self.field(key, json!([])) {
            Value::Array(items) => Ok(items),
            _ => Err(wrong),
        }
    }

    fn map(&mut self, key: &str) -> Result<&mut Map<String, Value>, KustomizationError> {
        let wrong = KustomizationError::Form { path: self.path.to_owned(), field: key.to_owned(), form: "a map" };
        match self.field(key, json!({})) {
            Value::Object(fields) => Ok(fields),
            _ => Err(wrong),
        }
    }

    /// A field that nothing is added to is left alone.
    fn append(&mut self, key: &str, more: impl IntoIterator<Item = Value>) -> Result<(), KustomizationError> {
        let mut more = more.into_iter().peekable();
        if more.peek().is_some() {
            self.list(key)?.extend(more);
        }
        Ok(())
    }

    /// The entry of a name, which is made where there is none.
    fn entry(&mut self, key: &str, name: &str) -> Result<&mut Map<String, Value>, KustomizationError> {
        let wrong =
            KustomizationError::Form { path: self.path.to_owned(), field: key.to_owned(), form: "a list of maps" };
        let items = self.list(key)?;
        let at = items.iter().position(|item| item["name"] == name).unwrap_or(items.len());
        if at == items.len() {
            items.push(json!({ "name": name }));
        }
        items.get_mut(at).and_then(Value::as_object_mut).ok_or(wrong)
    }
}

#[cfg(test)]
mod tests;

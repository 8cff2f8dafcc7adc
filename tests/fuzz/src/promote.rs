//! Promotion: an edit says what it should, once is enough, and all but the words that name our image means the same as
//! before, comments included.
//!
//! The first byte says which file it is, what is written, and the tag; the rest is the file.

use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::promote::{Promoted, promote};
use quarterdeck_core::yaml;
use quarterdeck_shared::application::PromoteBy;
use serde_json::{Map, Value};

const IMAGE: &str = "reg.example/ops/shop";
const DIGEST: &str = "sha256:1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d";
const PATHS: [&str; 3] = ["deployment.yaml", "kustomization.yaml", "app.json"];
const WAYS: [PromoteBy; 3] = [PromoteBy::TagAndDigest, PromoteBy::Tag, PromoteBy::Digest];
/// Some that a reader of YAML takes for a number or a boolean where they stand without quotes.
const TAGS: [&str; 5] = ["1.4.0", "1.4", "1e5", "on", "latest"];

/// `data` is the choices, and the file.
pub fn check(data: &[u8]) {
    let Some((choice, content)) = data.split_first() else { return };
    let choice = usize::from(choice.wrapping_sub(b'0'));
    let path = PATHS[choice % 3];
    let to = Promoted {
        image: IMAGE.to_owned(),
        tag: TAGS[choice / 9 % 5].to_owned(),
        digest: DIGEST.to_owned(),
        by: WAYS[choice / 3 % 3],
    };
    let files = [(path.to_owned(), content.to_vec())];
    let Ok(edits) = promote("apps/shop", &files, &to) else { return };
    let [edit] = &edits[..] else { return assert!(edits.is_empty()) };
    assert!(edit.path == path && edit.content != content, "an edit changes its file");
    let (before, after) = (text(content), text(&edit.content));
    let again = promote("apps/shop", &[(path.to_owned(), edit.content.clone())], &to);
    assert!(again.is_ok_and(|again| again.is_empty()), "twice is once\n{before}\n----\n{after}");
    // Where nothing is quoted over lines, a comment is known without a reader.
    if !before.contains(['"', '\'', '|', '>']) {
        assert_eq!(comments(&before), comments(&after), "\n{before}\n----\n{after}");
    }
    // What is no manifest to us (a key that is defined twice) may still be promoted into.
    let Ok(old) = yaml::parse(content) else { return };
    let new = yaml::parse(&edit.content).unwrap_or_else(|error| panic!("{error}\n{before}\n----\n{after}"));
    let (old, new): (Vec<Value>, Vec<Value>) =
        (old.into_iter().map(|d| d.value).collect(), new.into_iter().map(|d| d.value).collect());
    if path == "kustomization.yaml" {
        // An alias follows the word that it stands for, and may stand anywhere.
        if !before.contains('&') {
            assert_eq!(other_than_ours(&old), other_than_ours(&new), "\n{before}\n----\n{after}");
        }
        says_in_entries(&new, &to, &after);
    } else {
        let (old, new): (Vec<_>, Vec<_>) = (old.iter().map(unnamed).collect(), new.iter().map(unnamed).collect());
        assert_eq!(old, new, "\n{before}\n----\n{after}");
    }
}

fn text(content: &[u8]) -> String {
    String::from_utf8(content.to_vec()).expect("what is no text is not edited")
}

fn comments(text: &str) -> Vec<&str> {
    text.split(['\n', '\r']).filter(|line| line.trim_start().starts_with('#')).collect()
}

/// Whether a reference names our image, whatever its tag and digest.
fn is_ours(reference: &str) -> bool {
    let name = reference.split('@').next().unwrap_or_default();
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    let name = name[last..].find(':').map_or(name, |colon| &name[..last + colon]);
    ImageRef::parse(name).is_ok_and(|image| image.name() == IMAGE)
}

/// The value with every reference to our image as one word.
fn unnamed(value: &Value) -> Value {
    match value {
        Value::String(text) if is_ours(text) => "(ours)".into(),
        Value::Array(items) => items.iter().map(unnamed).collect(),
        // With the repository in a key of its own, tag and digest are beside it.
        Value::Object(fields) if fields.values().any(|value| value.as_str().is_some_and(is_ours)) => {
            let is_beside = |key: &str| ["tag", "imageTag", "newTag", "digest"].contains(&key);
            let fields = fields.iter().filter(|(key, _)| !is_beside(key));
            fields.map(|(key, value)| (key.clone(), unnamed(value))).collect()
        }
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), unnamed(value))).collect(),
        other => other.clone(),
    }
}

fn entries(documents: &[Value]) -> impl Iterator<Item = &Map<String, Value>> {
    let entries = documents.first().and_then(|root| root.get("images")).and_then(Value::as_array);
    entries.into_iter().flatten().filter_map(Value::as_object)
}

/// A name with a tag is of the images with that tag alone, and not ours to change.
fn is_our_entry(entry: &Map<String, Value>) -> bool {
    let is_bare = |name: &str| !name.contains('@') && !name.rsplit('/').next().unwrap_or_default().contains(':');
    let named = |key| entry.get(key).and_then(Value::as_str).is_some_and(|name| is_ours(name) && is_bare(name));
    named("newName") || named("name") && !entry.contains_key("newName")
}

/// A kustomization without its entries for our image.
fn other_than_ours(documents: &[Value]) -> Value {
    let mut root = documents.first().filter(|root| !root.is_null()).cloned().unwrap_or_else(|| Map::new().into());
    if let Some(fields) = root.as_object_mut() {
        if let Some(images) = fields.get_mut("images").and_then(Value::as_array_mut) {
            images.retain(|entry| !entry.as_object().is_some_and(is_our_entry));
        }
        if fields.get("images").is_some_and(|images| images.is_null() || *images == Value::Array(Vec::new())) {
            fields.remove("images");
        }
    }
    root
}

fn says_in_entries(documents: &[Value], to: &Promoted, after: &str) {
    let tag = (to.by != PromoteBy::Digest).then(|| Value::from(to.tag.as_str()));
    let digest = (to.by != PromoteBy::Tag).then(|| Value::from(DIGEST));
    let ours: Vec<_> = entries(documents).filter(|entry| is_our_entry(entry)).collect();
    assert!(!ours.is_empty(), "{after}");
    for entry in ours {
        assert_eq!((entry.get("newTag"), entry.get("digest")), (tag.as_ref(), digest.as_ref()), "{after}");
    }
}

//! A repository in one file and its tag in another: where the keys of the one are, and what the other says there.

use super::manifests::{finish, readable, unclear_at, wanted};
use super::places::{Place, REPOSITORY, TAG};
use super::splice::reworded;
use super::tree::{Broken, Node, parse};
use super::{PromoteError, Promoted, manifests};
use crate::yaml::text::Text;

/// The keys that lead to each mapping that names the repository of an image.
pub(super) fn whereabouts(path: &str, content: &[u8], to: &Promoted) -> Result<Vec<Vec<String>>, PromoteError> {
    let text = readable(path, content)?.text;
    let mut found = Vec::new();
    for document in parsed(path, &text)? {
        walk(&document, &mut Vec::new(), to, &mut found);
    }
    Ok(found)
}

/// How many of these mappings have a tag or a digest in a text, and the new content if any has to change.
pub(super) fn set_at(
    path: &str,
    content: &[u8],
    at: &[Vec<String>],
    to: &Promoted,
) -> Result<(usize, Option<Vec<u8>>), PromoteError> {
    let Text { text, encoding } = readable(path, content)?;
    let (mut count, mut splices) = (0, Vec::new());
    let documents = parsed(path, &text)?;
    for place in places(&documents, at, to) {
        count += 1;
        for (node, new) in
            wanted(&place, to).map_err(|(node, what)| unclear_at(path, &text, node, what))?.unwrap_or_default()
        {
            splices.push(reworded(&text, node, &new).ok_or_else(|| manifests::unclear(path, &text, node))?);
        }
    }
    let changed = finish(path, &text, splices, |documents| {
        let is_said = |place| wanted(&place, to).is_ok_and(|words| words.is_none_or(|words| words.is_empty()));
        Ok(places(documents, at, to).into_iter().all(is_said))
    })?;
    Ok((count, changed.map(|text| encoding.write(text))))
}

fn parsed(path: &str, text: &str) -> Result<Vec<Node>, PromoteError> {
    parse(text).map_err(|Broken { line, what }| PromoteError::Syntax { path: path.to_owned(), line, what })
}

fn walk(node: &Node, keys: &mut Vec<String>, to: &Promoted, found: &mut Vec<Vec<String>>) {
    let Node::Mapping { entries, .. } = node else { return };
    let text = |key| node.get(key).and_then(Node::text);
    let registry = text("registry").filter(|registry| !registry.is_empty());
    let names = |repository: &str| {
        let whole = registry.map_or_else(|| repository.to_owned(), |registry| format!("{registry}/{repository}"));
        manifests::name_of(&whole, &to.image) == Some(whole.as_str())
    };
    if REPOSITORY.into_iter().filter_map(text).any(names) {
        found.push(keys.clone());
    }
    for (key, value) in entries {
        keys.push(key.text().unwrap_or_default().to_owned());
        walk(value, keys, to, found);
        keys.pop();
    }
}

fn places<'n>(documents: &'n [Node], at: &[Vec<String>], to: &'n Promoted) -> Vec<Place<'n>> {
    let mut places = Vec::new();
    for (document, keys) in documents.iter().flat_map(|document| at.iter().map(move |keys| (document, keys))) {
        let Some(node) = keys.iter().try_fold(document, |node, key| node.get(key)) else { continue };
        let tag = TAG.into_iter().find_map(|key| node.get(key)).filter(|tag| tag.text().is_some());
        let digest = node.get("digest").filter(|digest| digest.text().is_some());
        if tag.is_some() || digest.is_some() {
            places.push(Place::Apart { registry: None, repository: &to.image, tag, digest, node });
        }
    }
    places
}

//! A repository in one file and its tag in another: where the keys of the one are, and what the other says there.

use super::manifests::{self, readable};
use super::places::{Place, REPOSITORY, TAG};
use super::{PromoteError, Promoted};
use crate::yaml::tree::{Broken, Node, parse};

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
    manifests::set_places(path, content, to, |document, to| places(document, at, to))
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

fn places<'n>(document: &'n Node, at: &[Vec<String>], to: &'n Promoted) -> Vec<Place<'n>> {
    let place = |keys: &Vec<String>| {
        let node = keys.iter().try_fold(document, |node, key| node.get(key))?;
        let tag = TAG.into_iter().find_map(|key| node.get(key)).filter(|tag| tag.text().is_some());
        let digest = node.get("digest").filter(|digest| digest.text().is_some());
        let is_there = tag.is_some() || digest.is_some();
        is_there.then_some(Place::Apart { registry: None, repository: &to.image, tag, digest, node })
    };
    at.iter().filter_map(place).collect()
}

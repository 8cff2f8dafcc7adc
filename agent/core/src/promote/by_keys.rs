//! Images of a chart that names them by keys of its own, as the configuration says.

use quarterdeck_shared::application::ImageValues;

use super::manifests;
use super::places::Place;
use super::{PromoteError, Promoted};
use crate::yaml::tree::Node;

/// What the configuration says of an image.
pub(super) fn values_of<'v>(all: &'v [ImageValues], image: &Promoted) -> Option<&'v ImageValues> {
    all.iter().find(|one| manifests::name_of(&one.image, &image.image) == Some(one.image.as_str()))
}

/// How many of its keys a text has, and the new content if any has to change.
pub(super) fn set(
    path: &str,
    content: &[u8],
    values: &ImageValues,
    to: &Promoted,
) -> Result<(usize, Option<Vec<u8>>), PromoteError> {
    manifests::set_places(path, content, to, |document, to| place(document, values, to).into_iter().collect())
}

/// The keys, for people.
pub(super) fn keys(values: &ImageValues) -> String {
    let ImageValues { image: _, tag, digest, whole } = values;
    let keys: Vec<&str> = [whole, tag, digest].into_iter().flatten().map(String::as_str).collect();
    keys.join(" and ")
}

fn place<'n>(document: &'n Node, values: &ImageValues, to: &'n Promoted) -> Option<Place<'n>> {
    let at = |keys: &Option<String>| {
        let node = split(keys.as_deref()?).iter().try_fold(document, |node, key| node.get(key))?;
        node.text().is_some().then_some(node)
    };
    if let Some(whole) = at(&values.whole) {
        return Some(Place::Whole(whole));
    }
    let (tag, digest) = (at(&values.tag), at(&values.digest));
    let node = tag.or(digest)?;
    Some(Place::Apart { registry: None, repository: &to.image, tag, digest, node })
}

/// The keys of a path, as `helm --set` reads them: a dot with a backslash before it is one of a key.
fn split(path: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut letters = path.chars();
    while let Some(letter) = letters.next() {
        match (letter, keys.last_mut()) {
            ('.', _) => keys.push(String::new()),
            ('\\', Some(key)) => key.extend(letters.next()),
            (letter, Some(key)) => key.push(letter),
            (_, None) => {}
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_helm_reads_it() {
        for (path, keys) in [
            ("tag", vec!["tag"]),
            ("web.image.tag", vec!["web", "image", "tag"]),
            (r"pods.example\.org/web.tag", vec!["pods", "example.org/web", "tag"]),
        ] {
            assert_eq!(split(path), keys, "{path}");
        }
    }
}

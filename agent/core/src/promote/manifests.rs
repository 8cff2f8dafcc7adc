//! Every place of a manifest that names one repository: found by [`places`], changed by bytes.
//!
//! Text inside of a string (a ConfigMap that holds YAML) is left alone: it is no manifest.

use std::collections::BTreeSet;

use super::places::{Place, places};
use super::splice::{Splice, reworded, spliced};
use super::{FILE_BYTES_MAX, PromoteError, Promoted};
use crate::yaml::text::{Text, decode};
use crate::yaml::tree::{Broken, Node, parse};

/// Whether a file is looked at, by its name.
pub(super) fn is_manifest(path: &str) -> bool {
    let ending = path.rsplit_once('.').map(|(_, ending)| ending);
    ending.is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

/// How many places name the image, and the new content if any has to change.
pub(super) fn set_image(path: &str, content: &[u8], to: &Promoted) -> Result<(usize, Option<Vec<u8>>), PromoteError> {
    // A file that does not mention the image is not ours to judge: it may be a template, or broken.
    if !mentions(content, &to.image) {
        return Ok((0, None));
    }
    set_places(path, content, to, |document, _| places(document))
}

/// The same for the places of each document that are asked for, whether or not the file mentions the image.
pub(super) fn set_places(
    path: &str,
    content: &[u8],
    to: &Promoted,
    places: impl for<'n> Fn(&'n Node, &'n Promoted) -> Vec<Place<'n>>,
) -> Result<(usize, Option<Vec<u8>>), PromoteError> {
    let Text { text, encoding } = readable(path, content)?;
    let syntax = |Broken { line, what }| PromoteError::Syntax { path: path.to_owned(), line, what };
    let (mut count, mut splices) = (0, Vec::new());
    for document in parse(&text).map_err(syntax)? {
        for place in places(&document, to) {
            let Some(words) = wanted(&place, to).map_err(|(node, what)| unclear_at(path, &text, node, what))? else {
                continue;
            };
            count += 1;
            for (node, new) in words {
                splices.push(reworded(&text, node, &new).ok_or_else(|| unclear(path, &text, node))?);
            }
        }
    }
    // Two aliases of one word are one change.
    splices.sort_by_key(|splice| (splice.at.start, splice.at.end));
    splices.dedup();
    let changed = finish(path, &text, splices, |documents| {
        let places = documents.iter().flat_map(|document| places(document, to));
        Ok(places
            .map(|place| wanted(&place, to))
            .all(|words| words.is_ok_and(|words| words.is_none_or(|words| words.is_empty()))))
    })?;
    Ok((count, changed.map(|text| encoding.write(text))))
}

/// A file that is to be changed, as text.
pub(super) fn readable<'c>(path: &str, content: &'c [u8]) -> Result<Text<'c>, PromoteError> {
    if content.len() > FILE_BYTES_MAX {
        return Err(PromoteError::TooLong { path: path.to_owned(), bytes: content.len() });
    }
    decode(content).map_err(|_| PromoteError::NotUtf8 { path: path.to_owned() })
}

/// How the places of a text that name an image's repository are written that do not name the artifact, each with what
/// names it; nothing of a text that is no YAML.
pub(super) fn spellings(text: &str, to: &Promoted) -> Result<Spellings, Broken> {
    let mut found = Spellings::default();
    for document in parse(text)? {
        for place in places(&document) {
            let Some(name) = named(&place, to) else { continue };
            found.names.insert(name);
            let names_it = wanted(&place, to).is_ok_and(|words| words.is_some_and(|words| words.is_empty()));
            if !names_it && !has_digest(&place, to) {
                let text = |key| document.get(key).and_then(Node::text).unwrap_or_default().to_owned();
                let name = document.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Node::text);
                found.others.insert(format!("{} {}", text("kind"), name.unwrap_or_default()));
            }
        }
    }
    Ok(found)
}

/// Whether a place names the artifact by its digest: kustomize before 5.0 leaves the tag out where an entry has both.
fn has_digest(place: &Place<'_>, to: &Promoted) -> bool {
    let Place::Whole(node) = place else { return false };
    let digest = node.text().and_then(|text| text.split_once('@')).map(|(_, digest)| digest);
    digest.is_some() && digest == to.written_digest()
}

/// What [`spellings`] found.
#[derive(Debug, Default)]
pub(super) struct Spellings {
    /// The repository as it is written.
    pub(super) names: BTreeSet<String>,
    /// Objects that name it otherwise than as the artifact.
    pub(super) others: BTreeSet<String>,
}

/// The repository that a place names, as it is written there, where it is the image's.
fn named(place: &Place<'_>, to: &Promoted) -> Option<String> {
    match *place {
        Place::Whole(node) => name_of(node.text()?, &to.image).map(str::to_owned),
        Place::Apart { registry, repository, node, .. } => {
            let whole = registry.map_or(repository.to_owned(), |registry| format!("{registry}/{repository}"));
            let is_name = name_of(&whole, &to.image) == Some(whole.as_str());
            if is_name { Some(whole) } else { named(&Place::Whole(node), to) }
        }
    }
}

/// Nodes, and what each is to say.
type Words<'n> = Vec<(&'n Node, String)>;

/// The words that change at a place: none where it names the artifact, nothing where it names another image, or why it
/// cannot.
fn wanted<'n>(place: &Place<'n>, to: &Promoted) -> Result<Option<Words<'n>>, (&'n Node, &'static str)> {
    let Some(name) = named(place, to) else { return Ok(None) };
    let mut words = Vec::new();
    let mut set = |node: &'n Node, new: &str| {
        if node.text() != Some(new) {
            words.push((node, new.to_owned()));
        }
    };
    match *place {
        Place::Apart { registry, repository, tag, digest, node }
            if registry.is_some() || name_of(repository, &to.image) == Some(repository) =>
        {
            match (tag, to.written_tag()) {
                (Some(tag), Some(new)) => set(tag, new),
                (None, Some(_)) if to.written_digest().is_none() => {
                    return Err((
                        node,
                        "the image has a digest beside its name and no tag; set promote.by = \"digest\"",
                    ));
                }
                _ => {}
            }
            match (digest, to.written_digest()) {
                (Some(digest), Some(new)) => set(digest, new),
                (Some(digest), None) if digest.text().is_some_and(|text| !text.is_empty()) => {
                    return Err((digest, "the image has a digest beside its tag; set promote.by = \"tag_and_digest\""));
                }
                (None, Some(_)) if to.written_tag().is_none() => {
                    return Err((
                        node,
                        "the image has its tag in a key beside it and no digest; set promote.by = \"tag\"",
                    ));
                }
                _ => {}
            }
        }
        Place::Whole(node) | Place::Apart { node, .. } => set(node, &format!("{name}{}", to.suffix())),
    }
    Ok(Some(words))
}

/// Splices, and reads the result again: it has to parse and to say what it should.
pub(super) fn finish(
    path: &str,
    text: &str,
    splices: Vec<Splice>,
    says_it: impl Fn(&[Node]) -> Result<bool, PromoteError>,
) -> Result<Option<String>, PromoteError> {
    if splices.is_empty() {
        return Ok(None);
    }
    let new = spliced(text, splices);
    match new.as_deref().map(parse) {
        Some(Ok(documents)) if says_it(&documents)? => Ok(new),
        read => {
            let broken = read.and_then(Result::err);
            let (line, why) = broken.map_or((1, String::new()), |Broken { line, what }| (line, format!(" ({what})")));
            let what = format!("the image cannot be updated here{why}; set it once manually, as a plain scalar");
            Err(PromoteError::Unclear { path: path.to_owned(), line, what })
        }
    }
}

pub(super) fn unclear(path: &str, text: &str, node: &Node) -> PromoteError {
    unclear_at(
        path,
        text,
        node,
        "the image is written in a way that is not changed by machine; write it as a plain word",
    )
}

fn unclear_at(path: &str, text: &str, node: &Node, what: &str) -> PromoteError {
    let line = text[..node.at().start].matches('\n').count() + 1;
    PromoteError::Unclear { path: path.to_owned(), line, what: what.to_owned() }
}

/// The name part of an image reference if it is the repository `image`, as it is written there.
pub(super) fn name_of<'w>(written: &'w str, image: &str) -> Option<&'w str> {
    let name = written.split('@').next().unwrap_or_default();
    // A colon before the last slash belongs to a port.
    let name_end = name.rfind('/').map_or(0, |slash| slash + 1);
    let name = name[name_end..].find(':').map_or(name, |colon| &name[..name_end + colon]);
    (familiar(name) == familiar(image)).then_some(name)
}

/// A name without what Docker Hub's names may leave out. `docker.io/reg.example/shop` leaves out nothing: without its
/// front it would be of another registry.
fn familiar(name: &str) -> &str {
    let of_registry =
        |rest: &&str| rest.split_once('/').is_some_and(|(first, _)| first.contains(['.', ':']) || first == "localhost");
    let hub = name.strip_prefix("docker.io/").or_else(|| name.strip_prefix("index.docker.io/"));
    let short = hub.filter(|rest| !of_registry(rest)).unwrap_or(name);
    short.strip_prefix("library/").filter(|rest| !rest.contains('/')).unwrap_or(short)
}

fn short_name(image: &str) -> &str {
    image.rsplit('/').next().unwrap_or(image)
}

/// Whether a file may name an image: whether the last part of its name is in it. In UTF-16 its letters are apart.
pub(super) fn mentions(content: &[u8], image: &str) -> bool {
    let word = short_name(image);
    let holds = |content: &[u8]| content.windows(word.len()).any(|window| window == word.as_bytes());
    match content {
        _ if word.is_empty() => false,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => decode(content).is_ok_and(|read| holds(read.text.as_bytes())),
        _ => holds(content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        for (written, image, name) in [
            ("registry.example/ops/shop", "registry.example/ops/shop", Some("registry.example/ops/shop")),
            ("registry.example/ops/shop:1.3", "registry.example/ops/shop", Some("registry.example/ops/shop")),
            ("registry:5000/shop@sha256:00", "registry:5000/shop", Some("registry:5000/shop")),
            ("registry:5000/shop:1@sha256:00", "registry:5000/shop", Some("registry:5000/shop")),
            ("registry:5000/shop", "registry/shop", None),
            ("registry.example/ops/shop2:1", "registry.example/ops/shop", None),
            ("ops/shop:1", "registry.example/ops/shop", None),
            ("docker.io/library/nginx:1", "nginx", Some("docker.io/library/nginx")),
            ("nginx:1", "docker.io/library/nginx", Some("nginx")),
            ("docker.io/registry.example/ops/shop:1", "registry.example/ops/shop", None),
            ("", "shop", None),
        ] {
            assert_eq!(name_of(written, image), name, "{written}");
        }
    }
}

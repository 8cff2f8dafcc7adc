//! Every `image:` of one repository name in a manifest.
//!
//! Whatever the kind, a custom one included: an `image` (or `reference` below `image`, as image volumes have) whose
//! value names the repository. Text inside of a string (a ConfigMap that holds YAML) is left alone: it is no manifest.

use super::splice::{Splice, reworded, spliced};
use super::tree::{Broken, Node, parse};
use super::{FILE_BYTES_MAX, PromoteError, Promoted};

/// Whether a file is looked at, by its name.
pub(super) fn is_manifest(path: &str) -> bool {
    let ending = path.rsplit_once('.').map(|(_, ending)| ending);
    ending.is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

/// How many places name the image, and the new content if any has to change.
pub(super) fn set_image(path: &str, content: &[u8], to: &Promoted) -> Result<(usize, Option<Vec<u8>>), PromoteError> {
    // A file that does not mention the image is not ours to judge: it may be a template, or broken.
    if !mentions(content, short_name(&to.image)) {
        return Ok((0, None));
    }
    if content.len() > FILE_BYTES_MAX {
        return Err(PromoteError::TooLong { path: path.to_owned(), bytes: content.len() });
    }
    let text = str::from_utf8(content).map_err(|_| PromoteError::NotUtf8 { path: path.to_owned() })?;
    let syntax = |Broken { line, what }| PromoteError::Syntax { path: path.to_owned(), line, what };
    let (mut count, mut splices) = (0, Vec::new());
    for document in parse(text).map_err(syntax)? {
        visit(&document, &mut |node| {
            let Some(written) = node.text() else { return Ok(()) };
            let Some(name) = name_of(written, &to.image) else { return Ok(()) };
            count += 1;
            let new = format!("{name}{}", to.suffix());
            if written == new {
                return Ok(());
            }
            match reworded(text, node, &new) {
                Some(splice) => splices.push(splice),
                None => return Err(unclear(path, text, node)),
            }
            Ok(())
        })?;
    }
    let changed = finish(path, text, splices, |documents| {
        let mut wrong = 0;
        for document in documents {
            visit(document, &mut |node| {
                let name = node.text().and_then(|written| Some((written, name_of(written, &to.image)?)));
                wrong += usize::from(name.is_some_and(|(written, name)| written != format!("{name}{}", to.suffix())));
                Ok(())
            })?;
        }
        Ok(wrong == 0)
    })?;
    Ok((count, changed))
}

/// Splices, and reads the result again: it has to parse and to say what it should.
pub(super) fn finish(
    path: &str,
    text: &str,
    splices: Vec<Splice>,
    says_it: impl Fn(&[Node]) -> Result<bool, PromoteError>,
) -> Result<Option<Vec<u8>>, PromoteError> {
    if splices.is_empty() {
        return Ok(None);
    }
    let new = spliced(text, splices);
    match new.as_deref().map(parse) {
        Some(Ok(documents)) if says_it(&documents)? => Ok(new.map(String::into_bytes)),
        read => {
            let broken = read.and_then(Result::err);
            let (line, why) = broken.map_or((1, String::new()), |Broken { line, what }| (line, format!(" ({what})")));
            let what = format!("the image cannot be updated here{why}; set it once manually, as a plain scalar");
            Err(PromoteError::Unclear { path: path.to_owned(), line, what })
        }
    }
}

pub(super) fn unclear(path: &str, text: &str, node: &Node) -> PromoteError {
    let line = text[..node.at().start].matches('\n').count() + 1;
    let what = "the image is written in a way that is not changed by machine; write it as a plain word".to_owned();
    PromoteError::Unclear { path: path.to_owned(), line, what }
}

/// Calls `found` with the value of each `image` key, and of each `reference` key in an `image` mapping.
fn visit(node: &Node, found: &mut dyn FnMut(&Node) -> Result<(), PromoteError>) -> Result<(), PromoteError> {
    match node {
        Node::Mapping { entries, .. } => {
            for (key, value) in entries {
                if key.text() == Some("image") {
                    found(value.get("reference").unwrap_or(value))?;
                }
                visit(value, found)?;
            }
        }
        Node::Sequence { items, .. } => {
            for item in items {
                visit(item, found)?;
            }
        }
        Node::Scalar { .. } | Node::Alias { .. } => {}
    }
    Ok(())
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

fn mentions(content: &[u8], word: &str) -> bool {
    !word.is_empty() && content.windows(word.len()).any(|window| window == word.as_bytes())
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

//! The `images:` entry of a kustomization: changed where it is, added where it is not.
//!
//! Kustomize compares names letter by letter, so an entry is ours where its name is exactly the one that the rest of the
//! kustomization yields.

use std::ops::Range;

use super::manifests::{finish, readable, unclear};
use super::splice::{Splice, reworded, word};
use super::{PromoteError, Promoted};
use crate::yaml::text::Text;
use crate::yaml::tree::{Broken, Node, parse};

/// What kustomize looks for in a directory.
pub(super) const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The new content of the kustomization if it has to change. The image's name is the one that the kustomization yields.
pub(super) fn set_image(path: &str, content: &[u8], to: &Promoted) -> Result<Option<Vec<u8>>, PromoteError> {
    let Text { text, encoding } = readable(path, content)?;
    let text = &*text;
    let documents =
        parse(text).map_err(|Broken { line, what }| PromoteError::Syntax { path: path.to_owned(), line, what })?;
    let page = Page { path, text, to };
    let splices = match &documents[..] {
        // An empty file, or one of comments only, is a kustomization all the same.
        [] => vec![page.append(text.len(), &page.new_list(""))],
        [root] if root.is_nothing() => vec![page.append(text.len(), &page.new_list(""))],
        [root @ Node::Mapping { .. }] => page.splices(root)?,
        _ => {
            let what = "a kustomization is one mapping; split the file".to_owned();
            return Err(PromoteError::Unclear { path: path.to_owned(), line: 1, what });
        }
    };
    let changed = finish(path, text, splices, |changed| {
        let Some(root) = changed.first() else { return Ok(false) };
        let says = |item: &Node, key: &str| item.get(key).and_then(Node::text).map(str::to_owned);
        let mut ours = items(root).iter().filter(|item| is_ours(item, to)).peekable();
        Ok(ours.peek().is_some()
            && ours.all(|item| {
                says(item, "newTag").as_deref() == to.written_tag()
                    && says(item, "digest").as_deref() == to.written_digest()
            })
            && keeps_the_rest(documents.first(), root, to))
    })?;
    Ok(changed.map(|text| encoding.write(text)))
}

/// Whether all but the tag and the digest of our entries reads as before.
fn keeps_the_rest(before: Option<&Node>, after: &Node, to: &Promoted) -> bool {
    // An entry that is added has no before.
    let had_ours = before.is_some_and(|root| items(root).iter().any(|item| is_ours(item, to)));
    let rest = |root| {
        let (ours, others): (Vec<&Node>, Vec<&Node>) = items(root).iter().partition(|item| is_ours(item, to));
        let ours = ours.into_iter().filter(|_| had_ours).flat_map(|item| without(item, &["newTag", "digest"]));
        without(root, &["images"]).chain(others).chain(ours).collect::<Vec<&Node>>()
    };
    let (before, after) = (before.map(rest).unwrap_or_default(), rest(after));
    before.len() == after.len() && before.iter().zip(after).all(|(before, after)| before.reads_like(after))
}

/// The keys and values of a mapping, but for some.
fn without<'n>(node: &'n Node, names: &'static [&'static str]) -> impl Iterator<Item = &'n Node> {
    let entries = match node {
        Node::Mapping { entries, .. } => &entries[..],
        _ => &[],
    };
    let kept = entries.iter().filter(|(key, _)| !key.text().is_some_and(|key| names.contains(&key)));
    kept.flat_map(|(key, value)| [key, value])
}

/// The entries of `images:`.
fn items(root: &Node) -> &[Node] {
    match root.get("images") {
        Some(Node::Sequence { items, .. }) => items,
        _ => &[],
    }
}

/// Whether an entry of `images:` is about our image: by the name in the manifests, or by the name it is given instead.
fn is_ours(item: &Node, to: &Promoted) -> bool {
    let named = |key| item.get(key).and_then(Node::text) == Some(&to.image);
    // Renamed to something else, the entry no longer yields our image.
    named("newName") || named("name") && item.get("newName").is_none()
}

/// YAML ends a line with either, and with both.
const BREAKS: [char; 2] = ['\n', '\r'];

/// A kustomization under change.
struct Page<'a> {
    path: &'a str,
    text: &'a str,
    to: &'a Promoted,
}

impl Page<'_> {
    fn splices(&self, root: &Node) -> Result<Vec<Splice>, PromoteError> {
        match root.get("images") {
            Some(Node::Sequence { items, flow, at, .. }) => {
                let ours: Vec<&Node> = items.iter().filter(|item| is_ours(item, self.to)).collect();
                let mut splices = Vec::new();
                for item in &ours {
                    splices.extend(self.entry(item)?);
                }
                if !ours.is_empty() {
                    return Ok(splices);
                }
                Ok(vec![match (items.last(), flow) {
                    (None, _) => {
                        // `images: []` becomes a list of lines: what stood after the colon goes.
                        let colon = key_place(root, "images").end;
                        let colon = self.text[colon..at.start].find(':').map_or(at.start, |more| colon + more + 1);
                        let key = "images:";
                        Splice {
                            at: colon..at.end,
                            text: self.in_file(self.new_list("").trim_end()).replacen(key, "", 1),
                        }
                    }
                    (Some(last), true) => {
                        Splice { at: last.at().end..last.at().end, text: format!(", {}", self.in_braces()) }
                    }
                    (Some(last), false) => {
                        let dash = self.text[..items[0].at().start].rfind('-').unwrap_or(0);
                        let indent = self.column(dash);
                        self.append(last.at().end, &self.new_item(&" ".repeat(indent)))
                    }
                }])
            }
            // `images:` with nothing after it.
            Some(value) if value.is_nothing() => {
                let key = key_place(root, "images");
                Ok(vec![self.append(key.end, &self.new_item(&" ".repeat(self.column(key.start))))])
            }
            Some(other) => Err(unclear(self.path, self.text, other)),
            None => Ok(vec![self.new_key(root)]),
        }
    }

    /// What changes in an entry that is there.
    fn entry(&self, item: &Node) -> Result<Vec<Splice>, PromoteError> {
        let Node::Mapping { entries, flow, .. } = item else { return Err(unclear(self.path, self.text, item)) };
        let mut splices = Vec::new();
        let mut added = Vec::new();
        for (key, wanted) in [("newTag", self.to.written_tag()), ("digest", self.to.written_digest())] {
            match (item.get(key), wanted) {
                (Some(old), Some(new)) if old.text() == Some(new) => {}
                (Some(old), Some(new)) => {
                    splices.push(reworded(self.text, old, new).ok_or_else(|| unclear(self.path, self.text, old))?);
                }
                (None, Some(new)) => added.push(format!("{key}: {}", word(new))),
                (Some(_), None) => splices.push(self.removal(entries, key, *flow)?),
                (None, None) => {}
            }
        }
        if added.is_empty() {
            return Ok(splices);
        }
        // After the name: that key is always there, and it is never the one that is removed.
        let anchor = entries.iter().find(|(key, _)| matches!(key.text(), Some("name" | "newName")));
        let Some((key, value)) = anchor else { return Err(unclear(self.path, self.text, item)) };
        let end = value.at().end.max(key.at().end);
        splices.push(if *flow {
            Splice { at: end..end, text: added.iter().map(|entry| format!(", {entry}")).collect() }
        } else {
            let indent = " ".repeat(self.column(key.at().start));
            self.append(end, &added.iter().map(|entry| format!("{indent}{entry}\n")).collect::<String>())
        });
        Ok(splices)
    }

    /// Takes a key out of an entry, with its line where it has one of its own; the comments around it stay.
    fn removal(&self, entries: &[(Node, Node)], name: &str, flow: bool) -> Result<Splice, PromoteError> {
        let place = entries.iter().position(|(key, _)| key.text() == Some(name)).unwrap_or(0);
        let (key, value) = &entries[place];
        let (start, end) = (key.at().start, value.at().end.max(key.at().end));
        if self.text[start..end].contains(BREAKS) && self.text[start..end].contains('#') {
            return Err(unclear(self.path, self.text, key));
        }
        let at = match entries.get(place + 1) {
            // The first key stands behind the dash, so the next one moves up to its place.
            Some((next, _)) if place == 0 || flow => start..next.at().start,
            _ if flow => {
                let (before_key, before) = &entries[place.saturating_sub(1)];
                before.at().end.max(before_key.at().end)..end
            }
            _ => self.line_start(start)..self.line_end(end),
        };
        // A comment on the way to its neighbour stays, and so does the line.
        let is_bare = place > 0 && !flow || !self.text[at.clone()].contains('#');
        if !is_bare && value.is_nothing() {
            return Err(unclear(self.path, self.text, key));
        }
        Ok(Splice { at: if is_bare { at } else { start..end }, text: String::new() })
    }

    /// A whole new `images:` key of the kustomization.
    fn new_key(&self, root: &Node) -> Splice {
        match root {
            Node::Mapping { flow: true, entries, at, .. } => {
                let (comma, at) = match entries.last() {
                    Some((key, value)) => (", ", value.at().end.max(key.at().end)),
                    None => ("", at.start + 1),
                };
                Splice { at: at..at, text: format!("{comma}\"images\": [{}]", self.in_braces()) }
            }
            _ => {
                let indent = " ".repeat(self.column(root.at().start));
                self.append(root.at().end, &self.new_list(&indent))
            }
        }
    }

    fn new_list(&self, indent: &str) -> String {
        format!("{indent}images:\n{}", self.new_item(indent))
    }

    fn new_item(&self, indent: &str) -> String {
        let mut lines = format!("{indent}- name: {}\n", word(&self.to.image));
        for (key, value) in [("newTag", self.to.written_tag()), ("digest", self.to.written_digest())] {
            lines.extend(value.map(|value| format!("{indent}  {key}: {}\n", word(value))));
        }
        lines
    }

    fn in_braces(&self) -> String {
        let mut words = format!("{{\"name\": \"{}\"", self.to.image);
        for (key, value) in [("newTag", self.to.written_tag()), ("digest", self.to.written_digest())] {
            words.extend(value.map(|value| format!(", \"{key}\": \"{value}\"")));
        }
        words + "}"
    }

    /// Whole lines after the line that the byte `after` is in (with its comment), in the line ends of the file.
    fn append(&self, after: usize, lines: &str) -> Splice {
        let end = self.line_end(after);
        let ended = self.text[..end].is_empty() || self.text[..end].ends_with(BREAKS);
        let lines = if ended { lines.to_owned() } else { format!("\n{}", lines.trim_end_matches('\n')) };
        Splice { at: end..end, text: self.in_file(&lines) }
    }

    /// Lines with the line ends of the file.
    fn in_file(&self, lines: &str) -> String {
        if self.text.contains("\r\n") { lines.replace('\n', "\r\n") } else { lines.to_owned() }
    }

    /// Just after the line break of the line that the byte is in. A node that ends with a line break (a block of text)
    /// ends on that line.
    fn line_end(&self, byte: usize) -> usize {
        let rest = &self.text[byte..];
        if self.text[..byte].ends_with(BREAKS) && !rest.starts_with('\n') {
            return byte;
        }
        let Some(at) = rest.find(BREAKS) else { return self.text.len() };
        byte + at + if rest[at..].starts_with("\r\n") { 2 } else { 1 }
    }

    fn line_start(&self, byte: usize) -> usize {
        self.text[..byte].rfind(BREAKS).map_or(0, |at| at + 1)
    }

    /// How far from the beginning of its line a byte is, in columns of spaces.
    fn column(&self, byte: usize) -> usize {
        self.text[self.line_start(byte)..byte].trim_start_matches('\u{feff}').chars().count()
    }
}

fn key_place(root: &Node, name: &str) -> Range<usize> {
    let Node::Mapping { entries, .. } = root else { return 0..0 };
    entries.iter().find(|(key, _)| key.text() == Some(name)).map_or(0..0, |(key, _)| key.at())
}

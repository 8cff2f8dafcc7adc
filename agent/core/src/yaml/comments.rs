//! The comments of a text: what each says, and what it is about. For who makes something else of a file that people explained.

use std::ops::Range;

use super::tree::{Node, parse};

/// Comments of one document: a file of values has some dozen, and a whole default one of a chart a few hundred.
const COMMENTS_MAX: usize = 100;

/// Characters of one.
const CHARS_MAX: usize = 200;

/// What is said in one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commented {
    /// Its lines, from 1; the end is the first that is not of it.
    pub lines: Range<u64>,
    /// In the order of the text.
    pub comments: Vec<Comment>,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// The key that it stands beside or above, with those that lead to it: `spec.sources[1].path`. Empty where it is about all.
    pub about: String,
    /// Without its sign.
    pub text: String,
}

/// The comments of each document that has some; of what is no YAML none. What has no letter and no digit separates, and says nothing.
pub fn of(text: &str) -> Vec<Commented> {
    let mut found = Vec::new();
    let (mut begin, mut line, mut lines_before) = (0, 1, 0);
    let mut offset = 0;
    for part in text.split_inclusive('\n').chain(["---\n"]) {
        if part.trim_end() == "---" || part.starts_with("--- ") {
            let document = &text[begin.min(text.len())..offset.min(text.len())];
            let comments = in_document(document);
            if !comments.is_empty() {
                found.push(Commented { lines: line..lines_before + 1, comments });
            }
            begin = offset + part.len();
            line = lines_before + 2;
        }
        offset += part.len();
        lines_before += 1;
    }
    found
}

fn in_document(text: &str) -> Vec<Comment> {
    let documents = parse(text).unwrap_or_default();
    let [document] = documents.as_slice() else { return Vec::new() };
    let mut words = Words::default();
    words.walk(document, "");
    words.keys.sort();
    let mut comments: Vec<Comment> = Vec::new();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let begin = offset;
        offset += line.len();
        let Some(at) = words.comment_in(line, begin) else { continue };
        let said: String = line[at + 1..].trim().trim_start_matches('#').trim().chars().take(CHARS_MAX).collect();
        if comments.len() == COMMENTS_MAX || !said.contains(char::is_alphanumeric) {
            continue;
        }
        comments.push(Comment { about: words.about(begin, at, line), text: said });
    }
    comments
}

/// Where the words of a document are.
#[derive(Default)]
struct Words {
    /// Where a `#` is a letter.
    scalars: Vec<Range<usize>>,
    /// Where keys begin, and what they are called with those that lead to them.
    keys: Vec<(usize, String)>,
}

impl Words {
    fn walk(&mut self, node: &Node, path: &str) {
        match node {
            Node::Scalar { at, .. } => self.scalars.push(at.clone()),
            Node::Alias { .. } => {}
            Node::Sequence { items, .. } => {
                for (index, item) in items.iter().enumerate() {
                    self.walk(item, &format!("{path}[{index}]"));
                }
            }
            Node::Mapping { entries, .. } => {
                for (key, value) in entries {
                    let name = key.text().unwrap_or_default();
                    let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                    self.keys.push((key.at().start, path.clone()));
                    self.scalars.push(key.at());
                    self.walk(value, &path);
                }
            }
        }
    }

    /// Where a comment begins in a line.
    fn comment_in(&self, line: &str, begin: usize) -> Option<usize> {
        let signs = line.match_indices('#').map(|(at, _)| at);
        let is_apart = |at: &usize| *at == 0 || line[..*at].ends_with([' ', '\t']);
        signs.filter(is_apart).find(|at| !self.scalars.iter().any(|scalar| scalar.contains(&(begin + at))))
    }

    /// What a comment is about: the first key of its line; of a line of its own the next key, or the one before where that ends a part.
    fn about(&self, begin: usize, at: usize, line: &str) -> String {
        let next = self.keys.partition_point(|(key, _)| *key < begin);
        let before = next.checked_sub(1).map(|index| &self.keys[index]);
        let following = self.keys.get(next);
        let is_alone = line[..at].trim().is_empty();
        let on_it = following.filter(|(key, _)| *key < begin + at);
        match (is_alone, on_it) {
            (false, Some((_, name))) => name.clone(),
            (false, None) => before.map(|(_, name)| name.clone()).unwrap_or_default(),
            // Above everything.
            (true, _) if before.is_none() => String::new(),
            (true, _) => following.or(before).map(|(_, name)| name.clone()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let of_one = |one: Commented| {
            let lines = one.lines;
            one.comments.into_iter().map(move |Comment { about, text }| format!("{lines:?} {about}: {text}"))
        };
        of(text).into_iter().flat_map(of_one).collect()
    }

    #[test]
    fn each_comment_is_about_the_key_beside_or_below_it() {
        let text = "# The shop of team blue\n\
                    # ------\n\
                    apiVersion: v1\n\
                    metadata:\n  name: shop # never rename\n\
                    spec:\n\
                    \x20 # staging too\n  path: apps/shop#1\n\
                    \x20 sources:\n  - repo: 'a # b'\n    ref: v1  ## pinned\n\
                    \x20 - just # one\n\
                    \x20 text: |\n    # part of the text\n    b\n\
                    \x20 # the end\n";
        assert_eq!(
            told(text),
            [
                "1..17 : The shop of team blue",
                "1..17 metadata.name: never rename",
                "1..17 spec.path: staging too",
                "1..17 spec.sources[0].ref: pinned",
                "1..17 spec.sources[0].ref: one",
                "1..17 spec.text: the end",
            ]
        );
    }

    #[test]
    fn documents_are_apart_and_what_is_no_yaml_has_none() {
        assert_eq!(told("a: 1\n---\n# second\nb: 2\n--- # third\nc: 3 # c\n"), ["3..5 : second", "6..7 c: c"]);
        for text in ["", "# only this\n", "a: [\n# b\n", "a: {{ if }} b\n# c\n"] {
            assert_eq!(told(text), Vec::<String>::new(), "{text:?}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let text = format!("{}a: 1\n", "# x\n".repeat(500));
        assert_eq!(told(&text).len(), COMMENTS_MAX);
        assert_eq!(of(&format!("# {}\na: 1\n", "ä".repeat(500)))[0].comments[0].text.chars().count(), CHARS_MAX);
    }
}

//! A YAML text as nodes with the places of their bytes. Only what splicing needs: no tags, no merging, no values.

use std::collections::BTreeMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

use crate::yaml::text::{without_marks, written_line};

/// A node of a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// A word, as it reads without its quotes.
    Scalar {
        value: String,
        plain: bool,
        block: bool,
        /// `!!str`: with it nothing is an empty text.
        tagged: bool,
        /// The number of its anchor in the text; 0 for none, here and below.
        anchor: usize,
        at: Range<usize>,
    },
    /// `*name`; its value is where that anchor is.
    Alias {
        anchor: usize,
        at: Range<usize>,
    },
    Sequence {
        flow: bool,
        items: Vec<Node>,
        anchor: usize,
        at: Range<usize>,
    },
    Mapping {
        flow: bool,
        entries: Vec<(Node, Node)>,
        anchor: usize,
        at: Range<usize>,
    },
}

/// A text that does not parse.
pub(crate) struct Broken {
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl Node {
    /// Where its bytes are. A block collection ends with its last node.
    pub(crate) fn at(&self) -> Range<usize> {
        match self {
            Node::Scalar { at, .. } | Node::Alias { at, .. } => at.clone(),
            Node::Sequence { at, flow: true, .. } | Node::Mapping { at, flow: true, .. } => at.clone(),
            Node::Sequence { at, items, .. } => at.start..items.last().map_or(at.start, |item| item.at().end),
            Node::Mapping { at, entries, .. } => {
                at.start..entries.last().map_or(at.start, |(key, value)| {
                    // A value that is not written (`key:`) has no place of its own.
                    value.at().end.max(key.at().end)
                })
            }
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Node::Scalar { value, .. } => Some(value),
            _ => None,
        }
    }

    /// Whether nothing is written here, as after `key:`.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Node::Scalar { tagged: false, at, .. } if at.is_empty())
    }

    /// Whether both read the same, wherever they stand.
    pub(crate) fn reads_like(&self, other: &Node) -> bool {
        match (self, other) {
            (
                Node::Scalar { value, plain, block, tagged, .. },
                Node::Scalar { value: other, plain: other_plain, block: other_block, tagged: other_tagged, .. },
            ) => (value, plain, block, tagged) == (other, other_plain, other_block, other_tagged),
            (Node::Alias { anchor, .. }, Node::Alias { anchor: other, .. }) => anchor == other,
            (Node::Sequence { items, .. }, Node::Sequence { items: others, .. }) => {
                items.len() == others.len() && items.iter().zip(others).all(|(item, other)| item.reads_like(other))
            }
            (Node::Mapping { entries, .. }, Node::Mapping { entries: others, .. }) => {
                let alike = |((key, value), (other_key, other)): (&(Node, Node), &(Node, Node))| {
                    key.reads_like(other_key) && value.reads_like(other)
                };
                entries.len() == others.len() && entries.iter().zip(others).all(alike)
            }
            _ => false,
        }
    }

    /// The value of a key of a mapping.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        match self {
            Node::Mapping { entries, .. } => {
                entries.iter().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

/// The nodes of a document by the number of their anchor.
pub(crate) fn anchors(document: &Node) -> BTreeMap<usize, &Node> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![document];
    while let Some(node) = waiting.pop() {
        match node {
            Node::Scalar { anchor, .. } => drop(found.insert(*anchor, node)),
            Node::Alias { .. } => {}
            Node::Sequence { anchor, items, .. } => {
                found.insert(*anchor, node);
                waiting.extend(items);
            }
            Node::Mapping { anchor, entries, .. } => {
                found.insert(*anchor, node);
                waiting.extend(entries.iter().flat_map(|(key, value)| [key, value]));
            }
        }
    }
    found.remove(&0);
    found
}

/// The documents of a text.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, Broken> {
    // Marks are blanks of as many bytes, so that places stay true.
    let (text, blanks) = without_marks(text);
    let line = |line| written_line(line, &blanks);
    let options = granit_parser::options! { emit_comments: false };
    let mut open: Vec<Open> = Vec::new();
    let mut documents = Vec::new();
    for event in Parser::new_from_str_with_options(&text, options) {
        let (event, span) =
            event.map_err(|error| Broken { line: line(error.marker().line()), what: error.info().to_owned() })?;
        let at = place(&span)?;
        let node = match event {
            Event::Scalar(value, style, anchor, tag) => Node::Scalar {
                value: value.into_owned(),
                plain: style == ScalarStyle::Plain,
                block: matches!(style, ScalarStyle::Literal | ScalarStyle::Folded),
                tagged: tag.is_some(),
                anchor,
                at,
            },
            Event::Alias(anchor) => Node::Alias { anchor, at },
            Event::SequenceStart(style, anchor, _) => {
                open.push(Open {
                    is_mapping: false,
                    flow: style == StructureStyle::Flow,
                    anchor,
                    start: at.start,
                    nodes: Vec::new(),
                });
                continue;
            }
            Event::MappingStart(style, anchor, _) => {
                open.push(Open {
                    is_mapping: true,
                    flow: style == StructureStyle::Flow,
                    anchor,
                    start: at.start,
                    nodes: Vec::new(),
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(done) => done.close(at.end),
                None => continue,
            },
            _ => continue,
        };
        match open.last_mut() {
            Some(parent) => parent.nodes.push(node),
            None => documents.push(node),
        }
    }
    Ok(documents)
}

/// A collection whose end has not come yet.
struct Open {
    is_mapping: bool,
    flow: bool,
    anchor: usize,
    start: usize,
    nodes: Vec<Node>,
}

impl Open {
    fn close(self, end: usize) -> Node {
        let Open { is_mapping, flow, anchor, start, nodes } = self;
        let at = start..end;
        if !is_mapping {
            return Node::Sequence { flow, items: nodes, anchor, at };
        }
        let mut entries = Vec::with_capacity(nodes.len() / 2);
        let mut nodes = nodes.into_iter();
        while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
            entries.push((key, value));
        }
        Node::Mapping { flow, entries, anchor, at }
    }
}

fn place(span: &Span) -> Result<Range<usize>, Broken> {
    // A text given whole has byte offsets; without them nothing could be spliced.
    span.byte_range().ok_or_else(|| Broken { line: span.start.line(), what: "it has no byte offsets".into() })
}

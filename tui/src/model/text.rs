//! A text on screen: an object as YAML, or what git says, rendered.

use quarterdeck_shared::protocol::ManifestsAnswer;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::revision::Revision;
use serde::{Deserialize, Serialize};

use crate::text;

/// Lines that are kept. Manifests of 10 MB are some 300,000 lines; nobody scrolls through more.
const LINES_MAX: usize = 300_000;

/// What is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// An object as it is in the cluster.
    Live(ResourceRef),
    /// What is rendered, at a revision; at the present one where none.
    Manifests(Option<String>),
}

/// A text, without control characters.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TextDocument {
    /// Its lines.
    pub lines: Vec<Box<str>>,
    /// What was rendered.
    pub revision: Option<Revision>,
}

/// Makes an answer ready for drawing.
pub fn document(answer: ManifestsAnswer) -> TextDocument {
    let harmless = |line: &str| text::clean(line).replace('\t', "    ").into_boxed_str();
    let mut lines: Vec<Box<str>> = answer.yaml.lines().take(LINES_MAX).map(harmless).collect();
    let left_out = answer.yaml.lines().skip(LINES_MAX).count();
    if left_out > 0 {
        lines.push(format!("# … and {left_out} lines more").into());
    }
    TextDocument { lines, revision: answer.revision }
}

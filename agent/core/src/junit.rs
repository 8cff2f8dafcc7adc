//! JUnit files: what test runners write about the cases that they ran. (pure)
//!
//! There is no standard; what is read is what Maven Surefire, pytest, Jest, Go's and Rust's converters and GoogleTest have
//! in common: `testsuites` or `testsuite` at the root, `testcase` anywhere below with `classname` and `name`, and in it
//! `failure`, `error` or `skipped`. GoogleTest says of a case that it left out `status="notrun"`. Surefire's
//! `flakyFailure` is of a case that passed when it was run again.

use quarterdeck_shared::snapshot::{Cases, FAILURES_MAX, FailedCase};
use roxmltree::{Document, Node, ParsingOptions};

use crate::output::{Mask, one_line};

/// The most elements and texts of one file: a hundred thousand cases with all that is in them.
const NODES_MAX: u32 = 2_000_000;

/// The most bytes of output that are kept of a case that failed: a stack trace with its causes fits.
const OUTPUT_BYTES_MAX: usize = 16 * 1024;

/// What a case that failed is called, at the longest, and the reason beside it: a line of a screen each.
const WORDS_CHARS_MAX: usize = 200;

/// A case of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its class and name: `cart.CartTest adds`.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it should.
    Passed,
    /// It was left out.
    Skipped,
    /// It did not, or broke.
    Failed {
        /// Why, as the file says it; may be empty.
        message: String,
        /// What it wrote; may be empty, has several lines.
        output: String,
    },
}

/// A file that is no JUnit file.
#[derive(Debug, thiserror::Error)]
pub enum JunitError {
    /// It is no XML.
    #[error("it is not valid XML")]
    Xml(#[from] roxmltree::Error),
    /// It is other XML.
    #[error("it is not a JUnit file: its root is <{0}>, not <testsuites> or <testsuite>")]
    Root(String),
}

/// The cases of a file, in its order. Bytes that are no UTF-8 are shown as `�`.
pub fn cases(file: &[u8]) -> Result<Vec<Case>, JunitError> {
    let text = String::from_utf8_lossy(file);
    let options = ParsingOptions { nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text.trim_start_matches('\u{feff}'), options)?;
    let root = document.root_element().tag_name().name();
    if !matches!(root, "testsuites" | "testsuite") {
        return Err(JunitError::Root(root.chars().take(40).collect()));
    }
    Ok(document.descendants().filter(|node| node.has_tag_name("testcase")).map(|node| case(&node)).collect())
}

fn case(node: &Node<'_, '_>) -> Case {
    let attribute = |name| node.attribute(name).map(str::trim).unwrap_or_default();
    let parts = [attribute("classname"), attribute("name")];
    let name = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let child = |name: &str| node.children().find(|child| child.has_tag_name(name));
    let outcome = match child("failure").or_else(|| child("error")) {
        Some(failure) => failed(node, &failure),
        None if child("skipped").is_some() || attribute("status") == "notrun" => Outcome::Skipped,
        None => Outcome::Passed,
    };
    Case { name: if name.is_empty() { "a case without a name".to_owned() } else { name }, outcome }
}

fn failed(case: &Node<'_, '_>, failure: &Node<'_, '_>) -> Outcome {
    let text = words(failure);
    let first = || text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned();
    let said = failure.attribute("message").map(str::trim).filter(|message| !message.is_empty());
    let written = case.children().filter(|child| child.has_tag_name("system-out") || child.has_tag_name("system-err"));
    let parts = std::iter::once(text.clone()).chain(written.map(|child| words(&child)));
    let output = parts.filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join("\n");
    Outcome::Failed { message: said.map_or_else(first, str::to_owned), output: cut(output) }
}

/// All text in an element, its CDATA sections included.
fn words(node: &Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|text| text.text()).collect()
}

/// The beginning of a text, on the border of a character.
fn cut(mut text: String) -> String {
    if text.len() > OUTPUT_BYTES_MAX {
        let border = (0..=OUTPUT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(border);
        text.push_str("\n(cut)");
    }
    text
}

/// The cases of a test, counted; names and reasons without secrets, a line each.
pub fn count(cases: &[Case], mask: &Mask) -> Cases {
    let mut counted = Cases::default();
    let line = |text: &str| one_line(mask, text).chars().take(WORDS_CHARS_MAX).collect::<String>();
    for case in cases {
        match &case.outcome {
            Outcome::Passed => counted.passed += 1,
            Outcome::Skipped => counted.skipped += 1,
            Outcome::Failed { message, .. } => {
                counted.failed += 1;
                if counted.failures.len() < FAILURES_MAX {
                    counted.failures.push(FailedCase { name: line(&case.name), message: line(message) });
                }
            }
        }
    }
    counted
}

#[cfg(test)]
mod tests;

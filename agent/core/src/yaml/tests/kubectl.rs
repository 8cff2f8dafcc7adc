//! What this reader makes of a text against what kubectl's own makes of it.
//!
//! `kubectl.jsonl` has a line for each text: `text` (or `bytes` in base64), and `kubectl`, the documents that the library
//! with which kubectl reads files makes of it, or `error`, its refusal. A line is added with its text alone and filled in
//! by `tests/real/go/yaml`. Where this reader differs, `here` is what it makes of the text (nothing: it refuses), and `why`
//! the row of the guide that gives the reason.

use std::collections::BTreeSet;

use base64::Engine as _;
use serde::Deserialize;

use super::*;

const GUIDE: &str = include_str!("../../../../../shared/guide/sync.md");

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    text: String,
    bytes: Option<String>,
    kubectl: Option<Vec<Value>>,
    here: Option<Vec<Value>>,
    why: Option<String>,
}

impl Row {
    fn all() -> impl Iterator<Item = Self> {
        include_str!("../kubectl.jsonl").lines().map(|line| serde_json::from_str(line).unwrap())
    }

    fn text(&self) -> Vec<u8> {
        match &self.bytes {
            Some(bytes) => base64::engine::general_purpose::STANDARD.decode(bytes).unwrap(),
            None => self.text.clone().into_bytes(),
        }
    }
}

#[test]
fn a_text_means_what_it_means_to_kubectl() {
    let mut wrong = String::new();
    for row in Row::all() {
        let read = parse(&row.text());
        let ours: Option<Vec<&Value>> = read.as_ref().ok().map(|read| read.iter().map(|d| &d.value).collect());
        let expected = if row.why.is_some() { &row.here } else { &row.kubectl };
        let expected: Option<Vec<&Value>> = expected.as_ref().map(|documents| documents.iter().collect());
        if ours != expected {
            wrong += &format!("{:?}: {ours:?} is not {expected:?}\n", String::from_utf8_lossy(&row.text()));
        }
        assert!(row.why.is_none() || row.here != row.kubectl, "{:?} differs no longer", row.text);
    }
    assert_eq!(wrong, "");
}

/// The table of the section on YAML has a row for each reason, and no other.
#[test]
fn each_difference_is_in_the_guide_with_its_reason() {
    let (_, section) = GUIDE.split_once("\n## YAML\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(2);
    let told: BTreeSet<String> = rows.map(|row| row.split('|').nth(1).unwrap().trim().to_owned()).collect();
    let differ: BTreeSet<String> = Row::all().filter_map(|row| row.why).collect();
    assert_eq!(told, differ);
}

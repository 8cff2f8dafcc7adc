//! States of objects beside what they should be called: YAML documents, each after a comment that says so.
//!
//! ```yaml
//! # expected: Degraded
//! apiVersion: cert-manager.io/v1
//! kind: Certificate
//! status: {conditions: [{type: Ready, status: 'False', reason: Expired}]}
//! ```

use quarterdeck_shared::status::Health;
use serde_json::Value;

/// What the comment begins with.
const MARK: &str = "# expected:";

/// One object and what it should be called.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The line of its comment, from 1.
    pub line: usize,
    /// What it should be called.
    pub expected: Health,
    /// The object.
    pub object: Value,
}

/// Why a file of cases does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct CaseError {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// The cases of a file. A document without the comment is not one, and is left out.
///
/// # Errors
/// Where a comment names no health, or a document does not read.
pub fn read(text: &str) -> Result<Vec<Case>, CaseError> {
    let mut cases = Vec::new();
    let mut begin = 1;
    let mut document = String::new();
    for (at, line) in text.lines().chain(["---"]).enumerate() {
        if line.trim_end() == "---" {
            cases.extend(case(begin, &document)?);
            document.clear();
            begin = at + 2;
        } else {
            document.push_str(line);
            document.push('\n');
        }
    }
    Ok(cases)
}

fn case(begin: usize, document: &str) -> Result<Option<Case>, CaseError> {
    let mark = document.lines().enumerate().find_map(|(at, line)| Some((at, line.trim().strip_prefix(MARK)?.trim())));
    let Some((at, word)) = mark else { return Ok(None) };
    let line = begin + at;
    let fault = |message: String| CaseError { line, message };
    let expected = serde_json::from_value(Value::from(word)).map_err(|_| {
        fault(format!("{word} is not a health: use Healthy, Progressing, Degraded, Suspended, Missing or Unknown"))
    })?;
    let mut documents = crate::yaml::parse(document.as_bytes()).map_err(|error| fault(error.to_string()))?;
    match documents.len() {
        1 => Ok(Some(Case { line, expected, object: documents.remove(0).value })),
        _ => Err(fault("no object after the comment".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_document_after_its_comment_is_a_case() {
        let text = "# expected: Degraded\nkind: A\n---\nkind: B\n---\n\n# expected: Healthy\nkind: C\n";
        let cases: Vec<String> = read(text)
            .unwrap()
            .into_iter()
            .map(|case| format!("{} {} {}", case.line, case.expected, case.object["kind"]))
            .collect();
        assert_eq!(cases, ["1 Degraded \"A\"", "7 Healthy \"C\""]);
        for (text, expected) in [
            (
                "# expected: Fine\nkind: A",
                "line 1: Fine is not a health: use Healthy, Progressing, Degraded, Suspended, Missing or Unknown",
            ),
            ("---\n# expected: Healthy\n", "line 2: no object after the comment"),
            (
                "# expected: Healthy\na: 1\na: 2\n",
                "line 1: document 1, line 3, column 1: the key \"a\" is defined twice",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), expected);
        }
    }
}

//! BuildKit's manner of telling a build: one vertex after another, each as protobuf in a line of JSON. What is done is done
//! by the classic builder (`build.rs`).
//! What is asked of its client meanwhile is `session.rs`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// What was told of a build so far.
#[derive(Debug, Default)]
pub(super) struct Trace {
    at_work: Option<Vertex>,
    begun: usize,
}

#[derive(Debug, Default)]
struct Vertex {
    digest: String,
    name: String,
    cached: bool,
}

impl Trace {
    /// A vertex begins, and the one before it is done.
    pub(super) fn begin(&mut self, name: &str) -> Vec<Value> {
        let before = self.end("");
        self.begun += 1;
        let vertex = Vertex { digest: format!("sha256:{:064x}", self.begun), name: name.to_owned(), cached: false };
        let begun = status(1, &vertex.encoded(false, ""));
        self.at_work = Some(vertex);
        before.into_iter().chain([begun]).collect()
    }

    /// The vertex at work ends, with this error unless it is empty.
    pub(super) fn end(&mut self, error: &str) -> Option<Value> {
        self.at_work.take().map(|vertex| status(1, &vertex.encoded(true, error)))
    }

    /// The vertex at work was in the cache.
    pub(super) fn cached(&mut self) {
        self.at_work.iter_mut().for_each(|vertex| vertex.cached = true);
    }

    /// What the program of the vertex at work prints.
    pub(super) fn prints(&self, text: &str) -> Option<Value> {
        let vertex = self.at_work.as_ref()?;
        Some(status(3, &[bytes(1, vertex.digest.as_bytes()), bytes(4, text.as_bytes())].concat()))
    }
}

impl Vertex {
    fn encoded(&self, ended: bool, error: &str) -> Vec<u8> {
        const THEN: &[u8] = &[];
        let mut message = [bytes(1, self.digest.as_bytes()), bytes(3, self.name.as_bytes()), bytes(5, THEN)].concat();
        if self.cached {
            message.extend([4 << 3, 1]);
        }
        if ended {
            message.extend(bytes(6, THEN));
        }
        if !error.is_empty() {
            message.extend(bytes(7, error.as_bytes()));
        }
        message
    }
}

/// A `StatusResponse` with one message in this field.
fn status(field: u8, message: &[u8]) -> Value {
    json!({ "id": "moby.buildkit.trace", "aux": BASE64_STANDARD.encode(bytes(field, message)) })
}

/// A field of protobuf that has a length: text, bytes or a message.
fn bytes(field: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![field << 3 | 2];
    let mut length = value.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(value);
    out
}

/// The classic builder's words in those of BuildKit, where a command failed.
pub(super) fn words(classic: &str) -> String {
    let failed = classic.strip_prefix("The command '").and_then(|rest| rest.split_once("' returned a non-zero code: "));
    match failed {
        Some((command, code)) => format!("process {command:?} did not complete successfully: exit code: {code}"),
        None => classic.to_owned(),
    }
}

//! `GET /v1/state`: everything that is so.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::stream;
use quarterdeck_shared::snapshot::{Key, Object};

use super::Shared;

/// Objects are written in chunks of about this size, each when the client has taken the one before: the answer is never
/// in memory as a whole, however large the fleet and however many consoles ask.
const CHUNK: usize = 64 * 1024;

pub(super) async fn state(State(context): State<Shared>) -> Response {
    let snapshot = context.journal.snapshot();
    let (revision, objects) = snapshot.all();
    let whole = Whole::new(revision, snapshot.epoch(), objects);
    let body = Body::from_stream(stream::iter(whole.map(Ok::<_, std::convert::Infallible>)));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A [`State`](quarterdeck_shared::protocol::State) as it is written.
struct Whole {
    /// What stands before the objects, until it is written.
    head: String,
    objects: std::vec::IntoIter<(Key, Arc<Object>)>,
    /// Whether an object was written: then a comma stands before the next.
    some: bool,
    ended: bool,
}

impl Whole {
    fn new(revision: u64, epoch: &str, objects: Vec<(Key, Arc<Object>)>) -> Self {
        let epoch = serde_json::Value::from(epoch);
        let head = format!(r#"{{"revision":{revision},"epoch":{epoch},"objects":{{"#);
        Self { head, objects: objects.into_iter(), some: false, ended: false }
    }
}

impl Iterator for Whole {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut chunk = Vec::with_capacity(CHUNK + 4 * 1024);
        chunk.extend(std::mem::take(&mut self.head).bytes());
        while chunk.len() < CHUNK {
            let Some((key, object)) = self.objects.next() else {
                chunk.extend(b"}}");
                self.ended = true;
                break;
            };
            let end = chunk.len();
            // Our own types can always be written; one that could not would be left out whole.
            match write(&mut chunk, self.some, &key, &object) {
                Ok(()) => self.some = true,
                Err(_) => chunk.truncate(end),
            }
        }
        Some(chunk.into())
    }
}

fn write(chunk: &mut Vec<u8>, after_another: bool, key: &Key, object: &Object) -> serde_json::Result<()> {
    if after_another {
        chunk.push(b',');
    }
    serde_json::to_writer(&mut *chunk, key)?;
    chunk.push(b':');
    serde_json::to_writer(chunk, object)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use quarterdeck_shared::snapshot::{ConnectionKind, ConnectionStatus};

    use super::*;

    #[test]
    fn what_is_written_in_chunks_is_the_whole_state() {
        for count in [0, 1, 2, 3_000] {
            let objects: Vec<(Key, Arc<Object>)> = (0..count)
                .map(|number| {
                    let object = Object::Connection(ConnectionStatus {
                        to: ConnectionKind::Registry,
                        name: format!("r{number:04}"),
                        reachable: true,
                        version: "a \"version\"".to_owned(),
                        error: None,
                        hint: String::new(),
                        since: Timestamp::UNIX_EPOCH,
                    });
                    (object.key(), Arc::new(object))
                })
                .collect();
            let chunks: Vec<Bytes> = Whole::new(7, "a \"life\"", objects.clone()).collect();
            assert!(chunks.iter().all(|chunk| chunk.len() < CHUNK + 4 * 1024), "a chunk is of a bounded size");
            assert_eq!(chunks.len() > 1, count == 3_000);
            let state: quarterdeck_shared::protocol::State = serde_json::from_slice(&chunks.concat()).unwrap();
            assert_eq!((state.revision, &*state.epoch), (7, "a \"life\""));
            assert!(state.objects.into_iter().eq(objects.into_iter().map(|(key, object)| (key, (*object).clone()))));
        }
    }
}

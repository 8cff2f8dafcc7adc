//! A stream of NDJSON records, read one by one as they come.

use std::marker::PhantomData;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::client::Answer;
use crate::client::error::ClientError;
use crate::client::lines::Lines;

/// A stream of records of one type.
#[derive(Debug)]
pub struct Records<T> {
    answer: Answer,
    lines: Lines,
    idle: Option<Duration>,
    ended: bool,
    record: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Records<T> {
    pub(super) fn new(answer: Answer, idle: Option<Duration>, line_bytes_max: usize) -> Self {
        Self { answer, lines: Lines::new(line_bytes_max), idle, ended: false, record: PhantomData }
    }

    /// The next record; `None` where the agent ended the stream. Nothing is lost where the future is dropped, so it
    /// may stand in a `select!`.
    pub async fn next(&mut self) -> Result<Option<T>, ClientError> {
        loop {
            if let Some(record) = self.ready()? {
                return Ok(Some(record));
            }
            if self.ended {
                return Ok(None);
            }
            match self.more().await? {
                Some(bytes) => self.lines.push(&bytes),
                None => {
                    self.ended = true;
                    self.lines.finish();
                }
            }
        }
    }

    /// The next record of what has come already, without waiting: for those who drain a batch and then act.
    pub fn ready(&mut self) -> Result<Option<T>, ClientError> {
        loop {
            let Some(line) = self.lines.next().map_err(|limit| self.too_long(limit))? else { return Ok(None) };
            // An empty line is a way to say "still here".
            if line.trim_ascii().is_empty() {
                continue;
            }
            return serde_json::from_slice(&line)
                .map(Some)
                .map_err(|source| ClientError::Garbled { request: self.answer.request.clone(), source });
        }
    }

    async fn more(&mut self) -> Result<Option<bytes::Bytes>, ClientError> {
        let Some(idle) = self.idle else { return self.answer.next().await };
        match timeout(idle, self.answer.next()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ClientError::Silent { request: self.answer.request.clone(), seconds: idle.as_secs() }),
        }
    }

    fn too_long(&self, limit: usize) -> ClientError {
        ClientError::TooLong { request: self.answer.request.clone(), limit }
    }
}

//! The lines of streams (NDJSON): of the watch and of logs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::snapshot::{Key, Object};

/// A line of a [`WATCH`](crate::routes::WATCH). 410 in its place: the client lists again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WatchRecord {
    /// The object is now so.
    Put {
        /// The state's revision with it.
        revision: u64,
        /// Where it lies.
        key: Key,
        /// What it is.
        object: Box<Object>,
    },
    /// The object is gone.
    Del {
        /// The state's revision without it.
        revision: u64,
        /// Where it lay.
        key: Key,
    },
    /// All up to this revision has been sent.
    Bookmark {
        /// The state's revision.
        revision: u64,
    },
}

/// A line of a run's log, a pod's log or the agent's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LogRecord {
    /// One line, without its newline and without control sequences.
    Line {
        /// When it was written, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
        /// `pod/container`, the stage of a run, or the target of an agent's line.
        #[serde(default, skip_serializing_if = "str::is_empty")]
        from: Box<str>,
        /// The text.
        text: Box<str>,
    },
    /// Lines are missing here.
    Gap {
        /// How many, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lines: Option<u64>,
        /// Why.
        reason: Box<str>,
    },
    /// The agent has something to say about the stream: a pod joined, a container ended, a stream was taken up again.
    Notice {
        /// What.
        text: Box<str>,
    },
}
